"""Weights of bilm-tf and AllenNLP: `options.json` and `weights.hdf5` (docs/explanation/formats.md#bilm-tf) as a biLM.

What the options call for is compared with the shapes in the file first, every dataset accounted for; then the network
is built, and the weights are copied. The file holds no softmax, so the biLM embeds but does not score.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from elmo_cli.config import ModelSettings, TokenizerSettings
from elmo_cli.errors import WeightsError, nearest_file, printable
from elmo_cli.interop.bilm_layout import Shapes, cell_name, dataset_parts, dataset_shapes
from elmo_cli.interop.bilm_options import read_json, read_options
from elmo_cli.interop.hdf5 import Hdf5Reader
from elmo_cli.interop.imported import ImportedModel, ModelFiles
from elmo_cli.model.bilm import BiLm
from elmo_cli.text.vocabulary import DETAILS_FILE, SPECIAL_TOKENS, Vocabulary


def holds_bilm_tf(folder: Path) -> bool:
    """Whether a folder holds options and weights of bilm-tf."""
    options, weights = folder.glob("*.json"), folder.glob("*.h*5")
    return any(_holds(path, "lstm") for path in options) and any(_holds(path, "RNN_0") for path in weights)


def find_files(folder: Path) -> ModelFiles:
    """Find a model's files in a folder by their content; names only decide between several.

    Raises:
        WeightsError: The folder is missing, or holds no such files, or several that could be meant.
    """
    if not folder.is_dir():
        found, remedy = f"there is no folder {folder}", nearest_file(folder, folders=True)
        raise WeightsError(found, where=folder, expected="a folder with options and weights", remedy=remedy)
    options = [path for path in sorted(folder.glob("*.json")) if _holds(path, "lstm")]
    weights = [path for path in sorted(folder.glob("*.h*5")) if _holds(path, "RNN_0")]
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
        found = file.shapes()
        if settings.encoder == "word" and not found.get("embedding"):
            raise _unfit(f"{weights.name} lacks embedding", weights, "(V, P), since the options have no char_cnn")
        vocabulary_size = found["embedding"][0] if settings.encoder == "word" else None
        short_names = "RNN_0/RNN/LSTMCell/W_0" in found
        expected = dataset_shapes(settings, vocabulary_size, short_names=short_names)
        needless = _identities(settings, short_names=short_names)
        for name in needless.keys() & found.keys() - expected.keys():
            _check_identity(file, name, needless[name], found.pop(name), weights)
        _check_shapes(expected, found, weights)
        network = BiLm(settings, vocabulary_size, softmax=False)
        with torch.no_grad():
            for name, parts in zip(expected, dataset_parts(network), strict=True):
                values = np.asarray(file.read(name), dtype=np.float32)
                if not np.isfinite(values).all():
                    message, remedy = f"{name} holds NaN or infinity", "fetch them again; or the training failed"
                    raise WeightsError(message, where=weights, expected="finite weights", remedy=remedy)
                rows = np.cumsum([len(part) for part in parts])[:-1]
                for part, its_values in zip(parts, np.split(values, rows), strict=True):
                    part.copy_(torch.from_numpy(its_values))
    return network.eval()


def read_bilm_tf(folder: Path) -> ImportedModel:
    """The model of a folder, with its vocabulary if there is one.

    Raises:
        WeightsError: See `find_files` and `load_bilm_tf`; also where a model of word ids has no fitting vocabulary.
        DataError: The vocabulary holds a token twice.
    """
    files = find_files(folder)
    network = load_bilm_tf(files.options, files.weights)
    vocabulary = None if files.vocabulary is None else Vocabulary.load(files.vocabulary)
    if network.settings.encoder == "word" and (vocabulary is None or len(vocabulary) != network.vocabulary_size):
        found = "none is there" if vocabulary is None else f"{files.vocabulary} has {len(vocabulary)}"
        expected = f"a vocabulary of {network.vocabulary_size} lines, <S>, </S> and <UNK> first"
        remedy = "copy the vocabulary file that the model was trained with into the folder"
        raise WeightsError(f"the model reads word ids: {found}", where=folder, expected=expected, remedy=remedy)
    told = files.vocabulary is not None and files.vocabulary.with_name(DETAILS_FILE).is_file()
    tokenizer = vocabulary.tokenizer if vocabulary and told else TokenizerSettings()
    read = [path for path in (files.options, files.weights, files.vocabulary) if path is not None]
    return ImportedModel(network, vocabulary, tokenizer, files, read, "bilm-tf's")


def _identities(settings: ModelSettings, *, short_names: bool) -> Shapes:
    """Maps of P to P that the options do not call for, but AllenNLP does: they may be there if they change nothing."""
    size = settings.token_size
    shapes: Shapes = {"CNN_proj/W_proj": (size, size), "CNN_proj/b_proj": (size,)} if settings.encoder == "char" else {}
    if settings.projection_clip is None:
        for direction in range(2):
            for layer in range(settings.layers):
                shapes[f"{cell_name(settings, direction, layer, short_names=short_names)}/W_P_0"] = size, size
    return shapes


def _check_identity(
    file: Hdf5Reader, name: str, expected: tuple[int, ...], found: tuple[int, ...], weights: Path
) -> None:
    """See that a map which readers may leave out changes nothing."""
    # shapes first: sizes in the options alone may be beyond all memory
    changes = found != expected
    if not changes:
        changes = not np.array_equal(file.read(name), np.eye(*expected) if len(expected) == 2 else np.zeros(expected))
    if changes:
        raise _unfit(f"{name} is a map of which the options do not speak", weights, "none, or one that changes nothing")


def _check_shapes(expected: Shapes, found: Shapes, weights: Path) -> None:
    """Every dataset is called for, and every one that is called for is there in its shape."""
    for name, shape in expected.items():
        if found.get(name) != shape:
            problem = f"{name} has shape {found[name]}" if name in found else f"{weights.name} lacks {name}"
            raise _unfit(problem, weights, f"shape {shape} by the options")
    left = sorted(found.keys() - expected.keys())
    if left:
        message = (
            f"{weights.name} has {printable(left[0])} of shape {found[left[0]]}, of which the options do not speak"
        )
        raise _unfit(message, weights, "no datasets but those that the options call for")


def _unfit(message: str, weights: Path, expected: str) -> WeightsError:
    return WeightsError(
        message, where=weights, expected=expected, remedy="take options.json and weights.hdf5 from the same place"
    )


def _holds(path: Path, key: str) -> bool:
    """Whether a file of options or weights has a key at its top."""
    with suppress(WeightsError):
        if path.suffix == ".json":
            content = read_json(path)
            return isinstance(content, dict) and key in content
        with Hdf5Reader(path, WeightsError, "") as file:
            return key in file.names()
    return False


def _is_vocabulary(path: Path) -> bool:
    """Whether a file begins as a vocabulary does; a plain word list is none."""
    with suppress(OSError, UnicodeDecodeError), path.open(encoding="utf-8") as file:
        # bounded: a file beside the model may be one endless line
        return tuple(file.readline(16).rstrip("\r\n") for _ in SPECIAL_TOKENS) == SPECIAL_TOKENS
    return False


def _only(found: list[Path], folder: Path, what: str, name: str, content: str) -> Path:
    """The one file that was found, or of several the one with the usual name."""
    named = [path for path in found if path.name == name]
    if len(found) == 1 or len(named) == 1:
        return (named or found)[0]
    shown = ", ".join(path.name for path in found)
    message = f"several files in {folder} may be the {what}: {shown}" if found else f"{folder} holds no {what}"
    remedy = f"keep one of them, or call it {name}" if found else "name the folder that holds options and weights"
    raise WeightsError(message, where=folder, expected=content, remedy=remedy)
