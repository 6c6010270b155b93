"""The CRF against all sequences one by one, and its gradients against finite differences."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from elmo_cli.model.crf import FORBIDDEN, Crf


def make_crf(allowed: Tensor, seed: int) -> Crf:
    crf = Crf(allowed).double()
    with torch.no_grad():
        crf.weights.copy_(torch.randn(crf.weights.shape, generator=torch.Generator().manual_seed(seed)) * 2)
    return crf


def path_score(crf: Crf, emissions: Tensor, path: tuple[int, ...]) -> Tensor:
    """Score of one path, by the formula, from (T, K) emissions."""
    scores = crf.weights.masked_fill(~crf.allowed, FORBIDDEN)
    total = scores[-1, path[0]] + scores[path[-1], -1]
    total = total + sum(emissions[step, tag] for step, tag in enumerate(path))
    return total + sum(scores[one, other] for one, other in pairwise(path))


@st.composite
def chains(draw: st.DrawFn) -> tuple[Crf, Tensor, Tensor]:
    """A CRF with up to 5 tags, some transitions of which are forbidden, and two sentences of up to 6 tokens."""
    tags = draw(st.integers(1, 5))
    lengths = draw(st.lists(st.integers(1, 6), min_size=2, max_size=2))
    allowed = torch.tensor(draw(st.lists(st.booleans(), min_size=(tags + 1) ** 2, max_size=(tags + 1) ** 2)))
    allowed = allowed.view(tags + 1, tags + 1)
    allowed[0, 0] = allowed[0, -1] = allowed[-1, 0] = True  # so that some path of every length is there
    seed = draw(st.integers(0, 1000))
    emissions = torch.randn(
        2, max(lengths), tags, dtype=torch.float64, generator=torch.Generator().manual_seed(seed + 1)
    )
    scale = draw(st.sampled_from([1, 100]))  # or tags that are hundreds of nats apart
    return make_crf(allowed, seed), emissions * scale, torch.tensor(lengths)


@settings(deadline=None, max_examples=60)
@given(chains())
def test_likelihood_and_best_path_are_those_of_all_sequences(chain: tuple[Crf, Tensor, Tensor]) -> None:
    crf, emissions, lengths = chain
    crf.requires_grad_(False)
    decoded = crf.decode(emissions, lengths)
    for row, length in enumerate(lengths.tolist()):
        paths = list(product(range(emissions.shape[2]), repeat=length))
        scores = torch.stack([path_score(crf, emissions[row], path) for path in paths])
        log_partition = scores.logsumexp(0)
        best = tuple(decoded[row, :length].tolist())
        assert float(path_score(crf, emissions[row], best)) == pytest.approx(float(scores.max()))
        assert not decoded[row, length:].any()
        padded = torch.zeros(emissions.shape[1], dtype=torch.int64)
        padded[:length] = torch.tensor(best)
        nll = crf.nll(emissions[row : row + 1], padded[None], lengths[row : row + 1])
        assert float(nll) == pytest.approx(float(log_partition - scores.max()), abs=1e-9)


def test_a_batch_is_its_sentences() -> None:
    crf = make_crf(torch.ones(4, 4, dtype=torch.bool), 1)
    emissions, lengths = torch.randn(3, 5, 3, dtype=torch.float64), torch.tensor([5, 2, 1])
    tags = torch.randint(3, (3, 5))
    together = crf.nll(emissions, tags, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = crf.nll(emissions[row : row + 1, :length], tags[row : row + 1, :length], lengths[row : row + 1])
        assert float(alone.detach()) == pytest.approx(float(together.detach()[row]))


def test_gradients() -> None:
    allowed = torch.ones(4, 4, dtype=torch.bool)
    allowed[1, 2] = allowed[-1, 2] = allowed[2, -1] = False
    crf, lengths, tags = make_crf(allowed, 2), torch.tensor([4, 1]), torch.tensor([[0, 1, 1, 0], [1, 0, 0, 0]])

    def loss(emissions: Tensor, weights: Tensor) -> Tensor:
        return torch.func.functional_call(_Nll(crf), {"crf.weights": weights}, (emissions, tags, lengths))

    emissions = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss, (emissions, crf.weights.detach().clone().requires_grad_()))


class _Nll(torch.nn.Module):
    def __init__(self, crf: Crf) -> None:
        super().__init__()
        self.crf = crf

    def forward(self, emissions: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        return self.crf.nll(emissions, tags, lengths)


def test_unreachable_tags_give_no_gradient_that_is_no_number() -> None:
    allowed = torch.ones(3, 3, dtype=torch.bool)
    allowed[:, 1] = False  # nothing leads to tag 1
    crf = make_crf(allowed, 3)
    crf.nll(
        torch.randn(1, 4, 2, dtype=torch.float64), torch.zeros(1, 4, dtype=torch.int64), torch.tensor([4])
    ).sum().backward()
    assert crf.weights.grad is not None
    assert torch.isfinite(crf.weights.grad).all()


def test_what_is_forbidden_has_no_probability() -> None:
    allowed = torch.ones(3, 3, dtype=torch.bool)
    allowed[0, 1] = False
    crf = make_crf(allowed, 4)
    nll = crf.nll(torch.zeros(1, 2, 2, dtype=torch.float64), torch.tensor([[0, 1]]), torch.tensor([2]))
    assert float(nll.detach()) > 1e29
