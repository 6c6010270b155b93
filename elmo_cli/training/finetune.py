"""Training a classifier of texts or tokens on an embedder: one loop, from top to bottom.

The rate falls to the end, and the last weights are mostly the best. So an epoch is kept unless the validation texts say
that it is worse than the best before it, by more than the standard error of that one's score: which of some epochs has
the highest score on a hundred texts is chance.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Generic

import numpy as np
import torch
from torch import Tensor, nn

from elmo_cli.config import FinetuneSettings, Precision
from elmo_cli.embedder import Embedder
from elmo_cli.events import EpochDone, Event, Stop, Stopped, as_record, never
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.layer_model import LayerModel
from elmo_cli.model.static import StaticTable
from elmo_cli.text.batches import length_batches
from elmo_cli.training.cache import ActivationCache, Indices, LiveTexts, Texts, make_cache
from elmo_cli.training.costs import pick_precision, step_multiplications
from elmo_cli.training.objective import Learnable, Model, SettingsIn, Validated
from elmo_cli.training.optimiser import Average, Schedule, clip_gradients, make_optimiser, set_rate
from elmo_cli.training.state import StepCounter, TrainingState

WARMUP, FINAL_RATE = 0.1, 0.05
EVENTS_PER_EPOCH = 10
DIVERGED = "lower {0}.learning_rate (with --tune {0}.tune_rate), or set {0}.clip_norm"

Log = Callable[[dict[str, Any]], object]  # takes a line of `metrics.jsonl`


@dataclass(frozen=True)
class FinetuneResults:
    """Figures of a training; a part of `results.json`."""

    seed: int  # what weights, dropout and order were drawn by
    epochs: int  # whole epochs done
    best_epoch: int  # counted from 1, the last that was not clearly worse; its weights are the classifier's
    stopped: bool  # whether the user ended it
    lambdas: list[float] | None  # layer weights in force, where the combiner has any
    gamma: float | None  # scale of the mix, where the combiner has one
    precision: Precision  # the lowest in which matrices were multiplied
    activations: str  # in which the classifier reads its texts
    valid: Validated
    seconds: float  # with the embedder's pass over the texts, where it was made here


@dataclass(frozen=True)
class Finetuned(Generic[Model]):
    """A trained classifier, of texts or of tokens."""

    classifier: Model  # with the weights of its best epoch, in eval mode
    results: FinetuneResults
    epochs: tuple[EpochDone, ...]


@dataclass
class FinetuningState(TrainingState):
    """Where a training stands, and the epoch that is kept so far: the last that was not clearly worse than another."""

    best_score: float = 0.0  # highest on the validation texts: accuracy, or F1 of spans
    best: Validated | None = None  # all scores of the epoch that is kept
    best_weights: dict[str, Tensor] = field(default_factory=dict)  # weights after it
    epochs_done: list[EpochDone] = field(default_factory=list)

    def keep(self, valid: Validated, classifier: LayerModel) -> bool:
        """Keep the epoch that has just ended unless it is clearly worse; a frozen embedder is not copied."""
        score = valid.accuracy if valid.span_f1 is None else valid.span_f1
        self.best_score = max(self.best_score, score)
        if score < self.best_score - math.sqrt(self.best_score * (1 - self.best_score) / valid.examples):
            return False
        self.best_epoch, self.best = self.epoch, valid
        self.best_weights = {
            name: tensor.clone()
            for name, tensor in classifier.state_dict().items()
            if classifier.tune or not name.startswith("embedder.")
        }
        return True


def finetune(
    embedder: Embedder,
    train: Learnable[SettingsIn, Model],
    settings: SettingsIn,
    *,
    seed: int,
    parts: tuple[Indices, Indices] | None = None,
    device: torch.device | str = "cpu",
    stop: Stop = never,
    cache: ActivationCache | None = None,
    log: Log = lambda record: None,
) -> Generator[Event, None, Finetuned[Model] | Stopped]:
    """Train a classifier and keep an epoch of it; yields `Step` and `EpochDone`, and returns what was trained.

    Args:
        embedder: Frozen, its network is used as it is; with `tune`, a copy of it is trained.
        train: Texts with labels of their own or of their tokens.
        settings: How the classifier is made and trained.
        seed: All that weights, drawn λ, dropout and order depend on. In float32 on a CPU, equal seeds give equal bits.
        parts: Which texts to train and to validate on; None: a split of all, drawn by `seed`.
        device: Where to train.
        stop: Asked before each step whether to end with the epoch that is kept so far; `Stopped` if none is.
        cache: Activations of `train`, if there are any already; none with `tune`.
        log: Takes each epoch before anybody is told of it.
    """
    began = time.monotonic()
    given = _Training(embedder, train, settings, seed, parts, device, cache)
    classifier, texts, optimiser, schedule = given.classifier, given.texts, given.optimiser, given.schedule
    state = FinetuningState()
    counter = StepCounter(state, schedule.steps, DIVERGED.format(settings.section))
    every = max(1, schedule.steps // given.epochs // EVENTS_PER_EPOCH)
    objective, lengths = given.objective, texts.lengths[given.objective.fit]
    while state.epoch < given.epochs and state.epoch - state.best_epoch < settings.patience:
        epoch_seed = int(np.random.SeedSequence((seed, state.epoch + 1)).generate_state(1)[0])
        torch.manual_seed(epoch_seed)  # of dropout: what others draw between two epochs changes nothing
        classifier.train()
        if settings.unfreeze:
            classifier.unfreeze(state.epoch)
        loss_sum, right = torch.zeros((), device=device), torch.zeros((), dtype=torch.int64, device=device)
        for batch in length_batches(lengths, objective.most_cells, max_sentences=settings.batch_size, seed=epoch_seed):
            if stop():
                return _outcome(given, state, seed, time.monotonic() - began, stopped=True)
            set_rate(optimiser, schedule.factor(state.step + 1))
            optimiser.zero_grad()
            indices = objective.fit[batch]
            scores, size = texts.logits(classifier, indices), objective.size(indices)
            loss = objective.loss(classifier, scores, indices)
            loss.backward()  # type: ignore[no-untyped-call]
            clip_gradients(given.weights, settings.clip_norm)
            optimiser.step()
            counter.count(loss.detach(), size)
            given.average.update(state.step)
            loss_sum += loss.detach() * size
            right += objective.right(classifier, scores.detach(), indices)
            if state.step % every == 0:
                yield counter.event(optimiser.param_groups[0]["lr"])
        counter.settle()  # or a loss that is no number might go on to be validated
        yield _end_epoch(given, state, float(loss_sum), int(right), log)
    return _outcome(given, state, seed, time.monotonic() - began, stopped=False)


class _Training(Generic[Model]):
    """What stays the same while a classifier is trained: all that is made before the first step; see `finetune`."""

    def __init__(
        self,
        embedder: Embedder,
        train: Learnable[SettingsIn, Model],
        settings: SettingsIn,
        seed: int,
        parts: tuple[Indices, Indices] | None,
        device: torch.device | str,
        cache: ActivationCache | None,
    ) -> None:
        self.objective = train.objective(settings, seed, parts, device)
        network = copy.deepcopy(embedder.network) if settings.tune else embedder.network
        tuned, learned = _precisions(network, settings, device)
        self.precision: Precision = "bfloat16" if "bfloat16" in (tuned, learned) else "float32"
        self.classifier = self.objective.make_model(network, seed, tuned, learned).to(device)
        cache = cache or make_cache(embedder, train.corpus, settings, device)
        self.texts: Texts = cache or LiveTexts(embedder, train.corpus, device)
        groups = self.classifier.parameter_groups(settings)
        self.optimiser = make_optimiser("adamw", groups)
        self.weights: list[nn.Parameter] = [parameter for group in groups for parameter in group["params"]]
        trained = {id(parameter) for parameter in self.weights}
        named = self.classifier.named_parameters() if settings.average else ()
        self.average = Average([item for item in named if id(item[1]) in trained], settings.average)
        batches = math.ceil(len(self.objective.fit) / settings.batch_size)
        self.epochs = settings.passes(batches)  # at most
        self.schedule = Schedule(self.epochs * batches, WARMUP, FINAL_RATE)


def _precisions(
    network: BiLm | StaticTable, settings: FinetuneSettings, device: torch.device | str
) -> tuple[Precision, Precision]:
    """Precisions of the LSTM, which counts where it is tuned, and of the learned function where there is one."""
    tuned: Precision = "float32"
    learned: Precision = "float32"
    if settings.tune and isinstance(network, BiLm):
        multiplications = step_multiplications(network.settings, settings.batch_size)
        tuned = pick_precision(settings.precision, multiplications, device)
    if settings.lambdas == "function":
        # for a token of each text
        multiplications = settings.batch_size * network.layer_count * network.width**2
        learned = pick_precision(settings.precision, multiplications, device)
    return tuned, learned


def _end_epoch(given: _Training[Model], state: FinetuningState, loss_sum: float, right: int, log: Log) -> EpochDone:
    """Validate an epoch, with averaged weights where they are asked for, log it, keep it unless it is clearly worse."""
    classifier, state.epoch = given.classifier, state.epoch + 1
    classifier.eval()
    with given.average.in_force():
        valid = given.objective.validate(classifier, given.texts)
        kept = state.keep(valid, classifier)
        lambdas, gamma = classifier.combiner.lambdas(), classifier.combiner.gamma()
    examples = given.objective.size(given.objective.fit)
    done = EpochDone(
        epoch=state.epoch,
        loss=loss_sum / examples,
        train_accuracy=right / examples,
        valid_accuracy=valid.accuracy,
        lambdas=None if lambdas is None else tuple(lambdas),
        gamma=gamma,
        best=kept,
        valid_f1=valid.span_f1,
    )
    state.epochs_done.append(done)
    log(as_record(done))
    return done


def _outcome(
    given: _Training[Model], state: FinetuningState, seed: int, seconds: float, stopped: bool
) -> Finetuned[Model] | Stopped:
    """The classifier of the best epoch, if there is one."""
    if state.best is None:
        return Stopped(state.step)
    classifier = given.classifier
    classifier.load_state_dict({**classifier.state_dict(), **state.best_weights})
    classifier.eval()
    if classifier.tune:
        classifier.unfreeze(classifier.embedder.layer_count)  # layers that had not thawed yet
    results = FinetuneResults(
        seed=seed,
        epochs=state.epoch,
        best_epoch=state.best_epoch,
        stopped=stopped,
        lambdas=classifier.combiner.lambdas(),
        gamma=classifier.combiner.gamma(),
        precision=given.precision,
        activations=str(given.texts.dtype).removeprefix("torch."),
        valid=state.best,
        seconds=round(seconds, 2),
    )
    return Finetuned(classifier, results, tuple(state.epochs_done))
