"""A bidirectional language model in Python: train it on texts or load it; then `embed`, `similar`, `score`, `save`."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from elmo_cli.api.folders import RunFolder
from elmo_cli.api.model import Model
from elmo_cli.api.texts import Text, texts_of, texts_or_tokens_of
from elmo_cli.api.train import OnEvent, ignore, pretrain_texts
from elmo_cli.config import Precision
from elmo_cli.config.choices import Preset
from elmo_cli.embedder import Embedder
from elmo_cli.inference.arrays import embed_arrays
from elmo_cli.inference.assembly import Layers
from elmo_cli.inference.similar import similar_texts
from elmo_cli.inference.token_scores import SENTENCE_COLUMNS, TOKEN_COLUMNS, score_rows
from elmo_cli.metrics.perplexity import Perplexity, perplexity
from elmo_cli.runs import load_lm
from elmo_cli.text.encoded import EncodedCorpus, encode_tokens
from elmo_cli.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    import pandas as pd

Pool = Literal["mean", "max"]


class Elmo(Model):
    """A bidirectional language model: text in, activations of every layer out.

    >>> from elmo_cli import Elmo
    >>> elmo = Elmo.load("runs/lm")
    >>> elmo.embed(["Oil prices rose"])[0].shape
    (3, 3, 64)

    Legend: N texts; L layers of a biLM, the token layer included; T tokens of a text; W width of an activation.
    """

    def __init__(self, embedder: Embedder, device: str = "auto", folder: RunFolder | None = None) -> None:
        super().__init__(device, folder)
        self.embedder = embedder
        self._tokenize = Tokenizer(embedder.tokenizer)

    @classmethod
    def _of(cls, folder: RunFolder, device: str) -> Self:
        return cls(load_lm(folder.path), device, folder)

    @classmethod
    def load(cls, path: str | PathLike[str], device: str = "auto") -> Self:
        """Load a run of `elmo pretrain` or `elmo import`.

        Raises:
            RunError: It is not a run of this kind.
            WeightsError: Its weights do not fit its settings.
        """
        return cls._of(RunFolder(Path(path)), device)

    @classmethod
    def pretrain(
        cls,
        texts: Iterable[str],
        *,
        preset: Preset | None = None,
        valid: Iterable[str] | None = None,
        out: str | PathLike[str] | None = None,
        overwrite: bool = False,
        device: str = "auto",
        on_event: OnEvent = ignore,
        **settings: Any,
    ) -> Self:
        """Train a language model on texts, as `elmo pretrain` does on files. Ctrl-C ends it with the best so far.

        >>> from elmo_cli import Elmo
        >>> texts = ["the sky is up", "the sea is down"] * 20
        >>> elmo = Elmo.pretrain(texts, preset="tiny", epochs=1, seed=3, model={"hidden_size": 8})
        >>> elmo
        Elmo(name='lm', layers=3, width=16, vocabulary=9, device='cpu')

        Args:
            texts: The corpus, a sentence or a document each; read once.
            preset: Where the settings start from; None: `small`.
            valid: Texts for validation; None: the last 2 % of the corpus.
            out: Where the run is written; None: in a temporary folder, as long as the model lives.
            overwrite: Replace a run that is there.
            device: `auto`, `cpu`, `cuda` or `mps`.
            on_event: Called with each event of `elmo_cli.events`, such as `Step` and `Validation`.
            **settings: `seed`, whole sections as dictionaries, and the settings of `pretrain` one by one. No
                `elmo.yaml` is read.

        Raises:
            TypeError: What is given for a text is none.
            ConfigError: A setting is unknown or out of its bounds.
            DataError: There is too little text.
        """
        folder = RunFolder.temporary("lm") if out is None else RunFolder(Path(out))
        given = {"preset": preset, **settings}
        pretrain_texts(texts, folder.path, given, valid=valid, overwrite=overwrite, device=device, on_event=on_event)
        return cls._of(folder, device)

    def tokens(self, text: str) -> list[str]:
        """The tokens that `embed` gives a vector each."""
        return self._tokenize(text)

    def embed(
        self,
        texts: Iterable[Text],
        *,
        layers: Layers = "all",
        pool: Pool | None = None,
        precision: Precision = "float32",
        batch_tokens: int | None = None,
        on_event: OnEvent = ignore,
    ) -> list[NDArray[np.float32]] | NDArray[np.float32]:
        """Activations of texts, as `elmo embed` writes them.

        >>> from elmo_cli import Elmo
        >>> Elmo.load("runs/lm").embed(["Oil prices rose", "a draw"], layers="top", pool="mean").shape
        (2, 64)

        Args:
            texts: Strings, or lists of tokens.
            layers: `all`, `top`, `average`, or the number of one; layer 0 is the token vector.
            pool: `mean` or `max` over the tokens; an empty text pools to zeros.
            precision: Of the LSTM's matrix products.
            batch_tokens: Cells of a batch; None: 4096. Longer texts are run in windows, with the same vectors.
            on_event: Told the texts that are done, as `Progress`.

        Returns:
            With `pool`, one array (N, L, W), or (N, W) of a single layer. Without, an array (L, T, W) or (T, W)
            for each text, in their order.

        Raises:
            TypeError: What is given for a text is none.
            ConfigError: There is no such layer, or the budget is too small for any text.
        """
        found = embed_arrays(
            self.embedder,
            self._tokenized(texts),
            layers=layers,
            pool=pool or "none",
            precision=precision,
            batch_tokens=batch_tokens,
            device=self.device,
            tell=on_event,
        )
        if pool is None:
            return found
        shape = (self.embedder.layer_count, self.embedder.width)[0 if layers == "all" else 1 :]
        return np.array(found, dtype=np.float32).reshape(-1, *shape)

    def similar(
        self,
        text: str,
        token: str | None = None,
        *,
        corpus: Iterable[str],
        layer: str | int = "top",
        top: int = 10,
        same_word: bool = False,
        occurrence: int = 1,
    ) -> pd.DataFrame:
        """The tokens of a corpus that are nearest to a token in its context, as `elmo similar` finds them.

        >>> from elmo_cli import Elmo
        >>> found = Elmo.load("runs/lm").similar("oil prices rose", "oil", corpus=["oil prices fell", "a draw"])
        >>> found.columns.tolist()
        ['similarity', 'token', 'position', 'text', 'tokens']

        Args:
            text: The token in its context.
            token: Which of its tokens; None: the only one.
            corpus: Texts to search.
            layer: `top`, the number of a layer, or `mix`, the mean of all.
            top: Texts at most.
            same_word: Only the same word, in whatever case.
            occurrence: Which, if the token stands there repeatedly, from 1.

        Returns:
            The best token of each text, the most similar first: cosine, token, its place, the number of the text in
            the corpus, from 0, and that text's tokens.

        Raises:
            ConfigError: There is no such token or layer.
        """
        found = similar_texts(
            self.embedder,
            text,
            texts_of(corpus),
            token=token,
            occurrence=occurrence,
            layer=str(layer),
            top=top,
            same_word=same_word,
            device=self.device,
        )
        columns = ["similarity", "token", "position", "text", "tokens"]
        hits = [(hit.similarity, hit.token, hit.position, hit.line - 1, list(hit.tokens)) for hit in found.hits]
        return _frame(hits, columns)

    def score(self, texts: Iterable[Text], *, per_token: bool = False) -> pd.DataFrame:
        """What each text costs to predict, or each token: surprise in nats, in both directions.

        >>> from elmo_cli import Elmo
        >>> Elmo.load("runs/lm").score(["Oil prices rose"]).columns.tolist()
        ['sentence', 'tokens', 'unknown', 'nll_forward', 'nll_backward', 'perplexity', 'text']

        Args:
            texts: Strings, or lists of tokens.
            per_token: A row for each token instead, the marks `<S>` and `</S>` of each text included.

        Returns:
            The columns of `elmo evaluate --scores`; sentences are counted from 1. A text of T tokens has T + 1 steps.

        Raises:
            WeightsError: The model came without a softmax or a vocabulary.
        """
        rows, _ = score_rows(self.embedder, self._encode(texts), 1, per_token=per_token, device=self.device)
        return _frame(rows, TOKEN_COLUMNS if per_token else SENTENCE_COLUMNS)

    def perplexity(self, texts: Iterable[Text]) -> Perplexity:
        """Exact perplexity of texts, forward, backward and their geometric mean.

        >>> from elmo_cli import Elmo
        >>> Elmo.load("runs/lm").perplexity(["Oil prices rose"]).steps
        4

        Raises:
            WeightsError: The model came without a softmax or a vocabulary.
        """
        return perplexity(self.embedder, self._encode(texts), device=self.device)

    def _encode(self, texts: Iterable[Text]) -> EncodedCorpus:
        return encode_tokens(self._tokenized(texts))

    def _tokenized(self, texts: Iterable[Text]) -> list[list[str]]:
        given = texts_or_tokens_of(texts)
        return [self._tokenize(text) if isinstance(text, str) else list(text) for text in given]


def _frame(rows: Iterable[tuple[Any, ...]], columns: Iterable[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(list(rows), columns=list(columns))
