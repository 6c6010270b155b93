"""Fonts for names in any script: where a figure's font lacks a letter, another of this machine that has it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.text import Text

# They have a sign for every letter, but not the letter.
_NO_LETTERS = re.compile(r"last ?resort|fallback|blank|notdef", re.IGNORECASE)
_VARIATIONS = {chr(code) for code in range(0xFE00, 0xFE10)}  # they only choose between forms of the letter before


def lend_fonts(texts: Iterable[Text]) -> frozenset[str]:
    """Give texts that are laid out more fonts where their own lacks letters; the letters that no font has."""
    from matplotlib.font_manager import findfont, get_font

    lacking: list[tuple[Text, frozenset[str]]] = []
    for text in texts:
        own = get_font(findfont(text.get_fontproperties()))
        wanted = {letter for letter in text.get_text() if not letter.isspace()} - _VARIATIONS
        lacking.append((text, frozenset(letter for letter in wanted if not own.get_char_index(ord(letter)))))
    families, absent = _choose(frozenset[str]().union(*(letters for _, letters in lacking)))
    for text, letters in lacking:
        if letters - absent:
            text.set_fontfamily([*text.get_fontfamily(), *families])
    return absent


@lru_cache
def _choose(letters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """As few families as will do, those with most of the letters first; and the letters that are in none."""
    chosen: list[str] = []
    left = letters
    having = _families_having(letters) if letters else {}
    while left and having:
        # Of equal ones a sans serif, as the figure's own font is; then the first by name.
        best = max(sorted(having), key=lambda family: (len(having[family] & left), "Sans" in family))
        if not having[best] & left:
            break
        chosen.append(best)
        left -= having[best]
    return tuple(chosen), left


def _families_having(letters: frozenset[str]) -> Mapping[str, frozenset[str]]:
    """Which of some letters each installed family has."""
    from matplotlib.font_manager import FontProperties, findfont, findSystemFonts, fontManager, get_font

    # matplotlib keeps a list of the fonts from when it was first used: some may be new since, and some gone.
    known = {font.fname for font in fontManager.ttflist}
    for path in sorted(set(findSystemFonts()) - known):
        with suppress(OSError, RuntimeError, ValueError, NotImplementedError):
            fontManager.addfont(path)
    found = {}
    for family in {font.name for font in fontManager.ttflist if not _NO_LETTERS.search(font.name)}:
        with suppress(OSError, RuntimeError, ValueError):
            font = get_font(findfont(FontProperties(family=family), fallback_to_default=False))
            found[family] = frozenset(letter for letter in letters if font.get_char_index(ord(letter)))
    return found
