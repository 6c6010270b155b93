"""What `elmo classify` does: read and check, train, score, write the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from elmo_cli.config import Experiment
from elmo_cli.data.files import fingerprint
from elmo_cli.embedder import Embedder, pick_device
from elmo_cli.events import EpochDone, Event, Finished, Notice, Stopped, as_record
from elmo_cli.runs import RESULTS_FILE, WEIGHTS_FILE, RunWriter, describe_files, load_lm, save_classifier
from elmo_cli.runs.cards import write_card
from elmo_cli.training.cache import ActivationCache
from elmo_cli.training.finetune import finetune, make_cache, predict
from elmo_cli.training.labelled import LabelledCorpus, cut_note, read_train_and_test, refuse_seen_test
from elmo_cli.training.scoring import confusion_csv, predictions_csv, score


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
