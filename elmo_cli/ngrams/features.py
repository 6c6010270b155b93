"""From texts to counted n-grams: words, pairs of words, and 2 to 5 characters within a word.

What is counted are the embedder's tokens, lower-cased. Characters are those of a token with a blank on either side, so
that beginnings and ends are told from the middle. A weight is (1 + ln tf) · idf with idf = ln((1 + n) / (1 + df)) + 1
(scikit-learn's `TfidfVectorizer` with `sublinear_tf`), and of each text the words and the characters are brought to
length 1, each for themselves: neither is louder for being more. Legend: N texts, W words, P pairs, G character n-grams.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack

from elmo_cli.text.encoded import EncodedCorpus

SHORTEST, LONGEST = 2, 5  # characters of an n-gram
SEPARATOR = "\0"  # between n-grams in files, so none holds it
MOST_LETTERS = 1000  # of a word that are looked at: a longer one is no word
LEAST_TEXTS = 2  # that an n-gram stands in, where any stands in so many

Indices = NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class NgramFeatures:
    """The n-grams that are known, and what each is worth.

    Attributes:
        words: W words.
        pairs: (P, 2) numbers of words that follow each other, ascending.
        characters: G n-grams of characters.
        idf: (W + P + G,) inverse document frequencies, in this order.
    """

    words: tuple[str, ...]
    pairs: NDArray[np.int64]
    characters: tuple[str, ...]
    idf: NDArray[np.float32]

    @classmethod
    def fit(cls, corpus: EncodedCorpus, chosen: Indices) -> Self:
        """The n-grams of some texts of a corpus; nothing of its other texts is looked at."""
        rows, numbers, types = _tokens(corpus, chosen)
        least = LEAST_TEXTS if len(chosen) > LEAST_TEXTS else 1
        known = {word: number for number, word in enumerate(dict.fromkeys(types))}
        own = np.array([known[word] for word in types], dtype=np.int64)
        kept, df = _frequent(_counts(rows, own[numbers], (len(chosen), len(known))), least)
        every = list(known)
        words = tuple(every[number] for number in kept.tolist())
        frequencies = [df]
        bare = cls(words, np.empty((0, 2), np.int64), (), np.empty(0, np.float32))
        rows_of_pairs, keys = bare._pair_keys(rows, numbers, types)
        distinct, columns = np.unique(keys, return_inverse=True)
        kept, df = _frequent(_counts(rows_of_pairs, columns, (len(chosen), len(distinct))), least)
        pairs = np.stack(np.divmod(distinct[kept], max(1, len(words))), axis=1)
        frequencies.append(df)
        grams = {gram: number for number, gram in enumerate(dict.fromkeys(g for word in types for g in _grams(word)))}
        counts = _counts(rows, numbers, (len(chosen), len(types))) @ _grams_of_types(types, grams)
        kept, df = _frequent(csr_array(counts), least)
        frequencies.append(df)
        every = list(grams)
        idf = np.log((1 + len(chosen)) / (1 + np.concatenate(frequencies))) + 1
        return cls(words, pairs, tuple(every[number] for number in kept.tolist()), idf.astype(np.float32))

    def __len__(self) -> int:
        """W + P + G."""
        return len(self.idf)

    def transform(self, corpus: EncodedCorpus, chosen: Indices) -> csr_array:
        """(N, W + P + G) weights of some texts of a corpus; n-grams that are not known have no column."""
        rows, numbers, types = _tokens(corpus, chosen)
        count, words, pairs = len(chosen), len(self.words), len(self.pairs)
        columns = self._word_numbers(types)[numbers]
        rows_of_pairs, keys = self._pair_keys(rows, numbers, types)
        places = np.searchsorted(self._known_pairs, keys)
        found = np.flatnonzero(self._known_pairs[np.minimum(places, pairs - 1)] == keys) if pairs else places[:0]
        both = _counts(
            np.concatenate([rows[columns >= 0], rows_of_pairs[found]]),
            np.concatenate([columns[columns >= 0], words + places[found]]),
            (count, words + pairs),
        )
        characters = _counts(rows, numbers, (count, len(types))) @ _grams_of_types(types, self._gram_numbers)
        split = words + pairs
        blocks = [_weighted(both, self.idf[:split]), _weighted(csr_array(characters), self.idf[split:])]
        whole = hstack(blocks, format="csr")
        parts = whole.data, whole.indices.astype(np.int32), whole.indptr.astype(np.int32)  # as scikit-learn wants them
        return csr_array(parts, shape=whole.shape)

    @cached_property
    def _word_number(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    @cached_property
    def _gram_numbers(self) -> dict[str, int]:
        return {gram: number for number, gram in enumerate(self.characters)}

    @cached_property
    def _known_pairs(self) -> NDArray[np.int64]:
        return self.pairs[:, 0] * len(self.words) + self.pairs[:, 1]

    def _word_numbers(self, types: Sequence[str]) -> NDArray[np.int64]:
        """(types,) numbers of words, -1 for those that are not known."""
        return np.array([self._word_number.get(word, -1) for word in types], dtype=np.int64)

    def _pair_keys(
        self, rows: NDArray[np.int64], numbers: NDArray[np.int64], types: Sequence[str]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Text and key, first · W + second, of each two known words that follow each other in a text."""
        words = self._word_numbers(types)[numbers]
        first, second = words[:-1], words[1:]
        real = (rows[:-1] == rows[1:]) & (first >= 0) & (second >= 0)
        return rows[:-1][real], (first * len(self.words) + second)[real]


def _tokens(corpus: EncodedCorpus, chosen: Indices) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
    """Of each token of the texts, end to end, its text (counted from 0) and its type; and the types, lower-cased."""
    lengths = corpus.lengths[chosen]
    rows = np.repeat(np.arange(len(chosen)), lengths)
    starts = corpus.offsets[chosen] - (np.cumsum(lengths) - lengths)
    places = np.repeat(starts, lengths) + np.arange(len(rows))
    distinct, numbers = np.unique(corpus.tokens[places], return_inverse=True)
    types = [corpus.types[number].lower().replace(SEPARATOR, "") for number in distinct.tolist()]
    return rows, numbers.astype(np.int64), types


def _grams(word: str) -> Iterator[str]:
    """Its n-grams of characters, as often as they occur."""
    padded = f" {word[:MOST_LETTERS]} "
    for size in range(SHORTEST, LONGEST + 1):
        for start in range(len(padded) - size + 1):
            yield padded[start : start + size]


def _grams_of_types(types: Sequence[str], numbers: dict[str, int]) -> csr_array:
    """(types, grams) counts of the n-grams that have a number."""
    pairs = [
        (row, number)
        for row, word in enumerate(types)
        for gram in _grams(word)
        if (number := numbers.get(gram)) is not None
    ]
    rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return _counts(rows, columns, (len(types), len(numbers)))


def _counts(rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]) -> csr_array:
    """How often each column occurs in each row."""
    counts = csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    counts.sum_duplicates()
    return counts


def _frequent(counts: csr_array, least: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Columns that stand in at least so many rows, and in how many each does."""
    frequencies = np.bincount(counts.indices, minlength=counts.shape[1])
    kept = np.flatnonzero(frequencies >= least)
    return kept, frequencies[kept]


def _weighted(counts: csr_array, idf: NDArray[np.float32]) -> csr_array:
    """(1 + ln tf) · idf, each row brought to length 1."""
    values = (1 + np.log(counts.data)) * idf[counts.indices]
    weighted = csr_array((values, counts.indices, counts.indptr), shape=counts.shape)
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    norms = np.sqrt(np.bincount(rows, weights=values**2, minlength=counts.shape[0]))
    weighted.data /= norms[rows]
    return weighted
