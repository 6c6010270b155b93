"""`check_run`: a good run passes, and each way of breaking one fails the check of its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from elmo_cli.config import CharacterSettings, ModelSettings, TokenizerSettings, VocabularySettings
from elmo_cli.errors import ConfigError, DataError, RunError
from elmo_cli.inference.check import check_run
from elmo_cli.inference.embed import EmbedOptions, embed_run
from elmo_cli.model.bilm import BiLm
from elmo_cli.runs import RunWriter, save_lm
from elmo_cli.text.encoded import encode_tokens
from elmo_cli.text.vocabulary import Vocabulary

TEXTS = ["the cat sat", "the dog", "cat"]


def write_run(path: Path, *, softmax: bool = True, **changes: Any) -> Path:
    torch.manual_seed(1)
    corpus = encode_tokens([["the", "cat"], ["the", "dog", "sat"]])
    vocabulary = Vocabulary.build(corpus, VocabularySettings(min_count=1), TokenizerSettings())
    settings = ModelSettings(**{"hidden_size": 6, "softmax": "full", **changes})
    network = BiLm(settings, len(vocabulary) if softmax else None, softmax=softmax)
    with RunWriter(path, "lm", "elmo pretrain") as writer:
        save_lm(writer, network, vocabulary if softmax else None)
    return path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")


def outcome(path: Path, **options: Any) -> dict[str, bool]:
    return {result.name: result.passed for result in check_run(path, **options)}


def test_a_good_run_passes(run: Path) -> None:
    found = outcome(run)
    assert list(found) == [
        "files",
        "leak",
        "context",
        "batch",
        "padding",
        "order",
        "stream activations",
        "stream losses",
    ]
    assert all(found.values())


def test_a_run_without_softmax_and_vocabulary(tmp_path: Path) -> None:
    characters = CharacterSettings(dim=3, filters=((1, 4), (3, 5)))
    found = outcome(write_run(tmp_path / "run", softmax=False, encoder="char", characters=characters))
    assert "leak" in found
    assert "stream losses" not in found
    assert all(found.values())


def test_a_damaged_run_fails_the_first_check(run: Path) -> None:
    weights = (run / "model.safetensors").read_bytes()
    (run / "model.safetensors").write_bytes(weights[:-8])
    results = check_run(run)
    assert [(result.name, result.passed) for result in results] == [("files", False)]
    assert "model.safetensors is damaged" in results[0].detail
    (run / "model.safetensors").write_bytes(weights)
    (run / "vocab.txt").write_text((run / "vocab.txt").read_text().replace("cat", "cow"))
    assert outcome(run) == {"files": False}


def test_weights_that_are_no_numbers_end_the_checks(run: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(run / "model.safetensors")
    tensors["lstm_layers.1.bias"][0, 2] = float("nan")
    save_file(tensors, run / "model.safetensors")
    results = check_run(run)
    assert [(result.name, result.passed) for result in results] == [("files", False)]
    assert "lstm_layers.1.bias that are not finite" in results[0].detail


@pytest.mark.parametrize("layers", ["all", "top", "average", 0, 1])
def test_stored_embeddings(layers: Any, run: Path, tmp_path: Path) -> None:
    stored = tmp_path / "stored.hdf5"
    embed_run(run, TEXTS, stored, EmbedOptions(layers=layers))
    assert outcome(run, texts=TEXTS, expected=stored)["embeddings"]
    assert not outcome(run, texts=["the cat dog", *TEXTS[1:]], expected=stored)["embeddings"]


def test_directions_of_the_top_layer(run: Path, tmp_path: Path) -> None:
    stored, halves = tmp_path / "stored.hdf5", tmp_path / "halves.hdf5"
    embed_run(run, TEXTS, stored, EmbedOptions(layers="top", stateful=True, batch_size=1))
    with h5py.File(stored) as file, h5py.File(halves, "w") as other:
        for index in range(3):
            other[str(index)] = np.stack(np.split(file[str(index)][()], 2, axis=1))
    assert outcome(run, texts=TEXTS, expected=halves, stateful=True)["embeddings"]
    assert not outcome(run, texts=TEXTS, expected=halves)["embeddings"]


def test_stored_embeddings_of_another_text(run: Path, tmp_path: Path) -> None:
    stored = tmp_path / "stored.hdf5"
    embed_run(run, TEXTS, stored)
    for texts, detail in (
        (TEXTS[:2], "sentence 2 is stored, but there are only 2"),
        ([*TEXTS, "more"], "3 sentences are stored, but there are 4"),
        (["the cat", *TEXTS[1:]], r"an entry has shape (3, 3, 12), its layers have (3, 2, 12)"),
    ):
        result = check_run(run, texts=texts, expected=stored)[-1]
        assert (result.name, result.passed) == ("embeddings", False)
        assert detail in result.detail


def test_what_cannot_be_checked(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no run"):
        check_run(tmp_path / "absent")
    with pytest.raises(ConfigError, match="stored embeddings alone"):
        check_run(run, expected=tmp_path / "stored.hdf5")
    with pytest.raises(DataError, match="there is no file"):
        check_run(run, texts=TEXTS, expected=tmp_path / "stored.hdf5")
    vocabulary = Vocabulary(["<S>", "</S>", "<UNK>", "the"], tokenizer=TokenizerSettings())
    with RunWriter(tmp_path / "vocab", "vocab", "elmo vocab build") as writer:
        writer.write_vocabulary(vocabulary)
    with pytest.raises(RunError, match="holds no model"):
        check_run(tmp_path / "vocab")


def test_a_vocabulary_of_one_word_is_enough(tmp_path: Path) -> None:
    corpus = encode_tokens([["word", "word"]])
    vocabulary = Vocabulary.build(corpus, VocabularySettings(), TokenizerSettings())
    network = BiLm(ModelSettings(hidden_size=4, softmax="full"), len(vocabulary))
    with RunWriter(tmp_path / "run", "lm", "elmo pretrain") as writer:
        save_lm(writer, network, vocabulary)
    assert all(outcome(tmp_path / "run").values())
