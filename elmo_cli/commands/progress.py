"""Following a loop of the library: its events as a bar on a terminal, or as lines in a log, on stderr."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable
from contextlib import closing
from typing import Any

import typer
from rich.progress import BarColumn, Progress, ProgressColumn, Task
from rich.text import Text

from elmo_cli.commands.render import Screen, duration, lambda_bars, number, plain
from elmo_cli.commands.signals import Stop
from elmo_cli.events import ClassifierDone, EpochDone, Event, Finished, Notice, Step, Stopped, Validation

LOG_SECONDS = 30.0


class _Figures(ProgressColumn):
    """Rate, loss, perplexity and time left of the last `Step`, as plain text."""

    def render(self, task: Task) -> Text:
        """The figures, empty before the first step."""
        step = task.fields.get("step")
        return Text(describe_step(step, task.fields["unit"]) if step is not None else "")


def describe_step(step: Step, unit: str) -> str:
    """Figures of a training step, e.g. `12.3k tokens/s  loss 5.12  ppl 167  left 1:15`; texts have no perplexity."""
    rate = (
        f"{step.tokens_per_second / 1000:.1f}k" if step.tokens_per_second >= 1000 else f"{step.tokens_per_second:.0f}"
    )
    perplexity = f"  ppl {step.perplexity:,.0f}" if unit == "tokens" and step.perplexity < 1e6 else ""
    return f"{rate} {unit}/s  loss {step.loss:.2f}{perplexity}  left {duration(step.seconds_left)}"


def describe(event: Event) -> str | None:
    """The line that stays of an event; None for those that pass."""
    match event:
        case Validation():
            best = "  best so far" if event.best else ""
            both = f"forward {number(event.forward)}, backward {number(event.backward)}"
            return f"epoch {event.epoch}  valid perplexity {number(event.mean)} ({both}){best}"
        case EpochDone():
            figures = f"loss {event.loss:.3f}  train {event.train_accuracy:.3f}  valid {event.valid_accuracy:.3f}"
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


def follow(
    screen: Screen,
    events: Iterable[Event],
    stop: Stop,
    *,
    unit: str,
    stopped: str = "",
    epochs: bool = True,
) -> dict[str, Any]:
    """Consume a loop, show it, and return its results.

    Args:
        screen: Where to show.
        events: The loop.
        stop: The flag that the loop looks at; gives the exit code if it stopped by it.
        unit: What its steps count: tokens or texts.
        stopped: What to tell the user if it does.
        epochs: Whether the epochs of classifiers are shown.

    Raises:
        typer.Exit: The loop was stopped.
    """
    results: dict[str, Any] = {}
    # Closing the generator lets it put its files in order, whatever ends this consumer.
    with closing(_shown(screen, events, unit, epochs)) as shown:
        for event in shown:
            if isinstance(event, Finished):
                results = event.results
            elif isinstance(event, Stopped):
                screen.say(*([stopped] if stopped else []))
                raise typer.Exit(stop.code or 1)
    return results


def _shown(screen: Screen, events: Iterable[Event], unit: str, epochs: bool) -> Generator[Event, None, None]:
    """Pass the events on after showing each."""
    messages = screen.messages
    live = messages.is_terminal and not screen.quiet
    columns = (BarColumn(bar_width=18), _Figures())
    last = time.monotonic()
    progress = Progress(*columns, console=messages, disable=not live, transient=True)
    task = progress.add_task("", total=None, unit=unit)
    try:
        for event in events:
            line = describe(event) if epochs or not isinstance(event, EpochDone) else None
            if isinstance(event, Step):
                progress.start()  # not before: reading the corpus may show a bar of its own
                progress.update(task, total=event.steps, completed=event.step, step=event)
                if not live and time.monotonic() - last >= LOG_SECONDS:
                    last = time.monotonic()
                    line = f"epoch {event.epoch}  step {event.step} of {event.steps}  {describe_step(event, unit)}"
            if line is not None:
                messages.print(line, soft_wrap=True)
            yield event
    finally:
        progress.stop()
