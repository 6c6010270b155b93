r"""Repairs of text that a data set was published with, as a step with a name that a run records.

AG News: an ampersand became a blank, so that ` #39;` is an apostrophe and `AT amp;T` is AT&T; a backslash is a line
break, except in `\$`; markup of the web pages is left in.
"""

from __future__ import annotations

import html
import re

_WHOLE_ENTITY = re.compile(r"&(?:#\w{2,6}|\w{2,8});")
# Only names that no sentence has before a semicolon (`image`, `real` and `sum` are entities too).
_BROKEN = (
    r"(#\d{2,6}|#x[0-9a-fA-F]{2,5}|amp|lt|gt|quot|apos|nbsp|hellip|[lr][sd]quo|[mn]dash|euro|"
    r"[a-zA-Z](?:acute|grave|circ|uml|tilde|cedil))"
)
_ENTITY = re.compile(rf"(?:^| ){_BROKEN};")
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
            text = _WHOLE_ENTITY.sub(lambda match: html.unescape(match.group()), text)
            text = _ENTITY.sub(_character, text)
        text = _TOKENISED_ENTITY.sub(_character, text)
    if "<" in text:
        text = _SYMBOL.sub(" ", _TAGS.sub(" ", _TAGS_BEFORE_MARK.sub("", text)))
    return " ".join(text.split())


def _character(match: re.Match[str]) -> str:
    return html.unescape(f"&{match.group(1)};")
