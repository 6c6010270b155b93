"""`elmo import`: the weights of other projects as a run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.render import Output
from elmo_cli.commands.settings import resolve

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder with options.json and weights.hdf5.")]


def import_(
    folder: Folder,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    config: options.Config = None,
    assignments: options.Assignments = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Take over a model of bilm-tf or AllenNLP as a run.

    Published weights come without their softmax, so what needs one
    (perplexity) says so; everything else works.

    Example:
      elmo import elmo_2x1024 --out runs/published
    """
    from elmo_cli.interop.bilm_tf import import_run

    target = out or resolve(config, assignments).output / "imported"
    files = import_run(folder, target, overwrite)
    document = {"path": str(target), **{name: value and str(value) for name, value in asdict(files).items()}}
    Output(json, quiet).show(document, views.pairs(document))
