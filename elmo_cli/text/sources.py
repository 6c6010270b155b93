"""Which text an experiment learns from: what was given, else `data.corpus`, else the texts of `data.train`.

Files, or folders and patterns for the files in them. Never the test file and never the validation file: vocabulary,
static vectors and biLM all ask here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator, Sequence
from functools import cache, partial
from importlib import resources
from itertools import islice
from pathlib import Path
from unicodedata import unidata_version

from elmo_cli.config import Experiment, TokenizerSettings
from elmo_cli.data.folders import expand
from elmo_cli.data.formats import deciding_texts, format_of
from elmo_cli.data.formats.format import Record
from elmo_cli.data.records import read_records
from elmo_cli.errors import ConfigError
from elmo_cli.events import Notice, Progress, Tell, silent
from elmo_cli.text.encoded import EncodedCorpus, encode
from elmo_cli.text.parallel import encode_chunks, processes_for
from elmo_cli.text.shards import FORMAT, Fingerprints, load_or_write
from elmo_cli.text.tokenizer import Tokenizer

CACHE_FOLDER = ".cache"  # hidden beside the runs it belongs to: seen by who looks, gone with them
CACHED_FROM = 2 << 20  # bytes: less than that is tokenised again in a fraction of a second


def corpus_files(experiment: Experiment, paths: Sequence[Path] = (), tell: Tell = silent) -> tuple[Path, ...]:
    """The files to learn from; of folders and patterns all but the test and the validation file.

    They are `paths`, given on the command line, or those of the experiment.

    Raises:
        ConfigError: There are none, or a file that was named is the test or the validation file.
        DataError: A folder or a pattern holds no file.
    """
    data = experiment.data
    given = tuple(paths) or data.corpus or ((data.train,) if data.train else ())
    files = _without_held_out(experiment, given, expand(given), tell)
    if not files:
        expected = "files as arguments, or data.corpus or data.train in the settings"
        remedy = "name a file, or write an elmo.yaml with `elmo init`"
        raise ConfigError("no text was given", expected=expected, remedy=remedy)
    for role, key, taken in (("test", "test", data.test), ("validation", "valid", data.valid)):
        if any(_same(file, taken) for file in files):
            found, remedy = f"{taken} is the {role} file, which no model may learn from", f"change data.{key}"
            raise ConfigError(found, where=taken, expected="training text", remedy=f"give other files, or {remedy}")
    return files


def _without_held_out(
    experiment: Experiment, given: Sequence[Path], found: Sequence[Path], tell: Tell
) -> tuple[Path, ...]:
    """The files but for those held out, unless they were named themselves."""
    data = experiment.data
    held_out = {path.resolve() for path in (data.test, data.valid) if path is not None}
    left_out = [path for path in found if path not in given and held_out & {path.resolve(), *path.resolve().parents}]
    if left_out:
        names = " and ".join(str(path) for path in left_out)
        tell(Notice(f"{names} {'is' if len(left_out) == 1 else 'are'} held out, so nothing is learned from it"))
    return tuple(path for path in found if path not in left_out)


def encode_corpus(
    experiment: Experiment,
    files: Sequence[Path],
    tokenizer: TokenizerSettings,
    *,
    fingerprint: Fingerprints | None = None,
    tell: Tell = silent,
) -> EncodedCorpus:
    """Read and tokenise the text of files, folders and patterns; `data.limit` holds for the training file alone.

    What is large is tokenised once: it is kept in `.cache` in the folder of the runs, and mapped into memory from there
    by whoever needs the same text, read and tokenised in the same way. `fingerprint` may know the files already.

    Raises:
        DataError: A file cannot be read, or what is kept of it is damaged.
    """
    files = expand(files)
    size = sum(file.stat().st_size for file in files if file.is_file())
    if size < CACHED_FROM or not all(file.is_file() for file in files):
        return encode(_texts(experiment, files), Tokenizer(tokenizer))
    texts = partial(_texts, experiment, files, tell)
    fingerprint = fingerprint or cache_of(experiment)
    key = _key(experiment, files, tokenizer, [fingerprint(file) for file in files])

    def tokenise() -> Generator[EncodedCorpus, None, None]:
        yield from encode_chunks(texts(), tokenizer, processes_for(size), tell)
        for file in files:
            fingerprint.check(file)

    try:
        return load_or_write(fingerprint.folder / key, tokenise)
    except OSError as error:
        reason = f"the tokenised text cannot be kept in {fingerprint.folder} ({error.strerror})"
        tell(Notice(f"{reason}: it is held in memory"))
        return encode(texts(), Tokenizer(tokenizer))


def cache_of(experiment: Experiment) -> Fingerprints:
    """What remembers the fingerprints of an experiment's files, and in whose folder its tokenised text is."""
    return Fingerprints(experiment.output / CACHE_FOLDER)


def _key(experiment: Experiment, files: Sequence[Path], tokenizer: TokenizerSettings, fingerprints: list[str]) -> str:
    """A name for all that decides which tokens come out: content of the files, settings, and the code that reads."""
    facts: list[object] = [FORMAT, _code(), unidata_version, tokenizer.model_dump(mode="json")]
    for file, digest in zip(files, fingerprints, strict=True):
        settings = experiment.data.model_dump(mode="json", include=deciding_texts(file, experiment.data))
        packed = file.name.lower().endswith(".gz")
        facts += [digest, format_of(file).kind, packed, settings, _limit(experiment, file)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


@cache
def _code() -> str:
    """A digest of the modules between a file and its tokens: what an older version of them made is not used."""
    digest = hashlib.sha256()
    for room in ("elmo_cli.data", "elmo_cli.data.formats", "elmo_cli.text"):
        for module in sorted(resources.files(room).iterdir(), key=lambda entry: entry.name):
            if module.name.endswith(".py"):
                digest.update(module.read_bytes())
    return digest.hexdigest()


def records_of(experiment: Experiment, files: Sequence[Path], tell: Tell = silent) -> Iterator[tuple[Path, Record]]:
    """Stream the texts of files, of folders and of patterns, each with its file; see `encode_corpus`."""
    sizes = {file: file.stat().st_size if file.is_file() else 0 for file in expand(files)}
    done, total = 0, sum(sizes.values())

    def on_bytes(read: int) -> None:
        tell(Progress("reading", min(done + read, total), total, in_bytes=True))

    for file, size in sizes.items():
        records = read_records(file, experiment.data, labelled=False, on_bytes=on_bytes)
        for record in islice(records, _limit(experiment, file)):
            yield file, record
        on_bytes(size)
        done += size


def _texts(experiment: Experiment, files: Sequence[Path], tell: Tell = silent) -> Iterator[str]:
    return (record.text for _, record in records_of(experiment, files, tell))


def _limit(experiment: Experiment, file: Path) -> int | None:
    return experiment.data.limit if _same(file, experiment.data.train) else None


def _same(one: Path, other: Path | None) -> bool:
    return other is not None and one.resolve() == other.resolve()
