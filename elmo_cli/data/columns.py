"""Which columns of a file hold the text and the label.

Everything is decided on the first rows, before a record is read, and can be said by the user instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from elmo_cli.config import ReadingSettings
from elmo_cli.errors import DataError, nearest

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")
_LABEL_NAMES = {
    *("label", "labels", "class", "class index", "class id", "class name", "category", "target", "topic"),
    *("sentiment", "polarity", "y"),
}
_TITLE_NAMES = {"title", "headline", "subject"}
_TEXT_NAMES = {
    *("text", "description", "content", "body", "sentence", "review", "article", "document", "comment", "tweet"),
    *("message", "news", "summary", "abstract"),
}
_NAME = re.compile(r"[^\W\d][\w .:/()-]{0,39}")
_LONGEST_LABEL = 40  # mean characters of a column that may hold labels
_MOST_CLASSES = 100


@dataclass(frozen=True)
class Columns:
    """The columns of a file; none for a text file."""

    names: tuple[str, ...] = ()  # "1", "2", ... where the file has none
    text: tuple[str, ...] = ()  # those that hold the text, joined by a space
    label: str | None = None
    has_header: bool = False  # whether columns have names of their own
    text_reason: str = ""  # why these are the text
    label_reason: str = ""
    delimiter: str | None = None  # the sign between the columns, where there is one
    unusual_delimiter: str | None = None  # it in words, where it is not the usual one of the format


def find_columns(
    path: Path,
    reading: ReadingSettings,
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    labelled: bool,
    has_header: bool,
) -> Columns:
    """Choose the columns of text and label, by the user's names and by the first rows, a value for each column.

    Args:
        path: The file, for messages.
        reading: Columns as far as the user named them.
        names: All columns.
        rows: The first rows.
        labelled: Whether a label column that the user named must be there.
        has_header: Whether the names stand in the file.

    Raises:
        DataError: A named column is not there, or none is left for the text.
    """
    choice = _Choice(path, reading, tuple(names), rows, has_header)
    label, label_reason = choice.label(labelled)
    text, text_reason = choice.text(label)
    return Columns(choice.names, text, label, has_header, text_reason, label_reason)


def has_header(rows: Sequence[Sequence[str]], reading: ReadingSettings) -> bool:
    """Whether the first of some rows holds names of columns."""
    if reading.header != "auto":
        return reading.header == "yes"
    first, rest = [cell.strip() for cell in rows[0]], rows[1:]
    named = {*reading.text, reading.label} - {None}
    if named & set(first):
        return True
    if any(_NUMBER.fullmatch(cell) for cell in first):
        return False
    if any(_normal(cell) in _LABEL_NAMES | _TITLE_NAMES | _TEXT_NAMES for cell in first):
        return True
    below = [[row[place] for row in rest if place < len(row)] for place in range(len(first))]
    if any(cell and cell in cells for cell, cells in zip(first, below, strict=True)):
        return False  # a value that comes again is no name
    if not all(_NAME.fullmatch(cell) or not cell for cell in first):
        return False
    if any(cells and all(_NUMBER.fullmatch(cell.strip()) for cell in cells) for cells in below):
        return True
    longest = max(range(len(first)), key=lambda place: _mean_length(below[place]))
    return 3 * len(first[longest]) < _mean_length(below[longest])


@dataclass(frozen=True)
class _Choice:
    """What the columns of text and label are chosen by."""

    path: Path
    reading: ReadingSettings
    names: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    has_header: bool

    def label(self, labelled: bool) -> tuple[str | None, str]:
        """The column named by the user, or by a usual name, or the one with the fewest distinct short values; why."""
        asked = self.reading.label
        if asked is not None and (labelled or asked in self.names):
            self._require(asked, "data.label")
            return asked, "named in the settings"
        free = [name for name in self.names if name not in self.reading.text]
        named = [name for name in free if _normal(name) in _LABEL_NAMES]
        if self.has_header and named:
            return named[0], "by its name"
        most = min(_MOST_CLASSES, max(2, len(self.rows) // 2))
        few: dict[str, int] = {}  # distinct values of each column that may hold labels
        for name in free:
            if self.has_header and _normal(name) in _TITLE_NAMES | _TEXT_NAMES:
                continue  # however few the texts are
            cells = self._cells(name)
            if len(set(cells)) <= most and all(cells) and _mean_length(cells) <= _LONGEST_LABEL:
                few[name] = len(set(cells))
        if len(self.names) == 1 or (not few and self.has_header):
            return None, ""
        # Without names the label comes first, as in AG News, unless only another column can be one.
        first = self.names[0]
        if not self.has_header and first in free and (not few or first in few):
            return first, "the first column, as there are no names"
        # The same value everywhere tells nothing apart, so such a column comes last.
        found = min(few, key=lambda name: (few[name] == 1, few[name]), default=None)
        return found, "the fewest distinct short values" if found else ""

    def text(self, label: str | None) -> tuple[tuple[str, ...], str]:
        """The columns named by the user, or the longest, and a title; all where there are no names; why."""
        for name in self.reading.text:
            self._require(name, "data.text")
        if self.reading.text:
            return self.reading.text, "named in the settings"
        free = [name for name in self.names if name != label]
        wordy = [name for name in free if not all(map(_NUMBER.fullmatch, self._cells(name)))] or free
        if not wordy:
            found, where = f"{self.path.name} has no column of text beside its label '{label}'", f"{self.path}, line 1"
            remedy = "name the text column (setting data.text)"
            raise DataError(found, where=where, expected="at least two columns", remedy=remedy)
        if not self.has_header:
            return tuple(wordy), "all columns of words, as there are no names"
        longest = max(wordy, key=lambda name: _mean_length(self._cells(name)))
        text = tuple(name for name in wordy if name == longest or _normal(name) in _TITLE_NAMES)
        return text, "the longest values" if len(text) == 1 else "the longest values, and a title"

    def _cells(self, name: str) -> list[str]:
        place = self.names.index(name)
        return [row[place].strip() for row in self.rows]

    def _require(self, name: str, setting: str) -> None:
        if name in self.names:
            return
        numbered = "" if self.has_header else f"{self.path.name} has no column names, so its columns are numbered; "
        remedy, expected = f"{numbered}{nearest(name, self.names)} (setting {setting})", ", ".join(self.names)
        found, where = f"there is no column '{name}'", f"{self.path}, line 1"
        raise DataError(found, where=where, expected=f"one of {expected}", remedy=remedy)


def _normal(name: str) -> str:
    return name.strip().lower().replace("_", " ").replace("-", " ")


def _mean_length(cells: Sequence[str]) -> float:
    return sum(map(len, cells)) / len(cells) if cells else 0.0
