"""From a text to batches: read in pieces, so that memory follows the budget, and cut into batches.

A cell is the place of a token in a batch, with those of `<S>`, `</S>` and the padding.
"""

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


class Piece(NamedTuple):
    """Some consecutive sentences."""

    texts: list[str]
    corpus: EncodedCorpus
    last: bool  # whether the input ends here


@dataclass(frozen=True)
class Batching:
    """How sentences are read and put in batches.

    Attributes:
        batch_size: Sentences of a batch in the order of the input; None: batches of similar length.
        batch_tokens: Cells of a batch of similar length; None: the default budget.
        stateful: Whether the LSTM state goes on from batch to batch, row by row.
        ordered: Whether sentences are written in their order, so that those that wait for their turn must be few.

    Raises:
        ConfigError: These contradict each other, or the budget is too small for any sentence.
    """

    batch_size: int | None
    batch_tokens: int | None
    stateful: bool
    ordered: bool

    def __post_init__(self) -> None:
        if self.batch_size is not None and self.batch_tokens is not None:
            raise ConfigError(
                "--batch-size and --batch-tokens exclude each other",
                expected="one of them",
                remedy="leave one of the two out",
            )
        if self.stateful and self.batch_size is None:
            raise ConfigError(
                "--stateful needs --batch-size: which sentences follow each other depends on it",
                expected="--batch-size N",
                remedy="add --batch-size, as the embeddings to agree with were computed",
            )
        if self.batch_tokens is not None and self.batch_tokens < SMALLEST_BATCH_TOKENS:
            raise ConfigError(
                f"--batch-tokens {self.batch_tokens} is too small for any sentence",
                expected=f"at least {SMALLEST_BATCH_TOKENS}: a token between <S> and </S>",
                remedy="leave --batch-tokens out",
            )

    @property
    def max_cells(self) -> int:
        """The most cells of a batch, or of one of its windows."""
        # A batch of so many sentences may be of any length; it is run in windows of no less than a step.
        return self.batch_tokens or DEFAULT_BATCH_TOKENS * (1 if self.batch_size is None else 4)

    @property
    def longest(self) -> int:
        """Cells of the longest sentence that is run whole, not in windows."""
        return self.max_cells // (self.batch_size or self._long_rows)

    @property
    def _long_rows(self) -> int:
        return max(1, min(LONG_ROWS, self.max_cells // LONG_STEPS))

    def pieces(self, texts: Iterable[str], tokenize: Tokenizer) -> Iterator[Piece]:
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
                    if self._is_enough(len(held), cells):
                        return
                last = True

            corpus = encode_tokens(tokens())
            if held:
                yield Piece(held, corpus, last)

    def _is_enough(self, sentences: int, cells: int) -> bool:
        """Whether so many sentences of so many cells are a piece."""
        if self.batch_size is not None and sentences % self.batch_size:
            return False  # the end of a piece would end a batch that goes on
        if self.ordered and self.batch_size is not None:
            return True
        return cells >= self.max_cells * (1 if self.ordered else PIECE_BATCHES)

    def batches(self, corpus: EncodedCorpus) -> list[NDArray[np.int64]]:
        """Sentence indices of each batch."""
        if self.batch_size is not None:
            return in_order(corpus, self.batch_size)
        cells = corpus.lengths + 2
        # Long ones apart: beside a short one, most of a window would be padding.
        is_long = cells > self.longest
        short, long = np.flatnonzero(~is_long), np.flatnonzero(is_long)
        batches = [short[batch] for batch in length_batches(cells[short], self.max_cells)]
        long, rows = long[np.argsort(cells[long], kind="stable")], self._long_rows
        return batches + [long[start : start + rows] for start in range(0, len(long), rows)]


def in_order(corpus: EncodedCorpus, batch_size: int) -> list[NDArray[np.int64]]:
    """Batches of so many sentences in the order of the corpus."""
    everything = np.arange(len(corpus))
    return [everything[start : start + batch_size] for start in range(0, len(corpus), batch_size)]
