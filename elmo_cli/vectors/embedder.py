"""Static vectors in a biLM's place: the embedder of a baseline row."""

from __future__ import annotations

import torch

from elmo_cli.embedder import Embedder
from elmo_cli.model.static import StaticTable
from elmo_cli.text.vocabulary import Vocabulary
from elmo_cli.vectors.static import StaticVectors, table_for


def static_embedder(vectors: StaticVectors, vocabulary: Vocabulary, seed: int) -> Embedder:
    """An embedder that looks vectors up.

    Args:
        vectors: The static vectors.
        vocabulary: The tokens that get a row, by the text that a classifier trains on.
        seed: Of the rows of tokens that `vectors` lacks (see `table_for`).
    """
    matrix, _ = table_for(vocabulary, vectors, seed)
    network = StaticTable(torch.from_numpy(matrix)).eval()
    return Embedder.of(network, vocabulary, vocabulary.tokenizer, vectors.source.stem)
