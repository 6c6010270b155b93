"""The text classifier: embedder, combiner, masked pooling, head.

Legend: K layers of the embedder, B batch, T tokens, W width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from elmo_cli.config import ClassifySettings, Pooling, Precision
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.combiner import make_combiner
from elmo_cli.model.layer_model import LayerModel
from elmo_cli.model.static import StaticTable


class MaskedPooling(nn.Module):
    """max_t x_t, mean_t x_t, both, or Σ_t softmax_t(v · x_t) x_t, over real tokens.

    Args:
        kind: Which.
        width: W.

    Attributes:
        output_size: W, or 2W for `max+mean`.
    """

    def __init__(self, kind: Pooling, width: int) -> None:
        super().__init__()
        self.kind = kind
        self.output_size = 2 * width if kind == "max+mean" else width
        self.attention = nn.Linear(width, 1, bias=False) if kind == "attention" else None

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """Pool.

        Args:
            vectors: (B, T, W), zero where the mask is false.
            mask: (B, T) bool, true at real tokens.

        Returns:
            (B, output_size); zero for a text without tokens.
        """
        if vectors.shape[1] == 0:
            return vectors.new_zeros(len(vectors), self.output_size)
        outside = ~mask[:, :, None]
        if self.attention is not None:
            # the smallest number, not -inf: a text without tokens then averages zeros
            scores = self.attention(vectors).masked_fill(outside, torch.finfo(vectors.dtype).min)
            return (torch.softmax(scores, dim=1) * vectors).sum(dim=1)
        pooled = []
        if self.kind != "mean":
            largest = vectors.masked_fill(outside, -math.inf).max(dim=1).values
            pooled.append(largest.masked_fill(~mask.any(dim=1, keepdim=True), 0.0))
        if self.kind != "max":
            pooled.append(vectors.sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1))
        return torch.cat(pooled, dim=1)


class _BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that meets a batch of one, which has no variance, with its running statistics."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, W) to (B, W)."""
        if self.training and len(input) < 2:
            return nn.functional.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias)
        return super().forward(input)


class Classifier(LayerModel):
    """logits = head(pool(combine(layers of the embedder))).

    Args:
        embedder: A biLM or a static table.
        settings: Combiner, pooling and head.
        classes: How many.
        seed: Of the initial weights.
        precision: Of the LSTM's matrix products while it is tuned.
        combiner_precision: Of a learned function's while it trains.

    Attributes:
        pooling: From token vectors to one vector.
        head: From one vector to logits.
    """

    def __init__(
        self,
        embedder: BiLm | StaticTable,
        settings: ClassifySettings,
        classes: int,
        seed: int,
        *,
        precision: Precision = "float32",
        combiner_precision: Precision = "float32",
    ) -> None:
        super().__init__(embedder, settings, precision)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.combiner = make_combiner(settings, embedder.layer_count, embedder.width, seed, combiner_precision)
            self.pooling = MaskedPooling(settings.pooling, embedder.width)
            self.head = _make_head(self.pooling.output_size, settings, classes)

    @property
    def reads_means(self) -> bool:
        """Where mix and pooling commute."""
        return self.pooling.kind == "mean" and self.combiner.linear

    def score_layers(self, layers: Tensor, lengths: Tensor) -> Tensor:
        """Layers (K, B, T, W) of texts of known lengths (B,) to (B, classes) logits."""
        vectors, mask = self.token_vectors(layers, lengths)
        logits: Tensor = self.head(self.pooling(vectors, mask))
        return logits

    def score_means(self, means: Tensor) -> Tensor:
        """Means (K, B, W) of normalised layers to (B, classes) logits."""
        logits: Tensor = self.head(self.combiner.mix(means))
        return logits


def _make_head(size: int, settings: ClassifySettings, classes: int) -> nn.Sequential:
    """[Batch norm], dropout, [hidden layer], logits."""
    modules: list[nn.Module] = [_BatchNorm(size)] if settings.batch_norm else []
    modules.append(nn.Dropout(settings.dropout))
    if settings.hidden_size:
        modules += [nn.Linear(size, settings.hidden_size), nn.ReLU(), nn.Dropout(settings.dropout)]
    modules.append(nn.Linear(settings.hidden_size or size, classes))
    return nn.Sequential(*modules)
