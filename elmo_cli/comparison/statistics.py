"""From correct and wrong answers to figures with intervals and p values.

The row that the others are compared with is named beforehand, or it is the strongest static row; this one and the LM
row that is called best are chosen on validation, before a test score is looked at. A reference without embeddings is
never chosen, only compared with.

Comparisons: every row with that row, and the best LM row with each static row and reference. Each is made
once, and Holm's correction is over all of them. One seed: McNemar's exact test. Several: a paired bootstrap over test
examples of the correctness averaged over seeds; a row that is fitted once enters with its one fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elmo_cli.comparison.conclusion import conclude, in_short
from elmo_cli.comparison.subsets import Size
from elmo_cli.events import EpochDone
from elmo_cli.metrics.classification import accuracy_interval, classification_scores
from elmo_cli.metrics.significance import holm, mcnemar_exact, paired_bootstrap
from elmo_cli.report.records import (
    CurvePoint,
    PairRecord,
    RowFacts,
    RowFigures,
    RowKind,
    RowRecord,
    SeedRecord,
    Summary,
    TrainingRecord,
)

LEVEL = 0.05


@dataclass(frozen=True, eq=False)
class Trained:
    """One classifier of a row.

    Attributes:
        seed: What its initial weights, dropout and order were drawn by.
        predicted: (N,) classes of the test texts.
        training: What its training reports.
        probabilities: (N, classes) of the test texts; None of a reference.
        train_predicted: (M,) classes of all labelled texts; None where it learned from a share of them.
        valid_probabilities: (V, classes) of the validation texts; None where nothing is joined with it.
        train_probabilities: (M, classes) of all labelled texts; None as `train_predicted`.
        epochs: Of its training in this session; none of a reference.
    """

    seed: int
    predicted: NDArray[np.int64]
    training: TrainingRecord
    probabilities: NDArray[np.float16] | None = None
    train_predicted: NDArray[np.int64] | None = None
    valid_probabilities: NDArray[np.float16] | None = None
    train_probabilities: NDArray[np.float16] | None = None
    epochs: Sequence[EpochDone] = ()


@dataclass(frozen=True, eq=False)
class RowResult:
    """A row with its classifiers, one for each seed, or the only fit of a reference."""

    facts: RowFacts
    classifiers: Sequence[Trained]

    @property
    def name(self) -> str:
        """What it is called in all tables."""
        return self.facts["name"]

    @property
    def kind(self) -> RowKind:
        """What gives its vectors."""
        return self.facts["kind"]

    @property
    def valid_accuracy(self) -> float:
        """Validation accuracy, a mean over the classifiers."""
        return float(np.mean([one.training["valid"]["accuracy"] for one in self.classifiers]))

    @property
    def validation(self) -> tuple[float, float]:
        """What rows are chosen by: mean validation accuracy, then the smaller mean loss."""
        losses = [one.training["valid"]["loss"] for one in self.classifiers]
        return self.valid_accuracy, -float(np.mean([math.inf if loss is None else loss for loss in losses]))

    def correctness(self, truth: NDArray[np.int64]) -> NDArray[np.float64]:
        """(N,) share of the classifiers that are right on each test text."""
        right = [classifier.predicted == truth for classifier in self.classifiers]
        return np.asarray(np.mean(right, axis=0, dtype=np.float64))

    def figures(self, truth: NDArray[np.int64], seed: int, resamples: int) -> RowFigures:
        """Mean accuracy, its sd over seeds (None for one classifier) and 95 % interval over test texts."""
        accuracies = [float((one.predicted == truth).mean()) for one in self.classifiers]
        return {
            "accuracy": float(np.mean(accuracies)),
            "sd": float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else None,
            "interval": list(accuracy_interval(self.correctness(truth), seed=seed, resamples=resamples)),
            "valid_accuracy": self.valid_accuracy,
        }


def summarise(
    rows: Sequence[RowResult],
    truth: NDArray[np.int64],
    classes: Sequence[str],
    *,
    seed: int,
    resamples: int,
    against: str | None = None,
) -> Summary:
    """Table, choices, comparisons and conclusion.

    Args:
        rows: All with the same seeds; at least one that is no reference.
        truth: (N,) classes of the test texts.
        classes: Their names.
        seed: What the bootstrap draws by.
        resamples: How often it draws.
        against: The row that the others are compared with; None: the strongest static row on validation, or the
            strongest of all where there is none.
    """
    named = [row for row in rows if row.name == against]
    baselines = [row for row in rows if row.kind == "static"]
    models = [row for row in rows if row.kind == "lm"]
    base = named[0] if named else max(baselines or models, key=lambda row: row.validation)
    best = max(models, key=lambda row: row.validation) if models else None
    seeds = max(len(row.classifiers) for row in rows)
    pairs = _compare(_family(rows, base, best), truth, seed, resamples)
    with_base = {pair["first"]: pair for pair in pairs if pair["second"] == base.name}
    figures = [row.figures(truth, seed, resamples) for row in rows]
    summary: Summary = {
        "reference": base.name,
        "best_mode": best.facts["mode"] if best else None,
        "best_row": best.name if best else None,
        "recommended": max(rows, key=lambda row: row.validation).name,
        "test": "McNemar's exact test" if seeds == 1 else "paired bootstrap over test texts of the mean over seeds",
        "comparisons": len(pairs),
        "pairs": pairs,
        "rows": [
            _record(row, own, truth, classes, with_base.get(row.name)) for row, own in zip(rows, figures, strict=True)
        ],
        "conclusion": "",
    }
    summary["in_short"] = in_short(summary, len(truth))
    summary["conclusion"] = conclude(summary, seeds, len(truth), named=bool(named))
    return summary


def curve_point(
    size: Size, rows: Sequence[RowResult], truth: NDArray[np.int64], *, seed: int, resamples: int
) -> CurvePoint:
    """What each row reaches with a share of the labelled texts; `rows` hold the classifiers that learned from it."""
    return {
        "fraction": size.fraction,
        "texts": len(size),
        "trained_on": len(size.fit),
        "validation": len(size.valid),
        "rows": [{"name": row.name, **row.figures(truth, seed, resamples)} for row in rows],
    }


def _family(rows: Sequence[RowResult], base: RowResult, best: RowResult | None) -> list[tuple[RowResult, RowResult]]:
    """All comparisons, each once: rows with `base`, then `best` with what it has not been compared with."""
    pairs = [(row, base) for row in rows if row is not base]
    if best is not None and best is not base:
        pairs += [(best, row) for row in rows if row.kind != "lm" and row is not base]
    return pairs


def _compare(
    family: Sequence[tuple[RowResult, RowResult]], truth: NDArray[np.int64], seed: int, resamples: int
) -> list[PairRecord]:
    """Difference (first minus second), its interval, and p before and after Holm's correction, of each pair."""
    found: list[PairRecord] = []
    for first, second in family:
        mine, other = first.correctness(truth), second.correctness(truth)
        spread = paired_bootstrap(mine, other, seed=seed, resamples=resamples)
        single = len(first.classifiers) == len(second.classifiers) == 1
        found.append(
            {
                "first": first.name,
                "second": second.name,
                "difference": spread.difference,
                "interval": list(spread.interval),
                "p": mcnemar_exact(mine > 0.5, other > 0.5) if single else spread.p,
                "p_holm": 1.0,  # until all p are there to be corrected together
                "significant": False,
            }
        )
    for pair, p in zip(found, holm([pair["p"] for pair in found]), strict=True):
        pair["p_holm"], pair["significant"] = p, p < LEVEL
    return found


def _record(
    row: RowResult, figures: RowFigures, truth: NDArray[np.int64], classes: Sequence[str], pair: PairRecord | None
) -> RowRecord:
    scores = [classification_scores(truth, one.predicted, classes) for one in row.classifiers]
    seeds: list[SeedRecord] = [
        {**classifier.training, "accuracy": one.accuracy, "macro_f1": one.macro.f1, "notes": list(one.notes)}
        for classifier, one in zip(row.classifiers, scores, strict=True)
    ]
    return {
        **row.facts,
        **figures,
        "macro_f1": float(np.mean([one.macro.f1 for one in scores])),
        "seeds": seeds,
        "difference": pair["difference"] if pair else None,
        "difference_interval": pair["interval"] if pair else None,
        "p": pair["p"] if pair else None,
        "p_holm": pair["p_holm"] if pair else None,
        "significant": pair["significant"] if pair else None,
        "confusion": {},  # for who has the labels of both files
    }
