"""Rows of different lengths, turned round for the backward direction and back again."""

from __future__ import annotations

import torch
from torch import Tensor


def flip(lengths: Tensor, steps: int) -> Tensor:
    """(B, steps) positions that reverse the first lengths[b] steps of each row and leave the rest in place."""
    positions = torch.arange(steps, device=lengths.device)
    mirrored = lengths[:, None] - 1 - positions
    return torch.where(mirrored >= 0, mirrored, positions)


def take(vectors: Tensor, positions: Tensor) -> Tensor:
    """Rows of vectors (B, T, P) at positions (B, S), as (B, S, P)."""
    batch, steps, size = vectors.shape
    offsets = torch.arange(batch, device=vectors.device)[:, None] * steps
    return vectors.reshape(-1, size).index_select(0, (positions + offsets).flatten()).view(batch, -1, size)
