"""The estimators keep scikit-learn's contract, and work where its own do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

from elmo_cli import DataError, Elmo, ElmoClassifier, ElmoVectorizer

TOPICS = {1: ("oil", "prices", "rose"), 0: ("the", "match", "ended")}
TEXTS = np.array([" ".join((*words, str(number % 3))) for number in range(12) for words in TOPICS.values()])
LABELS = np.array([label for _ in range(12) for label in TOPICS])
FAST = {"preset": "tiny", "random_state": 3, "device": "cpu"}
TRAINING = {"epochs": 6, "learning_rate": 0.02}


# scikit-learn gives estimators on texts only the first of these; the others need no samples either.
CHECKS = (
    estimator_checks.check_estimator_cloneable,
    estimator_checks.check_estimator_tags_renamed,
    estimator_checks.check_valid_tag_types,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
    estimator_checks.check_mixin_order,
    estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_set_params,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", [ElmoVectorizer, ElmoClassifier])
def test_scikit_learns_checks(kind: type, check: Callable[[str, object], None]) -> None:
    check(kind.__name__, kind(**FAST))


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
    for names in ([" a", "a"], [10, 9], [1.0, -2.0], [True, False], ["1", "1.0"]):
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
