"""A call of a command: the options that all commands have, declared once, and what is done with them.

A function that takes a `Call` is registered with one of the two classes below, which add these options to its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from elmo_cli.commands import options
from elmo_cli.commands.progress import Display
from elmo_cli.commands.render import Output
from elmo_cli.config import Experiment, FinetuneSettings, load_experiment
from elmo_cli.config.choices import Preset
from elmo_cli.config.loading import TUNING
from elmo_cli.events import Notice
from elmo_cli.ranks import rank_here


class Call(typer.Context):
    """What the common options of a call say."""

    output: Output
    config: Path | None
    assignments: Sequence[str]

    def display(self) -> Display:
        """What shows the user how a work goes that is told of it."""
        return Display(self.output)

    def settings(
        self, *, preset: Preset | None = None, seed: int | None = None, **sections: dict[str, Any]
    ) -> Experiment:
        """The settings of a command: preset, settings file, `--set`, then its own flags.

        Args:
            preset: Value of `--preset`.
            seed: Value of `--seed`.
            **sections: Of each section the flags by their settings' names; None and empty lists were not given.
        """
        flags = {f"{name}.{key}": value for name, section in sections.items() for key, value in section.items()}
        given = {key: value for key, value in flags.items() if value != []}
        return load_experiment(self.config, self.assignments, {"preset": preset, "seed": seed, **given})

    def note(self, *messages: str) -> None:
        """What the user should know, as the library says it."""
        with self.display() as tell:
            for message in messages:
                tell(Notice(message))

    def note_idle_settings(self, settings: FinetuneSettings) -> None:
        """Say which values of `--set` only what is tuned looks at, where it is not tuned."""
        keys = {assignment.partition("=")[0].strip() for assignment in self.assignments}
        idle = [key for name in TUNING if (key := f"{settings.section}.{name}") in keys]
        if idle and not settings.tune:
            self.note(f"{', '.join(idle)} {'is' if len(idle) == 1 else 'are'} not used without --tune")


def _common(
    call: Call,
    config: options.Config = None,
    assignments: options.Assignments = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """The options that all commands have."""
    call.output, call.config, call.assignments = Output(json, quiet or rank_here() > 0), config, assignments or ()


_alone = typer.Typer(add_completion=False)
_alone.command()(_common)
COMMON = typer.main.get_command(_alone)


class Group(TyperGroup):
    """Commands under one name; the name alone asks for help, and gets it without a failure."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Arguments that are left for a command."""
        return super().parse_args(ctx, args or ["--help"])


class Command(TyperCommand):
    """A command with the common options."""

    context_class = Call
    without: tuple[str, ...] = ()

    def __init__(self, name: str | None, *, params: list[Any], **more: Any) -> None:
        common = [option for option in COMMON.params if option.name not in self.without]
        super().__init__(name, params=[*params, *common], **more)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Keep the common options in the call, and hand the function its own."""
        assert COMMON.callback is not None
        COMMON.callback(**{option.name: ctx.params.pop(option.name, None) for option in COMMON.params if option.name})
        return super().invoke(ctx)


class CommandWithoutSettings(Command):
    """A command that reads no settings."""

    without = ("config", "assignments")
