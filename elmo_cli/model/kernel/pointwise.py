"""Adds the pointwise work of a step of the LSTM kernel, forward and backward, in place and pass by pass.

Three identities keep the passes few:

    tanh(x) = 2 sigmoid(2x) - 1     the columns of j come doubled, so that one sigmoid serves all four gates
    reset: f's pre-activation is -inf, so that neither the cell nor its gradient passes a sentence's beginning
    gradients of the gates = coefficients known before the loop * (dh or dc)

Legend: G directions, B batch, T tokens (steps), D cell size,
P output size; gates i, j, f, o along 4D; C is the precision of the products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input  # gradient * y * (1 - y)
_tanh_backward = torch.ops.aten.tanh_backward.grad_input  # gradient * (1 - y * y)
_clip_backward = torch.ops.aten.hardtanh_backward.grad_input  # gradient where |y| < clip

# Elements that one pass should touch at most, so that the next pass finds them in the cache.
_BLOCK = 1 << 16
# From here on, two cheap passes around a sigmoid are faster than the tanh of torch's CPU kernels.
_TANH_IS_SLOW = 1 << 11


@dataclass(frozen=True, slots=True)
class Clips:
    """Bounds of the cells and of the projected outputs."""

    cell: float | None
    projection: float | None


@dataclass(slots=True)
class Tape:
    """What the backward pass needs of the forward pass, time-major."""

    inputs: Tensor  # (G, T, B, I), C
    gates: Tensor  # (G, T, B, 4D): i, j, f, o after their nonlinearities
    cells: Tensor  # (G, T + 1, B, D), the initial ones first
    squashed: Tensor  # (G, T, B, D): tanh of the cells
    recurrent: Tensor | None  # (G, T + 1, B, P), C: what meets the recurrent matrix; None: `hidden` itself
    unprojected: Tensor | None  # (G, T, B, D), C
    hidden: Tensor  # (G, T + 1, B, P), the initial one first

    def parts(self) -> tuple[Tensor | None, ...]:
        """The tensors in the order of the fields."""
        return self.inputs, self.gates, self.cells, self.squashed, self.recurrent, self.unprojected, self.hidden


@dataclass(slots=True)
class Window:
    """A tape, or scratch memory in its place, as one tensor for each step."""

    gates: Sequence[Tensor]
    in_gates: Sequence[Tensor]
    candidates: Sequence[Tensor]
    forgets: Sequence[Tensor]
    out_gates: Sequence[Tensor]
    cells: Sequence[Tensor]
    squashed: Sequence[Tensor]
    recurrent: Sequence[Tensor] | None
    unprojected: Sequence[Tensor] | None
    hidden: Sequence[Tensor]
    keep: Sequence[Tensor] | None  # T + 1 times (B, 1): 0 where the step begins a sentence, else 1

    @staticmethod
    def of(tape: Tape, keep: Sequence[Tensor] | None) -> Window:
        """All steps of a tape."""
        i, j, f, o = (part.unbind(1) for part in tape.gates.chunk(4, dim=-1))
        return Window(
            tape.gates.unbind(1),
            i,
            j,
            f,
            o,
            tape.cells.unbind(1),
            tape.squashed.unbind(1),
            None if tape.recurrent is None else tape.recurrent.unbind(1),
            None if tape.unprojected is None else tape.unprojected.unbind(1),
            tape.hidden.unbind(1),
            keep,
        )


def tanh_(values: Tensor) -> Tensor:
    """The tanh of `values`, in place."""
    if values.is_cuda or values.numel() < _TANH_IS_SLOW:
        return values.tanh_()
    return values.mul_(2).sigmoid_().mul_(2).sub_(1)


class Forward:
    """The pointwise work of a step forward; fills the tensors of a window."""

    def __init__(self, window: Window, clips: Clips) -> None:
        self.window, self.clips = window, clips
        self.minus_one = window.gates[0].new_tensor(-1.0)

    def cells(self, step: int, pre: Tensor) -> None:
        """From pre-activations (G, B, 4D) to gates, cell and what the cell gives out."""
        window, clip = self.window, self.clips.cell
        gates, candidate, cell = window.gates[step], window.candidates[step], window.cells[step + 1]
        torch.sigmoid(pre.to(gates.dtype), out=gates)
        torch.add(self.minus_one, candidate, alpha=2, out=candidate)
        torch.mul(window.forgets[step], window.cells[step], out=cell).addcmul_(window.in_gates[step], candidate)
        if clip is not None:
            cell.clamp_(-clip, clip)
        squashed = tanh_(window.squashed[step].copy_(cell))
        if window.unprojected is None:
            torch.mul(window.out_gates[step], squashed, out=window.hidden[step + 1])
            self.carry(step + 1)
        else:
            window.unprojected[step].copy_(window.out_gates[step] * squashed)

    def outputs(self, step: int, projected: Tensor) -> None:
        """From the projection's product (G, B, P) to the hidden state."""
        hidden, clip = self.window.hidden[step + 1].copy_(projected), self.clips.projection
        if clip is not None:
            hidden.clamp_(-clip, clip)
        self.carry(step + 1)

    def carry(self, step: int) -> None:
        """The hidden state before `step` as it meets the recurrent matrix: zero at resets, in precision C."""
        window = self.window
        if window.recurrent is not None:
            hidden = window.hidden[step]
            window.recurrent[step].copy_(hidden if window.keep is None else hidden * window.keep[step])


class Backward:
    """The pointwise work of a step backward; fills `gates` and `projected`, and keeps the gradient of the cell."""

    def __init__(
        self,
        tape: Tape,
        window: Window,
        upstream: Sequence[Tensor],
        gates: Tensor,
        projected: Tensor | None,
        clips: Clips,
    ) -> None:
        """Set up for a window.

        Args:
            tape: Of the forward pass.
            window: The same by steps.
            upstream: T gradients (G, B, P) of the outputs.
            gates: (G, T, B, 4D) C, for the gradients of the pre-activations.
            projected: (G, T, B, P) C, for the gradients of the projection's products, if there is a projection.
            clips: As in the forward pass.
        """
        self.tape, self.window, self.upstream, self.clips = tape, window, upstream, clips
        steps, (batch, size) = len(upstream), tape.cells.shape[2:]
        self.gates = gates.view(*gates.shape[:-1], 4, size).unbind(1)
        self.projected = None if projected is None else projected.unbind(1)
        self.cell = torch.zeros_like(tape.cells[:, 0])
        self.length = max(1, min(steps, _BLOCK // max(1, tape.gates.shape[0] * batch * size)))
        self.start = steps
        self.factors = self.through_tanh = self.cell

    def outputs(self, step: int, following: Tensor) -> Tensor:
        """(G, B, P) gradient of what the step gives out, from the recurrent product of the step that follows."""
        window, clip = self.window, self.clips.projection
        hidden = following.to(self.cell.dtype)
        if window.keep is not None:
            hidden = hidden * window.keep[step + 1]
        hidden = hidden + self.upstream[step]
        if self.projected is None:
            return hidden
        if clip is not None:
            _clip_backward(hidden, window.hidden[step + 1], -clip, clip, grad_input=hidden)
        return self.projected[step].copy_(hidden)

    def cells(self, step: int, hidden: Tensor) -> None:
        """From the gradient (G, B, D) of what the cell gave out to those of the pre-activations and the cell before."""
        if step < self.start:
            self._prepare(step + 1)
        at, clip = step - self.start, self.clips.cell
        hidden, cell = hidden.to(self.cell.dtype), self.cell
        cell.addcmul_(hidden, self.through_tanh[:, at])
        if clip is not None:
            _clip_backward(cell, self.window.cells[step + 1], -clip, clip, grad_input=cell)
        factors, gates = self.factors[:, at], self.gates[step]
        torch.mul(factors[..., :3, :], cell.unsqueeze(-2), out=gates[..., :3, :])
        torch.mul(factors[..., 3, :], hidden, out=gates[..., 3, :])
        cell.mul_(self.window.forgets[step])

    def _prepare(self, end: int) -> None:
        """What dc (for i, j, f) and dh (for o, and for dc) are multiplied by, for the steps before `end`."""
        self.start = start = max(0, end - self.length)
        tape = self.tape
        in_gate, candidate, forget, out_gate = tape.gates[:, start:end].chunk(4, dim=-1)
        tanh, before = tape.squashed[:, start:end], tape.cells[:, start:end]
        factors = tanh.new_empty((*tanh.shape[:-1], 4, tanh.shape[-1]))
        through_tanh = torch.empty_like(tanh, memory_format=torch.contiguous_format)
        _sigmoid_backward(candidate, in_gate, grad_input=factors[..., 0, :])
        _tanh_backward(in_gate, candidate, grad_input=factors[..., 1, :])
        _sigmoid_backward(before, forget, grad_input=factors[..., 2, :])
        _sigmoid_backward(tanh, out_gate, grad_input=factors[..., 3, :])
        _tanh_backward(out_gate, tanh, grad_input=through_tanh)
        self.factors, self.through_tanh = factors, through_tanh
