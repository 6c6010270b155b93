"""Settings that every model on the layers of an embedder has: its combiner, and how it is trained."""

from __future__ import annotations

import math
from typing import ClassVar, Self, get_args

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from elmo_cli.config.choices import LambdaMode, LambdaNorm, PrecisionChoice
from elmo_cli.config.values import Probability, Rate, Settings

TUNE_STEPS = 600  # at least, as far as the most epochs give them
LEAST_TUNE_EPOCHS, MOST_TUNE_EPOCHS = 4, 20


class FinetuneSettings(Settings):
    """The combiner, and the training of what reads its vectors.

    Attributes:
        section: Name of the section in `elmo.yaml`, for messages.
    """

    section: ClassVar[str]

    lambdas: str = Field("trainable", description="combiner: trainable, frozen, function, or layer:N")
    frozen_lambdas: str | None = Field(None, description="weights for frozen, e.g. 0.2,0.5,0.3, or uniform")
    lambda_norm: LambdaNorm = Field("softmax", description="normalisation of the layer weights")
    layer_norm: bool = Field(True, description="normalise each layer per token before the mix")
    tune: bool = Field(False, description="train the embedder too")
    epochs: int = Field(10, ge=1, description="passes over the training file")
    tune_epochs: int | None = Field(None, ge=1, description="the same with tune; absent: 4 to 20, by its length")
    batch_size: int = Field(32, ge=2, description="texts or sentences a step")
    learning_rate: Rate = Field(1e-3, description="peak rate of all but the embedder and λ")
    lambda_rate: Rate = Field(0.05, description="peak rate of λ and γ")
    tune_rate: Rate = Field(1e-3, description="peak rate of the embedder with tune")
    tune_dropout: Probability = Field(0.2, description="dropout inside the embedder with tune")
    word_dropout: Probability = Field(0.0, description="share of the tokens whose vectors are zero, with tune")
    layer_rate_decay: float = Field(1.0, gt=0.0, le=1.0, description="factor on the rate, layer by layer down, tuning")
    unfreeze: bool = Field(False, description="with tune: one more layer an epoch from the top, the head alone first")
    average: Probability = Field(0.0, description="decay of a moving average of the weights, which is kept; 0: none")
    precision: PrecisionChoice = Field(
        "auto", description="of matrix products: the learned function's, with tune the biLM's"
    )
    weight_decay: float = Field(0.01, ge=0.0, description="decoupled weight decay")
    clip_norm: float | None = Field(5.0, gt=0, description="clip the norm of the whole gradient")
    valid_fraction: float = Field(0.1, gt=0.0, lt=0.5, description="share of the training file that chooses the epoch")
    patience: int = Field(10, ge=1, description="stop after so many epochs that were clearly worse than the best")

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

    def passes(self, batches: int) -> int:
        """How often a training file of so many batches is passed at most.

        Tuning needs steps, however few texts there are to take them on: see docs/how-to/classify.md for what they gave.
        """
        if not self.tune:
            return self.epochs
        return self.tune_epochs or min(MOST_TUNE_EPOCHS, max(LEAST_TUNE_EPOCHS, math.ceil(TUNE_STEPS / batches)))

    @property
    def run_name(self) -> str:
        """What a run with these settings is called by default, the mode in it."""
        return f"{self.section}-{self.lambdas.replace(':', '-')}{'-tune' if self.tune else ''}"
