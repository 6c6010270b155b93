"""`elmo compare`: classifiers that differ in their embedder and in nothing else, and what their difference is worth.

Every row has the same training and test texts, tokens, validation split (seeded by the experiment's seed), head,
budget, rule for the best epoch and classifier seeds, which draw initial weights, frozen λ, dropout and order. Each
finished classifier is kept in the run, so that a comparison which was stopped goes on with the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch

from elmo_cli.comparison.report import RowResult, Trained, comparison_csv, comparison_markdown, summarise
from elmo_cli.comparison.rows import Row, make_rows
from elmo_cli.config import Experiment
from elmo_cli.embedder import pick_device
from elmo_cli.errors import ConfigError
from elmo_cli.runs import RESULTS_FILE, Run, RunWriter, describe_files, load_lm, portable
from elmo_cli.runs.cards import write_card
from elmo_cli.runs.directory import METRICS_FILE
from elmo_cli.training.cache import ActivationCache, pooled_suffices
from elmo_cli.training.events import ClassifierDone, EpochDone, Event, Finished, Notice, Stopped, as_record
from elmo_cli.training.finetune import finetune, predict
from elmo_cli.training.labelled import LabelledCorpus, cut_note, read_train_and_test, refuse_seen_test

_READING = ("text", "label", "header", "clean", "limit")  # how the files are read


@dataclass(frozen=True)
class _Job:
    """A comparison, all its input read and checked."""

    experiment: Experiment
    rows: list[Row]
    train: LabelledCorpus
    test: LabelledCorpus
    device: torch.device
    folder: Path

    @property
    def seeds(self) -> range:
        first = self.experiment.seed
        return range(first, first + self.experiment.compare.seeds)


Done = dict[tuple[str, str, int], Trained]  # by name and source of the row, and seed


def compare_run(
    experiment: Experiment,
    lm: Path | None = None,
    out: Path | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    device: str = "auto",
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Train and test all rows, and write the comparison as a run.

    Args:
        experiment: `data.train`, `data.test`, `compare` (files, modes, seeds), `classify` (all that the rows share).
        lm: The LM run; None: `lm` in the folder of the runs.
        out: The run; None: `compare` in the folder of the runs.
        overwrite: Replace a comparison that is there, once the first classifier of this one is done.
        resume: Take over the classifiers of a comparison that was stopped; rows and seeds may be more than before.
        device: Where to compute, or `auto`.
        stop: Asked before each step; classifiers that are done stay in the run.

    Yields:
        The events of each classifier's training but `Finished`, `ClassifierDone` after each, at last `Finished` with
        what `results.json` holds, or `Stopped`.

    Raises:
        InputError: An input cannot be used, or the comparison to resume was begun with other data or settings.
    """
    lm, out = lm or experiment.output / "lm", out or experiment.output / "compare"
    last: Event | None = None
    with (
        suppress(_NothingDoneError),
        RunWriter(out, "comparison", "elmo compare", overwrite=overwrite, resume=resume) as writer,
    ):
        job = _prepare(experiment, lm, out.parent, pick_device(device))
        settings, data = _describe(job)
        if resume:
            _check_same(writer.description, settings, data)
        writer.describe(settings, data, {"status": "unfinished", "lm": {"name": lm.resolve().name}})
        done = _read_done(writer) if resume else {}
        for texts in (job.train, job.test):
            if note := cut_note(texts, experiment.classify.max_tokens):
                yield Notice(note)
        for event in _train_rows(job, writer, done, stop):
            if isinstance(event, Stopped):
                last = event
            else:
                yield event
        if last is None:
            last = Finished(_write(job, writer, done))
        elif writer.committed:
            writer.leave_unfinished()
        else:
            raise _NothingDoneError
    # Only now is the run in its place, whatever the consumer does with the last event.
    if last is not None:
        yield last


class _NothingDoneError(Exception):
    """Stopped before the first classifier was done: leaves the writer, which then keeps nothing."""


def _prepare(experiment: Experiment, lm: Path, folder: Path, device: torch.device) -> _Job:
    """Read and check everything."""
    embedder = load_lm(lm)
    train, test = read_train_and_test(experiment, embedder.tokenizer)
    if test is None:
        raise ConfigError(
            "a comparison needs a test file",
            expected="--test FILE, or data.test in the settings",
            remedy="hold out some labelled texts for it",
        )
    refuse_seen_test(lm, test.path)
    return _Job(experiment, make_rows(experiment, embedder, lm, train, test), train, test, device, folder)


def _describe(job: _Job) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings and data for `run.yaml`."""
    settings = portable(job.experiment.model_dump(include={"seed", "data", "classify", "compare"}))
    files = {"train": [job.train.path], "test": [job.test.path], "baselines": job.experiment.compare.baselines}
    return settings, {role: describe_files(paths) for role, paths in files.items()}


def _check_same(before: Mapping[str, Any], settings: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """See that classifiers of an earlier session were trained as those to come; rows and seeds may be added."""
    old, new = before.get("settings", {}), settings
    pairs = {key: (old.get(key), new[key]) for key in ("seed", "classify")}
    pairs |= {f"data.{key}": (old.get("data", {}).get(key), new["data"][key]) for key in _READING}
    for role in ("train", "test"):
        prints = [[file["fingerprint"] for file in files.get(role, [])] for files in (before.get("data", {}), data)]
        pairs[f"the content of the {role} file"] = (prints[0], prints[1])
    for name, (was, now) in pairs.items():
        if was != now:
            raise ConfigError(
                f"{name} is not what the comparison was begun with",
                expected=f"{was}",
                remedy="resume with the same settings and data, or begin anew with --overwrite",
            )


def _train_rows(job: _Job, writer: RunWriter, done: Done, stop: Callable[[], bool]) -> Iterator[Event]:
    """Train and test what is not done yet; rows of one embedder share its activations."""
    total = len(job.rows) * len(job.seeds)
    for _, rows in groupby(job.rows, key=lambda row: id(row.embedder)):
        todo = [(row, seed) for row in rows for seed in job.seeds if (row.name, row.source, seed) not in done]
        if not todo:
            continue
        train_cache, test_cache = _caches(job, [row for row, _ in todo])
        for row, seed in todo:
            epochs: list[dict[str, Any]] = []
            trained: Finished | None = None
            for event in finetune(
                row.embedder,
                job.train,
                row.settings,
                seed=seed,
                split_seed=job.experiment.seed,
                device=job.device,
                stop=stop,
                cache=train_cache,
            ):
                if isinstance(event, Finished):
                    trained = event
                    continue
                yield event
                if isinstance(event, EpochDone):
                    epochs.append(as_record(event))
            if trained is None:
                return
            if trained.results["stopped"]:
                yield Stopped(trained.results["epochs"])
                return
            predicted = predict(trained.outcome, row.embedder, job.test.corpus, job.device, test_cache).argmax(1)
            for record in epochs:
                writer.log({**record, "row": row.name, "seed": seed})
            one = done[row.name, row.source, seed] = Trained(seed, predicted, trained.results)
            writer.log(_record(row, one))
            writer.commit()
            yield ClassifierDone(
                row=row.name,
                seed=seed,
                valid_accuracy=one.training["valid"]["accuracy"],
                test_accuracy=float((predicted == job.test.labels).mean()),
                done=len([1 for row in job.rows for seed in job.seeds if (row.name, row.source, seed) in done]),
                total=total,
            )


def _caches(job: _Job, rows: list[Row]) -> tuple[ActivationCache | None, ActivationCache | None]:
    """Activations of training and test texts for the rows of one embedder; none with `tune`."""
    settings, embedder = rows[0].settings, rows[0].embedder
    if settings.tune:
        return None, None
    tokens = not all(pooled_suffices(row.settings) for row in rows)
    train, test = (
        ActivationCache(embedder, texts.corpus, settings, job.device, tokens=tokens, folder=job.folder)
        for texts in (job.train, job.test)
    )
    return train, test


def _record(row: Row, one: Trained) -> dict[str, Any]:
    """A finished classifier as a line of `metrics.jsonl`."""
    return {
        "event": "classifier",
        "row": row.name,
        "source": row.source,
        "seed": one.seed,
        "training": one.training,
        "predicted": one.predicted.tolist(),
    }


def _read_done(writer: RunWriter) -> Done:
    """The classifiers of earlier sessions; a line that was cut short is removed."""
    path = writer.path / METRICS_FILE
    if not path.exists():
        return {}
    writer.cut_log(path.read_bytes().rfind(b"\n") + 1)
    return {
        (line["row"], line["source"], line["seed"]): Trained(
            line["seed"], np.array(line["predicted"], dtype=np.int64), line["training"]
        )
        for line in Run(writer.path, writer.description).metrics()
        if line["event"] == "classifier"
    }


def _write(job: _Job, writer: RunWriter, done: Done) -> dict[str, Any]:
    """Summarise, and write all files of the run; the results."""
    experiment = job.experiment
    rows = [RowResult(_facts(row), [done[row.name, row.source, seed] for seed in job.seeds]) for row in job.rows]
    summary = summarise(
        rows, job.test.labels, job.train.classes, seed=experiment.seed, resamples=experiment.compare.bootstrap
    )
    results = {
        **summary,
        "seeds": list(job.seeds),
        "classes": list(job.train.classes),
        "train": {"file": job.train.path.name, "texts": len(job.train), "cut": job.train.cut},
        "test_file": {"file": job.test.path.name, "texts": len(job.test), "cut": job.test.cut},
        "notes": _notes(job, rows),
    }
    writer.write_json(RESULTS_FILE, results)
    writer.write_text("comparison.csv", comparison_csv(results))
    writer.write_text("comparison.md", comparison_markdown(results))
    write_card(
        writer,
        f"{writer.name}: a comparison of embeddings",
        results["conclusion"],
        {
            "training file": job.train.path.name,
            "training texts": len(job.train),
            "test file": job.test.path.name,
            "test texts": len(job.test),
            "seeds": ", ".join(map(str, job.seeds)),
            "test of significance": results["test"],
        },
        {row["name"]: f"{100 * row['accuracy']:.2f} %" for row in results["rows"]},
        f'import json\n\nresults = json.load(open("{writer.name}/results.json"))',
    )
    return results


def _facts(row: Row) -> dict[str, Any]:
    """What a row is."""
    return {
        "name": row.name,
        "kind": row.kind,
        "mode": row.mode if row.kind == "lm" else None,
        "tune": row.settings.tune,
        "layers": row.embedder.layer_count,
        "width": row.embedder.width,
        "unknown": dict(row.unknown),
    }


def _notes(job: _Job, rows: list[RowResult]) -> list[str]:
    """How the comparison was done, a sentence each."""
    first = rows[0].classifiers[0].training
    halves = any(one.training["activations"] == "float16" for row in rows for one in row.classifiers)
    settings = job.experiment.classify
    notes = [
        f"All rows share tokens, head, training budget and the same {first['valid']['examples']} of {len(job.train)} "
        "training texts for validation, which choose the epoch. No classifier and no vocabulary has seen a test text; "
        "what an embedding file was made from, it does not tell.",
        f"Classifier seeds {job.seeds[0]} to {job.seeds[-1]} draw initial weights, dropout, order and frozen λ; the "
        "validation split does not change with them.",
        "Accuracy, macro F1 and validation are means over seeds; sd is over seeds, the 95 % interval over test texts.",
        "Reference and best λ mode were chosen on validation.",
        f"A static row has vectors for those tokens of the LM's vocabulary that its file holds{_tuned(settings.tune)}; "
        "all others share one unknown vector.",
    ]
    if halves:
        notes.append("Layer activations were kept in float16, which rounds each by at most 0.05 %.")
    cut = (cut_note(texts, settings.max_tokens) for texts in (job.train, job.test))
    return [*notes, *(note for note in cut if note)]


def _tuned(tune: bool) -> str:
    return ", tuned as the LM is" if tune else ", frozen as the LM is"
