"""Rows that name their fields: what JSON lines and Parquet have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

from elmo_cli.data.columns import Columns, find_columns
from elmo_cli.data.files import OnBytes
from elmo_cli.data.formats.format import SAMPLE_ROWS, Format, Record, Refuse, no_label, sample
from elmo_cli.data.values import as_label, as_text, check_value, is_nested
from elmo_cli.errors import DataError

_NULL = "write it as null where a text has none, or remove the row"

Fields = dict[str, object]  # the values of a row by their names, as the file has them


class WithFields(Format):
    """A file of rows that name their fields, of which those that hold objects, lists or bytes are no columns."""

    place: ClassVar[str]  # what the number of a row counts

    @abstractmethod
    def rows(self, names: Sequence[str] | None = None, on_bytes: OnBytes | None = None) -> Iterator[tuple[int, Fields]]:
        """The rows with their lines, or their numbers from 1.

        Fields that are not among `names` may be left out; without names all are there that are not nested.

        Raises:
            DataError: The file is missing, unreadable or broken.
        """

    def columns(self, *, labelled: bool) -> Columns:
        """The fields of the first rows, in order of appearance."""
        first = (row for _, row in self.rows())
        rows = sample(first, SAMPLE_ROWS, lambda row: sum(len(one) for one in row.values() if isinstance(one, str)))
        if not rows:
            raise self._empty("rows")
        there = dict.fromkeys(name for row in rows for name in row)
        names = [name for name in there if not any(is_nested(row.get(name)) for row in rows)]
        self._refuse_nested(rows, names)
        cells = [[as_text(row.get(name)) for name in names] for row in rows]
        return find_columns(self.path, self.reading, names, cells, labelled=labelled, has_header=True)

    def records(self, *, labelled: bool, refuse: Refuse, on_bytes: OnBytes | None = None) -> Iterator[Record]:
        """A record for each row."""
        columns = self.columns(labelled=labelled)
        label_field = self._label_in(columns) if labelled else None
        needed = list(dict.fromkeys([*columns.text, *([] if label_field is None else [label_field])]))
        for number, row in self.rows(needed, on_bytes):
            where = f"{self.path}, {self.place} {number}"
            try:
                for name in needed:
                    if name not in row:
                        found = f"there is no field '{name}', as there is in other rows"
                        expected = "the same fields in every row; here are " + (", ".join(row) or "none")
                        raise DataError(found, where=where, expected=expected, remedy=_NULL)
                    check_value(row[name], name, where, columns.names)
                label = None if label_field is None else as_label(row[label_field])
                if label == "":
                    raise no_label(label_field, where)
            except DataError as error:
                refuse(error)
                continue
            yield Record(" ".join([as_text(row[name]) for name in columns.text]), label, number)

    def _refuse_nested(self, rows: Sequence[Fields], names: Sequence[str]) -> None:
        """See that no field that the user named holds what is no text."""
        for name in (*self.reading.text, self.reading.label):
            for number, row in enumerate(rows, start=1):
                if name is not None and name not in names and name in row:
                    check_value(row[name], name, f"{self.path}, {self.place} {number}", names)
        if not names:
            found = ", ".join(rows[0]) or "nothing"
            message = f"{self.path.name} has no field of text or numbers, but {found}"
            remedy = "write the texts as strings in a field of their own"
            raise DataError(message, where=self.path, expected="a field that holds a text", remedy=remedy)
