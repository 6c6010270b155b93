"""The loop in C++ against the plain LSTM and against the loop in torch, in all that a call can have."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_lstm import Case, make_case, run

from elmo_cli.model.kernel import native_library
from elmo_cli.model.kernel.lstm import lstm
from elmo_cli.model.kernel.naive import naive_lstm

pytestmark = pytest.mark.skipif(native_library.obstacle() is not None, reason=str(native_library.obstacle()))


def assert_close(case: Case, precision: str) -> None:
    """Float32 may lose what the plain LSTM loses in it, three times at most; bfloat16 has 8 bits.

    A clip makes values smaller, but not the rounding of the sums that it cut.
    """
    found = run(lstm, case, precision=precision)
    plain = run(naive_lstm, case)
    exact = run(naive_lstm, case.to(torch.float64))
    unclipped = run(naive_lstm, replace(case, cell_clip=None, projection_clip=None).to(torch.float64))
    pairs = zip(unclipped[0], exact[0], strict=True)
    cut = max((float(free.abs().max() / clipped.abs().max()) for free, clipped in pairs if clipped.any()), default=1.0)
    for one, rounded, other in zip([*found[0], *found[1]], [*plain[0], *plain[1]], [*exact[0], *exact[1]], strict=True):
        largest = float(other.abs().max())
        lost = float((rounded - other).abs().max())
        bound = 3 * lost + 1e-6 * cut * largest + 1e-7 if precision == "float32" else 0.06 * largest
        torch.testing.assert_close(one.double(), other, atol=bound, rtol=0)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    directions=st.integers(1, 2),
    batch=st.integers(1, 20),
    steps=st.integers(1, 5),
    width=st.sampled_from([16, 48]),
    cells=st.sampled_from([16, 48, 80]),
    projection=st.sampled_from([None, 16, 32, 96]),
    with_state=st.booleans(),
    with_reset=st.booleans(),
    with_lengths=st.booleans(),
    clips=st.sampled_from([(None, None), (0.4, 0.1)]),
)
def test_float32_is_the_plain_lstm(
    seed, directions, batch, steps, width, cells, projection, with_state, with_reset, with_lengths, clips
) -> None:
    assert_close(
        make_case(
            seed,
            directions=directions,
            batch=batch,
            steps=steps,
            width=width,
            cells=cells,
            projection=projection,
            with_state=with_state,
            with_reset=with_reset,
            with_lengths=with_lengths,
            cell_clip=clips[0],
            projection_clip=clips[1],
            scale=0.3,
            dtype=torch.float32,
        ),
        "float32",
    )


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    directions=st.integers(1, 2),
    batch=st.sampled_from([1, 2, 14, 16, 17, 33, 40]),
    steps=st.integers(1, 6),
    width=st.sampled_from([16, 32, 80]),
    cells=st.sampled_from([16, 48, 64]),
    projection=st.sampled_from([None, 16, 48]),
    with_reset=st.booleans(),
    with_lengths=st.booleans(),
)
def test_bfloat16_is_near(seed, directions, batch, steps, width, cells, projection, with_reset, with_lengths) -> None:
    assert_close(
        make_case(
            seed,
            directions=directions,
            batch=batch,
            steps=steps,
            width=width,
            cells=cells,
            projection=projection,
            with_reset=with_reset,
            with_lengths=with_lengths,
            cell_clip=None,
            projection_clip=None,
            scale=0.2,
            dtype=torch.float32,
        ),
        "bfloat16",
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_row_is_the_same_bits_in_any_company(precision: str) -> None:
    case = make_case(
        batch=13, steps=7, width=16, cells=32, projection=16, with_reset=False, scale=0.3, dtype=torch.float32
    )
    with torch.no_grad():
        together, final = lstm(case.inputs, case.weights, case.state, lengths=case.lengths, precision=precision)
        for row in range(13):
            part = slice(row, row + 1)
            alone, last = lstm(
                case.inputs[:, part],
                case.weights,
                type(case.state)(*(tensor[:, part] for tensor in case.state)),
                lengths=case.lengths[part],
                precision=precision,
            )
            assert torch.equal(alone, together[:, part])
            assert torch.equal(last.hidden, final.hidden[:, part])
            assert torch.equal(last.cell, final.cell[:, part])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_threads_share_out_rows_without_a_trace(precision: str) -> None:
    case = make_case(batch=60, steps=5, width=16, cells=32, projection=16, scale=0.3, dtype=torch.float32)
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results, gradients = run(lstm, case, precision=precision)
            found.append([*results, *gradients[:2]])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(one, two) for one, two in zip(found[0][:3], other[:3], strict=True))


def test_inference_is_the_forward_pass_of_training() -> None:
    case = make_case(batch=9, steps=6, width=16, cells=32, projection=16, scale=0.3, dtype=torch.float32)
    trained, _ = run(lstm, case)
    with torch.no_grad():
        outputs, final = lstm(case.inputs, case.weights, case.state, **case.options())
    assert all(torch.equal(one, two) for one, two in zip(trained, [outputs, *final], strict=True))


def test_steps_beyond_a_rows_end_are_zero() -> None:
    case = make_case(batch=5, steps=6, width=16, cells=16, dtype=torch.float32)
    outputs, _ = lstm(case.inputs, case.weights, lengths=torch.tensor([0, 6, 2, 3, 6]))
    assert not outputs[:, 0].any()
    assert not outputs[:, 2, 2:].any()
    assert outputs[:, 2, 1].all()
