"""Adds the steps of `pointwise` as one compiled pass each, where a compiler can be had.

Nothing depends on it. It needs a C++ compiler, takes some seconds for each new shape, and rounds differently in the
last bit; so it is used only where a long training run asks for it, for float32 states on the CPU.
With bfloat16 products, the gates are kept for the backward pass in bfloat16; they are computed in float32.
"""

from __future__ import annotations

import functools
import os
import shutil
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from elmo_cli.model.kernel.pointwise import Backward, Clips, Forward, Tape, Window

SWITCH = "ELMO_COMPILE"  # environment variable: 0 never compiles
MOST_SHAPES = 16

Pass = Callable[[list[Tensor]], object]
_compiled: dict[object, Pass | None] = {}


def obstacle() -> str | None:
    """Why nothing can be compiled here, or None. Cheap: looks for a compiler, but does not try it."""
    if os.environ.get(SWITCH) == "0":
        return f"{SWITCH} is 0"
    compilers = [os.environ.get("CXX"), "g++", "clang++", "c++"]
    if not any(name and shutil.which(name) for name in compilers):
        return "there is no C++ compiler (g++ or clang++) on the path"
    return None


def can_compile(state: Tensor) -> bool:
    """Whether to try with such a state; what then fails all the same is warned of once, and runs uncompiled."""
    return state.device.type == "cpu" and state.dtype == torch.float32 and obstacle() is None


class CompiledForward(Forward):
    """The pointwise work of a step forward, compiled; `ready` tells whether that worked."""

    def __init__(self, window: Window, clips: Clips, products: torch.dtype) -> None:
        super().__init__(window, clips)
        pre = torch.empty_like(window.gates[0], dtype=products, memory_format=torch.contiguous_format)
        self.cells_pass = compiled(_cells_forward, clips.cell, self._cells(0, pre))
        self.outputs_pass = self.cells_pass
        if window.unprojected is not None:
            projected = torch.empty_like(window.hidden[0], dtype=products, memory_format=torch.contiguous_format)
            self.outputs_pass = compiled(_outputs_forward, clips.projection, [projected, *self._carried(1)])
        self.ready = self.cells_pass is not None and self.outputs_pass is not None

    def cells(self, step: int, pre: Tensor) -> None:
        """As in `Forward`."""
        assert self.cells_pass is not None
        self.cells_pass(self._cells(step, pre))

    def outputs(self, step: int, projected: Tensor) -> None:
        """As in `Forward`."""
        assert self.outputs_pass is not None
        self.outputs_pass([projected, *self._carried(step + 1)])

    def _cells(self, step: int, pre: Tensor) -> list[Tensor]:
        window = self.window
        tensors = [pre, window.cells[step], window.in_gates[step], window.candidates[step], window.forgets[step]]
        tensors += [window.out_gates[step], window.cells[step + 1]]
        return [*tensors, *(self._carried(step + 1) if window.unprojected is None else [window.unprojected[step]])]

    def _carried(self, step: int) -> list[Tensor]:
        window, tensors = self.window, [self.window.hidden[step]]
        if window.recurrent is not None:
            tensors.append(window.recurrent[step])
            if window.keep is not None:
                tensors.append(window.keep[step])
        return tensors


class CompiledBackward(Backward):
    """The pointwise work of a step backward, compiled; `ready` tells whether that worked."""

    def __init__(
        self,
        tape: Tape,
        window: Window,
        upstream: Sequence[Tensor],
        gates: Tensor,
        projected: Tensor | None,
        clips: Clips,
    ) -> None:
        super().__init__(tape, window, upstream, gates, projected, clips)
        self.parts = [part.unbind(1) for part in gates.chunk(4, dim=-1)]
        hidden = torch.empty_like(self.cell, dtype=gates.dtype, memory_format=torch.contiguous_format)
        self.cells_pass = compiled(_cells_backward, clips.cell, self._cells(0, hidden))
        self.outputs_pass = self.cells_pass
        if self.projected is not None:
            following = torch.empty_like(upstream[0], dtype=gates.dtype, memory_format=torch.contiguous_format)
            tensors = [window.hidden[1], self.projected[0], *self._received(0, following)]
            self.outputs_pass = compiled(_outputs_backward, clips.projection, tensors)
        self.ready = self.cells_pass is not None and self.outputs_pass is not None

    def outputs(self, step: int, following: Tensor) -> Tensor:
        """As in `Backward`; without a projection left to `cells`."""
        if self.projected is None:
            return following
        assert self.outputs_pass is not None
        target = self.projected[step]
        self.outputs_pass([self.window.hidden[step + 1], target, *self._received(step, following)])
        return target

    def cells(self, step: int, hidden: Tensor) -> None:
        """As in `Backward`."""
        assert self.cells_pass is not None
        self.cells_pass(self._cells(step, hidden))

    def _cells(self, step: int, hidden: Tensor) -> list[Tensor]:
        window = self.window
        tensors = [window.gates[step], window.cells[step], window.cells[step + 1], self.cell]
        tensors += [part[step] for part in self.parts]
        return [*tensors, *(self._received(step, hidden) if self.projected is None else [hidden])]

    def _received(self, step: int, following: Tensor) -> list[Tensor]:
        tensors = [following, self.upstream[step]]
        if self.window.keep is not None:
            tensors.append(self.window.keep[step + 1])
        return tensors


def _cells_forward(
    clip: float | None,
    pre: Tensor,
    before: Tensor,
    in_gate: Tensor,
    candidate: Tensor,
    forget: Tensor,
    out_gate: Tensor,
    cell: Tensor,
    *given: Tensor,
) -> None:
    # The columns of j come doubled, as in `pointwise`.
    i, j, f, o = (torch.sigmoid(part.float()) for part in pre.chunk(4, dim=-1))
    j = j * 2 - 1
    c = f * before + i * j
    if clip is not None:
        c = c.clamp(-clip, clip)
    for target, value in zip((in_gate, candidate, forget, out_gate, cell), (i, j, f, o, c), strict=True):
        target.copy_(value)
    _carry(o * _tanh(c), *given)


def _tanh(values: Tensor) -> Tensor:
    return torch.sigmoid(values * 2) * 2 - 1


def _outputs_forward(clip: float | None, projected: Tensor, *given: Tensor) -> None:
    hidden = projected.float()
    _carry(hidden if clip is None else hidden.clamp(-clip, clip), *given)


def _carry(value: Tensor, hidden: Tensor, recurrent: Tensor | None = None, keep: Tensor | None = None) -> None:
    hidden.copy_(value)
    if recurrent is not None:
        recurrent.copy_(value if keep is None else value * keep)


def _outputs_backward(
    clip: float | None, value: Tensor, target: Tensor, following: Tensor, upstream: Tensor, keep: Tensor | None = None
) -> None:
    hidden = following.float() if keep is None else following.float() * keep
    hidden = hidden + upstream
    target.copy_(hidden if clip is None else torch.where(value.abs() < clip, hidden, 0.0))


def _cells_backward(
    clip: float | None,
    gates: Tensor,
    before: Tensor,
    now: Tensor,
    cell: Tensor,
    in_gate: Tensor,
    candidate: Tensor,
    forget: Tensor,
    out_gate: Tensor,
    hidden: Tensor,
    upstream: Tensor | None = None,
    keep: Tensor | None = None,
) -> None:
    i, j, f, o = (part.float() for part in gates.chunk(4, dim=-1))
    tanh = _tanh(now)
    dh = hidden.float() if keep is None else hidden.float() * keep
    if upstream is not None:
        dh = dh + upstream
    dc = cell + dh * o * (1 - tanh * tanh)
    if clip is not None:
        dc = torch.where(now.abs() < clip, dc, 0.0)
    out_gate.copy_(dh * tanh * o * (1 - o))
    in_gate.copy_(dc * j * i * (1 - i))
    candidate.copy_(dc * i * (1 - j * j))
    forget.copy_(dc * before * f * (1 - f))
    cell.copy_(dc * f)


def compiled(formula: Callable[..., None], clip: float | None, tensors: Sequence[Tensor]) -> Pass | None:
    """`formula` for tensors of these shapes and strides, compiled at the first call; None where that fails."""
    # Compiled code splits its loops over the threads that there were.
    key = (formula, clip, torch.get_num_threads(), *(_layout(tensor) for tensor in tensors))
    if key not in _compiled:
        if len(_compiled) >= MOST_SHAPES:
            message = f"LSTM steps in more than {MOST_SHAPES} shapes: the others run uncompiled"
            warnings.warn(message, RuntimeWarning, stacklevel=2)
            return None
        _compiled[key] = _compile(functools.partial(formula, clip), tensors)
    return _compiled[key]


def _layout(tensor: Tensor) -> tuple[object, ...]:
    """What compiled code takes for granted: type, sizes, and the strides along which something lies."""
    # Along a size of 1 nothing is ever stepped, and torch leaves such strides as it pleases.
    strides = tuple(step for size, step in zip(tensor.shape, tensor.stride(), strict=True) if size > 1)
    return tensor.dtype, tuple(tensor.shape), strides


def _compile(formula: Callable[..., None], tensors: Sequence[Tensor]) -> Pass | None:
    """Compile below torch.compile, whose own checks at each call cost more than the pass; `_layout` stands for them."""
    try:
        from torch._inductor.compile_fx import compile_fx_inner
        from torch._inductor.decomposition import select_decomp_table
        from torch._subclasses import FakeTensorMode
        from torch.fx.experimental.proxy_tensor import make_fx

        with torch.no_grad():
            mode = FakeTensorMode()
            examples = [mode.from_tensor(tensor) for tensor in tensors]
            with mode:
                graph = make_fx(_returning_nothing(formula), decomposition_table=select_decomp_table())(*examples)
            run: Any = compile_fx_inner(graph, examples)
            return _agreeing(run, formula, tensors)
    except Exception as error:  # whatever a compiler, a cache or another version of torch comes up with
        warnings.warn(f"the LSTM steps run uncompiled: {type(error).__name__}: {error}", RuntimeWarning, stacklevel=2)
        return None


def _returning_nothing(formula: Callable[..., None]) -> Callable[..., tuple[()]]:
    def traced(*tensors: Tensor) -> tuple[()]:
        formula(*tensors)
        return ()

    return traced


def _agreeing(run: Pass, formula: Callable[..., None], tensors: Sequence[Tensor]) -> Pass:
    """`run`, once it has given on a sample what the formula gives.

    Raises:
        RuntimeError: It has not.
    """
    sample = [torch.empty_strided(each.shape, each.stride(), dtype=each.dtype).uniform_(-1, 1) for each in tensors]
    expected = [each.clone() for each in sample]
    formula(*expected)
    run(list(sample))
    for found, wanted in zip(sample, expected, strict=True):
        if not torch.allclose(found.float(), wanted.float(), atol=1e-2, rtol=1e-2):
            raise RuntimeError("a compiled pass gave something else than its formula")
    return run
