r"""Regular expressions of other people, matched in a bounded time.

A pattern may come with somebody else's run, and Python's `re` can take forever over a few letters, as with `(a+)+$`.
The `regex` package can be told when to stop, but its `\w`, `\s` and `\b` are of other characters (its `\w` takes
combining marks), and a vocabulary must go on cutting text as it always did. So these are written out as `re` has them.
It also multiplies counted repetitions out, `(a{1000}){1000}`, so their product is bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elmo_cli.errors import ConfigError, printable

if TYPE_CHECKING:
    import regex

_LONGEST = 10_000  # characters of a pattern
_MOST_REPEATED = 100_000  # characters of a pattern whose counted repetitions are written out
_SECONDS, _SECONDS_A_CHARACTER = 2.0, 1e-5  # that a text may take: usual patterns take less than 1e-7 a character
_WORD, _SPACE = r"\p{L}\p{N}_", r"\s\x1c-\x1f"
_BOUNDARY = rf"(?:(?<=[{_WORD}])(?![{_WORD}])|(?<![{_WORD}])(?=[{_WORD}]))"
_INSIDE = rf"(?:(?<=[{_WORD}])(?=[{_WORD}])|(?<![{_WORD}])(?![{_WORD}]))"
_OUTSIDE = {  # what an escape means between the other parts of a pattern
    r"\w": f"[{_WORD}]", r"\W": f"[^{_WORD}]", r"\s": f"[{_SPACE}]", r"\S": f"[^{_SPACE}]",
    r"\b": _BOUNDARY, r"\B": _INSIDE, r"\Z": r"\Z",
}  # fmt: skip
_NEGATED = {r"\W": _WORD, r"\S": _SPACE}
_ESCAPE = r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|[0-7]{1,3}|.)"
_PART = re.compile(
    rf"(?P<escape>{_ESCAPE})|(?P<set>\[\^?\]?(?:{_ESCAPE}|[^\]\\])*\])|(?P<comment>\(\?\#[^)]*\))"
    r"|(?P<open>\((?:\?(?:[:=!>]|<[=!]|P<\w+>|P=\w+|\(\w+\)|[aiLmsux-]+[:)]?))?)|(?P<close>\))"
    r"|(?P<repeat>\{(?P<least>\d*)(?:,(?P<most>\d*))?\})|(?P<other>.)",
    re.DOTALL,
)
_FLAGS = re.compile(r"\(\?[iLmsux-]*[ax]")


class TimedPattern:
    """A regular expression in Python's syntax, whose matches are found within a time or not at all.

    Raises:
        ConfigError: It is no regular expression, or too large a one.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._compiled: regex.Pattern[str] = _compile(pattern)

    def findall(self, text: str) -> list[str]:
        """All matches in a text that are not empty.

        Raises:
            ConfigError: It takes too long.
        """
        seconds = _SECONDS + _SECONDS_A_CHARACTER * len(text)
        try:
            return [found for match in self._compiled.finditer(text, timeout=seconds) if (found := match.group())]
        except TimeoutError as error:
            shown = f"tokenizer.pattern '{printable(self._pattern)}'"
            raise ConfigError(
                f"{shown} was stopped after {seconds:.0f} seconds in a text of {len(text):,} characters",
                expected="a pattern without repetitions within each other, such as (a+)+",
                remedy="write a simpler one; if it came with a run, do not trust that run",
            ) from error


@dataclass
class _Group:
    """A group of a pattern while its parts are counted."""

    size: int = 1
    last: int = 1  # size of its last part


def _compile(pattern: str) -> regex.Pattern[str]:
    import regex

    try:
        if len(pattern) > _LONGEST:
            raise ValueError(f"it has more than {_LONGEST:,} characters")
        re.compile(pattern)  # the syntax is Python's
        return regex.compile(_translated(pattern), regex.V0)
    except (re.error, regex.error, ValueError, OverflowError, RecursionError, IndexError) as error:
        found = f"tokenizer.pattern is '{printable(pattern)}', which is no regular expression: {error}"
        expected = r"a Python regular expression of a token, such as \w+|[^\w\s]"
        raise ConfigError(found, expected=expected, remedy="correct it, and quote it for the shell") from error


def _translated(pattern: str) -> str:
    """The pattern in the words of `regex`, once its size is known to be bounded."""
    as_it_is = _FLAGS.search(pattern) is not None  # of ASCII the two mean the same; comments may hold anything
    parts: list[str] = []
    groups = [_Group()]
    for part in _PART.finditer(pattern):
        kind, text = part.lastgroup, part.group()
        here = groups[-1]
        if part["repeat"] is not None and part["repeat"] != "{}" and part["repeat"] != "{,}":
            counts = [int(count) for count in (part["least"], part["most"]) if count]
            grown = here.last * max([1, *counts])
            here.size += grown - here.last
            here.last = grown
        elif kind == "open" and not text.endswith(")"):
            groups.append(_Group())
        elif kind == "close" and len(groups) > 1:
            inner = groups.pop().size
            groups[-1].size, groups[-1].last = groups[-1].size + inner, inner
        else:
            here.size, here.last = here.size + 1, 1
        if max(here.size, groups[-1].size) > _MOST_REPEATED:
            raise ValueError(f"its repetitions, written out, have more than {_MOST_REPEATED:,} parts")
        parts.append(text if as_it_is else _meant(kind, text))
    return "".join(parts)


def _meant(kind: str | None, text: str) -> str:
    if kind == "escape":
        return _OUTSIDE.get(text, text)
    return _meant_set(text) if kind == "set" else text


def _meant_set(text: str) -> str:
    r"""A set of characters; one with a negated escape, as `[^\W\d]`, becomes several, since none can hold another."""
    negated = text.startswith("[^")
    inner = text[2 if negated else 1 : -1]
    kept, others = "", []
    for part in re.finditer(rf"{_ESCAPE}|.", inner, re.DOTALL):
        escape = part.group()
        if escape in _NEGATED:
            others.append(_NEGATED[escape])
        else:
            kept += {r"\w": _WORD, r"\s": _SPACE, "[": r"\["}.get(escape, escape)
    if not others:
        return f"[{'^' * negated}{kept}]"
    if negated:  # none of these, and of each of the others
        looks = [f"(?![{kept}])"] * bool(kept) + [f"(?=[{other}])" for other in others]
        return f"(?:{''.join(looks)}[\\s\\S])"
    return f"(?:{'|'.join([f'[{kept}]'] * bool(kept) + [f'[^{other}]' for other in others])})"
