"""The settings themselves: each a field with its type, its bounds and what it is for."""

from __future__ import annotations

import codecs
import re
from encodings.aliases import aliases
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from elmo_cli.config.choices import (
    Activation,
    Cleaning,
    EncoderKind,
    Header,
    LambdaMode,
    LambdaNorm,
    OptimiserKind,
    Pooling,
    Precision,
    PrecisionChoice,
    Preset,
    Quoting,
    SoftmaxKind,
    SvdWeighting,
    TokenizerKind,
    Word2VecAlgorithm,
)
from elmo_cli.errors import nearest

# YAML and shells have uses of their own for most of these signs, so each has a name too.
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}


def _as_list(value: object) -> object:
    """A single value stands for a list of one, as in `text: Description`."""
    return [value] if isinstance(value, str | int | float | Path) else value


def _as_numbers(value: object) -> object:
    """Numbers with commas between them stand for their list, as in `0.1,0.3`."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else _as_list(value)


def _as_name(value: object) -> object:
    """The number of a column is its name where a file has no names."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _as_weights(value: object) -> object:
    """`Sports=2,World=0.5` stands for its mapping; names are text, in which a comma follows no weight."""
    if isinstance(value, str) and "=" in value:
        value = dict(pair.rpartition("=")[::2] for pair in re.split(r"(?<=[\d.]),(?=[^,]*[^,=]=|.*=)", value))
    return {str(name).strip(): weight for name, weight in value.items()} if isinstance(value, dict) else value


Paths = Annotated[tuple[Path, ...], BeforeValidator(_as_list)]
Name = Annotated[str, BeforeValidator(_as_name)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_as_list)]


def _known_encoding(name: str) -> str:
    """An encoding under the one name that Python gives it, as in `latin-1` -> `iso8859-1`."""
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        codec = None
    if codec is None or not getattr(codec, "_is_text_encoding", True):
        text = (pair for pair in aliases.items() if not pair[1].endswith("_codec") and pair[1] != "rot_13")
        known = sorted({alias.replace("_", "-") for pair in text for alias in pair})
        hint = nearest(name.replace("_", "-"), known)
        raise ValueError(hint if hint.startswith("did") else "it should be an encoding, such as utf-8, latin-1, cp1252")
    return "utf-8" if codec.name == "utf-8-sig" else codec.name


def _known_delimiter(name: str) -> str:
    sign = DELIMITERS.get(name, name)
    if sign != "auto" and (len(sign) != 1 or sign in '"\r\n'):
        raise ValueError(f"it should be auto, one sign, or one of {', '.join(DELIMITERS)}")
    return sign


Encoding = Annotated[str, AfterValidator(_known_encoding)]
Delimiter = Annotated[str, AfterValidator(_known_delimiter)]
Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
Penalty = Annotated[float, Field(ge=0.0)]
Rate = Annotated[float, Field(gt=0.0)]
Shares = Annotated[tuple[Annotated[float, Field(gt=0.0, le=1.0)], ...], BeforeValidator(_as_numbers)]


class Settings(BaseModel):
    """Base of all settings: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


ClassWeights = Annotated[
    Literal["balanced"] | dict[str, Annotated[float, Field(gt=0.0)]] | None, BeforeValidator(_as_weights)
]


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
    quoting: Quoting = Field("auto", description="whether quotation marks enclose fields; auto: in CSV, not in TSV")
    clean: Cleaning = Field("none", description="clean-up of the text before tokenising; recorded with the run")


class DataSettings(ReadingSettings, FileSettings):
    """Where the text and the labels are, and how to read them."""

    limit: int | None = Field(None, ge=1, description="use only the first rows of the training file")


class TokenizerSettings(Settings):
    """How text becomes tokens; travels with the vocabulary in `vocab.yaml`."""

    kind: TokenizerKind = Field("words", description="words and punctuation marks, whitespace, or your regex")
    lowercase: bool = Field(False, description="lower-case the text first")
    pattern: str | None = Field(None, description="regular expression of a token, for kind regex")


class VocabularySettings(Settings):
    """Which tokens get an id."""

    min_count: int = Field(2, ge=1, description="drop tokens seen less often")
    max_size: int | None = Field(None, ge=4, description="keep at most so many, <S> </S> <UNK> included")


class CharacterSettings(Settings):
    """The ELMo character CNN: embedding, convolutions, highways (docs/explanation/formats.md#options)."""

    dim: int = Field(16, ge=1, description="width of a character vector")
    filters: tuple[tuple[int, int], ...] = Field(
        ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256)), description="(width, count) of each convolution"
    )
    max_characters: int = Field(50, ge=3, description="characters of a token, begin and end marks included")
    highway_layers: int = Field(2, ge=0, description="highway layers after the convolutions")
    activation: Activation = Field("relu", description="after the maximum over positions")


class ModelSettings(Settings):
    """The biLM."""

    encoder: EncoderKind = Field("word", description="token encoder: an embedding table, the character CNN, or both")
    embedding_size: int | None = Field(None, ge=1, description="width of the table; absent: that of a token vector")
    init_embeddings: Path | None = Field(None, description="static embedding file that the table starts from")
    freeze_embeddings: bool = Field(False, description="keep the table as it was initialised")
    characters: CharacterSettings = Field(CharacterSettings(), description="the character CNN")
    hidden_size: int = Field(256, ge=1, description="D, cell size of an LSTM layer")
    projection_size: int | None = Field(None, ge=1, description="P, projection and token size; absent: D, unprojected")
    layers: int = Field(2, ge=1, description="L, LSTM layers in each direction")
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
    samples: int = Field(8192, ge=1, description="negative samples a batch, for the sampled softmax")
    tie: bool = Field(False, description="share the weights of embedding table and softmax")

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
        if self.tie and self.softmax == "adaptive":
            raise ValueError("tie needs softmax: full or sampled, since adaptive has narrower tail tables")
        return self


# What Adagrad starts from, as in bilm-tf: a constant rate without decay.
ADAGRAD = {"learning_rate": 0.2, "warmup": 0.0, "final_rate": 1.0, "weight_decay": 0.0, "clip_norm": 10.0}


class PretrainSettings(Settings):
    """Training of the biLM."""

    epochs: int = Field(12, ge=1, description="passes over the corpus")
    max_minutes: float | None = Field(None, gt=0, description="end after so long, the rate having fallen by then")
    batch_size: int = Field(32, ge=1, description="rows of the stream")
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
    reference: bool = Field(True, description="a row for TF-IDF with a linear SVM, which has no embeddings")
    against: str | None = Field(None, description="row to test the others against; absent: the strongest static row")
    seeds: int = Field(3, ge=1, description="classifiers trained for each row")
    jobs: int = Field(1, ge=1, description="classifiers that train side by side, each with its share of the cores")
    fractions: Shares = Field((), description="shares of the labelled texts for learning curves, e.g. 0.1,0.3,1.0")
    bootstrap: int = Field(10_000, ge=100, description="bootstrap resamples of the test examples")


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
    data: DataSettings = Field(DataSettings(), description="files and columns")
    tokenizer: TokenizerSettings = Field(TokenizerSettings(), description="text to tokens")
    vocab: VocabularySettings = Field(VocabularySettings(), description="tokens to ids")
    model: ModelSettings = Field(ModelSettings(), description="the biLM")
    pretrain: PretrainSettings = Field(PretrainSettings(), description="training of the biLM")
    classify: ClassifySettings = Field(ClassifySettings(), description="the classifier")
    compare: CompareSettings = Field(CompareSettings(), description="the comparison")
    word2vec: Word2VecSettings = Field(Word2VecSettings(), description="static vectors by word2vec")
    svd: SvdSettings = Field(SvdSettings(), description="static vectors by SVD")
