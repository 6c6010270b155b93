"""Token encoders: shapes, padding, initialisation, and the trimming of characters."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from elmo_cli.config import CharacterSettings, ModelSettings
from elmo_cli.errors import ConfigError
from elmo_cli.model.encoder import (
    CharacterEncoder,
    Highway,
    TokenIds,
    WordCharacterEncoder,
    WordEncoder,
    initialise_table,
)


def test_ids_from_numpy():
    tokens = TokenIds.from_numpy(
        np.array([[1, 2]], dtype=np.int32), np.array([[0, 0], [259, 260]]), np.array([0, 7]), "cpu"
    )
    assert tokens.ids.dtype == tokens.characters.dtype == torch.int64
    assert tokens.ids.tolist() == [[1, 2]]
    assert tokens.words.tolist() == [0, 7]
    assert [part.device.type for part in tokens.to("meta")] == ["meta"] * 3
    assert TokenIds.from_numpy(np.array([3]), None, None, "cpu").to("cpu") == TokenIds(torch.tensor([3]))


@pytest.mark.parametrize("width", [None, 5])
def test_word_encoder_looks_up_and_maps(width):
    encoder = WordEncoder(9, ModelSettings(hidden_size=8, embedding_size=width))
    ids = torch.tensor([[1, 0], [9, 1]])
    vectors = encoder(TokenIds(ids))
    assert vectors.shape == (2, 2, 8)
    assert not vectors[0, 1].any()
    assert torch.allclose(vectors[0, 0], vectors[1, 1])
    assert not torch.allclose(vectors[0, 0], vectors[1, 0])
    assert (encoder.projection is None) == (width is None)
    assert encoder.table.shape == (10, width or 8)


def test_padding_row_never_moves():
    encoder = WordEncoder(9, ModelSettings(hidden_size=8))
    encoder(TokenIds(torch.tensor([0, 1]))).sum().backward()
    assert not encoder.table.grad[0].any()
    assert encoder.table.grad[1].all()


def test_fresh_vectors_have_length_one():
    torch.manual_seed(0)
    encoder = WordEncoder(400, ModelSettings(hidden_size=256))
    assert float(encoder.table[1:].detach().norm(dim=1).mean()) == pytest.approx(1.0, abs=0.02)


def test_initialise_copies_known_rows_and_draws_the_rest_at_their_scale():
    torch.manual_seed(0)
    encoder = WordEncoder(400, ModelSettings(hidden_size=50))
    matrix = torch.randn(401, 50) * 3.0
    known = torch.arange(401) % 2 == 1
    initialise_table(encoder.table, matrix, known)
    table = encoder.table.detach()
    assert torch.equal(table[known], matrix[known])
    assert not table[0].any()
    drawn = table[~known][1:]
    assert not (drawn == matrix[~known][1:]).any()
    assert float(drawn.std()) == pytest.approx(float(matrix[known].std()), rel=0.05)


def test_initialise_without_a_known_row_changes_nothing():
    encoder = WordEncoder(4, ModelSettings(hidden_size=8))
    before = encoder.table.detach().clone()
    initialise_table(encoder.table, torch.ones(5, 8), torch.zeros(5, dtype=torch.bool))
    assert torch.equal(encoder.table, before)


def test_initialise_refuses_another_width():
    encoder = WordEncoder(4, ModelSettings(hidden_size=8))
    with pytest.raises(ConfigError, match=r"\(5, 6\)") as caught:
        initialise_table(encoder.table, torch.ones(5, 6), torch.ones(5, dtype=torch.bool))
    assert "embedding_size to 6" in str(caught.value)


def test_frozen_table():
    frozen = WordEncoder(4, ModelSettings(hidden_size=8, embedding_size=6, freeze_embeddings=True))
    assert not frozen.table.requires_grad
    assert frozen.projection.weight.requires_grad


def test_a_fresh_highway_is_near_the_identity():
    """Its gates are closed by a bias of -2, which lets an eighth of the transform through."""
    torch.manual_seed(0)
    highway = Highway(64)
    gates = torch.sigmoid(highway.carry(torch.zeros(1, 64)))
    assert torch.allclose(gates, torch.full((1, 64), 1 / (1 + math.exp(2))))
    assert not highway.transform.bias.any()
    for layer in (highway.carry, highway.transform):
        assert float(layer.weight.detach().std()) == pytest.approx(1 / 8, rel=0.05)
    inputs = torch.randn(5, 64)
    gate = torch.sigmoid(inputs @ highway.carry.weight.T - 2.0)
    expected = gate * torch.relu(inputs @ highway.transform.weight.T) + (1 - gate) * inputs
    assert torch.allclose(highway(inputs), expected, atol=1e-6)


def test_fresh_vectors_of_characters():
    torch.manual_seed(0)
    encoder = CharacterEncoder(ModelSettings(encoder="char", hidden_size=8))
    table = encoder.table.detach()
    assert table.shape == (262, encoder.table.shape[1])
    assert not table[0].any()
    assert table[1:].abs().amax(dim=1).min() > 0
    assert 0.99 < table.max() <= 1
    assert -1 <= table.min() < -0.99
    assert float(table[1:].mean()) == pytest.approx(0, abs=0.05)


def words_of(lengths, max_characters=50, seed=0):
    generator = torch.Generator().manual_seed(seed)
    table = torch.full((len(lengths) + 1, max_characters), 261)
    table[0] = 0
    for row, length in enumerate(lengths, 1):
        table[row, :length] = torch.randint(1, 261, (length,), generator=generator)
    return table


@pytest.mark.parametrize("lengths", [[3, 4], [3, 50, 7], [46], [44, 3], [45]])
def test_trimming_characters_changes_nothing(lengths):
    """The widest filter has 7 characters, so words of 44 and more need the whole row."""
    torch.manual_seed(0)
    settings = CharacterSettings(dim=4, filters=((1, 3), (4, 5), (7, 6)))
    encoder = CharacterEncoder(ModelSettings(encoder="char", hidden_size=8, characters=settings)).double()
    characters = words_of(lengths)
    ids = torch.arange(1, len(lengths) + 1)
    trimmed = encoder(TokenIds(ids, characters))
    assert encoder._trim(characters).shape[1] == min(50, max(lengths) + 7)
    encoder._trim = lambda characters: characters
    assert torch.allclose(trimmed, encoder(TokenIds(ids, characters)), rtol=0, atol=1e-12)


def test_a_word_does_not_depend_on_the_other_words_of_the_batch():
    torch.manual_seed(0)
    encoder = CharacterEncoder(ModelSettings(encoder="char", hidden_size=8)).double()
    characters = words_of([3, 20, 5])
    together = encoder(TokenIds(torch.tensor([[1, 3], [3, 2]]), characters))
    alone = encoder(TokenIds(torch.tensor([1]), characters[[0, 3]]))
    assert together.shape == (2, 2, 8)
    assert torch.allclose(together[0, 1], alone[0], rtol=0, atol=1e-12)
    assert torch.equal(together[0, 1], together[1, 0])


def test_padding_at_the_end_of_a_word_counts():
    """Padding characters have a vector, which the maximum may pick: a shorter table is another function."""
    torch.manual_seed(0)
    encoder = CharacterEncoder(ModelSettings(encoder="char", hidden_size=8)).double()
    with torch.no_grad():
        encoder.table[261] = 30.0
    word = words_of([50])
    changed = word.clone()
    changed[1, 40:] = 261
    ids = torch.tensor([1])
    assert not torch.allclose(encoder(TokenIds(ids, word)), encoder(TokenIds(ids, changed)), atol=1e-3)


def test_a_filter_wider_than_a_word_is_refused():
    settings = ModelSettings(encoder="char", characters=CharacterSettings(max_characters=4))
    with pytest.raises(ConfigError, match="5 characters wide"):
        CharacterEncoder(settings)


def test_words_beside_characters():
    torch.manual_seed(0)
    settings = ModelSettings(encoder="word+char", hidden_size=8, embedding_size=5)
    encoder = WordCharacterEncoder(6, settings).double()
    characters = words_of([3, 20, 5])
    tokens = TokenIds(torch.tensor([[1, 3], [3, 2]]), characters, torch.tensor([0, 4, 3, 3]))
    vectors = encoder(tokens)
    features = CharacterEncoder._features(encoder, characters, None)
    width = sum(count for _, count in settings.characters.filters)
    assert encoder.projection.weight.shape == (8, 5 + width)
    whole = torch.cat([encoder.words[tokens.words], features], dim=1) @ encoder.projection.weight.T
    assert torch.allclose(vectors, (whole + encoder.projection.bias)[tokens.ids], rtol=0, atol=1e-12)
    with torch.inference_mode():
        assert torch.allclose(encoder(tokens), vectors, rtol=0, atol=1e-12)
    other = tokens._replace(words=torch.tensor([0, 4, 3, 5]))
    moved = (encoder(other) - vectors).abs().amax(dim=2) > 1e-6
    assert moved.tolist() == [[False, True], [True, False]]
    with pytest.raises(ValueError, match="vocabulary ids"):
        encoder(tokens._replace(words=None))


def test_a_frozen_table_beside_characters():
    settings = ModelSettings(encoder="word+char", hidden_size=8, freeze_embeddings=True)
    encoder = WordCharacterEncoder(6, settings)
    assert [name for name, weight in encoder.named_parameters() if not weight.requires_grad] == ["words"]
    assert encoder.words.shape == (7, 8)
