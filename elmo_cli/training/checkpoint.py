"""Everything that a pretraining needs to go on as if it had never stopped, in `state/`.

`state.json` names the file of tensors that belongs to it. The tensors are written first, under a new name; renaming
`state.json` into place is the switch. Whenever the process dies, one whole checkpoint is there.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from elmo_cli.config import Precision
from elmo_cli.errors import RunError
from elmo_cli.model.bilm import BiLmState
from elmo_cli.model.kernel.layer import LstmState
from elmo_cli.runs import Run, RunWriter
from elmo_cli.runs.models import copy_tensors
from elmo_cli.training.optimiser import Average

STATE_FOLDER, STATE_FILE = "state", "state.json"


@dataclass
class Progress:
    """How far a pretraining is.

    Attributes:
        epoch: Whole epochs done.
        window: Windows done of the epoch under way.
        step: Optimiser steps done.
        tokens: Predicted steps of one direction done.
        seconds: Spent so far, over all sessions.
        loss_sum: Nats of all steps predicted since the last `Step` event, those of the two directions averaged.
        loss_steps: Predicted steps of one direction since the last `Step` event.
        best: Best validation perplexity so far; None before the first.
        best_epoch: Epoch of the best, counted from 1.
        precision: Of the matrix products.
        compiled: Whether the LSTM's steps are compiled, where that can be done.
        last_share: Of the last epoch that was validated, the share that was trained on: below 1 where time was up.
    """

    epoch: int = 0
    window: int = 0
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    loss_steps: int = 0
    best: float | None = None
    best_epoch: int = 0
    precision: Precision = "float32"
    compiled: bool = False
    last_share: float = 1.0


def save_checkpoint(
    writer: RunWriter,
    progress: Progress,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    state: BiLmState | None,
    average: Average | None = None,
) -> None:
    """Write a checkpoint and put the run in its place, if it is not there yet.

    Args:
        writer: Of the run.
        progress: How far the training is.
        network: Its weights.
        optimiser: Its moments.
        state: LSTM state after the last window; None between epochs.
        average: Of the weights, where there is one.
    """
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        for key, value in optimiser.state.get(parameter, {}).items():
            tensors[f"optimiser.{key}.{name}"] = value
    if average is not None:
        tensors |= {f"average.{name}": value for name, value in average.values.items()}
    for layer, layer_state in enumerate(state or ()):
        tensors |= {f"state.{layer}.hidden": layer_state.hidden, f"state.{layer}.cell": layer_state.cell}
    device = next(network.parameters()).device
    tensors["random.cpu"] = torch.get_rng_state()
    if device.type != "cpu":
        tensors[f"random.{device.type}"] = torch.get_device_module(device).get_rng_state()
    name = f"{STATE_FOLDER}/tensors-{progress.step}.safetensors"
    writer.write_tensors(name, tensors)
    record = {"progress": asdict(progress), "tensors": name, "metrics_offset": writer.log_offset()}
    writer.write_json(f"{STATE_FOLDER}/{STATE_FILE}", record)
    for stale in (writer.path / STATE_FOLDER).glob("tensors-*.safetensors"):
        if stale.name != name.rpartition("/")[2]:
            with suppress(OSError):
                stale.unlink()
    writer.commit()


def load_checkpoint(
    writer: RunWriter, network: nn.Module, optimiser: torch.optim.Optimizer, average: Average | None = None
) -> tuple[Progress, BiLmState | None]:
    """Put network, optimiser, average, random numbers and `metrics.jsonl` back to where the checkpoint was.

    Raises:
        RunError: There is no checkpoint, or it is damaged.
        WeightsError: Its tensors do not fit the network.
    """
    path = writer.path / STATE_FOLDER / STATE_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        progress, name, offset = Progress(**record["progress"]), record["tensors"], record["metrics_offset"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{writer.path} has no state to resume from",
            where=path,
            expected="state.json, as a stopped training leaves it",
            remedy="train anew with --overwrite",
        ) from error
    tensors = Run(writer.path, writer.description).tensors(name)
    parts: dict[str, dict[str, Tensor]] = {part: {} for part in ("network", "optimiser", "average", "state", "random")}
    for key, tensor in tensors.items():
        part, _, rest = key.partition(".")
        parts[part][rest] = tensor
    copy_tensors(network, parts["network"], writer.path / name)
    for name, value in (average.values if average else {}).items():
        value.copy_(parts["average"][name])
    parameters = dict(network.named_parameters())
    for key, tensor in parts["optimiser"].items():
        moment, _, parameter_name = key.partition(".")
        parameter = parameters[parameter_name]
        # Steps are counted on the host, unless the optimiser's kernel is fused.
        on_host = moment == "step" and not optimiser.defaults["fused"]
        optimiser.state[parameter][moment] = tensor if on_host else tensor.to(parameter.device)
    device = next(network.parameters()).device
    torch.set_rng_state(parts["random"]["cpu"])
    if device.type != "cpu" and device.type in parts["random"]:
        torch.get_device_module(device).set_rng_state(parts["random"][device.type])
    writer.cut_log(offset)
    layers = range(len(parts["state"]) // 2)
    state = tuple(
        LstmState(*(parts["state"][f"{layer}.{half}"].to(device) for half in ("hidden", "cell"))) for layer in layers
    )
    return progress, state or None
