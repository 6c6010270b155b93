"""One projected, clipped LSTM layer for several directions at once.

For each direction g and step t, with the state (h, c) of the step before, set to zero where `reset` is true:

    i, j, f, o = split(x_t W_x + h W_h + b)
    c = clip(sigmoid(f + forget_bias) * c + sigmoid(i) * tanh(j), ±cell_clip)
    h = clip((sigmoid(o) * tanh(c)) W_p, ±projection_clip)      without W_p: h = sigmoid(o) * tanh(c)

Gate order and clips are those of bilm-tf's LSTMCell. Legend: G directions, B batch, T tokens (steps), I input size,
D cell size, P output size (D without a projection).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from elmo_cli.model import lstm_kernel
from elmo_cli.model.lstm_kernel import Options, Tape, Weights
from elmo_cli.model.lstm_products import buffer, packing_pays


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
    precision: Literal["float32", "bfloat16"] = "float32",
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
        precision: Of the matrix products. With bfloat16 their sums, the state, the pointwise work and the gradients of
            the weights stay in float32; float32 means the precision of `inputs`, which may also be float64.

    Returns:
        (G, B, T, P) outputs and the final state, which carries gradients (detach it between windows).
    """
    batch = inputs.shape[1]
    directions, output_size = weights.recurrent.shape[:2]
    if state is None:
        cell_size = weights.bias.shape[1] // 4
        state = LstmState(
            inputs.new_zeros(directions, batch, output_size), inputs.new_zeros(directions, batch, cell_size)
        )
    product_type = torch.bfloat16 if precision == "bfloat16" else inputs.dtype
    options = Options(cell_clip, projection_clip, forget_bias, product_type)
    keep = None if reset is None else (~reset).t()[..., None].to(inputs.dtype)
    arguments = (inputs, *weights, *state)
    if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in arguments):
        outputs, hidden, cell = _Layer.apply(*arguments, keep, lengths, options)  # type: ignore[no-untyped-call]
    else:
        outputs, hidden, cell = _infer(inputs, Weights(*weights), *state, keep, lengths, options)
    return outputs, LstmState(hidden, cell)


def _groups(weights: Weights, batch: int, options: Options) -> tuple[bool, list[slice]]:
    """Whether to pack the matrices, and the directions that are run together: one each then, else all."""
    directions, rows, columns = weights.recurrent.shape
    packed = packing_pays(weights.bias.device, options.precision, batch * rows * columns)
    return packed, [slice(g, g + 1) for g in range(directions)] if packed else [slice(0, directions)]


def _start(inputs: Tensor, hidden: Tensor, options: Options) -> tuple[Tensor, Tensor]:
    """Inputs (G, T, B, I) for the products, and the history (G, T + 1, B, P) that begins with `hidden`."""
    rows = inputs.transpose(1, 2).to(options.precision, memory_format=torch.contiguous_format).contiguous()
    history = buffer(hidden, (hidden.shape[0], inputs.shape[2] + 1, *hidden.shape[1:]))
    history[:, 0] = hidden
    return rows, history


def _final(values: Tensor, lengths: Tensor | None) -> Tensor:
    """Of (G, T + 1, B, ...) values the one after each row's last real step: (G, B, ...)."""
    if lengths is None:
        return values[:, -1].clone()
    return values[:, lengths, torch.arange(values.shape[2], device=values.device)]


def _infer(
    inputs: Tensor,
    weights: Weights,
    hidden: Tensor,
    cell: Tensor,
    keep: Tensor | None,
    lengths: Tensor | None,
    options: Options,
) -> tuple[Tensor, Tensor, Tensor]:
    with torch.no_grad():
        rows, history = _start(inputs, hidden, options)
        packed, groups = _groups(weights, inputs.shape[1], options)
        ends = None
        if lengths is not None:
            ends = torch.arange(1, inputs.shape[2] + 1, device=lengths.device)[:, None, None] == lengths[:, None]
        cells = [
            lstm_kernel.run_inference(rows[g], weights.part(g), history[g], cell[g], keep, ends, options, packed=packed)
            for g in groups
        ]
        return history[:, 1:].transpose(1, 2), _final(history, lengths), torch.cat(cells)


class _Layer(torch.autograd.Function):
    """The layer for autograd: `run_forward` and `run_backward` for each group of directions."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        input_weights: Tensor,
        recurrent: Tensor,
        bias: Tensor,
        projection: Tensor | None,
        hidden: Tensor,
        cell: Tensor,
        keep: Tensor | None,
        lengths: Tensor | None,
        options: Options,
    ) -> tuple[Tensor, Tensor, Tensor]:
        weights = Weights(input_weights, recurrent, bias, projection)
        rows, history = _start(inputs, hidden, options)
        packed, groups = _groups(weights, inputs.shape[1], options)
        tapes = [
            lstm_kernel.run_forward(rows[g], weights.part(g), history[g], cell[g], keep, options, packed=packed)
            for g in groups
        ]
        ctx.options, ctx.packed, ctx.groups = options, packed, groups
        ctx.save_for_backward(
            input_weights,
            recurrent,
            bias,
            projection,
            keep,
            lengths,
            *(part for tape in tapes for part in tape.parts()),
        )
        ctx.set_materialize_grads(False)
        final_cell = torch.cat([_final(tape.cells, lengths) for tape in tapes])
        return history[:, 1:].transpose(1, 2), _final(history, lengths), final_cell

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        input_weights, recurrent, bias, projection, keep, lengths, *parts = ctx.saved_tensors
        weights = Weights(input_weights, recurrent, bias, projection)
        count = len(parts) // len(ctx.groups)
        tapes = [Tape(*parts[start : start + count]) for start in range(0, len(parts), count)]
        hidden, cells = _upstream(gradients, tapes[0].squashed.shape[1], lengths)
        filled = weights.empty()
        found = [
            lstm_kernel.run_backward(
                tape,
                weights.part(group),
                [None if value is None else value[group] for value in hidden],
                [None if value is None else value[group] for value in cells],
                keep,
                ctx.options,
                filled.part(group),
                packed=ctx.packed,
                need_inputs=ctx.needs_input_grad[0],
            )
            for tape, group in zip(tapes, ctx.groups, strict=True)
        ]
        rows, first_hidden, first_cell = (_join(list(parts)) for parts in zip(*found, strict=True))
        inputs = None if rows is None else rows.transpose(1, 2)
        return inputs, *filled.parts(), first_hidden, first_cell, None, None, None


def _join(parts: list[Tensor | None]) -> Tensor | None:
    """The groups' results along the directions."""
    present = [part for part in parts if part is not None]
    return (present[0] if len(present) == 1 else torch.cat(present)) if present else None


def _upstream(
    gradients: Sequence[Tensor | None], steps: int, lengths: Tensor | None
) -> tuple[list[Tensor | None], list[Tensor | None]]:
    """Gradients of the hidden states and of the cells 0..T from outside the window, by step; None stands for zero.

    Args:
        gradients: Of outputs (G, B, T, P), final hidden (G, B, P) and final cells (G, B, D).
        steps: T.
        lengths: (B,) or None.
    """
    outputs, final_hidden, final_cell = gradients
    hidden: list[Tensor | None] = [None] * (steps + 1)
    cells: list[Tensor | None] = [None] * (steps + 1)
    if outputs is not None:
        hidden[1:] = outputs.unbind(2)
    ends = [steps] if lengths is None else sorted(set(lengths.tolist()))
    for end in ends:
        others = None if lengths is None else (lengths != end)[None, :, None]
        for states, final in ((hidden, final_hidden), (cells, final_cell)):
            if final is not None:
                value, state = final if others is None else final.masked_fill(others, 0.0), states[end]
                states[end] = value if state is None else state + value
    return hidden, cells
