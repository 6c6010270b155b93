"""What a step of a pretraining needs: the tensors of a window, the groups of weights, the gradients of a loss.

The loop of `elmo pretrain` takes some thousand steps with it, and `elmo bench` measures some seconds of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from elmo_cli.config import PretrainSettings
from elmo_cli.model.bilm import BiLm, BiLmState, StreamLoss
from elmo_cli.model.encoder import TokenIds
from elmo_cli.model.kernel.compiled import fused
from elmo_cli.model.parameters import decay_groups
from elmo_cli.text.indexer import Indexer
from elmo_cli.text.streams import Window
from elmo_cli.text.vocabulary import Vocabulary

Batch = tuple[TokenIds, Tensor, Tensor, Tensor]


class Feed:
    """From windows of type numbers to what the network's loss takes.

    Args:
        network: Whose loss.
        vocabulary: Of its softmax, and of its encoder if that has one.
        types: Of the corpus that the windows are cut from.
        device: Where the network is.
    """

    def __init__(self, network: BiLm, vocabulary: Vocabulary, types: Sequence[str], device: torch.device | str) -> None:
        self.indexer = make_indexer(network, vocabulary)
        self._types = self.indexer.table(types)
        self._targets = vocabulary.lookup(types)
        self._device = device

    def __call__(self, window: Window) -> Batch:
        """Ids (2, B, T), targets (2, B, T), reset (B, T) and mask (B, T)."""
        tokens = TokenIds.from_numpy(*self._types.index(window.inputs), self._device)
        rest = (self._targets[window.targets], window.reset, window.mask)
        targets, reset, mask = (torch.as_tensor(array, device=self._device) for array in rest)
        return tokens, targets, reset, mask


def make_indexer(network: BiLm, vocabulary: Vocabulary) -> Indexer:
    """The indexer that feeds a biLM."""
    settings = network.settings
    return Indexer(settings.encoder, network.framed, vocabulary, settings.characters.max_characters)


def parameter_groups(network: BiLm, settings: PretrainSettings, initialised: bool = False) -> list[dict[str, Any]]:
    """Optimiser groups; a table that was initialised from static vectors has a rate of its own."""
    rate, decay = settings.learning_rate, settings.weight_decay
    named = list(network.named_parameters())
    if not initialised:
        return decay_groups(named, rate, decay)
    table = [item for item in named if item[1] is network.encoder.word_table]
    rest = [item for item in named if item[1] is not network.encoder.word_table]
    return decay_groups(rest, rate, decay) + decay_groups(table, rate * settings.embedding_rate_scale, decay)


def regularise(network: BiLm, settings: PretrainSettings) -> None:
    """Have a network drop words and penalise activations as the settings of its training say."""
    network.word_dropout = settings.word_dropout
    network.activation_penalty, network.temporal_penalty = settings.activation_penalty, settings.temporal_penalty


def accumulate_gradients(
    network: BiLm, batches: Sequence[Batch], state: BiLmState | None, compiled: bool
) -> StreamLoss:
    """Predict one window after the other, and add the gradient of their mean loss to that of the weights.

    Windows of a step are to each other as rows of one larger batch: each counts by its predicted steps.

    Args:
        network: In train mode.
        batches: What `Feed` makes of each window.
        state: After the window before; None at the start.
        compiled: Whether the LSTM's steps shall be compiled, where that can be done.

    Returns:
        Loss, steps and state, free of gradients.
    """
    whole: StreamLoss | None = None
    steps = sum(int(mask.sum()) for *_, mask in batches) if len(batches) > 1 else 0
    with fused(compiled):
        for batch in batches:
            found = network.stream_loss(*batch, state)
            loss = found.loss if found.penalty is None else found.loss + found.penalty
            if steps:
                loss = loss * (found.steps / steps)
            # Each window's graph goes with its backward pass, so that memory does not grow with their number.
            loss.backward()  # type: ignore[no-untyped-call]
            found = found._replace(loss=found.loss.detach(), penalty=None)
            state, whole = found.state, found if whole is None else _together(whole, found)
    assert whole is not None  # there is a window at least
    return whole


def _together(first: StreamLoss, second: StreamLoss) -> StreamLoss:
    """Loss of windows that follow each other."""
    steps = first.steps + second.steps
    loss = (first.loss * first.steps + second.loss * second.steps) / max(1, steps)
    return StreamLoss(loss, first.sums + second.sums, steps, second.state)
