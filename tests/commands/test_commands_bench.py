"""`elmo bench` through the entry point, on a run and on weights that were taken over."""

from __future__ import annotations

from pathlib import Path

import pytest

from elmo_cli.inference import bench


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "SECONDS", 0.05)
    monkeypatch.setattr(bench, "SQUARE", 64)


def test_a_run_and_a_corpus(road: Path, elmo_in) -> None:
    weights = (road / "runs/lm/model.safetensors").read_bytes()
    done = elmo_in(road, "bench", "runs/lm", "--corpus", "train.csv", "--device", "cpu", "--json")
    assert done.code == 0, done.stderr
    assert done.json["model"].startswith("runs/lm: word, 2 x 32 cells")
    assert done.json["epochs"] == 2
    assert all(row["corpus_seconds"] > 0 for row in done.json["rows"])
    assert (road / "runs/lm/model.safetensors").read_bytes() == weights


def test_a_preset_as_a_table(tmp_path: Path, elmo_in) -> None:
    shown = elmo_in(tmp_path, "bench", "--preset", "tiny", "--device", "cpu")
    assert shown.code == 0, shown.stderr
    for name in ("train, bfloat16", "embed, float32", "best product", "tokens/s"):
        assert name in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert not list(tmp_path.iterdir())


def test_weights_without_a_softmax_are_only_embedded_with(road: Path, elmo_in, tmp_path: Path, shared: Path) -> None:
    assert elmo_in(tmp_path, "import", shared / "fixtures/bilm_tf", "--out", "imported").code == 0
    done = elmo_in(tmp_path, "bench", "imported", "--device", "cpu", "--json")
    assert done.code == 0, done.stderr
    assert {row["task"] for row in done.json["rows"]} == {"embed"}
    assert "no softmax" in done.json["notes"][0]


def test_a_classifier_is_no_run_to_measure(road: Path, elmo_in) -> None:
    done = elmo_in(road, "bench", "runs/classify-frozen")
    assert done.code == 2
    assert "runs/lm" in done.stderr
