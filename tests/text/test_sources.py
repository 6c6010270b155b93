"""Which files a corpus is: folders, patterns, what is held out; and that the cache knows how they were read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from elmo_cli.config import Experiment, TokenizerSettings
from elmo_cli.data.folders import expand
from elmo_cli.errors import ConfigError, DataError
from elmo_cli.text import sources
from elmo_cli.text.sources import corpus_files, encode_corpus

WHITESPACE = TokenizerSettings(kind="whitespace")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Text, what is no text, and what is hidden."""
    for name in (
        *("b.txt", "a.csv", "c.jsonl.gz", "ca01", "sub/deep/d.parquet", "sub/e.TXT", "sub/a.ndjson"),
        *("picture.png", "notes.pdf", ".hidden.txt", ".git/config.txt", "run/run.yaml", "run/vocab.txt", "z.bin"),
    ):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a b c\n", encoding="utf-8")
    return tmp_path / "data"


def names(paths: tuple[Path, ...], folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


def test_a_folder_is_its_readable_files_in_order(folder: Path) -> None:
    expected = ["a.csv", "b.txt", "c.jsonl.gz", "ca01", "sub/a.ndjson", "sub/deep/d.parquet", "sub/e.TXT"]
    assert names(expand([folder]), folder) == expected
    assert names(expand([folder / "sub", folder / "b.txt"]), folder) == [*expected[4:], "b.txt"]


def test_a_link_to_a_folder_above_is_not_followed(folder: Path) -> None:
    (folder / "sub/up").symlink_to(folder)
    assert len(expand([folder])) == 7


def test_patterns(folder: Path) -> None:
    assert names(expand([folder / "*.txt"]), folder) == ["b.txt"]
    assert names(expand([folder / "**/*.[tT]*[tT]"]), folder) == ["b.txt", "run/vocab.txt", "sub/e.TXT"]
    (folder / "odd[1].txt").write_text("a\n", encoding="utf-8")
    assert names(expand([folder / "odd[1].txt"]), folder) == ["odd[1].txt"]
    with pytest.raises(DataError, match="no file matches"):
        expand([folder / "*.none"])


def test_a_folder_without_text(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no file that can be read"):
        expand([tmp_path / "empty"])
    (tmp_path / "empty/a.png").touch()
    with pytest.raises(DataError, match="that can be read among its 1"):
        expand([tmp_path])


def test_held_out_files_are_left_out_of_folders_and_refused_by_name(folder: Path) -> None:
    experiment = Experiment.model_validate({"data": {"test": folder / "a.csv", "valid": folder / "b.txt"}})
    said: list[str] = []
    files = corpus_files(experiment, [folder], said.append)
    assert names(files, folder)[0] == "c.jsonl.gz"
    assert said == [f"{folder / 'a.csv'} and {folder / 'b.txt'} are held out, so nothing is learned from it"]
    with pytest.raises(ConfigError, match=r"b\.txt is the validation file"):
        corpus_files(experiment, [folder / "b.txt"])
    with pytest.raises(ConfigError, match="no text was given"):
        corpus_files(experiment, [folder / "a.c*"])


def test_a_folder_is_one_corpus(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/b.txt").write_text("three four\n", encoding="utf-8")
    (tmp_path / "data/a.csv").write_text("text\none\ntwo\n", encoding="utf-8")
    for given in (tmp_path / "data", tmp_path / "data/*"):
        corpus = encode_corpus(Experiment(output=tmp_path / "runs"), [given], WHITESPACE)
        assert list(corpus.types)[3:] == ["one", "two", "three", "four"]


def test_what_is_cached_depends_on_how_it_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "CACHED_FROM", 1)
    (tmp_path / "a.txt").write_bytes("caf\xe9\n".encode("latin-1"))
    (tmp_path / "a.csv").write_text("a;b,c\nx;y,z\np;q,r\n", encoding="utf-8")

    def types(name: str, **data: object) -> list[str]:
        experiment = Experiment.model_validate({"output": tmp_path / "runs", "data": data})
        return list(encode_corpus(experiment, [tmp_path / name], WHITESPACE).types)[3:]

    for _ in range(2):
        assert types("a.txt", encoding="latin-1") == ["café"]
        assert types("a.txt", encoding="cp437") == ["cafΘ"]
        assert types("a.csv", delimiter=";", text="b,c", header="yes") == ["y,z", "q,r"]
        assert types("a.csv", delimiter=",", text="c", header="yes") == ["z", "r"]
    with pytest.raises(DataError, match="is not UTF-8"):
        types("a.txt")
    assert len([path for path in (tmp_path / "runs/.cache").iterdir() if path.is_dir()]) == 4


def test_progress_counts_the_bytes_of_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "CACHED_FROM", 1)
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("some words on a line\n" * 3000, encoding="utf-8")
    total = 2 * os.path.getsize(tmp_path / "a.txt")
    seen: list[tuple[int, int | None]] = []
    experiment = Experiment(output=tmp_path / "runs")
    for _ in range(2):  # the second time it is there already
        encode_corpus(experiment, [tmp_path], WHITESPACE, on_progress=lambda done, all_: seen.append((done, all_)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert {all_ for _, all_ in seen} == {total}
    assert (total // 2, total) in seen
    assert seen[-1] == (total, total)
    assert len(seen) == 6
