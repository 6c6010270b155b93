"""Learning a class for each text."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from elmo_cli.config import ClassifySettings, Precision
from elmo_cli.data.values import as_label
from elmo_cli.errors import ConfigError, nearest
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.classifier import Classifier
from elmo_cli.model.static import StaticTable
from elmo_cli.training.cache import Indices, Texts, log_probabilities
from elmo_cli.training.objective import Device, Objective, Validated

if TYPE_CHECKING:
    from elmo_cli.training.labelled import LabelledCorpus


class TextObjective(Objective[Classifier]):
    """The class of each text, by cross entropy; an epoch is scored by accuracy."""

    def __init__(
        self, train: LabelledCorpus, settings: ClassifySettings, parts: tuple[Indices, Indices], device: Device
    ) -> None:
        self.fit, self.valid = parts
        self.most_cells = settings.batch_size * settings.max_tokens
        self._settings, self._classes = settings, len(train.classes)
        self._labels = torch.as_tensor(train.labels, device=device)  # (N,) class numbers of all texts
        weight = class_weights(settings, train, self.fit, device)
        # Mean nats, from (B, classes) logits and (B,) targets.
        self._cross_entropy = partial(functional.cross_entropy, weight=weight, label_smoothing=settings.label_smoothing)

    def make_model(
        self, network: BiLm | StaticTable, seed: int, precision: Precision, combiner_precision: Precision
    ) -> Classifier:
        """See `Objective.make_model`."""
        return Classifier(
            network, self._settings, self._classes, seed, precision=precision, combiner_precision=combiner_precision
        )

    def size(self, indices: Indices) -> int:
        """Texts."""
        return len(indices)

    def loss(self, model: Classifier, scores: Tensor, indices: Indices) -> Tensor:
        """See `Objective.loss`."""
        return self._cross_entropy(scores, self._labels[indices])

    def right(self, model: Classifier, scores: Tensor, indices: Indices) -> Tensor:
        """See `Objective.right`."""
        return (scores.argmax(1) == self._labels[indices]).sum()

    def validate(self, model: Classifier, texts: Texts) -> Validated:
        """See `Objective.validate`."""
        scores, targets = log_probabilities(model, texts, self.valid), self._labels[self.valid].cpu()
        accuracy = float((scores.argmax(1) == targets).double().mean())
        return Validated(len(self.valid), accuracy, float(functional.nll_loss(scores, targets)))


def class_weights(settings: ClassifySettings, train: LabelledCorpus, fit: Indices, device: Device) -> Tensor | None:
    """(classes,) of a text's loss; `balanced`: n / (classes · n_k), as in scikit-learn, of the texts trained on.

    Raises:
        ConfigError: A weight is given for a class that the training file lacks.
    """
    given = settings.class_weights
    if isinstance(given, dict):  # labels mean the same as in files
        given = {as_label(name): weight for name, weight in given.items()}
    if given is None:
        return None
    if given == "balanced":
        counts = np.bincount(train.labels[fit], minlength=len(train.classes))
        found = len(fit) / (len(counts) * counts.clip(min=1))
    else:
        unknown = [name for name in given if name not in train.classes]
        if unknown:
            raise ConfigError(
                f"classify.class_weights names the class '{unknown[0]}', which {train.path.name} does not have",
                expected=", ".join(train.classes),
                remedy=nearest(unknown[0], train.classes),
            )
        found = np.array([given.get(name, 1.0) for name in train.classes])
    return torch.as_tensor(found, dtype=torch.float32, device=device)
