"""Files of texts, with or without labels, as a stream of records."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from elmo_cli.config import DataSettings
from elmo_cli.errors import DataError
from elmo_cli.text.cleaning import clean_ag_news
from elmo_cli.text.files import delimiter_of, fingerprint, read_lines, read_rows
from elmo_cli.text.tables import Table, sniff

# What the other rooms need of this one's readers, from one place.
__all__ = [
    "LabelledTexts",
    "Record",
    "Table",
    "clean_ag_news",
    "fingerprint",
    "read_labelled",
    "read_records",
    "read_texts",
    "sniff",
]

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class Record:
    """A text of a file.

    Attributes:
        text: Its columns joined by a space, cleaned as the settings say.
        label: Its label; None where labels were not asked for.
        line: The line of the file on which it begins.
    """

    text: str
    label: str | None
    line: int


@dataclass(frozen=True)
class LabelledTexts:
    """The texts of a file with their labels, in its order."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    path: Path

    @property
    def classes(self) -> tuple[str, ...]:
        """The distinct labels, numbers in numerical order and before words."""
        return tuple(sorted(set(self.labels), key=_natural))


def read_records(path: Path, data: DataSettings, *, labelled: bool) -> Iterator[Record]:
    """Stream the texts of a file.

    Args:
        path: `.csv` or `.tsv`, or anything else as one text a line, blank lines skipped; each also as `.gz`.
        data: Columns, header and cleaning.
        labelled: Whether each record needs a label.

    Raises:
        DataError: The file is missing, empty, not UTF-8 or no proper CSV; a column is missing; a row has more or fewer
            columns than the first; a label is empty. The message names file and line.
    """
    delimiter = delimiter_of(path)
    records = _text_records(path, labelled) if delimiter is None else _csv_records(path, data, delimiter, labelled)
    if data.clean == "none":
        yield from records
    else:
        for record in records:
            yield Record(clean_ag_news(record.text), record.label, record.line)


def read_texts(paths: Sequence[Path], data: DataSettings) -> Iterator[str]:
    """Stream the texts of several files, one file after the other."""
    for path in paths:
        for record in read_records(path, data, labelled=False):
            yield record.text


def read_labelled(path: Path, data: DataSettings, limit: int | None = None) -> LabelledTexts:
    """Read a labelled file.

    Args:
        path: A CSV file.
        data: Columns, header and cleaning; its `limit` is not looked at, as it is meant for one file only.
        limit: Read only the first rows.
    """
    records = list(islice(read_records(path, data, labelled=True), limit))
    labels = tuple(record.label or "" for record in records)
    return LabelledTexts(tuple(record.text for record in records), labels, path)


def _text_records(path: Path, labelled: bool) -> Iterator[Record]:
    if labelled:
        raise DataError(
            f"{path.name} is read as a text file, which has no labels",
            where=path,
            expected="a CSV file with a text and a label column",
            remedy="give a .csv file, or rename the file if it is one",
        )
    empty = True
    for number, line in enumerate(read_lines(path), start=1):
        if text := line.strip():
            empty = False
            yield Record(text, None, number)
    if empty:
        raise DataError(f"{path} is empty", where=path, expected="one text a line")


def _csv_records(path: Path, data: DataSettings, delimiter: str, labelled: bool) -> Iterator[Record]:
    table = sniff(path, data, labelled=labelled)
    width = len(table.columns)
    text_places = [table.columns.index(name) for name in table.text]
    label_place = _label_place(path, table) if labelled else None
    for line, row in islice(read_rows(path, delimiter), int(table.has_header), None):
        if len(row) != width and (len(row) < width or any(row[width:])):
            raise _wrong_width(path, line, row, table)
        label = None if label_place is None else row[label_place].strip()
        if label == "":
            raise DataError(
                f"the label is empty (column '{table.label}')",
                where=f"{path}, line {line}",
                expected="a label in every row",
                remedy="fill it in, or remove the row",
            )
        yield Record(" ".join([row[place] for place in text_places]), label, line)


def _label_place(path: Path, table: Table) -> int:
    if table.label is None:
        raise DataError(
            f"no column of {path.name} looks like a label: none has a usual name or few distinct values",
            where=f"{path}, line 1",
            expected="a label column among " + ", ".join(table.columns),
            remedy="name it (setting data.label)",
        )
    return table.columns.index(table.label)


def _wrong_width(path: Path, line: int, row: Sequence[str], table: Table) -> DataError:
    width = len(table.columns)
    source = "the header names" if table.has_header else "the first row has"
    if len(row) < width:
        remedy = "a field is missing, or a line break inside a text is not in quotes"
    else:
        remedy = "put texts that contain commas in quotes"
    return DataError(
        f"the row has {len(row)} column{'s' if len(row) > 1 else ''}, but {source} {width}",
        where=f"{path}, line {line}",
        expected=f"{width} columns: " + ", ".join(table.columns),
        remedy=remedy,
    )


def _natural(label: str) -> tuple[bool, float, str]:
    is_number = _NUMBER.fullmatch(label) is not None
    return not is_number, float(label) if is_number else 0.0, label
