"""The world of a comparison as a fixture."""

from __future__ import annotations

from pathlib import Path

import pytest
from compareworld import make_world

from elmo_cli.config import Experiment


@pytest.fixture
def world(tmp_path: Path) -> Experiment:
    """Runs, files and settings of a comparison."""
    return make_world(tmp_path)
