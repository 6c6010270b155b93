"""The memory of the character CNN: each word is encoded once, within the budget, and never with old weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from elmo_cli.config import EncoderKind, ModelSettings, TokenizerSettings
from elmo_cli.embedder import Embedder, Extractor
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.encoder import CharacterEncoder, TokenIds
from elmo_cli.model.token_cache import TokenCache
from elmo_cli.text.encoded import EncodedCorpus, encode_tokens
from elmo_cli.text.indexer import Indexer
from elmo_cli.text.vocabulary import Vocabulary

SETTINGS = ModelSettings.model_validate(
    {"encoder": "char", "hidden_size": 4, "characters": {"filters": [[1, 3], [2, 3]], "dim": 4}}
)
ROW = 4 * SETTINGS.token_size  # bytes
SENTENCES = [["a", "bb", "a"], ["ccc", "a"], ["bb", "dd", "ccc", "e"], ["a", "e"]]
BATCHES = [np.array([number]) for number in range(4)]


VOCABULARY = Vocabulary(["<S>", "</S>", "<UNK>", "a", "bb"], tokenizer=TokenizerSettings())


def make(max_bytes: int = 1 << 20, kind: EncoderKind = "char") -> tuple[Embedder, list[int], CharacterEncoder]:
    """An embedder, and the number of words in each call of its encoder."""
    torch.manual_seed(0)
    settings = SETTINGS.model_copy(update={"encoder": kind})
    network = BiLm(settings, None if kind == "char" else len(VOCABULARY), softmax=False)
    encoder = network.encoder
    assert isinstance(encoder, CharacterEncoder)
    calls: list[int] = []
    whole: Callable[[Tensor, Tensor | None], Tensor] = encoder.encode

    def counted(characters: Tensor, words: Tensor | None = None) -> Tensor:
        calls.append(len(characters))
        return whole(characters, words)

    encoder.encode = counted  # type: ignore[method-assign]
    indexer = Indexer(kind, True, VOCABULARY, SETTINGS.characters.max_characters)
    cache = TokenCache(max_bytes)
    return Embedder(indexer, network, None, TokenizerSettings(), "lm", cache), calls, encoder


def run(embedder: Embedder, corpus: EncodedCorpus) -> list[Tensor]:
    return [layers for _, layers, _ in Extractor(embedder).batches(corpus, BATCHES)]


def expected(embedder: Embedder, corpus: EncodedCorpus) -> list[Tensor]:
    """Each batch for itself, past any cache."""
    fresh = Embedder(embedder.indexer, embedder.network, None, embedder.tokenizer, "lm", TokenCache(0))
    return [next(Extractor(fresh).batches(corpus, [batch]))[1] for batch in BATCHES]


@pytest.mark.parametrize("kind", ["char", "word+char"])
def test_each_word_is_encoded_once(kind: EncoderKind) -> None:
    embedder, calls, encoder = make(kind=kind)
    corpus = encode_tokens(SENTENCES)
    found = run(embedder, corpus)
    assert calls == [4, 1, 2]  # a bb <S> </S>, ccc, dd e
    torch.testing.assert_close(found, expected(embedder, corpus))
    tokens = TokenIds.from_numpy(*embedder.indexer.table(corpus.types).index(np.array([[1, 3, 4, 3, 2]])), "cpu")
    with torch.inference_mode():
        plain = encoder(tokens)[0, 1:-1]
    torch.testing.assert_close(found[0][0, 0], torch.cat([plain, plain], dim=1))


def test_another_corpus_finds_its_words() -> None:
    embedder, calls, _ = make()
    run(embedder, encode_tokens(SENTENCES))
    calls.clear()
    other = encode_tokens([["e", "ccc"], ["new"], ["a"], []])
    found = run(embedder, other)
    assert calls == [1]
    torch.testing.assert_close(found, expected(embedder, other))


@pytest.mark.parametrize("rows", [0, 1, 4, 5, 6])
def test_a_full_cache_encodes_the_rest_for_its_batch(rows: int) -> None:
    embedder, calls, _ = make(rows * ROW + ROW - 1)
    corpus = encode_tokens(SENTENCES)
    found = run(embedder, corpus)
    torch.testing.assert_close(found, expected(embedder, corpus))
    calls.clear()
    again = run(embedder, corpus)
    assert sum(calls) > 0
    assert embedder.token_cache.rows(["", "<S>", "</S>", "a", "bb", "ccc", "dd", "e"]).max() == rows - 1
    torch.testing.assert_close(again, found)


@pytest.mark.parametrize("change", ["step", "copy", "replace"])
def test_changed_weights_are_noticed_even_between_batches(change: str) -> None:
    embedder, calls, encoder = make()
    corpus = encode_tokens(SENTENCES)
    batches = Extractor(embedder).batches(corpus, BATCHES)
    before = next(batches)[1]
    calls.clear()
    if change == "step":
        with torch.no_grad():
            encoder.table.mul_(2.0)
    elif change == "copy":
        encoder.load_state_dict({name: 2.0 * value for name, value in encoder.state_dict().items()})
    else:
        encoder.table.data = 2.0 * encoder.table.data
    rest = [layers for _, layers, _ in batches]
    assert calls == [4, 3, 0][: len(calls)]  # a ccc <S> </S>, then bb dd e
    torch.testing.assert_close(rest, expected(embedder, corpus)[1:])
    assert not torch.allclose(run(embedder, corpus)[0], before)


def test_two_readers_share_it() -> None:
    embedder, _, _ = make()
    corpus, other = encode_tokens(SENTENCES), encode_tokens(SENTENCES[::-1])
    pairs = zip(Extractor(embedder).batches(corpus, BATCHES), Extractor(embedder).batches(other, BATCHES), strict=True)
    found = [(one[1], two[1]) for one, two in pairs]
    torch.testing.assert_close([one for one, _ in found], expected(embedder, corpus))
    torch.testing.assert_close([two for _, two in found], expected(embedder, other))


def test_encoding_some_words_at_a_time_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, encoder = make()
    characters = torch.from_numpy(
        np.stack([np.pad(np.arange(2, 2 + size), (0, 49 - size), constant_values=261) for size in (3, 40, 0, 7, 12)])
    )
    whole = encoder._encode(characters)
    monkeypatch.setattr("elmo_cli.model.encoder.WORDS_AT_ONCE", 2)
    with torch.inference_mode():
        torch.testing.assert_close(encoder.encode(characters), whole)
