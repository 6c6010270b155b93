"""Files of static vectors: what they hold is found by their content, and read into one matrix.

word2vec and fastText text (header `V D`), GloVe text (no header), word2vec binary, each also gzipped; gensim's own
KeyedVectors and the `.pt` dictionaries of courses (`pickled.py`). Written are word2vec's two formats.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Sequence
from gzip import GzipFile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elmo_cli.cluster import memory_here
from elmo_cli.data.files import refuse_pipe, unreadable
from elmo_cli.disk import write_atomically
from elmo_cli.errors import DataError, nearest_file
from elmo_cli.vectors.pickled import is_torch, read_course, read_gensim
from elmo_cli.vectors.plain import FORMATS, read_plain
from elmo_cli.vectors.static import StaticVectors

_GZIP, _ZIP, _PICKLE = b"\x1f\x8b", b"PK\x03\x04", b"\x80"
_FOREIGN = {
    b"\x89HDF": ("an HDF5 file", "write the vectors as word2vec text first"),
    b"\x93NUM": ("a NumPy array without its tokens", "write the vectors as word2vec text first"),
    b"BZh": ("compressed with bzip2", "unpack it, or compress it with gzip"),
    b"\xfd7zXZ": ("compressed with xz", "unpack it, or compress it with gzip"),
    b"\x28\xb5\x2f\xfd": ("compressed with zstd", "unpack it, or compress it with gzip"),
    **dict.fromkeys((b"\xff\xfe", b"\xfe\xff"), ("text in UTF-16", "convert it to UTF-8, as with iconv")),
    b"\xba\x16\x4f\x2f": ("a fastText model", "give the .vec file that fastText writes beside it"),
}
_TOO_LARGE, _FEWER = "needs more memory than there is", "keep only the vectors that you need"
# Text of numbers shrinks to a third or a half; gzip of nothing but zeros, to a thousandth.
_GROWTH = 100
_ALWAYS = 1 << 20  # bytes that may be unpacked whatever the growth: short lines of so many take a second to read


def read_vectors(path: Path) -> StaticVectors:
    """Read static vectors of any supported format, which is found by the content, not by the name.

    Raises:
        DataError: The file is missing, empty, cut off, ragged, not numeric, not finite, not UTF-8, or of a format that
            cannot be read; the message names the line where there are lines.
    """
    refuse_pipe(path)
    try:
        with open(path, "rb") as file:
            start = file.read(64)
        if start.startswith(_ZIP) or is_torch(start):
            return read_course(path, old=is_torch(start)).without_duplicates()
        if sign := next(filter(start.startswith, _FOREIGN), None):
            found, remedy = _FOREIGN[sign]
            raise DataError(f"{path} is {found}", where=path, expected=FORMATS, remedy=remedy)
        zipped = start.startswith(_GZIP)
        with io.BufferedReader(_Unzipped(path), 1 << 17) if zipped else open(path, "rb") as stream:
            pickled = stream.peek(1)[:1] == _PICKLE
            return (read_gensim if pickled else read_plain)(path, stream).without_duplicates()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is a damaged gzip file: {error}", where=path, remedy="fetch it again") from error
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}", where=path, expected=FORMATS, remedy=_remedy(path)) from error
    except OSError as error:
        raise unreadable(path, error) from error
    except MemoryError as error:
        raise DataError(f"{path} {_TOO_LARGE}", where=path, remedy=_FEWER) from error


def _remedy(path: Path) -> str:
    """What makes a missing file: the command that writes one of this name, unless the name is only mistyped."""
    method = {"w2v": "word2vec", "svd": "svd"}.get(re.split(r"[-.]", path.name)[0])
    hint = nearest_file(path)
    if method is None and hint.startswith("did you mean"):
        return hint
    return f"`elmo baseline {method or 'word2vec'} --out {path}` makes one"


def write_word2vec(path: Path, tokens: Sequence[str], matrix: NDArray[np.float32], binary: bool = False) -> None:
    """Write V distinct tokens and their (V, D) vectors in word2vec's text or binary format, beside and renamed.

    A file whose name ends in .gz is compressed. Numbers of the text format read back as exactly the same float32.

    Raises:
        DataError: A token is empty or holds whitespace, which the formats cannot tell from the gap before the numbers.
    """
    bad = next((token for token in tokens if token.encode().split() != [token.encode()]), None)
    if bad is not None:
        found, remedy = f"token {bad!r} cannot be written to a word2vec file", "use a tokenizer that splits at spaces"
        raise DataError(found, expected="tokens without whitespace", remedy=remedy)

    def fill(beside: Path) -> None:
        # No time of day in the gzip header: the same vectors are the same file.
        with GzipFile(beside, "wb", mtime=0) if path.suffix == ".gz" else open(beside, "wb") as file:
            file.write(f"{len(tokens)} {matrix.shape[1]}\n".encode())
            for token, vector in zip(tokens, np.asarray(matrix, dtype="<f4"), strict=True):
                # 9 significant digits tell any two float32 apart
                numbers = vector.tobytes() if binary else " ".join([f"{x:.9g}" for x in vector.tolist()]).encode()
                file.write(token.encode() + b" " + numbers + b"\n")

    write_atomically(path, fill)


class _Unzipped(io.RawIOBase):
    """What a gzip file holds, up to where it grows as no file of numbers does, or beyond the memory."""

    def __init__(self, path: Path) -> None:
        self._packed = open(path, "rb")  # noqa: SIM115 -- closed with this stream
        self._content = GzipFile(fileobj=self._packed)
        self._path = path
        self._memory = memory_here()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._content.seek(offset, whence)

    def readinto(self, buffer: Any, /) -> int:
        count = self._content.readinto(buffer)
        unpacked = self._content.tell()
        if unpacked > max(_ALWAYS, _GROWTH * self._packed.tell()):
            found = f"{self._path} grows to more than {_GROWTH} times its size"
            expected = "a gzip file of vectors, which grows to 2 or 3 times its size"
            remedy = "if it is what you want, unpack it first with gunzip"
            raise DataError(found, where=self._path, expected=expected, remedy=remedy)
        if self._memory is not None and unpacked > self._memory:
            raise DataError(f"{self._path} {_TOO_LARGE}", where=self._path, remedy=_FEWER)
        return count

    def close(self) -> None:
        self._packed.close()
        super().close()
