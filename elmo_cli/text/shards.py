"""A corpus on disk, mapped into memory: what `EncodedCorpus` holds, without its size in memory.

A folder per corpus:

    tokens.int32    N type numbers, end to end
    offsets.int64   S + 1, where each sentence begins, and the end
    counts.int64    how often each type occurs
    types.txt       the types in UTF-8, a NUL after each
    places.int64    types + 1, the byte in `types.txt` at which each begins, and the end
    header.json     their sizes and, for every MiB, a CRC-32
    ids-*.npy       the types' ids in a vocabulary, where there are many types; each with a header of its own

Numbers are little-endian. A folder is written beside its place and renamed, so it is whole or absent; of two processes
that write the same one, the first wins and the second uses its work.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import time
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypedDict, overload

import numpy as np
from numpy.typing import NDArray

from elmo_cli.config.bounded import read_json
from elmo_cli.data.files import fingerprint
from elmo_cli.disk import flush, write_atomically, write_text
from elmo_cli.errors import DataError, ElmoError
from elmo_cli.text.encoded import EncodedCorpus, numbering

FORMAT = 1
HEADER, TOKENS, OFFSETS, COUNTS = "header.json", "tokens.int32", "offsets.int64", "counts.int64"
TYPES, PLACES = "types.txt", "places.int64"
FILES = (TOKENS, OFFSETS, COUNTS, TYPES, PLACES)

_BLOCK = 1 << 20
_BLOCKS_CHECKED = 32  # of each file on opening: all of 32 MiB, a sample of what is larger
_TYPES_AT_ONCE = 1 << 16
_TYPES_DERIVED_FROM = 1 << 18  # fewer are looked up in a tenth of a second
_UNFINISHED = ".new"
_ABANDONED = 24 * 3600.0  # seconds after which nobody writes an unfinished folder any more
_REMEMBERED_FROM = 32 << 20  # bytes: smaller files are hashed each time, in some hundredths of a second
_SETTLED = 2.0  # seconds without a change before a file's time stamp can be relied on


class _Sealed(TypedDict):
    """A file as it was written."""

    bytes: int
    crc32: list[int]  # of each MiB


class StoredTypes(Sequence[str]):
    """The types of a corpus on disk, decoded as they are asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._text: NDArray[np.uint8] = _mapped(folder / TYPES, "u1")
        self._places: NDArray[np.int64] = _mapped(folder / PLACES, "<i8")

    def __len__(self) -> int:
        return len(self._places) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        if isinstance(index, slice):
            return tuple(self[number] for number in range(*index.indices(len(self))))
        number = range(len(self))[index]
        return self._text[self._places[number] : self._places[number + 1] - 1].tobytes().decode()

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _TYPES_AT_ONCE):
            stop = min(start + _TYPES_AT_ONCE, len(self))
            # No token holds a NUL: no reader lets one through.
            yield from self._text[self._places[start] : self._places[stop] - 1].tobytes().decode().split("\0")

    def derive(self, name: str, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """What follows from the types, (types, ...) of any kind: computed once if they are many, then mapped.

        The name stands for all that it depends on beside the types, such as a vocabulary.
        """
        path = self._folder / f"{name}.npy"
        header = path.with_suffix(".json")
        if len(self) < _TYPES_DERIVED_FROM:
            return compute()
        try:
            _verify(path, read_json(header))
            return np.asarray(np.load(path, mmap_mode="r"))
        except (OSError, ValueError, KeyError, TypeError, DataError):  # not there yet, or to be done again
            values = compute()

        def fill(beside: Path) -> None:
            with beside.open("wb") as file:  # np.save would add an ending to the name
                np.save(file, values)

        with suppress(OSError, ElmoError):  # it only saves time
            write_atomically(path, fill, shared=True)
            write_text(header, json.dumps(_seal(path)), shared=True)
        return values


def load_or_write(folder: Path, encode: Callable[[], Generator[EncodedCorpus, None, None]]) -> EncodedCorpus:
    """The corpus in a folder; where there is none, encoded and written, and the encoder closed whatever happens.

    Raises:
        DataError: There is one, but it is damaged.
        OSError: It cannot be written.
    """
    if not folder.exists():
        with closing(encode()) as parts:
            write_corpus(folder, parts)
    return open_corpus(folder)


def open_corpus(folder: Path) -> EncodedCorpus:
    """Map a corpus into memory.

    Sizes are compared in full; contents as far as they are small, and of larger files a sample of their blocks, so that
    opening takes no longer for a larger corpus.

    Raises:
        DataError: A file is missing or damaged.
    """
    try:
        header = read_json(folder / HEADER)
        files: dict[str, _Sealed] = header["files"]
        for name in FILES:
            _verify(folder / name, files[name])
        corpus = EncodedCorpus(StoredTypes(folder), _mapped(folder / TOKENS, "<i4"), _mapped(folder / OFFSETS, "<i8"))
    except OSError as error:
        raise _damaged(Path(error.filename or folder), error.strerror or str(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder / HEADER, "it does not describe a corpus") from error
    corpus.know_counts(_mapped(folder / COUNTS, "<i8"))
    return corpus


def write_corpus(folder: Path, parts: Iterable[EncodedCorpus]) -> None:
    """Write a corpus from consecutive parts, each with types of its own; it stays if it is there by then.

    All types are numbered in order of appearance, as if there were one part; no more than one part and the types are
    ever in memory.

    Raises:
        OSError: The disk is full or refuses; nothing is left behind.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(folder.parent)
    beside = folder.with_name(f"{folder.name}-{secrets.token_hex(4)}{_UNFINISHED}")
    beside.mkdir()
    try:
        types, counts = _write_tokens(beside, parts)
        encoded = [token.encode() + b"\0" for token in types]
        (beside / TYPES).write_bytes(b"".join(encoded))
        places = np.zeros(len(types) + 1, dtype="<i8")
        np.cumsum(np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded)), out=places[1:])
        places.tofile(beside / PLACES)
        counts.astype("<i8").tofile(beside / COUNTS)
        files = {name: _seal(beside / name) for name in FILES}
        (beside / HEADER).write_text(json.dumps({"format": FORMAT, "files": files}), encoding="utf-8")
        flush(beside / HEADER)
        flush(beside)
        try:
            beside.rename(folder)
        except OSError:
            if not folder.is_dir():  # otherwise another process was faster
                raise
        flush(folder.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write_tokens(folder: Path, parts: Iterable[EncodedCorpus]) -> tuple[list[str], NDArray[np.int64]]:
    """Write tokens and offsets; returns the types and their counts."""
    numbers = numbering()
    counts = np.zeros(len(numbers), dtype=np.int64)
    total = 0
    with (folder / TOKENS).open("wb") as tokens, (folder / OFFSETS).open("wb") as offsets:
        offsets.write(np.zeros(1, dtype="<i8").tobytes())
        for part in parts:
            # (types of the part,) their numbers in the whole; those of one part are distinct
            own = np.fromiter(map(numbers.__getitem__, part.types), dtype="<i4", count=len(part.types))
            tokens.write(own[part.tokens].tobytes())
            offsets.write((part.offsets[1:] + total).astype("<i8").tobytes())
            counts = np.pad(counts, (0, len(numbers) - len(counts)))
            counts[own] += part.counts()
            total += part.token_count
    return list(numbers), counts


def _seal(path: Path) -> _Sealed:
    """Flush a file to the disk; returns what it will be known by."""
    flush(path)
    with path.open("rb") as file:
        checksums = [zlib.crc32(block) for block in iter(lambda: file.read(_BLOCK), b"")]
        return {"bytes": file.tell(), "crc32": checksums}


def _verify(path: Path, sealed: _Sealed) -> None:
    """See that a file is as it was written."""
    found, size, checksums = path.stat().st_size, sealed["bytes"], sealed["crc32"]
    if found != size:
        raise _damaged(path, f"it has {found} bytes", expected=f"{size} bytes")
    blocks = np.unique(np.linspace(0, len(checksums) - 1, min(len(checksums), _BLOCKS_CHECKED)).round().astype(int))
    with path.open("rb") as file:
        for block in blocks.tolist():
            file.seek(block * _BLOCK)
            if zlib.crc32(file.read(_BLOCK)) != checksums[block]:
                raise _damaged(path, f"the checksum of its block {block + 1} of {len(checksums)} is another one")


def _damaged(path: Path, problem: str, expected: str = "the file as it was written") -> DataError:
    found = f"the tokenised text in {path.parent.name} is damaged: {path.name}: {problem}"
    remedy = f"delete the folder {path.parent}: it is only a copy, and is written again from the text"
    return DataError(found, where=path, expected=expected, remedy=remedy)


def _mapped(path: Path, dtype: str) -> NDArray[Any]:
    """The numbers of a file; read-only."""
    empty = path.stat().st_size == 0  # nothing cannot be mapped
    return np.zeros(0, dtype) if empty else np.asarray(np.memmap(path, dtype=dtype, mode="r"))


def _remove_abandoned(folder: Path) -> None:
    """Remove what processes that were killed have left unfinished."""
    for path in folder.glob(f"*{_UNFINISHED}"):
        with suppress(OSError):
            entries = [path, *(path.iterdir() if path.is_dir() else ())]
            if time.time() - max(entry.stat().st_mtime for entry in entries) > _ABANDONED:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


class Fingerprints:
    """Fingerprints of files; those of large ones are remembered in a folder, as long as the files are not touched.

    What is remembered holds for a file of the same path, inode, size, and times of change to the nanosecond (on Unix
    the inode's time too, which no program can set back). A file that was changed within the last seconds is not
    remembered: it could change again within one tick of the clock.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[Path, tuple[list[int], str]] = {}

    def __call__(self, path: Path) -> str:
        """`sha256:...` of the bytes of a file.

        Raises:
            DataError: The file is missing or unreadable, or changed while it was read.
        """
        path = path.resolve()
        before = _stamp(path)
        if before is None:
            return fingerprint(path)
        known = self._known.get(path) or self._recall(path)
        if known is None or known[0] != before:
            known = before, fingerprint(path)
            self._known[path] = known
            self.check(path)
            self._remember(path, *known)
        self._known[path] = known
        return known[1]

    def check(self, path: Path) -> None:
        """See that a file is still the one whose fingerprint was asked for; a DataError says that it is not."""
        known = self._known.get(path.resolve())
        if known is not None and known[0] != _stamp(path):
            found, remedy = f"{path} was changed while it was read", "run it again once the file is complete"
            raise DataError(found, where=path, expected="a file that stays as it is", remedy=remedy)

    def _recall(self, path: Path) -> tuple[list[int], str] | None:
        with suppress(OSError, ValueError, TypeError):
            stamp, digest = read_json(self._place(path))
            return list(stamp), str(digest)
        return None

    def _remember(self, path: Path, stamp: list[int], digest: str) -> None:
        if stamp[2] < _REMEMBERED_FROM or time.time() - max(stamp[3:]) / 1e9 < _SETTLED:
            return
        with suppress(ElmoError):  # it only saves time
            write_text(self._place(path), json.dumps([stamp, digest]), shared=True)

    def _place(self, path: Path) -> Path:
        return self.folder / f"fingerprint-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.json"


def _stamp(path: Path) -> list[int] | None:
    """What changes when a file does; None for what is no file, and reported by whoever reads it."""
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns] if path.is_file() else None
