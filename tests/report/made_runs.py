"""Runs made by hand for tests of reports: every section has something to show, and names try to break out."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import yaml

EVIL = "<script>alert('x')</script>"
CLASSES = ["A&B", "<b>bold</b>", "Sports"]
ROWS = ("w2v.txt", "lm trainable", "lm frozen", f"{EVIL} $x$", "TF-IDF + SVM")
KINDS = ("static", "lm", "lm", "lm", "reference")
SEEDS = (1, 2)


def write_run(path: Path, kind: str, *, status: str = "finished", **description: Any) -> Path:
    path.mkdir(parents=True)
    about = {
        "schema": 1,
        "kind": kind,
        "status": status,
        "command": f"elmo {kind}",
        "versions": {"elmo": "0.1.0", "torch": "2.13.0"},
        "settings": {"seed": 1, "data": {"text": ["<i>column</i>"], "limit": None}},
        **description,
    }
    (path / "run.yaml").write_text(yaml.safe_dump(about, allow_unicode=True), encoding="utf-8")
    return path


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def write_events(path: Path, events: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")


def files(test: str = "b" * 64) -> dict[str, Any]:
    return {
        "train": [{"name": "train.csv", "fingerprint": f"sha256:{'a' * 64}"}],
        "test": [{"name": "test.csv", "fingerprint": f"sha256:{test}"}],
    }


def _row(place: int) -> dict[str, Any]:
    kind, accuracy = KINDS[place], 0.8 + 0.01 * place
    weights = [0.5, 0.3, 0.2] if place in (1, 2) else None
    apart = place > 0
    training = {"lambdas": weights, "gamma": 0.9 if weights else None, "accuracy": accuracy, "notes": []}
    training |= {"valid": {"examples": 10, "accuracy": 0.81, "loss": 0.5}, "seconds": 1.5}
    training |= {"macro_f1": accuracy, "activations": "float32"}
    training |= {} if kind == "reference" else {"epochs": 3, "best_epoch": 2}
    return {
        "name": ROWS[place],
        "kind": kind,
        "lm": "lm" if kind == "lm" else None,
        "mode": ("trainable", "frozen", "function")[place - 1] if kind == "lm" else None,
        "tune": None if kind == "reference" else False,
        "unknown": {"train": {"rate": 0.01}, "test": {"rate": 0.0625}} if kind != "reference" else {},
        "accuracy": accuracy,
        "sd": 0.002,
        "interval": [accuracy - 0.02, accuracy + 0.02],
        "macro_f1": accuracy,
        "valid_accuracy": 0.81,
        "difference": accuracy - 0.8 if apart else None,
        "difference_interval": [accuracy - 0.81, accuracy - 0.79] if apart else None,
        "p": 0.01 if apart else None,
        "p_holm": 0.00001 if apart else None,
        "significant": True if apart else None,
        "seeds": [{**training, "seed": seed} for seed in SEEDS],
        "confusion": {role: [[8, 1, 1], [0, 9, 1], [2, 0, 1234]] for role in ("train", "test")},
    }


def _file(name: str) -> dict[str, Any]:
    lengths = {"mean": 31.25, "median": 30, "p95": 61, "max": 143}
    counts = dict(zip(CLASSES, (10, 30, 60), strict=True))
    return {"file": name, "texts": 100, "cut": 2, "classes": counts, "tokens": 3125, "lengths": lengths} | {
        "unknown_rate": 0.0321
    }


def _examples() -> dict[str, Any]:
    answers = {
        name: {"predicted": CLASSES[place % 2], "probability": None if KINDS[place] == "reference" else 0.7654}
        for place, name in enumerate(ROWS)
    }
    example = {"index": 3, "text": f"{EVIL} a hard text\x00\u202e", "label": CLASSES[1], "rows": answers}
    wrong = {**example, "text": "ELMo alone does not know"}
    return {"hardest": [example] * 3, "only_lm": [{**example, "text": "only ELMo knows"}], "lm_wrong": [wrong]}


def full_comparison(path: Path, test: str = "b" * 64) -> Path:
    """A comparison with all that a report can show."""
    write_run(path, "comparison", data=files(test))
    points = [
        {
            "fraction": size / 100,
            "texts": size,
            "rows": [
                {"name": name, "accuracy": 0.7, "sd": None, "interval": [0.68, 0.72], "valid_accuracy": 0.7}
                for name in ROWS
            ],
        }
        for size in (10, 100)
    ]
    pair = {"first": ROWS[1], "second": ROWS[2], "difference": -0.01, "interval": [-0.02, 0.0], "p": 0.04}
    results = {
        "reference": ROWS[0],
        "best_mode": "frozen",
        "best_row": ROWS[2],
        "test": "paired bootstrap",
        "comparisons": 4,
        "in_short": [f"{EVIL} is right on 83.0 %.", "In short."],
        "conclusion": f"With 2 seeds, {EVIL} is better.",
        "seeds": list(SEEDS),
        "classes": CLASSES,
        "notes": ["How it was done, <i>a sentence</i>."],
        "warnings": ["One <u>seed</u> shows little."],
        "rows": [_row(place) for place in range(len(ROWS))],
        "pairs": [{**pair, "p_holm": 0.04, "significant": True}],
        "curves": points,
        "data": {"train": _file("train.csv"), "test": _file("test.csv")},
        "train": {"file": "train.csv", "texts": 100, "cut": 2},
        "test_file": {"file": "test.csv", "texts": 100, "cut": 2},
    }
    write_json(path / "results.json", results)
    write_json(path / "examples.json", _examples())
    write_events(path / "metrics.jsonl", comparison_events())
    return path


def comparison_events() -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    for place, name in enumerate(ROWS[:-1]):
        for seed in SEEDS:
            about = {"row": name, "seed": seed, "fraction": 1.0}
            for epoch in range(1, 3 + seed):  # the second seed goes on for longer
                weights = [0.5, 0.3, 0.2] if place in (1, 2) else [1.0] if place == 0 else None
                if place == 1:  # trained
                    weights = [0.5 - 0.01 * epoch, 0.3 + 0.01 * epoch, 0.2]
                scores = {"valid_accuracy": 0.7 + 0.01 * epoch * seed, "loss": 1 / epoch, "train_accuracy": 0.8}
                scores |= {"lambdas": weights, "gamma": 0.9 if place in (1, 2) else None, "best": True}
                events.append(
                    {"event": "epochdone", "epoch": epoch, **scores, "row": name, "seed": seed, "fraction": 1.0}
                )
            events.append({"event": "classifier", **about})
    return events


def language_model(path: Path, vocabulary: str = "v" * 64) -> Path:
    """An LM run with two epochs."""
    write_run(path, "lm", data={"corpus": files()["train"]}, vocabulary=vocabulary, validation="the last 2 %")
    scores = {"forward": 120.5, "backward": 118.25, "mean": 119.4}
    results = {
        "validation": {**scores, "steps": 400, "tokens": 380, "unknown": 4, "oov_rate": 0.0105},
        "epochs": 2,
        "best_epoch": 2,
        "steps": 20,
        "tokens": 12345,
        "seconds": 90.0,
        "tokens_per_second": 137.2,
        "parameters": 430795,
        "vocabulary_size": 2315,
        "leak_test": {"passed": True},
    }
    write_json(path / "results.json", results)
    events: list[dict[str, Any]] = []
    for step in range(1, 21):
        events.append({"event": "step", "epoch": 1 + (step > 10), "step": step, "loss": 9 / step, "perplexity": 1.0})
        if step % 10 == 0:
            events.append({"event": "validation", "epoch": step // 10, **scores, "best": True})
    write_events(path / "metrics.jsonl", events)
    return path


def classifier(path: Path, test: str = "b" * 64) -> Path:
    """A classifier run whose surest mistake is known."""
    write_run(path, "classifier", data=files(test))
    score = {"precision": 0.9, "recall": 0.8, "f1": 0.85}
    scores = {
        "examples": 100,
        "accuracy": 0.9,
        "interval": [0.84, 0.95],
        "macro": score,
        "weighted": score,
        "classes": [{"label": name, **score, "support": 33} for name in CLASSES],
        "confusion": [[30, 2, 1], [1, 31, 1], [2, 3, 28]],
        "notes": ["class 'x' was never predicted"],
    }
    results = {
        "lm": "lm",
        "mode": "trainable",
        "tune": True,
        "classes": CLASSES,
        "lambdas": [0.5, 0.3, 0.2],
        "gamma": 0.9,
        "valid": {"accuracy": 0.88},
        "train": scores,
        "test": scores,
    }
    write_json(path / "results.json", results)
    write_events(
        path / "metrics.jsonl",
        [
            {"event": "epochdone", "epoch": epoch, "train_accuracy": 0.8, "valid_accuracy": 0.7, "loss": 0.3}
            | {"lambdas": [0.4 + epoch / 100, 0.35 - epoch / 100, 0.25], "gamma": 1.0}
            for epoch in (1, 2)
        ],
    )
    with (path / "predictions.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["label", "predicted", *(f"p({name})" for name in CLASSES), "text"])
        rows.writerow([CLASSES[0], CLASSES[0], 0.9, 0.05, 0.05, "right"])
        rows.writerow([CLASSES[0], CLASSES[1], 0.2, 0.7, 0.1, "somewhat sure"])
        rows.writerow([CLASSES[1], CLASSES[2], 0.01, 0.01, 0.98, f"very sure {EVIL}"])
    return path
