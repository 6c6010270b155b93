"""Files that are either whole or absent: the one place that writes beside, flushes and renames."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError

from elmo_cli.errors import ElmoError, RunError


def refuse_target(path: Path, overwrite: bool, flags: str = "--out") -> None:
    """See that a file can be written, before the work that it is to hold.

    Args:
        path: Where it is to be.
        overwrite: Whether a file that is there may be replaced.
        flags: What names the place.

    Raises:
        RunError: A folder or a device is there, or a file that may not be replaced.
    """
    if path.exists() and not path.is_file():
        kind, remedy = ("a folder", "name a file in it, or choose") if path.is_dir() else ("a device", "choose")
        raise RunError(
            f"{path} is {kind}", where=path, expected="a file, which may be new", remedy=f"{remedy} another {flags}"
        )
    if path.exists() and not overwrite:
        raise RunError(
            f"{path} exists already",
            where=path,
            expected="a new file",
            remedy=f"give --overwrite to replace it, or choose another {flags}",
        )


def write_atomically(
    path: Path, fill: Callable[[Path], object], *, kept: str = "nothing was kept", shared: bool = False
) -> None:
    """Write a file beside its place, flush it to the disk, and rename it into place.

    Args:
        path: Where the file is to be.
        fill: Writes the file whose path it is given.
        kept: For the message: what is on disk if this fails.
        shared: Whether other processes may write the same file at the same time.

    Raises:
        ElmoError: The disk is full or refuses; a file that was there before is untouched.
    """
    # Elsewhere the name is always the same, so that what a killed process left is written over by the next.
    beside = path.with_name(f".{path.name}{f'.{os.getpid()}' if shared else ''}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.touch()
        mode = beside.stat().st_mode
        fill(beside)
        beside.chmod(mode)  # that of a file made here: safetensors makes its own, for the owner alone
        flush(beside)
        os.replace(beside, path)
        flush(path.parent)
    except BaseException as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError | SafetensorError):
            raise cannot_write(path, error, kept) from error
        raise


def write_text(path: Path, text: str, *, kept: str = "nothing was kept", shared: bool = False) -> None:
    """Write a text file in UTF-8, its line ends as they are; see `write_atomically`.

    A file name that is no UTF-8 is told by its bytes: a run is not lost at its end because of one.
    """
    content = text.encode(errors="backslashreplace")
    write_atomically(path, lambda beside: beside.write_bytes(content), kept=kept, shared=shared)


def cannot_write(path: Path, error: Exception, kept: str) -> ElmoError:
    """The error for a file that the disk did not take."""
    file = next((parent for parent in path.parents if parent.exists() and not parent.is_dir()), None)
    if file is not None:
        return RunError(
            f"{path.name} could not be written: {file.name} is a file, not a folder",
            where=path,
            expected="a place in a folder, which may be new",
            remedy="choose another place",
        )
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return ElmoError(
        f"{path.name} could not be written: {reason}",
        where=path,
        remedy=f"make room or choose another place; {kept}",
    )


def flush(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk before anything that relies on them."""
    if path.is_dir() and os.name == "nt":  # Windows cannot open a folder
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
