"""The rows of a comparison: each static embedding file, and the LM in each λ mode, with everything else equal.

A static row looks up the file's vectors for the tokens of the LM's vocabulary, which is that of the training text; all
other tokens share one unknown row (the file's own `<UNK>` if it has one). So every row reads the same tokens, and none
knows words of the test text that training did not show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from elmo_cli.config import ClassifySettings, Experiment
from elmo_cli.embedder import Embedder
from elmo_cli.errors import ConfigError, DataError
from elmo_cli.model.combiner import make_combiner
from elmo_cli.runs import WEIGHTS_FILE
from elmo_cli.text.corpus import fingerprint
from elmo_cli.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from elmo_cli.training.labelled import LabelledCorpus
from elmo_cli.vectors.embedder import static_embedder
from elmo_cli.vectors.formats import StaticVectors, coverage, read_vectors, table_for


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        name: In the table.
        kind: What gives the vectors.
        mode: Combiner of the layers; a static table has one layer and needs none.
        settings: Of its classifiers.
        embedder: What gives the vectors.
        source: Fingerprint of the embedding file or of the LM's weights.
        unknown: Of the training and of the test tokens, what the row has no vector for, and for a static row what the
            whole file has none for.
    """

    name: str
    kind: Literal["static", "lm"]
    mode: str
    settings: ClassifySettings
    embedder: Embedder
    source: str
    unknown: Mapping[str, Any]


def make_rows(
    experiment: Experiment, embedder: Embedder, lm: Path, train: LabelledCorpus, test: LabelledCorpus
) -> list[Row]:
    """All rows, static files first, each checked.

    Args:
        experiment: `compare` names files and modes, `classify` everything that the rows share.
        embedder: The LM.
        lm: Its run.
        train: Training texts.
        test: Test texts.

    Raises:
        ConfigError: A mode is unknown, or a file is given twice.
        DataError: A file cannot be read, or has no token in common with the training text.
    """
    vocabulary = embedder.vocabulary or Vocabulary.build(train.corpus, experiment.vocab, embedder.tokenizer)
    names = _names(experiment.compare.baselines)
    rows = [
        _static_row(experiment, name, path, vocabulary, train, test)
        for name, path in zip(names, experiment.compare.baselines, strict=True)
    ]
    source = fingerprint(lm / WEIGHTS_FILE)
    unknown = _oov(embedder.vocabulary, train, test) if embedder.indexer.encoder == "word" else {}
    for mode in dict.fromkeys(experiment.compare.lambdas):
        settings = _with_mode(experiment.classify, mode)
        make_combiner(settings, embedder.layer_count, embedder.width, experiment.seed)  # refuses a layer there is not
        rows.append(Row(f"{embedder.name} {mode}", "lm", mode, settings, embedder, source, unknown))
    if not rows:
        raise ConfigError("there is nothing to compare", expected="a --baseline file or a --lambdas mode")
    return rows


def _names(files: Sequence[Path]) -> list[str]:
    """File names, with their folder where two files have the same."""
    plain = [path.name for path in files]
    names = [f"{path.parent.name}/{path.name}" if plain.count(path.name) > 1 else path.name for path in files]
    for name, path in zip(names, files, strict=True):
        if names.count(name) > 1:
            raise ConfigError(f"the baseline {path} is given twice", expected="each file once", where=path)
    return names


def _with_mode(settings: ClassifySettings, mode: str) -> ClassifySettings:
    """The settings with another combiner; frozen weights stay for the mode that has them."""
    weights = settings.frozen_lambdas if mode == "frozen" else None
    try:
        return ClassifySettings.model_validate({**settings.model_dump(), "lambdas": mode, "frozen_lambdas": weights})
    except ValidationError as error:
        raise ConfigError(
            f"compare.lambdas has '{mode}'", expected="trainable, frozen, function or layer:N, one a row"
        ) from error


def _static_row(
    experiment: Experiment,
    name: str,
    path: Path,
    vocabulary: Vocabulary,
    train: LabelledCorpus,
    test: LabelledCorpus,
) -> Row:
    vectors = read_vectors(path)
    covered = _covered(vocabulary, vectors, experiment.seed)
    embedder = static_embedder(vectors, covered, experiment.seed)
    lowercase = vocabulary.tokenizer.lowercase
    in_file = {role: asdict(coverage(vectors, texts.corpus, lowercase)) for role, texts in _both(train, test)}
    unknown = {**_oov(covered, train, test), "file": in_file}
    settings = _with_mode(experiment.classify, "layer:0")
    return Row(name, "static", "layer:0", settings, embedder, fingerprint(path), unknown)


def _covered(vocabulary: Vocabulary, vectors: StaticVectors, seed: int) -> Vocabulary:
    """The vocabulary without the tokens that the file lacks."""
    _, known = table_for(vocabulary, vectors, seed)
    special = len(SPECIAL_TOKENS)
    kept = [token for token, found in zip(vocabulary.tokens[special:], known[special + 1 :], strict=True) if found]
    if not kept:
        raise DataError(
            f"{vectors.source.name} has no token in common with the training text",
            where=vectors.source,
            expected="tokens such as " + ", ".join(f"'{token}'" for token in vocabulary.tokens[special : special + 5]),
            remedy="give vectors of the same language and the same upper or lower case",
        )
    return Vocabulary([*SPECIAL_TOKENS, *kept], tokenizer=vocabulary.tokenizer)


def _oov(vocabulary: Vocabulary | None, train: LabelledCorpus, test: LabelledCorpus) -> dict[str, Any]:
    """Unknown types and tokens of both files."""
    if vocabulary is None:
        return {}
    reports = ((role, vocabulary.oov(texts.corpus)) for role, texts in _both(train, test))
    return {role: {**asdict(report), "rate": report.rate} for role, report in reports}


def _both(train: LabelledCorpus, test: LabelledCorpus) -> tuple[tuple[str, LabelledCorpus], ...]:
    return ("train", train), ("test", test)
