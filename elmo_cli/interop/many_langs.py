"""Models of ELMoForManyLangs (docs/explanation/formats.md#many-langs) as a biLM.

A folder holds `config.json`, which names the architecture's JSON, `word.dic` and `char.dic`, and two dictionaries of
tensors. These are pickles, of which nothing is run (`elmo_cli.vectors.unpickle`). What the architecture calls for is
compared with the shapes in the files first; then the network is built, and the weights are copied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from elmo_cli.config import CharacterSettings, ModelSettings, TokenizerSettings
from elmo_cli.config.bounded import read_text
from elmo_cli.config.language_model import LARGEST_ALPHABET
from elmo_cli.errors import DataError, WeightsError, printable
from elmo_cli.interop.imported import ImportedModel, ModelFiles
from elmo_cli.interop.many_langs_options import ARCHITECTURE, CONFIG_FILE, Architecture, find_architecture
from elmo_cli.model.bilm import BiLm
from elmo_cli.runs.tensors import without_memory
from elmo_cli.text.vocabulary import SKIPPED_LINE, SPECIAL_TOKENS, Vocabulary
from elmo_cli.vectors.pickled import open_tensors

EMBEDDER_FILE, ENCODER_FILE = "token_embedder.pkl", "encoder.pkl"
WORDS_FILE, CHARACTERS_FILE = "word.dic", "char.dic"
# What they are called in both lexicons; in the project, <eow> begins a word and <bow> ends it.
_BEGIN_SENTENCE, _END_SENTENCE, _UNKNOWN, _PADDING = "<bos>", "<eos>", "<oov>", "<pad>"
_BEGINS_WORD, _ENDS_WORD = "<eow>", "<bow>"
_FLOATS = ("f2", "f4", "f8", "bfloat16")
_GATES = [0, 2, 1, 3]  # i, f, g, o as i, g, f, o
_LARGEST_LEXICON = 1 << 28  # bytes
_SAME_PLACE = "take all files of the model from the same place"

Shapes = dict[str, tuple[int, ...]]
Arrays = dict[str, NDArray[np.float32]]


def holds_many_langs(folder: Path) -> bool:
    """Whether a folder looks like a model of ELMoForManyLangs."""
    return any((folder / name).is_file() for name in (EMBEDDER_FILE, ENCODER_FILE))


def read_many_langs(folder: Path) -> ImportedModel:
    """The model of a folder.

    Raises:
        WeightsError: A file is missing or damaged; the model is of another variant; an option is out of bounds; a
            tensor is missing, unknown, of another shape, not of floats or not finite; a pickle holds anything else.
    """
    for name in (CONFIG_FILE, EMBEDDER_FILE, ENCODER_FILE):
        if not (folder / name).is_file():
            expected = f"{CONFIG_FILE}, {EMBEDDER_FILE} and {ENCODER_FILE} in one folder"
            raise WeightsError(f"{folder} holds no {name}", where=folder, expected=expected, remedy=_SAME_PLACE)
    options, architecture = find_architecture(folder)
    words = _read_lexicon(folder / WORDS_FILE) if architecture.reads_words else None
    characters = _read_lexicon(folder / CHARACTERS_FILE) if architecture.reads_characters else None
    embedder_shapes = _embedder_shapes(architecture, words, characters)
    alphabet = None if characters is None else _alphabet(characters, folder / CHARACTERS_FILE)
    vocabulary = None if words is None else _vocabulary(words)
    weights = _encoder_weights(architecture, _read_tensors(folder / ENCODER_FILE, _encoder_shapes(architecture)))
    embedder = _read_tensors(folder / EMBEDDER_FILE, embedder_shapes)
    weights |= _embedder_weights(architecture, embedder, words, characters, alphabet)
    with without_memory():  # the weights become the network's, and none are drawn or copied
        network = BiLm(
            _settings(architecture, alphabet), None if vocabulary is None else len(vocabulary), softmax=False
        )
    tensors = {name: torch.from_numpy(np.ascontiguousarray(each)) for name, each in weights.items()}
    network.load_state_dict(tensors, assign=True)
    lexicons = {WORDS_FILE: words, CHARACTERS_FILE: characters}
    used = [folder / name for name, lexicon in lexicons.items() if lexicon is not None]
    read = [*dict.fromkeys((folder / CONFIG_FILE, options)), folder / EMBEDDER_FILE, folder / ENCODER_FILE, *used]
    files = ModelFiles(options, folder / ENCODER_FILE, None if words is None else folder / WORDS_FILE)
    return ImportedModel(network.eval(), vocabulary, TokenizerSettings(), files, read, "ELMoForManyLangs'")


def _settings(architecture: Architecture, alphabet: str | None) -> ModelSettings:
    """The same architecture in our words."""
    tokens, lstm = architecture.token_embedder, architecture.encoder
    both = architecture.reads_words and alphabet is not None
    characters: dict[str, object] = {
        "max_characters": tokens.max_characters_per_token,
        "cut_words": architecture.reads_words,
    }
    if alphabet is not None:
        characters |= {
            "dim": tokens.char_dim,
            "filters": tokens.filters,
            "highway_layers": tokens.n_highway,
            "activation": tokens.activation,
            "alphabet": alphabet,
        }
    return ModelSettings(
        encoder="word+char" if both else "word" if alphabet is None else "char",
        embedding_size=tokens.word_dim if both else None,
        hidden_size=lstm.dim,
        projection_size=lstm.projection_dim,  # also where it is as wide: it is there and clipped
        layers=lstm.n_layers,
        residual=True,
        cell_clip=lstm.cell_clip or None,
        projection_clip=lstm.proj_clip or None,
        forget_bias=0.0,
        dropout=architecture.dropout,
        characters=CharacterSettings.model_validate(characters),
    )


def _embedder_shapes(
    architecture: Architecture, words: Mapping[str, int] | None, characters: Mapping[str, int] | None
) -> Shapes:
    """What the token embedder calls for."""
    tokens = architecture.token_embedder
    shapes: Shapes = {}
    width = 0
    if words is not None:
        shapes["word_emb_layer.embedding.weight"] = len(words), tokens.word_dim
        width += tokens.word_dim
    if characters is not None:
        shapes["char_emb_layer.embedding.weight"] = len(characters), tokens.char_dim
        for index, (size, count) in enumerate(tokens.filters):
            shapes[f"convolutions.{index}.weight"] = count, tokens.char_dim, size
            shapes[f"convolutions.{index}.bias"] = (count,)
        features = sum(count for _, count in tokens.filters)
        for index in range(tokens.n_highway):
            shapes[f"highways._layers.{index}.weight"] = 2 * features, features
            shapes[f"highways._layers.{index}.bias"] = (2 * features,)
        width += features
    shapes["projection.weight"] = architecture.encoder.projection_dim, width
    shapes["projection.bias"] = (architecture.encoder.projection_dim,)
    return shapes


def _encoder_shapes(architecture: Architecture) -> Shapes:
    """What the LSTM layers call for."""
    lstm = architecture.encoder
    shapes: Shapes = {}
    for direction in ("forward", "backward"):
        for layer in range(lstm.n_layers):
            name = f"{direction}_layer_{layer}"
            shapes[f"{name}.input_linearity.weight"] = 4 * lstm.dim, lstm.projection_dim
            shapes[f"{name}.state_linearity.weight"] = 4 * lstm.dim, lstm.projection_dim
            shapes[f"{name}.state_linearity.bias"] = (4 * lstm.dim,)
            shapes[f"{name}.state_projection.weight"] = lstm.projection_dim, lstm.dim
    return shapes


def _read_tensors(path: Path, expected: Shapes) -> Arrays:
    """The tensors of a file, if they are those that the architecture calls for."""
    try:
        with open_tensors(path) as (found, read):
            for name, shape in expected.items():
                if name not in found:
                    raise _unfit(f"{path.name} lacks {name}", path, f"shape {shape} by the architecture")
                if found[name].shape != shape or found[name].dtype not in _FLOATS:
                    problem = f"{path.name} has {name} of shape {found[name].shape} and type {found[name].dtype}"
                    raise _unfit(problem, path, f"shape {shape} by {ARCHITECTURE} and lexicons, numbers of floats")
            left = sorted(found.keys() - expected.keys())
            if left:
                problem = f"{path.name} has {printable(left[0])} of shape {found[left[0]].shape}"
                raise _unfit(problem, path, f"no tensors but those that {ARCHITECTURE} calls for")
            arrays = {name: np.array(read(found[name]), dtype=np.float32) for name in expected}
    except DataError as error:
        raise WeightsError(error.message, where=path, expected=_TENSORS, remedy=_SAME_PLACE) from error
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            problem, remedy = f"{path.name} holds NaN or infinity in {name}", "fetch it again; or the training failed"
            raise WeightsError(problem, where=path, expected="finite weights", remedy=remedy)
    return arrays


_TENSORS = "a dictionary of tensors and nothing else, as torch.save(model.state_dict(), path) writes it"


def _unfit(message: str, where: Path, expected: str) -> WeightsError:
    return WeightsError(message, where=where, expected=expected, remedy=_SAME_PLACE)


def _encoder_weights(architecture: Architecture, arrays: Arrays) -> Arrays:
    """The LSTM layers by our names: directions stacked, gates in our order, inputs first; the arrays are used up."""
    weights: Arrays = {}
    for layer in range(architecture.encoder.n_layers):
        names = {
            "input": "input_linearity.weight",
            "recurrent": "state_linearity.weight",
            "bias": "state_linearity.bias",
            "projection": "state_projection.weight",
        }
        for ours, theirs in names.items():
            both = [arrays.pop(f"{direction}_layer_{layer}.{theirs}") for direction in ("forward", "backward")]
            if ours != "projection":
                both = [each.reshape(4, -1, *each.shape[1:])[_GATES].reshape(each.shape) for each in both]
            weights[f"lstm_layers.{layer}.{ours}"] = np.stack([each.T for each in both])
    return weights


def _embedder_weights(
    architecture: Architecture,
    arrays: Arrays,
    words: Mapping[str, int] | None,
    characters: Mapping[str, int] | None,
    alphabet: str | None,
) -> Arrays:
    """The token encoder by our names."""
    matrix, bias = arrays["projection.weight"], arrays["projection.bias"]
    weights: Arrays = {}
    if words is not None:
        table = arrays["word_emb_layer.embedding.weight"][_word_rows(words)]
        if characters is None:  # our table of words has a map without a bias: here it is what the map makes of it
            return {"encoder.table": _padded(table @ matrix.T + bias)}
        weights["encoder.words"] = _padded(table)
    assert characters is not None
    assert alphabet is not None
    marks = (_UNKNOWN, _BEGIN_SENTENCE, _END_SENTENCE, _BEGINS_WORD, _ENDS_WORD, _PADDING)
    rows = [characters[character] for character in (*alphabet, *marks)]
    weights["encoder.table"] = _padded(arrays["char_emb_layer.embedding.weight"][rows])
    tokens = architecture.token_embedder
    for index in range(len(tokens.filters)):
        for part in ("weight", "bias"):
            weights[f"encoder.convolutions.{index}.{part}"] = arrays[f"convolutions.{index}.{part}"]
    for index in range(tokens.n_highway):
        for part in ("weight", "bias"):
            transform, keep = np.split(arrays[f"highways._layers.{index}.{part}"], 2)
            weights[f"encoder.highways.{index}.transform.{part}"] = transform
            weights[f"encoder.highways.{index}.carry.{part}"] = -keep  # its gate is of the input, ours of what is new
    return weights | {"encoder.projection.weight": matrix, "encoder.projection.bias": bias}


def _padded(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """A table with a row of zeros for padding before it."""
    return np.concatenate([np.zeros_like(table[:1]), table])


def _alphabet(characters: Mapping[str, int], path: Path) -> str:
    """The characters of a lexicon in the order of their ids; its marks are no characters."""
    _require(characters, (_UNKNOWN, _BEGIN_SENTENCE, _END_SENTENCE, _BEGINS_WORD, _ENDS_WORD, _PADDING), path)
    alphabet = "".join(sorted((entry for entry in characters if len(entry) == 1), key=characters.__getitem__))
    if not 0 < len(alphabet) <= LARGEST_ALPHABET:
        raise _unfit(f"{path.name} has {len(alphabet)} characters", path, f"1 to {LARGEST_ALPHABET:,} characters")
    return alphabet


def _ordinary(words: Mapping[str, int]) -> list[str]:
    """The words that are none of theirs or our marks, in the order of their ids."""
    reserved = {*SPECIAL_TOKENS, SKIPPED_LINE, _BEGIN_SENTENCE, _END_SENTENCE, _UNKNOWN}
    return sorted((word for word in words if word not in reserved), key=words.__getitem__)


def _word_rows(words: Mapping[str, int]) -> list[int]:
    """The rows of their table in the order of our vocabulary."""
    return [words[word] for word in (_BEGIN_SENTENCE, _END_SENTENCE, _UNKNOWN, *_ordinary(words))]


def _vocabulary(words: Mapping[str, int]) -> Vocabulary:
    return Vocabulary([*SPECIAL_TOKENS, *_ordinary(words)], tokenizer=TokenizerSettings())


def _require(lexicon: Mapping[str, int], entries: Sequence[str], path: Path) -> None:
    for entry in entries:
        if entry not in lexicon:
            raise _unfit(f"{path.name} lacks {entry}", path, f"the entries {', '.join(entries)}")


def _read_lexicon(path: Path) -> dict[str, int]:
    """Entries of a lexicon with their ids, which count from 0.

    A line is `entry<TAB>id`; one of an id alone is that of U+3000, which the project's own reader takes for a space.
    """
    remedy = "fetch it again; it belongs beside the weights"
    try:
        lines = read_text(path, _LARGEST_LEXICON).removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        found = f"{path} cannot be read: {error.strerror}" if isinstance(error, OSError) else f"{path} is not UTF-8"
        raise WeightsError(found, where=path, expected="an entry, a tab and its id a line", remedy=remedy) from error
    lexicon: dict[str, int] = {}
    ids: set[int] = set()
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number}"
        entry, *rest = ["　"] * ("\t" not in line.strip()) + line.strip().split("\t")
        right = len(rest) == 1 and rest[0].isascii() and rest[0].isdecimal() and len(rest[0]) < 10
        if not right or int(rest[0]) >= len(lines):
            found, expected = f"the line is {printable(line)!r}", f"an entry, a tab, and an id below {len(lines)}"
            raise WeightsError(found, where=where, expected=expected, remedy=remedy)
        if entry in lexicon or int(rest[0]) in ids:
            found, expected = f"entry {printable(entry)} or its id {rest[0]} stands twice", "every entry and id once"
            raise WeightsError(found, where=where, expected=expected, remedy=remedy)
        lexicon[entry] = int(rest[0])
        ids.add(lexicon[entry])
    if path.name == WORDS_FILE:
        _require(lexicon, (_BEGIN_SENTENCE, _END_SENTENCE, _UNKNOWN), path)
    return lexicon
