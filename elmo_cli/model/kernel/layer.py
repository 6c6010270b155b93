"""What an LSTM layer is made of and what it hands from step to step, whichever way it is computed.

Legend: G directions, B batch, I input size, D cell size, P output size (D without a projection).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar

from torch import Tensor

from elmo_cli.model.kernel.memory import buffer

Ready = TypeVar("Ready")


class LstmWeights(NamedTuple):
    """Weights of one layer, the directions stacked."""

    input: Tensor  # (G, I, 4D), gates i, j, f, o
    recurrent: Tensor  # (G, P, 4D)
    bias: Tensor  # (G, 4D)
    projection: Tensor | None  # (G, D, P)

    def empty(self) -> LstmWeights:
        """Uninitialised memory of their shapes."""
        return LstmWeights(*(None if each is None else buffer(each, each.shape) for each in self))  # type: ignore[arg-type]

    def part(self, group: slice) -> LstmWeights:
        """Those of some directions, as views."""
        return LstmWeights(*(None if each is None else each[group] for each in self))  # type: ignore[arg-type]


class LstmState(NamedTuple):
    """What a step hands to the next one."""

    hidden: Tensor  # (G, B, P)
    cell: Tensor  # (G, B, D)

    @classmethod
    def zeros(cls, inputs: Tensor, weights: LstmWeights) -> LstmState:
        """The state before the first step, for inputs (G, B, T, I)."""
        directions, output_size, gates = weights.recurrent.shape
        hidden = inputs.new_zeros(directions, inputs.shape[1], output_size)
        return cls(hidden, inputs.new_zeros(directions, inputs.shape[1], gates // 4))

    def rows(self, count: int) -> LstmState:
        """That of the first rows of the batch."""
        return LstmState(self.hidden[:, :count], self.cell[:, :count])


class Prepared:
    """Matrices that inference made ready, kept from call to call as long as the weights are what they were.

    Making them ready takes as long as dozens of steps; they take as much memory as the weights.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[list[Tensor], list[int], Any]] = {}

    def get(self, weights: LstmWeights, options: Hashable, make: Callable[[], Ready]) -> Ready:
        """What `make` gave for these weights and options, made anew where the weights have changed since."""
        parts = [part for part in weights if part is not None]
        key, versions = (options, *(part.data_ptr() for part in parts)), [part._version for part in parts]
        found = self._kept.get(key)
        if found is None or found[1] != versions:
            # The weights are held, so that no other ones can come to lie at their address.
            found = self._kept[key] = parts, versions, make()
        ready: Ready = found[2]
        return ready
