"""Which file of a folder is what: by name (`train.csv`, `ag_news_test.csv.gz`, ...), columns by content."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from elmo_cli.config import Cleaning, ReadingSettings
from elmo_cli.data.cleaning import clean_ag_news
from elmo_cli.data.columns import Columns
from elmo_cli.data.formats import FORMATS, open_file
from elmo_cli.data.formats.class_folders import ClassFolders, class_folders
from elmo_cli.data.formats.conll import ConllText
from elmo_cli.data.formats.text import Text
from elmo_cli.data.records import read_records
from elmo_cli.errors import ElmoError

_WITH_COLUMNS = [one for one in FORMATS if one not in (Text, ClassFolders, ConllText)]
TABLES = tuple(end + gz for one in _WITH_COLUMNS for end in one.endings for gz in (["", ".gz"] if one.packed else [""]))
TAGGED = tuple(end + gz for end in ConllText.endings for gz in ("", ".gz"))
TEXTS = (".txt", ".txt.gz")
ROLES = {
    "train": ("train", "training"),
    "test": ("test", "testing", "eval"),
    "valid": ("valid", "validation", "dev", "val"),
    "corpus": ("unlabelled", "unlabeled", "unsup", "unsupervised", "corpus", "text", "texts"),
}
SAMPLE_ROWS = 500
BROKEN_SHARE = 0.02  # of the texts, from which on a clean-up is proposed


@dataclass
class Discovery:
    """What was found in a folder."""

    files: dict[str, str | list[str]] = field(default_factory=dict)  # names by their part in the experiment
    columns: Columns | None = None  # of the training file, where there is one
    clean: Cleaning = "none"  # the clean-up that the text seems to need
    notes: list[str] = field(default_factory=list)  # what the user should know, one sentence each

    @property
    def has_text(self) -> bool:
        """Whether there is text to learn from: any, or a training file that can be read."""
        return "corpus" in self.files or self.columns is not None

    def settings(self) -> dict[str, Any]:
        """The keys of section `data` that are worth writing."""
        found: dict[str, Any] = dict(self.files)
        if self.columns is not None and self.columns.has_header:
            found |= {"text": list(self.columns.text), "label": self.columns.label}
        if self.clean != "none":
            found["clean"] = self.clean
        return found


def discover(folder: Path) -> Discovery:
    """Find the files of an experiment in a folder, which need not be there, and what they hold."""
    found = Discovery()
    entries = folder.iterdir() if folder.is_dir() else ()
    names = sorted((path.name for path in entries if path.is_file()), key=lambda name: (len(name), name))
    for role, kinds in (
        ("train", (*TABLES, *TAGGED)),
        ("test", (*TABLES, *TAGGED)),
        ("valid", (*TEXTS, *TABLES, *TAGGED)),
    ):
        candidates = [name for kind in kinds for name in names if _is(name, kind, role)]
        if candidates:
            found.files[role] = candidates[0]
            found.notes += [f"{name} looks like {role} data too; {candidates[0]} was taken" for name in candidates[1:]]
    for role in ("train", "test"):
        if role not in found.files and (named := _class_folders(folder, role)):
            found.files[role] = named
    texts = [name for kind in TEXTS for name in names if _is(name, kind, "train") or _is(name, kind, "corpus")]
    if texts:
        # The labelled texts are text as well.
        found.files["corpus"] = [*([str(found.files["train"])] if "train" in found.files else []), *texts]
    if "train" in found.files and str(found.files["train"]).lower().endswith(TAGGED):
        found.notes.append(f"{found.files['train']} has a tag for every token: elmo tag learns these")
    elif "train" in found.files:
        _look_into(found, folder / str(found.files["train"]))
    if not found.files:
        found.notes.append(f"no train, test or text file was found in {folder}; name yours in section data")
    return found


def _class_folders(folder: Path, role: str) -> str | None:
    """The folder of that role which holds class folders, if there is one."""
    names = [name for name in ROLES[role] if (folder / name).is_dir() and len(class_folders(folder / name)) > 1]
    return names[0] if names else None


def _is(name: str, kind: str, role: str) -> bool:
    """Whether a file name has an ending and one of a role's words."""
    stem = name.lower().removesuffix(kind)
    return stem != name.lower() and bool(set(re.split(r"[^a-z]+", stem)) & set(ROLES[role]))


def _look_into(found: Discovery, path: Path) -> None:
    """Note the columns of the training file and the clean-up it needs; a file that cannot be read is only noted."""
    try:
        found.columns = open_file(path, ReadingSettings()).columns(labelled=True)
        if found.columns.unusual_delimiter:
            found.notes.append(f"the columns of {path.name} are separated by {found.columns.unusual_delimiter}")
        records = read_records(path, ReadingSettings(), labelled=True)
        texts = [record.text for record in islice(records, SAMPLE_ROWS)]
    except ElmoError as error:
        found.notes.append(f"{path.name} could not be read: {error.message}")
        return
    broken = sum(clean_ag_news(text) != " ".join(text.split()) for text in texts)
    if broken > BROKEN_SHARE * len(texts):
        found.clean = "ag-news"
        share = f"{broken} of {len(texts)} texts"
        found.notes.append(f"{share} have the broken entities of AG News; `clean: ag-news` mends them")
