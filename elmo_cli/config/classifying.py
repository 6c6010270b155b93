"""Settings of classifiers and of their comparison."""

from __future__ import annotations

from typing import ClassVar, get_args

from pydantic import Field

from elmo_cli.config.choices import LambdaMode, Pooling
from elmo_cli.config.finetuning import FinetuneSettings
from elmo_cli.config.language_model import LARGEST_SIZE
from elmo_cli.config.values import ClassWeights, Names, Paths, Probability, Settings, Shares


class ClassifySettings(FinetuneSettings):
    """The classifier and its training."""

    section: ClassVar[str] = "classify"

    pooling: Pooling = Field("max+mean", description="from token vectors to one vector of the text")
    hidden_size: int = Field(256, ge=0, le=LARGEST_SIZE, description="hidden layer of the classifier; 0 means none")
    batch_norm: bool = Field(True, description="batch normalisation before the classifier")
    dropout: Probability = Field(0.3, description="on the pooled vector and the hidden layer")
    label_smoothing: Probability = Field(0.0, description="share of the target that all classes have in common")
    class_weights: ClassWeights = Field(None, description="balanced, or LABEL=WEIGHT,...: of texts in the loss; else 1")
    members: int = Field(1, ge=1, description="classifiers of seeds in a row that answer together")
    ngrams: bool = Field(True, description="counted n-grams of words and characters answer with the classifier")
    max_tokens: int = Field(512, ge=1, description="longest text in tokens; what is cut is counted and said")


class CompareSettings(Settings):
    """Rows and statistics of a comparison."""

    baselines: Paths = Field((), description="static embedding files, a row each")
    lms: Paths = Field((), description="LM runs to compare; empty means lm in the folder of the runs")
    lambdas: Names = Field(get_args(LambdaMode), description="a row of the LM for each")
    reference: bool = Field(True, description="a row for TF-IDF of words and letters with a linear SVM")
    ngrams: bool = Field(True, description="each row once more with counted n-grams, and a row for n-grams alone")
    against: str | None = Field(None, description="row to test the others against; absent: the strongest static row")
    seeds: int = Field(3, ge=1, description="classifiers trained for each row")
    jobs: int = Field(1, ge=1, description="classifiers that train side by side, each with its share of the cores")
    fractions: Shares = Field((), description="shares of the labelled texts for learning curves, e.g. 0.1,0.3,1.0")
    bootstrap: int = Field(10_000, ge=100, description="bootstrap resamples of the test examples")
