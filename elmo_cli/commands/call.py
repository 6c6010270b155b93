"""A call of a command: the options that all commands have, declared once, and what is done with them.

A function that takes a `Call` is registered with one of the two classes below, which add these options to its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from elmo_cli.commands.options import COMMON
from elmo_cli.commands.progress import Display
from elmo_cli.commands.render import Output
from elmo_cli.config import Experiment, load_experiment
from elmo_cli.config.loading import TUNING
from elmo_cli.events import Notice


class Call(typer.Context):
    """What the common options of a call say."""

    output: Output
    config: Path | None
    assignments: Sequence[str]

    def display(self) -> Display:
        """What shows the user how a work goes that is told of it."""
        return Display(self.output)

    def settings(self, **flags: object) -> Experiment:
        """The settings of a command: preset, settings file, `--set`, then its own flags.

        Args:
            **flags: Values by section and name; None and empty lists stand for flags that were not given.
        """
        given: dict[str, object] = {}
        for name, value in flags.items():
            given |= {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
        return load_experiment(
            self.config, self.assignments, {key: value for key, value in given.items() if value != []}
        )

    def note(self, *messages: str) -> None:
        """What the user should know, as the library says it."""
        with self.display() as tell:
            for message in messages:
                tell(Notice(message))

    def note_idle_settings(self, experiment: Experiment) -> None:
        """Say which values of `--set` only a tuned classifier looks at, where none is tuned."""
        keys = {assignment.partition("=")[0].strip() for assignment in self.assignments}
        idle = [key for name in TUNING if (key := f"classify.{name}") in keys]
        if idle and not experiment.classify.tune:
            self.note(f"{', '.join(idle)} {'is' if len(idle) == 1 else 'are'} not used without --tune")


def _show(
    call: Call,
    json: Annotated[
        bool,
        typer.Option("--json", help="Results as one JSON document on stdout, nothing else.", rich_help_panel=COMMON),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress, no messages.", rich_help_panel=COMMON)
    ] = False,
    # Read by `main`, which must know it before a command's arguments are parsed.
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.", rich_help_panel=COMMON)] = False,
) -> None:
    call.output = Output(json, quiet)


def _settle(
    call: Call,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Settings file; by default elmo.yaml here, if any.", rich_help_panel=COMMON),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any setting, as in pretrain.epochs=3; repeatable.",
            rich_help_panel=COMMON,
        ),
    ] = None,
) -> None:
    call.config, call.assignments = config, assignments or ()


def _as_command(function: Callable[..., None]) -> TyperCommand:
    """A function's options, as typer reads them from a command."""
    alone = typer.Typer(add_completion=False)
    alone.command()(function)
    command = typer.main.get_command(alone)
    assert isinstance(command, TyperCommand)
    return command


class Command(TyperCommand):
    """A command that shows something."""

    context_class = Call
    common: tuple[TyperCommand, ...] = (_as_command(_show),)

    def __init__(self, name: str | None, *, params: list[Any], **more: Any) -> None:
        common = [option for part in self.common for option in part.params]
        super().__init__(name, params=[*params, *common], **more)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Keep the common options in the call, and hand the command its own."""
        for part in self.common:
            assert part.callback is not None
            part.callback(**{option.name: ctx.params.pop(option.name) for option in part.params})
        return super().invoke(ctx)


class ConfiguredCommand(Command):
    """A command that has settings, too."""

    common = (_as_command(_settle), *Command.common)
