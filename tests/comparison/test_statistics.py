"""Figures and conclusion, from answers made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from elmo_cli.comparison.statistics import RowResult, Trained, summarise
from elmo_cli.metrics.significance import holm

TEXTS = 200
TRUTH = np.arange(TEXTS) % 2


def make_row(name: str, kind: str, wrong: list[int], valid: float, valid_loss: float = 0.5) -> RowResult:
    """A row with a classifier for each entry of `wrong`, which gets so many of the first texts wrong."""
    classifiers = []
    for seed, count in enumerate(wrong, start=1):
        predicted = TRUTH.copy()
        predicted[:count] = 1 - predicted[:count]
        training = {"seed": seed, "valid": {"accuracy": valid, "loss": valid_loss, "examples": 20}}
        training |= {"lambdas": None, "gamma": None}
        classifiers.append(Trained(seed, predicted, training))
    facts = {"name": name, "kind": kind, "mode": name.split()[-1] if kind == "lm" else None, "tune": False}
    facts["lm"] = "lm" if kind == "lm" else None
    return RowResult({**facts, "unknown": {"test": {"rate": 0.125}}}, classifiers)


def make_reference(wrong: int, valid: float) -> RowResult:
    """The only fit of the reference, which is wrong on the last texts."""
    predicted = TRUTH.copy()
    predicted[TEXTS - wrong :] = 1 - predicted[TEXTS - wrong :]
    training = {"seed": 1, "valid": {"accuracy": valid, "loss": None, "examples": 20}}
    facts = {"name": "TF-IDF + SVM", "kind": "reference", "mode": None, "tune": None, "unknown": {}}
    return RowResult(facts, [Trained(1, predicted, training)])


def report(*rows: RowResult, against: str | None = None) -> dict:
    return summarise(rows, TRUTH, ["a", "b"], seed=1, resamples=4000, against=against)


def test_one_seed_by_hand() -> None:
    # 40 against 20 wrong, the 20 among the 40: 20 texts that only the LM has right, so p = 2 / 2^20
    results = report(make_row("w2v", "static", [40], 0.8), make_row("lm frozen", "lm", [20], 0.9))
    assert results["test"] == "McNemar's exact test"
    reference, other = results["rows"]
    assert (reference["accuracy"], other["accuracy"]) == (0.8, 0.9)
    assert reference["sd"] is None
    assert reference["p"] is None
    assert other["difference"] == pytest.approx(0.1)
    assert other["p"] == other["p_holm"] == pytest.approx(2 / 2**20)
    assert "one seed does not show" in results["conclusion"]
    assert "+10.0 points" in results["conclusion"]
    assert "lm frozen is better by more than chance" in results["conclusion"]


def test_several_seeds_by_hand() -> None:
    results = report(
        make_row("w2v", "static", [40, 44, 36], 0.8),
        make_row("lm frozen", "lm", [20, 24, 16], 0.9),
        make_row("lm function", "lm", [41, 40, 39], 0.85),
    )
    rows = {row["name"]: row for row in results["rows"]}
    assert rows["w2v"]["accuracy"] == pytest.approx(0.8)
    assert rows["w2v"]["sd"] == pytest.approx(0.02)
    low, high = rows["w2v"]["interval"]
    assert low < 0.8 < high
    assert rows["lm frozen"]["p"] == pytest.approx(1 / 4001)
    assert rows["lm frozen"]["p_holm"] == pytest.approx(2 / 4001)
    assert rows["lm frozen"]["significant"] is True
    assert rows["lm function"]["p"] > 0.5
    assert rows["lm function"]["significant"] is False
    assert [one["accuracy"] for one in rows["w2v"]["seeds"]] == pytest.approx([0.8, 0.78, 0.82])


def test_choices_are_made_on_validation_not_on_test() -> None:
    results = report(
        make_row("good on test", "static", [5], 0.7),
        make_row("good on validation", "static", [40], 0.8),
        make_row("lm frozen", "lm", [10], 0.85),
        make_row("lm function", "lm", [60], 0.9),
    )
    assert results["reference"] == "good on validation"
    assert results["best_mode"] == "function"
    pairs = [(pair["first"], pair["second"]) for pair in results["pairs"]]
    assert pairs == [
        ("good on test", "good on validation"),
        ("lm frozen", "good on validation"),
        ("lm function", "good on validation"),
        ("lm function", "good on test"),
    ]
    assert results["comparisons"] == 4
    # the best mode is 10 points worse than the reference: 20 texts lost, none won
    assert "good on validation is better by more than chance" in results["conclusion"]


def test_a_row_that_was_named_is_what_the_others_are_compared_with() -> None:
    rows = (
        make_row("svd", "static", [60, 60], 0.7),
        make_row("w2v", "static", [40, 40], 0.8),
        make_row("lm layer:1", "lm", [40, 40], 0.8),
        make_row("lm frozen", "lm", [20, 20], 0.9),
        make_reference(40, 0.8),
    )
    layer = report(*rows, against="lm layer:1")
    assert layer["reference"] == "lm layer:1"
    pairs = [(pair["first"], pair["second"]) for pair in layer["pairs"]]
    others = ["svd", "w2v", "lm frozen", "TF-IDF + SVM"]
    assert pairs == [(name, "lm layer:1") for name in others] + [
        ("lm frozen", name) for name in ("svd", "w2v", "TF-IDF + SVM")
    ]
    assert layer["rows"][3]["difference"] == pytest.approx(0.1)
    assert "lm layer:1 (named to compare with) is right on 80.0 %" in layer["conclusion"]
    assert "svd, lm frozen differ from it significantly" in layer["conclusion"]
    assert "they were not tested against each other" not in layer["conclusion"]
    static = report(*rows, against="svd")
    assert static["reference"] == "svd"
    assert "svd (named to compare with) on 70.0 %: the difference of +20.0 points" in static["conclusion"]
    reference = report(*rows, against="TF-IDF + SVM")
    assert [pair["second"] for pair in reference["pairs"]] == ["TF-IDF + SVM"] * 4 + ["svd", "w2v"]
    assert "TF-IDF + SVM (named to compare with) is right on 80.0 %" in reference["conclusion"]


def test_equal_validation_is_decided_by_its_loss() -> None:
    rows = [make_row("first", "static", [9], 0.8, 0.6), make_row("second", "static", [9], 0.8, 0.4)]
    assert report(*rows, make_row("lm frozen", "lm", [9], 0.8))["reference"] == "second"


def test_a_difference_by_chance_is_called_that() -> None:
    results = report(make_row("w2v", "static", [40], 0.8), make_row("lm frozen", "lm", [39], 0.9))
    assert "not significant" in results["conclusion"]
    assert "neither is shown to be better" in results["conclusion"]


def with_lambdas(row: RowResult, *weights: list[float]) -> RowResult:
    """The row, its classifiers with layer weights."""
    trained = [
        replace(one, training={**one.training, "lambdas": own})
        for one, own in zip(row.classifiers, weights, strict=True)
    ]
    return replace(row, classifiers=trained)


def test_the_conclusion_ranks_the_modes_and_tells_the_learned_lambdas() -> None:
    rows = [
        make_row("w2v", "static", [40, 41], 0.8),
        with_lambdas(make_row("lm trainable", "lm", [20, 21], 0.87), [0.5, 0.4, 0.1], [0.3, 0.6, 0.1]),
        with_lambdas(make_row("lm frozen", "lm", [20, 22], 0.88), [0.2, 0.2, 0.6], [0.2, 0.2, 0.6]),
        make_row("lm function", "lm", [20, 20], 0.9),
    ]
    conclusion = report(*rows)["conclusion"]
    assert (
        "Of the ways to mix the layers lm function (90.0 %) is best on validation, then lm frozen (88.0 %), "
        "lm trainable (87.0 %); they were not tested against each other. The learned function has more weights"
        in conclusion
    )
    assert (
        "The λ that lm trainable learned are, in the mean over seeds, 0.40 for the token vectors (layer 0), 0.50 for "
        "LSTM layer 1, 0.10 for LSTM layer 2: it listens most to LSTM layer 1." in conclusion
    )
    without_vectors = report(*rows[1:])["conclusion"]
    assert "Of the ways to mix the layers" in without_vectors
    assert "not tested against each other" not in without_vectors
    alone = report(rows[0], rows[2])["conclusion"]
    assert "Of the ways" not in alone
    assert "λ" not in alone


def test_without_baselines_the_best_mode_is_the_reference() -> None:
    results = report(make_row("lm frozen", "lm", [40], 0.8), make_row("lm function", "lm", [10], 0.9))
    assert results["reference"] == results["best_row"] == "lm function"
    assert "lm frozen differs from it significantly" in results["conclusion"]
    alone = report(make_row("lm frozen", "lm", [40], 0.8))
    assert "no other row" in alone["conclusion"]
    assert alone["comparisons"] == 0


def test_the_reference_is_compared_with_but_never_chosen() -> None:
    static, worse, better = (
        make_row("w2v", "static", [40], 0.8),
        make_row("lm frozen", "lm", [30], 0.85),
        make_row("lm function", "lm", [20], 0.9),
    )
    results = report(static, worse, better, make_reference(10, 0.99))
    assert (results["reference"], results["best_row"]) == ("w2v", "lm function")
    pairs = {(pair["first"], pair["second"]): pair for pair in results["pairs"]}
    assert len(pairs) == results["comparisons"] == 4
    # 20 texts that only the reference has right, 10 that only the LM has: binomial, two-sided
    told = pairs["lm function", "TF-IDF + SVM"]
    assert told["difference"] == pytest.approx(-0.05)
    assert told["p"] == pytest.approx(0.0987, abs=1e-4)
    assert [pair["p_holm"] for pair in results["pairs"]] == holm([pair["p"] for pair in results["pairs"]])
    row = results["rows"][-1]
    assert row["difference"] == pytest.approx(0.15)
    assert row["sd"] is None


def test_one_fit_of_the_reference_stands_for_all_seeds() -> None:
    results = report(
        make_row("w2v", "static", [40, 42], 0.8), make_row("lm frozen", "lm", [20, 22], 0.9), make_reference(21, 0.9)
    )
    assert results["test"].startswith("paired bootstrap")
    reference = results["rows"][-1]
    assert len(reference["seeds"]) == 1
    assert reference["accuracy"] == pytest.approx(1 - 21 / TEXTS)
    told = results["pairs"][-1]
    assert (told["first"], told["second"]) == ("lm frozen", "TF-IDF + SVM")
    assert told["difference"] == pytest.approx(0)
    assert told["p"] == 1.0


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (100, "it is better than counted words by more than chance"),
        (24, "it may not be concluded that these texts need embeddings"),
        (1, "counted words are better than it by more than chance"),
    ],
)
def test_the_conclusion_says_what_the_reference_allows(wrong: int, sentence: str) -> None:
    rows = [make_row("w2v", "static", [50], 0.8), make_row("lm frozen", "lm", [25], 0.9), make_reference(wrong, 0.9)]
    conclusion = report(*rows)["conclusion"]
    assert sentence in conclusion
    assert "lm frozen is better by more than chance" in conclusion
    assert ("is not shown to be zero" in conclusion) == (wrong == 24)


def test_the_reference_without_an_lm_or_without_baselines() -> None:
    static = report(make_row("w2v", "static", [50], 0.8), make_reference(1, 0.9))
    assert (static["reference"], static["best_row"], static["comparisons"]) == ("w2v", None, 1)
    assert (
        "Against TF-IDF + SVM, a reference without embeddings that is right on 99.5 %, w2v differs by -24.5"
        in static["conclusion"]
    )
    model = report(
        make_row("lm frozen", "lm", [50], 0.8), make_row("lm layer:0", "lm", [60], 0.7), make_reference(1, 0.9)
    )
    assert [(pair["first"], pair["second"]) for pair in model["pairs"]] == [
        ("lm layer:0", "lm frozen"),
        ("TF-IDF + SVM", "lm frozen"),
    ]
    assert "lm frozen differs by -24.5 points" in model["conclusion"]
    assert "TF-IDF + SVM differ" not in model["conclusion"]
