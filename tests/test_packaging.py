"""What is released is whole: sdist and wheel are built as for a release, and the wheel runs on its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from elmo_cli import __version__

REPOSITORY = Path(__file__).resolve().parent.parent
NEEDED = ("pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sdist, and the wheel made from it; built from a copy, as building leaves files behind."""
    source, unpacked = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("unpacked")
    for name in NEEDED:
        shutil.copy(REPOSITORY / name, source)
    shutil.copytree(REPOSITORY / "elmo_cli", source / "elmo_cli", ignore=shutil.ignore_patterns("__pycache__"))
    dist = source / "dist"
    build("build_sdist", dist, source)
    with tarfile.open(next(dist.glob("*.tar.gz"))) as sdist:
        sdist.extractall(unpacked, filter="data")
    build("build_wheel", dist, next(unpacked.iterdir()))
    return dist


def build(step: str, out: Path, source: Path) -> None:
    """A step of the build, as pip and build ask the backend for it."""
    code = f"import sys; from setuptools import build_meta; build_meta.{step}(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, out], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_wheel_and_sdist_hold_every_file_of_the_package(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        in_wheel = set(wheel.namelist())
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        in_sdist = {name.partition("/")[2] for name in sdist.getnames()}
    package = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "elmo_cli").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {
        "elmo_cli/py.typed",
        "elmo_cli/data/grammar.yaml",
        "elmo_cli/model/kernel/native.cpp",
        "elmo_cli/report/templates/report.html.j2",
    } <= package
    assert not package - in_wheel
    assert not package - in_sdist
    assert {*NEEDED} <= in_sdist
    assert f"elmo_cli-{__version__}.dist-info/licenses/LICENSE" in in_wheel
    outside = {name for name in in_wheel if not name.startswith(("elmo_cli/", f"elmo_cli-{__version__}.dist-info/"))}
    assert not outside  # no tests, no docs


def test_the_installed_wheel_runs(built: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True, capture_output=True)
    wheel = str(next(built.glob("*.whl")))
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # what it depends on comes from here; the environment's own packages stand before these
    packages = next((environment / "lib").glob("python*/site-packages"))
    others = [path for path in sys.path if Path(path).name == "site-packages"]
    (packages / "others.pth").write_text("\n".join(others) + "\n", encoding="utf-8")
    shown = subprocess.run(
        [environment / "bin" / "elmo", "--version"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (shown.returncode, shown.stdout) == (0, f"elmo {__version__}\n"), shown.stderr
    code = "import elmo_cli; print(elmo_cli.__file__)"
    where = subprocess.run(
        [environment / "bin" / "python", "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert Path(where.stdout.strip()).is_relative_to(environment)
