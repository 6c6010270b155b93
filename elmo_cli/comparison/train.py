"""The loop of a comparison: every classifier that is not there yet, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from elmo_cli.comparison.classifiers import Classifiers
from elmo_cli.comparison.curves import Size
from elmo_cli.comparison.reference import fit_reference
from elmo_cli.comparison.rows import EmbedderRow, LanguageModel, Row, Texts
from elmo_cli.comparison.statistics import Trained
from elmo_cli.config import Experiment
from elmo_cli.training.cache import ActivationCache, pooled_suffices
from elmo_cli.training.events import ClassifierDone, EpochDone, Event, Finished, Stopped, as_record
from elmo_cli.training.finetune import finetune, predict

Caches = tuple[ActivationCache | None, ActivationCache | None]  # of the training and of the test texts


@dataclass(frozen=True)
class Job:
    """A comparison, all its input read and checked.

    Attributes:
        experiment: Its settings.
        models: The LMs; tokens and vocabulary of the first are those of the static rows.
        rows: The rows of the table.
        sizes: All labelled texts, then the shares of them that the learning curves ask for.
        texts: Training and test file with the tokens of the first LM.
        device: Where to compute.
        folder: Where activations go that exceed the memory budget.
    """

    experiment: Experiment
    models: list[LanguageModel]
    rows: list[Row]
    sizes: list[Size]
    texts: Texts
    device: torch.device
    folder: Path

    @property
    def seeds(self) -> range:
        """Of the classifiers of a row."""
        first = self.experiment.seed
        return range(first, first + self.experiment.compare.seeds)

    def seeds_of(self, row: Row) -> Sequence[int]:
        """One for the reference, in which nothing is drawn."""
        return self.seeds if isinstance(row, EmbedderRow) else self.seeds[:1]

    def work(self, rows: Sequence[Row]) -> list[tuple[Size, Row, int]]:
        """The classifiers of some rows, those of all labelled texts first."""
        return [(size, row, seed) for size in self.sizes for row in rows for seed in self.seeds_of(row)]


def train_rows(job: Job, kept: Classifiers, stop: Callable[[], bool]) -> Iterator[Event]:
    """Train and test what is not done yet, and keep each; rows of one embedder share its activations.

    Yields:
        The events of each training but `Finished`, `ClassifierDone` after each, and `Stopped` at last if it was.
    """
    all_work = job.work(job.rows)
    done = sum(_key(*one) in kept for one in all_work)
    for _, rows in groupby(job.rows, key=lambda row: id(row.embedder) if isinstance(row, EmbedderRow) else None):
        todo = [one for one in job.work(list(rows)) if _key(*one) not in kept]
        caches = _caches(job, [row for _, row, _ in todo if isinstance(row, EmbedderRow)])
        for size, row, seed in todo:
            epochs: list[dict[str, Any]] = []
            if isinstance(row, EmbedderRow):
                trained = yield from _train(job, row, size, seed, caches, stop, epochs)
            else:
                trained = fit_reference(row.texts, size, seed=seed, stop=stop)
            if trained is None:
                yield Stopped(done)
                return
            kept.keep(row, size, trained, epochs)
            done += 1
            yield ClassifierDone(
                row=row.name,
                seed=seed,
                valid_accuracy=trained.training["valid"]["accuracy"],
                test_accuracy=float((trained.predicted == row.texts[1].labels).mean()),
                done=done,
                total=len(all_work),
                fraction=size.fraction,
            )


def _key(size: Size, row: Row, seed: int) -> tuple[str, str, int, float]:
    return row.name, row.source, seed, size.fraction


def _train(
    job: Job,
    row: EmbedderRow,
    size: Size,
    seed: int,
    caches: Caches,
    stop: Callable[[], bool],
    epochs: list[dict[str, Any]],
) -> Generator[Event, None, Trained | None]:
    """Train one classifier and classify all texts; fills `epochs`, and returns None if it was stopped."""
    train, test = row.texts
    outcome: Finished | None = None
    for event in finetune(
        row.embedder,
        train,
        row.settings,
        seed=seed,
        parts=(size.fit, size.valid),
        device=job.device,
        stop=stop,
        cache=caches[0],
    ):
        if isinstance(event, Finished):
            outcome = event
        elif not isinstance(event, Stopped):
            yield event
        if isinstance(event, EpochDone):
            epochs.append(as_record(event))
    if outcome is None or outcome.results["stopped"]:
        return None
    classifier, embedder = outcome.outcome, row.embedder
    shares = predict(classifier, embedder, test.corpus, job.device, caches[1])
    answers = predict(classifier, embedder, train.corpus, job.device, caches[0]).argmax(1) if size.whole else None
    return Trained(seed, shares.argmax(1), outcome.results, shares.astype("float16"), answers)


def _caches(job: Job, rows: Sequence[EmbedderRow]) -> Caches:
    """Activations of training and test texts for the rows of one embedder; none with `tune` or without rows."""
    if not rows or rows[0].settings.tune:
        return None, None
    tokens = not all(pooled_suffices(row.settings) for row in rows)
    train, test = (
        ActivationCache(rows[0].embedder, texts.corpus, rows[0].settings, job.device, tokens=tokens, folder=job.folder)
        for texts in rows[0].texts
    )
    return train, test
