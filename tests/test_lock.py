"""The lock of a run directory: one writer at a time, and any number of readers that only look."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from elmo_cli.errors import RunError
from elmo_cli.runs.lock import is_locked, lock_path, locked

# Takes the lock again and again; while it has it, it is alone with a folder that cannot be made twice.
HAMMER = """
import sys, time
from pathlib import Path
from elmo_cli.errors import RunError
from elmo_cli.runs.lock import is_locked, locked
folder, alone, held = Path(sys.argv[1]), Path(sys.argv[2]), 0
end = time.monotonic() + 2
while time.monotonic() < end:
    try:
        with locked(folder):
            alone.mkdir()
            assert is_locked(folder)
            alone.rmdir()
            held += 1
    except RunError as error:
        assert "another process is writing" in error.message, error.message
print(held)
"""


def test_two_never_hold_it_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HAMMER, str(tmp_path / "run"), str(tmp_path / "alone")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    told = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, told
    assert sum(int(out) for out, _ in told) > 20
    assert list(tmp_path.iterdir()) == []


def test_who_looks_is_in_nobodys_way(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    lock_path(folder).touch()  # as a killed process leaves it
    found: list[bool] = []
    looking = [threading.Thread(target=lambda: found.extend(is_locked(folder) for _ in range(200))) for _ in range(4)]
    for thread in looking:
        thread.start()
    for _ in range(50):
        with locked(folder):
            pass
        lock_path(folder).touch()
    for thread in looking:
        thread.join()
    assert len(found) == 800
    assert not is_locked(folder)
    assert lock_path(folder).exists()  # looking removes nothing


def test_it_is_seen_while_it_is_held(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with locked(folder):
        assert is_locked(folder)
        with pytest.raises(RunError, match="another process is writing"), locked(folder):
            pass
    assert not is_locked(folder)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="needs a user whom a folder can refuse")
def test_a_stale_lock_in_a_read_only_place_locks_nobody_out(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    lock_path(folder).touch(mode=0o444)
    tmp_path.chmod(0o555)
    try:
        assert not is_locked(folder)
    finally:
        tmp_path.chmod(0o755)


def test_a_stale_lock_that_may_not_be_written_locks_nobody_out(tmp_path: Path) -> None:
    lock_path(tmp_path / "run").touch(mode=0o444)
    assert not is_locked(tmp_path / "run")
