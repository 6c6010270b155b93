"""What `elmo data show` says of files: counted by hand, and every problem there is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from elmo_cli.config import ReadingSettings
from elmo_cli.data.inspection import FileReport, Inspection, inspect
from elmo_cli.errors import DataError


def inspected(*paths: Path) -> Inspection:
    return inspect(paths, ReadingSettings(), lambda text: len(text.split()), 512)


@pytest.fixture
def look(tmp_path: Path):
    def look(content: str, name: str = "a.csv") -> FileReport:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return inspected(path).files[0]

    return look


def table(*rows: tuple[str, str]) -> str:
    return "label,text\n" + "".join(f"{label},{text}\n" for label, text in rows)


def test_a_small_file_by_hand(look) -> None:
    report = look(table(("a", "one two three"), ("b", "four"), ("a", ""), ("a", "four"), ("b", "one  two three")))
    assert (report.texts, report.tokens, report.empty) == (5, 8, 1)
    assert report.classes == {"a": 3, "b": 2}
    assert report.balance == 1.5
    assert vars(report.lengths) == {"mean": 1.6, "median": 1, "p95": 3, "longest": 3}
    assert (report.doubles, report.contradictions) == (2, 2)  # blanks do not matter
    assert report.samples == [("a", "one two three"), ("b", "four"), ("a", "")]
    assert (report.columns.label, report.columns.label_reason) == ("label", "by its name")
    assert report.encoding == "utf-8"
    assert report.as_dict()["columns"]["text"] == ("text",)


@pytest.mark.parametrize("count", [1, 2, 3, 19, 20, 21, 40])
def test_lengths_are_those_of_numpy(look, count: int) -> None:
    generator = np.random.default_rng(count)
    lengths = generator.integers(1, 30, count)
    found = look("".join("word " * length + "\n" for length in lengths), "a.txt").lengths
    assert found.mean == pytest.approx(lengths.mean())
    assert found.median == np.median(lengths)
    assert found.p95 == np.percentile(lengths, 95, method="inverted_cdf")
    assert found.longest == lengths.max()


def test_sound_files_have_no_problems(look) -> None:
    rows = [("ab"[number % 2], f"text number {number}") for number in range(40)]
    assert look(table(*rows)).problems == []
    assert look("one\ntwo\n", "a.txt").problems == []


MANY = [("ab"[number % 2], f"text number {number}") for number in range(40)]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (table(*[("a", f"text {number}") for number in range(30)]), "all texts have the label 'a'"),
        (table(*MANY, ("c", "one")), "1 of 3 classes have fewer than 10 texts, such as 'c'"),
        (table(*MANY, ("c", "one")), "the largest class has 20 times"),
        (table(*MANY, ("a", "")), "1 of 41 texts are empty"),
        (table(*MANY, MANY[0]), "1 of 41 texts stand in the file before"),
        (table(*MANY, ("b", MANY[0][1])), "1 of 41 texts stand before with another label"),
        (table(*MANY, ("b", "word " * 600)), "1 of 41 texts are longer than 512 tokens"),
        (
            table(*[(str(number), "text") for number in range(30)]),
            "30 labels in 30 texts: 'label' is probably no label",
        ),
        (table(*MANY) + "a\nb\n", "2 rows cannot be read, the first in"),
        (table(*MANY) + ",empty label\n", "1 row cannot be read, the first in"),
        ("one,two\n" + "".join(f"some text {n},more text {n}\n" for n in range(9)), "no column looks like a label"),
    ],
)
def test_problems(look, content: str, problem: str) -> None:
    report = look(content)
    assert any(problem in one for one in report.problems), report.problems


def test_the_first_row_that_cannot_be_read_is_named(look) -> None:
    report = look(table(*MANY) + "a\nb\n")
    assert report.refused == 2
    assert "a.csv, line 42: the row has 1 column, but the header names 2" in report.problems[0]


def test_two_files_are_compared(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(table(*MANY), encoding="utf-8")
    rows = [{"text": text, "label": label} for label, text in [*MANY[:3], ("c", "new"), ("a", " text  number 1 ")]]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = inspected(tmp_path / "train.csv", tmp_path / "test.jsonl")
    assert found.shared == {str(tmp_path / "test.jsonl"): 4}
    assert "4 of 5 texts stand in train.csv too" in " ".join(found.files[1].problems)
    assert "labels that train.csv does not have: 'c'" in found.files[1].problems
    assert found.as_dict()["shared"] == found.shared


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"label,text\na,caf\xe9\n")
    with pytest.raises(DataError, match="--encoding cp1252"):
        inspected(tmp_path / "a.csv")


def test_the_command(tmp_path: Path, run_elmo) -> None:
    long = "a_name_of_a_column_that_is_long"
    names = [f"{long}_{number}" for number in range(9)]
    rows = "".join(";".join([f"class number {n % 30}", f"text {n} " * 30, *"xxxxxxxxx"]) + "\n" for n in range(300))
    path = tmp_path / "a.csv"
    path.write_bytes(("\ufeff" + ";".join(["label", "text", *names]) + "\n" + rows + "a;b\n").encode())
    done = run_elmo("data", "show", path, "--json")
    assert done.code == 0, done.stderr
    (report,) = done.json["files"]
    assert (report["kind"], report["delimiter"], report["texts"], report["refused"]) == ("csv", ";", 300, 1)
    assert report["encoding"] == "utf-8, with a byte order mark"
    assert (report["columns"]["text"], report["columns"]["label"]) == (["text"], "label")
    shown = run_elmo("data", "show", path).stdout
    for part in ("semicolons", "by its name", "... 10 more", "30:", "problem: 1 row cannot be read"):
        assert part in shown
    # All but the path, which is to be copied.
    assert max(len(line) for line in shown.splitlines() if str(tmp_path) not in line) <= 80
    assert run_elmo("data", "show", tmp_path / "b.csv").code == 2
