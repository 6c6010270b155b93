"""A trained run in Python: load it, then `predict`, `embed` or `perplexity`.

>>> from elmo_cli import TextClassifier
>>> model = TextClassifier.load("runs/classify-frozen")
>>> model.predict(["Oil prices rose on Monday"])
['Business']

`load` takes a run of any kind, for who does not know which it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from elmo_cli.data.schemes import Span, read_spans
from elmo_cli.devices import pick_device
from elmo_cli.embedder import Embedder
from elmo_cli.errors import RunError
from elmo_cli.inference.batching import DEFAULT_BATCH_TOKENS
from elmo_cli.inference.embed import embed_sentences
from elmo_cli.inference.predict import predict_stream
from elmo_cli.inference.tag_stream import Tagged, tag_stream
from elmo_cli.metrics.perplexity import Perplexity, perplexity
from elmo_cli.report.cells import select, value_of
from elmo_cli.report.records import ComparisonResults
from elmo_cli.report.result_cells import ROW_COLUMNS, row_cells
from elmo_cli.runs import LoadedClassifier, LoadedTagger, Run, load_classifier, load_lm, load_tagger
from elmo_cli.text.batches import length_batches
from elmo_cli.text.encoded import EncodedCorpus, encode_tokens
from elmo_cli.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    import pandas as pd

Text = str | Sequence[str]


def load(path: str | PathLike[str], device: str = "auto") -> Elmo | TextClassifier | TokenTagger | Comparison:
    """Load a run of any of these kinds; the classes' own `load` takes one kind, and has its type.

    From `elmo pretrain` or `elmo import` it is an `Elmo`, from `elmo classify` a `TextClassifier`, from `elmo tag` a
    `TokenTagger`, from `elmo compare` a `Comparison`, which holds results and no model.

    Nothing in a run can run code: weights are safetensors, settings are YAML and JSON.

    Args:
        path: The run directory.
        device: `auto`, `cpu`, `cuda` or `mps`.

    Raises:
        RunError: It is not a run that can be loaded.
        WeightsError: Its weights do not fit its settings.
    """
    kind = Run.open(Path(path)).kind
    if kind == "lm":
        return Elmo.load(path, device)
    if kind == "classifier":
        return TextClassifier.load(path, device)
    if kind == "tagger":
        return TokenTagger.load(path, device)
    if kind == "comparison":
        return Comparison.load(path)
    raise RunError(
        f"{path} holds no model",
        where=Path(path),
        expected="a run of elmo pretrain, elmo classify, elmo tag or elmo compare",
        remedy="write one with `elmo pretrain`, `elmo classify` or `elmo tag`, or take one over with `elmo import`",
    )


class Elmo:
    """A bidirectional language model: text in, activations of every layer out.

    Legend: L layers of a biLM, the token layer included; T tokens of a text; W width of an activation.
    """

    def __init__(self, embedder: Embedder, device: str = "auto") -> None:
        self.embedder = embedder
        self.device = pick_device(device)
        self._tokenize = Tokenizer(embedder.tokenizer)

    @classmethod
    def load(cls, path: str | PathLike[str], device: str = "auto") -> Self:
        """Load a run of `elmo pretrain` or `elmo import`.

        Raises:
            RunError: It is not a run of this kind.
            WeightsError: Its weights do not fit its settings.
        """
        return cls(load_lm(Path(path)), device)

    def tokens(self, text: str) -> list[str]:
        """The tokens that `embed` gives a vector each."""
        return self._tokenize(text)

    def embed(self, texts: Sequence[Text]) -> list[NDArray[np.float32]]:
        """Activations of texts.

        Args:
            texts: Strings, or lists of tokens.

        Returns:
            One (L, T, W) array for each text, in their order; layer 0 is the token vector.
        """
        corpus = self._encode(texts)
        batches = length_batches(corpus.lengths + 2, DEFAULT_BATCH_TOKENS)
        return embed_sentences(self.embedder, corpus, batches, self.device)

    def perplexity(self, texts: Sequence[Text]) -> Perplexity:
        """Exact perplexity of texts, forward, backward and their geometric mean.

        Raises:
            WeightsError: The model came without a softmax or a vocabulary.
        """
        return perplexity(self.embedder, self._encode(texts), device=self.device)

    def _encode(self, texts: Sequence[Text]) -> EncodedCorpus:
        _refuse_one_string(texts)
        return encode_tokens(self._tokenize(text) if isinstance(text, str) else text for text in texts)


class TextClassifier:
    """A text classifier on the layers of a language model.

    Attributes:
        classes: Names of the classes, in the order of the probabilities.
    """

    def __init__(self, loaded: LoadedClassifier, device: str = "auto") -> None:
        self.loaded = loaded
        self.device = pick_device(device)
        self.classes = list(loaded.classes)

    @classmethod
    def load(cls, path: str | PathLike[str], device: str = "auto") -> Self:
        """Load a run of `elmo classify`.

        Raises:
            RunError: It is not a run of this kind.
            WeightsError: Its weights do not fit its settings.
        """
        return cls(load_classifier(Path(path)), device)

    @property
    def lambdas(self) -> list[float] | None:
        """Weights of the layers in force; None where the combiner has none."""
        return self.loaded.classifier.combiner.lambdas()

    def predict(self, texts: Sequence[str]) -> list[str]:
        """The most probable class of each text."""
        return [self.classes[number] for number in self.predict_proba(texts).argmax(axis=1)]

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(texts, classes) probabilities; texts are cleaned and cut as the training texts were."""
        _refuse_one_string(texts)
        shares = [one.probabilities for one in predict_stream(self.loaded, texts, device=self.device)]
        return np.array(shares, dtype=np.float32).reshape(-1, len(self.classes))

    def predict_frame(self, texts: Sequence[str] | pd.Series[str]) -> pd.DataFrame:
        """Label and probabilities of each text, in columns named as those of `elmo predict`.

        Args:
            texts: Strings; a column of another frame gives the result its index, so that the two can be joined.

        Returns:
            A row for each text: `label`, and `p(CLASS)` for each class.
        """
        import pandas as pd

        shares = self.predict_proba(list(texts) if isinstance(texts, pd.Series) else texts)
        frame = pd.DataFrame(shares, columns=[f"p({name})" for name in self.classes])
        frame.insert(0, "label", [self.classes[number] for number in shares.argmax(axis=1)])
        return frame.set_index(texts.index) if isinstance(texts, pd.Series) else frame


class TokenTagger:
    """A tagger, which labels every token, on the layers of a language model.

    Attributes:
        tags: Types of spans, or the tags themselves where they are plain.
        scheme: How its tags mark spans: `iob1`, `iob2`, `bioes` or `bilou`, as in its training file; or `plain`.
    """

    def __init__(self, loaded: LoadedTagger, device: str = "auto") -> None:
        self.loaded = loaded
        self.device = pick_device(device)
        self.tags, self.scheme = list(loaded.tag_set.kinds), loaded.tag_set.scheme

    @classmethod
    def load(cls, path: str | PathLike[str], device: str = "auto") -> Self:
        """Load a run of `elmo tag`.

        Raises:
            RunError: It is not a run of this kind.
            WeightsError: Its weights do not fit its settings.
        """
        return cls(load_tagger(Path(path)), device)

    @property
    def lambdas(self) -> list[float] | None:
        """Weights of the layers in force; None where the combiner has none."""
        return self.loaded.tagger.combiner.lambdas()

    def predict(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """The tags of sentences.

        Args:
            sentences: Each a list of tokens, as they stand.

        Returns:
            A tag for each token, in the scheme of the training file.
        """
        return [list(one.tags) for one in self._tagged(sentences)]

    def spans(self, sentences: Sequence[Sequence[str]]) -> list[list[Span]]:
        """The spans of sentences, `(start, stop, type)` in tokens; none where tags are plain."""
        if self.scheme == "plain":
            return [[] for _ in sentences]
        return [read_spans(one.tags, self.scheme) for one in self._tagged(sentences)]

    def _tagged(self, sentences: Sequence[Sequence[str]]) -> Iterator[Tagged]:
        for one in (sentences, *sentences[:1]):
            if isinstance(one, str):
                raise TypeError(f"sentences are lists of tokens; give such as [['The', 'match']], not {one[:20]!r}")
        return tag_stream(self.loaded, sentences, device=self.device)


class Comparison:
    """The results of a comparison.

    Attributes:
        results: `results.json` of the run.
    """

    def __init__(self, results: ComparisonResults) -> None:
        self.results = results

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Load a comparison.

        Raises:
            RunError: It is none, or not finished.
        """
        results: Any = Run.open(Path(path), "comparison").results()
        return cls(results)

    @property
    def conclusion(self) -> str:
        """What the comparison allows to say, in plain sentences."""
        return self.results["conclusion"]

    def to_frame(self) -> pd.DataFrame:
        """The table as `comparison.csv` has it, a line a row: shares from 0 to 1, what is absent as NaN or None."""
        import pandas as pd

        table = select(row_cells(self.results), ROW_COLUMNS)
        values = [[value_of(cell) for cell in row] for row in table.rows]
        return pd.DataFrame(values, columns=list(table.columns))


def _refuse_one_string(texts: Sequence[Text]) -> None:
    """A string is a sequence of strings too, and would be taken for as many texts as it has letters."""
    if isinstance(texts, str):
        raise TypeError(f"texts is one string; give a list of texts, such as [{texts[:20]!r}]")
