"""An `elmo.yaml` with comments, made from the settings' own descriptions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from elmo_cli.config.choices import Preset
from elmo_cli.config.loading import CONFIG_NAME
from elmo_cli.config.presets import PRESET_PURPOSES, PRESETS
from elmo_cli.config.settings import Experiment
from elmo_cli.disk import write_text
from elmo_cli.errors import ConfigError

# The settings that a user is likely to change; all others are in the reference of `elmo_cli.config`.
SHOWN: dict[str, tuple[str, ...]] = {
    "data": ("train", "test", "corpus", "valid", "text", "label", "header", "encoding", "clean", "limit"),
    "tokenizer": ("kind", "lowercase"),
    "vocab": ("min_count", "max_size"),
    "model": ("encoder", "init_embeddings", "hidden_size", "projection_size", "layers", "dropout", "softmax"),
    "pretrain": ("epochs", "batch_size", "window", "learning_rate", "patience", "precision"),
    "classify": ("lambdas", "layer_norm", "pooling", "hidden_size", "tune", "epochs", "tune_epochs"),
    "tag": ("valid", "tokens", "tags", "lambdas", "head", "lstm_size", "tune", "epochs", "tune_epochs"),
    "compare": ("baselines", "lambdas", "reference", "seeds", "fractions"),
    "word2vec": ("algorithm", "dim", "window", "epochs"),
    "svd": ("weighting", "dim", "window"),
}
HEADING = """\
# Settings of an experiment. `elmo` reads this file in the folder it runs in; flags win over it.
# A line that begins with `# key:` shows a default: take the mark away and change the value.
"""


def write_settings(folder: Path, preset: Preset | None, written: Mapping[str, Any], overwrite: bool = False) -> Path:
    """Write the `elmo.yaml` of a folder, which is made if it is absent.

    Args:
        folder: Of the experiment.
        preset: None: the default.
        written: See `settings_text`.
        overwrite: Whether an existing file may be replaced.

    Raises:
        ConfigError: There is a settings file already, or the folder is a file.
    """
    path = folder / CONFIG_NAME
    if path.exists() and not overwrite:
        raise ConfigError(
            f"there is an {CONFIG_NAME} already",
            where=path,
            expected="a folder without one",
            remedy="give --overwrite to replace it, or edit it",
        )
    if folder.exists() and not folder.is_dir():
        raise ConfigError(
            f"{folder} is not a folder",
            where=folder,
            expected="a folder, or the name of a new one",
            remedy="name another: elmo init DIR",
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_text(path, settings_text(preset or Experiment().preset, written))
    return path


def settings_text(preset: Preset, written: Mapping[str, Any]) -> str:
    """An `elmo.yaml`: values that are written, and the others that a user may want to change as comments.

    Args:
        preset: Where the settings start from; the commented values are its own.
        written: Values by section and key.
    """
    experiment = Experiment.model_validate({**PRESETS[preset], "preset": preset})
    purposes = "; ".join(f"{name}: {purpose}" for name, purpose in PRESET_PURPOSES.items())
    lines = [*HEADING.splitlines(), "", f"# {purposes}", _line(experiment, "preset", {"preset": preset})]
    lines += [_line(experiment, "seed", written), _line(experiment, "output", {"output": "runs", **written})]
    for section, keys in SHOWN.items():
        lines += ["", f"{section}:  # {Experiment.model_fields[section].description}"]
        lines += ["  " + _line(getattr(experiment, section), key, written.get(section, {})) for key in keys]
    return "\n".join(lines) + "\n"


def _line(settings: BaseModel, key: str, written: Mapping[str, Any]) -> str:
    """`key: value  # description`, as a comment where nothing is written."""
    value = written[key] if key in written else settings.model_dump(mode="json")[key]
    shown = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1000).removesuffix("...\n").strip()
    line = f"{'' if key in written else '# '}{key}: {shown}"
    return f"{line:<30}  # {type(settings).model_fields[key].description}"
