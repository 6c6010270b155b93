"""Text to tokens: words and punctuation marks, whitespace, or a regular expression of the user's.

`words` looks at whitespace-free chunks one by one and remembers what it made of each: running text repeats itself, so
most tokens cost one dictionary look-up.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache
from itertools import chain

from elmo_cli.config import TokenizerSettings
from elmo_cli.errors import ConfigError

REMEMBERED_CHUNKS = 500_000

# Their full stop belongs to them. Left out is what is also a common word at the end of a sentence (no, mar, sun).
_ABBREVIATIONS = (
    "Mr Mrs Ms Dr Prof Rev Hon Jr Sr St Gov Sen Rep Gen Col Lt Sgt Capt Cmdr Adm Inc Corp Co Ltd Bros Cos vs etc "
    "Jan Feb Apr Aug Sept Sep Oct Nov Dec Mt Ft Ave Blvd Calif Fla Conn Minn Ariz Colo Ky Tenn Wis Okla Neb Ont Va Md"
)
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
            self._split = _Words(settings.lowercase).split
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

    def __init__(self, lowercase: bool) -> None:
        super().__init__()
        self.lowercase = lowercase
        self.pattern = _word_pattern()

    def split(self, text: str) -> list[str]:
        return list(chain.from_iterable(map(self.__getitem__, text.split())))

    def __missing__(self, chunk: str) -> list[str]:
        if chunk.isascii() and chunk.isalnum():  # the usual case, not worth a search
            tokens = [chunk.lower() if self.lowercase else chunk]
        else:
            # Abbreviations are told by their case, so it goes after the split. NFC never reaches across whitespace.
            tokens = self.pattern.findall(unicodedata.normalize("NFC", chunk))
            if self.lowercase:
                tokens = [unicodedata.normalize("NFC", token.lower()) for token in tokens]
        if len(self) < REMEMBERED_CHUNKS:
            self[chunk] = tokens
        return tokens


@cache
def _word_pattern() -> re.Pattern[str]:
    """A token of kind `words`; alternatives in order of precedence, the last takes any single character."""
    letter = rf"[\w{_marks()}\u200c\u200d]"
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
        rf"\S[{_marks()}\u200c\u200d]*",
    )
    return re.compile("|".join(alternatives))


@cache
def _marks() -> str:
    """Ranges of the combining marks, as a character class has them: part of words, but not of what isalnum() takes."""
    marks = [code for code in range(0x300, 0x10000) if unicodedata.category(chr(code)).startswith("M")]
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
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        found = f"tokenizer.pattern is '{pattern}', which is no regular expression: {error}"
        expected = r"a Python regular expression of a token, such as \w+|[^\w\s]"
        raise ConfigError(found, expected=expected, remedy="correct it, and quote it for the shell") from error
    return lambda text: [match.group() for match in compiled.finditer(text) if match.group()]
