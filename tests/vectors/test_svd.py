"""SVD vectors: counts and weights by hand, the factorisation against dense NumPy."""

from __future__ import annotations

import tracemalloc
from math import log

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from elmo_cli.config import SvdSettings, TokenizerSettings, VocabularySettings
from elmo_cli.errors import ConfigError, DataError
from elmo_cli.text.encoded import EncodedCorpus, encode_tokens
from elmo_cli.text.vocabulary import Vocabulary
from elmo_cli.vectors.static import table_for
from elmo_cli.vectors.svd import cooccurrences, train_svd, weigh


def vocabulary_of(corpus: EncodedCorpus, min_count: int = 1) -> Vocabulary:
    return Vocabulary.build(corpus, VocabularySettings(min_count=min_count), TokenizerSettings(kind="whitespace"))


def random_corpus(types: int = 30, sentences: int = 200) -> EncodedCorpus:
    generator = np.random.default_rng(0)
    share = 1 / np.arange(1, types + 1)
    lengths = generator.integers(0, 9, sentences)
    return encode_tokens([[f"w{i}" for i in generator.choice(types, n, p=share / share.sum())] for n in lengths])


def count_slowly(corpus: EncodedCorpus, window: int) -> NDArray[np.float64]:
    """Type by type, an oracle in plain loops."""
    table = np.zeros((len(corpus.types), len(corpus.types)))
    for index in range(len(corpus)):
        sentence = corpus.sentence(index)
        for here, word in enumerate(sentence):
            for there, context in enumerate(sentence):
                table[word, context] += here != there and abs(here - there) <= window
    return table


# "a b a c", "b a"
A, B, C = range(3)
WORDS = np.array([A, B, A, C, B, A])
OFFSETS = np.array([0, 4, 4, 6])  # with an empty sentence between the two


@pytest.mark.parametrize(
    ("window", "table"),
    [
        (1, [[0, 3, 1], [3, 0, 0], [1, 0, 0]]),
        (2, [[2, 3, 1], [3, 0, 1], [1, 1, 0]]),  # a twice in the window of a; b with c
        (3, [[2, 3, 2], [3, 0, 1], [2, 1, 0]]),
        (99, [[2, 3, 2], [3, 0, 1], [2, 1, 0]]),
    ],
)
def test_cooccurrences_by_hand(window, table):
    counts = cooccurrences(WORDS, OFFSETS, 3, window)
    assert sparse.issparse(counts)
    assert counts.toarray().tolist() == table


@pytest.mark.parametrize("window", [1, 2, 5])
def test_cooccurrences_agree_with_loops_and_end_with_the_sentence(window):
    corpus = random_corpus()
    counts = cooccurrences(corpus.tokens, corpus.offsets, len(corpus.types), window)
    np.testing.assert_array_equal(counts.toarray(), count_slowly(corpus, window))


def test_ppmi_by_hand():
    counts = sparse.csr_array(np.array([[0.0, 3.0, 1.0], [3.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    # n = 4, 3, 1 of 8: log(3 * 8 / (4 * 3)) and log(1 * 8 / (4 * 1)), both log 2
    expected = log(2) * np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0]])
    np.testing.assert_allclose(weigh(counts, "ppmi", 1.0).toarray(), expected)
    # contexts to the power of 1/2: 2, sqrt 3, 1, together 2 + sqrt 3 + 1
    total = 3 + 3**0.5
    table = [
        [0, log(3 * total / (4 * 3**0.5)), log(1 * total / (4 * 1))],
        [log(3 * total / (3 * 2)), 0, 0],
        [log(1 * total / (1 * 2)), 0, 0],
    ]
    np.testing.assert_allclose(weigh(counts, "ppmi", 0.5).toarray(), table)


def test_negative_information_is_zero_and_not_stored():
    counts = sparse.csr_array(np.array([[8.0, 1.0], [1.0, 2.0]]))
    weights = weigh(counts, "ppmi", 1.0)
    assert weights.nnz == 2
    np.testing.assert_allclose(weights.toarray(), [[log(8 * 12 / 81), 0], [0, log(2 * 12 / 9)]])


def test_raw_and_log_weights():
    counts = sparse.csr_array(np.array([[0.0, 3.0], [3.0, 1.0]]))
    assert weigh(counts, "raw", 0.75).toarray().tolist() == [[0, 3], [3, 1]]
    np.testing.assert_allclose(weigh(counts, "log", 0.75).toarray(), [[0, log(4)], [log(4), log(2)]])


@pytest.mark.parametrize("weighting", ["raw", "log", "ppmi"])
@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_vectors_agree_with_a_dense_svd(weighting, exponent):
    corpus = random_corpus()
    vocabulary = vocabulary_of(corpus)
    settings = SvdSettings(dim=6, window=2, weighting=weighting, exponent=exponent)
    vectors = train_svd(corpus, vocabulary, settings, seed=3)
    order = [corpus.types.index(token) for token in vectors.tokens]
    counts = count_slowly(corpus, 2)[np.ix_(order, order)]
    with np.errstate(divide="ignore"):
        contexts = counts.sum(0) ** 0.75
        ppmi = np.maximum(np.log(counts * contexts.sum() / np.outer(counts.sum(1), contexts)), 0)
    left, values, _ = np.linalg.svd({"raw": counts, "log": np.log1p(counts), "ppmi": ppmi}[weighting])
    left = left[:, :6] * np.sign(left[np.abs(left[:, :6]).argmax(0), range(6)])
    assert vectors.tokens == list(vocabulary.tokens[3:])
    assert vectors.matrix.dtype == np.float32
    # Rounding turns singular vectors into each other the more, the nearer their values lie (Davis and Kahan 1970).
    steps = -np.diff(values[:7])
    gaps = np.minimum(steps, np.append(np.inf, steps[:-1]))
    bounds = 4 * np.finfo(np.float32).eps * values[0] / gaps * values[:6] ** exponent
    assert (np.abs(vectors.matrix - left * values[:6] ** exponent) <= bounds).all()


def test_one_seed_one_result():
    corpus = random_corpus(types=200)
    vocabulary = vocabulary_of(corpus)
    first, again, other = (train_svd(corpus, vocabulary, SvdSettings(dim=16), seed).matrix for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (first[np.abs(first).argmax(0), range(16)] > 0).all()


def test_words_of_a_topic_come_together():
    generator = np.random.default_rng(1)
    topics = [["cat", "dog", "fur", "paw"], ["stock", "bond", "bank", "rate"]]
    corpus = encode_tokens([[str(word) for word in generator.choice(topics[i % 2], 6)] for i in range(300)])
    vectors = train_svd(corpus, vocabulary_of(corpus), SvdSettings(dim=2), seed=1)
    unit = vectors.matrix / np.linalg.norm(vectors.matrix, axis=1, keepdims=True)
    rows = vectors.rows
    assert unit[rows["cat"]] @ unit[rows["dog"]] > 0.9
    assert unit[rows["cat"]] @ unit[rows["bank"]] < 0.1


def test_unknown_words_count_as_one_and_specials_have_no_row():
    corpus = encode_tokens([["a", "b", "rare"], ["a", "b", "odd"], ["a", "b"]])
    vocabulary = vocabulary_of(corpus, min_count=2)
    vectors = train_svd(corpus, vocabulary, SvdSettings(dim=2, weighting="raw"), seed=1)
    assert vectors.tokens == ["<UNK>", "a", "b"]
    _, known = table_for(vocabulary, vectors, seed=1)
    assert known.tolist() == [False, False, False, True, True, True]


def test_columns_beyond_the_rank_are_zero():
    corpus = encode_tokens([["a", "b"], ["c"], ["d"]])
    vectors = train_svd(corpus, vocabulary_of(corpus), SvdSettings(dim=4, weighting="raw", exponent=0.0), seed=1)
    assert (vectors.matrix != 0).any(0).tolist() == [True, True, False, False]
    assert not vectors.matrix[[vectors.rows["c"], vectors.rows["d"]]].any()


def test_too_little_text():
    corpus = encode_tokens([["a"], ["b"], []])
    with pytest.raises(DataError, match="no two tokens"):
        train_svd(corpus, vocabulary_of(corpus), SvdSettings(dim=1), seed=1)
    corpus = encode_tokens([["a", "b", "c"]])
    with pytest.raises(ConfigError, match="dim is 4, but the corpus has 3"):
        train_svd(corpus, vocabulary_of(corpus), SvdSettings(dim=4), seed=1)


def test_blas_runs_in_one_thread(monkeypatch):
    import sklearn.utils.extmath
    from threadpoolctl import threadpool_info, threadpool_limits

    seen = []

    def watched(*arguments, **options):
        seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return original(*arguments, **options)

    original = sklearn.utils.extmath.randomized_svd
    monkeypatch.setattr(sklearn.utils.extmath, "randomized_svd", watched)
    corpus = random_corpus()
    with threadpool_limits(2, user_api="blas"):
        train_svd(corpus, vocabulary_of(corpus), SvdSettings(dim=4), seed=1)
        after = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert set(seen) == {1}
    assert set(after) == {2}


def test_memory_is_that_of_the_pairs():
    types = 20_000
    corpus = encode_tokens([[f"w{i}", f"w{(7 * i + 1) % types}"] for i in range(types)])
    vocabulary = vocabulary_of(corpus)
    tracemalloc.start()
    train_svd(corpus, vocabulary, SvdSettings(dim=4), seed=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6  # a dense table of float32 takes 1,600 MB
