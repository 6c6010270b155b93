"""The loop of a comparison: every classifier that is not there yet, one after the other or side by side."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict
from typing import Any, cast

from elmo_cli.comparison.classifiers import Classifiers
from elmo_cli.comparison.job import Job, Task
from elmo_cli.comparison.reference import fit_reference
from elmo_cli.comparison.rows import EmbedderRow
from elmo_cli.comparison.statistics import Trained
from elmo_cli.embedder import Embedder
from elmo_cli.events import ClassifierDone, Event, Stopped, as_record
from elmo_cli.report.records import TrainingRecord
from elmo_cli.training.cache import ActivationCache, pooled_suffices, predict
from elmo_cli.training.finetune import finetune

Epochs = list[dict[str, Any]]
Caches = tuple[ActivationCache | None, ActivationCache | None]  # of the training and of the test texts


def train_rows(job: Job, kept: Classifiers, stop: Callable[[], bool]) -> Iterator[Event]:
    """Train and test what is not done yet, and keep each.

    Yields:
        The events of each training but `Finished`, `ClassifierDone` after each, and `Stopped` at last if it was.
    """
    trainer = Trainer(job)
    for task in job.work():
        if job.key_of(task) in kept:
            continue
        epochs: Epochs = []
        trained = yield from trainer.train(task, stop, epochs)
        if trained is None:
            yield Stopped(finished(job, kept))
            return
        yield keep(job, kept, task, trained, epochs)


def keep(job: Job, kept: Classifiers, task: Task, trained: Trained, epochs: Epochs) -> ClassifierDone:
    """Keep a finished classifier, and tell of it."""
    row, size = job.rows[task.row], job.sizes[task.size]
    kept.keep(row, size, trained, epochs)
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
    """Trains the classifiers of a job; those of one embedder share its activations.

    Args:
        job: The comparison.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._embedder: Embedder | None = None
        self._caches: Caches = (None, None)

    def train(self, task: Task, stop: Callable[[], bool], epochs: Epochs) -> Generator[Event, None, Trained | None]:
        """Train one classifier and classify all texts.

        Args:
            task: Which.
            stop: Asked before each step whether to end.
            epochs: Filled with a record of each epoch.

        Yields:
            The events of the training.

        Returns:
            The classifier's answers; None if it was stopped.
        """
        job = self._job
        row, size, seed = job.rows[task.row], job.sizes[task.size], task.seed
        if not isinstance(row, EmbedderRow):
            return fit_reference(row.texts, size, seed=seed, stop=stop)
        train, test = row.texts
        caches = self._caches_of(row)
        trained = yield from finetune(
            row.embedder,
            train,
            row.settings,
            seed=seed,
            parts=(size.fit, size.valid),
            device=job.device,
            stop=stop,
            cache=caches[0],
        )
        if isinstance(trained, Stopped) or trained.results.stopped:
            return None
        epochs.extend(map(as_record, trained.epochs))
        classifier, embedder = trained.classifier, row.embedder
        shares = predict(classifier, embedder, test.corpus, job.device, caches[1])
        answers = predict(classifier, embedder, train.corpus, job.device, caches[0]).argmax(1) if size.whole else None
        record = cast(TrainingRecord, asdict(trained.results))
        return Trained(seed, shares.argmax(1), record, shares.astype("float16"), answers)

    def _caches_of(self, row: EmbedderRow) -> Caches:
        """Activations of training and test texts for all rows of its embedder; none with `tune`."""
        if row.embedder is not self._embedder:
            self._embedder, self._caches = row.embedder, (None, None)  # the last ones go before the next ones come
            if not row.settings.tune:
                self._caches = self._compute(row)
        return self._caches

    def _compute(self, row: EmbedderRow) -> Caches:
        rows = (other for other in self._job.rows if isinstance(other, EmbedderRow) and other.embedder is row.embedder)
        tokens = not all(pooled_suffices(other.settings) for other in rows)
        device, folder = self._job.device, self._job.folder
        train, test = (
            ActivationCache(row.embedder, texts.corpus, row.settings, device, tokens=tokens, folder=folder)
            for texts in row.texts
        )
        return train, test
