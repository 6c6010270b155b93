"""Made-up models in ELMoForManyLangs' files, and the oracle built from the same arrays without the package's reader."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from oracle import Cell, Oracle, sigmoid

WORDS = ["<oov>", "<bos>", "<eos>", "<pad>", "the", "cat", "naïve", "Donaudampf", "　", "<S>", "猫"]
# ids are no order of the characters, and the marks lie among them
CHARACTERS = ["<bos>", "z", "<eos>", "<oov>", "a", "<pad>", "<bow>", "　", "<eow>", *"the猫cïnvDoudmpf"]
CHARACTERS = list(dict.fromkeys(CHARACTERS))


@dataclass
class Made:
    """A model: architecture, lexicons in the order of their ids, and tensors by file and name."""

    architecture: dict[str, Any]
    embedder: dict[str, np.ndarray] = field(default_factory=dict)
    encoder: dict[str, np.ndarray] = field(default_factory=dict)
    words: list[str] = field(default_factory=lambda: list(WORDS))
    characters: list[str] = field(default_factory=lambda: list(CHARACTERS))

    def write(self, folder: Path, *, old: bool = False) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "arch.json").write_text(json.dumps(self.architecture))
        (folder / "config.json").write_text(json.dumps({"seed": 1, "config_path": "/home/someone/gone/arch.json"}))
        for name, tensors in (("token_embedder", self.embedder), ("encoder", self.encoder)):
            state = {key: torch.from_numpy(values) for key, values in tensors.items()}
            torch.save(state, folder / f"{name}.pkl", _use_new_zipfile_serialization=not old)
        tokens = self.architecture["token_embedder"]
        for name, lexicon, width in (("word", self.words, "word_dim"), ("char", self.characters, "char_dim")):
            if tokens[width]:
                lines = [f"{entry}\t{number}\n" for number, entry in enumerate(lexicon)]
                (folder / f"{name}.dic").write_text("".join(lines), encoding="utf-8")
        return folder

    def vector(self, token: str) -> np.ndarray:
        """The vector of a token, or of the marks <bos> and <eos>, from docs/explanation/formats.md#many-langs."""
        options = self.architecture["token_embedder"]
        most = options["max_characters_per_token"]
        token = token if token in ("<bos>", "<eos>") else token[: most - 2]
        parts = []
        if options["word_dim"]:
            known = token if token in self.words else "<oov>"
            parts.append(self.embedder["word_emb_layer.embedding.weight"][self.words.index(known)])
        if options["char_dim"]:
            inner = [token] if token in ("<bos>", "<eos>") else list(token)
            marked = ["<eow>", *(one if one in self.characters else "<oov>" for one in inner), "<bow>"]
            marked += ["<pad>"] * (most - len(marked))
            table = self.embedder["char_emb_layer.embedding.weight"]
            parts.append(self.features(table[[self.characters.index(one) for one in marked]].astype(np.float64)))
        return self.embedder["projection.weight"] @ np.concatenate(parts) + self.embedder["projection.bias"]

    def features(self, characters: np.ndarray) -> np.ndarray:
        """(C, c) to (F,)."""
        options = self.architecture["token_embedder"]
        found = []
        for index, (width, count) in enumerate(options["filters"]):
            kernel, bias = (self.embedder[f"convolutions.{index}.{part}"] for part in ("weight", "bias"))
            for channel in range(count):
                starts = range(len(characters) - width + 1)
                best = max(np.sum(kernel[channel].T * characters[start : start + width]) for start in starts)
                found.append(best + bias[channel])
        x = np.tanh(found) if options["activation"] == "tanh" else np.maximum(found, 0)
        for index in range(options["n_highway"]):
            name = f"highways._layers.{index}"
            fresh, gate = np.split(self.embedder[f"{name}.weight"] @ x + self.embedder[f"{name}.bias"], 2)
            x = sigmoid(gate) * x + (1 - sigmoid(gate)) * np.maximum(fresh, 0)
        return x

    def layers(self, sentence: str, state: object = None) -> tuple[np.ndarray, object]:
        """(L + 1, T, 2P) activations of a sentence's tokens, and the state after it."""
        lstm = self.architecture["encoder"]
        stacks = [
            tuple(
                Cell(
                    self.part(f"{direction}_layer_{layer}.input_linearity.weight").T,
                    self.part(f"{direction}_layer_{layer}.state_linearity.weight").T,
                    self.part(f"{direction}_layer_{layer}.state_linearity.bias"),
                    self.part(f"{direction}_layer_{layer}.state_projection.weight").T,
                )
                for layer in range(lstm["n_layers"])
            )
            for direction in ("forward", "backward")
        ]
        clips = lstm["cell_clip"] or None, lstm["proj_clip"] or None
        oracle = Oracle((stacks[0], stacks[1]), {}, *clips, residual=True, forget_bias=0.0, gates="ifjo")
        return oracle.layers([self.vector(token) for token in ["<bos>", *sentence.split(" "), "<eos>"]], state)

    def part(self, name: str) -> np.ndarray:
        return self.encoder[name].astype(np.float64)


def make(
    *,
    words: int = 6,
    characters: int = 5,
    size: int = 8,
    cells: int = 11,
    layers: int = 3,
    filters: tuple[tuple[int, int], ...] = ((1, 3), (2, 4), (4, 2)),
    activation: str = "relu",
    clip: float | None = 0.5,
    seed: int = 1,
) -> Made:
    """Random weights, large enough for the clips to bite."""
    generator = np.random.default_rng(seed)

    def draw(*sizes: int) -> np.ndarray:
        return generator.normal(0, 0.6, sizes).astype(np.float32)

    tokens = {
        **{"name": "cnn", "activation": activation, "filters": [list(one) for one in filters], "n_highway": 2},
        **{"word_dim": words, "char_dim": characters, "max_characters_per_token": 12},
    }
    lstm = {
        **{"name": "elmo", "dim": cells, "projection_dim": size, "n_layers": layers},
        **{"cell_clip": clip, "proj_clip": clip},
    }
    made = Made({"encoder": lstm, "token_embedder": tokens, "dropout": 0.2, "classifier": {"name": "cnn_softmax"}})
    features = sum(count for _, count in filters) if characters else 0
    if words:
        made.embedder["word_emb_layer.embedding.weight"] = draw(len(WORDS), words)
    if characters:
        made.embedder["char_emb_layer.embedding.weight"] = draw(len(CHARACTERS), characters)
        for index, (width, count) in enumerate(filters):
            made.embedder[f"convolutions.{index}.weight"] = draw(count, characters, width)
            made.embedder[f"convolutions.{index}.bias"] = draw(count)
        for index in range(2):
            made.embedder[f"highways._layers.{index}.weight"] = draw(2 * features, features)
            made.embedder[f"highways._layers.{index}.bias"] = draw(2 * features)
    made.embedder["projection.weight"] = draw(size, words + features)
    made.embedder["projection.bias"] = draw(size)
    for direction in ("forward", "backward"):
        for layer in range(layers):
            name = f"{direction}_layer_{layer}"
            made.encoder[f"{name}.input_linearity.weight"] = draw(4 * cells, size)
            made.encoder[f"{name}.state_linearity.weight"] = draw(4 * cells, size)
            made.encoder[f"{name}.state_linearity.bias"] = draw(4 * cells)
            made.encoder[f"{name}.state_projection.weight"] = draw(size, cells)
    return made
