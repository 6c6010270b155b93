"""One projected, clipped LSTM layer, step by step: the truth that the kernel is held against, and written to be read.

For each direction g and step t, with the state (h, c) of the step before, set to zero where `reset` is true:

    i, j, f, o = split(x_t W_x + h W_h + b)
    c = clip(sigmoid(f + forget_bias) * c + sigmoid(i) * tanh(j), ±cell_clip)
    h = clip((sigmoid(o) * tanh(c)) W_p, ±projection_clip)      without W_p: h = sigmoid(o) * tanh(c)

Gate order and clips are those of bilm-tf's LSTMCell (docs/explanation/formats.md). Gradients are autograd's. Legend: G
directions, B batch, T tokens (steps), I input size, D cell size, P output size (D without a projection).
"""

from __future__ import annotations

import torch
from torch import Tensor

from elmo_cli.model.kernel.layer import LstmState, LstmWeights


def naive_lstm(
    inputs: Tensor,
    weights: LstmWeights,
    state: LstmState | None = None,
    *,
    reset: Tensor | None = None,
    lengths: Tensor | None = None,
    cell_clip: float | None = None,
    projection_clip: float | None = None,
    forget_bias: float = 1.0,
) -> tuple[Tensor, LstmState]:
    """What `elmo_cli.model.kernel.lstm.lstm` computes of the same arguments, in the precision of these."""
    hidden, cell = final_hidden, final_cell = state or LstmState.zeros(inputs, weights)
    outputs: list[Tensor] = []
    for step in range(inputs.shape[2]):
        if reset is not None:
            begins = reset[None, :, step, None]
            hidden, cell = hidden.masked_fill(begins, 0.0), cell.masked_fill(begins, 0.0)
        gates = inputs[:, :, step] @ weights.input + hidden @ weights.recurrent + weights.bias[:, None]
        i, j, f, o = gates.chunk(4, dim=-1)
        cell = torch.sigmoid(f + forget_bias) * cell + torch.sigmoid(i) * torch.tanh(j)
        if cell_clip is not None:
            cell = cell.clamp(-cell_clip, cell_clip)
        hidden = torch.sigmoid(o) * torch.tanh(cell)
        if weights.projection is not None:
            hidden = hidden @ weights.projection
            if projection_clip is not None:
                hidden = hidden.clamp(-projection_clip, projection_clip)
        outputs.append(hidden)
        # A row that has ended keeps the state of its last real step.
        real = torch.ones(inputs.shape[1], dtype=torch.bool) if lengths is None else step < lengths
        final_hidden = torch.where(real[None, :, None], hidden, final_hidden)
        final_cell = torch.where(real[None, :, None], cell, final_cell)
    return torch.stack(outputs, dim=2), LstmState(final_hidden, final_cell)
