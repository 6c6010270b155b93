"""Embeddings in memory: what `elmo embed` writes to a file, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from elmo_cli.config import Precision
from elmo_cli.config.choices import DumpPooling
from elmo_cli.devices import check_precision
from elmo_cli.embedder import Embedder, Extractor
from elmo_cli.events import Progress, Tell, silent
from elmo_cli.inference.assembly import Assembly, Layers, Selection
from elmo_cli.inference.batching import Batching, Piece
from elmo_cli.inference.dump_formats import DumpFile, Place, Sentence, Values
from elmo_cli.text.encoded import encode_tokens


class _Arrays(DumpFile):
    """Keeps the values of each sentence by its number."""

    ordered = False

    def __init__(self, place: Place = Path()) -> None:
        self.found: dict[int, Values] = {}

    def put(self, sentence: Sentence, values: Values) -> None:
        self.found[sentence.number] = values.copy()  # a view would keep the padding of its batch in memory

    def finish(self, names: Mapping[str, str] | None) -> None:
        """Nothing comes last."""

    def close(self) -> None:
        """Nothing is open."""


def embed_arrays(
    embedder: Embedder,
    sentences: Sequence[Sequence[str]],
    *,
    layers: Layers = "all",
    pool: DumpPooling = "none",
    precision: Precision = "float32",
    batch_tokens: int | None = None,
    device: torch.device | str = "cpu",
    tell: Tell = silent,
) -> list[Values]:
    """Activations of sentences, in their order; see `EmbedOptions`.

    Args:
        embedder: What embeds.
        sentences: Their tokens.
        layers: All, the top one, their mean, or one by its number.
        pool: Over the tokens of a sentence; an empty one pools to zeros.
        precision: Of the LSTM's matrix products.
        batch_tokens: Cells of a batch; None: the default budget. Longer sentences are run in windows.
        device: Where to compute.
        tell: Told the sentences that are done.

    Returns:
        float32 (L, T, W) of each; without L where one layer was chosen, without T where tokens were pooled.

    Raises:
        ConfigError: There is no such layer, the budget is too small for any sentence, or the device lacks the
            precision.
    """
    check_precision(precision, device)
    batching = Batching(None, batch_tokens, stateful=False, ordered=False)
    selection = Selection(embedder.layer_count, embedder.width, layers, pool, "float32")
    corpus, file, done = encode_tokens(sentences), _Arrays(), 0
    assembly = Assembly(file, selection, Piece([""] * len(corpus), corpus, last=True), 0)
    extractor = Extractor(embedder, device, precision=precision)
    for parts in extractor.parts(corpus, batching.batches(corpus), batching.max_cells):
        done += assembly.add(parts)
        tell(Progress("sentences", done, len(corpus)))
    return [file.found[number] for number in range(len(corpus))]
