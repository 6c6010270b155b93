"""`elmo quickstart`: the commands of the road, each through the entry point, in one folder."""

from __future__ import annotations

import shlex
from contextlib import chdir, redirect_stdout
from io import StringIO
from json import loads
from pathlib import Path
from typing import Annotated, Any

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.call import Call
from elmo_cli.commands.invocation import program
from elmo_cli.config import choices
from elmo_cli.errors import RunError

SYNTHETIC = "The built-in news corpus is synthetic: what is measured on it proves nothing about news."
VECTORS = "w2v.txt"
PRESET: choices.Preset = "tiny"
# What makes the preset for seconds learn something of this corpus, in about a minute on two cores.
SETTINGS: dict[str, dict[str, Any]] = {
    "model": {"hidden_size": 64},
    "pretrain": {"epochs": 5},
    "classify": {"hidden_size": 64, "epochs": 8},
    "word2vec": {"dim": 64, "epochs": 5},
}
# The commands, without flags that concern all of them.
ROAD = (
    ("vocab", "build"),
    ("baseline", "word2vec", "--out", VECTORS),
    ("pretrain", "--init-embeddings", VECTORS),
    ("classify", "--lambdas", "frozen"),
    ("evaluate",),
    ("compare", "--baseline", VECTORS),
)
# Commands that draw random numbers and that compute on a device.
DRAWING = ("baseline", "pretrain", "classify", "compare")
COMPUTING = ("pretrain", "classify", "evaluate", "compare")

Demo = Annotated[Path, typer.Argument(metavar="DIR", help="A new folder for data, settings and runs.")]


def quickstart(
    call: Call,
    folder: Demo = Path("elmo-demo"),
    preset: options.Preset = None,
    overwrite: options.Overwrite = False,
    seed: options.Seed = None,
    device: options.Device = "auto",
) -> None:
    """Run the whole road on a built-in news corpus, in a minute or two.

    The corpus is synthetic: generated, so that everything can be tried.

    Examples:
      elmo quickstart
      elmo quickstart demo --preset small
    """
    from elmo_cli.devices import pick_device

    output, steps = call.output, []
    pick_device(device)  # before anything is written
    _prepare(folder, preset, overwrite)
    output.say(SYNTHETIC, f"$ {shlex.join(['cd', str(folder)])}")
    try:
        with chdir(folder):
            for command in ROAD:
                arguments = [*command, *_flags_of(command[0], overwrite, seed, device)]
                line = shlex.join(["elmo", *arguments])
                output.say(f"$ {line}")
                steps.append({"command": line, "results": _results(call, arguments)})
    except typer.Exit:  # what was stopped told of its --resume, which a quickstart does not have
        again = shlex.join(["quickstart", str(folder), "--overwrite"])
        output.say(f"that is for the command above, in {folder}; the quickstart begins anew: {program()} {again}")
        raise
    output.show({"folder": str(folder), "synthetic": True, "steps": steps}, *views.comparison(steps[-1]["results"]))
    example = shlex.join(["predict", str(folder / "runs/classify-frozen"), str(folder / "test.csv")])
    output.say(SYNTHETIC, f"page with figures: {folder}/runs/compare/report.html", f"next: {program()} {example}")


def _flags_of(command: str, overwrite: bool, seed: int | None, device: str) -> list[str]:
    """The flags of the quickstart that concern a command of it."""
    return [
        *(["--overwrite"] if overwrite and command != "evaluate" else []),
        *(["--seed", str(seed)] if seed is not None and command in DRAWING else []),
        *(["--device", device] if device != "auto" and command in COMPUTING else []),
    ]


def _prepare(folder: Path, preset: choices.Preset | None, overwrite: bool) -> None:
    """Write the corpus and an `elmo.yaml` into a folder that is empty, or whose content may be replaced.

    Raises:
        RunError: Something is there.
    """
    from elmo_cli.config.writing import write_settings
    from elmo_cli.data.discovery import discover
    from elmo_cli.data.sample import write_sample

    if folder.exists() and not overwrite and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(
            f"{folder} exists and is not empty",
            where=folder,
            expected="a new folder",
            remedy="name another, or give --overwrite to replace an earlier quickstart",
        )
    write_sample(folder)
    written = SETTINGS if preset is None else {}
    write_settings(folder, preset or PRESET, {**written, "data": discover(folder).settings()}, overwrite=True)


def _results(call: Call, arguments: list[str]) -> Any:
    """Run one command through the entry point.

    Returns:
        What it shows as JSON.

    Raises:
        typer.Exit: It was stopped.
    """
    given = [*arguments, "--json", *(["--quiet"] if call.output.quiet else [])]
    with redirect_stdout(StringIO()) as caught:
        code = call.find_root().command.main(args=given, prog_name="elmo", standalone_mode=False)
    if code:
        raise typer.Exit(code)
    return loads(caught.getvalue())
