"""The embedder: tokens -> ids (its own indexer) and ids -> layer activations (its network), as one pair.

A biLM has L + 1 layers, a static table one; whoever uses an embedder need not know which it is. Legend: L layers,
B batch, T tokens of the longest sentence, W width of an activation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elmo_cli.config import TokenizerSettings
from elmo_cli.errors import ConfigError
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.encoder import TokenIds
from elmo_cli.model.static import StaticTable
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.text.indexer import Indexer, frame
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
    """

    indexer: Indexer
    network: BiLm | StaticTable
    vocabulary: Vocabulary | None
    tokenizer: TokenizerSettings
    name: str

    @property
    def layer_count(self) -> int:
        """L + 1 for a biLM, 1 for a static table."""
        return self.network.layer_count

    @property
    def width(self) -> int:
        """W, width of a layer activation."""
        return self.network.width


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
        stateful: Carry the LSTM state of each row from batch to batch, as the original ELMo does; every batch but the
            last must then have the same number of sentences.

    Yields:
        The indices, the activations (L, B, T, W) on `device` with zeros after a sentence's end, and the lengths (B,).
    """
    network = embedder.network.to(device).eval()
    table = embedder.indexer.table(corpus.types)
    state: Any = None
    for sentences in batches:
        numbers, lengths = frame(corpus, sentences, embedder.indexer.framed)
        indexed = table.index(numbers)
        tokens = TokenIds.from_numpy(indexed.ids, indexed.characters, device)
        on_device = torch.as_tensor(lengths, device=device)
        if stateful and state is not None:
            state = _first_rows(state, len(sentences))
        with torch.inference_mode():
            layers, after = network.layers(tokens, on_device, state if stateful else None)
        state = after
        yield sentences, layers, on_device


def _first_rows(state: Any, rows: int) -> Any:
    """The state of the first rows of a batch: all that a shorter last batch goes on from."""
    return tuple(type(layer)(*(tensor[:, :rows] for tensor in layer)) for layer in state)


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
        raise ConfigError(f"--device got '{name}'", expected="auto, " + ", ".join(reversed(found))) from error
    if not found.get(device.type, False):
        here = ", ".join(kind for kind, available in found.items() if available)
        raise ConfigError(
            f"--device is {name}, which this machine or this build of torch does not have",
            expected=f"auto or one of: {here}",
        )
    return device
