"""Character ids of ELMo's character CNN: the UTF-8 bytes of a token, or its Unicode characters, between two marks.

As in docs/explanation/formats.md#character-ids:

    [begin of word, up to C - 2 bytes, end of word, padding, ...] + 1

`<S>` and `</S>` have a code of their own in place of bytes; 0, after the shift by one, is a masked character. Of an
alphabet of n characters, codes 0 to n - 1 are theirs, n is any other, and the marks follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from elmo_cli.text.encoded import BOS_TOKEN, EOS_TOKEN

BYTES = 256  # codes before the shift; the marks follow


def character_ids(types: Sequence[str], max_characters: int, alphabet: str | None = None) -> NDArray[np.int64]:
    """(types, C) character ids, C = `max_characters` with the marks; a row of zeros for the empty string: padding.

    Longer tokens are cut after C - 2 bytes, wherever that falls in a character; with an alphabet, after as many
    characters.
    """
    return pack_characters(types, max_characters, alphabet).astype(np.int64)


def pack_characters(types: Sequence[str], max_characters: int, alphabet: str | None = None) -> NDArray[np.int16]:
    """The same in a quarter of the memory, for whole corpora of types."""
    room = max_characters - 2
    if alphabet is None:
        encoded = [token.encode("utf-8", "replace")[:room] for token in types]
        lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
        codes: NDArray[np.integer] = np.frombuffer(b"".join(encoded), dtype=np.uint8)
        marks = BYTES
    else:
        cut = [token[:room] for token in types]
        lengths = np.fromiter(map(len, cut), dtype=np.int64, count=len(cut))
        codes, marks = _codes("".join(cut), alphabet), len(alphabet) + 1
    begin_sentence, end_sentence, begin_word, end_word, padding = range(marks, marks + 5)
    rows = np.full((len(lengths), max_characters), padding, dtype=np.int16)
    rows[:, 0] = begin_word
    column = np.arange(room)
    rows[:, 1:-1][column < lengths[:, None]] = codes
    rows[np.arange(len(lengths)), lengths + 1] = end_word
    for number, token in enumerate(types):
        if token in (BOS_TOKEN, EOS_TOKEN):
            rows[number] = padding
            rows[number, :3] = begin_word, begin_sentence if token == BOS_TOKEN else end_sentence, end_word
    rows += 1
    rows[lengths == 0] = 0
    return rows


def _codes(text: str, alphabet: str) -> NDArray[np.int64]:
    """The place in the alphabet of each character; the alphabet's length of one that is not there."""
    known, places = _ordered(alphabet)
    points = _points(text)
    found = np.searchsorted(known, points).clip(max=len(known) - 1)
    return np.where(known[found] == points, places[found], len(alphabet))


@lru_cache(maxsize=4)
def _ordered(alphabet: str) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The characters of an alphabet by their numbers, and the place of each in it."""
    points = _points(alphabet)
    places = np.argsort(points)
    return points[places], places


def _points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
