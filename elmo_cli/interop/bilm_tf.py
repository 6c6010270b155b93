"""Weights of bilm-tf and AllenNLP: `options.json` and `weights.hdf5` (docs/explanation/formats.md) as a biLM.

The network is built from the options first, the weights are copied second, and every dataset of the file is accounted
for. The file holds no softmax, so the biLM embeds but does not score.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elmo_cli.config import TokenizerSettings
from elmo_cli.errors import WeightsError, nearest_file
from elmo_cli.interop.bilm_options import read_options
from elmo_cli.model.bilm import BiLm, BiLstmLayer
from elmo_cli.model.encoder import CharacterEncoder, Highway, WordEncoder
from elmo_cli.runs import RunWriter, describe_files, save_lm
from elmo_cli.runs.cards import write_card
from elmo_cli.text.vocabulary import SPECIAL_TOKENS, Vocabulary


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
    datasets = _read_datasets(weights)
    vocabulary_size = None
    if settings.encoder == "word":
        table = datasets.get("embedding")
        if table is None:
            raise _missing("embedding", weights, "(V, P), since the options have no char_cnn")
        vocabulary_size = len(table)
    network = BiLm(settings, vocabulary_size, softmax=False)
    _copy(network, datasets, weights)
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


def _copy(network: BiLm, datasets: dict[str, NDArray[np.float32]], weights: Path) -> None:
    """Copy every dataset to its place, and see that every place got one."""
    left = dict(datasets)
    with torch.no_grad():
        for name, targets in _places(network, short_names="RNN_0/RNN/LSTMCell/W_0" in datasets):
            rows = [len(target) for target in targets]
            shape = (sum(rows), *targets[0].shape[1:])
            values = left.pop(name, None)
            if values is None:
                raise _missing(name, weights, f"shape {shape} by the options")
            if values.shape != shape:
                found = f"{name} has shape {values.shape}"
                raise WeightsError(
                    found,
                    where=weights,
                    expected=f"shape {shape} by the options",
                    remedy="take options.json and weights.hdf5 from the same place",
                )
            for target, part in zip(targets, np.split(values, np.cumsum(rows)[:-1]), strict=True):
                target.copy_(torch.from_numpy(part))
    if left:
        name = min(left)
        raise WeightsError(
            f"{weights.name} has {name} of shape {left[name].shape}, of which the options do not speak",
            where=weights,
            expected="no datasets but those that the options call for",
            remedy="see that options and weights belong together",
        )


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
    remedy = "see that options and weights belong together"
    return WeightsError(f"{weights.name} lacks {name}", where=weights, expected=expected, remedy=remedy)


def _read_datasets(path: Path) -> dict[str, NDArray[np.float32]]:
    """Every dataset of an HDF5 file by its full name."""
    datasets: dict[str, NDArray[np.float32]] = {}

    def read(name: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        if item.dtype.kind != "f":
            raise WeightsError(
                f"{name} holds {item.dtype}", where=path, expected="floats", remedy="convert the weights to float32"
            )
        values = np.asarray(item[()], dtype=np.float32)
        if not np.isfinite(values).all():
            raise WeightsError(
                f"{name} holds NaN or infinity",
                where=path,
                expected="finite weights",
                remedy="fetch the weights again; if they stay so, the training failed",
            )
        datasets[name] = values

    try:
        with h5py.File(path, "r") as file:
            file.visititems(read)
    except OSError as error:
        raise WeightsError(f"{path} is not a whole HDF5 file: {error}", where=path, remedy="fetch it again") from error
    return datasets


def _json_keys(path: Path) -> set[str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    return set(content) if isinstance(content, dict) else set()


def _hdf5_keys(path: Path) -> set[str]:
    try:
        with h5py.File(path, "r") as file:
            return set(file)
    except OSError:
        return set()


def _is_vocabulary(path: Path) -> bool:
    """Whether a file begins as a vocabulary does; a plain word list is none."""
    try:
        with path.open(encoding="utf-8") as file:
            return tuple(line.rstrip("\r\n") for line in islice(file, 3)) == SPECIAL_TOKENS
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
