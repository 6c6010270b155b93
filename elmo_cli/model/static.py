"""Static word vectors as an embedder network: a biLM's place in a comparison, with one layer and no context."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from elmo_cli.model.encoder import TokenIds
from elmo_cli.model.kernel.dropout import drop_words, dropout
from elmo_cli.model.mode import EXACT, Mode


class StaticTable(nn.Module):
    """x_t = table[id_t].

    Args:
        matrix: (V + 1, D) vectors by vocabulary id; row 0 is padding.

    Attributes:
        layer_count: 1.
        width: D.
    """

    layer_count = 1

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(matrix.clone())
        self.width = matrix.shape[1]
        with torch.no_grad():
            self.table[0] = 0.0

    def token_vectors(self, tokens: TokenIds | Tensor, mode: Mode = EXACT) -> Tensor:
        """Vocabulary ids of any shape to (..., D); vectors that are known are taken as they are."""
        if isinstance(tokens, TokenIds):
            tokens = functional.embedding(tokens.ids, self.table, padding_idx=0)
        if mode.word_dropout and self.training:
            tokens = drop_words(tokens, mode.word_dropout)
        return dropout(tokens, mode.dropout) if mode.dropout and self.training else tokens

    def layers(
        self, tokens: TokenIds | Tensor, lengths: Tensor, state: None = None, mode: Mode = EXACT
    ) -> tuple[Tensor, None]:
        """Look sentences up.

        Args:
            tokens: Vocabulary ids (B, T), or their vectors (B, T, D).
            lengths: (B,) tokens of each sentence; may be 0.
            state: There is none.
            mode: How; of it what drops.

        Returns:
            (1, B, T, D), zero beyond a sentence, and no state.
        """
        vectors = self.token_vectors(tokens, mode)
        outside = torch.arange(vectors.shape[1], device=lengths.device) >= lengths[:, None]
        return vectors.masked_fill(outside[:, :, None], 0.0)[None], None
