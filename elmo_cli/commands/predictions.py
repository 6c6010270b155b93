"""Predictions to stdout as they come: CSV, JSON lines, or one JSON document."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from elmo_cli.errors import DataError

if TYPE_CHECKING:
    from elmo_cli.inference.predict import Prediction


def write_predictions(
    stream: Iterable[Prediction], classes: Sequence[str], format: Literal["csv", "jsonl", "json"]
) -> int:
    """Write each prediction before the next one is asked for; returns how many texts were cut.

    Args:
        stream: The predictions.
        classes: Names of the classes, in the order of the probabilities.
        format: `csv`: label, a probability for each class, text. `jsonl`: a document a line. `json`: a list of such.

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
            sys.stdout.write(separator + json.dumps(_document(prediction, classes), ensure_ascii=False) + end)
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
