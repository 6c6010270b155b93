"""Stopping and resuming: the same bits as if nothing had happened, and no way to mix two trainings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from elmo_cli.config import Experiment, load_experiment
from elmo_cli.errors import ConfigError, RunError
from elmo_cli.events import Finished, Saved, Step, Stopped, Validation
from elmo_cli.runs import Run
from elmo_cli.training.prepare import build_vocabulary_run
from elmo_cli.training.pretrain import pretrain_run

SENTENCES = [" ".join("abcdefgh"[(start * step) % 8] for step in range(1, 3 + start % 6)) for start in range(80)]
TIMES = {"tokens_per_second", "seconds_left"}  # that differ, however exactly a training is repeated
MODELS: dict[str, dict[str, Any]] = {
    "word, projected, adaptive": {"model.projection_size": 6, "model.softmax": "adaptive", "model.residual": True},
    "word, tied, sampled": {"model.tie": True, "model.softmax": "sampled", "model.samples": 3},
    "words and characters": {"model.encoder": "word+char", "model.characters": {"filters": [[1, 3], [2, 3]], "dim": 4}},
}


def experiment(folder: Path, flags: dict[str, Any]) -> Experiment:
    given = {
        "output": str(folder),
        "preset": "tiny",
        "tokenizer.kind": "whitespace",
        "vocab.min_count": 1,
        "model.hidden_size": 8,
        "model.dropout": 0.3,
        "pretrain.batch_size": 4,
        "pretrain.window": 5,
        "pretrain.epochs": 2,
        **flags,
    }
    return load_experiment(None, [f"{key}={json.dumps(value)}" for key, value in given.items()])


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(SENTENCES) + "\n")
    return path


class StopAt:
    """True at the n-th time of asking."""

    def __init__(self, step: int) -> None:
        self.left = step

    def __call__(self) -> bool:
        self.left -= 1
        return self.left <= 0


def lasting(run: Path) -> tuple[bytes, list[dict[str, Any]], dict[str, Any]]:
    """What a run holds that does not depend on time."""
    metrics = [{key: value for key, value in event.items() if key not in TIMES} for event in Run.open(run).metrics()]
    results = {key: value for key, value in Run.open(run).results().items() if "second" not in key}
    return (run / "model.safetensors").read_bytes(), metrics, results


@pytest.mark.parametrize("flags", MODELS.values(), ids=MODELS)
def test_a_resumed_training_ends_in_the_same_bits(tmp_path: Path, corpus: Path, flags: dict[str, Any]) -> None:
    whole, parted = experiment(tmp_path / "whole", flags), experiment(tmp_path / "parted", flags)
    events = list(pretrain_run(whole, [corpus], device="cpu"))
    assert isinstance(events[-1], Finished)
    steps = events[-1].results["steps"]
    assert steps > 25
    parts = []
    for stop in (3, 11, steps // 2 - 14, 1, 2):  # within an epoch, at its edge, just after it, at a Step event or not
        parts.append(list(pretrain_run(parted, [corpus], device="cpu", resume=bool(parts), stop=StopAt(stop))))
        assert isinstance(parts[-1][-1], Stopped)
        assert isinstance(parts[-1][-2], Saved)
    assert [part[-1].step for part in parts] == [3, 14, steps // 2, steps // 2 + 1, steps // 2 + 3]
    assert isinstance(list(pretrain_run(parted, [corpus], device="cpu", resume=True))[-1], Finished)
    assert lasting(tmp_path / "parted" / "lm") == lasting(tmp_path / "whole" / "lm")


def test_what_happened_after_the_checkpoint_is_taken_back(tmp_path: Path, corpus: Path) -> None:
    settings = experiment(tmp_path / "whole", {})
    list(pretrain_run(settings, [corpus], device="cpu"))
    parted = experiment(tmp_path / "parted", {})
    list(pretrain_run(parted, [corpus], device="cpu", stop=StopAt(7)))
    abandoned = pretrain_run(parted, [corpus], device="cpu", resume=True)
    next(abandoned)  # the Step event of step 10 is in the log, and no checkpoint after it
    abandoned.close()
    assert len(Run.open(tmp_path / "parted" / "lm", unfinished=True).metrics()) == 1
    list(pretrain_run(parted, [corpus], device="cpu", resume=True))
    assert lasting(tmp_path / "parted" / "lm") == lasting(tmp_path / "whole" / "lm")


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_checkpoint import experiment
from elmo_cli.training.pretrain import pretrain_run
flags = {"pretrain.checkpoint_minutes": 1e-9}
for event in pretrain_run(experiment(Path(sys.argv[2]), flags), [Path(sys.argv[3])], device="cpu"):
    print(type(event).__name__, flush=True)
"""


def test_a_killed_training_can_be_resumed(tmp_path: Path, corpus: Path) -> None:
    list(pretrain_run(experiment(tmp_path / "whole", {}), [corpus], device="cpu"))
    arguments = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(tmp_path / "killed"), str(corpus)]
    environment = dict(os.environ, OMP_NUM_THREADS="1", PYTHONPATH=str(Path(__file__).parents[2]))
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        saved = 0
        for line in child.stdout:
            saved += line == "Saved\n"
            if saved == 5:
                break
        time.sleep(0.003)  # somewhere in the next step, or in the writing of its checkpoint
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    with pytest.raises(RunError, match="not finished"):
        Run.open(tmp_path / "killed" / "lm")
    killed = experiment(tmp_path / "killed", {})
    assert isinstance(list(pretrain_run(killed, [corpus], device="cpu", resume=True))[-1], Finished)
    assert lasting(tmp_path / "killed" / "lm") == lasting(tmp_path / "whole" / "lm")
    assert sorted(entry.name for entry in (tmp_path / "killed").iterdir()) == ["lm"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"pretrain.window": 3}, "pretrain.window is 3, but the run was begun with"),
        ({"model.hidden_size": 9}, "model.hidden_size is 9"),
        ({"seed": 2}, "seed is 2"),
        ({"data.clean": "ag-news"}, "data.clean is ag-news"),
    ],
)
def test_other_settings_are_not_resumed(tmp_path: Path, corpus: Path, flags: dict[str, Any], message: str) -> None:
    list(pretrain_run(experiment(tmp_path / "runs", {}), [corpus], device="cpu", stop=StopAt(2)))
    with pytest.raises(ConfigError) as caught:
        list(pretrain_run(experiment(tmp_path / "runs", flags), [corpus], device="cpu", resume=True))
    assert message in caught.value.message
    free = experiment(tmp_path / "runs", {"pretrain.checkpoint_minutes": 3, "classify.epochs": 7})
    assert isinstance(list(pretrain_run(free, [corpus], device="cpu", resume=True))[-1], Finished)


def test_a_stopped_training_may_go_further(tmp_path: Path, corpus: Path) -> None:
    list(pretrain_run(experiment(tmp_path / "runs", {}), [corpus], device="cpu", stop=StopAt(2)))
    longer = experiment(tmp_path / "runs", {"pretrain.epochs": 3, "pretrain.max_minutes": 60, "pretrain.patience": 9})
    with pytest.raises(ConfigError, match=r"pretrain\.patience"):
        list(pretrain_run(longer, [corpus], device="cpu", resume=True))
    longer = experiment(tmp_path / "runs", {"pretrain.epochs": 4, "pretrain.max_minutes": 60})
    events = list(pretrain_run(longer, [corpus], device="cpu", resume=True))
    assert [event.epoch for event in events if isinstance(event, Validation)] == [1, 2, 3, 4]
    steps = [event for event in events if isinstance(event, Step)]
    # The rate is that of a training which was of four epochs from the start.
    whole = experiment(tmp_path / "whole", {"pretrain.epochs": 4})
    at_once = [event for event in pretrain_run(whole, [corpus], device="cpu") if isinstance(event, Step)]
    assert steps[-1].rate == at_once[-1].rate
    assert Run.open(tmp_path / "runs" / "lm").settings["pretrain"]["epochs"] == 4


def test_what_does_not_change_the_texts_may_change(tmp_path: Path) -> None:
    """A label column is looked at in tables only, and there only while the text columns are to be found."""
    table = tmp_path / "corpus.csv"
    table.write_text("kind,line\n" + "".join(f"x,{sentence}\n" for sentence in SENTENCES), encoding="utf-8")
    named = {"data.text": "line"}
    list(pretrain_run(experiment(tmp_path / "runs", {}), [table], device="cpu", stop=StopAt(2)))
    with pytest.raises(ConfigError, match=r"data\.label is kind, but the run was begun with None"):
        list(pretrain_run(experiment(tmp_path / "runs", {"data.label": "kind"}), [table], device="cpu", resume=True))
    list(pretrain_run(experiment(tmp_path / "named", named), [table], device="cpu", stop=StopAt(2)))
    labelled = experiment(tmp_path / "named", {**named, "data.label": "kind"})
    assert isinstance(list(pretrain_run(labelled, [table], device="cpu", resume=True))[-1], Finished)


def test_other_data_are_not_resumed(tmp_path: Path, corpus: Path) -> None:
    settings = experiment(tmp_path / "runs", {})
    list(pretrain_run(settings, [corpus], device="cpu", stop=StopAt(2)))
    other = tmp_path / "other.txt"
    other.write_text("\n".join(SENTENCES[1:]))
    with pytest.raises(ConfigError, match=r"corpus is other\.txt, whose content is not"):
        list(pretrain_run(settings, [other], device="cpu", resume=True))
    build_vocabulary_run(settings, [other], tmp_path / "v")
    smaller = tmp_path / "smaller.txt"
    smaller.write_text("a b\nb a\n")
    build_vocabulary_run(settings, [smaller], tmp_path / "w")
    with pytest.raises(ConfigError, match="vocabulary is another one"):
        list(pretrain_run(settings, [corpus], tmp_path / "w", device="cpu", resume=True))
    (tmp_path / "valid.txt").write_text("a b\n")
    changed = experiment(tmp_path / "runs", {"data.valid": str(tmp_path / "valid.txt")})
    with pytest.raises(ConfigError, match=r"valid is valid\.txt"):
        list(pretrain_run(changed, [corpus], device="cpu", resume=True))


@pytest.mark.parametrize("damage", ["missing", "cut", "wrong"])
def test_a_damaged_state_is_refused(tmp_path: Path, corpus: Path, damage: str) -> None:
    settings = experiment(tmp_path / "runs", {})
    list(pretrain_run(settings, [corpus], device="cpu", stop=StopAt(2)))
    state = tmp_path / "runs" / "lm" / "state" / "state.json"
    if damage == "missing":
        state.unlink()
    elif damage == "cut":
        state.write_text(state.read_text()[:-9])
    else:
        state.write_text(state.read_text().replace('"window"', '"door"'))
    with pytest.raises(RunError, match="no state to resume from") as caught:
        list(pretrain_run(settings, [corpus], device="cpu", resume=True))
    assert "--overwrite" in str(caught.value.remedy)
