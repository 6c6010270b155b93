"""Everything that a pretraining needs to go on as if it had never stopped, in `state/`.

`state.json` names the file of tensors that belongs to it. The tensors are written first, under a new name; renaming
`state.json` into place is the switch. Whenever the process dies, one whole checkpoint is there.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from elmo_cli.config import Precision
from elmo_cli.config.bounded import read_json
from elmo_cli.errors import RunError
from elmo_cli.events import Saved
from elmo_cli.model.bilm import BiLmState
from elmo_cli.model.kernel.layer import LstmState
from elmo_cli.ranks import ALONE, Ranks, launch, rank_seed
from elmo_cli.runs import Run, RunWriter
from elmo_cli.runs.directory import STATE_FOLDER
from elmo_cli.runs.tensors import copy_tensors
from elmo_cli.training.optimiser import Average
from elmo_cli.training.state import StepCounter, TrainingState

STATE_FILE = "state.json"
PARTS = ("network", "optimiser", "average", "state", "random")  # first part of a tensor's name


@dataclass
class PretrainingState(TrainingState):
    """Where a pretraining stands: all that changes in its loop, but for weights, moments and random numbers."""

    window: int = 0  # windows done of the epoch under way
    best: float | None = None  # best validation perplexity so far; None before the first
    last_share: float = 1.0  # share of the last validated epoch that was trained on: below 1 where time was up
    precision: Precision = "float32"  # what matrices are multiplied in
    native_loop: bool = False  # whether the LSTM's steps run in C++; a training that is resumed goes the way it began
    lstm: BiLmState | None = None  # LSTM state after the last window; None between epochs


def saved_by_this_launch(run: Path) -> bool:
    """Whether the ranks of this torchrun have saved a checkpoint there, before it started them anew."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        record = read_json(run / STATE_FOLDER / STATE_FILE)
        return launch() is not None and bool(record["launch"] == launch())
    return False


class Checkpoint:
    """The checkpoint of a run: written again and again, and read to go on."""

    def __init__(
        self, writer: RunWriter, network: nn.Module, optimiser: Optimizer, average: Average, ranks: Ranks = ALONE
    ) -> None:
        self._writer, self._network, self._optimiser, self._average = writer, network, optimiser, average
        self._ranks = ranks
        self._device = next(network.parameters()).device

    def save(self, state: PretrainingState, counter: StepCounter) -> Saved:
        """Write a checkpoint of the state, once it is up to date, and put the run in its place."""
        counter.settle()
        tensors = self._tensors(state)
        if not self._ranks.first:
            return Saved(state.step)
        # A name of its own: the checkpoint before stays whole until the new `state.json` points here.
        name = f"{STATE_FOLDER}/tensors-{state.step}.safetensors"
        self._writer.write_tensors(name, tensors)
        numbers = {key: value for key, value in vars(state).items() if key != "lstm"}
        offset = self._writer.log_offset()
        record = {"progress": numbers, "tensors": name, "metrics_offset": offset, "launch": launch()}
        self._writer.write_json(f"{STATE_FOLDER}/{STATE_FILE}", record)
        for stale in (self._writer.path / STATE_FOLDER).glob("tensors-*.safetensors"):
            if stale != self._writer.path / name:
                with suppress(OSError):
                    stale.unlink()
        self._writer.commit()
        return Saved(state.step)

    def load(self) -> PretrainingState:
        """Put network, optimiser, average, random numbers and `metrics.jsonl` back to where the checkpoint was.

        Raises:
            RunError: There is no checkpoint, or it is damaged.
            WeightsError: Its tensors do not fit the network.
        """
        writer = self._writer
        path = writer.path / STATE_FOLDER / STATE_FILE
        try:
            record = read_json(path)
            state, name, offset = _progress(record["progress"]), record["tensors"], record["metrics_offset"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{writer.path} has no state to resume from",
                where=path,
                expected="state.json, as a stopped training leaves it",
                remedy="train anew with --overwrite",
            ) from error
        parts: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS}
        for key, tensor in Run(writer.path, writer.description).tensors(name).items():
            part, _, rest = key.partition(".")
            parts[part][rest] = tensor
        copy_tensors(self._network, parts["network"], writer.path / name)
        for key, value in self._average.values.items():
            value.copy_(parts["average"][key])
        self._load_optimiser(parts["optimiser"])
        self._load_random(parts["random"], state.step)
        # What was logged after the checkpoint happens again.
        writer.cut_log(offset)
        lstm = {key: self._ranks.rows(tensor, 1).to(self._device) for key, tensor in parts["state"].items()}
        layers = range(len(lstm) // 2)
        state.lstm = tuple(LstmState(lstm[f"{layer}.hidden"], lstm[f"{layer}.cell"]) for layer in layers) or None
        return state

    def _tensors(self, state: PretrainingState) -> dict[str, Tensor]:
        """All tensors by part and name."""
        tensors = {f"network.{name}": tensor for name, tensor in self._network.state_dict().items()}
        for name, parameter in self._network.named_parameters():
            for key, value in self._optimiser.state.get(parameter, {}).items():
                tensors[f"optimiser.{key}.{name}"] = value
        tensors |= {f"average.{name}": value for name, value in self._average.values.items()}
        for layer, lstm in enumerate(state.lstm or ()):
            for key, rows in (("hidden", lstm.hidden), ("cell", lstm.cell)):
                tensors[f"state.{layer}.{key}"] = self._ranks.all_rows(rows, 1)
        for rank, numbers in enumerate(self._ranks.gather(torch.get_rng_state())):
            tensors[_of_rank("random.cpu", rank)] = numbers
        if (kind := self._device.type) != "cpu":
            tensors[f"random.{kind}"] = torch.get_device_module(self._device).get_rng_state()
        return tensors

    def _load_random(self, states: dict[str, Tensor], step: int) -> None:
        """Go on with this rank's random numbers; one that was not there when they were saved begins its own."""
        own = states.get(_of_rank("cpu", self._ranks.rank))
        if own is None:
            torch.manual_seed(rank_seed(step, self._ranks.rank))
        else:
            torch.set_rng_state(own)
        if (kind := self._device.type) != "cpu" and kind in states and self._ranks.first:
            torch.get_device_module(self._device).set_rng_state(states[kind])

    def _load_optimiser(self, moments: dict[str, Tensor]) -> None:
        parameters = dict(self._network.named_parameters())
        for key, tensor in moments.items():
            moment, _, name = key.partition(".")
            # Steps are counted on the host, unless the optimiser's kernel is fused.
            on_host = moment == "step" and not self._optimiser.defaults["fused"]
            self._optimiser.state[parameters[name]][moment] = tensor if on_host else tensor.to(self._device)


def _progress(kept: dict[str, Any]) -> PretrainingState:
    """The state that was kept, whose values are of the types of a new one's; others are a TypeError."""
    state, fresh = PretrainingState(**kept), PretrainingState()
    for key in kept:
        value, default = getattr(state, key), getattr(fresh, key)
        if default is None:
            fits = value is None or isinstance(value, int | float)
        else:
            fits = isinstance(value, int | float if isinstance(default, float) else type(default))
        if not fits:
            raise TypeError(f"{key} is a {type(value).__name__}")
    return state


def _of_rank(name: str, rank: int) -> str:
    """`cpu`, and of ranks from 1 on `cpu-1`, ...: a run of one process is that of rank 0."""
    return f"{name}-{rank}" if rank else name
