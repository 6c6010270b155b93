"""The lines of a file, streamed, with errors that name file and line.

Nothing here holds more than a line, and a line is bounded: a file without line ends would else fill the memory. Text is
decoded strictly, with or without a byte order mark; `.gz` is unpacked on the way, up to where it grows as no text does.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from elmo_cli.errors import DataError, nearest_file

OnBytes = Callable[[int], object]  # told now and then how many bytes of a file were read

UTF_8 = "utf-8"

LONGEST_LINE = 1 << 26  # bytes, of which a line of text in memory takes a few times as many

_BLOCK = 1 << 16  # bytes
# Text shrinks to a third or a tenth, what repeats itself to a hundredth; gzip of nothing but zeros, to a thousandth.
_GROWTH = 200
_ALWAYS = 1 << 26  # bytes that may be unpacked whatever the growth
_TOLD_EVERY = 1 << 10  # lines
_MARK = b"\xef\xbb\xbf"  # a byte order mark in UTF-8
_FIRST_BYTES = {
    b"\x1f\x8b": ("is compressed, but its name does not end in .gz", "rename it to end in .gz"),
    b"PK\x03\x04": ("is a zip archive or a spreadsheet", "unpack it, or export the sheet as CSV in UTF-8"),
    b"PAR1": ("is a Parquet file, but its name does not end in .parquet", "rename it"),
    b"BZh": ("is compressed with bzip2", "unpack it, or compress it with gzip"),
    b"\xfd7zXZ": ("is compressed with xz", "unpack it, or compress it with gzip"),
    b"\x28\xb5\x2f\xfd": ("is compressed with zstd", "unpack it, or compress it with gzip"),
    **dict.fromkeys((b"\xff\xfe", b"\xfe\xff"), ("is UTF-16", "give --encoding utf-16 (setting data.encoding)")),
}


def refuse_pipe(path: Path) -> None:
    """See that a path is no pipe or terminal, which gives its content only once.

    Raises:
        DataError: It is.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        found, remedy = f"{path} is a pipe or a device", "write it to a file, and give that: COMMAND > FILE"
        raise DataError(found, where=path, expected="a file, which can be read more than once", remedy=remedy)


def fingerprint(path: Path) -> str:
    """`sha256:...` of the bytes of a file, or of the names and bytes of the files of a folder.

    Raises:
        DataError: One is missing or unreadable.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        each = "".join(f"{file.relative_to(path).as_posix()} {fingerprint(file)}\n" for file in files)
        return "sha256:" + hashlib.sha256(os.fsencode(each)).hexdigest()
    refuse_pipe(path)
    try:
        with path.open("rb") as file:
            return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error


def read_lines(path: Path, encoding: str = UTF_8, on_bytes: OnBytes | None = None) -> Iterator[str]:
    """The lines of a file, packed if its name ends in `.gz`, with their line ends, decoded one by one.

    `on_bytes` is told now and then how many bytes were read, packed ones where it is packed.

    Raises:
        DataError: The file is missing or unreadable, or a line is not in that encoding or holds a NUL byte.
    """
    number = 0
    try:
        with path.open("rb") as raw:
            packed = path.name.lower().endswith(".gz")
            file = cast(io.BufferedReader, gzip.GzipFile(fileobj=raw)) if packed else raw
            for number, line in enumerate(decode_lines(file, path, encoding), start=1):
                yield line
                if number % _TOLD_EVERY == 0 or len(line) > _BLOCK:
                    if packed and file.tell() > max(_ALWAYS, _GROWTH * raw.tell()):
                        raise _bomb(path)
                    if on_bytes is not None:
                        on_bytes(raw.tell())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        found = f"{path} cannot be unpacked after line {number}: {error}"
        remedy = "fetch or compress it again; a file that is not compressed must not be named .gz"
        raise DataError(found, where=path, expected="a complete gzip file", remedy=remedy) from error
    except OSError as error:
        raise unreadable(path, error) from error


def decode_lines(file: BinaryIO, path: Path, encoding: str = UTF_8) -> Iterator[str]:
    """The lines of an open file, named `path` in messages; errors as of `read_lines`."""
    # In some encodings a line break cannot be found before decoding.
    by_bytes = "\n".encode(encoding) == b"\n"
    lines: Iterable[str | bytes] = _byte_lines(file) if by_bytes else _text_lines(file, path, encoding)
    for number, line in enumerate(lines, start=1):
        text = _decode(line, path, number, encoding) if isinstance(line, bytes) else line
        if "\0" in text:
            where = f"{path}, line {number}, column {text.index(chr(0)) + 1}"
            remedy = "remove it; or give --encoding utf-16 if it is that; or it is no text file"
            raise DataError("there is a NUL byte", where=where, expected=f"text in {_shown(encoding)}", remedy=remedy)
        yield text


def _byte_lines(file: BinaryIO) -> Iterable[bytes]:
    """The lines of a file; they end in a carriage return alone, as those of old Macs, where its first block says so."""
    peek = getattr(file, "peek", None)
    start = peek(_BLOCK) if peek is not None else b""
    # a byte more than the longest, by which one that is longer is known
    whole = iter(partial(file.readline, LONGEST_LINE + 1), b"")
    return _carriage_lines(file) if b"\r" in start[:-1] and b"\n" not in start else whole


def _carriage_lines(file: BinaryIO) -> Iterator[bytes]:
    rest = b""
    # as much as is left over: a long line is not copied for each of its blocks
    while block := getattr(file, "read1", file.read)(max(_BLOCK, len(rest))):
        *lines, rest = (rest + block).split(b"\r")
        yield from (line + b"\n" for line in lines)
        if len(rest) > LONGEST_LINE:
            break
    if rest:
        yield rest


def has_mark(path: Path) -> bool:
    """Whether a file begins with the byte order mark of UTF-8, as spreadsheets write it."""
    with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
        return file.read(len(_MARK)) == _MARK


def _text_lines(file: BinaryIO, path: Path, encoding: str) -> Iterator[str]:
    """Lines in an encoding in which a line break is more than its byte."""
    decoder = codecs.getincrementaldecoder(encoding)()
    number, rest, block = 0, "", b" "
    while block:
        block = getattr(file, "read1", file.read)(max(_BLOCK, len(rest)))
        try:
            *lines, rest = (rest + decoder.decode(block, final=not block)).split("\n")
        except UnicodeError as error:  # UTF-16 without a mark, too
            found = f"{path.name} is not {encoding} after line {number}: {getattr(error, 'reason', error)}"
            where, remedy = f"{path}, line {number + 1}", "give another --encoding (setting data.encoding)"
            raise DataError(found, where=where, expected=f"text in {encoding}", remedy=remedy) from error
        if len(rest) > LONGEST_LINE:
            raise _endless(path, number + len(lines) + 1)
        lines += [rest] if rest and not block else []
        for line in lines:
            yield line.removeprefix("\ufeff" if number == 0 else "") + "\n"
            number += 1


def _endless(path: Path, number: int) -> DataError:
    found, where = f"the line has more than {LONGEST_LINE:,} bytes", f"{path}, line {number}"
    remedy = "break it into lines, such as one for each paragraph"
    return DataError(found, where=where, expected="lines of text", remedy=remedy)


def _bomb(path: Path) -> DataError:
    found, remedy = f"{path} grows to more than {_GROWTH} times its size", "if it is what you want, unpack it: gunzip"
    return DataError(found, where=path, expected="a gzip file of text, which grows to 3 or 10 times", remedy=remedy)


def _decode(raw: bytes, path: Path, number: int, encoding: str) -> str:
    expected = f"text in {_shown(encoding)}"
    if len(raw) > LONGEST_LINE:
        raise _endless(path, number)
    if number == 1:
        for first_bytes, (problem, remedy) in _FIRST_BYTES.items():
            if raw.startswith(first_bytes):
                raise DataError(f"{path.name} {problem}", where=path, expected=expected, remedy=remedy)
        raw = raw.removeprefix(_MARK) if encoding == UTF_8 else raw
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        found = f"the byte 0x{raw[error.start]:02x} is not {_shown(encoding)}"
        where = f"{path}, line {number}, byte {error.start + 1}"
        raise DataError(found, where=where, expected=expected, remedy=_another_encoding(raw, encoding)) from error


def _shown(encoding: str) -> str:
    return "UTF-8" if encoding == UTF_8 else encoding


def _another_encoding(raw: bytes, encoding: str) -> str:
    """A hint at encodings that have all bytes of a line."""
    fitting = []
    for other in (UTF_8, "cp1252", "latin-1"):
        with suppress(UnicodeDecodeError):
            raw.decode(other)
            fitting += [other] if other != encoding else []
    names = " or ".join(fitting[:2])
    return f"give the file's own: --encoding {names} fits this line (setting data.encoding)"


def unreadable(path: Path, error: OSError) -> DataError:
    """The error for a file that the system does not give."""
    if isinstance(error, FileNotFoundError):
        return DataError(f"there is no file {path}", where=path, expected="a file", remedy=nearest_file(path))
    if isinstance(error, IsADirectoryError):
        return DataError(f"{path} is a folder", where=path, expected="a file", remedy="name the file in it")
    found = f"{path} cannot be read: {error.strerror or error}"
    return DataError(found, where=path, remedy="give a file that this user may read")
