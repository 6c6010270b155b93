"""Minimal pairs: how often a language model finds the better one of two sentences less surprising.

As in BLiMP (Warstadt et al. 2020), the sum over the whole sentence decides, not the mean a token. A tie is wrong.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elmo_cli.metrics.classification import wilson_interval


@dataclass(frozen=True)
class PairScores:
    """Shares of the pairs whose better sentence has the higher probability."""

    pairs: int
    accuracy: float  # by both directions together
    interval: tuple[float, float]  # Wilson's 95 % interval of that
    forward: float  # by the forward direction alone
    backward: float  # by the backward direction alone
    ties: int  # pairs that both directions together cannot tell apart

    @classmethod
    def of(cls, better: NDArray[np.float64], worse: NDArray[np.float64]) -> PairScores:
        """From the nats (N, 2) of the better and of the worse sentences, forward and backward."""
        directions = better < worse
        both = better.sum(axis=1) < worse.sum(axis=1)
        return cls(
            pairs=len(both),
            accuracy=float(both.mean()),
            interval=wilson_interval(int(both.sum()), len(both)),
            forward=float(directions[:, 0].mean()),
            backward=float(directions[:, 1].mean()),
            ties=int((better.sum(axis=1) == worse.sum(axis=1)).sum()),
        )

    def as_dict(self) -> dict[str, Any]:
        """By name, as JSON has them."""
        return {**asdict(self), "interval": list(self.interval)}
