"""Embeddings of a text: as a file, in one of the formats of `elmo_cli.inference.dump_formats`, or as arrays.

The text is read in pieces, a batch is written while the next one is computed, and documents beyond the budget are run
in windows with the state carried on: memory follows the budget, and neither the corpus nor, in HDF5, its longest
document.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from elmo_cli.config import Precision, TokenizerSettings
from elmo_cli.config.choices import Dtype, DumpFormat, DumpPooling
from elmo_cli.devices import check_precision
from elmo_cli.disk import refuse_target, write_atomically
from elmo_cli.embedder import Embedder, Extractor
from elmo_cli.errors import DataError
from elmo_cli.events import Progress, Tell, silent
from elmo_cli.inference.assembly import Assembly, Layers, Selection
from elmo_cli.inference.batching import Batching, Piece
from elmo_cli.inference.dump_formats import FORMATS, INDEX, Place, format_of
from elmo_cli.interop.hdf5 import Hdf5Reader
from elmo_cli.runs import load_embedder
from elmo_cli.text.encoded import EncodedCorpus, encode_tokens
from elmo_cli.text.tokenizer import Tokenizer

_NUMBER = re.compile("[0-9]{1,18}")
INDEX_CHARACTERS = 1 << 26  # of all sentences; their index is written only whole
STREAM = Path("-")  # stands for a stream in a report
# For the difference that a precision makes: sentences, and tokens of each.
COMPARED, COMPARED_TOKENS = 16, 128


@dataclass(frozen=True)
class EmbedOptions:
    """What is written of sentences, and how it is computed.

    Attributes:
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
    """

    format: DumpFormat | None = None
    layers: Layers = "all"
    pool: DumpPooling = "none"
    dtype: Dtype = "float32"
    precision: Precision = "float32"
    tokenizer: TokenizerSettings | None = None
    stateful: bool = False
    batch_size: int | None = None
    batch_tokens: int | None = None


@dataclass(frozen=True)
class EmbedReport:
    """What was written."""

    path: Path  # `-` for a stream
    format: DumpFormat
    sentences: int
    tokens: int
    layers: int  # of each sentence; 1 where one was chosen
    width: int
    windowed: int  # sentences that were too long for the budget and so were run in windows
    indexed: bool | None  # whether `sentence_to_index` is in the file; None where each row holds its text
    precision: Precision
    difference: float | None  # with bfloat16, the largest to float32 of an activation, over some first sentences


def embed_run(
    run: Path,
    texts: Iterable[str],
    out: Place,
    options: EmbedOptions = EmbedOptions(),
    *,
    device: torch.device | str = "cpu",
    overwrite: bool = False,
    tell: Tell = silent,
) -> EmbedReport:
    """Embed sentences with a run and write them.

    Args:
        run: An LM run, or a classifier run, whose embedder is taken.
        texts: A sentence each; an empty one is kept, without tokens.
        out: The file, which is put in place when it is whole, or a stream, which takes each sentence as it comes.
        options: What is written, and how it is computed.
        device: Where to compute.
        overwrite: Replace the file where it exists.
        tell: Told the sentences that are written, and their number as soon as it is known.

    Raises:
        ConfigError: There is no such layer, the format cannot be told, the ways of batching contradict each other, the
            budget is too small for any sentence, or the device lacks the precision.
        RunError: The file exists, or the run cannot be used.
        DataError: There are no sentences.
    """
    kind = format_of(out, options.format)
    if isinstance(out, Path):
        refuse_target(out, overwrite)
    check_precision(options.precision, device)
    batching = Batching(options.batch_size, options.batch_tokens, options.stateful, FORMATS[kind].ordered)
    embedder = load_embedder(run)
    count, width = embedder.layer_count, embedder.width
    selection = Selection(count, width, options.layers, options.pool, options.dtype)
    pieces = batching.pieces(texts, Tokenizer(options.tokenizer or embedder.tokenizer))
    first = next(pieces, None)
    if first is None:
        raise DataError("there is nothing to embed", expected="a sentence a line", remedy="give sentences, a line each")
    difference = None
    if options.precision != "float32":
        difference = precision_difference(embedder, first.corpus, options.precision, device)
    extractor = Extractor(embedder, device, stateful=options.stateful, precision=options.precision)
    dump = _Dump(kind, extractor, selection, batching, tell)
    if isinstance(out, Path):
        write_atomically(out, lambda beside: dump.write(chain([first], pieces), beside))
    else:
        dump.write(chain([first], pieces), out)
    return EmbedReport(
        path=out if isinstance(out, Path) else STREAM,
        format=kind,
        sentences=dump.sentences,
        tokens=dump.tokens,
        layers=count if options.layers == "all" else 1,
        width=width,
        windowed=dump.windowed,
        indexed=dump.names is not None if FORMATS[kind].indexed else None,
        precision=options.precision,
        difference=difference,
    )


@dataclass
class _Dump:
    """A file while it is written, and what was read and written so far."""

    format: DumpFormat
    extractor: Extractor
    selection: Selection
    batching: Batching
    tell: Tell
    sentences: int = 0
    tokens: int = 0
    windowed: int = 0
    names: dict[str, str] | None = field(default_factory=dict)  # by text; None: too many to be kept
    characters: int = 0  # of the texts
    total: int | None = None  # all sentences, once the end of the input is seen
    written: int = 0

    def write(self, pieces: Iterable[Piece], place: Place) -> None:
        """Embed and write one piece after the other."""
        # The executor goes first, so that the file is closed when its last write has ended.
        with (
            closing(FORMATS[self.format](place)) as file,
            ThreadPoolExecutor(1) as thread,
        ):
            waiting: Future[int] | None = None
            for piece in pieces:
                assembly = Assembly(file, self.selection, piece, self.sentences)
                self._count(piece)
                batches = self.batching.batches(piece.corpus)
                for parts in self.extractor.parts(piece.corpus, batches, self.batching.max_cells):
                    # A batch is written while the next one is computed; no more than one waits.
                    previous, waiting = waiting, thread.submit(assembly.add, parts)
                    self._wait_for(previous)
            self.total = self.sentences
            self._wait_for(waiting)
            file.finish(self.names)

    def _count(self, piece: Piece) -> None:
        self.characters += sum(map(len, piece.texts))
        # An index of a part would pass for one of all.
        if self.characters > INDEX_CHARACTERS:
            self.names = None
        if self.names is not None and FORMATS[self.format].indexed:
            self.names |= {text.strip(): str(number) for number, text in enumerate(piece.texts, self.sentences)}
        self.sentences += len(piece.texts)
        self.tokens += piece.corpus.token_count
        self.windowed += int((piece.corpus.lengths + 2 > self.batching.longest).sum())
        self.total = self.sentences if piece.last else None

    def _wait_for(self, batch: Future[int] | None) -> None:
        """Wait until a batch is written, and pass on what went wrong with it."""
        if batch is not None:
            self.written += batch.result()
            self.tell(Progress("sentences", self.written, self.total))


def precision_difference(
    embedder: Embedder, corpus: EncodedCorpus, precision: Precision, device: torch.device | str = "cpu"
) -> float:
    """The largest difference of an activation between a precision and float32, over some sentences of a corpus."""
    # Of all lengths, as rounding adds up over a sentence, but few and short ones: it is done twice.
    by_length = np.argsort(corpus.lengths, kind="stable")
    chosen = by_length[np.unique(np.linspace(0, len(by_length) - 1, COMPARED).astype(np.int64))]
    some = encode_tokens([[corpus.types[number] for number in corpus.sentence(i)[:COMPARED_TOKENS]] for i in chosen])
    one, other = (
        next(Extractor(embedder, device, precision=each).batches(some, [np.arange(len(some))]))[1]
        for each in ("float32", precision)
    )
    return float((one - other).abs().max()) if one.numel() else 0.0


def embed_sentences(
    embedder: Embedder,
    corpus: EncodedCorpus,
    batches: Iterable[NDArray[np.int64]],
    device: torch.device | str = "cpu",
    *,
    stateful: bool = False,
    tell: Tell = silent,
) -> list[NDArray[np.float32]]:
    """Activations (L, T, W) of each sentence, in the order of the corpus, whatever that of its batches."""
    found: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(corpus)
    done = 0
    for indices, layers, lengths in Extractor(embedder, device, stateful=stateful).batches(corpus, batches):
        values = layers.cpu().numpy()
        for row, (index, length) in enumerate(zip(indices.tolist(), lengths.tolist(), strict=True)):
            found[index] = values[:, row, :length].copy()  # a view would keep the padding of its batch in memory
        done += len(indices)
        tell(Progress("sentences", done, len(corpus)))
    return found


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
