"""The LSTM kernel against plain autograd, a hand-derived case, and its own invariances."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from elmo_cli.model.kernel import memory, native, native_library, pointwise, products
from elmo_cli.model.kernel import steps as kernel_steps
from elmo_cli.model.kernel.layer import LstmState, LstmWeights, Prepared
from elmo_cli.model.kernel.lstm import lstm
from elmo_cli.model.kernel.naive import naive_lstm
from elmo_cli.model.kernel.products import packing_works


@dataclass
class Case:
    """Arguments of one call; `reset`, `lengths` and clips are what varies most."""

    inputs: Tensor
    weights: LstmWeights
    state: LstmState | None
    reset: Tensor | None
    lengths: Tensor | None
    cell_clip: float | None
    projection_clip: float | None

    def options(self) -> dict[str, object]:
        return {
            "reset": self.reset,
            "lengths": self.lengths,
            "cell_clip": self.cell_clip,
            "projection_clip": self.projection_clip,
        }

    def leaves(self) -> list[Tensor]:
        tensors = [self.inputs, *self.weights, *(self.state or ())]
        return [tensor for tensor in tensors if tensor is not None]

    def to(self, dtype: torch.dtype) -> Case:
        def cast(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.detach().to(dtype).requires_grad_()

        state = None if self.state is None else LstmState(*map(cast, self.state))
        weights = LstmWeights(*map(cast, self.weights))
        return Case(cast(self.inputs), weights, state, self.reset, self.lengths, self.cell_clip, self.projection_clip)


def make_case(
    seed: int = 0,
    *,
    directions: int = 2,
    batch: int = 3,
    steps: int = 4,
    width: int = 3,
    cells: int = 4,
    projection: int | None = None,
    with_state: bool = True,
    with_reset: bool = True,
    with_lengths: bool = True,
    cell_clip: float | None = 0.6,
    projection_clip: float | None = 0.2,
    scale: float = 1.0,
    dtype: torch.dtype = torch.float64,
) -> Case:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return (scale * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype).requires_grad_()

    outputs = projection or cells
    weights = LstmWeights(
        draw(directions, width, 4 * cells),
        draw(directions, outputs, 4 * cells),
        draw(directions, 4 * cells),
        draw(directions, cells, projection) if projection else None,
    )
    state = LstmState(draw(directions, batch, outputs), draw(directions, batch, cells)) if with_state else None
    reset = torch.rand(batch, steps, generator=generator) < 0.3 if with_reset else None
    lengths = torch.randint(0, steps + 1, (batch,), generator=generator) if with_lengths else None
    return Case(draw(directions, batch, steps, width), weights, state, reset, lengths, cell_clip, projection_clip)


def real_steps(case: Case, outputs: Tensor) -> Tensor:
    """Outputs with the unspecified steps beyond each row's length set to zero."""
    if case.lengths is None:
        return outputs
    real = torch.arange(outputs.shape[2])[None] < case.lengths[:, None]
    return outputs.masked_fill(~real[None, :, :, None], 0.0)


def run(function, case: Case, **options: object) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    """Results (outputs, final hidden, final cell) and the gradients of a fixed random loss in every leaf."""
    outputs, final = function(case.inputs, case.weights, case.state, **case.options(), **options)
    results = [real_steps(case, outputs), *final]
    generator = torch.Generator().manual_seed(7)
    loss = sum(
        (result * torch.randn(result.shape, generator=generator, dtype=torch.float64).to(result)).sum()
        for result in results
    )
    return [result.detach() for result in results], torch.autograd.grad(loss, case.leaves())


def assert_agree(case: Case, oracle: Case, atol: float, rtol: float = 0.0, **options: object) -> None:
    results, gradients = run(lstm, case, **options)
    expected_results, expected_gradients = run(naive_lstm, oracle)
    for found, expected in zip([*results, *gradients], [*expected_results, *expected_gradients], strict=True):
        torch.testing.assert_close(found.double(), expected.double(), atol=atol, rtol=rtol)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    directions=st.integers(1, 2),
    batch=st.integers(1, 4),
    steps=st.integers(1, 5),
    width=st.integers(1, 4),
    cells=st.integers(1, 5),
    projection=st.none() | st.integers(1, 4),
    with_state=st.booleans(),
    with_reset=st.booleans(),
    with_lengths=st.booleans(),
    cell_clip=st.none() | st.floats(0.05, 2.0),
    projection_clip=st.none() | st.floats(0.05, 1.0),
)
def test_float64_matches_plain_autograd(**shape: object) -> None:
    case = make_case(**shape)
    assert_agree(case, case, atol=1e-10, rtol=1e-9)


def test_one_step_by_hand() -> None:
    # One direction, row, step and cell: x = 2, h = 0.5, c = 0.25, all weights 0 but for those below.
    weights = LstmWeights(
        torch.tensor([[[0.1, 0.2, 0.3, 0.4]]]),
        torch.tensor([[[0.5, 0.6, 0.7, 0.8]]]),
        torch.tensor([[0.01, 0.02, 0.03, 0.04]]),
        torch.tensor([[[1.5]]]),
    )
    state = LstmState(torch.tensor([[[0.5]]]), torch.tensor([[[0.25]]]))
    outputs, final = lstm(torch.tensor([[[[2.0]]]]), weights, state, forget_bias=1.0)

    def sigmoid(value: float) -> float:
        return 1 / (1 + math.exp(-value))

    cell = sigmoid(0.6 + 0.35 + 0.03 + 1.0) * 0.25 + sigmoid(0.2 + 0.25 + 0.01) * math.tanh(0.4 + 0.3 + 0.02)
    hidden = 1.5 * sigmoid(0.8 + 0.4 + 0.04) * math.tanh(cell)
    assert final.cell.item() == pytest.approx(cell, abs=1e-6)
    assert outputs.item() == final.hidden.item() == pytest.approx(hidden, abs=1e-6)


def test_a_reset_cuts_state_and_gradient() -> None:
    case = make_case(with_reset=False, with_lengths=False)
    case.reset = torch.zeros(3, 4, dtype=torch.bool)
    case.reset[1, 2] = True
    outputs, _ = lstm(case.inputs, case.weights, case.state, **case.options())
    outputs[:, 1, 2:].sum().backward()
    assert case.inputs.grad[:, 1, 2:].abs().min() > 0
    assert case.inputs.grad[:, 1, :2].abs().max() == 0
    assert case.state.hidden.grad.abs().max() == case.state.cell.grad.abs().max() == 0
    fresh, _ = lstm(case.inputs[:, 1:2, 2:], case.weights, cell_clip=0.6, projection_clip=0.2)
    torch.testing.assert_close(outputs[:, 1:2, 2:], fresh)


def test_windows_join() -> None:
    case = make_case(steps=6, with_reset=False, with_lengths=False, projection=3)
    options = {"cell_clip": 0.6, "projection_clip": 0.2}
    whole, final = lstm(case.inputs, case.weights, case.state, **options)
    first, middle = lstm(case.inputs[:, :, :2], case.weights, case.state, **options)
    second, joined = lstm(case.inputs[:, :, 2:], case.weights, middle, **options)
    torch.testing.assert_close(torch.cat([first, second], dim=2), whole)
    torch.testing.assert_close(joined, final)


def test_no_tape_without_a_weight_to_train(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients may be on, as in a loop that trains something else: a window then needs the memory of one step."""
    for projection in (None, 3):
        case = make_case(projection=projection)
        with torch.no_grad():
            expected, _ = lstm(case.inputs, case.weights, case.state, **case.options())
        frozen = [None if tensor is None else tensor.detach() for tensor in (case.inputs, *case.weights)]
        state = LstmState(*map(Tensor.detach, case.state))
        with monkeypatch.context() as patch:
            patch.setattr("elmo_cli.model.kernel.lstm._Layer", None)
            outputs, _ = lstm(frozen[0], LstmWeights(*frozen[1:]), state, **case.options())
        assert torch.equal(outputs, expected)


SHAPES = [
    {"projection": None},
    {"projection": 3},
    {"projection": 3, "with_reset": False, "with_lengths": False, "cell_clip": None, "projection_clip": None},
]


@pytest.fixture(params=[False, True], ids=["stacked", "packed"])
def packed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways of the products, whatever the size."""
    if request.param and not packing_works(torch.float32):
        pytest.skip("this torch or CPU packs no matrices")
    monkeypatch.setattr(products, "PACKING_PAYS", 0 if request.param else 1 << 60)
    return request.param


@pytest.mark.parametrize("shape", SHAPES)
def test_float32_matches_float64(shape: dict[str, object], packed: bool) -> None:
    case = make_case(**shape, width=5, cells=16, steps=9, scale=0.5)
    assert_agree(case.to(torch.float32), case, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_bfloat16_products_stay_near(shape: dict[str, object], packed: bool) -> None:
    # A product is rounded to 8 bits: outputs, of size 1, are off by at most 0.02; gradients by 3 % of their norm.
    if packed and not packing_works(torch.bfloat16):
        pytest.skip("this CPU packs no bfloat16 matrices")
    case = make_case(
        **{**shape, "cell_clip": None, "projection_clip": None}, width=16, cells=32, steps=9, batch=8, scale=0.2
    )
    results, gradients = run(lstm, case.to(torch.float32), precision="bfloat16")
    expected_results, expected_gradients = run(naive_lstm, case)
    for found, expected in zip(results, expected_results, strict=True):
        assert found.dtype == torch.float32
        assert 0 < (found - expected).abs().max() < 0.02
    for found, expected in zip(gradients, expected_gradients, strict=True):
        assert found.dtype == torch.float32
        assert (found - expected).norm() < 0.03 * expected.norm()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_inference_equals_training(shape: dict[str, object], precision: str, packed: bool) -> None:
    case = make_case(**shape, width=5, cells=16, steps=9).to(torch.float32)
    trained, trained_state = lstm(case.inputs, case.weights, case.state, **case.options(), precision=precision)
    with torch.no_grad():
        outputs, state = lstm(case.inputs, case.weights, case.state, **case.options(), precision=precision)
    assert trained.requires_grad
    assert not outputs.requires_grad
    torch.testing.assert_close(real_steps(case, outputs), real_steps(case, trained), atol=0, rtol=0)
    torch.testing.assert_close(state, trained_state, atol=0, rtol=0)


def test_backward_twice_gives_the_same_gradient() -> None:
    case = make_case()
    outputs, _ = lstm(case.inputs, case.weights, case.state, **case.options())
    first = torch.autograd.grad(outputs.sum(), case.leaves(), retain_graph=True)
    second = torch.autograd.grad(outputs.sum(), case.leaves())
    torch.testing.assert_close(first, second, atol=0, rtol=0)


def test_long_inputs_are_cut_into_equal_products(monkeypatch: pytest.MonkeyPatch) -> None:
    case = make_case(steps=7)
    whole, whole_gradients = run(lstm, case)
    monkeypatch.setattr(kernel_steps, "_CHUNK", 1)
    monkeypatch.setattr(pointwise, "_BLOCK", 1)
    cut, cut_gradients = run(lstm, case)
    torch.testing.assert_close([*cut, *cut_gradients], [*whole, *whole_gradients])


def test_large_values_stay_exact() -> None:
    # Cells beyond the range where tanh is cheap to round, through the large-tensor form of tanh.
    values = torch.linspace(-30, 30, 4096)
    torch.testing.assert_close(pointwise.tanh_(values.clone()), values.tanh(), atol=3e-7, rtol=0)


def test_memory_is_used_again_once_nothing_looks_into_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_idle", {})
    like = torch.empty(0)
    first = memory.buffer(like, (1 << 18,))
    address, part = first.data_ptr(), first[5:]
    assert address % 64 == 0
    del first
    assert memory.buffer(like, (1 << 18,)).data_ptr() != address  # `part` still looks into it
    del part
    assert memory.buffer(like, (1 << 9, 1 << 9)).data_ptr() == address


def test_idle_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_idle", idle := {})
    monkeypatch.setattr(memory, "_MOST_KEPT", 5 << 20)
    held = [memory.buffer(torch.empty(0), (count << 18,)) for count in (1, 2, 3)]
    sizes = []
    while held:
        del held[0]
        sizes.append(sorted(size >> 20 for size in idle))
    assert sizes == [[1], [1, 2], [3]]  # together with 2 it would be too much, so the oldest go


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("way", ["stacked", "packed", "in C++"])
def test_prepared_matrices_serve_further_calls_until_the_weights_change(
    precision: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "packed":
        monkeypatch.setattr(products, "PACKING_PAYS", 1)
    if way == "in C++" and native_library.obstacle():
        pytest.skip(str(native_library.obstacle()))
    has_it = packing_works if way == "packed" else partial(native_library.has, "forward")
    if way != "stacked" and not has_it(getattr(torch, precision)):
        pytest.skip("this CPU has no bfloat16 products of this kind")
    size = 16 if way == "in C++" else 4
    matrices = native.Packed if way == "in C++" else kernel_steps.ForwardProducts
    made: list[object] = []
    original = matrices.__init__

    def counted(self: object, *arguments: object) -> None:
        made.append(self)
        original(self, *arguments)

    monkeypatch.setattr(matrices, "__init__", counted)
    torch.manual_seed(0)
    weights = LstmWeights(
        torch.randn(2, size, 4 * size),
        torch.randn(2, size, 4 * size),
        torch.randn(2, 4 * size),
        torch.randn(2, size, size),
    )
    prepared = Prepared()
    for batch in (2, 5, 2):
        inputs = torch.randn(2, batch, 4, size)
        with torch.inference_mode():
            found = lstm(inputs, weights, precision=precision, prepared=prepared)
            made_by_it = len(made)
            expected = lstm(inputs, weights, precision=precision)
            del made[made_by_it:]
        torch.testing.assert_close(found, expected)
    assert len(made) == (2 if way == "packed" else 1)  # by the first call; with packed matrices for each direction
    before = found[0]
    weights.recurrent.mul_(0.5)
    with torch.inference_mode():
        after = lstm(inputs, weights, precision=precision, prepared=prepared)[0]
        torch.testing.assert_close(after, lstm(inputs, weights, precision=precision)[0])
    assert not torch.allclose(after, before)
