"""Minimal pairs under a language model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tinyworld import make_bilm

from elmo_cli.config import ReadingSettings
from elmo_cli.errors import DataError
from elmo_cli.inference.pairs import score_pairs
from elmo_cli.metrics.pairs import PairScores
from elmo_cli.metrics.perplexity import sentence_scores
from elmo_cli.text.encoded import encode
from elmo_cli.text.tokenizer import Tokenizer

PAIRS = [
    ("the match today", "today match the"),
    ("the bank said", "said"),
    ("a goal", "a goal"),
    ("of share", "share of"),
]


def test_shares_by_hand_and_ties_are_wrong() -> None:
    better = np.array([[1.0, 5.0], [2.0, 2.0], [3.0, 1.0], [1.0, 1.0]])
    worse = np.array([[2.0, 3.0], [3.0, 3.0], [3.0, 1.0], [0.5, 2.0]])
    found = PairScores.of(better, worse)
    assert (found.pairs, found.accuracy, found.forward, found.backward, found.ties) == (4, 0.5, 0.5, 0.5, 1)
    assert found.interval[0] < 0.5 < found.interval[1]


@pytest.mark.parametrize(
    ("good", "bad", "name"), [("good", "bad", "p.csv"), ("sentence_good", "sentence_bad", "p.tsv")]
)
def test_a_file_of_pairs(tmp_path: Path, good: str, bad: str, name: str) -> None:
    sign = "," if name.endswith("csv") else "\t"
    rows = [f"{worse}{sign}{number}{sign}{better}" for number, (better, worse) in enumerate(PAIRS)]
    (tmp_path / name).write_text("\n".join([f"{bad}{sign}number{sign}{good}", *rows]) + "\n", encoding="utf-8")
    embedder = make_bilm()
    found = score_pairs(embedder, tmp_path / name, ReadingSettings())
    tokenize = Tokenizer(embedder.tokenizer)
    nats = [sentence_scores(embedder, encode(sentences, tokenize)) for sentences in zip(*PAIRS, strict=True)]
    assert found == PairScores.of(*nats)
    assert found.ties == 1


def test_a_file_without_pairs(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("text,label\na,b\n", encoding="utf-8")
    with pytest.raises(DataError, match="has the columns text, label") as caught:
        score_pairs(make_bilm(), tmp_path / "p.csv", ReadingSettings())
    assert "sentence_good" in str(caught.value)
