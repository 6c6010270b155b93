"""What is in files of texts: columns, classes, lengths, doubles, and what will make trouble. Each file is read once.

Memory is some 24 bytes a text, for lengths and doubles; texts are not kept.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elmo_cli.config import ReadingSettings
from elmo_cli.data.columns import Columns
from elmo_cli.data.files import has_mark
from elmo_cli.data.formats import open_file
from elmo_cli.data.formats.format import Format
from elmo_cli.data.records import read_records
from elmo_cli.data.values import as_printed
from elmo_cli.errors import DataError
from elmo_cli.events import Progress, Tell, silent

SAMPLES = 3
UNBALANCED = 10  # times as many texts in the largest class as in the smallest
FEW = 10  # texts of a class


@dataclass(frozen=True)
class Lengths:
    """Lengths of texts in tokens."""

    mean: float
    median: float
    p95: float
    longest: int


@dataclass
class FileReport:
    """What is in a file."""

    path: Path
    kind: str  # its format
    columns: Columns
    encoding: str | None  # None for Parquet
    texts: int = 0  # rows that can be read
    tokens: int = 0  # of all texts together
    classes: dict[str, int] = field(default_factory=dict)  # texts of each label, the largest first
    lengths: Lengths | None = None
    empty: int = 0  # texts without a token
    doubles: int = 0  # texts that stood in the file before
    contradictions: int = 0  # doubles whose label is another one
    cut: int = 0  # texts longer than a classifier reads
    refused: int = 0  # rows that cannot be read
    samples: list[tuple[str | None, str]] = field(default_factory=list)  # the first texts with their labels
    problems: list[str] = field(default_factory=list)  # what will make trouble, a sentence each

    @property
    def balance(self) -> float | None:
        """Texts of the largest class over those of the smallest; None without two classes."""
        return max(self.classes.values()) / min(self.classes.values()) if len(self.classes) > 1 else None

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        found = self.columns
        columns = {name: getattr(found, name) for name in ("names", "text", "text_reason", "label", "label_reason")}
        counted = ("texts", "tokens", "classes", "balance", "empty", "doubles", "contradictions", "cut", "refused")
        return {
            "path": str(self.path),
            "kind": self.kind,
            "encoding": self.encoding,
            "delimiter": found.delimiter,
            "columns": {**columns, "header": found.has_header},
            **{name: getattr(self, name) for name in counted},
            "lengths": vars(self.lengths) if self.lengths else None,
            "samples": [{"label": label, "text": text} for label, text in self.samples],
            "problems": self.problems,
        }


@dataclass(frozen=True)
class Inspection:
    """What is in files, and what they share."""

    files: tuple[FileReport, ...]
    shared: dict[str, int]  # texts of the second and later files that stand in the first one too, by file

    def as_dict(self) -> dict[str, Any]:
        """The inspection as plain values."""
        return {"files": [one.as_dict() for one in self.files], "shared": self.shared}


def inspect(
    paths: Sequence[Path],
    reading: ReadingSettings,
    count_tokens: Callable[[str], int],
    max_tokens: int,
    tell: Tell = silent,
) -> Inspection:
    """Look through files of texts, with labels where there are any.

    Texts of the first file are looked for in the others, as of a training file in a test file; a classifier reads
    `max_tokens` of a text.

    Raises:
        DataError: A file is missing, empty, in another encoding or broken.
    """
    (first, its_texts), *others = [
        _look_through(open_file(path, reading), count_tokens, max_tokens, tell) for path in paths
    ]
    shared = {}
    for report, texts in others:
        count = shared[str(report.path)] = int(np.isin(texts, its_texts).sum())
        if count:
            where = f"{_of(count, report.texts)} stand in {first.path.name} too"
            report.problems.append(f"{where}: they test memory, not learning")
        unknown = [f"'{label}'" for label in report.classes if first.classes and label not in first.classes]
        if unknown:
            report.problems.append(f"labels that {first.path.name} does not have: {', '.join(unknown[:5])}")
    return Inspection((first, *(report for report, _ in others)), shared)


def _look_through(
    file: Format, count_tokens: Callable[[str], int], max_tokens: int, tell: Tell
) -> tuple[FileReport, NDArray[np.int64]]:
    """The report of a file and (texts,) a number for each text that has tokens: equal for equal texts."""
    columns = file.columns(labelled=False)
    encoding = file.reading.encoding if "encoding" in file.settings else None
    marked = encoding == "utf-8" and file.path.is_file() and has_mark(file.path)
    mark = ", with a byte order mark" if marked else ""
    report = FileReport(file.path, file.kind, columns, encoding and encoding + mark)
    refused: list[DataError] = []  # the first one alone: it is shown, the others are counted
    classes: Counter[str] = Counter()
    counts, texts, labels = array("q"), array("q"), array("q")
    size = sum(one.stat().st_size for one in (file.path.rglob("*") if file.path.is_dir() else [file.path]))

    def on_bytes(done: int) -> None:
        # The size itself is told at last, as it ends the bar.
        tell(Progress("reading", min(done, size - 1), size, in_bytes=True))

    def refuse(error: DataError) -> None:
        refused.extend([] if refused else [error])
        report.refused += 1

    labelled = columns.label is not None
    for record in read_records(file.path, file.reading, labelled=labelled, on_bytes=on_bytes, refuse=refuse):
        counts.append(count_tokens(record.text))
        if record.label is not None:
            classes[record.label] += 1
        if counts[-1]:
            texts.append(_number(" ".join(record.text.split())))
            labels.append(_number(record.label or ""))
        if len(report.samples) < SAMPLES:
            report.samples.append((record.label, record.text))
    tell(Progress("reading", size, size, in_bytes=True))
    report.classes = dict(sorted(classes.items(), key=lambda pair: (-pair[1], pair[0])))
    lengths, numbers, of_labels = (np.array(values, dtype=np.int64) for values in (counts, texts, labels))
    report.texts, report.tokens = len(lengths), int(lengths.sum())
    report.empty, report.cut = int((lengths == 0).sum()), int((lengths > max_tokens).sum())
    if report.texts:
        p95 = int(np.percentile(lengths, 95, method="inverted_cdf"))  # the nearest rank
        report.lengths = Lengths(float(lengths.mean()), float(np.median(lengths)), p95, int(lengths.max()))
    _, first, group = np.unique(numbers, return_index=True, return_inverse=True)
    report.doubles = len(numbers) - len(first)
    report.contradictions = int((of_labels != of_labels[first[group]]).sum())
    _judge(report, refused, max_tokens)
    return report, numbers


def _number(text: str) -> int:
    """64 bits that stand for a text; two of a million texts agree by chance once in ten million files."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


def _judge(report: FileReport, refused: Sequence[DataError], max_tokens: int) -> None:
    """Note what will make trouble."""
    problems, total, labels = report.problems, report.texts, report.classes
    if refused:
        count = f"{report.refused} row{'s' if report.refused > 1 else ''} cannot be read"
        problems.append(f"{count}, the first in {refused[0].where}: {refused[0].message}")
    if report.columns.names and report.columns.label is None:
        problems.append("no column looks like a label: name one with --set data.label=NAME, if there is one")
    if len(labels) == 1:
        problems.append(f"all texts have the label '{next(iter(labels))}': there is nothing to tell apart")
    problems += _alike(labels)
    problems += [report.columns.quoting] if report.columns.quoting else []
    if total > FEW and len(labels) > total // 2:
        problems.append(f"{len(labels)} labels in {total} texts: '{report.columns.label}' is probably no label")
    elif len(labels) > 1:
        small = [label for label, count in labels.items() if count < FEW]
        if small:
            problems.append(f"{len(small)} of {len(labels)} classes have fewer than {FEW} texts, such as '{small[0]}'")
        if (report.balance or 0) > UNBALANCED:
            times = f"{report.balance:.0f} times the texts of the smallest"
            problems.append(f"the largest class has {times}: look at macro F1")
    if report.empty:
        problems.append(f"{_of(report.empty, total)} are empty")
    if report.doubles:
        problems.append(f"{_of(report.doubles, total)} stand in the file before")
    if report.contradictions and labels:
        problems.append(f"{_of(report.contradictions, total)} stand before with another label")
    if report.cut and labels:
        longer = f"{_of(report.cut, total)} are longer than {max_tokens} tokens"
        problems.append(f"{longer} and would be cut there (classify.max_tokens)")


def _alike(labels: Iterable[str]) -> Iterator[str]:
    """A sentence for each group of labels that print alike and are not the same."""
    groups: dict[str, list[str]] = {}
    for label in labels:
        groups.setdefault(as_printed(label), []).append(label)
    for group in groups.values():
        if len(group) > 1:
            yield f"{len(group)} labels print alike and are not the same: {', '.join(map(ascii, group))}"


def _of(count: int, total: int) -> str:
    return f"{count:,} of {total:,} texts"
