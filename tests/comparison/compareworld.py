"""A world to compare in: an LM run, two embedding files, a training and a test file, all tiny."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tinyworld import FILLERS, TOKENIZER, TOPICS, make_bilm, make_experiment, make_texts, write_csv

from elmo_cli.comparison.compare import compare_run
from elmo_cli.config import Experiment
from elmo_cli.events import Event, Finished
from elmo_cli.model.bilm import BiLm
from elmo_cli.runs import RunWriter, describe_files, save_lm
from elmo_cli.vectors.formats import write_word2vec

WORDS = [*TOPICS["sports"], *TOPICS["money"], *FILLERS]


def write_vectors(path: Path, words: list[str], seed: int = 1) -> Path:
    matrix = np.random.default_rng(seed).normal(size=(len(words), 5)).astype(np.float32)
    write_word2vec(path, words, matrix)
    return path


def save_bilm(path: Path, corpus: Path | None = None, seed: int = 3, lowercase: bool = False) -> Path:
    embedder = make_bilm(seed)
    assert isinstance(embedder.network, BiLm)
    assert embedder.vocabulary is not None
    if lowercase:
        embedder.network.encoder.table.data.mul_(0.5)  # or it would be the same LM
        embedder.vocabulary.tokenizer = TOKENIZER.model_copy(update={"lowercase": True})
    with RunWriter(path, "lm", "test") as writer:
        writer.describe({}, {"corpus": describe_files([corpus] if corpus else [])})
        save_lm(writer, embedder.network, embedder.vocabulary)
    return path


def make_world(tmp_path: Path) -> Experiment:
    """One of the embedding files knows half of the words."""
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
                update={
                    "baselines": baselines,
                    "lambdas": ("trainable", "function"),
                    "seeds": 2,
                    "bootstrap": 200,
                    "ngrams": False,
                }
            ),
        }
    )


def change(experiment: Experiment, section: str, **values: object) -> Experiment:
    return experiment.model_copy(update={section: getattr(experiment, section).model_copy(update=values)})


def run(experiment: Experiment, **options: Any) -> list[Event]:
    return list(compare_run(experiment, device="cpu", **options))


def results_of(experiment: Experiment, **options: Any) -> dict[str, Any]:
    finished = run(experiment, **options)[-1]
    assert isinstance(finished, Finished)
    return finished.results
