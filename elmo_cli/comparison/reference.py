"""The reference that has no embeddings: TF-IDF of words and pairs of words, and a linear SVM (scikit-learn).

It reads the tokens that the static rows read. Counts, weights and SVM know the training part alone; C is the value of
`GRID` that is best on the validation part, of equal ones the smallest. Nothing in it is drawn but the order in which
the solver looks at the texts, so one fit stands for all seeds.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from elmo_cli.comparison.rows import Texts
from elmo_cli.comparison.statistics import Trained
from elmo_cli.comparison.subsets import Size
from elmo_cli.errors import DataError
from elmo_cli.report.records import TrainingRecord
from elmo_cli.text.encoded import EncodedCorpus

GRID = (0.03, 0.1, 0.3, 1.0, 3.0)
ITERATIONS = 10_000


def fit_reference(texts: Texts, size: Size, *, seed: int, stop: Callable[[], bool] = lambda: False) -> Trained | None:
    """Train the reference and classify all texts.

    Args:
        texts: Training and test texts.
        size: Which of the training texts are trained on, and which choose C.
        seed: What the solver draws its order by.
        stop: Asked before each C.

    Returns:
        The classifier's answers, without probabilities, which a linear SVM has none of; None if it was stopped.

    Raises:
        DataError: The training part has no token.
    """
    began = time.monotonic()
    train, test = texts
    if not int(train.corpus.lengths[size.fit].sum()):
        raise DataError(
            "the texts to train on have no token", where=train.path, remedy="check the text column and the tokenizer"
        )
    vectoriser = TfidfVectorizer(
        preprocessor=_as_it_is,
        tokenizer=_as_it_is,
        token_pattern=None,
        lowercase=False,
        ngram_range=(1, 2),
        sublinear_tf=True,
    )
    features = vectoriser.fit_transform(_tokens(train.corpus, size.fit))
    valid = vectoriser.transform(_tokens(train.corpus, size.valid))
    best: tuple[float, float, LinearSVC] | None = None
    for penalty in GRID:
        if stop():
            return None
        machine = _fit(features, train.labels[size.fit], penalty, seed)
        accuracy = float((machine.predict(valid) == train.labels[size.valid]).mean())
        if best is None or accuracy > best[0]:
            best = accuracy, penalty, machine
    assert best is not None  # the grid is not empty
    accuracy, penalty, machine = best

    def classify(corpus: EncodedCorpus) -> NDArray[np.int64]:
        found = machine.predict(vectoriser.transform(_tokens(corpus, np.arange(len(corpus)))))
        return np.asarray(found, dtype=np.int64)

    training_answers = classify(train.corpus) if size.whole else None
    answers = classify(test.corpus)
    training: TrainingRecord = {
        "seed": seed,
        "C": penalty,
        "features": features.shape[1],
        "converged": bool(np.max(machine.n_iter_) < ITERATIONS),
        "lambdas": None,
        "gamma": None,
        "activations": None,
        "valid": {"examples": len(size.valid), "accuracy": accuracy, "loss": None},
        "seconds": round(time.monotonic() - began, 2),
    }
    return Trained(seed, answers, training, train_predicted=training_answers)


def _fit(features: Any, labels: NDArray[np.int64], penalty: float, seed: int) -> LinearSVC:
    machine = LinearSVC(C=penalty, dual="auto", random_state=seed, max_iter=ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # noted in the training record, and said in the results
        return machine.fit(features, labels)


def _tokens(corpus: EncodedCorpus, indices: NDArray[np.integer[Any]]) -> list[list[str]]:
    types = list(corpus.types)
    return [[types[number] for number in corpus.sentence(index).tolist()] for index in indices.tolist()]


def _as_it_is(tokens: list[str]) -> list[str]:
    return tokens
