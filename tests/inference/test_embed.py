"""Embedding files: what is in them, in which order, and that they are whole or absent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from bilm_files import Shape, make

from elmo_cli.config import TokenizerSettings
from elmo_cli.errors import ConfigError, DataError, RunError
from elmo_cli.events import Progress, Tell, silent
from elmo_cli.inference.embed import EmbedOptions, embed_run, read_dump
from elmo_cli.interop.importing import import_run

SENTENCES = [
    "Prices fell, again.",
    "",
    "One",
    "A longer sentence than the others, with 10 or more tokens in it.",
    "One",
]
TOKENS = [5, 0, 1, 15, 1]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dumps")
    import_run(make(Shape()).write(folder / "model"), folder / "run")
    return folder / "run"


def embed(
    run: Path, out: Path, *, overwrite: bool = False, tell: Tell = silent, **options: Any
) -> dict[int, np.ndarray]:
    embed_run(run, SENTENCES, out, EmbedOptions(**options), overwrite=overwrite, tell=tell)
    return dict(read_dump(out))


def test_all_layers_by_line_and_by_sentence(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "out.hdf5"
    report = embed_run(run, (line for line in SENTENCES), path)
    assert (report.sentences, report.tokens, report.layers, report.width) == (5, sum(TOKENS), 3, 8)
    with h5py.File(path) as file:
        assert set(file) == {"0", "1", "2", "3", "4", "sentence_to_index"}
        assert [file[str(line)].shape for line in range(5)] == [(3, tokens, 8) for tokens in TOKENS]
        assert file["sentence_to_index"].shape == (1,)
        index = json.loads(file["sentence_to_index"][0])
    assert index == {"Prices fell, again.": "0", "": "1", "One": "4", SENTENCES[3]: "3"}
    assert [entry.name for entry in path.parent.iterdir()] == ["out.hdf5"]


def test_layers_are_chosen(run: Path, tmp_path: Path) -> None:
    everything = embed(run, tmp_path / "all.hdf5")
    for name, choose in {
        "top": lambda layers: layers[2],
        "average": lambda layers: layers.mean(axis=0),
        0: lambda layers: layers[0],
        1: lambda layers: layers[1],
    }.items():
        found = embed(run, tmp_path / f"{name}.hdf5", layers=name)
        for line, layers in everything.items():
            np.testing.assert_allclose(found[line], choose(layers), atol=1e-6)


@pytest.mark.parametrize("layer", [3, -1])
def test_layers_that_there_are_not(layer: int, run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"there is no layer {layer}"):
        embed(run, tmp_path / "out.hdf5", layers=layer)
    assert not list(tmp_path.iterdir())


def test_tokens_are_pooled(run: Path, tmp_path: Path) -> None:
    everything = embed(run, tmp_path / "all.hdf5")
    mean = embed(run, tmp_path / "mean.hdf5", pool="mean")
    largest = embed(run, tmp_path / "max.hdf5", pool="max", layers="top")
    for line in (0, 2, 3):
        np.testing.assert_allclose(mean[line], everything[line].mean(axis=1), atol=1e-6)
        np.testing.assert_array_equal(largest[line], everything[line][2].max(axis=0))
    assert mean[1].shape == (3, 8)
    assert not mean[1].any()


def test_half_precision_rounds_the_same_numbers(run: Path, tmp_path: Path) -> None:
    single = embed(run, tmp_path / "single.hdf5")
    half = embed(run, tmp_path / "half.hdf5", dtype="float16")
    for line, layers in single.items():
        assert half[line].dtype == np.float16
        np.testing.assert_array_equal(half[line], layers.astype(np.float16))


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"batch_size": 2}, {"batch_tokens": 20}, {"batch_tokens": 3}])
def test_batches_do_not_matter(options: dict[str, int], run: Path, tmp_path: Path) -> None:
    usual = embed(run, tmp_path / "usual.hdf5")
    found = embed(run, tmp_path / "out.hdf5", **options)
    for line, layers in usual.items():
        np.testing.assert_allclose(found[line], layers, atol=1e-6)


def test_the_tokenizer_can_be_changed(run: Path, tmp_path: Path) -> None:
    found = embed(run, tmp_path / "out.hdf5", tokenizer=TokenizerSettings(kind="whitespace"))
    assert [found[line].shape[1] for line in range(5)] == [3, 0, 1, 13, 1]


def test_progress_counts_sentences(run: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    embed(run, tmp_path / "out.hdf5", batch_size=2, tell=lambda event: seen.append((event.done, event.total)))
    assert seen == [(2, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stateful": True}, "needs --batch-size"),
        ({"batch_size": 2, "batch_tokens": 9}, "exclude each other"),
        ({"batch_tokens": 2}, "too small for any sentence"),
        ({"precision": "float8"}, "'float8'"),
    ],
)
def test_contradictions(options: dict[str, Any], message: str, run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        embed(run, tmp_path / "out.hdf5", **options)


def test_nothing_to_embed(run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to embed"):
        embed_run(run, [], tmp_path / "out.hdf5")
    assert not list(tmp_path.iterdir())


def test_a_file_is_whole_or_as_it_was(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.hdf5"
    embed(run, path)
    before = path.read_bytes()
    with pytest.raises(RunError, match="exists already"):
        embed(run, path)

    def stop(event: Progress) -> None:
        if event.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(run, path, overwrite=True, batch_size=1, tell=stop)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.hdf5"]
    embed(run, path, overwrite=True, layers="top")
    assert path.read_bytes() != before


def test_files_that_are_no_embeddings(tmp_path: Path) -> None:
    path = tmp_path / "other.hdf5"
    with pytest.raises(DataError, match="there is no file"):
        list(read_dump(path))
    path.write_bytes(b"no HDF5")
    with pytest.raises(DataError, match="no whole HDF5 file"):
        list(read_dump(path))
    with h5py.File(path, "w") as file:
        file["sentence_to_index"] = ["{}"]
    with pytest.raises(DataError, match="holds no sentences"):
        list(read_dump(path))
    with h5py.File(path, "a") as file:
        file["embedding"] = np.zeros((2, 3))
    with pytest.raises(DataError, match="has a dataset 'embedding'"):
        list(read_dump(path))
