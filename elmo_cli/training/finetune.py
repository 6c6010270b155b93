"""Training a text classifier on an embedder: the loop, and its predictions."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from elmo_cli.config import ClassifySettings, Precision
from elmo_cli.embedder import Embedder
from elmo_cli.errors import ConfigError, nearest
from elmo_cli.events import EpochDone, Event, Finished, Stopped
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.classifier import Classifier
from elmo_cli.model.static import StaticTable
from elmo_cli.text.batches import length_batches
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.training.cache import ActivationCache, Indices, LiveTexts, Texts, pooled_suffices
from elmo_cli.training.labelled import LabelledCorpus, split
from elmo_cli.training.optimiser import Average, Schedule, adamw, averaged, clip_gradients, set_rate
from elmo_cli.training.speed import pick_precision, step_multiplications
from elmo_cli.training.tally import BestEpoch, StepMeter, finite

WARMUP, FINAL_RATE = 0.1, 0.05
TOKENS_PER_BATCH = 8192


def finetune(
    embedder: Embedder,
    train: LabelledCorpus,
    settings: ClassifySettings,
    *,
    seed: int,
    parts: tuple[Indices, Indices] | None = None,
    device: torch.device | str = "cpu",
    stop: Callable[[], bool] = lambda: False,
    cache: ActivationCache | None = None,
) -> Iterator[Event]:
    """Train a classifier, and keep the epoch that is best on held-out training texts.

    Initial weights, drawn λ, dropout and order depend on `seed` alone. In float32 on a CPU equal seeds give equal bits.

    Args:
        embedder: Frozen, its network is used as it is; with `tune`, a copy of it is trained.
        train: Texts and labels.
        settings: Of the classifier.
        seed: Of the classifier.
        parts: Which texts to train on and which to validate on; None: a split of all, drawn by `seed`.
        device: Where to train.
        stop: Asked before each step whether to end; the best epoch so far is then the outcome.
        cache: Activations of `train`, if there are any already; none with `tune`.

    Yields:
        `Step`, `EpochDone`, and at last `Finished` with the `Classifier` as its outcome, or `Stopped` if no epoch was
        completed.

    Raises:
        DataError: Nothing can be held out for validation.
        ElmoError: The loss is not a number any more.
    """
    began = time.monotonic()
    fit, valid = parts or split(train.labels, settings.valid_fraction, seed, train.path)
    network = _network(embedder, settings)
    tuned, learned = _precisions(network, settings, device)
    classifier = Classifier(
        network, settings, len(train.classes), seed, precision=tuned, combiner_precision=learned
    ).to(device)
    texts: Texts = (
        cache or make_cache(embedder, train.corpus, settings, device) or LiveTexts(embedder, train.corpus, device)
    )
    labels = torch.as_tensor(train.labels, device=device)
    groups = [{**group, "peak": group["lr"]} for group in classifier.parameter_groups(settings)]
    optimiser = adamw(groups)
    trained = [parameter for group in groups for parameter in group["params"]]
    average = _average(classifier, trained, settings)
    weights = _class_weights(settings, train, fit, device)
    epochs = settings.tune_epochs if settings.tune else settings.epochs
    per_epoch = math.ceil(len(fit) / settings.batch_size)
    schedule = Schedule(epochs * per_epoch, WARMUP, FINAL_RATE)
    best, progress, step, stopped = BestEpoch(), StepMeter(per_epoch, schedule.steps, settings.learning_rate), 0, False

    for epoch in range(1, epochs + 1):
        torch.manual_seed(_mix(seed, epoch))  # dropout
        classifier.train()
        if settings.unfreeze:
            classifier.unfreeze(epoch - 1)
        loss_sum, right = torch.zeros((), device=device), torch.zeros((), dtype=torch.int64, device=device)
        for batch in _schedule(texts.lengths[fit], settings, _mix(seed, epoch)):
            stopped = stop()
            if stopped:
                break
            step += 1
            set_rate(optimiser, schedule.factor(step))
            indices = fit[batch]
            logits, targets = texts.logits(classifier, indices), labels[torch.from_numpy(indices)]
            loss = functional.cross_entropy(logits, targets, weights, label_smoothing=settings.label_smoothing)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            clip_gradients(trained, settings.clip_norm)
            optimiser.step()
            if average is not None:
                average.update(step)
            loss_sum += loss.detach() * len(indices)
            right += (logits.argmax(1) == targets).sum()
            if event := progress.after(epoch, step, len(indices), loss.detach(), schedule.factor(step)):
                yield event
        if stopped:
            break
        with averaged(average):
            valid_accuracy, valid_loss = _validate(classifier, texts, train.labels, valid)
            better = best.offer(epoch, valid_accuracy, valid_loss, classifier)
            lambdas, gamma = classifier.combiner.lambdas(), classifier.combiner.gamma()
        yield EpochDone(
            epoch=epoch,
            loss=finite(float(loss_sum) / len(fit), epoch),
            train_accuracy=int(right) / len(fit),
            valid_accuracy=valid_accuracy,
            lambdas=None if lambdas is None else tuple(lambdas),
            gamma=gamma,
            best=better,
        )
        if epoch - best.epoch >= settings.patience:
            break

    if not best.epoch:
        yield Stopped(step)
        return
    best.restore(classifier)
    if settings.unfreeze:
        classifier.unfreeze(network.layer_count)
    results = {
        "seed": seed,
        "epochs": epoch - stopped,
        "best_epoch": best.epoch,
        "stopped": stopped,
        "lambdas": classifier.combiner.lambdas(),
        "gamma": classifier.combiner.gamma(),
        "precision": "bfloat16" if "bfloat16" in (tuned, learned) else "float32",
        "activations": str(texts.dtype).removeprefix("torch."),
        "valid": {"examples": len(valid), "accuracy": best.accuracy, "loss": best.loss},
        "seconds": round(time.monotonic() - began, 2),
    }
    yield Finished(results, classifier)


def predict(
    classifier: Classifier,
    embedder: Embedder,
    corpus: EncodedCorpus,
    device: torch.device | str = "cpu",
    cache: ActivationCache | None = None,
) -> NDArray[np.float32]:
    """(N, classes) probabilities of texts, in the order of the corpus.

    Args:
        classifier: Put in eval mode.
        embedder: Whose indexer feeds it.
        corpus: The texts, cut to length already.
        device: Where to compute.
        cache: Activations of `corpus`, if there are any.
    """
    classifier.to(device).eval()
    texts: Texts = cache or LiveTexts(embedder, corpus, device)
    return _log_probabilities(classifier, texts, np.arange(len(corpus))).exp().numpy()


def make_cache(
    embedder: Embedder,
    corpus: EncodedCorpus,
    settings: ClassifySettings,
    device: torch.device | str = "cpu",
    folder: Path | None = None,
) -> ActivationCache | None:
    """What a classifier of these settings reads, computed once; None with `tune`, where it changes at each step.

    Args:
        embedder: Frozen.
        corpus: The texts.
        settings: Of the classifier.
        device: Where to compute.
        folder: Where activations go that exceed the memory budget.
    """
    if settings.tune:
        return None
    return ActivationCache(embedder, corpus, settings, device, tokens=not pooled_suffices(settings), folder=folder)


def _average(classifier: Classifier, trained: list[nn.Parameter], settings: ClassifySettings) -> Average | None:
    """Of what is trained; None where it is not asked for."""
    if not settings.average:
        return None
    ours = {id(parameter) for parameter in trained}
    return Average([item for item in classifier.named_parameters() if id(item[1]) in ours], settings.average)


def _class_weights(
    settings: ClassifySettings, train: LabelledCorpus, fit: Indices, device: torch.device | str
) -> Tensor | None:
    """(classes,) of a text's loss; `balanced`: n / (classes · n_k), as in scikit-learn, of the texts trained on.

    Raises:
        ConfigError: A weight is given for a class that the training file lacks.
    """
    given = settings.class_weights
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


def _network(embedder: Embedder, settings: ClassifySettings) -> BiLm | StaticTable:
    """What the classifier stands on: a copy of its own where it trains it."""
    return copy.deepcopy(embedder.network) if settings.tune else embedder.network


def _precisions(
    network: BiLm | StaticTable, settings: ClassifySettings, device: torch.device | str
) -> tuple[Precision, Precision]:
    """Of what multiplies matrices here: the LSTM where it is tuned, and the learned function where there is one."""
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


def _schedule(lengths: NDArray[np.int64], settings: ClassifySettings, seed: int) -> list[NDArray[np.int64]]:
    """Batches of `batch_size` texts of similar length, in random order; the budget of cells never binds."""
    budget = settings.batch_size * max(settings.max_tokens, 1)
    return length_batches(lengths, budget, max_sentences=settings.batch_size, seed=seed)


@torch.inference_mode()
def _log_probabilities(classifier: Classifier, texts: Texts, indices: Indices) -> Tensor:
    """(N, classes) of the texts at `indices`, on the CPU."""
    rows, order = [], []
    for batch in length_batches(texts.lengths[indices], TOKENS_PER_BATCH):
        rows.append(functional.log_softmax(texts.logits(classifier, indices[batch]).float(), dim=1).cpu())
        order.append(batch)
    found = torch.cat(rows)
    return torch.empty_like(found).index_copy_(0, torch.from_numpy(np.concatenate(order)), found)


def _validate(classifier: Classifier, texts: Texts, labels: NDArray[np.int64], valid: Indices) -> tuple[float, float]:
    """Accuracy, and mean loss in nats a text."""
    classifier.eval()
    scores, targets = _log_probabilities(classifier, texts, valid), torch.from_numpy(labels[valid])
    return float((scores.argmax(1) == targets).double().mean()), float(functional.nll_loss(scores, targets))


def _mix(*numbers: int) -> int:
    """A seed that depends on several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
