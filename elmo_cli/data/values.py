"""Values of JSON and Parquet as text, and labels of any kind as one kind of strings.

A label means the same wherever it was written: the number 1, the number 1.0, and the strings "1", "1.0" and " 1 " are
the label `1`; true, True and "TRUE" are `true`; é is é, be it one sign or two (NFC).
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable

from elmo_cli.errors import DataError

_WHOLE_NUMBER = re.compile(r"([-+]?\d+)\.0*")
_SURROGATE = re.compile("[\ud800-\udfff]")  # all that UTF-8 has no bytes for
_TRUTH = {"true", "false"}
_NESTED = (dict, list, tuple, bytes)


def is_nested(value: object) -> bool:
    """Whether a value is no text, number or the like: an object, a list, bytes."""
    return isinstance(value, _NESTED)


def as_text(value: object) -> str:
    """A value as text: absent ones and NaN as nothing, whole numbers without a fraction, truth in lower case."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def as_label(value: object) -> str:
    """A value as a label; empty where there is none."""
    label = as_text(value).strip()
    if not label.isascii():
        label = unicodedata.normalize("NFC", label)
    if label.lower() in _TRUTH:
        return label.lower()
    whole = _WHOLE_NUMBER.fullmatch(label)
    return whole.group(1) if whole else label


def as_printed(label: str) -> str:
    """What a reader sees of a label: without signs of no width, and with one form for signs that look alike."""
    seen = unicodedata.normalize("NFKC", label)
    return " ".join("".join(sign for sign in seen if unicodedata.category(sign) != "Cf").split())


def check_value(value: object, name: str, where: str, fields: Iterable[str]) -> None:
    """See that a value can stand in a text: a DataError says that it is nested, or holds what no text may hold."""
    if is_nested(value):
        kind = "an object" if isinstance(value, dict) else "bytes" if isinstance(value, bytes) else "a list"
        remedy = "name another field (settings data.text, data.label): " + ", ".join(fields)
        expected = "a string, a number, a truth value or nothing"
        raise DataError(f"the field '{name}' holds {kind}", where=where, expected=expected, remedy=remedy)
    if isinstance(value, str):
        problem = (
            "a NUL character" if "\0" in value else "half of a surrogate pair" if _SURROGATE.search(value) else None
        )
        if problem is not None:
            found = f"the field '{name}' holds {problem}"
            raise DataError(found, where=where, expected="text", remedy="remove it from the text")
