"""Stopping on request: Ctrl-C and SIGTERM ask a loop to save and end; a second signal ends it at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# What a shell reports of a process that a signal ended.
EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Stop:
    """Callable without arguments: whether the user asked to stop. `code` is the exit code to end with."""

    def __init__(self) -> None:
        self.code = 0

    def __call__(self) -> bool:
        """Whether to stop."""
        return self.code != 0

    def request(self, number: int, frame: FrameType | None) -> None:
        """Note the first signal; leave at once on the second."""
        if self.code:
            raise SystemExit(EXIT_CODES[signal.Signals(number)])
        self.code = EXIT_CODES[signal.Signals(number)]


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Within the block, SIGINT and SIGTERM set the flag that the yielded `Stop` returns."""
    stop = Stop()
    before = {number: signal.signal(number, stop.request) for number in EXIT_CODES}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
