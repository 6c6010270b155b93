"""Scores of sentences and tokens in a file: they add up to the perplexity, and chunks change nothing."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tinyworld import make_bilm

from elmo_cli.metrics.perplexity import perplexity, sentence_scores
from elmo_cli.model.bilm import BiLm
from elmo_cli.runs import RunWriter, save_lm
from elmo_cli.text.encoded import encode
from elmo_cli.text.tokenizer import Tokenizer

TEXTS = ["the match today", "nothing known", "bank", "a goal of the unknown team said the coach"]


@pytest.fixture
def world(tmp_path: Path) -> tuple[Path, Path]:
    """A run and a text."""
    embedder = make_bilm()
    assert isinstance(embedder.network, BiLm)
    with RunWriter(tmp_path / "lm", "lm", "elmo pretrain") as writer:
        save_lm(writer, embedder.network, embedder.vocabulary)
    text = tmp_path / "text.txt"
    text.write_text("\n".join(TEXTS) + "\n")
    return tmp_path / "lm", text


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
@pytest.mark.parametrize("chunk", [1, 3, 1024])
def test_sentences(
    world: tuple[Path, Path], tmp_path: Path, run_elmo: Any, name: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("elmo_cli.inference.token_scores.CHUNK", chunk)
    done = run_elmo("evaluate", *world, "--scores", tmp_path / name, "--json", "--device", "cpu")
    assert done.code == 0
    embedder = make_bilm()
    corpus = encode(TEXTS, Tokenizer(embedder.tokenizer))
    expected = sentence_scores(embedder, corpus)
    rows = rows_of(tmp_path / name)
    found = np.array([[float(row["nll_forward"]), float(row["nll_backward"])] for row in rows])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert [int(row["sentence"]) for row in rows] == [1, 2, 3, 4]
    assert [int(row["tokens"]) for row in rows] == [3, 2, 1, 9]
    assert [int(row["unknown"]) for row in rows] == [0, 2, 0, 1]
    assert [row["text"] for row in rows] == TEXTS
    assert float(rows[0]["perplexity"]) == pytest.approx(math.exp(expected[0].sum() / 8), rel=1e-5)
    whole = asdict(perplexity(embedder, corpus))
    assert {key: done.json[key] for key in whole} == pytest.approx(whole)
    assert done.json["scores"] == str(tmp_path / name)


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
def test_tokens_add_up_to_their_sentence(world: tuple[Path, Path], tmp_path: Path, run_elmo: Any, name: str) -> None:
    assert run_elmo("evaluate", *world, "--scores", tmp_path / name, "--per-token", "--device", "cpu").code == 0
    rows = rows_of(tmp_path / name)
    embedder = make_bilm()
    corpus = encode(TEXTS, Tokenizer(embedder.tokenizer))
    expected = sentence_scores(embedder, corpus)
    for number, text in enumerate(TEXTS, start=1):
        own = [row for row in rows if int(row["sentence"]) == number]
        assert [row["token"] for row in own] == ["<S>", *text.split(), "</S>"]
        assert [int(row["position"]) for row in own] == list(range(len(own)))
        assert own[0]["nll_forward"] in ("", None)
        assert own[-1]["nll_backward"] in ("", None)
        sums = [
            sum(float(row[key]) for row in own if row[key] not in ("", None)) for key in ("nll_forward", "nll_backward")
        ]
        np.testing.assert_allclose(sums, expected[number - 1], atol=1e-4)
    assert [row["token"] for row in rows if int(row["unknown"])] == ["nothing", "known", "unknown"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--scores", "out.txt"), ".csv or .jsonl"),
        (("--per-token",), "without --scores"),
    ],
)
def test_wrong_use_is_refused(
    world: tuple[Path, Path], run_elmo: Any, arguments: tuple[str, ...], message: str
) -> None:
    refused = run_elmo("evaluate", *world, *arguments)
    assert refused.code == 2
    assert message in refused.stderr
    assert not Path("out.txt").exists()
