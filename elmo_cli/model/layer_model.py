"""What a classifier and a tagger have in common: embedder, combiner, and what is trained of them at which rate.

A comparison changes the embedder and nothing else. Legend: K layers of the embedder, B batch, T tokens, W width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import chain
from typing import Any, Self

import torch
from torch import Tensor, nn

from elmo_cli.config import FinetuneSettings, Precision
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.combiner import Combiner
from elmo_cli.model.encoder import TokenIds
from elmo_cli.model.mode import EXACT, Mode
from elmo_cli.model.parameters import decay_groups
from elmo_cli.model.static import StaticTable


class LayerModel(nn.Module, ABC):
    """scores = head(combine(layers of the embedder)), where a subclass says what the head is.

    Without `tune` the embedder gives no gradient and stays in eval mode, so that its layers can be cached; with it,
    the embedder gets the dropout of `tune_dropout`. A subclass initialises everything else, from a seed alone.

    Args:
        embedder: A biLM or a static table.
        settings: How it is trained.
        precision: Of the LSTM's matrix products while it is tuned.

    Attributes:
        embedder: As given.
        tuning: How the embedder is run while it is tuned; otherwise it is run exactly.
        combiner: From layers to token vectors.
        head: From what a subclass makes of these to its scores.
    """

    combiner: Combiner
    head: nn.Module

    def __init__(self, embedder: BiLm | StaticTable, settings: FinetuneSettings, precision: Precision) -> None:
        super().__init__()
        self.embedder = embedder
        self.tune = settings.tune
        self.tuning = Mode(precision, dropout=settings.tune_dropout, word_dropout=settings.word_dropout)
        if settings.tune:
            embedder.requires_grad_(True)  # a table that pretraining kept as it was trains too

    @abstractmethod
    def score_layers(self, layers: Tensor, lengths: Tensor) -> Tensor:
        """Scores of texts whose layer activations are known.

        Args:
            layers: (K, B, T, W), of any precision.
            lengths: (B,).

        Returns:
            (B, ...) as the head has them.
        """

    @property
    def reads_means(self) -> bool:
        """Whether means over tokens of the normalised layers are all that it reads of a text."""
        return False

    def score_means(self, means: Tensor) -> Tensor:
        """Scores of texts of which means (K, B, W) are known, where these suffice."""
        raise TypeError(f"{type(self).__name__} reads every token")

    def train(self, mode: bool = True) -> Self:
        """Training mode for all that trains."""
        super().train(mode)
        if not self.tune:
            self.embedder.eval()
        return self

    def forward(self, tokens: TokenIds | Tensor, lengths: Tensor, mode: Mode = EXACT) -> Tensor:
        """Score texts.

        Args:
            tokens: Ids of the embedder: (B, T + 2) framed for a biLM, (B, T) for a static table; or the vectors that
                its `layers` takes in their place.
            lengths: (B,) tokens of each text, without the frame; may be 0.
            mode: How the embedder is run while it does not train.

        Returns:
            What `score_layers` does.
        """
        with torch.set_grad_enabled(self.tune and torch.is_grad_enabled()):
            layers, _ = self.embedder.layers(tokens, lengths, mode=self.tuning if self.embedder.training else mode)
        return self.score_layers(layers, lengths)

    def token_vectors(self, layers: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Layers (K, B, T, W) combined to (B, T, W), zero beyond a text, and (B, T) bool, true at its tokens."""
        layers = layers.to(next(self.head.parameters()).dtype)
        mask = torch.arange(layers.shape[2], device=lengths.device) < lengths[:, None]
        return self.combiner(layers, mask), mask

    def parameter_groups(self, settings: FinetuneSettings) -> list[dict[str, Any]]:
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
