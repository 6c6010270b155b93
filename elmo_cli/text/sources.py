"""Which text an experiment learns from: what was given, else `data.corpus`, else the texts of `data.train`.

Never the test file and never the validation file: vocabulary, static vectors and biLM all ask here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cache
from importlib import resources
from itertools import islice
from pathlib import Path
from unicodedata import unidata_version

from elmo_cli.config import Experiment, TokenizerSettings
from elmo_cli.errors import ConfigError
from elmo_cli.text.corpus import Record, read_records
from elmo_cli.text.encoded import EncodedCorpus, encode
from elmo_cli.text.files import delimiter_of
from elmo_cli.text.parallel import encode_chunks, processes_for
from elmo_cli.text.shards import FORMAT, Fingerprints, load_or_write
from elmo_cli.text.tokenizer import Tokenizer

CACHE_FOLDER = ".cache"  # hidden beside the runs it belongs to: seen by who looks, gone with them
CACHED_FROM = 2 << 20  # bytes: less than that is tokenised again in a fraction of a second


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


def encode_corpus(
    experiment: Experiment,
    files: Sequence[Path],
    tokenizer: TokenizerSettings,
    *,
    fingerprint: Fingerprints | None = None,
    say: Callable[[str], object] = lambda message: None,
) -> EncodedCorpus:
    """Read and tokenise the text of files; `data.limit` holds for the training file alone.

    What is large is tokenised once: it is kept in `.cache` in the folder of the runs, and mapped into memory from there
    by whoever needs the same text, read and tokenised in the same way.

    Args:
        experiment: Its `data` says how to read, its `output` where the cache is.
        files: What to read.
        tokenizer: How text becomes tokens.
        fingerprint: What may know fingerprints of the files already.
        say: Told what takes longer than it should.

    Raises:
        DataError: A file cannot be read, or what is kept of it is damaged.
    """
    size = sum(file.stat().st_size for file in files if file.is_file())
    if size < CACHED_FROM or not all(file.is_file() for file in files):
        return encode(_texts(experiment, files), Tokenizer(tokenizer))
    fingerprint = fingerprint or cache_of(experiment)
    key = _key(experiment, files, tokenizer, [fingerprint(file) for file in files])

    def tokenise() -> Generator[EncodedCorpus, None, None]:
        yield from encode_chunks(_texts(experiment, files), tokenizer, processes_for(size), say)
        for file in files:
            fingerprint.check(file)

    try:
        return load_or_write(fingerprint.folder / key, tokenise)
    except OSError as error:
        say(f"the tokenised text cannot be kept in {fingerprint.folder} ({error.strerror}): it is held in memory")
        return encode(_texts(experiment, files), Tokenizer(tokenizer))


def cache_of(experiment: Experiment) -> Fingerprints:
    """What remembers the fingerprints of an experiment's files, and in whose folder its tokenised text is."""
    return Fingerprints(experiment.output / CACHE_FOLDER)


def _key(experiment: Experiment, files: Sequence[Path], tokenizer: TokenizerSettings, fingerprints: list[str]) -> str:
    """A name for all that decides which tokens come out: content of the files, settings, and the code that reads."""
    read = []
    for file, digest in zip(files, fingerprints, strict=True):
        delimiter = delimiter_of(file)
        columns = experiment.data.model_dump(mode="json", include={"text", "label", "header"} if delimiter else set())
        limit = _limit(experiment, file)
        read.append([digest, file.name.lower().endswith(".gz"), delimiter, columns, experiment.data.clean, limit])
    facts = [FORMAT, _code(), unidata_version, tokenizer.model_dump(mode="json"), read]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


@cache
def _code() -> str:
    """A digest of the modules between a file and its tokens: what an older version of them made is not used."""
    digest = hashlib.sha256()
    for name in ("cleaning", "corpus", "encoded", "files", "tables", "tokenizer"):
        digest.update(resources.files("elmo_cli.text").joinpath(f"{name}.py").read_bytes())
    return digest.hexdigest()


def records_of(experiment: Experiment, files: Sequence[Path]) -> Iterator[tuple[Path, Record]]:
    """Stream the texts of files, each with its file; `data.limit` holds for the training file alone."""
    for file in files:
        for record in islice(read_records(file, experiment.data, labelled=False), _limit(experiment, file)):
            yield file, record


def _texts(experiment: Experiment, files: Sequence[Path]) -> Iterator[str]:
    return (record.text for _, record in records_of(experiment, files))


def _limit(experiment: Experiment, file: Path) -> int | None:
    train = experiment.data.train
    return experiment.data.limit if train is not None and _same(file, train) else None


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
