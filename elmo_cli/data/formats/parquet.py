"""Parquet, a batch of rows of a row group in memory at a time.

A small file may hold a long text once and name it in each of its rows, or claim rows without end. Texts stay numbers of
a dictionary until their rows are made, so many at a time as the memory is asked for, and sizes are compared first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from elmo_cli.data.columns import refuse_twins
from elmo_cli.data.files import OnBytes, refuse_pipe, unreadable
from elmo_cli.data.formats.fields import Fields, WithFields
from elmo_cli.errors import DataError, printable

if TYPE_CHECKING:
    import numpy as np
    from pyarrow import Array, RecordBatch, Schema
    from pyarrow.parquet import ParquetFile

Meaning = Callable[[object], object]  # from a value as it is stored to what it stands for

_BATCH_ROWS = 1024
_BATCH_BYTES = 1 << 26  # of a batch as rows, or of a row alone
_GROWTH = 1000  # texts shrink to a third or a tenth, a column of few values to next to nothing
_ALWAYS = 1 << 28  # bytes that a row group may have whatever the growth
_ALWAYS_ROWS = 1 << 22


class Parquet(WithFields):
    """A Parquet file, of which only the columns that are needed are read."""

    kind = "parquet"
    title = "Parquet"
    endings = (".parquet", ".pq")
    settings = frozenset({"text", "label", "clean"})
    packed = False
    place = "row"

    def rows(self, names: Sequence[str] | None = None, on_bytes: OnBytes | None = None) -> Iterator[tuple[int, Fields]]:
        """The rows with their numbers from 1."""
        from pyarrow import ArrowException

        file = self.open()
        number = done = grown = 0
        try:
            there = file.schema_arrow.names
            refuse_twins(self.path, there)
            meant = _meanings(file.schema_arrow)
            columns = _plain_columns(file) if names is None else [name for name in names if name in there]
            sizes = [file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups)]
            for group, size in enumerate(sizes):
                for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=columns):
                    grown += sum(map(_bytes_of, batch.columns))
                    self._refuse_growth(grown, "bytes", _ALWAYS)
                    for row in self.rows_of(batch, number):
                        number += 1
                        for name, convert in meant.items():
                            if name in row:
                                row[name] = convert(row[name])
                        yield number, row
                done += size
                if on_bytes is not None:  # sizes are of unpacked rows, so the file's own is shared out by them
                    on_bytes(round(self.path.stat().st_size * done / max(1, sum(sizes))))
        except (ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
            raise self.broken(f"after row {number}: {error}") from error
        finally:
            file.close()

    def rows_of(self, batch: RecordBatch, before: int) -> Iterator[Fields]:
        """The rows of a batch, which is halved until they fit into the memory that a batch may take."""
        size = sum(map(_bytes_of, batch.columns))
        if size <= _BATCH_BYTES:
            yield from batch.to_pylist()
        elif batch.num_rows == 1:
            found, remedy = f"row {before + 1} takes {size:,} bytes", "cut the text of this row into several"
            where, expected = f"{self.path}, row {before + 1}", f"rows of at most {_BATCH_BYTES:,} bytes"
            raise DataError(found, where=where, expected=expected, remedy=remedy)
        else:
            middle = batch.num_rows // 2
            yield from self.rows_of(batch.slice(0, middle), before)
            yield from self.rows_of(batch.slice(middle), before + middle)

    def row_count(self) -> int:
        """Rows, as the file says."""
        with self.open() as file:
            return int(file.metadata.num_rows)

    def open(self) -> ParquetFile:
        """The file, of which only the description is read yet."""
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile

        refuse_pipe(self.path)
        try:
            texts = _texts(ParquetFile(self.path))
            file = ParquetFile(self.path, read_dictionary=texts)
        except (ArrowException, ValueError, MemoryError, OverflowError) as error:
            raise self.broken(str(error)) from error
        except OSError as error:
            if error.errno is None:  # of the library, about the content
                raise self.broken(str(error)) from error
            raise unreadable(self.path, error) from error
        # what the file says of itself; what it holds is counted as it comes
        groups = [file.metadata.row_group(number).total_byte_size for number in range(file.num_row_groups)]
        self._refuse_growth(max(groups, default=0), "bytes", _ALWAYS)
        self._refuse_growth(file.metadata.num_rows, "rows", _ALWAYS_ROWS)
        return file

    def _refuse_growth(self, grown: int, what: str, always: int) -> None:
        stored = self.path.stat().st_size
        if grown > max(always, _GROWTH * stored):
            found = f"{self.path.name} is not read: its {stored:,} bytes grow to {grown:,} {what}"
            expected = f"Parquet that grows to at most {_GROWTH} times its size"
            remedy = "if you trust it, write it again without compression and dictionaries"
            raise DataError(found, where=self.path, expected=expected, remedy=remedy)

    def broken(self, problem: str) -> DataError:
        """The error for a file of which something cannot be read."""
        reason = printable((problem.splitlines() or ["it is damaged"])[0])
        found = f"{self.path.name} cannot be read as Parquet: {reason}"
        return DataError(found, where=self.path, expected="a whole Parquet file", remedy="fetch or write it again")


def _meanings(schema: Schema) -> dict[str, Meaning]:
    """What the values of some columns stand for: names of classes, and the decimals that narrow floats were."""
    import numpy as np
    from pyarrow import types

    found: dict[str, Meaning] = {
        field.name: _as_decimal(np.float32 if types.is_float32(field.type) else np.float16)
        for field in schema
        if types.is_float32(field.type) or types.is_float16(field.type)
    }
    with suppress(ValueError, TypeError, AttributeError, KeyError, RecursionError):  # what others wrote about it
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        for name, feature in features.items():
            if feature.get("_type") == "ClassLabel":
                found[name] = _as_class([str(one) for one in feature["names"]])
    return found


def _as_decimal(kind: type[np.floating]) -> Meaning:
    return lambda value: float(str(kind(value))) if isinstance(value, float) else value


def _as_class(names: Sequence[str]) -> Meaning:
    """The name of a class by its number; -1 stands for none in Hugging Face's datasets."""

    def name_of(value: object) -> object:
        if not isinstance(value, int):
            return value
        return None if value == -1 else names[value] if 0 <= value < len(names) else value

    return name_of


def _texts(file: ParquetFile) -> list[str]:
    """Columns of text, those within lists too, by the paths that Parquet knows them by."""
    with file:
        columns = [file.schema.column(number) for number in range(len(file.schema))]
        return [one.path for one in columns if one.physical_type == "BYTE_ARRAY" and one.logical_type.type == "STRING"]


def _bytes_of(column: Array) -> int:
    """Bytes of the values of a column of a batch, those that stand in several rows counted in each."""
    from pyarrow import compute, types

    if types.is_list(column.type) or types.is_large_list(column.type):
        return 8 * len(column) + _bytes_of(column.flatten())
    if not types.is_dictionary(column.type):
        return int(column.nbytes)
    if len(column.dictionary) == 0:
        return 0
    lengths = compute.binary_length(column.dictionary).take(column.indices)
    return 8 * len(column) + int(compute.sum(lengths).as_py() or 0)


def _plain_columns(file: ParquetFile) -> list[str]:
    """Columns of text, numbers, dates and truth values."""
    from pyarrow import types

    nested = (types.is_nested, types.is_binary, types.is_large_binary, types.is_fixed_size_binary)
    return [field.name for field in file.schema_arrow if not any(test(field.type) for test in nested)]
