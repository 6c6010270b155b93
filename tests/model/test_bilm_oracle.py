"""The biLM against the NumPy oracle: every architecture, and every mutation of it caught."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from oracle import Cell, Oracle

from elmo_cli.config import CharacterSettings, ModelSettings
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.encoder import TokenIds

VOCABULARY = 11
LENGTHS = torch.tensor([4, 1, 0, 3])
CHARACTERS = CharacterSettings(dim=3, filters=((1, 2), (3, 4)), max_characters=9, highway_layers=2)
ARCHITECTURES = {
    "projected": {"hidden_size": 6, "projection_size": 4},
    "unprojected": {"hidden_size": 5},
    "mapped table": {"hidden_size": 5, "embedding_size": 3},
    "residual": {"hidden_size": 6, "projection_size": 4, "residual": True, "layers": 3},
    "unclipped": {"hidden_size": 6, "projection_size": 4, "cell_clip": None, "projection_clip": None},
    "one layer": {"hidden_size": 6, "projection_size": 4, "layers": 1, "forget_bias": 0.0},
    "tied": {"hidden_size": 6, "projection_size": 4, "tie": True},
    "characters": {"encoder": "char", "hidden_size": 6, "projection_size": 4},
    "characters as wide as the filters": {"encoder": "char", "hidden_size": 6},
    "words and characters": {"encoder": "word+char", "hidden_size": 6, "projection_size": 4, "embedding_size": 3},
    "words and characters, unprojected": {"encoder": "word+char", "hidden_size": 6},
    "characters with tanh": {
        "encoder": "char",
        "hidden_size": 7,
        "residual": True,
        "characters": CHARACTERS.model_copy(update={"activation": "tanh", "highway_layers": 1}),
    },
}


def make_model(seed=0, scale=4.0, **changes):
    """A model whose clips bite: weights several times their usual size, bounds small."""
    values = {"softmax": "full", "cell_clip": 0.5, "projection_clip": 0.4, "characters": CHARACTERS} | changes
    torch.manual_seed(seed)
    model = BiLm(ModelSettings(**values), VOCABULARY).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and "table" not in name:
                parameter.copy_(torch.randn_like(parameter) * (0.3 if "encoder" in name else 0.15) * scale)
        model.encoder.table[1:] *= 3.0
    return model.double()


def make_batch(model, lengths=LENGTHS, seed=1):
    """Framed ids (B, T + 2) as the model reads them, and vocabulary ids of the same tokens."""
    generator = torch.Generator().manual_seed(seed)
    width = int(lengths.max()) + 2
    words = torch.randint(3, VOCABULARY + 1, (len(lengths), width), generator=generator)
    words[:, 0] = 1
    for row, length in enumerate(lengths.tolist()):
        words[row, length + 1] = 2
        words[row, length + 2 :] = 0
    if model.settings.encoder == "word":
        return TokenIds(words), words
    table = torch.full((VOCABULARY + 1, model.settings.characters.max_characters), 261)
    table[0] = 0
    for word in range(1, VOCABULARY + 1):
        size = 3 + word % (table.shape[1] - 2)
        inner = torch.randint(1, 257, (size - 2,), generator=generator)
        table[word, :size] = torch.cat([torch.tensor([259]), inner, torch.tensor([260])])
    if model.settings.encoder == "char":
        return TokenIds(words, table), words
    # two rows that are spelt differently and are the same unknown word
    numbers = torch.arange(VOCABULARY + 1)
    return TokenIds(words, table, torch.where(numbers > VOCABULARY - 2, 3, numbers)), words


def oracle_vectors(oracle, tokens, row, length):
    ids = tokens.ids[row, : length + 2].tolist()
    if tokens.characters is None:
        return [oracle.word(number) for number in ids]
    known = [None] * len(tokens.characters) if tokens.words is None else tokens.words.tolist()
    return [oracle.characters(tokens.characters[number].tolist(), known[number]) for number in ids]


def differences(model, oracle, tokens, words):
    """Largest difference of layers and of scores, over all rows."""
    with torch.no_grad():
        layers, _ = model.layers(tokens, LENGTHS)
        scores = model.score(tokens, words, LENGTHS)
    worst_layer = worst_score = 0.0
    for row, length in enumerate(LENGTHS.tolist()):
        vectors = oracle_vectors(oracle, tokens, row, length)
        expected, _ = oracle.layers(vectors)
        if length:
            worst_layer = max(worst_layer, np.abs(layers[:, row, :length].double().numpy() - expected).max())
        expected = oracle.score(vectors, words[row].tolist())
        worst_score = max(worst_score, np.abs(scores[:, row, : length + 1].double().numpy() - expected).max())
    return worst_layer, worst_score


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_layers_and_scores_are_those_of_the_oracle(architecture):
    model = make_model(**ARCHITECTURES[architecture])
    tokens, words = make_batch(model)
    assert max(differences(model, Oracle.of(model), tokens, words)) < 1e-9
    single = model.float()
    assert max(differences(single, Oracle.of(single), tokens, words)) < 1e-5


@pytest.mark.parametrize("architecture", ["projected", "residual", "unprojected"])
def test_carried_state_is_that_of_the_oracle(architecture):
    model = make_model(**ARCHITECTURES[architecture])
    oracle = Oracle.of(model)
    state, expected_states = None, [None] * len(LENGTHS)
    for seed, lengths in enumerate((LENGTHS, LENGTHS.flip(0), LENGTHS)):
        tokens, _ = make_batch(model, lengths, seed)
        with torch.no_grad():
            layers, state = model.layers(tokens, lengths, state)
        for row, length in enumerate(lengths.tolist()):
            vectors = oracle_vectors(oracle, tokens, row, length)
            expected, expected_states[row] = oracle.layers(vectors, expected_states[row])
            assert np.allclose(layers[:, row, :length].numpy(), expected, rtol=0, atol=1e-9)
            for direction in range(2):
                for layer, (hidden, memory) in enumerate(expected_states[row][direction]):
                    assert np.allclose(state[layer].hidden[direction, row].numpy(), hidden, rtol=0, atol=1e-9)
                    assert np.allclose(state[layer].cell[direction, row].numpy(), memory, rtol=0, atol=1e-9)


def test_state_carried_and_reset_differ():
    model = make_model(**ARCHITECTURES["projected"])
    tokens, _ = make_batch(model)
    with torch.no_grad():
        fresh, state = model.layers(tokens, LENGTHS)
        carried, _ = model.layers(tokens, LENGTHS, state)
    assert (fresh - carried).abs().max() > 1e-2


def swap_directions(oracle):
    return oracle.but(cells=oracle.cells[::-1])


def lose_bias(oracle):
    def without(cell: Cell) -> Cell:
        return replace(cell, bias=np.zeros_like(cell.bias))

    return oracle.but(cells=tuple(tuple(without(cell) for cell in stack) for stack in oracle.cells))


MUTATIONS = {
    "gate order of torch": lambda oracle: oracle.but(gates="ifjo"),
    "output and candidate swapped": lambda oracle: oracle.but(gates="iofj"),
    "no forget bias": lambda oracle: oracle.but(forget_bias=0.0),
    "no cell clip": lambda oracle: oracle.but(cell_clip=None),
    "no projection clip": lambda oracle: oracle.but(projection_clip=None),
    "other clip": lambda oracle: oracle.but(cell_clip=0.45),
    "no residual": lambda oracle: oracle.but(residual=False),
    "directions swapped": swap_directions,
    "no bias": lose_bias,
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mutated_oracle_disagrees(mutation):
    model = make_model(**ARCHITECTURES["residual"])
    tokens, words = make_batch(model)
    assert min(differences(model, MUTATIONS[mutation](Oracle.of(model)), tokens, words)) > 1e-3
