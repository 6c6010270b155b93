"""Training a text classifier on an embedder: one loop, from top to bottom."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from elmo_cli.config import ClassifySettings, Precision
from elmo_cli.data.values import as_label
from elmo_cli.embedder import Embedder
from elmo_cli.errors import ConfigError, nearest
from elmo_cli.events import EpochDone, Event, Stop, Stopped, as_record, never
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.classifier import Classifier
from elmo_cli.model.static import StaticTable
from elmo_cli.text.batches import length_batches
from elmo_cli.training.cache import ActivationCache, Indices, LiveTexts, Texts, log_probabilities, make_cache
from elmo_cli.training.costs import pick_precision, step_multiplications
from elmo_cli.training.labelled import LabelledCorpus, split
from elmo_cli.training.optimiser import Average, Schedule, clip_gradients, make_optimiser, set_rate
from elmo_cli.training.state import StepCounter, TrainingState

WARMUP, FINAL_RATE = 0.1, 0.05
EVENTS_PER_EPOCH = 10
DIVERGED = "lower classify.learning_rate (with --tune classify.tune_rate), or set classify.clip_norm"

Log = Callable[[dict[str, Any]], object]  # takes a line of `metrics.jsonl`


@dataclass(frozen=True)
class Validated:
    """Scores of the best epoch on the texts that were held out."""

    examples: int
    accuracy: float  # share that was classified right
    loss: float  # mean in nats a text


@dataclass(frozen=True)
class FinetuneResults:
    """Figures of a training; a part of `results.json`."""

    seed: int  # what weights, dropout and order were drawn by
    epochs: int  # whole epochs done
    best_epoch: int  # counted from 1; its weights are the classifier's
    stopped: bool  # whether the user ended it
    lambdas: list[float] | None  # layer weights in force, where the combiner has any
    gamma: float | None  # scale of the mix, where the combiner has one
    precision: Precision  # the lowest in which matrices were multiplied
    activations: str  # in which the classifier reads its texts
    valid: Validated
    seconds: float  # with the embedder's pass over the texts, where it was made here


@dataclass(frozen=True)
class Finetuned:
    """A trained classifier."""

    classifier: Classifier  # with the weights of its best epoch, in eval mode
    results: FinetuneResults
    epochs: tuple[EpochDone, ...]


@dataclass
class FinetuningState(TrainingState):
    """Where a training stands, and its best epoch so far: highest accuracy, of equal ones the lower loss."""

    best_accuracy: float = -1.0  # on the validation texts
    best_loss: float = math.inf  # there, in nats a text
    best_weights: dict[str, Tensor] = field(default_factory=dict)  # weights after that epoch
    epochs_done: list[EpochDone] = field(default_factory=list)

    def keep_if_best(self, accuracy: float, loss: float, classifier: Classifier) -> bool:
        """Take the epoch that has just ended if it is better; a frozen embedder does not change and is not copied."""
        if (accuracy, -loss) <= (self.best_accuracy, -self.best_loss):
            return False
        self.best_epoch, self.best_accuracy, self.best_loss = self.epoch, accuracy, loss
        self.best_weights = {
            name: tensor.clone()
            for name, tensor in classifier.state_dict().items()
            if classifier.tune or not name.startswith("embedder.")
        }
        return True


def finetune(
    embedder: Embedder,
    train: LabelledCorpus,
    settings: ClassifySettings,
    *,
    seed: int,
    parts: tuple[Indices, Indices] | None = None,
    device: torch.device | str = "cpu",
    stop: Stop = never,
    cache: ActivationCache | None = None,
    log: Log = lambda record: None,
) -> Generator[Event, None, Finetuned | Stopped]:
    """Train a classifier and keep its best epoch; yields `Step` and `EpochDone`, and returns what was trained.

    Args:
        embedder: Frozen, its network is used as it is; with `tune`, a copy of it is trained.
        train: Texts and labels.
        settings: How the classifier is made and trained.
        seed: All that weights, drawn λ, dropout and order depend on. In float32 on a CPU, equal seeds give equal bits.
        parts: Which texts to train and to validate on; None: a split of all, drawn by `seed`.
        device: Where to train.
        stop: Asked before each step whether to end with the best epoch so far; `Stopped` if none is done.
        cache: Activations of `train`, if there are any already; none with `tune`.
        log: Takes each epoch before anybody is told of it.
    """
    began = time.monotonic()
    given = _Training(embedder, train, settings, seed, parts, device, cache)
    classifier, texts, optimiser, schedule = given.classifier, given.texts, given.optimiser, given.schedule
    state = FinetuningState()
    counter = StepCounter(state, schedule.steps, DIVERGED)
    every = max(1, schedule.steps // given.epochs // EVENTS_PER_EPOCH)
    lengths, cells = texts.lengths[given.fit], settings.batch_size * settings.max_tokens  # which no batch exceeds
    while state.epoch < given.epochs and state.epoch - state.best_epoch < settings.patience:
        epoch_seed = int(np.random.SeedSequence((seed, state.epoch + 1)).generate_state(1)[0])
        torch.manual_seed(epoch_seed)  # of dropout: what others draw between two epochs changes nothing
        classifier.train()
        if settings.unfreeze:
            classifier.unfreeze(state.epoch)
        loss_sum, right = torch.zeros((), device=device), torch.zeros((), dtype=torch.int64, device=device)
        for batch in length_batches(lengths, cells, max_sentences=settings.batch_size, seed=epoch_seed):
            if stop():
                return _outcome(given, state, seed, time.monotonic() - began, stopped=True)
            set_rate(optimiser, schedule.factor(state.step + 1))
            optimiser.zero_grad()
            indices = given.fit[batch]
            logits, targets = texts.logits(classifier, indices), given.labels[indices]
            loss = given.loss(logits, targets)
            loss.backward()  # type: ignore[no-untyped-call]
            clip_gradients(given.weights, settings.clip_norm)
            optimiser.step()
            counter.count(loss.detach(), len(indices))
            given.average.update(state.step)
            loss_sum += loss.detach() * len(indices)
            right += (logits.argmax(1) == targets).sum()
            if state.step % every == 0:
                yield counter.event(optimiser.param_groups[0]["lr"])
        counter.settle()  # or a loss that is no number might go on to be validated
        yield _end_epoch(given, state, float(loss_sum), int(right), log)
    return _outcome(given, state, seed, time.monotonic() - began, stopped=False)


class _Training:
    """What stays the same while a classifier is trained: all that is made before the first step; see `finetune`."""

    fit: Indices  # which texts are trained on
    valid: Indices

    def __init__(
        self,
        embedder: Embedder,
        train: LabelledCorpus,
        settings: ClassifySettings,
        seed: int,
        parts: tuple[Indices, Indices] | None,
        device: torch.device | str,
        cache: ActivationCache | None,
    ) -> None:
        self.fit, self.valid = parts or split(train.labels, settings.valid_fraction, seed, train.path)
        self.labels = torch.as_tensor(train.labels, device=device)  # (N,) class numbers of all texts
        network = copy.deepcopy(embedder.network) if settings.tune else embedder.network
        tuned, learned = _precisions(network, settings, device)
        self.precision: Precision = "bfloat16" if "bfloat16" in (tuned, learned) else "float32"
        self.classifier = Classifier(
            network, settings, len(train.classes), seed, precision=tuned, combiner_precision=learned
        ).to(device)
        cache = cache or make_cache(embedder, train.corpus, settings, device)
        self.texts: Texts = cache or LiveTexts(embedder, train.corpus, device)
        groups = self.classifier.parameter_groups(settings)
        self.optimiser = make_optimiser("adamw", groups)
        self.weights: list[nn.Parameter] = [parameter for group in groups for parameter in group["params"]]
        trained = {id(parameter) for parameter in self.weights}
        named = self.classifier.named_parameters() if settings.average else ()
        self.average = Average([item for item in named if id(item[1]) in trained], settings.average)
        self.epochs = settings.tune_epochs if settings.tune else settings.epochs  # at most
        steps = self.epochs * math.ceil(len(self.fit) / settings.batch_size)
        self.schedule = Schedule(steps, WARMUP, FINAL_RATE)
        # Mean nats, from (B, classes) logits and (B,) targets.
        weight = _class_weights(settings, train, self.fit, device)
        self.loss = partial(functional.cross_entropy, weight=weight, label_smoothing=settings.label_smoothing)


def _class_weights(
    settings: ClassifySettings, train: LabelledCorpus, fit: Indices, device: torch.device | str
) -> Tensor | None:
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


def _precisions(
    network: BiLm | StaticTable, settings: ClassifySettings, device: torch.device | str
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


def _end_epoch(given: _Training, state: FinetuningState, loss_sum: float, right: int, log: Log) -> EpochDone:
    """Validate an epoch, with averaged weights where they are asked for, log it, and keep it if it is the best."""
    classifier, state.epoch = given.classifier, state.epoch + 1
    classifier.eval()
    with given.average.in_force():
        scores, targets = log_probabilities(classifier, given.texts, given.valid), given.labels[given.valid].cpu()
        accuracy = float((scores.argmax(1) == targets).double().mean())
        better = state.keep_if_best(accuracy, float(functional.nll_loss(scores, targets)), classifier)
        lambdas, gamma = classifier.combiner.lambdas(), classifier.combiner.gamma()
    done = EpochDone(
        epoch=state.epoch,
        loss=loss_sum / len(given.fit),
        train_accuracy=right / len(given.fit),
        valid_accuracy=accuracy,
        lambdas=None if lambdas is None else tuple(lambdas),
        gamma=gamma,
        best=better,
    )
    state.epochs_done.append(done)
    log(as_record(done))
    return done


def _outcome(given: _Training, state: FinetuningState, seed: int, seconds: float, stopped: bool) -> Finetuned | Stopped:
    """The classifier of the best epoch, if there is one."""
    if not state.best_epoch:
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
        valid=Validated(len(given.valid), state.best_accuracy, state.best_loss),
        seconds=round(seconds, 2),
    )
    return Finetuned(classifier, results, tuple(state.epochs_done))
