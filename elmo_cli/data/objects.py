"""Adds rows that name their fields: JSON lines and Parquet, streamed, with the same form for both.

A row is a dictionary from field to value, as the file has them; nothing here holds more than a line, or a batch of rows
of a Parquet row group.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from elmo_cli.config import DataSettings
from elmo_cli.data.files import Kind, Seen, read_lines, unreadable
from elmo_cli.data.values import is_nested
from elmo_cli.errors import DataError

Row = dict[str, Any]

_BATCH_ROWS = 1024


def row_word(kind: Kind) -> str:
    """What a place in such a file is called."""
    return "row" if kind == "parquet" else "line"


def read_objects(
    path: Path, kind: Kind, data: DataSettings, fields: Sequence[str] | None = None, seen: Seen | None = None
) -> Iterator[tuple[int, Row]]:
    """The rows of a file with their lines (JSON lines) or their numbers from 1 (Parquet).

    Args:
        path: The file.
        kind: `jsonl` or `parquet`.
        data: Its encoding.
        fields: What is needed; Parquet reads nothing else. None: all that is not nested.
        seen: Told now and then how many bytes were read.

    Raises:
        DataError: The file is missing, unreadable or broken.
    """
    return _parquet(path, fields, seen) if kind == "parquet" else _json_lines(path, data.encoding, seen)


def row_count(path: Path) -> int:
    """Rows of a Parquet file, as it says."""
    with _open(path) as file:
        return int(file.metadata.num_rows)


def field_names(rows: Sequence[Row]) -> tuple[str, ...]:
    """The fields of some rows that hold no objects, lists or bytes in any of them, in order of appearance."""
    names = dict.fromkeys(name for row in rows for name in row)
    return tuple(name for name in names if not any(is_nested(row.get(name)) for row in rows))


def sample_objects(path: Path, kind: Kind, data: DataSettings, count: int) -> list[Row]:
    """The first rows."""
    return [row for _, row in islice(read_objects(path, kind, data), count)]


def _json_lines(path: Path, encoding: str, seen: Seen | None) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(read_lines(path, encoding, seen), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _broken_line(path, number, line, error) from error
        if not isinstance(row, dict):
            found = {list: "a list", str: "a string", type(None): "null"}.get(type(row), f"the value {row}")
            raise DataError(
                f"line {number} of {path.name} holds {found}",
                where=f"{path}, line {number}",
                expected='an object a line, such as {"label": "sports", "text": "The match ended in a draw"}',
                remedy=_LINE_BY_LINE.format(path.name) if isinstance(row, list) else "write each text as an object",
            )
        yield number, row


_LINE_BY_LINE = "write an object a line, e.g. `jq -c '.[]' {} > lines.jsonl`"


def _broken_line(path: Path, number: int, line: str, error: Exception) -> DataError:
    column = f", column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
    problem = error.msg if isinstance(error, json.JSONDecodeError) else "it is nested too deeply"
    # One document over many lines begins like this.
    document = line.strip() in ("[", "{", "[{")
    return DataError(
        f"line {number} of {path.name} is no JSON: {problem}",
        where=f"{path}, line {number}{column}",
        expected="a JSON object a line",
        remedy=_LINE_BY_LINE.format(path.name) if document else "correct the line, or write it again with a library",
    )


def _parquet(path: Path, fields: Sequence[str] | None, seen: Seen | None) -> Iterator[tuple[int, Row]]:
    from pyarrow import ArrowException

    file = _open(path)
    number = done = 0
    try:
        there = file.schema_arrow.names
        columns = _plain_columns(file) if fields is None else [name for name in fields if name in there]
        for group in range(file.num_row_groups):
            for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
            done += file.metadata.row_group(group).total_byte_size
            if seen is not None:
                seen(round(path.stat().st_size * done / max(1, _bytes(file))))
    except (ArrowException, OSError, UnicodeDecodeError) as error:
        raise _broken_parquet(path, f"after row {number}: {error}") from error
    finally:
        file.close()


def _open(path: Path) -> Any:
    """A Parquet file, of which only the description is read."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        return ParquetFile(path)
    except ArrowException as error:
        raise _broken_parquet(path, str(error)) from error
    except OSError as error:
        raise unreadable(path, error) from error


def _bytes(file: Any) -> int:
    return sum(file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups))


def _plain_columns(file: Any) -> list[str]:
    """Columns of text, numbers, dates and truth values."""
    from pyarrow import types

    nested = (types.is_nested, types.is_binary, types.is_large_binary, types.is_fixed_size_binary)
    return [field.name for field in file.schema_arrow if not any(test(field.type) for test in nested)]


def _broken_parquet(path: Path, problem: str) -> DataError:
    return DataError(
        f"{path.name} cannot be read as Parquet: {problem.splitlines()[0]}",
        where=path,
        expected="a whole Parquet file",
        remedy="fetch or write it again",
    )
