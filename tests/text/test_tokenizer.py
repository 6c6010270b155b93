"""Tokenizers: hand-made cases of real news text, and that nothing but whitespace is ever lost."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_cli.config import TokenizerSettings
from elmo_cli.errors import ConfigError
from elmo_cli.text import tokenizer as module
from elmo_cli.text.tokenizer import Tokenizer

CASES = [
    ("On Sept. 11, 2001", "On|Sept.|11|,|2001"),
    ("The U.S. didn't pay.", "The|U.S.|didn't|pay|."),
    ("U.S.-led forces left the U.S.", "U.S.-led|forces|left|the|U.S."),
    ("the U.S, the U.S.A and the U.S.Army", "the|U.S|,|the|U.S.A|and|the|U.S|.|Army"),
    ("costs $10.5 or £3.2bn, up 50%", "costs|$|10.5|or|£|3.2bn|,|up|50|%"),
    ("AT&T's x-ray of S&P 500", "AT&T|'s|x-ray|of|S&P|500"),
    ("the players' union said 'no'", "the|players|'|union|said|'|no|'"),
    ("It’s O’Neal", "It|’s|O’Neal"),
    ("beat them 4-2 (7-6, 6-1) at 10:30 p.m.", "beat|them|4-2|(|7-6|,|6-1|)|at|10:30|p.m."),
    ("hit .300 on 9/11...then -- stopped", "hit|.300|on|9/11|...|then|--|stopped"),
    ("George W. Bush and I. Mr. Smith of Acme Corp.", "George|W.|Bush|and|I|.|Mr.|Smith|of|Acme|Corp."),
    ("(SPACE.com) Amazon.com's end.The next", "(|SPACE.com|)|Amazon.com|'s|end|.|The|next"),
    (
        "see http://www.reuters.com/a?b=c, or mail a.b@bbc.co.uk.",
        "see|http://www.reuters.com/a?b=c|,|or|mail|a.b@bbc.co.uk|.",
    ),
    ("`` yes '' ``no''", "``|yes|''|``|no|''"),
    ("a 1,000-year-old 3.5-inch disk", "a|1,000-year-old|3.5-inch|disk"),
    (r"over\$50 C++", "over|\\|$|50|C|+|+"),
    ("हिन्दी 日本語 ❤️!", "हिन्दी|日|本|語|❤️|!"),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_words_of_news_text(text: str, expected: str) -> None:
    assert Tokenizer(TokenizerSettings())(text) == expected.split("|")


def test_words_composes_characters() -> None:
    assert Tokenizer(TokenizerSettings())("cafe\u0301") == ["caf\u00e9"]


def test_lowercase_keeps_the_splits_of_the_original() -> None:
    text = "George W. Bush met Mr. Smith at SPACE.com on Sept. 11"
    assert Tokenizer(TokenizerSettings(lowercase=True))(text) == [
        token.lower() for token in Tokenizer(TokenizerSettings())(text)
    ]


@settings(deadline=None)  # the first text of a rare script compiles its patterns
@given(st.text() | st.text(alphabet="aA1.,-'’&@:/$ \n\u0301é_"))
def test_words_lose_nothing_but_whitespace(text: str) -> None:
    tokens = Tokenizer(TokenizerSettings())(text)
    assert all(tokens)
    assert "".join(tokens) == "".join(unicodedata.normalize("NFC", text).split())


@settings(deadline=None)
@given(st.text(), st.text())
def test_words_of_a_text_are_those_of_its_parts(left: str, right: str) -> None:
    tokenize = Tokenizer(TokenizerSettings())
    assert tokenize(left + " " + right) == tokenize(left) + tokenize(right)


def test_words_are_the_same_once_no_more_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a b. c a b. c"
    expected = Tokenizer(TokenizerSettings())(text)
    monkeypatch.setattr(module, "REMEMBERED_CHUNKS", 1)
    assert Tokenizer(TokenizerSettings())(text) == expected == ["a", "b", ".", "c"] * 2


def test_remembered_tokens_are_not_shared_with_the_caller() -> None:
    tokenize = Tokenizer(TokenizerSettings())
    tokenize("word").append("changed")
    assert tokenize("word") == ["word"]


def test_long_chunks_take_linear_time() -> None:
    # Quadratic matching would take minutes here.
    text = "a." * 100_000 + "b" * 100_000 + "x-" * 50_000 + "1:" * 50_000
    assert "".join(Tokenizer(TokenizerSettings())(text)) == text


def test_whitespace_splits_only_there() -> None:
    assert Tokenizer(TokenizerSettings(kind="whitespace"))(" It 's , U.S.\t\u00a0x ") == ["It", "'s", ",", "U.S.", "x"]
    assert Tokenizer(TokenizerSettings(kind="whitespace", lowercase=True))("A b") == ["a", "b"]


def test_regex_takes_whole_matches_and_no_empty_ones() -> None:
    assert Tokenizer(TokenizerSettings(kind="regex", pattern=r"(\w)+|\d*"))("ab, c1") == ["ab", "c1"]
    assert Tokenizer(TokenizerSettings(kind="regex", pattern="[a-z]+", lowercase=True))("Ab") == ["ab"]


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        (TokenizerSettings(kind="regex", pattern="[a-"), "'[a-', which is no regular expression"),
        (TokenizerSettings(kind="regex"), "there is no tokenizer.pattern"),
        (TokenizerSettings(kind="words", pattern=r"\w"), "tokenizer.kind is words"),
        (TokenizerSettings(kind="whitespace", pattern=r"\w"), "tokenizer.kind is whitespace"),
    ],
)
def test_unusable_pattern(settings: TokenizerSettings, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Tokenizer(settings)
    assert part in caught.value.message
    assert caught.value.expected


@pytest.mark.parametrize(
    ("settings", "token", "expected"),
    [
        (TokenizerSettings(kind="words", lowercase=True), "Cafe\u0301", "caf\u00e9"),
        (TokenizerSettings(kind="whitespace", lowercase=True), "New York", "new york"),
        (TokenizerSettings(kind="whitespace"), "Cafe\u0301", "Cafe\u0301"),
    ],
)
def test_a_token_that_was_cut_elsewhere_gets_the_same_letters(
    settings: TokenizerSettings, token: str, expected: str
) -> None:
    assert Tokenizer(settings).normalise(token) == expected
