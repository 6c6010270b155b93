"""The run that `elmo tag` writes, evaluated and used again, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_classify_run import save_bilm
from tinyworld import FILLERS, MODEL, TOKENIZER, TOPICS

from elmo_cli.config import Experiment, TagSettings
from elmo_cli.errors import ConfigError, DataError
from elmo_cli.events import EpochDone, Event, Finished, Notice, Stopped
from elmo_cli.inference.evaluate import evaluate_run
from elmo_cli.inference.tag_stream import tag_stream
from elmo_cli.runs import Run, load_tagger
from elmo_cli.training.tag import tag_run

KINDS = {word: kind for kind, words in TOPICS.items() for word in words}


def make_sentences(count: int, seed: int = 1) -> list[list[tuple[str, str]]]:
    """Sentences of fillers and topic words; neighbouring topic words of one kind are a span, in IOB2."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        words = [str(word) for word in generator.choice([*KINDS, *FILLERS], generator.integers(2, 9))]
        kinds = [KINDS.get(word, "") for word in words]
        tags = [
            f"{'I' if before == kind else 'B'}-{kind}" if kind else "O"
            for before, kind in zip(["", *kinds], kinds, strict=False)
        ]
        found.append(list(zip(words, tags, strict=True)))
    return found


def write_conll(path: Path, sentences: list[list[tuple[str, str]]], plain: bool = False) -> Path:
    rows = ["\n".join(f"{word} {tag[2:] or 'O' if plain else tag}" for word, tag in one) for one in sentences]
    path.write_text("\n\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def world(tmp_path: Path) -> Experiment:
    """An LM run, a training and a test file."""
    save_bilm(tmp_path / "runs" / "lm")
    tag = TagSettings(lambdas="layer:0", lstm_size=12, epochs=16, batch_size=8, learning_rate=0.03, dropout=0.1)
    experiment = Experiment(seed=5, output=tmp_path / "runs", tokenizer=TOKENIZER, model=MODEL, tag=tag)
    train = write_conll(tmp_path / "train.conll", make_sentences(80))
    return change(experiment, "data", train=train, test=write_conll(tmp_path / "test.conll", make_sentences(30, 8)))


def change(experiment: Experiment, section: str, **values: object) -> Experiment:
    return experiment.model_copy(update={section: getattr(experiment, section).model_copy(update=values)})


def tag(experiment: Experiment, **options: Any) -> list[Event]:
    return list(tag_run(experiment, device="cpu", **options))


def test_run_holds_all_that_it_promises(world: Experiment) -> None:
    events = tag(world)
    finished = events[-1]
    assert isinstance(finished, Finished)
    path = world.output / "tag-layer-0"
    assert {file.name for file in path.iterdir()} == {
        "run.yaml", "vocab.txt", "vocab.yaml", "model.safetensors", "metrics.jsonl", "results.json", "README.md",
        "predictions.conll", "words.json",
    }  # fmt: skip
    run = Run.open(path, "tagger")
    results = run.results()
    assert results == json.loads(json.dumps(finished.results))
    assert (results["head"], results["scheme"], results["tags"]) == ("crf", "iob2", ["money", "sports"])
    assert results["test_scores"]["spans"]["f1"] > 0.8  # the words tell
    epochs = [event for event in events if isinstance(event, EpochDone)]
    assert results["valid"]["f1"] == [event.valid_f1 for event in epochs if event.best][-1]
    assert run.description["columns"]["test.conll"] == {"tokens": "1", "tags": "2"}
    notes = [event.message for event in events if isinstance(event, Notice)]
    assert notes[0] == "train.conll: tokens in column 1, tags in column 2, spans in IOB2"
    token, true, predicted = (path / "predictions.conll").read_text().splitlines()[0].split(" ")
    assert token in {*KINDS, *FILLERS}
    assert {true[:2], predicted[:2]} <= {"O", "B-", "I-"}


def test_what_was_written_is_what_was_trained(world: Experiment) -> None:
    results = tag(world)[-1].results  # type: ignore[union-attr]
    path = world.output / "tag-layer-0"
    evaluated = evaluate_run(path, None, world, device="cpu")
    assert isinstance(evaluated, dict)
    assert {key: evaluated[key] for key in results["test_scores"]} == results["test_scores"]  # type: ignore[literal-required]
    lines = (path / "predictions.conll").read_text().split("\n\n")
    sentences = [[row.split(" ") for row in one.splitlines()] for one in lines if one.strip()]
    found = list(tag_stream(load_tagger(path), [[row[0] for row in one] for one in sentences], batch=7))
    assert [list(one.tags) for one in found] == [[row[2] for row in one] for one in sentences]


@pytest.mark.parametrize("changes", [
    {"lambdas": "trainable"}, {"lambdas": "frozen"}, {"lambdas": "function"}, {"lambdas": "trainable", "tune": True},
    {"lambdas": "trainable", "head": "linear", "lstm_size": 4},
])  # fmt: skip
def test_every_mode_trains_and_its_run_says_the_same(world: Experiment, changes: dict[str, object]) -> None:
    world = change(world, "tag", epochs=1, tune_epochs=1, **changes)
    results = tag(world, out=world.output / "t")[-1].results  # type: ignore[union-attr]
    evaluated = evaluate_run(world.output / "t", None, world, device="cpu")
    assert isinstance(evaluated, dict)
    assert evaluated["accuracy"] == results["test_scores"]["accuracy"]  # type: ignore[typeddict-item]


def test_equal_seeds_give_equal_taggers(world: Experiment) -> None:
    first, second = (tag(world, out=world.output / name)[-1].results for name in ("a", "b"))  # type: ignore[union-attr]
    assert first["test_scores"] == second["test_scores"]
    assert first["valid"] == second["valid"]


def test_plain_tags_and_a_file_for_validation(world: Experiment, tmp_path: Path) -> None:
    train = write_conll(tmp_path / "train.conll", make_sentences(60), plain=True)
    test = write_conll(tmp_path / "test.conll", [*make_sentences(20, 3), [("bank", "X-other")]], plain=True)
    valid = write_conll(tmp_path / "valid.conll", [*make_sentences(20, 4), [("bank", "X-other")]], plain=True)
    world = change(change(world, "data", train=train, test=test), "tag", valid=valid)
    events = tag(world)
    results = events[-1].results  # type: ignore[union-attr]
    assert (results["head"], results["scheme"], results["tags"]) == ("linear", "plain", ["O", "money", "sports"])
    assert results["valid"]["f1"] is None
    assert results["test_scores"]["spans"] is None
    assert set(results) >= {"train_scores", "valid_scores", "test_scores"}
    # The sentence with the unseen tag has nothing to validate, but counts in the scores of the file.
    assert results["valid_scores"]["tokens"] == results["valid"]["examples"] + 1
    notes = [event.message for event in events if isinstance(event, Notice)]
    assert sum("have tags that training never saw (other)" in note for note in notes) == 2


def test_other_schemes_are_converted(world: Experiment, tmp_path: Path) -> None:
    """A test file in IOB1 is read as such, though it breaks no rule of IOB2, where the training file is in IOB1."""
    train = [[(word, tag.replace("B-", "I-")) for word, tag in one] for one in make_sentences(80)]
    train.append([("bank", "I-money"), ("share", "B-money")])
    files = {"train": write_conll(tmp_path / "a.conll", train), "test": write_conll(tmp_path / "b.conll", train[:1])}
    results = tag(change(world, "data", **files))[-1].results  # type: ignore[union-attr]
    assert results["scheme"] == "iob1"
    predicted = {
        line.split(" ")[2] for line in (world.output / "tag-layer-0/predictions.conll").read_text().split("\n") if line
    }
    assert "B-money" not in predicted


def test_stopping_keeps_the_best_epoch(world: Experiment) -> None:
    answers = iter(range(100))
    events = tag(world, stop=lambda: next(answers) >= 12)
    assert isinstance(events[-1], Stopped)
    path = world.output / "tag-layer-0"
    assert "test_scores" not in Run.open(path, "tagger").results()
    assert list(tag_stream(load_tagger(path), [["the", "bank"], []]))[1].tags == ()


def test_stopped_before_the_first_epoch_leaves_nothing(world: Experiment) -> None:
    assert isinstance(tag(world, stop=lambda: True)[-1], Stopped)
    assert not (world.output / "tag-layer-0").exists()


@pytest.mark.parametrize(
    ("role", "text", "problem", "where"),
    [
        ("train", "the O\nbank O\n\nthe O\n", "have the same tag 'O'", "x.conll"),
        ("train", "the O\nbank I-a\nof B-a\nbank B-b\n", "may not stand here", "line 2"),
        ("test", "the O\nbank I-money\n", "no B-money stands before it", "line 2"),
        ("test", "the O\nbank B-loan\n", "never saw the type 'loan'", "line 2"),
        ("test", "the O\n\nbank DT\n", "neither O nor one of B, I", "line 3"),
    ],
)
def test_tags_that_cannot_be_used_are_named(
    world: Experiment, tmp_path: Path, role: str, text: str, problem: str, where: str
) -> None:
    path = tmp_path / "x.conll"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        tag(change(world, "data", **{role: path}))
    assert problem in caught.value.message
    assert str(caught.value.where).endswith(where)
    assert not (world.output / "tag-layer-0").exists()


def test_files_must_be_there_and_differ(world: Experiment) -> None:
    with pytest.raises(ConfigError, match="no training file"):
        tag(change(world, "data", train=None))
    with pytest.raises(ConfigError, match="training and test file at once"):
        tag(change(world, "data", test=world.data.train))
    with pytest.raises(ConfigError, match="validation and test file at once"):
        tag(change(world, "tag", valid=world.data.test))


def test_a_validation_file_of_unseen_tags_chooses_nothing(world: Experiment, tmp_path: Path) -> None:
    valid = write_conll(tmp_path / "valid.conll", [[("bank", "B-other"), *(("the", "O") for _ in range(60))]])
    with pytest.raises(DataError, match=r"every sentence of valid\.conll has a tag"):
        tag(change(world, "tag", valid=valid))


def test_one_sentence_leaves_none_for_validation(world: Experiment, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds one sentence"):
        tag(change(world, "data", train=write_conll(tmp_path / "one.conll", make_sentences(1, 2))))
