"""Counted n-grams and an embedder's classifier, answering together.

softmax(a · ln p + b · ln q) of the classifiers' probabilities p and q, where a, b >= 0 are the weights of lowest loss
on validation texts. A prior that is worth some texts holds them at the geometric mean of both, each brought to its own
best temperature before: a classifier that was trained long is too sure of itself. So with few texts both answer, and
with many a part that knows nothing is not listened to. Legend: N texts, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from elmo_cli.ngrams.classifier import PRIOR, FittedNgrams, NgramClassifier, best_temperature
from elmo_cli.text.encoded import EncodedCorpus

FLOOR = 1e-6  # lowest probability of a part: none alone rules a class out

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class NgramBranch:
    """Counted n-grams beside an embedder's classifier."""

    classifier: NgramClassifier
    weights: tuple[float, float]  # a of the embedder's classifier, b of this one

    def beside(self, probabilities: Floats, corpus: EncodedCorpus) -> NDArray[np.float32]:
        """(N, K) probabilities of both together, from those of the embedder's classifier for the same texts."""
        return join(probabilities, self.classifier.probabilities(corpus), self.weights)


@dataclass(frozen=True)
class PartScores:
    """What a part is worth on the validation texts."""

    accuracy: float
    loss: float  # mean in nats a text


@dataclass(frozen=True)
class JointScores:
    """What each part is worth on the validation texts, and both together."""

    embedder: PartScores
    ngrams: PartScores
    together: PartScores


@dataclass(frozen=True)
class BranchResults:
    """Figures of a branch; a part of `results.json`."""

    features: int  # n-grams
    C: float
    converged: bool
    weights: tuple[float, float]  # a of the embedder's classifier, b of the n-grams
    valid: JointScores
    seconds: float


def make_branch(fitted: FittedNgrams, valid: Floats, truth: NDArray[np.int64]) -> tuple[NgramBranch, BranchResults]:
    """The branch beside a classifier, and its figures.

    Args:
        fitted: The classifier of n-grams.
        valid: (N, K) probabilities of the other classifier for the validation texts.
        truth: (N,) their class numbers.
    """
    weights = fit_weights(valid, fitted.valid, truth)
    parts = (valid, fitted.valid, join(valid, fitted.valid, weights))
    scores = JointScores(*(PartScores(accuracy(part, truth), mean_loss(part, truth)) for part in parts))
    features = len(fitted.classifier.features)
    results = BranchResults(features, fitted.penalty, fitted.converged, weights, scores, fitted.seconds)
    return NgramBranch(fitted.classifier, weights), results


def join(first: Floats, second: Floats, weights: tuple[float, float]) -> NDArray[np.float32]:
    """softmax(a · ln p + b · ln q) of (N, K) probabilities p and q."""
    scores = weights[0] * _floored_log(first) + weights[1] * _floored_log(second)
    return np.exp(log_softmax(scores, axis=1)).astype(np.float32)


def fit_weights(first: Floats, second: Floats, truth: NDArray[np.int64]) -> tuple[float, float]:
    """The a, b >= 0 of lowest loss on texts that neither classifier has learned from.

    argmin of Σ -ln p(truth) + `PRIOR` / 2 · |(a, b) - (s, t) / 2|², which is convex; s and t are the temperatures.

    Args:
        first: (N, K) probabilities.
        second: (N, K) probabilities.
        truth: (N,) class numbers.
    """
    parts = np.stack([_floored_log(first), _floored_log(second)])  # (2, N, K)
    rows = np.arange(len(truth))
    held = np.array([best_temperature(part, truth)[0] / 2 for part in parts])

    def loss(weights: Floats) -> tuple[float, Floats]:
        scores = log_softmax(np.tensordot(weights, parts, axes=1), axis=1)
        away = weights - held
        slope = (np.exp(scores) * parts).sum((1, 2)) - parts[:, rows, truth].sum(1)
        return float(-scores[rows, truth].sum() + PRIOR / 2 * away @ away), slope + PRIOR * away

    found = minimize(loss, held, jac=True, method="L-BFGS-B", bounds=[(0, None)] * 2)
    return float(found.x[0]), float(found.x[1])


def accuracy(probabilities: Floats, truth: NDArray[np.int64]) -> float:
    """Share of (N, K) whose most probable class is the true one."""
    return float((probabilities.argmax(axis=1) == truth).mean())


def mean_loss(probabilities: Floats, truth: NDArray[np.int64]) -> float:
    """Mean of -ln p(truth) in nats, p of (N, K) at least `FLOOR`."""
    return float(-_floored_log(probabilities)[np.arange(len(truth)), truth].mean())


def _floored_log(probabilities: Floats) -> NDArray[np.float64]:
    return np.log(np.maximum(probabilities.astype(np.float64), FLOOR))
