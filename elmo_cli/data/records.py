"""Files of texts, with or without labels, as a stream of records."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from elmo_cli.config import ReadingSettings
from elmo_cli.data.cleaning import CLEANINGS
from elmo_cli.data.files import OnBytes
from elmo_cli.data.formats import open_file
from elmo_cli.data.formats.format import Record, Refuse
from elmo_cli.errors import DataError

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")


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
    path: Path, reading: ReadingSettings, *, labelled: bool, on_bytes: OnBytes | None = None, refuse: Refuse = _raise
) -> Iterator[Record]:
    """Stream the texts of a file.

    Args:
        path: CSV, JSON lines or Parquet by its name, or anything else as one text a line, blank lines skipped; all but
            Parquet also as `.gz`.
        reading: Encoding, delimiter, columns, header and cleaning.
        labelled: Whether each record needs a label.
        on_bytes: Told now and then how many bytes of the file were read.
        refuse: Given the error of a row that cannot be used, which is left out if this returns; by default it raises.

    Raises:
        DataError: The file is missing, empty, in another encoding or broken; a column is missing; a row has more or
            fewer columns than the first; a label is empty. The message names file and line.
    """
    records = open_file(path, reading).records(labelled=labelled, refuse=refuse, on_bytes=on_bytes)
    if reading.clean == "none":
        return records
    clean = CLEANINGS[reading.clean]
    return (Record(clean(record.text), record.label, record.line) for record in records)


def read_texts(paths: Sequence[Path], reading: ReadingSettings) -> Iterator[str]:
    """Stream the texts of several files, one file after the other."""
    for path in paths:
        for record in read_records(path, reading, labelled=False):
            yield record.text


def read_labelled(path: Path, reading: ReadingSettings, limit: int | None = None) -> LabelledTexts:
    """Read a CSV, JSON lines or Parquet file with labels; with a limit, only its first rows."""
    records = list(islice(read_records(path, reading, labelled=True), limit))
    labels = tuple(record.label or "" for record in records)
    return LabelledTexts(tuple(record.text for record in records), labels, path)


def _natural(label: str) -> tuple[bool, float, str]:
    is_number = _NUMBER.fullmatch(label) is not None
    return not is_number, float(label) if is_number else 0.0, label
