"""A modified Kneser-Ney 5-gram: the language model that one counts, for a perplexity to be compared with.

    p_n(w | c) = (a(c w) - D(a(c w))) / Σ a(c ·) + γ(c) · p_{n-1}(w | c without its first token),   p_0 = 1 / V

(Chen and Goodman 1999, interpolated.) a is the count of an n-gram of the highest order, and of one that begins with the
beginning of a sentence; of any other it is the number of distinct tokens that stand before it. D is one of three
discounts, for a of 1, 2 and more, which follow from how many n-grams have an a of 1 to 4; γ hands on what was taken.
A context that was never seen leaves all to the shorter one. Sentences are read each on its own.

Legend: S sentences, M their tokens with a beginning and an end each, V types that may come next: those of a vocabulary,
`<UNK>` for all that it lacks, and the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.text.vocabulary import Vocabulary

ORDER = 5
FEW = (0.0, 0.5, 1.0, 1.5)  # discounts of a text that is too short to tell them, those of KenLM

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class KneserNey:
    """A fitted model of one direction.

    Attributes:
        vocabulary: V - 1 types and the beginning of a sentence.
        backward: Whether it predicts the token before, from those after it.
    """

    vocabulary: Vocabulary
    backward: bool
    _orders: tuple[_Order, ...]  # n-grams of 1 to `ORDER` tokens

    @classmethod
    def fit(cls, corpus: EncodedCorpus, vocabulary: Vocabulary, *, backward: bool = False) -> Self:
        """Count the sentences of a corpus; some 300 bytes of memory a token, and a second a million."""
        text = _Text.of(corpus, vocabulary, backward)
        grams, keys = (
            [np.zeros(len(text.tokens), np.int64), text.tokens],
            [np.zeros(1, np.int64), np.arange(text.types)],
        )
        for length in range(2, ORDER + 1):
            found = text.keys(grams[-1], length)
            known, numbers = np.unique(found[found >= 0], return_inverse=True)
            found[found >= 0] = numbers
            grams.append(found)
            keys.append(known)
        orders = []
        for length in range(1, ORDER + 1):
            inside = text.depth >= max(1, length - 1)  # the beginning itself is not predicted
            own, before = grams[length][inside], grams[length - 1][np.flatnonzero(inside) - 1]
            counts = np.bincount(own, minlength=len(keys[length]))
            contexts = np.zeros(len(counts), np.int64)
            contexts[own] = before
            if length < ORDER:
                begins = keys[length] % text.types == text.beginning  # the first token
                after = np.bincount(keys[length + 1] // text.types, minlength=len(counts))
                counts = np.where(begins, counts, after)
            orders.append(_Order.of(keys[length], counts, contexts, len(keys[length - 1])))
        return cls(vocabulary, backward, tuple(orders))

    def nats(self, corpus: EncodedCorpus) -> Floats:
        """(S,) -ln p of each sentence: n + 1 predictions for n tokens, the end among them."""
        text = _Text.of(corpus, self.vocabulary, self.backward)
        chances = np.full(len(text.tokens), 1.0 / (len(self.vocabulary) - 1))
        before, grams = np.zeros(len(text.tokens), np.int64), text.tokens
        for length, order in enumerate(self._orders, start=1):
            if length > 1:
                before, grams = np.roll(grams, 1), order.find(text.keys(grams, length))
            whole = np.flatnonzero((text.depth >= max(1, length - 1)) & (before >= 0))
            seen = whole[order.totals[before[whole]] > 0]
            chances[seen] = order.chances(before[seen], grams[seen], chances[seen])
        costs = np.where(text.depth > 0, -np.log(chances), 0.0)
        return np.add.reduceat(costs, text.starts) if len(text.starts) else np.zeros(0)


@dataclass(frozen=True, eq=False)
class _Order:
    """What is known of the n-grams of one length, by their number; contexts are n-grams that are shorter by one."""

    keys: Numbers  # ascending: number of the n-gram without its first token · types + first token
    adjusted: Numbers  # a(c w)
    discounts: Floats  # D of a = 0, 1, 2, and 3 or more
    totals: Numbers  # Σ a(c ·), by context
    handed_on: Floats  # γ(c), by context

    @classmethod
    def of(cls, keys: Numbers, adjusted: Numbers, contexts: Numbers, context_count: int) -> Self:
        """From the n-grams, with the context of each."""
        how_many = np.bincount(np.minimum(adjusted, 5), minlength=6)[1:5]
        discounts = np.array(FEW)
        if how_many.all():
            ratios = how_many[1:] / how_many[:-1]
            steps = np.arange(1, 4)
            found = steps - (steps + 1) * ratios / (1 + 2 * ratios[0])
            discounts[1:] = np.where((found > 0) & (found <= steps), found, discounts[1:])
        totals = np.bincount(contexts, weights=adjusted, minlength=context_count).astype(np.int64)
        taken = np.bincount(contexts, weights=discounts[np.minimum(adjusted, 3)], minlength=context_count)
        return cls(keys, adjusted, discounts, totals, taken / np.maximum(1, totals))

    def find(self, keys: Numbers) -> Numbers:
        """The numbers of n-grams, -1 for those that are not known."""
        if not len(self.keys):
            return np.full(len(keys), -1)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, places, -1)

    def chances(self, contexts: Numbers, grams: Numbers, shorter: Floats) -> Floats:
        """p_n of n-grams (-1 for those that are not known) after contexts that are, from p_{n-1}."""
        counts = np.where(grams >= 0, self.adjusted[np.maximum(grams, 0)], 0)
        own = (counts - self.discounts[np.minimum(counts, 3)]) / self.totals[contexts]
        return np.asarray(own + self.handed_on[contexts] * shorter)


@dataclass(frozen=True, eq=False)
class _Text:
    """Sentences end to end, in the order in which a direction reads them."""

    tokens: Numbers  # (M,) ids of the vocabulary, and two more: a beginning and an end
    depth: Numbers  # (M,) tokens before it in its sentence
    starts: Numbers  # (S,) places of the beginnings
    beginning: int
    types: int

    @classmethod
    def of(cls, corpus: EncodedCorpus, vocabulary: Vocabulary, backward: bool) -> Self:
        """The sentences of a corpus."""
        lengths, beginning = corpus.lengths + 2, len(vocabulary) + 1
        starts = np.cumsum(lengths) - lengths
        depth = np.arange(int(lengths.sum())) - np.repeat(starts, lengths)
        left = np.repeat(lengths, lengths) - 1 - depth  # tokens after it
        tokens = np.where(depth == 0, beginning, beginning + 1)
        inner = (depth > 0) & (left > 0)
        places = np.repeat(corpus.offsets[:-1], lengths) + (left if backward else depth) - 1
        tokens[inner] = vocabulary.lookup(corpus.types)[corpus.tokens[places[inner]]]
        return cls(tokens, depth, starts, beginning, beginning + 2)

    def keys(self, shorter: Numbers, length: int) -> Numbers:
        """(M,) key of the n-gram that ends at each token, from the number of that without its first token, else -1."""
        first = np.roll(self.tokens, length - 1)
        return np.where((self.depth >= length - 1) & (shorter >= 0), shorter * self.types + first, -1)
