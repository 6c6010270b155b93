"""ELMo as scikit-learn has its estimators: in pipelines, searches and cross-validation.

Input X is a text for each sample: a list, an array, a column of a DataFrame, or a table of one column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from elmo_cli.api import Elmo, TextClassifier
from elmo_cli.api.language_model import Pool
from elmo_cli.api.texts import texts_of
from elmo_cli.config.choices import Preset
from elmo_cli.data.values import as_label, as_printed
from elmo_cli.inference.assembly import Layers

LanguageModel = Elmo | str | PathLike[str]
Settings = Mapping[str, Any]


class _OnTexts(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What estimators on texts have in common: where their language model comes from, and what they tell of X."""

    lm: LanguageModel | None
    preset: Preset
    pretraining: Settings | None
    random_state: int | np.random.RandomState | None
    device: str

    def _language_model(self, texts: list[str]) -> Elmo:
        """The model that was given, or one that is pretrained on the texts."""
        if isinstance(self.lm, Elmo):
            return self.lm
        if self.lm is not None:
            return Elmo.load(self.lm, self.device)
        settings = {"seed": self._seed(), **(self.pretraining or {})}
        return Elmo.pretrain(texts, preset=self.preset, device=self.device, **settings)

    def _seed(self) -> int:
        """The seed of a training: `random_state` where it is a number, else drawn from it."""
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        tags.no_validation = True
        return tags


class ElmoVectorizer(TransformerMixin, _OnTexts):  # type: ignore[misc]
    """Texts to vectors: layer activations of a language model, pooled over tokens.

    >>> from elmo_cli import ElmoVectorizer
    >>> ElmoVectorizer(lm="runs/lm", layers="average").fit_transform(["Oil prices rose", "a draw"]).shape
    (2, 64)

    Args:
        lm: A language model or its run; None: `fit` pretrains one on its texts.
        layers: `top`, `average`, the number of one, or `all`, whose vectors stand one after the other.
        pool: `mean` or `max` over the tokens of a text.
        preset: Where the settings of a pretraining start from.
        pretraining: Its other settings, as `Elmo.pretrain` takes them, such as `{"epochs": 3}`.
        random_state: Seed of a pretraining.
        device: `auto`, `cpu`, `cuda` or `mps`.

    Attributes:
        lm_: The language model, an `Elmo`.
    """

    def __init__(
        self,
        lm: LanguageModel | None = None,
        *,
        layers: Layers = "top",
        pool: Pool = "mean",
        preset: Preset = "small",
        pretraining: Settings | None = None,
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
    ) -> None:
        self.lm = lm
        self.layers = layers
        self.pool = pool
        self.preset = preset
        self.pretraining = pretraining
        self.random_state = random_state
        self.device = device

    def fit(self, X: Iterable[str], y: object = None) -> Self:
        """Take the language model, or pretrain one on the texts.

        Raises:
            TypeError: What is given for a text is none.
            InputError: The run, a setting, or the texts cannot be used.
        """
        self.lm_ = self._language_model(_texts(X))
        return self

    def transform(self, X: Iterable[str]) -> NDArray[np.float32]:
        """(N, W) vectors of N texts; with `layers="all"` of the L layers side by side, (N, L * W)."""
        check_is_fitted(self)
        texts = _texts(X)
        vectors = np.asarray(self.lm_.embed(texts, layers=self.layers, pool=self.pool))
        return vectors.reshape(len(texts), -1)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Names of the columns: `elmo0`, `elmo1`, ...; `input_features` names nothing here."""
        check_is_fitted(self)
        embedder = self.lm_.embedder
        width = embedder.width * (embedder.layer_count if self.layers == "all" else 1)
        return np.array([f"elmo{number}" for number in range(width)], dtype=object)


class ElmoClassifier(ClassifierMixin, _OnTexts):  # type: ignore[misc]
    """A text classifier on the layers of a language model.

    >>> from elmo_cli import ElmoClassifier
    >>> texts, labels = ["oil prices rose", "the match ended"] * 10, ["Business", "Sports"] * 10
    >>> model = ElmoClassifier(lm="runs/lm", preset="tiny", random_state=3).fit(texts, labels)
    >>> model.predict(["the match"])
    array(['Sports'], dtype='<U8')

    Args:
        lm: A language model or its run; None: `fit` pretrains one on its texts.
        lambdas: How the layers become one vector a token: `trainable`, `frozen`, `function`, or `layer:N`.
        tune: Train the language model along.
        preset: Where the settings start from.
        training: Other settings of the classifier, as `TextClassifier.fit` takes them, such as `{"epochs": 3}`.
        pretraining: Other settings of a pretraining, as `Elmo.pretrain` takes them.
        random_state: Seed of all training.
        device: `auto`, `cpu`, `cuda` or `mps`.

    Attributes:
        classes_: (classes,) the labels, in the order of the columns of `predict_proba`.
        model_: The classifier, a `TextClassifier`; `model_.save(path)` writes it as a run.
    """

    def __init__(
        self,
        lm: LanguageModel | None = None,
        *,
        lambdas: str = "trainable",
        tune: bool = False,
        preset: Preset = "small",
        training: Settings | None = None,
        pretraining: Settings | None = None,
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
    ) -> None:
        self.lm = lm
        self.lambdas = lambdas
        self.tune = tune
        self.preset = preset
        self.training = training
        self.pretraining = pretraining
        self.random_state = random_state
        self.device = device

    def fit(self, X: Iterable[str], y: Iterable[object]) -> Self:
        """Train the classifier, and before it a language model on the same texts where none was given.

        Raises:
            TypeError: What is given for a text is none.
            ValueError: `y` holds no classes, or not as many labels as there are texts.
            InputError: The run, a setting, or the texts cannot be used; for one, there is one class only.
        """
        texts = _texts(X)
        check_classification_targets(y)
        self.classes_, numbers = np.unique(column_or_1d(y), return_inverse=True)
        names = _names(self.classes_)
        self.model_ = TextClassifier.fit(
            texts,
            [names[number] for number in numbers],
            lm=self._language_model(texts),
            lambdas=self.lambdas,
            tune=self.tune,
            preset=self.preset,
            device=self.device,
            **{"seed": self._seed(), **(self.training or {})},
        )
        self._columns = [self.model_.classes.index(name) for name in names]
        return self

    def predict(self, X: Iterable[str]) -> NDArray[Any]:
        """(N,) labels of N texts."""
        best = self.predict_proba(X).argmax(axis=1)
        found: NDArray[Any] = self.classes_[best]
        return found

    def predict_proba(self, X: Iterable[str]) -> NDArray[np.float32]:
        """(N, classes) probabilities of N texts, in the order of `classes_`."""
        check_is_fitted(self)
        return self.model_.predict_proba(_texts(X))[:, self._columns]


def _texts(X: Iterable[object]) -> list[str]:
    """The texts of X, of which each row of a table must have one only."""
    if getattr(X, "ndim", 1) == 1:
        return list(texts_of(X))
    table = np.asarray(X, dtype=object)
    if table.ndim != 2 or table.shape[1] != 1:
        raise ValueError(f"X has shape {table.shape}; give a text a sample, such as one column of a table")
    return list(texts_of(table[:, 0]))


def _names(classes: NDArray[Any]) -> list[str]:
    """Labels as names of a run's classes; numbers in their stead where names would not keep some of them apart."""
    names = [as_label(one) for one in classes.tolist()]
    apart = all(names) and len({as_printed(name) for name in names}) == len(names)
    return names if apart else [str(number) for number in range(len(names))]
