"""What a tagger got right: tokens, and the spans that its tags mark.

Scores are shares between 0 and 1. Spans count as conlleval counts them: one is right if its two ends and its type are.
Their F1 is micro averaged, over all spans of all types. Intervals come from a bootstrap over sentences, since the tags
of one sentence are not independent. Nothing is left out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from elmo_cli.data.schemes import lenient_spans
from elmo_cli.metrics.classification import CONFIDENCE, ClassScores

MOST_CONFUSED = 20


@dataclass(frozen=True, slots=True)
class TokenScores:
    """Tokens of one kind."""

    tokens: int
    accuracy: float | None  # None without a token


@dataclass(frozen=True, slots=True)
class SpanScores:
    """Spans of all types."""

    precision: float
    recall: float
    f1: float
    interval: tuple[float, float]  # of F1: 95 %
    true: int
    predicted: int
    right: int


@dataclass(frozen=True, slots=True)
class Confused:
    """How often one tag was taken for another."""

    true: str
    predicted: str
    tokens: int


@dataclass(frozen=True, slots=True)
class TagScores:
    """All scores of one set of predictions."""

    sentences: int
    tokens: int
    accuracy: float  # share of the tokens whose tag is right
    interval: tuple[float, float]  # of it: 95 %
    known: TokenScores  # words that the training file has
    unknown: TokenScores  # words that it lacks
    spans: SpanScores | None  # None where tags are plain
    classes: tuple[ClassScores, ...]  # types of spans, or plain tags, by name; a score that is 0/0 counts as 0
    confused: tuple[Confused, ...]  # the most frequent confusions of tags

    def as_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and strings, ready for JSON."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain


class _Found(NamedTuple):
    """Counts of right, predicted and true spans or tags."""

    right: int
    predicted: int
    true: int


def span_f1(truth: Iterable[Sequence[str]], predicted: Iterable[Sequence[str]]) -> float:
    """F1 of the spans of sentences, micro averaged; 0 where there is none."""
    sums = np.sum([_count(_spans(one), _spans(other)) for one, other in zip(truth, predicted, strict=True)], axis=0)
    return _ratios(_Found(*map(int, sums)))[2]


def tag_scores(
    truth: Sequence[Sequence[str]],
    predicted: Sequence[Sequence[str]],
    known: Sequence[NDArray[np.bool_]],
    *,
    spans: bool,
    resamples: int = 1000,
) -> TagScores:
    """Score the tags of sentences.

    Args:
        truth: True tags of each sentence.
        predicted: As many predicted ones.
        known: Of each sentence, which of its words the training file has.
        spans: Whether the tags mark spans.
        resamples: Of the bootstraps behind the intervals.

    Raises:
        ValueError: The two differ in length, or there is no token.
    """
    if [*map(len, truth)] != [*map(len, predicted)] or not any(map(len, truth)):
        raise ValueError("true and predicted tags differ in number, or there are none")
    right = [np.array([a == b for a, b in zip(*pair, strict=True)]) for pair in zip(truth, predicted, strict=True)]
    tokens = np.array([(one.sum(), len(one)) for one in right])
    flat, is_known = np.concatenate(right), np.concatenate(list(known)).astype(bool)
    things = [(_spans(a) if spans else set(enumerate(a))) for a in truth]
    guesses = [(_spans(b) if spans else set(enumerate(b))) for b in predicted]
    wrong = Counter((a, b) for pair in zip(truth, predicted, strict=True) for a, b in zip(*pair, strict=True) if a != b)
    return TagScores(
        sentences=len(truth),
        tokens=len(flat),
        accuracy=float(flat.mean()),
        interval=_interval(tokens, lambda sums: sums[:, 0] / sums[:, 1].clip(min=1), resamples),
        known=_token_scores(flat[is_known]),
        unknown=_token_scores(flat[~is_known]),
        spans=_span_scores(things, guesses, resamples) if spans else None,
        classes=_by_class(things, guesses),
        confused=tuple(Confused(a, b, count) for (a, b), count in wrong.most_common(MOST_CONFUSED)),
    )


def _spans(tags: Sequence[str]) -> set[Any]:
    return set(lenient_spans(tags))


def _count(true: set[Any], predicted: set[Any]) -> _Found:
    return _Found(len(true & predicted), len(predicted), len(true))


def _ratios(found: _Found) -> tuple[float, float, float]:
    """Precision, recall and F1."""
    precision, recall = found.right / max(1, found.predicted), found.right / max(1, found.true)
    return precision, recall, 2 * found.right / max(1, found.predicted + found.true)


def _token_scores(right: NDArray[np.bool_]) -> TokenScores:
    return TokenScores(len(right), float(right.mean()) if len(right) else None)


def _span_scores(truth: Sequence[set[Any]], predicted: Sequence[set[Any]], resamples: int) -> SpanScores:
    counts = np.array([_count(one, other) for one, other in zip(truth, predicted, strict=True)])
    total = _Found(*map(int, counts.sum(axis=0)))
    interval = _interval(counts, lambda sums: 2 * sums[:, 0] / (sums[:, 1] + sums[:, 2]).clip(min=1), resamples)
    return SpanScores(*_ratios(total), interval, total.true, total.predicted, total.right)


def _by_class(truth: Sequence[set[Any]], predicted: Sequence[set[Any]]) -> tuple[ClassScores, ...]:
    """Scores of each type of span or each tag, which is what a thing of a sentence ends with."""
    right, guessed, true = Counter[str](), Counter[str](), Counter[str]()
    for one, other in zip(truth, predicted, strict=True):
        right.update(thing[-1] for thing in one & other)
        guessed.update(thing[-1] for thing in other)
        true.update(thing[-1] for thing in one)
    names = sorted({*guessed, *true})
    return tuple(
        ClassScores(name, *_ratios(_Found(right[name], guessed[name], true[name])), true[name]) for name in names
    )


def _interval(counts: NDArray[Any], ratio: Any, resamples: int, seed: int = 1) -> tuple[float, float]:
    """95 % percentile bootstrap interval of a ratio of sums over sentences.

    Sentences with equal counts are exchangeable, so a resample is one multinomial draw over the distinct counts.

    Args:
        counts: (sentences, k).
        ratio: From sums (resamples, k) to the ratio (resamples,).
        resamples: Number of draws.
        seed: Of the draws.
    """
    values, weights = np.unique(counts, axis=0, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(len(counts), weights / len(counts), size=resamples)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(ratio(draws @ values), [tail, 1 - tail])
    return float(low), float(high)
