"""Showing: results to stdout, progress and messages to stderr, all of it plain text to rich, never markup.

Colour follows the terminal; with `NO_COLOR` there is no escape sequence in it, even where colour is forced. What is
shown fits the terminal: a table that does not is written row by row.
"""

from __future__ import annotations

import json as json_module
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from textwrap import wrap
from typing import Any, TextIO, cast

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from elmo_cli.errors import plain
from elmo_cli.report.cells import Interval, Name, Number, Table, p_text

BLOCKS = "▁▂▃▄▅▆▇█"
GAP = 2  # columns between those of a table
LEAST_NAME = 12  # columns that a name must have beside its figures
LEAST_VALUE = 16  # columns that a value must have beside its name


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


def cell_text(cell: object) -> str:
    """A cell, or a bare value, in the short form of a terminal: shares as they are, intervals as `0.871..0.889`."""
    match cell:
        case Name():
            return plain(cell.marked)
        case Interval(bounds=bounds):
            return "-" if bounds is None else "..".join(f"{bound:.3f}" for bound in bounds)
        case Number(value=value) if value is not None:
            if cell.unit == "rate":
                return f"{100 * value:.2f}"
            if cell.unit == "difference":
                return f"{value:+.4f}"
            return p_text(value) if cell.unit == "p" else number(value)
    return number(cell.value if isinstance(cell, Number) else cell)


def lambda_bars(lambdas: Sequence[float] | None, gamma: float | None = None) -> str:
    """Layer weights as small bars with their figures, e.g. `λ ▂▆▃ 0.12 0.61 0.27  γ 1.08`; empty without weights."""
    if lambdas is None:
        return ""
    bars = "".join(BLOCKS[min(len(BLOCKS) - 1, int(max(0.0, value) * len(BLOCKS)))] for value in lambdas)
    figures = " ".join(f"{value:.2f}" for value in lambdas)
    return f"λ {bars} {figures}" + ("" if gamma is None else f"  γ {gamma:.2f}")


@dataclass(frozen=True)
class FittedTable:
    """A table whose first column names the row, written row by row where it would not fit."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Text]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """The table, or its rows one after the other."""
        widths = [
            max(cell.cell_len for cell in (Text(name), *(row[place] for row in self.rows)))
            for place, name in enumerate(self.columns)
        ]
        left = options.max_width - sum(width + GAP for width in widths[1:])
        # In a file names stay whole, for who searches it.
        least = min(widths[0], LEAST_NAME) if console.is_terminal else widths[0]
        if left >= max(cell_len(self.columns[0]), least):
            drawn = RichTable(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
            drawn.add_column(Text(self.columns[0]), overflow="fold")
            for name in self.columns[1:]:
                drawn.add_column(Text(name), justify="right", overflow="fold", no_wrap=True)
            for row in self.rows:
                drawn.add_row(*row)
            yield drawn
        else:
            yield from self._row_by_row(options.max_width)

    def _row_by_row(self, width: int) -> Iterator[Text]:
        """The heading of the names, then each name with its figures below it, each figure with its heading."""
        yield Text(self.columns[0], style="bold", overflow="fold")
        for name, *cells in self.rows:
            yield Text.assemble(name, overflow="fold")
            line = ""
            for heading, cell in zip(self.columns[1:], cells, strict=True):
                pair = f"{heading} {cell.plain}".strip()
                if line and len(line) + 2 + len(pair) > width:
                    yield Text(line, overflow="fold")
                    line = ""
                line += f"  {pair}"
            yield Text(line, overflow="fold")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> FittedTable:
    """A table whose first column is text and whose others are figures; a cell that is a `Text` stays as it is."""
    texts = [[cell if isinstance(cell, Text) else Text(cell_text(cell)) for cell in row] for row in rows]
    return FittedTable(columns, texts)


def table_of(cells: Table) -> FittedTable:
    """A table of cells."""
    return table(cells.columns, cells.rows)


@dataclass(frozen=True)
class Facts:
    """Names and values, one pair a line, long values wrapped beside their names; paths stay whole, to be copied."""

    pairs: Sequence[tuple[str, object]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """The lines."""
        width = max((len(name) for name, _ in self.pairs), default=0)
        left = max(LEAST_VALUE, options.max_width - width - 2)
        for name, value in self.pairs:
            text = number(value)
            whole = isinstance(value, Path)
            lines = [text] if whole else wrap(text, left, break_long_words=False, break_on_hyphens=False)
            for place, line in enumerate(lines or [""]):
                shown = Text(no_wrap=True, overflow="ignore")
                yield shown.append(f"{'' if place else name:<{width}}", "bold").append(f"  {line}")


def facts(pairs: Iterable[tuple[str, object]]) -> Facts:
    """Names and values, one pair a line; pairs without a value are left out."""
    return Facts([(name, value) for name, value in pairs if value is not None])


def console_on(file: TextIO, quiet: bool = False) -> Console:
    """A console that takes its text as it is, and with `NO_COLOR` writes it as it is too."""
    bare = bool(os.environ.get("NO_COLOR"))
    return Console(
        file=file,
        markup=False,
        highlight=False,
        emoji=False,
        quiet=quiet,
        color_system=None if bare else "auto",
        force_terminal=file.isatty() if bare else None,
    )


@dataclass(frozen=True)
class Output:
    """Where a command shows what it does: with `json` results as one document, with `quiet` no tables, no messages."""

    json: bool = False
    quiet: bool = False

    @property
    def messages(self) -> Console:
        """The console on stderr."""
        return console_on(sys.stderr, self.quiet)

    def say(self, *lines: RenderableType) -> None:
        """A message to the user, on stderr."""
        for line in lines:
            self.messages.print(line, soft_wrap=isinstance(line, str))

    def show(self, document: Any, *shown: RenderableType) -> None:
        """The results, on stdout: `document` with `--json`, which is data, else `shown`, unless all is to be quiet."""
        if self.json:
            json_module.dump(
                _finite(document), data_stream(), ensure_ascii=False, indent=2, default=str, allow_nan=False
            )
            sys.stdout.write("\n")
        elif not self.quiet:
            console = console_on(sys.stdout)
            for place, part in enumerate(shown):
                console.print(*([""] if place else []), part, sep="\n", crop=False)


def data_stream() -> TextIO:
    """Standard output for data, which are UTF-8 whatever letters the terminal knows.

    A file gets them as they are. A terminal is shown what it would obey, such as an escape sequence in a text.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    return cast(TextIO, _Terminal(sys.stdout)) if sys.stdout.isatty() else sys.stdout


class _Terminal:
    """A stream that sends lines and tabs, and otherwise `plain` text."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        self._out.write("".join(sign if sign in "\n\t" else plain(sign) for sign in text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)


def _finite(value: Any) -> Any:
    """The document with null for what JSON has no number for, such as an infinite perplexity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
