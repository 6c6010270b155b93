"""Parquet, a batch of rows of a row group in memory at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from elmo_cli.data.columns import refuse_twins
from elmo_cli.data.files import OnBytes, unreadable
from elmo_cli.data.formats.fields import Fields, WithFields
from elmo_cli.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from pyarrow import Schema
    from pyarrow.parquet import ParquetFile

Meaning = Callable[[object], object]  # from a value as it is stored to what it stands for

_BATCH_ROWS = 1024


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
        number = done = 0
        try:
            there = file.schema_arrow.names
            refuse_twins(self.path, there)
            meant = _meanings(file.schema_arrow)
            columns = _plain_columns(file) if names is None else [name for name in names if name in there]
            sizes = [file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups)]
            for group, size in enumerate(sizes):
                for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=columns):
                    for row in batch.to_pylist():
                        number += 1
                        for name, convert in meant.items():
                            if name in row:
                                row[name] = convert(row[name])
                        yield number, row
                done += size
                if on_bytes is not None:  # sizes are of unpacked rows, so the file's own is shared out by them
                    on_bytes(round(self.path.stat().st_size * done / max(1, sum(sizes))))
        except (ArrowException, OSError, UnicodeDecodeError) as error:
            raise self.broken(f"after row {number}: {error}") from error
        finally:
            file.close()

    def row_count(self) -> int:
        """Rows, as the file says."""
        with self.open() as file:
            return int(file.metadata.num_rows)

    def open(self) -> ParquetFile:
        """The file, of which only the description is read yet."""
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile

        try:
            return ParquetFile(self.path)
        except ArrowException as error:
            raise self.broken(str(error)) from error
        except OSError as error:
            raise unreadable(self.path, error) from error

    def broken(self, problem: str) -> DataError:
        """The error for a file of which something cannot be read."""
        found = f"{self.path.name} cannot be read as Parquet: {problem.splitlines()[0]}"
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


def _plain_columns(file: ParquetFile) -> list[str]:
    """Columns of text, numbers, dates and truth values."""
    from pyarrow import types

    nested = (types.is_nested, types.is_binary, types.is_large_binary, types.is_fixed_size_binary)
    return [field.name for field in file.schema_arrow if not any(test(field.type) for test in nested)]
