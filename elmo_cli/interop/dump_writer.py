"""Adds the writing of activations to HDF5, part by part: a sentence may come in many, and is never held whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from elmo_cli.embedder import Part
from elmo_cli.errors import ConfigError

Layers = Literal["all", "top", "average"] | int
Pool = Literal["none", "mean", "max"]
Dtype = Literal["float32", "float16"]

Values = NDArray[np.floating[Any]]


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
    pool: Pool
    dtype: Dtype

    def __post_init__(self) -> None:
        if isinstance(self.layers, int) and not 0 <= self.layers < self.count:
            raise ConfigError(
                f"there is no layer {self.layers}", expected=f"all, top, average, or 0 to {self.count - 1}"
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
    """Writes the sentences of a corpus as datasets.

    Args:
        file: Open for writing.
        form: What is written.
        lengths: (S,) tokens of each sentence.
        first: The name of sentence 0.
    """

    def __init__(self, file: h5py.File, form: Form, lengths: NDArray[np.int64], first: int) -> None:
        self._file, self._form, self._lengths, self._first = file, form, lengths, first
        # Of sentences that are not whole yet: what there is of them, and the columns of tokens that are yet to come.
        self._open: dict[int, tuple[Any, int]] = {}

    def write(self, parts: Sequence[Part]) -> int:
        """Take parts; returns how many sentences are whole with them."""
        return sum(self._write(part) for part in parts)

    def _write(self, part: Part) -> bool:
        number, tokens, form = part.sentence, int(self._lengths[part.sentence]), self._form
        values = form.choose(part.layers)
        if values.shape[-2:] == (tokens, form.width):
            self._create(number, self._pool(values))
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
        if form.pool != "none":
            self._create(number, held)
        return True

    def _begin(self, number: int, tokens: int) -> Any:
        """A dataset to be filled, or what a pooling starts from."""
        shape = self._form.shape(tokens)
        if self._form.pool == "none":
            return self._file.create_dataset(str(self._first + number), shape, dtype=self._form.dtype)
        return np.zeros(shape) if self._form.pool == "mean" else np.full(shape, -np.inf)

    def _pool(self, values: Values) -> Values:
        """(..., T, W) as it is, or over its tokens."""
        if self._form.pool == "none":
            return values
        if not values.shape[-2]:
            return np.zeros((*values.shape[:-2], values.shape[-1]))
        pooled: Values = values.mean(axis=-2, dtype=np.float64) if self._form.pool == "mean" else values.max(axis=-2)
        return pooled

    def _create(self, number: int, values: Values) -> None:
        """A dataset, by h5py's lower functions: in half the time of `create_dataset`, which counts for short ones."""
        whole = np.ascontiguousarray(values, dtype=self._form.dtype)
        space = h5py.h5s.create_simple(whole.shape)
        kind = h5py.h5t.py_create(whole.dtype)
        dataset = h5py.h5d.create(self._file.id, str(self._first + number).encode(), kind, space)
        if whole.size:
            dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, whole)
