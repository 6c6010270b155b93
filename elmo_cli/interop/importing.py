"""A model of another project as an LM run: which dialect it is in is found by content, and each has its own reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from elmo_cli.config.choices import ImportFormat
from elmo_cli.errors import WeightsError
from elmo_cli.interop import bilm_tf, many_langs
from elmo_cli.interop.archives import unpacked
from elmo_cli.interop.imported import ImportedModel, ModelFiles
from elmo_cli.runs import RunWriter, describe_files, save_lm
from elmo_cli.runs.cards import write_card


@dataclass(frozen=True)
class _Dialect:
    """How a project keeps its models."""

    holds: Callable[[Path], bool]  # whether a folder looks like one of its models
    read: Callable[[Path], ImportedModel]


_DIALECTS: dict[ImportFormat, _Dialect] = {
    "bilm-tf": _Dialect(bilm_tf.holds_bilm_tf, bilm_tf.read_bilm_tf),
    "many-langs": _Dialect(many_langs.holds_many_langs, many_langs.read_many_langs),
}


def import_run(path: Path, out: Path, overwrite: bool = False, kind: ImportFormat = "auto") -> ModelFiles:
    """Write the model of a folder or archive, with its vocabulary if there is one, as an LM run; returns what was read.

    Args:
        path: A folder, a .zip or a .tar.gz.
        out: The run.
        overwrite: Whether it may exist.
        kind: The dialect; `auto` finds it by content.

    Raises:
        WeightsError: See `unpacked` and the dialects' readers.
        DataError: The vocabulary holds a token twice.
        RunError: The run exists, and `overwrite` is false.
    """
    with unpacked(path) as folder:
        model = _dialect(folder, kind).read(folder)
        _write(model, out, overwrite)
    return model.files if folder == path else model.files.within(path)


def _dialect(folder: Path, kind: ImportFormat) -> _Dialect:
    if kind != "auto":
        return _DIALECTS[kind]
    found = [name for name, dialect in _DIALECTS.items() if dialect.holds(folder)]
    if len(found) > 1:
        message = f"{folder} holds models in the formats {' and '.join(found)}"
        remedy = f"say which with --format {found[0]}"
        raise WeightsError(message, where=folder, expected="one model in a folder", remedy=remedy)
    # what is in no format is told by the reader of the usual one, which names what it lacks
    return _DIALECTS[found[0] if found else "bilm-tf"]


def _write(model: ImportedModel, out: Path, overwrite: bool) -> None:
    network, files = model.network, model.files
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
    with RunWriter(out, "lm", "elmo import", overwrite=overwrite) as writer:
        writer.describe(data={"imported": describe_files(model.read)})
        save_lm(writer, network, model.vocabulary, model.tokenizer)
        write_card(
            writer,
            f"{writer.name}: an imported bidirectional language model",
            f"Weights in {model.about} format. They hold no softmax: the model embeds text, but gives no perplexity.",
            facts,
            {"parameters": sum(parameter.numel() for parameter in network.parameters())},
            f'import elmo_cli\n\nelmo = elmo_cli.load("{writer.name}")\nvectors = elmo.embed(["A sentence ."])',
        )
