"""What is computed for texts that came by HTTP; equal operations are computed in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from elmo_cli.api import Elmo, TextClassifier, load
from elmo_cli.api.language_model import Pool
from elmo_cli.errors import ConfigError
from elmo_cli.inference.assembly import Layers
from elmo_cli.inference.predict import Prediction, predict_stream
from elmo_cli.inference.similar import Similar, similar_texts
from elmo_cli.inference.token_scores import Row, score_rows
from elmo_cli.text.encoded import encode_tokens


@dataclass(frozen=True, eq=False)
class Served:
    """A run that is served.

    Attributes:
        name: Of its directory.
        elmo: Its language model.
        classifier: None where it is a language model alone.
        created: When the run was written, in seconds of the epoch.
    """

    name: str
    elmo: Elmo
    classifier: TextClassifier | None
    created: int


def load_served(paths: Sequence[Path], device: str = "auto") -> dict[str, Served]:
    """Load runs of language models and classifiers, by their names.

    Raises:
        ConfigError: Two have one name, or one is a run of another kind.
        RunError: One cannot be used.
    """
    found: dict[str, Served] = {}
    for path in paths:
        name, model = path.resolve().name, load(path, device)
        if name in found:
            raise ConfigError(f"two runs are named {name}", where=path, remedy="rename one of the folders")
        if not isinstance(model, Elmo | TextClassifier):
            raise ConfigError(
                f"{path} cannot be served",
                where=path,
                expected="a run of `elmo pretrain`, `classify` or `import`",
                remedy="leave it out; `elmo predict` tags sentences",
            )
        classifier = model if isinstance(model, TextClassifier) else None
        elmo = Elmo(model.embedder, device) if isinstance(model, TextClassifier) else model
        found[name] = Served(name, elmo, classifier, int((path / "run.yaml").stat().st_mtime))
    return found


class Operation(Protocol):
    """Something to compute for texts."""

    def __call__(self, texts: Sequence[Any], /) -> Sequence[Any]:
        """A result for each text, in their order."""


@dataclass(frozen=True)
class Embed:
    """Tokens of texts to activations, as `Elmo.embed` gives them."""

    served: Served
    layers: Layers
    pool: Pool | None

    def __call__(self, texts: Sequence[list[str]], /) -> Sequence[NDArray[np.float32]]:
        """An array for each text."""
        return list(self.served.elmo.embed(texts, layers=self.layers, pool=self.pool))


@dataclass(frozen=True)
class Nearest:
    """Texts to their tokens nearest to one in its context, as `Elmo.similar` finds them."""

    served: Served
    text: str
    token: str | None
    occurrence: int
    layer: str
    top: int
    same_word: bool

    def __call__(self, corpora: Sequence[list[str]], /) -> Sequence[Similar]:
        """What was found in each corpus."""
        elmo = self.served.elmo
        return [
            similar_texts(
                *(elmo.embedder, self.text, texts),
                token=self.token,
                occurrence=self.occurrence,
                layer=self.layer,
                top=self.top,
                same_word=self.same_word,
                device=elmo.device,
            )
            for texts in corpora
        ]


@dataclass(frozen=True)
class Predict:
    """Texts to labels and probabilities, as `elmo predict` gives them."""

    classifier: TextClassifier

    def __call__(self, texts: Sequence[str], /) -> Sequence[Prediction]:
        """A prediction for each text."""
        model = self.classifier
        return list(predict_stream(model.loaded, texts, max(1, len(texts)), model.device))


@dataclass(frozen=True)
class Score:
    """Tokens of texts to what each token costs to predict, as `elmo evaluate --per-token` gives it."""

    served: Served

    def __call__(self, texts: Sequence[list[str]], /) -> Sequence[list[Row]]:
        """The rows of each text's tokens, `<S>` and `</S>` included; see `TOKEN_COLUMNS`."""
        elmo = self.served.elmo
        rows, _ = score_rows(elmo.embedder, encode_tokens(texts), 0, per_token=True, device=elmo.device)
        found: list[list[Row]] = [[] for _ in texts]
        for row in rows:
            found[int(str(row[0]))].append(row)
        return found
