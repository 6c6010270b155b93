"""Predictions for new texts, as a stream: a chunk is read, classified and handed on before the next one is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch

from elmo_cli.data.cleaning import CLEANINGS
from elmo_cli.runs import LoadedClassifier
from elmo_cli.text.encoded import encode
from elmo_cli.text.tokenizer import Tokenizer
from elmo_cli.training.cache import predict
from elmo_cli.training.labelled import cut_sentences

CHUNK = 256


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a classifier says of a text."""

    text: str  # as it was given
    label: str  # the most probable class
    probabilities: tuple[float, ...]  # in the order of the classifier's classes; they sum to 1
    cut: bool  # whether the text was longer than the classifier reads, so that its end was left out


def predict_stream(
    loaded: LoadedClassifier, texts: Iterable[str], batch: int = CHUNK, device: torch.device | str = "cpu"
) -> Iterator[Prediction]:
    """Classify texts in their order.

    Args:
        loaded: The classifier.
        texts: As they are in the world: they are cleaned here as the training file was, so read them uncleaned.
        batch: Texts that are read before the first of them is handed on; batches of similar length are made of them.
        device: Where to compute.
    """
    tokenize, clean = Tokenizer(loaded.embedder.tokenizer), CLEANINGS[loaded.data.clean]
    limit = loaded.settings.max_tokens
    source = iter(texts)
    # No more is read than is answered: the source may be somebody who types.
    while chunk := tuple(islice(source, batch)):
        whole = encode(map(clean, chunk), tokenize)
        corpus, _ = cut_sentences(whole, limit)
        probabilities = predict(loaded.classifier, loaded.embedder, corpus, device)
        best = probabilities.argmax(1).tolist()
        for text, label, shares, length in zip(
            chunk, best, probabilities.tolist(), whole.lengths.tolist(), strict=True
        ):
            yield Prediction(text, loaded.classes[label], tuple(shares), length > limit)
