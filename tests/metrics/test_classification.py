"""Scores against tables worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import binomtest

from elmo_cli.metrics.classification import accuracy_interval, classification_scores, wilson_interval

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


@pytest.mark.parametrize(("right", "total"), [(80, 100), (0, 30), (30, 30), (1, 30), (5, 5), (7555, 7600), (1, 1)])
def test_interval_of_one_classifier_is_wilsons(right: int, total: int) -> None:
    expected = binomtest(right, total).proportion_ci(0.95, method="wilson")
    found = accuracy_interval(np.arange(total) < right)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found[0] < found[1]


def test_interval_of_seeds_is_a_bootstrap_but_near_the_edges() -> None:
    shares = np.repeat([0.0, 1 / 3, 2 / 3, 1.0], [10, 10, 10, 70])
    low, high = accuracy_interval(shares, resamples=20_000)
    half = 1.96 * shares.std() / 10
    assert (low, high) == pytest.approx((shares.mean() - half, shares.mean() + half), abs=0.01)
    edge = np.repeat([2 / 3, 1.0], [1, 29])
    expected = wilson_interval(29 + 2 / 3, 30)
    assert accuracy_interval(edge) == pytest.approx(expected)
    assert expected[0] < 0.9


def test_an_interval_says_by_what_it_was_drawn() -> None:
    """1,000 resamples of seed 1 unless others are asked for."""
    shares = np.random.default_rng(4).random(97)  # so many values that any other draw gives another interval
    usual = accuracy_interval(shares)
    assert usual == accuracy_interval(shares, seed=1, resamples=1000)
    assert len({usual, accuracy_interval(shares, seed=2), accuracy_interval(shares, resamples=999)}) == 3
    right = np.array([k % 3 > 0 for k in range(60)])
    scores = classification_scores(np.ones(60, dtype=int), right.astype(int), ["a", "b"])
    assert scores.interval == accuracy_interval(right)


def test_as_dict_is_plain_json() -> None:
    scores = classification_scores(TRUTH, PREDICTED, ["a", "b", "c"])
    values = json.loads(json.dumps(scores.as_dict()))
    assert values == scores.as_dict()
    assert values["classes"][1] == {"label": "b", "precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}


@pytest.mark.parametrize(("truth", "predicted"), [([], []), ([0, 1], [0])])
def test_nothing_to_score_is_an_error(truth: list[int], predicted: list[int]) -> None:
    with pytest.raises(ValueError, match="expected as many"):
        classification_scores(truth, predicted, ["a", "b"])
