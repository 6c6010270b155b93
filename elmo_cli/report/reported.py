"""What a report reads of its runs, and what does not fit together in them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from elmo_cli.data.folders import unique_names
from elmo_cli.errors import RunError
from elmo_cli.report.records import (
    ClassifierResults,
    ComparisonResults,
    Examples,
    LmResults,
    LoggedEpoch,
    LoggedRowEpoch,
    LoggedStep,
    LoggedValidation,
)
from elmo_cli.runs import RESULTS_FILE, Run
from elmo_cli.runs.directory import EXAMPLES_FILE, KIND_NAMES, METRICS_FILE, RUN_FILE, Kind

REPORTED: tuple[Kind, ...] = ("lm", "classifier", "comparison")
PREDICTIONS_FILE = "predictions.csv"
MOST_EXAMPLES = 20

# A comparison that was stopped: all that can be shown of it is how the classifiers trained that were done.
_NO_RESULTS: ComparisonResults = {
    "reference": "",
    "best_mode": None,
    "best_row": None,
    "test": "",
    "comparisons": 0,
    "pairs": [],
    "rows": [],
    "conclusion": "This comparison has no results yet.",
    "curves": [],
    "seeds": [],
    "classes": [],
    "data": {},
    "train": {"file": "", "texts": 0, "cut": 0},
    "test_file": {"file": "", "texts": 0, "cut": 0},
    "warnings": [],
    "notes": [],
}


class Mistake(NamedTuple):
    """A wrong prediction with its probability."""

    text: str
    label: str
    predicted: str
    probability: float


@dataclass(frozen=True)
class ReportedRun:
    """A run, as a report needs it.

    Attributes:
        name: Unlike those of the other runs of the report.
        description: `run.yaml`.
    """

    name: str
    description: Mapping[str, Any]

    @property
    def finished(self) -> bool:
        """Whether its command came to the end."""
        return bool(self.description["status"] == "finished")

    def files(self, role: str) -> tuple[tuple[str, str], ...]:
        """Name and fingerprint of the files that it read as `train`, `test`, `corpus` and so on."""
        found = (self.description.get("data") or {}).get(role) or []
        return tuple((str(file["name"]), str(file["fingerprint"])) for file in found)


@dataclass(frozen=True)
class ReportedLm(ReportedRun):
    """A language model.

    Attributes:
        results: `results.json`; None for one that was stopped, or imported.
        events: Steps and validations of `metrics.jsonl`.
    """

    results: LmResults | None = field(repr=False)
    events: Sequence[LoggedStep | LoggedValidation] = field(repr=False)


@dataclass(frozen=True)
class ReportedClassifier(ReportedRun):
    """A classifier.

    Attributes:
        results: `results.json`; None where it is missing.
        epochs: Those of `metrics.jsonl`.
        mistakes: The wrong predictions, the surest first.
    """

    results: ClassifierResults | None = field(repr=False)
    epochs: Sequence[LoggedEpoch] = field(repr=False)
    mistakes: Sequence[Mistake] = field(repr=False)


@dataclass(frozen=True)
class ReportedComparison(ReportedRun):
    """A comparison.

    Attributes:
        results: `results.json`; without rows where it is missing.
        epochs: Those of `metrics.jsonl`, of all classifiers.
        examples: `examples.json`; without texts where it is missing.
    """

    results: ComparisonResults = field(repr=False)
    epochs: Sequence[LoggedRowEpoch] = field(repr=False)
    examples: Examples = field(repr=False)


def find_runs(folder: Path) -> list[Path]:
    """All runs of a folder that a report can show, by name.

    Raises:
        RunError: There is none.
    """
    found = [path.parent for path in sorted(folder.glob(f"*/{RUN_FILE}")) if not path.parent.name.startswith(".")]
    kept = [path for path in found if Run.open(path, unfinished=True).kind in REPORTED]
    if not kept:
        raise RunError(
            f"there is nothing to report in {folder}",
            where=folder,
            expected="LM runs, classifier runs or comparisons",
            remedy="write one, for example with `elmo compare`, or name one: elmo report RUN",
        )
    return kept


def read_runs(paths: Sequence[Path]) -> list[ReportedRun]:
    """Open and read runs.

    Raises:
        RunError: One is absent, of a kind that has no report, being written, or damaged.
        ConfigError: One is given twice.
    """
    names = unique_names(paths, "run")
    runs = [Run.open(path, unfinished=True) for path in paths]
    for run in runs:
        if run.kind not in REPORTED:
            raise RunError(
                f"{run.path} is {KIND_NAMES[run.kind][0]}, which a report does not show",
                where=run.path,
                expected="an LM run, a classifier run or a comparison",
                remedy="leave it out, or name a run of one of these kinds",
            )
    return [read_run(run, name) for run, name in zip(runs, names, strict=True)]


def read_run(run: Run, name: str) -> ReportedRun:
    """Read what a report needs of a run, whose files may be missing.

    Raises:
        RunError: A file is damaged.
    """
    # Any, as only who wrote a file knows what is in it; `as_written` watches over whoever relies on it.
    results: Any = run.results() if (run.path / RESULTS_FILE).exists() else None
    events: Any = run.metrics() if (run.path / METRICS_FILE).exists() else []
    if type(results) not in (dict, type(None)) or not all(isinstance(event, dict) for event in events):
        raise RunError(
            f"{RESULTS_FILE} or {METRICS_FILE} is not as elmo wrote it", where=run.path, remedy="copy the run again"
        )
    if run.kind == "lm":
        return ReportedLm(name, run.description, results, events)
    epochs = [event for event in events if event.get("event") == "epochdone"]
    if run.kind == "classifier":
        return ReportedClassifier(name, run.description, results, epochs, _mistakes(run.path / PREDICTIONS_FILE))
    examples = _examples(run.path / EXAMPLES_FILE)
    return ReportedComparison(name, run.description, _NO_RESULTS if results is None else results, epochs, examples)


@contextmanager
def as_written(run: ReportedRun) -> Iterator[None]:
    """Relies on the files of a run, which may have been changed by hand.

    Raises:
        RunError: Something in them is missing or of the wrong type.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise RunError(
            f"the results of {run.name} are not as elmo wrote them: {type(error).__name__}: {error}",
            remedy="copy the run again, or write it again",
        ) from error


def _examples(path: Path) -> Examples:
    if not path.exists():
        return {"hardest": [], "only_lm": []}
    try:
        examples: Examples = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path.name} cannot be read: {error}", where=path, remedy="copy the run again") from error
    return examples


def _mistakes(path: Path) -> list[Mistake]:
    """The wrong predictions of a classifier run whose wrong class had the highest probability."""
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            wrong = [
                Mistake(row["text"], row["label"], row["predicted"], float(row[f"p({row['predicted']})"]))
                for row in csv.DictReader(file)
                if row["predicted"] != row["label"]
            ]
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise RunError(f"{path.name} cannot be read: {error}", where=path, remedy="copy the run again") from error
    return sorted(wrong, key=lambda one: -one.probability)[:MOST_EXAMPLES]


def warnings_between(runs: Sequence[ReportedRun]) -> list[str]:
    """What forbids to compare figures of one run with those of another, a sentence each."""
    found = [f"{one.name} is not finished: this is what it has so far." for one in runs if not one.finished]
    scored = [one for one in runs if not isinstance(one, ReportedLm)]
    models = [one for one in runs if isinstance(one, ReportedLm) and one.results]
    found += _apart(
        "The test files differ, so accuracies of one run say nothing beside those of another",
        [(one.name, one.files("test")) for one in scored if one.files("test")],
    )
    found += _apart(
        "The training files differ, so a difference between runs may come from them",
        [(one.name, one.files("train")) for one in scored if one.files("train")],
    )
    found += _apart(
        "The texts or vocabularies behind the perplexities differ, so perplexities of one run say nothing beside those "
        "of another",
        [(one.name, _validated_on(one)) for one in models],
    )
    return found


def _validated_on(run: ReportedRun) -> tuple[tuple[str, str], ...]:
    """What a perplexity depends on besides the model: the validation text and the vocabulary."""
    files = run.files("valid") or run.files("corpus")
    besides = [(key, str(run.description[key])) for key in ("validation", "vocabulary") if run.description.get(key)]
    return (*files, *besides)


def _apart(message: str, runs: Iterable[tuple[str, tuple[tuple[str, str], ...]]]) -> list[str]:
    """The message with what each run has read, where that is not the same for all."""
    groups: dict[tuple[str, ...], list[str]] = {}
    labels: dict[tuple[str, ...], str] = {}
    for name, files in runs:
        key = tuple(print_ for _, print_ in files)
        groups.setdefault(key, []).append(name)
        labels[key] = " and ".join(f"{file} ({_short(print_)})" for file, print_ in files)
    if len(groups) < 2:
        return []
    return [f"{message}: " + "; ".join(f"{', '.join(names)}: {labels[key]}" for key, names in groups.items()) + "."]


def _short(fingerprint: str) -> str:
    """Enough of a fingerprint to tell files of one name apart; anything else as it is."""
    return fingerprint.removeprefix("sha256:")[:8] if fingerprint.startswith("sha256:") else fingerprint
