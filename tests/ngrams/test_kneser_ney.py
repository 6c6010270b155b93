"""The counted language model against one of dictionaries, which is written as the formula stands."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_cli.config import TokenizerSettings, VocabularySettings
from elmo_cli.ngrams.kneser_ney import FEW, ORDER, KneserNey
from elmo_cli.text.encoded import EncodedCorpus, encode
from elmo_cli.text.vocabulary import Vocabulary

TEXTS = ["a b a c", "a b b", "", "c a b a b a", "b", "a c c a b d"]
OTHER = ["a b c", "d d", "", "z a b a c a", "b a z"]
BEGIN, END, UNKNOWN = "(begin)", "(end)", "(unknown)"


def corpus(texts: Sequence[str]) -> EncodedCorpus:
    return encode(texts, str.split)


VOCABULARY = Vocabulary.build(
    corpus([*TEXTS, "d e"]), VocabularySettings(min_count=2), TokenizerSettings(kind="whitespace")
)
OUTCOMES = [*(token for token in VOCABULARY.tokens if token not in ("<S>", "</S>", "<UNK>")), UNKNOWN, END]


class Slow:
    """The same model, a dictionary for each order."""

    def __init__(self, texts: Sequence[str], backward: bool) -> None:
        self.backward = backward
        raw: list[Counter[tuple[str, ...]]] = [Counter() for _ in range(ORDER + 1)]
        for sentence in map(self.framed, texts):
            for end in range(1, len(sentence)):
                for length in range(1, min(ORDER, end + 1) + 1):
                    raw[length][sentence[end + 1 - length : end + 1]] += 1
        self.counts: list[dict[tuple[str, ...], int]] = [{}]
        for length in range(1, ORDER + 1):
            before: dict[tuple[str, ...], set[str]] = defaultdict(set)
            for gram in raw[length + 1] if length < ORDER else ():
                before[gram[1:]].add(gram[0])
            as_they_are = {gram for gram in raw[length] if gram[0] == BEGIN or length == ORDER}
            self.counts.append(
                {gram: n if gram in as_they_are else len(before[gram]) for gram, n in raw[length].items()}
            )
        self.discounts = [self.discount(Counter(counts.values())) for counts in self.counts]

    def framed(self, text: str) -> tuple[str, ...]:
        tokens = [token if token in VOCABULARY else UNKNOWN for token in text.split()]
        return (BEGIN, *(reversed(tokens) if self.backward else tokens), END)

    @staticmethod
    def discount(how_many: Counter[int]) -> list[float]:
        one, two, three, four = (how_many[count] for count in (1, 2, 3, 4))
        if not (one and two and three and four):
            return list(FEW)
        share = one / (one + 2 * two)
        found = [1 - 2 * share * two / one, 2 - 3 * share * three / two, 3 - 4 * share * four / three]
        return [0.0, *(value if 0 < value <= most else FEW[most] for most, value in enumerate(found, start=1))]

    def chance(self, context: tuple[str, ...], token: str) -> float:
        if len(context) >= ORDER:
            return self.chance(context[1 - ORDER :], token)
        shorter = self.chance(context[1:], token) if context else 1 / len(OUTCOMES)
        counts, discounts = self.counts[len(context) + 1], self.discounts[len(context) + 1]
        after = {gram[-1]: count for gram, count in counts.items() if gram[:-1] == context}
        if not after:
            return shorter
        total = sum(after.values())
        left = sum(discounts[min(3, count)] for count in after.values())
        own = after.get(token, 0)
        return (own - discounts[min(3, own)]) / total + left / total * shorter

    def nats(self, text: str) -> float:
        sentence = self.framed(text)
        return -sum(math.log(self.chance(sentence[:end], sentence[end])) for end in range(1, len(sentence)))


@pytest.mark.parametrize("backward", [False, True])
def test_it_is_the_formula(backward: bool) -> None:
    slow, fast = Slow(TEXTS, backward), KneserNey.fit(corpus(TEXTS), VOCABULARY, backward=backward)
    for texts in (TEXTS, OTHER):
        np.testing.assert_allclose(fast.nats(corpus(texts)), [slow.nats(text) for text in texts], rtol=1e-12)


sentences = st.lists(st.lists(st.sampled_from("abcdz"), max_size=7).map(" ".join), max_size=12)


@settings(deadline=None, max_examples=60)
@given(learned=sentences.filter(any), told=sentences, backward=st.booleans())
def test_it_is_the_formula_whatever_it_learns_from(learned: list[str], told: list[str], backward: bool) -> None:
    slow, fast = Slow(learned, backward), KneserNey.fit(corpus(learned), VOCABULARY, backward=backward)
    np.testing.assert_allclose(fast.nats(corpus(told)), [slow.nats(text) for text in told], rtol=1e-12)


@pytest.mark.parametrize(
    "context", [(BEGIN,), (BEGIN, "a"), ("a", "b"), ("a", "b", "a", "c"), (UNKNOWN, "d", "z", "a")]
)
def test_what_may_come_next_adds_up_to_one(context: tuple[str, ...]) -> None:
    slow = Slow(TEXTS, False)
    assert sum(slow.chance(context, token) for token in OUTCOMES) == pytest.approx(1.0)


def test_discounts_of_a_longer_text_follow_from_its_counts() -> None:
    generator = np.random.default_rng(1)
    texts = [" ".join("abcd"[number] for number in generator.choice(4, 8, p=[0.5, 0.3, 0.15, 0.05])) for _ in range(40)]
    slow, fast = Slow(texts, False), KneserNey.fit(corpus(texts), VOCABULARY)
    assert slow.discounts[ORDER] != list(FEW)
    np.testing.assert_allclose(fast.nats(corpus(OTHER)), [slow.nats(text) for text in OTHER], rtol=1e-12)
