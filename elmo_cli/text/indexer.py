"""From type numbers to what a token encoder reads: vocabulary ids, characters of a batch's distinct tokens, or both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from elmo_cli.config import EncoderKind, ModelSettings
from elmo_cli.text.characters import character_ids, pack_characters
from elmo_cli.text.encoded import BOS, BOS_TOKEN, EOS, EOS_TOKEN, PAD, EncodedCorpus
from elmo_cli.text.vocabulary import Vocabulary


class Indexed(NamedTuple):
    """A batch for a token encoder.

    For words, `ids` are vocabulary ids and there are no characters. For characters, `ids` are rows of `characters`,
    whose row 0 is padding. For both, `words` has the vocabulary id of each row of `characters`.
    """

    ids: NDArray[np.int64]  # any shape
    characters: NDArray[np.int64] | None  # (U, C)
    words: NDArray[np.int64] | None = None  # (U,)


class TypeTable:
    """The types of one corpus, looked up once."""

    def __init__(self, ids: NDArray[np.int64] | None, characters: NDArray[np.int16] | None) -> None:
        self._ids = ids  # (types,)
        self._characters = characters  # (types, C)

    def index(self, numbers: NDArray[np.integer]) -> Indexed:
        """What the token encoder reads for an array of type numbers of any shape."""
        if self._characters is None:
            assert self._ids is not None  # a table holds one of the two
            return Indexed(self._ids[numbers], None)
        distinct, rows = np.unique(np.append(numbers.ravel(), PAD), return_inverse=True)
        ids = rows[:-1].reshape(numbers.shape).astype(np.int64, copy=False)
        words = None if self._ids is None else self._ids[distinct]
        return Indexed(ids, self._characters[distinct].astype(np.int64), words)


class Indexer:
    """How an embedder reads tokens."""

    def __init__(
        self,
        encoder: EncoderKind,
        framed: bool,
        vocabulary: Vocabulary | None,
        max_characters: int = 50,
        alphabet: str | None = None,
        *,
        cut_words: bool = False,
    ) -> None:
        if encoder != "char" and vocabulary is None:
            raise ValueError("a word encoder needs a vocabulary")
        self.encoder = encoder
        self.framed = framed  # whether sentences stand between `<S>` and `</S>`: not for a static table
        self.vocabulary = vocabulary  # an encoder of characters alone needs none
        self.max_characters = max_characters  # C
        self.alphabet = alphabet  # the characters that are read; None reads bytes
        self.cut_words = cut_words  # whether a word is looked up by its first C - 2 characters

    @classmethod
    def of(cls, settings: ModelSettings, vocabulary: Vocabulary | None) -> Indexer:
        """That of a biLM."""
        chars, encoder = settings.characters, settings.encoder
        return cls(encoder, True, vocabulary, chars.max_characters, chars.alphabet, cut_words=chars.cut_words)

    def table(self, types: Sequence[str]) -> TypeTable:
        """Look up the types of a corpus, so that its batches are mere array indexing."""
        characters = None if self.encoder == "word" else pack_characters(types, self.max_characters, self.alphabet)
        return TypeTable(self.word_ids(types), characters)

    def character_ids(self, types: Sequence[str]) -> NDArray[np.int64]:
        """(types, C) what an encoder of characters reads."""
        return character_ids(types, self.max_characters, self.alphabet)

    def word_ids(self, types: Sequence[str]) -> NDArray[np.int64] | None:
        """(types,) vocabulary ids, where the encoder has a table of words."""
        if self.encoder == "char":
            return None
        assert self.vocabulary is not None  # held by the constructor
        if self.cut_words:
            marks, room = (BOS_TOKEN, EOS_TOKEN), self.max_characters - 2
            types = [token if token in marks else token[:room] for token in types]
        return self.vocabulary.lookup(types)


def frame(
    corpus: EncodedCorpus, sentences: Sequence[int] | NDArray[np.integer], framed: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pad the sentences of (B,) indices to one array, framed by `<S>` and `</S>` or not.

    Returns:
        Type numbers (B, T), or (B, T + 2) with the frame, filled up with 0; and (B,) lengths without the frame.
    """
    chosen = np.asarray(sentences, dtype=np.int64)
    lengths = corpus.offsets[chosen + 1] - corpus.offsets[chosen]
    return stretch(corpus, chosen, 0, int(lengths.max(initial=0)) + 2 * framed, framed), lengths


def stretch(
    corpus: EncodedCorpus, sentences: NDArray[np.int64], start: int, stop: int, framed: bool, *, backward: bool = False
) -> NDArray[np.int64]:
    """Steps `start` to `stop` of the sentences of (B,) indices, as a network reads them.

    Step 0 is the first token, or `<S>` where sentences are framed; backward, the last, or `</S>`.

    Returns:
        (B, stop - start) type numbers, 0 where a sentence has ended.
    """
    edge = 1 if framed else 0
    begins = corpus.offsets[sentences][:, None]
    lengths = corpus.offsets[sentences + 1][:, None] - begins
    places = np.broadcast_to(np.arange(start, stop) - edge, (len(sentences), stop - start))  # of a token
    if backward:
        places = lengths - 1 - places
    numbers = np.full(places.shape, PAD, dtype=np.int64)
    inside = (places >= 0) & (places < lengths)
    numbers[inside] = corpus.tokens[(begins + places)[inside]]
    if framed:
        numbers[places == -1] = BOS
        numbers[places == lengths] = EOS
    return numbers
