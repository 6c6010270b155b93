"""Adds classifiers that train side by side, each in a process of its own with its share of the cores.

The steps of a small model are too short for several threads to share, so two processes with a thread each finish more
of them than one process with two. A process reads the comparison's input itself, once, and gets one classifier after
another to train; what it hands back is what the loop in one process would have found.
"""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from uuid import uuid4

import torch

from elmo_cli.cluster import cores, pool
from elmo_cli.comparison.classifiers import Classifiers
from elmo_cli.comparison.job import Job, Task, prepare_job
from elmo_cli.comparison.train import Answers, Trainer, keep
from elmo_cli.config import Experiment
from elmo_cli.events import Event, Notice, Stop, never

_ASK_SECONDS = 0.1  # between two looks at whether to stop


@dataclass(frozen=True)
class Order:
    """What a process needs to know to read a comparison's input.

    Attributes:
        number: By which alone orders are told apart: the files that two equal experiments name may differ.
        experiment: The settings.
        folder: Where activations go that exceed the memory budget.
        device: Where to compute.
    """

    number: str
    experiment: Experiment = field(compare=False)
    folder: Path = field(compare=False)
    device: str = field(compare=False)


def train_side_by_side(job: Job, kept: Classifiers, stop: Stop, processes: int) -> Generator[Event, None, bool]:
    """Train and test what is not done yet in several processes, and keep each as it comes.

    Args:
        job: The comparison.
        kept: Gets the classifiers.
        stop: Asked often whether to end; what is under way is then lost, what is done is not.
        processes: How many at most.

    Yields:
        A `Notice` of how many there are, and of one that is lost, which leaves the others' classifiers undone too;
        `ClassifierDone` after each classifier.

    Returns:
        Whether it was not stopped.

    Raises:
        Exception: What a process raised.
    """
    todo = [task for task in job.work() if job.key_of(task) not in kept]
    processes = min(processes, len(todo))
    if processes < 2:
        return True
    yield Notice(f"{len(todo)} classifiers train in {processes} processes side by side; each is shown when it is done")
    order = Order(uuid4().hex, job.experiment, job.folder, str(job.device))
    try:
        with pool(processes, threads=max(1, cores() // job.experiment.compare.jobs)) as executor:
            pending = {executor.submit(_train, order, task) for task in todo}
            while pending:
                if stop():
                    executor.shutdown(cancel_futures=True)
                    return False
                done, _ = wait(pending, _ASK_SECONDS, FIRST_COMPLETED)
                for future in islice(done, 1):  # whoever is told of it may want no further one
                    pending.remove(future)
                    yield keep(job, kept, future.result())
    except BrokenExecutor:
        yield Notice("a process ended early, perhaps for want of memory; what is left is trained with one less")
    return True


def _train(order: Order, task: Task) -> Answers:
    """What a worker does."""
    events = _trainer(order).train(task, never)
    while True:
        try:
            next(events)
        except StopIteration as end:
            answers: Answers = end.value  # not None: nobody stops it
            return answers


@lru_cache(maxsize=1)
def _trainer(order: Order) -> Trainer:
    """The input of a comparison, read once in a process."""
    return Trainer(prepare_job(order.experiment, order.folder, torch.device(order.device)))
