"""The table and its sentence, from answers made by hand."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from elmo_cli.comparison.report import RowResult, Trained, comparison_csv, comparison_markdown, summarise

TEXTS = 200
TRUTH = np.arange(TEXTS) % 2


def make_row(name: str, kind: str, wrong: list[int], valid: float, valid_loss: float = 0.5) -> RowResult:
    """A row with a classifier for each entry of `wrong`, which gets so many of the first texts wrong."""
    classifiers = []
    for seed, count in enumerate(wrong, start=1):
        predicted = TRUTH.copy()
        predicted[:count] = 1 - predicted[:count]
        training = {"seed": seed, "valid": {"accuracy": valid, "loss": valid_loss, "examples": 20}}
        classifiers.append(Trained(seed, predicted, training))
    facts = {"name": name, "kind": kind, "mode": name.split()[-1] if kind == "lm" else None, "tune": False}
    return RowResult({**facts, "unknown": {"test": {"rate": 0.125}}}, classifiers)


def report(*rows: RowResult) -> dict:
    results = summarise(rows, TRUTH, ["a", "b"], seed=1, resamples=4000)
    return {**results, "notes": ["how it was done"]}


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
    assert results["comparisons"] == 3
    # the best mode is 10 points worse than the reference: 20 texts lost, none won
    assert "good on validation is better by more than chance" in results["conclusion"]


def test_equal_validation_is_decided_by_its_loss() -> None:
    rows = [make_row("first", "static", [9], 0.8, 0.6), make_row("second", "static", [9], 0.8, 0.4)]
    assert report(*rows, make_row("lm frozen", "lm", [9], 0.8))["reference"] == "second"


def test_a_difference_by_chance_is_called_that() -> None:
    results = report(make_row("w2v", "static", [40], 0.8), make_row("lm frozen", "lm", [39], 0.9))
    assert "not significant" in results["conclusion"]
    assert "neither is shown to be better" in results["conclusion"]


def test_without_baselines_the_best_mode_is_the_reference() -> None:
    results = report(make_row("lm frozen", "lm", [40], 0.8), make_row("lm function", "lm", [10], 0.9))
    assert results["reference"] == results["best_row"] == "lm function"
    assert "lm frozen differ from it significantly" in results["conclusion"]
    alone = report(make_row("lm frozen", "lm", [40], 0.8))
    assert "no other row" in alone["conclusion"]
    assert alone["comparisons"] == 0


def test_tables_hold_the_figures() -> None:
    results = report(make_row("w|v", "static", [40, 44], 0.8), make_row("lm frozen", "lm", [20, 24], 0.9))
    rows = list(csv.DictReader(comparison_csv(results).splitlines()))
    assert [row["row"] for row in rows] == ["w|v", "lm frozen"]
    assert float(rows[1]["accuracy"]) == pytest.approx(0.89)
    assert float(rows[1]["difference"]) == pytest.approx(0.1)
    assert rows[0]["p"] == ""
    assert float(rows[0]["unknown_test_tokens"]) == 0.125
    markdown = comparison_markdown(results)
    assert "| w\\|v (reference) | 79.00 |" in markdown
    assert "| lm frozen (best λ mode) | 89.00 |" in markdown
    assert "12.50 %" in markdown
    assert results["conclusion"] in markdown
    assert "- how it was done" in markdown
