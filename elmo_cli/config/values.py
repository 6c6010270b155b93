"""Values of settings: their types, what stands for them in YAML and shells, and the base class of all sections."""

from __future__ import annotations

import codecs
import re
from encodings.aliases import aliases
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from elmo_cli.errors import nearest

# YAML and shells have uses of their own for most of these signs, so each has a name too.
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}


def _as_list(value: object) -> object:
    """A single value stands for a list of one, as in `text: Description`."""
    return [value] if isinstance(value, str | int | float | Path) else value


def _as_numbers(value: object) -> object:
    """Numbers with commas between them stand for their list, as in `0.1,0.3`."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else _as_list(value)


def _as_modes(value: object) -> object:
    """Modes with commas between them stand for their list, as in `trainable,function`, also within one."""
    found = _as_list(value)
    if not isinstance(found, list | tuple) or not all(isinstance(one, str) for one in found):
        return found
    return [part.strip() for one in found for part in one.split(",")]


def _as_name(value: object) -> object:
    """The number of a column is its name where a file has no names."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _as_weights(value: object) -> object:
    """`Sports=2,World=0.5` stands for its mapping; names are text, in which a comma follows no weight."""
    if isinstance(value, str) and "=" in value:
        value = dict(pair.rpartition("=")[::2] for pair in re.split(r"(?<=[\d.]),(?=[^,]*[^,=]=|.*=)", value))
    return {str(name).strip(): weight for name, weight in value.items()} if isinstance(value, dict) else value


Paths = Annotated[tuple[Path, ...], BeforeValidator(_as_list)]
Name = Annotated[str, BeforeValidator(_as_name)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_as_list)]


def _known_encoding(name: str) -> str:
    """An encoding under the one name that Python gives it, as in `latin-1` -> `iso8859-1`."""
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        codec = None
    if codec is None or not getattr(codec, "_is_text_encoding", True):
        text = (pair for pair in aliases.items() if not pair[1].endswith("_codec") and pair[1] != "rot_13")
        known = sorted({alias.replace("_", "-") for pair in text for alias in pair})
        hint = nearest(name.replace("_", "-"), known)
        raise ValueError(hint if hint.startswith("did") else "it should be an encoding, such as utf-8, latin-1, cp1252")
    return "utf-8" if codec.name == "utf-8-sig" else codec.name


def _known_delimiter(name: str) -> str:
    sign = DELIMITERS.get(name, name)
    if sign != "auto" and (len(sign) != 1 or sign in '"\r\n'):
        raise ValueError(f"it should be auto, one sign, or one of {', '.join(DELIMITERS)}")
    return sign


Encoding = Annotated[str, AfterValidator(_known_encoding)]
Delimiter = Annotated[str, AfterValidator(_known_delimiter)]
Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
Penalty = Annotated[float, Field(ge=0.0)]
Rate = Annotated[float, Field(gt=0.0)]
Modes = Annotated[tuple[str, ...], BeforeValidator(_as_modes)]
Shares = Annotated[tuple[Annotated[float, Field(gt=0.0, le=1.0)], ...], BeforeValidator(_as_numbers)]


S = TypeVar("S", bound="Settings")


class Settings(BaseModel):
    """Base of all settings: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


def absolute(settings: S) -> S:
    """The same settings for a process with another working directory: every path from the root."""

    def of(value: object) -> object:
        if isinstance(value, Settings):
            return absolute(value)
        if isinstance(value, tuple):
            return tuple(map(of, value))
        return value.absolute() if isinstance(value, Path) else value

    return settings.model_copy(update={name: of(getattr(settings, name)) for name in type(settings).model_fields})


ClassWeights = Annotated[
    Literal["balanced"] | dict[str, Annotated[float, Field(gt=0.0)]] | None, BeforeValidator(_as_weights)
]
