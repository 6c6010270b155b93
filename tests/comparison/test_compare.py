"""A comparison from files to table: what rows share, what is computed once, and going on after a stop."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tinyworld import FILLERS, TOPICS, make_bilm, make_experiment, make_texts, write_csv

from elmo_cli.comparison import compare
from elmo_cli.comparison.compare import compare_run
from elmo_cli.config import Experiment
from elmo_cli.errors import ConfigError, DataError, RunError
from elmo_cli.model.bilm import BiLm
from elmo_cli.runs import Run, RunWriter, describe_files, save_lm
from elmo_cli.training.events import ClassifierDone, Event, Finished, Stopped
from elmo_cli.vectors.formats import write_word2vec

WORDS = [*TOPICS["sports"], *TOPICS["money"], *FILLERS]


def write_vectors(path: Path, words: list[str], seed: int = 1) -> Path:
    matrix = np.random.default_rng(seed).normal(size=(len(words), 5)).astype(np.float32)
    write_word2vec(path, words, matrix)
    return path


def save_bilm(path: Path, corpus: Path | None = None) -> None:
    embedder = make_bilm()
    assert isinstance(embedder.network, BiLm)
    with RunWriter(path, "lm", "test") as writer:
        writer.describe({}, {"corpus": describe_files([corpus] if corpus else [])})
        save_lm(writer, embedder.network, embedder.vocabulary)


@pytest.fixture
def world(tmp_path: Path) -> Experiment:
    """An LM run, two embedding files (one knows half of the words), a training and a test file."""
    save_bilm(tmp_path / "runs" / "lm")
    experiment = make_experiment(tmp_path / "runs", epochs=2)
    files = {
        "train": write_csv(tmp_path / "train.csv", make_texts(60)),
        "test": write_csv(tmp_path / "test.csv", make_texts(30, seed=8)),
    }
    baselines = (write_vectors(tmp_path / "all.txt", WORDS), write_vectors(tmp_path / "half.txt", WORDS[::2]))
    return experiment.model_copy(
        update={
            "data": experiment.data.model_copy(update=files),
            "compare": experiment.compare.model_copy(
                update={"baselines": baselines, "lambdas": ("trainable", "function"), "seeds": 2, "bootstrap": 200}
            ),
        }
    )


def change(experiment: Experiment, section: str, **values: object) -> Experiment:
    return experiment.model_copy(update={section: getattr(experiment, section).model_copy(update=values)})


def run(experiment: Experiment, **options: Any) -> list[Event]:
    return list(compare_run(experiment, device="cpu", **options))


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
    assert [row["name"] for row in results["rows"]] == ["all.txt", "half.txt", "lm trainable", "lm function"]
    assert results["seeds"] == [5, 6]
    for row in results["rows"]:
        assert [one["seed"] for one in row["seeds"]] == [5, 6]
        assert row["accuracy"] == pytest.approx(np.mean([one["accuracy"] for one in row["seeds"]]))
        assert {one["valid"]["examples"] for one in row["seeds"]} == {6}
    assert results["reference"] in ("all.txt", "half.txt")
    assert sum(row["p"] is None for row in results["rows"]) == 1
    done = [event for event in events if isinstance(event, ClassifierDone)]
    assert [event.done for event in done] == list(range(1, 9))
    assert {event.total for event in done} == {8}
    path = world.output / "compare"
    assert Run.open(path, "comparison").results() == json.loads(json.dumps(results))
    assert {"comparison.csv", "comparison.md", "README.md", "metrics.jsonl"} <= {file.name for file in path.iterdir()}
    assert results["conclusion"] in (path / "comparison.md").read_text(encoding="utf-8")
    assert str(world.output) not in (path / "run.yaml").read_text(encoding="utf-8")


def test_unknown_words_of_each_file_are_counted(world: Experiment) -> None:
    finished = run(world)[-1]
    assert isinstance(finished, Finished)
    everything, half, lm, _ = (row["unknown"] for row in finished.results["rows"])
    words = [word for _, text in make_texts(30, seed=8) for word in text.split()]
    missing = [word for word in words if word not in WORDS[::2]]
    assert (half["test"]["tokens"], half["test"]["unknown"]) == (len(words), len(missing))
    assert half["test"]["unknown_types"] == len(set(missing))
    assert half["test"]["rate"] == pytest.approx(len(missing) / len(words))
    assert half["file"]["test"]["tokens_found"] == len(words) - len(missing)
    assert everything["test"]["unknown"] == lm["test"]["unknown"] == 0


def test_words_that_a_file_lacks_share_one_vector(world: Experiment) -> None:
    job = compare._prepare(world, world.output / "lm", world.output, torch.device("cpu"))
    half = job.rows[1].embedder
    assert half.vocabulary is not None
    ids = dict(zip(WORDS, half.vocabulary.lookup(WORDS).tolist(), strict=True))
    assert {ids[word] for word in WORDS[1::2]} == {3}
    assert len({ids[word] for word in WORDS[::2]}) == len(WORDS[::2])
    assert not half.indexer.framed


def test_embedder_runs_once_for_all_modes_and_seeds(world: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    layers = BiLm.layers

    def counted(self: BiLm, tokens: Any, lengths: torch.Tensor, state: Any = None) -> Any:
        seen.append(len(lengths))
        return layers(self, tokens, lengths, state)

    monkeypatch.setattr(BiLm, "layers", counted)
    run(world)
    assert sum(seen) == 60 + 30


def test_stopped_comparison_goes_on_and_ends_the_same(world: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(world, out=world.output / "whole")[-1]
    assert isinstance(whole, Finished)
    seen: list[Event] = []

    def stop() -> bool:
        return sum(isinstance(event, ClassifierDone) for event in seen) == 3

    for event in compare_run(world, device="cpu", stop=stop):
        seen.append(event)  # noqa: PERF402  `stop` looks at it while the stream goes on
    assert isinstance(seen[-1], Stopped)
    with pytest.raises(RunError, match="not finished"):
        Run.open(world.output / "compare")
    with (world.output / "compare" / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"event": "classifier", "row": "cut sh')
    events = run(world, resume=True)
    assert [event.done for event in events if isinstance(event, ClassifierDone)] == [4, 5, 6, 7, 8]
    resumed = events[-1]
    assert isinstance(resumed, Finished)
    assert without_times(resumed.results) == without_times(whole.results)
    more = change(world, "compare", seeds=3)
    assert len([event for event in run(more, resume=True) if isinstance(event, ClassifierDone)]) == 4


def test_resuming_with_other_data_is_refused(world: Experiment) -> None:
    run(world)
    with pytest.raises(ConfigError, match="classify is not what"):
        run(change(world, "classify", hidden_size=4), resume=True)
    assert world.data.test is not None
    write_csv(world.data.test, make_texts(20, seed=3))
    with pytest.raises(ConfigError, match="content of the test file"):
        run(world, resume=True)


def test_stopping_at_once_leaves_nothing(world: Experiment) -> None:
    assert run(world, stop=lambda: True) == [Stopped(0)]
    assert sorted(path.name for path in world.output.iterdir()) == ["lm"]


def test_tuned_rows(world: Experiment) -> None:
    world = change(change(world, "compare", seeds=1, lambdas=("layer:1",)), "classify", tune=True, tune_epochs=1)
    finished = run(world)[-1]
    assert isinstance(finished, Finished)
    assert all(row["tune"] for row in finished.results["rows"])
    assert finished.results["test"] == "McNemar's exact test"


def test_input_that_cannot_be_compared(world: Experiment, tmp_path: Path) -> None:
    foreign = write_vectors(tmp_path / "foreign.txt", ["le", "chat", "noir"])
    with pytest.raises(DataError, match=r"foreign\.txt has no token in common"):
        run(change(world, "compare", baselines=(foreign,)))
    twice = world.compare.baselines[:1] * 2
    with pytest.raises(ConfigError, match="given twice"):
        run(change(world, "compare", baselines=twice))
    with pytest.raises(ConfigError, match="has 'linear'"):
        run(change(world, "compare", lambdas=("linear",)))
    with pytest.raises(ConfigError, match="3 layers"):
        run(change(world, "compare", lambdas=("layer:3",)))
    with pytest.raises(ConfigError, match="needs a test file"):
        run(change(world, "data", test=None))
    with pytest.raises(ConfigError, match="nothing to compare"):
        run(change(world, "compare", lambdas=(), baselines=()))
    assert sorted(path.name for path in world.output.iterdir()) == ["lm"]


def test_lm_that_saw_the_test_file_is_refused(world: Experiment) -> None:
    save_bilm(world.output / "cheat", world.data.test)
    with pytest.raises(DataError, match="has seen it as its corpus file"):
        run(world, lm=world.output / "cheat")
