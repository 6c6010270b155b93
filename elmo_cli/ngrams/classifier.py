"""A linear classifier of counted n-grams.

Of each class against all others a logistic regression (liblinear, in its dual form: many times faster here than a
multinomial one, and no worse); the classes' scores z give p = softmax(t · z). C is the value of `GRID`, and t the
temperature, with the lowest loss on the validation texts: C grows until that gets worse. What few validation texts
suggest is not believed at once: t is held at 1 by a prior that is worth `PRIOR` texts. With both chosen, the classifier
is fitted once more, on the validation texts too: where there are few texts, each counts. Legend: N texts, F n-grams, K
classes.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_array
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from elmo_cli.events import Progress, Stop, never
from elmo_cli.ngrams.features import Indices, NgramFeatures
from elmo_cli.text.encoded import EncodedCorpus

GRID = (1.0, 4.0, 16.0, 64.0)  # of C
TOLERANCE, ITERATIONS = 1e-2, 100  # of the solver
PRIOR = 10.0  # texts
TEXTS_AT_ONCE = 4096  # of those that are counted

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class NgramClassifier:
    """p = softmax(x · weights + intercept), the temperature among the weights.

    Attributes:
        features: What gives x.
        weights: (F, K).
        intercept: (K,).
    """

    features: NgramFeatures
    weights: NDArray[np.float32]
    intercept: NDArray[np.float32]

    def probabilities(self, corpus: EncodedCorpus, chosen: Indices | None = None) -> NDArray[np.float32]:
        """(N, K) of some texts of a corpus, or of all."""
        chosen = np.arange(len(corpus)) if chosen is None else chosen
        parts = [
            self.features.transform(corpus, chosen[start : start + TEXTS_AT_ONCE]) @ self.weights + self.intercept
            for start in range(0, len(chosen), TEXTS_AT_ONCE)
        ]
        return _softmax(np.concatenate([np.empty((0, len(self.intercept))), *parts]))


@dataclass(frozen=True, eq=False)
class FittedNgrams:
    """A classifier of n-grams, and how it was found."""

    classifier: NgramClassifier
    penalty: float  # C
    converged: bool
    valid: NDArray[np.float32]  # (N, K) probabilities of the validation texts, before it learned from them
    seconds: float


def fit_ngrams(
    corpus: EncodedCorpus, labels: NDArray[np.int64], classes: int, fit: Indices, valid: Indices, stop: Stop = never
) -> Generator[Progress, None, FittedNgrams | None]:
    """Fit on some texts of a corpus, choose on others, and fit on all of these.

    Args:
        corpus: The texts.
        labels: (texts,) class numbers.
        classes: K.
        fit: The texts to count and to fit on at first.
        valid: Those that choose C and temperature.
        stop: Asked before each fit whether to end.

    Yields:
        How many values of C are tried.

    Returns:
        The classifier of the best C; None if it was stopped.
    """
    began = time.monotonic()
    features = NgramFeatures.fit(corpus, fit)
    known, held = features.transform(corpus, fit), features.transform(corpus, valid)
    best: tuple[float, float, float, Floats] | None = None
    for done, penalty in enumerate(GRID, start=1):
        if stop():
            return None
        weights, intercept, _ = _one_against_rest(known, labels[fit], classes, penalty)
        scores = held @ weights + intercept
        temperature, loss = best_temperature(scores, labels[valid])
        better = best is None or loss < best[0]
        if better:
            best = loss, penalty, temperature, scores
        yield Progress("n-grams", done if better else len(GRID), len(GRID))
        if not better:  # each larger C takes longer, and would be worse still
            break
    assert best is not None  # the grid is not empty
    if stop():
        return None
    _, penalty, temperature, scores = best
    every = np.concatenate([fit, valid])
    features = NgramFeatures.fit(corpus, every)
    weights, intercept, converged = _one_against_rest(
        features.transform(corpus, every), labels[every], classes, penalty
    )
    weights, intercept = temperature * weights, temperature * intercept
    classifier = NgramClassifier(features, weights.astype(np.float32), intercept.astype(np.float32))
    seconds = round(time.monotonic() - began, 2)
    return FittedNgrams(classifier, penalty, converged, _softmax(temperature * scores), seconds)


def _one_against_rest(
    features: csr_array, labels: NDArray[np.int64], classes: int, penalty: float
) -> tuple[Floats, Floats, bool]:
    """Weights (F, K), intercepts (K,), and whether the solver converged for all."""
    numbers = range(classes) if classes > 2 else [1]  # of two classes one is the mirror image of the other
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # told by the results
        # One after another: liblinear draws from one generator of the whole process without a lock, so that two fits in
        # two threads disturb each other's numbers, and may write past their own memory.
        fits = [_against_rest(features, labels == number, penalty) for number in numbers]
    weights, intercept = np.stack([fit[0] for fit in fits], axis=1), np.array([fit[1] for fit in fits])
    if classes == 2:  # the softmax of (-z / 2, z / 2) is the logistic function of z
        weights, intercept = weights * [-0.5, 0.5], intercept * [-0.5, 0.5]
    return weights, intercept, all(fit[2] for fit in fits)


def _against_rest(features: csr_array, of_class: NDArray[np.bool_], penalty: float) -> tuple[Floats, float, bool]:
    """Weights (F,), intercept, and whether the solver converged."""
    if not features.shape[1] or of_class.all() or not of_class.any():  # nothing to separate by, or from
        return np.zeros(features.shape[1]), float(np.log((1 + of_class.sum()) / (1 + (~of_class).sum()))), True
    machine = LogisticRegression(
        solver="liblinear", dual=True, C=penalty, tol=TOLERANCE, max_iter=ITERATIONS, random_state=0
    )
    machine.fit(features, of_class)
    return machine.coef_[0], float(machine.intercept_[0]), bool(machine.n_iter_.max() < ITERATIONS)


def _softmax(scores: Floats) -> NDArray[np.float32]:
    return np.exp(log_softmax(scores, axis=1)).astype(np.float32)


def best_temperature(scores: Floats, truth: NDArray[np.int64]) -> tuple[float, float]:
    """The t of lowest loss of softmax(t · scores), and that loss in nats: both with the prior, which holds t at 1."""
    rows = np.arange(len(truth))

    def loss(log_temperature: float) -> float:
        logs = log_softmax(np.exp(log_temperature) * scores, axis=1)
        return float(-logs[rows, truth].sum() + PRIOR / 2 * log_temperature**2)

    found = minimize_scalar(loss, bounds=(-5.0, 5.0), method="bounded")
    return float(np.exp(found.x)), float(found.fun)
