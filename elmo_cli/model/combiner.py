"""Combiners: from the L + 1 layers of an embedder to one vector for each token (Peters et al. 2018, equation 1).

A layer norm, if asked for, comes first: mean 0 and variance 1 over the width of each token in each layer, without
learned scale, since layers differ in scale by an order of magnitude.

Legend: K layers (L + 1), B batch, T tokens, W width (2P).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from elmo_cli.config import FinetuneSettings, Precision
from elmo_cli.errors import ConfigError


class Combiner(nn.Module, ABC):
    """What all combiners share: the norm before the mix, the mask after it.

    Args:
        layer_norm: Whether each layer is normalised per token first.

    Attributes:
        linear: Whether the mix of normalised layers commutes with the mean over tokens.
    """

    linear = True

    def __init__(self, layer_norm: bool) -> None:
        super().__init__()
        self.layer_norm = layer_norm

    def forward(self, layers: Tensor, mask: Tensor) -> Tensor:
        """Combine.

        Args:
            layers: (K, B, T, W).
            mask: (B, T) bool, true at real tokens.

        Returns:
            (B, T, W), zero where the mask is false.
        """
        return self.mix(self.normalise(layers)).masked_fill(~mask[:, :, None], 0.0)

    def normalise(self, layers: Tensor) -> Tensor:
        """(K, ..., W) to the same: each layer normalised per token, if asked for."""
        return functional.layer_norm(layers, layers.shape[-1:]) if self.layer_norm else layers

    @abstractmethod
    def mix(self, layers: Tensor) -> Tensor:
        """(K, ..., W), normalised, to (..., W)."""

    def lambdas(self) -> list[float] | None:
        """λ_0 .. λ_L in force, after any softmax; None where there are none."""
        return None

    def gamma(self) -> float | None:
        """γ in force; None where there is none."""
        return None

    def rate_parameters(self) -> list[nn.Parameter]:
        """The parameters that train with λ's own learning rate."""
        return []


class WeightedSum(Combiner):
    """γ Σ_j λ_j h_j with λ = softmax(w), w = 0 and γ = 1 at first; or λ raw, from 1 / K.

    Args:
        layer_count: K.
        layer_norm: Whether each layer is normalised per token first.
        softmax: Whether λ is the softmax of the weights or the weights themselves.
    """

    def __init__(self, layer_count: int, layer_norm: bool, *, softmax: bool) -> None:
        super().__init__(layer_norm)
        self.softmax = softmax
        self.weights = nn.Parameter(torch.full((layer_count,), 0.0 if softmax else 1.0 / layer_count))
        self.scale = nn.Parameter(torch.ones(()))

    def mix(self, layers: Tensor) -> Tensor:
        """See `Combiner.mix`."""
        return _weighted_sum(self.scale * self._lambda(), layers)

    def lambdas(self) -> list[float]:
        """See `Combiner.lambdas`."""
        return [float(weight) for weight in self._lambda().detach()]

    def gamma(self) -> float:
        """See `Combiner.gamma`."""
        return float(self.scale.detach())

    def rate_parameters(self) -> list[nn.Parameter]:
        """See `Combiner.rate_parameters`."""
        return [self.weights, self.scale]

    def _lambda(self) -> Tensor:
        return torch.softmax(self.weights, dim=0) if self.softmax else self.weights


class FrozenSum(Combiner):
    """Σ_j λ_j h_j with λ fixed, γ = 1.

    Args:
        weights: (K,) λ; saved with the model, never trained.
        layer_norm: Whether each layer is normalised per token first.
    """

    weights: Tensor

    def __init__(self, weights: Tensor, layer_norm: bool) -> None:
        super().__init__(layer_norm)
        self.register_buffer("weights", weights)

    def mix(self, layers: Tensor) -> Tensor:
        """See `Combiner.mix`."""
        return _weighted_sum(self.weights, layers)

    def lambdas(self) -> list[float]:
        """See `Combiner.lambdas`."""
        return [float(weight) for weight in self.weights]

    def gamma(self) -> float:
        """See `Combiner.gamma`."""
        return 1.0


class SingleLayer(Combiner):
    """h_n.

    Args:
        layer: n.
        layer_count: K.
        layer_norm: Whether the layer is normalised per token.
    """

    def __init__(self, layer: int, layer_count: int, layer_norm: bool) -> None:
        super().__init__(layer_norm)
        self.layer = layer
        self.layer_count = layer_count

    def mix(self, layers: Tensor) -> Tensor:
        """See `Combiner.mix`."""
        return layers[self.layer]

    def lambdas(self) -> list[float]:
        """See `Combiner.lambdas`."""
        return [float(index == self.layer) for index in range(self.layer_count)]


class LearnedFunction(Combiner):
    """tanh(A [h_0; ...; h_L] + b), with A of (W, K W): K W² + W parameters.

    Args:
        layer_count: K.
        width: W.
        layer_norm: Whether each layer is normalised per token first.
        precision: Of the matrix product while training; A and the result are float32 all the same.
    """

    linear = False

    def __init__(self, layer_count: int, width: int, layer_norm: bool, precision: Precision = "float32") -> None:
        super().__init__(layer_norm)
        self.precision = precision
        self.function = nn.Linear(layer_count * width, width)

    def mix(self, layers: Tensor) -> Tensor:
        """See `Combiner.mix`."""
        product_type = torch.bfloat16 if self.training and self.precision == "bfloat16" else layers.dtype
        rows = layers.to(product_type).movedim(0, -2).flatten(-2)
        matrix, bias = self.function.weight.to(product_type), self.function.bias.to(product_type)
        return torch.tanh(functional.linear(rows, matrix, bias).to(layers.dtype))


def _weighted_sum(weights: Tensor, layers: Tensor) -> Tensor:
    """(K,) and (K, ..., W) to (..., W), as one matrix product."""
    return (weights @ layers.flatten(1)).view(layers.shape[1:])


def make_combiner(
    settings: FinetuneSettings, layer_count: int, width: int, seed: int, precision: Precision = "float32"
) -> Combiner:
    """The combiner of the settings.

    Args:
        settings: Mode, norm, and the frozen weights if they are given.
        layer_count: K, layers of the embedder.
        width: W of a layer.
        seed: Of the frozen weights, where they are drawn: the softmax of N(0, 1) draws.
        precision: Of the matrix product of a learned function while it trains.

    Raises:
        ConfigError: `frozen_lambdas` are not one number for each layer, or there is no layer N.
    """
    mode = settings.lambdas
    if mode == "trainable":
        return WeightedSum(layer_count, settings.layer_norm, softmax=settings.lambda_norm == "softmax")
    if mode == "function":
        return LearnedFunction(layer_count, width, settings.layer_norm, precision)
    if mode == "frozen":
        return FrozenSum(_frozen_weights(settings, layer_count, seed), settings.layer_norm)
    layer = int(mode.removeprefix("layer:"))
    if layer >= layer_count:
        raise ConfigError(
            f"{settings.section}.lambdas is '{mode}', but the embedder has {layer_count} layers",
            expected=f"layer:0 to layer:{layer_count - 1}" if layer_count > 1 else "layer:0",
            remedy="layer 0 are the token vectors, the others the LSTM layers",
        )
    return SingleLayer(layer, layer_count, settings.layer_norm)


def _frozen_weights(settings: FinetuneSettings, layer_count: int, seed: int) -> Tensor:
    given = settings.frozen_lambdas
    if given is None:
        draws = torch.randn(layer_count, generator=torch.Generator().manual_seed(seed))
        return torch.softmax(draws, dim=0)
    if given == "uniform":
        return torch.full((layer_count,), 1.0 / layer_count)
    try:
        weights = [float(part) for part in given.split(",")]
    except ValueError:
        weights = []
    if len(weights) != layer_count or not all(math.isfinite(weight) for weight in weights):
        raise ConfigError(
            f"{settings.section}.frozen_lambdas is '{given}', but the embedder has {layer_count} layers",
            expected=f"{layer_count} numbers with commas between them, or uniform",
            remedy="give a weight for each layer: layer 0 are the token vectors, the others the LSTM layers",
        )
    return torch.tensor(weights)
