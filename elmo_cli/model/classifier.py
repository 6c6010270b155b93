"""The text classifier: embedder, combiner, masked pooling, head.

A comparison changes the embedder and nothing else. Legend: K layers of the embedder, B batch, T tokens, W width.
"""

from __future__ import annotations

import math
from itertools import chain
from typing import Any, Self

import torch
from torch import Tensor, nn

from elmo_cli.config import ClassifySettings, Pooling, Precision
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.combiner import make_combiner
from elmo_cli.model.encoder import TokenIds
from elmo_cli.model.mode import EXACT, Mode
from elmo_cli.model.parameters import decay_groups
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


class Classifier(nn.Module):
    """logits = head(pool(combine(layers of the embedder))).

    Without `tune` the embedder gives no gradient and stays in eval mode, so that its layers can be cached; with it,
    the embedder gets the dropout of `tune_dropout`. Everything but the embedder is initialised from the seed alone.

    Args:
        embedder: A biLM or a static table.
        settings: Combiner, pooling and head.
        classes: How many.
        seed: Of the initial weights.
        precision: Of the LSTM's matrix products while it is tuned.
        combiner_precision: Of a learned function's while it trains.

    Attributes:
        embedder: As given.
        tuning: How the embedder is run while it is tuned; otherwise it is run exactly.
        combiner: From layers to token vectors.
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
        super().__init__()
        self.embedder = embedder
        self.tune = settings.tune
        self.tuning = Mode(precision, dropout=settings.tune_dropout, word_dropout=settings.word_dropout)
        if settings.tune:
            embedder.requires_grad_(True)  # a table that pretraining kept as it was trains too
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.combiner = make_combiner(settings, embedder.layer_count, embedder.width, seed, combiner_precision)
            self.pooling = MaskedPooling(settings.pooling, embedder.width)
            self.head = _make_head(self.pooling.output_size, settings, classes)

    def train(self, mode: bool = True) -> Self:
        """Training mode for all that trains."""
        super().train(mode)
        if not self.tune:
            self.embedder.eval()
        return self

    def forward(self, tokens: TokenIds, lengths: Tensor) -> Tensor:
        """Classify texts.

        Args:
            tokens: Ids of the embedder: (B, T + 2) framed for a biLM, (B, T) for a static table.
            lengths: (B,) tokens of each text, without the frame; may be 0.

        Returns:
            (B, classes) logits.
        """
        with torch.set_grad_enabled(self.tune and torch.is_grad_enabled()):
            layers, _ = self.embedder.layers(tokens, lengths, mode=self.tuning if self.embedder.training else EXACT)
        return self.classify_layers(layers, lengths)

    def classify_layers(self, layers: Tensor, lengths: Tensor) -> Tensor:
        """Classify texts whose layer activations are known.

        Args:
            layers: (K, B, T, W), of any precision.
            lengths: (B,).

        Returns:
            (B, classes) logits.
        """
        layers = layers.to(next(self.head.parameters()).dtype)
        mask = torch.arange(layers.shape[2], device=lengths.device) < lengths[:, None]
        logits: Tensor = self.head(self.pooling(self.combiner(layers, mask), mask))
        return logits

    def parameter_groups(self, settings: ClassifySettings) -> list[dict[str, Any]]:
        """Parameters by learning rate, as an optimiser takes them; biases and λ are not decayed.

        Args:
            settings: The rates and the weight decay.

        Returns:
            Groups with `params`, `lr`, `weight_decay` and `name`: head, lambdas, and with `tune` embedder. With
            `layer_rate_decay` that is one from the top layer down to the token encoder, `embedder.2` to `embedder.0`,
            whose rate falls by it from one to the next (Howard and Ruder 2018, section 3.2). Names end in `.bias` where
            nothing is decayed.
        """
        weighting = self.combiner.rate_parameters()
        apart = {id(parameter) for parameter in weighting}
        own = [
            (name, parameter)
            for name, parameter in self.named_parameters()
            if not name.startswith("embedder.") and id(parameter) not in apart
        ]
        groups = decay_groups(own, settings.learning_rate, settings.weight_decay, "head")
        if weighting:
            groups.append({"params": weighting, "lr": settings.lambda_rate, "weight_decay": 0.0, "name": "lambdas"})
        if self.tune:
            rate, layers = settings.tune_rate, self.embedder_layers()
            if settings.layer_rate_decay == 1.0:  # fewer groups are faster
                return groups + decay_groups(chain(*layers), rate, settings.weight_decay, "embedder")
            for depth, inner in reversed(list(enumerate(layers))):
                groups += decay_groups(inner, rate, settings.weight_decay, f"embedder.{depth}")
                rate *= settings.layer_rate_decay
        return groups

    def embedder_layers(self) -> list[list[tuple[str, nn.Parameter]]]:
        """Parameters of each layer of the embedder, the token encoder first."""
        layers: list[list[tuple[str, nn.Parameter]]] = [[] for _ in range(self.embedder.layer_count)]
        for name, parameter in self.embedder.named_parameters():
            part, _, rest = name.partition(".")
            # no text is scored here, so a softmax would get no gradient
            if part != "softmax":
                layers[int(rest.partition(".")[0]) + 1 if part == "lstm_layers" else 0].append((name, parameter))
        return layers

    def unfreeze(self, count: int) -> None:
        """Train so many layers of the embedder, from the top, and keep those below as they are."""
        layers = self.embedder_layers()
        for depth, layer in enumerate(layers):
            for _, parameter in layer:
                parameter.requires_grad_(depth >= len(layers) - count)


def _make_head(size: int, settings: ClassifySettings, classes: int) -> nn.Sequential:
    """[Batch norm], dropout, [hidden layer], logits."""
    modules: list[nn.Module] = [_BatchNorm(size)] if settings.batch_norm else []
    modules.append(nn.Dropout(settings.dropout))
    if settings.hidden_size:
        modules += [nn.Linear(size, settings.hidden_size), nn.ReLU(), nn.Dropout(settings.dropout)]
    modules.append(nn.Linear(settings.hidden_size or size, classes))
    return nn.Sequential(*modules)
