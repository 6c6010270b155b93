"""The run directory that a model in memory belongs to: the user's, or one of its own that goes when it does.

Pickled, it is the bytes of its files. So pickle runs no code on loading but that of these classes: the weights inside
are a safetensors blob, the settings YAML and JSON.
"""

from __future__ import annotations

import os
import shutil
import weakref
from os import PathLike
from pathlib import Path
from tempfile import mkdtemp
from typing import Self

from elmo_cli.disk import cannot_write
from elmo_cli.errors import RunError
from elmo_cli.runs import RUN_FILE

LEFT_OUT = "state"  # of a run: what resuming its training needs, which is most of its bytes


class RunFolder:
    """A run directory.

    Attributes:
        path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def temporary(cls, name: str) -> Self:
        """Room for a run that is removed with the last object that holds it."""
        place = Path(mkdtemp(prefix="elmo-"))
        folder = cls(place / name)
        weakref.finalize(folder, _remove, place, os.getpid())
        return folder

    def copy(self, path: str | PathLike[str], *, overwrite: bool) -> None:
        """Copy the run, whole or not at all.

        Raises:
            RunError: Something is there already that is no run, or a run and `overwrite` is not set.
            ElmoError: The disk refuses.
        """
        target = Path(path).absolute()
        if target.exists() and not (overwrite and (target / RUN_FILE).is_file()):
            remedy = "give overwrite=True to replace it" if (target / RUN_FILE).is_file() else "choose another path"
            raise RunError(f"{path} exists already", where=target, expected="a new path", remedy=remedy)
        beside = target.with_name(f".{target.name}.new")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(beside, ignore_errors=True)
            shutil.copytree(self.path, beside)
            if target.exists():
                shutil.rmtree(target)
            beside.rename(target)
        except OSError as error:
            shutil.rmtree(beside, ignore_errors=True)
            raise cannot_write(target, error, "nothing was kept") from error

    def __deepcopy__(self, memo: object) -> Self:
        """A run is not changed: a copied model stands on the same one."""
        return self

    def __getstate__(self) -> dict[str, object]:
        files = sorted(path for path in self.path.rglob("*") if path.is_file())
        names = {path: path.relative_to(self.path) for path in files}
        kept = {name.as_posix(): path.read_bytes() for path, name in names.items() if name.parts[0] != LEFT_OUT}
        return {"name": self.path.resolve().name, "files": kept}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Lay the files out anew, in a folder that goes with this object."""
        place = Path(mkdtemp(prefix="elmo-"))
        weakref.finalize(self, _remove, place, os.getpid())
        self.path = place / Path(str(state["name"])).name
        files = state["files"]
        assert isinstance(files, dict)
        for name, content in files.items():
            path = (self.path / name).resolve()
            if not path.is_relative_to(self.path.resolve()):
                raise ValueError(f"the pickled run holds a file outside of itself: {name!r}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _remove(place: Path, process: int) -> None:
    """Remove a folder; a process that was forked from its owner leaves it alone."""
    if os.getpid() == process:
        shutil.rmtree(place, ignore_errors=True)
