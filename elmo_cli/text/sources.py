"""Which text an experiment learns from: what was given, else `data.corpus`, else the texts of `data.train`.

Never the test file and never the validation file: vocabulary, static vectors and biLM all ask here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from elmo_cli.config import Experiment, TokenizerSettings
from elmo_cli.errors import ConfigError
from elmo_cli.text.corpus import read_records
from elmo_cli.text.encoded import EncodedCorpus, encode
from elmo_cli.text.tokenizer import Tokenizer


def corpus_files(experiment: Experiment, paths: Sequence[Path] = ()) -> tuple[Path, ...]:
    """The files to learn from.

    Args:
        experiment: Its `data` names them where `paths` does not.
        paths: Files given on the command line.

    Raises:
        ConfigError: There are none, or one of them is the test or the validation file.
    """
    data = experiment.data
    files = tuple(paths) or data.corpus or ((data.train,) if data.train else ())
    if not files:
        raise ConfigError(
            "no text was given",
            expected="files as arguments, or data.corpus or data.train in the settings",
            remedy="name a file, or write an elmo.yaml with `elmo init`",
        )
    for role, taken in (("test", data.test), ("validation", data.valid)):
        if taken is not None and any(_same(file, taken) for file in files):
            raise ConfigError(
                f"{taken} is the {role} file, which no model may learn from",
                where=taken,
                expected="training text",
                remedy=f"give other files, or change data.{'test' if role == 'test' else 'valid'}",
            )
    return files


def encode_corpus(experiment: Experiment, files: Sequence[Path], tokenizer: TokenizerSettings) -> EncodedCorpus:
    """Read and tokenise the text of files; `data.limit` holds for the training file alone."""
    return encode(_texts(experiment, files), Tokenizer(tokenizer))


def _texts(experiment: Experiment, files: Sequence[Path]) -> Iterator[str]:
    data = experiment.data
    for file in files:
        limit = data.limit if data.train is not None and _same(file, data.train) else None
        for record in islice(read_records(file, data, labelled=False), limit):
            yield record.text


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
