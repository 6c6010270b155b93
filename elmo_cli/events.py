"""What work tells whoever waits for it: frozen events, in the order in which they happen.

Training loops are generators of events; a consumer may stop between any two of them. What a loop has made, its
generator returns; so whoever runs it within another generator writes `made = yield from loop`. Plain functions are
handed a `tell` and call it with `Notice` and `Progress`. Neither prints or draws: that is for who is told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Step:
    """How far an optimisation is, every few steps."""

    epoch: int  # counted from 1
    step: int  # optimiser steps done
    steps: int  # optimiser steps of the whole training
    tokens: int  # predicted steps of one direction (texts for a classifier, tokens for a tagger), since the beginning
    loss: float  # mean training loss in nats since the event before
    # exp(loss), of both directions together; of the training softmax, so an estimate if it is sampled
    perplexity: float
    rate: float  # learning rate of the last step
    tokens_per_second: float  # speed since the event before
    seconds_left: float  # to the end of the last epoch, at the speed of this session


@dataclass(frozen=True, slots=True)
class Validation:
    """Exact perplexities on the validation text after an epoch."""

    epoch: int  # counted from 1
    forward: float
    backward: float
    mean: float  # geometric mean of the two; the best epoch is chosen by it
    best: bool  # no epoch before was better


@dataclass(frozen=True, slots=True)
class EpochDone:
    """An epoch of a classifier or tagger."""

    epoch: int  # counted from 1
    loss: float  # mean training loss in nats a text, or a token
    train_accuracy: float  # on the training texts or their tokens, while training
    valid_accuracy: float  # on the validation texts or their tokens; epochs are judged by it
    lambdas: tuple[float, ...] | None  # layer weights in force, where the combiner has any
    gamma: float | None  # scale of the mix, where the combiner has one
    best: bool  # no epoch before was clearly better, so its weights are kept
    valid_f1: float | None = None  # of spans, where tags mark any; epochs are then judged by it


@dataclass(frozen=True, slots=True)
class ClassifierDone:
    """One classifier of a comparison."""

    row: str
    seed: int  # what it was drawn by
    valid_accuracy: float  # accuracy of its best epoch on the validation texts
    test_accuracy: float  # on the test texts
    done: int  # classifiers that are done, those of a run that is resumed included
    total: int  # classifiers of the whole comparison
    fraction: float = 1.0  # share of the labelled texts that it learned from


@dataclass(frozen=True, slots=True)
class Saved:
    """The state for resuming is on disk."""

    step: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the user should know, such as texts that were cut; the results hold it too."""

    message: str  # one sentence


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a piece of work is, now and then; with all of it done, it is over."""

    what: str  # what is done, such as "reading", or what is counted, such as "sentences"
    done: int  # how much of it
    total: int | None  # all of it; None while that is unknown
    in_bytes: bool = False  # whether bytes are counted


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of a training that ran to its end."""

    results: dict[str, Any]  # the final figures, as `results.json` holds them


@dataclass(frozen=True, slots=True)
class Stopped:
    """The last event of a training that was told to stop; what it had done is saved."""

    step: int  # optimiser steps done


Event = Step | Validation | EpochDone | ClassifierDone | Saved | Notice | Progress | Finished | Stopped

Tell = Callable[[Notice | Progress], object]


def silent(event: Notice | Progress) -> None:
    """For work that nobody waits for."""


Stop = Callable[[], bool]  # asked between two steps whether to end


def never() -> bool:
    """What a loop asks that nobody stops."""
    return False


def as_record(event: Step | Validation | EpochDone) -> dict[str, Any]:
    """The event as a line of `metrics.jsonl`."""
    return {"event": type(event).__name__.lower(), **asdict(event)}
