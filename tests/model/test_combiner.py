"""Combiners: the sums by hand, what trains, what is saved, what is refused."""

from __future__ import annotations

import pytest
import torch

from elmo_cli.config import ClassifySettings
from elmo_cli.errors import InputError
from elmo_cli.model.combiner import make_combiner

LAYERS, BATCH, TOKENS, WIDTH = 3, 2, 4, 6


def make(mode="trainable", seed=1, precision="float32", **changes):
    settings = ClassifySettings(lambdas=mode, **{"layer_norm": False} | changes)
    return make_combiner(settings, LAYERS, WIDTH, seed, precision)


@pytest.fixture
def layers():
    return torch.randn(LAYERS, BATCH, TOKENS, WIDTH, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def mask():
    return torch.tensor([[True, True, True, False], [True, False, False, False]])


def train(combiner, layers, mask, steps=3):
    optimiser = torch.optim.AdamW([*combiner.parameters(), torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    for _ in range(steps):
        loss = combiner(layers, mask).square().sum()
        if loss.requires_grad:
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


def test_trainable_begins_as_the_mean_and_moves(layers, mask):
    combiner = make()
    assert combiner.lambdas() == pytest.approx([1 / 3] * 3)
    assert combiner.gamma() == 1.0
    assert torch.allclose(combiner(layers, mask)[mask], layers.mean(dim=0)[mask], atol=1e-6)
    train(combiner, layers, mask)
    assert combiner.lambdas() != pytest.approx([1 / 3] * 3, abs=1e-3)
    assert sum(combiner.lambdas()) == pytest.approx(1.0)
    assert combiner.gamma() < 0.9
    weights = torch.tensor(combiner.lambdas())
    by_hand = combiner.gamma() * sum(weights[index] * layers[index] for index in range(LAYERS))
    assert torch.allclose(combiner(layers, mask)[mask], by_hand[mask], atol=1e-6)
    assert {id(parameter) for parameter in combiner.rate_parameters()} == {id(each) for each in combiner.parameters()}


def test_raw_weights(layers, mask):
    combiner = make(lambda_norm="none")
    assert combiner.lambdas() == pytest.approx([1 / 3] * 3)
    with torch.no_grad():
        combiner.weights.copy_(torch.tensor([2.0, 0.0, -1.0]))
    assert combiner.lambdas() == [2.0, 0.0, -1.0]
    assert torch.allclose(combiner(layers, mask)[mask], (2 * layers[0] - layers[2])[mask], atol=1e-6)


@pytest.mark.parametrize("given", [None, "uniform", "0.2,0.5,0.3"])
def test_frozen_never_moves_and_is_saved(given, layers, mask):
    combiner = make("frozen", frozen_lambdas=given)
    before = combiner.lambdas()
    assert sum(before) == pytest.approx(1.0)
    assert not list(combiner.parameters())
    assert combiner.rate_parameters() == []
    assert combiner.gamma() == 1.0
    train(combiner, layers, mask)
    assert combiner.lambdas() == before
    assert combiner.state_dict()["weights"].tolist() == before
    other = make("frozen", seed=7)
    other.load_state_dict(combiner.state_dict())
    assert torch.equal(other(layers, mask), combiner(layers, mask))


def test_frozen_draws_come_from_the_seed():
    drawn = torch.randn(LAYERS, generator=torch.Generator().manual_seed(4)).softmax(dim=0)
    torch.manual_seed(99)
    assert make("frozen", seed=4).lambdas() == pytest.approx(drawn.tolist())
    assert make("frozen", seed=5).lambdas() != pytest.approx(drawn.tolist(), abs=1e-3)


def test_frozen_weights_as_given(layers, mask):
    combiner = make("frozen", frozen_lambdas=" 0.2, 0.5,0.3")
    assert combiner.lambdas() == pytest.approx([0.2, 0.5, 0.3])
    expected = 0.2 * layers[0] + 0.5 * layers[1] + 0.3 * layers[2]
    assert torch.allclose(combiner(layers, mask)[mask], expected[mask], atol=1e-6)


@pytest.mark.parametrize("given", ["0.5,0.5", "0.2,0.5,0.2,0.1", "a,b,c", "0.2,,0.3", "nan,0,1", "even"])
def test_frozen_weights_refused(given):
    with pytest.raises(InputError) as caught:
        make("frozen", frozen_lambdas=given)
    assert given in caught.value.message
    assert "3 numbers" in caught.value.expected


def test_function_has_the_parameters_it_says(layers, mask):
    combiner = make("function")
    assert sum(parameter.numel() for parameter in combiner.parameters()) == LAYERS * WIDTH**2 + WIDTH
    assert combiner.lambdas() is None
    assert combiner.gamma() is None
    assert not combiner.linear
    assert combiner.rate_parameters() == []
    stacked = torch.cat(list(layers), dim=2)
    expected = torch.tanh(stacked @ combiner.function.weight.T + combiner.function.bias)
    assert torch.allclose(combiner(layers, mask)[mask], expected[mask], atol=1e-6)


def test_function_rounds_products_while_it_trains_and_nothing_else(layers, mask):
    combiner = make("function")
    exact = combiner(layers, mask)
    exact.square().sum().backward()
    gradient = combiner.function.weight.grad.clone()
    rough = make("function", precision="bfloat16")
    rough.load_state_dict(combiner.state_dict())
    rounded = rough(layers, mask)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    assert torch.allclose(rounded, exact, atol=0.02)
    rounded.square().sum().backward()
    assert rough.function.weight.grad.dtype == torch.float32
    assert torch.allclose(rough.function.weight.grad, gradient, atol=0.05 * float(gradient.abs().max()))
    rough.eval()
    assert torch.equal(rough(layers, mask), exact)


@pytest.mark.parametrize("layer", range(LAYERS))
def test_single_layers(layer, layers, mask):
    combiner = make(f"layer:{layer}")
    assert torch.equal(combiner(layers, mask)[mask], layers[layer][mask])
    assert combiner.lambdas() == [float(index == layer) for index in range(LAYERS)]
    assert not combiner.state_dict()


def test_a_layer_that_is_not_there():
    with pytest.raises(InputError, match="has 3 layers") as caught:
        make("layer:3")
    assert caught.value.expected == "layer:0 to layer:2"
    with pytest.raises(InputError, match="has 1 layers") as caught:
        make_combiner(ClassifySettings(lambdas="layer:1"), 1, WIDTH, seed=1)
    assert caught.value.expected == "layer:0"


@pytest.mark.parametrize("mode", ["trainable", "frozen", "function", "layer:1"])
def test_layer_norm_silences_scale_and_offset(mode, layers, mask):
    combiner = make(mode, layer_norm=True)
    normal = combiner.normalise(layers)
    assert torch.allclose(normal.mean(dim=3), torch.zeros(()), atol=1e-6)
    assert torch.allclose(normal.var(dim=3, unbiased=False), torch.ones(()), atol=1e-3)
    louder = layers * torch.tensor([1.0, 20.0, 300.0])[:, None, None, None] + 5.0
    assert torch.allclose(combiner(louder, mask), combiner(layers, mask), atol=1e-3)
    assert not torch.allclose(make(mode)(louder, mask), make(mode)(layers, mask), atol=1e-3)


@pytest.mark.parametrize("mode", ["trainable", "frozen", "function", "layer:1"])
def test_padding_comes_out_zero(mode, layers, mask):
    mixed = make(mode)(layers, mask)
    assert mixed.shape == (BATCH, TOKENS, WIDTH)
    assert not mixed[~mask].any()
    assert mixed[mask].all()


@pytest.mark.parametrize("mode", ["trainable", "frozen", "function", "layer:1"])
def test_linear_means_that_the_mix_commutes_with_the_mean(mode, layers):
    combiner = make(mode, layer_norm=True)
    normal = combiner.normalise(layers)
    same = torch.allclose(combiner.mix(normal).mean(dim=1), combiner.mix(normal.mean(dim=2)), atol=1e-5)
    assert same == combiner.linear
