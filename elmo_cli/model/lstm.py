"""One projected, clipped LSTM layer for several directions at once.

For each direction g and step t, with the state (h, c) of the step before, set to zero where `reset` is true:

    i, j, f, o = split(x_t W_x + h W_h + b)
    c = clip(sigmoid(f + forget_bias) * c + sigmoid(i) * tanh(j), ±cell_clip)
    h = clip((sigmoid(o) * tanh(c)) W_p, ±projection_clip)      without W_p: h = sigmoid(o) * tanh(c)

Gate order and clips are those of bilm-tf's LSTMCell. Legend: G directions, B batch, T tokens (steps), I input size,
D cell size, P output size (D without a projection).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class LstmWeights(NamedTuple):
    """Weights of one layer, the directions stacked."""

    input: Tensor  # (G, I, 4D), gates i, j, f, o
    recurrent: Tensor  # (G, P, 4D)
    bias: Tensor  # (G, 4D)
    projection: Tensor | None  # (G, D, P)


class LstmState(NamedTuple):
    """What a step hands to the next one."""

    hidden: Tensor  # (G, B, P)
    cell: Tensor  # (G, B, D)


def lstm(
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
    """Run one layer over a window of steps.

    Args:
        inputs: (G, B, T, I) vectors, each direction in its own order of time.
        weights: The layer's weights.
        state: State before the first step; None means zeros.
        reset: (B, T) bool; true where a step begins a sentence: its state and the gradient through it are cut.
        lengths: (B,) steps of each row that are real; the final state is the one after a row's last real step.
            None means all T. Outputs of steps beyond a row's length are unspecified.
        cell_clip: Bound of the cells.
        projection_clip: Bound of the projected outputs; ignored without a projection.
        forget_bias: Added to the forget gate.

    Returns:
        (G, B, T, P) outputs and the final state, which carries gradients (detach it between windows).
    """
    directions, batch, steps, _ = inputs.shape
    cell_size, output_size = weights.bias.shape[1] // 4, weights.recurrent.shape[1]
    if state is None:
        state = LstmState(
            inputs.new_zeros(directions, batch, output_size), inputs.new_zeros(directions, batch, cell_size)
        )
    hidden, cell = state
    gates_in = torch.einsum("gbti,gid->gbtd", inputs, weights.input) + weights.bias[:, None, None]
    outputs: list[Tensor] = []
    final_hidden, final_cell = hidden, cell
    for step in range(steps):
        if reset is not None:
            keep = ~reset[None, :, step, None]
            hidden, cell = hidden * keep, cell * keep
        gates = gates_in[:, :, step] + torch.bmm(hidden, weights.recurrent)
        in_gate, candidate, forget, out_gate = gates.chunk(4, dim=-1)
        cell = torch.sigmoid(forget + forget_bias) * cell + torch.sigmoid(in_gate) * torch.tanh(candidate)
        if cell_clip is not None:
            cell = cell.clamp(-cell_clip, cell_clip)
        hidden = torch.sigmoid(out_gate) * torch.tanh(cell)
        if weights.projection is not None:
            hidden = torch.bmm(hidden, weights.projection)
            if projection_clip is not None:
                hidden = hidden.clamp(-projection_clip, projection_clip)
        outputs.append(hidden)
        if lengths is not None:
            real = (step < lengths)[None, :, None]
            final_hidden = torch.where(real, hidden, final_hidden)
            final_cell = torch.where(real, cell, final_cell)
    final = LstmState(hidden, cell) if lengths is None else LstmState(final_hidden, final_cell)
    return torch.stack(outputs, dim=2), final
