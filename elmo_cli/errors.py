"""What can go wrong, as one tree.

::

    ElmoError                  exit code 1: it failed while running
    └── InputError             exit code 2: what the user gave cannot be used
        ├── ConfigError        a setting, an `elmo.yaml`, a flag
        ├── DataError          a corpus, a table, a vocabulary, an embedding file
        ├── WeightsError       weights and options of a model, ours or another project's
        └── RunError           a run directory: absent, of another kind, locked, damaged, in the way

The library raises, the command line shows: `message` says what was found, `where` names the file, line and column,
`expected` what would have been right, and `remedy` what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

MOST_LISTED = 10  # files of a folder that a message may list
_JOINERS = "\u200c\u200d"  # unprintable to Python; Persian, Hindi and emoji are written with them
_LONGEST = 4000  # characters of a message, or of a fact of it


class ElmoError(Exception):
    """The root of all errors that `elmo` reports to its user.

    Attributes:
        message: What happened, with the value that was found.
        where: File, with line and column where they are known.
        expected: What would have been right.
        remedy: What the user can do.
        exit_code: What the process returns.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        where: str | Path | None = None,
        expected: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.message = _shortened(message)
        super().__init__(self.message)
        self.where = _shortened(str(where)) if where is not None else None
        self.expected = _shortened(expected) if expected is not None else None
        self.remedy = _shortened(remedy) if remedy is not None else None

    def __str__(self) -> str:
        """The message and its facts, one a line."""
        facts = (("where", self.where), ("expected", self.expected), ("what to do", self.remedy))
        return "\n".join([self.message, *(f"  {name}: {value}" for name, value in facts if value)])


def _shortened(text: str) -> str:
    """A message, which may hold what a file says, but not a whole file."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


class InputError(ElmoError):
    """What the user gave cannot be used."""

    exit_code = 2


class ConfigError(InputError):
    """A setting is unknown, of the wrong type, or out of its bounds."""


class DataError(InputError):
    """A file of text, labels, tokens or static vectors cannot be used."""


class WeightsError(InputError):
    """Weights or options of a model cannot be used."""


class RunError(InputError):
    """A run directory is absent, of another kind, locked, damaged, or in the way."""


def plain(text: object) -> str:
    """`text` on one line, with what a terminal would obey shown instead of sent; the joiners of scripts stay."""
    return "".join(sign if sign.isprintable() or sign in _JOINERS else repr(sign)[1:-1] for sign in str(text))


def printable(text: str) -> str:
    """What a file says, as a message may show it: `plain`, and not endless."""
    return plain(text[:200])


def nearest_file(path: Path, *, folders: bool = False) -> str:
    """A hint at the file, or folder, beside a missing one whose name is nearest to it."""
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {folder} either: check the path"
    entries = (entry for entry in folder.iterdir() if path.name.startswith(".") or not entry.name.startswith("."))
    names = sorted(entry.name for entry in entries if (entry.is_dir() if folders else entry.is_file()))
    kind = "folders" if folders else "files"
    if not names:
        return f"there are no {kind} in {folder.resolve()}: check the path"
    hint = nearest(path.name, names)
    if len(names) > MOST_LISTED and not hint.startswith("did"):
        return f"none of the {len(names)} {kind} in {folder} has a name like it"
    return hint


def nearest(name: str, choices: Iterable[str]) -> str:
    """A hint at the choice nearest to a mistyped name, e.g. `did you mean 'epochs'?`; lists all where none is near."""
    options = list(choices)
    lowered = {option.lower(): option for option in options}
    matches = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    if matches:
        return f"did you mean '{lowered[matches[0]]}'?"
    return "choose from: " + ", ".join(options) if options else "there is nothing to choose from"
