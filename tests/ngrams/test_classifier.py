"""The linear classifier of n-grams against scikit-learn's, and what few or one-sided texts do to it."""

from __future__ import annotations

import numpy as np
import pytest
from ngramworld import CORPUS, FIT, LABELS, ROWS, VALID, done, fitted
from scipy.special import expit, log_softmax
from sklearn.linear_model import LogisticRegression

from elmo_cli.ngrams.classifier import GRID, TOLERANCE, fit_ngrams
from elmo_cli.ngrams.features import NgramFeatures
from elmo_cli.text.encoded import encode


@pytest.mark.parametrize("classes", [2, 3])
def test_the_weights_are_those_of_scikit_learn(classes: int) -> None:
    labels = LABELS if classes == 2 else np.arange(80) % 3
    found = fitted(labels, classes)
    inputs, every = found.classifier.features.transform(CORPUS, np.arange(80)), np.concatenate([FIT, VALID])
    machines = [
        LogisticRegression(solver="liblinear", dual=True, C=found.penalty, tol=TOLERANCE, random_state=0).fit(
            inputs[every], labels[every] == number
        )
        for number in range(classes)
    ]
    scores = np.stack([machine.decision_function(inputs[VALID]) for machine in machines], axis=1)
    own = inputs[VALID] @ found.classifier.weights + found.classifier.intercept
    if classes == 2:
        scores, own = scores[:, 1:], np.diff(own)
    # as far as a temperature, which is all that lies between them
    np.testing.assert_allclose(own, scores * np.median(own / scores), rtol=1e-4, atol=1e-5)
    if classes == 2:
        probabilities = found.classifier.probabilities(CORPUS, VALID)[:, 1]
        np.testing.assert_allclose(probabilities, expit(own[:, 0]), atol=1e-5)
    assert found.penalty in GRID


def test_what_chose_was_not_learned_from_yet() -> None:
    found = fitted()
    inputs = NgramFeatures.fit(CORPUS, FIT)
    known, held = inputs.transform(CORPUS, FIT), inputs.transform(CORPUS, VALID)
    machine = LogisticRegression(solver="liblinear", dual=True, C=found.penalty, tol=TOLERANCE, random_state=0)
    scores = machine.fit(known, LABELS[FIT]).decision_function(held)
    ratio = np.diff(np.log(found.valid))[:, 0] / scores  # the temperature
    np.testing.assert_allclose(ratio, np.full_like(ratio, np.median(ratio)), rtol=1e-3)
    assert len(found.classifier.features) > len(inputs)


def test_it_learns_the_topics_and_is_calibrated() -> None:
    found = fitted()
    assert (found.valid.argmax(1) == LABELS[VALID]).mean() > 0.9
    logs = np.log(found.valid)
    losses = [-log_softmax(factor * logs, axis=1)[np.arange(20), LABELS[VALID]].mean() for factor in (0.5, 1.0, 1.01)]
    assert losses[1] < losses[0]


def test_texts_that_are_not_chosen_change_nothing() -> None:
    other = encode([*(text for _, text in ROWS[:70]), *["zero goal bank"] * 10], str.split)
    labels = LABELS.copy()
    found = done(fit_ngrams(CORPUS, labels, 2, FIT, VALID[:10]))
    labels[70:] = 1 - labels[70:]
    again = done(fit_ngrams(CORPUS, labels, 2, FIT, VALID[:10]))
    assert found is not None
    assert again is not None
    np.testing.assert_array_equal(found.classifier.weights, again.classifier.weights)
    changed = done(fit_ngrams(other, labels, 2, FIT, VALID[:10]))
    assert changed.classifier.features.words == found.classifier.features.words


def test_without_any_gram_the_classes_are_as_frequent_as_they_were() -> None:
    labels = np.where(np.arange(80) % 4 == 0, 1, 0)
    found = fitted(labels, corpus=encode([""] * 80, str.split))
    np.testing.assert_allclose(found.valid[:, 1], 0.25, atol=0.05)


def test_a_class_without_a_text_to_learn_from_is_the_least_probable() -> None:
    found = fitted(classes=3)
    assert (found.valid[:, 2] < found.valid[:, :2].max(1)).all()
    assert np.isfinite(found.valid).all()


def test_two_fits_give_the_same_bits() -> None:
    labels, every = np.random.default_rng(0).integers(0, 4, 400), np.arange(400)
    corpus = encode([f"word{number % 37} other{number % 11} thing{number % 5} {number}" for number in every], str.split)
    fits = [done(fit_ngrams(corpus, labels, 4, every[:300], every[300:])).classifier for _ in range(5)]
    assert all((one.weights == fits[0].weights).all() for one in fits)


def test_it_stops_when_asked() -> None:
    asked = iter([False, True])
    assert done(fit_ngrams(CORPUS, LABELS, 2, FIT, VALID, lambda: next(asked))) is None
