"""What a CSV file is made of: whether it begins with names, and which columns hold the text and the label.

Everything is decided on the first rows, before a record is read, and can be said by the user instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from elmo_cli.config import DataSettings
from elmo_cli.errors import DataError, nearest
from elmo_cli.text.files import delimiter_of, read_lines, read_rows

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
        columns: Names; "1", "2", ... where the file has none; empty for a text file.
        text: The columns that hold the text, joined by a space.
        label: The column that holds the label, where there is one.
        has_header: Whether the first row holds names.
        rows: The first rows, without names.
    """

    columns: tuple[str, ...]
    text: tuple[str, ...]
    label: str | None
    has_header: bool
    rows: tuple[tuple[str, ...], ...]


def sniff(path: Path, data: DataSettings, *, labelled: bool = True) -> Table:
    """Find out what a file holds from its first rows.

    Args:
        path: A CSV file; of a text file only the first lines are given.
        data: Columns and header as far as the user named them.
        labelled: Whether a label column that the user named must be there.

    Raises:
        DataError: The file is missing, empty, or not what its name says; or a named column is not in it.
    """
    delimiter = delimiter_of(path)
    if delimiter is None:
        lines = (line.strip() for line in read_lines(path))
        return Table((), (), None, False, tuple((line,) for line in islice(filter(None, lines), SAMPLE_ROWS)))
    rows = [row for _, row in islice(read_rows(path, delimiter), SAMPLE_ROWS + 1)]
    if not rows:
        raise DataError(f"{path} is empty", where=path, expected="rows of text")
    _refuse_other_delimiter(path, rows, delimiter)
    has_header = _has_header(rows, data)
    if has_header and len(rows) == 1:
        raise DataError(f"{path} holds column names but no rows", where=path, expected="a row for each text")
    names = tuple(name.strip() or str(place) for place, name in enumerate(rows[0], start=1))
    columns = names if has_header else tuple(str(place) for place in range(1, len(names) + 1))
    body = [row for row in rows[1 if has_header else 0 :] if len(row) >= len(columns)]
    label = _label_column(path, columns, body, data, labelled=labelled, has_header=has_header)
    text = _text_columns(path, columns, body, data, label, has_header=has_header)
    return Table(columns, text, label, has_header, tuple(tuple(row) for row in body))


def _refuse_other_delimiter(path: Path, rows: Sequence[Sequence[str]], delimiter: str) -> None:
    """A table of one column, all of whose rows have as many columns at another sign, was written with that sign."""
    if len(rows[0]) > 1 or len(rows) == 1:
        return
    names = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
    for other in names:
        if other != delimiter and other in rows[0][0] and _splits_evenly(path, other, len(rows)):
            raise DataError(
                f"{path.name} seems to have its columns separated by {names[other]}",
                where=f"{path}, line 1",
                expected=f"columns separated by {names[delimiter]}",
                remedy="rename it to end in .tsv" if other == "\t" else f"save it with {names[delimiter]}",
            )


def _splits_evenly(path: Path, delimiter: str, count: int) -> bool:
    try:
        return len({len(row) for _, row in islice(read_rows(path, delimiter), count)}) == 1
    except DataError:
        return False


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
) -> str | None:
    """The column named by the user, or by a usual name, or else the one with the fewest distinct short values."""
    if data.label is not None and (labelled or data.label in columns):
        _require(path, columns, data.label, "data.label", has_header=has_header)
        return data.label
    free = [name for name in columns if name not in data.text]
    named = [name for name in free if _normal(name) in _LABEL_NAMES]
    if has_header and named:
        return named[0]
    most = min(_MOST_CLASSES, max(2, len(rows) // 2))
    few: list[tuple[bool, int, int, str]] = []
    for place, name in enumerate(free):
        cells = _cells(columns, rows, name)
        distinct = len(set(cells))
        if distinct <= most and all(cells) and _mean_length(cells) <= _LONGEST_LABEL:
            few.append((distinct == 1, distinct, place, name))
    if len(columns) == 1 or (not few and has_header):
        return None
    # Without names the label comes first, as in AG News, unless only another column can be one.
    if not has_header and columns[0] in free and (not few or columns[0] in {name for *_, name in few}):
        return columns[0]
    return min(few)[-1] if few else None


def _text_columns(
    path: Path,
    columns: tuple[str, ...],
    rows: Sequence[Sequence[str]],
    data: DataSettings,
    label: str | None,
    *,
    has_header: bool,
) -> tuple[str, ...]:
    """The columns named by the user, or the longest, with a title where there is one; all of a file without names."""
    for name in data.text:
        _require(path, columns, name, "data.text", has_header=has_header)
    if data.text:
        return data.text
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
        return tuple(wordy)
    longest = max(wordy, key=lambda name: _mean_length(_cells(columns, rows, name)))
    return tuple(name for name in wordy if name == longest or _normal(name) in _TITLE_NAMES)
