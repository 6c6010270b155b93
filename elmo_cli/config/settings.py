"""Settings of static vectors, and all sections together: each a field with its type, its bounds, what it is for."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from elmo_cli.config.choices import Preset, SvdWeighting, Word2VecAlgorithm
from elmo_cli.config.classifying import ClassifySettings, CompareSettings
from elmo_cli.config.language_model import ModelSettings, PretrainSettings
from elmo_cli.config.reading import DataSettings, TokenizerSettings, VocabularySettings
from elmo_cli.config.tagging import TagSettings
from elmo_cli.config.values import Settings


class Word2VecSettings(Settings):
    """Skip-gram or CBOW vectors with negative sampling."""

    dim: int = Field(256, ge=1, description="width of a vector")
    window: int = Field(5, ge=1, description="tokens on each side")
    epochs: int = Field(10, ge=1, description="passes over the corpus")
    negative: int = Field(5, ge=1, description="negative samples for each pair")
    algorithm: Word2VecAlgorithm = Field("skip-gram", description="what is predicted from what")
    workers: int = Field(1, ge=1, description="threads; only one gives the same vectors each time")


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
