"""A model of another project as its dialect's reader hands it over, whichever dialect that is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from elmo_cli.config import TokenizerSettings
from elmo_cli.model.bilm import BiLm
from elmo_cli.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class ModelFiles:
    """The files of a model in a folder, which may lack a vocabulary."""

    options: Path
    weights: Path
    vocabulary: Path | None

    def within(self, path: Path) -> ModelFiles:
        """The same files by the name of an archive that held them."""
        vocabulary = None if self.vocabulary is None else path / self.vocabulary.name
        return ModelFiles(path / self.options.name, path / self.weights.name, vocabulary)


@dataclass(frozen=True)
class ImportedModel:
    """A model that was read."""

    network: BiLm  # in eval mode, without a softmax
    vocabulary: Vocabulary | None  # None of a character model that brought none
    tokenizer: TokenizerSettings  # how text is to be cut
    files: ModelFiles  # what to show
    read: list[Path]  # all files that were read
    about: str  # whose format it is, as in "Weights in bilm-tf's format"
