"""Showing: results to stdout, progress and messages to stderr, all of it plain text to rich, never markup.

Colour follows the terminal and `NO_COLOR`; tables fit 80 columns.
"""

from __future__ import annotations

import json as json_module
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

BLOCKS = "▁▂▃▄▅▆▇█"
TABLE_WIDTH = 80  # columns that a table may take in any terminal


def plain(text: object) -> str:
    """`text` on one line, with control characters shown instead of sent to the terminal."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(text))


def number(value: object, digits: int = 4) -> str:
    """A figure for a table: whole numbers with separators, others rounded; an absent one as a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return plain(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.{1 if abs(value) >= 1000 else 2 if abs(value) >= 10 else digits}f}"


def duration(seconds: float) -> str:
    """`75` as `1:15`, `3700` as `1:01:40`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def interval(bounds: Sequence[float] | None) -> str:
    """A 95 % interval as `0.871..0.889`."""
    return "-" if bounds is None else f"{bounds[0]:.3f}..{bounds[1]:.3f}"


def lambda_bars(lambdas: Sequence[float] | None, gamma: float | None = None) -> str:
    """Layer weights as small bars with their figures, e.g. `λ ▂▆▃ 0.12 0.61 0.27  γ 1.08`; empty without weights."""
    if lambdas is None:
        return ""
    bars = "".join(BLOCKS[min(len(BLOCKS) - 1, int(max(0.0, value) * len(BLOCKS)))] for value in lambdas)
    figures = " ".join(f"{value:.2f}" for value in lambdas)
    return f"λ {bars} {figures}" + ("" if gamma is None else f"  γ {gamma:.2f}")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table whose first column is text and whose others are figures; a cell that is a `Text` stays as it is."""
    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    for place, name in enumerate(columns):
        figures = place > 0
        drawn.add_column(Text(name), justify="right" if figures else "left", overflow="fold", no_wrap=figures)
    for row in rows:
        drawn.add_row(*(cell if isinstance(cell, Text) else Text(number(cell)) for cell in row))
    return drawn


def facts(pairs: Iterable[tuple[str, object]]) -> Group:
    """Names and values, one pair a line; pairs without a value are left out."""
    given = [
        (name, plain(value) if isinstance(value, str) else number(value)) for name, value in pairs if value is not None
    ]
    width = max((len(name) for name, _ in given), default=0)
    lines = (Text.assemble((f"{name:<{width}}", "bold"), "  ", value) for name, value in given)
    # Whole lines, however long: paths are to be copied.
    text = Text("\n", no_wrap=True, overflow="ignore").join(lines)
    return Group(text)  # since `print` joins bare texts to one that wraps


@dataclass(frozen=True)
class Screen:
    """Where a command shows what it does.

    Attributes:
        json: Results as one JSON document instead of tables.
        quiet: Neither progress nor messages.
    """

    json: bool = False
    quiet: bool = False

    @property
    def messages(self) -> Console:
        """The console on stderr."""
        return Console(file=sys.stderr, markup=False, highlight=False, emoji=False, quiet=self.quiet)

    def say(self, *lines: RenderableType) -> None:
        """A message to the user, on stderr."""
        for line in lines:
            self.messages.print(line, soft_wrap=isinstance(line, str))

    def show(self, document: Any, *shown: RenderableType) -> None:
        """The results, on stdout: `document` with `--json`, else `shown`."""
        if self.json:
            json_module.dump(_finite(document), sys.stdout, ensure_ascii=False, indent=2, default=str, allow_nan=False)
            sys.stdout.write("\n")
        else:
            console = Console(file=sys.stdout, markup=False, highlight=False, emoji=False)
            usual = console.width
            for place, part in enumerate(shown):
                # A narrow terminal breaks the lines of a table: better than one without its names.
                console.width = max(usual, TABLE_WIDTH) if isinstance(part, Table) else usual
                console.print(*([""] if place else []), part, sep="\n", crop=False)


def _finite(value: Any) -> Any:
    """The document with null for what JSON has no number for, such as an infinite perplexity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
