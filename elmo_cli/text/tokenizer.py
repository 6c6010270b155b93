"""Text to tokens: words and punctuation marks, whitespace, or a regular expression of the user's.

`words` looks at whitespace-free chunks one by one and remembers what it made of each: running text repeats itself, so
most tokens cost one dictionary look-up. In scripts that put no spaces between words every sign is a token, but for a
run of katakana, which is a word; what spaces there are between words of Korean or Vietnamese are enough.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

from elmo_cli.config import TokenizerSettings
from elmo_cli.errors import ConfigError
from elmo_cli.text.patterns import TimedPattern

if TYPE_CHECKING:
    import regex

REMEMBERED_CHUNKS = 500_000
BMP_END, MARKS_END = 0x10000, 0x20000  # combining marks lie before these, most of them before the first

# Their full stop belongs to them. Left out is what is also a common word at the end of a sentence (no, mar, sun).
_ABBREVIATIONS = (
    "Mr Mrs Ms Dr Prof Rev Hon Jr Sr St Gov Sen Rep Gen Col Lt Sgt Capt Cmdr Adm Inc Corp Co Ltd Bros Cos vs etc "
    "Jan Feb Apr Aug Sept Sep Oct Nov Dec Mt Ft Ave Blvd Calif Fla Conn Minn Ariz Colo Ky Tenn Wis Okla Neb Ont Va Md"
)
# What is written without spaces between words, besides Han and kana.
_UNSPACED = "Thai Lao Myanmar Khmer Tai_Le New_Tai_Lue Tai_Tham Tai_Viet Ahom Javanese Balinese"
# Found fast in what holds signs of these or emoji: no Latin, Greek or Cyrillic, and none of their punctuation.
_MAY_BE_UNSPACED = re.compile("[\u0e00-\u1dff\u20e3-\U0010ffff]")
_STACKERS = (
    "\u1039\u17d2\u1a60\ua9c0\u1b44"  # what writes the next consonant below the last: Burmese, Khmer, Lanna, ...
)
_KATAKANA_SIGNS = "\u30fc\uff70\uff9e\uff9f\u3099\u309a"  # lengthening and voicing, which hiragana has too
_DOMAINS = "(?i:com|org|net|edu|gov|mil|info|biz)|tv|uk|de|fr|au|ca|jp|eu"


class Tokenizer:
    """Splits text by its settings.

    Raises:
        ConfigError: The pattern is missing, not a regular expression, or given to a kind that has none.
    """

    def __init__(self, settings: TokenizerSettings) -> None:
        self.settings = settings
        if settings.pattern is not None and settings.kind != "regex":
            found = f"tokenizer.pattern is given, but tokenizer.kind is {settings.kind}"
            remedy = "set tokenizer.kind to regex, or remove the pattern"
            raise ConfigError(found, expected="a pattern only with kind regex", remedy=remedy)
        self._split: Callable[[str], list[str]]
        if settings.kind == "words":
            self._split = _Words(settings.lowercase, _cut if settings.version > 1 else _cut_at_spaces).split
        else:
            split = str.split if settings.kind == "whitespace" else _finder(settings.pattern)
            self._split = (lambda text: split(text.lower())) if settings.lowercase else split

    def normalise(self, token: str) -> str:
        """A token that was cut elsewhere, in the letters that this tokenizer writes."""
        token = token.lower() if self.settings.lowercase else token
        return unicodedata.normalize("NFC", token) if self.settings.kind == "words" else token

    def __call__(self, text: str) -> list[str]:
        """The tokens of a text, in order; none is empty."""
        return self._split(text)


class _Words(dict[str, list[str]]):
    """Chunk -> tokens, filled as chunks turn up."""

    def __init__(self, lowercase: bool, cut: Callable[[str], list[str]]) -> None:
        super().__init__()
        self.lowercase, self.cut = lowercase, cut

    def split(self, text: str) -> list[str]:
        return list(chain.from_iterable(map(self.__getitem__, text.split())))

    def __missing__(self, chunk: str) -> list[str]:
        if chunk.isascii() and chunk.isalnum():  # the usual case, not worth a search
            tokens = [chunk.lower() if self.lowercase else chunk]
        else:
            # Abbreviations are told by their case, so it goes after the split. NFC never reaches across whitespace.
            tokens = self.cut(unicodedata.normalize("NFC", chunk))
            if self.lowercase:
                tokens = [unicodedata.normalize("NFC", token.lower()) for token in tokens]
        if len(self) < REMEMBERED_CHUNKS:
            self[chunk] = tokens
        return tokens


def _cut_at_spaces(chunk: str) -> list[str]:
    """Tokens of version 1 of `words`: what has no space between its letters is one, be it a sentence of Chinese."""
    return _word_pattern(BMP_END).findall(chunk)


def _cut(chunk: str) -> list[str]:
    """Tokens of version 2: those of version 1, but for scripts without spaces, emoji sequences and rare marks."""
    if not _MAY_BE_UNSPACED.search(chunk):
        return _word_pattern(BMP_END).findall(chunk)
    words = _word_pattern(BMP_END if ord(max(chunk)) < BMP_END else MARKS_END)
    parts = _unspaced_pattern().split(chunk)  # what is between the signs, and in every second place a sign
    cut = ([part] if place % 2 else words.findall(part) for place, part in enumerate(parts))
    return list(chain.from_iterable(cut))


@cache
def _unspaced_pattern() -> regex.Pattern[str]:
    """A token that no space sets apart, as one group: a sign, a run of katakana, an emoji with what follows it."""
    import regex

    scripts = "".join(rf"\p{{Script={name}}}" for name in _UNSPACED.split())
    letter = rf"[[{scripts}]&&\p{{L}}]"
    # Vowels of Thai and Lao that are letters stay with their consonant too: those before it, and AM behind it.
    cluster = rf"\p{{Logical_Order_Exception}}?{letter}[\p{{M}}\u0e33\u0eb3]*"
    alternatives = (
        rf"\p{{Script=Katakana}}[\p{{Script=Katakana}}{_KATAKANA_SIGNS}]*",
        r"[\p{Script=Han}\p{Script=Hiragana}]\p{M}*",
        rf"{cluster}(?:(?<=[{_STACKERS}]){cluster})*",
        r"(?=[\p{Extended_Pictographic}\p{Regional_Indicator}])\X",
        r"[0-9#*]\ufe0f?\u20e3",
    )
    return regex.compile(f"({'|'.join(alternatives)})", regex.V1)


@cache
def _word_pattern(end: int) -> re.Pattern[str]:
    """A token of `words`; alternatives in order of precedence, the last takes any single character.

    Args:
        end: Marks from this character on are not known: to know those of rare scripts takes time.
    """
    letter = rf"[\w{_marks(end)}\u200c\u200d]"
    inner = r"['’&‑-]"
    unit = rf"(?:\d+(?:[.,:/]\d+)+{letter}*|{letter}+)"
    clitic = rf"['’][sS](?!{letter})"
    abbreviation = "|".join(sorted(_ABBREVIATIONS.split(), key=len, reverse=True))
    alternatives = (
        r'(?:https?://|ftp://|www\.)[^\s<>"]*[\w/]',
        r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+",
        rf"{letter}[\w-]{{0,62}}(?:\.[\w-]{{1,63}}){{0,3}}\.(?:{_DOMAINS})(?!{letter})",
        rf"(?<!\w)(?:[^\W\d_]\.){{2,}}(?!{letter})(?:-{unit}(?:{inner}{unit})*)?",  # U.S., p.m., U.S.-led
        rf"(?<!\w)[^\W\d_](?:\.[^\W\d_])+(?!{letter})",  # U.S without the last full stop
        rf"(?<!\w)(?:{abbreviation})\.(?!{letter})",
        rf"(?<![\w'’])[A-HJ-Z]\.(?!{letter})",  # initials, but not the pronoun
        rf"(?<=\w){clitic}",
        rf"{unit}(?:(?!{clitic}){inner}{unit})*",  # don't, x-ray, AT&T, 10.5, 4-2
        r"(?<!\w)\.\d+",
        r"\.{2,}|-{2,}|``|''",
        rf"\S[{_marks(end)}\u200c\u200d]*",
    )
    return re.compile("|".join(alternatives))


@cache
def _marks(end: int) -> str:
    """Ranges of the combining marks, as a character class has them: part of words, but not of what isalnum() takes."""
    marks = [code for code in range(0x300, end) if unicodedata.category(chr(code)).startswith("M")]
    known = set(marks)
    begins = [chr(code) for code in marks if code - 1 not in known]
    ends = [chr(code) for code in marks if code + 1 not in known]
    return "".join(f"{begin}-{end}" for begin, end in zip(begins, ends, strict=True))


def _finder(pattern: str | None) -> Callable[[str], list[str]]:
    """A function from text to all matches of a pattern, the empty ones left out."""
    if not pattern:
        found = "tokenizer.kind is regex, but there is no tokenizer.pattern"
        remedy = r"add --set tokenizer.pattern=REGEX, such as \w+|[^\w\s]"
        raise ConfigError(found, expected="a pattern of a token", remedy=remedy)
    return TimedPattern(pattern).findall
