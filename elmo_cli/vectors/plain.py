"""Static vectors in plain files: lines of numbers, or word2vec's bytes.

A file is read as a stream, so that an error names its line and a wrong header allocates nothing. Lines and tokens are
bounded: a file without line ends or spaces would else be held, and searched again and again, as a whole.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from elmo_cli.errors import DataError
from elmo_cli.vectors.static import StaticVectors

FORMATS = "word2vec or fastText text, GloVe text, word2vec binary (each also .gz), gensim KeyedVectors, or a course .pt"

_ANOTHER = "fetch it again, give another file of static vectors, or train one with `elmo baseline`"
_CUT_OFF = "the file is cut off or its header wrong"
_WRONG_HEADER = "its header is wrong, or the file is of another format"

_SAMPLE = 1 << 20
_CHUNK = 1 << 22
_LONGEST_LINE = 1 << 24
_LONGEST_TOKEN = 1 << 16
_LONGEST_READ = 1 << 28
_LARGEST = 10  # digits of a count or width
_LETTERS = re.compile(rb"[ -~]{4}")
_LEAST = 1e-15  # numbers of a vector, or nothing, are above it and below its inverse
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")


def read_plain(path: Path, stream: IO[bytes]) -> StaticVectors:
    """Tell the text and binary formats apart by their content, unzipped, and read the one that it is.

    Raises:
        DataError: See `read_vectors`.
    """
    sample = stream.read(_SAMPLE)
    if not sample.strip():
        raise DataError(f"{path} is empty", where=path, expected=FORMATS, remedy=_ANOTHER)
    stream.seek(0)
    line, _, rest = sample.partition(b"\n")
    first = line.removeprefix(b"\xef\xbb\xbf").split()
    if len(first) != 2 or not all(field.isdigit() for field in first):
        return _read_text(stream, path, _guess_width(sample, path), None)
    stream.readline()
    if max(map(len, first)) > _LARGEST or not int(first[0]) or not int(first[1]):
        shown = [field[: _LARGEST + 1].decode() + "..." * (len(field) > _LARGEST) for field in first]
        found = f"{path} says that it holds {shown[0]} vectors of width {shown[1]}"
        expected = f"two numbers of 1 to {_LARGEST} digits, none of them 0"
        raise DataError(found, where=f"{path}, line 1", expected=expected, remedy=_ANOTHER)
    count, width = int(first[0]), int(first[1])
    if not _is_binary(rest, width):
        return _read_text(stream, path, width, count)
    return _read_words_or_phrases(stream, path, width, count)


def _read_words_or_phrases(stream: IO[bytes], path: Path, width: int, count: int) -> StaticVectors:
    """Read the binary format; with phrases only where it cannot be read whole without them."""
    found: StaticVectors | DataError
    try:
        found = _read_binary(stream, path, width, count, _end_of_token)
    except DataError as error:
        found = error
    if isinstance(found, DataError) or found.broken:
        stream.seek(0)
        stream.readline()
        with suppress(DataError):
            phrases = _read_binary(stream, path, width, count, _end_of_phrase)
            if isinstance(found, DataError) or phrases.broken < found.broken:
                return phrases
    if isinstance(found, DataError):
        raise found
    return found


def _is_binary(sample: bytes, width: int) -> bool:
    """Whether what follows a header is float32 bytes: a line without numbers, or control bytes, or no UTF-8."""
    line, newline, _ = sample.partition(b"\n")
    if newline and _numbers_at_end(line) >= width:
        return False
    fields = line.split()[1:]
    if fields and not any(map(_is_number, fields)):
        return True
    with suppress(UnicodeDecodeError):
        # a character may be cut at the end of the sample
        sample[: max(len(sample) - 4, 0)].decode("utf-8")
        return _CONTROL.search(sample) is not None
    return True


def _numbers_at_end(line: bytes) -> int:
    """How many numbers a line ends with, its first field never being one."""
    return sum(1 for _ in takewhile(_is_number, reversed(line.split()[1:])))


def _guess_width(sample: bytes, path: Path) -> int:
    """D of a file without header: what most of the first lines have."""
    lines = sample.split(b"\n")[:-1][:100] or [sample]
    width = Counter(map(_numbers_at_end, lines)).most_common(1)[0][0]
    if not width:
        found = f"{path} holds no vectors: its first lines do not end with numbers"
        raise DataError(found, where=f"{path}, line 1", expected=FORMATS, remedy=_ANOTHER)
    return width


def _read_text(stream: IO[bytes], path: Path, width: int, count: int | None) -> StaticVectors:
    """Lines of a token and D numbers; a token may hold spaces, so the last D fields are the vector."""
    tokens: list[str] = []
    broken: list[bytes] = []  # tokens that cannot be used
    first_broken = 0
    values = array("f")
    first_line = 1 if count is None else 2
    lines = iter(partial(stream.readline, _LONGEST_LINE), b"")
    for number, line in enumerate(lines, start=first_line):
        fields = line.rsplit(None, width)
        if not fields and not any(rest.strip() for rest in lines):
            break  # empty lines at the end
        if len(line) == _LONGEST_LINE:
            found, remedy = f"the line has more than {_LONGEST_LINE:,} bytes", "give a file with a line for each vector"
            expected = f"a token and {width} numbers"
            raise DataError(found, where=f"{path}, line {number}", expected=expected, remedy=remedy)
        if len(fields) == width and line[:1].isspace() and all(map(_is_number, fields)):
            broken.append(line)  # the token is whitespace
            continue
        try:
            numbers = list(map(float, fields[1:]))
            token = fields[0].decode("utf-8")
        except UnicodeDecodeError:
            broken.append(fields[0])
            first_broken = first_broken or number
            continue
        except (ValueError, IndexError) as error:
            raise _explain_line(line, width, path, number) from error
        if len(fields) <= width or (b" " in fields[0] and _is_number(fields[0].split()[-1])):
            raise _explain_line(line, width, path, number)
        values.extend(numbers)
        tokens.append(token)
    _refuse_many_broken(broken, len(tokens), f"{path}, line {first_broken}")
    if count is None and tokens:
        tokens[0] = tokens[0].removeprefix("\ufeff")
    if count is not None and len(tokens) + len(broken) != count:
        found = f"{path} holds {len(tokens) + len(broken)} vectors, but its header says {count}"
        raise DataError(found, where=f"{path}, line 1", remedy=_CUT_OFF)
    matrix = np.frombuffer(values, dtype=np.float32).reshape(len(tokens), width)
    _check_finite(matrix, lambda row: f"{path}, line {row + first_line}")
    return StaticVectors(tokens, matrix, path, "GloVe text" if count is None else "word2vec text", len(broken))


def _explain_line(line: bytes, width: int, path: Path, number: int) -> DataError:
    """What is wrong with a line that is not a token and D numbers."""
    where, expected = f"{path}, line {number}", f"a token and {width} numbers"
    fields = line.split()
    wrong = next((field for field in fields[1:][-width:] if not _is_number(field)), None)
    if len(fields) <= width or (wrong is None and len(fields) > width + 1):
        found, expected = f"the line has {len(fields)} fields", f"{width + 1} fields: {expected}"
    elif wrong is not None:
        found = f"{wrong[:80].decode('utf-8', 'replace')!r} is not a number"
    else:
        return _not_utf_8(fields[0], where)
    return DataError(found, where=where, expected=expected, remedy="correct the line, or fetch the file again")


def _refuse_many_broken(broken: Sequence[bytes], whole: int, where: str) -> None:
    """See that the tokens that cannot be used are the fewer ones; else the file is in another encoding."""
    if broken and len(broken) >= whole:
        raise _not_utf_8(broken[0], where)


def _not_utf_8(token: bytes, where: str) -> DataError:
    return DataError(f"the token {token[:80]!r} is not UTF-8", where=where, remedy="convert the file to UTF-8")


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _read_binary(
    stream: IO[bytes], path: Path, width: int, count: int, end_of_token: Callable[[bytes, int], int]
) -> StaticVectors:
    """Token, space and D float32, V times; a newline between them is optional."""
    tokens: list[str] = []
    broken: list[bytes] = []  # tokens that cannot be used
    places: list[int] = []  # number of each vector that is kept
    first_broken = 0
    size = 4 * width
    # a wrong header must not allocate more than the file can fill
    vectors = bytearray()
    buffer, position = b"", 0
    for number in range(1, count + 1):
        space = end_of_token(buffer, position)
        while space < 0 or space + 1 + size > len(buffer):
            if space < 0 and len(buffer) - position >= _LONGEST_TOKEN:
                found = f"no space follows the token within {_LONGEST_TOKEN:,} bytes"
                where, expected = f"{path}, vector {number}", f"a token, a space and {width} float32"
                raise DataError(found, where=where, expected=expected, remedy=_WRONG_HEADER)
            chunk = stream.read(min(max(_CHUNK, size), _LONGEST_READ))
            if not chunk:
                found = f"{path} ends within vector {number}, but its header says {count} vectors of width {width}"
                raise DataError(found, where=path, remedy=_CUT_OFF)
            buffer, position = buffer[position:] + chunk, 0
            space = end_of_token(buffer, 0)
        token = buffer[position:space].lstrip(b"\n")
        position = space + 1 + size
        try:
            text = token.decode("utf-8")
        except UnicodeDecodeError:
            broken.append(token)
            first_broken = first_broken or number
            continue
        tokens.append(text)
        places.append(number)
        vectors += buffer[space + 1 : position]
    _refuse_many_broken(broken, len(tokens), f"{path}, vector {first_broken}")
    if (buffer[position:] + stream.read(1)).strip():
        found = f"{path} goes on after the {count} vectors of width {width} that its header speaks of"
        raise DataError(found, where=path, remedy=_WRONG_HEADER)
    matrix = np.frombuffer(vectors, dtype="<f4").reshape(len(tokens), width).astype(np.float32, copy=False)
    _check_finite(matrix, lambda row: f"{path}, vector {places[row]}")
    return StaticVectors(tokens, matrix, path, "word2vec binary", len(broken))


def _end_of_token(buffer: bytes, position: int) -> int:
    """Where the space is that ends a token; -1 where none is."""
    return buffer.find(b" ", position, position + _LONGEST_TOKEN)


def _end_of_phrase(buffer: bytes, position: int) -> int:
    """Where the space is that ends a token, which may be a phrase; -1 where none is.

    What follows the first space of a phrase must have three letters of ASCII to be seen. They are bytes of numbers too,
    but make them huge or next to nothing.
    """
    space = _end_of_token(buffer, position)
    while space >= 0 and _LETTERS.match(buffer, space + 1):
        value = float(np.frombuffer(buffer, "<f4", 1, space + 1)[0])
        further = buffer.find(b" ", space + 1, position + _LONGEST_TOKEN)
        if _LEAST < abs(value) < 1 / _LEAST or further < 0:
            break
        space = further
    return space


def _check_finite(matrix: NDArray[np.float32], place: Callable[[int], str]) -> None:
    bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if len(bad):
        row = int(bad[0])
        value = matrix[row][~np.isfinite(matrix[row])][0]
        found = f"the vector holds {value}; {len(bad)} of {len(matrix)} vectors are not finite"
        raise DataError(found, where=place(row), expected="finite numbers", remedy="fetch it again: it is damaged")
