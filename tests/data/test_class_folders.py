"""Folders that name classes: beside scikit-learn's reader, and through the commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from sklearn.datasets import load_files

from elmo_cli.config import Experiment, ReadingSettings
from elmo_cli.data.discovery import discover
from elmo_cli.data.files import fingerprint
from elmo_cli.data.records import read_labelled
from elmo_cli.errors import DataError
from elmo_cli.text.sources import corpus_files

ANY = ReadingSettings()


def write_folders(folder: Path, texts: int = 3) -> Path:
    for label, word in (("World", "war"), ("Sports", "goal"), ("Money", "oil")):
        (folder / label).mkdir(parents=True)
        for number in range(texts):
            (folder / label / f"{number}.txt").write_text(f"the {word}\nof day {number}\n", encoding="utf-8")
    return folder


def test_they_are_read_as_scikit_learn_reads_them(tmp_path: Path) -> None:
    folder = write_folders(tmp_path / "train")
    (folder / "README").write_text("beside them")
    (folder / ".hidden").mkdir()
    other = load_files(folder, encoding="utf-8", shuffle=False)
    labels = [other.target_names[target] for target in other.target]
    expected = {(" ".join(text.split()), label) for text, label in zip(other.data, labels, strict=True)}
    found = read_labelled(folder, ANY)
    assert set(zip(found.texts, found.labels, strict=True)) == expected
    assert found.labels[:3] == ("Money", "Sports", "World")  # in turn: the first ones are of all classes
    assert set(read_labelled(folder, ANY, limit=3).labels) == set(found.classes)


def test_a_folder_without_class_folders(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a text")
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.txt").write_text("a text")
    with pytest.raises(DataError, match="without class folders") as caught:
        read_labelled(tmp_path, ANY)
    assert "such as World/1.txt" in str(caught.value.expected)


def test_a_fingerprint_is_of_names_and_contents(tmp_path: Path) -> None:
    one, same = (write_folders(tmp_path / name) for name in ("one", "same"))
    assert fingerprint(one) == fingerprint(same)
    (same / "World" / "0.txt").rename(same / "Sports" / "9.txt")
    moved = fingerprint(same)
    assert moved != fingerprint(one)
    (same / "Sports" / "9.txt").write_text("other")
    assert fingerprint(same) != moved


def test_texts_held_out_are_not_learned_from(tmp_path: Path) -> None:
    for name in ("train", "test"):
        write_folders(tmp_path / name)
    given = {"data": {"train": tmp_path / "train", "test": tmp_path / "test", "corpus": [tmp_path]}}
    files = corpus_files(Experiment.model_validate(given))
    assert {file.relative_to(tmp_path).parts[0] for file in files} == {"train"}


def test_init_finds_them(tmp_path: Path) -> None:
    for name in ("train", "test"):
        write_folders(tmp_path / name)
    found = discover(tmp_path)
    assert found.settings() == {"train": "train", "test": "test"}
    assert found.has_text
