"""Adds what becomes of activations before they are written: layers chosen, tokens pooled, parts put together.

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
from elmo_cli.inference.dump_formats import Sentence, Sink, Values
from elmo_cli.text.encoded import EncodedCorpus

Layers = NamedLayers | int

IN_MEMORY = 64 << 20  # bytes of a sentence


@dataclass(frozen=True)
class Form:
    """What is written of a sentence's activations (L, T, W).

    Attributes:
        count: L.
        width: W.
        layers: All of them (L, ...), or one or their mean (...).
        pool: Over the T tokens; an empty sentence pools to zeros.
        dtype: Of the numbers in the file.

    Raises:
        ConfigError: There is no such layer.
    """

    count: int
    width: int
    layers: Layers
    pool: DumpPooling
    dtype: Dtype

    def __post_init__(self) -> None:
        if isinstance(self.layers, int) and not 0 <= self.layers < self.count:
            raise ConfigError(
                f"there is no layer {self.layers}",
                expected=f"all, top, average, or 0 to {self.count - 1}",
                remedy="layer 0 are the token vectors; leave --layers out for all",
            )

    def shape(self, tokens: int) -> tuple[int, ...]:
        """Of the dataset of a sentence."""
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


class Writer:
    """Puts the parts of a piece of the input together, sentence by sentence, and hands them to a sink.

    Args:
        sink: Takes whole sentences, in their order where it wants it so.
        form: What is written.
        texts: The sentences of the piece.
        corpus: Their tokens.
        first: The number of its first sentence.
    """

    def __init__(self, sink: Sink, form: Form, texts: Sequence[str], corpus: EncodedCorpus, first: int) -> None:
        self._sink, self._form, self._texts, self._corpus, self._first = sink, form, texts, corpus, first
        self._lengths = corpus.lengths
        # Of sentences that are not whole yet: what there is of them, and the columns of tokens that are yet to come.
        self._open: dict[int, tuple[Any, int]] = {}
        # Of sentences that are whole before their turn: their values.
        self._early: dict[int, Values] = {}
        self._next = 0

    def write(self, parts: Sequence[Part]) -> int:
        """Take parts; returns how many sentences are whole with them."""
        return sum(self._write(part) for part in parts)

    def _write(self, part: Part) -> bool:
        number, tokens, form = part.sentence, int(self._lengths[part.sentence]), self._form
        values = form.choose(part.layers)
        if values.shape[-2:] == (tokens, form.width):
            self._put(number, self._pool(values))
            return True
        held, missing = self._open.get(number) or (self._begin(number, tokens), tokens * form.width)
        if form.pool == "none":
            held[..., part.start : part.start + values.shape[-2], part.columns] = values
        elif form.pool == "mean":
            held[..., part.columns] += values.sum(axis=-2, dtype=np.float64) / tokens
        else:
            np.maximum(held[..., part.columns], values.max(axis=-2), out=held[..., part.columns])
        missing -= values.shape[-2] * values.shape[-1]
        self._open[number] = held, missing
        if missing:
            return False
        del self._open[number]
        if isinstance(held, np.ndarray):  # otherwise it is in its place already
            self._put(number, held)
        return True

    def _begin(self, number: int, tokens: int) -> Any:
        """What is to be filled, or what a pooling starts from."""
        shape = self._form.shape(tokens)
        if self._form.pool == "none":
            room = self._sink.room(self._sentence(number), shape)
            return _scratch(shape, self._form.dtype) if room is None else room
        return np.zeros(shape) if self._form.pool == "mean" else np.full(shape, -np.inf)

    def _pool(self, values: Values) -> Values:
        """(..., T, W) as it is, or over its tokens."""
        if self._form.pool == "none":
            return values
        if not values.shape[-2]:
            return np.zeros((*values.shape[:-2], values.shape[-1]))
        pooled: Values = values.mean(axis=-2, dtype=np.float64) if self._form.pool == "mean" else values.max(axis=-2)
        return pooled

    def _put(self, number: int, values: Values) -> None:
        if not self._sink.ordered:
            self._sink.put(self._sentence(number), values)
            return
        self._early[number] = values
        while self._next in self._early:
            self._sink.put(self._sentence(self._next), self._early.pop(self._next))
            self._next += 1

    def _sentence(self, number: int) -> Sentence:
        return Sentence(self._first + number, self._texts[number], self._corpus, number)


def _scratch(shape: tuple[int, ...], dtype: Dtype) -> Values:
    """Room for a long sentence until it is whole: in memory, or on disk where it is large."""
    if int(np.prod(shape)) * np.dtype(dtype).itemsize <= IN_MEMORY:
        return np.empty(shape, dtype)
    with TemporaryFile() as file:  # without a name from the start; it is gone with the last use of the array
        return np.memmap(file, dtype, "w+", shape=shape)
