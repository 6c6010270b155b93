"""`elmo predict`: labels of new texts, or tags of their tokens, as they come."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from elmo_cli.commands import options
from elmo_cli.commands.call import Call
from elmo_cli.commands.inputs import texts_of, usual_batch
from elmo_cli.commands.predict_tags import predict_tags
from elmo_cli.commands.render import data_stream
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

Unknown = Annotated[bool, typer.Option("--unknown", help="A column with the share of tokens that the model lacks.")]
MinConfidence = Annotated[
    float,
    typer.Option(
        "--min-confidence",
        metavar="SHARE",
        min=0,
        max=1,
        help="No label where none is as probable.",
        show_default=False,
    ),
]


def predict(
    call: Call,
    run: Run,
    file: File = "-",
    format: Format = None,
    unknown: Unknown = False,
    min_confidence: MinConfidence = 0.0,
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
      elmo predict runs/classify-frozen new.csv --unknown --min-confidence 0.6
      echo "Oil prices rose on Monday" | elmo predict runs/classify-frozen
      elmo predict runs/tag-trainable new.conll > tagged.conll
    """
    from elmo_cli.runs import Run

    data = {"text": column, "encoding": encoding}
    kind = Run.open(run).kind
    _check_options(kind, format, text=text, unknown=unknown, min_confidence=min_confidence)
    if kind == "tagger":
        predict_tags(call, run, file, data, text=text, batch_size=batch_size, device=device, format=format or "conll")
    else:
        form = _Form("json" if call.output.json else format or "csv", unknown, min_confidence)
        _predict_labels(call, run, file, data, batch_size, device, form)


def _check_options(
    kind: str, format: choices.PredictionFormat | None, *, text: bool, unknown: bool, min_confidence: float
) -> None:
    """See that the options are for runs of this kind.

    Raises:
        ConfigError: One is not.
    """
    tagger = kind == "tagger"
    other = "csv" if tagger else "conll"
    idle = {
        f"--format {other}": format == other,
        "--text": text and not tagger,
        "--unknown": unknown and tagger,
        "--min-confidence": min_confidence > 0 and tagger,
    }
    for found in (flag for flag, given in idle.items() if given):
        owner = "classifier" if tagger else "tagger"
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
    form: _Form,
) -> None:
    from elmo_cli.devices import pick_device
    from elmo_cli.inference.predict import predict_stream
    from elmo_cli.runs import load_classifier

    loaded = load_classifier(run)
    # The classifier's own cleaning is applied to what is read, so it is read as it is.
    experiment = call.settings(data=data)
    texts = texts_of(file, experiment.data.model_copy(update={"clean": "none"}))
    stream = predict_stream(loaded, texts, batch_size or usual_batch(file), device=pick_device(device))
    cut, strange = _write(stream, replace(form, classes=loaded.classes))
    if cut:
        call.note(f"{cut} texts are longer than the classifier reads; their ends were left out")
    if strange:
        which = "text has no token that the model knows: its label says" if strange == 1 else "texts have no token"
        which += "" if strange == 1 else " that the model knows: their labels say"
        call.note(f"{strange} {which} nothing about it; --unknown shows which")


@dataclass(frozen=True)
class _Form:
    """How predictions are written.

    `csv`: label, a probability for each of `classes`, the unknown share on request, text. `jsonl`: a document a line.
    `json`: a list of such. A label that is less probable than `min_confidence` is left empty, or null.
    """

    format: choices.PredictionFormat | Literal["json"]
    unknown: bool
    min_confidence: float
    classes: Sequence[str] = ()

    @property
    def header(self) -> list[str]:
        """The names of the columns."""
        return ["label", *(f"p({name})" for name in self.classes), *(["unknown"] if self.unknown else []), "text"]

    def label(self, prediction: Prediction) -> str | None:
        """The label, where it is probable enough."""
        return prediction.label if max(prediction.probabilities) >= self.min_confidence else None

    def row(self, prediction: Prediction) -> list[str | None]:
        """A line of the table."""
        shares = [*prediction.probabilities, *([prediction.unknown] if self.unknown else [])]
        return [self.label(prediction), *(f"{share:.6f}" for share in shares), prediction.text]

    def document(self, prediction: Prediction) -> dict[str, Any]:
        """The same with names."""
        shares = {name: round(share, 6) for name, share in zip(self.classes, prediction.probabilities, strict=True)}
        unknown = {"unknown": round(prediction.unknown, 6)} if self.unknown else {}
        return {"label": self.label(prediction), "probabilities": shares, **unknown, "text": prediction.text}


def _write(stream: Iterable[Prediction], form: _Form) -> tuple[int, int]:
    """Write each prediction before the next one is asked for.

    Returns:
        How many texts were cut, and how many have no token that the model knows.

    Raises:
        DataError: There is no text.
    """
    cut = strange = count = 0
    format = form.format
    out = data_stream()
    rows = csv.writer(out, lineterminator="\n")
    for count, prediction in enumerate(stream, start=1):
        cut += prediction.cut
        strange += prediction.unknown == 1
        if format == "csv":
            if count == 1:  # not before: texts that cannot be read leave stdout empty
                rows.writerow(form.header)
            rows.writerow(form.row(prediction))
        else:
            separator = "" if format == "jsonl" else "[\n" if count == 1 else ",\n"
            end = "\n" if format == "jsonl" else ""
            out.write(separator + dumps(form.document(prediction), ensure_ascii=False) + end)
        out.flush()
    if not count:
        raise DataError(
            "there is nothing to label", expected="a text a line", remedy="give texts, a line each, or name a file"
        )
    if format == "json":
        out.write("\n]\n")
    return cut, strange
