"""What `elmo predict` does with a tagger: tags of new sentences, as they come."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from elmo_cli.commands.call import Call
from elmo_cli.commands.inputs import STDIN, sentences_of
from elmo_cli.commands.render import data_stream
from elmo_cli.config.choices import PredictionFormat
from elmo_cli.errors import DataError

if TYPE_CHECKING:
    from elmo_cli.inference.tag_stream import Tagged


def predict_tags(
    call: Call,
    run: Path,
    file: str,
    data: dict[str, Any],
    *,
    text: bool,
    batch_size: int | None,
    device: str,
    format: PredictionFormat,
) -> None:
    """Tag a file, or what comes through a pipe, with a tagger run; see `predict`."""
    from elmo_cli.devices import pick_device
    from elmo_cli.inference.tag_stream import CHUNK, tag_stream
    from elmo_cli.runs import load_tagger

    loaded = load_tagger(run)
    experiment = call.settings(data=data)
    column = next(iter(data["text"] or ()), None) or experiment.tag.tokens or loaded.settings.tokens
    sentences = sentences_of(file, experiment.data, column, loaded.embedder.tokenizer if text else None)
    typed = file == STDIN and sys.stdin.isatty()
    stream = tag_stream(loaded, sentences, batch_size or (1 if typed else CHUNK), pick_device(device))
    _write(stream, "json" if call.output.json else format)


def _write(stream: Iterable[Tagged], format: PredictionFormat | Literal["json"]) -> None:
    """Write each sentence before the next one is asked for.

    `conll`: token, tab, tag, and a blank line after each sentence. `jsonl`: a document a line. `json`: a list of such.

    Raises:
        DataError: There is no sentence.
    """
    count, out = 0, data_stream()
    for count, one in enumerate(stream, start=1):
        if format == "conll":
            rows = zip(one.tokens, one.tags, strict=True)
            out.write("".join(f"{token}\t{tag}\n" for token, tag in rows) + "\n")
        else:
            separator = "" if format == "jsonl" else "[\n" if count == 1 else ",\n"
            document = dumps({"tokens": one.tokens, "tags": one.tags}, ensure_ascii=False)
            out.write(separator + document + ("\n" if format == "jsonl" else ""))
        out.flush()
    if not count:
        raise DataError(
            "there is nothing to tag",
            expected="a token a line, with a blank line between sentences",
            remedy="give such lines, or name a file; --text takes running text",
        )
    if format == "json":
        out.write("\n]\n")
