"""What `elmo quickstart` does: it runs the commands of the road, each through the entry point, in one folder."""

from __future__ import annotations

import json
import shlex
from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import typer

from elmo_cli.commands.render import Screen
from elmo_cli.commands.scaffold import look_through, settings_text
from elmo_cli.config import CONFIG_NAME
from elmo_cli.data.sample import write_sample
from elmo_cli.disk import write_atomically
from elmo_cli.errors import RunError

SYNTHETIC = "The built-in news corpus is synthetic: what is measured on it proves nothing about news."
VECTORS = "w2v.txt"
PRESET = "tiny"
# What makes the preset for seconds learn something of this corpus, in about a minute on two cores.
SETTINGS: dict[str, dict[str, Any]] = {
    "model": {"hidden_size": 64},
    "pretrain": {"epochs": 5},
    "classify": {"hidden_size": 64, "epochs": 8},
    "word2vec": {"dim": 64, "epochs": 5},
}
# Commands that draw random numbers and that compute on a device.
DRAWING = ("baseline", "pretrain", "classify", "compare")
COMPUTING = ("pretrain", "classify", "evaluate", "compare")


def prepare(folder: Path, preset: str | None, overwrite: bool) -> None:
    """Write the corpus and an `elmo.yaml` into a folder that is empty, or whose content may be replaced.

    Args:
        folder: Made if it is absent.
        preset: As it is; None: the quickstart's own settings.
        overwrite: Whether what is there may be replaced.

    Raises:
        RunError: Something is there.
        ConfigError: There is no such preset.
    """
    if folder.exists() and not overwrite and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(
            f"{folder} exists and is not empty",
            where=folder,
            expected="a new folder",
            remedy="name another, or give --overwrite to replace an earlier quickstart",
        )
    written = SETTINGS if preset is None else {}
    settings_text(preset or PRESET, written)  # an unknown preset leaves nothing behind
    write_sample(folder)
    text = settings_text(preset or PRESET, {**written, "data": look_through(folder).values()})
    write_atomically(folder / CONFIG_NAME, lambda beside: beside.write_text(text, encoding="utf-8"))


def road() -> list[list[str]]:
    """The commands, without flags that concern all of them."""
    return [
        ["vocab", "build"],
        ["baseline", "word2vec", "--out", VECTORS],
        ["pretrain", "--init-embeddings", VECTORS],
        ["classify", "--lambdas", "frozen"],
        ["evaluate"],
        ["compare", "--baseline", VECTORS],
    ]


def take(screen: Screen, folder: Path, *, overwrite: bool, seed: int | None, device: str) -> list[dict[str, Any]]:
    """Run the road in a folder, saying each command before it runs.

    Returns:
        Of each command its line and its results.

    Raises:
        typer.Exit: A command was stopped.
    """
    steps = []
    with chdir(folder):
        for arguments in road():
            name = arguments[0]
            flags = ["--overwrite"] if overwrite and name != "evaluate" else []
            flags += ["--seed", str(seed)] if seed is not None and name in DRAWING else []
            flags += ["--device", device] if device != "auto" and name in COMPUTING else []
            line = shlex.join(["elmo", *arguments, *flags])
            screen.say(f"$ {line}")
            steps.append({"command": line, "results": _run([*arguments, *flags], screen.quiet)})
    return steps


def _run(arguments: list[str], quiet: bool) -> Any:
    """The results of one command."""
    from elmo_cli.commands.app import app

    caught = StringIO()
    with redirect_stdout(caught):
        flags = ["--json", *(["--quiet"] if quiet else [])]
        code = typer.main.get_command(app).main(args=[*arguments, *flags], prog_name="elmo", standalone_mode=False)
    if code:
        raise typer.Exit(code)
    return json.loads(caught.getvalue())
