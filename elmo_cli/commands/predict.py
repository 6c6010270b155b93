"""`elmo predict`: labels and probabilities of new texts, as they come."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from elmo_cli.commands import options
from elmo_cli.commands.options import resolve
from elmo_cli.commands.render import Screen

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A classifier run.")]
File = Annotated[str, typer.Argument(metavar="FILE", help="Texts: a CSV file, a text a line, or - for stdin.")]
Format = Annotated[
    Literal["csv", "jsonl"], typer.Option("--format", help="CSV with a header, or a JSON document a line.")
]


def predict(
    run: Run,
    file: File = "-",
    format: Format = "csv",
    column: options.TextColumns = None,
    config: options.Config = None,
    assignments: options.Assignments = None,
    device: options.Device = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Label new texts with a classifier, one by one, to stdout.

    Examples:
      elmo predict runs/classify-frozen new.csv > labels.csv
      echo "Oil prices rose on Monday" | elmo predict runs/classify-frozen
    """
    from elmo_cli.commands.inputs import texts_of
    from elmo_cli.commands.predictions import write_predictions
    from elmo_cli.embedder import pick_device
    from elmo_cli.runs import load_classifier
    from elmo_cli.training.predict import predict_stream

    loaded = load_classifier(run)
    # The classifier's own cleaning is applied to what is read, so it is read as it is.
    reading = resolve(config, assignments, None, {"data.text": column}).data.model_copy(update={"clean": "none"})
    stream = predict_stream(loaded, texts_of(file, reading), device=pick_device(device))
    cut = write_predictions(stream, loaded.classes, "json" if json else format)
    if cut:
        Screen(json, quiet).say(f"note: {cut} texts are longer than the classifier reads; their ends were left out")
