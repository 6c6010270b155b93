"""From preset, `elmo.yaml`, `--set` and flags to one `Experiment`, with the place of every mistake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from elmo_cli.config.presets import PRESETS
from elmo_cli.config.settings import ADAGRAD, Experiment, Preset
from elmo_cli.errors import ConfigError, nearest

CONFIG_NAME = "elmo.yaml"


def merge(base: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `update` laid over it, section by section."""
    merged = dict(base)
    for key, value in update.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def nest(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """`{"pretrain.epochs": 3}` as `{"pretrain": {"epochs": 3}}`; values of None are flags that were not given."""
    nested: dict[str, Any] = {}
    for key, value in dotted.items():
        if value is not None:
            for part in reversed(key.split(".")):
                value = {part: value}
            nested = merge(nested, value)
    return nested


def load_experiment(
    config: Path | None = None, assignments: Sequence[str] = (), flags: Mapping[str, Any] | None = None
) -> Experiment:
    """Resolve preset, `elmo.yaml`, `--set` assignments and flags to the settings of an experiment.

    Args:
        config: The YAML file; its relative paths are resolved against its folder. None: `elmo.yaml` in the working
            directory, where there is one.
        assignments: `section.key=value`, the value in YAML.
        flags: Values by dotted key; None stands for a flag that was not given.

    Raises:
        ConfigError: A file is missing or no YAML, a key unknown, or a value out of its bounds; the message names the
            key, its line, and the nearest valid key.
    """
    if config is None and Path(CONFIG_NAME).is_file():
        config = Path(CONFIG_NAME)
    written = _read_yaml(config) if config is not None else {}
    given = merge(nest(_parse_assignments(assignments)), nest(flags or {}))
    preset = given.get("preset", written.get("preset", Experiment.model_fields["preset"].default))
    if preset not in get_args(Preset):
        raise ConfigError(f"there is no preset '{preset}'", remedy=nearest(str(preset), get_args(Preset)))
    chosen = merge(written, given)
    values = merge(_suited(PRESETS[preset], chosen), chosen)
    try:
        return Experiment.model_validate(values)
    except ValidationError as error:
        raise _explain(error, config) from error


def _suited(preset: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """A preset without the rates of its optimiser, where another one was chosen."""
    section, training = chosen.get("pretrain"), preset.get("pretrain", {})
    other = section.get("optimiser") if isinstance(section, Mapping) else None
    if other is None or other == training.get("optimiser", "adamw"):
        return dict(preset)
    return {**preset, "pretrain": {key: value for key, value in training.items() if key not in ADAGRAD}}


def _parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set got '{assignment}'", expected="key=value, such as pretrain.epochs=3")
        try:
            values[key.strip()] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {key} got '{text}', which is not a YAML value") from error
    return values


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no settings file {path}", where=path, remedy="write one with `elmo init`, or leave --config out"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", where=path, expected="a YAML file in UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}, column {mark.column + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise ConfigError(f"{path} is not YAML: {problem}", where=where) from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds a {type(values).__name__}", where=path, expected="sections with keys")
    # A section whose keys are all commented out is empty, not null.
    return _resolve_paths({key: value for key, value in values.items() if value is not None}, path.parent)


_PATH_KEYS = (
    ("output",),
    ("data", "train"),
    ("data", "test"),
    ("data", "corpus"),
    ("data", "valid"),
    ("model", "init_embeddings"),
    ("compare", "baselines"),
    ("compare", "lms"),
)


def _resolve_paths(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Relative paths in a settings file are relative to it, wherever the command is run."""
    if folder == Path():
        return values

    def resolve(value: object) -> object:
        if isinstance(value, list):
            return [resolve(item) for item in value]
        return str(folder / value) if isinstance(value, str) else value

    for *sections, key in _PATH_KEYS:
        section: Any = values
        for name in sections:
            section = section.get(name) if isinstance(section, dict) else None
        if isinstance(section, dict) and key in section:
            section[key] = resolve(section[key])
    return values


def _explain(error: ValidationError, config: Path | None) -> ConfigError:
    """The first problem of a validation, in the words of whoever wrote the settings."""
    problem = error.errors()[0]
    location = tuple(part for part in problem["loc"] if isinstance(part, str))
    key = ".".join(location)
    where = _find_key(config, location)
    if problem["type"] == "extra_forbidden":
        fields = _fields_at(location[:-1])
        section = ".".join(location[:-1])
        hint = nearest(location[-1], fields)
        return ConfigError(
            f"unknown key '{key}'", where=where, expected=f"a key of {section or 'the settings'}", remedy=hint
        )
    found = problem["input"]
    shown = f" is {found!r}, but" if isinstance(found, str | int | float | bool) else ":"
    message = problem["msg"].removeprefix("Value error, ").replace("Input should", "it should", 1)
    return ConfigError(f"{key or 'the settings'}{shown} {message}", where=where)


def _fields_at(location: tuple[str, ...]) -> list[str]:
    model: type[BaseModel] = Experiment
    for part in location:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)


def _find_key(config: Path | None, location: tuple[str, ...]) -> str | None:
    """File, line and column of a key in the settings file; None where the file does not hold it."""
    if config is None or not location:
        return None
    node = yaml.compose(config.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    mark = None
    for part in location:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = next(((key, value) for key, value in pairs if key.value == part), None)
        if found is None:
            break
        mark, node = found[0].start_mark, found[1]
    return f"{config}, line {mark.line + 1}, column {mark.column + 1}" if mark else None
