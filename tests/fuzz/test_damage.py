"""Files that are damaged, or made to harm, end in an error of ours: soon, and in little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bombs import BOMBS
from targets import TARGETS

HERE = Path(__file__).resolve().parent
SECONDS = float(os.environ.get("ELMO_FUZZ_SECONDS", "1.5"))  # for each reader
SEED = os.environ.get("ELMO_FUZZ_SEED", "1")
READERS = list(TARGETS)
PARTS = [READERS[start::4] for start in range(4)]
MOST_MEGABYTES = 400  # that a bomb takes
LONGEST = 8.0  # seconds of the processor for a bomb


def lines_of(script: str, *arguments: str) -> list[dict[str, Any]]:
    """What a script of this folder says in a process of its own, which a library written in C may crash."""
    command = [sys.executable, str(HERE / script), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("readers", PARTS, ids=["-".join(part[:1]) for part in PARTS])
def test_damage_ends_in_an_error_of_ours(readers: list[str]) -> None:
    found = lines_of("harness.py", str(SECONDS), SEED, *readers)
    assert [line["reader"] for line in found] == readers
    for line in found:
        assert line["findings"] == [], line
        assert line["inputs"] >= 10, line
        assert line["megabytes"] < MOST_MEGABYTES, line


@pytest.mark.timeout(300)
def test_a_bomb_takes_neither_memory_nor_time() -> None:
    found = lines_of("bombs.py")
    assert [line["bomb"] for line in found] == list(BOMBS)
    for line in found:
        kind = line["error"].split(":")[0]
        assert kind in ("DataError", "RunError", "WeightsError", "ConfigError"), line
        assert line["megabytes"] < MOST_MEGABYTES, line
        assert line["seconds"] < LONGEST, line
