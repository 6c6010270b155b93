"""What is wrong with settings, in the words of who wrote them: the key, its place, what it takes and what it means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from elmo_cli.config.bounded import read_text
from elmo_cli.config.settings import Experiment
from elmo_cli.errors import ConfigError, nearest

COMMAND_LINE = "the command line"  # as a place: a flag, or --set
# pydantic's kinds of errors whose own words are about Python.
_PHRASES = {
    "model_type": "should be a section with keys of its own",
    "path_type": "should be the path of a file",
    "string_type": "should be text, in quotes if it looks like a number",
    "missing": "lacks a part",
}


def explain(error: ValidationError, config: Path | None, given: Mapping[str, Any]) -> ConfigError:
    """The first problem of a validation.

    Args:
        error: What pydantic found.
        config: The settings file, if any.
        given: What the command line set, nested.
    """
    problem = error.errors()[0]
    location = tuple(str(part) for part in problem["loc"])
    where = place_of(config, location, given)
    section, field, inside = _setting_at(location)
    if problem["type"] in ("extra_forbidden", "invalid_key"):
        return ConfigError(
            f"unknown key '{'.'.join(location)}'",
            where=where,
            expected=f"a key of {'.'.join(location[:-1]) or 'the settings'}",
            remedy=nearest(location[-1], section.model_fields),
        )
    key = ".".join(location[: len(location) - inside])
    found = problem["input"]
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ").split(", unable to parse")[0]
    phrase = _PHRASES.get(problem["type"], message)
    shown = f" is {repr(found)[:200]}, but" if isinstance(found, str | int | float | bool) or found is None else ":"
    subject = "it " if phrase.startswith("should") else ""
    choices = re.findall(r"'([^']*)'", message) if problem["type"] == "literal_error" else []
    meaning = f"; it means: {field.description}" if field is not None and field.description else ""
    remedy = f"correct it, or leave it out for the default{meaning}"
    if problem["type"] == "value_error":  # of a section: two settings contradict each other
        remedy = "change one of the two"
    elif choices:
        remedy = nearest(str(found), choices)
    return ConfigError(f"{key or 'the settings'}{shown} {subject}{phrase}", where=where, remedy=remedy)


def place_of(config: Path | None, location: tuple[str, ...], given: Mapping[str, Any]) -> str | None:
    """Where a value comes from: the command line, or file, line and column; None where neither holds it."""
    section: Any = given
    for part in location:
        if not isinstance(section, Mapping):
            break  # the rest is inside of a value
        if part not in section:
            return _find_key(config, location)
        section = section[part]
    return COMMAND_LINE if location else None


def refuse_repeated_keys(node: yaml.Node | None, path: Path) -> None:
    """See that no key of a YAML document stands twice in its section; YAML would silently take the last.

    Raises:
        ConfigError: One does.
    """
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        if str(key.value) in lines:
            raise ConfigError(
                f"the key '{key.value}' stands twice, first on line {lines[key.value]}",
                where=position(path, key.start_mark),
                expected="every key once in its section",
                remedy="remove one of the two",
            )
        lines[str(key.value)] = key.start_mark.line + 1
        refuse_repeated_keys(value, path)


def position(path: Path, mark: yaml.Mark) -> str:
    """A place in a file, as people count."""
    return f"{path}, line {mark.line + 1}, column {mark.column + 1}"


def _setting_at(location: tuple[str, ...]) -> tuple[type[BaseModel], FieldInfo | None, int]:
    """The innermost section of a location, the field it leads to, and how many of its parts lie inside the value."""
    section: type[BaseModel] = Experiment
    field = None
    for place, part in enumerate(location):
        if part not in section.model_fields:
            return section, field, len(location) - place
        field = section.model_fields[part]
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return section, field, len(location) - place - 1
        section = field.annotation
    return section, field, 0


def _find_key(config: Path | None, location: tuple[str, ...]) -> str | None:
    """File, line and column of a key in the settings file; None where the file does not hold it."""
    if config is None or not location:
        return None
    node = yaml.compose(read_text(config), Loader=yaml.SafeLoader)
    mark = None
    for part in location:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = next(((key, value) for key, value in pairs if key.value == part), None)
        if found is None:
            break
        mark, node = found[0].start_mark, found[1]
    return position(config, mark) if mark else None
