"""What is said of a biLM that was trained: its leak test and its figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_pretrain import WORDS, train

from elmo_cli.embedder import Feed
from elmo_cli.events import Finished
from elmo_cli.metrics.checks import leak_test
from elmo_cli.runs import load_lm
from elmo_cli.text.encoded import encode_tokens


def test_the_leak_test_of_a_run_is_on_its_first_sentences_that_have_two_words(tmp_path: Path) -> None:
    valid = tmp_path / "valid.txt"
    found = {}
    nine, ten = "cat " * 9, "cat " * 10  # of a sentence the first ten tokens are tested
    for text in (f"cat cat\n{ten}the\n", f"cat cat\nthe cat\n\n{nine}the the\n", "the cat\ncat the\n" * 4):
        valid.write_text(text)
        *_, last = train(tmp_path, overwrite=True, data__valid=str(valid), pretrain__epochs=1)
        assert isinstance(last, Finished)
        found[text.count("\n")] = last.results["leak_test"]
        card = (tmp_path / "runs" / "lm" / "README.md").read_text()
        assert ("leak test" in card) == (found[text.count("\n")] is not None)
    assert found[2] is None  # of one word alone nothing can be told
    assert [found[count]["sentences"] for count in (4, 8)] == [2, 3]
    embedder = load_lm(tmp_path / "runs" / "lm")
    feed = Feed(embedder, encode_tokens([["the", "cat"], ["cat", "the"]]))
    pairs = [leak_test(embedder.bilm(), feed.sentences(np.array([row]))[0]) for row in range(2)]
    assert found[8]["leak"] == pytest.approx(max(pair.leak.value for pair in pairs), abs=1e-9)
    assert found[8]["context"] == pytest.approx(min(pair.context.value for pair in pairs), rel=1e-6)
    assert found[8]["passed"] is True


def test_figures_of_a_run_by_hand(tmp_path: Path) -> None:
    *_, last = train(tmp_path, pretrain__epochs=1)
    assert isinstance(last, Finished)
    results = last.results
    network = load_lm(tmp_path / "runs" / "lm").bilm()
    assert results["parameters"] == sum(weight.numel() for weight in network.parameters())
    assert results["tokens_per_second"] == results["tokens"] / results["seconds"]
    assert results["vocabulary_size"] == len(WORDS) + 3  # <S>, </S>, <UNK>
    assert (results["ended_by"], results["last_epoch_share"], results["best_epoch"]) == ("epochs", 1.0, 1)
