"""Rows with counted n-grams: what they are made of, that nothing is trained for them, and what is left out and why."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from compareworld import change, results_of, run
from safetensors.torch import load_file, save_file

from elmo_cli.config import Experiment
from elmo_cli.errors import ConfigError
from elmo_cli.events import ClassifierDone, Finished
from elmo_cli.ngrams.joint import join
from elmo_cli.runs import load_classifier
from elmo_cli.training.classify import classify_run


@pytest.fixture
def both(world: Experiment) -> Experiment:
    return change(world, "compare", ngrams=True)


def rows_of(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in results["rows"]}


def test_each_row_stands_once_more_beside_itself(both: Experiment) -> None:
    results = results_of(both)
    assert list(rows_of(results)) == [
        *("all.txt", "all.txt + n-grams", "half.txt", "half.txt + n-grams"),
        *("lm trainable", "lm trainable + n-grams", "lm function", "lm function + n-grams"),
        *("n-grams", "TF-IDF + SVM"),
    ]
    for name, row in rows_of(results).items():
        assert row["ngrams"] == ("n-grams" in name)
        assert np.sum(row["confusion"]["test"]) == 30 * len(row["seeds"])
        assert np.sum(row["confusion"]["train"]) == 60 * len(row["seeds"])
    joined = rows_of(results)["lm trainable + n-grams"]
    assert (joined["kind"], joined["lm"], joined["mode"]) == ("lm", "lm", "trainable")
    alone = rows_of(results)["n-grams"]["seeds"][0]
    for one, own in zip(joined["seeds"], rows_of(results)["lm trainable"]["seeds"], strict=True):
        parts = one["ngrams"]["valid"]
        assert parts["together"] == {"accuracy": one["valid"]["accuracy"], "loss": one["valid"]["loss"]}
        assert parts["embedder"]["accuracy"] == own["valid"]["accuracy"]
        assert parts["embedder"]["loss"] == pytest.approx(own["valid"]["loss"], rel=0.01)
        assert parts["ngrams"]["accuracy"] == alone["valid"]["accuracy"]
    best = max(results["rows"], key=lambda row: row["valid_accuracy"])
    assert rows_of(results)[results["recommended"]]["valid_accuracy"] == best["valid_accuracy"]
    assert f"The row to use is {results['recommended']}" in results["conclusion"]


def test_a_row_is_what_classify_makes(both: Experiment) -> None:
    experiment = change(both, "compare", baselines=(), lambdas=("trainable",), seeds=1)
    row = rows_of(results_of(experiment))["lm trainable + n-grams"]
    finished = list(classify_run(experiment, device="cpu"))[-1]
    assert isinstance(finished, Finished)
    assert finished.results["ngrams"]["weights"] == pytest.approx(row["seeds"][0]["ngrams"]["weights"], abs=1e-3)
    assert finished.results["test"]["accuracy"] == row["accuracy"]
    loaded = load_classifier(experiment.output / "classify-trainable")
    assert loaded.ngrams is not None
    assert loaded.ngrams.weights == pytest.approx(finished.results["ngrams"]["weights"])


def test_they_are_made_of_the_answers_that_are_kept(both: Experiment) -> None:
    experiment = change(both, "compare", baselines=(), lambdas=("trainable",), seeds=1, fractions=(0.5,))
    results = results_of(experiment)
    weights = rows_of(results)["lm trainable + n-grams"]["seeds"][0]["ngrams"]["weights"]
    kept = load_file(experiment.output / "compare" / "predictions" / "0001.safetensors")
    assert kept["valid_probabilities"].shape == (6, 2)
    assert kept["train_probabilities"].shape == (60, 2)
    half = load_file(experiment.output / "compare" / "predictions" / "0002.safetensors")
    assert half.keys() == {"test_predicted", "test_probabilities", "valid_probabilities"}
    shares = kept["test_probabilities"].numpy()
    even = join(shares, np.full_like(shares, 0.5), tuple(weights))  # n-grams that know nothing
    assert (even.argmax(1) == shares.argmax(1)).all()
    curve = results["curves"][0]["rows"]
    assert [row["name"] for row in curve] == [row["name"] for row in results["rows"]]


def test_a_comparison_without_them_gets_them_without_training(world: Experiment, both: Experiment) -> None:
    before = rows_of(results_of(world))
    assert not any("n-grams" in name for name in before)
    events = run(both, resume=True)
    assert not any(isinstance(event, ClassifierDone) for event in events)
    finished = events[-1]
    assert isinstance(finished, Finished)
    after = rows_of(finished.results)
    assert after["lm trainable"]["seeds"] == before["lm trainable"]["seeds"]
    assert "lm trainable + n-grams" in after


def test_a_comparison_of_an_earlier_elmo_says_what_is_left_out(world: Experiment, both: Experiment) -> None:
    run(world)
    path = world.output / "compare"
    for file in (path / "predictions").iterdir():
        kept = load_file(file)
        save_file({name: kept[name] for name in kept if name.startswith("test_") or name == "train_predicted"}, file)
    description = (path / "run.yaml").read_text(encoding="utf-8")
    (path / "run.yaml").write_text(description.replace("    ngrams: true\n", ""), encoding="utf-8")
    finished = run(both, resume=True)[-1]
    assert isinstance(finished, Finished)
    assert [name for name in rows_of(finished.results) if "n-grams" in name] == ["n-grams"]
    told = [warning for warning in finished.results["warnings"] if "earlier elmo" in warning]
    assert len(told) == 1
    assert "all.txt, half.txt, lm trainable, lm function" in told[0]
    assert "--overwrite" in told[0]


def test_a_row_with_them_can_be_named_to_compare_with(both: Experiment) -> None:
    experiment = change(both, "compare", baselines=(), lambdas=("trainable",), against="lm trainable + n-grams")
    assert results_of(experiment)["reference"] == "lm trainable + n-grams"
    with pytest.raises(ConfigError, match="no row is called so"):
        run(change(experiment, "compare", ngrams=False), overwrite=True)


def test_no_test_text_is_fitted(both: Experiment) -> None:
    assert both.data.test is not None
    experiment = change(both, "compare", baselines=(), lambdas=("layer:0",), seeds=1)
    first = rows_of(results_of(experiment))["n-grams"]["seeds"][0]
    lines = both.data.test.read_text(encoding="utf-8").splitlines()
    other = [lines[0], *(f"{line.partition(',')[0]},other words altogether" for line in lines[1:])]
    both.data.test.write_text("\n".join(other) + "\n", encoding="utf-8")
    second = rows_of(results_of(experiment, overwrite=True))["n-grams"]["seeds"][0]
    assert {key: first[key] for key in ("C", "features", "valid")} == {
        key: second[key] for key in ("C", "features", "valid")
    }
    assert json.dumps(first) != json.dumps(second)
