"""Lines of text files and rows of CSV files, streamed, with errors that name file and line.

Nothing here holds more than a line or a row. Files are UTF-8, with or without a byte order mark; `.gz` is unpacked on
the way.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path

from elmo_cli.errors import DataError, nearest

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_UNREAD = {".json", ".jsonl", ".parquet", ".xlsx", ".xls", ".docx", ".pdf", ".zip", ".html", ".xml"}
_LISTED = 10  # files of a folder that a message may list
_FIRST_BYTES = {
    b"\x1f\x8b": ("is compressed, but its name does not end in .gz", "rename it to end in .gz"),
    b"PK\x03\x04": ("is a zip archive or a spreadsheet", "unpack it, or export the sheet as CSV in UTF-8"),
    b"\xff\xfe": ("is UTF-16", "save it as UTF-8"),
    b"\xfe\xff": ("is UTF-16", "save it as UTF-8"),
}


def delimiter_of(path: Path) -> str | None:
    """What separates the columns of a table, by the file's name; None for a text file.

    Raises:
        DataError: The name is that of a format that is not read.
    """
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix in _UNREAD:
        raise DataError(
            f"{path.name}: files of the kind {suffix} are not read",
            where=path,
            expected="a CSV file (.csv, .tsv) or a text file with one text a line, or one of them as .gz",
            remedy="convert it to CSV in UTF-8",
        )
    return _DELIMITERS.get(suffix)


def fingerprint(path: Path) -> str:
    """`sha256:...` of the bytes of a file.

    Raises:
        DataError: The file is missing or unreadable.
    """
    try:
        with path.open("rb") as file:
            return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a file with their line ends, decoded one by one.

    Raises:
        DataError: The file is missing or unreadable, or a line is not UTF-8 or holds a NUL byte.
    """
    number = 0
    try:
        with gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                yield _decode(raw, path, number)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be unpacked after line {number}: {error}",
            where=path,
            expected="a complete gzip file",
            remedy="fetch or compress it again; a file that is not compressed must not be named .gz",
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def read_rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a table, blank ones left out, each with the line on which it begins.

    Raises:
        DataError: As `read_lines`, or the quotes of a row do not match.
    """
    reader = csv.reader(read_lines(path), delimiter=delimiter, strict=True)
    begins = 1
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise _broken_row(path, begins, error) from error
        if row is None:
            return
        if row:
            yield begins, row
        begins = reader.line_num + 1


def _decode(raw: bytes, path: Path, number: int) -> str:
    if number == 1:
        for first_bytes, (problem, remedy) in _FIRST_BYTES.items():
            if raw.startswith(first_bytes):
                raise DataError(f"{path.name} {problem}", where=path, expected="text in UTF-8", remedy=remedy)
        raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        line = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"the byte 0x{raw[error.start]:02x} is not UTF-8",
            where=f"{path}, line {number}, byte {error.start + 1}",
            expected="text in UTF-8",
            remedy=f"convert it, e.g. `iconv -f WINDOWS-1252 -t UTF-8 {path.name} > utf8-{path.name}`",
        ) from error
    if "\0" in line:
        raise DataError(
            "there is a NUL byte",
            where=f"{path}, line {number}, column {line.index(chr(0)) + 1}",
            expected="text in UTF-8",
            remedy="remove it, or convert the file if it is UTF-16 or not a text file",
        )
    return line


def _broken_row(path: Path, begins: int, error: csv.Error) -> DataError:
    problem = str(error)
    expected = 'fields with commas, quotes or line breaks in quotes, and quotes doubled inside ("")'
    if "unexpected end" in problem:
        problem, expected = "a quote is opened and never closed", "a closing quote"
    elif "field limit" in problem:
        problem = f"a field is longer than {csv.field_size_limit()} characters: a quote is probably not closed"
    elif "expected after" in problem:
        problem = "text goes on after a closing quote"
    elif "new-line character" in problem:
        problem, expected = "a line ends in a carriage return alone", r"lines that end in \n or \r\n"
    return DataError(
        f"{path.name} is broken in the row that begins on line {begins}: {problem}",
        where=f"{path}, line {begins}",
        expected=expected,
        remedy="correct the row, or write the file again with a CSV library",
    )


def _unreadable(path: Path, error: OSError) -> DataError:
    if isinstance(error, FileNotFoundError):
        return _missing(path)
    if isinstance(error, IsADirectoryError):
        return DataError(f"{path} is a folder", where=path, expected="a file", remedy="name the file in it")
    return DataError(f"{path} cannot be read: {error.strerror or error}", where=path)


def _missing(path: Path) -> DataError:
    folder = path.parent
    if not folder.is_dir():
        remedy = f"there is no folder {folder} either: check the path"
    else:
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
        remedy = nearest(path.name, names)
        if len(names) > _LISTED and not remedy.startswith("did"):
            remedy = f"none of the {len(names)} files in {folder} has a name like it"
    return DataError(f"there is no file {path}", where=path, remedy=remedy)
