"""Embeddings of a text as an HDF5 file, laid out as bilm-tf and AllenNLP lay it out.

Dataset "0", "1", ... is the sentence of that line: all layers (L + 1, T, W), one of them or their mean (T, W), and
without T where tokens are pooled. `sentence_to_index`, shape (1,), is a JSON string from sentence to dataset name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elmo_cli.config import TokenizerSettings
from elmo_cli.embedder import Embedder, embed_batches
from elmo_cli.errors import ConfigError, DataError, RunError
from elmo_cli.runs import Run, load_classifier, load_lm
from elmo_cli.runs.files import write_atomically
from elmo_cli.text.batches import length_batches
from elmo_cli.text.encoded import EncodedCorpus, encode
from elmo_cli.text.tokenizer import Tokenizer

INDEX = "sentence_to_index"
DEFAULT_BATCH_TOKENS = 4096

Layers = Literal["all", "top", "average"] | int
Pool = Literal["none", "mean", "max"]
Dtype = Literal["float32", "float16"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class EmbedReport:
    """What was written.

    Attributes:
        path: The file.
        sentences: Datasets of sentences in it.
        tokens: Tokens of all sentences.
        layers: Layers of each dataset; 1 where one was chosen.
        width: Numbers in a vector.
    """

    path: Path
    sentences: int
    tokens: int
    layers: int
    width: int


def embed_run(
    run: Path,
    texts: Iterable[str],
    out: Path,
    *,
    layers: Layers = "all",
    pool: Pool = "none",
    dtype: Dtype = "float32",
    tokenizer: TokenizerSettings | None = None,
    stateful: bool = False,
    batch_size: int | None = None,
    batch_tokens: int | None = None,
    device: torch.device | str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> EmbedReport:
    """Embed sentences with a run and write them as HDF5.

    Args:
        run: An LM run, or a classifier run, whose embedder is taken.
        texts: A sentence each; an empty one is kept, as a dataset without tokens.
        out: The file; it is put in place when it is whole.
        layers: All, the top one, their mean, or one by its number.
        pool: Over the tokens of a sentence; an empty sentence pools to zeros.
        dtype: Of the numbers in the file.
        tokenizer: In place of the run's own.
        stateful: Carry the LSTM state from batch to batch, row by row, as bilm-tf does; needs `batch_size`.
        batch_size: Sentences of a batch, in the order of the input.
        batch_tokens: Cells of a batch of sentences of similar length; this, at 4096, is what is done by default.
        device: Where to compute.
        overwrite: Replace the file where it exists.
        progress: Called with the sentences done and the sentences to do.

    Raises:
        ConfigError: There is no such layer, or the ways of batching contradict each other.
        RunError: The file exists, or the run cannot be used.
        DataError: There are no sentences.
    """
    if out.exists() and not overwrite:
        raise RunError(f"{out} exists already", where=out, remedy="give --overwrite, or another --out")
    if batch_size is not None and batch_tokens is not None:
        raise ConfigError("--batch-size and --batch-tokens exclude each other", expected="one of them")
    if stateful and batch_size is None:
        raise ConfigError(
            "--stateful needs --batch-size: which sentences follow each other depends on it", expected="--batch-size N"
        )
    embedder = load_embedder(run)
    choose = _chooser(layers, embedder.layer_count)
    sentences = list(texts)
    if not sentences:
        raise DataError("there is nothing to embed", expected="a sentence a line")
    corpus = encode(sentences, Tokenizer(tokenizer or embedder.tokenizer))
    batches = _batches(corpus, batch_size, batch_tokens or DEFAULT_BATCH_TOKENS)
    activations = embed_sentences(embedder, corpus, batches, device, stateful=stateful)

    def fill(beside: Path) -> None:
        with h5py.File(beside, "w") as file:
            for done, (index, tokens) in enumerate(activations, start=1):
                values = _pooled(choose(tokens), pool).cpu().numpy()
                file.create_dataset(str(index), data=values, dtype=dtype)
                if progress is not None:
                    progress(done, len(sentences))
            names = {sentence.strip(): str(index) for index, sentence in enumerate(sentences)}
            content = json.dumps(names, ensure_ascii=False)
            file.create_dataset(INDEX, (1,), dtype=h5py.string_dtype("utf-8"), data=[content])

    write_atomically(out, fill)
    written = embedder.layer_count if layers == "all" else 1
    return EmbedReport(out, len(sentences), corpus.token_count, written, embedder.width)


def load_embedder(run: Path) -> Embedder:
    """The embedder of an LM run or of a classifier run.

    Raises:
        RunError: The run holds neither.
    """
    if Run.open(run).kind == "classifier":
        return load_classifier(run).embedder
    return load_lm(run)


def embed_sentences(
    embedder: Embedder,
    corpus: EncodedCorpus,
    batches: Iterable[NDArray[np.int64]],
    device: torch.device | str = "cpu",
    *,
    stateful: bool = False,
) -> Iterator[tuple[int, Tensor]]:
    """Activations (L, T, W) of each sentence with its index, in the order of the batches."""
    for indices, layers, lengths in embed_batches(embedder, corpus, batches, device, stateful=stateful):
        for row, (index, length) in enumerate(zip(indices.tolist(), lengths.tolist(), strict=True)):
            yield index, layers[:, row, :length]


def read_dump(path: Path) -> Iterator[tuple[int, NDArray[np.floating[Any]]]]:
    """The sentences of an embedding file in the order of their numbers.

    Raises:
        DataError: The file is missing, no HDF5, or has a dataset that is no sentence.
    """
    try:
        with h5py.File(path, "r") as file:
            names = [name for name in file if name != INDEX]
            other = next((name for name in names if not name.isdecimal()), None)
            if other is not None or not names:
                found = f"{path} has a dataset '{other}'" if other else f"{path} holds no sentences"
                raise DataError(found, where=path, expected="datasets 0, 1, ...: embeddings of a text")
            for name in sorted(names, key=int):
                yield int(name), file[name][()]
    except OSError as error:
        reason = "there is no file" if not path.exists() else "no whole HDF5 file:"
        raise DataError(f"{reason} {path}", where=path, expected="embeddings that `elmo embed` wrote") from error


def in_order(corpus: EncodedCorpus, batch_size: int) -> list[NDArray[np.int64]]:
    """Batches of so many sentences in the order of the corpus."""
    everything = np.arange(len(corpus))
    return [everything[start : start + batch_size] for start in range(0, len(corpus), batch_size)]


def _batches(corpus: EncodedCorpus, batch_size: int | None, batch_tokens: int) -> Sequence[NDArray[np.int64]]:
    if batch_size is not None:
        return in_order(corpus, batch_size)
    return length_batches(corpus.lengths + 2, batch_tokens)


def _chooser(layers: Layers, count: int) -> Callable[[Tensor], Tensor]:
    """From (L, T, W) to the layers that are wanted."""
    if layers == "all":
        return lambda activations: activations
    if layers == "average":
        return lambda activations: activations.mean(dim=0)
    number = count - 1 if layers == "top" else int(layers)
    if not 0 <= number < count:
        raise ConfigError(f"there is no layer {number}", expected=f"all, top, average, or 0 to {count - 1}")
    return lambda activations: activations[number]


def _pooled(activations: Tensor, pool: Pool) -> Tensor:
    """(..., T, W) as it is, or over its tokens (..., W)."""
    if pool == "none":
        return activations
    if not activations.shape[-2]:
        return activations.new_zeros(*activations.shape[:-2], activations.shape[-1])
    return activations.mean(dim=-2) if pool == "mean" else activations.amax(dim=-2)
