"""The lock that keeps a second writer out of a run directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from elmo_cli.disk import cannot_write
from elmo_cli.errors import ElmoError, RunError


def lock_path(folder: Path) -> Path:
    """The lock of a folder lies beside it, so that the folder itself can be put in place in one go."""
    return folder.with_name(f".{folder.name}.lock")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, and leave no lock file behind.

    Raises:
        RunError: Another process holds it.
    """
    path = lock_path(folder)
    lock = FileLock(path)
    try:
        # The system's lock, not the file's existence: it ends with its process, however that ends.
        lock.acquire(timeout=0)
    except Timeout as error:
        if not path.exists():  # it could not be made, which looks the same
            raise cannot_write(path, OSError("this folder takes no files"), "nothing was kept") from error
        raise RunError(
            f"another process is writing {folder}",
            where=path,
            remedy="wait until it is done, or choose another --out",
        ) from error
    except OSError as error:
        raise cannot_write(path, error, "nothing was kept") from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows unlinks on release
            path.unlink()
        lock.release()


def is_locked(folder: Path) -> bool:
    """Whether another process is writing the folder."""
    # Without a file nobody holds it; trying would leave traces in a folder that may not be ours to write.
    if not lock_path(folder).exists():
        return False
    try:
        with locked(folder):
            return False
    except ElmoError:
        return True
