"""One step of a pretraining: a window of the stream in, better weights out.

What `elmo pretrain` does some thousand times, and `elmo bench` for some seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from elmo_cli.config import Precision, PretrainSettings
from elmo_cli.embedder import StreamBatch
from elmo_cli.model.bilm import BiLm, BiLmState, StreamLoss
from elmo_cli.model.mode import Mode
from elmo_cli.model.parameters import decay_groups
from elmo_cli.training.optimiser import clip_gradients


def parameter_groups(network: BiLm, settings: PretrainSettings, initialised: bool = False) -> list[dict[str, Any]]:
    """Optimiser groups; a table that was initialised from static vectors has a rate of its own."""
    rate, decay = settings.learning_rate, settings.weight_decay
    named = list(network.named_parameters())
    if not initialised:
        return decay_groups(named, rate, decay)
    table = [item for item in named if item[1] is network.encoder.word_table]
    rest = [item for item in named if item[1] is not network.encoder.word_table]
    return decay_groups(rest, rate, decay) + decay_groups(table, rate * settings.embedding_rate_scale, decay)


def training_mode(settings: PretrainSettings, precision: Precision, compiled: bool) -> Mode:
    """How a network is run while it trains: what it drops and is penalised for, as the settings say."""
    return Mode(
        precision,
        compiled,
        word_dropout=settings.word_dropout,
        activation_penalty=settings.activation_penalty,
        temporal_penalty=settings.temporal_penalty,
    )


def train_step(
    network: BiLm,
    optimiser: torch.optim.Optimizer,
    batches: Sequence[StreamBatch],
    state: BiLmState | None,
    clip_norm: float | None,
    mode: Mode,
) -> StreamLoss:
    """Predict one window after the other, and move the weights along the gradient of their mean loss.

    Windows of a step are to each other as rows of one larger batch: each counts by its predicted steps.

    Args:
        network: In train mode.
        optimiser: Of its parameters.
        batches: What `Feed.window` makes of each window.
        state: After the window before; None at the start.
        clip_norm: Limit of the gradient's norm; None: it is not limited.
        mode: How the network is run; see `training_mode`.

    Returns:
        Loss, steps and state, free of gradients.
    """
    whole: StreamLoss | None = None
    steps = sum(int(mask.sum()) for *_, mask in batches) if len(batches) > 1 else 0
    for batch in batches:
        found = network.stream_loss(*batch, state, mode)
        loss = found.loss if found.penalty is None else found.loss + found.penalty
        if whole is None:
            optimiser.zero_grad()
        if steps:
            loss = loss * (found.steps / steps)
        loss.backward()  # type: ignore[no-untyped-call]
        found = found._replace(loss=found.loss.detach(), penalty=None)
        state, whole = found.state, found if whole is None else _together(whole, found)
    assert whole is not None  # there is a window at least
    clip_gradients(network.parameters(), clip_norm)
    optimiser.step()
    return whole


def _together(first: StreamLoss, second: StreamLoss) -> StreamLoss:
    """Loss of windows that follow each other."""
    steps = first.steps + second.steps
    loss = (first.loss * first.steps + second.loss * second.steps) / max(1, steps)
    return StreamLoss(loss, first.sums + second.sums, steps, second.state)
