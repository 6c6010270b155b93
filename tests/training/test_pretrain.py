"""Pretraining: what it learns, what it writes, and what it refuses."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from elmo_cli.config import Experiment, PretrainSettings, load_experiment
from elmo_cli.errors import ConfigError, DataError, ElmoError, RunError
from elmo_cli.events import Event, Finished, Notice, Saved, Step, Stopped, Validation
from elmo_cli.metrics.perplexity import perplexity
from elmo_cli.model.bilm import BiLm
from elmo_cli.runs import Run, load_lm
from elmo_cli.training.checkpoint import PretrainingState
from elmo_cli.training.prepare import build_vocabulary_run, prepare_pretraining
from elmo_cli.training.pretrain import _ended_by, pretrain_run
from elmo_cli.training.state import StepCounter

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "one", "dog"]


def write_corpus(path: Path, sentences: int = 60, seed: int = 0) -> Path:
    """Sentences in which each word is followed by the next of the list, from a random one on."""
    generator = np.random.default_rng(seed)
    lines = []
    for _ in range(sentences):
        start, length = generator.integers(len(WORDS)), generator.integers(2, 8)
        lines.append(" ".join(WORDS[(start + step) % len(WORDS)] for step in range(length)))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def experiment(folder: Path, **flags: Any) -> Experiment:
    given = {
        "output": str(folder / "runs"),
        "preset": "tiny",
        "model.hidden_size": 8,
        "model.layers": 1,
        "pretrain.batch_size": 4,
        "pretrain.window": 8,
        "pretrain.epochs": 2,
        "pretrain.valid_fraction": 0.1,
        "vocab.min_count": 1,
        **{key.replace("__", "."): value for key, value in flags.items()},
    }
    return load_experiment(None, [f"{key}={json.dumps(value)}" for key, value in given.items()])


def train(folder: Path, *, resume: bool = False, overwrite: bool = False, **flags: Any) -> list[Event]:
    corpus = folder / "corpus.txt"
    if not corpus.exists():
        write_corpus(corpus)
    events = pretrain_run(experiment(folder, **flags), [corpus], device="cpu", resume=resume, overwrite=overwrite)
    return list(events)


# The run


def test_a_training_tells_writes_and_learns(tmp_path: Path) -> None:
    events = train(tmp_path, pretrain__epochs=4, pretrain__learning_rate=0.05, model__hidden_size=16)
    assert isinstance(events[0], Notice)  # there was no vocabulary
    steps = [event for event in events if isinstance(event, Step)]
    validations = [event for event in events if isinstance(event, Validation)]
    assert [event.epoch for event in validations] == [1, 2, 3, 4]
    assert steps[-1].step == steps[-1].steps
    assert steps[-1].seconds_left == 0
    assert steps[-1].loss < 0.7 * steps[0].loss
    assert steps[-1].perplexity == pytest.approx(math.exp(steps[-1].loss))
    assert validations[-1].mean < 0.5 * len(WORDS)
    assert isinstance(events[-1], Finished)
    run = Run.open(tmp_path / "runs" / "lm", "lm")
    assert run.results() == events[-1].results
    assert len(run.metrics()) == len(steps) + len(validations)
    assert run.description["validation"] == "the last 10 % of the corpus: 6 of 60 sentences"
    assert {file["name"] for file in run.description["data"]["corpus"]} == {"corpus.txt"}
    card = (run.path / "README.md").read_text()
    assert 'elmo_cli.load("lm")' in card
    assert f"{events[-1].results['validation']['mean']:.4g}" in card
    files = b"".join(file.read_bytes() for file in run.path.rglob("*") if file.is_file())
    assert str(tmp_path).encode() not in files
    # every step of every epoch was predicted: tokens and sentence ends
    lines = (tmp_path / "corpus.txt").read_text().splitlines()[:54]
    assert events[-1].results["tokens"] == 4 * sum(len(line.split()) + 1 for line in lines)


def test_the_stored_weights_are_those_of_the_best_epoch(tmp_path: Path) -> None:
    events = train(tmp_path, pretrain__epochs=12, pretrain__learning_rate=0.3, pretrain__patience=2)
    validations = [event for event in events if isinstance(event, Validation)]
    best = min(validations, key=lambda event: event.mean)
    assert best.best
    assert len(validations) == best.epoch + 2 < 12  # stopped early
    embedder = load_lm(tmp_path / "runs" / "lm")
    job = prepare_pretraining(experiment(tmp_path), [tmp_path / "corpus.txt"], embedder.vocabulary)
    assert isinstance(embedder.network, BiLm)
    scores = perplexity(embedder, job.valid)
    assert scores.mean == pytest.approx(best.mean, rel=1e-9)
    results = Run.open(tmp_path / "runs" / "lm").results()
    assert results["validation"] == asdict(scores)
    assert (results["best_epoch"], results["epochs"]) == (best.epoch, len(validations))


def test_the_same_seed_gives_the_same_bits_and_another_one_others(tmp_path: Path) -> None:
    bits = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(tmp_path, output=str(tmp_path / name), seed=seed)
        bits.append((tmp_path / name / "lm" / "model.safetensors").read_bytes())
    assert bits[0] == bits[1] != bits[2]


@pytest.mark.parametrize("softmax", ["adaptive", "sampled"])
@pytest.mark.parametrize("encoder", ["word", "char", "word+char"])
def test_all_encoders_and_losses_train(tmp_path: Path, softmax: str, encoder: str) -> None:
    characters = {"filters": [[1, 4], [2, 4]], "max_characters": 8, "dim": 4}
    events = train(
        tmp_path, model__softmax=softmax, model__encoder=encoder, model__characters=characters, model__samples=4
    )
    assert isinstance(events[-1], Finished)
    assert events[-1].results["validation"]["mean"] < 20


def test_the_precision_of_the_settings_is_trained_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    stream_loss = BiLm.stream_loss

    def watched(self: BiLm, *arguments: Any) -> Any:
        seen.add(arguments[-1].precision)
        return stream_loss(self, *arguments)

    monkeypatch.setattr(BiLm, "stream_loss", watched)
    train(tmp_path, pretrain__precision="bfloat16")
    assert seen == {"bfloat16"}


def test_a_given_vocabulary_brings_its_tokenizer(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.txt")
    corpus.write_text(corpus.read_text().replace("cat", "Cat"))
    upper = experiment(tmp_path, tokenizer__lowercase=False)
    report = build_vocabulary_run(upper, [corpus], tmp_path / "upper")
    assert "Cat" in report.vocabulary
    events = list(pretrain_run(experiment(tmp_path), [corpus], tmp_path / "upper", device="cpu"))
    assert not any(isinstance(event, Notice) for event in events)
    embedder = load_lm(tmp_path / "runs" / "lm")
    assert not embedder.tokenizer.lowercase
    assert embedder.vocabulary is not None
    assert embedder.vocabulary.fingerprint() == report.vocabulary.fingerprint()
    assert Run.open(tmp_path / "runs" / "lm").settings["tokenizer"]["lowercase"] is False


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"min_count": 50}, "seen 50 times or more (--min-count)"),
        ({"max_size": 4}, "no more than 4 tokens (--max-size)"),
    ],
)
def test_a_vocabulary_of_this_corpus_is_not_said_to_be_of_another(settings: dict, why: str, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("the cat\n" * 60 + "a dog\n" * 40)
    small = experiment(tmp_path, **{f"vocab__{key}": value for key, value in settings.items()})
    build_vocabulary_run(small, [corpus])
    (told, *_) = [event.message for event in pretrain_run(small, [corpus], device="cpu") if isinstance(event, Notice)]
    assert "are not in the vocabulary, which was built" in told
    assert told.endswith(why)


@pytest.mark.parametrize(
    ("known", "notice"),
    [
        ("cat", "75 % of the training tokens are not in the vocabulary"),
        ("cat sat the", "25 % of the training tokens are not in the vocabulary"),
        ("cat sat the mat", None),
    ],
)
def test_a_vocabulary_of_another_world_is_said_aloud(tmp_path: Path, known: str, notice: str | None) -> None:
    (tmp_path / "corpus.txt").write_text("the cat sat mat\n" * 20)
    (tmp_path / "other.txt").write_text(f"{known}\nand else\n")
    build_vocabulary_run(experiment(tmp_path), [tmp_path / "other.txt"])
    notices = [event.message for event in train(tmp_path, pretrain__epochs=1) if isinstance(event, Notice)]
    assert [message.partition(":")[0] for message in notices] == ([notice] if notice else [])


def test_a_fifth_of_unknown_tokens_is_not_worth_a_word(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("the cat sat mat on\n" * 20)
    (tmp_path / "other.txt").write_text("the cat sat mat\n")
    build_vocabulary_run(experiment(tmp_path), [tmp_path / "other.txt"])
    assert not any(isinstance(event, Notice) for event in train(tmp_path, pretrain__epochs=1))


# Initial vectors


def write_vectors(path: Path, width: int) -> Path:
    lines = [f"{word} " + " ".join([str(float(number))] * width) for number, word in enumerate(WORDS, start=1)]
    path.write_text("\n".join([f"{len(WORDS)} {width}", *lines]) + "\n")
    return path


def table_after(folder: Path, name: str = "encoder.table", **flags: Any) -> tuple[torch.Tensor, tuple[str, ...]]:
    train(folder, overwrite=True, **flags)
    embedder = load_lm(folder / "runs" / "lm")
    assert embedder.vocabulary is not None
    return embedder.network.state_dict()[name], embedder.vocabulary.tokens


@pytest.mark.parametrize(("encoder", "name"), [("word", "encoder.table"), ("word+char", "encoder.words")])
def test_frozen_initial_vectors_stay_and_their_width_decides(tmp_path: Path, encoder: str, name: str) -> None:
    vectors = write_vectors(tmp_path / "vectors.txt", 3)
    flags = {"model__init_embeddings": str(vectors), "model__freeze_embeddings": True, "model__encoder": encoder}
    table, tokens = table_after(tmp_path, name, **flags)
    for number, word in enumerate(WORDS, start=1):
        assert table[tokens.index(word) + 1].tolist() == [number] * 3
    description = Run.open(tmp_path / "runs" / "lm").description
    assert description["data"]["init_embeddings"][0]["name"] == "vectors.txt"
    assert description["settings"]["model"]["embedding_size"] == 3


@pytest.mark.parametrize(("encoder", "name"), [("word", "encoder.table"), ("word+char", "encoder.words")])
def test_the_rate_of_an_initialised_table_is_scaled(tmp_path: Path, encoder: str, name: str) -> None:
    vectors = str(write_vectors(tmp_path / "vectors.txt", 8))
    expected = torch.arange(1.0, 11)

    def drift(scale: float) -> float:
        table, tokens = table_after(
            tmp_path, name, model__encoder=encoder, model__init_embeddings=vectors, pretrain__embedding_rate_scale=scale
        )
        rows = table[[tokens.index(word) + 1 for word in WORDS]]
        return float((rows - expected[:, None]).abs().max())

    full, tenth, none = drift(1.0), drift(0.1), drift(0.0)
    assert none == 0
    assert 0 < 3 * tenth < full


def test_initial_vectors_need_a_table(tmp_path: Path) -> None:
    vectors = write_vectors(tmp_path / "vectors.txt", 8)
    with pytest.raises(ConfigError, match=r"encoder is char"):
        train(tmp_path, model__init_embeddings=str(vectors), model__encoder="char")
    wide = write_vectors(tmp_path / "wide.txt", 9)
    with pytest.raises(ConfigError, match="tie"):
        train(tmp_path, model__init_embeddings=str(wide), model__tie=True)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("text", ["one sentence\n", ""])
def test_too_little_text_is_refused_before_anything_is_written(tmp_path: Path, text: str) -> None:
    (tmp_path / "corpus.txt").write_text(text)
    with pytest.raises(DataError):
        train(tmp_path)
    assert not (tmp_path / "runs").exists()


def test_bad_input_leaves_an_old_run_as_it_was(tmp_path: Path) -> None:
    train(tmp_path)
    before = (tmp_path / "runs" / "lm" / "model.safetensors").read_bytes()
    with pytest.raises(RunError, match="exists already"):
        train(tmp_path)
    (tmp_path / "corpus.txt").write_text("short\n")
    with pytest.raises(DataError):
        train(tmp_path, overwrite=True)
    assert (tmp_path / "runs" / "lm" / "model.safetensors").read_bytes() == before
    with pytest.raises(RunError, match="no run"):
        list(pretrain_run(experiment(tmp_path), [tmp_path / "corpus.txt"], tmp_path / "none", tmp_path / "x"))


# Failures under way


def test_a_training_that_diverges_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream_loss = BiLm.stream_loss

    def broken(self: BiLm, *arguments: Any) -> Any:
        result = stream_loss(self, *arguments)
        return result._replace(loss=result.loss * math.nan)

    monkeypatch.setattr(BiLm, "stream_loss", broken)
    with pytest.raises(ElmoError, match="diverged") as caught:
        train(tmp_path)
    assert "learning_rate" in str(caught.value.remedy)
    assert not (tmp_path / "runs").exists()


def test_a_model_that_sees_what_it_predicts_fails_loudly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = BiLm.run

    def look_ahead(self: BiLm, vectors: torch.Tensor, **options: Any) -> Any:
        outputs, state = run(self, vectors, **options)
        return [output + vectors.roll(-1, dims=2) for output in outputs], state

    train(tmp_path)
    assert Run.open(tmp_path / "runs" / "lm").results()["leak_test"]["sentences"] == 3
    monkeypatch.setattr(BiLm, "run", look_ahead)
    with pytest.raises(ElmoError, match="sees what it predicts"):
        train(tmp_path, overwrite=True)
    with pytest.raises(RunError, match="not finished"):
        Run.open(tmp_path / "runs" / "lm")


def test_a_disk_that_fills_keeps_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_corpus(tmp_path / "corpus.txt")
    replace, writes = os.replace, 0

    def full(source: Path, target: Path) -> None:
        nonlocal writes
        writes += Path(target).name == "state.json"
        if writes > 1:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ElmoError, match="No space left on device") as caught:
        train(tmp_path)
    assert "kept as it was last saved" in str(caught.value.remedy)
    monkeypatch.undo()
    assert isinstance(train(tmp_path, resume=True)[-1], Finished)


def test_a_stopped_training_is_kept_although_its_consumer_leaves(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.txt")
    for event in pretrain_run(experiment(tmp_path), [corpus], device="cpu", stop=lambda: True):
        if isinstance(event, Stopped):
            break
    state = tmp_path / "runs" / "lm" / "state" / "state.json"
    assert json.loads(state.read_text())["progress"]["step"] == 1
    assert isinstance(train(tmp_path, resume=True)[-1], Finished)
    assert isinstance(train(tmp_path, resume=True)[-1], Finished)  # nothing is left to do


def test_a_checkpoint_is_saved_as_often_as_asked(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus.txt")
    asked = experiment(tmp_path, pretrain__checkpoint_minutes=1e-9, pretrain__epochs=1)
    events, files = [], []
    for event in pretrain_run(asked, [tmp_path / "corpus.txt"], device="cpu"):
        events.append(event)
        if isinstance(event, Saved):
            files.append(len(list((tmp_path / "runs" / "lm" / "state").iterdir())))
    steps = next(event.steps for event in events if isinstance(event, Step))
    assert [event.step for event in events if isinstance(event, Saved)] == [*range(1, steps + 1), steps]
    assert set(files) == {2}  # the one before is gone
    assert not (tmp_path / "runs" / "lm" / "state").exists()  # once it is finished


@pytest.mark.parametrize(("seconds", "steps"), [(4.0, 5), (3.95, 4)])
def test_checkpoints_are_minutes_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, steps: int
) -> None:
    """On a clock on which a step takes a second, a checkpoint follows the first step beyond its time."""
    now = 0.0
    stream_loss = BiLm.stream_loss

    def timed(self: BiLm, *arguments: Any) -> Any:
        nonlocal now
        now += 1.0
        return stream_loss(self, *arguments)

    monkeypatch.setattr(BiLm, "stream_loss", timed)
    monkeypatch.setattr("elmo_cli.training.state.time", SimpleNamespace(perf_counter=lambda: now))
    events = train(tmp_path, pretrain__epochs=2, pretrain__checkpoint_minutes=seconds / 60)
    half = next(event.steps for event in events if isinstance(event, Step)) // 2
    assert half > 8
    epochs = [[*range(first + steps, first + half + 1, steps), first + half] for first in (0, half)]
    assert [event.step for event in events if isinstance(event, Saved)] == epochs[0] + epochs[1]
    told = [event.step for event in events if isinstance(event, Step)]
    assert told == sorted({*range(10, 2 * half, 10), half, 2 * half})


@pytest.mark.parametrize(
    ("state", "seconds", "expected"),
    [
        ({"epoch": 0}, 0, None),
        ({"epoch": 0}, 99, None),  # one validation at least
        ({"epoch": 3, "best": 5.0, "best_epoch": 2}, 0, None),
        ({"epoch": 4, "best": 5.0, "best_epoch": 2}, 0, "patience"),
        ({"epoch": 5, "best": 5.0, "best_epoch": 2}, 0, "patience"),  # begun with more patience
        ({"epoch": 4, "best": 5.0, "best_epoch": 2, "window": 1}, 0, None),
        ({"epoch": 9, "best": 5.0, "best_epoch": 8}, 0, None),
        ({"epoch": 10, "best": 5.0, "best_epoch": 9}, 0, "epochs"),
        ({"epoch": 10, "best": 5.0, "best_epoch": 1}, 99, "epochs"),
        ({"epoch": 11, "best": 5.0, "best_epoch": 11}, 0, "epochs"),  # begun with more epochs
        ({"epoch": 10, "best": 5.0, "best_epoch": 9, "last_share": 0.9}, 0, "time"),
        ({"epoch": 3, "best": 5.0, "best_epoch": 3}, 60, "time"),
        ({"epoch": 3, "best": 5.0, "best_epoch": 3}, 59, None),
        ({"epoch": 3, "best": 5.0, "best_epoch": 3, "window": 2}, 60, None),
    ],
)
def test_what_ends_a_training(
    state: dict[str, Any], seconds: int, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("elmo_cli.training.state.time", SimpleNamespace(perf_counter=lambda: 7.0))
    where = PretrainingState(**state, seconds=float(seconds))
    counter = StepCounter(where, steps=100, remedy="", max_minutes=1.0)
    assert _ended_by(where, PretrainSettings(epochs=10, patience=2), counter.time_share) == expected


def test_rows_that_the_corpus_decides_stand_in_the_run(tmp_path: Path) -> None:
    train(tmp_path, pretrain__batch_size=None, pretrain__epochs=1)
    assert Run.open(tmp_path / "runs" / "lm").settings["pretrain"]["batch_size"] == 8
    *_, last = train(tmp_path, resume=True, pretrain__batch_size=None, pretrain__epochs=2)
    assert isinstance(last, Finished)
