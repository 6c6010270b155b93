"""Two classifiers that answer together: the weights against a search by hand, and what a prior is for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from elmo_cli.ngrams.classifier import PRIOR, best_temperature
from elmo_cli.ngrams.joint import accuracy, fit_weights, join, mean_loss

GENERATOR = np.random.default_rng(4)
TRUTH = GENERATOR.integers(0, 3, 400)
SIGNAL = np.eye(3)[TRUTH]
KNOWING = softmax(2 * SIGNAL + GENERATOR.normal(size=(400, 3)), axis=1)
OTHER = softmax(1.5 * SIGNAL + GENERATOR.normal(size=(400, 3)), axis=1)
GUESSING = softmax(GENERATOR.normal(size=(400, 3)), axis=1)


def test_equal_weights_are_the_geometric_mean() -> None:
    mean = np.sqrt(KNOWING * OTHER)
    np.testing.assert_allclose(join(KNOWING, OTHER, (0.5, 0.5)), mean / mean.sum(1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(join(KNOWING, OTHER, (1.0, 0.0)), KNOWING, atol=1e-6)


def test_the_weights_have_the_lowest_loss() -> None:
    found = fit_weights(KNOWING, OTHER, TRUTH)
    s, t = (best_temperature(np.log(part), TRUTH)[0] / 2 for part in (KNOWING, OTHER))

    def objective(a: float, b: float) -> float:
        return 400 * mean_loss(join(KNOWING, OTHER, (a, b)), TRUTH) + PRIOR / 2 * ((a - s) ** 2 + (b - t) ** 2)

    grid = [(a, b) for a in np.linspace(0, 2, 21) for b in np.linspace(0, 2, 21)]
    assert objective(*found) <= min(objective(*point) for point in grid) + 1e-4


def test_together_they_are_better_than_each_alone() -> None:
    both = join(KNOWING, OTHER, fit_weights(KNOWING, OTHER, TRUTH))
    assert mean_loss(both, TRUTH) < min(mean_loss(KNOWING, TRUTH), mean_loss(OTHER, TRUTH))
    assert accuracy(both, TRUTH) > accuracy(OTHER, TRUTH)


def test_who_only_guesses_is_hardly_listened_to() -> None:
    own, other = fit_weights(KNOWING, GUESSING, TRUTH)
    assert other < 0.1 * own


def test_few_texts_move_the_weights_little() -> None:
    few = fit_weights(KNOWING[:2], OTHER[:2], TRUTH[:2])
    assert few == pytest.approx((0.5, 0.5), abs=0.25)
    assert fit_weights(KNOWING[:0], OTHER[:0], TRUTH[:0]) == pytest.approx((0.5, 0.5))


def test_a_part_that_is_too_sure_is_brought_down_first() -> None:
    sure = join(KNOWING, KNOWING, (4.0, 4.0))  # as if it had eight times the evidence
    own, _ = fit_weights(sure[:20], OTHER[:20], TRUTH[:20])
    assert own < 0.5 * fit_weights(KNOWING[:20], OTHER[:20], TRUTH[:20])[0]


def test_a_part_that_is_sure_and_wrong_does_not_rule_a_class_out() -> None:
    sure = np.array([[1.0, 0.0]])
    assert join(sure, np.array([[0.01, 0.99]]), (0.1, 1.0))[0, 1] > 0.5
