"""The `elmo` command: all commands in one place, and the one edge where errors become messages and exit codes.

Nothing heavy is imported here or by the modules of the commands: `elmo --help` answers before torch could load.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.core import TyperGroup

from elmo_cli import __version__
from elmo_cli.commands import bench, classify, compare, data, lm, more, predict, report, similar, start, vectors, vocab
from elmo_cli.errors import ElmoError

START, ROAD, MORE = "Start", "Road", "More"
ORDER = (
    *("quickstart", "init", "data"),
    *("vocab", "pretrain", "classify", "evaluate", "predict", "compare"),
    *("baseline", "embed", "similar", "report", "import", "check", "bench"),
)


class _Panels(TyperGroup):
    """Commands in the order of the road, not of their registration."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Names in the order in which help shows them."""
        return [name for name in ORDER if name in self.commands]


app = typer.Typer(
    name="elmo",
    cls=_Panels,
    no_args_is_help=True,
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


app.command(rich_help_panel=START)(start.quickstart)
app.command(rich_help_panel=START)(start.init)
app.add_typer(data.app, name="data", rich_help_panel=START)
app.add_typer(vocab.app, name="vocab", rich_help_panel=ROAD)
app.command(rich_help_panel=ROAD)(lm.pretrain)
app.command(rich_help_panel=ROAD)(classify.classify)
app.command(rich_help_panel=ROAD)(classify.evaluate)
app.command(rich_help_panel=ROAD)(predict.predict)
app.command(rich_help_panel=ROAD)(compare.compare)
app.add_typer(vectors.app, name="baseline", rich_help_panel=MORE)
app.command(rich_help_panel=MORE)(more.embed)
app.command(rich_help_panel=MORE)(similar.similar)
app.command(rich_help_panel=MORE)(report.report)
app.command("import", rich_help_panel=MORE)(more.import_weights)
app.command(rich_help_panel=MORE)(more.check)
app.command(rich_help_panel=MORE)(bench.bench)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    Exit codes: 0 done, 1 a failure while running, 2 wrong usage or input, 130 or 143 stopped by Ctrl-C or SIGTERM.

    Args:
        arguments: What follows `elmo`; None: those of the process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if os.environ.get("NO_COLOR"):
        _help_without_escapes()
    try:
        typer.main.get_command(app).main(args=given, prog_name="elmo")
    except Exception as error:
        if "--debug" in given:
            traceback.print_exc()
        sys.exit(_report(error))


def _help_without_escapes() -> None:
    """Help and usage errors, which typer writes, are bold otherwise wherever colour is forced."""
    from typer import rich_utils

    rich_utils.COLOR_SYSTEM = None


def _report(error: Exception) -> int:
    """Say what went wrong on stderr, as plain text; returns the exit code."""
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
