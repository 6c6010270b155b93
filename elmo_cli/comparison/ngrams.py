"""Counted n-grams in a comparison: beside each row once more, and alone as a reference.

Nothing is trained anew: of each finished classifier the probabilities are kept, and those of the n-grams are joined
with them by weights that the validation texts choose, as in `elmo classify`. The n-grams are fitted once for each share
of the labelled texts and each way to cut them, on the part that all rows train on.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from elmo_cli.comparison.classifiers import Classifiers
from elmo_cli.comparison.job import Job
from elmo_cli.comparison.rows import NGRAMS, EmbedderRow, Row, Texts, joined_name
from elmo_cli.comparison.statistics import RowResult, Trained
from elmo_cli.comparison.subsets import Size
from elmo_cli.events import Progress, Stop
from elmo_cli.ngrams.classifier import FittedNgrams, fit_ngrams
from elmo_cli.ngrams.joint import accuracy, join, make_branch, mean_loss
from elmo_cli.report.records import BranchRecord, RowFacts, UnknownTokens

Results = Mapping[float, Sequence[RowResult]]  # of each share of the labelled texts


@dataclass(frozen=True, eq=False)
class _Counted:
    """The n-grams of one way to cut the texts, fitted on a share of them."""

    fitted: FittedNgrams
    truth: NDArray[np.int64]  # (V,) classes of the validation texts
    test: NDArray[np.float32]  # (N, classes) probabilities of the test texts
    train: NDArray[np.float32] | None  # (M, classes) of all labelled texts; None where it learned from a share of them


def all_rows(job: Job, kept: Classifiers, stop: Stop) -> Generator[Progress, None, Results | None]:
    """The rows of each share, those with n-grams after what they stand beside, references last; None if stopped."""
    found: dict[float, Sequence[RowResult]] = {}
    for size in job.sizes:
        rows = kept.rows(job, size.fraction)
        if job.experiment.compare.ngrams:
            counted: dict[int, _Counted] = {}
            for texts in _ways_to_cut(job.rows):
                one = yield from _count(texts, size, stop)
                if one is None:
                    return None
                counted[id(texts)] = one
            rows = _with_ngrams(job, rows, counted)
        found[size.fraction] = rows
    return found


def left_out(job: Job, rows: Sequence[RowResult]) -> list[str]:
    """Rows that n-grams could not stand beside, a sentence for all of them."""
    names = {row.name for row in rows}
    lacking = [row.name for row in job.rows if isinstance(row, EmbedderRow) and joined_name(row.name) not in names]
    if not job.experiment.compare.ngrams or not lacking:
        return []
    return [
        f"There is no row with n-grams beside {', '.join(lacking)}: classifiers of an earlier elmo were kept without "
        "what they said of the validation texts; --overwrite trains them anew."
    ]


def _ways_to_cut(rows: Sequence[Row]) -> list[Texts]:
    """The texts of the rows with embeddings, each tokenizer's once."""
    return list({id(row.texts): row.texts for row in rows if isinstance(row, EmbedderRow)}.values())


def _count(texts: Texts, size: Size, stop: Stop) -> Generator[Progress, None, _Counted | None]:
    train, test = texts
    fitted = yield from fit_ngrams(train.corpus, train.labels, len(train.classes), size.fit, size.valid, stop)
    if fitted is None:
        return None
    own = fitted.classifier
    on_train = own.probabilities(train.corpus) if size.whole else None
    return _Counted(fitted, train.labels[size.valid], own.probabilities(test.corpus), on_train)


def _with_ngrams(job: Job, rows: Sequence[RowResult], counted: Mapping[int, _Counted]) -> list[RowResult]:
    found: list[RowResult] = []
    references: list[RowResult] = []
    for row, result in zip(job.rows, rows, strict=True):
        if not isinstance(row, EmbedderRow):
            references.append(result)
            continue
        found.append(result)
        if all(one.valid_probabilities is not None for one in result.classifiers):
            facts: RowFacts = {**result.facts, "name": joined_name(row.name), "ngrams": True}
            joined = [_joined(one, counted[id(row.texts)]) for one in result.classifiers]
            found.append(RowResult(facts, joined))
    alone = RowResult(_FACTS, [_alone(counted[id(job.texts)], job.seeds[0])])
    return [*found, alone, *references]


def _joined(one: Trained, counted: _Counted) -> Trained:
    """A classifier with n-grams beside it."""
    assert one.valid_probabilities is not None  # asked before
    assert one.probabilities is not None
    branch, results = make_branch(counted.fitted, one.valid_probabilities, counted.truth)
    test = join(one.probabilities, counted.test, branch.weights)
    on_train = None
    if one.train_probabilities is not None and counted.train is not None:
        on_train = join(one.train_probabilities, counted.train, branch.weights).argmax(1)
    together = results.valid.together
    return Trained(
        one.seed,
        test.argmax(1),
        {
            **one.training,
            "lambdas": None,  # they stand in the row without n-grams
            "gamma": None,
            "valid": {"examples": len(counted.truth), "accuracy": together.accuracy, "loss": together.loss},
            "seconds": round(one.training["seconds"] + counted.fitted.seconds, 2),
            "ngrams": cast(BranchRecord, asdict(results)),
        },
        test.astype(np.float16),
        on_train,
    )


def _alone(counted: _Counted, seed: int) -> Trained:
    """The n-grams, in which nothing is drawn."""
    fitted, truth = counted.fitted, counted.truth
    return Trained(
        seed,
        counted.test.argmax(1),
        {
            "seed": seed,
            "C": fitted.penalty,
            "features": len(fitted.classifier.features),
            "converged": fitted.converged,
            "lambdas": None,
            "gamma": None,
            "activations": None,
            "valid": {
                "examples": len(truth),
                "accuracy": accuracy(fitted.valid, truth),
                "loss": mean_loss(fitted.valid, truth),
            },
            "seconds": fitted.seconds,
        },
        counted.test.astype(np.float16),
        None if counted.train is None else counted.train.argmax(1),
    )


_FACTS: RowFacts = {
    "name": NGRAMS,
    "kind": "reference",
    "lm": None,
    "mode": None,
    "tune": None,
    "layers": None,
    "width": None,
    "unknown": UnknownTokens(),
    "ngrams": True,
}
