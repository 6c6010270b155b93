"""The `elmo` command: all commands in one place, and the one edge where errors become messages and exit codes.

Nothing heavy is imported here or by the modules of the commands: `elmo --help` answers before torch could load.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from typing import Annotated

import typer
from typer import rich_utils

from elmo_cli import __version__
from elmo_cli.commands.baseline import baseline
from elmo_cli.commands.bench import bench
from elmo_cli.commands.call import Command, CommandWithoutSettings, Group
from elmo_cli.commands.check import check
from elmo_cli.commands.classify import classify
from elmo_cli.commands.compare import compare
from elmo_cli.commands.data import data
from elmo_cli.commands.embed import embed
from elmo_cli.commands.evaluate import evaluate
from elmo_cli.commands.export import export
from elmo_cli.commands.import_ import import_
from elmo_cli.commands.init import init
from elmo_cli.commands.predict import predict
from elmo_cli.commands.pretrain import pretrain
from elmo_cli.commands.quickstart import quickstart
from elmo_cli.commands.report import report
from elmo_cli.commands.serve import serve
from elmo_cli.commands.similar import similar
from elmo_cli.commands.tag import tag
from elmo_cli.commands.vocab import vocab
from elmo_cli.errors import ConfigError, ElmoError
from elmo_cli.ranks import FollowedError, rank_count, rank_here

# The panels of the help, each with its commands, and groups of such, by the words that they are typed with.
PANELS: dict[str, dict[str, Callable[..., None] | typer.Typer]] = {
    "Start": {"quickstart": quickstart, "init": init, "data": data},
    "Road": {
        "vocab": vocab,
        "pretrain": pretrain,
        "classify": classify,
        "tag": tag,
        "evaluate": evaluate,
        "predict": predict,
        "compare": compare,
    },
    "More": {
        "baseline": baseline,
        "embed": embed,
        "similar": similar,
        "report": report,
        "import": import_,
        "export": export,
        "serve": serve,
        "check": check,
        "bench": bench,
    },
}
WITHOUT_SETTINGS = (quickstart, init)  # they write the file that others read


class _Panels(Group):
    """Commands and groups in one order; typer registers all groups after all commands."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Names in the order in which help shows them."""
        return [name for commands in PANELS.values() for name in commands]


app = typer.Typer(
    name="elmo",
    cls=_Panels,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"elmo {__version__}")
        raise typer.Exit


@app.callback()
def _elmo(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Train an ELMo on your own text, use it, and compare it fairly.

    Begin with 'elmo quickstart', or in a folder of your own with 'elmo init'.
    """


for _panel, _commands in PANELS.items():
    for _name, _command in _commands.items():
        if isinstance(_command, typer.Typer):
            app.add_typer(_command, name=_name, rich_help_panel=_panel)
        else:
            _class = CommandWithoutSettings if _command in WITHOUT_SETTINGS else Command
            app.command(_name, cls=_class, rich_help_panel=_panel)(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    Exit codes: 0 done, 1 a failure while running, 2 wrong usage or input, 130 or 143 stopped by Ctrl-C or SIGTERM.

    Args:
        arguments: What follows `elmo`; None: those of the process.
    """
    if rank_count() > 1:
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # its warnings, one a process, are not the user's
    given = list(sys.argv[1:] if arguments is None else arguments)
    if os.environ.get("NO_COLOR"):
        # typer's help and usage errors are bold otherwise, wherever colour is forced
        rich_utils.COLOR_SYSTEM = None
    try:
        _open_streams()
        typer.main.get_command(app).main(args=given, prog_name="elmo")
    except Exception as error:
        if "--debug" in given:
            traceback.print_exc()
        sys.exit(_report(error))


def _open_streams() -> None:
    r"""See that the standard streams take what is written to them.

    One that the caller closed, as `<&-` does, becomes a device that is empty and takes everything. A letter of a table
    that the encoding of stdout lacks, such as λ in that of Windows or in latin-1, is replaced: a command shall not fail
    on it after an hour's work. Data are UTF-8 in any case: see `data_stream`.

    Raises:
        ConfigError: Standard output is closed, so that there is no place for results.
    """
    closed = sys.stdout is None
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    if rank_here():
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - rank 0 shows for all
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")
    if closed:
        remedy = "leave >&- out; -q shows nothing, and > /dev/null drops what is shown"
        raise ConfigError("standard output is closed", expected="a place for the results", remedy=remedy)


def _report(error: Exception) -> int:
    """Say what went wrong on stderr, as plain text; returns the exit code."""
    if isinstance(error, FollowedError) or (rank_here() and not getattr(error, "__notes__", ())):
        return getattr(error, "exit_code", 1)  # rank 0, or the rank that failed first, tells of it
    if isinstance(error, OSError):
        remedy = "check the path, its rights and the room on its disk"
        error = ElmoError(error.strerror or str(error), where=error.filename, remedy=remedy)
    if isinstance(error, ElmoError):
        typer.echo(f"elmo: {error}", err=True)
        return error.exit_code
    summary = ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])
    typer.echo(f"elmo: unexpected failure: {summary}", err=True)
    typer.echo("  what to do: run it again with --debug for the traceback", err=True)
    return 1
