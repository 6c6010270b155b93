"""The lock that keeps a second writer out of a run directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from elmo_cli.disk import cannot_write
from elmo_cli.errors import RunError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# A reader looks for a moment, and a lock file that its holder has just removed is no lock: neither is a writer.
_PATIENCE_SECONDS, _ASK_SECONDS = 0.5, 0.02


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
        lock.acquire(timeout=_PATIENCE_SECONDS, poll_interval=_ASK_SECONDS)
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
    """Whether another process is writing the folder; nothing is written to find out, and any number may ask at once."""
    path = lock_path(folder)
    if fcntl is None:
        return _is_held(path)
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there is none; or it cannot be asked, and is no reason not to read
        return False
    return False


def _is_held(path: Path) -> bool:
    """The same by taking the lock, where there is no other way; a lock file is there only while it is held."""
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=_PATIENCE_SECONDS):
            return False
    except (Timeout, OSError):
        return True
