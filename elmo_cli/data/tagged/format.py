"""What every format of tagged files does: give its sentences, token by token, with the tags and where they stand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from elmo_cli.config import ReadingSettings
from elmo_cli.data.files import OnBytes
from elmo_cli.errors import DataError


@dataclass(frozen=True, slots=True)
class TaggedSentence:
    """A sentence of a file, its tokens as they stand there."""

    tokens: tuple[str, ...]
    tags: tuple[str, ...]  # one for each token; none where tags were not asked for
    lines: Sequence[int]  # of each token, counted from 1; of Parquet the number of the row
    line: int  # where the sentence begins

    def where(self, path: Path, token: int) -> str:
        """Where one of its tokens stands, for an error."""
        return f"{path}, line {self.lines[token]}"


@dataclass(frozen=True, slots=True)
class TagColumns:
    """Which columns of a file hold tokens and tags, by number or name; None: as is usual in its format."""

    tokens: str | None = None
    tags: str | None = None


class TaggedFormat(ABC):
    """A file in one format, read as often as it is asked; nothing is kept but where it is and how to read it."""

    kind: ClassVar[str]  # its name, as results have it
    endings: ClassVar[tuple[str, ...]]  # how the names of its files end; of the first format all others
    packed: ClassVar[bool] = True  # whether a file may be compressed, its name ending in `.gz`

    def __init__(self, path: Path, reading: ReadingSettings, columns: TagColumns) -> None:
        self.path, self.reading, self.columns = path, reading, columns

    @abstractmethod
    def taken(self, *, tagged: bool) -> dict[str, str]:
        """Which columns are read: `tokens` and, with `tagged`, `tags`, each with the name or number of its column.

        Raises:
            DataError: The file is missing, empty or not what its name says; or a named column is not in it.
        """

    @abstractmethod
    def sentences(self, *, tagged: bool, on_bytes: OnBytes | None = None) -> Iterator[TaggedSentence]:
        """Stream the sentences; see `elmo_cli.data.tagged.read_tagged`."""

    def _no_tokens(self, what: str) -> DataError:
        return DataError(
            f"{self.path} holds no sentence",
            where=self.path,
            expected=what,
            remedy="give a file with tokens in it",
        )

    def _empty_sentence(self, where: str) -> DataError:
        remedy = "remove it, or give it tokens"
        return DataError("a sentence has no token", where=where, expected="one token at least", remedy=remedy)
