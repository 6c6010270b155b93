"""The lines of `metrics.jsonl`, as far as reports show them; see `records`."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from elmo_cli.report.records import TrainingRecord


class LoggedStep(TypedDict):
    """A line of `metrics.jsonl` after some steps of a language model."""

    event: Literal["step"]
    step: int
    loss: float


class LoggedValidation(TypedDict):
    """The line after an epoch of a language model."""

    event: Literal["validation"]
    forward: float
    backward: float
    mean: float


class LoggedEpoch(TypedDict):
    """The line after an epoch of a classifier or tagger."""

    event: Literal["epochdone"]
    epoch: int
    loss: float
    train_accuracy: float
    valid_accuracy: float
    lambdas: list[float] | None
    gamma: float | None
    valid_f1: NotRequired[float | None]  # of spans


class WhichClassifier(TypedDict):
    """Which one of a comparison; `fraction` is its share of the labelled texts."""

    row: str
    seed: int
    fraction: float


class ComparisonEpoch(LoggedEpoch, WhichClassifier):
    """The line after an epoch of a classifier of a comparison."""


class LoggedClassifier(WhichClassifier):
    """The line after a classifier of a comparison, with the file of its answers."""

    event: Literal["classifier"]
    source: str
    training: TrainingRecord
    predictions: str
