from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from fastapi import FastAPI
from serverworld import make_app, make_runs


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A language model `lm` and a classifier `classifier`."""
    return make_runs(tmp_path_factory.mktemp("server"))


@pytest.fixture
def app(runs: list[Path]) -> FastAPI:
    return make_app(runs)
