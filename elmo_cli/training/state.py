"""How far a training is, and the `Step` events that tell of it, the same for both loops."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from elmo_cli.errors import ElmoError
from elmo_cli.events import Step


@dataclass
class TrainingState:
    """Where a training stands."""

    epoch: int = 0  # whole epochs done
    step: int = 0  # optimiser steps done
    tokens: int = 0  # predicted steps of one direction done; of a classifier, texts
    seconds: float = 0.0  # spent so far, over all sessions
    # Nats of all that was predicted since the last `Step` event; of a biLM the mean of the two directions
    loss_sum: float = 0.0
    loss_steps: int = 0  # tokens or texts that `loss_sum` is of
    best_epoch: int = 0  # epoch of the best validation, counted from 1; 0 before the first


class StepCounter:
    """Counts steps, losses and time into a state, and tells of them.

    Args:
        state: Updated in place.
        steps: Optimiser steps of the whole training, give or take one an epoch.
        remedy: What the user can do if the loss is no longer a number.
        max_minutes: After which the training ends in any case; None: it does not.
    """

    def __init__(self, state: TrainingState, steps: int, remedy: str, max_minutes: float | None = None) -> None:
        self._budget = math.inf if max_minutes is None else 60.0 * max_minutes
        self._state, self._steps, self._remedy = state, steps, remedy
        self._losses: list[Tensor] = []  # on the device: reading each would wait for it
        self._weights: list[int] = []  # of the losses: how many tokens or texts each is the mean of
        self._first_step = state.step
        self._began = self._settled = self._shown = time.perf_counter()
        self._shown_tokens = state.tokens

    @property
    def seconds_since_save(self) -> float:
        """Time since the last `settle`."""
        return time.perf_counter() - self._settled

    @property
    def time_share(self) -> float:
        """Share of the time that is used up, over all sessions; 0 where it is not limited."""
        return (self._state.seconds + self.seconds_since_save) / self._budget

    def count(self, loss: Tensor, tokens: int) -> None:
        """Count a step, whose loss () is the mean in nats over so many tokens of one direction, or texts."""
        self._losses.append(loss)
        self._weights.append(tokens)
        self._state.step += 1
        self._state.tokens += tokens

    def event(self, rate: float) -> Step:
        """The steps since the event before, as an event."""
        self._read_losses()
        state, now = self._state, time.perf_counter()
        loss = state.loss_sum / state.loss_steps
        # Later epochs may have a step more than the first, of which `steps` was reckoned.
        steps = max(self._steps, state.step)
        speed = (state.tokens - self._shown_tokens) / max(1e-9, now - self._shown)
        left = (now - self._began) * (steps - state.step) / (state.step - self._first_step)
        left = min(left, max(0.0, self._budget * (1.0 - self.time_share)))
        state.loss_sum, state.loss_steps = 0.0, 0
        self._shown, self._shown_tokens = now, state.tokens
        return Step(
            epoch=state.epoch + 1,
            step=state.step,
            steps=steps,
            tokens=state.tokens,
            loss=loss,
            perplexity=math.exp(min(loss, 700.0)),  # of a larger one it overflows
            rate=rate,
            tokens_per_second=speed,
            seconds_left=left,
        )

    def settle(self) -> None:
        """Bring the state up to date, to be saved.

        Raises:
            ElmoError: The loss is no longer a number.
        """
        self._read_losses()
        now = time.perf_counter()
        self._state.seconds += now - self._settled
        self._settled = now

    def _read_losses(self) -> None:
        losses = torch.stack(self._losses).tolist() if self._losses else []
        # One after the other: whether a checkpoint comes between them must not change a bit of the sum.
        for loss, weight in zip(losses, self._weights, strict=True):
            self._state.loss_sum += loss * weight
            self._state.loss_steps += weight
        self._losses.clear()
        self._weights.clear()
        if not math.isfinite(self._state.loss_sum):
            raise ElmoError(
                f"the training diverged: the loss before step {self._state.step} is {self._state.loss_sum}",
                remedy=self._remedy,
            )
