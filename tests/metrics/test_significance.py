"""Tests of significance against cases worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elmo_cli.metrics.significance import holm, mcnemar_exact, paired_bootstrap


def _pair(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    first = np.repeat([True, True, False, False], [both, only_first, only_second, neither])
    second = np.repeat([True, False, True, False], [both, only_first, only_second, neither])
    return first, second


def test_mcnemar_by_hand() -> None:
    # 1 against 5 of 6 disagreements: 2 (C(6,0) + C(6,1)) / 2^6 = 14 / 64
    assert mcnemar_exact(*_pair(10, 1, 5, 3)) == pytest.approx(14 / 64)
    # 0 against 8: 2 / 2^8
    assert mcnemar_exact(*_pair(4, 0, 8, 4)) == pytest.approx(2 / 256)
    assert mcnemar_exact(*_pair(4, 8, 0, 4)) == pytest.approx(2 / 256)


def test_mcnemar_without_evidence() -> None:
    assert mcnemar_exact(*_pair(5, 0, 0, 5)) == 1.0
    assert mcnemar_exact(*_pair(5, 3, 3, 5)) == 1.0


def test_bootstrap_of_equal_rows_says_nothing() -> None:
    row = np.array([1.0, 0.0, 1 / 3, 2 / 3])
    result = paired_bootstrap(row, row)
    assert result.difference == 0
    assert result.p == 1.0
    assert result.interval == (0.0, 0.0)


def test_bootstrap_agrees_with_the_normal_approximation() -> None:
    # 400 examples, 60 won, 40 lost: mean 0.05, variance 0.2475, z = 0.05 / sqrt(0.2475 / 400) = 2.0101, p = 0.0444
    first, second = _pair(200, 60, 40, 100)
    result = paired_bootstrap(first.astype(float), second.astype(float), resamples=40_000)
    assert result.difference == pytest.approx(0.05)
    assert result.p == pytest.approx(0.0444, abs=0.008)
    assert result.interval == pytest.approx((0.05 - 1.96 * 0.02487, 0.05 + 1.96 * 0.02487), abs=0.004)


def test_bootstrap_uses_the_pairing() -> None:
    # The same accuracies (0.55 and 0.5), but first wins 5 and loses none: pairing makes it significant.
    first, second = _pair(50, 5, 0, 45)
    paired = paired_bootstrap(first, second).p
    shuffled = paired_bootstrap(first, np.random.default_rng(1).permutation(second)).p
    assert paired < 0.1 < shuffled


def test_bootstrap_is_symmetric_in_sign_and_seeded() -> None:
    first, second = _pair(30, 9, 4, 10)
    forward, backward = paired_bootstrap(first, second), paired_bootstrap(second, first)
    assert forward.difference == -backward.difference
    assert forward.p == pytest.approx(backward.p, abs=0.02)
    assert paired_bootstrap(first, second) == forward


def test_holm_by_hand() -> None:
    # sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1 = 0.04, 0.06, 0.06, 0.04, then the running maximum
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_and_keeps_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(old <= new <= 1 for old, new in zip(p_values, adjusted, strict=True))
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert [adjusted[k] for k in order] == sorted(adjusted)


def test_no_p_value_is_below_that_of_the_resamples() -> None:
    """All right against all wrong: no resample is as far from the mean as zero is, so p = 1 / (1 + resamples)."""
    first, second = np.ones(20), np.zeros(20)
    for resamples, found in (
        (10_000, paired_bootstrap(first, second)),
        (3, paired_bootstrap(first, second, resamples=3)),
    ):
        assert found.p == 1 / (1 + resamples)
        assert (found.difference, found.interval) == (1.0, (1.0, 1.0))
    rows = np.random.default_rng(2).random((2, 50))
    usual = paired_bootstrap(*rows)
    assert usual == paired_bootstrap(*rows, seed=1, resamples=10_000)
    assert usual != paired_bootstrap(*rows, seed=2)


@pytest.mark.parametrize("test", [mcnemar_exact, paired_bootstrap])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.array([True]), np.array([True, False])),
        (np.array([]), np.array([])),
        (np.array(True), np.array(False)),
        (np.eye(2), np.eye(2)),
    ],
    ids=["unpaired", "none", "single numbers", "tables"],
)
def test_unpaired_rows_are_an_error(test: Callable[..., Any], first: np.ndarray, second: np.ndarray) -> None:
    with pytest.raises(ValueError, match="same examples"):
        test(first, second)
