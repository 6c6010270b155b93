"""What `results.json` and `examples.json` hold, as far as reports show it.

Plain dictionaries on purpose: what a comparison hands on in memory and what is read back from its files is the same.
Accuracies, their differences and intervals are shares, of test texts where nothing else is said.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

RowKind = Literal["static", "lm", "reference"]


class UnknownTokens(TypedDict, total=False):
    """Counts and `rate` of the tokens of each file without a vector; empty for a row to which no token is unknown."""

    train: dict[str, float]
    test: dict[str, float]
    file: dict[str, dict[str, float]]  # of a static row what its whole file has, whatever the vocabulary


class ValidationScores(TypedDict):
    """The kept epoch of a classifier on the validation texts; a linear SVM has no loss."""

    examples: int
    accuracy: float
    loss: float | None


class BranchRecord(TypedDict):
    """Counted n-grams beside a classifier: the weights of the two, and what the parts are worth on validation."""

    features: int
    C: float
    converged: bool
    weights: list[float]
    valid: dict[Literal["embedder", "ngrams", "together"], dict[str, float]]
    seconds: float


class TrainingRecord(TypedDict):
    """What the training of a classifier reports; a reference has C and no epochs."""

    seed: int
    lambdas: list[float] | None
    gamma: float | None
    activations: str | None
    valid: ValidationScores
    seconds: float
    epochs: NotRequired[int]
    best_epoch: NotRequired[int]
    stopped: NotRequired[bool]
    precision: NotRequired[str]
    C: NotRequired[float]
    letters: NotRequired[bool]
    features: NotRequired[int]
    converged: NotRequired[bool]
    ngrams: NotRequired[BranchRecord | None]


class SeedRecord(TrainingRecord):
    """A classifier of a comparison with its scores on the test texts."""

    accuracy: float
    macro_f1: float
    notes: list[str]


class RowFacts(TypedDict):
    """What a row of a comparison is, before anything is trained."""

    name: str
    kind: RowKind
    lm: str | None
    mode: str | None
    tune: bool | None
    layers: int | None
    width: int | None
    unknown: UnknownTokens
    ngrams: NotRequired[bool]  # whether counted n-grams answer along, or alone


class RowFigures(TypedDict):
    """Accuracies of a row, means over its seeds."""

    accuracy: float
    sd: float | None
    interval: list[float]
    valid_accuracy: float


class RowRecord(RowFacts, RowFigures):
    """A row with its classifiers, and its difference from the row that all are compared with."""

    macro_f1: float
    seeds: list[SeedRecord]
    difference: float | None
    difference_interval: list[float] | None
    p: float | None
    p_holm: float | None
    significant: bool | None
    confusion: dict[str, list[list[int]]]  # of each file: texts by true and predicted class


class PairRecord(TypedDict):
    """Two rows that were tested against each other; the difference is first minus second."""

    first: str
    second: str
    difference: float
    interval: list[float]
    p: float
    p_holm: float
    significant: bool


class NamedFigures(RowFigures):
    """The same with the name of the row."""

    name: str


class CurvePoint(TypedDict):
    """All rows after learning from a share of the labelled texts."""

    fraction: float
    texts: int
    trained_on: int
    validation: int
    rows: list[NamedFigures]


class FileRecord(TypedDict):
    """A labelled file, and how many of its texts were cut."""

    file: str
    texts: int
    cut: int


class TextsRecord(FileRecord):
    """The data card of a labelled file, lengths in tokens; to a character model no token is unknown."""

    classes: dict[str, int]
    tokens: int
    lengths: dict[str, float]
    unknown_rate: float | None


class MajorityRecord(TypedDict):
    """What is right on the test texts of the answer that is always the most frequent class of the training file."""

    label: str
    accuracy: float
    interval: list[float]
    macro_f1: float


class Summary(TypedDict):
    """The table of a comparison, the tests behind it, and what may be concluded from them."""

    reference: str
    best_mode: str | None
    best_row: str | None
    recommended: NotRequired[str]  # the best of all rows on validation
    test: str
    comparisons: int
    pairs: list[PairRecord]
    rows: list[RowRecord]
    majority: NotRequired[MajorityRecord]  # absent of comparisons from before there was one
    in_short: NotRequired[list[str]]  # the conclusion in at most three sentences
    conclusion: str


class ComparisonResults(Summary):
    """`results.json` of a comparison."""

    curves: list[CurvePoint]
    seeds: list[int]
    classes: list[str]
    data: dict[str, TextsRecord]
    train: FileRecord
    test_file: FileRecord
    warnings: list[str]
    notes: list[str]


class AnswerRecord(TypedDict):
    """What a row says of a text; the reference has no probabilities."""

    predicted: str
    probability: float | None


class ExampleRecord(TypedDict):
    """A test text with the answer of each row."""

    index: int
    text: str
    label: str
    rows: dict[str, AnswerRecord]


Examples = dict[Literal["hardest", "only_lm", "lm_wrong"], list[ExampleRecord]]  # `examples.json` of a comparison


class ClassRecord(TypedDict):
    """Scores of one class, and its true texts."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


class ScoresRecord(TypedDict):
    """All scores of a classifier on a file."""

    examples: int
    accuracy: float
    interval: list[float]
    macro: dict[str, float]
    weighted: dict[str, float]
    classes: list[ClassRecord]
    confusion: list[list[int]]
    notes: list[str]


class ClassifierResults(TrainingRecord):
    """`results.json` of a classifier run; without scores where the training was stopped."""

    lm: str
    mode: str
    tune: bool
    classes: list[str]
    train: NotRequired[ScoresRecord]
    test: NotRequired[ScoresRecord]


class CountedAccuracy(TypedDict):
    """Tokens of one kind, and the share of them that is right, where there are any."""

    tokens: int
    accuracy: float | None


class SpansRecord(TypedDict):
    """Scores of all spans on a file, and how many there are."""

    precision: float
    recall: float
    f1: float
    interval: list[float]
    true: int
    predicted: int
    right: int


class ConfusedRecord(TypedDict):
    """How often one tag was taken for another."""

    true: str
    predicted: str
    tokens: int


class TagScoresRecord(TypedDict):
    """All scores of a tagger on a file; without spans where tags are plain."""

    sentences: int
    tokens: int
    accuracy: float
    interval: list[float]
    known: CountedAccuracy
    unknown: CountedAccuracy
    spans: SpansRecord | None
    classes: list[ClassRecord]
    confused: list[ConfusedRecord]


class TaggerResults(TrainingRecord):
    """`results.json` of a tagger run; without scores where the training was stopped."""

    lm: str
    mode: str
    tune: bool
    head: str
    scheme: str
    tags: list[str]
    train_scores: NotRequired[TagScoresRecord]
    valid_scores: NotRequired[TagScoresRecord]
    test_scores: NotRequired[TagScoresRecord]


class PerplexityRecord(TypedDict):
    """Perplexities of a text, and the share of its tokens that are unknown."""

    forward: float
    backward: float
    mean: float
    tokens: int
    oov_rate: float


class LmResults(TypedDict):
    """`results.json` of a language model that was trained."""

    validation: PerplexityRecord
    epochs: int
    best_epoch: int
    ended_by: str
    steps: int
    tokens: int
    seconds: float
    tokens_per_second: float
    parameters: int
    vocabulary_size: int
    leak_test: dict[str, object] | None
