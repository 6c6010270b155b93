"""From what a user names, files, folders and patterns, to the files that are read, always in the same order."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from elmo_cli.data.files import unreadable
from elmo_cli.data.formats import READ, is_readable
from elmo_cli.data.formats.class_folders import class_folders
from elmo_cli.errors import ConfigError, DataError

_RUN_FILE = "run.yaml"  # folders that hold it are what commands wrote, not text


def expand(paths: Sequence[Path], *, classes: bool = False) -> tuple[Path, ...]:
    """The files of paths.

    A folder stands for all readable files below it, without hidden ones and runs; a pattern such as `data/*.txt` or
    `data/**/*.csv` for the files that match; both in the order of names. What exists is never taken for a pattern. With
    `classes`, a folder of class folders stands for itself: it is read as a labelled file.

    Raises:
        DataError: A folder holds nothing that can be read, a pattern matches nothing.
    """
    found: list[Path] = []
    for path in paths:
        if classes and path.is_dir() and len(class_folders(path)) > 1:
            found.append(path)
        elif path.is_dir():
            files = list(_walk(path))
            kept = [file for file in files if is_readable(file)]
            if not kept:
                message = f"the folder {path} holds no file that can be read" + f" among its {len(files)}" * bool(files)
                remedy = "name the files, if they have other endings, or another folder"
                raise DataError(message, where=path, expected=READ, remedy=remedy)
            found += kept
        elif glob.has_magic(str(path)) and not path.exists():
            matching = [file for file in map(Path, sorted(glob.glob(str(path), recursive=True))) if file.is_file()]
            if not matching:
                message, remedy = f"no file matches {path}", "check the folder and the ending"
                expected = "a pattern such as 'data/*.txt', or 'data/**/*.txt' for folders below"
                raise DataError(message, where=path.parent, expected=expected, remedy=remedy)
            found += matching
        else:
            found.append(path)
    return tuple(found)


def _walk(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise unreadable(folder, error) from error
    if any(entry.name == _RUN_FILE for entry in entries):
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):  # a link may lead back up
            yield from _walk(Path(entry.path))
        elif entry.is_file():
            yield Path(entry.path)


def unique_names(paths: Sequence[Path], what: str) -> list[str]:
    """File names, with as many of their folders as tell them apart; a ConfigError names a path that is given twice."""
    resolved = [path.resolve() for path in paths]
    for path, place in zip(paths, resolved, strict=True):
        if resolved.count(place) > 1:
            found = f"the {what} {path} is given twice"
            raise ConfigError(found, expected="each one once", where=path, remedy="leave one of the two out")
    depths = [1] * len(paths)
    while True:
        names = ["/".join(place.parts[-depth:]) for place, depth in zip(resolved, depths, strict=True)]
        if len(set(names)) == len(names):
            return names
        depths = [depth + (names.count(name) > 1) for depth, name in zip(depths, names, strict=True)]
