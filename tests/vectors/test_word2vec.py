"""word2vec training: what comes together, what is unknown, and that nothing is lost."""

from __future__ import annotations

import numpy as np
import pytest

from elmo_cli.config import TokenizerSettings, VocabularySettings, Word2VecSettings
from elmo_cli.errors import DataError
from elmo_cli.events import Notice, Progress
from elmo_cli.text.encoded import EncodedCorpus, encode_tokens
from elmo_cli.text.vocabulary import Vocabulary
from elmo_cli.vectors.static import static_embedder, table_for
from elmo_cli.vectors.word2vec import train_word2vec

SETTINGS = Word2VecSettings(dim=8, window=2, epochs=3)


def corpus() -> EncodedCorpus:
    """Two topics whose words never meet, and rare words."""
    generator = np.random.default_rng(1)
    topics = [["cat", "dog", "fur", "paw"], ["stock", "bond", "bank", "rate"]]
    sentences = [[str(word) for word in generator.choice(topics[i % 2], 6)] for i in range(300)]
    return encode_tokens([*sentences, [], ["once"], ["never-again"]])


def vocabulary_of(encoded: EncodedCorpus) -> Vocabulary:
    return Vocabulary.build(encoded, VocabularySettings(min_count=2), TokenizerSettings(kind="whitespace"))


def test_words_of_a_topic_come_together() -> None:
    encoded = corpus()
    vocabulary = vocabulary_of(encoded)
    settings = Word2VecSettings(dim=8, window=3, epochs=20)
    vectors = train_word2vec(encoded, vocabulary, settings, seed=1)
    assert vectors.tokens == [token for token in vocabulary.tokens if token not in ("<S>", "</S>")]
    unit = vectors.matrix / np.linalg.norm(vectors.matrix, axis=1, keepdims=True)

    def similarity(one: str, other: str) -> float:
        return float(unit[vectors.rows[one]] @ unit[vectors.rows[other]])

    assert similarity("cat", "dog") > similarity("cat", "bank") + 0.3
    assert similarity("bond", "rate") > similarity("bond", "paw") + 0.3


@pytest.mark.parametrize("algorithm", ["skip-gram", "cbow"])
def test_one_worker_and_one_seed_give_one_result(algorithm: str) -> None:
    encoded = corpus()
    settings = Word2VecSettings.model_validate({**SETTINGS.model_dump(), "algorithm": algorithm})
    vocabulary = vocabulary_of(encoded)
    first, again, other = (train_word2vec(encoded, vocabulary, settings, seed).matrix for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_algorithms_are_two() -> None:
    encoded = corpus()
    skip_gram, cbow = (
        train_word2vec(encoded, vocabulary_of(encoded), SETTINGS.model_copy(update={"algorithm": name}), 1).matrix
        for name in ("skip-gram", "cbow")
    )
    assert not np.allclose(skip_gram, cbow)


def test_rare_words_are_trained_as_unknown() -> None:
    encoded = corpus()
    vectors = train_word2vec(encoded, vocabulary_of(encoded), SETTINGS, seed=1)
    assert "<UNK>" in vectors.rows
    assert "once" not in vectors.rows
    _, known = table_for(vocabulary_of(encoded), vectors, seed=1)
    assert known.tolist() == [False, False, False, *[True] * 9]  # padding, <S>, </S>; then <UNK> and the words


def test_progress_by_epoch() -> None:
    seen: list[Notice | Progress] = []
    encoded = corpus()
    train_word2vec(encoded, vocabulary_of(encoded), SETTINGS, 1, seen.append)
    assert seen == [Progress("epochs", done, 3) for done in (1, 2, 3)]


def test_nothing_is_lost_from_long_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encode_tokens([["a", "b", "c"] * 7])
    vocabulary = vocabulary_of(whole)
    monkeypatch.setattr("elmo_cli.vectors.word2vec._LONGEST", 5)
    from elmo_cli.vectors.word2vec import _Sentences

    pieces = _Sentences(whole, vocabulary)
    assert [len(piece) for piece in pieces] == [5, 5, 5, 5, 1]
    assert pieces.count == 5
    assert pieces.counts() == {"a": 7, "b": 7, "c": 7}


def test_no_tokens_no_vectors() -> None:
    full = corpus()
    with pytest.raises(DataError, match="no tokens"):
        train_word2vec(encode_tokens([[]]), vocabulary_of(full), SETTINGS, seed=1)


def test_static_embedder_looks_vectors_up() -> None:
    import torch

    from elmo_cli.embedder import Extractor

    encoded = corpus()
    vocabulary = vocabulary_of(encoded)
    vectors = train_word2vec(encoded, vocabulary, SETTINGS, seed=1)
    embedder = static_embedder(vectors, vocabulary, seed=1)
    text = encode_tokens([["cat", "bank"], ["dog"]])
    _, layers, lengths = next(Extractor(embedder).batches(text, [np.array([0, 1])]))
    assert layers.shape == (1, 2, 2, 8)
    assert lengths.tolist() == [2, 1]
    torch.testing.assert_close(layers[0, 0, 1], torch.from_numpy(vectors.matrix[vectors.rows["bank"]]))
    assert not layers[0, 1, 1].any()
    assert embedder.tokenizer == vocabulary.tokenizer


def test_a_short_corpus_is_passed_more_often() -> None:
    assert [Word2VecSettings().passes(tokens) for tokens in (0, 100, 200_000, 1_000_000)] == [50, 50, 20, 10]
    assert Word2VecSettings(epochs=3).passes(100) == 3
