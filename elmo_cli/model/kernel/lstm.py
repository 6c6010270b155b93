"""The fast LSTM layer: the formula of `naive`, with a hand-written gradient, for several directions at once.

This module is what the rest calls and what autograd sees; the loops over the steps are in `steps`. Legend: G
directions, B batch, T tokens (steps), I input size, D cell size, P output size (D without a projection).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from elmo_cli.config import Precision
from elmo_cli.model.kernel import native
from elmo_cli.model.kernel.layer import LstmState, LstmWeights, Prepared
from elmo_cli.model.kernel.memory import buffer
from elmo_cli.model.kernel.pointwise import Clips, Tape
from elmo_cli.model.kernel.products import packing_pays
from elmo_cli.model.kernel.steps import Options, run_backward, run_forward, run_inference


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
    precision: Precision = "float32",
    native_loop: bool = True,
    prepared: Prepared | None = None,
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
        native_loop: Whether the loop over the steps may run in C++, where `native.can_run` says so; it rounds
            differently in the last bit.
        prepared: For calls without gradients, what keeps the matrices ready for the next one with the same weights.

    Returns:
        (G, B, T, P) outputs and the final state, which carries gradients (detach it between windows).
    """
    state = state or LstmState.zeros(inputs, weights)
    product_type = torch.bfloat16 if precision == "bfloat16" else weights.bias.dtype
    clips = Clips(cell_clip, projection_clip)
    if native_loop and native.can_run(weights, product_type):
        return native.lstm(inputs, weights, state, reset, lengths, clips, forget_bias, product_type, prepared)
    multiplications = inputs.shape[1] * weights.recurrent[0].numel()  # of the recurrent product of a step
    packed = packing_pays(weights.bias.device, product_type, multiplications)
    options = Options(clips, forget_bias, product_type, packed)
    keep = None
    if reset is not None:
        # One step more than there are: the backward pass looks one step ahead.
        keep = (~torch.cat([reset, reset[:, :1]], dim=1)).t()[..., None].to(inputs.dtype)  # (T + 1, B, 1)
    # Without gradients no tape: a window then needs the memory of one step beside its outputs.
    arguments = (inputs, *weights, *state)
    if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in arguments):
        outputs, hidden, cell = _Layer.apply(*arguments, keep, lengths, options)  # type: ignore[no-untyped-call]
    else:
        outputs, hidden, cell = _infer(inputs, weights, *state, keep, lengths, options, prepared)
    return outputs, LstmState(hidden, cell)


def _groups(directions: int, options: Options) -> list[slice]:
    """The directions that are run together: each on its own with packed matrices, else all."""
    return [slice(g, g + 1) for g in range(directions)] if options.packed else [slice(0, directions)]


def _start(inputs: Tensor, hidden: Tensor, options: Options) -> tuple[Tensor, Tensor]:
    """Inputs (G, T, B, I) for the products, and the history (G, T + 1, B, P) that begins with `hidden`."""
    # Time-major, so that a step is one block of memory.
    rows = inputs.transpose(1, 2).to(options.precision, memory_format=torch.contiguous_format).contiguous()
    history = buffer(hidden, (hidden.shape[0], inputs.shape[2] + 1, *hidden.shape[1:]))
    history[:, 0] = hidden
    return rows, history


def _final(values: Tensor, lengths: Tensor | None) -> Tensor:
    """The value after each row's last real step, (G, B, ...), among (G, T + 1, B, ...)."""
    if lengths is None:
        return values[:, -1].clone()  # a view would keep the whole window alive from one to the next
    return values[:, lengths, torch.arange(values.shape[2], device=values.device)]


def _infer(
    inputs: Tensor,
    weights: LstmWeights,
    hidden: Tensor,
    cell: Tensor,
    keep: Tensor | None,
    lengths: Tensor | None,
    options: Options,
    prepared: Prepared | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The layer without gradients: nothing but the hidden states is kept."""
    with torch.no_grad():
        rows, history = _start(inputs, hidden, options)
        ends = None
        if lengths is not None:
            ends = torch.arange(1, inputs.shape[2] + 1, device=lengths.device)[:, None, None] == lengths[:, None]
        steps = None if keep is None else keep.unbind(0)
        cells = [
            run_inference(rows[g], weights.part(g), history[g], cell[g], steps, ends, options, prepared)
            for g in _groups(len(cell), options)
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
        weights = LstmWeights(input_weights, recurrent, bias, projection)
        rows, history = _start(inputs, hidden, options)
        groups, steps = _groups(len(cell), options), None if keep is None else keep.unbind(0)
        tapes = [run_forward(rows[g], weights.part(g), history[g], cell[g], steps, options) for g in groups]
        ctx.options, ctx.groups = options, groups
        ctx.save_for_backward(
            input_weights,
            recurrent,
            bias,
            projection,
            keep,
            lengths,
            *(part for tape in tapes for part in tape.parts()),
        )
        ctx.set_materialize_grads(False)  # final states are detached between windows: no zeros are made for them
        final_cell = torch.cat([_final(tape.cells, lengths) for tape in tapes])
        return history[:, 1:].transpose(1, 2), _final(history, lengths), final_cell

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        input_weights, recurrent, bias, projection, keep, lengths, *parts = ctx.saved_tensors
        weights = LstmWeights(input_weights, recurrent, bias, projection)
        count = len(parts) // len(ctx.groups)
        tapes = [Tape(*parts[start : start + count]) for start in range(0, len(parts), count)]
        upstream, first_hidden, cells = _upstream(gradients, tapes[0].hidden, lengths)
        filled, steps = weights.empty(), None if keep is None else keep.unbind(0)
        inputs = None
        if ctx.needs_input_grad[0]:
            inputs = buffer(upstream, (*upstream.shape[:3], input_weights.shape[1]))
        found = [
            run_backward(
                tape,
                weights.part(group),
                upstream[group],
                [None if value is None else value[group] for value in cells],
                steps,
                ctx.options,
                filled.part(group),
                None if inputs is None else inputs[group],
            )
            for tape, group in zip(tapes, ctx.groups, strict=True)
        ]
        hidden, cell = (torch.cat(parts) for parts in zip(*found, strict=True))
        if first_hidden is not None:
            hidden += first_hidden
        rows = None if inputs is None else inputs.transpose(1, 2)
        return rows, *filled, hidden, cell, None, None, None


def _upstream(
    gradients: Sequence[Tensor | None], hidden: Tensor, lengths: Tensor | None
) -> tuple[Tensor, Tensor | None, list[Tensor | None]]:
    """Gradients of the states of a window from outside it.

    Args:
        gradients: Of outputs (G, B, T, P), final hidden (G, B, P) and final cells (G, B, D); None for zero.
        hidden: (G', T + 1, B, P) hidden states, for their sizes.
        lengths: (B,) or None.

    Returns:
        Of the hidden states (G, T, B, P), of the initial one (G, B, P), and of the T + 1 cells (G, B, D).
    """
    outputs, final_hidden, final_cell = gradients
    directions = next(len(gradient) for gradient in gradients if gradient is not None)
    _, steps, batch, width = hidden.shape
    steps -= 1
    if outputs is None:
        upstream = hidden.new_zeros(directions, steps, batch, width)
    else:
        upstream = outputs.transpose(1, 2).contiguous()
        if final_hidden is not None and upstream.data_ptr() == outputs.data_ptr():
            upstream = upstream.clone()  # it is added to below
    first_hidden = None
    cells: list[Tensor | None] = [None] * (steps + 1)
    for end in [steps] if lengths is None else sorted(set(lengths.tolist())):
        here = None if lengths is None else (lengths == end)[None, :, None]
        if final_hidden is not None:
            part = final_hidden if here is None else final_hidden * here
            if end == 0:
                first_hidden = part
            else:
                upstream[:, end - 1] += part
        if final_cell is not None:
            cells[end] = final_cell if here is None else final_cell * here
    return upstream, first_hidden, cells
