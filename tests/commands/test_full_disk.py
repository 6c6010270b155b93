"""Writing that the system itself ends: files that may not grow (RLIMIT_FSIZE), a device without room (/dev/full)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

resource = pytest.importorskip("resource", reason="this system has no limits of a process")

REPOSITORY = Path(__file__).resolve().parent.parent.parent
FULL = Path("/dev/full")


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size` bytes; writing more fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def folder(road: Path, tmp_path: Path) -> Path:
    """A copy of the experiment, where the limit is one that the system keeps."""
    try:
        with largest_file(10):
            (tmp_path / "probe").write_bytes(bytes(100))
    except OSError:
        (tmp_path / "probe").unlink()
        return Path(shutil.copytree(road, tmp_path / "copy"))
    pytest.skip("this system does not keep RLIMIT_FSIZE")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("command", "size"),
    [
        ("vocab build --out runs/new", 500),
        ("vocab build --overwrite", 500),
        ("baseline svd --dim 4", 500),
        ("pretrain --out runs/new --epochs 1 --device cpu", 10_000),
        ("pretrain --overwrite --epochs 1 --device cpu", 10_000),
        ("classify --lambdas function --set classify.epochs=1 --device cpu", 10_000),
        ("embed runs/lm test.csv --out new.hdf5 --device cpu", 4_000),
        ("embed runs/lm test.csv --out new.npz --device cpu", 4_000),
        ("embed runs/lm test.csv --out new.parquet --device cpu", 4_000),
        ("embed runs/lm test.csv --out new.jsonl --device cpu", 4_000),
        ("evaluate runs/lm test.csv --scores new.csv --device cpu", 500),
        ("report runs/lm --out page.html", 4_000),
        ("init --overwrite", 500),
    ],
    ids=str,
)
def test_what_does_not_fit_is_told_and_leaves_nothing(command: str, size: int, folder: Path, elmo_in) -> None:
    before = contents(folder)
    with largest_file(size):
        done = elmo_in(folder, *command.split())
    assert done.code == 1, done.stderr
    assert "could not be written" in done.stderr
    assert "File too large" in done.stderr
    assert "what to do: make room or choose another" in done.stderr
    assert "Traceback" not in done.stderr
    assert contents(folder) == before
    assert not (folder / "runs/new").exists()


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("command", ["vocab show runs/vocab", "vocab show runs/vocab --json", "vocab --help"])
def test_output_without_room_is_told(command: str, road: Path) -> None:
    with FULL.open("w") as stdout:
        done = subprocess.run(
            [sys.executable, "-m", "elmo_cli", *command.split()],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            cwd=road,
            env=dict(os.environ, PYTHONPATH=str(REPOSITORY)),
            timeout=240,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "elmo: No space left on device",
        "  what to do: check the path, its rights and the room on its disk",
    ]
