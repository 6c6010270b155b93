"""Texts in memory to a run: they are laid out as files, and the commands' own generators do the rest."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from elmo_cli.api.texts import labels_of, texts_of, write_lines
from elmo_cli.config import Experiment, resolve
from elmo_cli.errors import ConfigError
from elmo_cli.events import Event, Finished, Stop, Stopped, never
from elmo_cli.training.classify import classify_run
from elmo_cli.training.pretrain import pretrain_run

OnEvent = Callable[[Event], object]
NOW = 1e-9  # minutes: a training that goes on with so few validates what it has and ends


def ignore(event: Event) -> None:
    """For who does not ask how it goes."""


def pretrain_texts(
    texts: Iterable[str],
    out: Path,
    settings: Mapping[str, Any],
    *,
    valid: Iterable[str] | None,
    overwrite: bool,
    device: str,
    on_event: OnEvent,
) -> None:
    """Pretrain a biLM on texts into a run; interrupted, it validates what it has and keeps the best."""
    with TemporaryDirectory(prefix="elmo-") as name, _interruptions() as stop:
        folder = Path(name)
        corpus = write_lines(folder / "texts.jsonl", ({"text": text} for text in texts_of(texts)))
        files: dict[str, Any] = {"corpus": [corpus], "text": ["text"]}
        if valid is not None:
            files["valid"] = write_lines(folder / "valid.jsonl", ({"text": text} for text in texts_of(valid)))
        experiment = experiment_of(settings, "pretrain", {"output": folder, "data": files})
        last = _follow(
            pretrain_run(experiment, out=out, overwrite=overwrite, device=device, stop=stop, tell=on_event), on_event
        )
        if isinstance(last, Stopped):
            ending = experiment.pretrain.model_copy(update={"max_minutes": NOW})
            experiment = experiment.model_copy(update={"pretrain": ending})
            _follow(pretrain_run(experiment, out=out, resume=True, device=device, tell=on_event), on_event)


def fit_texts(
    texts: Iterable[str],
    labels: Iterable[object],
    lm: Path,
    out: Path,
    settings: Mapping[str, Any],
    *,
    overwrite: bool,
    device: str,
    on_event: OnEvent,
) -> None:
    """Train a classifier on labelled texts into a run; interrupted, it keeps its best epoch.

    Raises:
        ValueError: There are more texts than labels, or fewer.
        KeyboardInterrupt: It was interrupted before an epoch was done.
    """
    given, names = list(texts_of(texts)), list(labels_of(labels))
    if len(given) != len(names):
        raise ValueError(f"{len(given)} texts and {len(names)} labels; give a label for each text")
    with TemporaryDirectory(prefix="elmo-") as name, _interruptions() as stop:
        rows = ({"text": text, "label": label} for text, label in zip(given, names, strict=True))
        files = {"train": write_lines(Path(name) / "texts.jsonl", rows), "text": ["text"], "label": "label"}
        experiment = experiment_of(settings, "classify", {"output": Path(name), "data": files})
        _follow(classify_run(experiment, lm, out, overwrite=overwrite, device=device, stop=stop), on_event)
    if not out.exists():
        raise KeyboardInterrupt


def experiment_of(settings: Mapping[str, Any], section: str, own: Mapping[str, Any]) -> Experiment:
    """Keyword arguments as settings; no settings file is read.

    Args:
        settings: Whole sections by their names, as in `model={"hidden_size": 64}`, the preset, the seed, and of
            `section` its own settings one by one, as in `epochs=3`. None stands for what was not given.
        section: `pretrain` or `classify`.
        own: What the caller lays over them, section by section.

    Raises:
        ConfigError: A name is unknown, or a value out of its bounds.
    """
    given: dict[str, Any] = {section: {}}
    for name, value in settings.items():
        if value is not None:
            (given if name in Experiment.model_fields else given[section])[name] = value
    for name, value in own.items():
        given[name] = {**given.get(name, {}), **value} if isinstance(value, Mapping) else value
    try:
        return resolve(given)
    except ConfigError as error:  # it names the command line
        raise ConfigError(
            error.message, where="the keyword arguments", expected=error.expected, remedy=error.remedy
        ) from error


def _follow(events: Iterable[Event], on_event: OnEvent) -> Finished | Stopped | None:
    """Run a training to its end; its last event."""
    last = None
    for event in events:
        on_event(event)
        last = event
    return last if isinstance(last, Finished | Stopped) else None


@contextmanager
def _interruptions() -> Iterator[Stop]:
    """Within the block, whether Ctrl-C was typed is for the loop to ask; a second one interrupts as ever.

    Outside the main thread none arrives.
    """
    if threading.current_thread() is not threading.main_thread():
        yield never
        return
    typed = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal typed
        if typed:
            raise KeyboardInterrupt
        typed = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: typed
    finally:
        signal.signal(signal.SIGINT, before)
