"""The text classifier: embedder, combiner, masked pooling, head.

A comparison changes the embedder and nothing else. Legend: K layers of the embedder, B batch, T tokens, W width.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Self

import torch
from torch import Tensor, nn

from elmo_cli.config import ClassifySettings, Pooling
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.combiner import make_combiner
from elmo_cli.model.encoder import TokenIds
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

    Attributes:
        embedder: As given.
        combiner: From layers to token vectors.
        pooling: From token vectors to one vector.
        head: From one vector to logits.
    """

    def __init__(self, embedder: BiLm | StaticTable, settings: ClassifySettings, classes: int, seed: int) -> None:
        super().__init__()
        self.embedder = embedder
        self.tune = settings.tune
        if settings.tune:
            embedder.dropout = settings.tune_dropout
            embedder.requires_grad_(True)  # a table that pretraining kept as it was trains too
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.combiner = make_combiner(settings, embedder.layer_count, embedder.width, seed)
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
            layers, _ = self.embedder.layers(tokens, lengths)
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
            Groups with `params`, `lr`, `weight_decay` and `name`: head, lambdas, and with `tune` embedder; names end
            in `.bias` where nothing is decayed.
        """
        weighting = self.combiner.rate_parameters()
        apart = {id(parameter) for parameter in weighting}
        own = [
            (name, parameter)
            for name, parameter in self.named_parameters()
            if not name.startswith("embedder.") and id(parameter) not in apart
        ]
        groups = _groups("head", own, settings.learning_rate, settings.weight_decay)
        if weighting:
            groups.append({"params": weighting, "lr": settings.lambda_rate, "weight_decay": 0.0, "name": "lambdas"})
        if self.tune:
            # no text is scored here, so a softmax would get no gradient
            inner = [item for item in self.embedder.named_parameters() if not item[0].startswith("softmax.")]
            groups += _groups("embedder", inner, settings.tune_rate, settings.weight_decay)
        return groups


def _make_head(size: int, settings: ClassifySettings, classes: int) -> nn.Sequential:
    """[Batch norm], dropout, [hidden layer], logits."""
    modules: list[nn.Module] = [_BatchNorm(size)] if settings.batch_norm else []
    modules.append(nn.Dropout(settings.dropout))
    if settings.hidden_size:
        modules += [nn.Linear(size, settings.hidden_size), nn.ReLU(), nn.Dropout(settings.dropout)]
    modules.append(nn.Linear(settings.hidden_size or size, classes))
    return nn.Sequential(*modules)


def _groups(
    name: str, parameters: Iterable[tuple[str, nn.Parameter]], rate: float, decay: float
) -> list[dict[str, Any]]:
    trained = [(key, parameter) for key, parameter in parameters if parameter.requires_grad]
    # besides biases, vectors are the scales of a batch norm
    plain = [parameter for key, parameter in trained if key.endswith("bias") or parameter.ndim < 2]
    kept = {id(parameter) for parameter in plain}
    decayed = [parameter for _, parameter in trained if id(parameter) not in kept]
    groups = [
        {"params": decayed, "lr": rate, "weight_decay": decay, "name": name},
        {"params": plain, "lr": rate, "weight_decay": 0.0, "name": f"{name}.bias"},
    ]
    return [group for group in groups if group["params"]]
