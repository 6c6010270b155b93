"""The reference that has no embeddings: TF-IDF of words and pairs of words, and a linear SVM (scikit-learn).

It reads the tokens that the static rows read. Counts, weights and SVM know the training part alone; C is the value of
`GRID` that is best on the validation part, of equal ones the smallest. Nothing in it is drawn but the order in which
the solver looks at the texts, so one fit stands for all seeds.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from itertools import pairwise
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
    """Train the reference on a share of the texts and classify all; None if it was stopped, as is asked before each C.

    Raises:
        DataError: The training part has no token.
    """
    began = time.monotonic()
    train, test = texts
    if not int(train.corpus.lengths[size.fit].sum()):
        raise DataError(
            "the texts to train on have no token", where=train.path, remedy="check the text column and the tokenizer"
        )
    # An analyzer of our own, as the texts are tokens already.
    vectoriser = TfidfVectorizer(analyzer=_words_and_pairs, sublinear_tf=True)
    features = vectoriser.fit_transform(_tokens(train.corpus, size.fit))
    valid = vectoriser.transform(_tokens(train.corpus, size.valid))
    tried: list[tuple[float, float, LinearSVC]] = []
    for penalty in GRID:
        if stop():
            return None
        machine = LinearSVC(C=penalty, dual="auto", random_state=seed, max_iter=ITERATIONS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # noted in the record, and said in the results
            machine.fit(features, train.labels[size.fit])
        tried.append((float((machine.predict(valid) == train.labels[size.valid]).mean()), penalty, machine))
    accuracy, penalty, machine = max(tried, key=lambda one: one[0])  # of equal ones the first

    def classify(corpus: EncodedCorpus) -> NDArray[np.int64]:
        found = machine.predict(vectoriser.transform(_tokens(corpus, np.arange(len(corpus)))))
        return np.asarray(found, dtype=np.int64)

    answers, on_train = classify(test.corpus), classify(train.corpus) if size.whole else None
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
    return Trained(seed, answers, training, train_predicted=on_train)


def _tokens(corpus: EncodedCorpus, indices: NDArray[np.integer[Any]]) -> list[list[str]]:
    types = list(corpus.types)
    return [[types[number] for number in corpus.sentence(index).tolist()] for index in indices.tolist()]


def _words_and_pairs(tokens: list[str]) -> list[str]:
    return [*tokens, *(f"{first} {second}" for first, second in pairwise(tokens))]
