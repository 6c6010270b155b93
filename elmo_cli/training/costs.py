"""What a training costs, told by its settings before it starts: memory, disk and multiplications.

    memory = 4 bytes · (parameters · (weight + gradient + numbers of the optimiser + average) + activations of a window)
    disk   = weights and a checkpoint, each twice, since a new one is written beside the old one

The activations are those that the backward pass keeps. The estimate is rather low: what it refuses cannot work.

Multiplications decide which of the faster ways pay. bfloat16 products change the last bits, so the
decision must not depend on the moment, and a training that is resumed goes the way it began.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from elmo_cli.cluster import memory_here
from elmo_cli.config import ModelSettings, Precision, PrecisionChoice, PretrainSettings
from elmo_cli.errors import ConfigError, ElmoError
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.kernel.products import bfloat16_is_native, packing_pays

FLOAT = 4  # bytes
STATES = {"adamw": 2, "adagrad": 1}  # numbers that an optimiser keeps for each parameter
CHUNK = 2**22  # logits that are in memory at once, at least


@dataclass(frozen=True)
class Needs:
    """What a pretraining needs."""

    parameters: int  # embedding and softmax included
    weights: int  # bytes of weights, gradients, optimiser and average
    activations: int  # bytes of a step's activations
    disk: int  # bytes of the run and its checkpoint

    @property
    def memory(self) -> int:
        """Bytes in memory."""
        return self.weights + self.activations


def estimate(model: ModelSettings, training: PretrainSettings, vocabulary_size: int) -> Needs:
    """The needs of a pretraining with so large a vocabulary."""
    network = _outline(model, vocabulary_size)
    count = _count(network.parameters())
    trained = _count(weight for weight in network.parameters() if weight.requires_grad)
    extra = (STATES[training.optimiser] + (training.average > 0)) * trained
    return Needs(
        parameters=count,
        weights=FLOAT * (count + trained + extra),
        activations=FLOAT * _activations(model, training, vocabulary_size),
        disk=FLOAT * (2 * count + 2 * (count + extra)),
    )


def vocabulary_parameters(model: ModelSettings, vocabulary_size: int) -> dict[str, int]:
    """Parameters that grow with a vocabulary: those of the embedding table, and those of the softmax beside it."""
    network = _outline(model, vocabulary_size)
    table, softmax = network.encoder.word_table, network.softmax
    return {
        "embedding": 0 if table is None else table.numel(),
        "softmax": 0 if softmax is None else _count(softmax.parameters()),  # a tied table is none of them
    }


def _outline(model: ModelSettings, vocabulary_size: int) -> BiLm:
    """A biLM whose weights have shapes and no memory."""
    with torch.device("meta"):
        return BiLm(model, vocabulary_size)


def _count(weights: Iterable[Tensor]) -> int:
    return sum(weight.numel() for weight in weights)


def _activations(model: ModelSettings, training: PretrainSettings, vocabulary_size: int) -> int:
    """Numbers that the backward pass of a window needs."""
    places, size, cells = 2 * training.rows * training.window, model.token_size, model.hidden_size
    layer = places * (4 * cells + 2 * cells + (cells if model.projection_size else 0) + 2 * size)
    total = model.layers * layer + places * 4 * cells  # with the gates' gradients of one of them
    if model.encoder != "word":
        words, chars = min(places, vocabulary_size), model.characters
        largest = max(count * (chars.max_characters - width + 1) for width, count in chars.filters)
        width = sum(count for _, count in chars.filters)
        total += words * (chars.max_characters * chars.dim + largest + width * 4 * chars.highway_layers)
    return total + CHUNK + 3 * places * size


def refuse_too_large(
    model: ModelSettings, training: PretrainSettings, vocabulary_size: int, out: Path, device: torch.device
) -> None:
    """See that a pretraining fits in the device's memory and on the disk, where what `out` holds counts as room.

    Raises:
        ConfigError: It needs more memory than there is.
        ElmoError: The disk cannot hold the run.
    """
    needs, memory = estimate(model, training, vocabulary_size), memory_of(device)
    if memory is not None and needs.memory > memory:
        raise ConfigError(
            f"training {needs.parameters / 1e6:,.1f} M parameters needs about {_size(needs.memory)} of memory: "
            f"{_size(needs.weights)} for weights, gradients and {training.optimiser}, "
            f"{_size(needs.activations)} for the activations of a step",
            expected=f"at most {_size(memory)}, which {device} has",
            remedy="lower pretrain.batch_size, pretrain.window, model.hidden_size or vocab.max_size, "
            "or take a smaller --preset",
        )
    place = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    there = sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) if out.is_dir() else 0
    free = shutil.disk_usage(place).free + there
    if needs.disk > free:
        raise ElmoError(
            f"the run and its checkpoint need about {_size(needs.disk)} on the disk, and {_size(free)} are free",
            where=out,
            expected=f"{_size(needs.disk)}: weights and state, each with the one that replaces it",
            remedy="make room, or choose another place with --out",
        )


def memory_of(device: torch.device) -> int | None:
    """Bytes of memory that a device has, or this process may use; None where it cannot be told."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return memory_here()


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"


def operations(settings: ModelSettings) -> int:
    """Operations of the LSTM's products for a token, both directions forward; a training step has three times that."""
    size, cells = settings.token_size, settings.hidden_size
    products = 2 * size * 4 * cells + (cells * size if settings.projection_size else 0)
    return 2 * 2 * settings.layers * products


def step_multiplications(model: ModelSettings, rows: int) -> int:
    """Multiplications of the recurrent product of one direction in one step, for so many rows."""
    return rows * model.token_size * 4 * model.hidden_size


def pick_precision(choice: PrecisionChoice, multiplications: int, device: torch.device | str) -> Precision:
    """The precision of a training's matrix products.

    Args:
        choice: What the user wants; `auto` is bfloat16 where the device multiplies it natively and the products are
            large enough to gain from it, else float32.
        multiplications: How many one product has.
        device: Where to compute.
    """
    if choice != "auto":
        return choice
    device = torch.device(device)
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    pays = bfloat16_is_native() and packing_pays(device, torch.bfloat16, multiplications)
    return "bfloat16" if pays else "float32"
