"""The blocks that a report page is made of: plain data, laid out by the templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from elmo_cli.report.cells import Table
from elmo_cli.report.figures import Drawing, shares_of_classes

MOST_CLASSES, MOST_SHADES = 12, 60  # of a matrix with figures, and of one of shades alone
MOST_CONFUSIONS = 20


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix: counts of texts by true and predicted class."""

    title: str
    classes: Sequence[str]
    counts: Sequence[Sequence[int]]

    @property
    def cells(self) -> list[list[tuple[int, float]]]:
        """(count, share of the true class) by true and predicted class."""
        shares = shares_of_classes(self.counts)
        return [list(zip(*pair, strict=True)) for pair in zip(self.counts, shares, strict=True)]

    @property
    def accuracy(self) -> float:
        """Share on the diagonal."""
        right = sum(guesses[true] for true, guesses in enumerate(self.counts))
        return right / max(1, sum(map(sum, self.counts)))

    @property
    def small(self) -> bool:
        """Whether it can still be read as a matrix of figures."""
        return len(self.classes) <= MOST_CLASSES

    @property
    def shaded(self) -> bool:
        """Whether it can still be seen as a matrix of shades."""
        return len(self.classes) <= MOST_SHADES

    @property
    def confused(self) -> list[tuple[str, str, int, float]]:
        """The most frequent mistakes: true and predicted class, count, share of the true class."""
        found = [
            (self.classes[true], self.classes[guess], count, share)
            for true, guesses in enumerate(self.cells)
            for guess, (count, share) in enumerate(guesses)
            if count and true != guess
        ]
        return sorted(found, key=lambda one: -one[2])[:MOST_CONFUSIONS]


@dataclass(frozen=True)
class Answer:
    """The class that a row or run predicts for a text, with its probability where it has one."""

    name: str
    predicted: str
    probability: float | None


@dataclass(frozen=True)
class Example:
    """A text with its true class and what was made of it."""

    text: str
    label: str
    answers: Sequence[Answer]
    what: str = "true class"  # what the label is


@dataclass(frozen=True)
class Block:
    """A headline and what is below it, in the order of the fields.

    Attributes:
        notes: How to read what follows, a sentence each.
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
        kind: In words.
        lead: The conclusion in short sentences, with the warnings that belong beside it.
        blocks: None of them empty; no blocks if the run has neither results nor metrics.
        missing: What the run does not hold.
    """

    name: str
    kind: str
    lead: Sequence[str]
    warnings: Sequence[str]
    blocks: Sequence[Block]
    missing: Sequence[str] = ()
