"""`elmo init` finds what is there, and says how it goes on."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import yaml

from elmo_cli.config import PRESETS, Experiment, load_experiment
from elmo_cli.config.writing import HEADING, SHOWN, settings_text
from elmo_cli.data.discovery import discover

NEWS = "label,text\n" + "".join(f"{kind},some words of {kind} number {n}\n" for n in range(4) for kind in "AB")


def settings_of(folder: Path) -> dict:
    return yaml.safe_load((folder / "elmo.yaml").read_text(encoding="utf-8"))


def test_init_names_files_and_columns(tmp_path: Path, elmo_in) -> None:
    (tmp_path / "ag_news_train.csv.gz").write_bytes(gzip.compress(NEWS.encode()))
    (tmp_path / "test.csv").write_text(NEWS, encoding="utf-8")
    (tmp_path / "dev.txt").write_text("a b\n", encoding="utf-8")
    (tmp_path / "unlabelled.txt").write_text("a b\n", encoding="utf-8")
    (tmp_path / "attestation.csv").write_text("no,test\n", encoding="utf-8")
    done = elmo_in(tmp_path, "init", "--json")
    assert done.code == 0, done.stderr
    expected = {
        "train": "ag_news_train.csv.gz",
        "test": "test.csv",
        "valid": "dev.txt",
        "corpus": ["ag_news_train.csv.gz", "unlabelled.txt"],
        "text": ["text"],
        "label": "label",
    }
    assert done.json["data"] == expected
    assert settings_of(tmp_path) == {"preset": "small", "output": "runs", "data": expected} | dict.fromkeys(
        ("tokenizer", "vocab", "model", "pretrain", "classify", "tag", "compare", "word2vec", "svd")
    )


def test_init_says_which_of_several_it_took(tmp_path: Path, elmo_in) -> None:
    for name in ("train.csv", "train_old.csv"):
        (tmp_path / name).write_text(NEWS, encoding="utf-8")
    done = elmo_in(tmp_path, "init")
    assert settings_of(tmp_path)["data"]["train"] == "train.csv"
    assert "train_old.csv looks like train data too" in done.stderr


def test_init_of_an_empty_or_new_folder(tmp_path: Path, elmo_in) -> None:
    done = elmo_in(tmp_path, "init", "new", "--preset", "base")
    assert done.code == 0
    assert "no train, test or text file was found" in done.stderr
    assert settings_of(tmp_path / "new")["preset"] == "base"
    assert "first: name the text to learn from, as data.corpus or data.train in new/elmo.yaml" in done.stderr
    assert "next: cd new, then elmo vocab build" in done.stderr
    assert "next: elmo vocab build, then elmo pretrain" in elmo_in(tmp_path, "init").stderr


def test_init_notes_a_file_that_cannot_be_read(tmp_path: Path, elmo_in) -> None:
    (tmp_path / "train.csv").write_bytes(b"label,text\nA,caf\xe9\n")
    done = elmo_in(tmp_path, "init")
    assert done.code == 0
    assert "train.csv could not be read" in done.stderr


def test_init_proposes_the_clean_up_of_ag_news(tmp_path: Path, elmo_in) -> None:
    rows = ['"3","Oil #39;s rise","Prices lt;b gt; rose\\again"'] * 3 + ['"4","Chips","New chips"'] * 3
    (tmp_path / "train.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    done = elmo_in(tmp_path, "init")
    assert settings_of(tmp_path)["data"] == {"train": "train.csv", "clean": "ag-news"}
    assert "3 of 6 texts" in done.stderr


def test_init_knows_ag_news_as_published(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "test.csv").symlink_to(shared / "data/ag_news/original_test.csv")
    (tmp_path / "train.csv").symlink_to(shared / "data/ag_news/original_test.csv")
    found = discover(tmp_path)
    assert found.clean == "ag-news"
    assert found.columns is not None
    assert (found.columns.has_header, found.columns.label, found.columns.text) == (False, "1", ("2", "3"))


@pytest.mark.parametrize("preset", PRESETS)
def test_the_file_means_what_the_preset_means(preset: str, tmp_path: Path) -> None:
    path = tmp_path / "elmo.yaml"
    path.write_text(settings_text(preset, {}), encoding="utf-8")
    written = load_experiment(path)
    assert written == load_experiment(None, (), {"preset": preset, "output": tmp_path / "runs"})


def test_every_commented_default_is_a_setting_with_its_value(tmp_path: Path) -> None:
    text = settings_text("tiny", {})
    body = text.removeprefix(HEADING)
    uncommented = "\n".join(
        line.replace("# ", "", 1) if line.lstrip().startswith("# ") and ": " in line and "tiny: " not in line else line
        for line in body.splitlines()
    )
    path = tmp_path / "elmo.yaml"
    path.write_text(uncommented, encoding="utf-8")
    values = yaml.safe_load(uncommented)
    assert set(values["pretrain"]) == set(SHOWN["pretrain"])
    # A null stands for what is not given, which `data.train: null` says as well.
    assert load_experiment(path).model_copy(update={"output": Path("runs")}) == Experiment.model_validate(
        {**PRESETS["tiny"], "preset": "tiny"}
    )
