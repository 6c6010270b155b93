"""What every format of files does: find its columns, and give its records with their lines.

A format is one class, registered in `elmo_cli.data.formats`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from elmo_cli.config import ReadingSettings
from elmo_cli.data.columns import Columns
from elmo_cli.data.files import OnBytes
from elmo_cli.errors import DataError

Refuse = Callable[[DataError], object]  # given the error of a row that cannot be used

SAMPLE_ROWS = 200  # by which columns and delimiters are judged


@dataclass(frozen=True, slots=True)
class Record:
    """A text of a file.

    Attributes:
        text: Its columns joined by a space, cleaned as the settings say.
        label: Its label, in the one form of `elmo_cli.data.values`; None where labels were not asked for.
        line: The line of the file on which it begins; of Parquet the number of its row, from 1.
    """

    text: str
    label: str | None
    line: int


class Format(ABC):
    """A file in one format, read as often as it is asked; nothing is kept but where it is and how to read it.

    Attributes:
        kind: The format's name, as results have it.
        title: Its name in words.
        endings: How the names of its files end.
        settings: Names of the settings that change what is read.
        packed: Whether a file may be compressed, its name ending in `.gz`.
    """

    kind: ClassVar[str]
    title: ClassVar[str]
    endings: ClassVar[tuple[str, ...]]
    settings: ClassVar[frozenset[str]]
    packed: ClassVar[bool] = True

    def __init__(self, path: Path, reading: ReadingSettings) -> None:
        self.path = path
        self.reading = reading

    @abstractmethod
    def columns(self, *, labelled: bool) -> Columns:
        """Find out from the first rows which columns there are, and which hold the text and the label.

        Args:
            labelled: Whether a label column that the user named must be there.

        Raises:
            DataError: The file is missing, empty, or not what its name says; or a named column is not in it.
        """

    @abstractmethod
    def records(self, *, labelled: bool, refuse: Refuse, on_bytes: OnBytes | None = None) -> Iterator[Record]:
        """Stream the texts, not cleaned yet; see `elmo_cli.data.records.read_records`."""

    def row_count(self) -> int | None:
        """How many rows there are, where the file says it without being read."""
        return None

    def _empty(self, expected: str, holds: str) -> DataError:
        return DataError(
            f"{self.path} is empty",
            where=self.path,
            expected=expected,
            remedy=f"give a file with {holds} in it",
        )

    def _label_in(self, columns: Columns) -> str:
        """The label column, which must be there."""
        if columns.label is None:
            raise DataError(
                f"no column of {self.path.name} looks like a label: none has a usual name or few distinct values",
                where=f"{self.path}, line 1",
                expected="a label column among " + ", ".join(columns.names),
                remedy="name it (setting data.label)",
            )
        return columns.label


def no_label(column: str | None, where: str) -> DataError:
    """The error for a row whose label is empty."""
    return DataError(
        f"the label is empty (column '{column}')",
        where=where,
        expected="a label in every row",
        remedy="fill it in, or remove the row",
    )
