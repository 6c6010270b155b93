"""Texts that are worth reading, chosen from answers made by hand."""

from __future__ import annotations

import numpy as np
from tinyworld import make_corpus

from elmo_cli.comparison.examples import MOST, MOST_LETTERS, telling_examples
from elmo_cli.comparison.statistics import RowResult, Trained

TEXTS = [("sports", "zero"), ("money", "one"), ("sports", "two"), ("money", "three"), ("sports", "four")]
TRUTH = (1, 0, 1, 0, 1)


def make_row(name: str, kind: str, *sure: list[float]) -> RowResult:
    """A row with a classifier for each list: the probabilities of class 1."""
    classifiers = []
    for seed, shares in enumerate(sure):
        pairs = np.array([[1 - share, share] for share in shares])
        kept = None if kind == "reference" else pairs.astype(np.float16)
        classifiers.append(Trained(seed, pairs.argmax(1), {}, kept))
    return RowResult({"name": name, "kind": kind}, classifiers)


def test_hardest_and_only_lm() -> None:
    rows = [
        make_row("w2v", "static", [0.9, 0.7, 0.1, 0.8, 0.2]),
        # the mean over seeds: right on 0, wrong on 1 (0.55), right on 2, right on 3, wrong on 4
        make_row("lm", "lm", [1.0, 0.4, 0.9, 0.1, 0.3], [0.6, 0.7, 0.8, 0.1, 0.1]),
        make_row("SVM", "reference", [1.0, 1.0, 0.0, 0.0, 1.0]),
    ]
    found = telling_examples(rows, make_corpus(TEXTS))
    # wrong: 1 of all three, 4 of two (0.8), 2 of two, the SVM among them (0.9), 3 of one
    assert [one["text"] for one in found["hardest"]] == ["one", "two", "four", "three"]
    assert [one["text"] for one in found["only_lm"]] == ["two"]  # the SVM is right on three
    assert found["lm_wrong"] == []  # w2v is wrong on four too
    assert found["hardest"][0] == {
        "index": 1,
        "text": "one",
        "label": "money",
        "rows": {
            "w2v": {"predicted": "sports", "probability": 0.7002},
            "lm": {"predicted": "sports", "probability": 0.55},
            "SVM": {"predicted": "sports", "probability": None},
        },
    }


def test_the_lm_alone_right_and_alone_wrong() -> None:
    rows = [
        make_row("w2v", "static", [0.1, 0.9, 0.9, 0.1, 0.9]),
        make_row("lm", "lm", [0.6, 0.2, 0.4, 0.7, 0.1]),
        make_row("SVM", "reference", [0.0, 1.0, 1.0, 0.0, 1.0]),
    ]
    found = telling_examples(rows, make_corpus(TEXTS))
    assert [one["text"] for one in found["only_lm"]] == ["one", "zero"]  # 0.8 before 0.6
    assert [one["text"] for one in found["lm_wrong"]] == ["four", "three", "two"]  # the right class has 0.1, 0.3, 0.4


def test_there_are_not_too_many_and_they_are_not_too_long() -> None:
    texts = make_corpus([("sports", "goal " * 500)] * 30)
    found = telling_examples([make_row("w2v", "static", [0.2] * 30), make_row("lm", "lm", [0.8] * 30)], texts)
    assert [one["index"] for one in found["only_lm"]] == [one["index"] for one in found["hardest"]] == list(range(MOST))
    assert len(found["hardest"][0]["text"]) == MOST_LETTERS + 1


def test_without_static_rows_nothing_is_right_by_the_lm_alone() -> None:
    found = telling_examples([make_row("lm", "lm", [0.9, 0.1, 0.9, 0.1, 0.9])], make_corpus(TEXTS))
    assert found == {"hardest": [], "only_lm": [], "lm_wrong": []}


def test_one_classifier_keeps_its_answer_where_rounding_makes_a_tie() -> None:
    shares = np.array([[0.5 - 1e-6, 0.5 + 1e-6]] * 5)
    row = RowResult({"name": "lm", "kind": "lm"}, [Trained(1, shares.argmax(1), {}, shares.astype(np.float16))])
    found = telling_examples([row], make_corpus(TEXTS))
    assert [one["label"] for one in found["hardest"]] == ["money", "money"]
