"""`elmo baseline` through the entry point: flags to settings, files and notes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from elmo_cli.text.vocabulary import Vocabulary
from elmo_cli.vectors.formats import read_vectors


def test_svd_of_several_windows_on_the_vocabulary_of_the_road(road: Path, tmp_path: Path, elmo_in) -> None:
    windows = ["--window", "1", "--window", "3"]
    done = elmo_in(road, "baseline", "svd", *windows, "--dim", "8", "--out", tmp_path / "svd.txt", "--json")
    assert done.code == 0, done.stderr
    assert done.stderr == ""
    assert [file["window"] for file in done.json["files"]] == [1, 3]
    assert done.json["vocabulary"] == "runs/vocab"
    tokens = Vocabulary.load(road / "runs" / "vocab").tokens
    for file in done.json["files"]:
        vectors = read_vectors(Path(file["path"]))
        assert vectors.width == done.json["width"] == 8
        assert set(vectors.tokens) <= set(tokens)
    assert {path.name for path in tmp_path.iterdir()} == {"svd-w1.txt", "svd-w3.txt"}


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("svd", ["--weighting", "raw"]),
        ("svd", ["--smoothing", "1.0"]),
        ("svd", ["--exponent", "1.0"]),
        ("svd", ["--window", "1"]),
        ("word2vec", ["--algorithm", "cbow"]),
        ("word2vec", ["--negative", "2"]),
        ("word2vec", ["--epochs", "2"]),
        ("word2vec", ["--window", "1"]),
    ],
    ids=str,
)
def test_every_flag_changes_the_vectors(method: str, changes: list[str], road: Path, tmp_path: Path, elmo_in) -> None:
    flags = ["--dim", "4", "--set", "word2vec.epochs=1"]
    for name, more in (("usual", []), ("changed", changes)):
        done = elmo_in(road, "baseline", method, "--out", tmp_path / name, *flags, *more)
        assert done.code == 0, done.stderr
        assert "window" in done.stdout
    assert (tmp_path / "usual").read_bytes() != (tmp_path / "changed").read_bytes()


def test_workers_are_noted(road: Path, tmp_path: Path, elmo_in) -> None:
    flags = ["--epochs", "1", "--dim", "4", "--workers", "2", "--binary"]
    done = elmo_in(road, "baseline", "word2vec", "--out", tmp_path / "v", *flags)
    assert done.code == 0
    assert "note: 2 workers race" in done.stderr
    assert "reproducible  no" in done.stdout
    assert read_vectors(tmp_path / "v").format == "word2vec binary"


def test_svd_vectors_have_their_row_in_a_comparison(road: Path, tmp_path: Path, elmo_in) -> None:
    shutil.copytree(road, tmp_path / "copy")
    assert elmo_in(tmp_path / "copy", "baseline", "svd", "--dim", "8").code == 0
    flags = ["--baseline", "svd.txt", "--lambdas", "frozen", "--seeds", "1", "--set", "classify.epochs=1"]
    done = elmo_in(tmp_path / "copy", "compare", *flags, "--json")
    assert done.code == 0, done.stderr
    names = ["svd.txt", "svd.txt + n-grams", "lm frozen", "lm frozen + n-grams", "n-grams", "TF-IDF + SVM"]
    assert [row["name"] for row in done.json["rows"]] == names


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        ("svd --weighting tfidf", ["--weighting got 'tfidf'", "choose from: raw, log, ppmi"]),
        ("svd --smoothing 2", ["svd.smoothing is 2"]),
        ("svd --exponent -1", ["svd.exponent is -1"]),
        ("svd --dim 100000", ["svd.dim is 100000", "lower --dim"]),
        ("svd --vocab runs/vocap", ["runs/vocap", "did you mean 'runs/vocab'?"]),
        ("svd test.csv", ["test.csv is the test file"]),
        ("svd --window 0", ["--window"]),
        ("word2vec --out v.txt --algorithm glove", ["--algorithm got 'glove'", "choose from: skip-gram, cbow"]),
        ("word2vec --out v.txt --workers 0", ["--workers"]),
        ("word2vec --window 1 --window 2 --out w2v.txt --vocab w2v.txt", ["w2v.txt"]),
    ],
    ids=str,
)
def test_what_cannot_be_trained(arguments: str, fragments: list[str], road: Path, elmo_in) -> None:
    before = {path.name for path in road.iterdir()}
    done = elmo_in(road, "baseline", *arguments.split())
    assert done.code == 2, done.stderr
    for fragment in fragments:
        assert fragment in done.stderr
    assert {path.name for path in road.iterdir()} == before
