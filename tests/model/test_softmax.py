"""Softmax losses against torch's own, in float64, and the sampler against its distribution."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional

from elmo_cli.config import ModelSettings
from elmo_cli.errors import ConfigError
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.encoder import WordEncoder
from elmo_cli.model.kernel import cross_entropy as module
from elmo_cli.model.kernel.cross_entropy import cross_entropy
from elmo_cli.model.softmax import (
    AdaptiveSoftmax,
    FullSoftmax,
    SampledSoftmax,
    adaptive_cutoffs,
    expected_count,
    make_softmax,
    sample_log_uniform,
)

SIZE, VOCABULARY, ROWS = 8, 23, 40


@pytest.fixture
def _small_chunks(monkeypatch):
    """Chunks of three rows: 40 rows make thirteen whole ones and a remainder."""
    monkeypatch.setattr(module, "ROW_STEP", 3)
    monkeypatch.setattr(module, "MOST_CHUNK_LOGITS", 1)


def make_rows(seed=0, rows=ROWS):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, SIZE, generator=generator, dtype=torch.float64, requires_grad=True)
    return hidden, torch.randint(1, VOCABULARY + 1, (rows,), generator=generator)


def grads_of(loss, *tensors):
    return torch.autograd.grad(loss, tensors)


@pytest.mark.usefixtures("_small_chunks")
def test_full_loss_and_gradients_are_those_of_cross_entropy():
    softmax = FullSoftmax(SIZE, VOCABULARY).double()
    hidden, targets = make_rows()
    logits = functional.linear(hidden, softmax.table, softmax.bias)
    expected = functional.cross_entropy(logits, targets - 1, reduction="none")
    found = softmax.loss(hidden, targets)
    assert torch.allclose(found.total, expected.sum(), rtol=1e-12)
    assert torch.allclose(found.rows, expected, rtol=1e-12)
    assert torch.allclose(softmax.nll(hidden, targets), expected, rtol=1e-12)
    everything = (hidden, softmax.table, softmax.bias)
    # a factor, as the mean over steps brings one
    for mine, theirs in zip(
        grads_of(found.total * 0.3, *everything), grads_of(expected.sum() * 0.3, *everything), strict=True
    ):
        assert torch.allclose(mine, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("_small_chunks")
def test_own_column_and_left_out_columns():
    """With `own`, row n sums over the columns of the table but one, and its own logit."""
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(7, SIZE, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(5, SIZE, generator=generator, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(5, generator=generator, dtype=torch.float64, requires_grad=True)
    own = torch.randn(7, generator=generator, dtype=torch.float64, requires_grad=True)
    columns = torch.tensor([-1, 0, 4, -1, 2, 2, -1])
    rows = []
    for row, column in enumerate(columns.tolist()):
        kept = [index for index in range(5) if index != column]
        logits = torch.cat([own[row : row + 1], weight[kept] @ hidden[row] + bias[kept]])
        rows.append(functional.cross_entropy(logits, torch.tensor(0)))
    expected = torch.stack(rows)
    found = cross_entropy(hidden, weight, bias, columns, own)
    assert torch.allclose(found.rows, expected, rtol=1e-12)
    everything = (hidden, weight, bias, own)
    for mine, theirs in zip(grads_of(found.total, *everything), grads_of(expected.sum(), *everything), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-10, atol=1e-12)


def test_the_loss_is_differentiated_once_and_no_more():
    """Its gradient is made beside it and has none of its own, which must not pass for zero."""
    hidden, targets = make_rows()
    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    total = scale * FullSoftmax(SIZE, VOCABULARY).double().loss(hidden, targets).total
    (gradient,) = torch.autograd.grad(total, hidden, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_frozen_weights_get_no_gradient():
    softmax = FullSoftmax(SIZE, VOCABULARY).double()
    softmax.table.requires_grad_(False)
    hidden, targets = make_rows()
    softmax.loss(hidden, targets).total.backward()
    assert softmax.table.grad is None
    assert hidden.grad.abs().sum() > 0


def test_no_logits_of_all_rows_are_held(monkeypatch):
    monkeypatch.setattr(module, "ROW_STEP", 4)
    monkeypatch.setattr(module, "MOST_CHUNK_LOGITS", 21 * VOCABULARY)
    sizes = []
    real = torch.softmax
    monkeypatch.setattr(
        torch, "softmax", lambda logits, dim, out: sizes.append(len(logits)) or real(logits, dim, out=out)
    )
    hidden, targets = make_rows(rows=90)
    FullSoftmax(SIZE, VOCABULARY).double().loss(hidden, targets)
    assert sizes == [20] * 4 + [10]


def test_a_wide_matrix_has_more_rows_in_a_chunk_but_never_more_than_fit(monkeypatch):
    rows = module._chunk_rows
    assert rows(3072, 2001, 256) == 2080
    assert rows(100, 2001, 256) == 128
    assert rows(3072, 20_000, 256) == 512
    assert rows(3072, 800_000, 512) == module.ROW_STEP


@pytest.mark.parametrize("tie", [False, True])
@pytest.mark.parametrize("cutoffs", [(), (5,), (4, 9, 15)])
@pytest.mark.usefixtures("_small_chunks")
def test_adaptive_softmax_is_a_distribution_and_its_loss_exact(cutoffs, tie):
    torch.manual_seed(0)
    encoder = WordEncoder(VOCABULARY, ModelSettings(hidden_size=SIZE)).double() if tie else None
    softmax = AdaptiveSoftmax(SIZE, VOCABULARY, cutoffs, encoder).double()
    with torch.no_grad():
        for parameter in softmax.parameters():
            parameter.normal_()
    hidden, targets = make_rows()
    chances = softmax.log_probabilities(hidden)
    assert torch.allclose(chances.exp().sum(dim=1), torch.ones(ROWS, dtype=torch.float64), rtol=1e-12)
    expected = functional.nll_loss(chances, targets - 1, reduction="none")
    found = softmax.loss(hidden, targets)
    assert torch.allclose(found.rows, expected, rtol=1e-12)
    assert torch.allclose(found.total, expected.sum(), rtol=1e-12)
    assert torch.allclose(softmax.nll(hidden, targets), expected, rtol=1e-12)
    everything = (hidden, *softmax.parameters(), *(encoder.parameters() if encoder else ()))
    for mine, theirs in zip(grads_of(found.total, *everything), grads_of(expected.sum(), *everything), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-10, atol=1e-12)


def test_a_tied_adaptive_softmax_has_no_vectors_of_its_own():
    """A token of cluster i is scored by the first columns of its row in the table, as many as the cluster is wide."""
    torch.manual_seed(0)
    network = BiLm(ModelSettings(hidden_size=SIZE, tie=True, cutoffs=(4, 9)), VOCABULARY).double()
    softmax, table = network.softmax, network.encoder.table
    names = {name: tuple(weight.shape) for name, weight in softmax.named_parameters()}
    assert names == {
        **{"entries": (2, SIZE), "bias": (VOCABULARY + 2,)},
        **{"downs.0.weight": (4, SIZE), "downs.1.weight": (2, SIZE)},
    }
    hidden, _ = make_rows()
    chances = softmax.log_probabilities(hidden)
    inside = torch.log_softmax((hidden @ softmax.downs[1].weight.T) @ table[10:, :2].T, dim=1)
    head = torch.log_softmax(hidden @ torch.cat([table[1:5], softmax.entries]).T, dim=1)
    assert torch.allclose(chances[:, 9:], head[:, 5:] + inside, rtol=1e-10)
    assert torch.allclose(chances[:, :4], head[:, :4], rtol=1e-10)


def test_scores_carry_no_gradient():
    hidden, targets = make_rows()
    for softmax in (
        FullSoftmax(SIZE, VOCABULARY),
        SampledSoftmax(SIZE, VOCABULARY, 9),
        AdaptiveSoftmax(SIZE, VOCABULARY, (5,)),
    ):
        softmax.double()
        assert softmax.loss(hidden, targets).total.requires_grad
        assert not softmax.loss(hidden, targets).rows.requires_grad
        assert not softmax.nll(hidden, targets).requires_grad


def test_fresh_logits_are_of_size_one():
    """For hidden vectors of size one in each element: a standard deviation of 1 / sqrt(width), and no bias."""
    torch.manual_seed(0)
    full, adaptive = FullSoftmax(64, 400), AdaptiveSoftmax(64, 900, (100, 400))
    for weight in (full.table, *(layer.weight for layer in (adaptive.head, *adaptive.tails))):
        assert float(weight.detach().std()) == pytest.approx(weight.shape[1] ** -0.5, rel=0.05)
    for bias in (full.bias, *(layer.bias for layer in (adaptive.head, *adaptive.tails))):
        assert not bias.any()


def test_adaptive_sizes():
    softmax = AdaptiveSoftmax(64, 100, (10, 40))
    assert softmax.head.weight.shape == (12, 64)
    assert [tuple(down.weight.shape) for down in softmax.downs] == [(32, 64), (16, 64)]
    assert [tuple(tail.weight.shape) for tail in softmax.tails] == [(30, 32), (60, 16)]
    assert [len(down.weight) for down in AdaptiveSoftmax(3, 100, (10, 40)).downs] == [1, 1]
    assert adaptive_cutoffs(500) == adaptive_cutoffs(1499) == ()
    assert adaptive_cutoffs(1500) == adaptive_cutoffs(7499) == (1000,)
    assert adaptive_cutoffs(16_000) == (1000, 5000)
    assert adaptive_cutoffs(800_000) == (1000, 5000, 50_000)


def test_the_clusters_of_the_settings_are_taken_and_kept():
    settings = ModelSettings(hidden_size=8, cutoffs=(20, 60))
    assert BiLm(settings, 100).softmax.edges == (20, 60, 100)
    assert BiLm(ModelSettings(hidden_size=8), 2000).settings.cutoffs == (1000,)
    with pytest.raises(ConfigError, match="100 tokens"):
        BiLm(ModelSettings(hidden_size=8, cutoffs=(20, 100)), 100)
    with pytest.raises(ValidationError, match="must ascend"):
        ModelSettings(cutoffs=(60, 20))


def test_adaptive_loss_without_a_token_of_some_cluster():
    softmax = AdaptiveSoftmax(SIZE, VOCABULARY, (4, 9)).double()
    hidden, _ = make_rows(rows=3)
    targets = torch.tensor([1, 4, 23])
    expected = functional.nll_loss(softmax.log_probabilities(hidden), targets - 1, reduction="sum")
    assert torch.allclose(softmax.loss(hidden, targets).total, expected)


def test_adaptive_from_settings():
    softmax = make_softmax(ModelSettings(hidden_size=16, softmax="adaptive"), 5000)
    assert isinstance(softmax, AdaptiveSoftmax)
    assert softmax.edges == (1000, 5000)


def test_samples_are_distinct_and_counted():
    torch.manual_seed(0)
    ranks, tries = sample_log_uniform(50, 80, torch.device("cpu"))
    assert len(set(ranks.tolist())) == 50
    assert set(ranks.tolist()) <= set(range(80))
    assert tries > 50


def test_samples_are_the_first_distinct_draws():
    torch.manual_seed(3)
    ranks, tries = sample_log_uniform(6, 10, torch.device("cpu"))
    torch.manual_seed(3)
    draws = []
    size = 12
    while len(set(draws)) < 6:
        uniform = torch.rand(size, dtype=torch.float64)
        draws += [min(9, int(math.exp(float(u) * math.log(11))) - 1) for u in uniform]
        size = len(draws)
    seen = list(dict.fromkeys(draws))
    assert ranks.tolist() == seen[:6]
    assert tries == draws.index(seen[5]) + 1


def test_samples_follow_the_log_uniform_distribution():
    torch.manual_seed(0)
    size, trials = 8, 3000
    counts = torch.zeros(size, dtype=torch.float64)
    for _ in range(trials):
        counts[sample_log_uniform(1, size, torch.device("cpu"))[0]] += 1
    expected = torch.tensor([math.log((k + 2) / (k + 1)) / math.log(size + 1) for k in range(size)])
    assert float(expected.sum()) == pytest.approx(1.0)
    assert torch.allclose(counts / trials, expected.double(), rtol=0, atol=4 * math.sqrt(0.25 / trials))


def test_expected_counts():
    ranks = torch.tensor([0, 7])
    for rank, found in zip(ranks.tolist(), expected_count(ranks, 12, 50).tolist(), strict=True):
        chance = math.log((rank + 2) / (rank + 1)) / math.log(51)
        assert found == pytest.approx(1 - (1 - chance) ** 12, rel=1e-12)


def test_sampled_loss_by_hand():
    torch.manual_seed(0)
    softmax = SampledSoftmax(SIZE, VOCABULARY, 9).double()
    with torch.no_grad():
        softmax.bias.normal_()
    hidden, targets = make_rows()
    torch.manual_seed(5)
    found = softmax.loss(hidden, targets)
    torch.manual_seed(5)
    negatives, tries = sample_log_uniform(9, VOCABULARY, torch.device("cpu"))
    rows = []
    for row, target in enumerate((targets - 1).tolist()):
        ranks = torch.tensor([target, *(rank for rank in negatives.tolist() if rank != target)])
        logits = (
            softmax.table[ranks] @ hidden[row] + softmax.bias[ranks] - expected_count(ranks, tries, VOCABULARY).log()
        )
        rows.append(functional.cross_entropy(logits, torch.tensor(0)))
    expected = torch.stack(rows)
    assert torch.allclose(found.rows, expected, rtol=1e-12)
    everything = (hidden, softmax.table, softmax.bias)
    for mine, theirs in zip(grads_of(found.total, *everything), grads_of(expected.sum(), *everything), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-10, atol=1e-12)


def test_sampled_loss_is_drawn_from_the_seed():
    softmax = SampledSoftmax(SIZE, VOCABULARY, 9).double()
    hidden, targets = make_rows()
    values = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        values.append(softmax.loss(hidden, targets).total.item())
    assert values[0] == values[1] != values[2]


def test_sampled_loss_nears_the_full_one_with_more_samples():
    torch.manual_seed(0)
    softmax = SampledSoftmax(SIZE, 200, 2).double()
    hidden, _ = make_rows()
    targets = torch.randint(1, 201, (ROWS,))
    full = float(softmax.nll(hidden, targets).mean())
    errors = []
    for samples in (20, 80, 199):
        softmax.samples = samples
        mean = torch.stack([softmax.loss(hidden, targets).rows.mean() for _ in range(10)]).mean()
        errors.append(abs(float(mean) - full))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.01


def test_sampled_scores_are_exact():
    softmax = SampledSoftmax(SIZE, VOCABULARY, 5).double()
    hidden, targets = make_rows()
    logits = functional.linear(hidden, softmax.table, softmax.bias)
    assert torch.allclose(softmax.nll(hidden, targets), functional.cross_entropy(logits, targets - 1, reduction="none"))
    assert torch.allclose(softmax.log_probabilities(hidden), logits.log_softmax(dim=1))


def test_enough_samples_are_the_full_softmax():
    settings = ModelSettings(hidden_size=8, softmax="sampled", samples=20)
    assert type(make_softmax(settings, 20)) is FullSoftmax
    assert type(make_softmax(settings, 21)) is SampledSoftmax
