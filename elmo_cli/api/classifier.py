"""A text classifier in Python: train it on labelled texts or load it; then `predict`, `evaluate`, `save`."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from elmo_cli.api.folders import RunFolder
from elmo_cli.api.language_model import Elmo
from elmo_cli.api.model import Model
from elmo_cli.api.texts import labels_of, texts_of
from elmo_cli.api.train import OnEvent, fit_texts, ignore
from elmo_cli.config.choices import Preset
from elmo_cli.inference.predict import predict_stream
from elmo_cli.metrics.classification import ClassificationScores, classification_scores
from elmo_cli.runs import LoadedClassifier, load_classifier

if TYPE_CHECKING:
    import pandas as pd


class TextClassifier(Model):
    """A text classifier on the layers of a language model.

    >>> from elmo_cli import TextClassifier
    >>> TextClassifier.load("runs/classify-frozen").classes
    ['Business', 'Sports']

    Attributes:
        classes: Names of the classes, in the order of the probabilities.
    """

    def __init__(self, loaded: LoadedClassifier, device: str = "auto", folder: RunFolder | None = None) -> None:
        super().__init__(device, folder)
        self.loaded, self.embedder = loaded, loaded.embedder
        self.classes = list(loaded.classes)

    @classmethod
    def _of(cls, folder: RunFolder, device: str) -> Self:
        return cls(load_classifier(folder.path), device, folder)

    @classmethod
    def load(cls, path: str | PathLike[str], device: str = "auto") -> Self:
        """Load a run of `elmo classify`.

        Raises:
            RunError: It is not a run of this kind.
            WeightsError: Its weights do not fit its settings.
        """
        return cls._of(RunFolder(Path(path)), device)

    @classmethod
    def fit(
        cls,
        texts: Iterable[str],
        labels: Iterable[object],
        *,
        lm: Elmo | str | PathLike[str],
        lambdas: str | None = None,
        preset: Preset | None = None,
        out: str | PathLike[str] | None = None,
        overwrite: bool = False,
        device: str = "auto",
        on_event: OnEvent = ignore,
        **settings: Any,
    ) -> Self:
        """Train a classifier on labelled texts, as `elmo classify` does. Ctrl-C ends it with the best epoch so far.

        >>> from elmo_cli import TextClassifier
        >>> texts, labels = ["oil prices rose", "the match ended"] * 10, ["Business", "Sports"] * 10
        >>> model = TextClassifier.fit(texts, labels, lm="runs/lm", lambdas="frozen", preset="tiny", seed=3)
        >>> model.predict(["the match"])
        ['Sports']

        Args:
            texts: The training texts.
            labels: The class of each, a string or a whole number.
            lm: A language model, or its run.
            lambdas: How the layers become one vector a token: `trainable`, `frozen`, `function`, or `layer:N`.
            preset: Where the settings start from; None: `small`.
            out: Where the run is written; None: in a temporary folder, as long as the model lives.
            overwrite: Replace a run that is there.
            device: `auto`, `cpu`, `cuda` or `mps`.
            on_event: Called with each event of `elmo_cli.events`, such as `Step` and `EpochDone`.
            **settings: `seed`, whole sections as dictionaries, and the settings of `classify` one by one, such as
                `epochs` or `tune`. No `elmo.yaml` is read.

        Raises:
            TypeError: What is given for a text or a label is none.
            ValueError: There are more texts than labels, or fewer.
            ConfigError: A setting is unknown or out of its bounds.
            DataError: There are too few texts, or one class only.
        """
        folder = RunFolder.temporary("classifier") if out is None else RunFolder(Path(out))
        given = {"preset": preset, **settings, "lambdas": lambdas}
        source = lm.run_folder().path if isinstance(lm, Elmo) else Path(lm)
        fit_texts(*(texts, labels, source, folder.path, given), overwrite=overwrite, device=device, on_event=on_event)
        return cls._of(folder, device)

    @property
    def lambdas(self) -> list[float] | None:
        """Weights of the layers in force; None where the combiner has none."""
        return self.loaded.classifier.combiner.lambdas()

    def predict(self, texts: Iterable[str]) -> list[str]:
        """The most probable class of each text."""
        return [self.classes[number] for number in self.predict_proba(texts).argmax(axis=1)]

    def predict_proba(self, texts: Iterable[str]) -> NDArray[np.float32]:
        """(N, classes) probabilities; texts are cleaned and cut as the training texts were.

        >>> from elmo_cli import TextClassifier
        >>> TextClassifier.load("runs/classify-frozen").predict_proba(["Oil prices rose", ""]).shape
        (2, 2)

        Raises:
            TypeError: What is given for a text is none.
        """
        shares = [one.probabilities for one in predict_stream(self.loaded, texts_of(texts), device=self.device)]
        return np.array(shares, dtype=np.float32).reshape(-1, len(self.classes))

    def predict_frame(self, texts: Iterable[str] | pd.Series[str]) -> pd.DataFrame:
        """Label and probabilities of each text, in columns named as those of `elmo predict`.

        >>> from elmo_cli import TextClassifier
        >>> TextClassifier.load("runs/classify-frozen").predict_frame(["Oil prices rose"]).columns.tolist()
        ['label', 'p(Business)', 'p(Sports)']

        Args:
            texts: Strings; a column of another frame gives the result its index, so that the two can be joined.

        Returns:
            A row for each text: `label`, and `p(CLASS)` for each class.
        """
        import pandas as pd

        shares = self.predict_proba(texts)
        frame = pd.DataFrame(shares, columns=[f"p({name})" for name in self.classes])
        frame.insert(0, "label", [self.classes[number] for number in shares.argmax(axis=1)])
        return frame.set_index(texts.index) if isinstance(texts, pd.Series) else frame

    def evaluate(self, texts: Iterable[str], labels: Iterable[object]) -> ClassificationScores:
        """All scores on labelled texts, as `elmo evaluate` gives them.

        >>> from elmo_cli import TextClassifier
        >>> model = TextClassifier.load("runs/classify-frozen")
        >>> scores = model.evaluate(["oil prices rose", "the match ended"], ["Business", "Sports"])
        >>> scores.accuracy, scores.examples
        (1.0, 2)

        Raises:
            ValueError: There are more texts than labels, or fewer, or none; or a label is no class of the model.
        """
        numbers = {name: number for number, name in enumerate(self.classes)}
        names = list(labels_of(labels))
        for place, name in enumerate(names):
            if name not in numbers:
                raise ValueError(f"labels[{place}] is {name!r}; the model knows {', '.join(map(repr, self.classes))}")
        guesses = self.predict_proba(texts).argmax(axis=1)
        return classification_scores([numbers[name] for name in names], guesses, self.classes)

    def _facts(self) -> dict[str, object]:
        return {"classes": self.classes, "lambdas": repr(self.loaded.settings.lambdas)}
