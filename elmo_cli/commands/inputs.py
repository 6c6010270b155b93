"""Texts from a file or from stdin, as they come; and a bar for work that is counted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from elmo_cli.commands.render import Screen
from elmo_cli.errors import DataError

if TYPE_CHECKING:
    from elmo_cli.config import DataSettings, TokenizerSettings

STDIN = "-"


def texts_of(file: str, data: DataSettings) -> Iterator[str]:
    """The texts of a file, one by one.

    Args:
        file: A CSV file, a file with a text a line (blank lines are texts too), or `-` for such lines on stdin.
        data: Columns and cleaning of a CSV file.

    Raises:
        DataError: The file cannot be read, or a line is not UTF-8.
    """
    from elmo_cli.text.corpus import read_texts
    from elmo_cli.text.files import delimiter_of, read_lines

    if file == STDIN:
        yield from _stdin_lines()
    elif delimiter_of(Path(file)) is not None:
        yield from read_texts([Path(file)], data)
    else:
        yield from (line.rstrip("\r\n") for line in read_lines(Path(file)))


def tokenizer_for(run: Path, given: TokenizerSettings) -> TokenizerSettings:
    """A run's own tokenizer, but for the kind: text that is split already still takes the run's case.

    Args:
        run: An LM or classifier run.
        given: The kind to use, with its pattern.
    """
    from elmo_cli.config import TokenizerSettings
    from elmo_cli.runs import Run

    own = TokenizerSettings.model_validate(Run.open(run).description.get("embedder", {}).get("tokenizer", {}))
    return own.model_copy(update={"kind": given.kind, "pattern": given.pattern})


def _stdin_lines() -> Iterator[str]:
    for number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            yield line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            place = f"stdin, line {number}, byte {error.start + 1}"
            raise DataError("the input is not UTF-8", where=place, expected="a text a line, in UTF-8") from error


@contextmanager
def counted(screen: Screen, name: str) -> Iterator[Callable[[int, int | None], None]]:
    """A function of (done, all if known) that moves a bar on stderr while the block runs."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    messages = screen.messages
    columns = (TextColumn(name, markup=False), BarColumn(bar_width=30), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=messages, disable=not messages.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
