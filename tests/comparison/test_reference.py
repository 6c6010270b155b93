"""The reference without embeddings, beside scikit-learn's own road from text to classes."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice, product

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion
from sklearn.svm import LinearSVC
from tinyworld import TOKENIZER, make_corpus, make_texts

from elmo_cli.comparison import reference
from elmo_cli.comparison.reference import GRID, fit_reference
from elmo_cli.comparison.subsets import make_sizes
from elmo_cli.errors import DataError
from elmo_cli.text.encoded import encode
from elmo_cli.text.tokenizer import Tokenizer
from elmo_cli.training.labelled import LabelledCorpus

TRAIN, TEST = make_corpus(make_texts(80)), make_corpus(make_texts(40, seed=8))
WHOLE, HALF = make_sizes(TRAIN, (0.5,), 0.2, seed=1)


def spelled(texts: LabelledCorpus) -> LabelledCorpus:
    """The same texts, each word with an ending of its own that tells nothing, so that only its letters recur."""
    words = (f"{word}{number:x}" for number, word in enumerate(" ".join(texts.texts).split()))
    found = tuple(" ".join(islice(words, len(text.split()))) for text in texts.texts)
    return replace(texts, texts=found, corpus=encode(found, Tokenizer(TOKENIZER)))


@pytest.mark.parametrize("letters", [False, True])
def test_it_is_scikit_learn_on_the_same_tokens(letters: bool) -> None:
    train, test = (spelled(TRAIN), spelled(TEST)) if letters else (TRAIN, TEST)
    found = fit_reference((train, test), WHOLE, seed=1)
    assert found is not None
    assert found.training["letters"] is letters
    fit = [train.texts[index] for index in WHOLE.fit]
    accuracies = {}
    for both, penalty in product([False, True], GRID):
        blocks: list[tuple[str, TfidfVectorizer]] = [
            ("words", TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), sublinear_tf=True, lowercase=False))
        ]
        if both:
            per_word = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, lowercase=False)
            blocks.append(("letters", per_word))
        union = FeatureUnion(blocks)
        features = union.fit_transform(fit)
        machine = LinearSVC(C=penalty, random_state=1, max_iter=10_000).fit(features, train.labels[WHOLE.fit])
        guesses = machine.predict(union.transform([train.texts[index] for index in WHOLE.valid]))
        accuracies[both, penalty] = (guesses == train.labels[WHOLE.valid]).mean()
        if (both, penalty) == (letters, found.training["C"]):  # fitted once more, on the validation part too
            every = np.concatenate([WHOLE.fit, WHOLE.valid])
            features = union.fit_transform([train.texts[index] for index in every])
            machine = LinearSVC(C=penalty, random_state=1, max_iter=10_000).fit(features, train.labels[every])
            assert found.training["features"] == features.shape[1]
            np.testing.assert_array_equal(found.predicted, machine.predict(union.transform(test.texts)))
            np.testing.assert_array_equal(found.train_predicted, machine.predict(union.transform(train.texts)))
    assert (letters, found.training["C"]) == max(accuracies, key=accuracies.__getitem__)  # of equal ones the first
    assert found.training["valid"] == {"examples": 16, "accuracy": max(accuracies.values()), "loss": None}
    assert found.probabilities is None


def test_it_learns_from_its_share_alone() -> None:
    spoiled = TRAIN.labels.copy()
    outside = np.setdiff1d(np.arange(len(TRAIN)), np.concatenate([HALF.fit, HALF.valid]))
    spoiled[outside] = 1 - spoiled[outside]
    one, other = (
        fit_reference((replace(TRAIN, labels=labels), TEST), HALF, seed=1) for labels in (TRAIN.labels, spoiled)
    )
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.predicted, other.predicted)
    assert one.train_predicted is None


def test_it_is_repeated_to_the_bit_and_stops_when_told() -> None:
    one, same = (fit_reference((TRAIN, TEST), WHOLE, seed=1) for _ in range(2))
    assert one is not None
    assert same is not None
    np.testing.assert_array_equal(one.predicted, same.predicted)
    assert fit_reference((TRAIN, TEST), WHOLE, seed=1, stop=lambda: True) is None


def test_a_solver_that_does_not_converge_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "ITERATIONS", 1)
    found = fit_reference((TRAIN, TEST), WHOLE, seed=1)
    assert found is not None
    assert found.training["converged"] is False


def test_texts_without_tokens() -> None:
    empty = replace(TRAIN, corpus=encode([""] * len(TRAIN), Tokenizer(TOKENIZER)))
    with pytest.raises(DataError, match="no token"):
        fit_reference((empty, TEST), WHOLE, seed=1)
