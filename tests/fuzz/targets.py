"""Every reader of files that may come from strangers: small whole files of its format, and how it reads them."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE), *(str(HERE.parent / room) for room in ("", "interop", "model", "ngrams"))]

import many_langs_files  # noqa: E402
from bilm_files import Shape, make  # noqa: E402
from tinyworld import TOKENIZER, make_texts, make_vocabulary  # noqa: E402
from whole import (  # noqa: E402
    binary_vectors,
    course,
    keyed,
    packed,
    parquet_sentences,
    parquet_texts,
    text_vectors,
    write_classifier,
    write_hdf5,
    write_lm,
    write_tagger,
    zipped,
)

from elmo_cli.config import (  # noqa: E402
    DataSettings,
    ReadingSettings,
    TokenizerSettings,
    load_experiment,
)
from elmo_cli.data.records import read_records  # noqa: E402
from elmo_cli.data.tagged import read_tagged  # noqa: E402
from elmo_cli.inference.embed import read_dump  # noqa: E402
from elmo_cli.interop.bilm_tf import load_bilm_tf  # noqa: E402
from elmo_cli.interop.importing import import_run  # noqa: E402
from elmo_cli.interop.many_langs import read_many_langs  # noqa: E402
from elmo_cli.report.reported import read_runs  # noqa: E402
from elmo_cli.runs import (  # noqa: E402
    load_classifier,
    load_lm,
    load_tagger,
)
from elmo_cli.text.encoded import encode  # noqa: E402
from elmo_cli.text.shards import FILES, HEADER, open_corpus, write_corpus  # noqa: E402
from elmo_cli.text.tokenizer import Tokenizer  # noqa: E402
from elmo_cli.text.vocabulary import Vocabulary  # noqa: E402
from elmo_cli.training.pretrain import pretrain_run  # noqa: E402
from elmo_cli.vectors.formats import read_vectors  # noqa: E402


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        write: Writes whole files into a folder.
        names: Those of them that are damaged, one at a time.
        read: Reads what lies in a folder.
        changes: Whether reading changes the folder.
    """

    write: Callable[[Path], object]
    names: tuple[str, ...]
    read: Callable[[Path], object]
    changes: bool = False


def exhaust(items: Iterable[object]) -> None:
    """Read a stream to its end."""
    for _ in items:
        pass


def vectors(name: str, write: Callable[[Path], object], *beside: str) -> Target:
    """A file of static vectors."""
    return Target(lambda folder: write(folder / name), (name, *beside), lambda folder: read_vectors(folder / name))


def texts(name: str, content: bytes | Callable[[Path], object], **reading: object) -> Target:
    """A file of texts and labels, read with and without the labels."""
    settings = DataSettings.model_validate(reading)
    has_labels = not name.endswith(".txt")

    def read(folder: Path) -> None:
        for labelled in (False, True)[: 1 + has_labels]:
            exhaust(read_records(folder / name, settings, labelled=labelled))

    return Target(lambda folder: put(folder / name, content), (name,), read)


def tagged(name: str, content: bytes | Callable[[Path], object]) -> Target:
    """A file of tagged sentences."""
    return Target(
        lambda folder: put(folder / name, content),
        (name,),
        lambda folder: exhaust(read_tagged(folder / name, ReadingSettings())),
    )


def put(path: Path, content: bytes | Callable[[Path], object]) -> None:
    """Write a file, or have it written."""
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)


def import_into(folder: Path, name: str) -> None:
    """Import a model, into a run that goes again."""
    try:
        import_run(folder / name, folder / "run")
    finally:
        shutil.rmtree(folder / "run", ignore_errors=True)


RESUMED = {
    "preset": "tiny", "tokenizer.kind": "whitespace", "vocab.min_count": 1, "model.hidden_size": 4,
    "pretrain.batch_size": 2, "pretrain.window": 5, "pretrain.epochs": 1, "pretrain.checkpoint_minutes": 1e-9,
}  # fmt: skip


def pretrain(folder: Path, resume: bool) -> None:
    """Some steps of a training that is stopped, or the first of one that goes on."""
    given = [f"{key}={json.dumps(value)}" for key, value in {**RESUMED, "output": str(folder)}.items()]
    steps = iter([False] * 3)
    events = pretrain_run(
        load_experiment(None, given), [folder / "c.txt"], resume=resume, device="cpu", stop=lambda: next(steps, True)
    )
    exhaust(events)


def write_stopped(folder: Path) -> None:
    """A training that was stopped, with its `state/`."""
    (folder / "c.txt").write_text("".join(f"{text}\n" for _, text in make_texts(30)))
    pretrain(folder, resume=False)
    tensors = next((folder / "lm" / "state").glob("tensors-*"))
    record = json.loads((folder / "lm" / "state" / "state.json").read_text())
    record["tensors"] = "state/tensors.safetensors"  # a name that does not depend on the step
    tensors.rename(tensors.with_name("tensors.safetensors"))
    (folder / "lm" / "state" / "state.json").write_text(json.dumps(record))


def read_shards(folder: Path) -> None:
    """Open a corpus and read all of it."""
    corpus = open_corpus(folder / "corpus")
    list(corpus.types)
    corpus.counts().sum()
    for number in range(len(corpus)):
        corpus.tokens[corpus.offsets[number] : corpus.offsets[number + 1]].sum()
    make_vocabulary().lookup(corpus.types)


CSV = b'label,text,n\nsports,"a match, of the team",1\nmoney,"the ""bank""\nsaid",2\n' * 3
CONLLU = (
    "# text = The match\n1\tThe\tthe\tDET\tDT\t_\t2\tdet\t_\t_\n2-3\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n"
    "2\tmatch\tmatch\tNOUN\tNN\t_\t0\troot\t_\t_\n\n"
)
LINES = b'{"label": "sports", "text": "a match \\u00fc", "n": 1}\n{"label": "money", "text": "the bank", "n": null}\n'
YAML = b"""preset: tiny
seed: 3
model:
  layers: 2
  characters: {filters: [[1, 2]]}
classify: &a {epochs: 2}
tag: *a
"""

TARGETS: dict[str, Target] = {
    "word2vec text": vectors("v.txt", lambda path: path.write_bytes(text_vectors(True))),
    "GloVe text": vectors("v.vec", lambda path: path.write_bytes(text_vectors(False))),
    "word2vec binary": vectors("v.bin", lambda path: path.write_bytes(binary_vectors())),
    "word2vec gzip": vectors("v.gz", lambda path: path.write_bytes(zipped(text_vectors(True)))),
    "KeyedVectors": vectors("v.kv", keyed),
    "KeyedVectors and npy": vectors("w.kv", lambda path: keyed(path, beside=True), "w.kv.vectors.npy"),
    "torch": vectors("v.pt", lambda path: course(path, new=True)),
    "old torch": vectors("old.pt", lambda path: course(path, new=False)),
    "HDF5 model": Target(
        lambda folder: make(Shape()).write(folder),
        ("weights.hdf5", "options.json"),
        lambda folder: load_bilm_tf(folder / "options.json", folder / "weights.hdf5"),
    ),
    "ELMoForManyLangs": Target(
        lambda folder: many_langs_files.make().write(folder),
        ("encoder.pkl", "token_embedder.pkl", "arch.json", "config.json", "word.dic", "char.dic"),
        read_many_langs,
    ),
    "zip": Target(lambda folder: packed(folder / "m.zip"), ("m.zip",), lambda folder: import_into(folder, "m.zip")),
    "tar": Target(
        lambda folder: packed(folder / "m.tar.gz"), ("m.tar.gz",), lambda folder: import_into(folder, "m.tar.gz")
    ),
    "HDF5 dump": Target(
        lambda folder: write_hdf5(folder / "d.hdf5"), ("d.hdf5",), lambda folder: exhaust(read_dump(folder / "d.hdf5"))
    ),
    "Parquet": texts("t.parquet", parquet_texts),
    "CSV": texts("t.csv", CSV),
    "TSV": texts("t.tsv", CSV.replace(b",", b"\t")),
    "CSV gzip": texts("t.csv.gz", zipped(CSV)),
    "JSON lines": texts("t.jsonl", LINES * 3),
    "text": texts("t.txt", b"a match of the team\nthe bank said \xc3\xbc\n"),
    "UTF-16": texts("u.txt", "a match\nthe bank\n".encode("utf-16"), encoding="utf-16"),
    "CoNLL": tagged("t.conll", b"-DOCSTART- O\n\nThe DT O\nmatch NN B-X\n\nA DT O\n\n"),
    "CoNLL-U": tagged("t.conllu", CONLLU.encode() * 2),
    "tagged JSON": tagged("t.jsonl", b'{"tokens": ["The", "match"], "tags": ["DT", "NN"]}\n' * 2),
    "tagged Parquet": tagged("t.parquet", parquet_sentences),
    "settings": Target(
        lambda folder: put(folder / "elmo.yaml", YAML),
        ("elmo.yaml",),
        lambda folder: load_experiment(folder / "elmo.yaml"),
    ),
    "vocabulary": Target(
        lambda folder: make_vocabulary().save(folder),
        ("vocab.txt", "vocab.yaml"),
        lambda folder: Tokenizer(Vocabulary.load(folder).tokenizer)("a match"),
    ),
    "pattern": Target(
        lambda folder: put(folder / "p", rb"(?:[^\W\d_]+|\w{1,3})(?=\s|$)|[^\w\s]"),
        ("p",),
        lambda folder: Tokenizer(
            TokenizerSettings(kind="regex", pattern=(folder / "p").read_bytes().decode("latin-1"))
        )("aaaa, 12 of aaaaaaaaaaaaaaaaaaaaaaaaaaaaab" * 9),
    ),
    "LM run": Target(
        write_lm,
        ("lm/run.yaml", "lm/model.safetensors", "lm/vocab.txt", "lm/vocab.yaml"),
        lambda folder: load_lm(folder / "lm"),
    ),
    "classifier run": Target(
        write_classifier,
        ("c/run.yaml", "c/model.safetensors", "c/ngrams.safetensors"),
        lambda folder: load_classifier(folder / "c"),
    ),
    "tagger run": Target(
        write_tagger, ("t/run.yaml", "t/model.safetensors", "t/words.json"), lambda folder: load_tagger(folder / "t")
    ),
    "reported LM": Target(
        write_lm,
        ("lm/run.yaml", "lm/results.json", "lm/metrics.jsonl"),
        lambda folder: read_runs([folder / "lm"]),
    ),
    "reported classifier": Target(
        write_classifier, ("c/results.json", "c/predictions.csv"), lambda folder: read_runs([folder / "c"])
    ),
    "state": Target(
        write_stopped,
        ("lm/state/state.json", "lm/state/tensors.safetensors", "lm/run.yaml"),
        lambda folder: pretrain(folder, resume=True),
        changes=True,
    ),
    "shards": Target(
        lambda folder: write_corpus(
            folder / "corpus", [encode([text for _, text in make_texts(9)], Tokenizer(TOKENIZER))]
        ),
        tuple(f"corpus/{name}" for name in (HEADER, *FILES)),
        read_shards,
    ),
}
