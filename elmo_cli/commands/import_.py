"""`elmo import`: the weights of other projects as a run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.call import Call

Source = Annotated[
    Path, typer.Argument(metavar="PATH", help="Folder, .zip or .tar.gz with options.json and weights.hdf5.")
]


def import_(
    call: Call,
    path: Source,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Take over a model of bilm-tf or AllenNLP as a run.

    Published weights come without their softmax, so what needs one
    (perplexity) says so; everything else works.

    Examples:
      elmo import elmo_2x1024 --out runs/published
      elmo import 144.zip --out runs/norwegian
    """
    from elmo_cli.interop.bilm_tf import import_run

    target = out or call.settings().output / "imported"
    files = import_run(path, target, overwrite)
    document = {"path": target, **asdict(files)}
    call.output.show(document, views.pairs(document))
