"""The options of a model of ELMoForManyLangs: `config.json`, and the architecture's JSON that it names."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from elmo_cli.config.language_model import LARGEST_SIZE, MOST_CHARACTERS, MOST_LAYERS
from elmo_cli.errors import WeightsError, printable
from elmo_cli.interop.bilm_options import read_json, validate

CONFIG_FILE = "config.json"
ARCHITECTURE = "the architecture's JSON"
_SECTIONS = ("token_embedder", "encoder")
_READ = {"token_embedder": "cnn", "encoder": "elmo"}  # the variant that is read, by its names
_Size = Annotated[int, Field(ge=1, le=LARGEST_SIZE)]
_Width = Annotated[int, Field(ge=0, le=LARGEST_SIZE)]  # 0: there is none


class _Options(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class TokenEmbedder(_Options):
    """`token_embedder` of the architecture."""

    word_dim: _Width = 0
    char_dim: _Width = 0
    filters: tuple[tuple[PositiveInt, _Size], ...] = ()
    max_characters_per_token: int = Field(50, ge=3, le=MOST_CHARACTERS)
    n_highway: int = Field(0, ge=0, le=MOST_LAYERS)
    activation: Literal["relu", "tanh"] = "relu"

    @model_validator(mode="after")
    def _reads_something(self) -> Self:
        if not self.word_dim and not self.char_dim:
            raise ValueError("word_dim and char_dim are both 0: the model reads neither words nor characters")
        widest = max((width for width, _ in self.filters), default=0)
        if self.char_dim and not 0 < widest <= self.max_characters_per_token:
            raise ValueError(f"the widest filter is {widest} wide, of {self.max_characters_per_token} characters")
        return self


class Encoder(_Options):
    """`encoder` of the architecture."""

    dim: _Size
    projection_dim: _Size
    n_layers: int = Field(ge=1, le=MOST_LAYERS)
    cell_clip: float | None = Field(None, ge=0)
    proj_clip: float | None = Field(None, ge=0)


class Architecture(_Options):
    """What else it holds is about training."""

    token_embedder: TokenEmbedder
    encoder: Encoder
    dropout: float = Field(0.1, ge=0, lt=1)

    @property
    def reads_words(self) -> bool:
        """Whether there is a table of words."""
        return self.token_embedder.word_dim > 0

    @property
    def reads_characters(self) -> bool:
        """Whether there is a character CNN."""
        return self.token_embedder.char_dim > 0


def find_architecture(folder: Path) -> tuple[Path, Architecture]:
    """The architecture's file in a model's folder, and what it says.

    `config.json` names it by a path of the machine of the training: its file name counts, in the folder or in
    `configs` within it; else the one JSON file of the folder that has the sections.

    Raises:
        WeightsError: There is none, or it is of another variant, or an option is missing or out of bounds.
    """
    path = _locate(folder)
    content = read_json(path)
    assert isinstance(content, dict)  # or it would not have been taken for one
    for section, known in _READ.items():
        name = content[section].get("name", known) if isinstance(content[section], dict) else known
        if not isinstance(name, str) or name.lower() != known:
            variant = "character-LSTM " if section == "token_embedder" and name == "lstm" else ""
            found = f"the {section} is {printable(str(name))}: the {variant}variant of ELMoForManyLangs is not read"
            remedy = f"take a model whose {section} is {known}: the published ones are"
            raise WeightsError(found, where=path, expected=f"{section}.name: {known}", remedy=remedy)
    expected = "an architecture as ELMoForManyLangs writes it"
    remedy = "take it from the same place as the weights"
    return path, validate(Architecture, content, path, expected, remedy)


def _locate(folder: Path) -> Path:
    config = read_json(folder / CONFIG_FILE)
    given = config.get("config_path") if isinstance(config, dict) else None
    name = PurePosixPath(given.replace("\\", "/")).name if isinstance(given, str) else ""
    beside, apart = (sorted(place.glob("*.json")) for place in (folder, folder / "configs"))
    for path in (*beside, *apart):
        if path.name == name and _is_architecture(path):
            return path
    others = [path for path in beside if _is_architecture(path)]
    if len(others) == 1:
        return others[0]
    shown = printable(name) if name else "no file"
    several = f"; {', '.join(path.name for path in others)} may each be one" if others else ""
    raise WeightsError(
        f"{folder} holds no architecture: {CONFIG_FILE} names {shown}{several}",
        where=folder / CONFIG_FILE,
        expected=f"a JSON file with {' and '.join(_SECTIONS)} beside it, by the name that config_path ends in",
        remedy="copy it there from the folder configs of ELMoForManyLangs",
    )


def _is_architecture(path: Path) -> bool:
    """Whether a path is a JSON file with the sections of an architecture."""
    try:
        content = read_json(path) if path.is_file() else None
    except WeightsError:
        return False
    return isinstance(content, dict) and all(section in content for section in _SECTIONS)
