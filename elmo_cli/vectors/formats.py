"""Files of static vectors: what they hold is found by their content, and read into one matrix.

word2vec and fastText text (header `V D`), GloVe text (no header), word2vec binary, each also gzipped; gensim's own
KeyedVectors and the `.pt` dictionaries of courses (`pickled.py`). Written are word2vec's two formats.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from gzip import GzipFile
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from elmo_cli.disk import write_atomically
from elmo_cli.errors import DataError, nearest_file
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from elmo_cli.vectors.pickled import is_torch, read_course, read_gensim
from elmo_cli.vectors.plain import FORMATS, read_plain

_GZIP, _ZIP, _PICKLE = b"\x1f\x8b", b"PK\x03\x04", b"\x80"
_FOREIGN = {
    b"\x89HDF": ("an HDF5 file", "write the vectors as word2vec text first"),
    b"\x93NUM": ("a NumPy array without its tokens", "write the vectors as word2vec text first"),
    b"\xba\x16\x4f\x2f": ("a fastText model", "give the .vec file that fastText writes beside it"),
}


@dataclass(frozen=True)
class StaticVectors:
    """One vector for each token.

    Attributes:
        tokens: The tokens, distinct, in the order of the file.
        matrix: (V, D) float32, a row for each token.
        source: Where they come from.
        format: What the file turned out to be.
        duplicates: Lines that repeated a token and were left out; a token's first line counts.
    """

    tokens: list[str]
    matrix: NDArray[np.float32]
    source: Path
    format: str = ""
    duplicates: int = 0

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each token."""
        return {token: row for row, token in enumerate(self.tokens)}

    @property
    def width(self) -> int:
        """D, numbers in a vector."""
        return int(self.matrix.shape[1])


def read_vectors(path: Path) -> StaticVectors:
    """Read static vectors of any supported format.

    Args:
        path: The file; its format is found by its content, not by its name.

    Raises:
        DataError: The file is missing, empty, cut off, ragged, not numeric, not finite, not UTF-8, or of a format that
            cannot be read; the message names the line where there are lines.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(64)
        if start.startswith(_ZIP) or is_torch(start):
            tokens, matrix = read_course(path)
            kind = "course .pt"
        elif start[:4] in _FOREIGN:
            found, remedy = _FOREIGN[start[:4]]
            raise DataError(f"{path} is {found}", where=path, expected=FORMATS, remedy=remedy)
        else:
            with _open(path, start) as stream:
                if stream.read(1) == _PICKLE:
                    stream.seek(0)
                    tokens, matrix = read_gensim(path, stream)
                    kind = "gensim KeyedVectors"
                else:
                    stream.seek(0)
                    tokens, matrix, kind = read_plain(stream, path)
    except FileNotFoundError as error:
        raise DataError(
            f"there is no file {path}", where=path, expected="a file of static vectors", remedy=nearest_file(path)
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is a damaged gzip file: {error}", where=path, remedy="fetch it again") from error
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}",
            where=path,
            remedy="give a file of static vectors that this user may read",
        ) from error
    return _without_duplicates(tokens, matrix, path, kind)


def write_word2vec(path: Path, tokens: Sequence[str], matrix: NDArray[np.float32], binary: bool = False) -> None:
    """Write vectors in word2vec's text or binary format, beside and renamed.

    Args:
        path: The file, compressed if it ends in .gz; the numbers of the text format read back as exactly the same
            float32.
        tokens: V distinct tokens.
        matrix: (V, D) float32.
        binary: Float32 as bytes in place of text.

    Raises:
        DataError: A token is empty or holds whitespace, which the formats cannot tell from the gap before the numbers.
    """
    bad = next((token for token in tokens if token.encode().split() != [token.encode()]), None)
    if bad is not None:
        raise DataError(
            f"token {bad!r} cannot be written to a word2vec file",
            expected="tokens without whitespace",
            remedy="use a tokenizer that splits at whitespace",
        )

    def fill(beside: Path) -> None:
        # No time of day in the gzip header: the same vectors are the same file.
        with GzipFile(beside, "wb", mtime=0) if path.suffix == ".gz" else open(beside, "wb") as file:
            file.write(f"{len(tokens)} {matrix.shape[1]}\n".encode())
            for token, vector in zip(tokens, np.asarray(matrix, dtype="<f4"), strict=True):
                # 9 significant digits tell any two float32 apart
                numbers = vector.tobytes() if binary else " ".join([f"{x:.9g}" for x in vector.tolist()]).encode()
                file.write(token.encode() + b" " + numbers + b"\n")

    write_atomically(path, fill)


def table_for(
    vocabulary: Vocabulary, vectors: StaticVectors, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Rows of `vectors` in the order of a vocabulary's ids.

    A token takes the vector of exactly its own form; in a vocabulary that lower-cases, failing that, of the first token
    of the file that lower-cases to it. Others are drawn from a normal distribution of the file's own spread, by the
    seed and their id alone; padding is zero.

    Args:
        vocabulary: V tokens, ids 1 to V.
        vectors: The static vectors.
        seed: Of the rows that are drawn.

    Returns:
        (V + 1, D) float32 table, and (V + 1,) whether a row comes from the file.

    Raises:
        DataError: The file has no vector for any token but the special ones.
    """
    spread = float(vectors.matrix.std())
    generator = np.random.default_rng(seed)
    table = generator.normal(0.0, spread, (len(vocabulary) + 1, vectors.width)).astype(np.float32)
    table[0] = 0.0
    rows = np.concatenate([[-1], _find(vocabulary.tokens, vectors, vocabulary.tokenizer.lowercase)])
    known = rows >= 0
    table[known] = vectors.matrix[rows[known]]
    special = len(SPECIAL_TOKENS)
    if not known[special + 1 :].any():
        raise DataError(
            f"{vectors.source.name} has no token in common with the training text",
            where=vectors.source,
            expected="tokens such as " + ", ".join(f"'{token}'" for token in vocabulary.tokens[special : special + 5]),
            remedy="give vectors of the same language and the same upper or lower case",
        )
    return table, known


@dataclass(frozen=True)
class Coverage:
    """How much of a corpus has a vector, in distinct types and in running tokens."""

    types: int
    types_found: int
    tokens: int
    tokens_found: int


def coverage(vectors: StaticVectors, corpus: EncodedCorpus, lowercase: bool = False) -> Coverage:
    """Count the tokens of a corpus that have a vector; `lowercase` as for a vocabulary that lower-cases."""
    counts = corpus.counts()
    seen = np.flatnonzero(counts)
    found = _find([corpus.types[number] for number in seen.tolist()], vectors, lowercase) >= 0
    return Coverage(len(seen), int(found.sum()), int(counts.sum()), int(counts[seen][found].sum()))


def _find(tokens: Sequence[str], vectors: StaticVectors, lowercase: bool) -> NDArray[np.int64]:
    """Row of each token, -1 where there is none."""
    rows = vectors.rows
    lowered: dict[str, int] = {}
    if lowercase:
        for row, token in enumerate(vectors.tokens):
            lowered.setdefault(token.lower(), row)
    return np.array([rows.get(token, lowered.get(token, -1)) for token in tokens], dtype=np.int64)


def _open(path: Path, start: bytes) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if start.startswith(_GZIP) else open(path, "rb")


def _without_duplicates(tokens: list[str], matrix: NDArray[np.float32], path: Path, kind: str) -> StaticVectors:
    first: dict[str, int] = {}
    for row, token in enumerate(tokens):
        first.setdefault(token, row)
    duplicates = len(tokens) - len(first)
    if duplicates:
        matrix = matrix[list(first.values())]
    return StaticVectors(list(first), matrix, path, kind, duplicates)
