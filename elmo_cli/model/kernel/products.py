"""Adds the matrix products of the LSTM kernel: directions stacked, or in oneDNN, the matrix packed once a call.

`torch.mm` hands float32 to MKL, which on some CPUs reaches less than half of what oneDNN does, and oneDNN reorders a
bfloat16 matrix anew in every product. A matrix that meets T small products is therefore packed first, where this torch
can do so. Both forms stand behind one call: `product(rows, addend) = addend + rows W`.

Legend: G directions, R rows, K inner size, N columns.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Product = Callable[..., Tensor]

# Below this many multiplications in a step, the overhead of a call for each direction outweighs the packing.
PACKING_PAYS = 1 << 20
_ROWS = 1 << 20  # elements that are summed at a time


def stacked_product(matrix: Tensor) -> Product:
    """(G, R, K) rows times (G, K, N): one batched product for all directions, on any device and in any precision.

    Args:
        matrix: (G, K, N).
    """

    def product(left: Tensor, addend: Tensor | None = None) -> Tensor:
        return torch.bmm(left, matrix) if addend is None else torch.baddbmm(addend.to(matrix.dtype), left, matrix)

    return product


def packed_product(matrix: Tensor, rows: int) -> Product:
    """The same for one direction (G = 1), the matrix packed for products of `rows` rows.

    Args:
        matrix: (1, K, N) float32 or bfloat16 on the CPU.
        rows: R.
    """
    operators = torch.ops.mkldnn
    packed = operators._reorder_linear_weight(matrix[0].t().contiguous(), rows)
    plain, binary = operators._linear_pointwise.default, operators._linear_pointwise.binary

    def product(left: Tensor, addend: Tensor | None = None) -> Tensor:
        # A bias joins in the product itself; a whole addend in a pass that oneDNN fuses with it.
        if addend is None:
            result: Tensor = plain(left[0], packed, None, "none", [], "")
        elif addend.shape[1] == 1 < left.shape[1]:
            result = plain(left[0], packed, addend[0, 0], "none", [], "")
        else:
            result = binary(left[0], addend[0], packed, None, "add")
        return result[None]

    return product


@functools.cache
def packing_works(dtype: torch.dtype) -> bool:
    """Whether this torch and CPU have oneDNN's packed products in `dtype`; tried once, on a tiny product."""
    if dtype not in (torch.float32, torch.bfloat16) or not torch._C._has_mkldnn:
        return False
    left, matrix = torch.ones(1, 2, 3, dtype=dtype), torch.arange(12.0).to(dtype).view(1, 3, 4)
    addend = torch.ones(1, 2, 4, dtype=dtype)
    try:
        return torch.equal(packed_product(matrix, 2)(left, addend), torch.baddbmm(addend, left, matrix))
    except (AttributeError, RuntimeError, NotImplementedError, TypeError):
        return False


@functools.cache
def bfloat16_is_native() -> bool:
    """Whether this CPU multiplies bfloat16 itself; elsewhere that is emulated, and slower than float32."""
    return any(getattr(torch.cpu, name, bool)() for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))


def packing_pays(device: torch.device, dtype: torch.dtype, multiplications: int) -> bool:
    """Whether to go direction by direction with packed matrices rather than with both directions stacked."""
    return device.type == "cpu" and multiplications >= PACKING_PAYS and packing_works(dtype)


def fill_weight_gradient(result: Tensor, rows: Tensor, gradient: Tensor, packed: bool) -> None:
    """Fill `result` with rowsᵀ gradient: the gradient of the matrix of a product, all steps at once.

    Its sums are taken in float32. With bfloat16 rows on a CPU they are rounded to bfloat16 once, at the end.

    Args:
        result: (G, K, N), filled.
        rows: (G, R, K) left sides of the product.
        gradient: (G, R, N) gradient of its results.
        packed: Whether oneDNN's own product may be used.
    """
    if packed and rows.dtype == torch.float32:
        for matrix, left, right in zip(result, rows, gradient, strict=True):
            product = torch.ops.mkldnn._linear_pointwise.default
            matrix.copy_(product(left.t().contiguous(), right.t(), None, "none", [], ""))
    elif rows.is_cuda and rows.dtype == torch.bfloat16:
        exact: Any = functools.partial(torch.bmm, out_dtype=torch.float32)
        result.copy_(exact(rows.transpose(1, 2), gradient))
    elif rows.dtype == result.dtype:
        torch.bmm(rows.transpose(1, 2), gradient, out=result)
    else:
        result.copy_(torch.bmm(rows.transpose(1, 2), gradient))


def fill_bias_gradient(result: Tensor, gradient: Tensor) -> None:
    """Fill `result` (G, N) with the sums of `gradient` (G, R, N) over R, some rows at a time."""
    result.zero_()
    for rows in gradient.split(max(1, _ROWS // gradient.shape[-1]), dim=1):  # type: ignore[no-untyped-call]
        result += rows.to(result.dtype).sum(1)
