"""Cells of tables: what stands at one place, before an output decides how it looks.

A result becomes cells once (`result_cells`). The page, Markdown and LaTeX write them with `printed`, the terminal in
its own short form, CSV files and data frames take their values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

# A rate is a share that is told in per cent even where shares are told as they are.
Unit = Literal["plain", "share", "rate", "difference", "weight", "p"]
Mark = Literal["base", "best", "reference"]
MARKS: dict[Mark, str] = {"base": "*", "best": "†", "reference": "‡"}
SMALLEST_P = 0.001  # smaller ones are told as that: of a resampling, which has a floor, they say no more


@dataclass(frozen=True)
class Number:
    """A figure, if there is one; a share is told from 0 to 1, with its sd over seeds if that is to stand beside it."""

    value: float | None
    unit: Unit = "plain"
    sd: float | None = None


@dataclass(frozen=True)
class Interval:
    """Lower and upper bound of a share or of a difference of shares, if there are any."""

    bounds: Sequence[float] | None
    unit: Literal["share", "difference"] = "share"


@dataclass(frozen=True)
class Name:
    """A name, with what is to be known of it: `marks` where there is a legend, `tags` where there is room for words."""

    text: str
    marks: tuple[Mark, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def marked(self) -> str:
        """The name and its signs."""
        return " ".join([self.text, *(MARKS[mark] for mark in self.marks)])


Cell = str | bool | None | Number | Interval | Name
Cells = Mapping[str, Cell]  # of one row, by what they tell


@dataclass(frozen=True)
class Table:
    """Headings and rows of as many cells, the first of which names the row; `words` if the others are not figures."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    words: bool = False


def select(rows: Iterable[Cells], names: Sequence[str], headings: Sequence[str] = (), title: str = "") -> Table:
    """The table of those cells of each row that are named; by default the names are their headings."""
    return Table(headings or names, [[row[name] for name in names] for row in rows], title)


def value_of(cell: Cell) -> str | float | None:
    """The bare value of a cell, for a file or a data frame that others compute with.

    Raises:
        TypeError: It is an interval, whose bounds are cells of their own there.
    """
    if isinstance(cell, Interval):
        raise TypeError("an interval is two values")
    if isinstance(cell, Number):
        return cell.value
    return cell.text if isinstance(cell, Name) else cell


def printed(cell: Cell) -> str:
    """A cell for a page or for print: shares in per cent, differences in points, what is absent as a dash."""
    if isinstance(cell, Interval):
        return "-" if cell.bounds is None else " to ".join(_in_percent(bound, cell.unit) for bound in cell.bounds)
    if isinstance(cell, Name):
        return cell.marked
    if not isinstance(cell, Number):
        return "-" if cell is None else str(cell)
    if cell.value is None:
        return "-"
    if cell.sd is not None:
        return f"{_in_percent(cell.value)} ± {_in_percent(cell.sd)}"
    return _figure(cell.value, cell.unit)


def p_text(value: float) -> str:
    """A p value, as all outputs tell it that are not computed with."""
    return f"{value:.4f}" if value >= SMALLEST_P else f"< {SMALLEST_P}"


def _figure(value: float, unit: Unit) -> str:
    if unit == "p":
        return p_text(value)
    if unit == "weight":
        return f"{value:.3f}"
    if unit != "plain":
        return _in_percent(value, unit)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _in_percent(value: float, unit: Unit = "share") -> str:
    return f"{100 * value:{'+' * (unit == 'difference')}.2f}{' %' * (unit == 'rate')}"
