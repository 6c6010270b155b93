"""Labelled texts: how they are split and cut, and which labels are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tinyworld import TOKENIZER, make_corpus, make_experiment, write_csv

from elmo_cli.errors import DataError
from elmo_cli.training.labelled import cut_sentences, read_corpus, split


def test_split_by_hand() -> None:
    labels = np.array([0] * 20 + [1] * 10 + [2])
    fit, valid = split(labels, 0.1, seed=1)
    assert sorted([*fit, *valid]) == list(range(31))
    assert np.bincount(labels[valid]).tolist() == [2, 1]
    assert 30 in fit  # the only text of its class is trained on
    again = split(labels, 0.1, seed=1)
    assert (again[1] == valid).all()
    assert any((split(labels, 0.1, seed=seed)[1] != valid).any() for seed in range(2, 6))
    pairs = np.array([0, 0, 1, 1])
    fit, valid = split(pairs, 0.1, seed=1)  # of two texts one, however small the share
    assert np.bincount(pairs[valid]).tolist() == np.bincount(pairs[fit]).tolist() == [1, 1]
    assert sorted(valid) == valid.tolist()
    with pytest.raises(DataError, match="held out"):
        split(np.array([0, 1]), 0.1, seed=1)


def test_long_texts_are_cut_at_the_end() -> None:
    corpus = make_corpus([("money", "a b c d"), ("money", ""), ("money", "e f"), ("money", "g h i")]).corpus
    cut, count = cut_sentences(corpus, 2)
    words = [[cut.types[number] for number in cut.sentence(row)] for row in range(len(cut))]
    assert words == [["a", "b"], [], ["e", "f"], ["g", "h"]]
    assert count == 2
    assert cut_sentences(corpus, 4) == (corpus, 0)


def test_labels_that_training_never_saw_are_named(tmp_path: Path) -> None:
    numbered = write_csv(tmp_path / "test.csv", [("1", "a b"), ("2", "c d"), ("1", "e")])
    with pytest.raises(DataError, match="never saw: '1', '2'") as caught:
        read_corpus(numbered, make_experiment(tmp_path).data, TOKENIZER, 8, ("money", "sports"))
    assert caught.value.where == str(numbered)
    assert "names for its labels and the other numbers" in str(caught.value.remedy)
    other = write_csv(tmp_path / "other.csv", [("money", "a b"), ("arts", "c d")])
    with pytest.raises(DataError, match="never saw: 'arts'") as caught:
        read_corpus(other, make_experiment(tmp_path).data, TOKENIZER, 8, ("money", "sports"))
    assert "names for its labels" not in str(caught.value.remedy)


def test_of_many_or_long_labels_the_beginning_is_shown(tmp_path: Path) -> None:
    """Up to 5 labels that are new and 20 that are known, and 40 characters of each."""

    def refusal(labels: list[str], classes: int) -> DataError:
        path = write_csv(tmp_path / "test.csv", [(label, "a b") for label in labels])
        known = [f"k{number:02}" for number in range(classes)]
        with pytest.raises(DataError) as caught:
            read_corpus(path, make_experiment(tmp_path).data, TOKENIZER, 8, known)
        return caught.value

    few = refusal(list("abcde"), 20)
    assert few.message.endswith("never saw: 'a', 'b', 'c', 'd', 'e'")
    assert few.expected is not None
    assert few.expected.endswith("'k18', 'k19'")
    many = refusal(list("abcdefg"), 23)
    assert many.message.endswith("'e' and 2 more")
    assert many.expected is not None
    assert many.expected.endswith("'k19' and 3 more")
    assert refusal(["x" * 40], 2).message.endswith(f"'{'x' * 40}'")
    assert refusal(["x" * 41], 2).message.endswith(f"'{'x' * 39}…'")
