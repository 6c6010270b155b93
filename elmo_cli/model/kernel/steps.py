"""Adds the arithmetic of an LSTM layer: a forward and a hand-written backward pass over a window of steps.

Products over many steps at once stand outside the loops (inputs, gradients of inputs and weights); inside, there is one
recurrent product a step (two with a projection) and the pointwise work of `pointwise`.

Legend: G directions, B batch, T tokens (steps), I input size, D cell size, P output size; gates i, j, f, o along 4D.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elmo_cli.model.kernel.layer import LstmWeights, Prepared
from elmo_cli.model.kernel.memory import buffer
from elmo_cli.model.kernel.pointwise import Backward, Clips, Forward, Tape, Window
from elmo_cli.model.kernel.products import (
    Product,
    fill_bias_gradient,
    fill_weight_gradient,
    packed_product,
    stacked_product,
)

# Elements of input gates that one product gives.
_CHUNK = 1 << 21


@dataclass(frozen=True, slots=True)
class Options:
    """What is fixed for a call."""

    clips: Clips
    forget_bias: float
    precision: torch.dtype  # of the matrix products
    packed: bool  # whether the matrices are packed, and the directions run one by one


def make_product(matrix: Tensor, rows: int, options: Options) -> Product:
    """`matrix` made ready for products of `rows` rows."""
    ready = matrix.to(options.precision)
    return packed_product(ready, rows) if options.packed else stacked_product(ready)


def run_forward(
    inputs: Tensor, weights: LstmWeights, history: Tensor, cell: Tensor, keep: Sequence[Tensor] | None, options: Options
) -> Tape:
    """All steps forward, with everything kept that `run_backward` needs.

    Args:
        inputs: (G, T, B, I), in the precision of the products, contiguous.
        weights: Of these G directions.
        history: (G, T + 1, B, P) hidden states, the initial one first; the others are filled in.
        cell: (G, B, D) initial state.
        keep: T + 1 times (B, 1): 0 where a step begins a sentence, else 1; the last one counts for nothing.
        options: Of the call.
    """
    point, tape = _forward_point(inputs, weights, history, cell, keep, options)
    products = ForwardProducts(weights, inputs.shape[2], options)
    point.carry(0)
    for step, addend in enumerate(products.input_gates(inputs, keep)):
        products.step(point, step, addend)
    return tape


def _forward_point(
    inputs: Tensor, weights: LstmWeights, history: Tensor, cell: Tensor, keep: Sequence[Tensor] | None, options: Options
) -> tuple[Forward, Tape]:
    """The pointwise work and the tape that it fills; the arguments are those of `run_forward`."""
    directions, steps, batch, _ = inputs.shape
    size, precision = cell.shape[-1], options.precision
    shape = (directions, steps, batch, size)
    cells = buffer(cell, (directions, steps + 1, batch, size))
    cells[:, 0] = cell
    # The hidden state serves as it is where no reset zeroes it and no product wants it rounded: one pass less a step.
    apart = keep is not None or precision != cell.dtype
    recurrent = buffer(cell, history.shape, precision) if apart else None
    unprojected = None if weights.projection is None else buffer(cell, shape, precision)
    gates, squashed = buffer(cell, (*shape[:-1], 4 * size)), buffer(cell, shape)
    tape = Tape(inputs, gates, cells, squashed, recurrent, unprojected, history)
    return Forward(Window.of(tape, keep), options.clips), tape


def run_inference(
    inputs: Tensor,
    weights: LstmWeights,
    history: Tensor,
    cell: Tensor,
    keep: Sequence[Tensor] | None,
    ends: Tensor | None,
    options: Options,
    prepared: Prepared | None,
) -> Tensor:
    """All steps forward with nothing kept but `history`; the buffers of one step serve them all.

    Args:
        inputs: As in `run_forward`, like all others but `ends`.
        weights: Of these G directions.
        history: (G, T + 1, B, P).
        cell: (G, B, D) initial state.
        keep: T + 1 times (B, 1), or None.
        ends: (T, B, 1) bool, true at a row's last real step; None: the last step of all.
        options: Of the call.
        prepared: Where the matrices are, or are to be kept for the next call.

    Returns:
        (G, B, D) cells after each row's last real step.
    """
    directions, steps, batch, _ = inputs.shape
    final = cell if ends is None else cell.clone()
    # Two cells in turn: a step reads the one and writes the other, and the given state stays as it is.
    cells = [cell, *([torch.empty_like(cell), torch.empty_like(cell)] * steps)][: steps + 1]
    gates = cell.new_empty(directions, batch, 4 * cell.shape[-1])
    apart = keep is not None or options.precision != cell.dtype
    recurrent = torch.empty_like(history[:, 0], dtype=options.precision, memory_format=torch.contiguous_format)
    unprojected = None if weights.projection is None else [torch.empty_like(cell, dtype=options.precision)] * steps
    i, j, f, o = ([part] * steps for part in gates.chunk(4, dim=-1))
    window = Window(
        [gates] * steps,
        i,
        j,
        f,
        o,
        cells,
        [torch.empty_like(cell)] * steps,
        [recurrent] * (steps + 1) if apart else None,
        unprojected,
        history.unbind(1),
        keep,
    )
    point, products = Forward(window, options.clips), ForwardProducts.kept(prepared, weights, batch, options)
    point.carry(0)
    for step, addend in enumerate(products.input_gates(inputs, keep)):
        products.step(point, step, addend)
        if ends is not None:
            torch.where(ends[step], cells[step + 1], final, out=final)
    return cells[-1] if ends is None else final


class ForwardProducts:
    """The matrices of a call forward, made ready once, with the columns of j doubled (see `pointwise`)."""

    def __init__(self, weights: LstmWeights, batch: int, options: Options) -> None:
        self.size = size = weights.bias.shape[-1] // 4
        bias = self._doubled(weights.bias, weights.bias.dtype)[:, None]
        bias[..., 2 * size : 3 * size] += options.forget_bias
        self.bias = bias
        # The number of rows is but a hint to oneDNN: how many steps share a product differs from window to window.
        self.input = make_product(self._doubled(weights.input, options.precision), 8 * batch, options)
        self.recur = make_product(self._doubled(weights.recurrent, options.precision), batch, options)
        self.project = None
        if weights.projection is not None:
            self.project = make_product(weights.projection, batch, options)

    @classmethod
    def kept(cls, prepared: Prepared | None, weights: LstmWeights, batch: int, options: Options) -> ForwardProducts:
        """Those of an earlier call with these weights, else new ones."""
        return (prepared or Prepared()).get(weights, options, lambda: cls(weights, batch, options))

    def _doubled(self, values: Tensor, dtype: torch.dtype) -> Tensor:
        result = values.to(dtype, copy=True)
        result[..., self.size : 2 * self.size] *= 2
        return result

    def input_gates(self, inputs: Tensor, keep: Sequence[Tensor] | None) -> Iterator[Tensor]:
        """(G, B, 4D) for each step: pre-activations but for the recurrent product, those of f -inf at a reset.

        Some steps share a product: enough rows for speed, few enough that the result stays in the cache.
        """
        directions, steps, batch, width = inputs.shape
        length = max(1, min(steps, _CHUNK // max(1, 4 * self.size * batch * directions)))
        for start in range(0, steps, length):
            rows = inputs[:, start : start + length].reshape(directions, -1, width)
            gates = self.input(rows, self.bias).view(directions, -1, batch, 4 * self.size)
            if keep is not None:
                # sigmoid(-inf) = 0 forgets the cell, and its derivative 0 stops the gradient: no pass of its own.
                begins = torch.stack(list(keep[start : min(steps, start + length)])) == 0
                gates[..., 2 * self.size : 3 * self.size].masked_fill_(begins, float("-inf"))
            yield from gates.unbind(1)

    def step(self, point: Forward, step: int, addend: Tensor) -> None:
        """One step: the recurrent product on top of `addend` (G, B, 4D), and all that follows from it."""
        window = point.window
        point.cells(step, self.recur((window.recurrent or window.hidden)[step], addend))
        if self.project is not None and window.unprojected is not None:
            point.outputs(step, self.project(window.unprojected[step]))


def run_backward(
    tape: Tape,
    weights: LstmWeights,
    upstream: Tensor,
    final_cells: Sequence[Tensor | None],
    keep: Sequence[Tensor] | None,
    options: Options,
    gradients: LstmWeights,
    input_gradients: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """All steps backward.

    Args:
        tape: Of the forward pass; left as it is.
        weights: As in the forward pass.
        upstream: (G, T, B, P) gradients of the hidden states from outside the window, contiguous.
        final_cells: T + 1 gradients (G, B, D) of the cells from outside the window, None for zero.
        keep: As in the forward pass.
        options: As in the forward pass.
        gradients: Of the weights, filled.
        input_gradients: (G, T, B, I), filled; None where nobody asks for them.

    Returns:
        Gradients of the initial hidden state (G, B, P) and of the initial cells (G, B, D).
    """
    directions, steps, batch, size = (*upstream.shape[:3], tape.cells.shape[-1])
    gates = buffer(upstream, tape.gates.shape, options.precision)
    projected = None if weights.projection is None else buffer(upstream, upstream.shape, options.precision)
    point = Backward(tape, Window.of(tape, keep), upstream.unbind(1), gates, projected, options.clips)
    following = _backward_steps(point, weights, gates.unbind(1), batch, final_cells, options)
    hidden = following.to(tape.hidden.dtype)
    if keep is not None:
        hidden = hidden * keep[0]
    rows = gates.view(directions, steps * batch, 4 * size)
    # The loop has left the gradients of all pre-activations: one product over all steps for each matrix.
    recurrent = (tape.hidden if tape.recurrent is None else tape.recurrent)[:, :steps]
    fill_weight_gradient(gradients.input, tape.inputs.flatten(1, 2), rows, options.packed)
    fill_weight_gradient(gradients.recurrent, recurrent.flatten(1, 2), rows, options.packed)
    fill_bias_gradient(gradients.bias, rows)
    if tape.unprojected is not None and projected is not None and gradients.projection is not None:
        left, right = tape.unprojected.flatten(1, 2), projected.flatten(1, 2)
        fill_weight_gradient(gradients.projection, left, right, options.packed)
    if input_gradients is not None:
        product = make_product(weights.input.transpose(1, 2), steps * batch, options)
        input_gradients.copy_(product(rows).view(tape.inputs.shape))
    return hidden, point.cell


def _backward_steps(
    point: Backward,
    weights: LstmWeights,
    gates: Sequence[Tensor],
    batch: int,
    final_cells: Sequence[Tensor | None],
    options: Options,
) -> Tensor:
    """Let `point` go through the steps; return the recurrent product (G, B, P) that reaches the initial state."""
    recur = make_product(weights.recurrent.transpose(1, 2), batch, options)
    project = None
    if weights.projection is not None:
        project = make_product(weights.projection.transpose(1, 2), batch, options)
    following = torch.zeros_like(point.upstream[0], dtype=options.precision, memory_format=torch.contiguous_format)
    for step in reversed(range(len(gates))):
        final = final_cells[step + 1]
        if final is not None:
            point.cell.add_(final)
        hidden = point.outputs(step, following)
        point.cells(step, hidden if project is None else project(hidden))
        following = recur(gates[step])
    if final_cells[0] is not None:
        point.cell.add_(final_cells[0])
    return following
