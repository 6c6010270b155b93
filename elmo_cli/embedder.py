"""The embedder: tokens -> ids (its own indexer) and ids -> layer activations (its network), as one pair.

A biLM has L + 1 layers, a static table one; whoever uses an embedder need not know which it is. Legend: L layers,
B batch, T tokens of the longest sentence, W width of an activation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from elmo_cli.config import Precision, TokenizerSettings
from elmo_cli.errors import WeightsError
from elmo_cli.model.bilm import BiLm, BiLmState
from elmo_cli.model.encoder import CharacterEncoder, TokenIds
from elmo_cli.model.kernel.layer import Prepared
from elmo_cli.model.mode import Mode
from elmo_cli.model.static import StaticTable
from elmo_cli.model.token_cache import TokenCache
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.text.indexer import Indexer, TypeTable, frame, stretch
from elmo_cli.text.streams import Window
from elmo_cli.text.vocabulary import Vocabulary

Indices = NDArray[np.integer[Any]]


@dataclass
class Embedder:
    """A network and the indexer that feeds it.

    Attributes:
        indexer: Token types to the ids that the network reads.
        network: A `BiLm` or a `StaticTable`.
        vocabulary: Of the network; None for a character model that brought none.
        tokenizer: How the network's training text was cut into tokens.
        name: What to call it in tables and messages.
        token_cache: Token vectors that were computed before, where the network has a character CNN.
        prepared: The LSTM's matrices, ready for whoever classifies one piece of a text after the other.
    """

    indexer: Indexer
    network: BiLm | StaticTable
    vocabulary: Vocabulary | None
    tokenizer: TokenizerSettings
    name: str
    token_cache: TokenCache = field(default_factory=TokenCache, repr=False, compare=False)
    prepared: Prepared = field(default_factory=Prepared, repr=False, compare=False)

    @classmethod
    def of(
        cls, network: BiLm | StaticTable, vocabulary: Vocabulary | None, tokenizer: TokenizerSettings, name: str
    ) -> Embedder:
        """A network with the indexer that suits it."""
        if isinstance(network, BiLm):
            indexer = Indexer.of(network.settings, vocabulary)
        else:
            indexer = Indexer("word", False, vocabulary)
        return cls(indexer, network, vocabulary, tokenizer, name)

    @property
    def layer_count(self) -> int:
        """L + 1 for a biLM, 1 for a static table."""
        return self.network.layer_count

    @property
    def width(self) -> int:
        """W, width of a layer activation."""
        return self.network.width

    def bilm(self) -> BiLm:
        """The network, where it is a biLM.

        Raises:
            WeightsError: It is a table of static vectors.
        """
        if not isinstance(self.network, BiLm):
            raise WeightsError(
                f"{self.name} has static vectors and no language model",
                expected="a biLM",
                remedy="name a run of `elmo pretrain` or `elmo import`",
            )
        return self.network

    def predicted(self) -> Vocabulary:
        """The vocabulary that the biLM predicts, where it can: what scores text asks for it first.

        Raises:
            WeightsError: It has no vocabulary or no softmax.
        """
        network = self.bilm()
        if self.vocabulary is None:
            raise WeightsError(
                f"the biLM of {self.name} has no vocabulary to predict, so it cannot score text",
                expected="a biLM that was trained here; published character models come without",
                remedy="train a model with `elmo pretrain` to score text",
            )
        network.require_softmax()
        return self.vocabulary


class StreamBatch(NamedTuple):
    """A window of the stream, as `BiLm.stream_loss` takes it."""

    tokens: TokenIds  # (2, B, T)
    targets: Tensor  # (2, B, T)
    reset: Tensor  # (B, T)
    mask: Tensor  # (B, T)


class Feed:
    """From the sentences of one corpus to the tensors that a network takes, each kind ready for the call that reads it.

    Args:
        embedder: Whose network is fed.
        corpus: The sentences.
        device: Where the network is.
    """

    def __init__(self, embedder: Embedder, corpus: EncodedCorpus, device: torch.device | str = "cpu") -> None:
        self.corpus, self.device = corpus, device
        self._embedder, self._framed = embedder, embedder.indexer.framed
        encoder = embedder.network.encoder if isinstance(embedder.network, BiLm) else None
        self._words = _Words(embedder, encoder, corpus.types) if isinstance(encoder, CharacterEncoder) else None

    def ids(self, numbers: NDArray[np.int64]) -> TokenIds:
        """Type numbers of any shape to what the token encoder reads."""
        return TokenIds.from_numpy(*self._table.index(numbers), self.device)

    def window(self, window: Window) -> StreamBatch:
        """A window of a stream of the corpus, for `BiLm.stream_loss`."""
        targets, reset, mask = map(self._tensor, (self._targets[window.targets], window.reset, window.mask))
        return StreamBatch(self.ids(window.inputs), targets, reset, mask)

    def sentences(self, chosen: Indices) -> tuple[TokenIds, Tensor]:
        """Whole sentences, for `layers`: ids (B, T), or (B, T + 2) with a frame, and lengths (B,) without it."""
        numbers, lengths = frame(self.corpus, chosen, self._framed)
        return self.ids(numbers), self._tensor(lengths)

    def scored(self, chosen: Indices) -> tuple[TokenIds, Tensor, Tensor]:
        """Whole sentences, for `BiLm.score`: ids and targets (B, T + 2), and lengths (B,)."""
        numbers, lengths = frame(self.corpus, chosen, True)
        return self.ids(numbers), self._tensor(self._targets[numbers]), self._tensor(lengths)

    def known(self, chosen: Indices) -> tuple[TokenIds | Tensor, Tensor]:
        """As `sentences`, for inference: of a character CNN the vectors (B, T + 2, P), each word encoded once."""
        numbers, lengths = frame(self.corpus, chosen, self._framed)
        return self._known(numbers), self._tensor(lengths)

    def stretch(self, chosen: NDArray[np.int64], start: int, stop: int, *, backward: bool = False) -> TokenIds | Tensor:
        """Steps `start` to `stop` of sentences, counted from their end if backward; else as `known`."""
        return self._known(stretch(self.corpus, chosen, start, stop, self._framed, backward=backward))

    # What only some corpora are asked for is looked up when it is.

    @cached_property
    def _table(self) -> TypeTable:
        return self._embedder.indexer.table(self.corpus.types)

    @cached_property
    def _targets(self) -> NDArray[np.int64]:
        return self._embedder.predicted().lookup(self.corpus.types)

    def _known(self, numbers: NDArray[np.int64]) -> TokenIds | Tensor:
        return self.ids(numbers) if self._words is None else self._words.vectors(numbers)

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        return torch.as_tensor(values, device=self.device)


class _Words:
    """Token vectors of the types of one corpus, through the embedder's memory of words."""

    def __init__(self, embedder: Embedder, encoder: CharacterEncoder, types: Sequence[str]) -> None:
        self._encoder, self._types, self._indexer = encoder, types, embedder.indexer
        self._cache = embedder.token_cache
        self._generation, self._rows = -1, np.empty(0, np.int64)  # (types,) in the cache, -1 for those not there

    @cached_property
    def _word_ids(self) -> NDArray[np.int64] | None:
        return self._indexer.word_ids(self._types)

    def vectors(self, numbers: NDArray[np.int64]) -> Tensor:
        """(B, T) type numbers to (B, T, P)."""
        encoder = self._encoder
        generation = self._cache.generation(encoder)
        if generation != self._generation:
            self._generation, self._rows = generation, self._cache.rows(self._types)
        distinct, places = np.unique(numbers.ravel(), return_inverse=True)
        rows, unknown = self._rows[distinct], np.flatnonzero(self._rows[distinct] < 0)
        found = encoder.table.new_empty(len(distinct), encoder.token_size)
        known = np.flatnonzero(rows >= 0)
        found[torch.as_tensor(known, device=found.device)] = self._cache.vectors(rows[known])
        if len(unknown):
            words = [self._types[number] for number in distinct[unknown]]
            # Characters of these words alone: a table of all types would be packed anew for each piece of a text.
            packed = self._indexer.character_ids(words)
            ids = (
                None
                if self._word_ids is None
                else torch.as_tensor(self._word_ids[distinct[unknown]], device=found.device)
            )
            fresh = encoder.encode(torch.as_tensor(packed, device=found.device), ids)
            found[torch.as_tensor(unknown, device=found.device)] = fresh
            kept = self._cache.add(words, fresh)
            self._rows[distinct[unknown[: len(kept)]]] = kept
        return functional.embedding(torch.as_tensor(places, device=found.device).view(numbers.shape), found)


class Part(NamedTuple):
    """A rectangle of the activations of one sentence."""

    sentence: int
    start: int  # its first token
    columns: slice  # of the width W
    layers: NDArray[np.float32]  # (L, tokens, columns)


class Extractor:
    """Runs an embedder over batches of one corpus or of several one after another, without gradients and dropout.

    Args:
        embedder: Its network is moved to `device` and put in eval mode.
        device: Where to compute.
        stateful: Carry the LSTM state of each row from batch to batch, as the original ELMo does; every batch but the
            last must then have the same number of sentences.
        precision: Of an LSTM's matrix products.
    """

    def __init__(
        self,
        embedder: Embedder,
        device: torch.device | str = "cpu",
        *,
        stateful: bool = False,
        precision: Precision = "float32",
    ) -> None:
        self._network = embedder.network.to(device).eval()
        self._mode = Mode(precision, prepared=Prepared())
        self._embedder, self._device, self._stateful = embedder, device, stateful
        self._state: BiLmState | None = None

    def batches(
        self, corpus: EncodedCorpus, batches: Iterable[Indices], max_cells: int | None = None
    ) -> Iterator[tuple[Indices, Tensor, Tensor]]:
        """Whole sentences.

        Args:
            corpus: Where they are.
            batches: Indices of the sentences of each batch.
            max_cells: Of the network at once: a sentence that is longer alone is run in windows, as by `parts`.

        Yields:
            The indices, the activations (L, B, T, W) on the device with zeros after a sentence's end, and the lengths
            (B,).
        """
        feed = Feed(self._embedder, corpus, self._device)
        for sentences in batches:
            if max_cells is not None and int(corpus.lengths[sentences].max(initial=0)) > max_cells:
                yield sentences, *self._joined(feed, np.asarray(sentences, dtype=np.int64), max_cells)
            else:
                yield sentences, *self._whole(feed, sentences)

    def parts(self, corpus: EncodedCorpus, batches: Iterable[Indices], max_cells: int) -> Iterator[list[Part]]:
        """The same in arrays, of which no batch has more than `max_cells` cells, however long its sentences.

        A larger batch is run in windows: forward from the beginning of its sentences and backward from their end, the
        state carried from window to window. So its activations are those of whole sentences, only that the two halves
        of a token come at different times.
        """
        feed = Feed(self._embedder, corpus, self._device)
        frame_cells, width = 2 * self._embedder.indexer.framed, self._embedder.width
        for chosen in batches:
            sentences = np.asarray(chosen, dtype=np.int64)
            cells = int(corpus.lengths[sentences].max(initial=0)) + frame_cells
            if len(sentences) * cells > max_cells:
                yield from self._windows(feed, sentences, cells, max(1, max_cells // len(sentences)))
            else:
                layers, lengths = self._whole(feed, sentences)
                values = layers.cpu().numpy()
                yield [
                    Part(sentence, 0, slice(0, width), values[:, row, :length])
                    for row, (sentence, length) in enumerate(zip(sentences.tolist(), lengths.tolist(), strict=True))
                ]

    @torch.inference_mode()
    def _whole(self, feed: Feed, sentences: Indices) -> tuple[Tensor, Tensor]:
        tokens, lengths = feed.known(sentences)
        if isinstance(self._network, BiLm):
            layers, state = self._network.layers(tokens, lengths, self._before(len(sentences)), self._mode)
            self._state = state if self._stateful else None
        else:
            layers, _ = self._network.layers(tokens, lengths)
        return layers, lengths

    def _joined(self, feed: Feed, sentences: NDArray[np.int64], max_cells: int) -> tuple[Tensor, Tensor]:
        """What `_whole` gives, put together from windows."""
        lengths = feed.corpus.lengths[sentences]
        longest, rows = int(lengths.max()), {sentence: row for row, sentence in enumerate(sentences.tolist())}
        layers = torch.zeros(self._network.layer_count, len(sentences), longest, self._network.width)
        cells = longest + 2 * self._embedder.indexer.framed
        for parts in self._windows(feed, sentences, cells, max(1, max_cells // len(sentences))):
            for part in parts:
                stop = part.start + part.layers.shape[1]
                layers[:, rows[part.sentence], part.start : stop, part.columns] = torch.from_numpy(part.layers.copy())
        return layers.to(self._device), torch.as_tensor(lengths, device=self._device)

    def _windows(self, feed: Feed, sentences: NDArray[np.int64], cells: int, steps: int) -> Iterator[list[Part]]:
        state, network, lengths = self._before(len(sentences)), self._network, feed.corpus.lengths[sentences]
        for start in range(0, cells, steps):
            stop = min(start + steps, cells)
            with torch.inference_mode():
                if isinstance(network, BiLm):
                    # (2, B, T, P), each direction in its own order of time
                    both = [feed.stretch(sentences, start, stop, backward=way) for way in (False, True)]
                    vectors = torch.stack([network.token_vectors(tokens) for tokens in both])
                    real = torch.as_tensor(lengths + 2 - start, device=self._device).clamp(0, stop - start)
                    outputs, state = network.run(vectors, lengths=real, state=state, mode=self._mode)
                    layers = torch.stack([vectors, *outputs])
                else:
                    layers = network.token_vectors(feed.stretch(sentences, start, stop))[None, None]
            yield _cut(layers.cpu().numpy(), sentences, lengths, start, stop)
        self._state = state if self._stateful else None

    def _before(self, rows: int) -> BiLmState | None:
        """The state of the first rows of the batch before: all that a shorter last batch goes on from."""
        return None if self._state is None else tuple(layer.rows(rows) for layer in self._state)


def _cut(
    values: NDArray[np.float32], sentences: Indices, lengths: NDArray[np.int64], start: int, stop: int
) -> list[Part]:
    """Parts of steps `start` to `stop` of sentences.

    Args:
        values: (L, 2, B, T, P), each direction in its own order of time with <S> and </S>; or (L, 1, B, T, W) of a
            static table.
        sentences: (B,)
        lengths: (B,) of the sentences.
        start: The first step.
        stop: The step after the last.
    """
    parts = []
    directions, width = values.shape[1], values.shape[-1]
    edge = directions - 1
    for row, (sentence, length) in enumerate(zip(sentences.tolist(), lengths.tolist(), strict=True)):
        low, high = max(start, edge), min(stop, length + edge)  # its tokens, counted in steps
        if low < high:
            forward, *backward = values[:, :, row, low - start : high - start].swapaxes(0, 1)
            parts.append(Part(sentence, low - edge, slice(0, width), forward))
            parts += [Part(sentence, length - high + 1, slice(width, 2 * width), one[:, ::-1]) for one in backward]
        elif length == 0 and start == 0:
            nothing = np.empty((len(values), 0, directions * width), np.float32)
            parts.append(Part(sentence, 0, slice(0, directions * width), nothing))
    return parts
