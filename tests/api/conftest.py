from __future__ import annotations

from pathlib import Path

import pytest
from pythonworld import make_runs


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `runs/lm` and `runs/classify-frozen`."""
    return make_runs(tmp_path_factory.mktemp("python"))
