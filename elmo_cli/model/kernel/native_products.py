"""The matrix products of native.cpp that are made of all steps at once, and the panels in which matrices are packed.

Legend: G directions, N the rows of all steps together, K inner size; C the type of the elements, float32 or bfloat16.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from elmo_cli.model.kernel.memory import buffer
from elmo_cli.model.kernel.native_library import function, in_threads, lanes


def pack(matrix: Tensor, *, gates: bool = False, transposed: bool = False) -> Tensor:
    """(G, K, N) in the panels of native.cpp.

    Args:
        matrix: C.
        gates: Whether the columns are those of four gates, so that a panel has the same cells of each.
        transposed: Whether (G, N, K) is what is packed: the transposed matrix.
    """
    matrix = matrix.contiguous()
    directions, height, width = matrix.shape if not transposed else matrix.transpose(1, 2).shape
    panel = 4 * lanes()
    packed = buffer(matrix, (directions, -(-width // panel) * panel * paired(height, matrix.dtype)))
    options = () if transposed else (int(gates),)
    each("pack_transposed" if transposed else "pack", matrix, packed, (height, width, *options))
    return packed


def paired(count: int, precision: torch.dtype) -> int:
    """How many rows of a matrix make whole pairs, where they are multiplied in pairs."""
    return count + count % 2 if precision == torch.bfloat16 else count


def product(rows: Tensor, packed: Tensor, width: int, gates: bool = False) -> Tensor:
    """(G, N, K) rows, C, times a packed matrix of so many columns: (G, N, width), C."""
    result = buffer(rows, (*rows.shape[:2], width))
    _multiply("product", rows, packed, result, (rows.shape[2], int(gates)), (rows.shape[1], 1))
    return result


def fill_weight_gradient(result: Tensor, rows: Tensor, packed: Tensor) -> None:
    """Fill `result` (G, K, M) float32 with rowsᵀ (G, K, N) times a packed (G, N, M): all steps at once."""
    directions, count, width = rows.shape
    panel = 4 * lanes()
    left = buffer(rows, (directions, -(-width // panel) * panel * -(-count // 32) * 32))  # as long as any form of it
    each("pack_left", rows.contiguous(), left, (count, width))
    _multiply("weight_gradient", left, packed, result, (paired(count, rows.dtype),), (width, panel))


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
    run = function(name, left.dtype)
    work = []
    for one, matrix, out in zip(left, packed, result, strict=True):
        first, second, third = (ctypes.c_void_p(each.data_ptr()) for each in (one, matrix, out))
        for part in range(parts):
            ends = (min(count, block * (blocks * end // parts)) for end in (part, part + 1))
            numbers = map(ctypes.c_int64, (out.shape[-1], *options, *ends))
            work.append(functools.partial(run, first, ctypes.c_int64(inner), second, *numbers, third))
    in_threads(work)


def each(name: str, given: Tensor, result: Tensor, numbers: Sequence[int]) -> None:
    """Let a function of native.cpp fill `result` from `given`, each direction on its own."""
    run = function(name, given.dtype)
    sizes = [ctypes.c_int64(number) for number in numbers]
    pointers = ([ctypes.c_void_p(each.data_ptr()) for each in pair] for pair in zip(given, result, strict=True))
    in_threads([functools.partial(run, one, *sizes, other) for one, other in pointers])
