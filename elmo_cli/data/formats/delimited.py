"""Rows of columns with a sign between them: CSV and TSV."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import ClassVar, Literal

from elmo_cli.config import ReadingSettings
from elmo_cli.data.columns import Columns, find_columns, has_header
from elmo_cli.data.files import OnBytes, read_lines
from elmo_cli.data.formats.format import SAMPLE_ROWS, Format, Record, Refuse, no_label, sample
from elmo_cli.data.values import as_label
from elmo_cli.errors import DataError

_SEP_LINE = re.compile(r"sep=(.)")  # what Excel writes and reads as the first line, and shows to nobody
_ESCAPED = re.compile(r'(?<!\\)((?:\\\\)*)\\"')
_BACKSLASH = "data.quoting=backslash"
NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
LONGEST_FIELD = 1 << 26  # characters; a quote that is never closed must not fill the memory with the rest of the file


class Delimited(Format):
    """A file of rows with equally many columns each."""

    quotes: ClassVar[bool]  # whether quotation marks enclose fields, unless the settings say so
    usual: ClassVar[str]  # the sign between the columns, unless the settings or the first rows say otherwise

    def columns(self, *, labelled: bool) -> Columns:
        """Names in the first row, or numbers; text and label by name or content."""
        return self._columns(self._find_delimiter(), labelled)

    def records(self, *, labelled: bool, refuse: Refuse, on_bytes: OnBytes | None = None) -> Iterator[Record]:
        """A record for each row that is not blank, with the line on which it begins."""
        delimiter = self._find_delimiter()
        columns = self._columns(delimiter, labelled)
        width = len(columns.names)
        text_places = [columns.names.index(name) for name in columns.text]
        label_place = columns.names.index(self._label_in(columns)) if labelled else None
        for line, row in islice(self._rows(delimiter, on_bytes), int(columns.has_header), None):
            if len(row) != width and (len(row) < width or any(row[width:])):
                refuse(self._wrong_width(line, row, columns))
                continue
            label = None if label_place is None else as_label(row[label_place])
            if label == "":
                refuse(no_label(columns.label, f"{self.path}, line {line}"))
                continue
            yield Record(" ".join([row[place] for place in text_places]), label, line)

    def _find_delimiter(self) -> str:
        """The sign between the columns: that of the settings, where the format looks at it; else the usual one.

        Another takes its place where it alone splits the first rows into equally many columns, more than one.
        """
        if "delimiter" in self.settings and self.reading.delimiter != "auto":
            return self.reading.delimiter
        first = next(read_lines(self.path, self.reading.encoding), "").strip()
        if said := _SEP_LINE.fullmatch(first):
            return said[1]
        candidates = [self.usual, *(sign for sign in NAMES if sign != self.usual)]
        return next(filter(self._splits_evenly, candidates), self.usual)

    def _splits_evenly(self, delimiter: str) -> bool:
        """Whether the first rows have as many columns each, and more than one; not where they cannot be read."""
        try:
            widths = {len(row) for _, row in islice(self._rows(delimiter), SAMPLE_ROWS)}
        except DataError:
            return False
        return len(widths) == 1 and widths != {1}

    def _columns(self, delimiter: str, labelled: bool) -> Columns:
        first = (row for _, row in self._rows(delimiter))
        rows = sample(first, SAMPLE_ROWS + 1, lambda row: sum(map(len, row)))
        if not rows:
            raise self._empty("rows")
        named = has_header(rows, self.reading)
        if named and len(rows) == 1:
            message, remedy = f"{self.path} holds column names but no rows", "give a file with rows in it"
            raise DataError(message, where=self.path, expected="a row for each text", remedy=remedy)
        names = [str(place) for place in range(1, len(rows[0]) + 1)]
        if named:
            names = [name.strip() or number for name, number in zip(rows[0], names, strict=True)]
        body = [row for row in rows[int(named) :] if len(row) >= len(names)]
        unusual = None if delimiter == self.usual else NAMES.get(delimiter, f"'{delimiter}'")
        found = find_columns(self.path, self.reading, names, body, labelled=labelled, has_header=named)
        return replace(found, delimiter=delimiter, unusual_delimiter=unusual, quoting=self._doubt(rows))

    def _doubt(self, rows: Sequence[Sequence[str]]) -> str | None:
        """What quotation marks were taken for, where the format has no rule and the first rows have such marks."""
        if self._escaped and self.reading.quoting == "auto":
            return "a backslash before a quotation mark makes a letter of it; data.quoting: yes if it does not"
        if self.quotes or self.reading.quoting != "auto":
            return None
        if self._quoted:
            spans = any("\n" in cell for row in rows for cell in row)
            lines = ", also over several lines" if spans else ""
            return f"quotation marks enclose fields{lines}; if they are letters, say data.quoting: no"
        if any(cell.startswith('"') or cell.endswith('"') for row in rows for cell in row):
            return "quotation marks are letters; if they enclose fields, say data.quoting: yes"
        return None

    @cached_property
    def _quoted(self) -> bool:
        """Whether quotation marks enclose fields: as the settings say, else as is usual for the format.

        Where it is not usual they do so if they stand around every name of the first row, or if the rows have equally
        many columns in no other way.
        """
        if self.reading.quoting != "auto":
            return self.reading.quoting != "no"
        if self.quotes:
            return True
        lines = sample(read_lines(self.path, self.reading.encoding), SAMPLE_ROWS, len)
        if not any('"' in line for line in lines):
            return False
        first = lines[0].strip("\r\n").split(self.usual)
        if all(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in first):
            return True
        return not self._is_even(lines, csv.QUOTE_NONE) and self._is_even(lines, csv.QUOTE_MINIMAL)

    @cached_property
    def _escaped(self) -> bool:
        r"""Whether a backslash makes a letter of a quotation mark, as in "so \"it\" is".

        It does if the settings say so, or if the first rows have equally many columns in no other way.
        """
        if self.reading.quoting != "auto" or not self._quoted:
            return self.reading.quoting == "backslash"
        lines = sample(read_lines(self.path, self.reading.encoding), SAMPLE_ROWS, len)
        if not any('\\"' in line for line in lines):
            return False
        doubled = list(map(_doubled, lines))
        return not any(_fits(lines, sign) for sign in NAMES) and any(_fits(doubled, sign) for sign in NAMES)

    def _is_even(self, lines: Sequence[str], quoting: Literal[0, 3]) -> bool:
        rows = csv.reader(lines, delimiter=self.usual, quoting=quoting)
        try:
            return len({len(row) for row in rows if row}) == 1
        except csv.Error:  # a carriage return in the middle of a line
            return False

    def _rows(self, delimiter: str, on_bytes: OnBytes | None = None) -> Iterator[tuple[int, list[str]]]:
        """The rows, blank ones left out, each with the line on which it begins."""
        lines = read_lines(self.path, self.reading.encoding, on_bytes)
        if self._escaped:
            lines = map(_doubled, lines)
        reader = csv.reader(
            lines, delimiter=delimiter, strict=True, quoting=csv.QUOTE_MINIMAL if self._quoted else csv.QUOTE_NONE
        )
        begins = 1
        while True:
            # The limit belongs to the whole process, so it is put back before anybody else can meet it.
            limit = csv.field_size_limit(LONGEST_FIELD)
            try:
                row = next(reader, None)
            except csv.Error as error:
                raise self._broken_row(begins, error) from error
            finally:
                csv.field_size_limit(limit)
            if row is None:
                return
            if row and not (begins == 1 and row != [""] and _SEP_LINE.fullmatch(delimiter.join(row))):
                yield begins, row
            begins = reader.line_num + 1

    def _broken_row(self, begins: int, error: csv.Error) -> DataError:
        problem, remedy = str(error), "correct the row, or write the file again with a CSV library"
        expected = 'fields with commas, quotes or line breaks in quotes, and quotes doubled inside ("")'
        if "unexpected end" in problem:
            problem, expected = "a quote is opened and never closed", "a closing quote"
        elif "field limit" in problem:
            problem = f"a field is longer than {LONGEST_FIELD:,} characters: a quote is probably not closed"
        elif "expected after" in problem:
            problem, remedy = "text goes on after a closing quote", f'{remedy}; if \\" is a letter, --set {_BACKSLASH}'
        elif "new-line character" in problem:
            problem, expected = "a line ends in a carriage return alone", r"lines that end in \n or \r\n"
        found = f"{self.path.name} is broken in the row that begins on line {begins}: {problem}"
        where = f"{self.path}, line {begins}"
        return DataError(found, where=where, expected=expected, remedy=remedy)

    def _wrong_width(self, line: int, row: Sequence[str], columns: Columns) -> DataError:
        width = len(columns.names)
        source = "the header names" if columns.has_header else "the first row has"
        if len(row) < width:
            remedy = "a field is missing, or a line break inside a text is not in quotes"
            if not self.quotes and self.reading.quoting == "auto" and any(cell.startswith('"') for cell in row):
                remedy = "if quotation marks enclose texts with line breaks here, --set data.quoting=yes"
        else:
            signs = NAMES.get(columns.delimiter or "", "the delimiter")
            remedy = f"put texts that contain {signs} in quotes, or name another delimiter (setting data.delimiter)"
        found = f"the row has {len(row)} column{'s' if len(row) > 1 else ''}, but {source} {width}"
        expected = f"{width} columns: " + ", ".join(columns.names)
        return DataError(found, where=f"{self.path}, line {line}", expected=expected, remedy=remedy)


def _doubled(line: str) -> str:
    r"""A line whose escaped quotation marks, \", are written as CSV has them, ""."""
    return _ESCAPED.sub(r'\1""', line)


def _fits(lines: Sequence[str], delimiter: str) -> bool:
    """Whether lines, of which the last row may be cut, are rows of equally many columns, more than one."""
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    widths = set()
    try:
        widths |= {len(row) for row in rows if row}
    except csv.Error as error:
        return "unexpected end" in str(error)
    return len(widths) == 1 and widths != {1}


class Csv(Delimited):
    """Commas between the columns, or the sign that the settings or the first rows say."""

    kind = "csv"
    title = "CSV"
    endings = (".csv",)
    settings = frozenset(ReadingSettings.model_fields)
    usual = ","
    quotes = True


class Tsv(Delimited):
    """Tabs between the columns, or the sign that the first rows say."""

    kind = "tsv"
    title = "TSV"
    endings = (".tsv", ".tab")
    settings = Csv.settings - {"delimiter"}
    usual = "\t"
    quotes = False  # a tab in a text is rare, a quotation mark is not
