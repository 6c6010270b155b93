"""`elmo compare`: classifiers that differ in their embedder and in nothing else, and what their difference is worth.

Every row has the same training and test texts, validation split (seeded by the experiment's seed), head, budget, rule
for the best epoch and classifier seeds, which draw initial weights, frozen λ, dropout and order. Each finished
classifier is kept in the run, so that a comparison which was stopped goes on with the next one.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from elmo_cli.comparison.classifiers import Classifiers
from elmo_cli.comparison.job import Job, lm_paths, prepare_job
from elmo_cli.comparison.ngrams import all_rows
from elmo_cli.comparison.results import warnings_of, write_results
from elmo_cli.comparison.train import finished, train_rows
from elmo_cli.config import Experiment, ReadingSettings
from elmo_cli.devices import pick_device
from elmo_cli.errors import ConfigError
from elmo_cli.events import Event, Finished, Notice, Stop, Stopped, never
from elmo_cli.report.page import add_page
from elmo_cli.runs import RunWriter, describe_files, portable
from elmo_cli.training.labelled import described_columns, reading_notes

_READING = (*ReadingSettings.model_fields, "limit")  # what decides the texts and labels


def compare_run(
    experiment: Experiment,
    out: Path | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    device: str = "auto",
    stop: Stop = never,
) -> Generator[Event, None, None]:
    """Train and test all rows, and write the comparison as a run.

    Args:
        experiment: `data.train`, `data.test`, `compare` (files, LM runs, modes, seeds, shares of the labelled texts),
            `classify` (all that the rows share).
        out: The run; None: `compare` in the folder of the runs.
        overwrite: Replace a comparison that is there, once the first classifier of this one is done.
        resume: Take over the classifiers of a comparison that was stopped; rows, seeds and shares may be more than
            before.
        device: Where to compute, or `auto`.
        stop: Asked before each step; classifiers that are done stay in the run.

    Yields:
        A `Notice` for each thing to beware of, the events of each classifier's training but `Finished`,
        `ClassifierDone` after each, at last `Finished` with what `results.json` holds, or `Stopped`.

    Raises:
        InputError: An input cannot be used, or the comparison to resume was begun with other data or settings, or by
            an earlier elmo.
    """
    out = out or experiment.output / "compare"
    with RunWriter(out, "comparison", "elmo compare", overwrite=overwrite, resume=resume) as writer:
        kept = Classifiers(writer)
        job = prepare_job(experiment, out.parent, pick_device(device))
        settings, data = _describe(job)
        if resume:
            _check_same(writer.description, settings, data)
        models = [{"name": model.name, "fingerprint": model.source} for model in job.models]
        writer.describe(
            settings, data, {"status": "unfinished", "columns": described_columns(job.texts), "lms": models}
        )
        read = [note for texts in job.texts for note in reading_notes(texts, experiment.classify.max_tokens)]
        yield from map(Notice, [*read, *warnings_of(job)])
        done = yield from train_rows(job, kept, stop)
        rows = (yield from all_rows(job, kept, stop)) if done else None
        if rows is not None:
            last: Event = Finished({**write_results(job, rows, writer)})
            yield from add_page(writer, lm_paths(experiment))
        else:
            last = Stopped(finished(job, kept))
            (writer.leave_unfinished if writer.committed else writer.abandon)()
    # Only now is the run in its place, whatever the consumer does with the last event.
    yield last


def _describe(job: Job) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings and data for `run.yaml`."""
    settings = portable(job.experiment.model_dump(include={"seed", "data", "classify", "compare"}))
    train, test = job.texts
    files = {"train": [train.path], "test": [test.path], "baselines": job.experiment.compare.baselines}
    return settings, {role: describe_files(paths) for role, paths in files.items()}


def _check_same(before: Mapping[str, Any], settings: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """See that classifiers of an earlier session were trained as those to come; rows and seeds may be added."""
    old, new = before.get("settings", {}), settings
    # n-grams stand beside the classifiers of each row, which do without
    heads = [{key: value for key, value in one.get("classify", {}).items() if key != "ngrams"} for one in (old, new)]
    pairs: dict[str, tuple[Any, Any]] = {"seed": (old.get("seed"), new["seed"]), "classify": (heads[0], heads[1])}
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
