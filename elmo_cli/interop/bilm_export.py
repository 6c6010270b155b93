"""A biLM as bilm-tf's `options.json` and `weights.hdf5` (docs/explanation/formats.md#bilm-tf), read back and compared.

What the format has no place for is folded into the weights where that is exact (a forget bias other than 1, the
projection of a word table), said where it is left out (the softmax), and refused otherwise.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from elmo_cli.config import ModelSettings
from elmo_cli.disk import cannot_write, flush
from elmo_cli.embedder import Embedder, Extractor
from elmo_cli.errors import ElmoError, RunError, WeightsError
from elmo_cli.events import Notice, Tell, silent
from elmo_cli.interop.bilm_layout import cell_name, dataset_parts, dataset_shapes
from elmo_cli.interop.bilm_options import CHARACTERS
from elmo_cli.interop.bilm_tf import load_bilm_tf
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.encoder import WordEncoder
from elmo_cli.runs import Run, load_embedder
from elmo_cli.text.encoded import EncodedCorpus, encode_tokens
from elmo_cli.text.vocabulary import SPECIAL_TOKENS, VOCABULARY_FILE, Vocabulary

OPTIONS_FILE, WEIGHTS_FILE = "options.json", "weights.hdf5"
TOLERANCE = 1e-5  # of an activation, for each 1 of the largest
_ALLENNLP_CHARACTERS = 50
_TRIED = 64  # tokens of the vocabulary that are embedded to compare
_WORDS = ("The", "naïve", "café", "猫", "🙂", ".", "x" * 60)


@dataclass(frozen=True)
class BilmExport:
    """What was written."""

    path: Path  # the folder
    files: list[str]  # in it
    parameters: int  # numbers in the weights
    difference: float  # largest of an activation, between the run and the files read back


def export_bilm_tf(run: Path, out: Path, *, overwrite: bool = False, tell: Tell = silent) -> BilmExport:
    """Write the biLM of a run as bilm-tf's files.

    Args:
        run: An LM run, or that of a classifier or tagger, whose biLM is taken.
        out: A folder, which may be new; files of the same names are replaced together, once all are verified.
        overwrite: Whether such files may be there.
        tell: Told beforehand what the format cannot represent, and who cannot read the files.

    Raises:
        WeightsError: The run has no biLM, or one that the format cannot hold; or what was written reads back otherwise.
        RunError: The files are there, or `out` is no folder.
        ElmoError: The disk is full or refuses; nothing is kept.
    """
    embedder = load_embedder(run)
    network = embedder.bilm()
    if network.settings.encoder == "word+char":
        raise WeightsError(
            f"{embedder.name} reads words and characters side by side",
            where=run,
            expected="model.encoder: word or char, since bilm-tf's format holds one of the two",
            remedy="export a model with such an encoder",
        )
    if network.settings.encoder == "char" and network.settings.characters.alphabet is not None:
        raise WeightsError(
            f"{embedder.name} reads Unicode characters of its own alphabet",
            where=run,
            expected="a model without model.characters.alphabet, since bilm-tf's format knows bytes alone",
            remedy="export a model that reads bytes or words",
        )
    _refuse_folder(out, overwrite)
    for sentence in _left_out(embedder, Run.open(run).kind):
        tell(Notice(sentence))
    beside = out.with_name(f".{out.name}.new")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        parameters = _write(embedder, beside)
        difference = _verify(embedder, beside)
        out.mkdir(exist_ok=True)
        files = sorted(path.name for path in beside.iterdir())
        for name in files:
            flush(beside / name)
            os.replace(beside / name, out / name)
        flush(out)
    except OSError as error:
        raise cannot_write(out, error, "nothing was kept") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return BilmExport(out, files, parameters, difference)


def _refuse_folder(out: Path, overwrite: bool) -> None:
    if out.exists() and not out.is_dir():
        raise RunError(
            f"{out} is a file", where=out, expected="a folder, which may be new", remedy="choose another --out"
        )
    there = [name for name in (OPTIONS_FILE, WEIGHTS_FILE, VOCABULARY_FILE) if (out / name).exists()]
    if there and not overwrite:
        remedy = "give --overwrite to replace it, or choose another --out"
        raise RunError(f"{out} holds {there[0]} already", where=out / there[0], expected="a new folder", remedy=remedy)


def _left_out(embedder: Embedder, kind: str) -> Iterator[str]:
    """What the format does not hold, and which readers do without the model, a sentence each."""
    settings = embedder.bilm().settings
    if kind in ("classifier", "tagger"):
        yield f"the {kind} and its mix of layers are left out: the format holds a biLM alone"
    if embedder.bilm().softmax is not None:
        yield "the softmax is left out: the format has no place for it, so the copy embeds and does not score"
    if embedder.tokenizer.kind != "whitespace" or embedder.tokenizer.lowercase:
        yield f"other readers do not cut text as this model does ({_tokenizer(embedder)}): give them its tokens"
    if settings.encoder == "word":
        yield "AllenNLP reads character models alone: bilm-tf reads this one, with its vocabulary"
        if settings.characters.cut_words:
            room = settings.characters.max_characters - 2
            yield f"other readers do not look a word up by its first {room} characters, as this model does"
        return
    if settings.layers == 1:
        yield "AllenNLP reads models of two layers or more: bilm-tf reads this one"
    elif not settings.residual:
        yield "AllenNLP reads models with model.residual alone: bilm-tf reads this one"
    if settings.characters.max_characters != _ALLENNLP_CHARACTERS:
        yield f"AllenNLP reads {_ALLENNLP_CHARACTERS} characters of a word, not {settings.characters.max_characters}"


def _tokenizer(embedder: Embedder) -> str:
    return embedder.tokenizer.kind + (", lower-cased" if embedder.tokenizer.lowercase else "")


def _write(embedder: Embedder, folder: Path) -> int:
    """Write all files; returns the count of numbers in the weights."""
    datasets = _datasets(embedder.bilm())
    vocabulary = embedder.vocabulary
    options = _options(embedder.bilm().settings, len(vocabulary) if vocabulary else None)
    (folder / OPTIONS_FILE).write_text(json.dumps(options, indent=2) + "\n", encoding="utf-8")
    with h5py.File(folder / WEIGHTS_FILE, "w") as file:
        for name, values in datasets.items():
            file[name] = values
    if vocabulary is not None:
        vocabulary.save(folder)
    return sum(values.size for values in datasets.values())


def _options(settings: ModelSettings, vocabulary_size: int | None) -> dict[str, Any]:
    """`options.json`; no clip is null, which all readers take for none."""
    options: dict[str, Any] = {
        "bidirectional": True,
        "dropout": settings.dropout,
        "lstm": {
            "dim": settings.hidden_size,
            "projection_dim": settings.token_size,
            "n_layers": settings.layers,
            "cell_clip": settings.cell_clip,
            # without a projection of ours nothing is clipped, whoever reads the identity that stands for it
            "proj_clip": settings.projection_clip if settings.projection_size is not None else None,
            "use_skip_connections": settings.residual,
        },
    }
    if vocabulary_size is not None:
        options["n_tokens_vocab"] = vocabulary_size
    if settings.encoder == "char":
        characters = settings.characters
        options["char_cnn"] = {
            "embedding": {"dim": characters.dim},
            "filters": [list(item) for item in characters.filters],
            "max_characters_per_token": characters.max_characters,
            "n_characters": CHARACTERS + 1,
            "n_highway": characters.highway_layers,
            "activation": characters.activation,
        }
    return options


def _datasets(network: BiLm) -> dict[str, NDArray[np.float32]]:
    """The datasets of the weights, in the order of the file."""
    settings, size = network.settings, network.settings.token_size
    word = isinstance(network.encoder, WordEncoder)
    names = dataset_shapes(settings, network.vocabulary_size if word else None, short_names=True)
    found = {
        name: torch.cat(parts).detach().clone().cpu().numpy()
        for name, parts in zip(names, dataset_parts(network), strict=True)
    }
    for direction in range(2):
        for layer in range(settings.layers):
            cell = cell_name(settings, direction, layer, short_names=True)
            forget = slice(2 * settings.hidden_size, 3 * settings.hidden_size)  # i, j, f, o
            found[f"{cell}/B"][forget] += settings.forget_bias - 1.0  # readers add 1
            # AllenNLP asks for both maps always, bilm-tf leaves them unread
            found.setdefault(f"{cell}/W_P_0", np.eye(size, dtype=np.float32))
    if not word:
        found.setdefault("CNN_proj/W_proj", np.eye(size, dtype=np.float32))
        found.setdefault("CNN_proj/b_proj", np.zeros(size, dtype=np.float32))
    return found


def _verify(embedder: Embedder, folder: Path) -> float:
    """Read the files back and embed with both; returns the largest difference of an activation.

    Raises:
        WeightsError: It is beyond `TOLERANCE`, or the vocabulary does not read back as it was.
    """
    network = load_bilm_tf(folder / OPTIONS_FILE, folder / WEIGHTS_FILE)
    vocabulary = embedder.vocabulary
    if vocabulary is not None:
        read = Vocabulary.load(folder)
        if read.tokens != vocabulary.tokens:
            raise _misread("the vocabulary has other tokens", folder)
        vocabulary = read
    copy = Embedder.of(network, vocabulary, embedder.tokenizer, embedder.name)
    corpus = _tried(vocabulary)
    ours, theirs = (
        next(Extractor(each).batches(corpus, [np.arange(len(corpus))]))[1].cpu() for each in (embedder, copy)
    )
    difference = float((ours - theirs).abs().max())
    if not difference <= TOLERANCE * max(1.0, float(ours.abs().max())):  # NaN is no agreement
        raise _misread(f"activations differ by {difference:.3g}", folder)
    return difference


def _tried(vocabulary: Vocabulary | None) -> EncodedCorpus:
    """Sentences of one token, two, ... up to all: of the whole vocabulary, and words that it may not hold."""
    own = vocabulary.tokens[len(SPECIAL_TOKENS) :] if vocabulary else ()
    tokens = [*_WORDS, *own[:: max(1, len(own) // _TRIED)][:_TRIED]]
    return encode_tokens([tokens[:1], tokens[1:3], tokens[3:7], tokens[::-1]])


def _misread(found: str, folder: Path) -> ElmoError:
    remedy = "nothing was kept; please report it with the run's run.yaml"
    return WeightsError(f"read back, {found}", where=folder, expected="what the run holds", remedy=remedy)
