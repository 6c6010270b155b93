"""What is in files of texts: columns, classes, lengths, doubles, and what will make trouble. Each file is read once.

Memory is some 20 bytes a text, for finding doubles; texts are not kept.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Sequence
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
from elmo_cli.errors import DataError
from elmo_cli.events import OnProgress

CountTokens = Callable[[str], int]

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
    """What is in a file.

    Attributes:
        path: The file.
        kind: Its format.
        columns: Its columns.
        encoding: How its text is encoded; None for Parquet.
        texts: Rows that can be read.
        tokens: Tokens of all texts together.
        classes: Texts of each label, the largest first; empty without labels.
        lengths: Lengths of the texts.
        empty: Texts without a token.
        doubles: Texts that stood in the file before.
        contradictions: Doubles whose label is another one.
        cut: Texts longer than a classifier reads.
        refused: Rows that cannot be read.
        samples: The first texts with their labels.
        problems: What will make trouble, a sentence each.
    """

    path: Path
    kind: str
    columns: Columns
    encoding: str | None
    texts: int = 0
    tokens: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    lengths: Lengths | None = None
    empty: int = 0
    doubles: int = 0
    contradictions: int = 0
    cut: int = 0
    refused: int = 0
    samples: list[tuple[str | None, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def balance(self) -> float | None:
        """Texts of the largest class over those of the smallest; None without two classes."""
        return max(self.classes.values()) / min(self.classes.values()) if len(self.classes) > 1 else None

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        found = self.columns
        columns: dict[str, Any] = {"names": found.names, "text": found.text, "text_reason": found.text_reason}
        columns |= {"label": found.label, "label_reason": found.label_reason, "header": found.has_header}
        counted = ("texts", "tokens", "classes", "balance", "empty", "doubles", "contradictions", "cut", "refused")
        return {
            "path": str(self.path),
            "kind": self.kind,
            "encoding": self.encoding,
            "delimiter": found.delimiter,
            "columns": columns,
            **{name: getattr(self, name) for name in counted},
            "lengths": vars(self.lengths) if self.lengths else None,
            "samples": [{"label": label, "text": text} for label, text in self.samples],
            "problems": self.problems,
        }


@dataclass(frozen=True)
class Inspection:
    """What is in files, and what they share.

    Attributes:
        files: A report each.
        shared: Texts of the second and later files that stand in the first one too, by file.
    """

    files: tuple[FileReport, ...]
    shared: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """The inspection as plain values."""
        return {"files": [one.as_dict() for one in self.files], "shared": self.shared}


def inspect(
    paths: Sequence[Path],
    reading: ReadingSettings,
    count_tokens: CountTokens,
    max_tokens: int,
    on_progress: OnProgress | None = None,
) -> Inspection:
    """Look through files of texts, with labels where there are any.

    Args:
        paths: The files; texts of the first are looked for in the others, as of a training file in a test file.
        reading: How to read them.
        count_tokens: How many tokens a text has.
        max_tokens: How many of them a classifier reads.
        on_progress: Told bytes read of the file under way, and its size.

    Raises:
        DataError: A file is missing, empty, in another encoding or broken.
    """
    reports, prints = [], []
    for path in paths:
        report, texts = _look_through(open_file(path, reading), count_tokens, max_tokens, on_progress)
        reports.append(report)
        prints.append(texts)
    shared = {}
    for report, texts in zip(reports[1:], prints[1:], strict=True):
        count = int(np.isin(texts, prints[0]).sum())
        shared[str(report.path)] = count
        if count:
            first = reports[0].path.name
            report.problems.append(f"{_of(count, report.texts)} stand in {first} too: they test memory, not learning")
        unknown = [label for label in report.classes if reports[0].classes and label not in reports[0].classes]
        if unknown:
            shown = ", ".join(f"'{label}'" for label in unknown[:5])
            report.problems.append(f"labels that {reports[0].path.name} does not have: {shown}")
    return Inspection(tuple(reports), shared)


def _look_through(
    file: Format, count_tokens: CountTokens, max_tokens: int, on_progress: OnProgress | None
) -> tuple[FileReport, NDArray[np.int64]]:
    """The report of a file and (texts,) a number for each text that has tokens: equal for equal texts."""
    columns = file.columns(labelled=False)
    report = FileReport(file.path, file.kind, columns, _encoding(file))
    refused: list[DataError] = []
    lengths: Counter[int] = Counter()
    classes: Counter[str] = Counter()
    texts, labels = array("q"), array("q")
    size = file.path.stat().st_size
    # The size itself is told at last, as it ends the bar.
    on_bytes = (lambda done: on_progress(min(done, size - 1), size)) if on_progress is not None else None

    def refuse(error: DataError) -> None:
        refused[1:] = []  # the first one is shown, the others are counted
        refused.append(error)
        report.refused += 1

    labelled = columns.label is not None
    for record in read_records(file.path, file.reading, labelled=labelled, on_bytes=on_bytes, refuse=refuse):
        tokens = count_tokens(record.text)
        lengths[tokens] += 1
        if record.label is not None:
            classes[record.label] += 1
        if tokens:
            texts.append(_number(" ".join(record.text.split())))
            labels.append(_number(record.label or ""))
        if len(report.samples) < SAMPLES:
            report.samples.append((record.label, record.text))
    if on_progress is not None:
        on_progress(size, size)
    _count(report, lengths, classes, max_tokens)
    numbers = np.frombuffer(texts, dtype=np.int64) if texts else np.zeros(0, np.int64)
    _compare(report, numbers, np.frombuffer(labels, dtype=np.int64) if labels else numbers)
    _judge(report, refused, max_tokens)
    return report, numbers


def _encoding(file: Format) -> str | None:
    encoding = file.reading.encoding
    if "encoding" not in file.settings:
        return None
    return f"{encoding}, with a byte order mark" if encoding == "utf-8" and has_mark(file.path) else encoding


def _number(text: str) -> int:
    """64 bits that stand for a text; two of a million texts agree by chance once in ten million files."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


def _count(report: FileReport, lengths: Counter[int], classes: Counter[str], max_tokens: int) -> None:
    report.texts, report.empty = lengths.total(), lengths[0]
    report.tokens = sum(length * count for length, count in lengths.items())
    report.classes = dict(sorted(classes.items(), key=lambda pair: (-pair[1], pair[0])))
    report.cut = sum(count for length, count in lengths.items() if length > max_tokens)
    if report.texts:
        ordered = sorted(lengths)
        upto = np.cumsum([lengths[length] for length in ordered])

        def length_at(rank: int) -> int:
            return ordered[int(np.searchsorted(upto, rank, side="right"))]

        middle = (length_at((report.texts - 1) // 2) + length_at(report.texts // 2)) / 2
        p95 = length_at(int(np.ceil(0.95 * report.texts)) - 1)  # the nearest rank
        report.lengths = Lengths(report.tokens / report.texts, middle, p95, ordered[-1])


def _compare(report: FileReport, texts: NDArray[np.int64], labels: NDArray[np.int64]) -> None:
    _, first, group = np.unique(texts, return_index=True, return_inverse=True)
    report.doubles = len(texts) - len(first)
    report.contradictions = int((labels != labels[first[group]]).sum()) if len(texts) else 0


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
    if total > FEW and len(labels) > total // 2:
        problems.append(f"{len(labels)} labels in {total} texts: '{report.columns.label}' is probably no label")
    elif len(labels) > 1:
        small = [label for label, count in labels.items() if count < FEW]
        if small:
            problems.append(f"{len(small)} of {len(labels)} classes have fewer than {FEW} texts, such as '{small[0]}'")
        if (report.balance or 0) > UNBALANCED:
            problems.append(
                f"the largest class has {report.balance:.0f} times the texts of the smallest: look at macro F1"
            )
    if report.empty:
        problems.append(f"{_of(report.empty, total)} are empty")
    if report.doubles:
        problems.append(f"{_of(report.doubles, total)} stand in the file before")
    if report.contradictions and labels:
        problems.append(f"{_of(report.contradictions, total)} stand before with another label")
    if report.cut and labels:
        problems.append(
            f"{_of(report.cut, total)} are longer than {max_tokens} tokens and would be cut there (classify.max_tokens)"
        )


def _of(count: int, total: int) -> str:
    return f"{count:,} of {total:,} texts"
