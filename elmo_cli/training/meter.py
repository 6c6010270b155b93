"""Steps, losses and time of a pretraining, counted into its `Progress`."""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from elmo_cli.errors import ElmoError
from elmo_cli.events import Step
from elmo_cli.training.checkpoint import Progress


class Meter:
    """Counts steps, losses and time into a `Progress`.

    Args:
        progress: Where the training stands; updated in place.
        steps: Optimiser steps of the whole training, give or take one an epoch.
        max_minutes: After which it ends in any case; None: it does not.
    """

    def __init__(self, progress: Progress, steps: int, max_minutes: float | None = None) -> None:
        self._budget = math.inf if max_minutes is None else 60.0 * max_minutes
        self._progress = progress
        self._steps = steps
        self._losses: list[Tensor] = []  # on the device: reading each would wait for it
        self._weights: list[int] = []  # of the losses: how many predicted steps each is the mean of
        self._first_step = progress.step
        self._began = self._settled = self._saved = self._shown = time.perf_counter()
        self._shown_tokens = progress.tokens

    @property
    def seconds_since_save(self) -> float:
        """Time since the last `settle`."""
        return time.perf_counter() - self._saved

    @property
    def time_share(self) -> float:
        """Share of the time that is used up, over all sessions; 0 where it is not limited."""
        return (self._progress.seconds + time.perf_counter() - self._settled) / self._budget

    def count(self, loss: Tensor, tokens: int, windows: int = 1) -> None:
        """Count a step over some windows, of so many predicted tokens of one direction.

        Args:
            loss: (), the mean in nats over what the windows predict: the last one of an epoch may be nearly empty.
            tokens: Predicted tokens of one direction.
            windows: So many.
        """
        self._losses.append(loss)
        self._weights.append(tokens)
        self._progress.step += 1
        self._progress.window += windows
        self._progress.tokens += tokens

    def event(self, rate: float) -> Step:
        """The steps since the event before, as an event."""
        self._read_losses()
        progress, now = self._progress, time.perf_counter()
        loss = progress.loss_sum / progress.loss_steps
        steps = max(self._steps, progress.step)
        speed = (progress.tokens - self._shown_tokens) / max(1e-9, now - self._shown)
        left = (now - self._began) * (steps - progress.step) / (progress.step - self._first_step)
        left = min(left, max(0.0, self._budget * (1.0 - self.time_share)))
        progress.loss_sum, progress.loss_steps = 0.0, 0
        self._shown, self._shown_tokens = now, progress.tokens
        return Step(
            epoch=progress.epoch + 1,
            step=progress.step,
            steps=steps,
            tokens=progress.tokens,
            loss=loss,
            perplexity=math.exp(min(loss, 700.0)),
            rate=rate,
            tokens_per_second=speed,
            seconds_left=left,
        )

    def settle(self) -> None:
        """Bring `Progress` up to date, to be saved."""
        self._read_losses()
        now = time.perf_counter()
        self._progress.seconds += now - self._settled
        self._settled = self._saved = now

    def _read_losses(self) -> None:
        losses = torch.stack(self._losses).tolist() if self._losses else []
        # One after the other: whether a checkpoint comes between them must not change a bit of the sum.
        for loss, weight in zip(losses, self._weights, strict=True):
            self._progress.loss_sum += loss * weight
            self._progress.loss_steps += weight
        self._losses.clear()
        self._weights.clear()
        if not math.isfinite(self._progress.loss_sum):
            raise ElmoError(
                f"the training diverged: the loss before step {self._progress.step} is {self._progress.loss_sum}",
                remedy="lower pretrain.learning_rate, or set pretrain.clip_norm",
            )
