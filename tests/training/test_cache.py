"""Activations that were computed once: what is kept of a text, in how much room, and whether the embedder agrees."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_finetune import TRAIN, train
from tinyworld import SETTINGS, make_bilm, make_corpus, make_static

from elmo_cli.config import ModelSettings
from elmo_cli.embedder import Feed
from elmo_cli.errors import ElmoError
from elmo_cli.model.classifier import Classifier
from elmo_cli.training.cache import ActivationCache, LiveTexts, predict


@pytest.mark.parametrize("pooling", ["mean", "max+mean", "attention"])
@pytest.mark.parametrize("layer_norm", [True, False])
def test_cached_and_live_texts_agree(pooling: str, layer_norm: bool) -> None:
    embedder = make_bilm()
    settings = SETTINGS.model_copy(update={"pooling": pooling, "layer_norm": layer_norm, "epochs": 1})
    classifier = train(embedder, settings).classifier
    indices = np.array([5, 3, 11])
    live = LiveTexts(embedder, TRAIN.corpus, "cpu")
    exact = ActivationCache(embedder, TRAIN.corpus, settings, tokens=pooling != "mean")
    with torch.no_grad():
        torch.testing.assert_close(
            exact.logits(classifier, indices), live.logits(classifier, indices), atol=2e-6, rtol=1e-5
        )


def test_live_texts_remember_words_and_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elmo_cli.training.cache.CELLS_PER_BATCH", 20)
    embedder = make_bilm(model=ModelSettings(encoder="char", hidden_size=32, projection_size=16))
    classifier = Classifier(embedder.network, SETTINGS, 4, seed=1).eval()
    indices = np.arange(len(TRAIN))
    with torch.no_grad():
        plain = classifier(*Feed(embedder, TRAIN.corpus).sentences(indices)).softmax(1)
    found = predict([classifier], embedder, TRAIN.corpus)
    torch.testing.assert_close(torch.from_numpy(found), plain, atol=1e-6, rtol=0)
    words = embedder.token_cache.rows(TRAIN.corpus.types)
    assert (words[np.unique(np.concatenate([TRAIN.corpus.sentence(i) for i in indices]))] >= 0).all()


def test_half_precision_in_memory_and_in_a_file(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = make_bilm()
    exact = ActivationCache(embedder, TRAIN.corpus, SETTINGS)
    monkeypatch.setattr("elmo_cli.training.cache.EXACT_BYTES", 0)
    half = ActivationCache(embedder, TRAIN.corpus, SETTINGS)
    monkeypatch.setattr("elmo_cli.training.cache.MEMORY_BYTES", 0)
    filed = ActivationCache(embedder, TRAIN.corpus, SETTINGS, folder=tmp_path)
    assert (exact.dtype, half.dtype, filed.dtype) == (torch.float32, torch.float16, torch.float16)
    # It has no name any more: also a process that is killed leaves nothing behind.
    assert list(tmp_path.iterdir()) == []
    indices = np.arange(len(TRAIN))
    true, rounded = exact.batch(indices)[0], half.batch(indices)[0]
    assert (true - rounded).abs().max() > 0
    # float16 keeps 11 bits: half of the last one is 2^-11 of the value, and 2^-25 below its normal range
    assert ((true - rounded).abs() <= true.abs() * 2**-11 + 2**-25).all()
    assert torch.equal(rounded, filed.batch(indices)[0])


def test_a_disk_without_room_for_activations_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, start: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("elmo_cli.training.cache.EXACT_BYTES", 0)
    monkeypatch.setattr("elmo_cli.training.cache.MEMORY_BYTES", 0)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(ElmoError, match="No space left on device"):
        ActivationCache(make_static(), TRAIN.corpus, SETTINGS, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_room_for_activations_to_the_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """float32 up to a size, float16 up to another, else a file."""
    embedder = make_static(width=8)
    numbers = (int(TRAIN.corpus.lengths.sum()) + 1) * 8  # a row of zeros for padding
    rooms = {
        (4 * numbers, 0): (torch.float32, 0),
        (4 * numbers - 1, 2 * numbers): (torch.float16, 0),
        (4 * numbers - 1, 2 * numbers - 1): (torch.float16, 1),
    }
    files: list[str] = []
    from_file = torch.from_file
    monkeypatch.setattr(torch, "from_file", lambda name, **options: files.append(name) or from_file(name, **options))
    for (exact, memory), expected in rooms.items():
        monkeypatch.setattr("elmo_cli.training.cache.EXACT_BYTES", exact)
        monkeypatch.setattr("elmo_cli.training.cache.MEMORY_BYTES", memory)
        cache = ActivationCache(embedder, TRAIN.corpus, SETTINGS, folder=tmp_path)
        assert (cache.dtype, len(files)) == expected
    assert Path(files[0]).is_relative_to(tmp_path)


def test_what_is_kept_of_texts_by_hand() -> None:
    embedder = make_static()
    table, vocabulary = embedder.network.table.detach(), embedder.vocabulary
    assert vocabulary is not None
    texts = ("goal", "", "bank the goal")
    vectors = [[table[vocabulary.tokens.index(word) + 1] for word in text.split()] for text in texts]
    corpus = make_corpus([("money", text) for text in texts]).corpus
    cache = ActivationCache(embedder, corpus, SETTINGS.model_copy(update={"layer_norm": False}))
    expected = [vectors[0][0], torch.zeros(8), torch.stack(vectors[2]).mean(dim=0)]
    torch.testing.assert_close(cache.pooled(np.array([2, 0, 1]))[0], torch.stack([expected[2], *expected[:2]]))
    rows, lengths = cache.batch(np.array([2, 1, 0]))
    assert lengths.tolist() == [3, 0, 1]
    assert torch.equal(rows[0, 0], torch.stack(vectors[2]))
    assert not rows[0, 1].any()
    assert torch.equal(rows[0, 2, 0], vectors[0][0])
    assert not rows[0, 2, 1:].any()
    assert cache.batch(np.array([1]))[0].shape == (1, 1, 1, 8)
    means_alone = ActivationCache(embedder, corpus, SETTINGS, tokens=False)
    with pytest.raises(ValueError, match="pooled vectors only"):
        means_alone.batch(np.array([0]))


def test_activations_out_of_range_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elmo_cli.training.cache.EXACT_BYTES", 0)
    embedder = make_static()
    with torch.no_grad():
        embedder.network.table.mul_(1e6)
    with pytest.raises(ElmoError, match="not finite in float16"):
        ActivationCache(embedder, TRAIN.corpus, SETTINGS)


def test_a_long_text_is_cached_by_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    embedder, indices = make_bilm(), np.arange(len(TRAIN))
    whole = ActivationCache(embedder, TRAIN.corpus, SETTINGS)
    monkeypatch.setattr("elmo_cli.training.cache.TOKENS_PER_BATCH", 4)
    by_windows = ActivationCache(embedder, TRAIN.corpus, SETTINGS)
    torch.testing.assert_close(by_windows.batch(indices)[0], whole.batch(indices)[0])
    torch.testing.assert_close(by_windows.pooled(indices), whole.pooled(indices))
