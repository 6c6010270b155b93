"""From correct and wrong answers to a table with intervals, p values, and a sentence on what they allow to say.

The reference row and the λ mode that is called best are chosen on validation, before a test score is looked at. One
seed: McNemar's exact test. Several: a paired bootstrap over test examples of the correctness averaged over seeds.
Holm's correction over all comparisons with the reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elmo_cli.metrics.classification import accuracy_interval, classification_scores
from elmo_cli.metrics.significance import holm, mcnemar_exact, paired_bootstrap
from elmo_cli.training.scoring import to_csv

LEVEL = 0.05
_COLUMNS = (
    *("row", "kind", "mode", "tune", "accuracy", "sd", "low", "high", "macro_f1", "valid_accuracy"),
    *("difference", "difference_low", "difference_high", "p", "p_holm", "unknown_test_tokens"),
)


@dataclass(frozen=True)
class Trained:
    """One classifier of a row.

    Attributes:
        seed: Of the classifier.
        predicted: (N,) predicted classes of the test texts.
        training: What `finetune` reports: validation, epochs, λ, γ, seconds.
    """

    seed: int
    predicted: NDArray[np.int64]
    training: Mapping[str, Any]


@dataclass(frozen=True)
class RowResult:
    """All classifiers of a row.

    Attributes:
        facts: What the row is: name, kind, mode and so on, as they go into the results.
        classifiers: One for each seed.
    """

    facts: Mapping[str, Any]
    classifiers: Sequence[Trained]

    @property
    def name(self) -> str:
        """Of the row."""
        return str(self.facts["name"])

    @property
    def validation(self) -> tuple[float, float]:
        """What rows are chosen by: mean validation accuracy, then the smaller mean loss."""
        valid = [classifier.training["valid"] for classifier in self.classifiers]
        return float(np.mean([one["accuracy"] for one in valid])), -float(np.mean([one["loss"] for one in valid]))

    def correctness(self, truth: NDArray[np.int64]) -> NDArray[np.float64]:
        """(N,) share of the seeds that are right on each test text."""
        right = np.stack([classifier.predicted == truth for classifier in self.classifiers])
        shares: NDArray[np.float64] = right.mean(axis=0, dtype=np.float64)
        return shares


def summarise(
    rows: Sequence[RowResult], truth: NDArray[np.int64], classes: Sequence[str], *, seed: int, resamples: int
) -> dict[str, Any]:
    """Table, choices and conclusion of a comparison.

    Args:
        rows: All with the same seeds.
        truth: (N,) classes of the test texts.
        classes: Their names.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.
    """
    baselines = [row for row in rows if row.facts["kind"] == "static"]
    models = [row for row in rows if row.facts["kind"] == "lm"]
    reference = max(baselines or rows, key=lambda row: row.validation)
    best = max(models, key=lambda row: row.validation) if models else None
    table = [_row(row, truth, classes, seed, resamples) for row in rows]
    against = [place for place, row in enumerate(rows) if row is not reference]
    base = reference.correctness(truth)
    seeds = len(reference.classifiers)
    for place in against:
        mine = rows[place].correctness(truth)
        spread = paired_bootstrap(mine, base, seed=seed, resamples=resamples)
        p = mcnemar_exact(mine > 0.5, base > 0.5) if seeds == 1 else spread.p
        table[place] |= {"difference": spread.difference, "difference_interval": list(spread.interval), "p": p}
    for place, p in zip(against, holm([table[place]["p"] for place in against]), strict=True):
        table[place] |= {"p_holm": p, "significant": p < LEVEL}
    return {
        "reference": reference.name,
        "best_mode": best.facts["mode"] if best else None,
        "best_row": best.name if best else None,
        "test": "McNemar's exact test" if seeds == 1 else "paired bootstrap over test texts of the mean over seeds",
        "comparisons": len(against),
        "rows": table,
        "conclusion": _conclusion(
            table, reference.name, best.name if best else None, bool(baselines), seeds, len(truth)
        ),
    }


def _row(row: RowResult, truth: NDArray[np.int64], classes: Sequence[str], seed: int, resamples: int) -> dict[str, Any]:
    scores = [classification_scores(truth, one.predicted, classes, resamples=1) for one in row.classifiers]
    accuracies = [one.accuracy for one in scores]
    low, high = accuracy_interval(row.correctness(truth), seed=seed, resamples=resamples)
    return {
        **row.facts,
        "accuracy": float(np.mean(accuracies)),
        "sd": float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else None,
        "interval": [low, high],
        "macro_f1": float(np.mean([one.macro.f1 for one in scores])),
        "valid_accuracy": row.validation[0],
        "seeds": [
            {**classifier.training, "accuracy": one.accuracy, "macro_f1": one.macro.f1, "notes": list(one.notes)}
            for classifier, one in zip(row.classifiers, scores, strict=True)
        ],
        "difference": None,
        "difference_interval": None,
        "p": None,
        "p_holm": None,
        "significant": None,
    }


def _conclusion(
    table: Sequence[Mapping[str, Any]], reference: str, best: str | None, baselines: bool, seeds: int, texts: int
) -> str:
    """What the figures allow to say, and what they do not."""
    by_name = {row["name"]: row for row in table}
    given = f"With {seeds} seed{'s' if seeds > 1 else ''} and {texts:,} test texts"
    bounds = (
        "It speaks of other test texts of this kind, with this training file and these embeddings; not of other data"
        + ("." if seeds > 1 else ", and one seed does not show how much the seed alone changes.")
    )
    if len(table) == 1:
        return f"{given}, {reference} is right on {_percent(table[0])}; there is no other row to compare it with."
    if best is None or not baselines:
        clear = [row["name"] for row in table if row["significant"]]
        told = (
            f"{', '.join(clear)} differ from it significantly"
            if clear
            else "no other row differs from it significantly"
        )
        named = f"{reference} (best on validation) is right on {_percent(by_name[reference])}"
        return f"{given}, {named}; {told} at 5 % after Holm's correction. {bounds}"
    row, base = by_name[best], by_name[reference]
    points = 100 * row["difference"]
    low, high = (100 * bound for bound in row["difference_interval"])
    sentence = (
        f"{given}, {best} (the λ mode best on validation) is right on {_percent(row)} and {reference} (the strongest "
        f"baseline on validation) on {_percent(base)}: the difference of {points:+.1f} points (95 % interval "
        f"{low:+.1f} to {high:+.1f}) is "
        f"{'' if row['significant'] else 'not '}significant at 5 % after Holm's correction over "
        f"{len(table) - 1} comparison{'s' if len(table) > 2 else ''} (p = {_p(row['p_holm'])})"
    )
    if not row["significant"]:
        return f"{sentence}, so neither is shown to be better. {bounds}"
    return f"{sentence}, so {best if points > 0 else reference} is better by more than chance. {bounds}"


def comparison_csv(results: Mapping[str, Any]) -> str:
    """The table as CSV; shares, not per cent."""
    return to_csv(_COLUMNS, ([_cell(row, column) for column in _COLUMNS] for row in results["rows"]))


def _cell(row: Mapping[str, Any], column: str) -> object:
    low, high = row["interval"]
    apart = row["difference_interval"] or (None, None)
    special = {
        "row": row["name"],
        "low": low,
        "high": high,
        "difference_low": apart[0],
        "difference_high": apart[1],
        "unknown_test_tokens": row["unknown"].get("test", {}).get("rate"),
    }
    value = special[column] if column in special else row[column]
    return f"{value:.6g}" if isinstance(value, float) else value


def comparison_markdown(results: Mapping[str, Any]) -> str:
    """The table as Markdown, in per cent, with the conclusion and how to read it."""
    lines = [
        "| row | accuracy | sd | 95 % interval | macro F1 | validation | difference | p (Holm) | unknown test tokens |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in results["rows"]:
        marks = " (reference)" * (row["name"] == results["reference"]) + " (best λ mode)" * (
            row["name"] == results["best_row"]
        )
        low, high = row["interval"]
        rate = row["unknown"].get("test", {}).get("rate")
        cells = [
            row["name"].replace("|", "\\|") + marks,
            f"{100 * row['accuracy']:.2f}",
            "-" if row["sd"] is None else f"{100 * row['sd']:.2f}",
            f"{100 * low:.2f} to {100 * high:.2f}",
            f"{100 * row['macro_f1']:.2f}",
            f"{100 * row['valid_accuracy']:.2f}",
            "-" if row["difference"] is None else f"{100 * row['difference']:+.2f}",
            "-" if row["p_holm"] is None else _p(row["p_holm"]),
            "-" if rate is None else f"{100 * rate:.2f} %",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    notes = "".join(f"- {note}\n" for note in results["notes"])
    return "\n".join(["# Comparison", "", results["conclusion"], "", *lines, "", "## How it was done", "", notes])


def _percent(row: Mapping[str, Any]) -> str:
    return f"{100 * row['accuracy']:.1f} %"


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else "< 0.0001"
