"""Indexers and frames: ids and characters of each position are those of its token."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elmo_cli.config import TokenizerSettings
from elmo_cli.text.characters import character_ids
from elmo_cli.text.encoded import encode, encode_tokens
from elmo_cli.text.indexer import Indexer, frame
from elmo_cli.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(["<S>", "</S>", "<UNK>", "a", "b"], tokenizer=TokenizerSettings(kind="whitespace"))


def test_frame_with_and_without_marks() -> None:
    corpus = encode(["a b", "", "b"], str.split)
    numbers, lengths = frame(corpus, np.array([0, 1, 2]), True)
    assert numbers.tolist() == [[1, 3, 4, 2], [1, 2, 0, 0], [1, 4, 2, 0]]
    assert lengths.tolist() == [2, 0, 1]
    assert frame(corpus, [2, 0], False)[0].tolist() == [[4, 0], [3, 4]]
    assert frame(corpus, [1], True)[0].tolist() == [[1, 2]]
    assert frame(corpus, [], True)[0].shape == (0, 2)


def test_words_get_vocabulary_ids() -> None:
    corpus = encode(["a b z"], str.split)
    numbers, _ = frame(corpus, [0], True)
    indexed = Indexer("word", True, VOCABULARY).table(corpus.types).index(np.pad(numbers, ((0, 0), (0, 1))))
    assert indexed.ids.tolist() == [[1, 4, 5, 3, 2, 0]]
    assert indexed.ids.dtype == np.int64
    assert indexed.characters is None


def test_word_encoder_needs_a_vocabulary() -> None:
    for encoder in ("word", "word+char"):
        with pytest.raises(ValueError, match="needs a vocabulary"):
            Indexer(encoder, True, None)


@given(
    st.lists(st.lists(st.sampled_from(["a", "bc", "é", "zzzzzzzz"]), max_size=5), min_size=1, max_size=4), st.booleans()
)
def test_characters_of_each_position_are_its_token_s(sentences: list[list[str]], framed: bool) -> None:
    corpus = encode_tokens(sentences)
    numbers, _ = frame(corpus, np.arange(len(corpus)), framed)
    ids, characters, words = Indexer("char", framed, None, max_characters=6).table(corpus.types).index(numbers)
    assert characters is not None
    assert words is None
    assert ids.shape == numbers.shape
    assert characters[0].tolist() == [0] * 6
    assert len(characters) == len({0, *numbers.ravel().tolist()})  # each distinct token once
    expected = character_ids([corpus.types[number] for number in numbers.ravel()], 6)
    np.testing.assert_array_equal(characters[ids].reshape(-1, 6), expected)
    assert characters.dtype == ids.dtype == np.int64


def test_words_and_characters_go_together() -> None:
    corpus = encode(["a zz a", "yy b"], str.split)
    numbers, _ = frame(corpus, [0, 1], True)
    indexer = Indexer("word+char", True, VOCABULARY, max_characters=6)
    ids, characters, words = indexer.table(corpus.types).index(numbers)
    assert characters is not None
    assert words is not None
    assert words[ids].tolist() == [[1, 4, 3, 4, 2], [1, 3, 5, 2, 0]]
    assert words[0] == 0
    assert ids[0, 2] != ids[1, 1]  # both unknown, and spelt differently
    expected = character_ids([corpus.types[number] for number in numbers.ravel()], 6)
    np.testing.assert_array_equal(characters[ids].reshape(-1, 6), expected)


def test_words_are_looked_up_by_their_first_characters_where_the_model_does() -> None:
    vocabulary = Vocabulary(["<S>", "</S>", "<UNK>", "cat"], tokenizer=TokenizerSettings())
    types = ["", "<S>", "</S>", "cats", "cat", "ca"]
    cut = Indexer("word", True, vocabulary, 5, cut_words=True)
    assert cut.table(types).index(np.arange(6)).ids.tolist() == [0, 1, 2, 4, 4, 3]
    assert Indexer("word", True, vocabulary, 5).table(types).index(np.arange(6)).ids.tolist() == [0, 1, 2, 3, 4, 3]
