"""Cross-entropy of a linear layer without its logits in memory: what every softmax loss here is made of.

Rows are worked off in chunks, each with its gradient while its logits are at hand, so that time is that of the three
matrix products and memory that of one chunk.

Legend: N rows, P projection, C columns (classes).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from elmo_cli.config import Precision
from elmo_cli.model.kernel.memory import buffer
from elmo_cli.model.kernel.products import packing_works

CHUNK_LOGITS, MOST_CHUNK_LOGITS = 2**22, 2**24  # the second where fewer would mean few rows
ROW_STEP = 32  # rows of a chunk are a multiple of this


class Loss(NamedTuple):
    """A training loss."""

    total: Tensor  # () nats, summed over the rows; carries gradients
    rows: Tensor  # (N,) nats, detached


def cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    columns: Tensor,
    own: Tensor | None = None,
    precision: Precision = "float32",
) -> Loss:
    """Σ_n log Σ_c exp(z_nc) - z_n,columns[n] with z = hidden weightᵀ + bias.

    Args:
        hidden: (N, P).
        weight: (C, P).
        bias: (C,).
        columns: (N,) target columns; with `own`, the column to leave out of a row's sum, -1 for none.
        own: (N,) logit of each row's target, where it is no column of `weight` but one more.
        precision: Of the matrix products; with bfloat16 all else stays float32. float32 stands for that of `hidden`,
            which may also be float64.
    """
    differentiate = torch.is_grad_enabled()  # inside a Function it is always off
    total, rows = _CrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden, weight, bias, columns, own, precision, differentiate
    )
    return Loss(total, rows)


class _CrossEntropy(torch.autograd.Function):
    """The gradient of z is softmax(z), less one at the target."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        columns: Tensor,
        own: Tensor | None,
        precision: Precision,
        differentiate: bool,
    ) -> tuple[Tensor, Tensor]:
        product_type = torch.bfloat16 if precision == "bfloat16" else hidden.dtype
        matrix = weight.to(product_type)
        losses = hidden.new_empty(len(hidden))
        need_hidden, need_weight, need_bias = (differentiate and need for need in ctx.needs_input_grad[:3])
        grad_hidden = torch.empty_like(hidden) if need_hidden else None
        grad_weight = torch.zeros_like(weight.t()) if need_weight else None  # (P, C): products are faster this way
        grad_bias = torch.zeros_like(bias) if need_bias else None
        grad_own = torch.empty_like(losses) if differentiate and own is not None else None
        size = _chunk_rows(len(hidden), *weight.shape)
        blocks = [buffer(hidden, (size, len(weight)), dtype) for dtype in (hidden.dtype, hidden.dtype, product_type)]
        for start in range(0, len(hidden), size):
            chunk = slice(start, min(start + size, len(hidden)))
            count = chunk.stop - start
            rows = _padded(hidden[chunk].to(product_type))
            logits, excess = (block[:count] for block in blocks[:2])
            logits.copy_(_linear(rows, matrix)[:count]).add_(bias)
            column = columns[chunk, None]
            if own is None:
                true = logits.gather(1, column)
            else:
                true = own[chunk, None]
                hit = (column[:, 0] >= 0).nonzero()[:, 0]
                logits[hit, column[hit, 0]] = -math.inf  # a target drawn as its own negative does not count twice
            largest = logits.amax(dim=1, keepdim=True)
            torch.softmax(logits, dim=1, out=excess)
            # log Σ exp(z) from the largest chance, at least 1 / C: a second pass of exp would take as long as the first
            normaliser = largest - excess.amax(dim=1, keepdim=True).log()
            if own is not None:
                sampled, normaliser = normaliser, torch.logaddexp(normaliser, true)
            losses[chunk] = (normaliser - true)[:, 0]
            if not differentiate:
                continue
            if grad_own is None:
                excess.scatter_add_(1, column, excess.new_full((1, 1), -1.0).expand_as(column))
            else:
                grad_own[chunk] = torch.expm1(true - normaliser)[:, 0]
                excess.mul_(torch.exp(sampled - normaliser))
            if grad_bias is not None:
                grad_bias += excess.sum(dim=0)
            gradient = blocks[2][: len(rows)]
            gradient[:count] = excess
            gradient[count:] = 0  # what was there before may be NaN, and so is zero times NaN
            if grad_hidden is not None:
                grad_hidden[chunk] = _linear(gradient, matrix.t())[:count]
            if grad_weight is not None:
                grad_weight += _linear(rows.t(), gradient.t())
        # Known already, so that backward only scales them and no logits are kept or made twice.
        ctx.gradients = (grad_hidden, None if grad_weight is None else grad_weight.t(), grad_bias, grad_own)
        ctx.mark_non_differentiable(losses)
        return losses.sum(), losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_total: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, own = (None if each is None else each.mul_(grad_total) for each in ctx.gradients)
        return hidden, weight, bias, None, own, None, None


def _chunk_rows(rows: int, columns: int, width: int) -> int:
    """How many rows a chunk has, so that its logits take a bounded amount of memory.

    Adding a chunk's gradient to that of the weights takes as long as computing it, unless rows are many beside `width`.
    """
    logits = min(max(CHUNK_LOGITS, 2 * width * columns), MOST_CHUNK_LOGITS)
    return ROW_STEP * max(1, min(-(-rows // ROW_STEP), logits // columns // ROW_STEP))


def _padded(rows: Tensor) -> Tensor:
    """Rows of zeros added up to a multiple of `ROW_STEP`.

    oneDNN compiles a product for each new shape, which takes longer than the product; the number of rows that fall to
    a cluster of an adaptive softmax is another one in each step.
    """
    return functional.pad(rows, (0, 0, 0, -len(rows) % ROW_STEP))


def _linear(rows: Tensor, matrix: Tensor) -> Tensor:
    """The product rows matrixᵀ; on a CPU by oneDNN, often twice as fast as `mm`."""
    if rows.device.type == "cpu" and packing_works(rows.dtype):
        result: Tensor = torch.ops.mkldnn._linear_pointwise.default(rows, matrix, None, "none", [], "")
        return result
    return functional.linear(rows, matrix)
