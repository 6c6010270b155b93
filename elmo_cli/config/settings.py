"""Settings of static vectors, and all sections together: each a field with its type, its bounds, what it is for."""

from __future__ import annotations

import math
from pathlib import Path

from pydantic import Field

from elmo_cli.config.choices import Preset, SvdWeighting, Word2VecAlgorithm
from elmo_cli.config.classifying import ClassifySettings, CompareSettings
from elmo_cli.config.language_model import ModelSettings, PretrainSettings
from elmo_cli.config.reading import DataSettings, TokenizerSettings, VocabularySettings
from elmo_cli.config.tagging import TagSettings
from elmo_cli.config.values import Settings

WORD2VEC_TOKENS = 4_000_000
LEAST_PASSES, MOST_PASSES = 10, 50


class Word2VecSettings(Settings):
    """Skip-gram or CBOW vectors with negative sampling."""

    dim: int = Field(256, ge=1, description="width of a vector")
    window: int = Field(5, ge=1, description="tokens on each side")
    epochs: int | None = Field(None, ge=1, description="passes over the corpus; absent: 10 to 50, by its length")
    negative: int = Field(5, ge=1, description="negative samples for each pair")
    algorithm: Word2VecAlgorithm = Field("skip-gram", description="what is predicted from what")
    workers: int = Field(1, ge=1, description="threads; only one gives the same vectors each time")

    def passes(self, tokens: int) -> int:
        """How often a corpus of so many tokens is passed: as given, else until it has given `WORD2VEC_TOKENS`.

        Of a corpus of 45,000 tokens, 10 passes leave vectors that are hardly better than chance: see
        docs/how-to/compare.md.
        """
        return self.epochs or min(MOST_PASSES, max(LEAST_PASSES, math.ceil(WORD2VEC_TOKENS / max(1, tokens))))


class SvdSettings(Settings):
    """Vectors from a truncated SVD of word-word co-occurrences."""

    dim: int = Field(256, ge=1, description="width of a vector")
    window: int = Field(5, ge=1, description="tokens on each side")
    weighting: SvdWeighting = Field("ppmi", description="of counts: none, log(1 + n), or positive PMI")
    smoothing: float = Field(0.75, gt=0.0, le=1.0, description="exponent on the context counts of PPMI")
    exponent: float = Field(0.5, ge=0.0, le=1.0, description="exponent on the singular values that scale the vectors")


class Experiment(Settings):
    """All settings of an experiment, as `elmo.yaml` holds them."""

    preset: Preset = Field("small", description="where the settings start from")
    seed: int = Field(1, ge=0, description="of everything that draws random numbers")
    output: Path = Field(Path("runs"), description="folder of the runs")
    data: DataSettings = Field(default_factory=DataSettings, description="files and columns")
    tokenizer: TokenizerSettings = Field(default_factory=TokenizerSettings, description="text to tokens")
    vocab: VocabularySettings = Field(default_factory=VocabularySettings, description="tokens to ids")
    model: ModelSettings = Field(default_factory=ModelSettings, description="the biLM")
    pretrain: PretrainSettings = Field(default_factory=PretrainSettings, description="training of the biLM")
    classify: ClassifySettings = Field(default_factory=ClassifySettings, description="the classifier")
    tag: TagSettings = Field(default_factory=TagSettings, description="the tagger")
    compare: CompareSettings = Field(default_factory=CompareSettings, description="the comparison")
    word2vec: Word2VecSettings = Field(default_factory=Word2VecSettings, description="static vectors by word2vec")
    svd: SvdSettings = Field(default_factory=SvdSettings, description="static vectors by SVD")
