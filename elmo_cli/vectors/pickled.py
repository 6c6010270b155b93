"""Static vectors in files that hold pickles: gensim's KeyedVectors and the `.pt` dictionaries of courses.

Nothing of a pickle is run (`unpickle.py`), and neither gensim nor torch reads these files.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from elmo_cli.errors import DataError, ElmoError, printable
from elmo_cli.vectors.stand_ins import ArrayStandIn, ObjectStandIn, TensorStandIn, UnfitError
from elmo_cli.vectors.static import StaticVectors
from elmo_cli.vectors.unpickle import COURSE, SAFER, Unpickler, unfit

# how files of torch before 1.6 begin: a pickled magic number
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
# all that NumPy writes above an array of numbers; whatever else its own reader takes is a language to get wrong
_NPY = re.compile(
    rb"\x93NUMPY[\x01\x02]\x00..(?:\x00\x00)?\{'descr': '([<>|][fiu][1248])', 'fortran_order': (True|False), "
    rb"'shape': \((\d{1,12}), (\d{1,9})\), ?\} *\n",
    re.DOTALL,
)

_NAMED = "save a dictionary of word_embeddings and words_to_ind, or write word2vec text"
_AGAIN = "save the vectors again, a finite row for each token"

# tokens may share a row, but not make a matrix of a few numbers fill the memory
_TOKENS_OF_A_ROW = 64

_Value = TypeVar("_Value")
Storage = Callable[[str], bytes | memoryview]


def is_torch(start: bytes) -> bool:
    """Whether a file with these first bytes is of torch's format from before its zip files."""
    return start.startswith(_OLD_TORCH)


def read_course(path: Path, *, old: bool) -> StaticVectors:
    """Tokens and matrix of a `.pt` dictionary; the two values are found by their content, names settle doubt.

    `old` files are of torch's format from before its zip files.

    Raises:
        DataError: The file is damaged, asks for something other than data, or holds no such dictionary.
    """
    with _old_file(path) if old else _archive(path) as (content, storage):
        if not isinstance(content, dict):
            raise DataError(f"{path} holds a {_kind(content)}", where=path, expected=COURSE, remedy=_NAMED)
        return _course_vectors(content, storage, path)


@contextmanager
def open_tensors(path: Path) -> Iterator[tuple[dict[str, TensorStandIn], Callable[[TensorStandIn], NDArray[Any]]]]:
    """The tensors of a state dictionary of torch by their names, and how to read one, as long as the block lasts.

    Types and shapes are known before any number is read.

    Raises:
        DataError: The file is missing or damaged, asks for something other than data, or holds anything but tensors.
    """
    expected, remedy = "a dictionary of tensors, as torch.save(model.state_dict(), path) writes it", "fetch it again"
    try:
        with path.open("rb") as file:
            old = is_torch(file.read(64))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", where=path, remedy=remedy) from error
    with _old_file(path) if old else _archive(path) as (content, storage):
        if not isinstance(content, dict):
            raise DataError(f"{path} holds a {_kind(content)}", where=path, expected=expected, remedy=remedy)
        for name, value in content.items():
            if not isinstance(name, str) or not isinstance(value, TensorStandIn):
                found = f"{path} holds {_shown(name)}: {_kind(value)}"
                raise DataError(found, where=path, expected=expected, remedy=remedy)
        yield content, lambda tensor: _values(tensor, storage, path)


@contextmanager
def _archive(path: Path) -> Iterator[tuple[object, Storage]]:
    """The pickle of a `.pt` archive, and its storages by their keys, read when they are asked for."""
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # zipfile lets a damaged directory raise anything
        raise _damaged(path, error) from error
    with archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        pickles = [name for name in entries if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            held = ", ".join(map(printable, list(entries)[:3])) or "nothing"
            raise DataError(
                f"{path} is an archive of {held}", where=path, expected="a file of vectors", remedy="unpack it first"
            )
        folder = pickles[0].removesuffix("data.pkl")

        def read(name: str) -> bytes:
            entry = entries.get(folder + name)
            if entry is None:
                raise _damaged(path, f"it lacks {name}")
            # torch stores all entries as they are: what would be unpacked need not be limited
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
                raise _damaged(path, f"{name} is compressed")
            try:
                return archive.read(entry)
            except Exception as error:
                raise _damaged(path, error) from error

        if folder + "byteorder" in entries and read("byteorder") != b"little":
            raise _damaged(path, "its numbers are of a big-endian machine")
        yield Unpickler(read("data.pkl"), path).load(), lambda key: read(f"data/{key}")


@contextmanager
def _old_file(path: Path) -> Iterator[tuple[object, Storage]]:
    """The same of a file of torch before 1.6: pickles in a row, the storages after them.

    magic number, version, machine, content, keys     key by key: count of numbers (8 bytes), numbers
    """
    whole = path.read_bytes()
    unpickler = Unpickler(whole, path, len(_OLD_TORCH))
    _, _, content, keys = (unpickler.load() for _ in range(4))
    widths = {tensor.key: tensor.itemsize for tensor in unpickler.tensors}
    storages: dict[str, memoryview] = {}
    rest = memoryview(whole)[unpickler.position :]
    for key in keys if isinstance(keys, list) else [keys]:
        if not isinstance(key, str) or key not in widths:
            raise _damaged(path, "it stores numbers of no tensor")
        end = 8 + int.from_bytes(rest[:8], "little") * widths[key]
        if end > len(rest):
            raise _damaged(path, "it ends within its numbers")
        storages[key], rest = rest[8:end], rest[end:]

    def read(key: str) -> memoryview:
        if key not in storages:
            raise _damaged(path, f"it lacks the numbers of tensor {key}")
        return storages[key]

    yield content, read


def read_gensim(path: Path, stream: IO[bytes]) -> StaticVectors:
    """Tokens and matrix of gensim's KeyedVectors, large ones from the `.npy` that gensim writes beside them.

    Raises:
        DataError: The file is damaged, asks for something other than data, or is no KeyedVectors.
    """
    content = Unpickler(stream.read(), path).load()
    if not isinstance(content, ObjectStandIn):
        raise DataError(f"{path} is a pickled {_kind(content)}", where=path, remedy=SAFER)
    held = content.attributes
    tokens, beside = held.get("index_to_key", held.get("index2word")), held.get("__numpys")
    # their name before version 3.0, also where they were written by a later one
    name = "syn0" if held.get("vectors") is None and "vectors" not in _listed(beside) else "vectors"
    matrix = held.get(name)
    if matrix is None and name in _listed(beside):
        values: object = _read_npy(path.with_name(f"{path.name}.{name}.npy"), path)
    else:
        values = matrix.values if isinstance(matrix, ArrayStandIn) else None
    if not isinstance(tokens, list) or not isinstance(values, np.ndarray):
        found = f"{path} holds a gensim object without tokens and vectors"
        raise DataError(found, where=path, expected="KeyedVectors", remedy="save them alone: model.wv.save(...)")
    return _vectors(tokens, values, path, "gensim KeyedVectors")


def _listed(names: object) -> list[object]:
    """The names of what gensim wrote beside a file, if it says so."""
    return names if isinstance(names, list) else []


def _read_npy(beside: Path, path: Path) -> NDArray[Any]:
    """The matrix in a file of NumPy, whose size is what its header says."""
    if not beside.is_file():
        raise DataError(f"{path} needs {beside.name}", where=beside, remedy="keep the two files together")
    with open(beside, "rb") as file:
        header = _NPY.match(file.read(512))
        kind, fortran, *sizes = header.groups() if header else (b"", b"", b"0", b"0")
        dtype, shape = np.dtype(kind.decode() or "u1"), tuple(map(int, sizes))
        start = header.end() if header else 0
        if not header or start + math.prod(shape) * dtype.itemsize != beside.stat().st_size:
            found = f"{beside} is a damaged array" + (f": its header speaks of {shape} {dtype}" if header else "")
            expected = "a matrix of numbers as NumPy saves it, of the size that its header says"
            remedy = "save or fetch it again, together with the file beside it"
            raise DataError(found, where=beside, expected=expected, remedy=remedy)
        file.seek(start)
        return np.frombuffer(file.read(), dtype).reshape(shape, order="F" if fortran == b"True" else "C")


def _damaged(path: Path, error: object) -> DataError:
    if isinstance(error, ElmoError):
        raise error
    found = f"{path} is a damaged torch file: {printable(str(error))}"
    return DataError(found, where=path, expected=COURSE, remedy="save or fetch it again")


def _kind(value: object) -> str:
    """What a value of a pickle is, in a word; never the value, which may be endless to show."""
    return type(value).__name__.removesuffix("StandIn")


def _shown(value: object) -> str:
    return repr(value)[:80] if isinstance(value, str | int | float | None) else f"a {_kind(value)}"


def _course_vectors(content: Mapping[object, object], storage: Storage, path: Path) -> StaticVectors:
    matrices = {str(name): value for name, value in content.items() if _is_matrix(value)}
    indices = {str(name): value for name, value in content.items() if _is_index(value)}
    matrix = _choose(matrices, ("word_embeddings", "embed", "vector"))
    index = _choose(indices, ("words_to_ind", "ind", "stoi", "vocab", "word"))
    if matrix is None or index is None:
        missing = "no single (V, D) array" if matrix is None else "no single index of tokens"
        held = ", ".join(f"{_shown(name)}: {_kind(value)}" for name, value in list(content.items())[:8])
        raise DataError(f"{path} has {missing}; it holds {{{held}}}", where=path, expected=COURSE, remedy=_NAMED)
    values = _values(matrix, storage, path)
    if isinstance(index, dict):
        pairs = list(index.items())
        if isinstance(pairs[0][1], str):
            pairs = [(token, row) for row, token in pairs]
    else:
        assert isinstance(index, list | tuple)
        pairs = [(token, row) for row, token in enumerate(index)]
        if len(pairs) != len(values):
            found = f"{path} has {len(pairs)} tokens and {len(values)} vectors"
            raise DataError(found, where=path, expected="a row for each token of the list", remedy=_AGAIN)
    if len(pairs) > _TOKENS_OF_A_ROW * len(values):
        found, remedy = f"{path} has {len(pairs)} tokens for {len(values)} vectors", "leave tokens out that share one"
        raise DataError(found, where=path, expected=f"at most {_TOKENS_OF_A_ROW} tokens a vector", remedy=remedy)
    rows = sorted(((token, _row(row, token, len(values), path)) for token, row in pairs), key=lambda pair: pair[1])
    return _vectors([token for token, _ in rows], values[[row for _, row in rows]], path, "course .pt")


def _is_matrix(value: object) -> bool:
    if isinstance(value, ArrayStandIn):
        return value.values.ndim == 2
    return isinstance(value, TensorStandIn) and len(value.shape) == 2


def _values(matrix: object, storage: Storage, path: Path) -> NDArray[Any]:
    if isinstance(matrix, ArrayStandIn):
        return matrix.values
    assert isinstance(matrix, TensorStandIn)
    try:
        return matrix.read(storage(matrix.key))
    except UnfitError as error:
        raise unfit(path, error) from error


def _is_index(value: object) -> bool:
    """Whether a value is {token: row}, {row: token} or a list of tokens."""
    if isinstance(value, dict):
        return bool(value) and all(isinstance(key, str) != isinstance(row, str) for key, row in value.items())
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(token, str) for token in value)


def _choose(found: Mapping[str, _Value], names: Sequence[str]) -> _Value | None:
    """The only value, or the one whose name fits best; None where that leaves a doubt."""
    for name in names:
        fitting = [value for key, value in found.items() if key == name] or [
            value for key, value in found.items() if name in key.lower()
        ]
        if len(fitting) == 1:
            return fitting[0]
    return next(iter(found.values())) if len(found) == 1 else None


def _row(row: object, token: object, count: int, path: Path) -> int:
    if not isinstance(row, int) or not 0 <= row < count:
        found, remedy = f"token {_shown(token)} has row {_shown(row)}", "number the tokens by the rows of the matrix"
        raise DataError(found, where=path, expected=f"a row of 0 to {count - 1}", remedy=remedy)
    return row


def _vectors(tokens: Sequence[object], matrix: NDArray[Any], path: Path, kind: str) -> StaticVectors:
    """Tokens and matrix that fit each other, as strings and float32 of our own."""
    texts = [token for token in tokens if isinstance(token, str)]
    if len(texts) < len(tokens):
        other = next(token for token in tokens if not isinstance(token, str))
        found = f"{path} has the token {_shown(other)}"
        raise DataError(found, where=path, expected="tokens that are strings", remedy="use text as tokens")
    if matrix.ndim != 2 or matrix.shape[0] != len(tokens) or not matrix.size or matrix.dtype.kind not in "fiu":
        found = f"{path} has {len(tokens)} tokens and an array of shape {matrix.shape} and type {matrix.dtype}"
        raise DataError(found, where=path, expected="numbers, with a row for each token", remedy=_AGAIN)
    with np.errstate(over="ignore"):
        own = np.array(matrix, dtype=np.float32, order="C")
    bad = np.flatnonzero(~np.isfinite(own).all(axis=1))
    if len(bad):
        found = f"the vectors of {len(bad)} tokens hold NaN or infinity"
        where = f"{path}, token {_shown(texts[bad[0]])}"
        raise DataError(found, where=where, expected="finite numbers", remedy=_AGAIN)
    return StaticVectors(texts, own, path, kind)
