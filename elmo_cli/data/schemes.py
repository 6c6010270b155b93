"""How tags mark spans: IOB1, IOB2, BIOES and BILOU, read into spans and written from them.

`B-X` begins a span of type X, `I-X` goes on with it, `O` is outside. IOB1 begins with `B-` only where a span follows
one of its own type (Ramshaw and Marcus 1995), IOB2 always. BIOES ends spans of several tokens with `E-` and has `S-`
for those of one; BILOU says `L-` and `U-` for these (Ratinov and Roth 2009).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from elmo_cli.config.choices import Scheme

OUTSIDE = "O"
_MARKED = re.compile(r"([A-Z])-(.+)", re.DOTALL)
# Letters for a span's begin, inside, end, and for all of it where it is one token.
_LETTERS: dict[Scheme, tuple[str, str, str, str]] = {
    "iob1": ("B", "I", "I", "B"),
    "iob2": ("B", "I", "I", "B"),
    "bioes": ("B", "I", "E", "S"),
    "bilou": ("B", "I", "L", "U"),
}


class Span(NamedTuple):
    """Tokens `start` up to `stop` of a sentence, and what they are."""

    start: int
    stop: int
    type: str


@dataclass(frozen=True)
class IllegalTag(Exception):  # noqa: N818 - a caller that knows the file makes an error of it
    """A tag that may not stand where it does."""

    token: int
    reason: str


def parts_of(tag: str) -> tuple[str, str]:
    """Letter and type of a tag, as conlleval reads it: what has no letter and hyphen is outside."""
    found = _MARKED.fullmatch(tag)
    return (found[1], found[2]) if found else (OUTSIDE, "")


def detect_scheme(sentences: Iterable[Sequence[str]]) -> Scheme:
    """The scheme of a file, by the tags of all its sentences: plain where some tag is no mark of a span.

    With `I-` and `B-` alone it is IOB2, if each span begins with `B-`, or else IOB1; of a file that keeps to neither,
    whichever it breaks less often.
    """
    letters: set[str] = set()
    broken: dict[Scheme, int] = {"iob2": 0, "iob1": 0}
    for tags in sentences:
        before = OUTSIDE, ""
        for tag in tags:
            letter, name = here = parts_of(tag)
            if letter == OUTSIDE and tag != OUTSIDE:
                return "plain"
            letters.add(letter)
            goes_on = before[0] != OUTSIDE and before[1] == name
            broken["iob2"] += letter == "I" and not goes_on
            broken["iob1"] += letter == "B" and not goes_on
            before = here
    if letters <= {OUTSIDE}:
        return "plain"
    exact: tuple[Scheme, ...] = ("bioes", "bilou")
    for scheme in exact:
        if letters & set(_LETTERS[scheme][2:]) and letters <= {OUTSIDE, *_LETTERS[scheme]}:
            return scheme
    return min(broken, key=lambda scheme: broken[scheme]) if letters <= {OUTSIDE, "B", "I"} else "plain"


def read_spans(tags: Sequence[str], scheme: Scheme) -> list[Span]:
    """The spans of a sentence whose tags keep to a scheme.

    Raises:
        IllegalTag: One does not.
    """
    begin, inside, end, single = _LETTERS[scheme]
    exact = scheme in ("bioes", "bilou")
    spans: list[Span] = []
    start: int | None = None  # of the span that is open
    before = OUTSIDE, ""
    for place, tag in enumerate([*tags, OUTSIDE]):
        letter, name = here = parts_of(tag)
        if letter == OUTSIDE and tag != OUTSIDE:
            raise IllegalTag(place, f"it is neither O nor one of {', '.join(sorted({*_LETTERS[scheme]}))} with a type")
        if letter not in (OUTSIDE, *_LETTERS[scheme]):
            raise IllegalTag(place, f"{scheme.upper()} has no {letter}-")
        goes_on = start is not None and letter in ({inside, end} if exact else {inside}) and before[1] == name
        if start is not None and not goes_on:
            if exact:
                raise IllegalTag(min(place, len(tags) - 1), f"the span of {before[1]} has no {end}-{before[1]}")
            spans.append(Span(start, place, before[1]))
            start = None
        if not goes_on and letter != OUTSIDE:
            if scheme != "iob1" and letter not in (begin, single):
                raise IllegalTag(place, f"no {begin}-{name} stands before it")
            if scheme == "iob1" and letter == begin and before[1] != name:
                raise IllegalTag(place, f"in IOB1 {begin}-{name} follows a span of {name} alone")
            start = place
        if exact and letter in (end, single):
            assert start is not None  # begun just now, or going on
            spans.append(Span(start, place + 1, name))
            start, here = None, (OUTSIDE, "")
        before = here
    return spans


def write_tags(spans: Iterable[Span], length: int, scheme: Scheme) -> list[str]:
    """The tags of a sentence of so many tokens with these spans, which must not overlap."""
    begin, inside, end, single = _LETTERS[scheme]
    tags = [OUTSIDE] * length
    for start, stop, name in sorted(spans):
        letters = [single] if stop - start == 1 else [begin, *[inside] * (stop - start - 2), end]
        if scheme == "iob1" and not (start and parts_of(tags[start - 1])[1] == name):
            letters[0] = inside
        tags[start:stop] = [f"{letter}-{name}" for letter in letters]
    return tags


def lenient_spans(tags: Sequence[str]) -> list[Span]:
    """The spans of any tags, as conlleval reads them: one begins where another type or a beginning letter stands."""
    return list(_lenient(tags))


def _lenient(tags: Sequence[str]) -> Iterator[Span]:
    start: int | None = None
    before, type_before = OUTSIDE, ""
    for place, tag in enumerate([*tags, OUTSIDE]):
        letter, name = parts_of(tag)
        ends = before in "ESLU" or letter in "BSU" or letter == OUTSIDE or name != type_before
        if start is not None and ends:
            yield Span(start, place, type_before)
            start = None
        if letter != OUTSIDE and start is None:
            start = place
        before, type_before = letter, name
