"""The LSTM layer step by step under plain autograd: the reading of its formula that the kernel is held against."""

from __future__ import annotations

import torch
from torch import Tensor

from elmo_cli.model.kernel.lstm import LstmState, LstmWeights


def reference_lstm(
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
    """What `elmo_cli.model.kernel.lstm.lstm` computes, in the precision of its arguments."""
    directions, batch, steps, _ = inputs.shape
    cell_size, output_size = weights.bias.shape[1] // 4, weights.recurrent.shape[1]
    if state is None:
        state = LstmState(
            inputs.new_zeros(directions, batch, output_size), inputs.new_zeros(directions, batch, cell_size)
        )
    hidden, cell = final_hidden, final_cell = state
    outputs: list[Tensor] = []
    for step in range(steps):
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
        real = torch.ones(batch, dtype=torch.bool) if lengths is None else step < lengths
        final_hidden = torch.where(real[None, :, None], hidden, final_hidden)
        final_cell = torch.where(real[None, :, None], cell, final_cell)
    return torch.stack(outputs, dim=2), LstmState(final_hidden, final_cell)
