"""Compiled steps of the LSTM kernel: the same numbers as the others, or said why not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
import torch
from test_lstm import Case, assert_agree, make_case, run

from elmo_cli.model.kernel import compiled
from elmo_cli.model.kernel.lstm import lstm


@pytest.fixture(autouse=True)
def _nothing_compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(compiled, "_compiled", {})
    return


def sample(projection: int | None) -> Case:
    return make_case(width=5, cells=16, steps=9, scale=0.5, projection=projection)


@pytest.mark.skipif(compiled.obstacle() is not None, reason="no C++ compiler, or compiling is switched off")
@pytest.mark.parametrize("projection", [None, 3])
def test_compiled_steps_match_plain_autograd(projection: int | None) -> None:
    case = sample(projection)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # of torch's compiler
        assert_agree(case.to(torch.float32), case, atol=1e-5, rtol=1e-5, compiled=True)
    assert len(compiled._compiled) == (4 if projection else 2)
    assert None not in compiled._compiled.values()


def test_without_a_compiler_the_reason_is_told_and_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv(compiled.SWITCH, raising=False)
    case = sample(3).to(torch.float32)
    found = run(lstm, case, compiled=True)
    assert "compiler" in str(compiled.obstacle())
    torch.testing.assert_close(found, run(lstm, case), atol=0, rtol=0)
    assert not compiled._compiled


def test_the_switch_turns_compiling_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compiled.SWITCH, "0")
    assert not compiled.can_compile(torch.zeros(1))
    assert compiled.SWITCH in str(compiled.obstacle())


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

    real = compiled._compile
    monkeypatch.setattr(compiled, "_compile", eager)
    monkeypatch.setattr(compiled, "obstacle", lambda: None)
    case = sample(projection)
    with pytest.warns(RuntimeWarning, match="no space left"):
        assert_agree(case.to(torch.float32), case, atol=1e-5, rtol=1e-5, compiled=True)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("projection", [None, 3])
def test_formulas_match_the_uncompiled_steps(
    projection: int | None, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The formulas run as they stand, without a compiler; in bfloat16 they keep the gates in 8 bits.
    monkeypatch.setattr(compiled, "_compile", lambda formula, tensors: lambda given: formula(*given))
    monkeypatch.setattr(compiled, "obstacle", lambda: None)
    case = sample(projection).to(torch.float32)
    results, gradients = run(lstm, case, precision=precision, compiled=True)
    expected_results, expected_gradients = run(lstm, case, precision=precision)
    tolerance = 1e-5 if precision == "float32" else 2e-2
    torch.testing.assert_close(results, expected_results, atol=tolerance, rtol=0)
    for found, expected in zip(gradients, expected_gradients, strict=True):
        assert (found - expected).norm() <= tolerance * expected.norm()


def test_more_shapes_than_the_limit_run_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "MOST_SHAPES", 0)
    monkeypatch.setattr(compiled, "obstacle", lambda: None)
    case = sample(None)
    with pytest.warns(RuntimeWarning, match="more than 0 shapes"):
        assert_agree(case.to(torch.float32), case, atol=1e-5, rtol=1e-5, compiled=True)
