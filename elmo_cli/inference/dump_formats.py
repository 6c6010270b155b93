"""The formats of embedding files: HDF5, NumPy's npz, Parquet and JSON lines, all written sentence by sentence.

A sentence's values are (L, T, W), without L where one layer was chosen and without T where tokens were pooled.

    hdf5     dataset "0", "1", ... for each line, as bilm-tf and AllenNLP name them
    npz      array "0", "1", ..., uncompressed, as `numpy.load` opens it without reading it
    parquet  a row for each line: sentence, text, tokens, vectors (nested lists)
    jsonl    an object for each line with the same keys; exact, as 9 digits tell any two float32 apart

HDF5 and npz also hold `sentence_to_index`, a JSON string from sentence to name.
"""

from __future__ import annotations

import io
import json
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast, get_args

import h5py
import numpy as np
from numpy.typing import NDArray

from elmo_cli.config.choices import DumpFormat
from elmo_cli.errors import ConfigError
from elmo_cli.text.encoded import EncodedCorpus

Values = NDArray[np.floating[Any]]
Place = Path | TextIO

INDEX = "sentence_to_index"
SUFFIXES: dict[str, DumpFormat] = {
    **{"": "hdf5", ".hdf5": "hdf5", ".h5": "hdf5", ".npz": "npz", ".parquet": "parquet", ".pq": "parquet"},
    **{".jsonl": "jsonl", ".ndjson": "jsonl"},
}
ROW_GROUP_BYTES = 16 << 20

_DIGITS = {"float32": 9, "float16": 5}  # that tell any two numbers apart


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the input."""

    number: int  # its line, from 0
    text: str
    corpus: EncodedCorpus
    index: int  # its place there

    @property
    def tokens(self) -> list[str]:
        """The tokens that have vectors."""
        return [self.corpus.types[number] for number in self.corpus.sentence(self.index).tolist()]


class DumpFile(ABC):
    """An embedding file or stream that is being written, one sentence after the other.

    Attributes:
        ordered: Whether sentences must come in the order of the input.
        indexed: Whether `finish` wants to know the names of the sentences.
    """

    ordered, indexed = True, False

    @abstractmethod
    def __init__(self, place: Place) -> None:
        """Open a new file, or take a stream that is open."""

    @abstractmethod
    def put(self, sentence: Sentence, values: Values) -> None:
        """Write a whole sentence, its numbers of the type that they have."""

    def room(self, sentence: Sentence, shape: tuple[int, ...], dtype: str) -> Any | None:
        """A place in the file in which a sentence is filled part by part; None: it can only be put whole."""
        return None

    @abstractmethod
    def finish(self, names: Mapping[str, str] | None) -> None:
        """Write what comes last: where `indexed`, the name of each text's values; None: there are too many."""

    @abstractmethod
    def close(self) -> None:
        """Close the file, finished or not; a stream is left open."""


def format_of(place: Place, given: DumpFormat | None) -> DumpFormat:
    """The format that was named, else that of a file's ending, HDF5 without one; JSON lines for a stream.

    Raises:
        ConfigError: The ending tells nothing, or a stream cannot take the format.
    """
    if not isinstance(place, Path):
        if given not in (None, "jsonl"):
            raise ConfigError(
                f"{given} cannot be written to standard output", expected="--format jsonl", remedy="give --out FILE"
            )
        return "jsonl"
    found = given or SUFFIXES.get(place.suffix.lower())
    if found is None:
        raise ConfigError(
            f"the ending of {place.name} names no format",
            where=place,
            expected="one of " + ", ".join(filter(None, SUFFIXES)),
            remedy="name it with --format " + "|".join(get_args(DumpFormat)),
        )
    return found


class PatientFile(io.FileIO):
    """A file that notes what the disk refuses instead of raising it: HDF5 would crash the process on closing the file.

    Attributes:
        refusal: The first error; nothing is written after it.
    """

    refusal: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of `data`, or what there is room for."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while len(rest) and self.refusal is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.refusal = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the size."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.refusal = self.refusal or error
            return size or 0

    def complain(self) -> None:
        """Raise what was noted."""
        if self.refusal is not None:
            raise self.refusal


class Hdf5File(DumpFile):
    """A dataset a sentence, in any order; long sentences are filled in place."""

    ordered, indexed = False, True

    def __init__(self, place: Path) -> None:
        self._raw = PatientFile(place, "w+")
        self._file = h5py.File(self._raw, "w")

    def put(self, sentence: Sentence, values: Values) -> None:
        """Write a dataset, by h5py's lower functions: in half the time of `create_dataset`, which counts if short."""
        self._raw.complain()
        whole = np.ascontiguousarray(values)
        space = h5py.h5s.create_simple(whole.shape)
        kind = h5py.h5t.py_create(whole.dtype)
        dataset = h5py.h5d.create(self._file.id, str(sentence.number).encode(), kind, space)
        if whole.size:
            dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, whole)

    def room(self, sentence: Sentence, shape: tuple[int, ...], dtype: str) -> Any:
        """A dataset to be filled."""
        self._raw.complain()
        return self._file.create_dataset(str(sentence.number), shape, dtype=dtype)

    def finish(self, names: Mapping[str, str] | None) -> None:
        """Write the index."""
        if names is not None:
            content = json.dumps(names, ensure_ascii=False)
            self._file.create_dataset(INDEX, (1,), dtype=h5py.string_dtype("utf-8"), data=[content])

    def close(self) -> None:
        """Close the file, and say what the disk refused until its last byte."""
        self._file.close()
        self._raw.close()
        self._raw.complain()


class NpzFile(DumpFile):
    """A member `NUMBER.npy` a sentence, in any order."""

    ordered, indexed = False, True

    def __init__(self, place: Path) -> None:
        self._archive = zipfile.ZipFile(place, "w", zipfile.ZIP_STORED)

    def put(self, sentence: Sentence, values: Values) -> None:
        """Write a member."""
        self._write(str(sentence.number), values)

    def finish(self, names: Mapping[str, str] | None) -> None:
        """Write the index."""
        if names is not None:
            self._write(INDEX, np.array([json.dumps(names, ensure_ascii=False)]))

    def close(self) -> None:
        """Close the archive, with its directory at the end."""
        self._archive.close()

    def _write(self, name: str, values: NDArray[Any]) -> None:
        # With a ZipInfo of its own a member bears no date, so that equal dumps are equal files.
        with self._archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
            np.lib.format.write_array(member, values, allow_pickle=False)


class ParquetFile(DumpFile):
    """A row a sentence, in row groups of some MB; a longer sentence is a group of its own."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._file: Any = None  # opened with the first group, which tells its columns
        self._sentences: list[Sentence] = []
        self._values: list[Values] = []

    def put(self, sentence: Sentence, values: Values) -> None:
        """Keep a row until there are enough for a group: Parquet stores columns, and each group has its own."""
        self._sentences.append(sentence)
        self._values.append(values)
        if sum(kept.nbytes for kept in self._values) >= ROW_GROUP_BYTES:
            self._write_group()

    def finish(self, names: Mapping[str, str] | None) -> None:
        """Write the last group."""
        if self._sentences:
            self._write_group()

    def close(self) -> None:
        """Write what Parquet ends with."""
        if self._file is not None:
            self._file.close()

    def _write_group(self) -> None:
        import pyarrow
        from pyarrow.parquet import ParquetWriter

        columns = {
            "sentence": pyarrow.array([one.number for one in self._sentences], pyarrow.int64()),
            "text": pyarrow.array([one.text for one in self._sentences], pyarrow.string()),
            "tokens": pyarrow.array([one.tokens for one in self._sentences], pyarrow.list_(pyarrow.string())),
            "vectors": nested(self._values),
        }
        group = pyarrow.table(columns)
        if self._file is None:
            self._file = ParquetWriter(self._place, group.schema, use_dictionary=False)
        self._file.write_table(group)
        self._sentences, self._values = [], []


def nested(values: Sequence[Values]) -> Any:
    """Arrays of as many axes as one Arrow column of lists in lists, without a Python object for each number."""
    import pyarrow

    # From the innermost numbers outwards: each axis only says where its lists begin in the one below.
    column = pyarrow.array(np.concatenate([one.reshape(-1) for one in values]))
    for axis in reversed(range(values[0].ndim)):
        # All lists at this depth, of one array after the other, and how long each is.
        lengths = np.concatenate([np.full(int(np.prod(one.shape[:axis])), one.shape[axis]) for one in values])
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        column = pyarrow.ListArray.from_arrays(pyarrow.array(offsets), column)
    return column


class JsonLinesFile(DumpFile):
    """An object a line, handed on as soon as it is whole."""

    def __init__(self, place: Place) -> None:
        self._is_ours = isinstance(place, Path)
        self._stream = place.open("w", encoding="utf-8", newline="\n") if isinstance(place, Path) else place

    def put(self, sentence: Sentence, values: Values) -> None:
        """Write a line, its numbers as `json.dumps` would not: with no more digits than they have."""
        head = {"sentence": sentence.number, "text": sentence.text, "tokens": sentence.tokens}
        self._stream.write(json.dumps(head, ensure_ascii=False).removesuffix("}") + ', "vectors": ')
        form = "[" + ",".join([f"%.{_DIGITS[values.dtype.name]}g"] * values.shape[-1]) + "]"
        self._write_list(values, form)
        self._stream.write("}\n")
        self._stream.flush()  # who reads a stream waits for the line

    def finish(self, names: Mapping[str, str] | None) -> None:
        """Nothing comes last."""

    def close(self) -> None:
        """Close the file; a stream is left open."""
        if self._is_ours:
            self._stream.close()

    def _write_list(self, values: Values, form: str) -> None:
        """Write lists in lists, the innermost at once."""
        if values.ndim == 1:
            self._stream.write(form % tuple(values.tolist()))
            return
        self._stream.write("[")
        for place, inner in enumerate(values):
            self._stream.write("," if place else "")
            self._write_list(cast(Values, inner), form)
        self._stream.write("]")


FORMATS: dict[DumpFormat, type[DumpFile]] = {
    "hdf5": Hdf5File,
    "npz": NpzFile,
    "parquet": ParquetFile,
    "jsonl": JsonLinesFile,
}
