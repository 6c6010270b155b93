"""Flags that several commands share, each declared once, and the resolution of a command's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from elmo_cli.config import Experiment

COMMON = "Common options"

Config = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file; by default elmo.yaml here, if any.", rich_help_panel=COMMON),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Any setting, as in pretrain.epochs=3; repeatable.", rich_help_panel=COMMON
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of all random draws.", rich_help_panel=COMMON)]
Device = Annotated[
    str,
    typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where to compute.", rich_help_panel=COMMON),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Results as one JSON document on stdout, nothing else.", rich_help_panel=COMMON),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no messages.", rich_help_panel=COMMON)]
# Read by `main`, which must know it before a command's arguments are parsed.
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.", rich_help_panel=COMMON)]

Out = Annotated[Path | None, typer.Option("--out", "-o", help="Where to write; by default in runs/.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what an earlier run wrote there.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where a stopped run left off.")]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="tiny|small|base|original",
        help="Sizes and rates to start from; parameters without vocabulary: tiny 33 k, for seconds; small 2.1 M, "
        "for minutes on a laptop; base 9.5 M, for hours; original 93.6 M, the ELMo of bilm-tf, for GPUs.",
    ),
]
Lm = Annotated[Path | None, typer.Option("--lm", metavar="RUN", help="Language model; by default runs/lm.")]
Vocab = Annotated[
    Path | None, typer.Option("--vocab", metavar="VOCAB", help="Vocabulary; by default runs/vocab, if any.")
]
Test = Annotated[Path | None, typer.Option("--test", metavar="FILE", help="Labelled test file.")]
Corpus = Annotated[
    list[Path] | None,
    typer.Argument(metavar="CORPUS", help="Text to learn from: files, folders, patterns, or - for stdin."),
]
Train = Annotated[
    Path | None, typer.Argument(metavar="TRAIN", help="Labelled training file: CSV, JSON lines or Parquet.")
]
Tune = Annotated[
    bool | None,
    typer.Option(
        "--tune/--no-tune", " /--freeze", help="Train the embedder along with the classifier.", show_default=False
    ),
]
TextColumns = Annotated[
    list[str] | None, typer.Option("--column", metavar="NAME", help="Text column of tables; repeatable.")
]
Encoding = Annotated[
    str | None, typer.Option("--encoding", metavar="NAME", help="Encoding of the text; by default utf-8.")
]
Lowercase = Annotated[
    bool | None, typer.Option("--lowercase/--keep-case", help="Lower-case the text first.", show_default=False)
]
TokenizerKind = Annotated[
    str | None, typer.Option("--tokenizer", metavar="words|whitespace|regex", help="How text becomes tokens.")
]


def without_effect(assignments: Sequence[str] | None, experiment: Experiment) -> list[str]:
    """A note on values of `--set` that only a tuned classifier looks at, where none is tuned."""
    from elmo_cli.config import TUNING

    keys = {assignment.partition("=")[0].strip() for assignment in assignments or ()}
    idle = [key for name in TUNING if (key := f"classify.{name}") in keys]
    if experiment.classify.tune or not idle:
        return []
    return [f"note: {', '.join(idle)} {'is' if len(idle) == 1 else 'are'} not used without --tune"]


def resolve(
    config: Path | None, assignments: Sequence[str] | None, seed: int | None, flags: Mapping[str, Any] | None = None
) -> Experiment:
    """The settings of a command: preset, settings file, `--set`, then its own flags.

    Args:
        config: Value of `--config`.
        assignments: Values of `--set`.
        seed: Value of `--seed`.
        flags: Further flags by dotted key; None and empty lists stand for flags that were not given.
    """
    from elmo_cli.config import load_experiment

    given = {key: value for key, value in (flags or {}).items() if value is not None and value != []}
    return load_experiment(config, assignments or (), {"seed": seed, **given})
