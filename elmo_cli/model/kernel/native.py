"""Adds the loop over the steps in C++: all steps of a layer in one call, the pointwise work done while it is in cache.

`native.cpp` is compiled on first use, for the processor at hand and in some seconds, and kept in the user's cache
folder under a digest of all that it depends on. Without a compiler, and for what the C++ does not do (other devices,
float64, sizes that are no multiple of its vectors), `steps` does the same in torch; the two differ in rounding alone.

Steps that a shorter sentence does not have are not computed: rows are taken longest first, and each step has only
those that are not over. What is kept by steps is therefore laid out like torch's PackedSequence.

Legend: G directions, B batch, T steps, N the rows of all steps together, I input size, D cell size, P output size, C
the type of the products.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from elmo_cli.disk import write_atomically
from elmo_cli.errors import ElmoError
from elmo_cli.model.kernel.layer import LstmState, LstmWeights, Prepared
from elmo_cli.model.kernel.memory import buffer
from elmo_cli.model.kernel.pointwise import Clips

SWITCH = "ELMO_NATIVE"  # environment variable: 0 never compiles
CACHE = "ELMO_CACHE"  # environment variable: the folder of what was compiled
COMPILERS = ("g++", "clang++", "c++")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-fno-exceptions", "-fno-rtti", "-shared", "-fPIC")
COMPILING_SECONDS = 120.0  # a compiler that hangs must not hang the training
UNBOUNDED = 3.0e38
FEWEST_ROWS = 12  # of a thread: two blocks of the products


def obstacle() -> str | None:
    """Why there is no native loop here, or None. The first call may compile it."""
    return _library()[1]


def can_run(weights: LstmWeights, precision: torch.dtype) -> bool:
    """Whether the native loop takes a layer with such products."""
    if weights.bias.device.type != "cpu" or weights.bias.dtype != torch.float32 or os.environ.get(SWITCH) == "0":
        return False
    library = _library()[0]
    if library is None or not hasattr(library, f"forward_{_name(precision)}"):
        return False
    lanes = library.lanes()
    _, input_size, gates = weights.input.shape
    return all(size % lanes == 0 for size in (input_size, weights.recurrent.shape[1], gates // 4))


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows of a batch each step has, longest first.

    Attributes:
        order: (B,) the rows as the loop takes them; None: as they stand.
        offsets: (T + 1) where the cells of each step begin.
        places: (N,) where each cell stands in (B, T); None: all of them, step by step.
        last: (B,) where the last cell of each row is, counted from 1; 0 for a row without any.
    """

    order: Tensor | None
    offsets: Tensor
    places: Tensor | None
    last: Tensor

    @classmethod
    def of(cls, batch: int, steps: int, lengths: Tensor | None) -> Rows:
        """Those of a batch.

        Args:
            batch: B.
            steps: T.
            lengths: (B,) real steps of each row; None: T.
        """
        if lengths is None:
            offsets = torch.arange(steps + 1) * batch
            return cls(None, offsets, None, torch.arange(batch) + (steps - 1) * batch + 1)
        lengths = lengths.cpu().clamp(max=steps)
        sizes, order = torch.sort(lengths, descending=True, stable=True)
        active = (sizes[None] > torch.arange(steps)[:, None]).sum(1)
        offsets = torch.cat([active.new_zeros(1), active.cumsum(0)])
        step = torch.repeat_interleave(torch.arange(steps), active)
        row = torch.arange(int(offsets[-1])) - offsets[step]
        last = torch.where(sizes > 0, offsets[(sizes - 1).clamp(min=0)] + torch.arange(batch) + 1, 0)
        return cls(order, offsets, order[row] * steps + step, last)

    @property
    def count(self) -> int:
        """N."""
        return int(self.offsets[-1])

    def take(self, values: Tensor, dtype: torch.dtype) -> Tensor:
        """(G, B, T, W) as (G, N, W) cells, contiguous."""
        if self.places is None:
            rows = values.transpose(1, 2).to(dtype, memory_format=torch.contiguous_format).contiguous()
            return rows.view(len(values), self.count, values.shape[-1])
        return values.reshape(len(values), -1, values.shape[-1]).index_select(1, self.places).to(dtype)

    def put(self, cells: Tensor, batch: int, steps: int) -> Tensor:
        """(G, N, W) cells as (G, B, T, W), zero where a row has ended."""
        if self.places is None:
            return cells.view(len(cells), steps, batch, -1).transpose(1, 2)
        values = cells.new_zeros(len(cells), batch * steps, cells.shape[-1])
        return values.index_copy_(1, self.places, cells).view(len(cells), batch, steps, -1)

    def final(self, first: Tensor, cells: Tensor) -> Tensor:
        """(G, B, W) after each row's last step, of (G, N, W) after each step; where there is none, `first`."""
        if self.order is None:
            return cells[:, -first.shape[1] :].clone()
        if not self.count:
            return first
        return torch.where(self.last[:, None] > 0, cells.index_select(1, (self.last - 1).clamp(min=0)), first)

    def sort(self, values: Tensor) -> Tensor:
        """(G, B, W) in the order of the loop, as memory of its own."""
        return values.clone(memory_format=torch.contiguous_format) if self.order is None else values[:, self.order]

    def unsort(self, values: Tensor) -> Tensor:
        """The reverse of `sort`."""
        return values if self.order is None else torch.empty_like(values).index_copy_(1, self.order, values)


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
        self.input = _pack(weights.input.to(precision), gates=True)
        self.bias = weights.bias.clone()
        self.bias[:, 2 * size : 3 * size] += forget_bias
        self.recurrent = _pack(weights.recurrent.to(precision), gates=True)
        self.projection = None if weights.projection is None else _pack(weights.projection.to(precision))


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
    sums = _product(tape.inputs, packed.input, packed.bias.shape[1], gates=True)
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
        "recurrent_matrix": _pack(weights.recurrent.to(precision), transposed=True),
        "projection_matrix": None
        if weights.projection is None
        else _pack(weights.projection.to(precision), transposed=True),
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
    packed = _pack(gates)
    _fill_weight_gradient(gradients.input, tape.inputs, packed)
    _fill_weight_gradient(gradients.recurrent, tape.recurrent, packed)
    if gradients.projection is not None and tape.unprojected is not None and projected is not None:
        _fill_weight_gradient(gradients.projection, tape.unprojected, _pack(projected))
    _each("sum_rows", gates, gradients.bias, gates.shape[1:])
    if not wants_inputs:
        return None
    matrix = _pack(weights.input.to(precision), transposed=True)
    return _product(gates, matrix, tape.inputs.shape[2])


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
    run = _function(name, call.precision)
    _in_threads([functools.partial(run, ctypes.byref(window)) for window in windows])


def _product(rows: Tensor, packed: Tensor, width: int, gates: bool = False) -> Tensor:
    """(G, N, K) rows, C, times a packed matrix of so many columns: (G, N, width), C."""
    result = buffer(rows, (*rows.shape[:2], width))
    _multiply("product", rows, packed, result, (rows.shape[2], int(gates)), (rows.shape[1], 1))
    return result


def _fill_weight_gradient(result: Tensor, rows: Tensor, packed: Tensor) -> None:
    """Fill `result` (G, K, M) float32 with rowsᵀ (G, K, N) times a packed (G, N, M): all steps at once."""
    _, count, width = rows.shape
    panel = 4 * _lanes()
    _multiply("weight_gradient", _pack(rows), packed, result, (_paired(count, rows.dtype),), (width, panel))


def _multiply(
    name: str, left: Tensor, packed: Tensor, result: Tensor, sizes: Sequence[int], rows: tuple[int, int]
) -> None:
    """Let the threads share out the rows of a product of each direction.

    Args:
        name: Of the function in native.cpp.
        left: What is multiplied.
        packed: With what.
        result: (G, rows, columns), filled.
        sizes: What the function takes between `left` and `packed`, then after the columns.
        rows: How many there are, and in what blocks they may be shared out.
    """
    inner, *options = sizes
    count, block = rows
    blocks = -(-count // block)
    parts = max(1, min(torch.get_num_threads() // len(left), blocks))
    run = _function(name, left.dtype)
    work = []
    for one, matrix, out in zip(left, packed, result, strict=True):
        first, second, third = (ctypes.c_void_p(each.data_ptr()) for each in (one, matrix, out))
        for part in range(parts):
            ends = (min(count, block * (blocks * end // parts)) for end in (part, part + 1))
            numbers = map(ctypes.c_int64, (out.shape[-1], *options, *ends))
            work.append(functools.partial(run, first, ctypes.c_int64(inner), second, *numbers, third))
    _in_threads(work)


def _each(name: str, given: Tensor, result: Tensor, numbers: Sequence[int]) -> None:
    """Let a function of native.cpp fill `result` from `given`, each direction on its own."""
    run = _function(name, given.dtype)
    sizes = [ctypes.c_int64(number) for number in numbers]
    pointers = ([ctypes.c_void_p(each.data_ptr()) for each in pair] for pair in zip(given, result, strict=True))
    _in_threads([functools.partial(run, one, *sizes, other) for one, other in pointers])


def _in_threads(work: Sequence[Callable[[], object]]) -> None:
    """Do some pieces of work side by side, in as many threads as torch uses; C++ lets go of Python's lock."""
    if torch.get_num_threads() == 1:
        for piece in work:
            piece()
    else:
        list(_threads(torch.get_num_threads()).map(lambda piece: piece(), work))


@functools.cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="lstm")


def _pack(matrix: Tensor, *, gates: bool = False, transposed: bool = False) -> Tensor:
    """(G, K, N) in the panels of native.cpp.

    Args:
        matrix: C.
        gates: Whether the columns are those of four gates, so that a panel has the same cells of each.
        transposed: Whether (G, N, K) is what is packed: the transposed matrix.
    """
    matrix = matrix.contiguous()
    directions, height, width = matrix.shape if not transposed else matrix.transpose(1, 2).shape
    panel = 4 * _lanes()
    packed = buffer(matrix, (directions, -(-width // panel) * panel * _paired(height, matrix.dtype)))
    options = () if transposed else (int(gates),)
    _each("pack_transposed" if transposed else "pack", matrix, packed, (height, width, *options))
    return packed


def _paired(count: int, precision: torch.dtype) -> int:
    """How many rows of a matrix make whole pairs, where they are multiplied in pairs."""
    return count + count % 2 if precision == torch.bfloat16 else count


def _function(name: str, precision: torch.dtype) -> Callable[..., None]:
    """A function of native.cpp for elements of a type."""
    function: Callable[..., None] = getattr(_library()[0], f"{name}_{_name(precision)}")
    return function


def _lanes() -> int:
    """How many floats the vectors of native.cpp hold."""
    library = _library()[0]
    assert library is not None
    lanes: int = library.lanes()
    return lanes


def _name(precision: torch.dtype) -> str:
    return str(precision).removeprefix("torch.")


@functools.cache
def _library() -> tuple[ctypes.CDLL | None, str | None]:
    """The compiled loop, or why there is none; compiled where that was not done before."""
    if os.environ.get(SWITCH) == "0":
        return None, f"{SWITCH} is 0"
    compiler = next(
        (found for name in (os.environ.get("CXX"), *COMPILERS) if name and (found := shutil.which(name))), None
    )
    if compiler is None:
        return None, "there is no C++ compiler (g++ or clang++) on the path"
    source = resources.files("elmo_cli.model.kernel").joinpath("native.cpp").read_bytes()
    try:
        version = subprocess.run([compiler, "--version"], capture_output=True, check=True, timeout=COMPILING_SECONDS)
        folder = _folder()
        made = hashlib.sha256(b"\0".join([source, version.stdout, " ".join(FLAGS).encode(), _processor()])).hexdigest()
        path = folder / f"lstm-{made[:32]}.so"
        with FileLock(folder / f"lstm-{made[:32]}.lock", timeout=COMPILING_SECONDS):
            if not path.exists():
                write_atomically(path, lambda beside: _compile(compiler, source, beside))
        library = ctypes.CDLL(str(path))
        library.lanes.restype = ctypes.c_int64
        return library, None
    except (OSError, subprocess.SubprocessError, Timeout, ElmoError) as error:
        return None, f"the loop in C++ could not be had: {error}"


def _compile(compiler: str, source: bytes, path: Path) -> None:
    command = [compiler, *FLAGS, "-x", "c++", "-", "-o", str(path)]
    done = subprocess.run(command, input=source, capture_output=True, check=False, timeout=COMPILING_SECONDS)
    if done.returncode:
        raise OSError(f"{compiler} failed: {done.stderr.decode(errors='replace').strip()[:500]}")


def _folder() -> Path:
    """The folder of what was compiled: the user's own, since what lies there is run."""
    named = os.environ.get(CACHE)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(named) if named else base / "elmo"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.name == "posix":
        status = folder.stat()
        if status.st_uid != os.getuid() or status.st_mode & 0o022:
            raise OSError(f"{folder} belongs to someone else, or others may write there")
    return folder


def _processor() -> bytes:
    """What tells processors apart for which a compiler makes different code."""
    try:
        lines = Path("/proc/cpuinfo").read_bytes().splitlines()
        return b"".join(sorted({line for line in lines if line.startswith((b"flags", b"Features", b"model name"))}))
    except OSError:
        return f"{platform.machine()} {platform.processor()} {platform.node()}".encode()
