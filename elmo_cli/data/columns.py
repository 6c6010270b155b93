"""Which columns of a file hold the text and the label.

Everything is decided on the first rows, before a record is read, and can be said by the user instead.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
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
# Names of texts, the surest first: of two columns with such names the earlier name is the text.
_TEXT_ORDER = (
    *("text", "sentence", "content", "review", "review text", "body", "article", "document", "comment", "tweet"),
    *("message", "post", "utterance", "description", "news", "abstract", "summary"),
)
_TEXT_NAMES = set(_TEXT_ORDER)
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
    quoting: str | None = None  # what was taken of quotation marks where it might be otherwise, a sentence

    def taken(self, file: str) -> str:
        """What is read of a file of that name, as a sentence."""
        if not self.names:
            return f"the texts of {file} are its files, the labels {self.label_reason}"
        where, named = ("column" if self.has_header else "unnamed column"), ", ".join(self.text)
        text = f"the text of {file} is {where}{'s' if len(self.text) > 1 else ''} {named} ({self.text_reason})"
        return text + (f", the label {where} {self.label} ({self.label_reason})" if self.label is not None else "")


def find_columns(
    path: Path,
    reading: ReadingSettings,
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    labelled: bool,
    has_header: bool,
) -> Columns:
    """Choose the columns of text and label, as far as the user did not, by the first rows: a value for each of `names`.

    With `labelled`, a label column that the user named must be there.

    Raises:
        DataError: A named column is not there, or none is left for the text.
    """
    refuse_twins(path, names)
    for name, setting in [(reading.label, "data.label")] * labelled + [(name, "data.text") for name in reading.text]:
        if name is not None and name not in names:
            numbered = "" if has_header else f"{path.name} has no column names, so its columns are numbered; "
            remedy = f"{numbered}{nearest(name, names)} (setting {setting})"
            found, expected = f"there is no column '{name}'", "one of " + ", ".join(names)
            raise DataError(found, where=f"{path}, line 1", expected=expected, remedy=remedy)
    cells = {name: [row[names.index(name)].strip() for row in rows] for name in names}
    label, label_reason = _find_label(reading, cells, len(rows), has_header)
    text, text_reason = _find_text(reading, cells, label, has_header)
    if not text:
        found = f"{path.name} has no column of text beside its label '{label}'"
        remedy = "name the text column (setting data.text)"
        raise DataError(found, where=f"{path}, line 1", expected="at least two columns", remedy=remedy)
    return Columns(tuple(names), text, label, has_header, text_reason, label_reason)


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


def _find_label(
    reading: ReadingSettings, cells: Mapping[str, Sequence[str]], rows: int, has_header: bool
) -> tuple[str | None, str]:
    """The column named by the user, or by a usual name, or the one with the fewest distinct short values; why."""
    if reading.label in cells:
        return reading.label, "named in the settings"
    free = [name for name in cells if name not in reading.text]
    named = [name for name in free if _normal(name) in _LABEL_NAMES]
    if has_header and named:
        return named[0], "by its name"
    most = min(_MOST_CLASSES, max(2, rows // 2))
    few: dict[str, int] = {}  # distinct values of each column that may hold labels
    for name in free:
        if has_header and _normal(name) in _TITLE_NAMES | _TEXT_NAMES:
            continue  # however few the texts are
        distinct = len(set(cells[name]))
        if distinct <= most and all(cells[name]) and _mean_length(cells[name]) <= _LONGEST_LABEL:
            few[name] = distinct
    if len(cells) == 1 or (not few and has_header):
        return None, ""
    # Without names the label comes first, as in AG News, unless only another column can be one.
    first = next(iter(cells))
    if not has_header and first in free and (not few or first in few):
        return first, "the first column, as there are no names"
    # The same value everywhere tells nothing apart, so such a column comes last.
    found = min(few, key=lambda name: (few[name] == 1, few[name]), default=None)
    return found, "the fewest distinct short values" if found else ""


def _find_text(
    reading: ReadingSettings, cells: Mapping[str, Sequence[str]], label: str | None, has_header: bool
) -> tuple[tuple[str, ...], str]:
    """The columns named by the user, or by a usual name, or the most like sentences, and a title; why.

    All columns of words where there are no names. A column that repeats the label, as its number or its name, is none.
    """
    if reading.text:
        return reading.text, "named in the settings"
    free = [name for name in cells if name != label]
    wordy = [name for name in free if not all(map(_NUMBER.fullmatch, cells[name]))] or free
    wordy = [name for name in wordy if not _repeats(cells, name, label)] or wordy
    if not has_header or not wordy:
        return tuple(wordy), "all columns of words, as there are no names"
    titles = [name for name in wordy if _normal(name) in _TITLE_NAMES]
    named = [name for usual in _TEXT_ORDER for name in wordy if _normal(name) == usual]
    if named:
        text, reason = named[0], "by its name"
    elif titles:
        text, reason = titles[0], "by its name"
    else:
        # Identifiers, addresses and times may be longer than the texts, but hold no spaces between words.
        text = max(wordy, key=lambda name: (_mean_words(cells[name]), _mean_length(cells[name])))
        reason = "the longest values"
    together = tuple(name for name in wordy if name == text or name in titles)
    return together, reason if len(together) == 1 else f"{reason}, and a title"


def _repeats(cells: Mapping[str, Sequence[str]], name: str, label: str | None) -> bool:
    """Whether a column says of every row what the label says, as `label_text` does, so that it would give it away."""
    if label is None or _normal(name) in _TEXT_NAMES | _TITLE_NAMES:
        return False
    pairs = set(zip(cells[name], cells[label], strict=True))
    classes = len(set(cells[label]))
    # In a few rows each text may have a label of its own by chance.
    return len(pairs) == classes == len(set(cells[name])) and len(cells[label]) > classes


def refuse_twins(path: Path, names: Sequence[str]) -> None:
    """See that no two columns have one name: whichever was read, it might be the other that was meant."""
    for name, count in Counter(names).items():
        if count > 1:
            places = [str(place) for place, one in enumerate(names, start=1) if one == name]
            raise DataError(
                f"{count} columns of {path.name} have the name '{name}': columns {' and '.join(places)}",
                where=f"{path}, line 1",
                expected="a name of its own for each column",
                remedy="rename all but one of them",
            )


def _normal(name: str) -> str:
    return name.strip().lower().replace("_", " ").replace("-", " ")


def _mean_words(cells: Sequence[str]) -> float:
    return sum(len(cell.split()) for cell in cells) / len(cells) if cells else 0.0


def _mean_length(cells: Sequence[str]) -> float:
    return sum(map(len, cells)) / len(cells) if cells else 0.0
