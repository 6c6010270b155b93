"""From a text to batches: read in pieces, so that memory follows the budget, and cut into batches by a plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from elmo_cli.errors import ConfigError
from elmo_cli.text.batches import length_batches
from elmo_cli.text.encoded import EncodedCorpus, encode_tokens
from elmo_cli.text.tokenizer import Tokenizer

DEFAULT_BATCH_TOKENS = 4096
SMALLEST_BATCH_TOKENS = 3  # a token and its frame
PIECE_BATCHES = 32  # of the text that is read at once, so that there are sentences of similar length in it
# So many documents beyond the budget are run side by side, in windows of at least so many steps.
LONG_ROWS, LONG_STEPS = 16, 256


@dataclass(frozen=True)
class Plan:
    """How sentences are put in batches.

    Attributes:
        batch_size: Sentences of a batch in the order of the input; None: batches of similar length.
        max_cells: Of a batch, or of one of its windows.
        ordered: Whether sentences are written in their order, so that those that wait for their turn must be few.
    """

    batch_size: int | None
    max_cells: int
    ordered: bool = False

    @property
    def rows(self) -> int:
        """Long documents that are run side by side."""
        return max(1, min(LONG_ROWS, self.max_cells // LONG_STEPS))

    def is_enough(self, sentences: int, cells: int) -> bool:
        """Whether so many sentences of so many cells are a piece; in the order of the input, it ends no batch."""
        if self.batch_size is not None and sentences % self.batch_size:
            return False
        if self.ordered and self.batch_size is not None:
            return True
        return cells >= self.max_cells * (1 if self.ordered else PIECE_BATCHES)

    def batches(self, corpus: EncodedCorpus) -> list[NDArray[np.int64]]:
        """Sentence indices of each batch."""
        if self.batch_size is not None:
            return in_order(corpus, self.batch_size)
        cells = corpus.lengths + 2
        long = np.flatnonzero(cells > self.max_cells // self.rows)
        short = np.flatnonzero(cells <= self.max_cells // self.rows)
        batches = [short[batch] for batch in length_batches(cells[short], self.max_cells)]
        long = long[np.argsort(cells[long], kind="stable")]
        return batches + [long[start : start + self.rows] for start in range(0, len(long), self.rows)]


def make_plan(batch_size: int | None, batch_tokens: int | None, stateful: bool, *, ordered: bool) -> Plan:
    """The plan for what was asked.

    Args:
        batch_size: Sentences of a batch in the order of the input; None: batches of similar length.
        batch_tokens: Cells of a batch; None: the default budget.
        stateful: Whether the LSTM state goes on from batch to batch, row by row.
        ordered: See `Plan`.

    Raises:
        ConfigError: These contradict each other, or the budget is too small for any sentence.
    """
    if batch_size is not None and batch_tokens is not None:
        raise ConfigError(
            "--batch-size and --batch-tokens exclude each other",
            expected="one of them",
            remedy="leave one of the two out",
        )
    if stateful and batch_size is None:
        raise ConfigError(
            "--stateful needs --batch-size: which sentences follow each other depends on it",
            expected="--batch-size N",
            remedy="add --batch-size, as the embeddings to agree with were computed",
        )
    if batch_tokens is not None and batch_tokens < SMALLEST_BATCH_TOKENS:
        raise ConfigError(
            f"--batch-tokens {batch_tokens} is too small for any sentence",
            expected=f"at least {SMALLEST_BATCH_TOKENS}: a token between <S> and </S>",
            remedy="leave --batch-tokens out",
        )
    # A batch of so many sentences may be of any length; it is run in windows of no less than a step.
    return Plan(batch_size, batch_tokens or DEFAULT_BATCH_TOKENS * (1 if batch_size is None else 4), ordered)


class Piece(NamedTuple):
    """Some consecutive sentences."""

    texts: list[str]
    corpus: EncodedCorpus
    last: bool  # whether the input ends here


def read_pieces(texts: Iterable[str], tokenize: Tokenizer, plan: Plan) -> Iterator[Piece]:
    """Read the sentences as far as some batches need them, and no further: the next one may be long in coming."""
    source, last = iter(texts), False
    while not last:
        held: list[str] = []

        def tokens(held: list[str] = held) -> Iterator[list[str]]:
            nonlocal last
            cells = 0
            for text in source:
                held.append(text)
                found = tokenize(text)
                cells += len(found) + 2
                yield found
                if plan.is_enough(len(held), cells):
                    return
            last = True

        corpus = encode_tokens(tokens())
        if held:
            yield Piece(held, corpus, last)


def in_order(corpus: EncodedCorpus, batch_size: int) -> list[NDArray[np.int64]]:
    """Batches of so many sentences in the order of the corpus."""
    everything = np.arange(len(corpus))
    return [everything[start : start + batch_size] for start in range(0, len(corpus), batch_size)]
