"""Compiled steps of the LSTM kernel: the same numbers as the others, or said why not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
import torch
from test_lstm import Case, assert_agree, make_case, run

from elmo_cli.model.kernel import compiled as lstm_fused
from elmo_cli.model.kernel.lstm import lstm


@pytest.fixture(autouse=True)
def _nothing_compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(lstm_fused, "_compiled", {})
    return


def sample(projection: int | None) -> Case:
    return make_case(width=5, cells=16, steps=9, scale=0.5, projection=projection)


@pytest.mark.skipif(lstm_fused.obstacle() is not None, reason="no C++ compiler, or compiling is switched off")
@pytest.mark.parametrize("projection", [None, 3])
def test_compiled_steps_match_plain_autograd(projection: int | None) -> None:
    case = sample(projection)
    with lstm_fused.fused() as obstacle, warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # of torch's compiler
        assert obstacle is None
        assert_agree(case.to(torch.float32), case, atol=1e-5, rtol=1e-5)
    assert len(lstm_fused._compiled) == (4 if projection else 2)
    assert None not in lstm_fused._compiled.values()


def test_without_a_compiler_the_reason_is_told_and_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv(lstm_fused.SWITCH, raising=False)
    case = sample(3).to(torch.float32)
    with lstm_fused.fused() as obstacle:
        found = run(lstm, case)
    assert "compiler" in obstacle
    torch.testing.assert_close(found, run(lstm, case), atol=0, rtol=0)
    assert not lstm_fused._compiled


def test_the_switch_turns_compiling_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(lstm_fused.SWITCH, "0")
    with lstm_fused.fused() as obstacle:
        assert not lstm_fused.is_wanted(torch.zeros(1))
    assert lstm_fused.SWITCH in obstacle


@pytest.mark.parametrize("only_backward", [False, True])
@pytest.mark.parametrize("projection", [None, 3])
def test_a_failure_to_compile_is_warned_of_and_harmless(
    projection: int | None, only_backward: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(formula: object, clip: object, *_: object) -> None:
        raise OSError("no space left on device")

    def eager(formula, tensors):
        failing = not only_backward or "backward" in formula.func.__name__
        return real(fail if failing else formula, tensors) if failing else lambda given: formula(*given)

    real = lstm_fused._compile
    monkeypatch.setattr(lstm_fused, "_compile", eager)
    monkeypatch.setattr(lstm_fused, "obstacle", lambda: None)
    case = sample(projection)
    with lstm_fused.fused(), pytest.warns(RuntimeWarning, match="no space left"):
        assert_agree(case.to(torch.float32), case, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("projection", [None, 3])
def test_formulas_match_the_uncompiled_steps(
    projection: int | None, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The formulas run as they stand, without a compiler; in bfloat16 they keep the gates in 8 bits.
    monkeypatch.setattr(lstm_fused, "_compile", lambda formula, tensors: lambda given: formula(*given))
    monkeypatch.setattr(lstm_fused, "obstacle", lambda: None)
    case = sample(projection).to(torch.float32)
    with lstm_fused.fused():
        results, gradients = run(lstm, case, precision=precision)
    expected_results, expected_gradients = run(lstm, case, precision=precision)
    tolerance = 1e-5 if precision == "float32" else 2e-2
    torch.testing.assert_close(results, expected_results, atol=tolerance, rtol=0)
    for found, expected in zip(gradients, expected_gradients, strict=True):
        assert (found - expected).norm() <= tolerance * expected.norm()


def test_more_shapes_than_the_limit_run_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lstm_fused, "MOST_SHAPES", 0)
    monkeypatch.setattr(lstm_fused, "obstacle", lambda: None)
    case = sample(None)
    with lstm_fused.fused(), pytest.warns(RuntimeWarning, match="more than 0 shapes"):
        assert_agree(case.to(torch.float32), case, atol=1e-5, rtol=1e-5)
