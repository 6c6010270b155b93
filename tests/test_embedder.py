"""An embedder's batches: the network's own layers, in whatever batches they are asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from elmo_cli.config import ModelSettings, TokenizerSettings
from elmo_cli.devices import pick_device
from elmo_cli.embedder import Embedder, Extractor
from elmo_cli.errors import ConfigError
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.static import StaticTable
from elmo_cli.text.encoded import EncodedCorpus, encode_tokens
from elmo_cli.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(["<S>", "</S>", "<UNK>", "a", "b", "c"], tokenizer=TokenizerSettings())


@pytest.fixture
def corpus() -> EncodedCorpus:
    return encode_tokens([["a", "b", "z"], [], ["c"], ["b", "a", "c", "a"]])


def make_embedder(**changes: object) -> Embedder:
    torch.manual_seed(0)
    settings = ModelSettings.model_validate({"hidden_size": 4, "dropout": 0.5, **changes})
    return Embedder.of(BiLm(settings, len(VOCABULARY)), VOCABULARY, VOCABULARY.tokenizer, "lm")


CHARACTERS = {"filters": [[1, 3], [2, 3]]}


@pytest.mark.parametrize("encoder", ["word", "char", "word+char"])
def test_layers_do_not_depend_on_the_batch(corpus: EncodedCorpus, encoder: str) -> None:
    embedder = make_embedder(encoder=encoder, characters=CHARACTERS)
    whole = list(Extractor(embedder).batches(corpus, [np.arange(4)]))
    assert len(whole) == 1
    indices, together, lengths = whole[0]
    assert indices.tolist() == [0, 1, 2, 3]
    assert lengths.tolist() == [3, 0, 1, 4]
    assert together.shape == (embedder.layer_count, 4, 4, embedder.width)
    assert torch.count_nonzero(together[:, 1]) == 0
    assert torch.count_nonzero(together[:, 0, 3]) == 0
    for indices, alone, _ in Extractor(embedder).batches(corpus, [np.array([number]) for number in range(4)]):
        length = alone.shape[2]
        torch.testing.assert_close(alone[:, 0], together[:, indices[0], :length], rtol=0, atol=1e-6)


def test_a_static_table_has_one_layer_and_its_own_rows(corpus: EncodedCorpus) -> None:
    matrix = torch.arange(14.0).view(7, 2)
    embedder = Embedder.of(StaticTable(matrix), VOCABULARY, VOCABULARY.tokenizer, "vectors")
    ((_, layers, lengths),) = Extractor(embedder).batches(corpus, [np.array([0, 2])])
    assert (embedder.layer_count, embedder.width) == (1, 2)
    assert layers[0, 0].tolist() == matrix[[4, 5, 3]].tolist()
    assert layers[0, 1].tolist() == [matrix[6].tolist(), [0, 0], [0, 0]]
    assert lengths.tolist() == [3, 1]


def test_stateful_batches_go_on_row_by_row(corpus: EncodedCorpus) -> None:
    embedder = make_embedder()
    batches = [np.array([0, 2]), np.array([3, 0]), np.array([2])]
    stateless = [layers for _, layers, _ in Extractor(embedder).batches(corpus, batches)]
    stateful = [layers for _, layers, _ in Extractor(embedder, stateful=True).batches(corpus, batches)]
    assert torch.equal(stateful[0], stateless[0])
    assert not torch.allclose(stateful[1][1:], stateless[1][1:])
    # row 0 knows nothing of row 1: alone it goes through the same states
    first_row = [
        layers for _, layers, _ in Extractor(embedder, stateful=True).batches(corpus, [b[:1] for b in batches])
    ]
    torch.testing.assert_close(first_row[2], stateful[2])


def test_devices_are_named_or_refused() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type in ("cuda", "mps", "cpu")
    with pytest.raises(ConfigError, match="'gpu'"):
        pick_device("gpu")
    with pytest.raises(ConfigError, match="does not have"):
        pick_device("xpu")
