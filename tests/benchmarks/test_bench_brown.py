"""The race on Brown runs, is counted right, and ends with its children; the alternative is what it says."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from elmo_cli.config import load_experiment
from elmo_cli.training.prepare import PretrainJob, prepare_pretraining

sys.path.insert(0, str(Path(__file__).parent))  # as when the benchmarks are run

from bench_brown import cores_of_both
from word_lm import Text, Way, WordLm, backward, perplexity

SCRIPT = Path(__file__).parent / "bench_brown.py"
SENTENCES = ["a b c d", "b", "a a b c c d a", "d c b a unheard", "c d"]
TINY = ["model.hidden_size=8", "model.softmax=full", "pretrain.batch_size=2", "pretrain.window=8"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "text"
    home.mkdir()
    for name, times in (("train", 20), ("valid", 2), ("test", 1)):
        (home / f"{name}.txt").write_text("\n".join(SENTENCES * times) + "\n", encoding="utf-8")
    return home


@pytest.fixture
def job(folder: Path, tmp_path: Path) -> PretrainJob:
    given = {"corpus": "train", "valid": "valid", "test": "test"}
    paths = [f"data.{key}={json.dumps(str(folder / f'{name}.txt'))}" for key, name in given.items()]
    settings = ["tokenizer.kind=whitespace", f"output={json.dumps(str(tmp_path / 'runs'))}", *TINY]
    return prepare_pretraining(load_experiment(Path(os.devnull), [*paths, *settings]), (), None)


def word_lm(job: PretrainJob) -> WordLm:
    torch.manual_seed(1)
    return WordLm(len(job.vocabulary), 8, 2)


def test_the_alternative_scores_each_sentence_from_a_state_of_zeros(job: PretrainJob) -> None:
    model = word_lm(job).eval()
    nats, steps = 0.0, 0
    for sentence in SENTENCES * 2:
        ids = job.vocabulary.lookup(["<S>", *sentence.split(), "</S>"])
        read = torch.tensor(ids)
        hidden, _ = model.lstm(model.table(read[None, :-1]))
        logits = hidden[0] @ model.table.weight.t() + model.bias
        nats += functional.cross_entropy(logits[:, 1:], read[1:] - 1, reduction="sum").item()  # no padding
        steps += len(ids) - 1
    found, counted = perplexity(model, Text(job.valid, job, "sentence"))
    assert counted == steps == job.valid.token_count + len(job.valid)
    assert found == pytest.approx(math.exp(nats / steps), rel=1e-5)


@pytest.mark.parametrize("context", ["sentence", "stream"])
def test_an_epoch_predicts_every_step_once(job: PretrainJob, context: str) -> None:
    text = Text(job.corpus, job, context)
    targets = torch.cat([piece.targets[piece.targets > 0] for pieces in text.epoch(1) for piece in pieces])
    expected = [i for s in SENTENCES * 20 for i in job.vocabulary.lookup([*s.split(), "</S>"])]
    assert sorted(targets.tolist()) == sorted(expected)


def test_a_softmax_in_chunks_has_the_same_gradients(job: PretrainJob) -> None:
    model = word_lm(job).eval()
    pieces = next(Text(job.corpus, job, "sentence").epoch(0))
    found = []
    for chunk in (0, 5):
        model.zero_grad()
        backward(model, pieces, None, Way(False, chunk))
        found.append([parameter.grad.clone() for parameter in model.parameters()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def start(folder: Path, out: Path, *arguments: str) -> subprocess.Popen[str]:
    settings = [part for setting in TINY for part in ("--set", setting)]
    command = [sys.executable, str(SCRIPT), str(folder), "--out", str(out), *settings, *arguments]
    environment = dict(os.environ, PYTHONPATH=str(SCRIPT.parents[2]))
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_it_runs_and_keeps_the_rows_of_other_minutes(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "brown.json"
    out.write_text(json.dumps({"rows": [{"minutes": 7.0, "context": "sentence"}]}), encoding="utf-8")
    with start(folder, out, "--minutes", "0.01") as process:
        stdout, stderr = process.communicate(timeout=540)
    assert process.returncode == 0, stderr
    row, kept = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert (row["minutes"], kept["minutes"]) == (0.01, 7.0)
    ours, theirs = row["elmo"], row["nn.LSTM"]
    words = sum(len(sentence.split()) for sentence in SENTENCES)
    assert ours["test_steps"] == theirs["test_steps"] == words + len(SENTENCES)
    assert 1.0 < ours["test"] < 8.0
    assert 1.0 < theirs["test"] < 8.0  # eight words, and all of them seen
    assert row["ratio"] == pytest.approx(ours["test"] / theirs["test"], abs=0.01)
    if row["at_once"]:
        assert ours["core"] != theirs["core"]
        assert ours["threads"] == theirs["threads"] == 1
    assert "ratio" in stdout


def trainings(parent: int) -> list[int]:
    """Processes of the two trainings."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="utf-8").split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds them in /proc")
@pytest.mark.skipif(not cores_of_both(sequential=False), reason="with one core they train one after the other")
def test_ctrl_c_ends_both(folder: Path, tmp_path: Path) -> None:
    with start(folder, tmp_path / "brown.json", "--minutes", "5") as process:
        assert process.stderr is not None
        while "nn.LSTM: takes" not in process.stderr.readline():  # both are there, or about to be
            assert process.poll() is None
        while len(begun := trainings(process.pid)) < 2:  # begun, but not yet the programs that they become
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    assert process.returncode == 130
    assert len(begun) == 2
    for number in begun:
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)
