"""What a report reads of its runs, and what does not fit together in them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from elmo_cli.config.bounded import read_json
from elmo_cli.data.folders import unique_names
from elmo_cli.errors import RunError, printable
from elmo_cli.report.blocks import Answer, Example
from elmo_cli.report.logged import ComparisonEpoch, LoggedEpoch, LoggedStep, LoggedValidation
from elmo_cli.report.records import ClassifierResults, ComparisonResults, Examples, LmResults, TaggerResults
from elmo_cli.runs import RESULTS_FILE, Run
from elmo_cli.runs.directory import EXAMPLES_FILE, KIND_NAMES, METRICS_FILE, RUN_FILE, Kind

REPORTED: tuple[Kind, ...] = ("lm", "classifier", "tagger", "comparison")
PREDICTIONS_FILE, TAGGED_FILE = "predictions.csv", "predictions.conll"
MOST_EXAMPLES = 20

# What a page needs of a comparison that was stopped: it shows how the classifiers trained that were done.
_NO_RESULTS = cast(
    ComparisonResults,
    {
        "conclusion": "This comparison has no results yet.",
        "data": {},
        **dict.fromkeys(("rows", "pairs", "curves", "classes", "warnings", "notes"), ()),
    },
)


@dataclass(frozen=True)
class ReportedRun:
    """A run, as a report needs it: a name unlike those of the others, and `run.yaml`."""

    name: str
    description: Mapping[str, Any]

    def files(self, role: str) -> tuple[tuple[str, str], ...]:
        """Name and fingerprint of the files that it read as `train`, `test`, `corpus` and so on."""
        found = (self.description.get("data") or {}).get(role) or []
        return tuple((str(file["name"]), str(file["fingerprint"])) for file in found)


@dataclass(frozen=True)
class ReportedLm(ReportedRun):
    """A language model; without results if it was stopped, or imported."""

    results: LmResults | None
    events: Sequence[LoggedStep | LoggedValidation]


@dataclass(frozen=True)
class ReportedClassifier(ReportedRun):
    """A classifier, with its wrong predictions, the surest first."""

    results: ClassifierResults | None
    epochs: Sequence[LoggedEpoch]
    mistakes: Sequence[Example]


@dataclass(frozen=True)
class ReportedTagger(ReportedRun):
    """A tagger, with the file of its tags of the test sentences, which may be missing."""

    results: TaggerResults | None
    epochs: Sequence[LoggedEpoch]
    predictions: Path


@dataclass(frozen=True)
class ReportedComparison(ReportedRun):
    """A comparison, with the epochs of all its classifiers; without rows and examples if it was stopped."""

    results: ComparisonResults
    epochs: Sequence[ComparisonEpoch]
    examples: Examples


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
            expected="LM runs, classifier runs, tagger runs or comparisons",
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
                expected="an LM run, a classifier run, a tagger run or a comparison",
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
        return ReportedClassifier(name, run.description, results, epochs, _mistakes(run.path / PREDICTIONS_FILE, name))
    if run.kind == "tagger":
        return ReportedTagger(name, run.description, results, epochs, run.path / TAGGED_FILE)
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
        return {"hardest": [], "only_lm": [], "lm_wrong": []}
    with readable(path):
        examples: Examples = read_json(path)
    return examples


def _mistakes(path: Path, name: str) -> list[Example]:
    """The wrong predictions of a classifier run, as its name says them, whose class had the highest probability."""
    if not path.exists():
        return []
    with readable(path), path.open(encoding="utf-8", newline="") as file:
        wrong = [
            (float(line[f"p({line['predicted']})"]), line)
            for line in csv.DictReader(file)
            if line["predicted"] != line["label"]
        ]
        surest = sorted(wrong, key=lambda one: -one[0])[:MOST_EXAMPLES]
        return [
            Example(line["text"], line["label"], [Answer(name, line["predicted"], probability)])
            for probability, line in surest
        ]


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Reads a file of a run; a RunError says that it is damaged."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise RunError(
            f"{path.name} cannot be read: {printable(str(error))}", where=path, remedy="copy the run again"
        ) from error


def warnings_between(runs: Sequence[ReportedRun]) -> list[str]:
    """What forbids to compare figures of one run with those of another, a sentence each."""
    unfinished = [one.name for one in runs if one.description["status"] != "finished"]
    scored = [one for one in runs if not isinstance(one, ReportedLm)]
    models = [one for one in runs if isinstance(one, ReportedLm) and one.results]
    return [
        *(f"{name} is not finished: this is what it has so far." for name in unfinished),
        *_apart(
            "The test files differ, so accuracies of one run say nothing beside those of another",
            [(one.name, one.files("test")) for one in scored if one.files("test")],
        ),
        *_apart(
            "The training files differ, so a difference between runs may come from them",
            [(one.name, one.files("train")) for one in scored if one.files("train")],
        ),
        *_apart(
            "The texts or vocabularies behind the perplexities differ, so perplexities of one run say nothing beside "
            "those of another",
            [(one.name, _validated_on(one)) for one in models],
        ),
    ]


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
