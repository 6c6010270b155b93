"""What all tests share: the data beside the repository, and the command line as a user runs it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

# The made worlds, files and oracles of one room's tests serve those of others too.
sys.path += [str(REPOSITORY / "tests" / room) for room in ("model", "interop", "comparison", "report")]

# Before anything imports torch: on arrays this small a second thread only costs, most of all on a busy machine, and
# runs that must agree to the bit are made in this process and in others.
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the data that may not be copied into the project: `ELMO_SHARED`, else beside the repository."""
    folder = Path(os.environ.get("ELMO_SHARED") or REPOSITORY.parent / "shared")
    if not folder.is_dir():
        reason = f"no shared data in {folder} (set ELMO_SHARED)"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.stdout)


Runner = Callable[..., Outcome]


def _run_in_process(*arguments: object, stdin: str = "") -> Outcome:
    """Run `main`, the console script's own function, with its streams replaced."""
    from elmo_cli.commands.app import main

    stdout, stderr = io.StringIO(), io.StringIO()
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
    try:
        with redirect_stdout(stdout), redirect_stderr(stderr):
            main([str(argument) for argument in arguments])
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    finally:
        sys.stdin = before
    return Outcome(code, stdout.getvalue(), stderr.getvalue())


@pytest.fixture(scope="session")
def run_elmo() -> Runner:
    """`run_elmo("vocab", "build", ...)` in this process, through the entry point."""
    return _run_in_process


def _run_apart(*arguments: object, stdin: str = "", cwd: Path | None = None, timeout: float = 240) -> Outcome:
    environment = dict(os.environ, NO_COLOR="1", PYTHONPATH=str(REPOSITORY))
    done = subprocess.run(
        [sys.executable, "-m", "elmo_cli", *(str(argument) for argument in arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=cwd,
        timeout=timeout,
        env=environment,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def run_apart() -> Runner:
    """`run_apart("--help")` in a process of its own, as a shell would run it."""
    return _run_apart


@pytest.fixture(autouse=True, scope="module")
def _no_idle_workers() -> Iterator[None]:
    """scikit-learn keeps the processes of a search for the next one: none may be there when others count theirs."""
    yield
    loky = sys.modules.get("joblib.externals.loky.reusable_executor")
    if loky is not None and loky._executor is not None:
        loky._executor.shutdown(wait=True, kill_workers=True)
