"""Weights of bilm-tf and AllenNLP: `options.json` and `weights.hdf5` (docs/explanation/formats.md) as a biLM.

What the options call for is compared with the shapes in the file first, every dataset accounted for; then the network
is built, and the weights are copied. The file holds no softmax, so the biLM embeds but does not score.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from elmo_cli.config import ModelSettings, TokenizerSettings
from elmo_cli.errors import WeightsError, nearest_file, printable
from elmo_cli.interop.bilm_options import read_json, read_options
from elmo_cli.interop.hdf5 import Hdf5Reader
from elmo_cli.model.bilm import BiLm, BiLstmLayer
from elmo_cli.model.encoder import CharacterEncoder, Highway, WordEncoder
from elmo_cli.runs import RunWriter, describe_files, save_lm
from elmo_cli.runs.cards import write_card
from elmo_cli.text.vocabulary import SPECIAL_TOKENS, Vocabulary

_TOGETHER = "see that options and weights belong together"

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class ModelFiles:
    """The files of a model in a folder.

    Attributes:
        options: The options.
        weights: The weights.
        vocabulary: A vocabulary, where there is one.
    """

    options: Path
    weights: Path
    vocabulary: Path | None


def find_files(folder: Path) -> ModelFiles:
    """Find a model's files in a folder by their content; names only decide between several.

    Raises:
        WeightsError: The folder is missing, or holds no such files, or several that could be meant.
    """
    if not folder.is_dir():
        raise WeightsError(
            f"there is no folder {folder}",
            where=folder,
            expected="a folder with options and weights",
            remedy=nearest_file(folder, folders=True),
        )
    options = [path for path in sorted(folder.glob("*.json")) if "lstm" in _json_keys(path)]
    weights = [path for path in sorted(folder.glob("*.h*5")) if "RNN_0" in _hdf5_keys(path)]
    vocabularies = [path for path in sorted(folder.glob("*.txt")) if _is_vocabulary(path)]
    return ModelFiles(
        _only(options, folder, "options", "options.json", "a JSON file with the key lstm"),
        _only(weights, folder, "weights", "weights.hdf5", "an HDF5 file with the group RNN_0"),
        _only(vocabularies, folder, "vocabulary", "vocab.txt", "one vocabulary") if vocabularies else None,
    )


def load_bilm_tf(options: Path, weights: Path) -> BiLm:
    """The biLM of an options file and a weights file, in eval mode and without a softmax.

    Raises:
        WeightsError: An option is unknown or out of bounds; a dataset is missing, unknown, of another shape, not of
            floats or not finite; the message names it with the shape found and the one expected.
    """
    settings = read_options(options).settings()
    with Hdf5Reader(weights, WeightsError, "fetch options.json and weights.hdf5 again, from the same place") as file:
        shapes = file.shapes()
        vocabulary_size = _check_size(settings, shapes, weights)
        short_names = "RNN_0/RNN/LSTMCell/W_0" in shapes
        with torch.device("meta"):  # shapes without memory: what the options say may be beyond all that there is
            plan = BiLm(settings, vocabulary_size, softmax=False)
        _check_shapes({name: _shape(parts) for name, parts in _places(plan, short_names)}, shapes, weights)
        network = BiLm(settings, vocabulary_size, softmax=False)
        with torch.no_grad():
            for name, parts in _places(network, short_names):
                values = np.asarray(file.read(name), dtype=np.float32)
                if not np.isfinite(values).all():
                    raise WeightsError(
                        f"{name} holds NaN or infinity",
                        where=weights,
                        expected="finite weights",
                        remedy="fetch the weights again; if they stay so, the training failed",
                    )
                rows = np.cumsum([len(part) for part in parts])[:-1]
                for part, its_values in zip(parts, np.split(values, rows), strict=True):
                    part.copy_(torch.from_numpy(its_values))
    return network.eval()


def import_run(folder: Path, out: Path, overwrite: bool = False) -> ModelFiles:
    """Write the model of a folder as an LM run.

    Args:
        folder: Where options and weights are; a vocabulary is taken along where there is one.
        out: The run.
        overwrite: Replace a run that is there.

    Returns:
        The files that were read.

    Raises:
        WeightsError: See `find_files` and `load_bilm_tf`; also where a model of word ids has no fitting vocabulary.
        DataError: The vocabulary holds a token twice.
        RunError: The run exists.
    """
    files = find_files(folder)
    network = load_bilm_tf(files.options, files.weights)
    vocabulary = None if files.vocabulary is None else Vocabulary.load(files.vocabulary)
    if network.settings.encoder == "word":
        found = "none is there" if vocabulary is None else f"{files.vocabulary} has {len(vocabulary)}"
        if vocabulary is None or len(vocabulary) != network.vocabulary_size:
            expected = f"{network.vocabulary_size} lines, <S>, </S> and <UNK> first"
            raise WeightsError(
                f"the model reads word ids: {found}",
                where=folder,
                expected=f"a vocabulary of {expected}",
                remedy="copy the vocabulary file that the model was trained with into the folder",
            )
    with RunWriter(out, "lm", "elmo import", overwrite=overwrite) as writer:
        read = [path for path in (files.options, files.weights, files.vocabulary) if path is not None]
        writer.describe(data={"imported": describe_files(read)})
        save_lm(writer, network, vocabulary, TokenizerSettings())
        _write_card(writer, network, files)
    return files


def _write_card(writer: RunWriter, network: BiLm, files: ModelFiles) -> None:
    settings = network.settings
    facts = {
        "options": files.options.name,
        "weights": files.weights.name,
        "vocabulary": files.vocabulary.name if files.vocabulary else None,
        "token encoder": settings.encoder,
        "layers": settings.layers,
        "hidden size": settings.hidden_size,
        "width of a layer activation": network.width,
    }
    write_card(
        writer,
        f"{writer.name}: an imported bidirectional language model",
        "Weights in bilm-tf's format. They hold no softmax: the model embeds text, but gives no perplexity.",
        facts,
        {"parameters": sum(parameter.numel() for parameter in network.parameters())},
        f'import elmo_cli\n\nelmo = elmo_cli.load("{writer.name}")\nvectors = elmo.embed(["A sentence ."])',
    )


def _check_size(settings: ModelSettings, shapes: Shapes, weights: Path) -> int | None:
    """V of a model of word ids, once there are at least as many datasets as the options have layers to fill."""
    least = 4 * settings.layers
    if settings.encoder == "char":
        least += 2 * len(settings.characters.filters) + 4 * settings.characters.highway_layers
    if least > len(shapes):
        raise WeightsError(
            f"{weights.name} has {len(shapes)} datasets, of which the options call for {least} and more",
            where=weights,
            expected="all datasets that the options call for",
            remedy=_TOGETHER,
        )
    if settings.encoder == "char":
        return None
    if not shapes.get("embedding"):
        raise _missing("embedding", weights, "(V, P), since the options have no char_cnn")
    return shapes["embedding"][0]


def _check_shapes(expected: Shapes, found: Shapes, weights: Path) -> None:
    """Every dataset is called for, and every one that is called for is there in its shape."""
    for name, shape in expected.items():
        if name not in found:
            raise _missing(name, weights, f"shape {shape} by the options")
        if found[name] != shape:
            raise WeightsError(
                f"{name} has shape {found[name]}",
                where=weights,
                expected=f"shape {shape} by the options",
                remedy="take options.json and weights.hdf5 from the same place",
            )
    left = sorted(found.keys() - expected.keys())
    if left:
        raise WeightsError(
            f"{weights.name} has {printable(left[0])} of shape {found[left[0]]}, of which the options do not speak",
            where=weights,
            expected="no datasets but those that the options call for",
            remedy=_TOGETHER,
        )


def _shape(parts: tuple[Tensor, ...]) -> tuple[int, ...]:
    """Of a dataset whose rows fill these tensors one after the other."""
    return sum(len(part) for part in parts), *parts[0].shape[1:]


def _places(network: BiLm, short_names: bool) -> Iterator[tuple[str, tuple[Tensor, ...]]]:
    """Name of each dataset, and the parts of the network that its rows fill one after the other, in its own layout."""
    yield from _encoder_places(network.encoder)
    for direction in range(2):
        for index, layer in enumerate(network.lstm_layers):
            assert isinstance(layer, BiLstmLayer)
            # bilm-tf writes a single layer without its wrapper
            wrapper = "" if short_names and len(network.lstm_layers) == 1 else f"MultiRNNCell/Cell{index}/"
            cell = f"RNN_{direction}/RNN/{wrapper}LSTMCell"
            yield f"{cell}/W_0", (layer.input[direction], layer.recurrent[direction])
            yield f"{cell}/B", (layer.bias[direction],)
            if layer.projection is not None:
                yield f"{cell}/W_P_0", (layer.projection[direction],)


def _encoder_places(encoder: nn.Module) -> Iterator[tuple[str, tuple[Tensor, ...]]]:
    if isinstance(encoder, WordEncoder):
        yield "embedding", (encoder.table[1:],)
        return
    assert isinstance(encoder, CharacterEncoder)
    yield "char_embed", (encoder.table[1:],)
    for index, convolution in enumerate(encoder.convolutions):
        assert isinstance(convolution, nn.Conv1d)
        assert convolution.bias is not None
        yield f"CNN/W_cnn_{index}", (convolution.weight.permute(2, 1, 0)[None],)  # (1, width, c, n)
        yield f"CNN/b_cnn_{index}", (convolution.bias,)
    for index, highway in enumerate(encoder.highways):
        assert isinstance(highway, Highway)
        yield f"CNN_high_{index}/W_carry", (highway.carry.weight.T,)
        yield f"CNN_high_{index}/b_carry", (highway.carry.bias,)
        yield f"CNN_high_{index}/W_transform", (highway.transform.weight.T,)
        yield f"CNN_high_{index}/b_transform", (highway.transform.bias,)
    if encoder.projection is not None:
        yield "CNN_proj/W_proj", (encoder.projection.weight.T,)
        yield "CNN_proj/b_proj", (encoder.projection.bias,)


def _missing(name: str, weights: Path, expected: str) -> WeightsError:
    return WeightsError(f"{weights.name} lacks {name}", where=weights, expected=expected, remedy=_TOGETHER)


def _json_keys(path: Path) -> set[str]:
    try:
        content = read_json(path)
    except WeightsError:
        return set()
    return set(content) if isinstance(content, dict) else set()


def _hdf5_keys(path: Path) -> set[str]:
    try:
        with Hdf5Reader(path, WeightsError, "") as file:
            return set(file.names())
    except WeightsError:
        return set()


def _is_vocabulary(path: Path) -> bool:
    """Whether a file begins as a vocabulary does; a plain word list is none."""
    try:
        with path.open(encoding="utf-8") as file:
            # bounded: a file beside the model may be one endless line
            return tuple(file.readline(16).rstrip("\r\n") for _ in SPECIAL_TOKENS) == SPECIAL_TOKENS
    except (OSError, UnicodeDecodeError):
        return False


def _only(found: list[Path], folder: Path, what: str, name: str, content: str) -> Path:
    """The one file that was found, or of several the one with the usual name."""
    named = [path for path in found if path.name == name]
    if len(found) == 1 or len(named) == 1:
        return (named or found)[0]
    shown = ", ".join(path.name for path in found)
    message = f"several files in {folder} may be the {what}: {shown}" if found else f"{folder} holds no {what}"
    hint = "name the folder that holds options.json and weights.hdf5"
    remedy = f"keep one of them, or call it {name}" if found else hint
    raise WeightsError(message, where=folder, expected=content, remedy=remedy)
