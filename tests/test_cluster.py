"""Workers: where they come from, what they may use, and that they end, whatever ends first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from multiprocessing import active_children
from pathlib import Path

import pytest

from elmo_cli.cluster import cores, pool

REPOSITORY = Path(__file__).resolve().parent.parent
unix = pytest.mark.skipif(os.name == "nt", reason="signals of a terminal are those of Unix")

WAITING = """
import os, signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # which is ignored by who was started in the background
from elmo_cli.cluster import pool
try:
    with pool(2, threads=1) as executor:
        waiting = [executor.submit(time.sleep, 600) for _ in range(8)]
        while not any(future.running() for future in waiting):
            time.sleep(0.01)
        from multiprocessing import active_children
        print(*(child.pid for child in active_children()), flush=True)
        waiting[0].result()
except KeyboardInterrupt:
    print("stopped")
"""


def wait_for_the_end(pid: int) -> None:
    for _ in range(600):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return  # ended, and nobody asked for its exit code
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.1)
    pytest.fail(f"process {pid} is still there")


def start_waiting() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", WAITING],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


def test_work_is_done_by_others_with_the_threads_they_were_given() -> None:
    with pool(2, threads=3) as executor:
        others = {executor.submit(os.getpid).result() for _ in range(8)}
        assert os.getpid() not in others
        assert executor.submit(os.getenv, "OMP_NUM_THREADS").result() == "3"
        with pytest.raises(ValueError, match="invalid literal"):
            executor.submit(int, "three").result()


def test_cores_are_at_most_those_of_the_machine() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)


@pytest.fixture(params=[True, False], ids=["with pgrep", "without pgrep"])
def _tools(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slim container has no pgrep, by which loky finds what a worker has started."""
    if not request.param:
        monkeypatch.setenv("PATH", "/nowhere")


@pytest.mark.usefixtures("_tools")
def test_a_worker_that_is_lost_is_told_of() -> None:
    with pool(2, threads=1) as executor:
        with pytest.raises(BrokenExecutor):
            executor.submit(os._exit, 3).result()
        with pytest.raises(BrokenExecutor):
            executor.submit(os.getpid)
    assert not active_children()


@pytest.mark.usefixtures("_tools")
@pytest.mark.parametrize("by_error", [False, True])
def test_work_that_is_given_up_is_not_waited_for(by_error: bool) -> None:
    began = time.monotonic()
    with suppress(LookupError), pool(2, threads=1) as executor:
        executor.submit(time.sleep, 300)
        if by_error:
            raise LookupError
        executor.shutdown(cancel_futures=True)
    assert time.monotonic() - began < 250
    assert not active_children()


def test_work_that_no_worker_has_got_yet_is_given_up_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    with pool(2, threads=1) as executor:
        executor.submit(os.getpid).result()
        time.sleep(1)  # until it waits for more
        with monkeypatch.context() as patch:  # what hands work to the workers does not learn of this one
            patch.setattr(executor._loky._executor_manager_thread_wakeup, "wakeup", lambda: None)
            future = executor.submit(time.sleep, 300)
        executor.shutdown(cancel_futures=True)
    assert future.exception(timeout=60) is not None
    assert not active_children()


def test_no_worker_stays_where_not_all_could_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    from joblib.externals.loky.backend import fork_exec

    start, left = fork_exec.fork_exec, [1]

    def refuse_the_second(*arguments: object, **more: object) -> int:
        if not left[0]:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        left[0] -= 1
        return start(*arguments, **more)

    monkeypatch.setattr(fork_exec, "fork_exec", refuse_the_second)
    with pytest.raises(BrokenExecutor, match="temporarily unavailable"), pool(2, threads=1):
        pass
    assert not active_children()


def test_a_system_without_semaphores_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("joblib.externals.loky.ProcessPoolExecutor", refuse)
    with pytest.raises(BrokenExecutor, match="No space left"), pool(2, threads=1):
        pass


def test_workers_import_nothing_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("random", "queue", "numpy", "joblib"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('this is not {name}')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    with pool(2, threads=1) as executor:
        assert executor.submit(os.getcwd).result() == str(tmp_path)
    assert "PYTHONSAFEPATH" not in os.environ


@unix
def test_ctrl_c_ends_the_workers_quietly() -> None:
    with start_waiting() as process:
        pids = [int(pid) for pid in process.stdout.readline().split()]
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        output, errors = process.communicate(timeout=100)
    assert (output, errors) == ("stopped\n", "")
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@unix
def test_workers_end_with_a_parent_that_is_killed() -> None:
    with start_waiting() as process:
        pids = [int(pid) for pid in process.stdout.readline().split()]
        process.kill()
        for pid in pids:
            wait_for_the_end(pid)
