"""Shares of the labelled texts: nested, stratified, the same for all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from compareworld import change, results_of, run
from tinyworld import make_corpus, make_texts

from elmo_cli.comparison.subsets import make_sizes
from elmo_cli.config import Experiment
from elmo_cli.errors import DataError
from elmo_cli.events import ClassifierDone
from elmo_cli.training.labelled import split

# 60 texts of one class, 20 of the other
CORPUS = make_corpus([row for row in make_texts(120) if row[0] == "money"] + make_texts(40)[::2])


def test_subsets_are_nested_and_stratified() -> None:
    whole, large, small = make_sizes(CORPUS, (0.1, 0.5), 0.25, seed=4)
    assert [size.fraction for size in (whole, large, small)] == [1.0, 0.5, 0.1]
    fit, valid = split(CORPUS.labels, 0.25, 4)
    np.testing.assert_array_equal(whole.fit, fit)
    np.testing.assert_array_equal(whole.valid, valid)
    for inner, outer in ((small, large), (large, whole)):
        assert set(inner.fit) < set(outer.fit)
        assert set(inner.valid) < set(outer.valid)
    # 45 and 15 texts to train on, 15 and 5 for validation
    counts = [[np.bincount(CORPUS.labels[part]).tolist() for part in (size.fit, size.valid)] for size in (large, small)]
    assert counts == [[[22, 8], [8, 2]], [[4, 2], [2, 1]]]
    assert len(large) == 40


def test_subsets_depend_on_the_seed_alone() -> None:
    cases = (((0.2,), 1), ((0.2, 1.0), 1), ((0.2,), 2))
    one, same, other = (make_sizes(CORPUS, shares, 0.25, seed)[-1] for shares, seed in cases)
    np.testing.assert_array_equal(one.fit, same.fit)
    assert set(one.fit) != set(other.fit)


def test_a_share_that_leaves_a_class_without_a_text() -> None:
    with pytest.raises(DataError, match="leaves no text of class 'sports' to train on: there are 15 in all") as caught:
        make_sizes(CORPUS, (0.03,), 0.25, seed=4)
    assert "0.067 and above" in str(caught.value)
    assert make_sizes(CORPUS, (0.067,), 0.25, seed=4)[-1].fit.size == 3 + 1


def test_curves_of_all_rows(world: Experiment) -> None:
    world = change(world, "compare", lambdas=("layer:0",), fractions=(0.5, 0.2))
    results = results_of(world)
    assert [(point["fraction"], point["texts"]) for point in results["curves"]] == [(0.2, 12), (0.5, 32), (1.0, 60)]
    names = [row["name"] for row in results["rows"]]
    for point in results["curves"]:
        assert [row["name"] for row in point["rows"]] == names
        assert point["trained_on"] + point["validation"] == point["texts"]
    for last, row in zip(results["curves"][-1]["rows"], results["rows"], strict=True):
        assert last == {key: row[key] for key in ("name", "accuracy", "sd", "interval", "valid_accuracy")}
    alone = results_of(change(world, "compare", fractions=()), out=Path(world.output / "alone"))
    assert alone["curves"] == []
    assert [row["accuracy"] for row in alone["rows"]] == [row["accuracy"] for row in results["rows"]]


def test_shares_may_be_added_later(world: Experiment) -> None:
    world = change(world, "compare", lambdas=("layer:0",), seeds=1)
    run(world)
    events = run(change(world, "compare", fractions=(0.5,)), resume=True)
    assert [event.fraction for event in events if isinstance(event, ClassifierDone)] == [0.5] * 4
    assert (world.output / "compare/curves.csv").is_file()
    run(world, resume=True)
    assert not (world.output / "compare/curves.csv").exists()
