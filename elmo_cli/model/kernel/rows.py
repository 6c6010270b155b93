"""Which rows of a batch each step has: those whose sentence is not over, longest first, as in torch's PackedSequence.

Legend: G directions, B batch, T steps, N the rows of all steps together, W any width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows of a batch each step has, longest first.

    Attributes:
        order: (B,) the rows as the loop takes them; None: as they stand.
        offsets: (T + 1) where the cells of each step begin.
        places: (N,) where each cell stands in (B, T); None: all of them, step by step.
        last: (B,) where the last cell of each row is, counted from 1; 0 for a row without any.
    """

    order: Tensor | None
    offsets: Tensor
    places: Tensor | None
    last: Tensor

    @classmethod
    def of(cls, batch: int, steps: int, lengths: Tensor | None) -> Rows:
        """Those of a batch.

        Args:
            batch: B.
            steps: T.
            lengths: (B,) real steps of each row; None: T.
        """
        if lengths is None:
            offsets = torch.arange(steps + 1) * batch
            return cls(None, offsets, None, torch.arange(batch) + (steps - 1) * batch + 1)
        lengths = lengths.cpu().clamp(max=steps)
        sizes, order = torch.sort(lengths, descending=True, stable=True)
        active = (sizes[None] > torch.arange(steps)[:, None]).sum(1)
        offsets = torch.cat([active.new_zeros(1), active.cumsum(0)])
        step = torch.repeat_interleave(torch.arange(steps), active)
        row = torch.arange(int(offsets[-1])) - offsets[step]
        last = torch.where(sizes > 0, offsets[(sizes - 1).clamp(min=0)] + torch.arange(batch) + 1, 0)
        return cls(order, offsets, order[row] * steps + step, last)

    @property
    def count(self) -> int:
        """N."""
        return int(self.offsets[-1])

    def take(self, values: Tensor, dtype: torch.dtype) -> Tensor:
        """(G, B, T, W) as (G, N, W) cells, contiguous."""
        if self.places is None:
            rows = values.transpose(1, 2).to(dtype, memory_format=torch.contiguous_format).contiguous()
            return rows.view(len(values), self.count, values.shape[-1])
        return values.reshape(len(values), -1, values.shape[-1]).index_select(1, self.places).to(dtype)

    def put(self, cells: Tensor, batch: int, steps: int) -> Tensor:
        """(G, N, W) cells as (G, B, T, W), zero where a row has ended."""
        if self.places is None:
            return cells.view(len(cells), steps, batch, -1).transpose(1, 2)
        values = cells.new_zeros(len(cells), batch * steps, cells.shape[-1])
        return values.index_copy_(1, self.places, cells).view(len(cells), batch, steps, -1)

    def final(self, first: Tensor, cells: Tensor) -> Tensor:
        """(G, B, W) after each row's last step, of (G, N, W) after each step; where there is none, `first`."""
        if self.order is None:
            return cells[:, -first.shape[1] :].clone()
        if not self.count:
            return first
        return torch.where(self.last[:, None] > 0, cells.index_select(1, (self.last - 1).clamp(min=0)), first)

    def sort(self, values: Tensor) -> Tensor:
        """(G, B, W) in the order of the loop, as memory of its own."""
        return values.clone(memory_format=torch.contiguous_format) if self.order is None else values[:, self.order]

    def unsort(self, values: Tensor) -> Tensor:
        """The reverse of `sort`."""
        return values if self.order is None else torch.empty_like(values).index_copy_(1, self.order, values)
