"""The tagger: embedder, combiner, an LSTM if asked for, and scores of every token's tags, under a CRF or not.

Legend: K layers of the embedder, B batch, T tokens, W width, D cells of the LSTM.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from elmo_cli.config import Precision, TagSettings
from elmo_cli.data.tag_set import TagSet
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.combiner import make_combiner
from elmo_cli.model.crf import Crf
from elmo_cli.model.directions import flip, take
from elmo_cli.model.kernel.dropout import dropout
from elmo_cli.model.kernel.layer import LstmWeights
from elmo_cli.model.kernel.lstm import lstm
from elmo_cli.model.layer_model import LayerModel
from elmo_cli.model.static import StaticTable


class TokenLstm(nn.Module):
    """One LSTM layer that reads a sentence from both sides, with the arithmetic of `elmo_cli.model.kernel.lstm`.

    Args:
        width: W of a token vector.
        cells: D of each direction.
    """

    def __init__(self, width: int, cells: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.empty(2, width, 4 * cells))
        self.recurrent = nn.Parameter(torch.empty(2, cells, 4 * cells))
        self.bias = nn.Parameter(torch.zeros(2, 4 * cells))
        for weights in (self.input, self.recurrent):
            nn.init.uniform_(weights, -1 / math.sqrt(cells), 1 / math.sqrt(cells))

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, W) to (B, T, 2D), of which what lies beyond a sentence means nothing."""
        turned = flip(lengths, vectors.shape[1])
        both = torch.stack([vectors, take(vectors, turned)])
        outputs, _ = lstm(both, LstmWeights(self.input, self.recurrent, self.bias, None), lengths=lengths)
        return torch.cat([outputs[0], take(outputs[1], turned)], dim=2)


class Tagger(LayerModel):
    """scores = head([LSTM](combine(layers of the embedder))), a vector of tag scores for each token.

    Args:
        embedder: A biLM or a static table.
        settings: Combiner, LSTM and dropout.
        tags: How many.
        seed: Of the initial weights.
        allowed: (tags + 1, tags + 1) transitions of a `Crf`; None: each token is tagged on its own.
        precision: Of the LSTM's matrix products while it is tuned.
        combiner_precision: Of a learned function's while it trains.

    Attributes:
        lstm: Between combiner and head, where there is one.
        head: From token vectors to scores of tags.
        crf: Over the scores, where there is one.
    """

    head: nn.Linear

    def __init__(
        self,
        embedder: BiLm | StaticTable,
        settings: TagSettings,
        tags: int,
        seed: int,
        allowed: Tensor | None = None,
        *,
        precision: Precision = "float32",
        combiner_precision: Precision = "float32",
    ) -> None:
        super().__init__(embedder, settings, precision)
        self.dropout = settings.dropout
        width = embedder.width
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.combiner = make_combiner(settings, embedder.layer_count, width, seed, combiner_precision)
            self.lstm = TokenLstm(width, settings.lstm_size) if settings.lstm_size else None
            self.head = nn.Linear(2 * settings.lstm_size or width, tags)
        self.crf = None if allowed is None else Crf(allowed)

    def score_layers(self, layers: Tensor, lengths: Tensor) -> Tensor:
        """Layers (K, B, T, W) of sentences of known lengths (B,) to (B, T, tags) scores."""
        vectors, _ = self.token_vectors(layers, lengths)
        vectors = self._drop(vectors)
        if self.lstm is not None:
            vectors = self._drop(self.lstm(vectors, lengths))
        scores: Tensor = self.head(vectors)
        return scores

    def nll(self, scores: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """Nats of the true tags (B, T) of each sentence, (B,), from (B, T, tags) scores."""
        if self.crf is not None:
            return self.crf.nll(scores, tags, lengths)
        beyond = torch.arange(tags.shape[1], device=tags.device) >= lengths[:, None]
        nats = functional.cross_entropy(scores.transpose(1, 2), tags.masked_fill(beyond, 0), reduction="none")
        return nats.masked_fill(beyond, 0.0).sum(1)

    def decode(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """The best tags (B, T) of (B, T, tags) scores: of each sentence as a whole with a CRF, else of each token."""
        return scores.argmax(2) if self.crf is None else self.crf.decode(scores, lengths)

    def _drop(self, vectors: Tensor) -> Tensor:
        return dropout(vectors, self.dropout) if self.dropout and self.training else vectors


def make_tagger(
    network: BiLm | StaticTable,
    settings: TagSettings,
    tag_set: TagSet,
    seed: int = 0,
    precision: Precision = "float32",
    combiner_precision: Precision = "float32",
) -> Tagger:
    """A tagger for these tags, with a CRF where the settings want one, or leave it to whether there are spans."""
    with_crf = settings.head == "crf" or (settings.head == "auto" and tag_set.marks_spans)
    allowed = torch.tensor(tag_set.allowed()) if with_crf else None
    return Tagger(
        network,
        settings,
        len(tag_set.names),
        seed,
        allowed,
        precision=precision,
        combiner_precision=combiner_precision,
    )
