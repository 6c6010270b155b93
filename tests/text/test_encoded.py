"""Encoded corpora: numbering and views against plain lists."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from elmo_cli.text.encoded import RESERVED_TYPES, EncodedCorpus, encode, encode_tokens

SENTENCES = st.lists(st.lists(st.sampled_from(["a", "b", "c", "<S>", "</S>", "<UNK>"]), max_size=6), max_size=8)


def decode(corpus: EncodedCorpus) -> list[list[str]]:
    return [[corpus.types[number] for number in corpus.sentence(index)] for index in range(len(corpus))]


def test_types_are_numbered_as_they_appear() -> None:
    corpus = encode(["b a", "", "a c"], str.split)
    assert corpus.types == (*RESERVED_TYPES, "b", "a", "c")
    assert corpus.tokens.tolist() == [3, 4, 4, 5]
    assert corpus.offsets.tolist() == [0, 2, 2, 4]
    assert (corpus.tokens.dtype, corpus.offsets.dtype) == (np.int32, np.int64)
    assert corpus.lengths.tolist() == [2, 0, 2]
    assert (len(corpus), corpus.token_count) == (3, 4)
    assert corpus.counts().tolist() == [0, 0, 0, 1, 2, 1]


def test_literal_sentence_marks_are_the_reserved_types() -> None:
    corpus = encode_tokens([["<S>", "a", "</S>"]])
    assert corpus.tokens.tolist() == [1, 3, 2]
    assert corpus.types == ("", "<S>", "</S>", "a")


def test_nothing_is_a_corpus_too() -> None:
    corpus = encode([], str.split)
    assert (len(corpus), corpus.token_count) == (0, 0)
    assert corpus.counts().tolist() == [0, 0, 0]


@given(SENTENCES)
def test_sentences_come_back(sentences: list[list[str]]) -> None:
    corpus = encode_tokens(sentences)
    assert decode(corpus) == sentences
    assert len(set(corpus.types)) == len(corpus.types)


@given(SENTENCES, st.data())
def test_slices_are_those_of_the_list(sentences: list[list[str]], data: st.DataObject) -> None:
    corpus = encode_tokens(sentences)
    start, stop = data.draw(st.integers(-10, 10)), data.draw(st.integers(-10, 10))
    part = corpus.slice(start, stop)
    assert decode(part) == sentences[start:stop]
    assert part.types is corpus.types
    assert part.token_count == len(part.tokens) == part.counts().sum()
