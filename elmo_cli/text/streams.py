"""Training windows of a biLM: sentences end to end in B rows, cut every T steps, both directions aligned.

A sentence of n tokens is n + 1 steps. Forward inputs are `<S>` w1..wn with targets w1..wn `</S>`; backward inputs are
`</S>` wn..w1 with targets wn..w1 `<S>`. Every step is predicted exactly once an epoch in each direction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elmo_cli.text.encoded import BOS, EOS, PAD, EncodedCorpus


@dataclass(frozen=True, eq=False)
class Window:
    """T steps of B rows; direction 0 is forward, 1 backward.

    Attributes:
        inputs: (2, B, T) type numbers.
        targets: (2, B, T) type numbers.
        reset: (B, T) whether a step is the first of its sentence, in either direction.
        mask: (B, T) whether a step is real; false only after the end of a row.
    """

    inputs: NDArray[np.int64]
    targets: NDArray[np.int64]
    reset: NDArray[np.bool_]
    mask: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where each sentence of an epoch lies, counted in steps from the epoch's beginning."""

    order: NDArray[np.int64]  # (S,) sentence at each place
    starts: NDArray[np.int64]  # (S,) first step of the sentence at each place
    row_starts: NDArray[np.int64]  # (B,) first step of each row
    row_ends: NDArray[np.int64]  # (B,) step after the last of each row


class Stream:
    """The windows of a corpus, epoch by epoch.

    Sentences are shuffled by seed and epoch. Row r takes those that begin in the r-th of B equal shares of all steps,
    so no sentence is cut between rows. An epoch holds two integers a sentence; windows are made when asked for.

    Args:
        corpus: The sentences.
        batch_size: B, rows.
        window: T, steps of a window.
        seed: Of the order of sentences.
        shuffle: False keeps the order of the corpus.
    """

    def __init__(self, corpus: EncodedCorpus, batch_size: int, window: int, seed: int, shuffle: bool = True) -> None:
        self.corpus = corpus
        self.batch_size = batch_size
        self.window = window
        self.seed = seed
        self.shuffle = shuffle
        self._lengths = corpus.lengths
        # One token at least, so that a corpus of empty sentences can be indexed too.
        self._tokens = corpus.tokens if len(corpus.tokens) else np.zeros(1, dtype=np.int32)
        self._laid_out: tuple[int, _Layout] | None = None

    @property
    def steps(self) -> int:
        """Steps that each of the two directions predicts in an epoch: tokens + sentences."""
        return self.corpus.token_count + len(self.corpus)

    def windows_per_epoch(self, epoch: int) -> int:
        """How many windows an epoch has; the shuffle moves it a little, as rows end with a sentence."""
        layout = self._layout(epoch)
        longest = int((layout.row_ends - layout.row_starts).max())
        return -(-longest // self.window)

    def epoch(self, number: int, start: int = 0) -> Iterator[Window]:
        """The windows of an epoch from window `start` on; the same ones whatever `start` is."""
        layout = self._layout(number)
        for index in range(start, self.windows_per_epoch(number)):
            yield self._cut(layout, index)

    def _layout(self, epoch: int) -> _Layout:
        if self._laid_out is None or self._laid_out[0] != epoch:
            self._laid_out = epoch, self._lay_out(epoch)
        return self._laid_out[1]

    def _lay_out(self, epoch: int) -> _Layout:
        count = len(self.corpus)
        order = np.arange(count)
        if self.shuffle:
            order = np.random.default_rng([self.seed, epoch]).permutation(count)
        edges = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(self._lengths[order] + 1)])
        starts, total = edges[:-1], int(edges[-1])
        # ceil(r * total / B) is the first step of share r; its row begins with the first sentence from there on.
        shares = -(-np.arange(self.batch_size + 1) * total // self.batch_size)
        rows = edges[np.searchsorted(starts, shares)]
        return _Layout(order, starts, rows[:-1], rows[1:])

    def _cut(self, layout: _Layout, index: int) -> Window:
        steps = layout.row_starts[:, None] + np.arange(index * self.window, (index + 1) * self.window)  # (B, T)
        mask = steps < layout.row_ends[:, None]
        place = np.searchsorted(layout.starts, steps, side="right") - 1
        sentence = layout.order[place]
        done = steps - layout.starts[place]  # steps of the sentence before this one
        left = self._lengths[sentence] - done  # tokens of the sentence still to come
        first, last = done == 0, left == 0
        begin = self.corpus.offsets[sentence] - self.corpus.offsets[0]
        inputs = np.stack(
            [
                np.where(first, BOS, self._take(begin + done - 1)),
                np.where(first, EOS, self._take(begin + left)),
            ]
        )
        targets = np.stack(
            [
                np.where(last, EOS, self._take(begin + done)),
                np.where(last, BOS, self._take(begin + left - 1)),
            ]
        )
        return Window(np.where(mask, inputs, PAD), np.where(mask, targets, PAD), first & mask, mask)

    def _take(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tokens at positions; those outside are clipped, as their values are never used."""
        return self._tokens.take(positions, mode="clip").astype(np.int64)
