"""From activations to what is written of a sentence: layers chosen, tokens pooled, parts put together.

A sentence may come in many parts. Where the file can be filled in place, it is never held whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from elmo_cli.config.choices import Dtype, DumpPooling, NamedLayers
from elmo_cli.embedder import Part
from elmo_cli.errors import ConfigError
from elmo_cli.inference.batching import Piece
from elmo_cli.inference.dump_formats import DumpFile, Sentence, Values

Layers = NamedLayers | int

IN_MEMORY = 64 << 20  # bytes of a sentence


@dataclass(frozen=True)
class Selection:
    """What is written of a sentence's activations (L, T, W).

    Raises:
        ConfigError: There is no such layer.
    """

    count: int  # L
    width: int  # W
    layers: Layers  # all of them (L, ...), or one or their mean (...)
    pool: DumpPooling  # over the T tokens; an empty sentence pools to zeros
    dtype: Dtype  # of the numbers in the file

    def __post_init__(self) -> None:
        if isinstance(self.layers, int) and not 0 <= self.layers < self.count:
            raise ConfigError(
                f"there is no layer {self.layers}",
                expected=f"all, top, average, or 0 to {self.count - 1}",
                remedy="layer 0 are the token vectors; the last number is the top layer",
            )

    def shape(self, tokens: int) -> tuple[int, ...]:
        """Shape of what is written of so many tokens."""
        layers = (self.count,) if self.layers == "all" else ()
        return (*layers, *((tokens,) if self.pool == "none" else ()), self.width)

    def choose(self, values: Values) -> Values:
        """The layers that are wanted, of (L, t, w)."""
        if self.layers == "all":
            return values
        if self.layers == "average":
            mean: Values = values.mean(axis=0)
            return mean
        chosen: Values = values[self.count - 1 if self.layers == "top" else self.layers]
        return chosen


class Assembly:
    """Puts the parts of a piece of the input together, and hands whole sentences to a file.

    Args:
        file: Takes them, in their order where it wants it so.
        selection: What is written.
        piece: The sentences.
        first: Number of the first of them in the input.
    """

    def __init__(self, file: DumpFile, selection: Selection, piece: Piece, first: int) -> None:
        self._file, self._selection, self._piece, self._first = file, selection, piece, first
        self._lengths = piece.corpus.lengths
        # Of sentences that are not whole yet: what there is of them, and how many numbers are yet to come.
        self._open: dict[int, tuple[Any, int]] = {}
        # Of sentences that are whole before their turn: their values.
        self._early: dict[int, Values] = {}
        self._next = 0

    def add(self, parts: Sequence[Part]) -> int:
        """Take parts; returns how many sentences are whole with them."""
        return sum(self._add(part) for part in parts)

    def _add(self, part: Part) -> bool:
        number, tokens, selection = part.sentence, int(self._lengths[part.sentence]), self._selection
        values = selection.choose(part.layers)
        if values.shape[-2:] == (tokens, selection.width):  # nearly always; and an empty sentence has no other part
            self._put(number, self._pooled(values))
            return True
        held, missing = self._open.get(number) or (self._begin(number, tokens), tokens * selection.width)
        if selection.pool == "none":
            held[..., part.start : part.start + values.shape[-2], part.columns] = values
        elif selection.pool == "mean":
            held[..., part.columns] += values.sum(axis=-2, dtype=np.float64) / tokens
        else:
            np.maximum(held[..., part.columns], values.max(axis=-2), out=held[..., part.columns])
        missing -= values.shape[-2] * values.shape[-1]
        self._open[number] = held, missing
        if missing:
            return False
        del self._open[number]
        if isinstance(held, np.ndarray):  # otherwise it was filled in the file itself
            self._put(number, held)
        return True

    def _begin(self, number: int, tokens: int) -> Any:
        """What is to be filled, or what a pooling starts from."""
        shape = self._selection.shape(tokens)
        if self._selection.pool == "none":
            room = self._file.room(self._sentence(number), shape, self._selection.dtype)
            return _scratch(shape, self._selection.dtype) if room is None else room
        return np.zeros(shape) if self._selection.pool == "mean" else np.full(shape, -np.inf)

    def _pooled(self, values: Values) -> Values:
        """(..., T, W) as it is, or over its tokens."""
        if self._selection.pool == "none":
            return values
        if not values.shape[-2]:
            return np.zeros((*values.shape[:-2], values.shape[-1]))
        mean = self._selection.pool == "mean"
        pooled: Values = values.mean(axis=-2, dtype=np.float64) if mean else values.max(axis=-2)
        return pooled

    def _put(self, number: int, values: Values) -> None:
        values = np.asarray(values, dtype=self._selection.dtype)
        if not self._file.ordered:
            self._file.put(self._sentence(number), values)
            return
        self._early[number] = values
        while self._next in self._early:
            self._file.put(self._sentence(self._next), self._early.pop(self._next))
            self._next += 1

    def _sentence(self, number: int) -> Sentence:
        return Sentence(self._first + number, self._piece.texts[number], self._piece.corpus, number)


def _scratch(shape: tuple[int, ...], dtype: Dtype) -> Values:
    """Room for a long sentence until it is whole: in memory, or on disk where it is large."""
    if int(np.prod(shape)) * np.dtype(dtype).itemsize <= IN_MEMORY:
        return np.empty(shape, dtype)
    with TemporaryFile() as file:  # without a name from the start; it is gone with the last use of the array
        return np.memmap(file, dtype, "w+", shape=shape)
