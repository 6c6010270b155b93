"""A JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from elmo_cli.data.columns import refuse_twins
from elmo_cli.data.files import OnBytes, read_lines
from elmo_cli.data.formats.fields import Fields, WithFields
from elmo_cli.errors import DataError

_LINE_BY_LINE = "write an object a line, e.g. `jq -c '.[]' {} > lines.jsonl`"


class JsonLines(WithFields):
    """JSON lines; blank ones are skipped."""

    kind = "jsonl"
    title = "JSON lines"
    endings = (".jsonl", ".ndjson", ".json")
    settings = frozenset({"text", "label", "encoding", "clean"})
    place = "line"

    def rows(self, names: Sequence[str] | None = None, on_bytes: OnBytes | None = None) -> Iterator[tuple[int, Fields]]:
        """The objects with their lines, all their fields included."""
        for number, line in enumerate(read_lines(self.path, self.reading.encoding, on_bytes), start=1):
            if not line.strip():
                continue
            try:
                # Looking for twins takes time, so it is done where columns are found, on the first rows.
                row = json.loads(line, object_pairs_hook=None if names is not None else self._distinct)
            except (ValueError, RecursionError) as error:
                raise self._broken_line(number, line, error) from error
            if not isinstance(row, dict):
                raise self._no_object(number, row)
            yield number, row

    def _distinct(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        """The fields of an object, each of which has a name of its own."""
        row = dict(pairs)
        if len(row) < len(pairs):
            refuse_twins(self.path, [name for name, _ in pairs])
        return row

    def _no_object(self, number: int, value: object) -> DataError:
        found = {list: "a list", str: "a string", type(None): "null"}.get(type(value), f"the value {value}")
        remedy = _LINE_BY_LINE.format(self.path.name) if isinstance(value, list) else "write each text as an object"
        expected = 'an object a line, such as {"label": "sports", "text": "The match ended in a draw"}'
        message, where = f"line {number} of {self.path.name} holds {found}", f"{self.path}, line {number}"
        return DataError(message, where=where, expected=expected, remedy=remedy)

    def _broken_line(self, number: int, line: str, error: Exception) -> DataError:
        column = f", column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        problem = error.msg if isinstance(error, json.JSONDecodeError) else "it is nested too deeply"
        document = line.strip() in ("[", "{", "[{")  # one document over many lines begins like this
        remedy = _LINE_BY_LINE.format(self.path.name) if document else "correct the line, or write it with a library"
        message = f"line {number} of {self.path.name} is no JSON: {problem}"
        where = f"{self.path}, line {number}{column}"
        return DataError(message, where=where, expected="a JSON object a line", remedy=remedy)
