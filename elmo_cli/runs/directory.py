"""Reading a run directory, and the many ways in which one can be unfit to be read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import yaml

from elmo_cli.config.bounded import MOST_JSON, load_json, read_text
from elmo_cli.config.yaml_text import load_yaml
from elmo_cli.errors import ElmoError, RunError, nearest, printable
from elmo_cli.runs.lock import is_locked, locked
from elmo_cli.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from torch import Tensor

SCHEMA = 1
RUN_FILE, WEIGHTS_FILE, METRICS_FILE, RESULTS_FILE = "run.yaml", "model.safetensors", "metrics.jsonl", "results.json"
NGRAMS_FILE = "ngrams.safetensors"  # of a classifier
MEMBER_FILE = "member-{}.safetensors"  # of a classifier, from 2: what differs from the first
EXAMPLES_FILE = "examples.json"  # of a comparison
WORDS_FILE = "words.json"  # of a tagger
STATE_FOLDER = "state"  # of an LM that is not finished: what it needs to go on

Kind = Literal["vocab", "lm", "classifier", "tagger", "comparison"]
RESUMABLE: tuple[Kind, ...] = ("lm", "comparison")  # kinds whose command takes --resume
# What a run of each kind is called, and the command that writes one.
KIND_NAMES: dict[str, tuple[str, str]] = {
    "vocab": ("a vocabulary", "elmo vocab build"),
    "lm": ("an LM run", "elmo pretrain"),
    "classifier": ("a classifier run", "elmo classify"),
    "tagger": ("a tagger run", "elmo tag"),
    "comparison": ("a comparison", "elmo compare"),
}
Read = TypeVar("Read")
_MOST_READS = 50  # of a run that others keep taking the place of


def set_aside(folder: Path) -> Path:
    """Where a run is, from the moment that another takes its place until it is removed."""
    return folder.with_name(f".{folder.name}.old")


def put_back(folder: Path) -> None:
    """Put a run back whose writer died between setting it aside and putting another there; needs the lock."""
    if set_aside(folder).exists() and not folder.exists():
        os.replace(set_aside(folder), folder)


def steadily(read: Callable[[Path], Read]) -> Callable[[Path], Read]:
    """Have all files that are read of a run be of the same one, where another takes its place meanwhile."""

    @wraps(read)
    def reading(path: Path) -> Read:
        for _ in range(_MOST_READS):
            before = _identity(path)
            try:
                found = read(path)
            except ElmoError:
                if _identity(path) == before:
                    raise
            else:
                if _identity(path) == before:
                    return found
        return read(path)

    return reading


class Run:
    """A run directory to read from.

    Attributes:
        path: The directory, as it was given.
        kind: What it holds.
        description: `run.yaml`.
    """

    def __init__(self, path: Path, description: dict[str, Any]) -> None:
        self.path = path
        self.description = description
        self.kind: Kind = description["kind"]

    @classmethod
    def open(cls, path: Path, kind: Kind | None = None, *, unfinished: bool = False, locked_by_us: bool = False) -> Run:
        """Open a run and see that it can be used.

        Args:
            path: The directory.
            kind: The kind that is wanted; None takes any.
            unfinished: Take a run too whose training was stopped.
            locked_by_us: The caller is its writer.

        Raises:
            RunError: It is absent, no run, of another kind, of a newer schema, damaged, being written, or unfinished.
        """
        path = Path(path)
        if not (path / RUN_FILE).is_file() and (locked_by_us or not _await_run(path)):
            raise _no_run(path, kind)
        run = cls(path, _read_description(path))
        wanted, command = KIND_NAMES[kind or run.kind]
        if kind is not None and run.kind != kind:
            raise RunError(
                f"{path} is {KIND_NAMES[run.kind][0]}; {wanted} is wanted",
                where=path,
                expected=f"a run that `{command}` wrote",
                remedy=_hint(path, kind),
            )
        # One that is finished is not written any more: it is whole until the next takes its place.
        if not run.finished and not locked_by_us and is_locked(path.resolve()):
            raise RunError(f"another process is writing {path}", where=path, remedy="wait until it is done")
        if not unfinished and not run.finished:
            remedy = (
                f"continue it with `{command} --resume`" if run.kind in RESUMABLE else "write it again with --overwrite"
            )
            raise RunError(f"{path} is not finished", where=path, expected="a finished run", remedy=remedy)
        return run

    @property
    def finished(self) -> bool:
        """Whether the command that wrote the run came to its end."""
        return bool(self.description["status"] == "finished")

    @property
    def settings(self) -> dict[str, Any]:
        """The resolved settings of the experiment."""
        settings: dict[str, Any] = self.description.get("settings", {})
        return settings

    def vocabulary(self) -> Vocabulary | None:
        """The vocabulary of the run; None where it has none.

        Raises:
            RunError: The file is not the one that the run was written with.
        """
        expected = self.description.get("vocabulary")
        if expected is None:
            return None
        vocabulary = Vocabulary.load(self.path)
        if vocabulary.fingerprint() != expected:
            raise RunError(
                f"the vocabulary in {self.path} does not belong to this run: its ids would mean other tokens",
                where=self.path / "vocab.txt",
                expected=f"fingerprint {expected}",
                remedy="put the run's own vocab.txt back",
            )
        return vocabulary

    def shapes(self, name: str = WEIGHTS_FILE) -> dict[str, tuple[int, ...]]:
        """Shapes of the tensors of a safetensors file of the run, as its header says, which fits the file's size.

        Raises:
            RunError: See `tensors`.
        """
        from safetensors import safe_open

        with self._reading(name) as path, safe_open(path, "pt") as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118 -- no mapping

    def tensors(self, name: str = WEIGHTS_FILE) -> dict[str, Tensor]:
        """The tensors of a safetensors file of the run.

        Raises:
            RunError: The file is missing, cut short, or no safetensors file.
        """
        from safetensors.torch import load_file

        with self._reading(name) as path:
            tensors: dict[str, Tensor] = load_file(path)
            return tensors

    @contextmanager
    def _reading(self, name: str) -> Iterator[Path]:
        from safetensors import SafetensorError

        path = self.path / name
        if Path(name).is_absolute() or ".." in Path(name).parts:  # as a file of the run may have it
            raise RunError(
                f"{self.path} names {printable(name)} as a file of its own, which leads out of it",
                where=self.path,
                expected="files in the run",
                remedy="copy the run again, from where you trust it",
            )
        try:
            yield path
        except (OSError, SafetensorError, ValueError, RuntimeError, KeyError, AttributeError) as error:
            reason = "is missing" if not path.exists() else f"is damaged: {printable(str(error))}"
            raise RunError(
                f"{name} {reason}", where=path, expected="the file as the run wrote it", remedy="copy the run again"
            ) from error

    def results(self) -> dict[str, Any]:
        """`results.json`."""
        (results,) = self._read_json(RESULTS_FILE, whole=True)
        return results

    def words(self) -> frozenset[str]:
        """`words.json`: the distinct words that a tagger was trained on."""
        (words,) = self._read_json(WORDS_FILE, whole=True)
        return frozenset(words)

    def metrics(self) -> list[dict[str, Any]]:
        """The events in `metrics.jsonl`; a last line that is cut short is left out."""
        return self._read_json(METRICS_FILE, whole=False)

    def _read_json(self, name: str, *, whole: bool) -> list[dict[str, Any]]:
        """The document of a file, or one of each line."""
        path = self.path / name
        try:
            text = read_text(path, MOST_JSON)
            # Lines end with a line feed: what follows the last one was cut short.
            return [load_json(part) for part in ([text] if whole else text.split("\n")[:-1])]
        except (OSError, ValueError) as error:
            raise RunError(f"{name} cannot be read: {error}", where=path, remedy="copy the run again") from error


@steadily
def read_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary of a run of any kind, or of a file or folder of another project.

    Raises:
        InputError: There is none, or it cannot be used.
    """
    if path.exists() and not (path / RUN_FILE).is_file():
        return Vocabulary.load(path)
    vocabulary = Run.open(path, None if path.exists() else "vocab").vocabulary()
    if vocabulary is None:
        raise RunError(f"{path} has no vocabulary", where=path, remedy="build one with `elmo vocab build`")
    return vocabulary


def find_vocabulary(given: Path | None, default: Path) -> tuple[Vocabulary, Path] | None:
    """The vocabulary that was given, else the default one, each with its place; None where there is neither.

    Args:
        given: See `read_vocabulary`.
        default: A run that need not exist.

    Raises:
        InputError: It is there and cannot be used, or what was given is not there.
    """
    path = given or default
    return (read_vocabulary(path), path) if given is not None or default.exists() else None


def _identity(path: Path) -> tuple[int, int, int] | None:
    """What tells a folder from the next one of its name; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns


def _await_run(path: Path) -> bool:
    """Whether there is a run after all, which another was just taking the place of; a writer may have died there."""
    folder = path.resolve()
    for _ in range(_MOST_READS):
        replaced = set_aside(folder).exists()
        if (path / RUN_FILE).is_file():
            return True
        if not replaced:
            return False
        # A writer at work holds the lock. One that died does not, and what it set aside is the only whole run.
        with suppress(ElmoError, OSError), locked(folder):
            put_back(folder)
        sleep(0.01)
    return (path / RUN_FILE).is_file()


def _read_description(path: Path) -> dict[str, Any]:
    file = path / RUN_FILE
    damaged = RunError(
        f"{RUN_FILE} is damaged",
        where=file,
        expected="the file as elmo wrote it",
        remedy="copy the run again, or write it again with --overwrite",
    )
    try:
        description = load_yaml(read_text(file))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise damaged from error
    if not isinstance(description, dict) or not isinstance(description.get("schema"), int):
        raise damaged
    # Before anything else is looked at: what a newer schema means is not known here.
    if description["schema"] > SCHEMA:
        raise RunError(
            f"{path} was written by a newer elmo (schema {description['schema']})",
            where=file,
            expected=f"schema {SCHEMA}",
            remedy="pip install --upgrade elmo-cli",
        )
    if description.get("kind") not in KIND_NAMES or "status" not in description:
        raise damaged
    return description


def _no_run(path: Path, kind: Kind | None) -> RunError:
    wanted, command = KIND_NAMES[kind] if kind else ("a run", "elmo pretrain")
    message = f"{path} is not a run: it has no {RUN_FILE}" if path.exists() else f"there is no run {path}"
    return RunError(message, expected=wanted, remedy=_hint(path, kind) or (f"write one with `{command}`"))


def _hint(path: Path, kind: Kind | None) -> str | None:
    """The nearest name among the runs in and beside a path; None where there are none."""
    found: list[str] = []
    for folder in (path, path.parent):
        with suppress(OSError, ElmoError):  # a hint is not worth an error of its own
            runs = [file.parent for file in sorted(folder.glob(f"*/{RUN_FILE}"))]
            found += [str(run) for run in runs if kind in (None, _read_description(run)["kind"])]
    return nearest(str(path), dict.fromkeys(found)) if found else None
