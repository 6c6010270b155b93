"""A comparison from files to table: what rows share, what is computed once, and going on after a stop."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compareworld import WORDS, change, results_of, run, save_bilm, write_vectors
from tinyworld import make_texts, write_csv

from elmo_cli.comparison.compare import compare_run
from elmo_cli.comparison.job import prepare_job
from elmo_cli.config import Experiment
from elmo_cli.errors import ConfigError, DataError, RunError
from elmo_cli.events import ClassifierDone, Event, Finished, Notice, Stopped
from elmo_cli.metrics.classification import wilson_interval
from elmo_cli.model.bilm import BiLm
from elmo_cli.runs import Run


def without_times(results: dict[str, Any]) -> dict[str, Any]:
    copied = json.loads(json.dumps(results))
    for one in itertools.chain.from_iterable(row["seeds"] for row in copied["rows"]):
        del one["seconds"]
    return copied


def test_comparison_from_files_to_tables(world: Experiment) -> None:
    events = run(world)
    finished = events[-1]
    assert isinstance(finished, Finished)
    results = finished.results
    names = ["all.txt", "half.txt", "lm trainable", "lm function", "TF-IDF + SVM"]
    assert [row["name"] for row in results["rows"]] == names
    assert [row["kind"] for row in results["rows"]] == ["static", "static", "lm", "lm", "reference"]
    assert [row["lm"] for row in results["rows"]] == [None, None, "lm", "lm", None]
    assert results["seeds"] == [5, 6]
    for row in results["rows"][:-1]:
        assert [one["seed"] for one in row["seeds"]] == [5, 6]
        assert row["accuracy"] == pytest.approx(np.mean([one["accuracy"] for one in row["seeds"]]))
        assert {one["valid"]["examples"] for one in row["seeds"]} == {6}
        for role, texts in (("train", 60), ("test", 30)):
            assert np.sum(row["confusion"][role]) == 2 * texts
        assert np.trace(row["confusion"]["test"]) / 60 == pytest.approx(row["accuracy"])
    assert results["reference"] in ("all.txt", "half.txt")
    assert sum(row["p"] is None for row in results["rows"]) == 1
    assert results["comparisons"] == len(results["pairs"]) == 4 + 2
    done = [event for event in events if isinstance(event, ClassifierDone)]
    assert [event.done for event in done] == list(range(1, 10))
    assert {event.total for event in done} == {9}
    path = world.output / "compare"
    assert Run.open(path, "comparison").results() == json.loads(json.dumps(results))
    written = {"comparison.csv", "comparison.md", "comparison.tex", "examples.json", "README.md", "metrics.jsonl"}
    assert written <= {file.name for file in path.iterdir()}
    assert "curves.csv" not in {file.name for file in path.iterdir()}
    assert results["conclusion"] in (path / "comparison.md").read_text(encoding="utf-8")
    assert str(world.output) not in (path / "run.yaml").read_text(encoding="utf-8")


def test_the_data_are_described(world: Experiment) -> None:
    data = results_of(change(world, "compare", baselines=(), lambdas=("layer:0",), seeds=1))["data"]
    lengths = sorted(len(text.split()) for _, text in make_texts(60))
    assert data["train"] == {
        "file": "train.csv",
        "texts": 60,
        "cut": 0,
        "classes": {"money": 30, "sports": 30},
        "tokens": sum(lengths),
        "lengths": {
            "mean": pytest.approx(sum(lengths) / 60),
            "median": (lengths[29] + lengths[30]) / 2,
            "p95": pytest.approx(np.percentile(lengths, 95)),
            "max": lengths[-1],
        },
        "unknown_rate": 0.0,
    }
    assert (data["test"]["file"], data["test"]["texts"]) == ("test.csv", 30)


def test_what_to_beware_of_is_said_before_training_and_after(world: Experiment) -> None:
    assert world.data.train is not None
    rows = [*make_texts(29, seed=8), make_texts(60)[0]]
    world = change(world, "data", test=write_csv(world.data.train.with_name("test.csv"), rows))
    events = run(change(world, "compare", lambdas=("layer:0",), seeds=1))
    finished = events[-1]
    assert isinstance(finished, Finished)
    warnings = finished.results["warnings"]
    assert [
        event.message for event in events if isinstance(event, Notice) and not event.message.startswith("the text of")
    ] == warnings
    seed, coverage, seen, validation = warnings
    assert seed.startswith("One seed")
    assert coverage.startswith("half.txt has no vector for ")
    shared = len({text for _, text in make_texts(60)} & {text for _, text in rows})
    assert seen.startswith(f"{shared} of 30 test texts")
    assert validation.startswith("Only 6 texts for validation")


def test_unknown_words_of_each_file_are_counted(world: Experiment) -> None:
    everything, half, lm, _, reference = (row["unknown"] for row in results_of(world)["rows"])
    words = [word for _, text in make_texts(30, seed=8) for word in text.split()]
    missing = [word for word in words if word not in WORDS[::2]]
    assert (half["test"]["tokens"], half["test"]["unknown"]) == (len(words), len(missing))
    assert half["test"]["unknown_types"] == len(set(missing))
    assert half["test"]["rate"] == pytest.approx(len(missing) / len(words))
    assert half["file"]["test"]["tokens_found"] == len(words) - len(missing)
    assert everything["test"]["unknown"] == lm["test"]["unknown"] == 0
    assert reference == {}


def test_words_that_a_file_lacks_share_one_vector(world: Experiment) -> None:
    job = prepare_job(world, world.output, torch.device("cpu"))
    half = job.rows[1].embedder  # type: ignore[attr-defined]
    assert half.vocabulary is not None
    ids = dict(zip(WORDS, half.vocabulary.lookup(WORDS).tolist(), strict=True))
    assert {ids[word] for word in WORDS[1::2]} == {3}
    assert len({ids[word] for word in WORDS[::2]}) == len(WORDS[::2])
    assert not half.indexer.framed


def test_embedder_runs_once_for_all_modes_and_seeds(world: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    layers = BiLm.layers

    def counted(self: BiLm, tokens: Any, lengths: torch.Tensor, *further: Any, **named: Any) -> Any:
        seen.append(len(lengths))
        return layers(self, tokens, lengths, *further, **named)

    monkeypatch.setattr(BiLm, "layers", counted)
    run(world)
    assert sum(seen) == 60 + 30


def stop_after(world: Experiment, count: int) -> list[Event]:
    """Run a comparison and stop it after so many classifiers."""
    seen: list[Event] = []

    def stop() -> bool:
        return sum(isinstance(event, ClassifierDone) for event in seen) == count

    for event in compare_run(world, device="cpu", stop=stop):
        seen.append(event)  # noqa: PERF402  `stop` looks at it while the stream goes on
    assert isinstance(seen[-1], Stopped)
    return seen


def done_in(events: list[Event]) -> list[int]:
    return [event.done for event in events if isinstance(event, ClassifierDone)]


@pytest.mark.parametrize("count", [3, 8, 12])
def test_stopped_comparison_goes_on_and_ends_the_same(world: Experiment, count: int) -> None:
    world = change(world, "compare", baselines=world.compare.baselines[:1], fractions=(0.5,))
    whole = results_of(world, out=world.output / "whole")
    stop_after(world, count)
    path = world.output / "compare"
    with pytest.raises(RunError, match="not finished"):
        Run.open(path)
    with (path / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write(
            '{"event": "epochdone", "row": "of one that was not finished"}\n{"event": "classifier", "row": "cut sh'
        )
    events = run(world, resume=True)
    assert done_in(events) == list(range(count + 1, 15))
    resumed = events[-1]
    assert isinstance(resumed, Finished)
    assert without_times(resumed.results) == without_times(whole)
    for name in ("examples.json", "curves.csv", "comparison.tex"):
        assert (path / name).read_bytes() == (world.output / "whole" / name).read_bytes()
    more = change(world, "compare", seeds=3)
    assert len(done_in(run(more, resume=True))) == 2 * 3


@pytest.mark.parametrize(
    "tail", [b"\0" * 100 + b"\n", b'{"event": "epochdone"}\n\xff\n', b"[" * 100_000 + b"\n", b"7\n"]
)
def test_a_log_that_a_failing_machine_left_is_cut_where_it_is_whole(world: Experiment, tail: bytes) -> None:
    world = change(world, "compare", lambdas=("layer:0",), seeds=1)
    stop_after(world, 1)
    with (world.output / "compare" / "metrics.jsonl").open("ab") as file:
        file.write(tail)
    events = run(world, resume=True)
    assert isinstance(events[-1], Finished)
    assert done_in(events)[0] == 2


def test_rows_of_another_lm_are_trained_anew(world: Experiment) -> None:
    world = change(world, "compare", seeds=1, lambdas=("layer:0",))
    run(world)
    other = save_bilm(world.output / "other", seed=9)
    assert done_in(run(change(world, "compare", lms=(other,)), resume=True)) == [4]


def test_predictions_that_are_gone_are_named(world: Experiment) -> None:
    run(world)
    (world.output / "compare" / "predictions" / "0002.safetensors").unlink()
    with pytest.raises(RunError, match=r"0002\.safetensors is missing"):
        run(world, resume=True)


def test_resuming_with_other_data_is_refused(world: Experiment) -> None:
    run(world)
    with pytest.raises(ConfigError, match="classify is not what"):
        run(change(world, "classify", hidden_size=4), resume=True)
    assert world.data.test is not None
    write_csv(world.data.test, make_texts(20, seed=3))
    with pytest.raises(ConfigError, match="content of the test file"):
        run(world, resume=True)


@pytest.mark.parametrize(("name", "value"), [("encoding", "latin-1"), ("delimiter", ","), ("limit", 50)])
def test_resuming_with_another_reading_is_refused(world: Experiment, name: str, value: object) -> None:
    world = change(world, "compare", seeds=1, lambdas=("layer:0",))
    run(world)
    with pytest.raises(ConfigError, match=f"data.{name} is not what the comparison was begun with"):
        run(change(world, "data", **{name: value}), resume=True)


def test_stopping_at_once_leaves_nothing(world: Experiment) -> None:
    assert run(world, stop=lambda: True)[-1] == Stopped(0)
    assert sorted(path.name for path in world.output.iterdir()) == ["lm"]


def test_stopping_at_once_leaves_nothing_of_the_reference_either(world: Experiment) -> None:
    settings = change(world, "compare", baselines=(), lambdas=("layer:0",), seeds=1)
    stop_after(settings, 1)
    lines = (world.output / "compare" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["row"] for line in lines} == {"lm layer:0"}


def test_tuned_rows(world: Experiment) -> None:
    world = change(change(world, "compare", seeds=1, lambdas=("layer:1",)), "classify", tune=True, tune_epochs=1)
    results = results_of(world)
    assert [row["tune"] for row in results["rows"]] == [True, True, True, None]
    assert results["test"] == "McNemar's exact test"
    assert "tuned with its classifiers" in results["conclusion"]


def test_several_language_models(world: Experiment) -> None:
    second = save_bilm(world.output.parent / "other" / "lm", seed=9)
    world = change(world, "compare", lms=(world.output / "lm", second), lambdas=("layer:0", "frozen"), seeds=1)
    results = results_of(world)
    names = [row["name"] for row in results["rows"] if row["kind"] == "lm"]
    assert names == ["runs/lm layer:0", "runs/lm frozen", "other/lm layer:0", "other/lm frozen"]
    assert [row["lm"] for row in results["rows"] if row["kind"] == "lm"] == ["runs/lm"] * 2 + ["other/lm"] * 2
    assert results["comparisons"] == 6 + 2
    first, other = (next(row for row in results["rows"] if row["name"] == name) for name in (names[1], names[3]))
    assert first["seeds"][0]["lambdas"] == other["seeds"][0]["lambdas"]
    assert first["seeds"][0]["valid"]["loss"] != other["seeds"][0]["valid"]["loss"]


def test_language_models_read_texts_as_they_were_trained_to(world: Experiment) -> None:
    upper = save_bilm(world.output / "upper", lowercase=True)
    world = change(world, "compare", lms=(world.output / "lm", upper), lambdas=("layer:0",), seeds=1)
    assert world.data.test is not None
    write_csv(world.data.test, [(label, text.upper()) for label, text in make_texts(30, seed=8)])
    results = results_of(world)
    unknown = {row["name"]: row["unknown"].get("test", {}).get("rate") for row in results["rows"]}
    assert unknown["lm layer:0"] == unknown["all.txt"] == 1.0
    assert unknown["upper layer:0"] == 0.0
    assert any(warning.startswith("The LMs have different tokenizers") for warning in results["warnings"])


def test_without_the_reference(world: Experiment) -> None:
    results = results_of(change(world, "compare", reference=False, seeds=1))
    assert [row["kind"] for row in results["rows"]] == ["static", "static", "lm", "lm"]
    assert "TF-IDF" not in results["conclusion"] + " ".join(results["notes"])


def test_input_that_cannot_be_compared(world: Experiment, tmp_path: Path) -> None:
    foreign = write_vectors(tmp_path / "foreign.txt", ["le", "chat", "noir"])
    first = world.compare.baselines[0]
    copy = Path(shutil.copy(first, tmp_path / "copy.txt"))
    named = Path(shutil.copy(foreign, tmp_path / "lm trainable"))
    write_vectors(named, WORDS, seed=4)
    twin = Path(shutil.copytree(world.output / "lm", world.output / "twin"))
    lm = world.output / "lm"
    cases: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"baselines": (foreign,)}, DataError, r"foreign\.txt has no token in common"),
        ({"baselines": (first, first)}, ConfigError, "given twice"),
        ({"baselines": (first, copy)}, ConfigError, r"copy\.txt holds the same as .*all\.txt"),
        ({"baselines": (named,)}, ConfigError, "two rows would be called 'lm trainable'"),
        ({"lms": (lm, lm.parent / "." / "lm")}, ConfigError, "LM run .* is given twice"),
        ({"lms": (lm, twin)}, ConfigError, "twin holds the same as"),
        ({"lms": (lm.parent / "ln",)}, RunError, "there is no run"),
        ({"lambdas": ("linear",)}, ConfigError, "has 'linear'"),
        ({"lambdas": ("frozen", "frozen")}, ConfigError, "--lambdas frozen is given twice"),
        ({"lambdas": ("layer:0", "layer:3")}, ConfigError, "layer:3 does not fit lm, which has 3 layers"),
        ({"lambdas": (), "baselines": ()}, ConfigError, "nothing to compare"),
        ({"fractions": (0.01,)}, DataError, "fraction of 0.01 leaves no text of class 'money'"),
    ]
    for values, kind, message in cases:
        with pytest.raises(kind, match=message):
            run(change(world, "compare", **values))
    with pytest.raises(ConfigError, match="layer:0 to layer:2"):
        run(change(change(world, "compare", lambdas=("layer:3",)), "data", train=tmp_path / "not read yet.csv"))
    with pytest.raises(ConfigError, match="needs a test file"):
        run(change(world, "data", test=None))
    assert sorted(path.name for path in world.output.iterdir()) == ["lm", "twin"]


def test_lm_that_saw_the_test_file_is_refused(world: Experiment) -> None:
    save_bilm(world.output / "cheat", world.data.test, seed=9)
    with pytest.raises(DataError, match="has seen it as its corpus file"):
        run(change(world, "compare", lms=(world.output / "lm", world.output / "cheat")))


def test_what_the_majority_alone_reaches_stands_beside_the_rows(world: Experiment, tmp_path: Path) -> None:
    texts = [(label, text) for label, text in make_texts(400, seed=5) if label == "sports"][:45]
    texts += [(label, text) for label, text in make_texts(60, seed=6) if label == "money"][:5]
    test = write_csv(tmp_path / "skewed.csv", texts)
    train = write_csv(tmp_path / "skewed_train.csv", [*texts, *make_texts(20, seed=9)])
    skewed = change(change(world, "data", train=train, test=test), "compare", seeds=1, lambdas=("trainable",))
    results = results_of(skewed)
    majority = results["majority"]
    assert (majority["label"], majority["accuracy"]) == ("sports", 0.9)
    assert majority["interval"] == pytest.approx(wilson_interval(45, 50))
    assert majority["macro_f1"] == pytest.approx(2 * 0.9 / 1.9 / 2)
    (warning,) = [one for one in results["warnings"] if "majority class" in one]
    assert warning.startswith("90 % of the test texts are of the class 'sports'")
    assert "classify.class_weights=balanced" in warning
    table = (world.output / "compare" / "comparison.md").read_text(encoding="utf-8")
    assert "| majority class ‡ | 90.00 | - |" in table
    balanced = change(skewed, "classify", class_weights="balanced")
    warnings = results_of(balanced, overwrite=True)["warnings"]
    assert not any("balanced" in one for one in warnings)
    assert not any("majority class" in one for one in results_of(world, overwrite=True)["warnings"])
