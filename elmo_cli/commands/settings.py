"""From the flags of a command to its settings: a flag that sets one stands here by the setting's own name.

A command hands its flags over section by section, so that mypy sees a flag that names no setting of these, or has
another type; a test holds that `Experiment` has them all.
"""

# ruff: noqa: D101  (the docstrings are those of the settings that these mirror)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from elmo_cli.config.choices import (
    EncoderKind,
    LambdaNorm,
    OptimiserKind,
    Pooling,
    Precision,
    Preset,
    SvdWeighting,
    TokenizerKind,
    Word2VecAlgorithm,
)

if TYPE_CHECKING:
    from elmo_cli.config import Experiment


class DataFlags(TypedDict, total=False):
    train: Path | None
    test: Path | None
    valid: Path | None
    text: list[str] | None
    encoding: str | None


class TokenizerFlags(TypedDict, total=False):
    kind: TokenizerKind | None
    lowercase: bool | None


class VocabularyFlags(TypedDict, total=False):
    min_count: int | None
    max_size: int | None


class ModelFlags(TypedDict, total=False):
    encoder: EncoderKind | None
    init_embeddings: Path | None


class PretrainFlags(TypedDict, total=False):
    epochs: int | None
    max_minutes: float | None
    optimiser: OptimiserKind | None
    precision: Precision | None


class ClassifyFlags(TypedDict, total=False):
    lambdas: str | None
    frozen_lambdas: str | None
    lambda_norm: LambdaNorm | None
    layer_norm: bool | None
    pooling: Pooling | None
    label_smoothing: float | None
    class_weights: str | None
    tune: bool | None


class CompareFlags(TypedDict, total=False):
    baselines: list[Path] | None
    lms: list[Path] | None
    lambdas: list[str] | None
    reference: bool | None
    against: str | None
    seeds: int | None
    fractions: str | None
    jobs: int | None


class Word2VecFlags(TypedDict, total=False):
    dim: int | None
    algorithm: Word2VecAlgorithm | None
    negative: int | None
    epochs: int | None
    workers: int | None


class SvdFlags(TypedDict, total=False):
    dim: int | None
    weighting: SvdWeighting | None
    smoothing: float | None
    exponent: float | None


class Flags(TypedDict, total=False):
    """All of them, as `Experiment` is made up; None and empty lists stand for flags that were not given."""

    preset: Preset | None
    seed: int | None
    data: DataFlags
    tokenizer: TokenizerFlags
    vocab: VocabularyFlags
    model: ModelFlags
    pretrain: PretrainFlags
    classify: ClassifyFlags
    compare: CompareFlags
    word2vec: Word2VecFlags
    svd: SvdFlags


def resolve(config: Path | None, assignments: Sequence[str] | None, **flags: Unpack[Flags]) -> Experiment:
    """The settings of a command: preset, settings file, `--set`, then its own flags.

    Args:
        config: Value of `--config`.
        assignments: Values of `--set`.
        **flags: Values of the flags that are settings.
    """
    from elmo_cli.config import load_experiment

    given: dict[str, object] = {}
    for name, value in flags.items():
        given |= {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, Mapping) else {name: value}
    return load_experiment(config, assignments or (), {key: value for key, value in given.items() if value != []})


def without_effect(assignments: Sequence[str] | None, experiment: Experiment) -> list[str]:
    """A note on values of `--set` that only a tuned classifier looks at, where none is tuned."""
    from elmo_cli.config import TUNING

    keys = {assignment.partition("=")[0].strip() for assignment in assignments or ()}
    idle = [key for name in TUNING if (key := f"classify.{name}") in keys]
    if experiment.classify.tune or not idle:
        return []
    return [f"note: {', '.join(idle)} {'is' if len(idle) == 1 else 'are'} not used without --tune"]
