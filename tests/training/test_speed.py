"""The rules by which a pretraining picks its precision and compiles its steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from elmo_cli.config import Experiment, ModelSettings, PretrainSettings
from elmo_cli.events import Event, Finished, Notice, Saved
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.kernel import compiled
from elmo_cli.training import speed
from elmo_cli.training.pretrain import COMPILING, UNCOMPILED, pretrain_run
from elmo_cli.training.speed import compiling_pays, operations, pick_precision, step_multiplications

SMALL, TINY = ModelSettings(hidden_size=256), ModelSettings(hidden_size=32)


def test_products_of_a_token_counted_by_hand() -> None:
    # input 4 -> 32, recurrent 4 -> 32, projection 8 -> 4; a multiplication and an addition each; 2 layers, 2 directions
    assert operations(ModelSettings(hidden_size=8, projection_size=4)) == 2 * 2 * 2 * (4 * 32 + 4 * 32 + 8 * 4)
    assert operations(ModelSettings(hidden_size=8, layers=1)) == 2 * 2 * (8 * 32 + 8 * 32)


@pytest.mark.parametrize("native", [True, False])
def test_a_precision_that_was_asked_for_is_taken(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "bfloat16_is_native", lambda: native)
    for choice in ("float32", "bfloat16"):
        assert pick_precision(choice, step_multiplications(TINY, 32), "cpu") == choice


def test_auto_is_bfloat16_where_it_is_native_and_products_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "packing_pays", lambda device, dtype, count: count >= 1 << 20)
    monkeypatch.setattr(speed, "bfloat16_is_native", lambda: True)
    assert pick_precision("auto", step_multiplications(SMALL, 32), "cpu") == "bfloat16"
    assert pick_precision("auto", step_multiplications(TINY, 32), "cpu") == "float32"
    monkeypatch.setattr(speed, "bfloat16_is_native", lambda: False)
    assert pick_precision("auto", step_multiplications(SMALL, 32), "cpu") == "float32"


def test_only_a_long_training_on_a_cpu_is_compiled() -> None:
    settings = PretrainSettings(epochs=5)
    needed = int(speed.COMPILING_PAYS / (3 * operations(SMALL) * 5)) + 1
    assert compiling_pays(SMALL, settings, needed, "cpu")
    assert not compiling_pays(SMALL, settings, needed - 1, "cpu")
    assert not compiling_pays(SMALL, settings, 1000 * needed, "cuda")


def run(folder: Path, resume: bool = False, steps: int | None = None) -> list[Event]:
    """Some steps of a training, then the rest of it on resuming."""
    corpus = folder / "corpus.txt"
    corpus.write_text("the cat sat on the mat\na dog saw one cat\n" * 20, encoding="utf-8")
    experiment = Experiment.model_validate(
        {
            "output": folder / "runs",
            "vocab": {"min_count": 1},
            "model": {"hidden_size": 8, "softmax": "full"},
            "pretrain": {"epochs": 1, "batch_size": 2, "window": 8, "valid_fraction": 0.1},
        }
    )
    left = [steps]

    def stop() -> bool:
        if left[0] is not None:
            left[0] -= 1
        return left[0] is not None and left[0] < 0

    return list(pretrain_run(experiment, [corpus], device="cpu", resume=resume, stop=stop))


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each step asked for compiled passes."""
    asked = []

    def recording(self: BiLm, *arguments: Any) -> Any:
        *given, mode = arguments
        asked.append(mode.compiled)
        return stream_loss(self, *given, replace(mode, compiled=False))

    stream_loss = BiLm.stream_loss
    monkeypatch.setattr(BiLm, "stream_loss", recording)
    return asked


def test_a_resumed_training_goes_the_way_it_began(
    tmp_path: Path, wanted: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "COMPILING_PAYS", 0)
    monkeypatch.setattr("elmo_cli.training.pretrain.pick_precision", lambda *given: "bfloat16")
    assert isinstance(run(tmp_path, steps=3)[-2], Saved)
    monkeypatch.setattr(speed, "COMPILING_PAYS", 1e30)
    monkeypatch.setattr("elmo_cli.training.pretrain.pick_precision", lambda *given: "float32")
    last = run(tmp_path, resume=True)[-1]
    assert isinstance(last, Finished)
    assert (last.results["precision"], last.results["compiled"]) == ("bfloat16", True)
    assert len(wanted) == last.results["steps"]
    assert all(wanted)


@pytest.mark.usefixtures("wanted")
@pytest.mark.parametrize("possible", [True, False])
def test_compiling_and_its_obstacle_are_said(tmp_path: Path, possible: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "COMPILING_PAYS", 0)
    monkeypatch.setenv(compiled.SWITCH, "1" if possible else "0")
    monkeypatch.setattr(compiled.shutil, "which", lambda name: name)
    said = [event.message for event in run(tmp_path) if isinstance(event, Notice)]
    assert (COMPILING in said) == possible
    assert (f"{UNCOMPILED}: {compiled.SWITCH} is 0" in said) == (not possible)


def test_a_short_training_is_not_compiled(tmp_path: Path, wanted: list[bool]) -> None:
    said = [event.message for event in run(tmp_path) if isinstance(event, Notice)]
    assert not any(wanted)
    assert COMPILING not in said
