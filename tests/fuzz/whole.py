"""Small whole files of every format, as honest programs write them."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE.parent / room) for room in ("", "interop", "model", "ngrams")]

from bilm_files import Shape, make  # noqa: E402
from ngramworld import fitted  # noqa: E402
from tinyworld import make_bilm, make_static, make_texts  # noqa: E402

from elmo_cli.config import (  # noqa: E402
    ClassifySettings,
    DataSettings,
    TagSettings,
)
from elmo_cli.data.tag_set import TagSet  # noqa: E402
from elmo_cli.model.classifier import Classifier  # noqa: E402
from elmo_cli.model.tagger import make_tagger  # noqa: E402
from elmo_cli.ngrams.joint import NgramBranch  # noqa: E402
from elmo_cli.runs import (  # noqa: E402
    RunWriter,
    save_classifier,
    save_lm,
    save_tagger,
)

WORDS = ["match", "goal", "über", "the"]
MATRIX = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)


def text_vectors(header: bool) -> bytes:
    """word2vec or GloVe text."""
    lines = [f"{word} " + " ".join(map(str, row)) for word, row in zip(WORDS, MATRIX.tolist(), strict=True)]
    return "\n".join(["4 3"] * header + lines + [""]).encode()


def binary_vectors() -> bytes:
    """word2vec's binary format."""
    rows = [f"{word} ".encode() + row.tobytes() + b"\n" for word, row in zip(WORDS, MATRIX, strict=True)]
    return b"4 3\n" + b"".join(rows)


def keyed(path: Path, beside: bool = False) -> None:
    """Gensim's KeyedVectors."""
    from gensim.models import KeyedVectors

    made = KeyedVectors(3)
    made.add_vectors(WORDS, MATRIX)
    made.save(str(path), **({"sep_limit": 0, "separately": ["vectors"]} if beside else {}))


def course(path: Path, new: bool) -> None:
    """A `.pt` dictionary of a course."""
    content = {"word_embeddings": torch.from_numpy(MATRIX), "words_to_ind": {one: row for row, one in enumerate(WORDS)}}
    torch.save(content, path, _use_new_zipfile_serialization=new)


def packed(path: Path) -> None:
    """A model in an archive."""
    folder = make(Shape()).write(path.with_name("whole"))
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(folder.iterdir()):
                archive.write(file, f"model/{file.name}")
    else:
        with tarfile.open(path, "w:gz") as tar:
            tar.add(folder, "model")
    shutil.rmtree(folder)


def parquet_texts(path: Path) -> None:
    """Texts, labels and numbers in two row groups."""
    import pyarrow
    from pyarrow.parquet import write_table

    rows = make_texts(20)
    columns = {"label": [label for label, _ in rows], "text": [text for _, text in rows], "n": list(range(20))}
    features = {"info": {"features": {"n": {"_type": "ClassLabel", "names": ["a", "b"]}}}}
    table = pyarrow.table(columns).replace_schema_metadata({"huggingface": json.dumps(features)})
    write_table(table, path, row_group_size=10, compression="snappy")


def parquet_sentences(path: Path) -> None:
    """Lists of words and of tags."""
    import pyarrow
    from pyarrow.parquet import write_table

    rows = [text.split() for _, text in make_texts(8)]
    table = pyarrow.table({"tokens": rows, "tags": [["O"] * len(row) for row in rows]})
    write_table(table, path, compression="gzip")


def write_lm(folder: Path) -> None:
    """An LM run."""
    embedder = make_bilm()
    with RunWriter(folder / "lm", "lm", "elmo pretrain") as writer:
        writer.describe({"seed": 1}, {"corpus": [{"name": "a.txt", "fingerprint": "sha256:0"}]})
        save_lm(writer, embedder.network, embedder.vocabulary)
        writer.write_json("results.json", {"perplexity": 3.5, "steps": 4})
        writer.log({"event": "step", "epoch": 1, "step": 4, "loss": 2.0})


def write_classifier(folder: Path) -> None:
    """A classifier run with its branch of n-grams."""
    embedder, settings = make_static(), ClassifySettings(hidden_size=3)
    classifier = Classifier(embedder.network, settings, 2, seed=5)
    branch = NgramBranch(fitted().classifier, (0.5, 0.5))
    with RunWriter(folder / "c", "classifier", "elmo classify") as writer:
        save_classifier(writer, [classifier], embedder, ["yes", "no"], settings, DataSettings(), branch)
        writer.write_json("results.json", {"accuracy": 0.5})
        writer.write_text("predictions.csv", "label,predicted,p(yes),p(no),text\nyes,no,0.4,0.6,a match\n")


def write_tagger(folder: Path) -> None:
    """A tagger run."""
    embedder, settings, tags = make_bilm(), TagSettings(lstm_size=3), TagSet("iob2", ("PER",))
    tagger = make_tagger(embedder.network, settings, tags)
    with RunWriter(folder / "t", "tagger", "elmo tag") as writer:
        save_tagger(writer, tagger, embedder, tags, settings, DataSettings(), ["match"])


def zipped(content: bytes) -> bytes:
    """Gzip without a date."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as file:
        file.write(content)
    return buffer.getvalue()


def write_hdf5(path: Path) -> None:
    """Vectors as `elmo embed` writes them."""
    import h5py

    with h5py.File(path, "w") as file:
        file["0"], file["1"] = np.ones((2, 3), np.float32), np.ones((1, 3), np.float32)
