"""AdamW and its learning rate, the same for every loop.

    rate(s) = peak · s / warmup                                            for step s = 1 .. warmup
    rate(s) = peak · (final + (1 - final) · (1 + cos(π · progress)) / 2)   after it, progress from 0 to 1

Decay is decoupled (Loshchilov and Hutter 2019) and spares biases and other vectors. The rate is a function of the step
alone, so that resuming needs nothing but the step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

NamedParameters = Iterable[tuple[str, nn.Parameter]]


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then cosine decay.

    Attributes:
        steps: Optimiser steps of the whole training.
        warmup: Share of the steps in which the rate rises.
        final: Share of the peak rate that the decay ends at.
    """

    steps: int
    warmup: float
    final: float

    def factor(self, step: int) -> float:
        """What to multiply the peak rate with.

        Args:
            step: Counted from 1.
        """
        warm = round(self.steps * self.warmup)
        if step <= warm:
            return step / warm
        progress = min(1.0, (step - warm) / max(1, self.steps - warm))
        return self.final + (1.0 - self.final) * (1.0 + math.cos(math.pi * progress)) / 2.0


def decay_groups(parameters: NamedParameters, rate: float, weight_decay: float) -> list[dict[str, Any]]:
    """Two AdamW groups of one peak rate: matrices, which decay, and biases and other vectors, which do not.

    Args:
        parameters: With their names; those that need no gradient are left out.
        rate: Peak learning rate.
        weight_decay: Of the matrices.
    """
    trained = [(name, parameter) for name, parameter in parameters if parameter.requires_grad]
    spared = {name for name, parameter in trained if parameter.ndim < 2 or name.rpartition(".")[2].startswith("bias")}
    groups = (
        {"params": [p for name, p in trained if name not in spared], "weight_decay": weight_decay},
        {"params": [p for name, p in trained if name in spared], "weight_decay": 0.0},
    )
    return [{**group, "lr": rate} for group in groups if group["params"]]


def adamw(groups: list[dict[str, Any]]) -> torch.optim.AdamW:
    """AdamW over groups, in one kernel for all tensors where the device has one; `lr` of a group is its peak rate."""
    groups = [{**group, "peak": group["lr"]} for group in groups]
    devices = {parameter.device.type for group in groups for parameter in group["params"]}
    if devices <= {"cpu", "cuda"}:
        return torch.optim.AdamW(groups, fused=True)
    return torch.optim.AdamW(groups, foreach=True)


def set_rate(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Set each group to its peak rate times the schedule's factor."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * factor


def clip_gradients(parameters: Iterable[Tensor], limit: float | None) -> None:
    """Scale all gradients so that their norm together is at most `limit`; None leaves them."""
    if limit is not None:
        torch.nn.utils.clip_grad_norm_(parameters, limit)
