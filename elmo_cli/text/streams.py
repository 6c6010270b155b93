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

SHUFFLED_WHOLE, BLOCK = 1 << 17, 1 << 14  # sentences


@dataclass(frozen=True, eq=False)
class Window:
    """T steps of B rows; direction 0 is forward, 1 backward."""

    inputs: NDArray[np.int64]  # (2, B, T) type numbers
    targets: NDArray[np.int64]  # (2, B, T) type numbers
    reset: NDArray[np.bool_]  # (B, T) whether a step is the first of its sentence, in either direction
    mask: NDArray[np.bool_]  # (B, T) whether a step is real; false only after the end of a row


class _Layout:
    """Where each sentence of an epoch lies, counted in steps from the epoch's beginning.

    The corpus is cut in blocks of sentences that follow each other; blocks are shuffled, and the sentences in each.
    Only the blocks that a window needs are laid out, so neither time nor memory grows with the corpus. A corpus of one
    block is shuffled throughout.
    """

    def __init__(self, offsets: NDArray[np.int64], blocks: int, rows: int, seed: list[int] | None) -> None:
        count = len(offsets) - 1
        self._offsets = offsets
        self._seed = seed
        self._bounds = np.arange(blocks + 1) * count // blocks  # (K + 1,) sentences
        self._blocks = np.arange(blocks)  # (K,) block at each place
        if seed is not None and blocks > 1:
            np.random.default_rng(seed).shuffle(self._blocks)
        steps = np.diff(offsets[self._bounds]) + np.diff(self._bounds)
        self._edges = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(steps[self._blocks])])  # (K + 1,) steps
        self._here = np.zeros(0, dtype=np.int64)  # places of the blocks that are laid out, ascending
        self.order: NDArray[np.integer] = self._here  # sentences of these blocks
        self.starts = self._here  # first step of each
        total = int(self._edges[-1])
        # ceil(r * total / B) is the first step of share r; its row begins with the first sentence from there on.
        shares = -(-np.arange(rows + 1) * total // rows)
        ends = np.array([self._first_from(share) if share < total else total for share in shares.tolist()])
        self.row_starts, self.row_ends = ends[:-1], ends[1:]  # (B,) steps

    def reach(self, steps: NDArray[np.int64]) -> None:
        """Lay out the blocks that hold these steps, and forget the others."""
        found = np.searchsorted(self._edges, steps, side="right") - 1
        needed = np.unique(found.clip(0, len(self._blocks) - 1))
        if np.isin(needed, self._here, assume_unique=True).all():
            return
        cuts = np.searchsorted(self.starts, self._edges[self._here])
        parts = zip(np.split(self.order, cuts)[1:], np.split(self.starts, cuts)[1:], strict=True)
        kept = dict(zip(self._here.tolist(), parts, strict=True))
        orders, starts = zip(*[kept.get(place) or self._lay_out(place) for place in needed.tolist()], strict=True)
        self._here, self.order, self.starts = needed, np.concatenate(orders), np.concatenate(starts)

    def _lay_out(self, place: int) -> tuple[NDArray[np.integer], NDArray[np.int64]]:
        """The sentences of a block in their order, and the first step of each."""
        block = int(self._blocks[place])
        begin, end = self._bounds[block : block + 2].tolist()
        order: NDArray[np.integer] = np.arange(begin, end, dtype=np.int32 if end < 2**31 else np.int64)
        if self._seed is not None:
            np.random.default_rng(self._seed if len(self._blocks) == 1 else [*self._seed, block]).shuffle(order)
        starts = np.cumsum(self._offsets[1:][order] - self._offsets[order] + 1)
        return order, np.concatenate([np.zeros(1, dtype=np.int64), starts[:-1]]) + self._edges[place]

    def _first_from(self, step: int) -> int:
        """The first step from `step` on at which a sentence begins."""
        place = int(np.searchsorted(self._edges, step, side="right")) - 1
        starts = self._lay_out(place)[1]
        index = int(np.searchsorted(starts, step))
        return int(starts[index] if index < len(starts) else self._edges[place + 1])


class Stream:
    """The windows of a corpus, epoch by epoch: T steps (`window`) of B rows (`batch_size`), made when asked for.

    Sentences are shuffled by seed and epoch: throughout up to 131,072 of them, and of larger corpora in blocks of
    16,384 or more; or stay as they are. Row r takes those that begin in the r-th of B equal shares of all steps, so no
    sentence is cut between rows. Of n ranks, rank r has rows r, r + n, ... of each window (`share` is r, n).
    """

    def __init__(
        self,
        corpus: EncodedCorpus,
        batch_size: int,
        window: int,
        seed: int,
        shuffle: bool = True,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.corpus, self.batch_size, self.window = corpus, batch_size, window
        self._rows = slice(share[0], None, share[1])
        self.seed, self.shuffle = seed, shuffle
        # No block has fewer steps than a window, so that a row of a window lies in two of them at most.
        self._blocks = len(corpus) // max(BLOCK, window) if len(corpus) > SHUFFLED_WHOLE else 1
        # One token at least, so that a corpus of empty sentences can be indexed too.
        self._tokens = corpus.tokens if len(corpus.tokens) else np.zeros(1, dtype=np.int32)
        self._laid_out: tuple[int, _Layout] | None = None

    def windows_per_epoch(self, epoch: int) -> int:
        """How many windows an epoch has; the shuffle moves it a little, as rows end with a sentence."""
        layout = self._layout(epoch)
        return -(-int((layout.row_ends - layout.row_starts).max()) // self.window)

    def epoch(self, number: int, start: int = 0) -> Iterator[Window]:
        """The windows of an epoch from window `start` on; the same ones whatever `start` is."""
        layout = self._layout(number)
        for index in range(start, self.windows_per_epoch(number)):
            yield self._cut(layout, index)

    def _layout(self, epoch: int) -> _Layout:
        if self._laid_out is None or self._laid_out[0] != epoch:
            seed = [self.seed, epoch] if self.shuffle else None
            self._laid_out = epoch, _Layout(self.corpus.offsets, max(1, self._blocks), self.batch_size, seed)
        return self._laid_out[1]

    def _cut(self, layout: _Layout, index: int) -> Window:
        starts, ends = layout.row_starts[self._rows, None], layout.row_ends[self._rows, None]
        steps = starts + np.arange(index * self.window, (index + 1) * self.window)  # (B, T)
        mask = steps < ends
        layout.reach(steps[:, [0, -1]].clip(max=ends - 1))
        place = np.searchsorted(layout.starts, steps, side="right") - 1
        sentence = layout.order[place]
        done = steps - layout.starts[place]  # steps of the sentence before this one
        offsets = self.corpus.offsets
        begin = offsets[sentence] - offsets[0]
        left = offsets[1:][sentence] - offsets[sentence] - done  # tokens of the sentence still to come
        first, last = done == 0, left == 0
        take = self._take
        inputs = [np.where(first, BOS, take(begin + done - 1)), np.where(first, EOS, take(begin + left))]
        targets = [np.where(last, EOS, take(begin + done)), np.where(last, BOS, take(begin + left - 1))]
        return Window(np.where(mask, inputs, PAD), np.where(mask, targets, PAD), first & mask, mask)

    def _take(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tokens at positions; those outside are clipped, as their values are never used."""
        return self._tokens.take(positions, mode="clip").astype(np.int64)
