"""Dropout whose random numbers do not cost more than the layer it stands behind.

    y = x * keep / (1 - p)        keep = 1 with the chance 1 - p, else 0

On a CPU, torch draws one number of 64 bits for each element; here it is cut in four of 16.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_LEVELS = 1 << 16


def dropout(values: Tensor, rate: float) -> Tensor:
    """Set a share of the elements to zero and scale the others up.

    Args:
        values: Any shape.
        rate: p, at least 0 and below 1; on a CPU to the next 65,536th.
    """
    if values.device.type != "cpu":
        return functional.dropout(values, rate)
    # Never all of them: the others are scaled by what is left.
    dropped = min(round(rate * _LEVELS), _LEVELS - 1)
    bits = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
    kept = bits[: values.numel()].view(values.shape) >= dropped - _LEVELS // 2
    return values * kept.to(values.dtype).mul_(_LEVELS / (_LEVELS - dropped))


def drop_words(vectors: Tensor, rate: float) -> Tensor:
    """Set the vectors of a share of the tokens to zero, (..., T, P), and scale the others up."""
    return vectors * dropout(vectors.new_ones(*vectors.shape[:-1], 1), rate)
