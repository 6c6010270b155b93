"""Settings of what is read: files, columns, tokens, vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import Field

from elmo_cli.config.choices import Cleaning, Header, Quoting, TokenizerKind
from elmo_cli.config.values import Delimiter, Encoding, Name, Names, Paths, Settings


class FileSettings(Settings):
    """Where the text and the labels are."""

    train: Path | None = Field(None, description="labelled training file: CSV, JSON lines or Parquet")
    test: Path | None = Field(None, description="labelled test file; never seen by vocabulary, vectors or biLM")
    corpus: Paths = Field((), description="text to pretrain on: files, folders, patterns; empty: the training file")
    valid: Path | None = Field(None, description="text for validation perplexity; absent: the last 2 % of the corpus")


class ReadingSettings(Settings):
    """All that decides which texts and labels come out of a file: two readings are the same where these are equal."""

    text: Names = Field((), description="text columns, joined by a space; empty means found by content")
    label: Name | None = Field(None, description="label column; absent means found by content")
    encoding: Encoding = Field("utf-8", description="of text files, CSV and JSON lines, such as latin-1")
    delimiter: Delimiter = Field("auto", description="between columns of CSV files: comma, semicolon, tab, bar, a sign")
    header: Header = Field("auto", description="whether CSV files begin with column names")
    quoting: Quoting = Field(
        "auto", description='whether quotation marks enclose fields (backslash: \\" inside); auto: in CSV'
    )
    clean: Cleaning = Field("none", description="clean-up of the text before tokenising; recorded with the run")


class DataSettings(ReadingSettings, FileSettings):
    """Where the text and the labels are, and how to read them."""

    limit: int | None = Field(None, ge=1, description="use only the first rows of the training file")


class TokenizerSettings(Settings):
    """How text becomes tokens; travels with the vocabulary in `vocab.yaml`."""

    kind: TokenizerKind = Field("words", description="words and punctuation marks, whitespace, or your regex")
    lowercase: bool = Field(False, description="lower-case the text first")
    pattern: str | None = Field(None, description="regular expression of a token, for kind regex")
    version: int = Field(2, ge=1, le=2, description="rules of kind words; 1 cuts at spaces alone, also Chinese or Thai")

    @classmethod
    def saved(cls, kept: Any) -> Self:
        """The settings that a run or a vocabulary keeps; what was written before there were versions is of the first.

        Raises:
            ValidationError: They are no such settings.
        """
        if isinstance(kept, dict) and kept.get("kind") == "words":
            kept = {"version": 1, **kept}
        return cls.model_validate(kept)


class VocabularySettings(Settings):
    """Which tokens get an id."""

    min_count: int = Field(2, ge=1, description="drop tokens seen less often")
    max_size: int | None = Field(None, ge=4, description="keep at most so many, <S> </S> <UNK> included")
