"""Character ids of ELMo's character CNN: the UTF-8 bytes of a token between two marks.

As in docs/explanation/formats.md#character-ids:

    [begin of word, up to C - 2 bytes, end of word, padding, ...] + 1

`<S>` and `</S>` have a code of their own in place of bytes; 0, after the shift by one, is a masked character.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from elmo_cli.text.encoded import BOS_TOKEN, EOS_TOKEN

# Codes before the shift; 0 to 255 are bytes.
BEGIN_SENTENCE, END_SENTENCE, BEGIN_WORD, END_WORD, PADDING = range(256, 261)


def character_ids(types: Sequence[str], max_characters: int) -> NDArray[np.int64]:
    """(types, C) character ids, C = `max_characters` with the marks; a row of zeros for the empty string: padding.

    Longer tokens are cut after C - 2 bytes, wherever that falls in a character.
    """
    return pack_characters(types, max_characters).astype(np.int64)


def pack_characters(types: Sequence[str], max_characters: int) -> NDArray[np.int16]:
    """The same in a quarter of the memory, for whole corpora of types."""
    room = max_characters - 2
    encoded = [token.encode("utf-8", "replace")[:room] for token in types]
    lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
    rows = np.full((len(encoded), max_characters), PADDING, dtype=np.int16)
    rows[:, 0] = BEGIN_WORD
    column = np.arange(room)
    rows[:, 1:-1][column < lengths[:, None]] = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    rows[np.arange(len(encoded)), lengths + 1] = END_WORD
    for number, token in enumerate(types):
        if token in (BOS_TOKEN, EOS_TOKEN):
            rows[number] = PADDING
            rows[number, :3] = BEGIN_WORD, BEGIN_SENTENCE if token == BOS_TOKEN else END_SENTENCE, END_WORD
    rows += 1
    rows[lengths == 0] = 0
    return rows
