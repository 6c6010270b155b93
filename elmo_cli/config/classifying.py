"""Settings of classifiers and of their comparison."""

from __future__ import annotations

from typing import Self, get_args

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from elmo_cli.config.choices import LambdaMode, LambdaNorm, Pooling, PrecisionChoice
from elmo_cli.config.values import ClassWeights, Names, Paths, Probability, Rate, Settings, Shares


class ClassifySettings(Settings):
    """The classifier and its training."""

    lambdas: str = Field("trainable", description="combiner: trainable, frozen, function, or layer:N")
    frozen_lambdas: str | None = Field(None, description="weights for frozen, e.g. 0.2,0.5,0.3, or uniform")
    lambda_norm: LambdaNorm = Field("softmax", description="normalisation of the layer weights")
    layer_norm: bool = Field(True, description="normalise each layer per token before the mix")
    pooling: Pooling = Field("max+mean", description="from token vectors to one vector of the text")
    hidden_size: int = Field(256, ge=0, description="hidden layer of the classifier; 0 means none")
    batch_norm: bool = Field(True, description="batch normalisation before the classifier")
    dropout: Probability = Field(0.3, description="on the pooled vector and the hidden layer")
    tune: bool = Field(False, description="train the embedder too")
    epochs: int = Field(10, ge=1, description="passes over the training file")
    tune_epochs: int = Field(4, ge=1, description="passes over the training file with tune")
    batch_size: int = Field(32, ge=2, description="texts a step")
    learning_rate: Rate = Field(1e-3, description="peak rate of the classifier")
    lambda_rate: Rate = Field(0.05, description="peak rate of λ and γ")
    tune_rate: Rate = Field(1e-3, description="peak rate of the embedder with tune")
    tune_dropout: Probability = Field(0.2, description="dropout inside the embedder with tune")
    word_dropout: Probability = Field(0.0, description="share of the tokens whose vectors are zero, with tune")
    layer_rate_decay: float = Field(1.0, gt=0.0, le=1.0, description="factor on the rate, layer by layer down, tuning")
    unfreeze: bool = Field(False, description="with tune: one more layer an epoch from the top, the head alone first")
    label_smoothing: Probability = Field(0.0, description="share of the target that all classes have in common")
    class_weights: ClassWeights = Field(None, description="balanced, or LABEL=WEIGHT,...: of texts in the loss; else 1")
    average: Probability = Field(0.0, description="decay of a moving average of the weights, which is kept; 0: none")
    precision: PrecisionChoice = Field(
        "auto", description="of matrix products: the learned function's, with tune the biLM's"
    )
    weight_decay: float = Field(0.01, ge=0.0, description="decoupled weight decay")
    clip_norm: float | None = Field(5.0, gt=0, description="clip the norm of the whole gradient")
    valid_fraction: float = Field(0.1, gt=0.0, lt=0.5, description="share of the training file that chooses the epoch")
    patience: int = Field(3, ge=1, description="stop after so many epochs without better validation accuracy")
    max_tokens: int = Field(512, ge=1, description="longest text in tokens; what is cut is counted and said")

    @field_validator("lambdas")
    @classmethod
    def _mode_is_known(cls, mode: str) -> str:
        kind, _, layer = mode.partition(":")
        modes = get_args(LambdaMode)
        if mode not in modes and not (kind == "layer" and layer.isdecimal()):
            named = ", ".join(f"'{one}'" for one in modes)
            raise PydanticCustomError("literal_error", "Input should be {named} or 'layer:N'", {"named": named})
        return mode

    @model_validator(mode="after")
    def _frozen_weights_are_for_frozen(self) -> Self:
        if self.frozen_lambdas and self.lambdas != "frozen":
            raise ValueError(f"frozen_lambdas needs lambdas: frozen, not {self.lambdas}")
        return self


class CompareSettings(Settings):
    """Rows and statistics of a comparison."""

    baselines: Paths = Field((), description="static embedding files, a row each")
    lms: Paths = Field((), description="LM runs to compare; empty means lm in the folder of the runs")
    lambdas: Names = Field(get_args(LambdaMode), description="a row of the LM for each")
    reference: bool = Field(True, description="a row for TF-IDF of words and letters with a linear SVM")
    against: str | None = Field(None, description="row to test the others against; absent: the strongest static row")
    seeds: int = Field(3, ge=1, description="classifiers trained for each row")
    jobs: int = Field(1, ge=1, description="classifiers that train side by side, each with its share of the cores")
    fractions: Shares = Field((), description="shares of the labelled texts for learning curves, e.g. 0.1,0.3,1.0")
    bootstrap: int = Field(10_000, ge=100, description="bootstrap resamples of the test examples")
