"""Texts from a file or from stdin, as they come."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from elmo_cli.config import DataSettings, TokenizerSettings
from elmo_cli.errors import ConfigError, ElmoError

STDIN = "-"


def texts_of(file: str, data: DataSettings) -> Iterator[str]:
    """The texts of a file, one by one.

    Args:
        file: A CSV, JSON lines or Parquet file, a file with a text a line (blank lines are texts too), or `-` for such
            lines on stdin; a folder or a pattern for the files in it.
        data: Encoding, columns and cleaning.

    Raises:
        DataError: The file cannot be read, or a line is in another encoding.
    """
    from elmo_cli.data.files import decode_lines, read_lines
    from elmo_cli.data.folders import expand
    from elmo_cli.data.formats import format_of
    from elmo_cli.data.records import read_texts

    if file == STDIN:
        yield from (line.rstrip("\r\n") for line in decode_lines(sys.stdin.buffer, Path("stdin"), data.encoding))
        return
    for path in expand([Path(file)]):
        if format_of(path).kind == "text":
            yield from (line.rstrip("\r\n") for line in read_lines(path, data.encoding))
        else:
            yield from read_texts([path], data)


def sentences_of(
    file: str, data: DataSettings, column: str | None, tokenizer: TokenizerSettings | None
) -> Iterator[tuple[str, ...]]:
    """The tokens of each sentence of a file, one by one.

    Args:
        file: A tagged file, whose tags are not read and may be absent, or `-` for columns on stdin.
        data: Encoding and header.
        column: Of the tokens; None: the usual one.
        tokenizer: The file is of texts, as `texts_of` has them, and this cuts them into tokens, their case kept.

    Raises:
        DataError: The file cannot be read.
    """
    from elmo_cli.data.files import decode_lines
    from elmo_cli.data.tagged import Conll, TagColumns, read_tagged
    from elmo_cli.text.tokenizer import Tokenizer

    if tokenizer is not None:
        # What is written is what was given; a pattern of the user's may know small letters alone.
        cut = Tokenizer(tokenizer.model_copy(update={"lowercase": tokenizer.lowercase and tokenizer.kind == "regex"}))
        yield from (tuple(tokens) for tokens in map(cut, texts_of(file, data)))
        return
    columns = TagColumns(column)
    if file == STDIN:
        lines = decode_lines(sys.stdin.buffer, Path("stdin"), data.encoding)
        sentences = Conll(Path("stdin"), data, columns).sentences_of(lines, tagged=False)
    else:
        sentences = read_tagged(Path(file), data, columns, tagged=False)
    yield from (one.tokens for one in sentences)


def usual_batch(file: str) -> int:
    """How many texts to read before the first answer: one of those that are typed, more of all others."""
    from elmo_cli.inference.predict import CHUNK

    return 1 if file == STDIN and sys.stdin.isatty() else CHUNK


@contextmanager
def spooled(paths: Sequence[Path] | None) -> Iterator[tuple[Path, ...]]:
    """Paths of a corpus, with stdin, if `-` is among them, and pipes as files that are gone after the block.

    A corpus is read twice, and known by its content, which a pipe does not allow.

    Raises:
        ElmoError: There is no room for the file.
        ConfigError: `-` stands twice.
    """
    given = tuple(paths or ())
    if given.count(Path(STDIN)) > 1:
        raise ConfigError(
            "- stands twice among the files", expected="standard input once", remedy="leave one of the two out"
        )
    with ExitStack() as stack:
        yield tuple(_kept(path, stack) if path == Path(STDIN) or path.is_fifo() else path for path in given)


def _kept(pipe: Path, stack: ExitStack) -> Path:
    """A copy of what comes through a pipe, which has its name, and is gone when the stack is closed."""
    folder = stack.enter_context(TemporaryDirectory(prefix="elmo-"))
    named = "standard input" if pipe == Path(STDIN) else str(pipe)
    copy = Path(folder) / ("stdin" if pipe == Path(STDIN) else pipe.name)
    try:
        with copy.open("wb") as file, nullcontext(sys.stdin.buffer) if pipe == Path(STDIN) else pipe.open("rb") as read:
            shutil.copyfileobj(read, file)
    except OSError as error:
        raise ElmoError(
            f"{named} could not be kept in {folder}: {error.strerror}",
            where=folder,
            remedy="write it to a file and give that, or set TMPDIR to a folder with more room",
        ) from error
    return copy


def tokenizer_for(run: Path, given: TokenizerSettings) -> TokenizerSettings:
    """A run's own tokenizer, but for its kind and pattern: text that is split already still takes the run's case."""
    from elmo_cli.runs import Run

    own = TokenizerSettings.saved(Run.open(run).description.get("embedder", {}).get("tokenizer", {}))
    return own.model_copy(update={"kind": given.kind, "pattern": given.pattern})
