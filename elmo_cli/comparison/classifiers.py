"""What a comparison keeps of each finished classifier: its answers, not its weights.

A line of `metrics.jsonl` says what was trained and how; the safetensors file in `predictions/` that it names holds the
answers: `test_predicted` (N,) and, for classifiers of all labelled texts, `train_predicted` (M,), class numbers in
int32, and in float16, where there are probabilities, `test_probabilities` (N, classes), `valid_probabilities`
(V, classes) and, of all labelled texts, `train_probabilities` (M, classes).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch

from elmo_cli.comparison.job import Job, Key
from elmo_cli.comparison.rows import Row, facts
from elmo_cli.comparison.statistics import RowResult, Trained
from elmo_cli.comparison.subsets import Size
from elmo_cli.events import as_record
from elmo_cli.report.logged import LoggedClassifier, WhichClassifier
from elmo_cli.runs import Run, RunWriter
from elmo_cli.runs.directory import METRICS_FILE

FOLDER = "predictions"


def _whole(lines: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    """The events of a log up to the first line that is none, as a machine that failed may leave it."""
    for line in lines:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            return
        if not isinstance(event, dict):
            return
        yield event


class Classifiers:
    """The finished classifiers of a comparison, in memory and in its run, those of earlier sessions included.

    Raises:
        RunError: The answers of a classifier of the run to resume are missing.
    """

    def __init__(self, writer: RunWriter) -> None:
        self._writer = writer
        self._done: dict[Key, Trained] = {}
        self._files = 0
        path = writer.path / METRICS_FILE
        if writer.resume and path.exists():
            lines = path.read_bytes().split(b"\n")[:-1]
            events = list(_whole(lines))
            done = [number for number, event in enumerate(events, 1) if event.get("event") == "classifier"]
            for number in done:
                self._take_over(cast(LoggedClassifier, events[number - 1]))
            # What follows belongs to a classifier that was being written: it will be trained again.
            writer.cut_log(sum(len(line) + 1 for line in lines[: max(done, default=0)]))

    def __contains__(self, key: Key) -> bool:
        return key in self._done

    def keep(self, row: Row, size: Size, trained: Trained) -> None:
        """Write a finished classifier into the run, which is in its place from the first one on."""
        self._files += 1
        name = f"{FOLDER}/{self._files:04d}.safetensors"
        tensors = {"test_predicted": torch.from_numpy(trained.predicted.astype(np.int32))}
        if trained.train_predicted is not None:
            tensors["train_predicted"] = torch.from_numpy(trained.train_predicted.astype(np.int32))
        shares = {
            "test_probabilities": trained.probabilities,
            "valid_probabilities": trained.valid_probabilities,
            "train_probabilities": trained.train_probabilities,
        }
        tensors |= {name: torch.from_numpy(found) for name, found in shares.items() if found is not None}
        self._writer.write_tensors(name, tensors)
        which: WhichClassifier = {"row": row.name, "seed": trained.seed, "fraction": size.fraction}
        for epoch in trained.epochs:
            self._writer.log({**as_record(epoch), **which})
        line: LoggedClassifier = {
            "event": "classifier",
            **which,
            "source": row.source,
            "training": trained.training,
            "predictions": name,
        }
        self._writer.log(line)
        self._writer.log_offset()  # on the disk, or a machine that fails would cost what is done
        self._writer.commit()
        self._done[row.name, row.source, trained.seed, size.fraction] = trained

    def rows(self, job: Job, fraction: float) -> list[RowResult]:
        """All rows with their classifiers of a share of the labelled texts, each of them finished."""
        return [
            RowResult(facts(row), [self._done[row.name, row.source, seed, fraction] for seed in job.seeds_of(row)])
            for row in job.rows
        ]

    def _take_over(self, line: LoggedClassifier) -> None:
        """Take a classifier of an earlier session over."""
        self._files += 1
        tensors = Run(self._writer.path, self._writer.description).tensors(line["predictions"])
        found = {name: tensor.numpy() for name, tensor in tensors.items()}
        answers = found.get("train_predicted")
        self._done[line["row"], line["source"], line["seed"], line["fraction"]] = Trained(
            line["seed"],
            found["test_predicted"].astype(np.int64),
            line["training"],
            found.get("test_probabilities"),
            None if answers is None else answers.astype(np.int64),
            valid_probabilities=found.get("valid_probabilities"),
            train_probabilities=found.get("train_probabilities"),
        )
