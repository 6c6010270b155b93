"""The blocks that a report page is made of, and how it writes figures: plain data, laid out by the templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from elmo_cli.report.figures import Drawing

MOST_CLASSES = 24
MOST_CONFUSIONS = 20


@dataclass(frozen=True)
class Cell:
    """A first cell that needs more than its text.

    Attributes:
        text: The name.
        tags: What is to be known of it at a glance.
    """

    text: str
    tags: tuple[str, ...] = ()


Rows = Sequence[Sequence[str | Cell]]


@dataclass(frozen=True)
class Table:
    """A table whose first column names the row.

    Attributes:
        columns: Headings.
        rows: Texts, as many as there are columns.
        title: Above it, where the block holds more than one.
        words: Whether its cells hold words, not figures.
    """

    columns: Sequence[str]
    rows: Rows
    title: str = ""
    words: bool = False


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix.

    Attributes:
        title: Above it.
        classes: Names.
        rows: (count, share of the true class) by true and predicted class.
        accuracy: Share on the diagonal.
    """

    title: str
    classes: Sequence[str]
    rows: Sequence[Sequence[tuple[int, float]]]
    accuracy: float

    @property
    def small(self) -> bool:
        """Whether it can still be read as a matrix."""
        return len(self.classes) <= MOST_CLASSES

    @property
    def confused(self) -> list[tuple[str, str, int, float]]:
        """The most frequent mistakes: true and predicted class, count, share of the true class."""
        found = [
            (self.classes[true], self.classes[guess], count, share)
            for true, row in enumerate(self.rows)
            for guess, (count, share) in enumerate(row)
            if count and true != guess
        ]
        return sorted(found, key=lambda one: -one[2])[:MOST_CONFUSIONS]


@dataclass(frozen=True)
class Example:
    """A text with what was made of it: (row, predicted class, probability, right) each."""

    text: str
    label: str
    answers: Sequence[tuple[str, str, str, bool]]


@dataclass(frozen=True)
class Block:
    """A headline and what is below it, in the order of the fields.

    Attributes:
        title: Of the block.
        notes: Sentences.
        tables: Tables.
        figures: To be drawn.
        matrices: Confusion matrices.
        examples: Texts.
        items: A list.
        closed: Whether the reader opens it.
        hint: How a run comes to hold what the block shows.
    """

    title: str
    notes: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Drawing] = ()
    matrices: Sequence[Matrix] = ()
    examples: Sequence[Example] = ()
    items: Sequence[str] = ()
    closed: bool = False
    hint: str = ""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.tables or self.figures or self.matrices or self.examples or self.items)

    @property
    def named(self) -> str:
        """The block within a sentence."""
        return self.title[0].lower() + self.title[1:] + f" ({self.hint})" * bool(self.hint)


@dataclass(frozen=True)
class Part:
    """What a page shows of one run.

    Attributes:
        name: Of the run.
        kind: In words.
        lead: The conclusion.
        warnings: Sentences that belong beside it.
        blocks: None of them empty; no blocks if the run has neither results nor metrics.
        missing: What the run does not hold.
    """

    name: str
    kind: str
    lead: str
    warnings: Sequence[str]
    blocks: Sequence[Block]
    missing: Sequence[str] = field(default=())


def number(value: float | None) -> str:
    """A figure: whole with separators, else rounded; an absent one as a dash."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"


def percent(share: float | None) -> str:
    """A share in per cent, without the sign; an absent one as a dash."""
    return "-" if share is None else f"{100 * share:.2f}"


def interval(bounds: Sequence[float] | None, sign: str = "") -> str:
    """Bounds in per cent or, with `+` as sign, in points."""
    return "-" if bounds is None else f"{100 * bounds[0]:{sign}.2f} to {100 * bounds[1]:{sign}.2f}"


def points(share: float | None) -> str:
    """A difference of shares in points."""
    return "-" if share is None else f"{100 * share:+.2f}"


def p_value(value: float | None) -> str:
    """A p value."""
    return "-" if value is None else f"{value:.4f}" if value >= 0.0001 else "< 0.0001"
