"""Corpora as users have them, through the entry point: pipes, folders, patterns, encodings, Parquet and JSON lines."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from elmo_cli.data.sample import sample_news

REPOSITORY = Path(__file__).resolve().parent.parent.parent
ENVIRONMENT = dict(os.environ, PYTHONPATH=str(REPOSITORY), NO_COLOR="1")
LINES = "the cat sat\nthe dog ran\na cat and a dog\n" * 20


def test_a_vocabulary_from_a_pipe_is_that_of_the_file(tmp_path: Path, elmo_in) -> None:
    (tmp_path / "a.txt").write_text(LINES, encoding="utf-8")
    piped = elmo_in(tmp_path, "vocab", "build", "-", "--out", "piped", "--json", stdin=LINES)
    assert piped.code == 0, piped.stderr
    read = elmo_in(tmp_path, "vocab", "build", "a.txt", "--out", "read", "--json")
    assert piped.json | {"path": ""} == read.json | {"path": ""}
    described = [
        yaml.safe_load((tmp_path / name / "run.yaml").read_text(encoding="utf-8"))["data"]["corpus"][0]
        for name in ("piped", "read")
    ]
    assert [one["name"] for one in described] == ["stdin", "a.txt"]
    assert described[0]["fingerprint"] == described[1]["fingerprint"]
    trained = elmo_in(tmp_path, "pretrain", "-", "--preset", "tiny", "--epochs", "1", "--json", stdin=LINES)
    assert trained.code == 0, trained.stderr


def test_standard_input_that_cannot_be_used(tmp_path: Path, elmo_in) -> None:
    for arguments, stdin, message in (
        (["-", "-"], LINES, "- stands twice"),
        (["-"], "", "stdin is empty"),
        (["-", "--encoding", "ascii"], "caf\xe9\n", "--encoding utf-8"),
    ):
        done = elmo_in(tmp_path, "vocab", "build", *arguments, stdin=stdin)
        assert (done.code, message in done.stderr) == (2, True), done.stderr
    assert not list(tmp_path.iterdir())


def test_folders_patterns_and_encodings(tmp_path: Path, elmo_in) -> None:
    (tmp_path / "corpus/sub").mkdir(parents=True)
    (tmp_path / "corpus/a.txt").write_bytes("grüße grüße\n".encode("latin-1"))
    (tmp_path / "corpus/sub/b.csv").write_bytes("text;n\ngrüße und mehr;1\nmehr und mehr;2\n".encode("latin-1"))
    for given in ("corpus", "corpus/**/*.*"):
        done = elmo_in(tmp_path, "vocab", "build", given, "--encoding", "latin-1", "--overwrite", "--json")
        assert done.code == 0, done.stderr
        assert (done.json["tokens"], done.json["kept"]) == (8, 3)
    shown = elmo_in(tmp_path, "vocab", "show", "runs/vocab", "corpus", "--encoding", "latin-1", "--json")
    assert shown.json["corpus"]["unknown"] == 0
    refused = elmo_in(tmp_path, "vocab", "show", "runs/vocab", "corpus")
    assert (refused.code, "--encoding cp1252 or latin-1" in refused.stderr) == (2, True)
    unknown = elmo_in(tmp_path, "vocab", "build", "corpus", "--encoding", "latin-11")
    assert (unknown.code, "did you mean 'latin-1'" in unknown.stderr) == (2, True), unknown.stderr


def test_vocabulary_says_what_it_costs(tmp_path: Path, elmo_in) -> None:
    (tmp_path / "a.txt").write_text(LINES + "seldom\n", encoding="utf-8")
    sizes = ["--set", "model.hidden_size=8", "--set", "model.projection_size=4", "--set", "model.softmax=full"]
    done = elmo_in(tmp_path, "vocab", "build", "a.txt", *sizes, "--json")
    kept, size = 7, 10
    assert (done.json["kept"], done.json["size"]) == (kept, size)
    assert done.json["coverage"] == pytest.approx(220 / 221)
    assert done.json["oov_rate"] == pytest.approx(1 / 221)
    # A row of 4 for each id and one for padding; 4 weights and a bias for each id that is predicted.
    assert done.json["parameters"] == {"embedding": (size + 1) * 4, "softmax": size * (4 + 1)}
    assert done.json["megabytes"] == pytest.approx(4 * (44 + 50) / 1e6)
    tied = elmo_in(tmp_path, "vocab", "build", "a.txt", *sizes, "--set", "model.tie=true", "--json", "--overwrite")
    assert tied.json["parameters"] == {"embedding": 44, "softmax": size}
    characters = elmo_in(
        tmp_path, "vocab", "build", "a.txt", *sizes, "--set", "model.encoder=char", "--json", "--overwrite"
    )
    assert characters.json["parameters"] == {"embedding": 0, "softmax": 50}
    shown = elmo_in(tmp_path, "vocab", "build", "a.txt", "--overwrite").stdout
    assert "coverage" in shown
    assert "99.55 % of the tokens" in shown
    assert max(map(len, shown.splitlines())) <= 80


def write_items(folder: Path, kind: str) -> None:
    """`train` and `test` with numbers as labels, of one kind in the one and of another in the other."""
    items = sample_news(size=60)
    classes = sorted({item.label for item in items})
    rows = [{"text": item.text, "label": classes.index(item.label), "meta": [1]} for item in items]
    if kind == "jsonl":
        text = "".join(json.dumps(row) + "\n" for row in rows[:40])
        (folder / "train.jsonl").write_text(text, encoding="utf-8")
    else:
        table = {name: [row[name] for row in rows[:40]] for name in rows[0]}
        pq.write_table(
            pa.table(table | {"label": [float(label) for label in table["label"]]}), folder / "train.parquet"
        )
    with (folder / "test.csv").open("w", encoding="utf-8", newline="") as file:
        test = [(row["label"], row["text"]) for row in rows[40:]]
        csv.writer(file, delimiter=";", quoting=csv.QUOTE_ALL).writerows([("label", "text"), *test])


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_init_finds_and_classify_reads_other_kinds(kind: str, tmp_path: Path, elmo_in) -> None:
    write_items(tmp_path, kind)
    done = elmo_in(tmp_path, "init", "--preset", "tiny", "--json")
    assert done.json["data"] == {"train": f"train.{kind}", "test": "test.csv", "text": ["text"], "label": "label"}
    for command in ("vocab build", "pretrain --epochs 1", "classify --set classify.epochs=1", "evaluate"):
        done = elmo_in(tmp_path, *command.split(), "--json")
        assert done.code == 0, done.stderr
    assert [one["label"] for one in done.json[0]["classes"]] == ["0", "1", "2", "3"]


def test_names_in_one_file_and_numbers_in_the_other(road: Path, tmp_path: Path, elmo_in) -> None:
    shutil.copytree(road, tmp_path / "copy")
    rows = "".join(json.dumps({"label": number % 4, "text": "some words"}) + "\n" for number in range(8))
    (tmp_path / "copy/test.jsonl").write_text(rows, encoding="utf-8")
    done = elmo_in(tmp_path / "copy", "classify", "--lambdas", "function", "--test", "test.jsonl")
    assert done.code == 2
    assert "one file has names for its labels and the other numbers" in done.stderr


def test_predict_answers_each_line_of_a_pipe_at_once(road: Path) -> None:
    command = [sys.executable, "-m", "elmo_cli", "predict", "runs/classify-frozen", "-", "--format", "jsonl"]
    with subprocess.Popen(
        [*command, "--batch-size", "1"],
        cwd=road,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text in ("The striker scored", "Shares fell"):
            process.stdin.write(text + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["text"] == text  # while its input is still open
        process.stdin.close()
        assert process.wait() == 0


def test_predict_ends_quietly_when_its_reader_does(road: Path) -> None:
    (road / "many.txt").write_text("Shares fell\n" * 20_000, encoding="utf-8")
    try:
        shell = f"cat many.txt | {sys.executable} -m elmo_cli predict runs/classify-frozen - | head -2"
        done = subprocess.run(
            ["sh", "-c", shell], cwd=road, env=ENVIRONMENT, capture_output=True, text=True, check=True
        )
    finally:
        (road / "many.txt").unlink()
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == ""


def test_class_folders_are_a_labelled_file(road: Path, tmp_path: Path, elmo_in) -> None:
    for name in ("train", "test"):
        with (road / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file)):
                place = tmp_path / name / row["label"].replace("/", "-")
                place.mkdir(parents=True, exist_ok=True)
                (place / f"{number}.txt").write_text(row["text"] + "\n", encoding="utf-8")
    shown = elmo_in(tmp_path, "data", "show", "train", "test", "--json").json
    assert [(one["kind"], one["texts"], len(one["classes"])) for one in shown["files"]] == [
        ("class folders", 96, 4),
        ("class folders", 24, 4),
    ]
    assert "Sports" in elmo_in(tmp_path, "data", "show", "train").stdout
    quick = ["--set", "classify.epochs=1", "--device", "cpu"]
    done = elmo_in(tmp_path, "classify", "train", "--test", "test", "--lm", road / "runs/lm", *quick)
    assert done.code == 0, done.stderr
    assert "the texts of train are its files, the labels the name of each text's folder" in done.stderr
    assert elmo_in(tmp_path, "evaluate", "runs/classify-trainable", "test", "--json").json["examples"] == 24


def test_many_files_are_shown_as_one_table(road: Path, tmp_path: Path, elmo_in) -> None:
    for number in range(4):
        shutil.copy(road / "test.csv", tmp_path / f"part{number}.csv")
    done = elmo_in(tmp_path, "data", "show", ".")
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith("part")] == [[f"part{n}.csv", "24"] for n in range(4)]
    assert any(line.split()[:4] == ["all", "4", "files", "96"] for line in lines)
    assert "problem: part1.csv: 24 of 24 texts stand in part0.csv too" in " ".join(done.stdout.split())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_named_pipes_are_read_once_or_refused(road: Path, tmp_path: Path, elmo_in) -> None:
    pipe = tmp_path / "news.csv"
    os.mkfifo(pipe)
    for command, key in (("data show", "files"), ("vocab build --out v", "size")):
        writer = threading.Thread(target=lambda: pipe.write_bytes((road / "train.csv").read_bytes()))
        writer.start()
        done = elmo_in(tmp_path, *command.split(), pipe, "--json")
        writer.join()
        assert done.code == 0, done.stderr
        assert done.json[key]
    for command in (f"classify {pipe} --lm {road}/runs/lm", f"evaluate {road}/runs/classify-frozen {pipe}"):
        refused = elmo_in(tmp_path, *command.split())
        assert refused.code == 2
        assert "is a pipe or a device" in refused.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes there")
def test_a_file_name_that_is_no_utf_8_loses_no_training(road: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.csv")
    for role in ("train", "test"):
        shutil.copy(road / f"{role}.csv", tmp_path / f"{role}-{name}")
    quick = ["--set", "classify.epochs=1", "--device", "cpu"]
    for command in (
        ["pretrain", f"train-{name}", "--preset", "tiny", "--epochs", "1"],
        ["classify", f"train-{name}", "--test", f"test-{name}", *quick],
        ["compare", f"train-{name}", "--test", f"test-{name}", "--lambdas", "frozen", "--seeds", "1", *quick],
    ):
        line = [sys.executable, "-m", "elmo_cli", *command]
        environment = dict(os.environ, PYTHONPATH=str(REPOSITORY), PYTHONIOENCODING="latin-1")
        done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs/compare/report.html").is_file()
