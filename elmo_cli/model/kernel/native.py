"""Adds the loop over the steps in C++: all steps of a layer in one call, the pointwise work done while it is in cache.

Without a compiler, and for what the C++ does not do (other devices, float64, sizes that are no multiple of its
vectors), `steps` does the same in torch; the two differ in rounding alone. Steps that a shorter sentence does not have
are not computed.

Legend: G directions, B batch, T steps, N the rows of all steps together, I input size, D cell size, P output size, C
the type of the products.
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from elmo_cli.model.kernel.layer import LstmState, LstmWeights, Prepared
from elmo_cli.model.kernel.memory import buffer
from elmo_cli.model.kernel.native_library import function, has, in_threads, lanes, obstacle
from elmo_cli.model.kernel.native_products import each, fill_weight_gradient, pack, product
from elmo_cli.model.kernel.pointwise import Clips
from elmo_cli.model.kernel.rows import Rows

UNBOUNDED = 3.0e38
FEWEST_ROWS = 12  # of a thread: two blocks of the products


def can_run(weights: LstmWeights, precision: torch.dtype) -> bool:
    """Whether the native loop takes a layer with such products."""
    if weights.bias.device.type != "cpu" or weights.bias.dtype != torch.float32 or obstacle() is not None:
        return False
    if not has("forward", precision):
        return False
    _, input_size, gates = weights.input.shape
    return all(size % lanes() == 0 for size in (input_size, weights.recurrent.shape[1], gates // 4))


@dataclass(slots=True)
class Tape:
    """What the backward pass needs of the forward pass."""

    inputs: Tensor  # (G, N, I), C
    gates: Tensor  # (G, N, 4D), C: i, j, f, o after their nonlinearities
    cell: Tensor  # (G, B + N, D), the initial ones first
    recurrent: Tensor  # (G, N, P), C: what met the recurrent matrix
    unprojected: Tensor | None  # (G, N, D), C
    hidden: Tensor  # (G, N, P)

    def parts(self) -> tuple[Tensor | None, ...]:
        """The tensors in the order of the fields."""
        return self.inputs, self.gates, self.cell, self.recurrent, self.unprojected, self.hidden


class Packed:
    """The matrices of a call forward in the order in which the loop reads them.

    Args:
        weights: Of the layer.
        forget_bias: Added to the forget gate.
        precision: C.
    """

    def __init__(self, weights: LstmWeights, forget_bias: float, precision: torch.dtype) -> None:
        size = weights.bias.shape[1] // 4
        self.input = pack(weights.input.to(precision), gates=True)
        self.bias = weights.bias.clone()
        self.bias[:, 2 * size : 3 * size] += forget_bias
        self.recurrent = pack(weights.recurrent.to(precision), gates=True)
        self.projection = None if weights.projection is None else pack(weights.projection.to(precision))


@dataclass(frozen=True, slots=True)
class Call:
    """What is fixed for a call of a layer."""

    clips: Clips
    precision: torch.dtype  # C
    begins: Tensor | None  # (T, B) uint8: 1 where a step begins a sentence
    rows: Rows


def lstm(
    inputs: Tensor,
    weights: LstmWeights,
    state: LstmState,
    reset: Tensor | None,
    lengths: Tensor | None,
    clips: Clips,
    forget_bias: float,
    precision: torch.dtype,
    prepared: Prepared | None,
) -> tuple[Tensor, LstmState]:
    """`elmo_cli.model.kernel.lstm.lstm`, where `can_run` allows it; steps that a row does not have give zeros."""
    rows = Rows.of(inputs.shape[1], inputs.shape[2], lengths)
    begins = None
    if reset is not None:
        begins = (reset if rows.order is None else reset[rows.order]).t().to(torch.uint8).contiguous()
    call = Call(clips, precision, begins, rows)
    arguments = (inputs, *weights, *state)
    if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in arguments):
        outputs, hidden, cell = _Layer.apply(*arguments, forget_bias, call)  # type: ignore[no-untyped-call]
        return outputs, LstmState(hidden, cell)
    with torch.no_grad():
        packed = (prepared or Prepared()).get(
            weights, (forget_bias, precision), lambda: Packed(weights, forget_bias, precision)
        )
        first_hidden, first_cell = rows.sort(state.hidden), rows.sort(state.cell)
        cells, cell = _run_inference(rows.take(inputs, precision), packed, first_hidden, first_cell, call)
        hidden = rows.unsort(rows.final(first_hidden, cells))
        return rows.put(cells, *inputs.shape[1:3]), LstmState(hidden, rows.unsort(cell))


class _Layer(torch.autograd.Function):
    """The layer for autograd."""

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
        forget_bias: float,
        call: Call,
    ) -> tuple[Tensor, Tensor, Tensor]:
        weights, rows = LstmWeights(input_weights, recurrent, bias, projection), call.rows
        packed = Packed(weights, forget_bias, call.precision)
        first_hidden, first_cell = rows.sort(hidden), rows.sort(cell)
        tape = _run_forward(rows.take(inputs, call.precision), packed, first_hidden, first_cell, call)
        ctx.call, ctx.shape = call, inputs.shape
        ctx.save_for_backward(*weights, *tape.parts())
        ctx.set_materialize_grads(False)
        batch = inputs.shape[1]
        final_cell = rows.final(tape.cell[:, :batch], tape.cell[:, batch:])
        final_hidden = rows.final(first_hidden, tape.hidden)
        return rows.put(tape.hidden, *inputs.shape[1:3]), rows.unsort(final_hidden), rows.unsort(final_cell)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        input_weights, recurrent, bias, projection, *parts = ctx.saved_tensors
        weights, tape, call = LstmWeights(input_weights, recurrent, bias, projection), Tape(*parts), ctx.call
        (directions, batch, steps, _), rows = ctx.shape, call.rows
        outputs, final_hidden, final_cell = gradients
        upstream = torch.zeros_like(tape.hidden) if outputs is None else rows.take(outputs, torch.float32)
        hidden = (
            bias.new_zeros(directions, batch, recurrent.shape[1]) if final_hidden is None else rows.sort(final_hidden)
        )
        cell = bias.new_zeros(directions, batch, bias.shape[1] // 4) if final_cell is None else rows.sort(final_cell)
        filled = weights.empty()
        inputs = _run_backward(tape, weights, upstream, hidden, cell, call, filled, ctx.needs_input_grad[0])
        spread = None if inputs is None else rows.put(inputs, batch, steps).float()
        return spread, *filled, rows.unsort(hidden), rows.unsort(cell), None, None


def _run_forward(inputs: Tensor, packed: Packed, hidden: Tensor, cell: Tensor, call: Call) -> Tape:
    """All steps forward, with everything kept that `_run_backward` needs.

    Args:
        inputs: (G, N, I), C.
        packed: The layer's matrices.
        hidden: (G, B, P) initial state, in the order of the rows.
        cell: (G, B, D) likewise.
        call: Of the layer.
    """
    (directions, batch, outputs), size, precision = hidden.shape, cell.shape[-1], call.precision
    gates = buffer(cell, (directions, call.rows.count, 4 * size), precision)
    cells = buffer(cell, (directions, batch + call.rows.count, size))
    cells[:, :batch] = cell
    recurrent = buffer(cell, (directions, call.rows.count, outputs), precision)
    _begin(recurrent, hidden, call)
    unprojected = None if packed.projection is None else buffer(cell, (directions, call.rows.count, size), precision)
    tape = Tape(inputs, gates, cells, recurrent, unprojected, buffer(cell, (directions, call.rows.count, outputs)))
    _forward(tape, packed, batch, True, call)
    return tape


def _run_inference(inputs: Tensor, packed: Packed, hidden: Tensor, cell: Tensor, call: Call) -> tuple[Tensor, Tensor]:
    """All steps forward with nothing kept; the arguments are those of `_run_forward`.

    Returns:
        Outputs (G, N, P) and the final cells (G, B, D).
    """
    (directions, batch, outputs), size, precision = hidden.shape, cell.shape[-1], call.precision
    recurrent = cell.new_empty(directions, 2 * batch, outputs, dtype=precision)
    _begin(recurrent, hidden, call)
    unprojected = None if packed.projection is None else cell.new_empty(directions, batch, size, dtype=precision)
    result = cell.new_empty(directions, call.rows.count, outputs)
    tape = Tape(inputs, recurrent, cell.clone(memory_format=torch.contiguous_format), recurrent, unprojected, result)
    _forward(tape, packed, batch, False, call)
    return result, tape.cell


def _forward(tape: Tape, packed: Packed, batch: int, kept: bool, call: Call) -> None:
    """Fill a tape, or with `kept` false its hidden states and final cells alone."""
    sums = product(tape.inputs, packed.input, packed.bias.shape[1], gates=True)
    fields: dict[str, Tensor | None] = {
        "recurrent_matrix": packed.recurrent,
        "projection_matrix": packed.projection,
        "inputs": sums,
        "bias": packed.bias,
        "hidden": tape.hidden,
        "recurrent": tape.recurrent,
        "cell": tape.cell,
        "gates": tape.gates,
        "unprojected": tape.unprojected,
    }
    _loop("forward", fields, batch, kept, call)


def _begin(recurrent: Tensor, hidden: Tensor, call: Call) -> None:
    """Let the initial states meet the recurrent matrix, those of rows that have a first step and do not begin there."""
    first, begins = int(call.rows.offsets[1]), call.begins
    recurrent[:, :first] = hidden[:, :first]
    if begins is not None:
        recurrent[:, :first].masked_fill_(begins[0, :first, None].bool(), 0.0)


def _run_backward(
    tape: Tape,
    weights: LstmWeights,
    upstream: Tensor,
    hidden: Tensor,
    cell: Tensor,
    call: Call,
    gradients: LstmWeights,
    wants_inputs: bool,
) -> Tensor | None:
    """All steps backward.

    Args:
        tape: Of the forward pass; left as it is.
        weights: As in the forward pass.
        upstream: (G, N, P) gradients of the hidden states from outside the window, contiguous.
        hidden: (G, B, P) gradient of the final state, in the order of the rows; becomes that of the initial one.
        cell: (G, B, D) likewise.
        call: As in the forward pass.
        gradients: Of the weights, filled.
        wants_inputs: Whether anybody asks for the gradient of the inputs.

    Returns:
        Gradients of the inputs (G, N, I), C.
    """
    precision = call.precision
    gates = buffer(cell, tape.gates.shape, precision)
    projected = None if tape.unprojected is None else buffer(cell, upstream.shape, precision)
    fields: dict[str, Tensor | None] = {
        "recurrent_matrix": pack(weights.recurrent.to(precision), transposed=True),
        "projection_matrix": None
        if weights.projection is None
        else pack(weights.projection.to(precision), transposed=True),
        "hidden": tape.hidden,
        "cell": tape.cell,
        "gates": tape.gates,
        "upstream": upstream,
        "gate_gradients": gates,
        "projected_gradients": projected,
        "following": hidden,
        "cell_gradient": cell,
    }
    _loop("backward", fields, hidden.shape[1], True, call)
    if call.begins is not None:
        first = int(call.rows.offsets[1])
        hidden[:, :first].masked_fill_(call.begins[0, :first, None].bool(), 0.0)
    packed = pack(gates)
    fill_weight_gradient(gradients.input, tape.inputs, packed)
    fill_weight_gradient(gradients.recurrent, tape.recurrent, packed)
    if gradients.projection is not None and tape.unprojected is not None and projected is not None:
        fill_weight_gradient(gradients.projection, tape.unprojected, pack(projected))
    each("sum_rows", gates, gradients.bias, gates.shape[1:])
    if not wants_inputs:
        return None
    matrix = pack(weights.input.to(precision), transposed=True)
    return product(gates, matrix, tape.inputs.shape[2])


_NUMBERS = ("steps", "batch", "cells", "outputs", "projected", "kept", "first", "last")
_SHARED = ("offsets", "begins")
_OF_A_DIRECTION = (
    *("recurrent_matrix", "projection_matrix", "inputs", "bias", "hidden", "recurrent", "cell", "gates", "unprojected"),
    *("upstream", "gate_gradients", "projected_gradients", "following", "cell_gradient"),
)


class _Window(ctypes.Structure):
    """`Window` of native.cpp."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in _NUMBERS),
        *((name, ctypes.c_float) for name in ("cell_clip", "output_clip")),
        *((name, ctypes.c_void_p) for name in (*_SHARED, *_OF_A_DIRECTION)),
    )


def _loop(
    name: str,
    fields: dict[str, Tensor | None],
    batch: int,
    kept: bool,
    call: Call,
) -> None:
    """Run the loop for all directions, in as many threads as torch uses; they take directions first, then rows."""
    hidden, cell = fields["hidden"], fields["cell"]
    assert hidden is not None
    assert cell is not None
    directions = len(hidden)
    sizes = {
        "steps": len(call.rows.offsets) - 1,
        "batch": batch,
        "cells": cell.shape[-1],
        "outputs": hidden.shape[-1],
        "projected": fields["projection_matrix"] is not None,
        "kept": kept,
        "cell_clip": call.clips.cell or UNBOUNDED,
        "output_clip": call.clips.projection or UNBOUNDED,
        "offsets": call.rows.offsets.data_ptr(),
        "begins": None if call.begins is None else call.begins.data_ptr(),
    }
    parts = max(1, min(torch.get_num_threads() // directions, batch // FEWEST_ROWS))
    windows = [
        _Window(
            **sizes,
            **{key: value[direction].data_ptr() for key, value in fields.items() if value is not None},
            first=batch * part // parts,
            last=batch * (part + 1) // parts,
        )
        for direction in range(directions)
        for part in range(parts)
    ]
    run = function(name, call.precision)
    in_threads([functools.partial(run, ctypes.byref(window)) for window in windows])
