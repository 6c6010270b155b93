"""Counted n-grams against scikit-learn's vectoriser, and that nothing is counted of texts that were not chosen."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from elmo_cli.ngrams.features import NgramFeatures
from elmo_cli.text.encoded import encode, encode_tokens

TEXTS = (
    "The cat sat on the mat",
    "the Cat sat , and the dog sat",
    "A dog and a cat",
    "",
    "naïve cats sat on mats on mats",
    "ÜBER über 猫 on on on",
)


def words_and_pairs(text: str) -> list[str]:
    tokens = text.lower().split()
    return [*tokens, *(f"{first} {second}" for first, second in pairwise(tokens))]


def characters(text: str) -> list[str]:
    padded = [f" {token} " for token in text.lower().split()]
    return [word[at : at + size] for word in padded for size in range(2, 6) for at in range(len(word) - size + 1)]


def dense(features: NgramFeatures, texts: tuple[str, ...]) -> NDArray[np.float64]:
    return features.transform(encode(texts, str.split), np.arange(len(texts))).toarray()


def named(features: NgramFeatures) -> list[str]:
    pairs = [f"{features.words[first]} {features.words[second]}" for first, second in features.pairs.tolist()]
    return [*features.words, *pairs, *features.characters]


def test_both_blocks_are_those_of_scikit_learn() -> None:
    features = NgramFeatures.fit(encode(TEXTS, str.split), np.arange(len(TEXTS)))
    new = ("the cat sat on unknown mats", "dog", "")
    for texts in (TEXTS, new):
        found, names = dense(features, texts), named(features)
        split = len(features.words) + len(features.pairs)
        for analyzer, columns in ((words_and_pairs, slice(0, split)), (characters, slice(split, None))):
            oracle = TfidfVectorizer(analyzer=analyzer, sublinear_tf=True, min_df=2).fit(TEXTS)
            order = [oracle.vocabulary_[name] for name in names[columns]]
            assert sorted(order) == list(range(len(oracle.vocabulary_)))
            np.testing.assert_allclose(found[:, columns], oracle.transform(texts).toarray()[:, order], atol=1e-6)


def test_only_the_chosen_texts_are_counted() -> None:
    chosen = np.array([0, 1, 4])
    whole = NgramFeatures.fit(encode(TEXTS, str.split), chosen)
    alone = NgramFeatures.fit(encode([TEXTS[index] for index in chosen], str.split), np.arange(3))
    assert named(whole) == named(alone)
    np.testing.assert_array_equal(whole.idf, alone.idf)


def test_a_text_means_the_same_in_any_company() -> None:
    features = NgramFeatures.fit(encode(TEXTS, str.split), np.arange(len(TEXTS)))
    together = dense(features, TEXTS)
    for text, row in zip(TEXTS, together, strict=True):
        np.testing.assert_allclose(dense(features, (text,))[0], row)


def test_pairs_do_not_reach_from_text_to_text() -> None:
    texts = ("a b", "c d", "a b", "c d")
    features = NgramFeatures.fit(encode(texts, str.split), np.arange(4))
    assert set(named(features)[4:6]) == {"a b", "c d"}
    assert len(features.pairs) == 2


@pytest.mark.parametrize("texts", [("", "", ""), ("a", "b", "c")])
def test_texts_without_anything_in_common_have_no_features(texts: tuple[str, ...]) -> None:
    features = NgramFeatures.fit(encode(texts, str.split), np.arange(3))
    assert len(features) == 0
    assert dense(features, ("a b",)).shape == (1, 0)


def test_a_zero_byte_is_part_of_no_gram() -> None:
    features = NgramFeatures.fit(encode_tokens([["a\0b"], ["a\0b"], ["a\0b"]]), np.arange(3))
    assert not any("\0" in name for name in named(features))
    assert features.words == ("ab",)
