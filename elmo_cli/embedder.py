"""The embedder: tokens -> ids (its own indexer) and ids -> layer activations (its network), as one pair.

A biLM has L + 1 layers, a static table one; whoever uses an embedder need not know which it is. Legend: L layers,
B batch, T tokens of the longest sentence, W width of an activation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from elmo_cli.config import Precision, TokenizerSettings
from elmo_cli.errors import ConfigError, nearest
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.encoder import CharacterEncoder, TokenIds
from elmo_cli.model.kernel.steps import Prepared
from elmo_cli.model.static import StaticTable
from elmo_cli.model.token_cache import TokenCache
from elmo_cli.text.characters import character_ids
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.text.indexer import Indexer, frame, stretch
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
    """

    indexer: Indexer
    network: BiLm | StaticTable
    vocabulary: Vocabulary | None
    tokenizer: TokenizerSettings
    name: str
    token_cache: TokenCache = field(default_factory=TokenCache, repr=False, compare=False)

    @property
    def layer_count(self) -> int:
        """L + 1 for a biLM, 1 for a static table."""
        return self.network.layer_count

    @property
    def width(self) -> int:
        """W, width of a layer activation."""
        return self.network.width


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
        self._precision, self._prepared = precision, Prepared()
        self._embedder, self._device, self._stateful = embedder, device, stateful
        self._state: Any = None

    def batches(self, corpus: EncodedCorpus, batches: Iterable[Indices]) -> Iterator[tuple[Indices, Tensor, Tensor]]:
        """Whole sentences; yields what `embed_batches` does."""
        reader = _Reader(self._embedder, corpus.types, self._device)
        for sentences in batches:
            yield sentences, *self._whole(reader, corpus, sentences)

    def parts(self, corpus: EncodedCorpus, batches: Iterable[Indices], max_cells: int) -> Iterator[list[Part]]:
        """The same in arrays, of which no batch has more than `max_cells` cells, however long its sentences.

        A larger batch is run in windows: forward from the beginning of its sentences and backward from their end, the
        state carried from window to window. So its activations are those of whole sentences, only that the two halves
        of a token come at different times.
        """
        reader = _Reader(self._embedder, corpus.types, self._device)
        frame_cells, width = 2 * self._embedder.indexer.framed, self._embedder.width
        for chosen in batches:
            sentences = np.asarray(chosen, dtype=np.int64)
            cells = int(corpus.lengths[sentences].max(initial=0)) + frame_cells
            if len(sentences) * cells > max_cells:
                yield from self._windows(reader, corpus, sentences, cells, max(1, max_cells // len(sentences)))
            else:
                layers, lengths = self._whole(reader, corpus, sentences)
                values = layers.cpu().numpy()
                yield [
                    Part(sentence, 0, slice(0, width), values[:, row, :length])
                    for row, (sentence, length) in enumerate(zip(sentences.tolist(), lengths.tolist(), strict=True))
                ]

    def _whole(self, reader: _Reader, corpus: EncodedCorpus, sentences: Indices) -> tuple[Tensor, Tensor]:
        numbers, lengths = frame(corpus, sentences, self._embedder.indexer.framed)
        on_device = torch.as_tensor(lengths, device=self._device)
        with self._inference():
            layers, after = self._network.layers(reader(numbers), on_device, self._before(len(sentences)))
        self._state = after if self._stateful else None
        return layers, on_device

    def _windows(
        self, reader: _Reader, corpus: EncodedCorpus, sentences: NDArray[np.int64], cells: int, steps: int
    ) -> Iterator[list[Part]]:
        state, network = self._before(len(sentences)), self._network
        for start in range(0, cells, steps):
            stop = min(start + steps, cells)
            with self._inference():
                if isinstance(network, BiLm):
                    # (2, B, T, P), each direction in its own order of time
                    both = [
                        reader(stretch(corpus, sentences, start, stop, True, backward=way)) for way in (False, True)
                    ]
                    vectors = torch.stack([network.token_vectors(tokens) for tokens in both])
                    real = torch.as_tensor(corpus.lengths[sentences] + 2 - start, device=self._device)
                    outputs, state = network.run(vectors, lengths=real.clamp(0, stop - start), state=state)
                    layers = torch.stack([vectors, *outputs])
                else:
                    tokens = reader(stretch(corpus, sentences, start, stop, False))
                    layers = network.token_vectors(tokens)[None, None]
            yield _cut(layers.cpu().numpy(), sentences, corpus.lengths[sentences], start, stop)
        self._state = state if self._stateful else None

    @contextmanager
    def _inference(self) -> Iterator[None]:
        network = self._network
        with torch.inference_mode():
            if not isinstance(network, BiLm):
                yield
                return
            usual = network.eval_precision, network.prepared
            network.eval_precision, network.prepared = self._precision, self._prepared
            try:
                yield
            finally:
                network.eval_precision, network.prepared = usual

    def _before(self, rows: int) -> Any:
        """The state of the first rows of the batch before: all that a shorter last batch goes on from."""
        if self._state is None:
            return None
        return tuple(type(layer)(*(tensor[:, :rows] for tensor in layer)) for layer in self._state)


class _Reader:
    """From the type numbers of a corpus to what the network takes: ids, or with a character CNN token vectors."""

    def __init__(self, embedder: Embedder, types: Sequence[str], device: torch.device | str) -> None:
        self._device, self._types = device, types
        self._max_characters, self._cache = embedder.indexer.max_characters, embedder.token_cache
        network = embedder.network
        self._encoder = network.encoder if isinstance(network, BiLm) else None
        if isinstance(self._encoder, CharacterEncoder):
            self._word_ids = embedder.indexer.word_ids(types)
        else:
            self._table = embedder.indexer.table(types)
        self._generation, self._rows = -1, np.empty(0, np.int64)  # (types,) in the cache, -1 for those not there

    def __call__(self, numbers: NDArray[np.int64]) -> TokenIds | Tensor:
        """(B, T) type numbers to ids (B, T) or vectors (B, T, P)."""
        if isinstance(self._encoder, CharacterEncoder):
            return self._vectors(self._encoder, numbers)
        return TokenIds.from_numpy(*self._table.index(numbers), self._device)

    def _vectors(self, encoder: CharacterEncoder, numbers: NDArray[np.int64]) -> Tensor:
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
            characters = torch.as_tensor(character_ids(words, self._max_characters), device=found.device)
            known_ids = None if self._word_ids is None else self._word_ids[distinct[unknown]]
            fresh = encoder.encode(
                characters, None if known_ids is None else torch.as_tensor(known_ids, device=found.device)
            )
            found[torch.as_tensor(unknown, device=found.device)] = fresh
            kept = self._cache.add(words, fresh)
            self._rows[distinct[unknown[: len(kept)]]] = kept
        return functional.embedding(torch.as_tensor(places, device=found.device).view(numbers.shape), found)


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


def embed_batches(
    embedder: Embedder,
    corpus: EncodedCorpus,
    batches: Iterable[Indices],
    device: torch.device | str = "cpu",
    *,
    stateful: bool = False,
) -> Iterator[tuple[Indices, Tensor, Tensor]]:
    """Layer activations of a corpus, batch by batch, without gradients and without dropout.

    Args:
        embedder: Its network is moved to `device` and put in eval mode.
        corpus: The sentences.
        batches: Indices of the sentences of each batch.
        device: Where to compute.
        stateful: See `Extractor`.

    Yields:
        The indices, the activations (L, B, T, W) on `device` with zeros after a sentence's end, and the lengths (B,).
    """
    return Extractor(embedder, device, stateful=stateful).batches(corpus, batches)


def pick_device(name: str = "auto") -> torch.device:
    """The device of a name; `auto` is the fastest that this machine has.

    Raises:
        ConfigError: There is no such device here.
    """
    found = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, available in found.items() if available))
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(
            f"--device got '{name}'",
            expected="auto, " + ", ".join(reversed(found)),
            remedy=nearest(name, ("auto", *found)),
        ) from error
    if not found.get(device.type, False):
        here = ", ".join(kind for kind, available in found.items() if available)
        raise ConfigError(
            f"--device is {name}, which this machine or this build of torch does not have",
            expected=f"auto or one of: {here}",
            remedy="leave --device out to take the fastest there is",
        )
    return device


def check_precision(precision: str, device: torch.device | str) -> None:
    """See whether a device can multiply matrices in a precision.

    Raises:
        ConfigError: It cannot, or there is no such precision.
    """
    names = get_args(Precision)
    if precision not in names:
        raise ConfigError(
            f"--precision got '{precision}'", expected=" or ".join(names), remedy=nearest(precision, names)
        )
    try:
        one = torch.ones(8, 8, dtype=getattr(torch, precision), device=device)
        works = bool((one @ one == 8).all())
    except (RuntimeError, TypeError):
        works = False
    if not works:
        raise ConfigError(
            f"--precision is {precision}, which {device} cannot multiply matrices in",
            expected="float32",
            remedy="leave --precision out, or choose another --device",
        )
