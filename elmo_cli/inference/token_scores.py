"""Scores of single sentences or tokens of a language model, as a file that is written while the text is read."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from elmo_cli.disk import write_atomically
from elmo_cli.embedder import Embedder
from elmo_cli.errors import ConfigError
from elmo_cli.events import Progress, Tell, silent
from elmo_cli.metrics.perplexity import Nats, Perplexity, token_scores
from elmo_cli.text.encoded import BOS_TOKEN, EOS_TOKEN, UNK, EncodedCorpus, encode
from elmo_cli.text.tokenizer import Tokenizer

CHUNK = 1024  # texts that are in memory together
SENTENCE_COLUMNS = ("sentence", "tokens", "unknown", "nll_forward", "nll_backward", "perplexity", "text")
TOKEN_COLUMNS = ("sentence", "position", "token", "unknown", "nll_forward", "nll_backward")
Row = tuple[object, ...]
Nll = NDArray[np.float64]  # (2, T + 1) of a sentence, forward and backward; see `BiLm.score`


def write_scores(
    path: Path,
    embedder: Embedder,
    texts: Iterable[str],
    *,
    per_token: bool,
    device: torch.device | str = "cpu",
    tell: Tell = silent,
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
        tell: Told the sentences that are scored.

    Returns:
        The perplexity of all of it.

    Raises:
        ConfigError: The name has another ending.
        WeightsError: The model has no vocabulary or no softmax.
        ElmoError: The disk refuses.
    """
    check_name(path)
    total = Nats()

    def rows() -> Iterator[Row]:
        nonlocal total
        tokenize, source, done = Tokenizer(embedder.tokenizer), iter(texts), 0
        while chunk := list(islice(source, CHUNK)):
            found, nats = score_rows(embedder, encode(chunk, tokenize), done + 1, per_token=per_token, device=device)
            yield from found
            total += nats
            done += len(chunk)
            tell(Progress("sentences", done, None))

    columns = TOKEN_COLUMNS if per_token else SENTENCE_COLUMNS
    # The rows are computed while they are written: neither the text nor its scores are ever held whole.
    write_atomically(path, lambda beside: _write(beside, path.suffix == ".csv", columns, rows()))
    return total.perplexity()


def score_rows(
    embedder: Embedder, corpus: EncodedCorpus, first: int, *, per_token: bool, device: torch.device | str = "cpu"
) -> tuple[list[Row], Nats]:
    """A row for each sentence, or for each token, and what they cost together; `first` numbers the first sentence."""
    vocabulary = embedder.predicted()
    is_unknown, scores = vocabulary.lookup(corpus.types) == UNK, _scores(embedder, corpus, device)
    rows: list[Row] = []
    for index, nats in enumerate(scores):
        sentence = corpus.sentence(index)
        tokens, unknown = [corpus.types[token] for token in sentence.tolist()], is_unknown[sentence].tolist()
        if per_token:
            rows += _token_rows(first + index, tokens, unknown, nats)
        else:
            rows.append(_sentence_row(first + index, tokens, unknown, nats))
    sums = np.array([nats.sum(axis=1) for nats in scores]).reshape(-1, 2)
    return rows, Nats.of(sums, corpus, vocabulary)


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


def _scores(embedder: Embedder, corpus: EncodedCorpus, device: torch.device | str) -> list[Nll]:
    """(2, T + 1) nats of each sentence, in the order of the corpus."""
    found: list[Nll] = [np.empty((2, 0))] * len(corpus)
    for sentences, nats in token_scores(embedder, corpus, device=device):
        for row, sentence in enumerate(sentences.tolist()):
            found[sentence] = nats[:, row, : corpus.lengths[sentence] + 1].double().numpy()
    return found


def _sentence_row(number: int, tokens: Sequence[str], unknown: Sequence[bool], nats: Nll) -> Row:
    forward, backward = nats.sum(axis=1).tolist()
    mean = Nats(forward, backward, steps=len(tokens) + 1).perplexity().mean
    return number, len(tokens), sum(unknown), *(round(one, 6) for one in (forward, backward, mean)), " ".join(tokens)


def _token_rows(number: int, tokens: Sequence[str], unknown: Sequence[bool], nats: Nll) -> Iterator[Row]:
    framed, outside = [BOS_TOKEN, *tokens, EOS_TOKEN], [False, *unknown, False]
    # The forward direction predicts </S> and not <S>, the backward one <S> and not </S>.
    forward, backward = [None, *nats[0].round(6).tolist()], [*nats[1].round(6).tolist(), None]
    for position, row in enumerate(zip(framed, outside, forward, backward, strict=True)):
        yield number, position, *row


def _write(path: Path, as_csv: bool, columns: tuple[str, ...], rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        if as_csv:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            # 0 and 1, as other programs do not read Python's words for them.
            writer.writerows([int(cell) if isinstance(cell, bool) else cell for cell in row] for row in rows)
            return
        for row in rows:
            file.write(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n")
