"""The rows of a comparison: each static embedding file, each LM in each λ mode, and a reference without embeddings.

A static row looks up the file's vectors for the tokens of the first LM's vocabulary, which is that of the training
text; all other tokens share one unknown row (the file's own `<UNK>` if it has one). Static rows and the reference read
the tokens of the first LM. Each further LM reads the same texts cut by its own tokenizer, as it was trained to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from elmo_cli.config import ClassifySettings, Experiment, TokenizerSettings
from elmo_cli.config.choices import LambdaMode
from elmo_cli.data.files import fingerprint
from elmo_cli.data.folders import unique_names
from elmo_cli.embedder import Embedder
from elmo_cli.errors import ConfigError, nearest
from elmo_cli.model.combiner import make_combiner
from elmo_cli.report.records import RowFacts, RowKind, UnknownTokens
from elmo_cli.runs import WEIGHTS_FILE, load_lm
from elmo_cli.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from elmo_cli.training.labelled import LabelledCorpus
from elmo_cli.vectors.formats import read_vectors
from elmo_cli.vectors.static import StaticVectors, coverage, static_embedder, table_for

REFERENCE = "TF-IDF + SVM"
NGRAMS = "n-grams"

Texts = tuple[LabelledCorpus, LabelledCorpus]  # training and test file, cut by one tokenizer


@dataclass(frozen=True)
class Row:
    """A row of the table; this class alone is the reference, which has no embedder.

    Attributes:
        name: What it is called in all tables.
        kind: What gives the vectors.
        source: What makes its classifiers those of this row: fingerprints of files, settings of the tokens.
        texts: As it reads them.
        unknown: The tokens that it has no vector for.
        note: What the user should know of its file.
    """

    name: str
    kind: RowKind
    source: str
    texts: Texts
    unknown: UnknownTokens
    note: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class EmbedderRow(Row):
    """A row whose classifiers read an embedder; `lm` is the name of its LM, if it has one."""

    embedder: Embedder
    settings: ClassifySettings
    lm: str | None = None


def joined_name(row: str) -> str:
    """What a row is called with n-grams beside it."""
    return f"{row} + {NGRAMS}"


def facts(row: Row) -> RowFacts:
    """What a row is, for the results."""
    own = row if isinstance(row, EmbedderRow) else None
    return {
        "name": row.name,
        "kind": row.kind,
        "lm": own.lm if own else None,
        "mode": own.settings.lambdas if own and own.lm else None,  # a static table has one layer and no combiner
        "tune": own.settings.tune if own else None,
        "layers": own.embedder.layer_count if own else None,
        "width": own.embedder.width if own else None,
        "unknown": row.unknown,
        "ngrams": False,
    }


@dataclass(frozen=True)
class LanguageModel:
    """An LM run with the combiners of its rows, all checked."""

    name: str
    embedder: Embedder
    source: str
    modes: Mapping[str, ClassifySettings]

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The words that it knows; None for a character model, to which no token is unknown."""
        return self.embedder.vocabulary if self.embedder.indexer.encoder == "word" else None


def load_models(experiment: Experiment, paths: Sequence[Path]) -> list[LanguageModel]:
    """The LM runs; that there are rows at all, and that each combiner fits each LM, is seen before any text is read.

    Raises:
        ConfigError: There are no rows, a mode or LM is given twice, or a mode is unknown or does not fit an LM.
        RunError: A run cannot be used.
    """
    if not experiment.compare.baselines and not experiment.compare.lambdas:
        raise ConfigError(
            "there is nothing to compare",
            expected="a --baseline file or a --lambdas mode",
            remedy="train vectors to compare with: elmo baseline word2vec",
        )
    modes = {mode: _with_mode(experiment.classify, mode) for mode in experiment.compare.lambdas}
    if len(modes) < len(experiment.compare.lambdas):
        twice = next(mode for mode in modes if experiment.compare.lambdas.count(mode) > 1)
        raise ConfigError(
            f"--lambdas {twice} is given twice", expected="each mode once", remedy="leave one of the two out"
        )
    places = unique_names(paths, "LM run")
    embedders = [load_lm(path) for path in paths]
    sources = _sources(paths, "LM run", WEIGHTS_FILE)
    own = [embedder.name for embedder in embedders]
    names = [name if own.count(name) == 1 else place for name, place in zip(own, places, strict=True)]
    models = [LanguageModel(*parts, modes) for parts in zip(names, embedders, sources, strict=True)]
    for model in models:
        for mode, settings in modes.items():
            _check_layers(model, mode, settings, experiment.seed)
    return models


def make_rows(
    experiment: Experiment, models: Sequence[LanguageModel], read: Callable[[TokenizerSettings], Texts]
) -> list[Row]:
    """All rows, static files first, the reference last, each checked; `read` gives the texts cut by a tokenizer.

    Raises:
        ConfigError: A file is given twice, two rows have one name, or the row to compare with is not there.
        DataError: A file cannot be read, or has no token in common with the training text.
    """
    first = models[0].embedder
    texts = read(first.tokenizer)
    vocabulary = first.vocabulary or Vocabulary.build(texts[0].corpus, experiment.vocab, first.tokenizer)
    files = experiment.compare.baselines
    names, sources = unique_names(files, "baseline"), _sources(files, "baseline")
    rows: list[Row] = [
        _static_row(experiment, name, path, source, vocabulary, texts)
        for name, path, source in zip(names, files, sources, strict=True)
    ]
    for model in models:
        rows += _lm_rows(model, read(model.embedder.tokenizer))
    if experiment.compare.reference:
        source = f"TF-IDF, {first.tokenizer.model_dump_json()}"
        rows.append(Row(REFERENCE, "reference", source, texts, UnknownTokens()))
    every = [row.name for row in rows]
    if experiment.compare.ngrams:
        every += [NGRAMS, *(joined_name(row.name) for row in rows if isinstance(row, EmbedderRow))]
    if twice := next((name for name in every if every.count(name) > 1), None):
        raise ConfigError(f"two rows would be called '{twice}'", expected="a name for each", remedy="rename the file")
    if (against := experiment.compare.against) not in (None, *every):
        raise ConfigError(
            f"compare.against is '{against}', but no row is called so",
            expected=", ".join(every),
            remedy=nearest(against or "", every),
        )
    return rows


def _sources(paths: Sequence[Path], what: str, file: str = "") -> list[str]:
    """Fingerprints of files, or of a file in runs, no two equal: a row twice would count as two comparisons."""
    found: dict[str, Path] = {}
    for path in paths:
        source = fingerprint(path / file)
        if source in found:
            raise ConfigError(
                f"the {what} {path} holds the same as {found[source]}",
                where=path,
                expected="each one once",
                remedy="leave one of the two out",
            )
        found[source] = path
    return list(found)


def _with_mode(settings: ClassifySettings, mode: str) -> ClassifySettings:
    """The settings with another combiner; frozen weights stay for the mode that has them."""
    weights = settings.frozen_lambdas if mode == "frozen" else None
    try:
        return ClassifySettings.model_validate({**settings.model_dump(), "lambdas": mode, "frozen_lambdas": weights})
    except ValidationError as error:
        raise ConfigError(
            f"compare.lambdas has '{mode}'",
            expected="trainable, frozen, function or layer:N, one a row",
            remedy=nearest(mode, (*get_args(LambdaMode), "layer:0", "layer:1", "layer:2")),
        ) from error


def _check_layers(model: LanguageModel, mode: str, settings: ClassifySettings, seed: int) -> None:
    """See that a combiner fits the layers of an LM."""
    try:
        make_combiner(settings, model.embedder.layer_count, model.embedder.width, seed)
    except ConfigError as error:
        layers = model.embedder.layer_count
        raise ConfigError(
            f"--lambdas {mode} does not fit {model.name}, which has {layers} layers: {error.message}",
            expected=error.expected,
            remedy="layer 0 are the token vectors, the others the LSTM layers",
        ) from error


def _lm_rows(model: LanguageModel, texts: Texts) -> Iterable[EmbedderRow]:
    vocabulary = model.vocabulary
    unknown = UnknownTokens() if vocabulary is None else _unknown(vocabulary, texts)
    for mode, settings in model.modes.items():
        name = f"{model.name} {mode}"
        yield EmbedderRow(name, "lm", model.source, texts, unknown, model.embedder, settings, lm=model.name)


def _static_row(
    experiment: Experiment, name: str, path: Path, source: str, vocabulary: Vocabulary, texts: Texts
) -> EmbedderRow:
    vectors, tokenizer = read_vectors(path), vocabulary.tokenizer
    covered = _covered(vocabulary, vectors, experiment.seed)
    embedder = static_embedder(vectors, covered, experiment.seed)
    train, test = (asdict(coverage(vectors, one.corpus, tokenizer.lowercase)) for one in texts)
    unknown: UnknownTokens = {**_unknown(covered, texts), "file": {"train": train, "test": test}}
    reading = f"{vocabulary.fingerprint()}, {tokenizer.model_dump_json()}"
    settings = _with_mode(experiment.classify, "layer:0")
    return EmbedderRow(
        name, "static", f"{source} for {reading}", texts, unknown, embedder, settings, note=vectors.left_out
    )


def _covered(vocabulary: Vocabulary, vectors: StaticVectors, seed: int) -> Vocabulary:
    """The vocabulary without the tokens that the file lacks."""
    _, known = table_for(vocabulary, vectors, seed)
    special = len(SPECIAL_TOKENS)
    kept = [token for token, found in zip(vocabulary.tokens[special:], known[special + 1 :], strict=True) if found]
    return Vocabulary([*SPECIAL_TOKENS, *kept], tokenizer=vocabulary.tokenizer)


def _unknown(vocabulary: Vocabulary, texts: Texts) -> UnknownTokens:
    """Unknown types and tokens of both files."""
    train, test = (vocabulary.oov(one.corpus) for one in texts)
    return {"train": {**asdict(train), "rate": train.rate}, "test": {**asdict(test), "rate": test.rate}}
