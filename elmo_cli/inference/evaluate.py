"""Scores of runs on a file: perplexity of an LM run, all scores of a classifier or tagger run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict, cast

import torch

from elmo_cli.config import DataSettings, Experiment, ReadingSettings
from elmo_cli.data.records import read_texts
from elmo_cli.devices import pick_device
from elmo_cli.errors import ConfigError, ElmoError, RunError
from elmo_cli.events import Notice, Progress, Tell, silent
from elmo_cli.inference.pairs import score_pairs
from elmo_cli.inference.predict import answers
from elmo_cli.inference.reference import ngram_perplexity
from elmo_cli.inference.token_scores import check_name, write_scores
from elmo_cli.metrics.classification import classification_scores
from elmo_cli.metrics.perplexity import perplexity
from elmo_cli.runs import Run, load_classifier, load_lm, load_tagger
from elmo_cli.text.encoded import encode
from elmo_cli.text.tokenizer import Tokenizer
from elmo_cli.training.labelled import cut_note, read_corpus
from elmo_cli.training.tag import score_tagger, unseen_note
from elmo_cli.training.tag_objective import tag_sentences
from elmo_cli.training.tagged import read_tagged_corpus


class LmEvaluation(TypedDict):
    """Perplexity of an LM run, as `--json` shows it; the figures are those of `Perplexity`."""

    run: str
    kind: Literal["lm"]
    data: str
    forward: float
    backward: float
    mean: float
    steps: int
    tokens: int
    unknown: int
    oov_rate: float
    scores: NotRequired[str]  # the file of sentences' or tokens' scores, where one was asked for
    reference: NotRequired[dict[str, Any]]  # `Perplexity` of counted 5-grams, where it was asked for


class PairsEvaluation(TypedDict):
    """Minimal pairs under an LM run, as `--json` shows them; the figures are those of `PairScores`."""

    run: str
    kind: Literal["lm"]
    data: str
    pairs: int
    accuracy: float
    interval: list[float]
    forward: float
    backward: float
    ties: int


class ClassifierEvaluation(TypedDict):
    """Scores of a classifier run, as `--json` shows them; the figures are those of `ClassificationScores`."""

    run: str
    kind: Literal["classifier"]
    data: str
    examples: int
    accuracy: float
    interval: list[float]
    macro: dict[str, float]
    weighted: dict[str, float]
    classes: list[dict[str, str | float]]
    confusion: list[list[int]]
    notes: list[str]
    cut: int  # texts that were longer than the classifier reads


class TaggerEvaluation(TypedDict):
    """Scores of a tagger run, as `--json` shows them; the figures are those of `TagScores`."""

    run: str
    kind: Literal["tagger"]
    data: str
    sentences: int
    tokens: int
    accuracy: float
    interval: list[float]
    known: dict[str, float | None]
    unknown: dict[str, float | None]
    spans: dict[str, Any] | None
    classes: list[dict[str, str | float]]
    confused: list[dict[str, str | int]]


class Skipped(TypedDict):
    """A run that could not be evaluated, and why."""

    run: str
    skipped: str


Evaluation = LmEvaluation | ClassifierEvaluation | TaggerEvaluation


def evaluate_pairs(
    run: Path, file: Path, experiment: Experiment, *, device: str = "auto", tell: Tell = silent
) -> PairsEvaluation:
    """Score the minimal pairs of a file under an LM run; see `elmo_cli.inference.pairs.score_pairs`.

    Raises:
        InputError: The run is none of a language model, or the file holds no pairs.
    """
    opened, where = Run.open(run, "lm"), pick_device(device)
    evaluator = _Evaluator(file, experiment, where, tell)
    reading = evaluator.reading(DataSettings.model_validate(opened.settings.get("data", {})))
    found = score_pairs(load_lm(run), file, reading, device=where, tell=tell)
    return cast(PairsEvaluation, {**evaluator.head(opened), **found.as_dict()})


def evaluate_run(
    run: Path | None,
    data: Path | None,
    experiment: Experiment,
    *,
    device: str = "auto",
    scores: Path | None = None,
    per_token: bool = False,
    reference: bool = False,
    tell: Tell = silent,
) -> Evaluation | list[Evaluation | Skipped]:
    """Evaluate one run, or all there are. Nothing is written but the scores that are asked for.

    Text is cleaned and tokenised as it was for training; columns may be named anew in `experiment.data`.

    Args:
        run: An LM, classifier or tagger run; None: each one in the folder of the runs.
        data: Text for an LM run (CSV or a text a line), labelled texts for a classifier run, tagged sentences for a
            tagger run; None: the test file.
        experiment: Names the test file, the columns and the folder of the runs.
        device: Where to compute, or `auto`.
        scores: File for the scores of each sentence of an LM run, CSV or JSON lines by its ending.
        per_token: Write those of each token there instead.
        reference: Score counted 5-grams of an LM run's training text beside it; the experiment names that text.
        tell: Told the sentences that are scored, the texts that are classified, and the runs.

    Returns:
        Name, kind and file of the run and its scores. Without `run` a list of these, in the order of the names; one
        that cannot be evaluated has the reason as `skipped`.

    Raises:
        InputError: There is nothing to evaluate, or nothing to evaluate it on.
    """
    file = data or experiment.data.test
    if file is None:
        raise ConfigError(
            "there is no file to evaluate on",
            expected="a file as second argument, or data.test in the settings",
            remedy="elmo evaluate RUN FILE",
        )
    if scores is None and per_token:
        raise ConfigError(
            "--per-token is given without --scores",
            expected="--scores FILE, to write them to",
            remedy="add --scores FILE, or leave --per-token out",
        )
    evaluator = _Evaluator(file, experiment, pick_device(device), tell, scores, per_token, reference)
    if scores is not None or reference:
        option = "--scores" if scores is not None else "--reference"
        if run is None:
            raise ConfigError(f"{option} is given without a run", remedy=f"elmo evaluate RUN FILE {option} ...")
        opened = Run.open(run, "lm")
        if scores is not None:
            check_name(scores)  # before the model is loaded
        return evaluator.lm(opened)
    return evaluator.all_below(experiment.output) if run is None else evaluator.one(run)


@dataclass(frozen=True)
class _Evaluator:
    """Evaluates runs on one file."""

    file: Path
    experiment: Experiment
    device: torch.device
    tell: Tell
    scores: Path | None = None
    per_token: bool = False
    reference: bool = False

    def all_below(self, folder: Path) -> list[Evaluation | Skipped]:
        """LM, classifier and tagger runs of a folder."""
        runs = [path.parent for path in sorted(folder.glob("*/run.yaml")) if not path.parent.name.startswith(".")]
        models = [path for path in runs if Run.open(path, unfinished=True).kind in ("lm", "classifier", "tagger")]
        if not models:
            raise RunError(
                f"there is no model in {folder}",
                where=folder,
                expected="LM, classifier or tagger runs",
                remedy="write one with `elmo pretrain`, `classify` or `tag`, or name one: elmo evaluate RUN",
            )
        results: list[Evaluation | Skipped] = []
        failures: list[ElmoError] = []
        for done, path in enumerate(models, start=1):
            try:
                results.append(self.one(path))
            except ElmoError as error:  # that one run takes other files is no reason to be silent about the rest
                failures.append(error)
                results.append(Skipped(run=path.name, skipped=error.message))
            self.tell(Progress("runs", done, len(models)))
        if len(failures) == len(results):  # a table of nothing but reasons would look like a success
            raise failures[0]
        return results

    def one(self, path: Path) -> Evaluation:
        """A run of any kind that can be evaluated."""
        run = Run.open(path)
        if run.kind == "lm":
            return self.lm(run)
        if run.kind == "classifier":
            return self._classifier(run)
        if run.kind == "tagger":
            return self._tagger(run)
        raise RunError(
            f"{path} is a run of kind {run.kind}",
            where=path,
            expected="an LM run, a classifier run or a tagger run",
            remedy="name a run of `elmo pretrain`, `classify` or `tag`, or leave it out to evaluate all",
        )

    def lm(self, run: Run) -> LmEvaluation:
        """Perplexity, and the scores of sentences or tokens where a file is named for them."""
        embedder, device, tell = load_lm(run.path), self.device, self.tell
        reading = self.reading(DataSettings.model_validate(run.settings.get("data", {})))
        more: dict[str, Any] = {}
        if self.reference:
            text = encode(read_texts([self.file], reading), Tokenizer(embedder.tokenizer))
            counted = ngram_perplexity(run, embedder.predicted(), self.experiment, text, tell=tell)
            more["reference"] = asdict(counted)
        texts = read_texts([self.file], reading)
        if self.scores is not None:
            found = write_scores(self.scores, embedder, texts, per_token=self.per_token, device=device, tell=tell)
            more["scores"] = str(self.scores)
        else:
            found = perplexity(embedder, encode(texts, Tokenizer(embedder.tokenizer)), device=device, tell=tell)
        return cast(LmEvaluation, {**self.head(run), **asdict(found), **more})

    def _classifier(self, run: Run) -> ClassifierEvaluation:
        loaded = load_classifier(run.path)
        limit, tokenizer = loaded.settings.max_tokens, loaded.embedder.tokenizer
        texts = read_corpus(self.file, self.reading(loaded.data), tokenizer, limit, loaded.classes)
        self.tell(Notice(texts.columns.taken(self.file.name)))
        probabilities = answers(loaded, texts.corpus, self.device, self.tell)
        found = classification_scores(texts.labels, probabilities.argmax(1), texts.classes).as_dict()
        notes = [*found["notes"], *([note] if (note := cut_note(texts, limit)) else [])]
        return cast(ClassifierEvaluation, {**self.head(run), **found, "notes": notes, "cut": texts.cut})

    def _tagger(self, run: Run) -> TaggerEvaluation:
        loaded = load_tagger(run.path)
        named = {key: column for key in ("tokens", "tags") if (column := getattr(self.experiment.tag, key)) is not None}
        settings = loaded.settings.model_copy(update=named)
        reading = self.reading(loaded.data)
        corpus = read_tagged_corpus(self.file, reading, loaded.embedder.tokenizer, settings, loaded.tag_set)
        if note := unseen_note(corpus):
            self.tell(Notice(note))
        tagged = tag_sentences(loaded.tagger, loaded.embedder, corpus.corpus, self.device, tell=self.tell)
        found = score_tagger(corpus, tagged, loaded.words).as_dict()
        return cast(TaggerEvaluation, {**self.head(run), **found})

    def head(self, run: Run) -> dict[str, str]:
        """What all results begin with."""
        return {"run": run.path.resolve().name, "kind": run.kind, "data": self.file.name}

    def reading(self, before: DataSettings) -> DataSettings:
        """How to read the file: as in training, but for columns and the like that the settings of today name."""
        now, default = self.experiment.data, ReadingSettings()
        keys = set(ReadingSettings.model_fields) - {"clean"}  # the model knows text as it was cleaned for training
        named = {key: getattr(now, key) for key in keys if getattr(now, key) != getattr(default, key)}
        return before.model_copy(update=named)
