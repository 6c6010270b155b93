"""Pretraining on two processes is pretraining on one: the same losses, one run, whatever stops it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import yaml
from test_pretrain import experiment, write_corpus

from elmo_cli.events import Finished
from elmo_cli.training.pretrain import pretrain_run

# Where the ranks find the modules of these tests.
TESTS = os.pathsep.join(str(folder) for folder in Path(__file__).resolve().parents[:2])
ARCHITECTURES = {
    "word, full": {"model.softmax": "full"},
    "word, sampled": {"model.softmax": "sampled", "model.samples": 3},
    "tied, sampled": {"model.softmax": "sampled", "model.samples": 3, "model.tie": True},
    "char, adaptive": {"model.encoder": "char", "model.softmax": "adaptive", "model.cutoffs": [3, 7]},
    "word+char, full": {"model.encoder": "word+char", "model.embedding_size": 4, "model.softmax": "full"},
    "accumulated": {"pretrain.accumulate": 3, "pretrain.epochs": 6, "model.projection_size": 4},
}
EXACT = {"model.dropout": 0.0, "pretrain.precision": "float32", "pretrain.epochs": 2}
# Trains each architecture in this process, which torchrun has started, into the folder of its number.
ALL_OF_THEM = """
import json, sys
from pathlib import Path
from test_distributed import ARCHITECTURES, train
for number, name in enumerate(ARCHITECTURES):
    train(Path(sys.argv[1]), Path(sys.argv[1]) / f"two-{number}", ARCHITECTURES[name])
"""
# `python -m elmo_cli`, but at its first start rank 1 is killed when it has taken part in two checkpoints.
DYING = """
import os, signal
from elmo_cli.commands.app import main
from elmo_cli.training.checkpoint import Checkpoint

save, saves = Checkpoint.save, []

def save_and_die(*arguments):
    saved = save(*arguments)
    saves.append(1)
    if len(saves) == 2 and os.environ["RANK"] == "1" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        os.kill(os.getpid(), signal.SIGKILL)
    return saved

Checkpoint.save = save_and_die
main()
"""
# The same, but when it has saved once, torchrun itself gets the signal that its ranks are to hear of.
STOPPING = """
import os, signal
from elmo_cli.commands.app import main
from elmo_cli.training.checkpoint import Checkpoint

save = Checkpoint.save

def save_and_stop(*arguments):
    saved = save(*arguments)
    Checkpoint.save = save
    if os.environ["RANK"] == "0":
        os.kill(os.getppid(), signal.SIGTERM)
    return saved

Checkpoint.save = save_and_stop
main()
"""


def torchrun(
    folder: Path, program: str, arguments: Sequence[str], **options: object
) -> subprocess.CompletedProcess[str]:
    """Two ranks of a program on this machine."""
    script = folder / "program.py"
    script.write_text(program, encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--monitor-interval=0.1"]
    command = [*launcher, "--master-addr=127.0.0.1", f"--master-port={port}", *given, str(script), *arguments]
    environment = os.environ | {"PYTHONPATH": TESTS, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )


def train(folder: Path, out: Path, architecture: dict[str, object]) -> None:
    flags = {name.replace(".", "__"): value for name, value in {**EXACT, **architecture}.items()}
    *_, last = pretrain_run(experiment(folder, **flags), [folder / "corpus.txt"], out=out, device="cpu")
    assert isinstance(last, Finished)


def losses(run: Path) -> list[float]:
    """Mean losses in nats, of some steps each."""
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [event["loss"] for event in events if event["event"] == "step"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run of each architecture on one process and on two."""
    folder = tmp_path_factory.mktemp("ranks")
    write_corpus(folder / "corpus.txt", 150)
    done = torchrun(folder, ALL_OF_THEM, [str(folder)])
    assert done.returncode == 0, done.stderr
    for number, architecture in enumerate(ARCHITECTURES.values()):
        train(folder, folder / f"one-{number}", architecture)
    return folder


@pytest.mark.parametrize("number", range(len(ARCHITECTURES)), ids=ARCHITECTURES)
def test_two_ranks_learn_what_one_process_learns(trained: Path, number: int) -> None:
    one, two = losses(trained / f"one-{number}"), losses(trained / f"two-{number}")
    assert len(one) == len(two) >= 5
    # Of the first 50 steps: later, roundings may have moved another character into a maximum over positions.
    assert one[:5] == pytest.approx(two[:5], rel=0, abs=1e-5)
    documents = [yaml.safe_load((trained / f"{name}-{number}" / "run.yaml").read_text()) for name in ("one", "two")]
    assert documents[0]["settings"] == documents[1]["settings"]
    results = [json.loads((trained / f"{name}-{number}" / "results.json").read_text()) for name in ("one", "two")]
    assert results[0]["steps"] == results[1]["steps"]
    assert results[0]["tokens"] == results[1]["tokens"]
    assert results[1]["leak_test"]["passed"]


PRETRAIN = [
    *("pretrain", "corpus.txt", "--device", "cpu", "--epochs", "4", "--preset", "tiny", "--out", "lm"),
    *("--set", "model.hidden_size=8", "--set", "pretrain.batch_size=4", "--set", "vocab.min_count=1"),
    *("--set", "pretrain.checkpoint_minutes=0.00001", "--set", "model.dropout=0.1"),
]


def test_a_rank_that_is_killed_costs_what_it_had_not_saved(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus.txt")
    done = torchrun(tmp_path, DYING, PRETRAIN, max_restarts=1)
    assert done.returncode == 0, done.stderr
    assert "valid perplexity" in done.stdout
    assert done.stderr.count("another process of this training has ended") == 1
    assert "unexpected failure" not in done.stderr
    # What was learned is what it would have been: each rank's random numbers are in the checkpoint too.
    assert torchrun(tmp_path, DYING.replace("== 2", "== -1"), [*PRETRAIN, "--out", "whole"]).returncode == 0
    assert losses(tmp_path / "lm") == losses(tmp_path / "whole")


def test_sigterm_reaches_all_and_one_process_goes_on(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus.txt")
    done = torchrun(tmp_path, STOPPING, PRETRAIN)
    assert done.returncode != 0
    assert done.stderr.count("what was done is saved: go on with --resume") == 1
    assert yaml.safe_load((tmp_path / "lm" / "run.yaml").read_text())["status"] == "unfinished"
    steps = json.loads((tmp_path / "lm" / "state" / "state.json").read_text())["progress"]["step"]
    alone = [sys.executable, "-m", "elmo_cli", *PRETRAIN, "--resume", "--quiet"]
    again = subprocess.run(
        alone,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": TESTS},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert again.returncode == 0, again.stderr
    results = json.loads((tmp_path / "lm" / "results.json").read_text())
    assert 0 < steps < results["steps"]
    assert results["epochs"] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "pretrain.batch_size=5"], "pretrain.batch_size is 5, which 2 processes cannot share out"),
        (["--set", "pretrain.window=none"], "pretrain.window"),
        (["--vocab", "absent"], "absent"),
    ],
)
def test_a_mistake_is_told_once(tmp_path: Path, arguments: list[str], message: str) -> None:
    write_corpus(tmp_path / "corpus.txt")
    done = torchrun(tmp_path, "from elmo_cli.commands.app import main\nmain()\n", [*PRETRAIN, *arguments])
    assert done.returncode != 0
    assert sum(line.startswith("elmo: ") for line in done.stderr.splitlines()) == 1, done.stderr
    assert message in done.stderr
    assert not (tmp_path / "lm").exists()


def test_a_failure_of_one_rank_is_the_message_of_all(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus.txt")
    failing = DYING.replace("os.kill(os.getpid(), signal.SIGKILL)", 'raise OSError(28, "No space left on device")')
    done = torchrun(tmp_path, failing, PRETRAIN)
    assert done.returncode != 0
    told = [line for line in done.stderr.splitlines() if line.startswith("elmo: ")]
    assert told == ["elmo: No space left on device"], done.stderr


def test_rows_that_no_rank_touched_do_not_travel() -> None:
    """The bytes of a step follow the tokens of its windows, not the vocabulary."""
    from unittest.mock import patch

    from elmo_cli.config import ModelSettings
    from elmo_cli.model.bilm import BiLm
    from elmo_cli.ranks import Ranks
    from elmo_cli.training import distributed

    class Parallel(torch.nn.Module):
        def __init__(self, module: torch.nn.Module, **options: object) -> None:
            super().__init__()
            self.module = module

        def register_comm_hook(self, state: None, hook: object) -> None: ...

        @staticmethod
        def _set_params_and_buffers_to_ignore_for_model(module: torch.nn.Module, names: list[str]) -> None:
            assert names == ["network.encoder.table"]

    settings = ModelSettings(hidden_size=4, layers=1, softmax="full")
    with patch.object(distributed, "DistributedDataParallel", Parallel):
        replica = distributed.Replica(network := BiLm(settings, 10_000), Ranks())
    table = network.encoder.word_table
    assert table is not None
    table.grad = torch.zeros_like(table)
    table.grad[[5, 70, 9_000]] = 1.0
    replica.sum_tables()
    assert replica.bytes == 3 * 4 + 3 * 4 * 4  # numbers of the rows, and the rows
    assert table.grad.sum() == 12.0
