"""`elmo baseline`: static vectors to compare with, or to start from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.options import resolve
from elmo_cli.commands.render import Screen

app = typer.Typer(no_args_is_help=True, help="Train static vectors to compare with ('baseline word2vec').")

Window = Annotated[int | None, typer.Option("--window", min=1, help="Tokens on each side.")]
Dim = Annotated[int | None, typer.Option("--dim", min=1, help="Width of a vector.")]
OutFile = Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The file to write.")]
Binary = Annotated[bool, typer.Option("--binary", help="word2vec's binary format instead of text.")]


@app.callback()
def _baseline() -> None:
    """Train static vectors to compare with ('baseline word2vec')."""


@app.command()
def word2vec(
    corpus: options.Corpus = None,
    out: OutFile = Path("w2v.txt"),
    window: Window = None,
    dim: Dim = None,
    binary: Binary = False,
    lowercase: options.Lowercase = None,
    column: options.TextColumns = None,
    overwrite: options.Overwrite = False,
    config: options.Config = None,
    assignments: options.Assignments = None,
    seed: options.Seed = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train word2vec on the corpus of the language model.

    Examples:
      elmo baseline word2vec
      elmo baseline word2vec news.txt --dim 300 --out w2v.bin --binary
    """
    from elmo_cli.commands.inputs import counted
    from elmo_cli.vectors.word2vec import word2vec_run

    flags = {
        "word2vec.window": window,
        "word2vec.dim": dim,
        "tokenizer.lowercase": lowercase,
        "data.text": column,
    }
    experiment, screen = resolve(config, assignments, seed, flags), Screen(json, quiet)
    with counted(screen, "epochs") as progress:
        report = word2vec_run(experiment, corpus or (), out, binary, overwrite, progress)
    document = {**asdict(report), "path": str(report.path)}
    screen.show(document, views.pairs(document))
