"""A comparison with all its input read and checked: what there is to train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import torch

from elmo_cli.comparison.rows import EmbedderRow, LanguageModel, Row, Texts, load_models, make_rows
from elmo_cli.comparison.subsets import Size, make_sizes
from elmo_cli.config import Experiment, TokenizerSettings
from elmo_cli.data.files import fingerprint
from elmo_cli.errors import ConfigError
from elmo_cli.training.labelled import read_train_and_test, refuse_seen_test

Key = tuple[str, str, int, float]  # name and source of the row, seed, share of the labelled texts


class Task(NamedTuple):
    """A classifier to train."""

    size: int  # which of the job's sizes
    row: int  # which of its rows
    seed: int


@dataclass(frozen=True)
class Job:
    """A comparison, all its input read and checked.

    Attributes:
        experiment: Its settings.
        models: The LMs.
        rows: The rows of the table.
        sizes: All labelled texts, then the shares of them that the learning curves ask for.
        texts: Training and test file with the tokens of the first LM, which are those of the static rows.
        device: Where to compute.
        folder: Where activations go that exceed the memory budget.
    """

    experiment: Experiment
    models: list[LanguageModel]
    rows: list[Row]
    sizes: list[Size]
    texts: Texts
    device: torch.device
    folder: Path

    @property
    def seeds(self) -> range:
        """The seeds by which the classifiers of a row are drawn."""
        first = self.experiment.seed
        return range(first, first + self.experiment.compare.seeds)

    def seeds_of(self, row: Row) -> Sequence[int]:
        """One for the reference, in which nothing is drawn."""
        return self.seeds if isinstance(row, EmbedderRow) else self.seeds[:1]

    def work(self) -> list[Task]:
        """All classifiers: those of one embedder together, and of these the ones of all labelled texts first."""
        groups = groupby(range(len(self.rows)), key=lambda row: id(getattr(self.rows[row], "embedder", None)))
        return [
            Task(size, row, seed)
            for rows in (list(group) for _, group in groups)
            for size in range(len(self.sizes))
            for row in rows
            for seed in self.seeds_of(self.rows[row])
        ]

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Fingerprints of training and test file."""
        return tuple(fingerprint(texts.path) for texts in self.texts)

    def key_of(self, task: Task) -> Key:
        """By which a classifier is known from one session to the next."""
        row = self.rows[task.row]
        return row.name, row.source, task.seed, self.sizes[task.size].fraction


def lm_paths(experiment: Experiment) -> Sequence[Path]:
    """The LM runs to compare."""
    return experiment.compare.lms or (experiment.output / "lm",)


def prepare_job(experiment: Experiment, folder: Path, device: torch.device) -> Job:
    """Read and check everything.

    Raises:
        InputError: An input cannot be used.
    """
    paths = lm_paths(experiment)
    models = load_models(experiment, paths)

    @cache
    def read(tokenizer: TokenizerSettings) -> Texts:
        train, test = read_train_and_test(experiment, tokenizer)
        if test is None:
            raise ConfigError(
                "a comparison needs a test file",
                expected="--test FILE, or data.test in the settings",
                remedy="hold out some labelled texts for it",
            )
        return train, test

    texts = read(models[0].embedder.tokenizer)
    for path in paths:
        refuse_seen_test(path, texts[1].path)
    settings = experiment.compare
    sizes = make_sizes(texts[0], settings.fractions, experiment.classify.valid_fraction, experiment.seed)
    return Job(experiment, models, make_rows(experiment, models, read), sizes, texts, device, folder)
