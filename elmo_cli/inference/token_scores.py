"""Scores of single sentences or tokens of a language model, as a file that is written while the text is read."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from elmo_cli.disk import write_atomically
from elmo_cli.embedder import Embedder
from elmo_cli.errors import ConfigError
from elmo_cli.metrics.perplexity import Nats, Perplexity, token_scores
from elmo_cli.text.encoded import BOS_TOKEN, EOS_TOKEN, UNK, EncodedCorpus, encode
from elmo_cli.text.tokenizer import Tokenizer
from elmo_cli.text.vocabulary import Vocabulary

CHUNK = 1024  # texts that are in memory together
SENTENCE_COLUMNS = ("sentence", "tokens", "unknown", "nll_forward", "nll_backward", "perplexity", "text")
TOKEN_COLUMNS = ("sentence", "position", "token", "unknown", "nll_forward", "nll_backward")
Row = tuple[object, ...]


def write_scores(
    path: Path, embedder: Embedder, texts: Iterable[str], *, per_token: bool, device: torch.device | str = "cpu"
) -> Perplexity:
    """Score texts one chunk after the other, and write a row for each of them, or for each of their tokens.

    nll: nats. A sentence of n tokens sums n + 1 steps in each direction; its perplexity is of both together. A token
    has that of both directions; the frame, positions 0 and n + 1, has that of the direction which predicts it.

    Args:
        path: To end in `.csv` or `.jsonl`.
        embedder: A biLM with a softmax.
        texts: A sentence each.
        per_token: A row for each token instead.
        device: Where to compute.

    Returns:
        The perplexity of all of it.

    Raises:
        ConfigError: The name has another ending.
        WeightsError: The model has no vocabulary or no softmax.
        ElmoError: The disk refuses.
    """
    check_name(path)
    vocabulary, total = embedder.predicted(), Nats()
    columns = TOKEN_COLUMNS if per_token else SENTENCE_COLUMNS

    def rows() -> Iterator[Row]:
        nonlocal total
        tokenize, source, first = Tokenizer(embedder.tokenizer), iter(texts), 1
        while chunk := list(islice(source, CHUNK)):
            corpus = encode(chunk, tokenize)
            found: list[np.ndarray] = [np.empty(0)] * len(corpus)
            for sentences, nats in token_scores(embedder, corpus, device=device):
                for row, sentence in enumerate(sentences.tolist()):
                    found[sentence] = nats[:, row, : corpus.lengths[sentence] + 1].double().numpy()
            for index, scores in enumerate(found):
                row_of = _token_rows if per_token else _sentence_row
                yield from row_of(first + index, corpus, index, scores, vocabulary)
            total += Nats.of(np.array([scores.sum(axis=1) for scores in found]), corpus, vocabulary)
            first += len(chunk)

    write_atomically(path, lambda beside: _write(beside, path.suffix == ".csv", columns, rows()))
    return total.perplexity()


def check_name(path: Path) -> None:
    """See that a file of scores is named by its format.

    Raises:
        ConfigError: It is not.
    """
    if path.suffix not in (".csv", ".jsonl"):
        raise ConfigError(
            f"--scores is {path}",
            expected="a file name that ends in .csv or .jsonl",
            remedy="end the name in one of these",
        )


def _sentence_row(
    number: int, corpus: EncodedCorpus, index: int, scores: np.ndarray, vocabulary: Vocabulary
) -> Iterator[Row]:
    numbers = corpus.sentence(index)
    forward, backward = scores.sum(axis=1).tolist()
    unknown = int((vocabulary.lookup(corpus.types)[numbers] == UNK).sum())
    mean = Nats(forward, backward, steps=len(numbers) + 1).perplexity().mean
    text = " ".join(corpus.types[token] for token in numbers.tolist())
    yield number, len(numbers), unknown, round(forward, 6), round(backward, 6), round(mean, 6), text


def _token_rows(
    number: int, corpus: EncodedCorpus, index: int, scores: np.ndarray, vocabulary: Vocabulary
) -> Iterator[Row]:
    numbers = corpus.sentence(index)
    unknown = [False, *(vocabulary.lookup(corpus.types)[numbers] == UNK).tolist(), False]
    tokens = [BOS_TOKEN, *(corpus.types[token] for token in numbers.tolist()), EOS_TOKEN]
    forward, backward = [None, *scores[0].round(6).tolist()], [*scores[1].round(6).tolist(), None]
    for position, row in enumerate(zip(tokens, unknown, forward, backward, strict=True)):
        yield number, position, *row


def _write(path: Path, as_csv: bool, columns: tuple[str, ...], rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        if as_csv:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([int(cell) if isinstance(cell, bool) else cell for cell in row] for row in rows)
            return
        for row in rows:
            file.write(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n")
