"""A model in a .zip or .tar.gz: what of it may be a model's is unpacked into a folder that goes again, nothing else.

An archive that was sent by someone may name places outside its folder, hold links to them, or grow without end. So
names and kinds of all members are looked at before any is unpacked, and what comes out is counted as it comes.
"""

from __future__ import annotations

import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EACCES, EDQUOT, EIO, ENOSPC, EROFS
from functools import partial
from gzip import BadGzipFile
from itertools import islice
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from stat import S_ISLNK
from tempfile import TemporaryDirectory
from typing import IO

from elmo_cli.errors import ElmoError, WeightsError, printable

_SUFFIXES = frozenset((".json", ".hdf5", ".h5", ".pkl", ".txt", ".yaml", ".dic"))  # of options, weights, vocabulary
# Weights shrink by a tenth, text to a third.
_GROWTH = 20
_ALWAYS = 1 << 26  # bytes that may be unpacked whatever the growth
_MOST_MEMBERS = 10_000
_PIECE = 1 << 20
# What the readers raise; an encrypted zip is a RuntimeError, and so is one that is packed in a way of its own.
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, LZMAError, EOFError, RuntimeError, BadGzipFile)
# What they raise of places and names that no file has, and the system of such names.
_MISPLACED = (ValueError, OverflowError, struct.error, OSError)
_OF_THE_DISK = (ENOSPC, EDQUOT, EIO, EACCES, EROFS)


@dataclass(frozen=True)
class _Member:
    """A regular file in an archive."""

    name: str
    size: int  # bytes, as the archive says
    open: Callable[[], IO[bytes] | None]


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The folder of a model: `path` itself, or for the time of the block that of an archive.

    Raises:
        WeightsError: The archive is damaged, leads out of its folder, holds links, or grows as no weights do.
    """
    if not path.is_file():
        yield path
        return
    with TemporaryDirectory(prefix="elmo-") as name:
        folder = Path(name)
        try:
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    _unpack(path, folder, _of_zip(path, archive))
            else:
                with tarfile.open(path) as packed:
                    _unpack(path, folder, _of_tar(path, packed))
        except (*_DAMAGED, *_MISPLACED) as error:
            if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
                raise ElmoError(f"{path.name} is not unpacked: {error}", where=name, remedy="make room") from error
            found, expected = f"{path} is no whole archive: {printable(str(error))}", "a folder, a .zip or a .tar.gz"
            remedy = "fetch it again, or name the folder that holds the model"
            raise WeightsError(found, where=path, expected=expected, remedy=remedy) from error
        inner = list(folder.iterdir())
        yield inner[0] if len(inner) == 1 and inner[0].is_dir() else folder


def _of_zip(path: Path, archive: zipfile.ZipFile) -> Iterator[_Member]:
    for info in archive.infolist():
        if S_ISLNK(info.external_attr >> 16):
            raise _refusal(path, f"{printable(info.filename)} in it is a link", "files and folders alone")
        if not info.is_dir():
            yield _Member(info.filename, info.file_size, partial(archive.open, info))


def _of_tar(path: Path, archive: tarfile.TarFile) -> Iterator[_Member]:
    for info in archive:
        if not (info.isfile() or info.isdir()):
            raise _refusal(path, f"{printable(info.name)} in it is a link or a device", "files and folders alone")
        if info.isfile():
            yield _Member(info.name, info.size, partial(archive.extractfile, info))


def _unpack(path: Path, folder: Path, found: Iterator[_Member]) -> None:
    """Look at all members, then unpack those that a model may have."""
    members = list(islice(found, _MOST_MEMBERS + 1))
    if len(members) > _MOST_MEMBERS:
        raise _refusal(path, f"it holds more than {_MOST_MEMBERS:,} files", "the files of one model")
    for member in members:
        place = PurePosixPath(member.name.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts or ":" in member.name:
            raise _refusal(path, f"{printable(member.name)} in it leads out of its folder", "names within the archive")
    wanted = [member for member in members if PurePosixPath(member.name).suffix in _SUFFIXES]
    room = max(_ALWAYS, _GROWTH * path.stat().st_size)
    size = sum(member.size for member in wanted)
    if size > room:
        raise _refusal(path, f"it grows to {size:,} bytes, more than {_GROWTH} times its size", "weights, which do not")
    for member in wanted:
        room = _copy(path, member, folder / member.name, room)


def _copy(path: Path, member: _Member, target: Path, room: int) -> int:
    """Unpack a file into what room there is, whatever size it claims; returns the room that is left."""
    target.parent.mkdir(parents=True, exist_ok=True)
    content = member.open()
    assert content is not None  # a regular file
    with content, target.open("wb") as file:
        while piece := content.read(_PIECE):
            room -= len(piece)
            if room < 0:
                raise _refusal(path, f"{printable(member.name)} is larger than it says", "files of known size")
            file.write(piece)
    return room


def _refusal(path: Path, found: str, expected: str) -> WeightsError:
    remedy = "if you trust it, unpack it yourself and name the folder"
    return WeightsError(f"{path.name} is not unpacked: {found}", where=path, expected=expected, remedy=remedy)
