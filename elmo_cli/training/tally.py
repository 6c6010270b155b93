"""What the classifier's loop keeps count of: its best epoch, and its progress."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from elmo_cli.errors import ElmoError
from elmo_cli.events import Step
from elmo_cli.model.classifier import Classifier

EVENTS_PER_EPOCH = 10


@dataclass
class BestEpoch:
    """The best epoch so far: highest validation accuracy, of equal ones the lower validation loss."""

    epoch: int = 0
    accuracy: float = -1.0
    loss: float = math.inf
    state: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, epoch: int, accuracy: float, loss: float, classifier: Classifier) -> bool:
        """Take an epoch if it is better; a frozen embedder does not change and is not copied."""
        if (accuracy, -loss) <= (self.accuracy, -self.loss):
            return False
        self.epoch, self.accuracy, self.loss = epoch, accuracy, loss
        self.state = {
            name: tensor.clone()
            for name, tensor in classifier.state_dict().items()
            if classifier.tune or not name.startswith("embedder.")
        }
        return True

    def restore(self, classifier: Classifier) -> None:
        """Give the classifier the weights of the best epoch."""
        classifier.load_state_dict({**classifier.state_dict(), **self.state})
        classifier.eval()


def finite(loss: float, epoch: int) -> float:
    """A loss that is a number."""
    if not math.isfinite(loss):
        raise ElmoError(
            f"the training diverged: the loss is {loss} in epoch {epoch}",
            remedy="lower classify.learning_rate (with --tune classify.tune_rate), or set classify.clip_norm",
        )
    return loss


class StepMeter:
    """Some `Step` events an epoch, each with the mean loss and the speed since the one before."""

    def __init__(self, per_epoch: int, steps: int, rate: float) -> None:
        self._every, self._steps, self._rate = max(1, per_epoch // EVENTS_PER_EPOCH), steps, rate
        self._texts = self._recent = 0
        self._losses: list[Tensor] = []
        self._began = self._last = time.monotonic()

    def after(self, epoch: int, step: int, texts: int, loss: Tensor, factor: float) -> Step | None:
        """The event of a step; None for most."""
        self._texts, self._recent = self._texts + texts, self._recent + texts
        self._losses.append(loss)
        if step % self._every:
            return None
        mean, now = finite(float(torch.stack(self._losses).mean()), epoch), time.monotonic()
        event = Step(
            epoch=epoch,
            step=step,
            steps=self._steps,
            tokens=self._texts,
            loss=mean,
            perplexity=math.exp(min(mean, 700.0)),
            rate=self._rate * factor,
            tokens_per_second=self._recent / max(now - self._last, 1e-9),
            seconds_left=(now - self._began) / step * (self._steps - step),
        )
        self._recent, self._losses, self._last = 0, [], now
        return event
