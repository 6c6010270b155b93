"""The products of the kernel, in all their forms, against the sums that they stand for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from elmo_cli.model.kernel import products
from elmo_cli.model.kernel.products import (
    PACKING_PAYS,
    fill_bias_gradient,
    fill_weight_gradient,
    packed_product,
    packing_pays,
    packing_works,
    stacked_product,
)

CPU = torch.device("cpu")


def draw(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).to(dtype)


def test_packing_pays_from_a_size_on_and_on_a_cpu_alone() -> None:
    assert packing_pays(CPU, torch.float32, PACKING_PAYS) is packing_works(torch.float32)
    assert not packing_pays(CPU, torch.float32, PACKING_PAYS - 1)
    assert not packing_pays(torch.device("meta"), torch.float32, PACKING_PAYS)
    assert not packing_works(torch.float64)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("packed", [False, True])
def test_a_product_takes_no_addend_a_bias_or_a_whole_one(packed: bool, rows: int) -> None:
    if packed and not packing_works(torch.float32):
        pytest.skip("this torch or CPU packs no matrices")
    left, matrix = draw(1, rows, 5), draw(1, 5, 4)
    product = packed_product(matrix, rows) if packed else stacked_product(matrix)
    expected = torch.einsum("grk,gkn->grn", left, matrix)
    torch.testing.assert_close(product(left), expected)
    for addend in (draw(1, 1, 4), draw(1, rows, 4)):
        torch.testing.assert_close(product(left, addend), expected + addend)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_gradient_of_a_matrix_is_a_sum_over_rows(dtype: torch.dtype, packed: bool) -> None:
    if packed and not packing_works(torch.float32):
        pytest.skip("this torch or CPU packs no matrices")
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    rows, gradient, result = (
        draw(2, 7, 3, dtype=dtype),
        draw(2, 7, 4, dtype=dtype),
        torch.full((2, 3, 4), 9.0, dtype=exact),
    )
    fill_weight_gradient(result, rows, gradient, packed and dtype == torch.float32)
    expected = torch.einsum("grk,grn->gkn", rows.to(exact), gradient.to(exact))
    # bfloat16 keeps 8 bits, and its sum is rounded once
    torch.testing.assert_close(result, expected, rtol=2**-8 if dtype == torch.bfloat16 else 1e-5, atol=1e-5)


@pytest.mark.parametrize("at_once", [1, 8, 12, 1 << 20])
def test_the_gradient_of_a_bias_is_a_sum_over_rows(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_ROWS", at_once)
    gradient, result = draw(2, 7, 4, dtype=torch.bfloat16), torch.full((2, 4), 9.0)
    fill_bias_gradient(result, gradient)
    torch.testing.assert_close(result, gradient.float().sum(dim=1))
