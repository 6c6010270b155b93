"""The examples in the docstrings of the Python names run, and every public method has one or needs none."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import shutil
from pathlib import Path

import pytest

import elmo_cli.api

MODULES = [
    *sorted(info.name for info in pkgutil.iter_modules(elmo_cli.api.__path__, "elmo_cli.api.")),
    "elmo_cli.estimators",
]


@pytest.mark.parametrize("module", MODULES)
def test_examples_run(module: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(world / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(importlib.import_module(module), report=True)
    assert not found.failed


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    examples = {
        test.name for module in MODULES for test in finder.find(importlib.import_module(module)) if test.examples
    }
    wanted = (
        "Elmo.pretrain",
        "Elmo.embed",
        "Elmo.similar",
        "Elmo.score",
        "TextClassifier.fit",
        "TextClassifier.evaluate",
    )
    assert not [name for name in wanted if not any(each.endswith(name) for each in examples)]
