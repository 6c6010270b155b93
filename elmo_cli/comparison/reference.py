"""The reference that has no embeddings: TF-IDF and a linear SVM (scikit-learn).

It reads the tokens that the static rows read. Features are words and pairs of words, or these and the letters of the
words (character n-grams, word borders included). Features and C are those that are best on the validation part, of
equal ones the fewest and the smallest; counts, weights and SVM know the training part alone until these are chosen, and
are then fitted to both. Nothing in it is drawn but the order in which the solver looks at the texts, so one fit stands
for all seeds.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.svm import LinearSVC

from elmo_cli.comparison.rows import Texts
from elmo_cli.comparison.statistics import Trained
from elmo_cli.comparison.subsets import Size
from elmo_cli.errors import DataError
from elmo_cli.report.records import TrainingRecord
from elmo_cli.text.encoded import EncodedCorpus

GRID = (0.03, 0.1, 0.3, 1.0, 3.0)
LETTERS = (2, 5)  # shortest and longest character n-gram
ITERATIONS = 10_000


class Words:
    """TF-IDF of words and pairs of words."""

    def __init__(self) -> None:
        # An analyzer of our own, as the texts are tokens already.
        self._vectoriser = TfidfVectorizer(analyzer=_words_and_pairs, sublinear_tf=True)

    def fit(self, corpus: EncodedCorpus, indices: NDArray[np.integer[Any]]) -> sparse.csr_matrix:
        """Learn features and weights from some texts; (texts, features)."""
        return sparse.csr_matrix(self._vectoriser.fit_transform(_tokens(corpus, indices)))

    def transform(self, corpus: EncodedCorpus, indices: NDArray[np.integer[Any]]) -> sparse.csr_matrix:
        """(texts, features) of other texts."""
        return sparse.csr_matrix(self._vectoriser.transform(_tokens(corpus, indices)))


class Letters:
    """TF-IDF of the character n-grams in words, cut once a type: counts of a text are those of its types, added up."""

    def __init__(self) -> None:
        self._counts = CountVectorizer(analyzer="char_wb", ngram_range=LETTERS, lowercase=False)
        self._weights = TfidfTransformer(sublinear_tf=True)

    def fit(self, corpus: EncodedCorpus, indices: NDArray[np.integer[Any]]) -> sparse.csr_matrix:
        """Learn features and weights from some texts; (texts, features)."""
        texts = _types(corpus, indices)
        seen = np.flatnonzero(np.asarray(texts.sum(axis=0)).ravel())
        self._counts.fit([corpus.types[number] for number in seen.tolist()])
        return sparse.csr_matrix(self._weights.fit_transform(texts @ self._counts.transform(corpus.types)))

    def transform(self, corpus: EncodedCorpus, indices: NDArray[np.integer[Any]]) -> sparse.csr_matrix:
        """(texts, features) of other texts."""
        counts = _types(corpus, indices) @ self._counts.transform(corpus.types)
        return sparse.csr_matrix(self._weights.transform(counts))


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
    blocks: tuple[Words | Letters, ...] = (Words(), Letters())
    fitted = [block.fit(train.corpus, size.fit) for block in blocks]
    held = [block.transform(train.corpus, size.valid) for block in blocks]
    best: tuple[float, int, float] | None = None  # accuracy, blocks, C
    for count, penalty in product((1, 2), GRID):
        if stop():
            return None
        machine = _machine(fitted[:count], train.labels[size.fit], penalty, seed)
        accuracy = float((machine.predict(_beside(held[:count])) == train.labels[size.valid]).mean())
        if best is None or accuracy > best[0]:
            best = accuracy, count, penalty
    assert best is not None  # neither list is empty
    accuracy, count, penalty = best
    every, blocks = np.concatenate([size.fit, size.valid]), blocks[:count]
    machine = _machine([block.fit(train.corpus, every) for block in blocks], train.labels[every], penalty, seed)

    def classify(corpus: EncodedCorpus) -> NDArray[np.int64]:
        features = _beside([block.transform(corpus, np.arange(len(corpus))) for block in blocks])
        return np.asarray(machine.predict(features), dtype=np.int64)

    answers, on_train = classify(test.corpus), classify(train.corpus) if size.whole else None
    training: TrainingRecord = {
        "seed": seed,
        "C": penalty,
        "letters": count == 2,
        "features": machine.coef_.shape[1],
        "converged": bool(np.max(machine.n_iter_) < ITERATIONS),
        "lambdas": None,
        "gamma": None,
        "activations": None,
        "valid": {"examples": len(size.valid), "accuracy": accuracy, "loss": None},
        "seconds": round(time.monotonic() - began, 2),
    }
    return Trained(seed, answers, training, train_predicted=on_train)


def _machine(blocks: Sequence[sparse.csr_matrix], labels: NDArray[np.int64], penalty: float, seed: int) -> LinearSVC:
    machine = LinearSVC(C=penalty, dual="auto", random_state=seed, max_iter=ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # noted in the record, and said in the results
        return machine.fit(_beside(blocks), labels)


def _beside(blocks: Sequence[sparse.csr_matrix]) -> sparse.csr_matrix:
    return sparse.csr_matrix(sparse.hstack(blocks))


def _tokens(corpus: EncodedCorpus, indices: NDArray[np.integer[Any]]) -> list[list[str]]:
    types = list(corpus.types)
    return [[types[number] for number in corpus.sentence(index).tolist()] for index in indices.tolist()]


def _types(corpus: EncodedCorpus, indices: NDArray[np.integer[Any]]) -> sparse.csr_matrix:
    """(texts, types): how often each type occurs in each text."""
    offsets = np.concatenate([[0], np.cumsum(corpus.lengths[indices])])
    columns = np.concatenate([corpus.sentence(index) for index in indices.tolist()])
    shape = (len(indices), len(corpus.types))
    return sparse.csr_matrix((np.ones(len(columns), dtype=np.int64), columns, offsets), shape=shape)


def _words_and_pairs(tokens: list[str]) -> list[str]:
    return [*tokens, *(f"{first} {second}" for first, second in pairwise(tokens))]
