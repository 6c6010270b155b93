"""Static vectors that saw what the biLM saw: its text, its tokens and its vocabulary, trained and written to files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from elmo_cli.config import Experiment
from elmo_cli.disk import refuse_target
from elmo_cli.events import Notify
from elmo_cli.runs import find_vocabulary
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.text.sources import corpus_files, encode_corpus
from elmo_cli.text.vocabulary import Vocabulary
from elmo_cli.vectors.formats import write_word2vec
from elmo_cli.vectors.static import StaticVectors

Method = Literal["svd", "word2vec"]
OnSteps = Callable[[int, int], None]  # told the steps done and the steps to do


@dataclass(frozen=True)
class VectorFile:
    """A file that was written.

    Attributes:
        path: Where.
        window: Tokens on each side that its vectors were trained with.
    """

    path: Path
    window: int


@dataclass(frozen=True)
class BaselineReport:
    """What was trained and written.

    Attributes:
        method: How the vectors were made.
        files: One for each window.
        tokens: Running tokens of the corpus.
        unknown: Those of them that were trained as `<UNK>`.
        vectors: Tokens that have a vector.
        width: Numbers in a vector.
        vocabulary: Where the vocabulary is from; None: it was built from the corpus.
        reproducible: Whether the same call gives the same files.
        notices: What the user should know of how it went.
    """

    method: Method
    files: tuple[VectorFile, ...]
    tokens: int
    unknown: int
    vectors: int
    width: int
    vocabulary: Path | None
    reproducible: bool
    notices: tuple[str, ...] = ()


def baseline_run(
    experiment: Experiment,
    method: Method,
    paths: Sequence[Path],
    out: Path,
    *,
    windows: Sequence[int] = (),
    vocab: Path | None = None,
    binary: bool = False,
    overwrite: bool = False,
    progress: OnSteps | None = None,
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
        progress: Called with the steps done and the steps to do, over all windows.

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
    notices: list[str] = []
    vocabulary, place, corpus = _read(experiment, paths, vocab, notices.append)
    vectors = 0, 0
    for turn, file in enumerate(files):

        def advance(done: int, total: int, turn: int = turn) -> None:
            if progress is not None:
                progress(turn * total + done, len(files) * total)

        trained = _train(experiment, method, file.window, corpus, vocabulary, advance)
        write_word2vec(file.path, trained.tokens, trained.matrix, binary)
        vectors = len(trained.tokens), trained.width
    reproducible = method == "svd" or experiment.word2vec.workers == 1
    if not reproducible:
        notices.append(f"{experiment.word2vec.workers} workers race: only one gives the same vectors each time")
    unknown = vocabulary.oov(corpus).unknown
    return BaselineReport(
        method, files, corpus.token_count, unknown, *vectors, place, reproducible, notices=tuple(notices)
    )


def path_for(out: Path, window: int) -> Path:
    """The file of one window of several: `svd.txt` and `svd.txt.gz` become `svd-w5.txt` and `svd-w5.txt.gz`."""
    zipped = out.suffix if out.suffix == ".gz" else ""
    plain = Path(out.name.removesuffix(zipped))
    return out.with_name(f"{plain.stem}-w{window}{plain.suffix}{zipped}")


def _read(
    experiment: Experiment, paths: Sequence[Path], vocab: Path | None, notify: Notify
) -> tuple[Vocabulary, Path | None, EncodedCorpus]:
    """The vocabulary, where it is from, and the corpus in its tokens."""
    files = corpus_files(experiment, paths, notify)
    default = experiment.output / "vocab"
    found = find_vocabulary(vocab, default)
    if found is None:
        notify(f"there is no {default}: the vocabulary is built from the corpus")
        corpus = encode_corpus(experiment, files, experiment.tokenizer, notify=notify)
        return Vocabulary.build(corpus, experiment.vocab, experiment.tokenizer), None, corpus
    vocabulary, place = found
    if vocabulary.tokenizer != experiment.tokenizer:
        own = vocabulary.tokenizer
        notify(
            f"text becomes tokens as for {place} (kind {own.kind}, lowercase {'yes' if own.lowercase else 'no'}), "
            "not as the settings say; --vocab takes another vocabulary"
        )
    return vocabulary, place, encode_corpus(experiment, files, vocabulary.tokenizer, notify=notify)


def _train(
    experiment: Experiment,
    method: Method,
    window: int,
    corpus: EncodedCorpus,
    vocabulary: Vocabulary,
    progress: OnSteps,
) -> StaticVectors:
    if method == "svd":
        from elmo_cli.vectors.svd import train_svd

        changed = experiment.svd.model_copy(update={"window": window})
        return train_svd(corpus, vocabulary, changed, experiment.seed, progress)
    from elmo_cli.vectors.word2vec import train_word2vec

    settings = experiment.word2vec.model_copy(update={"window": window})
    return train_word2vec(corpus, vocabulary, settings, experiment.seed, progress)
