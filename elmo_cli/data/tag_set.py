"""The tags of a tagger: numbers of what is learned, tags of what is read and written.

Plain tags are learned as they stand. Spans are learned as BIOES, whatever the file's scheme, with all four tags of
every type, so that there is a tag for a span of any length; what is written has the file's scheme again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from elmo_cli.config.choices import Scheme, SchemeChoice
from elmo_cli.data.schemes import (
    OUTSIDE,
    IllegalTag,
    detect_scheme,
    lenient_spans,
    parts_of,
    read_spans,
    write_tags,
)
from elmo_cli.data.tagged import TaggedSentence
from elmo_cli.errors import DataError, nearest, printable

LEARNED: Final = "bioes"
UNSEEN = -1  # the number of a tag that training never saw


@dataclass(frozen=True)
class TagSet:
    """What a tagger tells apart.

    Attributes:
        scheme: Of the training file, and so of every file that is tagged like it, and of what is written.
        kinds: The tags themselves where they are plain, else the types of spans.
    """

    scheme: Scheme
    kinds: tuple[str, ...]

    @classmethod
    def of(cls, sentences: Sequence[TaggedSentence], choice: SchemeChoice) -> TagSet:
        """The tags of a training file, whose scheme is found out unless it is said."""
        scheme: Scheme = detect_scheme(one.tags for one in sentences) if choice == "auto" else choice
        tags = {tag for one in sentences for tag in one.tags}
        if scheme == "plain":
            return cls(scheme, tuple(sorted(tags)))
        return cls(scheme, tuple(sorted({parts_of(tag)[1] for tag in tags} - {""})))

    @property
    def marks_spans(self) -> bool:
        """Whether tags mark spans."""
        return self.scheme != "plain"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The learned tags by their number."""
        if not self.marks_spans:
            return self.kinds
        return (OUTSIDE, *(f"{letter}-{kind}" for kind in self.kinds for letter in "BIES"))

    def encode(self, sentence: TaggedSentence, path: Path) -> list[int]:
        """Numbers of the tags of a sentence; `UNSEEN` for a tag, or a type of span, that training never saw.

        Raises:
            DataError: A tag may not stand where it does.
        """
        learned: Sequence[str] = sentence.tags
        if self.marks_spans:
            try:
                spans = read_spans(sentence.tags, self.scheme)
            except IllegalTag as error:
                raise self._illegal(sentence, error, path) from None
            learned = write_tags(spans, len(sentence.tags), LEARNED)
        return [self._numbers.get(tag, UNSEEN) for tag in learned]

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Tags as the file writes them; spans that are none by the rules are read as conlleval reads them."""
        names = self.names
        learned = [names[number] for number in numbers]
        return write_tags(lenient_spans(learned), len(learned), self.scheme) if self.marks_spans else learned

    def allowed(self) -> list[list[bool]]:
        """[i][j]: whether tag j may follow tag i; the last row is of what begins a sentence, the last column of ends.

        Plain tags may follow each other as they like.
        """
        ends = (*self.names, OUTSIDE)  # beyond either end of a sentence, as if there were a token outside
        return [[not self.marks_spans or _may_follow(one, other) for other in ends] for one in ends]

    def kind_of(self, tag: str) -> str:
        """The type of the span that a tag of a file belongs to, or the tag itself where tags are plain."""
        return parts_of(tag)[1] if self.marks_spans else tag

    def unseen(self, sentence: TaggedSentence, place: int, path: Path) -> DataError:
        """The error for a token whose tag training never saw."""
        kind = self.kind_of(sentence.tags[place])
        return DataError(
            f"training never saw the {'type' if self.marks_spans else 'tag'} '{printable(kind)}'",
            where=sentence.where(path, place),
            expected=", ".join(self.kinds[:20]) + (f" and {len(self.kinds) - 20} more" if len(self.kinds) > 20 else ""),
            remedy=f"{nearest(kind, self.kinds)}; or name the column of the tags (setting tag.tags)",
        )

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.names)}

    def _illegal(self, sentence: TaggedSentence, error: IllegalTag, path: Path) -> DataError:
        tag = printable(sentence.tags[error.token])
        return DataError(
            f"the tag '{tag}' of '{printable(sentence.tokens[error.token])}' may not stand here: {error.reason}",
            where=sentence.where(path, error.token),
            expected=f"spans in {self.scheme.upper()}, the scheme of the training file",
            remedy="correct it, or give the scheme with --set tag.scheme=..., where plain takes tags as they stand",
        )


def _may_follow(one: str, other: str) -> bool:
    """Whether a learned tag may follow another one: an open span goes on, and nothing but a span's begin opens one."""
    (letter, kind), (next_letter, next_kind) = parts_of(one), parts_of(other)
    if letter in "BI":
        return next_letter in "IE" and next_kind == kind
    return next_letter in (OUTSIDE, "B", "S")
