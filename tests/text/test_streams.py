"""Streams: windows by hand, and the promises that exact training and exact resuming rest on."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_cli.text.encoded import BOS, EOS, EncodedCorpus, encode, encode_tokens
from elmo_cli.text.streams import Stream, Window

Steps = list[tuple[int, int, bool]]  # input, target, reset

CORPORA = st.lists(st.lists(st.sampled_from("abcdef"), max_size=7), min_size=1, max_size=12)
SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 6))  # rows, steps of a window
# A corpus shuffled throughout, or in blocks of no more sentences than a window has steps.
WHOLE = st.sampled_from([1 << 17, 0])


def shuffled_whole_up_to(sentences: int):
    return patch.multiple("elmo_cli.text.streams", SHUFFLED_WHOLE=sentences, BLOCK=1)


def rows_of(windows: list[Window], direction: int) -> list[Steps]:
    """The real steps of each row, window after window."""
    rows: list[Steps] = [[] for _ in windows[0].mask]
    for window in windows:
        for row, step in np.argwhere(window.mask).tolist():
            cell = (direction, row, step)
            rows[row].append((int(window.inputs[cell]), int(window.targets[cell]), bool(window.reset[row, step])))
    return rows


def sentences_of(steps: Steps, direction: int) -> list[list[int]]:
    """The sentences of a row, by walking its steps as a language model would."""
    begin, end = (BOS, EOS) if direction == 0 else (EOS, BOS)
    sentences: list[list[int]] = []
    previous = end
    for source, target, reset in steps:
        assert reset == (previous == end)  # reset exactly where a sentence begins
        assert source == (begin if reset else previous)
        if reset:
            sentences.append([])
        if target != end:
            sentences[-1].append(target)
        previous = target
    assert previous == end  # no sentence is cut between rows
    return sentences if direction == 0 else [sentence[::-1] for sentence in sentences]


def same(one: Window, other: Window) -> bool:
    names = ("inputs", "targets", "reset", "mask")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def test_windows_by_hand() -> None:
    corpus = encode(["a b", "", "c"], str.split)  # 3 + 1 + 2 steps; the second share begins with step 3
    first, second = Stream(corpus, batch_size=2, window=2, seed=0, shuffle=False).epoch(0)
    a, b, c = 3, 4, 5
    assert first.inputs.tolist() == [[[1, a], [1, 1]], [[2, b], [2, 2]]]
    assert first.targets.tolist() == [[[a, b], [2, c]], [[b, a], [1, c]]]
    assert first.reset.tolist() == [[True, False], [True, True]]
    assert first.mask.all()
    assert second.inputs.tolist() == [[[b, 0], [c, 0]], [[a, 0], [c, 0]]]
    assert second.targets.tolist() == [[[2, 0], [2, 0]], [[1, 0], [1, 0]]]
    assert not second.reset.any()
    assert second.mask.tolist() == [[True, False], [True, False]]


def test_rows_begin_with_the_first_sentence_of_their_share() -> None:
    # Sentences begin at steps 0, 3, 4 and 6 of 7; the shares at 0, 2 1/3 and 4 2/3.
    corpus = encode(["a b", "", "c", ""], str.split)
    (window,) = Stream(corpus, batch_size=3, window=4, seed=0, shuffle=False).epoch(0)
    assert window.mask.sum(axis=1).tolist() == [3, 3, 1]
    # The second sentence begins at step 3 of 7, before the second share does, at 3 1/2.
    (window,) = Stream(encode(["a b", "c d e"], str.split), 2, 7, seed=0, shuffle=False).epoch(0)
    assert window.mask.sum(axis=1).tolist() == [7, 0]


@settings(max_examples=200)
@given(CORPORA, SHAPES, st.integers(0, 5), st.booleans(), WHOLE)
def test_every_step_is_predicted_once_in_each_direction(
    texts: list[list[str]], shape: tuple[int, int], epoch: int, shuffle: bool, whole: int
) -> None:
    corpus = encode_tokens(texts)
    batch, window = shape
    with shuffled_whole_up_to(whole):
        stream = Stream(corpus, batch, window, seed=7, shuffle=shuffle)
    windows = list(stream.epoch(epoch))
    assert len(windows) == stream.windows_per_epoch(epoch)
    assert all(found.inputs.shape == found.targets.shape == (2, batch, window) for found in windows)
    assert sum(int(found.mask.sum()) for found in windows) == corpus.token_count + len(corpus)
    forward, backward = ([sentences_of(row, direction) for row in rows_of(windows, direction)] for direction in (0, 1))
    assert forward == backward  # both directions hold the same sentences in the same order, row by row
    flat = [sentence for row in forward for sentence in row]
    expected = [corpus.sentence(index).tolist() for index in range(len(corpus))]
    assert sorted(flat) == sorted(expected)
    assert shuffle or flat == expected


@given(CORPORA, SHAPES)
def test_masked_steps_are_padding_after_a_row_s_end(texts: list[list[str]], shape: tuple[int, int]) -> None:
    windows = list(Stream(encode_tokens(texts), *shape, seed=1).epoch(0))
    mask = np.concatenate([window.mask for window in windows], axis=1)
    assert (np.diff(mask.astype(int), axis=1) <= 0).all()  # once false, false to the end
    assert mask[:, -len(windows[-1].mask[0]) :].any()  # no window is all padding
    for window in windows:
        assert not window.inputs[:, ~window.mask].any()
        assert not window.targets[:, ~window.mask].any()
        assert not window.reset[~window.mask].any()


@given(CORPORA, SHAPES, st.integers(0, 8), WHOLE)
def test_resuming_yields_the_same_windows(
    texts: list[list[str]], shape: tuple[int, int], start: int, whole: int
) -> None:
    corpus = encode_tokens(texts)
    with shuffled_whole_up_to(whole):
        through = list(Stream(corpus, *shape, seed=3).epoch(2))
        resumed = list(Stream(corpus, *shape, seed=3).epoch(2, start=start))
    assert len(resumed) == max(0, len(through) - start)
    assert all(same(one, other) for one, other in zip(through[start:], resumed, strict=True))


def test_a_large_corpus_is_shuffled_and_laid_out_in_blocks() -> None:
    corpus = encode([str(number) for number in range(100)], str.split)  # 100 sentences of one token, 2 steps each
    with patch.multiple("elmo_cli.text.streams", SHUFFLED_WHOLE=99, BLOCK=10):
        stream = Stream(corpus, batch_size=2, window=5, seed=1)
        windows = []
        for window in stream.epoch(0):
            windows.append(window)
            assert len(stream._layout(0).order) <= 2 * 2 * 10  # two blocks of a row at most
    rows = [sentences_of(row, 0) for row in rows_of(windows, 0)]
    numbers = [sentence[0] - 3 for row in rows for sentence in row]
    blocks = [sorted(numbers[start : start + 10]) for start in range(0, 100, 10)]
    assert sorted(blocks) == [list(range(start, start + 10)) for start in range(0, 100, 10)]
    assert blocks != sorted(blocks)
    assert all(numbers[start : start + 10] != sorted(numbers[start : start + 10]) for start in range(0, 100, 10))


@given(CORPORA)
def test_rows_differ_by_less_than_two_sentences(texts: list[list[str]]) -> None:
    windows = list(Stream(encode_tokens(texts), 3, 4, seed=1).epoch(0))
    lengths = sum(window.mask.sum(axis=1) for window in windows)
    assert lengths.max() - lengths.min() <= 2 * (max(map(len, texts)) + 1)


def epoch_order(corpus: EncodedCorpus, seed: int, epoch: int) -> list[list[int]]:
    return sentences_of(rows_of(list(Stream(corpus, 1, 50, seed).epoch(epoch)), 0)[0], 0)


def test_order_depends_on_seed_and_epoch_alone() -> None:
    corpus = encode([str(number) for number in range(50)], str.split)
    orders = [epoch_order(corpus, seed, epoch) for seed in (1, 2) for epoch in (0, 1)]
    assert all(one != other for place, one in enumerate(orders) for other in orders[:place])
    assert epoch_order(corpus, 1, 1) == orders[1]
    stream = Stream(corpus, 1, 50, 1)
    interleaved = zip(stream.epoch(0), stream.epoch(1), strict=True)  # two epochs at once do not disturb each other
    assert all(not same(one, other) for one, other in interleaved)


def test_part_of_a_corpus_and_empty_sentences() -> None:
    corpus = encode(["a b c", "", "d", ""], str.split)
    (window,) = Stream(corpus.slice(1, 3), 1, 3, seed=0, shuffle=False).epoch(0)
    assert window.targets.tolist() == [[[2, 6, 2]], [[1, 6, 1]]]
    (window,) = Stream(corpus.slice(3, 4), 2, 1, seed=0).epoch(0)
    assert window.targets[:, window.mask].tolist() == [[2], [1]]
    assert window.mask.sum() == 1


def test_no_sentences_are_no_windows() -> None:
    stream = Stream(encode([], str.split), 2, 3, seed=0)
    assert list(stream.epoch(0)) == []
