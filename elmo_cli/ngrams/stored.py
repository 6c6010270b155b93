"""A branch of n-grams as tensors: what `ngrams.safetensors` holds, and that it is what it must be.

`words` and `characters` are UTF-8 bytes (uint8) with a zero byte between two of them, `pairs` (P, 2) numbers of words,
`idf` (F,), `weights` (F, K), `intercept` (K,) and `join` (2,) float32; F = W + P + G.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from elmo_cli.errors import WeightsError
from elmo_cli.ngrams.classifier import NgramClassifier
from elmo_cli.ngrams.features import SEPARATOR, NgramFeatures
from elmo_cli.ngrams.joint import NgramBranch

if TYPE_CHECKING:
    from torch import Tensor

_ENCODING = ("utf-8", "surrogatepass")  # half a surrogate pair is in no text, but in some files


def to_tensors(branch: NgramBranch) -> dict[str, Tensor]:
    """The tensors of a branch."""
    import torch

    features = branch.classifier.features
    return {
        "words": _joined(features.words),
        "pairs": torch.from_numpy(features.pairs.astype(np.int32)),
        "characters": _joined(features.characters),
        "idf": torch.from_numpy(features.idf),
        "weights": torch.from_numpy(branch.classifier.weights),
        "intercept": torch.from_numpy(branch.classifier.intercept),
        "join": torch.tensor(branch.weights, dtype=torch.float32),
    }


def from_tensors(tensors: Mapping[str, Tensor], classes: int, where: Path) -> NgramBranch:
    """The branch of a classifier of so many classes.

    Raises:
        WeightsError: A tensor is missing, left over, of another type or shape, not finite, or out of its bounds.
    """
    import torch

    floats = dict.fromkeys(("idf", "weights", "intercept", "join"), torch.float32)
    types = {"words": torch.uint8, "characters": torch.uint8, "pairs": torch.int32, **floats}
    if tensors.keys() != types.keys():
        odd = min(tensors.keys() ^ types.keys())
        raise _misfit(where, f"{'lacks' if odd in types else 'has an unknown'} tensor {odd}", ", ".join(types))
    for name, expected in types.items():
        if tensors[name].dtype != expected:
            raise _misfit(where, f"has {name} of type {tensors[name].dtype}", f"type {expected}")
    words, characters = (_split(tensors[name], name, where) for name in ("words", "characters"))
    count = len(words) + tensors["pairs"].shape[0] + len(characters) if tensors["pairs"].ndim else 0
    pairs_shape = (tensors["pairs"].shape[0] if tensors["pairs"].ndim else 0, 2)
    shapes = {"pairs": pairs_shape, "idf": (count,), "weights": (count, classes), "intercept": (classes,), "join": (2,)}
    for name, shape in shapes.items():
        if tuple(tensors[name].shape) != shape:
            raise _misfit(where, f"has {name} of shape {tuple(tensors[name].shape)}", f"shape {shape}")
    for name in floats:
        if not bool(torch.isfinite(tensors[name]).all()):
            raise _misfit(where, f"has numbers in {name} that are not finite", "finite numbers")
    pairs = tensors["pairs"].numpy().astype(np.int64)
    keys = pairs[:, 0] * len(words) + pairs[:, 1]
    if pairs.size and (pairs.min() < 0 or pairs.max() >= len(words) or (np.diff(keys) <= 0).any()):
        raise _misfit(where, "has pairs of words that are not there, or out of order", f"numbers below {len(words)}")
    own, other = tensors["join"].tolist()
    if min(own, other) < 0:
        raise _misfit(where, f"has weights {own:g} and {other:g} in join", "weights of at least 0")
    arrays = {name: tensors[name].numpy() for name in floats}
    features = NgramFeatures(words, pairs, characters, arrays["idf"])
    return NgramBranch(NgramClassifier(features, arrays["weights"], arrays["intercept"]), (own, other))


def _joined(grams: Sequence[str]) -> Tensor:
    import torch

    return torch.from_numpy(np.frombuffer(SEPARATOR.join(grams).encode(*_ENCODING), dtype=np.uint8).copy())


def _split(data: Tensor, name: str, where: Path) -> tuple[str, ...]:
    """The n-grams of a tensor of bytes, no two of them equal."""
    try:
        text = data.flatten().numpy().tobytes().decode(*_ENCODING)
    except UnicodeDecodeError as error:
        raise _misfit(
            where, f"has {name} that are no UTF-8 text", "text with a zero byte between two n-grams"
        ) from error
    grams = tuple(text.split(SEPARATOR)) if text else ()
    if len(set(grams)) < len(grams):
        raise _misfit(where, f"has one of {name} twice", "each of them once")
    return grams


def _misfit(where: Path, problem: str, expected: str) -> WeightsError:
    remedy = "copy the run again: run.yaml and the weights belong together"
    return WeightsError(f"{where.name} {problem}", where=where, expected=expected, remedy=remedy)
