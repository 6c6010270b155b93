"""word2vec on the corpus and vocabulary of a biLM, by gensim: the baseline that saw the same text.

Tokens outside the vocabulary are trained as `<UNK>`, so that they have a vector in unseen text too. One worker and one
seed give the same vectors each time; more workers race, and give others each time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from elmo_cli.config import Experiment, Word2VecSettings
from elmo_cli.errors import DataError, RunError
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.text.sources import corpus_files, encode_corpus
from elmo_cli.text.vocabulary import Vocabulary
from elmo_cli.vectors.formats import StaticVectors, write_word2vec

Progress = Callable[[int, int], None]

# gensim drops what a sentence has beyond this without a word
_LONGEST = 10_000


@dataclass(frozen=True)
class Word2VecReport:
    """What was trained and written.

    Attributes:
        path: The file.
        tokens: Running tokens of the corpus.
        vectors: Tokens that have a vector.
        width: Numbers in a vector.
        unknown: Running tokens that were trained as `<UNK>`.
        reproducible: Whether the same call gives the same file.
    """

    path: Path
    tokens: int
    vectors: int
    width: int
    unknown: int
    reproducible: bool


def word2vec_run(
    experiment: Experiment,
    paths: Sequence[Path],
    out: Path,
    binary: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Word2VecReport:
    """Train word2vec on text files and write the vectors.

    Args:
        experiment: Settings of data, tokenizer, vocabulary and word2vec.
        paths: Text or CSV files; empty means those of the experiment. Never the test file.
        out: The file to write.
        binary: word2vec's binary format in place of text.
        overwrite: Replace the file where it exists.
        progress: Called with the epochs done and the epochs to do.

    Raises:
        RunError: The file exists.
        ConfigError: No text was given, or it is the test file.
        DataError: A file is missing, unreadable or empty.
    """
    if out.exists() and not overwrite:
        raise RunError(f"{out} exists already", where=out, remedy="give --overwrite, or another --out")
    corpus = encode_corpus(experiment, corpus_files(experiment, paths), experiment.tokenizer)
    vocabulary = Vocabulary.build(corpus, experiment.vocab, experiment.tokenizer)
    vectors = train_word2vec(corpus, experiment.word2vec, vocabulary, experiment.seed, progress)
    write_word2vec(out, vectors.tokens, vectors.matrix, binary)
    unknown = vocabulary.oov(corpus).unknown
    reproducible = experiment.word2vec.workers == 1
    return Word2VecReport(out, corpus.token_count, len(vectors.tokens), vectors.width, unknown, reproducible)


def train_word2vec(
    corpus: EncodedCorpus,
    settings: Word2VecSettings,
    vocabulary: Vocabulary,
    seed: int,
    progress: Progress | None = None,
) -> StaticVectors:
    """Train word2vec.

    Args:
        corpus: The tokens.
        settings: Sizes and algorithm.
        vocabulary: Tokens that get a vector, where the corpus holds them.
        seed: Of initial vectors and samples.
        progress: Called with the epochs done and the epochs to do.

    Returns:
        Vectors in the order of the vocabulary, `<UNK>` among them where the corpus has unknown tokens.

    Raises:
        DataError: The corpus has no tokens.
    """
    from gensim.models import Word2Vec
    from gensim.models.callbacks import CallbackAny2Vec

    sentences = _Sentences(corpus, vocabulary)
    if not corpus.token_count:
        raise DataError("there are no tokens to train vectors on", expected="text")

    class _EpochEnd(CallbackAny2Vec):  # type: ignore[misc]
        def __init__(self) -> None:
            self.done = 0

        def on_epoch_end(self, model: object) -> None:
            self.done += 1
            if progress is not None:
                progress(self.done, settings.epochs)

    with _quiet():
        model = Word2Vec(
            vector_size=settings.dim,
            window=settings.window,
            negative=settings.negative,
            sg=int(settings.algorithm == "skip-gram"),
            workers=settings.workers,
            seed=seed,
            min_count=1,
        )
        model.build_vocab_from_freq(sentences.counts(), corpus_count=sentences.count)
        model.train(
            sentences,
            total_words=corpus.token_count,
            total_examples=sentences.count,
            epochs=settings.epochs,
            callbacks=[_EpochEnd()],
        )
    tokens = [token for token in vocabulary.tokens if token in model.wv.key_to_index]
    matrix = np.stack([model.wv[token] for token in tokens]).astype(np.float32, copy=False)
    return StaticVectors(tokens, matrix, Path("word2vec"), "word2vec")


class _Sentences:
    """The corpus as gensim reads it, epoch after epoch: lists of tokens, none longer than it takes."""

    def __init__(self, corpus: EncodedCorpus, vocabulary: Vocabulary) -> None:
        self._corpus = corpus
        ids = vocabulary.lookup(corpus.types)
        # (types,) the token that each type is trained as
        self._names = np.array(["", *vocabulary.tokens], dtype=object)[ids]
        self.count = int(np.ceil(corpus.lengths / _LONGEST).sum())

    def __iter__(self) -> Iterator[list[str]]:
        for index in range(len(self._corpus)):
            sentence = self._corpus.sentence(index)
            for start in range(0, len(sentence), _LONGEST):
                yield self._names[sentence[start : start + _LONGEST]].tolist()

    def counts(self) -> dict[str, int]:
        """How often each token is trained."""
        counts: dict[str, int] = {}
        for name, count in zip(self._names.tolist(), self._corpus.counts().tolist(), strict=True):
            if count:
                counts[name] = counts.get(name, 0) + count
        return counts


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep gensim's advice on batch sizes from the user's screen."""
    logger = logging.getLogger("gensim")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
