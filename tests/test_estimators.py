"""The estimators keep scikit-learn's contract, and work where its own do."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator

from elmo_cli import DataError, Elmo, ElmoClassifier, ElmoVectorizer

TOPICS = {1: ("oil", "prices", "rose"), 0: ("the", "match", "ended")}
TEXTS = np.array([" ".join((*words, str(number % 3))) for number in range(12) for words in TOPICS.values()])
LABELS = np.array([label for _ in range(12) for label in TOPICS])
FAST = {"preset": "tiny", "random_state": 3, "device": "cpu"}
TRAINING = {"epochs": 6, "learning_rate": 0.02}

def checks() -> list[Any]:
    found = []
    for estimator in (ElmoVectorizer(**FAST), ElmoClassifier(**FAST)):
        with warnings.catch_warnings():
            # It says that it has no texts to test with, and leaves out the checks that need a matrix.
            warnings.simplefilter("ignore")
            found += list(estimator_checks_generator(estimator))
    return [
        pytest.param(one, check, id=f"{type(one).__name__}-{getattr(check, 'func', check).__name__}")
        for one, check in found
    ]


@pytest.mark.parametrize(("estimator", "check"), checks())
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def test_the_checks_that_are_left_out_are_those_of_numbers() -> None:
    """scikit-learn itself leaves out all that fit a matrix; that these are as many as for its own class on texts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        its_own = {getattr(check, "func", check).__name__ for _, check in estimator_checks_generator(CountVectorizer())}
    assert its_own <= {parameter.values[1].func.__name__ for parameter in checks() if hasattr(parameter.values[1], "func")}


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("estimators") / "lm"
    Elmo.pretrain(TEXTS, preset="tiny", out=path, device="cpu")
    return path


@pytest.fixture(scope="module")
def fitted(lm: Path) -> ElmoClassifier:
    return ElmoClassifier(lm, training=TRAINING, **FAST).fit(TEXTS, LABELS)


def test_vectors_are_those_of_the_model(lm: Path) -> None:
    model = Elmo.load(lm)
    for layers, width in (("top", 64), ("all", 192), (0, 64)):
        vectorizer = ElmoVectorizer(lm, layers=layers, pool="max", **FAST)
        vectors = vectorizer.fit_transform(pd.Series(TEXTS))
        expected = model.embed(TEXTS, layers=layers, pool="max").reshape(len(TEXTS), -1)
        np.testing.assert_array_equal(vectors, expected)
        assert len(vectorizer.get_feature_names_out()) == width
    frame = vectorizer.set_output(transform="pandas").transform(TEXTS)
    assert frame.columns[0] == "elmo0"


def test_a_vectorizer_pretrains_on_its_texts_by_its_seed() -> None:
    vectorizer = ElmoVectorizer(pretraining={"epochs": 1}, **FAST)
    vectors = vectorizer.fit_transform(TEXTS)
    np.testing.assert_array_equal(vectors, clone(vectorizer).fit_transform(TEXTS))
    assert not np.array_equal(vectors, clone(vectorizer).set_params(random_state=4).fit_transform(TEXTS))
    drawn = clone(vectorizer).set_params(random_state=np.random.RandomState(0)).fit(TEXTS)
    assert drawn.lm_.run.settings["seed"] == np.random.RandomState(0).randint(np.iinfo(np.int32).max)


def test_a_classifier_has_the_labels_it_was_given(fitted: ElmoClassifier, lm: Path) -> None:
    assert fitted.classes_.tolist() == [0, 1]
    shares = fitted.predict_proba(TEXTS)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(fitted.predict(TEXTS), LABELS)
    assert fitted.score(TEXTS, LABELS) == 1
    # Labels that a file would not keep apart, and numbers whose order is another one as text.
    for names in ([" a", "a"], [10, 9], [1.0, -2.0], [True, False]):
        y = np.array(names)[LABELS]
        model = ElmoClassifier(lm, training=TRAINING, **FAST).fit(TEXTS, y)
        assert model.predict(TEXTS).tolist() == y.tolist()


def test_what_cannot_be_fitted(lm: Path) -> None:
    model = ElmoClassifier(lm, **FAST)
    with pytest.raises(NotFittedError):
        model.predict(TEXTS)
    with pytest.raises(NotFittedError):
        ElmoVectorizer(lm).transform(TEXTS)
    with pytest.raises(TypeError, match=r"texts\[0\] is 1.0 \(float\)"):
        model.fit([1.0, 2.0], [0, 1])
    with pytest.raises(ValueError, match=r"X has shape \(2, 3\)"):
        model.fit(np.ones((2, 3)), [0, 1])
    with pytest.raises(ValueError, match="Unknown label type"):
        model.fit(TEXTS, np.linspace(0, 1, len(TEXTS)))
    with pytest.raises(DataError, match="the same label"):
        model.fit(TEXTS, np.zeros(len(TEXTS), dtype=int))


def test_fitted_estimators_are_dumped(fitted: ElmoClassifier, tmp_path: Path) -> None:
    joblib.dump(fitted, tmp_path / "model.joblib")
    again = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(again.predict_proba(TEXTS), fitted.predict_proba(TEXTS))
    assert not hasattr(clone(again), "model_")


def test_in_a_pipeline_on_a_column_of_a_frame(lm: Path) -> None:
    frame = pd.DataFrame({"title": TEXTS, "length": [float(len(text)) for text in TEXTS]})
    for column in ("title", ["title"]):
        columns = ColumnTransformer([("text", ElmoVectorizer(lm, **FAST), column), ("rest", "passthrough", ["length"])])
        pipeline = make_pipeline(columns, LogisticRegression()).fit(frame, LABELS)
        assert columns.fit_transform(frame).shape == (len(frame), 65)
        assert pipeline.score(frame, LABELS) == 1


def test_in_cross_validation_and_calibration(lm: Path) -> None:
    model = ElmoClassifier(lm, training=TRAINING, **FAST)
    assert cross_val_score(model, TEXTS, LABELS, cv=2).min() > 0.9
    calibrated = CalibratedClassifierCV(model, cv=2).fit(TEXTS, LABELS)
    np.testing.assert_array_equal(calibrated.predict(TEXTS), LABELS)


def test_in_a_search_in_two_processes(lm: Path) -> None:
    model = ElmoClassifier(Elmo.load(lm, "cpu"), training=TRAINING, **FAST)
    search = GridSearchCV(model, {"lambdas": ["layer:0", "frozen"]}, cv=2, n_jobs=2).fit(TEXTS, LABELS)
    assert search.best_score_ > 0.9
    assert search.best_estimator_.model_.loaded.settings.lambdas in ("layer:0", "frozen")
