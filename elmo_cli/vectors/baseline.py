"""Static vectors that saw what the biLM saw: its text, its tokens and its vocabulary, trained and written to files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from elmo_cli.config import Experiment, SvdSettings, Word2VecSettings
from elmo_cli.config.choices import BaselineMethod
from elmo_cli.disk import refuse_target
from elmo_cli.events import Notice, Progress, Tell, silent
from elmo_cli.runs import find_vocabulary
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.text.sources import corpus_files, encode_corpus
from elmo_cli.text.vocabulary import Vocabulary
from elmo_cli.vectors.formats import write_word2vec
from elmo_cli.vectors.static import StaticVectors


@dataclass(frozen=True)
class VectorFile:
    """A file that was written."""

    path: Path
    window: int  # tokens on each side that its vectors were trained with


@dataclass(frozen=True)
class BaselineReport:
    """What was trained and written."""

    method: BaselineMethod
    files: tuple[VectorFile, ...]  # one for each window
    tokens: int  # running tokens of the corpus
    unknown: int  # those of them that were trained as `<UNK>`
    vectors: int  # tokens that have a vector
    width: int  # numbers in a vector
    vocabulary: Path | None  # where it is from; None: it was built from the corpus
    reproducible: bool  # whether the same call gives the same files


def baseline_run(
    experiment: Experiment,
    method: BaselineMethod,
    paths: Sequence[Path],
    out: Path,
    *,
    windows: Sequence[int] = (),
    vocab: Path | None = None,
    binary: bool = False,
    overwrite: bool = False,
    tell: Tell = silent,
) -> BaselineReport:
    """Train static vectors on text files and write them.

    Args:
        experiment: Settings of data, tokenizer, vocabulary and method.
        method: How the vectors are made.
        paths: Text or CSV files; empty means those of the experiment. Never the test file.
        out: The file to write; of several windows, see `path_for`.
        windows: Vectors are trained for each; empty: for that of the settings.
        vocab: A run with a vocabulary, or a `vocab.txt`, whose tokenizer then counts; None: `vocab` in the folder of
            the runs, and if there is none, it is built from the corpus.
        binary: word2vec's binary format in place of text.
        overwrite: Replace files that exist.
        tell: Told of notices, and the steps done over all windows.

    Raises:
        RunError: A file exists, or the vocabulary cannot be used.
        ConfigError: No text was given, or it is the test file.
        DataError: A file is missing, unreadable or empty.
    """
    settings = experiment.svd if method == "svd" else experiment.word2vec
    chosen = tuple(dict.fromkeys(windows)) or (settings.window,)
    files = tuple(VectorFile(path_for(out, window) if len(chosen) > 1 else out, window) for window in chosen)
    for file in files:
        refuse_target(file.path, overwrite)
    vocabulary, place, corpus = _read(experiment, paths, vocab, tell)
    vectors = 0, 0
    for turn, file in enumerate(files):

        def tell_of_all(event: Notice | Progress, turn: int = turn) -> None:
            if isinstance(event, Progress) and event.total:  # of one window; the user waits for all
                event = replace(event, done=turn * event.total + event.done, total=len(files) * event.total)
            tell(event)

        changed = settings.model_copy(update={"window": file.window})
        trained = _train(corpus, vocabulary, changed, experiment.seed, tell_of_all)
        write_word2vec(file.path, trained.tokens, trained.matrix, binary)
        vectors = len(trained.tokens), trained.width
    reproducible = method == "svd" or experiment.word2vec.workers == 1
    if not reproducible:
        tell(Notice(f"{experiment.word2vec.workers} workers race: only one gives the same vectors each time"))
    unknown = vocabulary.oov(corpus).unknown
    return BaselineReport(method, files, corpus.token_count, unknown, *vectors, place, reproducible)


def path_for(out: Path, window: int) -> Path:
    """The file of one window of several: `svd.txt` and `svd.txt.gz` become `svd-w5.txt` and `svd-w5.txt.gz`."""
    zipped = out.suffix if out.suffix == ".gz" else ""
    plain = Path(out.name.removesuffix(zipped))
    return out.with_name(f"{plain.stem}-w{window}{plain.suffix}{zipped}")


def _read(
    experiment: Experiment, paths: Sequence[Path], vocab: Path | None, tell: Tell
) -> tuple[Vocabulary, Path | None, EncodedCorpus]:
    """The vocabulary, where it is from, and the corpus in its tokens."""
    files = corpus_files(experiment, paths, tell)
    default = experiment.output / "vocab"
    found = find_vocabulary(vocab, default)
    if found is None:
        tell(Notice(f"there is no {default}: the vocabulary is built from the corpus"))
        corpus = encode_corpus(experiment, files, experiment.tokenizer, tell=tell)
        return Vocabulary.build(corpus, experiment.vocab, experiment.tokenizer), None, corpus
    vocabulary, place = found
    if vocabulary.tokenizer != experiment.tokenizer:
        own = vocabulary.tokenizer
        kind = f"kind {own.kind}, version {own.version}, lowercase {'yes' if own.lowercase else 'no'}"
        other = "not as the settings say; --vocab takes another vocabulary"
        tell(Notice(f"text becomes tokens as for {place} ({kind}), {other}"))
    return vocabulary, place, encode_corpus(experiment, files, vocabulary.tokenizer, tell=tell)


def _train(
    corpus: EncodedCorpus, vocabulary: Vocabulary, settings: SvdSettings | Word2VecSettings, seed: int, tell: Tell
) -> StaticVectors:
    if isinstance(settings, SvdSettings):
        from elmo_cli.vectors.svd import train_svd

        return train_svd(corpus, vocabulary, settings, seed, tell)
    from elmo_cli.vectors.word2vec import train_word2vec

    return train_word2vec(corpus, vocabulary, settings, seed, tell)
