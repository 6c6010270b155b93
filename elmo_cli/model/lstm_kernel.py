"""Adds the arithmetic of an LSTM layer: a forward and a hand-written backward pass over a window of steps.

Products over all steps at once stand outside the loops (inputs, gradients of inputs and weights); inside, there is one
recurrent product a step and pointwise work in place on time-major buffers. Three identities keep the loops short:

    tanh(x) = 2 sigmoid(2x) - 1     the columns of j are doubled, so that one sigmoid serves all four gates
    reset: f's pre-activation is -inf, so that neither the cell nor its gradient passes a sentence's beginning
    gradients of the gates = coefficients known before the loop * (dh or dc)

Legend: G directions, B batch, T tokens (steps), I input size, D cell size, P output size; gates i, j, f, o along 4D.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elmo_cli.model.lstm_products import Product, buffer, fill_weight_gradient, packed_product, stacked_product

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input  # gradient * y * (1 - y)
_tanh_backward = torch.ops.aten.tanh_backward.grad_input  # gradient * (1 - y * y)
_clip_backward = torch.ops.aten.hardtanh_backward.grad_input  # gradient where |y| < clip

# Elements that one pass of pointwise work should touch at most, so that the next pass finds them in the cache.
_BLOCK = 1 << 16
# From here on, two cheap passes around a sigmoid are faster than the tanh of torch's CPU kernels.
_TANH_IS_SLOW = 1 << 11
# Elements of input gates that one product gives.
_CHUNK = 1 << 21


@dataclass(frozen=True, slots=True)
class Options:
    """What is fixed for a call."""

    cell_clip: float | None
    projection_clip: float | None
    forget_bias: float
    precision: torch.dtype  # of the matrix products


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of the directions that are run together, in the state's precision."""

    input: Tensor  # (G, I, 4D)
    recurrent: Tensor  # (G, P, 4D)
    bias: Tensor  # (G, 4D)
    projection: Tensor | None  # (G, D, P)

    def parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """The tensors in the order of the fields."""
        return self.input, self.recurrent, self.bias, self.projection

    def empty(self) -> Weights:
        """Uninitialised memory of their shapes."""
        matrices = [buffer(each, each.shape) for each in (self.input, self.recurrent)]
        projection = None if self.projection is None else buffer(self.projection, self.projection.shape)
        return Weights(matrices[0], matrices[1], torch.empty_like(self.bias), projection)

    def part(self, group: slice) -> Weights:
        """Those of some directions."""
        projection = None if self.projection is None else self.projection[group]
        return Weights(self.input[group], self.recurrent[group], self.bias[group], projection)

    def product(self, matrix: Tensor, rows: int, options: Options, packed: bool) -> Product:
        """`matrix` made ready for products of `rows` rows."""
        ready = matrix.to(options.precision)
        return packed_product(ready, rows) if packed else stacked_product(ready, rows)


@dataclass(slots=True)
class Tape:
    """What the backward pass needs of the forward pass, time-major. C is the precision of the products."""

    inputs: Tensor  # (G, T, B, I), C
    gates: Tensor  # (G, T, B, 4D): i, j, f, o after their nonlinearities
    cells: Tensor  # (G, T + 1, B, D), the initial ones first
    squashed: Tensor  # (G, T, B, D): tanh of the cells
    recurrent: Tensor  # (G, T, B, P), C: what met the recurrent matrix, zero where a sentence begins
    unprojected: Tensor | None  # (G, T, B, D), C
    hidden: Tensor  # (G, T + 1, B, P), the initial one first

    def parts(self) -> tuple[Tensor | None, ...]:
        """The tensors in the order of the fields."""
        return self.inputs, self.gates, self.cells, self.squashed, self.recurrent, self.unprojected, self.hidden


def tanh_(values: Tensor) -> Tensor:
    """The tanh of `values`, in place."""
    if values.is_cuda or values.numel() < _TANH_IS_SLOW:
        return values.tanh_()
    return values.mul_(2).sigmoid_().mul_(2).sub_(1)


def run_forward(
    inputs: Tensor,
    weights: Weights,
    history: Tensor,
    cell: Tensor,
    keep: Tensor | None,
    options: Options,
    *,
    packed: bool,
) -> Tape:
    """All steps forward, with everything kept that `run_backward` needs.

    Args:
        inputs: (G, T, B, I), in the precision of the products, contiguous.
        weights: Of these G directions.
        history: (G, T + 1, B, P) hidden states, the initial one first; the others are filled in.
        cell: (G, B, D) initial state.
        keep: (T, B, 1), 0 where a step begins a sentence, else 1.
        options: Of the call.
        packed: Whether to pack the matrices (G = 1).
    """
    directions, steps, batch, _ = inputs.shape
    size, precision = cell.shape[-1], options.precision
    shape = (directions, steps, batch, size)
    gates, squashed = buffer(cell, (*shape[:-1], 4 * size)), buffer(cell, shape)
    cells = buffer(cell, (directions, steps + 1, batch, size))
    cells[:, 0] = cell
    recurrent = history[:, :steps]
    if keep is not None or precision != cell.dtype:
        recurrent = buffer(cell, recurrent.shape, precision)
    unprojected = None if weights.projection is None else buffer(cell, shape, precision)
    step = _ForwardStep(weights, batch, options, packed)
    for now, addend in enumerate(step.input_gates(inputs, keep)):
        step(
            addend,
            history[:, now],
            cells[:, now],
            None if keep is None else keep[now],
            gates=gates[:, now],
            cell=cells[:, now + 1],
            squashed=squashed[:, now],
            recurrent=recurrent[:, now],
            unprojected=None if unprojected is None else unprojected[:, now],
            hidden=history[:, now + 1],
        )
    return Tape(inputs, gates, cells, squashed, recurrent, unprojected, history)


def run_inference(
    inputs: Tensor,
    weights: Weights,
    history: Tensor,
    cell: Tensor,
    keep: Tensor | None,
    ends: Tensor | None,
    options: Options,
    *,
    packed: bool,
) -> Tensor:
    """All steps forward with nothing kept but `history`; the buffers of one step serve them all.

    Args:
        inputs: As in `run_forward`, like all others but `ends`.
        weights: Of these G directions.
        history: (G, T + 1, B, P).
        cell: (G, B, D) initial state.
        keep: (T, B, 1) or None.
        ends: (T, B, 1) bool, true at a row's last real step; None: the last step of all.
        options: Of the call.
        packed: Whether to pack the matrices.

    Returns:
        (G, B, D) cells after each row's last real step.
    """
    directions, batch = cell.shape[:2]
    final = cell if ends is None else cell.clone()
    cells, squashed = [torch.empty_like(cell), torch.empty_like(cell)], torch.empty_like(cell)
    gates = cell.new_empty(directions, batch, 4 * cell.shape[-1])
    unprojected = None if weights.projection is None else torch.empty_like(cell, dtype=options.precision)
    recurrent = None
    if keep is not None or options.precision != cell.dtype:
        recurrent = torch.empty_like(history[:, 0], dtype=options.precision, memory_format=torch.contiguous_format)
    step = _ForwardStep(weights, batch, options, packed)
    for now, addend in enumerate(step.input_gates(inputs, keep)):
        step(
            addend,
            history[:, now],
            cell,
            None if keep is None else keep[now],
            gates=gates,
            cell=cells[now % 2],
            squashed=squashed,
            recurrent=history[:, now] if recurrent is None else recurrent,
            unprojected=unprojected,
            hidden=history[:, now + 1],
        )
        cell = cells[now % 2]
        if ends is not None:
            torch.where(ends[now], cell, final, out=final)
    return cell if ends is None else final


class _ForwardStep:
    """A step forward, the matrices of a call made ready once."""

    def __init__(self, weights: Weights, batch: int, options: Options, packed: bool) -> None:
        size = weights.bias.shape[-1] // 4
        scale = torch.ones_like(weights.bias[0])
        scale[size : 2 * size] = 2  # the columns of j
        bias = weights.bias.clone()
        bias[:, 2 * size : 3 * size] += options.forget_bias
        self.size, self.batch, self.packed, self.options = size, batch, packed, options
        self.bias = (bias * scale)[:, None].to(options.precision)
        self.input = weights.product(weights.input * scale, 8 * batch, options, packed)
        self.recur = weights.product(weights.recurrent * scale, batch, options, packed)
        self.project = None
        if weights.projection is not None:
            self.project = weights.product(weights.projection, batch, options, packed)
        self.minus_one = torch.full_like(weights.bias[0, 0], -1.0)

    def input_gates(self, inputs: Tensor, keep: Tensor | None) -> Iterator[Tensor]:
        """(G, B, 4D) for each step: pre-activations but for the recurrent product; j doubled, f -inf at a reset.

        Some steps share a product: enough rows for speed, few enough that the result stays in the cache.
        """
        directions, steps, batch, width = inputs.shape
        length = max(1, min(steps, _CHUNK // max(1, 4 * self.size * batch * directions)))
        for start in range(0, steps, length):
            rows = inputs[:, start : start + length].reshape(directions, -1, width)
            gates = self.input(rows).add_(self.bias) if self.packed else self.input(rows, self.bias)
            gates = gates.view(directions, -1, batch, 4 * self.size)
            if keep is not None:
                begins = keep[start : start + length] == 0
                gates[..., 2 * self.size : 3 * self.size].masked_fill_(begins, float("-inf"))
            yield from gates.unbind(1)

    def __call__(
        self,
        addend: Tensor,
        hidden_before: Tensor,
        cell_before: Tensor,
        keep: Tensor | None,
        *,
        gates: Tensor,
        cell: Tensor,
        squashed: Tensor,
        recurrent: Tensor,
        unprojected: Tensor | None,
        hidden: Tensor,
    ) -> None:
        """Fill the tensors after the star (as in `Tape`, of one step) from the step's input gates and the state."""
        if recurrent is not hidden_before:
            recurrent.copy_(hidden_before if keep is None else hidden_before * keep)
        torch.sigmoid(self.recur(recurrent, addend).to(gates.dtype), out=gates)
        in_gate, candidate, forget, out_gate = gates.chunk(4, dim=-1)
        torch.add(self.minus_one, candidate, alpha=2, out=candidate)
        torch.mul(forget, cell_before, out=cell).addcmul_(in_gate, candidate)
        options = self.options
        if options.cell_clip is not None:
            cell.clamp_(-options.cell_clip, options.cell_clip)
        tanh_(squashed.copy_(cell))
        if self.project is None or unprojected is None:
            torch.mul(out_gate, squashed, out=hidden)
            return
        hidden.copy_(self.project(unprojected.copy_(out_gate * squashed)))
        if options.projection_clip is not None:
            hidden.clamp_(-options.projection_clip, options.projection_clip)


def run_backward(
    tape: Tape,
    weights: Weights,
    hidden: Sequence[Tensor | None],
    cells: Sequence[Tensor | None],
    keep: Tensor | None,
    options: Options,
    gradients: Weights,
    *,
    packed: bool,
    need_inputs: bool,
) -> tuple[Tensor | None, Tensor, Tensor]:
    """All steps backward.

    Args:
        tape: Of the forward pass; left as it is.
        weights: As in the forward pass.
        hidden: T + 1 gradients (G, B, P) of the hidden states from outside the window, None for zero.
        cells: T + 1 gradients (G, B, D) of the cells from outside the window, likewise.
        keep: As in the forward pass.
        options: As in the forward pass.
        gradients: Of the weights, filled.
        packed: As in the forward pass.
        need_inputs: Whether anybody asks for the gradient of the inputs.

    Returns:
        Gradients of the inputs (G, T, B, I), of the initial hidden state (G, B, P) and of the initial cells (G, B, D).
    """
    directions, steps, batch, size = tape.squashed.shape
    gates = buffer(tape.gates, tape.gates.shape, options.precision)
    projected = None
    if weights.projection is not None:
        projected = buffer(tape.recurrent, tape.recurrent.shape)
    state = _backward_steps(tape, weights, hidden, cells, keep, options, packed, gates, projected)
    rows = gates.view(directions, steps * batch, 4 * size)
    fill_weight_gradient(gradients.input, tape.inputs.flatten(1, 2), rows, packed)
    fill_weight_gradient(gradients.recurrent, tape.recurrent.flatten(1, 2), rows, packed)
    torch.sum(rows, 1, dtype=gradients.bias.dtype, out=gradients.bias)
    if tape.unprojected is not None and projected is not None and gradients.projection is not None:
        fill_weight_gradient(gradients.projection, tape.unprojected.flatten(1, 2), projected.flatten(1, 2), packed)
    inputs = None
    if need_inputs:
        product = weights.product(weights.input.transpose(1, 2), steps * batch, options, packed)
        inputs = product(rows).view(tape.inputs.shape).to(tape.cells.dtype)
    return inputs, *state


def _backward_steps(
    tape: Tape,
    weights: Weights,
    hidden_from_outside: Sequence[Tensor | None],
    cells_from_outside: Sequence[Tensor | None],
    keep: Tensor | None,
    options: Options,
    packed: bool,
    gates: Tensor,
    projected: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Fill `gates` and `projected` with their gradients; return those of the initial state."""
    directions, steps, batch, size = tape.squashed.shape
    back_step = weights.product(weights.recurrent.transpose(1, 2), batch, options, packed)
    back_project = None
    if weights.projection is not None:
        back_project = weights.product(weights.projection.transpose(1, 2), batch, options, packed)
    cell, hidden = torch.zeros_like(tape.cells[:, 0]), torch.zeros_like(tape.hidden[:, 0])
    length = max(1, min(steps, _BLOCK // max(1, directions * batch * size)))
    for start in reversed(range(0, steps, length)):
        end = min(steps, start + length)
        factors, through_tanh = _coefficients(tape, start, end)
        for step in reversed(range(start, end)):
            _add(hidden, hidden_from_outside[step + 1])
            _add(cell, cells_from_outside[step + 1])
            if back_project is not None and projected is not None:
                if options.projection_clip is not None:
                    clip, value = options.projection_clip, tape.hidden[:, step + 1]
                    _clip_backward(hidden, value, -clip, clip, grad_input=hidden)
                hidden = back_project(projected[:, step].copy_(hidden)).to(cell.dtype)
            cell.addcmul_(hidden, through_tanh[:, step - start])
            if options.cell_clip is not None:
                clip, value = options.cell_clip, tape.cells[:, step + 1]
                _clip_backward(cell, value, -clip, clip, grad_input=cell)
            factor, gate = factors[:, step - start], gates[:, step].view(directions, batch, 4, size)
            torch.mul(factor[..., :3, :], cell.unsqueeze(-2), out=gate[..., :3, :])
            torch.mul(factor[..., 3, :], hidden, out=gate[..., 3, :])
            cell.mul_(tape.gates[:, step, :, 2 * size : 3 * size])
            hidden = back_step(gates[:, step]).to(cell.dtype)
            if keep is not None:
                hidden.mul_(keep[step])
    _add(hidden, hidden_from_outside[0])
    _add(cell, cells_from_outside[0])
    return hidden, cell


def _add(total: Tensor, part: Tensor | None) -> None:
    if part is not None:
        total.add_(part)


def _coefficients(tape: Tape, start: int, end: int) -> tuple[Tensor, Tensor]:
    """What dc (for i, j, f) and dh (for o, and for dc) are multiplied by: (G, t, B, 4, D) and (G, t, B, D)."""
    in_gate, candidate, forget, out_gate = tape.gates[:, start:end].chunk(4, dim=-1)
    tanh, before = tape.squashed[:, start:end], tape.cells[:, start:end]
    factors = tanh.new_empty((*tanh.shape[:-1], 4, tanh.shape[-1]))
    through_tanh = torch.empty_like(tanh, memory_format=torch.contiguous_format)
    _sigmoid_backward(candidate, in_gate, grad_input=factors[..., 0, :])
    _tanh_backward(in_gate, candidate, grad_input=factors[..., 1, :])
    _sigmoid_backward(before, forget, grad_input=factors[..., 2, :])
    _sigmoid_backward(tanh, out_gate, grad_input=factors[..., 3, :])
    _tanh_backward(out_gate, tanh, grad_input=through_tanh)
    return factors, through_tanh
