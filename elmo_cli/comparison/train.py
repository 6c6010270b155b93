"""The loop of a comparison: every classifier that is not there yet, one after the other or side by side."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict, dataclass
from typing import cast

from elmo_cli.comparison.classifiers import Classifiers
from elmo_cli.comparison.job import Job, Task
from elmo_cli.comparison.reference import fit_reference
from elmo_cli.comparison.rows import EmbedderRow
from elmo_cli.comparison.statistics import Trained
from elmo_cli.embedder import Embedder
from elmo_cli.events import ClassifierDone, EpochDone, Event, Stop, Stopped, as_record
from elmo_cli.report.records import TrainingRecord
from elmo_cli.training.cache import ActivationCache, pooled_suffices, predict
from elmo_cli.training.finetune import finetune

Caches = tuple[ActivationCache | None, ActivationCache | None]  # of the training and of the test texts


@dataclass(frozen=True, eq=False)
class Answers:
    """What a classifier that was just trained leaves.

    Attributes:
        task: Which it is.
        trained: Its answers.
        epochs: How it came to them; none of the reference, which has no epochs.
    """

    task: Task
    trained: Trained
    epochs: tuple[EpochDone, ...] = ()


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
        answers = yield from trainer.train(task, stop)
        if answers is None:
            return False
        yield keep(job, kept, answers)
    return True


def keep(job: Job, kept: Classifiers, answers: Answers) -> ClassifierDone:
    """Keep a finished classifier, and tell of it."""
    task, trained = answers.task, answers.trained
    row, size = job.rows[task.row], job.sizes[task.size]
    kept.keep(row, size, trained, [as_record(epoch) for epoch in answers.epochs])
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

    def train(self, task: Task, stop: Stop) -> Generator[Event, None, Answers | None]:
        """Train one classifier and classify all texts.

        Args:
            task: Which.
            stop: Asked before each step whether to end.

        Yields:
            The events of the training.

        Returns:
            The classifier's answers; None if it was stopped.
        """
        job = self._job
        row, size, seed = job.rows[task.row], job.sizes[task.size], task.seed
        if not isinstance(row, EmbedderRow):
            reference = fit_reference(row.texts, size, seed=seed, stop=stop)
            return None if reference is None else Answers(task, reference)
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
        trained = Trained(seed, shares.argmax(1), record, shares.astype("float16"), on_train)
        return Answers(task, trained, done.epochs)

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
