"""Settings of the biLM and of its training."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from elmo_cli.config.choices import Activation, EncoderKind, OptimiserKind, Precision, PrecisionChoice, SoftmaxKind
from elmo_cli.config.values import Penalty, Probability, Rate, Settings

# beyond any model, and small enough that a list of them is made at once and no shape leaves 64 bits
MOST_LAYERS, MOST_CHARACTERS, LARGEST_SIZE = 128, 4096, 1 << 24
LARGEST_ALPHABET = 32_000  # ids of characters are numbers of 16 bits

_Width = Annotated[int, Field(ge=1, le=MOST_CHARACTERS)]
_Size = Annotated[int, Field(ge=1, le=LARGEST_SIZE)]


class CharacterSettings(Settings):
    """The ELMo character CNN: embedding, convolutions, highways (docs/explanation/formats.md#options)."""

    dim: int = Field(16, ge=1, le=LARGEST_SIZE, description="width of a character vector")
    filters: tuple[tuple[_Width, _Size], ...] = Field(
        ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256)), description="(width, count) of each convolution"
    )
    max_characters: int = Field(
        50, ge=3, le=MOST_CHARACTERS, description="characters of a token, begin and end marks included"
    )
    highway_layers: int = Field(2, ge=0, le=MOST_LAYERS, description="highway layers after the convolutions")
    activation: Activation = Field("relu", description="after the maximum over positions")
    alphabet: str | None = Field(
        None,
        min_length=1,
        max_length=LARGEST_ALPHABET,
        description="read Unicode characters, these, and not bytes; features are then mapped even to their own width",
    )
    cut_words: bool = Field(False, description="look a word up by its first max_characters - 2 characters alone")

    @property
    def codes(self) -> int:
        """Characters that the CNN tells apart, marks aside: all bytes, or those of an alphabet and any other."""
        return 256 if self.alphabet is None else len(self.alphabet) + 1

    @model_validator(mode="after")
    def _characters_differ(self) -> Self:
        if self.alphabet is not None and len(set(self.alphabet)) < len(self.alphabet):
            raise ValueError("alphabet has a character twice")
        return self


class ModelSettings(Settings):
    """The biLM."""

    encoder: EncoderKind = Field("word", description="token encoder: an embedding table, the character CNN, or both")
    embedding_size: _Size | None = Field(None, description="width of the table; absent: that of a token vector")
    init_embeddings: Path | None = Field(None, description="static embedding file that the table starts from")
    freeze_embeddings: bool = Field(False, description="keep the table as it was initialised")
    characters: CharacterSettings = Field(default_factory=CharacterSettings, description="the character CNN")
    hidden_size: int = Field(256, ge=1, le=LARGEST_SIZE, description="D, cell size of an LSTM layer")
    projection_size: _Size | None = Field(None, description="P, projection and token size; absent: D, unprojected")
    layers: int = Field(2, ge=1, le=MOST_LAYERS, description="L, LSTM layers in each direction")
    residual: bool = Field(False, description="add a layer's input to its output, from layer 2 up")
    cell_clip: float | None = Field(3.0, gt=0, description="clip cells to ±this")
    projection_clip: float | None = Field(3.0, gt=0, description="clip projections to ±this")
    forget_bias: float = Field(1.0, description="added to the forget gate at run time")
    dropout: Probability = Field(0.25, description="on token vectors and on every layer's output while training")
    weight_dropout: Probability = Field(0.0, description="on the recurrent weights of a window, while training")
    softmax: SoftmaxKind = Field("adaptive", description="training loss; evaluation is always exact")
    cutoffs: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        None, description="ranks at which the clusters of the adaptive softmax begin; absent: by the vocabulary's size"
    )
    samples: int = Field(8192, ge=1, le=LARGEST_SIZE, description="negative samples a batch, for the sampled softmax")
    tie: bool = Field(False, description="one table for token encoder and softmax")

    @property
    def token_size(self) -> int:
        """P: width of a token vector and of a direction's output."""
        return self.projection_size or self.hidden_size

    @model_validator(mode="after")
    def _cutoffs_ascend(self) -> Self:
        if self.cutoffs is not None and list(self.cutoffs) != sorted(set(self.cutoffs)):
            raise ValueError(f"cutoffs are {list(self.cutoffs)}, but must ascend")
        return self

    @model_validator(mode="after")
    def _tied_widths_agree(self) -> Self:
        if self.tie and self.encoder != "word":
            raise ValueError("tie needs encoder: word, since a character CNN has no table to share")
        if self.tie and self.embedding_size not in (None, self.token_size):
            raise ValueError(f"tie needs embedding_size equal to the token size {self.token_size}")
        return self


LEAST_ROWS, MOST_ROWS = 8, 32

# What Adagrad starts from, as in bilm-tf: a constant rate without decay.
ADAGRAD = {"learning_rate": 0.2, "warmup": 0.0, "final_rate": 1.0, "weight_decay": 0.0, "clip_norm": 10.0}


class PretrainSettings(Settings):
    """Training of the biLM."""

    epochs: int = Field(12, ge=1, description="passes over the corpus")
    max_minutes: float | None = Field(None, gt=0, description="end after so long, the rate having fallen by then")
    batch_size: int | None = Field(None, ge=1, description="rows of the stream; absent: 8, 16 or 32, by the corpus")
    window: int = Field(48, ge=1, description="steps between cuts of the gradient")
    accumulate: int = Field(1, ge=1, description="windows a step of the optimiser")
    optimiser: OptimiserKind = Field("adamw", description="adamw; or adagrad with a constant rate of 0.2, as bilm-tf")
    learning_rate: Rate = Field(2e-3, description="peak rate")
    embedding_rate_scale: float = Field(1.0, ge=0.0, description="factor on the rate of an initialised table")
    warmup: Probability = Field(0.05, description="share of the steps in which the rate rises linearly")
    final_rate: float = Field(0.05, ge=0.0, le=1.0, description="share of the peak rate that the cosine decay ends at")
    weight_decay: float = Field(0.01, ge=0.0, description="decoupled weight decay; none on biases")
    clip_norm: float | None = Field(1.0, gt=0, description="clip the norm of the whole gradient")
    word_dropout: Probability = Field(0.0, description="share of the tokens whose vectors are zero, while training")
    activation_penalty: Penalty = Field(0.0, description="on the mean square of the top layer's output")
    temporal_penalty: Penalty = Field(0.0, description="on the mean square of its change from step to step")
    average: Probability = Field(0.0, description="decay of a moving average of the weights, which is kept; 0: none")
    valid_fraction: float = Field(0.02, gt=0.0, lt=0.5, description="share of the last sentences kept for validation")
    patience: int = Field(2, ge=1, description="stop after so many epochs without a better validation perplexity")
    checkpoint_minutes: float = Field(10.0, gt=0, description="save the state for resuming at least so often")
    precision: PrecisionChoice = Field(
        "auto",
        description="of matrix products; the state stays float32. auto: bfloat16 where that is faster",
    )
    reduce: Precision = Field("float32", description="of the gradients that several processes add up")

    @property
    def rows(self) -> int:
        """Rows of the stream: those of a long corpus, as long as no corpus has decided."""
        return MOST_ROWS if self.batch_size is None else self.batch_size

    def for_corpus(self, tokens: int) -> Self:
        """The same with a batch size: as many rows as √tokens / 60, down to a power of two.

        Short corpora need more and smaller steps than they have epochs for: see docs/how-to/pretrain.md.
        """
        if self.batch_size is not None:
            return self
        rows = 2 ** int(math.log2(max(1.0, math.sqrt(tokens) / 60)))
        return self.model_copy(update={"batch_size": min(MOST_ROWS, max(LEAST_ROWS, rows))})

    @model_validator(mode="before")
    @classmethod
    def _adagrad_has_its_own_defaults(cls, values: Any) -> Any:
        adagrad = isinstance(values, dict) and values.get("optimiser") == "adagrad"
        return {**ADAGRAD, **values} if adagrad else values

    @model_validator(mode="after")
    def _adagrad_does_not_decay(self) -> Self:
        if self.optimiser == "adagrad" and self.weight_decay:
            raise ValueError(f"weight_decay is {self.weight_decay:g}, but needs optimiser: adamw")
        return self
