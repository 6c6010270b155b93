"""Schemes of spans: round trips, hand-made traps, and the reading of conlleval as seqeval has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB1, IOB2, IOBES, Entities

from elmo_cli.config.choices import Scheme
from elmo_cli.data.schemes import IllegalTag, Span, detect_scheme, lenient_spans, read_spans, write_tags
from elmo_cli.data.tag_set import UNSEEN, TagSet
from elmo_cli.data.tagged import TaggedSentence
from elmo_cli.errors import DataError

SCHEMES: tuple[Scheme, ...] = ("iob1", "iob2", "bioes", "bilou")


@st.composite
def sentences(draw: st.DrawFn) -> tuple[list[Span], int]:
    """Spans of up to three tokens with gaps between some of them."""
    spans, place = [], 0
    for _ in range(draw(st.integers(0, 5))):
        start = place + draw(st.integers(0, 2))
        place = start + draw(st.integers(1, 3))
        spans.append(Span(start, place, draw(st.sampled_from(["PER", "LOC"]))))
    return spans, place + draw(st.integers(0, 2))


@given(sentences())
def test_every_scheme_says_the_same_spans(sentence: tuple[list[Span], int]) -> None:
    spans, length = sentence
    for scheme in SCHEMES:
        tags = write_tags(spans, length, scheme)
        assert read_spans(tags, scheme) == spans
        assert lenient_spans(tags) == spans


@given(sentences())
def test_legal_tags_are_those_of_seqeval(sentence: tuple[list[Span], int]) -> None:
    spans, length = sentence
    for ours, theirs in (("iob1", IOB1), ("iob2", IOB2), ("bioes", IOBES)):
        (found,) = Entities([write_tags(spans, length, ours)], theirs).entities  # type: ignore[arg-type]
        assert [(one.start, one.end, one.tag) for one in found] == [tuple(span) for span in spans]


@given(st.lists(st.sampled_from(["O", *(f"{letter}-{kind}" for letter in "BIES" for kind in "XY")]), max_size=8))
def test_any_tags_are_read_as_conlleval_reads_them(tags: list[str]) -> None:
    assert [(span.type, span.start, span.stop - 1) for span in lenient_spans(tags)] == get_entities(tags)


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("O I-X O", [(1, 2, "X")]),  # I after O
        ("B-X I-Y", [(0, 1, "X"), (1, 2, "Y")]),  # the type changes inside
        ("B-X B-X", [(0, 1, "X"), (1, 2, "X")]),
        ("B-X E-X I-X", [(0, 2, "X"), (2, 3, "X")]),
        ("S-X I-X", [(0, 1, "X"), (1, 2, "X")]),
    ],
)
def test_traps_of_lenient_reading(tags: str, spans: list[tuple[int, int, str]]) -> None:
    assert lenient_spans(tags.split()) == spans


@pytest.mark.parametrize(
    ("scheme", "tags", "place"),
    [
        ("iob2", "O I-X", 1),
        ("iob2", "B-X I-Y", 1),
        ("iob1", "O B-X", 1),
        ("iob2", "B-X E-X", 1),
        ("iob2", "B-X NN", 1),
        ("bioes", "B-X O", 1),
        ("bioes", "O B-X", 1),
        ("bioes", "S-X I-X E-X", 1),
        ("bioes", "B-X E-Y", 1),
        ("bilou", "B-X I-X U-X", 2),
    ],
)
def test_illegal_tags_are_found(scheme: Scheme, tags: str, place: int) -> None:
    with pytest.raises(IllegalTag) as caught:
        read_spans(tags.split(), scheme)
    assert caught.value.token == place


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["I-X I-X B-X O I-Y"], "iob1"),
        (["B-X I-X B-X O B-Y"], "iob2"),
        (["B-X O B-X", "I-X B-X O B-X"], "iob2"),  # broken once, as IOB1 more often
        (["B-X E-X O S-Y"], "bioes"),
        (["S-X O"], "bioes"),
        (["B-X L-X O U-Y"], "bilou"),
        (["DT NN VBD"], "plain"),
        (["B-X NN"], "plain"),
        (["O O"], "plain"),
        (["B-X M-X"], "plain"),
    ],
)
def test_the_scheme_is_found_out(tags: list[str], scheme: Scheme) -> None:
    assert detect_scheme(one.split() for one in tags) == scheme


def sentence(tags: str) -> TaggedSentence:
    split = tuple(tags.split())
    return TaggedSentence(split, split, range(5, 5 + len(split)), 5)


def test_a_tag_set_learns_bioes_and_writes_the_files_own() -> None:
    tag_set = TagSet.of([sentence("I-X I-X O I-Y B-Y")], "auto")
    assert (tag_set.scheme, tag_set.kinds) == ("iob1", ("X", "Y"))
    given = sentence("I-Y I-Y O I-X B-X")
    numbers = tag_set.encode(given, Path("a"))
    assert [tag_set.names[number] for number in numbers] == ["B-Y", "E-Y", "O", "S-X", "S-X"]
    assert tag_set.decode(numbers) == list(given.tags)
    assert tag_set.encode(sentence("I-Z O"), Path("a")) == [UNSEEN, 0]
    with pytest.raises(DataError) as caught:
        tag_set.encode(sentence("O B-X"), Path("a"))
    assert caught.value.where == "a, line 6"


def test_transitions_are_those_of_the_scheme() -> None:
    tag_set = TagSet("iob2", ("X", "Y"))
    names, allowed = (*tag_set.names, "end"), tag_set.allowed()
    following = {one: {names[j] for j, may in enumerate(row) if may} for one, row in zip(names, allowed, strict=True)}
    closed = {"O", "B-X", "B-Y", "S-X", "S-Y", "end"}
    inside = {"B-X": {"I-X", "E-X"}, "I-X": {"I-X", "E-X"}, "B-Y": {"I-Y", "E-Y"}, "I-Y": {"I-Y", "E-Y"}}
    assert following == {name: inside.get(name, closed) for name in names}
    assert all(map(all, TagSet("plain", ("DT", "NN")).allowed()))
