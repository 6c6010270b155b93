"""Texts to numbered tokens in processes of their own, with the same result as in one.

The text is cut into chunks; each is tokenised and numbered by itself, and comes back in its place. A worker is a bare
interpreter on two pipes: it imports neither the caller's main module nor torch, and no fork copies running threads, so
that scripts, notebooks and tests can use it alike. It ignores Ctrl-C and ends with its parent. What the two pickle they
read from each other alone, over pipes that nobody else holds; no file is ever unpickled here.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from elmo_cli.config import TokenizerSettings
from elmo_cli.text.encoded import EncodedCorpus, encode
from elmo_cli.text.tokenizer import Tokenizer

CHUNK_CHARACTERS = 1 << 20
# Below this, a process takes longer to start than it saves.
BYTES_PER_PROCESS = 8 << 20

# The module path travels as arguments: `-m` would put the working directory first, with whatever lies in it.
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from elmo_cli.text.parallel import serve; serve()"
_BROKEN = (OSError, EOFError, pickle.UnpicklingError)

Say = Callable[[str], object]


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processes_for(size: int) -> int:
    """How many processes to tokenise with.

    Args:
        size: Bytes of text.
    """
    return max(1, min(usable_cores(), size // BYTES_PER_PROCESS))


def encode_chunks(
    texts: Iterable[str], settings: TokenizerSettings, processes: int, say: Say
) -> Iterator[EncodedCorpus]:
    """Tokenise and number texts chunk by chunk.

    Args:
        texts: Read here, so that errors of the reader keep their line.
        settings: Of the tokenizer.
        processes: How many tokenise; 1: none but this one.
        say: Told when processes could not be had, or were lost; their work is then done here.

    Yields:
        Consecutive parts of the corpus, each with types of its own.

    Raises:
        ConfigError: The tokenizer's pattern cannot be used.
    """
    tokenize = Tokenizer(settings)
    crew = _hire(settings, processes, say) if processes > 1 else []
    if not crew:
        yield from (encode(chunk, tokenize) for chunk in _chunks(texts))
        return
    idle: SimpleQueue[_Worker] = SimpleQueue()
    for worker in crew:
        idle.put(worker)

    def work(chunk: list[str]) -> EncodedCorpus:
        worker = idle.get()
        try:
            return worker(chunk)
        except _BROKEN:
            if worker.stopped:
                raise
            worker.lost = True
            return encode(chunk, tokenize)
        finally:
            idle.put(worker)

    pending: deque[Future[EncodedCorpus]] = deque()
    threads = ThreadPoolExecutor(len(crew))
    try:
        for chunk in _chunks(texts):
            pending.append(threads.submit(work, chunk))
            if len(pending) > 2 * len(crew):  # what is under way stays in memory, so it is bounded
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        lost = sum(worker.lost for worker in crew)
        for future in pending:
            future.cancel()
        for worker in crew:
            worker.stop()
        threads.shutdown()
        for worker in crew:
            worker.close()
    if lost:
        say(f"{lost} of {len(crew)} processes for tokenising ended early; their part was done in this one")


def serve() -> None:
    """Be a worker: tokenise what comes on standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    tokenize = Tokenizer(pickle.load(requests))
    with suppress(*_BROKEN):
        while True:
            corpus = encode(pickle.load(requests), tokenize)
            _send(replies, (corpus.types, corpus.tokens, corpus.offsets))


class _Worker:
    """A process that numbers one chunk at a time, strictly a reply for a request, so that no pipe can fill up."""

    def __init__(self, settings: TokenizerSettings) -> None:
        self.lost = self.stopped = False
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # its end is reported here, in our words
        )
        assert self._process.stdin is not None  # both are pipes
        assert self._process.stdout is not None
        self._requests, self._replies = self._process.stdin, self._process.stdout
        with suppress(OSError):  # a process that ended at once is noticed at its first chunk
            _send(self._requests, settings)

    def __call__(self, chunk: list[str]) -> EncodedCorpus:
        if self.lost:
            raise EOFError
        _send(self._requests, chunk)
        return EncodedCorpus(*pickle.load(self._replies))

    def stop(self) -> None:
        """Break off what it does; a thread that waits for it goes on."""
        self.stopped = True
        self._process.kill()

    def close(self) -> None:
        """Leave neither a process nor a pipe behind."""
        for pipe in (self._requests, self._replies):
            with suppress(OSError):
                pipe.close()
        self._process.wait()


def _send(pipe: Any, message: object) -> None:
    pickle.dump(message, pipe, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.flush()


def _hire(settings: TokenizerSettings, count: int, say: Say) -> list[_Worker]:
    """Workers; none where the system does not give them."""
    crew: list[_Worker] = []
    reason = "" if sys.executable and not getattr(sys, "frozen", False) else "there is no Python interpreter to start"
    try:
        while not reason and len(crew) < count:
            crew.append(_Worker(settings))
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        for worker in crew:
            worker.stop()
            worker.close()
        say(f"no further process could be started ({reason}), so the text is tokenised in this one, which takes longer")
        return []
    return crew


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    """Texts in lists of about as many characters."""
    chunk: list[str] = []
    size = 0
    for text in texts:
        chunk.append(text)
        size += len(text) + 1
        if size >= CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
