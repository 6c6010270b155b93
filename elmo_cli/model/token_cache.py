"""Adds a memory to the character CNN at inference: the vectors of words that it has encoded before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elmo_cli.model.encoder import CharacterEncoder

TOKEN_CACHE_BYTES = 256 * 2**20


class TokenCache:
    """Token vectors of a character CNN that were computed before, so that it meets a word once and not once a batch.

    It fills up in the order in which words come, the frequent ones early on; once it is full, words that it lacks are
    encoded for their batch alone. It forgets everything when weights of the encoder change.

    Args:
        max_bytes: Of the vectors.
    """

    def __init__(self, max_bytes: int = TOKEN_CACHE_BYTES) -> None:
        self.max_bytes = max_bytes
        self._rows: dict[str, int] = {}
        self._used, self._table = 0, torch.empty(0, 0)  # rows in use, (rows and room for more, P)
        self._encoder: object = None
        self._forgotten = 0

    def generation(self, encoder: CharacterEncoder) -> int:
        """How often everything was forgotten, which is done here if the encoder is not what it was."""
        # An optimiser's step, copying into a weight and moving it to another device all show in these.
        state = [(weight.data_ptr(), weight._version) for weight in encoder.parameters()]
        if state != self._encoder:
            self._encoder, self._rows, self._used = state, {}, 0
            self._table = encoder.table.new_empty(0, encoder.token_size)
            self._forgotten += 1
        return self._forgotten

    def rows(self, words: Sequence[str]) -> NDArray[np.int64]:
        """Where the words are, -1 for those that are not here."""
        return np.fromiter((self._rows.get(word, -1) for word in words), np.int64, len(words))

    def add(self, words: Sequence[str], vectors: Tensor) -> NDArray[np.int64]:
        """Keep the vectors of new words as far as there is room; returns the rows of those that were kept."""
        most = self.max_bytes // (vectors.shape[1] * vectors.element_size())
        end = min(self._used + len(words), most)
        if end > len(self._table):
            grown = vectors.new_empty(min(max(end, 2 * len(self._table)), most), vectors.shape[1])
            grown[: self._used] = self._table[: self._used]
            self._table = grown
        rows = np.arange(self._used, end)
        self._table[self._used : end] = vectors[: len(rows)]
        self._rows.update(zip(words, rows.tolist(), strict=False))
        self._used = end
        return rows

    def vectors(self, rows: NDArray[np.int64]) -> Tensor:
        """(rows, P)."""
        return self._table[torch.as_tensor(rows, device=self._table.device)]
