"""Patterns of other people: they match what Python's `re` matches, in a bounded time."""

from __future__ import annotations

import random
import re
import time
import warnings

import pytest

from elmo_cli.errors import ConfigError
from elmo_cli.text.patterns import TimedPattern

ATOMS = [
    r"\w", r"\W", r"\s", r"\S", r"\d", r"\D", r"[^\W\d_]", r"[\w'-]", r"[^\w\s]", r"[^\s,.]", r"[\W_]", r"[^\S\n]", "a",
    "é", "[a-z]", "[]a]", "[^]a]", r"[\]x]", r"\b", r"\B", "^", "$", ".", "(a|b)", "(?:x|y)", r"(?=\w)", r"(?<!a)",
    r"\.", "[[a]", "(?i:A)", r"\x41", "[.,&&]", "-",
]  # fmt: skip
REPEATS = ["", "", "", "+", "*", "?", "{2}", "{1,3}", "{,2}", "+?", "*?"]
SIGNS = "aAbxyé1²٣_ \n\x1c\u0301ा'-.,中\u200d&[]z/"


def draw_pattern(draw: random.Random) -> str:
    return "|".join(
        "".join(draw.choice(ATOMS) + draw.choice(REPEATS) for _ in range(draw.randint(1, 4)))
        for _ in range(draw.randint(1, 2))
    )


def test_it_matches_what_re_matches() -> None:
    draw, compared = random.Random(3), 0
    while compared < 3000:
        pattern, text = draw_pattern(draw), "".join(draw.choice(SIGNS) for _ in range(15))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                expected = [match.group() for match in re.finditer(pattern, text) if match.group()]
            except re.error:
                continue
            assert TimedPattern(pattern).findall(text) == expected, (pattern, text)
        compared += 1


@pytest.mark.parametrize("sign", ["²", "\u0301", "\x1c", "_", "ा", "\u200d"])
def test_words_and_spaces_are_those_of_re(sign: str) -> None:
    for pattern in (r"\w", r"\s", r"[\w]", r"[^\W]", r"[^\S]", r"\W", r"\S", r"(?a)\w", r"\b\w", r"a\b"):
        assert TimedPattern(pattern).findall(f"a{sign}") == re.findall(pattern, f"a{sign}"), pattern


def test_what_takes_forever_is_stopped() -> None:
    began = time.process_time()
    with pytest.raises(ConfigError, match="was stopped after") as caught:
        TimedPattern(r"(a|aa)+$").findall("a" * 60 + "b")
    assert time.process_time() - began < 10
    assert caught.value.remedy


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        r"\p{L}",
        "a{2,1}",
        r"((a{1000}){1000}){1000}",
        "(?:a{0,60000}){0,60000}",
        "a" * 20_000,
        "(" * 500 + ")" * 500,
    ],
)
def test_what_is_no_pattern_or_too_large_a_one_is_named_in_short(pattern: str) -> None:
    with pytest.raises(ConfigError, match="no regular expression") as caught:
        TimedPattern(pattern)
    assert len(str(caught.value)) < 1000
