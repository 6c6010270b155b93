"""A Dask cluster behind the interface of `concurrent.futures`: the other place where pieces of work run.

A piece of work and what it returns are pickled, so a cluster is trusted. Files are read by the workers themselves, on a
file system that all share. A worker that dies costs its pieces, which Dask gives to others, three times at most.
Certificates are those of `distributed`'s own settings.
"""

from __future__ import annotations

import logging
import platform
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from weakref import WeakSet

from elmo_cli.errors import ConfigError
from elmo_cli.version import __version__

if TYPE_CHECKING:
    from distributed import Client
    from distributed import Future as DaskFuture

P = ParamSpec("P")
T = TypeVar("T")

CONNECT_SECONDS = 10
_CLOSE_SECONDS = 5


@contextmanager
def dask_pool(address: str) -> Iterator[DaskExecutor]:
    """The workers of a cluster, as long as the context; leaving it by an exception cancels what is not done.

    Args:
        address: Of the scheduler, such as `tcp://host:8786`.

    Raises:
        ConfigError: `distributed` is not installed, nobody answers there, there is no worker, or one has other
            versions of Python, elmo, torch or NumPy.
        BrokenExecutor: From futures: the scheduler is gone, or several workers died of one piece.
    """
    try:
        from distributed import Client
    except ImportError as error:
        remedy = "pip install 'elmo-cli[cluster]', or leave --cluster out"
        raise ConfigError("a Dask cluster needs the package distributed", remedy=remedy) from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what is the user's to know, we say
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of versions, which are compared below
        connect = partial(Client, address, timeout=CONNECT_SECONDS, set_as_default=False)
        try:
            try:
                client = connect()
            except AssertionError:  # its thread has ten seconds to start, which a machine that stalls may not have
                client = connect()
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(
                f"no Dask scheduler answers at {address}",
                expected="an address such as tcp://host:8786",
                remedy="start one with `dask scheduler`, or leave --cluster out",
            ) from error
    executor = DaskExecutor(client, address)
    try:
        _check_workers(client)
        yield executor
    except BaseException:
        executor.shutdown(cancel_futures=True)
        raise
    finally:
        client.close(timeout=_CLOSE_SECONDS)  # type: ignore[no-untyped-call]


class DaskExecutor(Executor):
    """Futures of `concurrent.futures` for work on a cluster.

    Args:
        client: Connected to a scheduler.
        address: Of that scheduler, for messages.
    """

    def __init__(self, client: Client, address: str) -> None:
        self._client = client
        self._address = address
        # Not the client's own executor, from which an error is never heard if the scheduler dies at the wrong moment.
        self._theirs: WeakSet[DaskFuture[Any]] = WeakSet()

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a piece of work done; it is pickled, and so is what it returns."""
        found: Future[T] = Future()
        found.set_running_or_notify_cancel()
        theirs = self._client.submit(work, *args, **kwargs, pure=False)
        self._theirs.add(theirs)
        theirs.add_done_callback(  # type: ignore[no-untyped-call]
            lambda done: self._hand_over(done, found)
        )
        return found

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let go of the cluster; what is not done may be cancelled, but what a worker has begun it finishes."""
        if cancel_futures:
            with suppress(Exception):  # nobody is left to hear of it
                self._client.cancel(list(self._theirs))  # type: ignore[no-untyped-call]

    def _hand_over(self, theirs: DaskFuture[T], found: Future[T]) -> None:
        from distributed import KilledWorker

        try:
            found.set_result(theirs.result())
        except (CancelledError, OSError) as error:
            if theirs.status == "error" and isinstance(error, OSError):  # the work's own
                found.set_exception(error)
            else:
                found.set_exception(BrokenExecutor(f"the Dask scheduler at {self._address} is gone"))
        except KilledWorker as error:
            dead = f"several Dask workers died of one piece of work, the last at {error.last_worker.address}"
            found.set_exception(BrokenExecutor(dead))
        except BaseException as error:
            found.set_exception(error)


def _versions() -> dict[str, str]:
    """Of all that decides what a piece of work gives."""
    import numpy as np
    import torch

    arrays = {"torch": torch.__version__, "numpy": np.__version__}
    return {"Python": platform.python_version(), "elmo": __version__, **arrays}


def _check_workers(client: Client) -> None:
    """See that there are workers, and that they are as this process is."""
    here, there = _versions(), client.run(_versions, on_error="return")
    if not there:
        remedy = "start some with `dask worker` and its address"
        raise ConfigError("the Dask scheduler has no worker", remedy=remedy)
    for address, versions in there.items():
        if isinstance(versions, BaseException):
            found = f"the Dask worker at {address} cannot import elmo ({versions})"
            raise ConfigError(found, remedy="install the same elmo on all machines")
        for name, version in versions.items():
            if version != here[name]:
                raise ConfigError(
                    f"the Dask worker at {address} has {name} {version}",
                    expected=f"{name} {here[name]}, as here",
                    remedy="install the same versions on all machines",
                )
