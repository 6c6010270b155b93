"""Writing a run directory.

A fresh run is written beside its place and put there in one go: by the first `commit`, or on leaving the writer. So a
failure before that leaves nothing behind, and `--overwrite` keeps the old run until the new one takes its place.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import yaml
from pydantic import BaseModel

from elmo_cli import __version__
from elmo_cli.data.files import fingerprint
from elmo_cli.disk import cannot_write, flush, write_atomically, write_text
from elmo_cli.errors import RunError
from elmo_cli.runs.directory import (
    KIND_NAMES,
    METRICS_FILE,
    RESUMABLE,
    RUN_FILE,
    SCHEMA,
    STATE_FOLDER,
    Kind,
    Run,
    put_back,
    set_aside,
)
from elmo_cli.runs.lock import locked
from elmo_cli.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from torch import Tensor


def portable(value: Any) -> Any:
    """Settings as plain YAML values, each path cut to its name: nothing that is true of one machine only."""
    if isinstance(value, BaseModel):
        return {name: portable(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(key): portable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [portable(item) for item in value]
    return value.name if isinstance(value, Path) else value


def describe_files(paths: Iterable[Path], fingerprint: Callable[[Path], str] = fingerprint) -> list[dict[str, str]]:
    """Name and fingerprint of each file that a run has read; `fingerprint` may know them without reading."""
    return [{"name": path.name, "fingerprint": fingerprint(path)} for path in paths]


class RunWriter:
    """Context in which a run directory is written, locked against other writers.

    Leaving it without an exception marks the run as finished, unless `leave_unfinished` or `abandon` was called.

    Args:
        path: The run directory.
        kind: What it will hold.
        command: The command line that wrote it, for the record.
        overwrite: Replace a run of the same kind.
        resume: Go on with a run of the same kind.

    Raises:
        RunError: On entering: the place is taken, or another process is writing there.
        ElmoError: On writing: the disk is full or refuses.
    """

    def __init__(self, path: Path, kind: Kind, command: str, *, overwrite: bool = False, resume: bool = False) -> None:
        self.kind, self.overwrite, self.resume = kind, overwrite, resume
        self._final = path.resolve()
        self._staging = self._final.with_name(f".{self._final.name}.new")
        self._aside = set_aside(self._final)
        self._shown = path
        self._ending: Literal["finished", "unfinished", "abandoned"] = "finished"
        self._made_parents: list[Path] = []
        self._stack = ExitStack()
        self.path = self._staging
        self.description: dict[str, Any] = {
            "schema": SCHEMA,
            "kind": kind,
            "status": "unfinished",
            "command": command,
            "versions": {"elmo": __version__, "python": python_version(), **_versions("torch", "numpy")},
        }

    def __enter__(self) -> Self:
        if self.overwrite and self.resume:
            raise RunError(
                "--overwrite and --resume exclude each other",
                expected="one of them",
                remedy="--resume goes on with a run, --overwrite begins anew: leave one out",
            )
        parents = self._final.parents
        self._made_parents = [parent for parent in parents if not parent.exists()]
        try:
            self._final.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(self._final, error, self._kept) from error
        # Locked before anything is looked at: what is found may else be another writer's, half done.
        self._stack.enter_context(locked(self._final))
        try:
            self._clear_leftovers()
            self._claim()
        except BaseException:
            self._stack.close()
            self._remove_made_parents()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and self._ending != "abandoned":
                self.describe(extra={"status": self._ending})
                self.commit()
                if self._ending == "finished":  # what it needed to go on is three times the model
                    shutil.rmtree(self.path / STATE_FOLDER, ignore_errors=True)
            elif not self.committed:
                shutil.rmtree(self._staging, ignore_errors=True)
        finally:
            self._stack.close()
            if not self.committed:
                self._remove_made_parents()

    @property
    def name(self) -> str:
        """Name of the run's directory."""
        return self._final.name

    @property
    def committed(self) -> bool:
        """Whether the run is in its place, where it outlives a failure."""
        return self.path == self._final

    @property
    def _kept(self) -> str:
        if self.committed:
            return f"{self._shown} is kept as it was last saved"
        return "an earlier run is untouched" if (self._final / RUN_FILE).exists() else "nothing was kept"

    def _clear_leftovers(self) -> None:
        """Undo what a writer left that was killed while it put a run in place."""
        put_back(self._final)
        shutil.rmtree(self._aside, ignore_errors=True)
        shutil.rmtree(self._staging, ignore_errors=True)

    def _claim(self) -> None:
        """See that the place is free, or is a run that may be replaced or continued."""
        if self.resume:
            run = Run.open(self._shown, self.kind, unfinished=True, locked_by_us=True)
            if link := next((entry for entry in self._final.rglob("*") if entry.is_symlink()), None):
                raise RunError(
                    f"{link.name} in {self._shown} is a link, through which other files would be written",
                    where=link,
                    expected="files of the run's own",
                    remedy="put a copy in the place of the link",
                )
            for leftover in self._final.rglob(".*.new"):  # of a writer that was killed in a save
                leftover.unlink()
            # Written in its place from the start; what it is stays, but for the versions that write from now on.
            self.path, self.description = self._final, {**run.description, "versions": self.description["versions"]}
            return
        final = self._final
        if not final.exists() or (final.is_dir() and not any(final.iterdir())):
            return
        wanted, remedy = "a folder that does not exist yet", "choose another --out"
        if not (final / RUN_FILE).is_file():
            found = f"{self._shown} exists and is not a run; it is left as it is"
            raise RunError(found, where=final, expected=wanted, remedy=remedy)
        run = Run.open(self._shown, unfinished=True, locked_by_us=True)
        if run.kind != self.kind:
            found = f"{self._shown} holds {KIND_NAMES[run.kind][0]}; it is left as it is"
            raise RunError(found, expected=KIND_NAMES[self.kind][0], remedy=remedy)
        if not self.overwrite:
            goes_on = ", or --resume to continue it" if self.kind in RESUMABLE and not run.finished else ""
            remedy = f"give --overwrite to replace it{goes_on}, or {remedy}"
            raise RunError(f"{self._shown} exists already", expected=wanted, remedy=remedy)

    def _remove_made_parents(self) -> None:
        with suppress(OSError):  # one that is not empty holds somebody else's files
            for parent in self._made_parents:
                parent.rmdir()

    def commit(self) -> None:
        """Put the run in its place, in the stead of the one that it overwrites; it stays there whatever follows."""
        if self.committed:
            return
        try:
            # No system renames a folder over a full one.
            if self._final.exists():
                os.replace(self._final, self._aside)
            os.replace(self._staging, self._final)
            flush(self._final.parent)
        except OSError as error:
            put_back(self._final)
            raise cannot_write(self._final, error, self._kept) from error
        self.path = self._final
        shutil.rmtree(self._aside, ignore_errors=True)

    def leave_unfinished(self) -> None:
        """The run is to be continued: readers refuse it, `--resume` takes it up."""
        self._ending = "unfinished"

    def abandon(self) -> None:
        """Leaving then writes nothing more: a run in its place stays as it is, one that is not is never put there."""
        self._ending = "abandoned"

    def describe(
        self,
        settings: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Add to `run.yaml`: resolved settings, fingerprints of the data by role, and whatever else is to be known."""
        sections = {"settings": settings, "data": data, **(extra or {})}
        self.description |= {key: portable(value) for key, value in sections.items() if value is not None}
        self.write_text(RUN_FILE, yaml.safe_dump(self.description, sort_keys=False, allow_unicode=True, width=120))

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file."""
        self.write_text(name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a text file in UTF-8."""
        write_text(self.path / name, text, kept=self._kept)

    def write_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Write a safetensors file."""
        from safetensors.torch import save_file

        whole = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
        write_atomically(self.path / name, lambda beside: save_file(whole, beside), kept=self._kept)

    def write_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Write `vocab.txt` and `vocab.yaml`, and note whose they are in `run.yaml`."""
        vocabulary.save(self.path, kept=self._kept)
        self.describe(extra={"vocabulary": vocabulary.fingerprint()})

    def log(self, event: Mapping[str, Any]) -> None:
        """Append a line to `metrics.jsonl`."""
        path = self.path / METRICS_FILE
        # Appended, not written anew: it grows with the training. A line cut short by a crash is after the checkpoint.
        try:
            with path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps(event) + "\n")
        except OSError as error:
            raise cannot_write(path, error, self._kept) from error

    def log_offset(self) -> int:
        """Bytes of `metrics.jsonl`, all of them on the disk."""
        path = self.path / METRICS_FILE
        if not path.exists():
            return 0
        flush(path)
        return path.stat().st_size

    def cut_log(self, offset: int) -> None:
        """Take back the lines of `metrics.jsonl` after an offset.

        Raises:
            RunError: The file is shorter than that.
        """
        path = self.path / METRICS_FILE
        if not path.exists():
            return
        if not 0 <= offset <= path.stat().st_size:
            raise RunError(
                f"{METRICS_FILE} of {self._shown} is shorter than when its training was saved",
                where=path,
                expected=f"{offset} bytes or more",
                remedy="copy the run again, or train anew with --overwrite",
            )
        os.truncate(path, offset)


class Onlooker(RunWriter):
    """The writer of a rank that writes nothing: what rank 0 writes is where this one would."""

    def __enter__(self) -> Self:
        """The place is rank 0's to lock and to claim."""
        if self.resume:
            self.description = Run.open(self._shown, self.kind, unfinished=True, locked_by_us=True).description
        self.path = self._final
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """There is nothing to put in order."""

    def write_text(self, name: str, text: str) -> None:
        """Written by rank 0."""

    def write_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Written by rank 0."""

    def write_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Written by rank 0."""

    def log(self, event: Mapping[str, Any]) -> None:
        """Logged by rank 0."""

    def cut_log(self, offset: int) -> None:
        """Cut by rank 0."""


def _versions(*packages: str) -> dict[str, str]:
    """Installed versions, found without importing the packages."""
    found = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
