"""The original's own test model: its thirty sentences, and the proof that the comparison can fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from elmo_cli.config import TokenizerSettings
from elmo_cli.inference.batching import in_order
from elmo_cli.inference.embed import EmbedOptions, embed_run, embed_sentences, read_dump
from elmo_cli.interop.importing import import_run
from elmo_cli.model.bilm import BiLm, BiLstmLayer
from elmo_cli.runs import load_lm
from elmo_cli.text.encoded import encode_tokens

LISTS, TIMES = 3, 10
ATOL, RTOL = 1e-6, 1e-5  # the original's own


@pytest.fixture(scope="module")
def fixture(shared: Path) -> Path:
    return shared / "fixtures" / "bilm_tf"


@pytest.fixture(scope="module")
def sentences(fixture: Path) -> list[str]:
    """Line 3 i + j is sentence i of list j, so that batch i of three holds sentence i of each list."""
    lists = json.loads((fixture / "lm_embeddings_sentences.json").read_text(encoding="utf-8"))
    return [lists[j][i] for i in range(TIMES) for j in range(LISTS)]


@pytest.fixture(scope="module")
def expected(fixture: Path) -> dict[int, np.ndarray]:
    """(2, T, 16) by line: top layer, forward and backward."""
    entries = {}
    for j in range(LISTS):
        with h5py.File(fixture / f"lm_embeddings_{j}.hdf5") as file:
            entries |= {LISTS * i + j: file[str(i)][()] for i in range(TIMES)}
    return entries


@pytest.fixture(scope="module")
def run(fixture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fixture") / "run"
    import_run(fixture, out)
    return out


def top_halves(layers: np.ndarray) -> np.ndarray:
    """(L + 1, T, 2P) to (2, T, P)."""
    return np.stack(np.split(layers[-1], 2, axis=-1))


def embed(run: Path, sentences: list[str], out: Path, stateful: bool) -> dict[int, np.ndarray]:
    whitespace = TokenizerSettings(kind="whitespace")
    embed_run(
        run, sentences, out, EmbedOptions(layers="all", tokenizer=whitespace, stateful=stateful, batch_size=LISTS)
    )
    return dict(read_dump(out))


def test_all_thirty_sentences(run: Path, sentences: list[str], expected: dict[int, np.ndarray], tmp_path: Path) -> None:
    found = embed(run, sentences, tmp_path / "out.hdf5", stateful=True)
    assert sorted(found) == list(range(30))
    for line, entry in expected.items():
        np.testing.assert_allclose(top_halves(found[line]), entry, atol=ATOL, rtol=RTOL, err_msg=f"line {line}")


def test_without_state_only_the_first_batch_matches(
    run: Path, sentences: list[str], expected: dict[int, np.ndarray], tmp_path: Path
) -> None:
    found = embed(run, sentences, tmp_path / "out.hdf5", stateful=False)
    same = [np.allclose(top_halves(found[line]), expected[line], atol=ATOL, rtol=RTOL) for line in range(30)]
    assert same == [True] * LISTS + [False] * (30 - LISTS)


def swap_gates(network: BiLm) -> None:
    """i, j, f, o as i, f, j, o."""
    for layer in layers_of(network):
        for weights in (layer.input, layer.recurrent, layer.bias):
            first, second, third, fourth = weights.data.chunk(4, dim=-1)
            weights.data = torch.cat([first, third, second, fourth], dim=-1)


def layers_of(network: BiLm) -> list[BiLstmLayer]:
    return [layer for layer in network.lstm_layers if isinstance(layer, BiLstmLayer)]


def set_attribute(name: str, value: float | None) -> Callable[[BiLm], None]:
    def change(network: BiLm) -> None:
        for layer in layers_of(network):
            assert getattr(layer, name) != value
            setattr(layer, name, value)

    return change


def skip(network: BiLm) -> None:
    assert not network.settings.residual
    network.settings = network.settings.model_copy(update={"residual": True})


def nothing(network: BiLm) -> None:
    pass


@pytest.mark.parametrize(
    ("mutate", "same"),
    [
        (nothing, True),
        (swap_gates, False),
        (set_attribute("forget_bias", 0.0), False),
        (set_attribute("cell_clip", 0.5), False),
        (set_attribute("projection_clip", 0.5), False),
        (skip, False),
    ],
    ids=["unchanged", "gate order", "forget bias", "cell clip", "projection clip", "skip connections"],
)
def test_the_comparison_catches(
    mutate: Callable[[BiLm], None],
    same: bool,
    run: Path,
    sentences: list[str],
    expected: dict[int, np.ndarray],
) -> None:
    embedder = load_lm(run)
    assert isinstance(embedder.network, BiLm)
    mutate(embedder.network)
    corpus = encode_tokens([sentence.split() for sentence in sentences])
    found = embed_sentences(embedder, corpus, in_order(corpus, LISTS), stateful=True)
    agreement = [
        np.allclose(top_halves(layers), expected[line], atol=ATOL, rtol=RTOL) for line, layers in enumerate(found)
    ]
    assert all(agreement) is same
