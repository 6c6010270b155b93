"""The page of a tagger: scores, curves, sentences with their spans in brackets."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import EVIL, files, write_events, write_json, write_run

from elmo_cli.errors import RunError
from elmo_cli.report.page import write_report
from elmo_cli.report.tagger import bracketed

SHARES = {"precision": 0.91, "recall": 0.81, "f1": 0.857}


def tagger(path: Path, *, plain: bool = False, scored: bool = True) -> Path:
    """A tagger run made by hand."""
    write_run(path, "tagger", data=files())
    counts = {"interval": [0.8, 0.9], "true": 40, "predicted": 42, "right": 36}
    scores = {
        "sentences": 2,
        "tokens": 100,
        "accuracy": 0.9,
        "interval": [0.84, 0.95],
        "known": {"tokens": 100, "accuracy": 0.9},
        "unknown": {"tokens": 0, "accuracy": None},
        "spans": None if plain else {**SHARES, **counts},
        "classes": [{"label": name, **SHARES, "support": 33} for name in ("NP", EVIL)],
        "confused": [{"true": "B-NP", "predicted": EVIL, "tokens": 7}],
    }
    results = {"lm": "lm", "mode": "trainable", "tune": False, "head": "crf", "scheme": "iob2", "tags": ["NP"]}
    results |= {"lambdas": [0.5, 0.3, 0.2], "gamma": 0.9, "valid": {"accuracy": 0.88, "f1": 0.8}}
    write_json(path / "results.json", results | ({"train_scores": scores, "test_scores": scores} if scored else {}))
    epoch = {"event": "epochdone", "train_accuracy": 0.8, "valid_accuracy": 0.7, "loss": 0.3, "gamma": 1.0}
    epoch |= {"valid_f1": None if plain else 0.6, "lambdas": [0.4, 0.35, 0.25]}
    later = {**epoch, "lambdas": [0.5, 0.3, 0.2]}
    write_events(path / "metrics.jsonl", [{**epoch, "epoch": 1}, {**later, "epoch": 2}])
    lines = [
        "The B-NP B-NP",
        "match I-NP O",
        f"{EVIL.replace(' ', '')} O O",
        "",
        "It B-NP B-NP",
        "rained B-VP B-VP",
        "",
    ]
    (path / "predictions.conll").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def page_of(run: Path) -> str:
    out = run.with_suffix(".html")
    write_report([run], out)
    return out.read_text(encoding="utf-8")


def test_the_page_shows_scores_curves_and_sentences(tmp_path: Path) -> None:
    page = page_of(tagger(tmp_path / "tag"))
    assert "F1 85.70 % on test (95 % interval" in page
    for title in ("Scores", "Types", "Confusions", "Training", "Layer weights", "Sentences with mistakes"):
        assert title in page
    assert "[NP The match]" in page  # the truth
    assert "[NP The] match" in page  # what was predicted
    assert "[NP It] [VP rained]" in page
    assert "true tags" in page
    assert EVIL.replace(" ", "") not in page
    assert page.count("<svg") == 2


def test_plain_tags_have_no_spans(tmp_path: Path) -> None:
    page = page_of(tagger(tmp_path / "tag", plain=True))
    assert "90.00 % of the test tokens right" in page
    assert "F1 of spans, validation" not in page


def test_a_stopped_tagger_has_its_curves(tmp_path: Path) -> None:
    page = page_of(tagger(tmp_path / "tag", scored=False))
    assert "it was stopped early" in page
    assert "Training" in page


def test_figures_are_files_too(tmp_path: Path) -> None:
    written = write_report([tagger(tmp_path / "tag")], figures=tmp_path / "figures").figures
    assert {path.name for path in written} >= {"tag-scores.svg", "tag-lambdas.svg"}


def test_predictions_that_were_cut_are_an_error(tmp_path: Path) -> None:
    run = tagger(tmp_path / "tag")
    (run / "predictions.conll").write_text("The B-NP B-NP\nmatch I-NP\n")
    with pytest.raises(RunError, match=r"predictions\.conll cannot be read"):
        page_of(run)


def test_brackets() -> None:
    assert bracketed(["The", "match", "ended"], ["B-NP", "I-NP", "B-VP"]) == "[NP The match] [VP ended]"
    assert bracketed(["The", "match"], ["O", "O"]) == "The match"
    assert bracketed(["The", "match"], ["DT", "NN"]) == "The/DT match/NN"
