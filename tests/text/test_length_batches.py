"""Batches: every sentence once, within the budget, with little padding, and at random where that is asked for."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from elmo_cli.text.batches import length_batches

LENGTHS = st.lists(st.integers(0, 40), max_size=60).map(np.array)


@given(LENGTHS, st.integers(1, 100), st.none() | st.integers(1, 6), st.none() | st.integers(0, 3))
def test_each_sentence_once_within_the_budget(
    lengths: np.ndarray, max_tokens: int, max_sentences: int | None, seed: int | None
) -> None:
    batches = length_batches(lengths, max_tokens, max_sentences=max_sentences, seed=seed)
    found = [int(index) for batch in batches for index in batch]
    assert sorted(found) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= (max_sentences or len(lengths))
        assert len(batch) == 1 or len(batch) * max(1, lengths[batch].max()) <= max_tokens


def test_sorted_batches_by_hand() -> None:
    batches = length_batches(np.array([3, 9, 1, 2, 3]), 8)
    assert [batch.tolist() for batch in batches] == [[2, 3], [0, 4], [1]]


def test_seed_decides_the_order() -> None:
    lengths = np.random.default_rng(0).integers(1, 60, 2000)
    one, again, other = (length_batches(lengths, 512, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(left, right) for left, right in zip(one, again, strict=True))
    assert [batch.tolist() for batch in one] != [batch.tolist() for batch in other]
    widest = [int(lengths[batch].max()) for batch in one]
    assert widest != sorted(widest)


def test_pools_keep_padding_low() -> None:
    lengths = np.random.default_rng(0).integers(1, 60, 2000)
    cells = sum(len(batch) * int(lengths[batch].max()) for batch in length_batches(lengths, 512, seed=1))
    assert cells / int(lengths.sum()) < 1.25  # batches at random would come near 2
