"""Trains the classifiers of a comparison that are not there yet, one after the other, side by side or on a cluster.

Side by side each is in a process of its own with its share of the cores. The steps of a small model are too short for
several threads to share, so two processes with a thread each finish more of them than one process with two. A process
reads the comparison's input itself, once; what it hands back is what the loop in one process would have found.
"""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import NamedTuple, cast
from uuid import uuid4

import numpy as np
import torch

from elmo_cli.cluster import cluster_address, cores, pool
from elmo_cli.comparison.classifiers import Classifiers
from elmo_cli.comparison.job import Job, Key, Task, prepare_job
from elmo_cli.comparison.reference import fit_reference
from elmo_cli.comparison.rows import EmbedderRow
from elmo_cli.comparison.statistics import Trained
from elmo_cli.config import Experiment, absolute
from elmo_cli.embedder import Embedder
from elmo_cli.errors import DataError, ElmoError
from elmo_cli.events import ClassifierDone, Event, Notice, Stop, Stopped, never
from elmo_cli.report.records import TrainingRecord
from elmo_cli.training.cache import ActivationCache, LiveTexts, log_probabilities, pooled_suffices, predict
from elmo_cli.training.finetune import finetune

Caches = tuple[ActivationCache | None, ActivationCache | None]  # of the training and of the test texts
_ASK_SECONDS = 0.1  # between two looks at whether to stop


def train_rows(job: Job, kept: Classifiers, stop: Stop) -> Generator[Event, None, bool]:
    """Train and test what is not done yet, and keep each classifier: side by side what can be, the rest in turn.

    Yields:
        The events of each training in this process, `ClassifierDone` after each classifier, and a `Notice` of how many
        processes there are, and of one that is lost.

    Returns:
        Whether it was not stopped; what is under way is then lost, what is done is not.

    Raises:
        Exception: What a process raised.
        ElmoError: The cluster is gone.
        DataError: A worker of the cluster reads other files.
    """
    if cluster_address():
        return (yield from _train_side_by_side(job, kept, stop, len(job.work())))
    for processes in range(job.experiment.compare.jobs, 1, -1):  # one less whenever one is lost
        if not (yield from _train_side_by_side(job, kept, stop, processes)):
            return False
    trainer = Trainer(job)
    for task in _undone(job, kept):
        trained = yield from trainer.train(task, stop)
        if trained is None:
            return False
        yield _keep(job, kept, task, trained)
    return True


def _train_side_by_side(job: Job, kept: Classifiers, stop: Stop, processes: int) -> Generator[Event, None, bool]:
    """At most so many at once; a process that is lost leaves the others' classifiers undone too."""
    todo = _undone(job, kept)
    processes, cluster = min(processes, len(todo)), cluster_address()
    if processes < (1 if cluster else 2):
        return True
    where = f"on the Dask cluster at {cluster}" if cluster else f"in {processes} processes side by side"
    yield Notice(f"{len(todo)} classifiers train {where}; each is shown when it is done")
    files = job.files  # as this process has read them
    given = _Given(uuid4().hex, absolute(job.experiment), job.folder.absolute(), str(job.device))
    try:
        with pool(processes, threads=max(1, cores() // job.experiment.compare.jobs)) as executor:
            tasks = {executor.submit(_train, given, task): task for task in todo}
            while tasks:
                if stop():
                    executor.shutdown(cancel_futures=True)
                    return False
                done, _ = wait(tasks, _ASK_SECONDS, FIRST_COMPLETED)
                for future in islice(done, 1):  # whoever is told of it may want no further one
                    task, (read, trained) = tasks.pop(future), future.result()
                    if read != (job.key_of(task), files):
                        raise DataError(
                            f"a worker of the cluster at {cluster} reads other files than this machine",
                            expected=f"the row {job.key_of(task)[0]} of the same vectors and texts",
                            remedy="put data and runs on a file system that all machines share",
                        )
                    yield _keep(job, kept, task, trained)
    except BrokenExecutor as error:
        if cluster:
            raise ElmoError(str(error), remedy="what is done is kept: go on with --resume") from error
        yield Notice("a process ended early, perhaps for want of memory; what is left is trained with one less")
    return True


def _keep(job: Job, kept: Classifiers, task: Task, trained: Trained) -> ClassifierDone:
    """Keep a finished classifier, and tell of it."""
    row, size = job.rows[task.row], job.sizes[task.size]
    kept.keep(row, size, trained)
    return ClassifierDone(
        row=row.name,
        seed=task.seed,
        valid_accuracy=trained.training["valid"]["accuracy"],
        test_accuracy=float((trained.predicted == row.texts[1].labels).mean()),
        done=finished(job, kept),
        total=len(job.work()),
        fraction=size.fraction,
    )


def finished(job: Job, kept: Classifiers) -> int:
    """Classifiers of the comparison that are done, those of earlier sessions included."""
    return len(job.work()) - len(_undone(job, kept))


def _undone(job: Job, kept: Classifiers) -> list[Task]:
    return [task for task in job.work() if job.key_of(task) not in kept]


class Trainer:
    """Trains the classifiers of a comparison; those of one embedder share its activations."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._embedder: Embedder | None = None
        self._caches: Caches = (None, None)

    def train(self, task: Task, stop: Stop) -> Generator[Event, None, Trained | None]:
        """Train one classifier, with the events of that, and classify all texts; None if it was stopped."""
        job = self.job
        row, size, seed = job.rows[task.row], job.sizes[task.size], task.seed
        if not isinstance(row, EmbedderRow):
            return fit_reference(row.texts, size, seed=seed, stop=stop)
        train, test = row.texts
        caches = self._caches_of(row)
        done = yield from finetune(
            row.embedder,
            train,
            row.settings,
            seed=seed,
            parts=(size.fit, size.valid),
            device=job.device,
            stop=stop,
            cache=caches[0],
        )
        if isinstance(done, Stopped) or done.results.stopped:
            return None
        shares = predict([done.classifier], row.embedder, test.corpus, job.device, caches[1])
        # A classifier of a share of the texts is not asked about those that it has neither seen nor is chosen by.
        asked = np.arange(len(train)) if size.whole else size.valid
        read = caches[0] or LiveTexts(row.embedder, train.corpus, job.device)
        on_asked = log_probabilities(done.classifier, read, asked).exp().numpy()
        return Trained(
            seed,
            shares.argmax(1),
            cast(TrainingRecord, asdict(done.results)),
            shares.astype("float16"),
            on_asked.argmax(1) if size.whole else None,
            (on_asked[size.valid] if size.whole else on_asked).astype("float16"),
            on_asked.astype("float16") if size.whole else None,
            done.epochs,
        )

    def _caches_of(self, row: EmbedderRow) -> Caches:
        """Activations of training and test texts for all rows of its embedder; none with `tune`."""
        if row.embedder is not self._embedder:
            self._embedder, self._caches = row.embedder, (None, None)  # the last ones go before the next ones come
            if not row.settings.tune:
                job = self.job
                sharing = (one for one in job.rows if isinstance(one, EmbedderRow) and one.embedder is row.embedder)
                tokens = not all(pooled_suffices(one.settings) for one in sharing)
                train, test = (
                    ActivationCache(
                        row.embedder, texts.corpus, row.settings, job.device, tokens=tokens, folder=job.folder
                    )
                    for texts in row.texts
                )
                self._caches = train, test
        return self._caches


class _Given(NamedTuple):
    """What a worker is told of a comparison; its number tells it from one of the same settings and other files."""

    number: str
    experiment: Experiment
    folder: Path
    device: str


_TRAINERS: dict[str, Trainer] = {}  # by the number of the comparison: in a worker only the last one
_ONE_AT_A_TIME = Lock()  # a worker of Dask may have threads, but torch has one state of random numbers for all


def _train(given: _Given, task: Task) -> tuple[tuple[Key, tuple[str, ...]], Trained]:
    """What a worker does: of which row, by its key, and of which files it has trained what."""
    with _ONE_AT_A_TIME:
        if given.number not in _TRAINERS:
            _TRAINERS.clear()
            job = prepare_job(given.experiment, given.folder, torch.device(given.device))
            _TRAINERS[given.number] = Trainer(job)
        trainer = _TRAINERS[given.number]
        events = trainer.train(task, never)
        while True:
            try:
                next(events)
            except StopIteration as end:
                trained: Trained = end.value  # not None: nobody stops it
                return (trainer.job.key_of(task), trainer.job.files), trained
