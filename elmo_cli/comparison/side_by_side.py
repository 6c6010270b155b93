"""Classifiers of a comparison that train side by side, each in a process of its own with its share of the cores.

The steps of a small model are too short for several threads to share, so two processes with a thread each finish more
of them than one process with two. A process reads the comparison's input itself, once, and gets one classifier after
another to train; what it hands back is what the loop in one process would have found.
"""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait
from pathlib import Path

import torch

from elmo_cli.cluster import cores, pool
from elmo_cli.comparison.classifiers import Classifiers
from elmo_cli.comparison.job import Job, Task, prepare_job
from elmo_cli.comparison.statistics import Trained
from elmo_cli.comparison.train import Trainer, keep
from elmo_cli.config import Experiment
from elmo_cli.events import Event, Notice, Stop, never

_ASK_SECONDS = 0.1  # between two looks at whether to stop
_TRAINERS: list[Trainer] = []  # in a worker the only one: a pool works for one comparison, and ends with it


def train_side_by_side(job: Job, kept: Classifiers, stop: Stop, processes: int) -> Generator[Event, None, bool]:
    """Train what is not done yet in at most so many processes, and keep each classifier as it comes.

    Yields:
        A `Notice` of how many there are, and of one that is lost, which leaves the others' classifiers undone too;
        `ClassifierDone` after each classifier.

    Returns:
        Whether it was not stopped; what is under way is then lost, what is done is not.

    Raises:
        Exception: What a process raised.
    """
    todo = [task for task in job.work() if job.key_of(task) not in kept]
    processes = min(processes, len(todo))
    if processes < 2:
        return True
    yield Notice(f"{len(todo)} classifiers train in {processes} processes side by side; each is shown when it is done")
    given = (job.experiment, job.folder, str(job.device))
    try:
        with pool(processes, threads=max(1, cores() // job.experiment.compare.jobs)) as executor:
            tasks = {executor.submit(_train, *given, task): task for task in todo}
            pending = set(tasks)
            while pending:
                if stop():
                    executor.shutdown(cancel_futures=True)
                    return False
                done, pending = wait(pending, _ASK_SECONDS, FIRST_COMPLETED)
                for future in done:
                    yield keep(job, kept, tasks[future], future.result())
    except BrokenExecutor:
        yield Notice("a process ended early, perhaps for want of memory; what is left is trained with one less")
    return True


def _train(experiment: Experiment, folder: Path, device: str, task: Task) -> Trained:
    """What a worker does."""
    if not _TRAINERS:
        _TRAINERS.append(Trainer(prepare_job(experiment, folder, torch.device(device))))
    events = _TRAINERS[0].train(task, never)
    while True:
        try:
            next(events)
        except StopIteration as end:
            trained: Trained = end.value  # not None: nobody stops it
            return trained
