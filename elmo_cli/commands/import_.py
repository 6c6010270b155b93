"""`elmo import`: the weights of other projects as a run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.call import Call
from elmo_cli.config import choices

Source = Annotated[Path, typer.Argument(metavar="PATH", help="Folder, .zip or .tar.gz that holds a model's files.")]
Format = Annotated[
    choices.ImportFormat,
    options.choice(
        "--format",
        choices.ImportFormat,
        "Of bilm-tf (options.json, weights.hdf5) or ELMoForManyLangs (encoder.pkl, token_embedder.pkl); auto looks.",
    ),
]


def import_(
    call: Call,
    path: Source,
    format: Format = "auto",
    out: options.Out = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Take over a model of bilm-tf, AllenNLP or ELMoForManyLangs as a run.

    Published weights come without their softmax, so what needs one
    (perplexity) says so; everything else works.

    Examples:
      elmo import elmo_2x1024 --out runs/published
      elmo import 144.zip --out runs/norwegian
      elmo import many_langs/german --format many-langs --out runs/german
    """
    from elmo_cli.interop.importing import import_run

    target = out or call.settings().output / "imported"
    files = import_run(path, target, overwrite, format)
    document = {"path": target, **asdict(files)}
    call.output.show(document, views.pairs(document))
