"""Names, shapes and order of the datasets in `weights.hdf5` (docs/explanation/formats.md#weights), both ways."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from elmo_cli.config import ModelSettings
from elmo_cli.interop.bilm_options import CHARACTERS
from elmo_cli.model.bilm import BiLm, BiLstmLayer
from elmo_cli.model.encoder import CharacterEncoder, Highway, WordEncoder

Shapes = dict[str, tuple[int, ...]]


def dataset_shapes(settings: ModelSettings, vocabulary_size: int | None, *, short_names: bool) -> Shapes:
    """What the options call for, in the order of `dataset_parts`.

    Computed from numbers alone: a network of these sizes may be beyond all memory that there is.
    """
    size, cells, characters = settings.token_size, settings.hidden_size, settings.characters
    features = sum(count for _, count in characters.filters)
    shapes: Shapes = {}
    if vocabulary_size is not None:
        shapes["embedding"] = vocabulary_size, size
    else:
        shapes["char_embed"] = CHARACTERS, characters.dim
        for index, (width, count) in enumerate(characters.filters):
            shapes[f"CNN/W_cnn_{index}"] = 1, width, characters.dim, count
            shapes[f"CNN/b_cnn_{index}"] = (count,)
        for index in range(characters.highway_layers):
            for gate in ("carry", "transform"):
                shapes[f"CNN_high_{index}/W_{gate}"] = features, features
                shapes[f"CNN_high_{index}/b_{gate}"] = (features,)
        if features != size:
            shapes["CNN_proj/W_proj"] = features, size
            shapes["CNN_proj/b_proj"] = (size,)
    for direction in range(2):
        for index in range(settings.layers):
            cell = cell_name(settings, direction, index, short_names=short_names)
            shapes[f"{cell}/W_0"] = 2 * size, 4 * cells
            shapes[f"{cell}/B"] = (4 * cells,)
            if settings.projection_size is not None:
                shapes[f"{cell}/W_P_0"] = cells, size
    return shapes


def cell_name(settings: ModelSettings, direction: int, layer: int, *, short_names: bool) -> str:
    """The group of an LSTM cell; bilm-tf writes a single layer without its wrapper."""
    wrapper = "" if short_names and settings.layers == 1 else f"MultiRNNCell/Cell{layer}/"
    return f"RNN_{direction}/RNN/{wrapper}LSTMCell"


def dataset_parts(network: BiLm) -> Iterator[tuple[Tensor, ...]]:
    """The parts of the network that the rows of each dataset fill one after the other, in bilm-tf's layout.

    A word table with a projection is no part, but their product.
    """
    encoder = network.encoder
    if isinstance(encoder, WordEncoder):
        table = encoder.table[1:]
        yield (table if encoder.projection is None else encoder.projection(table),)
    else:
        assert isinstance(encoder, CharacterEncoder)
        yield (encoder.table[1:],)
        for convolution in encoder.convolutions:
            assert isinstance(convolution, nn.Conv1d)
            assert convolution.bias is not None
            yield (convolution.weight.permute(2, 1, 0)[None],)  # (1, width, c, n)
            yield (convolution.bias,)
        for highway in encoder.highways:
            assert isinstance(highway, Highway)
            for gate in (highway.carry, highway.transform):
                yield (gate.weight.T,)
                yield (gate.bias,)
        if encoder.projection is not None:
            yield (encoder.projection.weight.T,)
            yield (encoder.projection.bias,)
    for direction in range(2):
        for layer in network.lstm_layers:
            assert isinstance(layer, BiLstmLayer)
            yield layer.input[direction], layer.recurrent[direction]
            yield (layer.bias[direction],)
            if layer.projection is not None:
                yield (layer.projection[direction],)
