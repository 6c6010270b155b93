"""Adds classifiers that train side by side, each in a process of its own with its share of the cores.

The steps of a small model are too short for several threads to share, so two processes with a thread each finish more
of them than one process with two. A process reads the comparison's input itself and gets one classifier after another
to train; what it sends back is what the loop in one process would have found. It ignores Ctrl-C and ends with its
parent. What the two pickle they read from each other alone, over pipes that nobody else holds.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Any

import torch

from elmo_cli.comparison.classifiers import Classifiers
from elmo_cli.comparison.job import Job, Task, prepare_job
from elmo_cli.comparison.statistics import Trained
from elmo_cli.comparison.train import Epochs, Trainer, finished, keep
from elmo_cli.config import Experiment
from elmo_cli.events import Event, Notice, Step, Stopped
from elmo_cli.text.parallel import usable_cores

# The module path travels as arguments: `-m` would put the working directory first, with whatever lies in it.
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from elmo_cli.comparison.crew import serve; serve()"
_BROKEN = (OSError, EOFError, pickle.UnpicklingError)
_ASK_SECONDS = 0.1  # between two looks at whether to stop


@dataclass(frozen=True)
class Order:
    """What a process needs to know to begin."""

    experiment: Experiment
    folder: Path
    device: str
    threads: int


@dataclass(frozen=True)
class Answer:
    """A classifier that a process has trained."""

    task: Task
    trained: Trained
    epochs: Epochs


@dataclass(frozen=True)
class Lost:
    """A process that ended before its time."""


Message = Event | Answer | Lost | Exception


def train_side_by_side(job: Job, kept: Classifiers, stop: Callable[[], bool], jobs: int) -> Iterator[Event]:
    """Train and test what is not done yet in several processes, and keep each as it comes.

    The classifier of a process that ends early goes to another one; if none is left, it stays undone.

    Args:
        job: The comparison.
        kept: Gets the classifiers.
        stop: Asked often whether to end; what is under way is then lost, what is done is not.
        jobs: How many processes at most.

    Yields:
        The steps of the first process, a `Notice` of each one lost, `ClassifierDone` after each classifier, and
        `Stopped` at last if it was.

    Raises:
        Exception: What a process raised.
    """
    todo = deque(task for task in job.work() if job.key_of(task) not in kept)
    messages: SimpleQueue[tuple[_Worker, Message]] = SimpleQueue()
    order = Order(job.experiment, job.folder, str(job.device), max(1, usable_cores() // jobs))
    crew = [_Worker(order, messages) for _ in range(min(jobs, len(todo)))]
    try:
        while True:
            for worker in crew:
                if todo and worker.task is None and not worker.lost:
                    worker.give(todo.popleft())
            if stop():
                yield Stopped(finished(job, kept))
                return
            if not any(worker.task for worker in crew):
                return
            with suppress(Empty):
                worker, message = messages.get(timeout=_ASK_SECONDS)
                match message:
                    case Exception():
                        raise message
                    case Lost():
                        worker.lost = True
                        todo.extendleft([worker.task] if worker.task else [])
                        worker.task = None
                        yield Notice("a process ended early, perhaps for want of memory; another trains its classifier")
                    case Answer(task, trained, epochs):
                        worker.task = None
                        yield keep(job, kept, task, trained, epochs)
                    case Step() if worker is crew[0]:
                        yield message
    finally:
        for worker in crew:
            worker.close()


def serve() -> None:
    """Be a process of the crew: train what comes on standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get between the messages
    with suppress(*_BROKEN):
        order: Order = pickle.load(requests)
        try:
            torch.set_num_threads(order.threads)
            trainer = Trainer(prepare_job(order.experiment, order.folder, torch.device(order.device)))
            while True:
                task: Task = pickle.load(requests)
                epochs: Epochs = []
                trained = _follow(trainer.train(task, lambda: False, epochs), replies)
                _send(replies, Answer(task, trained, epochs))
        except _BROKEN:
            raise
        except Exception as error:
            _send(replies, error)


def _follow(events: Generator[Event, None, Trained | None], replies: IO[bytes]) -> Trained:
    """Send the steps of a training that nobody stops, and return what it ends with."""
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            trained: Trained = end.value
            return trained
        if isinstance(event, Step):
            _send(replies, event)


@dataclass(eq=False)
class _Worker:
    """A process, and the thread that listens to it."""

    order: Order
    messages: SimpleQueue[tuple[_Worker, Message]]
    task: Task | None = None
    lost: bool = False
    _process: subprocess.Popen[bytes] = field(init=False)
    _listener: Thread = field(init=False)

    def __post_init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # an error comes as a message, and any other end is reported in our words
            env={**os.environ, "OMP_NUM_THREADS": str(self.order.threads)},
        )
        with suppress(OSError):  # a process that ended at once is noticed by its listener
            _send(self._process.stdin, self.order)
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()

    def give(self, task: Task) -> None:
        """Have a classifier trained."""
        self.task = task
        with suppress(OSError):
            _send(self._process.stdin, task)

    def close(self) -> None:
        """End it, whatever it does, and leave neither a process nor a pipe behind."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]

    def _listen(self) -> None:
        with suppress(*_BROKEN):
            while True:
                self.messages.put((self, pickle.load(self._process.stdout)))  # type: ignore[arg-type]
        self.messages.put((self, Lost()))


def _send(pipe: Any, message: object) -> None:
    pickle.dump(message, pipe, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.flush()
