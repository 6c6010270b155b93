"""Small files that ask for gigabytes or for ages: written here, read in a process of their own that is measured.

    python tests/fuzz/bombs.py [NAME ...]

A line of JSON for each: its bytes, how reading it ended, and what it took.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

sys.path.append(str(Path(__file__).resolve().parent))

from harness import say
from targets import exhaust, make_vocabulary
from whole import write_classifier, write_lm

from elmo_cli.config import DataSettings, ReadingSettings, TokenizerSettings, load_experiment
from elmo_cli.data.records import read_records
from elmo_cli.data.tagged import read_tagged
from elmo_cli.errors import ElmoError
from elmo_cli.inference.embed import read_dump
from elmo_cli.interop.bilm_options import read_options
from elmo_cli.report.reported import read_runs
from elmo_cli.runs import load_classifier, load_lm
from elmo_cli.text.tokenizer import Tokenizer
from elmo_cli.text.vocabulary import Vocabulary
from elmo_cli.vectors.formats import read_vectors

MEBIBYTE = 1 << 20
Write = Callable[[Path], object]
Read = Callable[[Path], object]


def texts(path: Path) -> None:
    """Read a file of texts."""
    exhaust(read_records(path, DataSettings(), labelled=False))


def sentences(path: Path) -> None:
    """Read a file of tagged sentences."""
    exhaust(read_tagged(path, ReadingSettings()))


def pack(pieces: Sequence[bytes]) -> Write:
    """Gzip of these, one after the other."""

    def write(path: Path) -> None:
        with gzip.open(path, "wb") as file:
            for piece in pieces:
                file.write(piece)

    return write


def parquet(name: str, count: int, length: int, lists: bool = False) -> Write:
    """A text that stands once in the file and in many rows."""

    def write(path: Path) -> None:
        import pyarrow
        from pyarrow.parquet import write_table

        indices = pyarrow.array(np.zeros(count, np.int32))
        column: Any = pyarrow.DictionaryArray.from_arrays(indices, pyarrow.array(["x" * length]))
        if lists:
            column = pyarrow.ListArray.from_arrays(pyarrow.array([0, count], pyarrow.int32()), column)
        write_table(pyarrow.table({name: column}), path, compression="zstd")

    return write


def unwritten(path: Path) -> None:
    """A dataset of 5 GB of which no chunk was written."""
    import h5py

    with h5py.File(path, "w") as file:
        file.create_dataset("0", (50_000, 25_000), "f4", chunks=(100, 100), compression="gzip")


def endless(path: Path) -> None:
    """A file that never ends."""
    path.symlink_to("/dev/zero")


def options(**lstm: object) -> Write:
    """options.json with odd sizes."""
    return lambda path: path.write_text(json.dumps({"lstm": {"dim": 4, "projection_dim": 4, **lstm}}))


def lm(**model: object) -> Write:
    """An LM run whose `run.yaml` speaks of another model than its weights."""

    def write(path: Path) -> None:
        write_lm(path.parent)
        (path.parent / "lm").rename(path)
        description = yaml.safe_load((path / "run.yaml").read_text())
        description["embedder"]["model"] |= model
        (path / "run.yaml").write_text(yaml.safe_dump(description))

    return write


def large_head(path: Path) -> None:
    """A classifier run whose `run.yaml` speaks of another head than its weights."""
    write_classifier(path.parent)
    (path.parent / "c").rename(path)
    description = yaml.safe_load((path / "run.yaml").read_text())
    description["classify"]["hidden_size"] = 1 << 24
    (path / "run.yaml").write_text(yaml.safe_dump(description))


def replaced(name: str, write: Write) -> Write:
    """An LM run with one of its files replaced."""

    def made(path: Path) -> None:
        write_lm(path.parent)
        (path.parent / "lm").rename(path)
        (path / name).unlink(missing_ok=True)
        write(path / name)

    return made


def pattern(pattern: str, text: str) -> tuple[str, Write, Read]:
    """A vocabulary that says how text is cut, and a text to cut."""

    def write(path: Path) -> None:
        path.mkdir()
        vocabulary = make_vocabulary()
        vocabulary.tokenizer = TokenizerSettings(kind="regex", pattern=pattern)
        vocabulary.save(path)

    return "vocab", write, lambda path: Tokenizer(Vocabulary.load(path).tokenizer)(text)


LAUGHS = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{one}: &{one} [{', '.join([f'*{before}'] * 10)}]\n" for before, one in zip("abcdefgh", "bcdefghi", strict=True)
)
DEEP = "[" * 100_000

# name of the file, what writes it, what reads it
BOMBS: dict[str, tuple[str, Write, Read]] = {
    "an index of a pickle": ("v.kv", lambda path: path.write_bytes(b"\x80\x02Nr\xff\xff\xff\x7f."), read_vectors),
    "word2vec without a space": (
        "v.bin", lambda path: path.write_bytes(b"9 999999\n" + b"\xff" * (64 * MEBIBYTE)), read_vectors,
    ),
    "gzip of one line of numbers": ("v.gz", pack([b"a"] + [b" 1" * MEBIBYTE] * 200), read_vectors),
    "gzip of one line of text": ("t.txt.gz", pack([b"a" * MEBIBYTE] * 300), texts),
    "gzip of one field": ("t.csv.gz", pack([b'text,n\n"'] + [b"a" * MEBIBYTE] * 300), texts),
    "gzip of one object": ("t.jsonl.gz", pack([b'{"text": "'] + [b"a" * MEBIBYTE] * 300), texts),
    "gzip of one token": ("t.conll.gz", pack([b"a" * MEBIBYTE] * 300), sentences),
    "carriage returns alone": ("t.txt", lambda path: path.write_bytes(b"a\r" + b"a" * (100 * MEBIBYTE)), texts),
    "a Parquet dictionary": ("t.parquet", parquet("text", 1024, 5_600_000), texts),
    "a Parquet text": ("t.parquet", parquet("text", 1, 280_000_000), texts),
    "a Parquet list": ("t.parquet", parquet("tokens", 1024, 5_600_000, lists=True), sentences),
    "HDF5 chunks that were never written": ("d.hdf5", unwritten, lambda path: exhaust(read_dump(path))),
    "layers of options.json": ("options.json", options(n_layers=1_000_000), read_options),
    "layers of settings": (
        "elmo.yaml", lambda path: path.write_text("model: {layers: 10000000}"), load_experiment,
    ),
    "layers of a run": ("run", lm(layers=10_000_000), load_lm),
    "layers that the weights lack": ("run", lm(layers=128, hidden_size=1 << 15), load_lm),
    "a hidden size of a run": ("run", lm(hidden_size=1 << 24, projection_size=1 << 24), load_lm),
    "a head of a run": ("run", large_head, load_classifier),
    "characters of a run": ("run", lm(encoder="char", characters={"max_characters": 1 << 30}), load_lm),
    "a vocabulary that never ends": ("vocab.txt", endless, Vocabulary.load),
    "a vocabulary of one line": ("vocab.txt", lambda path: path.write_bytes(b"a" * (200 * MEBIBYTE)), Vocabulary.load),
    "settings that never end": ("elmo.yaml", endless, load_experiment),
    "a run.yaml that never ends": ("run", replaced("run.yaml", endless), load_lm),
    "results that never end": ("run", replaced("results.json", endless), lambda path: read_runs([path])),
    "results within each other": (
        "run", replaced("results.json", lambda path: path.write_text(DEEP)), lambda path: read_runs([path]),
    ),
    "a log within itself": (
        "run", replaced("metrics.jsonl", lambda path: path.write_text(DEEP + "\n")), lambda path: read_runs([path]),
    ),
    "aliases of settings": ("elmo.yaml", lambda path: path.write_text(LAUGHS), load_experiment),
    "aliases of a run": ("run", replaced("run.yaml", lambda path: path.write_text(LAUGHS)), load_lm),
    "settings within each other": ("elmo.yaml", lambda path: path.write_text(f"seed: {DEEP}"), load_experiment),
    "a pattern without an end": pattern(r"(a|aa)+$", "a" * 60 + "b"),
    "a pattern of repetitions": pattern(r"((a{1000}){1000}){1000}", "a"),
}  # fmt: skip


def measure(read: Read, path: Path) -> dict[str, Any]:
    """How reading a file ends, in a process that has read nothing yet."""
    before, began = peak(), time.process_time()
    try:
        read(path)
        error = "none"
    except ElmoError as caught:
        error = f"{type(caught).__name__}: {caught.message}"[:200]
    except (Exception, MemoryError) as caught:
        error = f"traceback: {type(caught).__name__}"
    return {"error": error, "megabytes": peak() - before, "seconds": round(time.process_time() - began, 2)}


def peak() -> int:
    """The most memory that this process had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def apart(work: Callable[[], object]) -> int:
    """Do something in a process of its own, which gets no more than 10 GB; returns how it ended."""
    process = os.fork()
    if process == 0:
        resource.setrlimit(resource.RLIMIT_AS, (10 << 30, 10 << 30))
        work()
        sys.stdout.flush()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def main(names: Sequence[str]) -> None:
    """Write and read bombs, each in processes of its own."""
    for name in names or BOMBS:
        file, write, read = BOMBS[name]
        with tempfile.TemporaryDirectory(prefix="elmo-bomb-") as made:
            path = Path(made) / file
            assert apart(lambda write=write, path=path: write(path)) == 0, name
            size = 0 if path.is_symlink() else sum(one.stat().st_size for one in [path, *path.rglob("*")])

            def work(name: str = name, read: Read = read, path: Path = path, size: int = size) -> None:
                say({"bomb": name, "bytes": size, **measure(read, path)})

            if code := apart(work):
                say({"bomb": name, "bytes": size, "error": f"ended with {code}", "megabytes": 0, "seconds": 0})


if __name__ == "__main__":
    main(sys.argv[1:])
