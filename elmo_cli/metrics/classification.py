"""What a classifier got right: accuracy with its interval, precision, recall and F1, the confusion matrix.

Scores are shares between 0 and 1. The normaliser of accuracy is all examples given; nothing is left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

CONFIDENCE = 0.95
FEW = 10  # right or wrong answers, below which resampling them tells too little
MOST_NAMED = 3  # classes in a note


@dataclass(frozen=True, slots=True)
class Average:
    """Precision, recall and F1 averaged over classes."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class ClassScores:
    """The scores of one class."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int  # true examples


@dataclass(frozen=True, slots=True)
class ClassificationScores:
    """All scores of one set of predictions."""

    examples: int
    accuracy: float
    interval: tuple[float, float]  # of the accuracy: 95 %, over examples
    macro: Average  # the plain mean over classes, those without examples included (with 0)
    weighted: Average  # the mean over classes by their true examples
    classes: tuple[ClassScores, ...]  # in the order of the classifier's outputs
    confusion: tuple[tuple[int, ...], ...]  # counts; rows are true classes, columns predicted ones
    notes: tuple[str, ...]  # a sentence for each score that is 0 only because it was divided by nothing

    def as_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and strings, ready for JSON."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain


def classification_scores(
    truth: Sequence[int] | NDArray[np.integer],
    predicted: Sequence[int] | NDArray[np.integer],
    classes: Sequence[str],
) -> ClassificationScores:
    """Score predictions against the truth.

    A precision with nothing predicted and a recall with nothing to find are 0/0; they count as 0, and a note says so.

    Args:
        truth: (N,) true class numbers.
        predicted: (N,) predicted class numbers.
        classes: Names by class number.

    Raises:
        ValueError: The two differ in length, or there is no example.
    """
    true, guess = np.asarray(truth, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if true.shape != guess.shape or not len(true):
        raise ValueError(f"{len(true)} true and {len(guess)} predicted classes; expected as many, at least one")
    numbers = list(range(len(classes)))
    table = confusion_matrix(true, guess, labels=numbers)
    precision, recall, f1, support = precision_recall_fscore_support(true, guess, labels=numbers, zero_division=0)
    rows = tuple(
        ClassScores(name, float(precision[k]), float(recall[k]), float(f1[k]), int(support[k]))
        for k, name in enumerate(classes)
    )
    macro, weighted = (
        precision_recall_fscore_support(true, guess, labels=numbers, average=kind, zero_division=0)[:3]
        for kind in ("macro", "weighted")
    )
    right = true == guess
    return ClassificationScores(
        examples=len(true),
        accuracy=float(right.mean()),
        interval=accuracy_interval(right),
        macro=Average(*map(float, macro)),
        weighted=Average(*map(float, weighted)),
        classes=rows,
        confusion=tuple(tuple(map(int, row)) for row in table),
        notes=_zero_divisions(table, classes),
    )


def accuracy_interval(correctness: NDArray[Any], *, seed: int = 1, resamples: int = 1000) -> tuple[float, float]:
    """95 % interval of the mean correctness over examples, which is wider than nothing where all or none are right.

    Of one classifier's answers, and of any near the edges (fewer than `FEW` right or wrong), Wilson's:

    (m + z²/2N ± z √(m (1 - m) / N + z²/4N²)) / (1 + z²/N), with z = 1.96 and the mean m of N examples

    (Wilson, 1927), which is conservative for means over seeds. Else, for these, that of a percentile bootstrap:
    examples are exchangeable, so a resample is a multinomial draw over the distinct values.

    Args:
        correctness: (N,) right or wrong, or shares of seeds that were right.
        seed: Of the draws.
        resamples: Number of draws.
    """
    values, counts = np.unique(np.asarray(correctness, dtype=np.float64), return_counts=True)
    total = int(counts.sum())
    right = float(counts @ values)
    if set(values.tolist()) <= {0.0, 1.0} or min(right, total - right) < FEW:
        return wilson_interval(right, total)
    draws = np.random.default_rng(seed).multinomial(total, counts / total, size=resamples)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws @ values / total, [tail, 1 - tail])
    return float(low), float(high)


def wilson_interval(right: float, total: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share: `right` of `total` examples; see `accuracy_interval`."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    mean, size = right / total, total + z**2
    centre, half = (right + z**2 / 2) / size, z * math.sqrt(total * mean * (1 - mean) + z**2 / 4) / size
    return max(0.0, centre - half), min(1.0, centre + half)


def _zero_divisions(table: NDArray[np.integer], classes: Sequence[str]) -> tuple[str, ...]:
    """One sentence for all precisions that are 0/0 in the confusion matrix, and one for all such recalls."""
    kinds = (
        (0, "was never predicted: its precision", "were never predicted: their precision"),
        (1, "has no true example: its recall", "have no true example: their recall"),
    )
    notes = []
    for axis, of_one, of_several in kinds:
        names = [name for name, count in zip(classes, table.sum(axis=axis), strict=True) if not count]
        if names:
            listed = ", ".join(f"'{name}'" for name in names[:MOST_NAMED])
            if len(names) > MOST_NAMED:
                listed += f" and {len(names) - MOST_NAMED} more"
            which = f"class {listed} {of_one}" if len(names) == 1 else f"{len(names)} classes {of_several}"
            end = "is undefined and counts as 0"
            notes.append(f"{which} {end}" if len(names) == 1 else f"{which} {end} ({listed})")
    return tuple(notes)
