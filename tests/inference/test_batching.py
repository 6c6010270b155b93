"""Embedding beyond the budget: long documents in windows, long inputs in pieces, and the same numbers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from bilm_files import Shape, make
from tinyworld import make_bilm, make_static

from elmo_cli.embedder import Embedder, Extractor
from elmo_cli.errors import ElmoError
from elmo_cli.events import Progress
from elmo_cli.inference import batching
from elmo_cli.inference import embed as dumps
from elmo_cli.inference.embed import EmbedOptions, embed_run, read_dump
from elmo_cli.interop.importing import import_run
from elmo_cli.text.encoded import encode_tokens

WORDS = ("match", "goal", "the", "market", "bank", "unseen", "of")


def sentence(length: int, start: int) -> list[str]:
    return [WORDS[(start + place * place) % len(WORDS)] for place in range(length)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("long")
    import_run(make(Shape()).write(folder / "model"), folder / "run")
    return folder / "run"


@pytest.mark.parametrize(
    ("embedder", "stateful"),
    [(make_bilm(), False), (make_bilm(), True), (make_static(), False)],
    ids=["biLM", "stateful", "static"],
)
@pytest.mark.parametrize("cells", [6, 8, 15, 40])
def test_windows_give_the_activations_of_whole_sentences(embedder: Embedder, stateful: bool, cells: int) -> None:
    lengths = [5, 0, 13, 1, 8, 8, 2]
    corpus = encode_tokens([sentence(length, start) for start, length in enumerate(lengths)])
    batches = [np.array([0, 1, 2]), np.array([3, 4, 5]), np.array([6])]
    found = [np.full((embedder.layer_count, length, embedder.width), np.nan) for length in lengths]
    for parts in Extractor(embedder, stateful=stateful).parts(corpus, batches, cells):
        assert sum(part.layers[0].size for part in parts) <= cells * embedder.width
        for part in parts:
            assert np.isnan(found[part.sentence][:, part.start :, part.columns][:, : part.layers.shape[1]]).all()
            found[part.sentence][:, part.start : part.start + part.layers.shape[1], part.columns] = part.layers
    for indices, layers, _ in Extractor(embedder, stateful=stateful).batches(corpus, batches):
        for row, index in enumerate(indices.tolist()):
            np.testing.assert_allclose(found[index], layers[:, row, : lengths[index]], atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"pool": "mean"}, {"pool": "max", "layers": "top"}, {"layers": "average"}])
def test_a_document_beyond_the_budget_is_written_as_if_it_were_not(
    options: dict[str, Any], run: Path, tmp_path: Path
) -> None:
    texts = [" ".join(sentence(length, length)) for length in (3, 90, 0, 41, 300)]
    embed_run(run, texts, tmp_path / "whole.hdf5", EmbedOptions(batch_tokens=100_000, **options))
    report = embed_run(run, texts, tmp_path / "windows.hdf5", EmbedOptions(batch_tokens=40, **options))
    assert (report.windowed, report.tokens) == (3, 434)
    whole, windows = (dict(read_dump(tmp_path / f"{name}.hdf5")) for name in ("whole", "windows"))
    assert sorted(whole) == sorted(windows) == list(range(5))
    for line, values in whole.items():
        assert values.dtype == windows[line].dtype
        np.testing.assert_allclose(windows[line], values, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"batch_size": 3}, {"batch_size": 3, "stateful": True}])
def test_the_input_is_read_in_pieces(
    options: dict[str, Any], run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [" ".join(sentence(1 + number % 7, number)) for number in range(50)]
    embed_run(run, texts, tmp_path / "one.hdf5", EmbedOptions(**options))
    monkeypatch.setattr(batching, "PIECE_BATCHES", 1)
    monkeypatch.setattr(batching, "DEFAULT_BATCH_TOKENS", 20 if not options else 10)
    asked: list[int] = []
    written: list[tuple[int, int, int | None]] = []

    def read() -> Iterator[str]:
        for number, text in enumerate(texts):
            asked.append(number)
            yield text

    def tell(event: Progress) -> None:
        written.append((event.done, len(asked), event.total))

    report = embed_run(run, read(), tmp_path / "pieces.hdf5", EmbedOptions(**options), tell=tell)
    assert report.sentences == 50
    assert written[0][1] < 30  # the first were written long before the last were read
    assert written[0][2] is None
    assert written[-1] == (50, 50, 50)
    one, pieces = (dict(read_dump(tmp_path / f"{name}.hdf5")) for name in ("one", "pieces"))
    for line in range(50):
        np.testing.assert_allclose(pieces[line], one[line], atol=1e-6)
    with h5py.File(tmp_path / "pieces.hdf5") as file:
        names = json.loads(file["sentence_to_index"][0])
    assert names == {text: str(number) for number, text in enumerate(texts)}


def test_an_index_that_grows_too_large_is_left_out_and_said(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dumps, "INDEX_CHARACTERS", 8)
    assert embed_run(run, ["one two"], tmp_path / "small.hdf5").indexed
    assert not embed_run(run, ["one two", "three"], tmp_path / "large.hdf5").indexed
    assert sorted(dict(read_dump(tmp_path / "large.hdf5"))) == [0, 1]


def test_bfloat16_says_how_far_it_is_from_float32(run: Path, tmp_path: Path) -> None:
    texts = [" ".join(sentence(length, length)) for length in (3, 0, 20, 7)]
    exact = embed_run(run, texts, tmp_path / "float32.hdf5")
    rounded = embed_run(run, texts, tmp_path / "bfloat16.hdf5", EmbedOptions(precision="bfloat16"))
    assert (exact.precision, exact.difference) == ("float32", None)
    one, other = (dict(read_dump(tmp_path / f"{name}.hdf5")) for name in ("float32", "bfloat16"))
    largest = max(np.abs(one[line] - other[line]).max(initial=0) for line in range(4))
    assert 0 < largest < 0.05
    assert rounded.difference == pytest.approx(largest, rel=0.3)


def test_a_failure_of_the_writer_reaches_the_caller(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set()

    def refuse(self: dumps.Assembly, parts: object) -> int:
        threads.add(threading.current_thread())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(dumps.Assembly, "add", refuse)
    with pytest.raises(ElmoError, match="No space left"):
        embed_run(run, ["one", "two three"] * 9, tmp_path / "out.hdf5", EmbedOptions(batch_size=1))
    assert not list(tmp_path.iterdir())
    assert threading.main_thread() not in threads


def test_a_device_without_bfloat16_is_named(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ones = torch.ones

    def refuse(*shape: int, dtype: torch.dtype, device: str) -> torch.Tensor:
        if dtype == torch.bfloat16:
            raise RuntimeError("not implemented")
        return ones(*shape, dtype=dtype, device=device)

    monkeypatch.setattr(torch, "ones", refuse)
    with pytest.raises(ElmoError, match="which cpu cannot multiply"):
        embed_run(run, ["one"], tmp_path / "out.hdf5", EmbedOptions(precision="bfloat16"))
