"""Training from texts in Python gives what the commands give on files of the same texts."""

from __future__ import annotations

import json
import pickle
import signal
from pathlib import Path

import numpy as np
import pytest
from pythonworld import LABELS, TEXTS

from elmo_cli import ConfigError, DataError, Elmo, RunError, TextClassifier
from elmo_cli.events import EpochDone, Event, Step, Validation
from elmo_cli.runs import Run


def weights(path: Path) -> bytes:
    return (path / "model.safetensors").read_bytes()


def test_runs_are_those_of_the_commands(world: Path, tmp_path: Path, run_elmo) -> None:
    rows = [json.dumps({"text": text, "label": label}) for text, label in zip(TEXTS, LABELS, strict=True)]
    file = tmp_path / "train.jsonl"
    file.write_text("\n".join(rows), encoding="utf-8")
    common = ("--device", "cpu", "--set", "data.text=[text]", "--set", f"output={tmp_path / 'runs'}")
    done = run_elmo("pretrain", file, "--preset", "tiny", *common)
    assert done.code == 0, done.stderr
    assert weights(tmp_path / "runs/lm") == weights(world / "runs/lm")
    settings = ("--set", "preset=tiny", "--set", "classify.epochs=8", "--set", "classify.learning_rate=0.02")
    done = run_elmo("classify", file, "--lambdas", "frozen", *settings, *common)
    assert done.code == 0, done.stderr
    assert weights(tmp_path / "runs/classify-frozen") == weights(world / "runs/classify-frozen")


def test_texts_may_be_any_iterable_and_events_are_told(tmp_path: Path) -> None:
    told: list[Event] = []
    elmo = Elmo.pretrain((text for text in TEXTS), preset="tiny", epochs=1, valid=iter(TEXTS[:4]), on_event=told.append)
    assert {Step, Validation} <= {type(event) for event in told}
    assert elmo.run.results()["validation"]["steps"] == 4 * 5
    told.clear()
    model = TextClassifier.fit(np.array(TEXTS), np.array(LABELS), lm=elmo, preset="tiny", on_event=told.append)
    assert EpochDone in {type(event) for event in told}
    assert model.classes == ["Business", "Sports"]
    assert model.embedder.name == "lm"


def test_a_settings_file_beside_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("elmo.yaml").write_text("nonsense: 3\n", encoding="utf-8")
    assert Elmo.pretrain(TEXTS, preset="tiny", epochs=1).run.settings["pretrain"]["epochs"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["elmo.yaml"]


def test_what_is_no_text_is_named_by_its_place(world: Path) -> None:
    lm = world / "runs/lm"
    with pytest.raises(TypeError, match=r"texts\[2\] is nan \(float\); give a string"):
        Elmo.pretrain(["a", "b", float("nan")], preset="tiny")  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"labels\[1\] is None \(NoneType\); give a string or a number"):
        TextClassifier.fit(["a", "b"], ["x", None], lm=lm)
    with pytest.raises(ValueError, match=r"labels\[0\] is empty"):
        TextClassifier.fit(["a", "b"], [" ", "x"], lm=lm)
    with pytest.raises(ValueError, match="2 texts and 1 labels"):
        TextClassifier.fit(["a", "b"], ["x"], lm=lm)
    with pytest.raises(TypeError, match=r"texts\[1\] is 3 \(int\); give a string or a list of tokens"):
        Elmo.load(lm).embed(["a", 3])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="texts is one string"):
        Elmo.pretrain("one text")
    with pytest.raises(DataError, match="none can be held out"):
        Elmo.pretrain(["alone alone"], preset="tiny")


def test_wrong_settings_name_the_arguments() -> None:
    with pytest.raises(ConfigError, match="epochz") as error:
        Elmo.pretrain(TEXTS, epochz=3)
    assert error.value.where == "the keyword arguments"
    assert "epochs" in str(error.value.remedy)


def interrupt_at(kind: type[Event], number: int = 1):
    """A callback that types Ctrl-C when it is told so many events of a kind."""
    left = number

    def tell(event: Event) -> None:
        nonlocal left
        left -= isinstance(event, kind)
        if not left:
            left = -1
            signal.raise_signal(signal.SIGINT)

    return tell


@pytest.mark.parametrize("kind", [Step, Validation])
def test_an_interrupted_pretraining_keeps_the_best(kind: type[Event]) -> None:
    elmo = Elmo.pretrain(TEXTS * 20, preset="tiny", epochs=50, on_event=interrupt_at(kind))
    assert elmo.run.results()["ended_by"] == "time"
    assert elmo.run.results()["epochs"] <= 2
    assert elmo.embed(["the match"])[0].shape == (3, 2, 64)


def test_an_interrupted_classifier_keeps_the_best(world: Path) -> None:
    settings, before = {"lm": world / "runs/lm", "preset": "tiny", "epochs": 50}, signal.getsignal(signal.SIGINT)
    model = TextClassifier.fit(TEXTS, LABELS, on_event=interrupt_at(EpochDone), **settings)
    assert model.run.results()["stopped"]
    with pytest.raises(KeyboardInterrupt):
        TextClassifier.fit(TEXTS * 20, LABELS * 20, on_event=interrupt_at(Step), **settings)
    assert signal.getsignal(signal.SIGINT) is before


def test_models_are_saved_and_pickled(world: Path, tmp_path: Path) -> None:
    model = TextClassifier.load(world / "runs/classify-frozen", device="cpu")
    model.save(tmp_path / "deep" / "saved")
    with pytest.raises(RunError, match="exists already"):
        model.save(tmp_path / "deep" / "saved")
    model.save(tmp_path / "deep" / "saved", overwrite=True)
    (tmp_path / "other").mkdir()
    with pytest.raises(RunError, match="exists already"):
        model.save(tmp_path / "other", overwrite=True)
    again = pickle.loads(pickle.dumps(model))
    expected = model.predict_proba(TEXTS)
    for other in (TextClassifier.load(tmp_path / "deep" / "saved"), again):
        np.testing.assert_array_equal(other.predict_proba(TEXTS), expected)
    assert repr(again) == repr(model)
    place = again.run.path
    assert place != model.run.path
    del again, other
    assert not place.exists()


def test_a_temporary_run_goes_with_its_model() -> None:
    elmo = Elmo.pretrain(TEXTS, preset="tiny", epochs=1)
    place = elmo.run.path
    assert Run.open(place).kind == "lm"
    elmo = pickle.loads(pickle.dumps(elmo))
    assert not place.exists()
    assert elmo.run.kind == "lm"
