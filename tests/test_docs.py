"""The pages that are made from the program name all of it, and what is written by hand names what there is."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel
from test_architecture import COMMANDS, RANKS

import elmo_cli
from elmo_cli.config import Experiment

REPOSITORY = Path(__file__).resolve().parent.parent
DOCS = REPOSITORY / "docs"


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    """`docs/_hooks.py`, as the site's build loads it."""
    spec = importlib.util.spec_from_file_location("docs_hooks", DOCS / "_hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain(page: str) -> str:
    """A page without the places where its names may break."""
    return page.replace("<wbr>", "")


def settings(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Name and description of each setting."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from settings(value, f"{prefix}{name}.")
        else:
            yield prefix + name, field.description or ""


def test_every_setting_is_in_the_reference(hooks: ModuleType) -> None:
    rows = [row for row in plain(hooks.settings_page()).splitlines() if row.startswith("| ")]
    for name, description in settings(Experiment()):
        found = [row for row in rows if f"<code>{name}</code>" in row and hooks.cell(description) in row]
        assert len(found) == 1, name


def test_bounds_choices_and_defaults_are_told(hooks: ModuleType) -> None:
    page = plain(hooks.settings_page())
    for row in (
        "| <code>seed</code> | integer ≥ 0 | <code>1</code> |",
        "| <code>tokenizer.lowercase</code> | true, false | <code>false</code> |",
        "| <code>model.hidden_size</code> | integer ≥ 1, ≤ 16777216 | <code>256</code> |",
        "| <code>model.dropout</code> | number ≥ 0, &lt; 1 | <code>0.25</code> |",
        "| <code>data.test</code> | path |  |",
        "| <code>data.clean</code> | <code>none</code>, <code>ag-news</code> | <code>none</code> |",
    ):
        assert row in page


def test_every_command_and_flag_has_its_place(hooks: ModuleType, run_elmo) -> None:
    pages = dict(hooks.commands())
    assert sorted(pages) == COMMANDS
    index = plain(hooks.commands_index())
    for name, command in pages.items():
        assert f"[`elmo {name}`]" in index
        page = plain(hooks.command_page(name, command))
        for flag in re.findall(r"--[a-z][a-z-]+", run_elmo(*name.split(), "--help").stdout):
            assert flag in page, f"elmo {name} {flag}"


def test_every_public_name_is_in_the_reference(hooks: ModuleType) -> None:
    named = re.findall(r"^::: elmo_cli\.(\w+)$", hooks.python_page(), re.MULTILINE)
    assert sorted(named) == sorted(set(elmo_cli.__all__) - {"__version__"})


def test_the_architecture_names_every_room_in_the_order_of_imports() -> None:
    page = (DOCS / "explanation" / "architecture.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| ((?:`[\w/]+`(?:, )?)+) \|", page, re.MULTILINE)
    named = [room for cell in cells for room in re.findall(r"`([\w/]+)`", cell) if "/" not in room]
    assert set(named) == set(RANKS) - {"__init__", "__main__"}
    assert [RANKS[room] for room in named] == sorted(RANKS[room] for room in named)
    drawing = (DOCS / "assets" / "architecture.svg").read_text(encoding="utf-8")
    assert not [room for room in named if not re.search(rf"\b{room}\b", drawing)]


def test_docstrings_cite_pages_and_sections_that_exist() -> None:
    cited = set()
    for path in sorted((REPOSITORY / "elmo_cli").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert "formats.md section" not in text, path
        cited |= set(re.findall(r"\bdocs/[\w/.-]+\.md(?:#[\w-]+)?", text))
    assert cited
    for citation in sorted(cited):
        page, _, section = citation.partition("#")
        assert (REPOSITORY / page).is_file(), citation
        assert not section or f"{{ #{section} }}" in (REPOSITORY / page).read_text(encoding="utf-8"), citation
