"""Made-up models in bilm-tf's files, and the oracle built from the same arrays without the package's reader."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from oracle import Cell, Oracle


@dataclass
class Made:
    """A model that was written: its options and its datasets by name."""

    options: dict[str, Any]
    arrays: dict[str, np.ndarray]
    one_layer_names: bool = False

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "options.json").write_text(json.dumps(self.options))
        with h5py.File(folder / "weights.hdf5", "w") as file:
            for name, values in self.arrays.items():
                file[name] = values
        return folder

    def oracle(self) -> Oracle:
        """From docs/explanation/formats.md to the oracle's own names."""
        lstm, characters = self.options["lstm"], self.options.get("char_cnn", {})
        table = self.array("char_embed" if characters else "embedding")
        weights = {"encoder.table": np.concatenate([np.zeros((1, table.shape[1])), table])}
        for index in range(len(characters.get("filters", ()))):
            weights[f"encoder.convolutions.{index}.weight"] = self.array(f"CNN/W_cnn_{index}")[0].transpose(2, 1, 0)
            weights[f"encoder.convolutions.{index}.bias"] = self.array(f"CNN/b_cnn_{index}")
        for index in range(characters.get("n_highway", 0)):
            for gate in ("carry", "transform"):
                name = f"encoder.highways.{index}.{gate}"
                weights[f"{name}.weight"] = self.array(f"CNN_high_{index}/W_{gate}").T
                weights[f"{name}.bias"] = self.array(f"CNN_high_{index}/b_{gate}")
        if "CNN_proj/W_proj" in self.arrays:
            weights["encoder.projection.weight"] = self.array("CNN_proj/W_proj").T
            weights["encoder.projection.bias"] = self.array("CNN_proj/b_proj")
        size = lstm["projection_dim"]
        stacks = []
        for direction in range(2):
            stack = []
            for layer in range(lstm.get("n_layers", 1)):
                name = self.cell(direction, layer)
                both = self.array(f"{name}/W_0")
                projection = self.array(f"{name}/W_P_0") if f"{name}/W_P_0" in self.arrays else None
                stack.append(Cell(both[:size], both[size:], self.array(f"{name}/B"), projection))
            stacks.append(tuple(stack))
        return Oracle(
            cells=(stacks[0], stacks[1]),
            weights=weights,
            cell_clip=lstm.get("cell_clip") or None,
            projection_clip=lstm.get("proj_clip") or None,
            residual=lstm.get("use_skip_connections", False),
            activation=characters.get("activation", "relu"),
        )

    def array(self, name: str) -> np.ndarray:
        return self.arrays[name].astype(np.float64)

    def cell(self, direction: int, layer: int) -> str:
        wrapper = "" if self.one_layer_names else f"MultiRNNCell/Cell{layer}/"
        return f"RNN_{direction}/RNN/{wrapper}LSTMCell"


def read(folder: Path) -> Made:
    """A model that a folder holds, by nothing but JSON, h5py and NumPy."""
    options = json.loads((folder / "options.json").read_text())
    arrays: dict[str, np.ndarray] = {}

    def keep(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()]

    with h5py.File(folder / "weights.hdf5") as file:
        file.visititems(keep)
    return Made(options, arrays, options["lstm"]["n_layers"] == 1)


@dataclass
class Shape:
    """What a made-up model looks like."""

    dim: int = 6
    projection: int = 4
    layers: int | None = 2
    filters: tuple[tuple[int, int], ...] = ((1, 3), (2, 4), (4, 2))
    highways: int = 2
    lstm: dict[str, Any] = field(default_factory=lambda: {"cell_clip": 0.6, "proj_clip": 0.5})
    characters: dict[str, Any] = field(default_factory=dict)
    one_layer_names: bool = False


def make(shape: Shape, seed: int = 1) -> Made:
    """Random weights, large enough for the clips to bite."""
    generator = np.random.default_rng(seed)

    def draw(*sizes: int, scale: float = 0.7) -> np.ndarray:
        return generator.normal(0, scale, sizes).astype(np.float32)

    features, width = sum(count for _, count in shape.filters), 3
    options: dict[str, Any] = {
        "lstm": {"dim": shape.dim, "projection_dim": shape.projection, **shape.lstm},
        "char_cnn": {
            "embedding": {"dim": width},
            "filters": [list(item) for item in shape.filters],
            "max_characters_per_token": 50,
            "n_characters": 262,
            "n_highway": shape.highways,
            "activation": "relu",
            **shape.characters,
        },
    }
    if shape.layers is not None:
        options["lstm"]["n_layers"] = shape.layers
    made = Made(options, {"char_embed": draw(261, width)}, shape.one_layer_names)
    for index, (length, count) in enumerate(shape.filters):
        made.arrays[f"CNN/W_cnn_{index}"] = draw(1, length, width, count)
        made.arrays[f"CNN/b_cnn_{index}"] = draw(count)
    for index in range(shape.highways):
        for gate in ("carry", "transform"):
            made.arrays[f"CNN_high_{index}/W_{gate}"] = draw(features, features, scale=0.4)
            made.arrays[f"CNN_high_{index}/b_{gate}"] = draw(features)
    if features != shape.projection:
        made.arrays["CNN_proj/W_proj"] = draw(features, shape.projection)
        made.arrays["CNN_proj/b_proj"] = draw(shape.projection)
    for direction in range(2):
        for layer in range(shape.layers or 1):
            name = made.cell(direction, layer)
            made.arrays[f"{name}/W_0"] = draw(2 * shape.projection, 4 * shape.dim)
            made.arrays[f"{name}/B"] = draw(4 * shape.dim)
            if shape.dim != shape.projection:
                made.arrays[f"{name}/W_P_0"] = draw(shape.dim, shape.projection)
    return made
