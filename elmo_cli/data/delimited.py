"""Adds the rows of delimited tables (CSV, TSV), streamed, and which sign separates their columns."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from elmo_cli.config import DataSettings
from elmo_cli.data.files import UTF_8, Kind, Seen, read_lines
from elmo_cli.errors import DataError

NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
USUAL: dict[str, str] = {"csv": ",", "tsv": "\t"}
LONGEST_FIELD = 1 << 26  # characters; a quote that is never closed must not fill the memory with the rest of the file

_SAMPLE = 200  # rows by which a delimiter is judged


def find_delimiter(path: Path, kind: Kind, data: DataSettings) -> str:
    """The sign between the columns of a table: the one in the settings (CSV only), else found.

    The usual one of its kind; unless this does not split the first rows into equally many columns, more than one, and
    another does.
    """
    if kind == "csv" and data.delimiter != "auto":
        return data.delimiter
    usual = USUAL[kind]
    if not _splits_evenly(path, usual, data.encoding):
        for other in NAMES:
            if other != usual and _splits_evenly(path, other, data.encoding):
                return other
    return usual


def read_rows(
    path: Path, delimiter: str, encoding: str = UTF_8, seen: Seen | None = None
) -> Iterator[tuple[int, list[str]]]:
    """The rows of a table, blank ones left out, each with the line on which it begins.

    Raises:
        DataError: As `read_lines`, or the quotes of a row do not match.
    """
    reader = csv.reader(read_lines(path, encoding, seen), delimiter=delimiter, strict=True)
    begins = 1
    while True:
        # The limit belongs to the whole process, so it is put back before anybody else can meet it.
        limit = csv.field_size_limit(LONGEST_FIELD)
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise _broken_row(path, begins, error) from error
        finally:
            csv.field_size_limit(limit)
        if row is None:
            return
        if row:
            yield begins, row
        begins = reader.line_num + 1


def _splits_evenly(path: Path, delimiter: str, encoding: str) -> bool:
    """Whether the first rows have as many columns each, and more than one; not where they cannot be read."""
    try:
        widths = {len(row) for _, row in islice(read_rows(path, delimiter, encoding), _SAMPLE)}
    except DataError:
        return False
    return len(widths) == 1 and widths != {1}


def _broken_row(path: Path, begins: int, error: csv.Error) -> DataError:
    problem = str(error)
    expected = 'fields with commas, quotes or line breaks in quotes, and quotes doubled inside ("")'
    if "unexpected end" in problem:
        problem, expected = "a quote is opened and never closed", "a closing quote"
    elif "field limit" in problem:
        problem = f"a field is longer than {LONGEST_FIELD:,} characters: a quote is probably not closed"
    elif "expected after" in problem:
        problem = "text goes on after a closing quote"
    elif "new-line character" in problem:
        problem, expected = "a line ends in a carriage return alone", r"lines that end in \n or \r\n"
    return DataError(
        f"{path.name} is broken in the row that begins on line {begins}: {problem}",
        where=f"{path}, line {begins}",
        expected=expected,
        remedy="correct the row, or write the file again with a CSV library",
    )
