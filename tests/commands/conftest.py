"""A small experiment in a folder, made once by the commands themselves."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest

from elmo_cli.data.sample import sample_news


def write_news(folder: Path, train: int = 96, test: int = 24) -> None:
    """`train.csv` and `test.csv` of a few synthetic items."""
    items = sample_news(size=train + test)
    for name, part in (("train.csv", items[:train]), ("test.csv", items[train:])):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("label", "text"))
            rows.writerows((item.label, item.text) for item in part)


@pytest.fixture(scope="session")
def elmo_in(run_elmo) -> Callable:
    """`elmo_in(folder, "vocab", "build")`: a command run in a folder, in this process."""

    def run(folder: Path, *arguments: object, stdin: str = ""):
        with chdir(folder):
            return run_elmo(*arguments, stdin=stdin)

    return run


@pytest.fixture(scope="session")
def road(tmp_path_factory: pytest.TempPathFactory, elmo_in) -> Path:
    """A folder after `init`, `vocab build`, `baseline`, `pretrain` and `classify`; only to be read."""
    folder = tmp_path_factory.mktemp("road")
    write_news(folder)
    for command in (
        "init --preset tiny",
        "vocab build",
        "baseline word2vec",
        "pretrain --device cpu",
        "classify --lambdas frozen --device cpu",
    ):
        done = elmo_in(folder, *command.split())
        assert done.code == 0, done.stderr
    return folder


@pytest.fixture
def folder(road: Path, tmp_path: Path) -> Path:
    """A copy of the experiment that a test may spoil."""
    return Path(shutil.copytree(road, tmp_path / "copy"))


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, bytes]]:
    """`contents(folder)`: every file below it, to see that none has changed."""
    return lambda folder: {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
