"""Whether a difference between two classifiers on the same test examples is more than luck.

McNemar's exact test for a single seed, a paired bootstrap over test examples for the mean of several seeds, and Holm's
correction for several comparisons with one reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest


def mcnemar_exact(first: NDArray[Any] | Sequence[bool], second: NDArray[Any] | Sequence[bool]) -> float:
    """Two-sided p value: b ~ Binomial(b + c, 1/2), where b and c are the examples that only one of the two got right.

    Examples on which both agree carry no evidence and drop out; without any disagreement p is 1.
    Source: McNemar, 1947, in its exact form.

    Args:
        first: (N,) where the first classifier was right.
        second: (N,) where the second one was.
    """
    one, other = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    _require_pairs(one, other)
    only_first, only_second = int((one & ~other).sum()), int((other & ~one).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second, 0.5).pvalue)


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """A difference of accuracies (first minus second), its 95 % interval and two-sided p value."""

    difference: float
    interval: tuple[float, float]
    p: float


def paired_bootstrap(
    first: NDArray[Any], second: NDArray[Any], *, seed: int = 1, resamples: int = 10_000
) -> PairedDifference:
    """Resample the test examples, both classifiers on the same ones, and see how the difference of accuracies spreads.

    d_i = first_i - second_i;  p = (1 + #{|mean(d*) - mean(d)| >= |mean(d)|}) / (1 + resamples)

    The p value is two-sided and comes from the bootstrap distribution shifted to a difference of zero (Efron and
    Tibshirani, 1993, chapter 16). Both rows trained with several seeds enter as the mean over seeds, so the test speaks
    of other test examples, with these seeds' average classifier; it does not speak of other training data.

    Args:
        first: (N,) correctness of each test example, averaged over seeds: shares between 0 and 1.
        second: (N,) the same of the other classifier.
        seed: Of the resampling.
        resamples: Number of resamples.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    _require_pairs(one, other)
    # Differences take few distinct values (multiples of 1 / seeds), so a resample is one multinomial draw over these.
    values, counts = np.unique(np.round(one - other, 12), return_counts=True)
    total = int(counts.sum())
    draws = np.random.default_rng(seed).multinomial(total, counts / total, size=resamples) @ values / total
    difference = float(counts @ values / total)
    as_far = np.abs(draws - difference) >= abs(difference) - 1e-12
    low, high = np.quantile(draws, [0.025, 0.975])
    return PairedDifference(difference, (float(low), float(high)), float((1 + as_far.sum()) / (1 + resamples)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values for their number, in the order given.

    adjusted of the k-th smallest of m = max over j <= k of min(1, (m - j + 1) p_(j))

    Source: Holm, 1979. Comparing an adjusted value with 5 % keeps the chance of any false claim below 5 %.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def _require_pairs(first: NDArray[Any], second: NDArray[Any]) -> None:
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(f"shapes {first.shape} and {second.shape}; expected the same examples, at least one")
