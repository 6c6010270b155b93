"""What the library tells while it works, shown: as a bar on a terminal, or as lines in a log, on stderr."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from typing import Any, Self

import rich.progress
import typer
from rich.progress import BarColumn, TextColumn
from rich.table import Column

from elmo_cli.commands.render import Output, duration, lambda_bars, number
from elmo_cli.commands.signals import Stop
from elmo_cli.errors import plain
from elmo_cli.events import ClassifierDone, EpochDone, Event, Finished, Notice, Progress, Step, Stopped, Validation

LOG_SECONDS = 30.0


def describe_step(step: Step, unit: str, with_perplexity: bool = True) -> str:
    """Figures of a training step, e.g. `12.3k tokens/s  loss 5.12  ppl 167  left 1:15`; labels have no perplexity."""
    speed = step.tokens_per_second
    rate = f"{speed / 1000:.1f}k" if speed >= 1000 else f"{speed:.0f}"
    shown = unit == "tokens" and with_perplexity and step.perplexity < 1e6
    perplexity = f"  ppl {step.perplexity:,.0f}" if shown else ""
    return f"{rate} {unit}/s  loss {step.loss:.2f}{perplexity}  left {duration(step.seconds_left)}"


def describe_progress(event: Progress, seconds: float) -> str:
    """Figures of counted work after so many seconds, e.g. `reading 12.0 of 48.0 MB  left 1:15`."""
    done, total = (
        None if count is None else f"{count / 1e6:,.1f}" if event.in_bytes else f"{count:,}"
        for count in (event.done, event.total)
    )
    unit = " MB" if event.in_bytes else ""
    if event.total is None or not event.done:
        return f"{event.what} {done}{unit}"
    left = duration(seconds * (event.total - event.done) / event.done)
    return f"{event.what} {done} of {total}{unit}  left {left}"


def describe(event: Event) -> str | None:
    """The line that stays of an event; None for those that pass."""
    match event:
        case Validation():
            best = "  best so far" if event.best else ""
            both = f"forward {number(event.forward)}, backward {number(event.backward)}"
            return f"epoch {event.epoch}  valid perplexity {number(event.mean)} ({both}){best}"
        case EpochDone():
            figures = f"loss {event.loss:.3f}  train {event.train_accuracy:.3f}  valid {event.valid_accuracy:.3f}"
            figures += "" if event.valid_f1 is None else f"  F1 {event.valid_f1:.3f}"
            bars = lambda_bars(event.lambdas, event.gamma)
            return "  ".join(part for part in (f"epoch {event.epoch}", figures, bars, "*" * event.best) if part)
        case Notice():
            return f"note: {plain(event.message)}"
        case ClassifierDone():
            figures = f"valid {event.valid_accuracy:.4f}  test {event.test_accuracy:.4f}"
            size = "" if event.fraction == 1 else f", {100 * event.fraction:g} % of the texts"
            return f"{event.done} of {event.total}  {plain(event.row)}, seed {event.seed}{size}  {figures}"
        case Stopped():
            return "stopped"
        case _:
            return None


class Display:
    """Shows events on stderr as they come: lines that stay, and one bar for how far the work is; in a log, lines.

    Args:
        output: Where to show.
        unit: What a training's steps count: tokens or texts.
        epochs: Whether the epochs of classifiers are shown.
        with_perplexity: Whether the loss of tokens is that of a language model.

    Attributes:
        notices: The notices so far.
    """

    def __init__(self, output: Output, unit: str = "", epochs: bool = True, with_perplexity: bool = True) -> None:
        self._messages, self._unit, self._epochs = output.messages, unit, epochs
        self._with_perplexity = with_perplexity
        self._live = self._messages.is_terminal and not output.quiet
        words = TextColumn("{task.fields[words]}", markup=False, table_column=Column())
        columns = (BarColumn(bar_width=18), words)
        self._bar = rich.progress.Progress(
            *columns, console=self._messages, disable=not self._live, transient=True, redirect_stdout=False
        )
        self._task = self._bar.add_task("", total=None, words="")
        self._logged = time.monotonic()
        self._began, self._what = self._logged, ""
        self.notices: list[str] = []

    def __enter__(self) -> Self:
        """The bar comes with the first event that says how far the work is."""
        return self

    def __exit__(self, *failure: object) -> None:
        """Take the bar away."""
        self._bar.stop()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        match event:
            case Step():
                words = describe_step(event, self._unit, self._with_perplexity)
                self._move(event.step, event.steps, words, f"epoch {event.epoch}  step {event.step} of {event.steps}  ")
            case Progress():
                if event.what != self._what:
                    self._began, self._what = time.monotonic(), event.what
                words = describe_progress(event, time.monotonic() - self._began)
                self._move(event.done, event.total, words)
                if event.done == event.total:  # what follows may be long and say nothing
                    self._bar.stop()
                    self._what = ""
            case _:
                self.notices += [event.message] if isinstance(event, Notice) else []
                line = describe(event) if self._epochs or not isinstance(event, EpochDone) else None
                if line is not None:
                    # A terminal breaks it between words; what is kept in a file is a line, for who searches it.
                    self._messages.print(line, soft_wrap=not self._messages.is_terminal)

    def _move(self, done: int, total: int | None, words: str, place: str = "") -> None:
        self._bar.update(self._task, completed=done, total=total, words=words)
        self._bar.start()  # not before, or it would show the words of what is over
        if not self._live and time.monotonic() - self._logged >= LOG_SECONDS:
            self._logged = time.monotonic()
            self._messages.print(place + words, soft_wrap=True)


def follow(
    output: Output,
    events: Generator[Event, None, None],
    stop: Stop,
    *,
    unit: str,
    stopped: str = "",
    epochs: bool = True,
    with_perplexity: bool = True,
) -> dict[str, Any]:
    """Consume a loop, show it, and return its results.

    Args:
        output: Where to show.
        events: The loop.
        stop: The flag that the loop looks at; gives the exit code if it stopped by it.
        unit: See `Display`.
        stopped: What to tell the user if it does.
        epochs: See `Display`.
        with_perplexity: See `Display`.

    Raises:
        typer.Exit: The loop was stopped.
    """
    results: dict[str, Any] = {}
    halted = False
    # Closing the generator lets it put its files in order, whatever ends this consumer.
    with closing(events), Display(output, unit, epochs, with_perplexity) as show:
        for event in events:
            show(event)
            if isinstance(event, Finished):
                results = event.results
            elif isinstance(event, Stopped):
                halted = True
                break
    if halted:  # said when the bar is gone: on a terminal it would stand behind it
        output.say(*([stopped] if stopped else []))
        raise typer.Exit(stop.code or 1)
    return results
