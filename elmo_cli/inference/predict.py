"""Predictions for new texts, as a stream: a chunk is read, classified and handed on before the next one is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from elmo_cli.data.cleaning import CLEANINGS
from elmo_cli.embedder import Embedder
from elmo_cli.events import Tell, silent
from elmo_cli.runs import LoadedClassifier
from elmo_cli.text.encoded import UNK, EncodedCorpus, encode
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
    unknown: float  # share of its tokens that the model has no vector of its own for; 1 of a text without tokens
    cut: bool  # whether the text was longer than the classifier reads, so that its end was left out


def answers(
    loaded: LoadedClassifier, corpus: EncodedCorpus, device: torch.device | str = "cpu", tell: Tell = silent
) -> NDArray[np.float32]:
    """(N, classes) probabilities of texts that are cut to length already, n-grams included where there are any."""
    probabilities = predict(loaded.members, loaded.embedder, corpus, device, tell=tell)
    return loaded.ngrams.beside(probabilities, corpus) if loaded.ngrams else probabilities


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
        probabilities = answers(loaded, corpus, device)
        labels = (loaded.classes[best] for best in probabilities.argmax(1).tolist())
        shares = map(tuple, probabilities.tolist())
        cut = (whole.lengths > limit).tolist()
        unknown = unknown_shares(loaded.embedder, corpus).tolist()
        yield from map(Prediction, chunk, labels, shares, unknown, cut)


def unknown_shares(embedder: Embedder, corpus: EncodedCorpus) -> NDArray[np.float64]:
    """(sentences,) share of the tokens that are not in the embedder's table of words; 1 where there is no token.

    A model that reads characters alone knows every token.
    """
    ids = embedder.indexer.word_ids(corpus.types)
    unknown = np.zeros(len(corpus.types)) if ids is None else ids == UNK
    lengths = corpus.lengths
    places = np.repeat(np.arange(len(corpus)), lengths)
    counts = np.bincount(places, weights=unknown[corpus.tokens], minlength=len(corpus))
    return np.where(lengths == 0, 1.0, counts / np.maximum(lengths, 1))
