"""Scores against tables worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from elmo_cli.metrics.classification import accuracy_interval, classification_scores

# true a a a b b c; predicted a a b b c c
TRUTH, PREDICTED = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2]


def test_three_classes_by_hand() -> None:
    scores = classification_scores(TRUTH, PREDICTED, ["a", "b", "c"])
    assert scores.examples == 6
    assert scores.accuracy == pytest.approx(4 / 6)
    assert scores.confusion == ((2, 1, 0), (0, 1, 1), (0, 0, 1))
    assert [row.precision for row in scores.classes] == pytest.approx([1, 1 / 2, 1 / 2])
    assert [row.recall for row in scores.classes] == pytest.approx([2 / 3, 1 / 2, 1])
    assert [row.f1 for row in scores.classes] == pytest.approx([4 / 5, 1 / 2, 2 / 3])
    assert [row.support for row in scores.classes] == [3, 2, 1]
    assert scores.macro.precision == pytest.approx(2 / 3)
    assert scores.macro.recall == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert scores.macro.f1 == pytest.approx((4 / 5 + 1 / 2 + 2 / 3) / 3)
    assert scores.weighted.precision == pytest.approx((3 * 1 + 2 * 0.5 + 1 * 0.5) / 6)
    assert scores.weighted.recall == pytest.approx(scores.accuracy)
    assert scores.weighted.f1 == pytest.approx((3 * 4 / 5 + 2 * 1 / 2 + 1 * 2 / 3) / 6)
    assert scores.notes == ()


def test_classes_divided_by_nothing_are_named() -> None:
    scores = classification_scores([0, 0, 1, 1], [0, 0, 0, 3], ["a", "b", "c", "d"])
    assert [row.precision for row in scores.classes] == pytest.approx([2 / 3, 0, 0, 0])
    assert scores.macro.recall == pytest.approx(1 / 4)
    said = "\n".join(scores.notes)
    assert "2 classes were never predicted: their precision is undefined and counts as 0 ('b', 'c')" in said
    assert "2 classes have no true example: their recall is undefined and counts as 0 ('c', 'd')" in said
    assert "'a'" not in said


def test_many_classes_divided_by_nothing_are_one_note() -> None:
    scores = classification_scores(list(range(12)), [0] * 12, [f"c{k}" for k in range(12)])
    assert scores.notes == (
        "11 classes were never predicted: their precision is undefined and counts as 0 ('c1', 'c2', 'c3' and 8 more)",
    )
    scores = classification_scores([0, 1], [0, 0], ["a", "b"])
    assert scores.notes == ("class 'b' was never predicted: its precision is undefined and counts as 0",)


def test_interval_is_that_of_the_binomial() -> None:
    right = np.array([True] * 80 + [False] * 20)
    low, high = accuracy_interval(right, seed=3, resamples=20_000)
    # The normal approximation: 0.8 ± 1.96 sqrt(0.8 * 0.2 / 100) = 0.8 ± 0.0784
    assert low == pytest.approx(0.7216, abs=0.012)
    assert high == pytest.approx(0.8784, abs=0.012)
    assert accuracy_interval(np.ones(5)) == (1.0, 1.0)
    assert accuracy_interval(right, seed=3) == accuracy_interval(right, seed=3)


def test_an_interval_says_by_what_it_was_drawn() -> None:
    """1,000 resamples of seed 1 unless others are asked for."""
    shares = np.random.default_rng(4).random(97)  # so many values that any other draw gives another interval
    usual = accuracy_interval(shares)
    assert usual == accuracy_interval(shares, seed=1, resamples=1000)
    assert len({usual, accuracy_interval(shares, seed=2), accuracy_interval(shares, resamples=999)}) == 3
    right = np.array([k % 3 > 0 for k in range(60)])
    given = {"truth": np.ones(60, dtype=int), "predicted": right.astype(int), "classes": ["a", "b"]}
    assert classification_scores(**given).interval == accuracy_interval(right, seed=1, resamples=1000)
    assert classification_scores(**given, resamples=7).interval == accuracy_interval(right, seed=1, resamples=7)


def test_as_dict_is_plain_json() -> None:
    scores = classification_scores(TRUTH, PREDICTED, ["a", "b", "c"])
    values = json.loads(json.dumps(scores.as_dict()))
    assert values == scores.as_dict()
    assert values["classes"][1] == {"label": "b", "precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}


@pytest.mark.parametrize(("truth", "predicted"), [([], []), ([0, 1], [0])])
def test_nothing_to_score_is_an_error(truth: list[int], predicted: list[int]) -> None:
    with pytest.raises(ValueError, match="expected as many"):
        classification_scores(truth, predicted, ["a", "b"])
