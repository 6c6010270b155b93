"""`elmo predict`: labels and probabilities of new texts, as they come."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from elmo_cli.commands import options
from elmo_cli.commands.options import resolve
from elmo_cli.commands.render import Screen

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A classifier run.")]
File = Annotated[str, typer.Argument(metavar="FILE", help="Texts: a table, a text a line, a folder, or - for stdin.")]
Format = Annotated[
    Literal["csv", "jsonl"], typer.Option("--format", help="CSV with a header, or a JSON document a line.")
]
BatchSize = Annotated[
    int | None,
    typer.Option("--batch-size", min=1, help="Texts read before their answers are written.", show_default="256"),
]


def predict(
    run: Run,
    file: File = "-",
    format: Format = "csv",
    batch_size: BatchSize = None,
    column: options.TextColumns = None,
    encoding: options.Encoding = None,
    config: options.Config = None,
    assignments: options.Assignments = None,
    device: options.Device = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Label new texts with a classifier, one by one, to stdout.

    What is typed is answered line by line, what comes through a pipe in
    batches; --batch-size 1 answers each line of a pipe at once, too.

    Examples:
      elmo predict runs/classify-frozen new.csv > labels.csv
      echo "Oil prices rose on Monday" | elmo predict runs/classify-frozen
    """
    from elmo_cli.commands.inputs import texts_of, usual_batch
    from elmo_cli.commands.predictions import write_predictions
    from elmo_cli.devices import pick_device
    from elmo_cli.inference.predict import predict_stream
    from elmo_cli.runs import load_classifier

    loaded = load_classifier(run)
    # The classifier's own cleaning is applied to what is read, so it is read as it is.
    experiment = resolve(config, assignments, None, {"data.text": column, "data.encoding": encoding})
    texts = texts_of(file, experiment.data.model_copy(update={"clean": "none"}))
    stream = predict_stream(loaded, texts, batch_size or usual_batch(file), device=pick_device(device))
    cut = write_predictions(stream, loaded.classes, "json" if json else format)
    if cut:
        Screen(json, quiet).say(f"note: {cut} texts are longer than the classifier reads; their ends were left out")
