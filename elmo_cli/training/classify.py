"""What `elmo classify` does: read and check, train, score, write the run."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from elmo_cli.config import Experiment
from elmo_cli.data.files import fingerprint
from elmo_cli.devices import pick_device
from elmo_cli.embedder import Embedder
from elmo_cli.events import Event, Finished, Notice, Stop, Stopped, never
from elmo_cli.metrics.classification import ClassificationScores, classification_scores
from elmo_cli.model.classifier import Classifier
from elmo_cli.ngrams.classifier import FittedNgrams, fit_ngrams
from elmo_cli.ngrams.joint import BranchResults, Floats, NgramBranch, accuracy, make_branch, mean_loss
from elmo_cli.runs import RESULTS_FILE, WEIGHTS_FILE, RunWriter, describe_files, load_lm, save_classifier
from elmo_cli.runs.cards import Fact, write_card
from elmo_cli.runs.tables import confusion_csv, predictions_csv
from elmo_cli.training.cache import ActivationCache, Indices, make_cache, predict
from elmo_cli.training.finetune import Finetuned, FinetuneResults, Log, finetune
from elmo_cli.training.labelled import (
    LabelledCorpus,
    described_columns,
    read_train_and_test,
    reading_notes,
    refuse_seen_test,
    split,
)
from elmo_cli.training.objective import Validated

STOPPED = "stopped: the best epoch so far is saved, without n-grams; `elmo evaluate` gives the scores that are missing"


@dataclass(frozen=True)
class ClassifierResults:
    """`results.json` of a classifier."""

    lm: str  # name of the run that it stands on
    mode: str  # how layers are combined
    tune: bool
    classes: tuple[str, ...]  # names in the order of the outputs
    training: FinetuneResults  # its figures stand among these: of the first member, but scores and time of all
    members: tuple[FinetuneResults, ...]  # each alone, where there are several
    ngrams: BranchResults | None  # counted n-grams beside it, and what the parts are worth; None: there are none
    cut: dict[str, int]  # texts that lost their end, by role of their file
    # On all of a file, by role: `train`, its validation part included, and `test`; none if it was stopped.
    scores: dict[str, ClassificationScores]

    def as_dict(self) -> dict[str, Any]:
        """As `results.json` holds it."""
        head = {"lm": self.lm, "mode": self.mode, "tune": self.tune, "classes": list(self.classes)}
        scores = {role: scores.as_dict() for role, scores in self.scores.items()}
        ngrams = asdict(self.ngrams) if self.ngrams else None
        members = [asdict(member) for member in self.members]
        return {**head, **asdict(self.training), "members": members, "ngrams": ngrams, "cut": self.cut, **scores}


def classify_run(
    experiment: Experiment,
    lm: Path | None = None,
    out: Path | None = None,
    *,
    overwrite: bool = False,
    device: str = "auto",
    stop: Stop = never,
) -> Generator[Event, None, None]:
    """Train a classifier on an LM run, and write it as a run that holds its biLM.

    Args:
        experiment: `data.train`, `data.test` (may be absent: no test scores), `classify` and the seed.
        lm: The LM run; None: `lm` in the folder of the runs.
        out: The run; None: `classify-MODE` in the folder of the runs.
        overwrite: Replace a run that is there.
        device: Where to compute, or `auto`.
        stop: Asked before each step; the best epoch so far is then saved, without n-grams, train and test scores.
            Before the first epoch is done, nothing is.

    Yields:
        The events of `finetune`, a `Notice` where texts were cut, at last `Finished` with what `results.json` holds, or
        `Stopped`.

    Raises:
        InputError: An input cannot be used.
    """
    settings, seed, lm = experiment.classify, experiment.seed, lm or experiment.output / "lm"
    out = out or experiment.output / settings.run_name
    last: Finished | Stopped
    with RunWriter(out, "classifier", "elmo classify", overwrite=overwrite) as writer:
        where = pick_device(device)
        embedder = load_lm(lm)
        files = _read(experiment, embedder, lm)
        train = files["train"]
        writer.describe(
            experiment.model_dump(include={"seed", "data", "classify"}),
            {role: describe_files([texts.path]) for role, texts in files.items()},
            {
                "columns": described_columns(files.values()),
                "lm": {"name": embedder.name, "fingerprint": fingerprint(lm / WEIGHTS_FILE)},
            },
        )
        for texts in files.values():
            yield from map(Notice, reading_notes(texts, settings.max_tokens))
        cache = make_cache(embedder, train.corpus, settings, where, folder=out.parent)
        parts = split(train.labels, settings.valid_fraction, seed, train.path)
        made = _Made(embedder, parts, cache, where)
        ended = yield from _train(made, train, experiment, stop, writer.log)
        if ended is not None:
            writer.abandon()
            last = ended
        else:
            if settings.ngrams and not made.stopped:
                made.ngrams = yield from fit_ngrams(train.corpus, train.labels, len(train.classes), *parts, stop)
                made.stopped = made.ngrams is None
            results = _write(writer, experiment, files, made)
            if made.stopped:
                yield Notice(STOPPED)
            last = Stopped(results.training.epochs) if made.stopped else Finished(results.as_dict())
    # Only now is the run in its place, whatever the consumer does with the last event.
    yield last


def _read(experiment: Experiment, embedder: Embedder, lm: Path) -> dict[str, LabelledCorpus]:
    """The files by their role, `train` and, where there is one, `test`."""
    train, test = read_train_and_test(experiment, embedder.tokenizer)
    if test is None:
        return {"train": train}
    refuse_seen_test(lm, test.path)
    return {"train": train, "test": test}


@dataclass
class _Made:
    """What a run is made of, one after the other."""

    embedder: Embedder
    parts: tuple[Indices, Indices]  # texts to train on, and the validation texts
    cache: ActivationCache | None  # activations of the training texts
    device: torch.device
    members: list[Finetuned[Classifier]] = field(default_factory=list)
    ngrams: FittedNgrams | None = None
    stopped: bool = False  # before all of it was there


def _train(
    made: _Made, train: LabelledCorpus, experiment: Experiment, stop: Stop, log: Log
) -> Generator[Event, None, Stopped | None]:
    """Train the members, each by a seed of its own on the same texts; returns how it ended if there is none."""
    settings = experiment.classify
    for number in range(settings.members):
        seed = experiment.seed + number
        if number:
            yield Notice(f"member {number + 1} of {settings.members}, by seed {seed}")
        trained = yield from finetune(
            made.embedder,
            train,
            settings,
            seed=seed,
            parts=made.parts,
            device=made.device,
            stop=stop,
            cache=made.cache,
            log=partial(_log_member, log, number + 1) if number else log,
        )
        if isinstance(trained, Stopped):
            made.stopped = True
            return None if made.members else trained
        made.members.append(trained)
        if trained.results.stopped:
            made.stopped = True
            break
    return None


def _log_member(log: Log, member: int, record: dict[str, Any]) -> None:
    log({**record, "event": "memberepoch", "member": member})


def _write(
    writer: RunWriter, experiment: Experiment, files: dict[str, LabelledCorpus], made: _Made
) -> ClassifierResults:
    """Score the classifier and write all files of its run."""
    settings, train = experiment.classify, files["train"]
    classifiers, training = [one.classifier for one in made.members], made.members[0].results
    found: dict[str, ClassificationScores] = {}
    branch: NgramBranch | None = None
    figures: BranchResults | None = None
    # Who stops wants to wait no longer.
    for role, texts in files.items() if not made.stopped else ():
        known = made.cache if role == "train" else None
        probabilities = predict(classifiers, made.embedder, texts.corpus, made.device, known)
        if role == "train":
            held, truth = probabilities[made.parts[1]], train.labels[made.parts[1]]
            training = _of_all(made.members, held, truth)
            if made.ngrams is not None:
                branch, figures = make_branch(made.ngrams, held, truth)
        if branch is not None:
            probabilities = branch.beside(probabilities, texts.corpus)
        found[role] = classification_scores(texts.labels, probabilities.argmax(1), train.classes)
        writer.write_text(f"confusion_matrix{'_train' if role == 'train' else ''}.csv", confusion_csv(found[role]))
        if role == "test":
            csv = predictions_csv(probabilities, texts.labels, texts.texts, train.classes)
            writer.write_text("predictions.csv", csv)
    save_classifier(writer, classifiers, made.embedder, train.classes, settings, experiment.data, branch)
    cut = {role: texts.cut for role, texts in files.items()}
    results = ClassifierResults(
        lm=made.embedder.name,
        mode=settings.lambdas,
        tune=settings.tune,
        classes=train.classes,
        training=replace(training, stopped=made.stopped),
        members=tuple(one.results for one in made.members) if settings.members > 1 else (),
        ngrams=figures,
        cut=cut,
        scores=found,
    )
    writer.write_json(RESULTS_FILE, results.as_dict())
    _write_card(writer, results, files)
    return results


def _of_all(members: Sequence[Finetuned[Classifier]], valid: Floats, truth: NDArray[np.int64]) -> FinetuneResults:
    """The results of the first member, with the validation scores and the time of all."""
    first, *others = (one.results for one in members)
    if not others:
        return first
    scores = Validated(len(truth), accuracy(valid, truth), mean_loss(valid, truth))
    return replace(first, valid=scores, seconds=round(sum(one.results.seconds for one in members), 2))


def _write_card(writer: RunWriter, results: ClassifierResults, files: dict[str, LabelledCorpus]) -> None:
    valid = results.ngrams.valid if results.ngrams else None
    figures: dict[str, Fact] = {
        "validation accuracy": valid.together.accuracy if valid else results.training.valid.accuracy,
        "the same, biLM alone": valid.embedder.accuracy if valid else None,
        "the same, n-grams alone": valid.ngrams.accuracy if valid else None,
    }
    for role, scores in results.scores.items():
        low, high = scores.interval
        figures[f"{role} accuracy"] = f"{scores.accuracy:.4f} (95 % interval {low:.4f} to {high:.4f})"
        figures[f"{role} macro F1"] = scores.macro.f1
    lambdas, train, test = results.training.lambdas, files["train"], files.get("test")
    write_card(
        writer,
        f"{writer.name}: a text classifier",
        f"Gives a text one of {len(results.classes)} classes, from the layers of the biLM '{results.lm}', which is "
        "part of this run.",
        {
            "training file": train.path.name,
            "training texts": len(train),
            "test file": test.path.name if test else None,
            "test texts": len(test) if test else None,
            "classes": ", ".join(results.classes),
            "combiner": results.mode,
            "layer weights": " ".join(f"{value:.3f}" for value in lambdas) if lambdas else None,
            "biLM": "trained along" if results.tune else "frozen",
            "members": len(results.members) or None,
            "n-grams": f"{results.ngrams.features:,} of words and characters" if results.ngrams else "none",
            "seed": results.training.seed,
        },
        figures,
        f'import elmo_cli\n\nmodel = elmo_cli.load("{writer.name}")\nlabels = model.predict(["A text to classify."])',
    )
