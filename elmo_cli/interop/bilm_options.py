"""`options.json` of bilm-tf and AllenNLP (docs/explanation/formats.md#options), checked and put into our own words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from elmo_cli.config import CharacterSettings, ModelSettings
from elmo_cli.config.bounded import load_json
from elmo_cli.config.language_model import LARGEST_SIZE, MOST_CHARACTERS, MOST_LAYERS
from elmo_cli.errors import WeightsError

_LARGEST_FILE = 1 << 20  # real ones have a kilobyte
CHARACTERS = 261  # characters without the masked one
Size = Annotated[int, Field(ge=1, le=LARGEST_SIZE)]
Checked = TypeVar("Checked", bound=BaseModel)


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class LstmOptions(_Options):
    """`lstm` of options.json; what it lacks by default is what bilm-tf takes it to be."""

    dim: Size
    projection_dim: Size
    n_layers: int = Field(1, ge=1, le=MOST_LAYERS)
    cell_clip: float | None = Field(None, ge=0)
    proj_clip: float | None = Field(None, ge=0)
    use_skip_connections: bool = False


class _CharacterEmbedding(_Options):
    dim: Size


class CharacterOptions(_Options):
    """`char_cnn` of options.json."""

    embedding: _CharacterEmbedding
    filters: tuple[tuple[PositiveInt, Size], ...] = Field(min_length=1)
    max_characters_per_token: int = Field(50, ge=3, le=MOST_CHARACTERS)
    n_characters: int = Field(CHARACTERS, ge=CHARACTERS, le=CHARACTERS + 1)  # training file, prediction file
    n_highway: int = Field(0, ge=0, le=MOST_LAYERS)
    activation: Literal["relu", "tanh"] = "relu"

    @model_validator(mode="after")
    def _filters_fit(self) -> Self:
        widest = max(width for width, _ in self.filters)
        if widest > self.max_characters_per_token:
            raise ValueError(f"a filter is {widest} wide, but a token has {self.max_characters_per_token} characters")
        return self

    def settings(self) -> CharacterSettings:
        """The same in our words."""
        return CharacterSettings(
            dim=self.embedding.dim,
            filters=self.filters,
            max_characters=self.max_characters_per_token,
            highway_layers=self.n_highway,
            activation=self.activation,
        )


class Options(_Options):
    """`options.json`; what else it holds is about training."""

    model_config = ConfigDict(extra="ignore")

    lstm: LstmOptions
    char_cnn: CharacterOptions | None = None
    bidirectional: bool = True
    dropout: float = Field(0.1, ge=0, lt=1)

    def settings(self) -> ModelSettings:
        """The same architecture in our words."""
        lstm, characters = self.lstm, self.char_cnn
        return ModelSettings(
            encoder="word" if characters is None else "char",
            hidden_size=lstm.dim,
            projection_size=lstm.projection_dim if lstm.projection_dim != lstm.dim else None,
            layers=lstm.n_layers,
            residual=lstm.use_skip_connections,
            cell_clip=lstm.cell_clip or None,
            projection_clip=lstm.proj_clip or None,
            forget_bias=1.0,
            dropout=self.dropout,
            characters=CharacterSettings() if characters is None else characters.settings(),
        )


def read_json(path: Path) -> object:
    """What a small JSON file holds.

    Raises:
        WeightsError: It is no JSON, too large for options, or cannot be read.
    """
    remedy = "fetch the file again: it belongs beside weights.hdf5"
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            message = f"{path} has more than {_LARGEST_FILE:,} bytes"
            raise WeightsError(message, where=path, expected="options of a model", remedy=remedy)
        return load_json(content)
    except json.JSONDecodeError as error:
        place = f"{path}, line {error.lineno}, column {error.colno}"
        raise WeightsError(f"{path} is not JSON: {error.msg}", where=place, remedy=remedy) from error
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read: {error}"
        raise WeightsError(message, where=path, expected="a JSON file", remedy=remedy) from error


def validate(kind: type[Checked], content: object, path: Path, expected: str, remedy: str) -> Checked:
    """The content of a JSON file as options of this kind.

    Raises:
        WeightsError: An option is missing, unknown or out of bounds; the message names the first.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"])) or "the file"
        message = f"{key}: {problem['msg']}"
        if isinstance(problem["input"], str | int | float | bool):
            message += f", not {problem['input']!r}"
        raise WeightsError(message, where=path, expected=expected, remedy=remedy) from error


def read_options(path: Path) -> Options:
    """Read and check an options file.

    Raises:
        WeightsError: See `read_json`; also where an option is missing, unknown or out of bounds.
    """
    expected = "options as bilm-tf or AllenNLP writes them"
    remedy = "take options.json from the same place as weights.hdf5"
    options = validate(Options, read_json(path), path, expected, remedy)
    if not options.bidirectional:
        remedy = "export a bidirectional model"
        raise WeightsError("bidirectional is false", where=path, expected="a model of both directions", remedy=remedy)
    return options
