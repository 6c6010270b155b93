"""Settings of taggers."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from elmo_cli.config.choices import SchemeChoice, TagHead
from elmo_cli.config.finetuning import FinetuneSettings
from elmo_cli.config.language_model import LARGEST_SIZE
from elmo_cli.config.values import Name, Probability, Rate


class TagSettings(FinetuneSettings):
    """The tagger and its training."""

    section: ClassVar[str] = "tag"

    valid: Path | None = Field(None, description="tagged file that chooses the epoch; absent: valid_fraction of train")
    tokens: Name | None = Field(None, description="column of the tokens, by number or name; absent: the usual one")
    tags: Name | None = Field(None, description="column of the tags, by number or name; absent: the usual one")
    scheme: SchemeChoice = Field("auto", description="how the tags of the training file mark spans; plain: not at all")
    head: TagHead = Field("auto", description="linear, or a CRF; auto: crf for spans, else linear")
    lstm_size: int = Field(
        128, ge=0, le=LARGEST_SIZE, description="cells of each direction of an LSTM before the head; 0: none"
    )
    dropout: Probability = Field(0.3, description="on the token vectors, and on what the LSTM makes of them")
    epochs: int = Field(15, ge=1, description="passes over the training file")
    learning_rate: Rate = Field(2e-3, description="peak rate of all but the embedder and λ")
