"""What a table is made of: its names, and which columns hold the text and the label.

Everything is decided on the first rows, before a record is read, and can be said by the user instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from elmo_cli.config import DataSettings
from elmo_cli.data.delimited import NAMES, USUAL, find_delimiter, read_rows
from elmo_cli.data.files import Kind, kind_of, read_lines
from elmo_cli.data.objects import Row, field_names, row_word, sample_objects
from elmo_cli.data.values import as_text, check_value
from elmo_cli.errors import DataError, nearest

SAMPLE_ROWS = 200

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
class Table:
    """The make-up of a file of texts.

    Attributes:
        kind: What the file is.
        columns: Names; "1", "2", ... where the file has none; empty for a text file.
        text: The columns that hold the text, joined by a space.
        label: The column that holds the label, where there is one.
        has_header: Whether columns have names of their own.
        rows: The first rows, without names.
        delimiter: The sign between the columns, where there is one.
        text_reason: Why these are the text.
        label_reason: Why this is the label.
    """

    kind: Kind
    columns: tuple[str, ...]
    text: tuple[str, ...]
    label: str | None
    has_header: bool
    rows: tuple[tuple[str, ...], ...]
    delimiter: str | None = None
    text_reason: str = ""
    label_reason: str = ""

    @property
    def unusual_delimiter(self) -> str | None:
        """What separates the columns, in words, where it is not what the file's name says."""
        usual = USUAL.get(self.kind)
        return None if self.delimiter in (None, usual) else NAMES.get(self.delimiter or "", f"'{self.delimiter}'")


def sniff(path: Path, data: DataSettings, *, labelled: bool = True) -> Table:
    """Find out what a file holds from its first rows.

    Args:
        path: The file; of a text file only the first lines are given.
        data: How to read it, and columns and header as far as the user named them.
        labelled: Whether a label column that the user named must be there.

    Raises:
        DataError: The file is missing, empty, or not what its name says; or a named column is not in it.
    """
    kind = kind_of(path)
    if kind == "text":
        lines = (line.strip() for line in read_lines(path, data.encoding))
        return Table(kind, (), (), None, False, tuple((line,) for line in islice(filter(None, lines), SAMPLE_ROWS)))
    if kind in ("jsonl", "parquet"):
        return _sniff_objects(path, kind, data, labelled=labelled)
    delimiter = find_delimiter(path, kind, data)
    rows = [row for _, row in islice(read_rows(path, delimiter, data.encoding), SAMPLE_ROWS + 1)]
    if not rows:
        raise DataError(f"{path} is empty", where=path, expected="rows of text", remedy="give a file with rows in it")
    has_header = _has_header(rows, data)
    if has_header and len(rows) == 1:
        raise DataError(
            f"{path} holds column names but no rows",
            where=path,
            expected="a row for each text",
            remedy="give a file with rows in it",
        )
    names = tuple(name.strip() or str(place) for place, name in enumerate(rows[0], start=1))
    columns = names if has_header else tuple(str(place) for place in range(1, len(names) + 1))
    body = [row for row in rows[1 if has_header else 0 :] if len(row) >= len(columns)]
    label, label_reason = _label_column(path, columns, body, data, labelled=labelled, has_header=has_header)
    text, text_reason = _text_columns(path, columns, body, data, label, has_header=has_header)
    shown = tuple(tuple(row) for row in body)
    return Table(kind, columns, text, label, has_header, shown, delimiter, text_reason, label_reason)


def _sniff_objects(path: Path, kind: Kind, data: DataSettings, *, labelled: bool) -> Table:
    rows = sample_objects(path, kind, data, SAMPLE_ROWS)
    if not rows:
        raise DataError(f"{path} is empty", where=path, expected="rows of text", remedy="give a file with rows in it")
    columns = field_names(rows)
    _refuse_nested(path, kind, rows, columns, data)
    cells = [[as_text(row.get(name)) for name in columns] for row in rows]
    label, label_reason = _label_column(path, columns, cells, data, labelled=labelled, has_header=True)
    text, text_reason = _text_columns(path, columns, cells, data, label, has_header=True)
    shown = tuple(tuple(row) for row in cells)
    return Table(kind, columns, text, label, True, shown, None, text_reason, label_reason)


def _refuse_nested(path: Path, kind: Kind, rows: Sequence[Row], columns: Sequence[str], data: DataSettings) -> None:
    """See that no field that the user named holds what is no text."""
    for name in (*data.text, data.label):
        for number, row in enumerate(rows, start=1):
            if name is not None and name not in columns and name in row:
                check_value(row[name], name, f"{path}, {row_word(kind)} {number}", columns)
    if not columns:
        found = ", ".join(rows[0]) or "nothing"
        raise DataError(
            f"{path.name} has no field of text or numbers, but {found}",
            where=path,
            expected="a field that holds a text",
            remedy="write the texts as strings in a field of their own",
        )


def _normal(name: str) -> str:
    return name.strip().lower().replace("_", " ").replace("-", " ")


def _has_header(rows: Sequence[Sequence[str]], data: DataSettings) -> bool:
    if data.header != "auto":
        return data.header == "yes"
    first, rest = [cell.strip() for cell in rows[0]], rows[1:]
    named = {*data.text, data.label} - {None}
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


def _mean_length(cells: Sequence[str]) -> float:
    return sum(map(len, cells)) / len(cells) if cells else 0.0


def _cells(columns: Sequence[str], rows: Sequence[Sequence[str]], name: str) -> list[str]:
    place = columns.index(name)
    return [row[place].strip() for row in rows]


def _require(path: Path, columns: Sequence[str], name: str, setting: str, *, has_header: bool) -> None:
    if name in columns:
        return
    numbered = "" if has_header else f"{path.name} has no column names, so its columns are numbered; "
    raise DataError(
        f"there is no column '{name}'",
        where=f"{path}, line 1",
        expected="one of " + ", ".join(columns),
        remedy=f"{numbered}{nearest(name, columns)} (setting {setting})",
    )


def _label_column(
    path: Path,
    columns: tuple[str, ...],
    rows: Sequence[Sequence[str]],
    data: DataSettings,
    *,
    labelled: bool,
    has_header: bool,
) -> tuple[str | None, str]:
    """The column named by the user, or by a usual name, or else the one with the fewest distinct short values; why."""
    if data.label is not None and (labelled or data.label in columns):
        _require(path, columns, data.label, "data.label", has_header=has_header)
        return data.label, "named in the settings"
    free = [name for name in columns if name not in data.text]
    named = [name for name in free if _normal(name) in _LABEL_NAMES]
    if has_header and named:
        return named[0], "by its name"
    most = min(_MOST_CLASSES, max(2, len(rows) // 2))
    few: list[tuple[bool, int, int, str]] = []
    for place, name in enumerate(free):
        if has_header and _normal(name) in _TITLE_NAMES | _TEXT_NAMES:
            continue  # however few the texts are
        cells = _cells(columns, rows, name)
        distinct = len(set(cells))
        if distinct <= most and all(cells) and _mean_length(cells) <= _LONGEST_LABEL:
            few.append((distinct == 1, distinct, place, name))
    if len(columns) == 1 or (not few and has_header):
        return None, ""
    # Without names the label comes first, as in AG News, unless only another column can be one.
    if not has_header and columns[0] in free and (not few or columns[0] in {name for *_, name in few}):
        return columns[0], "the first column, as there are no names"
    return (min(few)[-1], "the fewest distinct short values") if few else (None, "")


def _text_columns(
    path: Path,
    columns: tuple[str, ...],
    rows: Sequence[Sequence[str]],
    data: DataSettings,
    label: str | None,
    *,
    has_header: bool,
) -> tuple[tuple[str, ...], str]:
    """The columns named by the user, or the longest, with a title if there is one; all of a file without names; why."""
    for name in data.text:
        _require(path, columns, name, "data.text", has_header=has_header)
    if data.text:
        return data.text, "named in the settings"
    free = [name for name in columns if name != label]
    wordy = [name for name in free if not all(_NUMBER.fullmatch(cell) for cell in _cells(columns, rows, name))] or free
    if not wordy:
        raise DataError(
            f"{path.name} has no column of text beside its label '{label}'",
            where=f"{path}, line 1",
            expected="at least two columns",
            remedy="name the text column (setting data.text)",
        )
    if not has_header:
        return tuple(wordy), "all columns of words, as there are no names"
    longest = max(wordy, key=lambda name: _mean_length(_cells(columns, rows, name)))
    text = tuple(name for name in wordy if name == longest or _normal(name) in _TITLE_NAMES)
    return text, "the longest values" if len(text) == 1 else "the longest values, and a title"
