"""Where independent pieces of work run, behind the interface of `concurrent.futures`.

Inside `on_cluster` they are done by the workers of a Dask cluster, else by processes of this machine. These are loky's,
which comes with joblib. They start with nothing of this one: neither its main module nor running threads, so that
scripts, notebooks and tests can use them alike. What a piece of work is, its owner says.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from queue import Empty
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_ADDRESS: ContextVar[str | None] = ContextVar("_ADDRESS", default=None)
_LOOK_SECONDS = 1.0  # between two looks at whether the process that works were done for is still there


def cores() -> int:
    """Cores that this process may use: of its affinity and of its container's quota."""
    from joblib import cpu_count

    return int(cpu_count())


def memory_here() -> int | None:
    """Bytes of memory that this process may use: this machine's, or its container's; None where it cannot be told."""
    limits = []
    with suppress(AttributeError, ValueError, OSError):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in _CGROUPS:
        with suppress(OSError, ValueError):
            limits.append(int(Path(path).read_text(encoding="ascii")))
    return min(limits, default=None)


@contextmanager
def on_cluster(address: str | None) -> Iterator[None]:
    """What asks for workers meanwhile gets those of the Dask scheduler at an address, if one is given."""
    token = _ADDRESS.set(address or None)
    try:
        yield
    finally:
        _ADDRESS.reset(token)


def cluster_address() -> str | None:
    """Of the Dask scheduler whose workers `pool` gives; None: they are processes of this machine."""
    return _ADDRESS.get()


@contextmanager
def pool(workers: int, threads: int) -> Iterator[Executor]:
    """Workers, which are there as long as the context: so many, or all of the cluster that is in use.

    Ctrl-C does not reach them, and they end with this process. If one ends before its time, all that was submitted and
    is not done ends with `BrokenExecutor`. `shutdown(cancel_futures=True)`, and leaving by an exception, kill them
    whatever they do; otherwise they finish what they have.

    Args:
        workers: Pieces of work that are done at once.
        threads: With how many each of them may compute.

    Raises:
        BrokenExecutor: The system does not give them.
        ConfigError: The cluster does not, see `elmo_cli.dask_cluster.dask_pool`.
    """
    if address := cluster_address():
        from elmo_cli.dask_cluster import dask_pool

        with dask_pool(address) as executor:
            yield executor
        return
    with warnings.catch_warnings():
        # What loky warns of, a worker that it could not kill by its favourite means or that grew, is not the user's.
        warnings.filterwarnings("ignore", module=r"joblib\.externals\.loky")
        processes = _Processes(workers, threads)
        try:
            yield processes
        except BaseException:
            processes.shutdown(cancel_futures=True)
            raise
        processes.shutdown()


class _Processes(Executor):
    """loky's processes, all of them started."""

    def __init__(self, workers: int, threads: int) -> None:
        from joblib.externals.loky import ProcessPoolExecutor

        if sys.platform != "win32":
            from joblib.externals.loky.backend.popen_loky_posix import Popen

            Popen.kill = Popen.terminate  # what loky calls on a system without `pgrep`, such as a slim container
        with _apart():
            try:
                self._loky = ProcessPoolExecutor(
                    workers,
                    initializer=_begin,
                    initargs=(os.getpid(),),
                    env=dict.fromkeys(_THREADS, str(threads)),
                )
                if sys.platform != "win32":
                    from multiprocessing import resource_tracker

                    # loky would start it along with the first worker, and it lets Ctrl-C through when it has started
                    resource_tracker.ensure_running()
            except (OSError, ImportError, NotImplementedError) as error:
                raise BrokenExecutor(f"no semaphores: {error}") from error
            try:
                with _ctrl_c_waits():
                    self._loky.submit(os.getpid)
            except OSError as error:
                for process in self._loky._processes.values():  # those that had started; nobody else ends them yet
                    process.kill()
                    process.join()
                raise BrokenExecutor(error.strerror or str(error)) from error

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a piece of work done; it is pickled, and so is what it returns."""
        future: Future[T] = self._loky.submit(work, *args, **kwargs)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers, at once if what is not done is cancelled."""
        if cancel_futures:
            # loky forgets the pieces that are waiting, but would still look up those whose numbers are in its queue.
            with suppress(Empty):
                while True:
                    self._loky._work_ids.get_nowait()
        self._loky.shutdown(wait=wait, kill_workers=cancel_futures)


def _begin(parent: int) -> None:
    """The first that a worker does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all; what it ends, their parent decides
    os.dup2(2, 1)  # what a library prints must not get between results on standard output
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End with a parent that was killed: what a worker waits for then, or wants to hand over, nobody would take."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)


@contextmanager
def _apart() -> Iterator[None]:
    """Interpreters that are started meanwhile do not look for modules in the working directory, whatever lies there."""
    name = "PYTHONSAFEPATH"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Keep Ctrl-C back, here for the moment, and for good from processes that are started meanwhile."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
