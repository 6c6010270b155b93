"""Batches of whole sentences of similar length, so that little of them is padding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POOL_BATCHES = 32  # batches that are sorted by length among themselves when batches are drawn at random


def length_batches(
    lengths: NDArray[np.integer], max_tokens: int, *, max_sentences: int | None = None, seed: int | None = None
) -> list[NDArray[np.int64]]:
    """Group sentences into batches; every sentence is in exactly one.

    Args:
        lengths: (S,) cells that each sentence takes; an empty one takes a cell all the same.
        max_tokens: Most cells of a batch, padding included; a longer sentence is a batch of its own.
        max_sentences: Most sentences of a batch.
        seed: Draws sentences and batches at random, sorting by length only within a pool of some batches. None: all
            sorted, the shortest first.

    Returns:
        (B,) sentence indices of each batch.
    """
    cells = np.maximum(np.asarray(lengths, dtype=np.int64), 1)
    if seed is None:
        return _cut(np.argsort(cells, kind="stable"), cells, max_tokens, max_sentences)
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(cells))
    per_batch = max(1, int(max_tokens / cells.mean())) if len(cells) else 1
    pool = POOL_BATCHES * min(per_batch, max_sentences or per_batch)
    batches: list[NDArray[np.int64]] = []
    for start in range(0, len(order), pool):
        some = order[start : start + pool]
        batches += _cut(some[np.argsort(cells[some], kind="stable")], cells, max_tokens, max_sentences)
    return [batches[number] for number in generator.permutation(len(batches))]


def _cut(
    order: NDArray[np.int64], cells: NDArray[np.int64], max_tokens: int, max_sentences: int | None
) -> list[NDArray[np.int64]]:
    """Cut sentences in ascending length, so that a batch's widest is its last."""
    cuts = [0]
    for place, width in enumerate(cells[order].tolist()):
        size = place - cuts[-1] + 1
        if size > 1 and (size * width > max_tokens or (max_sentences is not None and size > max_sentences)):
            cuts.append(place)
    return np.split(order, cuts[1:]) if len(order) else []
