"""What every format of files does: find its columns, and give its records with their lines.

A format is one class, registered in `elmo_cli.data.formats`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

from elmo_cli.config import ReadingSettings
from elmo_cli.data.columns import Columns
from elmo_cli.data.files import OnBytes
from elmo_cli.errors import DataError

Refuse = Callable[[DataError], object]  # given the error of a row that cannot be used

SAMPLE_ROWS = 200  # by which columns and delimiters are judged
_SAMPLE_CHARACTERS = 1 << 26  # after which no more rows are taken

_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Record:
    """A text of a file."""

    text: str  # its columns joined by a space, cleaned as the settings say
    label: str | None  # in the one form of `elmo_cli.data.values`; None where labels were not asked for
    line: int  # of the file, on which it begins; of Parquet the number of its row, from 1


def sample(rows: Iterator[_Row], count: int, characters: Callable[[_Row], int]) -> list[_Row]:
    """The first rows, fewer of them where they are long."""
    taken: list[_Row] = []
    held = 0
    while held <= _SAMPLE_CHARACTERS and len(taken) < count and (row := next(rows, None)) is not None:
        taken.append(row)
        held += characters(row)
    return taken


class Format(ABC):
    """A file in one format, read as often as it is asked; nothing is kept but where it is and how to read it."""

    kind: ClassVar[str]  # its name, as results have it
    title: ClassVar[str]  # its name in words
    endings: ClassVar[tuple[str, ...]]  # how the names of its files end
    settings: ClassVar[frozenset[str]]  # names of the settings that change what is read
    packed: ClassVar[bool] = True  # whether a file may be compressed, its name ending in `.gz`

    def __init__(self, path: Path, reading: ReadingSettings) -> None:
        self.path = path
        self.reading = reading

    @abstractmethod
    def columns(self, *, labelled: bool) -> Columns:
        """Find out from the first rows which columns there are, and which hold the text and the label.

        With `labelled`, a label column that the user named must be there.

        Raises:
            DataError: The file is missing, empty, or not what its name says; or a named column is not in it.
        """

    @abstractmethod
    def records(self, *, labelled: bool, refuse: Refuse, on_bytes: OnBytes | None = None) -> Iterator[Record]:
        """Stream the texts, not cleaned yet; see `elmo_cli.data.records.read_records`."""

    def row_count(self) -> int | None:
        """How many rows there are, where the file says it without being read."""
        return None

    def _empty(self, holds: str) -> DataError:
        return DataError(
            f"{self.path} is empty",
            where=self.path,
            expected=f"{holds} of text",
            remedy=f"give a file with {holds} in it",
        )

    def _label_in(self, columns: Columns) -> str:
        """The label column, which must be there."""
        if columns.label is None:
            found = f"no column of {self.path.name} looks like a label: none has a usual name or few distinct values"
            where, expected = f"{self.path}, line 1", "a label column among " + ", ".join(columns.names)
            raise DataError(found, where=where, expected=expected, remedy="name it (setting data.label)")
        return columns.label


def no_label(column: str | None, where: str) -> DataError:
    """The error for a row whose label is empty."""
    found, remedy = f"the label is empty (column '{column}')", "fill it in, or remove the row"
    return DataError(found, where=where, expected="a label in every row", remedy=remedy)
