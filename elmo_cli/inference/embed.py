"""Embeddings of a text as a file, in one of the formats of `elmo_cli.inference.dump_formats`; HDF5 as bilm-tf has it.

The text is read in pieces, a batch is written while the next one is computed, and documents beyond the budget are run
in windows with the state carried on: memory follows the budget, and neither the corpus nor, in HDF5, its longest
document.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elmo_cli.config import Precision, TokenizerSettings
from elmo_cli.devices import check_precision
from elmo_cli.disk import refuse_target, write_atomically
from elmo_cli.embedder import Embedder, Extractor
from elmo_cli.errors import DataError
from elmo_cli.inference.dump_formats import INDEX, Format, Place, format_of, open_sink
from elmo_cli.inference.dump_pieces import Piece, Plan, make_plan, read_pieces
from elmo_cli.inference.dump_writer import Dtype, Form, Layers, Pool, Writer
from elmo_cli.interop.hdf5 import Hdf5Reader
from elmo_cli.runs import Run, load_classifier, load_lm
from elmo_cli.text.encoded import EncodedCorpus, encode_tokens
from elmo_cli.text.tokenizer import Tokenizer

_NUMBER = re.compile("[0-9]{1,18}")
INDEX_CHARACTERS = 1 << 26  # of all sentences; their index is written only whole
STREAM = Path("-")  # stands for a stream in a report
# For the difference that a precision makes: sentences, and tokens of each.
COMPARED, COMPARED_TOKENS = 16, 128

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class EmbedReport:
    """What was written.

    Attributes:
        path: The file; `-` for a stream.
        format: Of the file.
        sentences: Sentences in it.
        tokens: Tokens of all sentences.
        layers: Layers of each sentence; 1 where one was chosen.
        width: Numbers in a vector.
        windowed: Sentences that were too long for the budget and so were run in windows.
        indexed: Whether `sentence_to_index` is in the file; it is left out beyond 64 million characters, and None where
            each row holds its text.
        precision: Of the matrix products.
        difference: With bfloat16, the largest difference to float32 of an activation, over some of the first sentences.
    """

    path: Path
    format: Format
    sentences: int
    tokens: int
    layers: int
    width: int
    windowed: int
    indexed: bool | None
    precision: Precision
    difference: float | None


def embed_run(
    run: Path,
    texts: Iterable[str],
    out: Place,
    *,
    format: Format | None = None,
    layers: Layers = "all",
    pool: Pool = "none",
    dtype: Dtype = "float32",
    precision: Precision = "float32",
    tokenizer: TokenizerSettings | None = None,
    stateful: bool = False,
    batch_size: int | None = None,
    batch_tokens: int | None = None,
    device: torch.device | str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> EmbedReport:
    """Embed sentences with a run and write them.

    Args:
        run: An LM run, or a classifier run, whose embedder is taken.
        texts: A sentence each; an empty one is kept, without tokens.
        out: The file, which is put in place when it is whole, or a stream, which takes each sentence as it comes.
        format: Of the file; None: as its ending says. A stream takes JSON lines.
        layers: All, the top one, their mean, or one by its number.
        pool: Over the tokens of a sentence; an empty sentence pools to zeros.
        dtype: Of the numbers in the file.
        precision: Of the LSTM's matrix products.
        tokenizer: In place of the run's own.
        stateful: Carry the LSTM state from batch to batch, row by row, as bilm-tf does; needs `batch_size`.
        batch_size: Sentences of a batch, in the order of the input.
        batch_tokens: Cells of a batch of sentences of similar length; this, at 4096, is what is done by default.
            Longer sentences are run in windows, with the same activations.
        device: Where to compute.
        overwrite: Replace the file where it exists.
        progress: Called with the sentences written, and with their number as soon as it is known.

    Raises:
        ConfigError: There is no such layer, the format cannot be told, the ways of batching contradict each other, the
            budget is too small for any sentence, or the device lacks the precision.
        RunError: The file exists, or the run cannot be used.
        DataError: There are no sentences.
    """
    kind = format_of(out, format)
    if isinstance(out, Path):
        refuse_target(out, overwrite)
    check_precision(precision, device)
    plan = make_plan(batch_size, batch_tokens, stateful, ordered=kind in ("parquet", "jsonl"))
    embedder = load_embedder(run)
    form = Form(embedder.layer_count, embedder.width, layers, pool, dtype)
    pieces = read_pieces(texts, Tokenizer(tokenizer or embedder.tokenizer), plan)
    first = next(pieces, None)
    if first is None:
        raise DataError("there is nothing to embed", expected="a sentence a line", remedy="give sentences, a line each")
    difference = None
    if precision != "float32":
        difference = precision_difference(embedder, first.corpus, precision, device)
    tally = _Tally()

    def fill(place: Place) -> None:
        # Outside of the executor, so that the file is closed when its last write has ended.
        with open_sink(place, kind, dtype) as sink, ThreadPoolExecutor(1) as thread:
            tally.names = {} if sink.indexed else None
            extractor = Extractor(embedder, device, stateful=stateful, precision=precision)
            waiting: Future[int] | None = None
            for piece in chain([first], pieces):
                writer = Writer(sink, form, piece.texts, piece.corpus, tally.sentences)
                tally.add(piece, plan)
                for parts in extractor.parts(piece.corpus, plan.batches(piece.corpus), plan.max_cells):
                    previous, waiting = waiting, thread.submit(writer.write, parts)
                    tally.advance(previous, progress)
            tally.total = tally.sentences
            tally.advance(waiting, progress)
            sink.close(tally.names)

    if isinstance(out, Path):
        write_atomically(out, fill)
    else:
        fill(out)
    return EmbedReport(
        path=out if isinstance(out, Path) else STREAM,
        format=kind,
        sentences=tally.sentences,
        tokens=tally.tokens,
        layers=embedder.layer_count if layers == "all" else 1,
        width=embedder.width,
        windowed=tally.windowed,
        indexed=tally.names is not None if kind in ("hdf5", "npz") else None,
        precision=precision,
        difference=difference,
    )


@dataclass
class _Tally:
    """What was read, and what of it was written."""

    sentences: int = 0
    tokens: int = 0
    windowed: int = 0
    names: dict[str, str] | None = field(default_factory=dict)  # None: too many
    total: int | None = None
    written: int = 0
    characters: int = 0

    def add(self, piece: Piece, plan: Plan) -> None:
        """Count a piece before it is run."""
        self.characters += sum(map(len, piece.texts))
        if self.characters > INDEX_CHARACTERS:
            self.names = None
        if self.names is not None:
            names = (str(number) for number in range(self.sentences, self.sentences + len(piece.texts)))
            self.names |= zip((text.strip() for text in piece.texts), names, strict=True)
        self.sentences += len(piece.texts)
        self.tokens += piece.corpus.token_count
        rows = plan.batch_size or plan.rows
        self.windowed += int((piece.corpus.lengths + 2 > plan.max_cells // rows).sum())
        self.total = self.sentences if piece.last else None

    def advance(self, batch: Future[int] | None, progress: Progress | None) -> None:
        """Wait until a batch is written, and pass on what went wrong with it."""
        if batch is not None:
            self.written += batch.result()
            if progress is not None:
                progress(self.written, self.total)


def precision_difference(
    embedder: Embedder, corpus: EncodedCorpus, precision: Precision, device: torch.device | str = "cpu"
) -> float:
    """The largest difference of an activation between a precision and float32, over some sentences of a corpus."""
    by_length = np.argsort(corpus.lengths, kind="stable")
    chosen = by_length[np.unique(np.linspace(0, len(by_length) - 1, COMPARED).astype(np.int64))]
    some = encode_tokens([[corpus.types[number] for number in corpus.sentence(i)[:COMPARED_TOKENS]] for i in chosen])
    one, other = (
        next(Extractor(embedder, device, precision=each).batches(some, [np.arange(len(some))]))[1]
        for each in ("float32", precision)
    )
    return float((one - other).abs().max()) if one.numel() else 0.0


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
    for indices, layers, lengths in Extractor(embedder, device, stateful=stateful).batches(corpus, batches):
        for row, (index, length) in enumerate(zip(indices.tolist(), lengths.tolist(), strict=True)):
            yield index, layers[:, row, :length]


def read_dump(path: Path) -> Iterator[tuple[int, NDArray[np.floating[Any]]]]:
    """The sentences of an embedding file in the order of their numbers.

    Raises:
        DataError: The file is missing, no HDF5, or has a dataset that is no sentence or does not lie whole in it.
    """
    remedy = "give the HDF5 file that was computed from these sentences"
    with Hdf5Reader(path, DataError, remedy) as file:
        names = [name for name in file.names() if name != INDEX]
        other = next((name for name in names if not _NUMBER.fullmatch(name)), None)
        if other is not None or not names:
            found = f"{path} has a dataset {other[:80]!r}" if other else f"{path} holds no sentences"
            raise DataError(found, where=path, expected="datasets 0, 1, ...: embeddings of a text", remedy=remedy)
        for name in sorted(names, key=int):
            yield int(name), file.read(name)
