"""`elmo predict`: labels of new texts, or tags of their tokens, as they come."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from elmo_cli.commands import options
from elmo_cli.commands.call import Call
from elmo_cli.commands.inputs import texts_of, usual_batch
from elmo_cli.commands.predict_tags import predict_tags
from elmo_cli.config import choices
from elmo_cli.errors import ConfigError, DataError

if TYPE_CHECKING:
    from elmo_cli.inference.predict import Prediction

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A classifier or tagger run.")]
File = Annotated[
    str,
    typer.Argument(metavar="FILE", help="Texts: a table, a text a line, a folder; tokens for a tagger; - for stdin."),
]
Format = Annotated[
    choices.PredictionFormat | None,
    options.choice("--format", choices.PredictionFormat, "csv for texts, conll for tags, or a JSON document a line."),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        min=1,
        help="Texts read before their answers are written.",
        show_default="256, 1024 for a tagger",
    ),
]


Text = Annotated[
    bool, typer.Option("--text", help="For a tagger: FILE holds texts, which the run's tokenizer cuts into tokens.")
]


def predict(
    call: Call,
    run: Run,
    file: File = "-",
    format: Format = None,
    batch_size: BatchSize = None,
    text: Text = False,
    column: options.TextColumns = None,
    encoding: options.Encoding = None,
    device: options.Device = "auto",
) -> None:
    """Label new texts with a classifier, or tokens with a tagger, to stdout.

    What is typed is answered line by line, what comes through a pipe in
    batches; --batch-size 1 answers each line of a pipe at once, too.
    A tagger reads a token a line, with a blank line between sentences, or
    any file that elmo tag reads; with --text, what a classifier does.

    Examples:
      elmo predict runs/classify-frozen new.csv > labels.csv
      echo "Oil prices rose on Monday" | elmo predict runs/classify-frozen
      elmo predict runs/tag-trainable new.conll > tagged.conll
    """
    from elmo_cli.runs import Run

    data = {"text": column, "encoding": encoding}
    kind = Run.open(run).kind
    _check_format(kind, format, text)
    if kind == "tagger":
        predict_tags(call, run, file, data, text=text, batch_size=batch_size, device=device, format=format or "conll")
    else:
        _predict_labels(call, run, file, data, batch_size, device, format or "csv")


def _check_format(kind: str, format: choices.PredictionFormat | None, text: bool) -> None:
    """See that the options are for runs of this kind.

    Raises:
        ConfigError: One is not.
    """
    other = "csv" if kind == "tagger" else "conll"
    found = f"--format {other}" if format == other else "--text" if text and kind != "tagger" else None
    if found is not None:
        owner = "classifier" if kind == "tagger" else "tagger"
        raise ConfigError(
            f"{found} is for a {owner} run, and this is one of kind {kind}",
            expected="conll or jsonl for a tagger, csv or jsonl for a classifier",
            remedy="leave it out",
        )


def _predict_labels(
    call: Call,
    run: Path,
    file: str,
    data: dict[str, Any],
    batch_size: int | None,
    device: str,
    format: choices.PredictionFormat,
) -> None:
    from elmo_cli.devices import pick_device
    from elmo_cli.inference.predict import predict_stream
    from elmo_cli.runs import load_classifier

    loaded = load_classifier(run)
    # The classifier's own cleaning is applied to what is read, so it is read as it is.
    experiment = call.settings(data=data)
    texts = texts_of(file, experiment.data.model_copy(update={"clean": "none"}))
    stream = predict_stream(loaded, texts, batch_size or usual_batch(file), device=pick_device(device))
    cut = _write(stream, loaded.classes, "json" if call.output.json else format)
    if cut:
        call.note(f"{cut} texts are longer than the classifier reads; their ends were left out")


def _write(
    stream: Iterable[Prediction], classes: Sequence[str], format: choices.PredictionFormat | Literal["json"]
) -> int:
    """Write each prediction before the next one is asked for; returns how many texts were cut.

    `csv`: label, a probability for each of `classes`, text. `jsonl`: a document a line. `json`: a list of such.

    Raises:
        DataError: There is no text.
    """
    cut = count = 0
    rows = csv.writer(sys.stdout, lineterminator="\n")
    header = ["label", *(f"p({name})" for name in classes), "text"]
    for count, prediction in enumerate(stream, start=1):
        cut += prediction.cut
        if format == "csv":
            if count == 1:  # not before: texts that cannot be read leave stdout empty
                rows.writerow(header)
            rows.writerow([prediction.label, *(f"{share:.6f}" for share in prediction.probabilities), prediction.text])
        else:
            separator = "" if format == "jsonl" else "[\n" if count == 1 else ",\n"
            end = "\n" if format == "jsonl" else ""
            sys.stdout.write(separator + dumps(_document(prediction, classes), ensure_ascii=False) + end)
        sys.stdout.flush()
    if not count:
        raise DataError(
            "there is nothing to label", expected="a text a line", remedy="give texts, a line each, or name a file"
        )
    if format == "json":
        sys.stdout.write("\n]\n")
    return cut


def _document(prediction: Prediction, classes: Sequence[str]) -> dict[str, Any]:
    shares = {name: round(share, 6) for name, share in zip(classes, prediction.probabilities, strict=True)}
    return {"label": prediction.label, "probabilities": shares, "text": prediction.text}
