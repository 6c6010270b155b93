"""What the loop of `finetune` asks of whatever is learned: labels of texts, tags of tokens.

The loop knows batches, rates, the best epoch; an objective knows labels, their loss, and how to decode and score them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from elmo_cli.config import FinetuneSettings, Precision
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.layer_model import LayerModel
from elmo_cli.model.static import StaticTable
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.training.cache import Indices, Texts

Model = TypeVar("Model", bound=LayerModel)
SettingsIn = TypeVar("SettingsIn", bound=FinetuneSettings, contravariant=True)
Device = torch.device | str


@dataclass(frozen=True)
class Validated:
    """Scores of the best epoch on the texts that were held out."""

    examples: int  # texts, or tokens
    accuracy: float  # share of them that was right
    loss: float  # mean in nats of one of them

    @property
    def span_f1(self) -> float | None:
        """F1 of spans, where labels mark any; the best epoch is then chosen by it."""
        return None


class Objective(ABC, Generic[Model]):
    """Labels of a corpus, and what a model is to make of them. An example is what has a label: a text, or a token.

    Attributes:
        fit: Which texts of the corpus are trained on.
        valid: Which are held out.
        most_cells: Cells of tokens that no batch exceeds, but for a text that is longer alone.
    """

    fit: Indices
    valid: Indices
    most_cells: int

    @abstractmethod
    def make_model(
        self, network: BiLm | StaticTable, seed: int, precision: Precision, combiner_precision: Precision
    ) -> Model:
        """A model to train, with the embedder's network."""

    @abstractmethod
    def size(self, indices: Indices) -> int:
        """Examples in texts."""

    @abstractmethod
    def loss(self, model: Model, scores: Tensor, indices: Indices) -> Tensor:
        """Mean nats of an example, (), from the model's scores of texts."""

    @abstractmethod
    def right(self, model: Model, scores: Tensor, indices: Indices) -> Tensor:
        """Examples whose label is decoded right, ()."""

    @abstractmethod
    def validate(self, model: Model, texts: Texts) -> Validated:
        """Scores on the held out texts, of a model in eval mode."""


class Learnable(Protocol[SettingsIn, Model]):
    """A labelled corpus, which knows its objective."""

    @property
    def corpus(self) -> EncodedCorpus:
        """The texts."""

    def objective(
        self, settings: SettingsIn, seed: int, parts: tuple[Indices, Indices] | None, device: Device
    ) -> Objective[Model]:
        """What is learned of it; without `parts`, texts are held out by the seed."""
