"""Texts whose class shows in their words, and a classifier of their n-grams."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tinyworld import make_texts

from elmo_cli.ngrams.classifier import FittedNgrams, fit_ngrams
from elmo_cli.text.encoded import EncodedCorpus, encode

Made = TypeVar("Made")

ROWS = make_texts(80)
CORPUS = encode([text for _, text in ROWS], str.split)
LABELS = np.array([label == "sports" for label, _ in ROWS], dtype=np.int64)
FIT, VALID = np.arange(60), np.arange(60, 80)


def done(work: Generator[object, None, Made]) -> Made:
    """What a generator returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            made: Made = end.value
            return made


def fitted(labels: NDArray[np.int64] = LABELS, classes: int = 2, corpus: EncodedCorpus = CORPUS) -> FittedNgrams:
    found = done(fit_ngrams(corpus, labels, classes, FIT, VALID))
    assert found is not None
    return found
