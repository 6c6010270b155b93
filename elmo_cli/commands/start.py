"""`elmo init` and `elmo quickstart`: the first minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.render import Screen

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of your files; by default this one.")]
Demo = Annotated[Path, typer.Argument(metavar="DIR", help="A new folder for data, settings and runs.")]


def init(
    folder: Folder = Path(),
    preset: options.Preset = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Write an elmo.yaml for the files of a folder, with comments.

    Finds train, valid and test files by name, and their columns by content.

    Examples:
      elmo init
      elmo init my_project --preset base
    """
    from elmo_cli.commands.scaffold import write_settings

    path, found = write_settings(folder, preset, overwrite)
    screen = Screen(json, quiet)
    screen.say(*(f"note: {note}" for note in found.notes))
    document = {"path": str(path), "data": found.values(), "notes": found.notes}
    screen.show(document, views.pairs({"wrote": path, **found.values()}))
    screen.say("next: elmo vocab build, then elmo pretrain")


def quickstart(
    folder: Demo = Path("elmo-demo"),
    preset: options.Preset = None,
    overwrite: options.Overwrite = False,
    seed: options.Seed = None,
    device: options.Device = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Run the whole road on a built-in news corpus, in a minute or two.

    The corpus is synthetic: generated, so that everything can be tried.

    Examples:
      elmo quickstart
      elmo quickstart demo --preset small
    """
    from elmo_cli.commands.tour import SYNTHETIC, prepare, take
    from elmo_cli.devices import pick_device

    screen = Screen(json, quiet)
    pick_device(device)  # before anything is written
    prepare(folder, preset, overwrite)
    screen.say(SYNTHETIC, f"$ cd {folder}")
    steps = take(screen, folder, overwrite=overwrite, seed=seed, device=device)
    document = {"folder": str(folder), "synthetic": True, "steps": steps}
    screen.show(document, *views.comparison(steps[-1]["results"]))
    screen.say(SYNTHETIC, f"page with figures: {folder}/runs/compare/report.html")
    screen.say(f"next: cd {folder}, then elmo predict runs/classify-frozen test.csv")
