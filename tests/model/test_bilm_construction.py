"""A fresh biLM: what it needs, and how its layers begin."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from elmo_cli.config import ModelSettings
from elmo_cli.model.bilm import BiLm

VOCABULARY = 30


@pytest.mark.parametrize("projection", [None, 8])
def test_fresh_weights_of_a_layer(projection):
    """Gate by gate and direction by direction: recurrent ones orthogonal, the others as wide as keeps the variance."""
    torch.manual_seed(0)
    cells, size = 24, projection or 24
    model = BiLm(ModelSettings(hidden_size=cells, projection_size=projection, softmax="full"), VOCABULARY)
    layer = model.lstm_layers[0]
    bound = math.sqrt(6 / (size + cells))
    for direction, gate in itertools.product(range(2), range(4)):
        block = slice(gate * cells, (gate + 1) * cells)
        recurrent = layer.recurrent[direction, :, block].detach()
        assert torch.allclose(recurrent @ recurrent.T, torch.eye(size), atol=1e-5)
        given = layer.input[direction, :, block].detach()
        assert given.abs().max() <= bound
        assert float(given.std()) == pytest.approx(bound / math.sqrt(3), rel=0.1)
    assert not layer.bias.any()
    if projection:
        assert layer.projection.abs().max() <= bound
        assert layer.projection.detach().std(dim=(1, 2)).tolist() == pytest.approx([bound / math.sqrt(3)] * 2, rel=0.1)


def test_what_a_bilm_needs():
    characters = ModelSettings(encoder="char", hidden_size=8)
    for settings, vocabulary, softmax in (
        (characters, None, True),
        (ModelSettings(hidden_size=8), None, False),
        (characters.model_copy(update={"encoder": "word+char"}), None, False),
    ):
        with pytest.raises(ValueError, match="without a vocabulary"):
            BiLm(settings, vocabulary, softmax=softmax)
    assert BiLm(ModelSettings(hidden_size=8), VOCABULARY, softmax=False).softmax is None
    model = BiLm(ModelSettings(hidden_size=8, layers=3, projection_size=5, softmax="full"), VOCABULARY)
    assert (model.layer_count, model.width, model.vocabulary_size) == (4, 10, VOCABULARY)
    assert model.softmax is not None
