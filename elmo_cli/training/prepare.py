"""What comes before training: where validation comes from, and the vocabulary.

Validation is `data.valid`, else the last sentences of the corpus, at least one of them. Which text the corpus is,
`elmo_cli.text.sources` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from elmo_cli.config import Experiment, ModelSettings, TokenizerSettings
from elmo_cli.data.formats import deciding_texts
from elmo_cli.errors import ConfigError, DataError
from elmo_cli.events import Notice, Tell, silent
from elmo_cli.runs import RESULTS_FILE, RunWriter, describe_files, portable
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.text.sources import cache_of, corpus_files, encode_corpus
from elmo_cli.text.vocabulary import Vocabulary
from elmo_cli.training.costs import vocabulary_parameters
from elmo_cli.training.start import Start
from elmo_cli.vectors.formats import read_vectors
from elmo_cli.vectors.static import table_for

WORD_LENGTH = 12  # letters of a token of running text, above the mean of any language that is written in words


@dataclass(frozen=True)
class VocabularyReport:
    """A vocabulary that was built."""

    path: Path  # its run
    vocabulary: Vocabulary
    parameters: dict[str, int]  # weights that a biLM of the settings spends on it, by part: `embedding`, `softmax`

    def as_dict(self) -> dict[str, Any]:
        """The figures: of the corpus, of the vocabulary, and what it costs a model, in parameters and MB of float32."""
        totals = self.vocabulary.totals
        counted = {**asdict(totals), "oov_rate": 1 - totals.coverage} if totals else {}
        megabytes = 4 * sum(self.parameters.values()) / 1e6
        costs = {"parameters": self.parameters, "megabytes": megabytes}
        return {"path": str(self.path), "size": len(self.vocabulary), **counted, **costs}


def build_vocabulary_run(
    experiment: Experiment,
    paths: Sequence[Path] = (),
    out: Path | None = None,
    overwrite: bool = False,
    tell: Tell = silent,
) -> VocabularyReport:
    """Count the corpus and write the vocabulary as a run.

    Args:
        experiment: Its `data`, `tokenizer` and `vocab` say what is counted and kept.
        paths: The corpus; empty: that of the settings.
        out: The run; None: `vocab` in the folder of the runs.
        overwrite: Replace a vocabulary that is there.
        tell: Told notices, and how much is read.
    """
    out = out or experiment.output / "vocab"
    with RunWriter(out, "vocab", "elmo vocab build", overwrite=overwrite) as writer:
        files, known = corpus_files(experiment, paths, tell), cache_of(experiment)
        corpus = encode_corpus(experiment, files, experiment.tokenizer, fingerprint=known, tell=tell)
        vocabulary = Vocabulary.build(corpus, experiment.vocab, experiment.tokenizer)
        _warn_of_sentences(corpus, experiment.tokenizer, tell)
        writer.describe(
            experiment.model_dump(include={"data", "tokenizer", "vocab"}), {"corpus": describe_files(files, known)}
        )
        writer.write_vocabulary(vocabulary)
        totals = asdict(vocabulary.totals) if vocabulary.totals else {}
        writer.write_json(RESULTS_FILE, {"size": len(vocabulary), **totals})
    return VocabularyReport(out, vocabulary, vocabulary_parameters(experiment.model, len(vocabulary)))


def _warn_of_sentences(corpus: EncodedCorpus, tokenizer: TokenizerSettings, tell: Tell) -> None:
    """Say so where the tokens are too long to be words, as those of Chinese or Thai are between spaces."""
    lengths = np.fromiter(map(len, corpus.types), dtype=np.int64, count=len(corpus.types))
    mean = float(lengths @ corpus.counts()) / max(1, corpus.token_count)
    if mean > WORD_LENGTH:
        found = f"a token has {mean:.0f} letters on average, as whole sentences have"
        other = tokenizer.kind != "words"
        remedy = "--tokenizer words cuts text without spaces" if other else "cut the text into words beforehand"
        tell(Notice(f"{found}: is this text written without spaces between words? {remedy}"))


@dataclass(frozen=True)
class PretrainJob:
    """A pretraining, all its input read and checked."""

    settings: Experiment  # the experiment, its tokenizer that of the vocabulary
    vocabulary: Vocabulary
    corpus: EncodedCorpus  # training sentences
    valid: EncodedCorpus  # validation sentences
    validation: str  # how they were chosen, in words
    files: dict[str, list[dict[str, str]]]  # name and fingerprint of each file, by role
    # (V + 1, E) vectors that the embedding table starts from, and (V + 1,) which are known; None: it starts at random
    initial_table: tuple[NDArray[np.float32], NDArray[np.bool_]] | None = None
    start: Start | None = None  # whose weights it begins with


def prepare_pretraining(
    experiment: Experiment,
    paths: Sequence[Path],
    vocabulary: Vocabulary | None,
    tell: Tell = silent,
    start: Start | None = None,
) -> PretrainJob:
    """Read and check everything that a pretraining needs.

    Args:
        experiment: The settings; where the width of the embedding table is open, initial vectors decide it.
        paths: The corpus; empty: that of the settings.
        vocabulary: What input and softmax know; its tokenizer is the one that counts. None: built from the corpus.
        tell: Told notices, and how much is read.
        start: A run to go on from, whose architecture counts.

    Raises:
        ConfigError: No text was given, it is the test file, or settings contradict each other.
        DataError: A file cannot be read, or there is too little text to hold any of it out.
    """
    experiment = start.settings(experiment) if start else experiment
    names, known = corpus_files(experiment, paths, tell), cache_of(experiment)
    tokenizer = vocabulary.tokenizer if vocabulary else experiment.tokenizer
    corpus = encode_corpus(experiment, names, tokenizer, fingerprint=known, tell=tell)
    vocabulary = vocabulary or Vocabulary.build(corpus, experiment.vocab, experiment.tokenizer)
    model, table = _sampled_or_full(experiment.model, len(vocabulary), tell), None
    files = {"corpus": describe_files(names, known), **({"from": [start.file]} if start else {})}
    if model.init_embeddings is not None:
        if model.encoder == "char":
            raise ConfigError(
                f"model.init_embeddings is given, but model.encoder is {model.encoder}",
                expected="encoder: word or word+char, which have an embedding table",
                remedy="leave the vectors out, or set model.encoder=word",
            )
        # Vectors first, then the settings that they decide: a run describes the model that was built.
        vectors = read_vectors(model.init_embeddings)
        if vectors.left_out:
            tell(Notice(vectors.left_out))
        files["init_embeddings"] = describe_files([model.init_embeddings], known)
        table = table_for(vocabulary, vectors, experiment.seed)
        if model.embedding_size is None and vectors.width != model.token_size:
            model = _revalidated(model, embedding_size=vectors.width)
    pretrain = experiment.pretrain.for_corpus(corpus.token_count)
    decided = {"tokenizer": vocabulary.tokenizer, "model": model, "pretrain": pretrain}
    settings = experiment.model_copy(update=decided)
    held_out = experiment.data.valid
    if held_out is not None:
        valid = encode_corpus(experiment, [held_out], vocabulary.tokenizer, fingerprint=known, tell=tell)
        validation = f"the file {held_out.name}"
        files["valid"] = describe_files([held_out], known)
    else:
        corpus, valid, validation = hold_out(corpus, experiment.pretrain.valid_fraction, names[0])
    return PretrainJob(settings, vocabulary, corpus, valid, validation, files, table, start)


def _revalidated(model: ModelSettings, **changes: object) -> ModelSettings:
    """Changed settings, still consistent: `tie`, for one, needs a table of the token's width."""
    try:
        return ModelSettings.model_validate({**model.model_dump(), **changes})
    except ValidationError as error:
        raise ConfigError(
            f"model: {error.errors()[0]['msg'].removeprefix('Value error, ')}",
            remedy="change one of the settings that it names",
        ) from error


def hold_out(corpus: EncodedCorpus, fraction: float, where: Path) -> tuple[EncodedCorpus, EncodedCorpus, str]:
    """Training part, validation part, and how they were chosen."""
    count = len(corpus)
    if count < 2:
        raise DataError(
            f"the corpus has {count} sentence{'' if count == 1 else 's'}, so none can be held out for validation",
            where=where,
            expected="at least two",
            remedy="give more text, or a validation file as data.valid",
        )
    held_out = max(1, round(count * fraction))
    words = f"the last {100 * fraction:g} % of the corpus: {held_out} of {count} sentences"
    return *corpus.split(count - held_out), words


def _sampled_or_full(model: ModelSettings, size: int, tell: Tell) -> ModelSettings:
    """The model with a full softmax where no fewer samples were asked for than there are tokens to draw."""
    if model.softmax != "sampled" or model.samples < size:
        return model
    asked = f"model.samples is {model.samples:,}, but the vocabulary has {size:,} tokens"
    tell(Notice(f"{asked}: the softmax is full, not sampled; samples below {size:,} draw some"))
    return model.model_copy(update={"softmax": "full"})


# What may differ when a training is resumed, since it changes nothing of what is computed.
_FREE_SETTINGS = (
    *("preset", "output", "vocab", "classify", "compare", "word2vec", "svd", "pretrain.checkpoint_minutes"),
    # how far it goes: the rate then follows the schedule of the new length from where it stands
    *("pretrain.epochs", "pretrain.max_minutes"),
    "data",  # but for what decides the texts, and what they hold is compared by its fingerprint
)


def check_same_training(description: Mapping[str, Any], job: PretrainJob) -> None:
    """See that a run, of which this is `run.yaml`, is resumed with what it was begun with.

    Raises:
        ConfigError: Settings, vocabulary or data differ; the message names what.
    """
    if description.get("vocabulary") != job.vocabulary.fingerprint():
        raise _differs("the vocabulary is another one than the run was begun with")
    before, now = _flat(description.get("settings", {})), _flat(portable(job.settings))
    before.setdefault("tokenizer.version", 1 if before.get("tokenizer.kind") == "words" else now["tokenizer.version"])
    read = [Path(file["name"]) for role in ("corpus", "valid") for file in job.files.get(role, [])]
    deciding = {f"data.{name}" for path in read for name in deciding_texts(path, job.settings.data)} | {"data.limit"}
    for key in sorted(before.keys() | now.keys()):
        free = key not in deciding and any(key == name or key.startswith(name + ".") for name in _FREE_SETTINGS)
        if not free and before.get(key) != now.get(key):
            raise _differs(f"{key} is {now.get(key)}, but the run was begun with {before.get(key)}")
    for role in sorted(description.get("data", {}).keys() | job.files.keys()):
        old, new = ([file["fingerprint"] for file in files.get(role, [])] for files in (description["data"], job.files))
        if old != new:
            names = ", ".join(file["name"] for file in job.files.get(role, [])) or "nothing"
            raise _differs(f"the data differ: {role} is {names}, whose content is not what the run was begun with")


def _differs(message: str) -> ConfigError:
    return ConfigError(
        message,
        expected="the settings, vocabulary and data of the stopped run",
        remedy="restore them, or begin anew with --overwrite",
    )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return flat
