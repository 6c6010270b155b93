"""What a step of a pretraining needs: the tensors of a window, the groups of weights, the gradients of a loss.

The loop of `elmo pretrain` takes some thousand steps with it, and `elmo bench` measures some seconds of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from elmo_cli.config import Precision, PretrainSettings
from elmo_cli.embedder import StreamBatch
from elmo_cli.model.bilm import BiLm, BiLmState, StreamLoss
from elmo_cli.model.mode import Mode
from elmo_cli.model.parameters import decay_groups
from elmo_cli.ranks import told_by_the_other
from elmo_cli.training.distributed import Replica


def parameter_groups(network: BiLm, settings: PretrainSettings, initialised: bool = False) -> list[dict[str, Any]]:
    """Optimiser groups; a table that was initialised from static vectors has a rate of its own."""
    rate, decay = settings.learning_rate, settings.weight_decay
    named = list(network.named_parameters())
    if not initialised:
        return decay_groups(named, rate, decay)
    # Such a table knows something already, which a full rate would undo before the rest has learned anything.
    table = [item for item in named if item[1] is network.encoder.word_table]
    rest = [item for item in named if item[1] is not network.encoder.word_table]
    return decay_groups(rest, rate, decay) + decay_groups(table, rate * settings.embedding_rate_scale, decay)


def training_mode(settings: PretrainSettings, precision: Precision, native_loop: bool = True) -> Mode:
    """How a network is run while it trains: what it drops and is penalised for, as the settings say."""
    return Mode(
        precision,
        native_loop,
        word_dropout=settings.word_dropout,
        activation_penalty=settings.activation_penalty,
        temporal_penalty=settings.temporal_penalty,
    )


def accumulate_gradients(
    network: BiLm,
    batches: Sequence[StreamBatch],
    state: BiLmState | None,
    mode: Mode,
    replica: Replica | None = None,
) -> StreamLoss:
    """Predict one window after the other, and add the gradient of their mean loss to that of the weights.

    Windows of a step are to each other as rows of one larger batch: each counts by its predicted steps. `state` is that
    after the window before, None at the start; what is returned is free of gradients. With a replica the
    gradients are those of all ranks, and the loss that of this one.
    """
    whole: StreamLoss | None = None
    predict = network.stream_loss if replica is None else replica.stream_loss
    steps = sum(int(mask.sum()) for *_, mask in batches) if len(batches) > 1 or replica else 0
    if replica:
        steps = int(replica.ranks.total([steps])[0])
    for number, batch in enumerate(batches, 1):
        with replica.summing(number == len(batches)) if replica else nullcontext():
            found = predict(*batch, state, mode)
            loss = found.loss if found.penalty is None else found.loss + found.penalty
            if steps:
                loss = loss * (found.steps / steps)
            # Each window's graph goes with its backward pass, so that memory does not grow with their number.
            with told_by_the_other() if replica else nullcontext():
                loss.backward()  # type: ignore[no-untyped-call]
        found = found._replace(loss=found.loss.detach(), penalty=None)
        state, whole = found.state, found if whole is None else _together(whole, found)
    if replica:
        replica.sum_tables()
    assert whole is not None  # there is a window at least
    return whole


def _together(first: StreamLoss, second: StreamLoss) -> StreamLoss:
    """Loss of windows that follow each other."""
    steps = first.steps + second.steps
    loss = (first.loss * first.steps + second.loss * second.steps) / max(1, steps)
    return StreamLoss(loss, first.sums + second.sums, steps, second.state)
