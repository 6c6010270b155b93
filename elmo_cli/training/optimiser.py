"""Optimisers, their learning rate and the average of what they find, the same for every loop.

    rate(s) = peak · s / warmup                                            for step s = 1 .. warmup
    rate(s) = peak · (final + (1 - final) · (1 + cos(π · progress)) / 2)   after it, progress from 0 to 1

Decay is decoupled (Loshchilov and Hutter 2019) and spares biases and other vectors. The rate is a function of the step
alone, so that resuming needs nothing but the step; in a training of limited time, of the time too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from elmo_cli.config import OptimiserKind
from elmo_cli.model.parameters import NamedParameters

ACCUMULATOR = 1.0  # of Adagrad, at first


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then cosine decay."""

    steps: int  # optimiser steps of the whole training
    warmup: float  # share of the steps in which the rate rises
    final: float  # share of the peak rate that the decay ends at

    def factor(self, step: float) -> float:
        """What to multiply the peak rate with.

        Args:
            step: Counted from 1; in a training of limited time, the share of the time in steps.
        """
        warm = round(self.steps * self.warmup)
        if step <= warm:
            return step / warm
        progress = min(1.0, (step - warm) / max(1, self.steps - warm))
        return self.final + (1.0 - self.final) * (1.0 + math.cos(math.pi * progress)) / 2.0


def make_optimiser(kind: OptimiserKind, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """An optimiser, in one kernel for all tensors where the device has one; `lr` of a group is its peak rate.

    Adagrad is that of bilm-tf: a += g², w -= rate · g / sqrt(a), with a = 1 at first.
    """
    groups = [{**group, "peak": group["lr"]} for group in groups]
    devices = {parameter.device.type for group in groups for parameter in group["params"]}
    if kind == "adamw":
        fused = devices <= {"cpu", "cuda"}
        return torch.optim.AdamW(groups, fused=fused, foreach=not fused)
    fused = devices == {"cpu"}
    return torch.optim.Adagrad(groups, initial_accumulator_value=ACCUMULATOR, fused=fused, foreach=not fused)


class Average:
    """a_s = d a_(s-1) + (1 - d) w_s with d = min(decay, (1 + s) / (10 + s)), for step s = 1, 2, ...

    An exponential moving average of the weights, whose beginning is forgotten the faster the shorter it is.

    Args:
        parameters: What is averaged; those that need no gradient are left out. With none of them, nothing happens.
        decay: Above 0 and below 1.

    Attributes:
        values: The averages by name.
    """

    def __init__(self, parameters: NamedParameters, decay: float) -> None:
        self._decay = decay
        self._weights = {name: weight for name, weight in parameters if weight.requires_grad}
        self.values = {name: weight.detach().clone() for name, weight in self._weights.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after a step, counted from 1."""
        if not self.values:  # which torch refuses
            return
        share = 1.0 - min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.values.values()), list(self._weights.values()), share)

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Within it, the weights are the averages."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, weight in self._weights.items():
            kept = weight.clone()
            weight.copy_(self.values[name])
            self.values[name].copy_(kept)


def set_rate(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Set each group to its peak rate times the schedule's factor."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * factor


def clip_gradients(parameters: Iterable[Tensor], limit: float | None) -> None:
    """Scale all gradients so that their norm together is at most `limit`; None leaves them."""
    if limit is not None:
        torch.nn.utils.clip_grad_norm_(parameters, limit)
