"""The blocks that a report page is made of: plain data, laid out by the templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from elmo_cli.report.cells import Table
from elmo_cli.report.figures import Drawing, shares_of_classes

MOST_CLASSES = 24
MOST_CONFUSIONS = 20


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix.

    Attributes:
        title: Stands above it.
        classes: Names of the classes.
        counts: Texts by true and predicted class.
    """

    title: str
    classes: Sequence[str]
    counts: Sequence[Sequence[int]]

    @property
    def rows(self) -> list[list[tuple[int, float]]]:
        """(count, share of the true class) by true and predicted class."""
        shares = shares_of_classes(self.counts)
        return [list(zip(counts, row, strict=True)) for counts, row in zip(self.counts, shares, strict=True)]

    @property
    def accuracy(self) -> float:
        """Share on the diagonal."""
        right = sum(row[place] for place, row in enumerate(self.counts))
        return right / max(1, sum(map(sum, self.counts)))

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
class Answer:
    """What a row or run says of a text.

    Attributes:
        name: The row or run.
        predicted: The class.
        probability: That it gives this class; None where it has no probabilities.
        right: Whether that is the true class.
    """

    name: str
    predicted: str
    probability: float | None
    right: bool


@dataclass(frozen=True)
class Example:
    """A text with its true class and what was made of it."""

    text: str
    label: str
    answers: Sequence[Answer]


@dataclass(frozen=True)
class Block:
    """A headline and what is below it, in the order of the fields.

    Attributes:
        title: Headline.
        notes: How to read what follows, a sentence each.
        tables: Tables.
        figures: Figures, drawn where they stand.
        matrices: Confusion matrices.
        examples: Texts with what was made of them.
        items: A list of sentences.
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
        name: Name of the run.
        kind: Its kind in words.
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
