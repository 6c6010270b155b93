"""A text a line; blank lines are skipped."""

from __future__ import annotations

from collections.abc import Iterator

from elmo_cli.data.columns import Columns
from elmo_cli.data.files import OnBytes, read_lines
from elmo_cli.data.formats.format import Format, Record, Refuse
from elmo_cli.errors import DataError


class Text(Format):
    """Plain text, which has neither columns nor labels."""

    kind = "text"
    title = "a text a line"
    endings = (".txt", ".text", "")
    settings = frozenset({"encoding", "clean"})

    def columns(self, *, labelled: bool) -> Columns:
        """None: a line is a text."""
        for line in read_lines(self.path, self.reading.encoding):
            if line.strip():
                break
        return Columns()

    def records(self, *, labelled: bool, refuse: Refuse, on_bytes: OnBytes | None = None) -> Iterator[Record]:
        """A record for each line that is not blank."""
        if labelled:
            found = f"{self.path.name} is read as a text file, which has no labels"
            expected = "a CSV, JSON lines or Parquet file with a text and a label column"
            remedy = "give such a file, or rename the file if it is one"
            raise DataError(found, where=self.path, expected=expected, remedy=remedy)
        empty = True
        for number, line in enumerate(read_lines(self.path, self.reading.encoding, on_bytes), start=1):
            if text := line.strip():
                empty = False
                yield Record(text, None, number)
        if empty:
            raise self._empty("lines")
