"""The run that `elmo classify` writes, evaluated and used again."""

from __future__ import annotations

import csv
import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tinyworld import make_bilm, make_corpus, make_experiment, make_texts, write_csv

from elmo_cli.config import Experiment
from elmo_cli.errors import ConfigError, DataError, RunError
from elmo_cli.events import EpochDone, Event, Finished, Notice, Progress, Stopped
from elmo_cli.inference.evaluate import evaluate_run
from elmo_cli.inference.predict import predict_stream
from elmo_cli.model.bilm import BiLm
from elmo_cli.runs import Run, RunWriter, load_classifier, save_lm
from elmo_cli.training.cache import predict
from elmo_cli.training.classify import classify_run

TRAIN, TEST = make_texts(60), make_texts(30, seed=8)


def save_bilm(path: Path, seed: int = 3) -> Path:
    embedder = make_bilm(seed)
    assert isinstance(embedder.network, BiLm)
    with RunWriter(path, "lm", "test") as writer:
        writer.describe({"data": {}})
        save_lm(writer, embedder.network, embedder.vocabulary)
    return path


@pytest.fixture
def world(tmp_path: Path) -> Experiment:
    """An LM run, a training and a test file."""
    save_bilm(tmp_path / "runs" / "lm")
    experiment = make_experiment(tmp_path / "runs")
    files = {"train": write_csv(tmp_path / "train.csv", TRAIN), "test": write_csv(tmp_path / "test.csv", TEST)}
    return experiment.model_copy(update={"data": experiment.data.model_copy(update=files)})


def change(experiment: Experiment, section: str, **values: object) -> Experiment:
    return experiment.model_copy(update={section: getattr(experiment, section).model_copy(update=values)})


def read_dicts(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def classify(experiment: Experiment, **options: Any) -> list[Event]:
    return list(classify_run(experiment, device="cpu", **options))


def test_run_holds_all_that_it_promises(world: Experiment) -> None:
    events = classify(world)
    finished = events[-1]
    assert isinstance(finished, Finished)
    path = world.output / "classify-trainable"
    names = {file.name for file in path.iterdir()}
    assert names == {
        "run.yaml", "vocab.txt", "vocab.yaml", "model.safetensors", "ngrams.safetensors", "metrics.jsonl",
        "results.json", "README.md", "confusion_matrix.csv", "confusion_matrix_train.csv", "predictions.csv",
    }  # fmt: skip
    results = Run.open(path, "classifier").results()
    assert results == json.loads(json.dumps(finished.results))
    assert results["classes"] == ["money", "sports"]
    assert results["train"]["examples"] == 60
    assert results["test"]["examples"] == 30
    assert results["cut"] == {"train": 0, "test": 0}
    metrics = Run.open(path).metrics()
    assert [line["epoch"] for line in metrics] == [e.epoch for e in events if isinstance(e, EpochDone)]
    assert sum(metrics[-1]["lambdas"]) == pytest.approx(1, abs=1e-5)
    assert str(world.output) not in (path / "run.yaml").read_text(encoding="utf-8")


def test_epochs_are_logged_before_they_are_told(world: Experiment) -> None:
    lines = []
    for event in classify_run(world, device="cpu"):
        if isinstance(event, EpochDone):
            # Until it is whole, a run lies beside its place.
            log = next(world.output.glob("*classify-trainable*/metrics.jsonl"))
            lines.append(log.read_text(encoding="utf-8").count("\n"))
    assert lines
    assert lines == list(range(1, len(lines) + 1))


def test_evaluating_a_classifier_tells_how_far_it_is(world: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    classify(world)
    monkeypatch.setattr("elmo_cli.training.cache.CELLS_PER_BATCH", 40)
    told: list[Event] = []
    evaluate_run(world.output / "classify-trainable", None, world, device="cpu", tell=told.append)
    done = [event.done for event in told if isinstance(event, Progress) and event.what == "texts"]
    assert len(done) > 2
    assert done == sorted(set(done))
    assert told[-1] == Progress("texts", 30, 30)


def test_tables_agree_with_the_scores(world: Experiment) -> None:
    classify(world)
    path = world.output / "classify-trainable"
    test = Run.open(path).results()["test"]
    rows = read_dicts(path / "predictions.csv")
    assert [row["text"] for row in rows] == [text for _, text in TEST]
    assert [row["label"] for row in rows] == [label for label, _ in TEST]
    right = [row["label"] == row["predicted"] for row in rows]
    assert test["accuracy"] == pytest.approx(np.mean(right))
    for row in rows:
        assert float(row["p(money)"]) + float(row["p(sports)"]) == pytest.approx(1, abs=2e-6)
    table = list(csv.reader((path / "confusion_matrix.csv").read_text(encoding="utf-8").splitlines()))
    assert table[0] == ["true class", "money", "sports"]
    assert [[int(count) for count in row[1:]] for row in table[1:]] == test["confusion"]
    train = list(csv.reader((path / "confusion_matrix_train.csv").read_text(encoding="utf-8").splitlines()))
    assert [[int(count) for count in row[1:]] for row in train[1:]] == Run.open(path).results()["train"]["confusion"]


def test_the_card_says_what_the_results_do(world: Experiment) -> None:
    classify(world)
    path = world.output / "classify-trainable"
    results, card = Run.open(path).results(), (path / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", card, re.MULTILINE))
    for role, count in (("training", "60"), ("test", "30")):
        assert rows[f"{role} texts"] == count
    assert (rows["training file"], rows["test file"], rows["biLM"]) == ("train.csv", "test.csv", "frozen")
    assert rows["layer weights"] == " ".join(f"{value:.3f}" for value in results["lambdas"])
    low, high = results["test"]["interval"]
    accuracy = f"{results['test']['accuracy']:.4f} (95 % interval {low:.4f} to {high:.4f})"
    assert rows["test accuracy"] == accuracy
    assert 'elmo_cli.load("classify-trainable")' in card


def test_a_run_is_named_by_what_it_combines(world: Experiment) -> None:
    classify(change(world, "classify", lambdas="layer:0", tune=True, tune_epochs=1))
    card = (world.output / "classify-layer-0-tune" / "README.md").read_text(encoding="utf-8")
    assert "trained along" in card


@pytest.mark.parametrize("tune", [False, True])
def test_saved_classifier_evaluates_to_the_same_scores(world: Experiment, tune: bool) -> None:
    world = change(world, "classify", tune=tune)
    finished = classify(world)[-1]
    assert isinstance(finished, Finished)
    path = world.output / ("classify-trainable-tune" if tune else "classify-trainable")
    scores = evaluate_run(path, None, world, device="cpu")
    assert isinstance(scores, dict)
    assert {key: scores[key] for key in finished.results["test"]} == json.loads(json.dumps(finished.results["test"]))
    # The run is all that is needed: it moves, and the LM run goes.
    path = path.rename(world.output / "moved")
    for file in (world.output / "lm").iterdir():
        file.unlink()
    again = evaluate_run(path, world.data.test, world, device="cpu")
    assert isinstance(again, dict)
    assert again["accuracy"] == scores["accuracy"]


def test_predictions_stream_in_order(world: Experiment) -> None:
    classify(world)
    loaded = load_classifier(world.output / "classify-trainable")
    read = []

    def texts() -> Any:
        for _, text in TEST:
            read.append(text)
            yield text

    stream = predict_stream(loaded, texts(), batch=4)
    first = next(stream)
    assert len(read) == 4
    predictions = [first, *stream]
    assert [prediction.text for prediction in predictions] == [text for _, text in TEST]
    rows = read_dicts(world.output / "classify-trainable" / "predictions.csv")
    for prediction, row in zip(predictions, rows, strict=True):
        assert prediction.label == row["predicted"]
        assert prediction.probabilities[0] == pytest.approx(float(row["p(money)"]), abs=1e-5)
        assert not prediction.cut
    assert list(predict_stream(loaded, [])) == []


def test_predictions_clean_as_training_did_and_say_what_they_cut(world: Experiment) -> None:
    world = change(change(world, "data", clean="ag-news"), "classify", max_tokens=3)
    notes = [event.message for event in classify(world) if isinstance(event, Notice) and "cut" in event.message]
    assert len(notes) == 2
    assert "train.csv are longer than 3 tokens" in notes[0]
    results = Run.open(world.output / "classify-trainable").results()
    assert results["cut"]["test"] == sum(len(text.split()) > 3 for _, text in TEST)
    loaded = load_classifier(world.output / "classify-trainable")
    plain, broken, long = predict_stream(loaded, ["team goal", "team\\goal", "team goal the the"])
    assert broken.text == "team\\goal"
    assert broken.probabilities == pytest.approx(plain.probabilities, abs=1e-6)
    assert (plain.cut, long.cut) == (False, True)


def test_ngrams_answer_along_and_both_parts_are_told_apart(world: Experiment) -> None:
    finished = classify(world)[-1]
    assert isinstance(finished, Finished)
    results, path = finished.results, world.output / "classify-trainable"
    parts = results["ngrams"]["valid"]
    assert parts["embedder"] == pytest.approx({key: results["valid"][key] for key in ("accuracy", "loss")}, rel=1e-4)
    assert parts["together"]["loss"] < max(parts["embedder"]["loss"], parts["ngrams"]["loss"])
    assert min(results["ngrams"]["weights"]) >= 0
    loaded = load_classifier(path)
    assert loaded.ngrams is not None
    assert loaded.ngrams.weights == pytest.approx(results["ngrams"]["weights"])
    assert len(loaded.ngrams.classifier.features) == results["ngrams"]["features"]
    corpus = make_corpus(TEST).corpus
    alone = predict(loaded.members, loaded.embedder, corpus)
    rows = read_dicts(path / "predictions.csv")
    together = np.array([[float(row["p(money)"]), float(row["p(sports)"])] for row in rows])
    np.testing.assert_allclose(loaded.ngrams.beside(alone, corpus), together, atol=1e-5)
    assert np.abs(alone - together).max() > 1e-3


def test_without_ngrams_the_vectors_answer_alone(world: Experiment) -> None:
    finished = classify(change(world, "classify", ngrams=False))[-1]
    assert isinstance(finished, Finished)
    path = world.output / "classify-trainable"
    assert finished.results["ngrams"] is None
    assert not (path / "ngrams.safetensors").exists()
    loaded = load_classifier(path)
    assert loaded.ngrams is None
    rows = read_dicts(path / "predictions.csv")
    alone = predict(loaded.members, loaded.embedder, make_corpus(TEST).corpus)
    assert alone[:, 0] == pytest.approx([float(row["p(money)"]) for row in rows], abs=1e-5)


@pytest.mark.parametrize("tune", [False, True])
def test_members_answer_together(world: Experiment, tune: bool) -> None:
    world = change(world, "classify", ngrams=False, tune=tune, tune_epochs=1)
    events = classify(change(world, "classify", members=3))
    finished = events[-1]
    assert isinstance(finished, Finished)
    results, path = finished.results, world.output / f"classify-trainable{'-tune' if tune else ''}"
    assert [one["seed"] for one in results["members"]] == [5, 6, 7]
    assert [event.message for event in events if isinstance(event, Notice)][-2:] == [
        "member 2 of 3, by seed 6",
        "member 3 of 3, by seed 7",
    ]
    loaded, corpus = load_classifier(path), make_corpus(TEST).corpus
    assert len(loaded.members) == 3
    each = [predict([one], loaded.embedder, corpus) for one in loaded.members]
    product = np.prod(each, axis=0) ** (1 / 3)
    together = product / product.sum(1, keepdims=True)
    rows = read_dicts(path / "predictions.csv")
    np.testing.assert_allclose(together[:, 0], [float(row["p(money)"]) for row in rows], atol=1e-5)
    # as if each had been trained alone, on the same texts
    alone = results["members"][0]
    single = classify(world, out=world.output / "single")[-1]
    assert isinstance(single, Finished)
    assert single.results["members"] == []
    assert {**alone, "seconds": 0} == {**{key: single.results[key] for key in alone}, "seconds": 0}
    np.testing.assert_array_equal(
        predict(load_classifier(world.output / "single").members, loaded.embedder, corpus), each[0]
    )
    networks = {id(one.embedder) for one in loaded.members}
    assert len(networks) == (3 if tune else 1)
    sizes = [(path / f"member-{number}.safetensors").stat().st_size for number in (2, 3)]
    assert tune or max(sizes) < (path / "model.safetensors").stat().st_size
    logged = [json.loads(line) for line in (path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {line.get("member") for line in logged if line["event"] == "memberepoch"} == {2, 3}


def test_members_that_are_there_are_kept_when_another_is_stopped(world: Experiment) -> None:
    world = change(world, "classify", members=3, epochs=1)
    asked = itertools.count()
    events = classify(world, stop=lambda: next(asked) >= 9)  # seven steps are one member
    assert isinstance(events[-1], Stopped)
    loaded = load_classifier(world.output / "classify-trainable")
    assert len(loaded.members) == 1
    assert loaded.ngrams is None


def test_a_run_whose_member_is_gone_is_refused(world: Experiment) -> None:
    classify(change(world, "classify", members=2, epochs=1))
    path = world.output / "classify-trainable"
    (path / "member-2.safetensors").unlink()
    with pytest.raises(RunError, match=r"member-2\.safetensors is missing"):
        load_classifier(path)


def test_a_run_whose_ngrams_are_gone_or_damaged_is_refused(world: Experiment) -> None:
    classify(world)
    file = world.output / "classify-trainable" / "ngrams.safetensors"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(RunError, match=r"ngrams\.safetensors is damaged"):
        load_classifier(file.parent)
    file.unlink()
    with pytest.raises(RunError, match=r"ngrams\.safetensors is missing"):
        load_classifier(file.parent)


def test_a_run_of_before_there_were_ngrams_loads(world: Experiment) -> None:
    classify(change(world, "classify", ngrams=False))
    file = world.output / "classify-trainable" / "run.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(re.sub(r"^ +ngrams: false\n", "", text, flags=re.MULTILINE), encoding="utf-8")
    assert "ngrams" not in file.read_text(encoding="utf-8")
    assert load_classifier(file.parent).ngrams is None


def test_without_a_test_file_there_are_no_test_scores(world: Experiment) -> None:
    finished = classify(change(world, "data", test=None))[-1]
    assert isinstance(finished, Finished)
    assert "test" not in finished.results
    assert not (world.output / "classify-trainable" / "predictions.csv").exists()


def test_stopping_early_leaves_nothing_and_later_leaves_the_best(world: Experiment) -> None:
    out = world.output / "classify-trainable"
    assert isinstance(classify(world, stop=lambda: True)[-1], Stopped)
    assert sorted(path.name for path in world.output.iterdir()) == ["lm"]
    seen: list[Event] = []
    stream = classify_run(world, device="cpu", stop=lambda: any(isinstance(event, EpochDone) for event in seen))
    for event in stream:
        seen.append(event)  # noqa: PERF402  `stop` looks at it while the stream goes on
    assert isinstance(seen[-1], Stopped)
    assert Run.open(out).results()["stopped"] is True
    scores = evaluate_run(out, None, world, device="cpu")
    assert isinstance(scores, dict)
    assert scores["examples"] == 30


def test_bad_input_leaves_nothing(world: Experiment, tmp_path: Path) -> None:
    one_class = write_csv(tmp_path / "one.csv", [("money", f"bank {k}") for k in range(6)])
    with pytest.raises(DataError, match="same label 'money'"):
        classify(change(world, "data", train=one_class))
    with pytest.raises(ConfigError, match="no training file"):
        classify(change(world, "data", train=None))
    with pytest.raises(ConfigError, match="training and test file at once"):
        classify(change(world, "data", test=world.data.train))
    with pytest.raises(RunError, match="no run"):
        classify(world, lm=tmp_path / "nowhere")
    assert sorted(path.name for path in world.output.iterdir()) == ["lm"]
    classify(world)
    with pytest.raises(RunError, match="exists already"):
        classify(world)


def test_perplexity_of_an_lm_run(world: Experiment, tmp_path: Path) -> None:
    text = tmp_path / "held_out.txt"
    text.write_text("the team said\nbank today unheard\n", encoding="utf-8")
    results = evaluate_run(world.output / "lm", text, world, device="cpu")
    assert isinstance(results, dict)
    assert (results["run"], results["kind"], results["data"]) == ("lm", "lm", "held_out.txt")
    assert (results["tokens"], results["steps"], results["unknown"]) == (6, 8, 1)
    embedder = make_bilm()
    corpus = make_corpus([("money", "the team said"), ("money", "bank today unheard")]).corpus
    from elmo_cli.metrics.perplexity import perplexity

    expected = perplexity(embedder, corpus)
    assert results["mean"] == pytest.approx(expected.mean)


def test_all_runs_are_evaluated(world: Experiment) -> None:
    classify(world)
    with RunWriter(world.output / "half", "lm", "test") as writer:
        writer.leave_unfinished()
    results = evaluate_run(None, None, world, device="cpu")
    assert isinstance(results, list)
    assert [result["run"] for result in results] == ["classify-trainable", "half", "lm"]
    assert "accuracy" in results[0]
    assert "not finished" in results[1]["skipped"]
    assert results[2]["forward"] > 1


def test_nothing_to_evaluate_is_an_error(world: Experiment, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no file to evaluate on"):
        evaluate_run(world.output / "lm", None, change(world, "data", test=None))
    with pytest.raises(RunError, match="no model in"):
        evaluate_run(None, None, world.model_copy(update={"output": tmp_path / "empty"}))


def test_equal_seeds_write_equal_weights(world: Experiment) -> None:
    weights = []
    for name in ("first", "second"):
        classify(world, out=world.output / name)
        weights.append(Run.open(world.output / name).tensors())
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())
