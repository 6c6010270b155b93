r"""Repairs of text that a data set was published with, as a step with a name that a run records.

AG News: an ampersand became a blank, so that ` #39;` is an apostrophe and `AT amp;T` is AT&T; a backslash is a line
break, except in `\$`; markup of the web pages is left in; and some characters were published as the bytes of their
UTF-8, an entity each, so that ` #195; #169;` is é.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

from elmo_cli.config import Cleaning

_WHOLE_ENTITY = re.compile(r"&(?:#\w{2,6}|\w{2,8});")
# Only names that no sentence has before a semicolon (`image`, `real` and `sum` are entities too).
_BROKEN = (
    r"(#\d{2,6}|#x[0-9a-fA-F]{2,5}|amp|lt|gt|quot|apos|nbsp|hellip|[lr][sd]quo|[mn]dash|euro|"
    r"[a-zA-Z](?:acute|grave|circ|uml|tilde|cedil))"
)
_ENTITY = re.compile(rf"(?:^| ){_BROKEN};")
# Two or more entities of bytes beyond ASCII.
_NOT_ASCII = r"#(?:12[89]|1[3-9]\d|2[0-4]\d|25[0-5])"
_BYTES = re.compile(rf"(?:(?:^|&| ){_NOT_ASCII};){{2,}}")
_TOKENISED_BYTES = re.compile(rf"(?<= ){_NOT_ASCII} ;(?: {_NOT_ASCII} ;)+")
_BYTE = re.compile(r"\d+")
_CHARACTER_BYTES = re.compile("[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_TOKENISED_ENTITY = re.compile(rf"(?<= ){_BROKEN} ;")
_NAMES = (
    "a|abbr|b|big|blockquote|body|br|center|cite|div|em|font|h[1-6]|hr|i|img|li|nobr|ol|p|pre|small|span|strong|sub|sup|"
    "table|tbody|td|th|tr|tt|u|ul"
)
# Whole tags, or one that the end of the text cuts off; stock symbols such as <AAPL.O> are no tags and stay.
_TAG = rf"</?(?:{_NAMES})(?:\s[^<>]*)?/?(?:>|$)"
_TAGS_BEFORE_MARK = re.compile(rf"(?:{_TAG})+(?=[.,;:!?)])", re.IGNORECASE)
_TAGS = re.compile(_TAG, re.IGNORECASE)
_SYMBOL = re.compile(r"(?<=\S)(?=<[A-Z0-9]+\.[A-Z]+>)")


def clean_ag_news(text: str) -> str:
    """Undo what publishing did to AG News: broken entities, backslashes for line breaks, left-over markup."""
    text = text.replace(r"\$", "$").replace("\\", " ")
    if ";" in text:
        for _ in range(2):  # an escaped entity needs a second time: ` amp;quot;`
            text = _BYTES.sub(_from_bytes, text)
            text = _WHOLE_ENTITY.sub(lambda match: html.unescape(match.group()), text)
            text = _ENTITY.sub(_character, text)
        text = _TOKENISED_BYTES.sub(_from_bytes, text)
        text = _TOKENISED_ENTITY.sub(_character, text)
    if "<" in text:
        text = _SYMBOL.sub(" ", _TAGS.sub(" ", _TAGS_BEFORE_MARK.sub("", text)))
    return " ".join(text.split())


def _character(match: re.Match[str]) -> str:
    return html.unescape(f"&{match.group(1)};")


def _from_bytes(match: re.Match[str]) -> str:
    """Entities of bytes as characters, where they are UTF-8; the others as they were."""
    entities = re.findall(r"[^;]*;", match.group())
    codes = "".join(chr(int(number)) for number in _BYTE.findall(match.group()))
    text, place = "", 0
    for found in _CHARACTER_BYTES.finditer(codes):
        try:
            character = found.group().encode("latin-1").decode()
        except UnicodeDecodeError:  # too long a form, or half of a surrogate pair
            continue
        text += "".join(entities[place : found.start()]) + character
        place = found.end()
    return text + "".join(entities[place:])


CLEANINGS: dict[Cleaning, Callable[[str], str]] = {"none": str, "ag-news": clean_ag_news}
