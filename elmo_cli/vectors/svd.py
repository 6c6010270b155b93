"""Static vectors from a truncated SVD of the word-word co-occurrences of a corpus, by scikit-learn.

    M = U S V^T        vectors = U_d S_d^p

n(w, c) counts how often c stands within a window around w, and M holds n, log(1 + n), or the positive pointwise mutual
information with smoothed contexts (Levy, Goldberg and Dagan 2015, "Improving Distributional Similarity", section 3):

    PPMI(w, c) = max(0, log(n(w, c) Σ_c n(c)^a / (n(w) n(c)^a)))      n(w) = Σ_c n(w, c)

Everything stays sparse. Tokens outside the vocabulary count as `<UNK>`, so that they have a vector in unseen text too.
Legend: V words of the vocabulary that the corpus holds, D width.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from elmo_cli.config import SvdSettings
from elmo_cli.config.choices import SvdWeighting
from elmo_cli.errors import ConfigError, DataError
from elmo_cli.events import Progress, Tell, silent
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.text.vocabulary import Vocabulary
from elmo_cli.vectors.static import StaticVectors

# The spectrum of PPMI is flat: with 2 iterations the last of 256 singular values falls 14 % short, so 2 %. ARPACK's are
# exact, at ten times the time.
_POWER_ITERATIONS = 7
_NULL = 1e-6  # of the largest singular value: what float32 cannot tell from zero


def train_svd(
    corpus: EncodedCorpus, vocabulary: Vocabulary, settings: SvdSettings, seed: int, tell: Tell = silent
) -> StaticVectors:
    """Factorise the co-occurrences of a corpus; windows end at the ends of its sentences.

    Returns:
        Vectors in the order of the vocabulary, of its tokens that the corpus holds, `<UNK>` among them where there are
        unknown ones. In each of their D columns the largest entry is positive.

    Raises:
        DataError: No two tokens stand together.
        ConfigError: The corpus has fewer words than a vector shall have numbers.
    """
    from sklearn.utils.extmath import randomized_svd
    from threadpoolctl import threadpool_limits  # scikit-learn's own

    ids = vocabulary.lookup(corpus.types)
    present = np.unique(ids[corpus.counts() > 0])
    # int32 as far as the sparse products: half the indices to read
    words = np.searchsorted(present, ids).astype(np.int32)[corpus.tokens]
    counts = cooccurrences(words, corpus.offsets, len(present), settings.window)
    if not counts.nnz:
        found, remedy = "no two tokens stand together in a sentence", "give more text, or a wider --window"
        raise DataError(found, expected="text to train vectors on", remedy=remedy)
    if settings.dim > len(present):
        found = f"svd.dim is {settings.dim}, but the corpus has {len(present)} words of the vocabulary"
        raise ConfigError(found, expected=f"at most {len(present)}", remedy="lower --dim, or give more text")
    weighted = weigh(counts, settings.weighting, settings.smoothing).astype(np.float32)
    oversamples = 10 + settings.dim // 4
    # A second BLAS thread gains little, and on a busy machine each step waits for it, spinning: a QR of 19,000 x 330
    # took 10 s with two threads and 0.2 s with one.
    with threadpool_limits(1, user_api="blas"):
        left, values, _ = randomized_svd(
            weighted, settings.dim, n_oversamples=oversamples, n_iter=_POWER_ITERATIONS, random_state=seed
        )
    # Beyond the rank, U is whatever rounding made of it.
    scale = np.where(values > _NULL * values[0], values**settings.exponent, 0.0)
    tokens = [vocabulary.tokens[number - 1] for number in present.tolist()]
    tell(Progress("windows", 1, 1))
    return StaticVectors(tokens, (left * scale).astype(np.float32), Path("svd"), "svd")


def cooccurrences(
    words: NDArray[np.integer], offsets: NDArray[np.int64], size: int, window: int
) -> sparse.csr_array[np.float64]:
    """(V, V) symmetric counts of the pairs of words at most `window` tokens apart in a sentence, all of one weight.

    `words` are (N,) numbers below V, the `size`, for each token; `offsets` (S + 1,) where the sentences begin and end.
    """
    sentences = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    after: sparse.csr_array[np.float64] = sparse.csr_array((size, size), dtype=np.float64)
    for distance in range(1, min(window, len(words) - 1) + 1):
        together = sentences[distance:] == sentences[:-distance]
        pairs = (words[:-distance][together], words[distance:][together])
        after = after + sparse.csr_array((np.ones(len(pairs[0])), pairs), shape=(size, size))
    return sparse.csr_array(after + after.T)


def weigh(
    counts: sparse.csr_array[np.float64], weighting: SvdWeighting, smoothing: float
) -> sparse.csr_array[np.float64]:
    """Replace counts, (V, V) of words in rows and contexts in columns, by their weights; zeros are not stored.

    `log` is log(1 + n); `smoothing` is a, the exponent on the context counts of PPMI, where 1 smooths nothing.
    """
    if weighting == "raw":
        return counts
    if weighting == "log":
        return counts.log1p()
    pairs = counts.tocoo()
    rows, columns = pairs.row, pairs.col
    contexts = counts.sum(axis=0) ** smoothing
    information = np.log(pairs.data * contexts.sum() / (counts.sum(axis=1)[rows] * contexts[columns]))
    weights = sparse.csr_array((np.maximum(information, 0.0), (rows, columns)), shape=counts.shape)
    weights.eliminate_zeros()
    return weights
