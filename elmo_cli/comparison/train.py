"""The loop of a comparison: every classifier that is not there yet, one after the other."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict
from typing import cast

from elmo_cli.comparison.classifiers import Classifiers
from elmo_cli.comparison.job import Job, Task
from elmo_cli.comparison.reference import fit_reference
from elmo_cli.comparison.rows import EmbedderRow
from elmo_cli.comparison.statistics import Trained
from elmo_cli.embedder import Embedder
from elmo_cli.events import ClassifierDone, Event, Stop, Stopped
from elmo_cli.report.records import TrainingRecord
from elmo_cli.training.cache import ActivationCache, pooled_suffices, predict
from elmo_cli.training.finetune import finetune

Caches = tuple[ActivationCache | None, ActivationCache | None]  # of the training and of the test texts


def train_rows(job: Job, kept: Classifiers, stop: Stop) -> Generator[Event, None, bool]:
    """Train and test what is not done yet, and keep each.

    Yields:
        The events of each training, and `ClassifierDone` after it.

    Returns:
        Whether all are done: it was not stopped.
    """
    trainer = Trainer(job)
    for task in job.work():
        if job.key_of(task) in kept:
            continue
        trained = yield from trainer.train(task, stop)
        if trained is None:
            return False
        yield keep(job, kept, task, trained)
    return True


def keep(job: Job, kept: Classifiers, task: Task, trained: Trained) -> ClassifierDone:
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
    return sum(job.key_of(task) in kept for task in job.work())


class Trainer:
    """Trains the classifiers of a comparison; those of one embedder share its activations."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._embedder: Embedder | None = None
        self._caches: Caches = (None, None)

    def train(self, task: Task, stop: Stop) -> Generator[Event, None, Trained | None]:
        """Train one classifier, with the events of that, and classify all texts; None if it was stopped."""
        job = self._job
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
        shares = predict(done.classifier, row.embedder, test.corpus, job.device, caches[1])
        on_train = None  # a classifier of a share of the texts is not asked about the others
        if size.whole:
            on_train = predict(done.classifier, row.embedder, train.corpus, job.device, caches[0]).argmax(1)
        record = cast(TrainingRecord, asdict(done.results))
        return Trained(seed, shares.argmax(1), record, shares.astype("float16"), on_train, done.epochs)

    def _caches_of(self, row: EmbedderRow) -> Caches:
        """Activations of training and test texts for all rows of its embedder; none with `tune`."""
        if row.embedder is not self._embedder:
            self._embedder, self._caches = row.embedder, (None, None)  # the last ones go before the next ones come
            if not row.settings.tune:
                job = self._job
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
