"""Files that describe something, read up to a size that none of them has: one may be a device that never ends."""

from __future__ import annotations

import json
from errno import EFBIG
from pathlib import Path
from typing import Any

MOST_YAML = 1 << 22  # bytes of a file of settings, or of a run's description
MOST_JSON = 1 << 28  # bytes of results, or of the log of a training


def read_text(path: Path, most: int = MOST_YAML) -> str:
    """The text of a file in UTF-8.

    Raises:
        OSError: It cannot be read, or has more than `most` bytes.
        UnicodeDecodeError: It is not UTF-8.
    """
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(EFBIG, f"it has more than {most:,} bytes", str(path))
    return content.decode("utf-8").replace("\r\n", "\n")


def load_json(text: str | bytes) -> Any:
    """The values of a JSON document.

    Raises:
        ValueError: It is none, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_json(path: Path) -> Any:
    """The values in a JSON file.

    Raises:
        OSError: See `read_text`.
        ValueError: See `load_json`; also where it is not UTF-8.
    """
    return load_json(read_text(path, MOST_JSON))
