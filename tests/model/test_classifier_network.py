"""The classifier network: pooling by hand, frozen and tuned embedders, parameter groups."""

from __future__ import annotations

import pytest
import torch

from elmo_cli.config import ClassifySettings, ModelSettings
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.classifier import Classifier, MaskedPooling
from elmo_cli.model.encoder import TokenIds
from elmo_cli.model.mode import Mode
from elmo_cli.model.static import StaticTable

POOLINGS = ["max", "mean", "max+mean", "attention"]
IDS = torch.tensor([[1, 5, 6, 7, 2], [1, 8, 2, 0, 0], [1, 2, 0, 0, 0]])
LENGTHS = torch.tensor([3, 1, 0])


def make_bilm(seed=0):
    torch.manual_seed(seed)
    return BiLm(ModelSettings(hidden_size=6, projection_size=4, softmax="full", dropout=0.5), 9)


def make(seed=1, embedder=None, **changes):
    settings = ClassifySettings(**{"hidden_size": 5} | changes)
    return Classifier(embedder or make_bilm(), settings, 4, seed), settings


def test_static_table():
    torch.manual_seed(0)
    matrix = torch.randn(10, 3)
    table = StaticTable(matrix).eval()
    layers, state = table.layers(TokenIds(torch.tensor([[4, 5], [6, 7]])), torch.tensor([2, 1]))
    assert state is None
    assert (table.layer_count, table.width) == (1, 3)
    assert torch.equal(layers[0, 0], matrix[[4, 5]])
    assert torch.equal(layers[0, 1, 0], matrix[6])
    assert not layers[0, 1, 1].any()
    assert not table.table[0].any()
    ids, mode = torch.arange(1, 10)[None], Mode(dropout=0.9)
    assert torch.equal(table.layers(TokenIds(ids), torch.tensor([9]), mode=mode)[0][0, 0], matrix[1:])
    table.train()
    assert (table.layers(TokenIds(ids), torch.tensor([9]), mode=mode)[0] == 0).any()
    assert torch.equal(table.layers(TokenIds(ids), torch.tensor([9]))[0][0, 0], matrix[1:])
    words = table.layers(TokenIds(ids), torch.tensor([9]), mode=Mode(word_dropout=0.5))[0][0, 0]
    dropped = (words == 0).all(dim=1)
    assert torch.equal(words, torch.where(dropped[:, None], 0.0, 2 * matrix[1:]))
    assert 0 < dropped.sum() < 9


def test_pooling_by_hand():
    vectors = torch.tensor([[[1.0, -2.0], [3.0, -4.0], [0.0, 0.0]]])
    mask = torch.tensor([[True, True, False]])
    assert MaskedPooling("max", 2)(vectors, mask).tolist() == [[3.0, -2.0]]
    assert MaskedPooling("mean", 2)(vectors, mask).tolist() == [[2.0, -3.0]]
    assert MaskedPooling("max+mean", 2)(vectors, mask).tolist() == [[3.0, -2.0, 2.0, -3.0]]
    attention = MaskedPooling("attention", 2)
    with torch.no_grad():
        attention.attention.weight.copy_(torch.tensor([[1.0, 0.0]]))
    weights = torch.tensor([1.0, 3.0]).softmax(dim=0)
    expected = weights[0] * vectors[0, 0] + weights[1] * vectors[0, 1]
    assert torch.allclose(attention(vectors, mask)[0], expected)


@pytest.mark.parametrize("kind", POOLINGS)
@pytest.mark.parametrize("tokens", [0, 3])
def test_a_text_without_tokens_is_zero(kind, tokens):
    pooling = MaskedPooling(kind, 2)
    pooled = pooling(torch.zeros(2, tokens, 2), torch.zeros(2, tokens, dtype=torch.bool))
    assert pooled.shape == (2, pooling.output_size)
    assert not pooled.any()


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("mode", ["trainable", "function"])
def test_logits_are_finite_and_do_not_depend_on_padding(pooling, mode):
    classifier, _ = make(pooling=pooling, lambdas=mode)
    classifier.eval()
    logits = classifier(TokenIds(IDS), LENGTHS)
    assert logits.shape == (3, 4)
    assert logits.isfinite().all()
    for row, length in enumerate(LENGTHS.tolist()):
        alone = classifier(TokenIds(IDS[row : row + 1, : length + 2]), LENGTHS[row : row + 1])
        assert torch.allclose(alone[0], logits[row], atol=1e-5)
    classifier.train()
    classifier(TokenIds(IDS), LENGTHS).sum().backward()
    for name, parameter in classifier.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


def test_cached_layers_give_the_same_logits():
    classifier, _ = make()
    classifier.eval()
    layers, _ = classifier.embedder.layers(TokenIds(IDS), LENGTHS)
    assert torch.equal(classifier.score_layers(layers, LENGTHS), classifier(TokenIds(IDS), LENGTHS))
    half = classifier.score_layers(layers.half(), LENGTHS)
    assert half.dtype == torch.float32
    assert torch.allclose(half, classifier(TokenIds(IDS), LENGTHS), atol=1e-2)


def test_a_frozen_embedder_neither_drops_nor_trains():
    classifier, settings = make(dropout=0.0, batch_norm=False)
    classifier.train()
    assert not classifier.embedder.training
    assert classifier.head.training
    assert torch.equal(classifier(TokenIds(IDS), LENGTHS), classifier(TokenIds(IDS), LENGTHS))
    classifier(TokenIds(IDS), LENGTHS).sum().backward()
    assert all(parameter.grad is None for parameter in classifier.embedder.parameters())
    assert {group["name"] for group in classifier.parameter_groups(settings)} == {"head", "head.bias", "lambdas"}


def test_a_tuned_embedder_drops_and_trains():
    embedder = make_bilm()
    embedder.encoder.table.requires_grad_(False)
    rates = {"tune_rate": 1e-5, "learning_rate": 1e-2, "lambda_rate": 0.5}
    classifier, settings = make(embedder=embedder, tune=True, tune_dropout=0.4, **rates)
    classifier.train()
    assert classifier.embedder.training
    assert classifier.tuning.dropout == 0.4
    classifier(TokenIds(IDS), LENGTHS).square().sum().backward()
    groups = classifier.parameter_groups(settings)
    grouped = [parameter for group in groups for parameter in group["params"]]
    assert len({id(parameter) for parameter in grouped}) == len(grouped)
    assert all(parameter.grad is not None for parameter in grouped)
    everything = {id(each) for name, each in classifier.named_parameters() if "softmax" not in name}
    assert {id(parameter) for parameter in grouped} == everything
    rates = {group["name"]: (group["lr"], group["weight_decay"]) for group in groups}
    assert rates == {
        "head": (1e-2, 0.01),
        "head.bias": (1e-2, 0.0),
        "lambdas": (0.5, 0.0),
        "embedder": (1e-5, 0.01),
        "embedder.bias": (1e-5, 0.0),
    }
    torch.optim.AdamW(groups).step()


def test_a_static_table_takes_the_biLMs_place():  # noqa: N802
    torch.manual_seed(0)
    classifier, settings = make(embedder=StaticTable(torch.randn(10, 3)), tune=True)
    assert len(classifier.combiner.lambdas()) == 1
    classifier(TokenIds(IDS), LENGTHS + 2).sum().backward()
    assert classifier.embedder.table.grad.abs().sum() > 0
    assert "embedder" in {group["name"] for group in classifier.parameter_groups(settings)}


def test_initial_weights_come_from_the_seed_alone():
    embedder = make_bilm()
    torch.manual_seed(1)
    first, _ = make(3, embedder, pooling="attention", lambdas="function")
    drawn = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.rand(1))
    second, _ = make(3, embedder, pooling="attention", lambdas="function")
    third, _ = make(4, embedder, pooling="attention", lambdas="function")
    for name, parameter in first.named_parameters():
        assert torch.equal(parameter, second.state_dict()[name]), name
    assert not torch.equal(first.head[-1].weight, third.head[-1].weight)


def test_no_hidden_layer():
    classifier, _ = make(hidden_size=0, batch_norm=False, pooling="mean")
    assert [tuple(parameter.shape) for parameter in classifier.head.parameters()] == [(4, 8), (4,)]


def test_a_batch_of_one_trains_with_batch_norm():
    classifier, _ = make()
    classifier.train()
    logits = classifier(TokenIds(IDS[:1]), LENGTHS[:1])
    assert logits.isfinite().all()
    before = classifier.head[0].running_mean.clone()
    classifier(TokenIds(IDS), LENGTHS)
    assert not torch.equal(before, classifier.head[0].running_mean)


def test_saved_and_loaded_logits_agree():
    classifier, _ = make(1, lambdas="frozen")
    other, _ = make(2, make_bilm(5), lambdas="frozen")
    other.load_state_dict(classifier.state_dict())
    assert torch.equal(classifier.eval()(TokenIds(IDS), LENGTHS), other.eval()(TokenIds(IDS), LENGTHS))


def test_rates_fall_from_layer_to_layer():
    classifier, settings = make(tune=True, tune_rate=0.8, layer_rate_decay=0.5)
    groups = classifier.parameter_groups(settings)
    rates = {group["name"]: (group["lr"], group["weight_decay"]) for group in groups if "embedder" in group["name"]}
    assert rates == {
        "embedder.2": (0.8, 0.01),
        "embedder.2.bias": (0.8, 0.0),
        "embedder.1": (0.4, 0.01),
        "embedder.1.bias": (0.4, 0.0),
        "embedder.0": (0.2, 0.01),
    }
    grouped = {id(parameter) for group in groups for parameter in group["params"]}
    assert grouped == {id(each) for name, each in classifier.named_parameters() if "softmax" not in name}


def test_a_table_of_one_layer_has_no_rates_below_it():
    settings = {"tune": True, "tune_rate": 0.8, "layer_rate_decay": 0.5, "weight_decay": 0.25}
    classifier, given = make(embedder=StaticTable(torch.randn(10, 3)), **settings)
    groups = {group["name"]: (group["lr"], group["weight_decay"]) for group in classifier.parameter_groups(given)}
    assert groups["embedder.0"] == (0.8, 0.25)
    assert [len(layer) for layer in classifier.embedder_layers()] == [1]


def test_layers_thaw_from_the_top():
    classifier, _ = make(tune=True)

    def thawed():
        classifier(TokenIds(IDS), LENGTHS).square().sum().backward()
        moved = {name for name, weight in classifier.embedder.named_parameters() if weight.grad is not None}
        classifier.zero_grad(set_to_none=True)
        return {".".join(name.split(".")[:2]) for name in moved}

    classifier.train()
    assert classifier.head[-1].weight.requires_grad
    expected = set()
    for count, layer in enumerate([None, "lstm_layers.1", "lstm_layers.0", "encoder.table"]):
        classifier.unfreeze(count)
        expected |= {layer} - {None}
        assert thawed() == expected
