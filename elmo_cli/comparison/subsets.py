"""Shares of the labelled texts, for learning curves: the same comparison with less to learn from.

Training and validation part shrink alike: whoever has a tenth of the labels has a tenth of them to validate on. The
subsets are stratified, drawn by the experiment's seed, nested (a smaller one is part of every larger one) and the same
for all rows and seeds; the test texts are always all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elmo_cli.errors import DataError
from elmo_cli.training.labelled import LabelledCorpus, split

WHOLE = 1.0


@dataclass(frozen=True, eq=False)
class Size:
    """A share of the labelled texts: indices of those to train on and of those for validation, ascending."""

    fraction: float
    fit: NDArray[np.int64]
    valid: NDArray[np.int64]

    @property
    def whole(self) -> bool:
        """Whether these are all texts."""
        return self.fraction == WHOLE

    def __len__(self) -> int:
        """Labelled texts that it takes, those for validation included."""
        return len(self.fit) + len(self.valid)


def make_sizes(train: LabelledCorpus, fractions: Sequence[float], valid_fraction: float, seed: int) -> list[Size]:
    """The whole first, as it is what rows are judged by, then the other sizes, the largest first.

    Args:
        train: The labelled texts.
        fractions: Shares in (0, 1]; the whole is there in any case.
        valid_fraction: Share for validation.
        seed: What split and subsets are drawn by.

    Raises:
        DataError: Nothing can be held out for validation, or a share leaves a class without a text to train on.
    """
    fit, valid = split(train.labels, valid_fraction, seed, train.path)
    sizes = [Size(WHOLE, fit, valid)]
    for fraction in sorted({*fractions} - {WHOLE}, reverse=True):
        counts = np.bincount(train.labels[fit], minlength=len(train.classes))
        rarest = int(np.flatnonzero(counts)[counts[counts > 0].argmin()])
        if round(fraction * int(counts[rarest])) < 1:
            raise DataError(
                f"a fraction of {fraction:g} leaves no text of class '{train.classes[rarest]}' to train on: there are "
                f"{counts[rarest]} in all",
                where=train.path,
                expected=f"fractions of {1 / int(counts[rarest]):.2g} and above",
                remedy="leave the small fractions out, or give more labelled texts",
            )
        parts = (_subset(part, train.labels, fraction, seed) for part in (fit, valid))
        sizes.append(Size(fraction, *parts))
    return sizes


def _subset(indices: NDArray[np.int64], labels: NDArray[np.int64], fraction: float, seed: int) -> NDArray[np.int64]:
    """The first of each class in an order that is drawn once, so that subsets are nested; at least one of each."""
    order = np.random.default_rng(seed).permutation(indices)
    taken = []
    for number in np.unique(labels[indices]):
        members = order[labels[order] == number]
        taken.append(members[: max(1, round(fraction * len(members)))])
    return np.sort(np.concatenate(taken))
