"""What a training loop tells whoever consumes it: frozen events, in the order in which they happen.

The loops neither print nor draw. A consumer shows the events, and may stop consuming between any two of them. What a
loop has made, its generator returns; so whoever runs it within another generator writes `made = yield from loop`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Step:
    """How far an optimisation is, every few steps.

    Attributes:
        epoch: Counted from 1.
        step: Optimiser steps done.
        steps: Optimiser steps of the whole training.
        tokens: Predicted steps of one direction (texts for a classifier), since the beginning.
        loss: Mean training loss in nats since the event before.
        perplexity: exp(loss), of both directions together; of the training softmax, so an estimate if it is sampled.
        rate: Learning rate of the last step.
        tokens_per_second: Speed since the event before.
        seconds_left: To the end of the last epoch, at the speed of this session.
    """

    epoch: int
    step: int
    steps: int
    tokens: int
    loss: float
    perplexity: float
    rate: float
    tokens_per_second: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Validation:
    """Exact perplexities on the validation text after an epoch.

    Attributes:
        epoch: Counted from 1.
        forward: Perplexity of the forward direction.
        backward: Perplexity of the backward direction.
        mean: Geometric mean of the two; the best epoch is chosen by it.
        best: No epoch before was better.
    """

    epoch: int
    forward: float
    backward: float
    mean: float
    best: bool


@dataclass(frozen=True, slots=True)
class EpochDone:
    """An epoch of a classifier.

    Attributes:
        epoch: Counted from 1.
        loss: Mean training loss in nats a text.
        train_accuracy: On the training texts, while training.
        valid_accuracy: On the validation texts; the best epoch is chosen by it.
        lambdas: Layer weights in force, where the combiner has any.
        gamma: Scale of the mix, where the combiner has one.
        best: No epoch before was better.
    """

    epoch: int
    loss: float
    train_accuracy: float
    valid_accuracy: float
    lambdas: tuple[float, ...] | None
    gamma: float | None
    best: bool


@dataclass(frozen=True, slots=True)
class ClassifierDone:
    """One classifier of a comparison.

    Attributes:
        row: Name of its row.
        seed: What it was drawn by.
        valid_accuracy: Accuracy of its best epoch on the validation texts.
        test_accuracy: On the test texts.
        done: Classifiers that are done, those of a run that is resumed included.
        total: Classifiers of the whole comparison.
        fraction: Share of the labelled texts that it learned from.
    """

    row: str
    seed: int
    valid_accuracy: float
    test_accuracy: float
    done: int
    total: int
    fraction: float = 1.0


@dataclass(frozen=True, slots=True)
class Saved:
    """The state for resuming is on disk.

    Attributes:
        step: Optimiser steps done.
    """

    step: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the user should know, such as texts that were cut; the results hold it too.

    Attributes:
        message: One sentence.
    """

    message: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of a training that ran to its end.

    Attributes:
        results: The final figures, as `results.json` holds them.
    """

    results: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stopped:
    """The last event of a training that was told to stop; what it had done is saved.

    Attributes:
        step: Optimiser steps done.
    """

    step: int


Event = Step | Validation | EpochDone | ClassifierDone | Saved | Notice | Finished | Stopped

Stop = Callable[[], bool]  # asked between two steps whether to end


def never() -> bool:
    """What a loop asks that nobody stops."""
    return False


def as_record(event: Step | Validation | EpochDone) -> dict[str, Any]:
    """The event as a line of `metrics.jsonl`."""
    return {"event": type(event).__name__.lower(), **asdict(event)}


Notify = Callable[[str], object]  # told something that the user should know
OnProgress = Callable[[int, int | None], object]  # told what is done and, where it is known, all there is to do
