"""`elmo init`: an elmo.yaml for the files of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.call import Call
from elmo_cli.commands.invocation import next_steps

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of your files; by default this one.")]


def init(
    call: Call, folder: Folder = Path(), preset: options.Preset = None, overwrite: options.Overwrite = False
) -> None:
    """Write an elmo.yaml for the files of a folder, with comments.

    Finds train, valid and test files by name, and their columns by content.

    Examples:
      elmo init
      elmo init my_project --preset base
    """
    from elmo_cli.config.writing import write_settings
    from elmo_cli.data.discovery import discover

    found = discover(folder)
    data = found.settings()
    path = write_settings(folder, preset, {"data": data}, overwrite)
    call.note(*found.notes)
    call.output.show({"path": str(path), "data": data, "notes": found.notes}, views.pairs({"wrote": path, **data}))
    if not found.has_text:
        call.output.say(f"first: name the text to learn from, as data.corpus or data.train in {path}")
    call.output.say(*next_steps(folder, "vocab build", "pretrain"))
