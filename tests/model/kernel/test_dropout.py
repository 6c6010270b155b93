"""Dropout: how much is dropped, how the rest is scaled, and what the gradient is."""

from __future__ import annotations

import pytest
import torch

from elmo_cli.model.kernel.dropout import dropout


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_a_share_is_dropped_and_the_rest_scaled_up(rate: float) -> None:
    torch.manual_seed(1)
    result = dropout(torch.ones(300, 1001), rate)
    kept = result != 0
    assert float(kept.float().mean()) == pytest.approx(1 - rate, abs=0.005)
    torch.testing.assert_close(result[kept], torch.full_like(result[kept], 1 / (1 - rate)), rtol=1e-3, atol=0)
    assert float(result.mean()) == pytest.approx(1.0, abs=0.02)


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(2)
    kept = (dropout(torch.ones(400_000), 0.5) != 0).float() - 0.5
    for distance in (1, 2, 3, 4, 5):
        assert abs(float((kept[:-distance] * kept[distance:]).mean())) < 0.003


def test_the_gradient_is_that_of_the_same_mask() -> None:
    values = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(3)
    result = dropout(values, 0.3)
    result.sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad * values.detach(), result.detach())


def test_the_seed_decides() -> None:
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(dropout(torch.ones(64), 0.5))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_a_rate_next_to_nothing_or_to_all() -> None:
    assert torch.equal(dropout(torch.ones(8), 1e-9), torch.ones(8))
    assert bool(dropout(torch.ones(4096), 1 - 1e-9).isfinite().all())
