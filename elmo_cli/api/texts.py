"""What is taken for a text, and how what is none is named by its place."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from elmo_cli.data.values import as_label

Text = str | Sequence[str]  # a string, or its tokens


def texts_of(texts: Iterable[object]) -> Iterator[str]:
    """The texts one by one, each seen to be a string.

    Raises:
        TypeError: One is none, named by its place; or `texts` is a single string, which would be taken for as many
            texts as it has letters.
    """
    for place, text in enumerate(_several(texts)):
        if not isinstance(text, str):
            raise _no_text(place, text, "a string")
        yield text


def texts_or_tokens_of(texts: Iterable[object]) -> Iterator[Text]:
    """The same, where a list of tokens is a text too."""
    for place, text in enumerate(_several(texts)):
        tokens = isinstance(text, list | tuple) and all(isinstance(token, str) for token in text)
        if not (isinstance(text, str) or tokens):
            raise _no_text(place, text, "a string or a list of tokens")
        yield text  # type: ignore[misc]  # seen above


def labels_of(labels: Iterable[object]) -> Iterator[str]:
    """The labels as names of classes, as the readers of files have them: 1, 1.0 and "1" are one label.

    Raises:
        TypeError: One is neither a string nor a number.
        ValueError: One is empty.
    """
    for place, label in enumerate(_several(labels, "labels")):
        value = label.item() if isinstance(label, np.generic) else label
        if not isinstance(value, str | int | float):
            raise TypeError(f"labels[{place}] is {_shown(label)}; give a string or a number")
        name = as_label(value)
        if not name:
            raise ValueError(f"labels[{place}] is empty; give each text the name of its class")
        yield name


def write_lines(path: Path, rows: Iterable[Mapping[str, str]]) -> Path:
    """Write a JSON object a line, as the readers of files take them; returns the path."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def _several(values: Iterable[object], name: str = "texts") -> Iterable[object]:
    if isinstance(values, str):
        raise TypeError(f"{name} is one string; give a list of {name}, such as [{values[:20]!r}]")
    return values


def _no_text(place: int, value: object, wanted: str) -> TypeError:
    return TypeError(f"texts[{place}] is {_shown(value)}; give {wanted} for each text")


def _shown(value: object) -> str:
    text = repr(value)
    return f"{text if len(text) <= 40 else text[:39] + '…'} ({type(value).__name__})"
