"""The house keeps its shape: rooms import only downwards, help is fast and complete, the README knows every command."""

from __future__ import annotations

import ast
import math
import os
import re
import resource
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import get_args

import pytest
import typer

from elmo_cli.commands.app import app
from elmo_cli.commands.options import Preset as PresetOption
from elmo_cli.config import PRESETS, choices

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "elmo_cli"

# A room may import from its own rank only itself, and anything of a lower rank.
RANKS = {
    "version": 0,
    "errors": 0,
    "events": 0,
    "disk": 1,
    "config": 2,
    "dask_cluster": 2,
    "devices": 3,
    "cluster": 3,
    "ranks": 3,
    "data": 3,
    "text": 4,
    "model": 4,
    "embedder": 5,
    "ngrams": 5,
    "metrics": 6,  # above the embedder, which it runs over a text to score it
    "runs": 7,
    "vectors": 8,
    "interop": 9,  # above the vectors, whose reader of pickles it uses
    "training": 9,
    "inference": 10,
    "report": 11,
    "comparison": 12,
    "api": 13,
    "estimators": 14,
    "server": 15,
    "commands": 16,
    "__init__": 17,
    "__main__": 17,
}
# Rooms that never load torch, so that reading text stays light; `commands` loads it only inside functions.
WITHOUT_TORCH = ("errors", "config", "data", "text")
HEAVY = {
    "torch",
    "joblib",
    "pandas",
    "sklearn",
    "gensim",
    "h5py",
    "scipy",
    "numpy",
    "safetensors",
    "matplotlib",
    "jinja2",
}
RENDERING = {"typer", "rich", "click"}

MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of all that a module imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno} imports relatively"
            if node.module == "elmo_cli":
                yield from ((node.lineno, f"elmo_cli.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, node.module or ""


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_rooms_import_only_downwards(path: Path) -> None:
    room = room_of(path)
    for line, name in imports(path):
        if name.startswith("elmo_cli."):
            other = name.split(".")[1]
            if other not in RANKS:  # a name of the package itself, such as __version__
                continue
            assert other == room or RANKS[other] < RANKS[room], f"{name_of(path)}:{line} imports {name} upwards"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_commands_know_typer_and_rich(path: Path) -> None:
    for line, name in imports(path):
        package = name.split(".")[0]
        assert package != "click", f"{name_of(path)}:{line}: typer brings its own click"
        if room_of(path) != "commands":
            assert package not in RENDERING, f"{name_of(path)}:{line} imports {name}"


@pytest.mark.parametrize("path", [path for path in MODULES if room_of(path) in WITHOUT_TORCH], ids=name_of)
def test_text_and_settings_do_without_torch(path: Path) -> None:
    assert all(name.split(".")[0] != "torch" for _, name in imports(path))


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    tools = {"test", "docs"}  # what a user's installation does without, so the package imports none of it
    extras = [each for name, extra in project["optional-dependencies"].items() if name not in tools for each in extra]
    declared = {re.split(r"[^\w-]", each)[0].lower() for each in (*project["dependencies"], *extras)}
    imported = {name.split(".")[0] for path in MODULES for _, name in imports(path)}
    foreign = imported - sys.stdlib_module_names - {"elmo_cli"}
    homes = packages_distributions()
    # A package that is not installed here, as that of an extra may be, has most likely its own name.
    names = {name for package in foreign for name in homes.get(package, [package])}
    assert {name.lower().replace("_", "-") for name in names} == declared


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 420


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from elmo_cli.commands.app import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(','.join(sorted({name.split('.')[0] for name in sys.modules})), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert not HEAVY & set(done.stderr.strip().split(","))


def test_package_loads_nothing_heavy() -> None:
    code = "import elmo_cli, sys; print(','.join({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert not (HEAVY | RENDERING | {"pydantic"}) & set(done.stdout.strip().split(","))


def test_help_answers_at_once(tmp_path: Path) -> None:
    """Half a second is promised where Typer and Pydantic are imported in a fifth of one; other machines are slower.

    Processor time, the best in turn: what a busy machine does besides only adds to it, so the tries end when the
    promise was kept. Bytecode is kept, as it is where a package was installed.
    """
    kept = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}

    def seconds(*arguments: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True, cwd=REPOSITORY, env=kept)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    ours = floor = math.inf
    for _ in range(30):
        floor = min(floor, seconds("-c", "import pydantic, typer.rich_utils"))
        ours = min(ours, seconds("-m", "elmo_cli", "--help"))
        if ours < 0.5 * max(1.0, floor / 0.2):
            return
    raise AssertionError(f"--help takes {ours:.2f} s, importing Typer and Pydantic {floor:.2f} s")


def commands() -> dict[str, typer.models.CommandInfo]:
    """All commands by their full name, such as `vocab build`."""
    found = {}
    for info in app.registered_commands:
        found[info.name or info.callback.__name__] = info
    for group in app.registered_groups:
        for info in group.typer_instance.registered_commands:
            found[f"{group.name} {info.name or info.callback.__name__}"] = info
    return found


COMMANDS = sorted(commands())


def test_all_commands_are_walked() -> None:
    assert {"init", "pretrain", "vocab build", "baseline word2vec", "baseline svd", "report"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_and_readme_cover_every_command(command: str, run_elmo) -> None:
    first = command.split()[0]
    assert re.search(rf"^\W*{first}\s", run_elmo("--help").stdout, re.MULTILINE)
    shown = run_elmo(*command.split(), "--help")
    assert shown.code == 0
    assert f"elmo {command}" in shown.stdout.split("Usage:")[1]
    assert f"elmo {command}" in (REPOSITORY / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_explains_itself(command: str) -> None:
    group = typer.main.get_command(app)
    for part in command.split():
        group = group.commands[part]
    context = typer.Context(group)
    silent = [parameter.name for parameter in group.get_params(context) if not getattr(parameter, "help", "help")]
    assert not silent


def test_flags_name_the_presets_there_are() -> None:
    help = PresetOption.__metadata__[0].help
    assert list(get_args(choices.Preset)) == list(PRESETS)
    assert all(f"{name} " in help for name in PRESETS)
