"""A tiny world for tests of classification: texts whose class shows in their words, and small embedders."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from elmo_cli.config import ClassifySettings, Experiment, ModelSettings, TokenizerSettings, VocabularySettings
from elmo_cli.data.columns import Columns
from elmo_cli.embedder import Embedder
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.static import StaticTable
from elmo_cli.text.encoded import encode
from elmo_cli.text.tokenizer import Tokenizer
from elmo_cli.text.vocabulary import Vocabulary
from elmo_cli.training.labelled import LabelledCorpus

TOKENIZER = TokenizerSettings(kind="whitespace")
TOPICS = {"sports": ("match", "goal", "team", "coach"), "money": ("market", "bank", "share", "profit")}
FILLERS = ("the", "a", "of", "today", "said", "with")


def make_texts(count: int, seed: int = 1) -> list[tuple[str, str]]:
    """(label, text) pairs, two topic words among fillers each."""
    generator = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        label = ("sports", "money")[number % 2]
        words = [*generator.choice(TOPICS[label], 2), *generator.choice(FILLERS, generator.integers(1, 7))]
        rows.append((label, " ".join(generator.permutation(words))))
    return rows


def make_corpus(rows: Sequence[tuple[str, str]], classes: tuple[str, ...] = ("money", "sports")) -> LabelledCorpus:
    texts = tuple(text for _, text in rows)
    labels = np.array([classes.index(label) for label, _ in rows])
    return LabelledCorpus(encode(texts, Tokenizer(TOKENIZER)), texts, labels, classes, Path("train.csv"), Columns(), 0)


def write_csv(path: Path, rows: Sequence[tuple[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("label", "text"), *rows])
    return path


def make_vocabulary() -> Vocabulary:
    words = " ".join([*TOPICS["sports"], *TOPICS["money"], *FILLERS])
    return Vocabulary.build(encode([words], Tokenizer(TOKENIZER)), VocabularySettings(min_count=1), TOKENIZER)


MODEL = ModelSettings(hidden_size=6, projection_size=4, layers=2, softmax="full")


def make_bilm(seed: int = 3, model: ModelSettings = MODEL) -> Embedder:
    torch.manual_seed(seed)
    vocabulary = make_vocabulary()
    network = BiLm(model, len(vocabulary)).eval()
    return Embedder.of(network, vocabulary, TOKENIZER, "lm")


def make_static(seed: int = 3, width: int = 8) -> Embedder:
    vocabulary = make_vocabulary()
    matrix = torch.randn(len(vocabulary) + 1, width, generator=torch.Generator().manual_seed(seed))
    return Embedder.of(StaticTable(matrix), vocabulary, TOKENIZER, "static")


SETTINGS = ClassifySettings(
    hidden_size=8, epochs=6, tune_epochs=3, batch_size=8, learning_rate=0.02, dropout=0.1, max_tokens=32
)


def make_experiment(folder: Path, **classify: object) -> Experiment:
    """Settings whose runs lie below `folder`."""
    return Experiment(
        seed=5, output=folder, tokenizer=TOKENIZER, model=MODEL, classify=SETTINGS.model_copy(update=classify)
    )
