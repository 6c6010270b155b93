"""Minimal pairs of a file, scored by a language model."""

from __future__ import annotations

from pathlib import Path

import torch

from elmo_cli.config import ReadingSettings
from elmo_cli.data.formats import open_file
from elmo_cli.data.records import read_texts
from elmo_cli.embedder import Embedder
from elmo_cli.errors import DataError
from elmo_cli.events import Tell, silent
from elmo_cli.metrics.pairs import PairScores
from elmo_cli.metrics.perplexity import sentence_scores
from elmo_cli.text.encoded import encode
from elmo_cli.text.tokenizer import Tokenizer

# Names of the two columns; the second are those of BLiMP.
BETTER, WORSE = ("good", "sentence_good"), ("bad", "sentence_bad")


def score_pairs(
    embedder: Embedder,
    file: Path,
    reading: ReadingSettings,
    *,
    device: torch.device | str = "cpu",
    tell: Tell = silent,
) -> PairScores:
    """Score both sentences of each pair.

    Args:
        embedder: A biLM with a softmax.
        file: A table with a column of better and one of worse sentences, named as `BETTER` and `WORSE` say.
        reading: How to read it; its columns do not count.
        device: Where to compute.
        tell: Told the sentences that are scored.

    Raises:
        DataError: The file has no such columns, or cannot be read.
        WeightsError: The model has no vocabulary or no softmax.
    """
    reading = reading.model_copy(update={"text": (), "label": None, "header": "yes"})
    names = open_file(file, reading).columns(labelled=False).names
    columns = [next((name for name in known if name in names), None) for known in (BETTER, WORSE)]
    if None in columns:
        raise DataError(
            f"{file.name} has the columns {', '.join(names) or '(none)'}",
            where=file,
            expected="good and bad, or sentence_good and sentence_bad: the better and the worse half of each pair",
            remedy="name the columns so in its first line",
        )
    tokenize = Tokenizer(embedder.tokenizer)
    better, worse = (
        sentence_scores(
            embedder,
            encode(read_texts([file], reading.model_copy(update={"text": (column,)})), tokenize),
            device=device,
            tell=tell,
        )
        for column in columns
    )
    return PairScores.of(better, worse)
