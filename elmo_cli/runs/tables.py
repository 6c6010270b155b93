"""The CSV files that a run keeps of its scores."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from elmo_cli.metrics.classification import ClassificationScores


def confusion_csv(scores: ClassificationScores) -> str:
    """The confusion matrix: a row for each true class, a column for each predicted one."""
    names = [row.label for row in scores.classes]
    return to_csv(
        ["true class", *names], ([name, *counts] for name, counts in zip(names, scores.confusion, strict=True))
    )


def predictions_csv(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], texts: Sequence[str], classes: Sequence[str]
) -> str:
    """Label, prediction, probabilities (N, classes) and text of each example, in the order of the file."""
    rows = (
        [classes[label], classes[guess], *(f"{share:.6f}" for share in shares), text]
        for label, guess, shares, text in zip(
            labels.tolist(), probabilities.argmax(1).tolist(), probabilities.tolist(), texts, strict=True
        )
    )
    return to_csv(["label", "predicted", *(f"p({name})" for name in classes), "text"], rows)


def to_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as CSV text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
