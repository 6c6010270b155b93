"""Static vectors: one for each token, in the order of a vocabulary, and how much of a text they cover."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from elmo_cli.embedder import Embedder
from elmo_cli.errors import DataError
from elmo_cli.model.static import StaticTable
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.text.vocabulary import SPECIAL_TOKENS, Vocabulary


@dataclass(frozen=True)
class StaticVectors:
    """One vector for each token."""

    tokens: list[str]  # in the order of the file, distinct where `read_vectors` or a training gave them
    matrix: NDArray[np.float32]  # (V, D)
    source: Path
    format: str = ""  # what the file turned out to be
    broken: int = 0  # vectors left out since their token is broken UTF-8, or nothing but whitespace
    duplicates: int = 0  # lines that repeated a token and were left out; a token's first line counts

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each token."""
        return {token: row for row, token in enumerate(self.tokens)}

    @property
    def width(self) -> int:
        """D, numbers in a vector."""
        return int(self.matrix.shape[1])

    @property
    def left_out(self) -> str | None:
        """What the user should know of vectors that were left out, as a sentence."""
        if not self.broken:
            return None
        which = f"{self.broken} of {self.broken + len(self.tokens) + self.duplicates} vectors"
        return f"{which} of {self.source.name} are left out: their tokens are broken UTF-8, or whitespace"

    def without_duplicates(self) -> StaticVectors:
        """The same vectors, of a repeated token only the first."""
        first: dict[str, int] = {}
        for row, token in enumerate(self.tokens):
            first.setdefault(token, row)
        duplicates = len(self.tokens) - len(first)
        if not duplicates:
            return self
        return replace(self, tokens=list(first), matrix=self.matrix[list(first.values())], duplicates=duplicates)


def table_for(
    vocabulary: Vocabulary, vectors: StaticVectors, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Rows of `vectors` in the order of a vocabulary's ids, 1 to V.

    A token takes the vector of exactly its own form; failing that, of the first token of the file with the same signs
    (NFC), and in a vocabulary that lower-cases, of the first that lower-cases to it. Others are drawn from a normal
    distribution of the file's own spread, by the seed and their id alone; padding is zero.

    Returns:
        (V + 1, D) float32 table, and (V + 1,) whether a row comes from the file.

    Raises:
        DataError: The file has no vector for any token but the special ones.
    """
    spread = float(vectors.matrix.std())
    generator = np.random.default_rng(seed)
    table = generator.normal(0.0, spread, (len(vocabulary) + 1, vectors.width)).astype(np.float32)
    table[0] = 0.0
    rows = np.concatenate([[-1], _find(vocabulary.tokens, vectors, vocabulary.tokenizer.lowercase)])
    known = rows >= 0
    table[known] = vectors.matrix[rows[known]]
    special = len(SPECIAL_TOKENS)
    if not known[special + 1 :].any():
        found = f"{vectors.source.name} has no token in common with the training text"
        expected = "tokens such as " + ", ".join(f"'{token}'" for token in vocabulary.tokens[special : special + 5])
        remedy = "give vectors of the same language and the same upper or lower case"
        raise DataError(found, where=vectors.source, expected=expected, remedy=remedy)
    return table, known


def static_embedder(vectors: StaticVectors, vocabulary: Vocabulary, seed: int) -> Embedder:
    """An embedder that looks vectors up, in a biLM's place; see `table_for`."""
    table, _ = table_for(vocabulary, vectors, seed)
    network = StaticTable(torch.from_numpy(table)).eval()
    return Embedder.of(network, vocabulary, vocabulary.tokenizer, vectors.source.stem)


@dataclass(frozen=True)
class Coverage:
    """How much of a corpus has a vector, in distinct types and in running tokens."""

    types: int
    types_found: int
    tokens: int
    tokens_found: int


def coverage(vectors: StaticVectors, corpus: EncodedCorpus, lowercase: bool = False) -> Coverage:
    """Count the tokens of a corpus that have a vector; `lowercase` as for a vocabulary that lower-cases."""
    counts = corpus.counts()
    seen = np.flatnonzero(counts)
    found = _find([corpus.types[number] for number in seen.tolist()], vectors, lowercase) >= 0
    return Coverage(len(seen), int(found.sum()), int(counts.sum()), int(counts[seen][found].sum()))


def _find(tokens: Sequence[str], vectors: StaticVectors, lowercase: bool) -> NDArray[np.int64]:
    """Row of each token, -1 where there is none."""
    rows = vectors.rows
    # From the end, so that the first token of the file counts.
    lowered = {_composed(token.lower()): row for token, row in reversed(rows.items())} if lowercase else {}
    composed = {_composed(token): row for token, row in reversed(rows.items()) if not token.isascii()}

    def find(token: str) -> int:
        form = _composed(token)
        return rows.get(token, composed.get(form, lowered.get(form, -1)))

    return np.array([find(token) for token in tokens], dtype=np.int64)


def _composed(token: str) -> str:
    """A token in NFC, which most are."""
    return token if token.isascii() else unicodedata.normalize("NFC", token)
