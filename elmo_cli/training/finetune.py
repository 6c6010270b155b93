"""Training a text classifier on an embedder: the loop, its predictions, and the run that `elmo classify` writes."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from elmo_cli.config import ClassifySettings, Experiment
from elmo_cli.embedder import Embedder, pick_device
from elmo_cli.model.classifier import Classifier
from elmo_cli.runs import RESULTS_FILE, WEIGHTS_FILE, RunWriter, describe_files, load_lm, save_classifier
from elmo_cli.runs.cards import write_card
from elmo_cli.text.batches import length_batches
from elmo_cli.text.corpus import fingerprint
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.training.cache import ActivationCache, Indices, LiveTexts, Texts, pooled_suffices
from elmo_cli.training.events import EpochDone, Event, Finished, Notice, Stopped, as_record
from elmo_cli.training.labelled import LabelledCorpus, cut_note, read_train_and_test, refuse_seen_test, split
from elmo_cli.training.optimiser import Schedule, adamw, clip_gradients, set_rate
from elmo_cli.training.scoring import confusion_csv, predictions_csv, score
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
    network = copy.deepcopy(embedder.network) if settings.tune else embedder.network
    classifier = Classifier(network, settings, len(train.classes), seed).to(device)
    texts: Texts = (
        cache or make_cache(embedder, train.corpus, settings, device) or LiveTexts(embedder, train.corpus, device)
    )
    labels = torch.as_tensor(train.labels, device=device)
    groups = [{**group, "peak": group["lr"]} for group in classifier.parameter_groups(settings)]
    optimiser = adamw(groups)
    trained = [parameter for group in groups for parameter in group["params"]]
    epochs = settings.tune_epochs if settings.tune else settings.epochs
    per_epoch = math.ceil(len(fit) / settings.batch_size)
    schedule = Schedule(epochs * per_epoch, WARMUP, FINAL_RATE)
    best, progress, step, stopped = BestEpoch(), StepMeter(per_epoch, schedule.steps, settings.learning_rate), 0, False

    for epoch in range(1, epochs + 1):
        torch.manual_seed(_mix(seed, epoch))  # dropout
        classifier.train()
        loss_sum, right = torch.zeros((), device=device), torch.zeros((), dtype=torch.int64, device=device)
        for batch in _schedule(texts.lengths[fit], settings, _mix(seed, epoch)):
            stopped = stop()
            if stopped:
                break
            step += 1
            set_rate(optimiser, schedule.factor(step))
            indices = fit[batch]
            logits, targets = texts.logits(classifier, indices), labels[torch.from_numpy(indices)]
            loss = functional.cross_entropy(logits, targets)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            clip_gradients(trained, settings.clip_norm)
            optimiser.step()
            loss_sum += loss.detach() * len(indices)
            right += (logits.argmax(1) == targets).sum()
            if event := progress.after(epoch, step, len(indices), loss.detach(), schedule.factor(step)):
                yield event
        if stopped:
            break
        valid_accuracy, valid_loss = _validate(classifier, texts, train.labels, valid)
        better = best.offer(epoch, valid_accuracy, valid_loss, classifier)
        weights = classifier.combiner.lambdas()
        yield EpochDone(
            epoch=epoch,
            loss=finite(float(loss_sum) / len(fit), epoch),
            train_accuracy=int(right) / len(fit),
            valid_accuracy=valid_accuracy,
            lambdas=None if weights is None else tuple(weights),
            gamma=classifier.combiner.gamma(),
            best=better,
        )
        if epoch - best.epoch >= settings.patience:
            break

    if not best.epoch:
        yield Stopped(step)
        return
    best.restore(classifier)
    results = {
        "seed": seed,
        "epochs": epoch - stopped,
        "best_epoch": best.epoch,
        "stopped": stopped,
        "lambdas": classifier.combiner.lambdas(),
        "gamma": classifier.combiner.gamma(),
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


def classify_run(
    experiment: Experiment,
    lm: Path | None = None,
    out: Path | None = None,
    *,
    overwrite: bool = False,
    device: str = "auto",
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Train a classifier on an LM run, and write it as a run that holds its biLM.

    The train scores are on all of the training file, its validation part included.

    Args:
        experiment: `data.train`, `data.test` (may be absent: no test scores), `classify` and the seed.
        lm: The LM run; None: `lm` in the folder of the runs.
        out: The run; None: `classify-MODE` in the folder of the runs.
        overwrite: Replace a run that is there.
        device: Where to compute, or `auto`.
        stop: Asked before each step; the best epoch so far is then saved, without train and test scores. Before the
            first epoch is done, nothing is.

    Yields:
        The events of `finetune`, a `Notice` where texts were cut, at last `Finished` with what `results.json` holds.

    Raises:
        InputError: An input cannot be used.
    """
    settings, lm = experiment.classify, lm or experiment.output / "lm"
    out = out or experiment.output / f"classify-{settings.lambdas.replace(':', '-')}{'-tune' if settings.tune else ''}"
    last: Event | None = None
    with suppress(_StoppedTooEarlyError), RunWriter(out, "classifier", "elmo classify", overwrite=overwrite) as writer:
        where = pick_device(device)
        embedder = load_lm(lm)
        train, test = read_train_and_test(experiment, embedder.tokenizer)
        if test:
            refuse_seen_test(lm, test.path)
        writer.describe(
            experiment.model_dump(include={"seed", "data", "classify"}),
            {role: describe_files([texts.path]) for role, texts in (("train", train), ("test", test)) if texts},
            {"lm": {"name": embedder.name, "fingerprint": fingerprint(lm / WEIGHTS_FILE)}},
        )
        for texts in (train, test):
            if texts and (note := cut_note(texts, settings.max_tokens)):
                yield Notice(note)
        cache = make_cache(embedder, train.corpus, settings, where, folder=out.parent)
        for event in finetune(embedder, train, settings, seed=experiment.seed, device=where, stop=stop, cache=cache):
            if isinstance(event, EpochDone):
                writer.log(as_record(event))
            if isinstance(event, Finished | Stopped):
                last = event
            else:
                yield event
        if not isinstance(last, Finished):
            raise _StoppedTooEarlyError
        results = _write(writer, experiment, embedder, train, test, last, cache, where)
        if results["stopped"]:
            yield Notice("stopped: the best epoch so far is saved; `elmo evaluate` gives the scores that are missing")
            last = Stopped(results["epochs"])
        else:
            last = Finished(results, last.outcome)
    # Only now is the run in its place, whatever the consumer does with the last event.
    if last is not None:
        yield last


class _StoppedTooEarlyError(Exception):
    """Stopped before the first epoch was done: leaves the writer, which then keeps nothing."""


def _write(
    writer: RunWriter,
    experiment: Experiment,
    embedder: Embedder,
    train: LabelledCorpus,
    test: LabelledCorpus | None,
    trained: Finished,
    cache: ActivationCache | None,
    device: torch.device,
) -> dict[str, Any]:
    """Score the classifier and write all files of its run; the results."""
    settings, classifier = experiment.classify, trained.outcome
    results: dict[str, Any] = {
        "lm": embedder.name,
        "mode": settings.lambdas,
        "tune": settings.tune,
        "classes": list(train.classes),
        **trained.results,
        "cut": {"train": train.cut, **({"test": test.cut} if test else {})},
    }
    save_classifier(writer, classifier, embedder, train.classes, settings, experiment.data)
    if not trained.results["stopped"]:
        scores = score(predict(classifier, embedder, train.corpus, device, cache), train)
        results["train"] = scores.as_dict()
        writer.write_text("confusion_matrix_train.csv", confusion_csv(scores))
    if test and not trained.results["stopped"]:
        probabilities = predict(classifier, embedder, test.corpus, device)
        scores = score(probabilities, test)
        results["test"] = scores.as_dict()
        writer.write_text("confusion_matrix.csv", confusion_csv(scores))
        writer.write_text("predictions.csv", predictions_csv(probabilities, test))
    writer.write_json(RESULTS_FILE, results)
    _write_card(writer, results, train, test)
    return results


def _write_card(writer: RunWriter, results: dict[str, Any], train: LabelledCorpus, test: LabelledCorpus | None) -> None:
    figures: dict[str, object] = {"validation accuracy": results["valid"]["accuracy"]}
    for role in ("train", "test"):
        if role in results:
            low, high = results[role]["interval"]
            figures[f"{role} accuracy"] = f"{results[role]['accuracy']:.4f} (95 % interval {low:.4f} to {high:.4f})"
            figures[f"{role} macro F1"] = results[role]["macro"]["f1"]
    lambdas = results["lambdas"]
    write_card(
        writer,
        f"{writer.name}: a text classifier",
        f"Gives a text one of {len(train.classes)} classes, from the layers of the biLM '{results['lm']}', which is "
        "part of this run.",
        {
            "training file": train.path.name,
            "training texts": len(train),
            "test file": test.path.name if test else None,
            "test texts": len(test) if test else None,
            "classes": ", ".join(train.classes),
            "combiner": results["mode"],
            "layer weights": " ".join(f"{value:.3f}" for value in lambdas) if lambdas else None,
            "biLM": "trained along" if results["tune"] else "frozen",
            "seed": results["seed"],
        },
        figures,
        f'import elmo_cli\n\nmodel = elmo_cli.load("{writer.name}")\nlabels = model.predict(["A text to classify."])',
    )
