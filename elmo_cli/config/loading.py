"""From preset, `elmo.yaml`, `--set` and flags to one `Experiment`, with the place of every mistake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from elmo_cli.config.bounded import read_text
from elmo_cli.config.choices import Preset
from elmo_cli.config.language_model import ADAGRAD
from elmo_cli.config.mistakes import COMMAND_LINE, explain, place_of, position, refuse_repeated_keys
from elmo_cli.config.presets import PRESETS
from elmo_cli.config.settings import Experiment
from elmo_cli.config.yaml_text import load_yaml
from elmo_cli.errors import ConfigError, nearest, printable

CONFIG_NAME = "elmo.yaml"
_DEEPEST_KEY = 10  # dots in a key of --set
# Settings that hold paths.
PATHS = (
    *("output", "data.train", "data.test", "data.corpus", "data.valid", "tag.valid"),
    *("model.init_embeddings", "compare.baselines", "compare.lms"),
)
# Settings of `classify` and `tag` that do nothing without `tune`.
TUNING = ("tune_epochs", "tune_rate", "tune_dropout", "word_dropout", "layer_rate_decay", "unfreeze")


def merge(base: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `update` laid over it, section by section."""
    merged = dict(base)
    for key, value in update.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def nest(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """`{"pretrain.epochs": 3}` as `{"pretrain": {"epochs": 3}}`."""
    nested: dict[str, Any] = {}
    for key, value in dotted.items():
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
    flags = {key: value for key, value in (flags or {}).items() if value is not None}
    return resolve(merge(nest(_parse_assignments(assignments)), nest(flags)), written, config)


def resolve(given: Mapping[str, Any], written: Mapping[str, Any] = {}, config: Path | None = None) -> Experiment:
    """The settings of an experiment: a preset, over it what a file has, over that what was given.

    Args:
        given: Values, section by section.
        written: Those of a settings file.
        config: That file, to name places in it.

    Raises:
        ConfigError: A key is unknown, or a value out of its bounds.
    """
    preset = given.get("preset", written.get("preset", Experiment.model_fields["preset"].default))
    if preset not in get_args(Preset):
        where, hint = place_of(config, ("preset",), given), nearest(str(preset), get_args(Preset))
        raise ConfigError(f"there is no preset '{preset}'", where=where, remedy=hint)
    chosen = merge(written, given)
    values = merge(_suited(PRESETS[preset], chosen), chosen)
    try:
        return Experiment.model_validate(values)
    except ValidationError as error:
        raise explain(error, config, given) from error


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
            raise ConfigError(
                f"--set got '{printable(assignment)}'",
                where=COMMAND_LINE,
                expected="key=value, such as pretrain.epochs=3",
                remedy="write the key, an equals sign and the value, without spaces",
            )
        if key.count(".") > _DEEPEST_KEY:
            found, expected = f"--set got a key of {key.count('.') + 1} parts", "section.key, such as pretrain.epochs"
            raise ConfigError(found, where=COMMAND_LINE, expected=expected, remedy="see `elmo init` for the keys")
        try:
            values[key.strip()] = load_yaml(text)
        except yaml.YAMLError as error:
            problem = getattr(error, "problem", None)
            raise ConfigError(
                f"--set {printable(key)} got '{printable(text)}', which is not a YAML value"
                + (f": {problem}" if problem else ""),
                where=COMMAND_LINE,
                expected="a number, a word, or a list such as [a, b]",
                remedy="close its brackets or quotes; put the whole of key=value in quotes for the shell",
            ) from error
    return values


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = read_text(path)
        values = load_yaml(text)
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror or error
        absent = isinstance(error, FileNotFoundError)
        raise ConfigError(
            f"there is no settings file {path}" if absent else f"{path} cannot be read: {reason}",
            where=path,
            expected="a YAML file in UTF-8",
            remedy="write one with `elmo init`, or leave --config out",
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = position(path, mark) if mark else str(path)
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise ConfigError(
            f"{path} is not YAML: {problem}",
            where=where,
            expected="`key: value` lines, those of a section indented by two spaces, no tabs",
            remedy="correct the line; `elmo init` writes a file to start from",
        ) from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path} holds a {type(values).__name__}",
            where=path,
            expected="sections with keys",
            remedy="`elmo init` writes a file to start from",
        )
    refuse_repeated_keys(yaml.compose(text, Loader=yaml.SafeLoader), path)
    # A section whose keys are all commented out is empty, not null.
    given = {key: value for key, value in values.items() if value is not None}
    _resolve_paths(given, path.parent)
    return given


def _resolve_paths(values: dict[str, Any], folder: Path) -> None:
    """Relative paths in a settings file are relative to it, wherever the command is run."""

    def resolve(value: object) -> object:
        if isinstance(value, list):
            return [resolve(item) for item in value]
        return str(folder / value) if isinstance(value, str) else value

    for setting in PATHS:
        name, _, key = setting.rpartition(".")
        section = values.get(name) if name else values
        if isinstance(section, dict) and key in section:
            section[key] = resolve(section[key])
