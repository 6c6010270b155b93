"""A corpus as numbers: every token one `int32`, every distinct token (a *type*) kept once.

Types are numbered in order of appearance; numbers belong to one corpus and are not vocabulary ids. The first three are
reserved: 0 pads, 1 begins and 2 ends a sentence, so that batches and streams need no vocabulary.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

PAD, BOS, EOS, UNK = 0, 1, 2, 3
BOS_TOKEN, EOS_TOKEN, UNK_TOKEN = "<S>", "</S>", "<UNK>"
RESERVED_TYPES = ("", BOS_TOKEN, EOS_TOKEN)

_COUNTED_AT_ONCE = 1 << 20  # tokens


@dataclass(frozen=True, eq=False)
class EncodedCorpus:
    """Sentences (or texts) as type numbers, end to end; the arrays may lie in files that are mapped into memory."""

    types: Sequence[str]  # the distinct tokens by their number; the first three are `RESERVED_TYPES`
    tokens: NDArray[np.int32]  # (N,) type numbers
    offsets: NDArray[np.int64]  # (S + 1,); sentence i is `tokens[offsets[i]:offsets[i + 1]]`
    # Not an argument, so that `dataclasses.replace` forgets them.
    _counts: NDArray[np.int64] | None = field(default=None, init=False, repr=False)

    def __len__(self) -> int:
        """S, the number of sentences, empty ones included."""
        return len(self.offsets) - 1

    @property
    def token_count(self) -> int:
        """N, the number of tokens."""
        return int(self.offsets[-1] - self.offsets[0])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(S,) tokens of each sentence."""
        return np.diff(self.offsets)

    def sentence(self, index: int) -> NDArray[np.int32]:
        """The type numbers of a sentence, as a view."""
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]

    def counts(self) -> NDArray[np.int64]:
        """(types,) how often each type occurs; counted once, and not to be written to."""
        if self._counts is None:
            counts = np.zeros(len(self.types), dtype=np.int64)
            # bincount makes int64 of what it counts: of a part at a time, not of a mapped file.
            for start in range(0, len(self.tokens), _COUNTED_AT_ONCE):
                counts += np.bincount(self.tokens[start : start + _COUNTED_AT_ONCE], minlength=len(counts))
            self.know_counts(counts)
        assert self._counts is not None  # set above
        return self._counts

    def know_counts(self, counts: NDArray[np.int64]) -> None:
        """Take note of counts that are known already."""
        counts.flags.writeable = False
        object.__setattr__(self, "_counts", counts)

    def slice(self, start: int, stop: int) -> EncodedCorpus:
        """The sentences from `start` up to `stop`, sharing types and tokens with this corpus."""
        start, stop, _ = slice(start, stop).indices(len(self))
        offsets = self.offsets[start : max(start, stop) + 1]
        tokens = self.tokens[offsets[0] : offsets[-1]]
        return EncodedCorpus(self.types, tokens, offsets - offsets[0] if offsets[0] else offsets)

    def split(self, at: int) -> tuple[EncodedCorpus, EncodedCorpus]:
        """The sentences before `at`, and those from there on; counts only the smaller part where the sum is known."""
        parts = self.slice(0, at), self.slice(at, len(self))
        if self._counts is not None:
            smaller, larger = sorted(parts, key=lambda part: part.token_count)
            larger.know_counts(self._counts - smaller.counts())
        return parts


def numbering() -> defaultdict[str, int]:
    """The number of each type; a new one gets the next number, without a line of Python."""
    numbers: defaultdict[str, int] = defaultdict(None, {token: number for number, token in enumerate(RESERVED_TYPES)})
    numbers.default_factory = numbers.__len__
    return numbers


def encode(texts: Iterable[str], tokenize: Callable[[str], list[str]]) -> EncodedCorpus:
    """Tokenise and number texts; a text without tokens stays, as an empty sentence, so that rows keep their place."""
    return encode_tokens(map(tokenize, texts))


def encode_tokens(sentences: Iterable[Sequence[str]]) -> EncodedCorpus:
    """Number sentences that are tokens already."""
    numbers = numbering()
    number_of = numbers.__getitem__
    tokens, offsets = array("i"), array("q", [0])
    for sentence in sentences:
        tokens.extend(map(number_of, sentence))
        offsets.append(len(tokens))
    return EncodedCorpus(tuple(numbers), np.array(tokens, dtype=np.int32), np.array(offsets, dtype=np.int64))
