"""Files of texts, with or without labels, as a stream of records."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from elmo_cli.config import DataSettings
from elmo_cli.data.cleaning import clean_ag_news
from elmo_cli.data.columns import Table, sniff
from elmo_cli.data.delimited import NAMES, read_rows
from elmo_cli.data.files import Kind, Seen, fingerprint, kind_of, read_lines
from elmo_cli.data.objects import Row, read_objects, row_word
from elmo_cli.data.values import as_label, as_text, check_value
from elmo_cli.errors import DataError

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

Refuse = Callable[[DataError], object]

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")


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


def _raise(error: DataError) -> None:
    raise error


def read_records(
    path: Path, data: DataSettings, *, labelled: bool, seen: Seen | None = None, refuse: Refuse = _raise
) -> Iterator[Record]:
    """Stream the texts of a file.

    Args:
        path: CSV, JSON lines or Parquet by its name, or anything else as one text a line, blank lines skipped; all but
            Parquet also as `.gz`.
        data: Encoding, delimiter, columns, header and cleaning.
        labelled: Whether each record needs a label.
        seen: Told now and then how many bytes of the file were read.
        refuse: Given the error of a row that cannot be used, which is left out if this returns; by default it raises.

    Raises:
        DataError: The file is missing, empty, in another encoding or broken; a column is missing; a row has more or
            fewer columns than the first; a label is empty. The message names file and line.
    """
    kind = kind_of(path)
    if kind == "text":
        records = _text_records(path, data, labelled, seen)
    elif kind in ("csv", "tsv"):
        records = _csv_records(path, data, labelled, seen, refuse)
    else:
        records = _object_records(path, kind, data, labelled, seen, refuse)
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
        path: A CSV, JSON lines or Parquet file.
        data: How to read it; its `limit` is not looked at, as it is meant for one file only.
        limit: Read only the first rows.
    """
    records = list(islice(read_records(path, data, labelled=True), limit))
    labels = tuple(record.label or "" for record in records)
    return LabelledTexts(tuple(record.text for record in records), labels, path)


def _text_records(path: Path, data: DataSettings, labelled: bool, seen: Seen | None) -> Iterator[Record]:
    if labelled:
        raise DataError(
            f"{path.name} is read as a text file, which has no labels",
            where=path,
            expected="a CSV, JSON lines or Parquet file with a text and a label column",
            remedy="give such a file, or rename the file if it is one",
        )
    empty = True
    for number, line in enumerate(read_lines(path, data.encoding, seen), start=1):
        if text := line.strip():
            empty = False
            yield Record(text, None, number)
    if empty:
        raise DataError(
            f"{path} is empty", where=path, expected="one text a line", remedy="give a file with text in it"
        )


def _csv_records(path: Path, data: DataSettings, labelled: bool, seen: Seen | None, refuse: Refuse) -> Iterator[Record]:
    table = sniff(path, data, labelled=labelled)
    width = len(table.columns)
    text_places = [table.columns.index(name) for name in table.text]
    label_place = table.columns.index(_label_of(path, table)) if labelled else None
    rows = read_rows(path, table.delimiter or ",", data.encoding, seen)
    for line, row in islice(rows, int(table.has_header), None):
        if len(row) != width and (len(row) < width or any(row[width:])):
            refuse(_wrong_width(path, line, row, table))
            continue
        label = None if label_place is None else as_label(row[label_place])
        if label == "":
            refuse(_no_label(table.label, f"{path}, line {line}"))
            continue
        yield Record(" ".join([row[place] for place in text_places]), label, line)


def _object_records(
    path: Path, kind: Kind, data: DataSettings, labelled: bool, seen: Seen | None, refuse: Refuse
) -> Iterator[Record]:
    table = sniff(path, data, labelled=labelled)
    label_field = _label_of(path, table) if labelled else None
    fields = [*table.text, *([label_field] if label_field is not None and label_field not in table.text else [])]
    for number, row in read_objects(path, kind, data, fields, seen):
        where = f"{path}, {row_word(kind)} {number}"
        try:
            for name in fields:
                if name not in row:
                    raise _no_field(name, row, where)
                check_value(row[name], name, where, table.columns)
            label = None if label_field is None else as_label(row[label_field])
            if label == "":
                raise _no_label(label_field, where)
        except DataError as error:
            refuse(error)
            continue
        yield Record(" ".join([as_text(row[name]) for name in table.text]), label, number)


def _no_field(name: str, row: Row, where: str) -> DataError:
    return DataError(
        f"there is no field '{name}', as there is in other rows",
        where=where,
        expected="the same fields in every row; here are " + (", ".join(row) or "none"),
        remedy="write it as null where a text has none, or remove the row",
    )


def _no_label(column: str | None, where: str) -> DataError:
    return DataError(
        f"the label is empty (column '{column}')",
        where=where,
        expected="a label in every row",
        remedy="fill it in, or remove the row",
    )


def _label_of(path: Path, table: Table) -> str:
    if table.label is None:
        raise DataError(
            f"no column of {path.name} looks like a label: none has a usual name or few distinct values",
            where=f"{path}, line 1",
            expected="a label column among " + ", ".join(table.columns),
            remedy="name it (setting data.label)",
        )
    return table.label


def _wrong_width(path: Path, line: int, row: Sequence[str], table: Table) -> DataError:
    width = len(table.columns)
    source = "the header names" if table.has_header else "the first row has"
    if len(row) < width:
        remedy = "a field is missing, or a line break inside a text is not in quotes"
    else:
        signs = NAMES.get(table.delimiter or "", "the delimiter")
        remedy = f"put texts that contain {signs} in quotes, or name another delimiter (setting data.delimiter)"
    return DataError(
        f"the row has {len(row)} column{'s' if len(row) > 1 else ''}, but {source} {width}",
        where=f"{path}, line {line}",
        expected=f"{width} columns: " + ", ".join(table.columns),
        remedy=remedy,
    )


def _natural(label: str) -> tuple[bool, float, str]:
    is_number = _NUMBER.fullmatch(label) is not None
    return not is_number, float(label) if is_number else 0.0, label
