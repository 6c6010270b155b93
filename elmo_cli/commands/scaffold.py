"""What `elmo init` writes: an `elmo.yaml` for the files of a folder, made from the settings' own descriptions.

Files are found by name (`train.csv`, `ag_news_test.csv.gz`, `valid.txt`, ...), columns by content. Knows neither
typer nor rich.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

import yaml
from pydantic import BaseModel

from elmo_cli.config import CONFIG_NAME, PRESET_PURPOSES, PRESETS, Cleaning, Experiment, Preset, ReadingSettings
from elmo_cli.data.cleaning import clean_ag_news
from elmo_cli.data.columns import Columns
from elmo_cli.data.formats import FORMATS, open_file
from elmo_cli.data.formats.text import Text
from elmo_cli.data.records import read_records
from elmo_cli.disk import write_atomically
from elmo_cli.errors import ConfigError, ElmoError, nearest

TABLES = tuple(
    ending + packed
    for one in FORMATS
    if one is not Text
    for ending in one.endings
    for packed in (("", ".gz") if one.packed else ("",))
)
TEXTS = (".txt", ".txt.gz")
ROLES = {
    "train": ("train", "training"),
    "test": ("test", "testing", "eval"),
    "valid": ("valid", "validation", "dev", "val"),
    "corpus": ("unlabelled", "unlabeled", "unsup", "unsupervised", "corpus", "text", "texts"),
}
# The settings that a user is likely to change; all others are in the reference of `elmo_cli.config`.
SHOWN: dict[str, tuple[str, ...]] = {
    "data": ("train", "test", "corpus", "valid", "text", "label", "header", "encoding", "clean", "limit"),
    "tokenizer": ("kind", "lowercase"),
    "vocab": ("min_count", "max_size"),
    "model": ("encoder", "init_embeddings", "hidden_size", "projection_size", "layers", "dropout", "softmax"),
    "pretrain": ("epochs", "batch_size", "window", "learning_rate", "patience", "precision"),
    "classify": ("lambdas", "layer_norm", "pooling", "hidden_size", "tune", "epochs", "tune_epochs"),
    "compare": ("baselines", "lambdas", "reference", "seeds", "fractions"),
    "word2vec": ("algorithm", "dim", "window", "epochs"),
    "svd": ("weighting", "dim", "window"),
}
SAMPLE_ROWS = 500
BROKEN_SHARE = 0.02  # of the texts, from which on a clean-up is proposed
HEADING = """\
# Settings of an experiment. `elmo` reads this file in the folder it runs in; flags win over it.
# A line that begins with `# key:` shows a default: take the mark away and change the value.
"""


@dataclass
class Found:
    """What was found in a folder.

    Attributes:
        files: Names by their part in the experiment.
        columns: Those of the training file, where there is one.
        clean: The clean-up that the text seems to need.
        notes: What the user should know, one sentence each.
    """

    files: dict[str, str | list[str]] = field(default_factory=dict)
    columns: Columns | None = None
    clean: Cleaning = "none"
    notes: list[str] = field(default_factory=list)

    def values(self) -> dict[str, Any]:
        """The keys of section `data` that are worth writing."""
        found: dict[str, Any] = dict(self.files)
        if self.columns is not None and self.columns.has_header:
            found["text"] = list(self.columns.text)
            found["label"] = self.columns.label
        if self.clean != "none":
            found["clean"] = self.clean
        return found


def look_through(folder: Path) -> Found:
    """Find the files of an experiment in a folder, and what they hold."""
    found = Found()
    names = sorted((path.name for path in folder.iterdir() if path.is_file()), key=lambda name: (len(name), name))
    for role, kinds in (("train", TABLES), ("test", TABLES), ("valid", (*TEXTS, *TABLES))):
        candidates = [name for kind in kinds for name in names if _is(name, kind, role)]
        if candidates:
            found.files[role] = candidates[0]
            found.notes += [f"{name} looks like {role} data too; {candidates[0]} was taken" for name in candidates[1:]]
    texts = [name for kind in TEXTS for name in names if _is(name, kind, "train") or _is(name, kind, "corpus")]
    if texts:
        # The labelled texts are text as well.
        found.files["corpus"] = [*([str(found.files["train"])] if "train" in found.files else []), *texts]
    if "train" in found.files:
        _look_into(found, folder / str(found.files["train"]))
    if not found.files:
        found.notes.append(f"no train, test or text file was found in {folder}; name yours in section data")
    return found


def _is(name: str, kind: str, role: str) -> bool:
    """Whether a file name has an ending and one of a role's words."""
    stem = name.lower().removesuffix(kind)
    return stem != name.lower() and bool(set(re.split(r"[^a-z]+", stem)) & set(ROLES[role]))


def _look_into(found: Found, path: Path) -> None:
    """Note the columns of the training file and the clean-up it needs; a file that cannot be read is only noted."""
    try:
        found.columns = open_file(path, ReadingSettings()).columns(labelled=True)
        if found.columns.unusual_delimiter:
            found.notes.append(f"the columns of {path.name} are separated by {found.columns.unusual_delimiter}")
        texts = []
        for record in read_records(path, ReadingSettings(), labelled=True):
            texts.append(record.text)
            if len(texts) == SAMPLE_ROWS:
                break
    except ElmoError as error:
        found.notes.append(f"{path.name} could not be read: {error.message}")
        return
    broken = sum(clean_ag_news(text) != " ".join(text.split()) for text in texts)
    if broken > BROKEN_SHARE * len(texts):
        found.clean = "ag-news"
        found.notes.append(
            f"{broken} of {len(texts)} texts have the broken entities of AG News; `clean: ag-news` mends them"
        )


def write_settings(folder: Path, preset: str | None, overwrite: bool) -> tuple[Path, Found]:
    """Look through a folder and write its `elmo.yaml`.

    Args:
        folder: Made if it is absent.
        preset: Where the settings start from; None: the default.
        overwrite: Whether an existing file may be replaced.

    Raises:
        ConfigError: There is a settings file already, or no such preset.
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
    chosen = preset or str(Experiment.model_fields["preset"].default)
    settings_text(chosen, {})  # an unknown preset leaves no folder behind
    folder.mkdir(parents=True, exist_ok=True)
    found = look_through(folder)
    text = settings_text(chosen, {"data": found.values()})
    write_atomically(path, lambda beside: beside.write_text(text, encoding="utf-8"))
    return path, found


def settings_text(preset: str, written: Mapping[str, Any]) -> str:
    """An `elmo.yaml`: values that are written, and the others that a user may want to change as comments.

    Args:
        preset: Where the settings start from; the commented values are its own.
        written: Values by section and key.

    Raises:
        ConfigError: There is no such preset.
    """
    if preset not in get_args(Preset):
        raise ConfigError(f"there is no preset '{preset}'", remedy=nearest(preset, get_args(Preset)))
    experiment = Experiment.model_validate({**PRESETS[cast(Preset, preset)], "preset": preset})
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
