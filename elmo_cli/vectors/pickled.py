"""Static vectors in files that hold pickles, read without ever running what a pickle may ask for.

A pickle is a program. Here it may build plain containers, NumPy arrays and tensors, and nothing else: a course's
`.pt` dictionary goes through `torch.load(weights_only=True)`, gensim's KeyedVectors through an unpickler that knows
arrays and puts an empty shell in the place of gensim's own classes. Whatever else a file asks for is refused by name.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from elmo_cli.errors import DataError

COURSE = "a dictionary such as {'word_embeddings': (V, D) array, 'words_to_ind': {token: row}}"
_SAFER = "save the vectors as word2vec text, which holds no program"
# how files of torch before 1.6 begin: a pickled magic number
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"

TokensAndMatrix = tuple[list[str], NDArray[np.float32]]
_Value = TypeVar("_Value")


def is_torch(start: bytes) -> bool:
    """Whether a file with these first bytes is of torch's format from before its zip files."""
    return start.startswith(_OLD_TORCH)


def read_course(path: Path) -> TokensAndMatrix:
    """Tokens and (V, D) matrix of a `.pt` dictionary; the two values are found by their content, names settle doubt.

    Raises:
        DataError: The file is damaged, asks for something other than data, or holds no such dictionary.
    """
    import torch
    from numpy._core import multiarray

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if not any(name.endswith("data.pkl") for name in names):
            found = f"{path} is an archive of {', '.join(names[:3]) or 'nothing'}"
            raise DataError(found, where=path, expected="a file of vectors", remedy="unpack it first")
    dtypes = [type(np.dtype(name)) for name in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")]
    arrays = [multiarray._reconstruct, multiarray.scalar]
    # the functions' names in files of NumPy 1 and of NumPy 2
    named = [
        (function, f"numpy.{core}.multiarray.{function.__name__}") for function in arrays for core in ("core", "_core")
    ]
    try:
        with torch.serialization.safe_globals([np.ndarray, np.dtype, *dtypes, *named]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        raise _refusal(path, asked.group(1) if asked else "more than data") from error
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(
            f"{path} is a damaged torch file: {error}", where=path, expected=COURSE, remedy="save or fetch it again"
        ) from error
    return _course_table(content, path)


def read_gensim(path: Path, stream: IO[bytes]) -> TokensAndMatrix:
    """Tokens and (V, D) matrix of gensim's KeyedVectors, large ones from the `.npy` that gensim writes beside them.

    Args:
        path: The file, for messages and for what lies beside it.
        stream: Its content, unzipped.

    Raises:
        DataError: The file is damaged, asks for something other than data, or is no KeyedVectors.
    """
    try:
        content = _Unpickler(stream, path).load()
    except DataError:
        raise
    except Exception as error:  # a damaged pickle may raise anything
        raise DataError(f"{path} is a damaged pickle: {error}", where=path, remedy="save or fetch it again") from error
    if not isinstance(content, _Shell):
        raise DataError(f"{path} is a pickled {type(content).__name__}", where=path, remedy=_SAFER)
    state = vars(content)
    tokens, matrix = state.get("index_to_key", state.get("index2word")), state.get("vectors")
    if matrix is None and "vectors" in (state.get("__numpys") or ()):
        beside = path.with_name(path.name + ".vectors.npy")
        if not beside.is_file():
            raise DataError(f"{path} needs {beside.name}", where=beside, remedy="keep the two files together")
        try:
            matrix = np.load(beside, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise DataError(
                f"{beside} is a damaged array: {error}",
                where=beside,
                remedy="save or fetch it again, together with the file beside it",
            ) from error
    if not isinstance(tokens, list) or not isinstance(matrix, np.ndarray):
        raise DataError(
            f"{path} holds a gensim object without tokens and vectors",
            where=path,
            expected="KeyedVectors",
            remedy="save it as KeyedVectors: model.wv.save(...)",
        )
    return _table(tokens, matrix, path)


class _Shell:
    """What stands in for a gensim object: its attributes, none of its code."""


class _Unpickler(pickle.Unpickler):
    """Knows NumPy arrays and gensim's tables of vectors; refuses the rest before anything of it is looked up."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        super().__init__(stream)
        self._path = path
        # a class of its own for each file, so that no file can leave anything behind
        self._shell = type("Shell", (_Shell,), {})

    def find_class(self, module: str, name: str) -> Any:
        """The class or function of this name, if it is one that only builds data."""
        from numpy._core import multiarray

        if module == "gensim.models.keyedvectors" or (module, name) == (
            "gensim.models.fasttext",
            "FastTextKeyedVectors",
        ):
            return self._shell
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name in ("_reconstruct", "scalar"):
            return getattr(multiarray, name)
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):
            return _bytes_of
        raise _refusal(self._path, f"{module}.{name}")


def _bytes_of(text: str, encoding: str) -> bytes:
    """How the oldest pickle protocols write bytes."""
    return text.encode(encoding)


def _refusal(path: Path, asked: str) -> DataError:
    whole_model = asked.startswith("gensim.models.") and "eyedVectors" not in asked
    return DataError(
        f"{path} is a pickle that asks for {asked}; it was not run, since a pickle can do anything on this machine",
        where=path,
        expected=f"{COURSE}, or gensim KeyedVectors: arrays, tensors and plain containers only",
        remedy="save the vectors alone: model.wv.save(...)" if whole_model else _SAFER,
    )


def _course_table(content: object, path: Path) -> TokensAndMatrix:
    if not isinstance(content, Mapping):
        raise DataError(
            f"{path} holds a {type(content).__name__}",
            where=path,
            expected=COURSE,
            remedy="save a dictionary of word_embeddings and words_to_ind, or write word2vec text",
        )
    values = ((str(name), _array(value)) for name, value in content.items())
    arrays = {name: array for name, array in values if array is not None and array.ndim == 2}
    indices = {str(name): value for name, value in content.items() if _is_index(value)}
    held = ", ".join(f"'{name}': {type(value).__name__}" for name, value in list(content.items())[:8])
    matrix = _choose(arrays, ("word_embeddings", "embed", "vector"))
    index = _choose(indices, ("words_to_ind", "ind", "stoi", "vocab", "word"))
    if matrix is None or index is None:
        missing = "no single (V, D) array" if matrix is None else "no single index of tokens"
        raise DataError(
            f"{path} has {missing}; it holds {{{held}}}",
            where=path,
            expected=COURSE,
            remedy="save it under these names, or write word2vec text",
        )
    if isinstance(index, Mapping):
        pairs = list(index.items())
        if isinstance(pairs[0][1], str):
            pairs = [(token, row) for row, token in pairs]
    else:
        pairs = [(token, row) for row, token in enumerate(index)]
        if len(pairs) != len(matrix):
            found = f"{path} has {len(pairs)} tokens and {len(matrix)} vectors"
            raise DataError(
                found,
                where=path,
                expected="a row for each token of the list",
                remedy="save the vectors again, a finite row for each token",
            )
    pairs = sorted(((token, _row(row, token, len(matrix), path)) for token, row in pairs), key=lambda pair: pair[1])
    return _table([token for token, _ in pairs], matrix[[row for _, row in pairs]], path)


def _array(value: object) -> NDArray[Any] | None:
    if isinstance(value, np.ndarray):
        return value
    import torch

    if isinstance(value, torch.Tensor):
        dense = value.detach()
        return (dense.float() if dense.is_floating_point() else dense).numpy()
    return None


def _is_index(value: object) -> bool:
    """Whether a value is {token: row}, {row: token} or a list of tokens."""
    if isinstance(value, Mapping):
        return bool(value) and all(isinstance(key, str) != isinstance(row, str) for key, row in value.items())
    return isinstance(value, Sequence) and bool(value) and all(isinstance(token, str) for token in value)


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
    number = int(row) if isinstance(row, int | np.integer) else -1
    if not 0 <= number < count:
        raise DataError(
            f"token {token!r} has row {row!r}",
            where=path,
            expected=f"a row of 0 to {count - 1}",
            remedy="number the tokens by the rows of the matrix, from 0",
        )
    return number


def _table(tokens: Sequence[object], matrix: NDArray[Any], path: Path) -> TokensAndMatrix:
    """Tokens and matrix that fit each other, as strings and float32."""
    other = next((token for token in tokens if not isinstance(token, str)), None)
    if other is not None:
        raise DataError(
            f"{path} has the token {other!r}",
            where=path,
            expected="tokens that are strings",
            remedy="use text as tokens",
        )
    if matrix.ndim != 2 or matrix.shape[0] != len(tokens) or not matrix.size or matrix.dtype.kind not in "fiu":
        found = f"{path} has {len(tokens)} tokens and an array of shape {matrix.shape} and type {matrix.dtype}"
        raise DataError(
            found,
            where=path,
            expected="numbers, with a row for each token",
            remedy="save the vectors again, a finite row for each token",
        )
    narrow = np.ascontiguousarray(matrix, dtype=np.float32)
    bad = np.flatnonzero(~np.isfinite(narrow).all(axis=1))
    if len(bad):
        found = f"the vectors of {len(bad)} tokens hold NaN or infinity"
        raise DataError(
            found,
            where=f"{path}, token {tokens[bad[0]]!r}",
            expected="finite numbers",
            remedy="save the vectors again, a finite row for each token",
        )
    return [str(token) for token in tokens], narrow
