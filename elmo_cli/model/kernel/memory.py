"""Adds memory for the large tensors of the LSTM kernel that is used again in the next training step.

The system hands out fresh memory in pages of 4 kB, each cleared at its first touch, which can cost a quarter of a
training step. So a large tensor on the CPU lies in an array of NumPy (which asks for huge pages), and the array comes
back here when the last tensor that looks into it is gone, whoever held it: a tape, a graph kept for a second backward
pass, or a gradient.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

Bytes = np.ndarray[tuple[int], np.dtype[np.uint8]]

_LARGE = 1 << 20  # bytes; smaller ones torch's allocator reuses by itself
_MOST_KEPT = 1 << 29  # bytes that lie idle at most
_LINE = 64  # bytes of a cache line, on which tensors begin

_idle: dict[int, list[Bytes]] = {}  # by size; the size used last stands last


def buffer(like: Tensor, shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
    """An uninitialised, contiguous tensor on the device of `like`.

    Args:
        like: For its device, and its type where none is given.
        shape: Sizes.
        dtype: Type of the elements.
    """
    dtype = dtype or like.dtype
    size = math.prod(shape) * dtype.itemsize
    if like.device.type != "cpu" or size < _LARGE:
        return like.new_empty(tuple(shape), dtype=dtype)
    memory = _take(size + _LINE)
    start = -memory.ctypes.data % _LINE
    window = memory[start : start + size]
    weakref.finalize(window, _give_back, memory).atexit = False
    return torch.from_numpy(window).view(dtype).view(*shape)


def _take(size: int) -> Bytes:
    try:
        return _idle[size].pop()
    except (KeyError, IndexError):
        return np.empty(size, np.uint8)


def _give_back(memory: Bytes) -> None:
    size = len(memory)
    _idle[size] = [*_idle.pop(size, []), memory]
    kept = [(each, len(arrays)) for each, arrays in list(_idle.items())]
    excess = sum(each * count for each, count in kept) - _MOST_KEPT
    for each, count in kept:
        if excess <= 0:
            break
        _idle.pop(each, None)
        excess -= each * count
