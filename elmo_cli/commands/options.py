"""Flags that several commands share, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from elmo_cli.config import choices
from elmo_cli.errors import ConfigError, nearest

COMMON = "Common options"
LONGEST_CHOICE = 9  # letters of values that stand beside their flag in help


def named(choice: Any, *more: str) -> str:
    """The values of a `Literal`, and forms of others, as help shows them: `word|char|word+char`."""
    return "|".join((*get_args(choice), *more))


def choice(flag: str, values: Any, help: str, **more: Any) -> Any:
    """An option that takes one of the values of a `Literal`.

    typer knows these by itself, but does not say which of them is nearest to a mistyped one.
    """
    known = get_args(values)
    shown = named(values)
    if len(shown) > LONGEST_CHOICE:  # beside the help there is no room for all of them
        shown = flag.rpartition("-")[2].upper()
        if not all(name in help for name in known):
            help = f"{help.removesuffix('.')}: {', '.join(known)}."

    def checked(text: str) -> str:
        if text not in known:
            raise ConfigError(
                f"{flag} got '{text}'", where="the command line", expected=", ".join(known), remedy=nearest(text, known)
            )
        return text

    return typer.Option(flag, parser=checked, metavar=shown, help=help, **more)


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
    typer.Option("--device", metavar=named(choices.Device), help="Where to compute.", rich_help_panel=COMMON),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        envvar="ELMO_CLUSTER",
        help="Scheduler of a Dask cluster that does the work, such as tcp://host:8786.",
    ),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Results as one JSON document on stdout, nothing else.", rich_help_panel=COMMON),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, messages or tables.", rich_help_panel=COMMON)]
# Read by `main`, which must know it before a command's arguments are parsed.
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.", rich_help_panel=COMMON)]

Out = Annotated[Path | None, typer.Option("--out", "-o", help="Where to write; by default in runs/.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what an earlier run wrote there.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where a stopped run left off.")]
Preset = Annotated[
    choices.Preset | None,
    choice(
        "--preset",
        choices.Preset,
        "Sizes and rates to start from; parameters without vocabulary: tiny 33 k, for seconds; small 2.1 M, "
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
Lambdas = Annotated[
    str | None,
    typer.Option(
        "--lambdas",
        metavar="MODE",
        help=f"How the layers become one vector a token: {', '.join(get_args(choices.LambdaMode))}, layer:N.",
    ),
]
FrozenLambdas = Annotated[
    str | None,
    typer.Option("--frozen-lambdas", metavar="W,W,W", help="Weights for frozen, or uniform; else drawn by the seed."),
]
LambdaNorm = Annotated[
    choices.LambdaNorm | None,
    choice("--lambda-norm", choices.LambdaNorm, "Normalisation of the layer weights."),
]
LayerNorm = Annotated[
    bool | None,
    typer.Option("--layer-norm/--no-layer-norm", help="Normalise each layer before the mix.", show_default=False),
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
    choices.TokenizerKind | None, choice("--tokenizer", choices.TokenizerKind, "How text becomes tokens.")
]
Epochs = Annotated[int | None, typer.Option("--epochs", min=1, help="Passes over the corpus.")]
Stateful = Annotated[bool, typer.Option("--stateful", help="Carry the state from batch to batch, as bilm-tf does.")]
ModelRun = Annotated[Path, typer.Argument(metavar="RUN", help="A run of `elmo pretrain`, `classify`, `tag`, `import`.")]
