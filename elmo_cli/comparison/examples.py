"""The test texts that are worth reading: that most rows get wrong, or that the LM alone gets right or wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from elmo_cli.comparison.statistics import RowResult
from elmo_cli.report.records import ExampleRecord, Examples
from elmo_cli.training.labelled import LabelledCorpus

MOST = 20
MOST_LETTERS = 1000


def telling_examples(rows: Sequence[RowResult], test: LabelledCorpus) -> Examples:
    """At most `MOST` test texts of each kind, with what each row says of them.

    `hardest`: by how many rows are wrong, then by the mean probability of their wrong answers. `only_lm`: all LM rows
    are right and all others wrong, by the mean probability that the LM rows give the right class. `lm_wrong`: the
    mirror, all LM rows wrong and all others right, the least such probability first. A row's answer is that of its
    probabilities averaged over seeds.
    """
    answers = np.stack([answers_of(row) for row in rows])  # (rows, N)
    places = np.arange(len(test))
    said = np.full(answers.shape, np.nan)  # probability of each row's answer
    of_truth = np.full(answers.shape, np.nan)
    for number, row in enumerate(rows):
        if (shares := mean_probabilities(row)) is not None:
            said[number], of_truth[number] = shares[places, answers[number]], shares[places, test.labels]
    wrong = answers != test.labels
    count, sureness = wrong.sum(0), _mean_where(said, wrong)
    hardest = np.lexsort((places, -sureness, -count))
    only_lm = lm_wrong = places[:0]
    models = np.array([row.kind == "lm" for row in rows])
    if models.any() and not models.all():
        order = np.lexsort((places, -of_truth[models].mean(0)))
        alone = ~wrong[models].any(0) & wrong[~models].all(0)
        mirror = wrong[models].all(0) & ~wrong[~models].any(0)
        only_lm, lm_wrong = order[alone[order]][:MOST], order[mirror[order]][::-1][:MOST]

    def record(index: int) -> ExampleRecord:
        text = test.texts[index]
        shares = [None if np.isnan(share) else round(float(share), 4) for share in said[:, index]]
        return {
            "index": index,
            "text": text if len(text) <= MOST_LETTERS else text[:MOST_LETTERS] + "…",
            "label": test.classes[test.labels[index]],
            "rows": {
                row.name: {"predicted": test.classes[answer], "probability": share}
                for row, answer, share in zip(rows, answers[:, index].tolist(), shares, strict=True)
            },
        }

    return {
        "hardest": [record(index) for index in hardest[count[hardest] > 0][:MOST].tolist()],
        "only_lm": [record(index) for index in only_lm.tolist()],
        "lm_wrong": [record(index) for index in lm_wrong.tolist()],
    }


def mean_probabilities(row: RowResult) -> NDArray[np.float64] | None:
    """(N, classes) averaged over seeds; None where the row has no probabilities."""
    each = [one.probabilities for one in row.classifiers if one.probabilities is not None]
    return np.mean([shares.astype(np.float64) for shares in each], axis=0) if each else None


def answers_of(row: RowResult) -> NDArray[np.int64]:
    """(N,) classes; of one classifier its own, so that rounded probabilities cannot make a tie of them."""
    shares = mean_probabilities(row)
    if len(row.classifiers) == 1 or shares is None:
        return row.classifiers[0].predicted
    return np.asarray(shares.argmax(1))


def _mean_where(values: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N,) mean over rows of the values (rows, N) where the mask holds and there is a value; 0 where there is none."""
    taken = mask & ~np.isnan(values)
    return np.asarray(np.where(taken, values, 0.0).sum(0) / np.maximum(taken.sum(0), 1))
