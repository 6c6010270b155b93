"""Figures of this machine: all that can be measured is there, adds up, and nothing is written."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from elmo_cli.config import Experiment
from elmo_cli.errors import DataError
from elmo_cli.inference import bench
from elmo_cli.inference.bench import bench_run
from elmo_cli.training.costs import operations

TEXT = "the match of the day\nthe market fell today , said the bank\n\nwith a goal\n" * 40


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SECONDS": 0.05, "SQUARE": 64, "INVENTED_SENTENCES": 50, "INVENTED_WORDS": 40}.items():
        monkeypatch.setattr(bench, name, value)


def settings(**model: object) -> Experiment:
    return Experiment.model_validate(
        {
            "model": {"hidden_size": 8, "projection_size": 4, **model},
            "pretrain": {"batch_size": 4, "window": 6, "epochs": 3},
            "tokenizer": {"kind": "whitespace"},
        }
    )


@pytest.mark.parametrize("encoder", ["word", "word+char"])
def test_a_fresh_model_without_a_corpus(encoder: str, tmp_path: Path) -> None:
    report = bench_run(settings(encoder=encoder))
    assert [(row.task, row.precision) for row in report.rows] == [
        (task, precision) for task in ("embed", "train") for precision in ("float32", "bfloat16")
    ]
    assert all(row.tokens_per_second > 0 and row.share > 0 and row.corpus_seconds is None for row in report.rows)
    assert (report.batch_size, report.window, report.corpus, report.corpus_tokens) == (4, 6, None, None)
    assert report.notes == ()


def test_shares_and_estimates_follow_from_the_speed(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    experiment = settings()
    report = bench_run(experiment, corpus=path)
    tokens, sentences = len(TEXT.split()), 120
    assert (report.corpus_tokens, report.estimated) == (tokens, False)
    for row in report.rows:
        factor, needed = (1, tokens) if row.task == "embed" else (3, 3 * (tokens + sentences))
        performed = factor * operations(experiment.model) * row.tokens_per_second
        assert row.share == pytest.approx(performed / (1e9 * report.peaks[row.precision]))
        assert row.corpus_seconds == pytest.approx(needed / row.tokens_per_second)
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


def write_long(path: Path) -> Path:
    lines = [f"word{number * 7919 % 10007:05} word{number:05}\n" for number in range(100_000)]
    content = "".join(lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def test_a_long_corpus_is_estimated_from_its_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "READING_SECONDS", 0.02)
    report = bench_run(settings(), corpus=write_long(tmp_path / "text.txt"))
    assert report.estimated
    assert report.corpus_tokens == pytest.approx(200_000, rel=0.01)


@pytest.mark.parametrize(("name", "tolerance"), [("text.txt", 0.01), ("text.txt.gz", 0.25)])
def test_the_rest_of_a_file_by_its_bytes(name: str, tolerance: float, tmp_path: Path) -> None:
    assert bench._remaining(write_long(tmp_path / name), 50_000) == pytest.approx(2, rel=tolerance)


def test_a_long_step_is_measured_with_a_shorter_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "STEP_SECONDS", 0.0)
    report = bench_run(settings())
    assert report.window == 2
    assert report.notes == ("training was measured with windows of 2 steps, to be done in time",)


def test_an_empty_corpus(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text(" \n.\n", encoding="utf-8")
    experiment = Experiment.model_validate({"tokenizer": {"kind": "regex", "pattern": "[a-z]+"}})
    with pytest.raises(DataError, match="no tokens"):
        bench_run(experiment, corpus=path)
