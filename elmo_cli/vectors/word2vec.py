"""word2vec, skip-gram or CBOW with negative sampling, on the corpus and vocabulary of a biLM, by gensim.

Tokens outside the vocabulary are trained as `<UNK>`, so that they have a vector in unseen text too. One worker and one
seed give the same vectors each time; more workers race, and give others each time.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from elmo_cli.config import Word2VecSettings
from elmo_cli.errors import DataError
from elmo_cli.events import Progress, Tell, silent
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.text.vocabulary import Vocabulary
from elmo_cli.vectors.static import StaticVectors

# gensim drops what a sentence has beyond this without a word
_LONGEST = 10_000


def train_word2vec(
    corpus: EncodedCorpus, vocabulary: Vocabulary, settings: Word2VecSettings, seed: int, tell: Tell = silent
) -> StaticVectors:
    """Train word2vec; whoever is told gets the epochs done.

    Returns:
        Vectors in the order of the vocabulary, of its tokens that the corpus holds, `<UNK>` among them where there are
        unknown ones.

    Raises:
        DataError: The corpus has no tokens.
    """
    from gensim.models import Word2Vec
    from gensim.models.callbacks import CallbackAny2Vec

    sentences = _Sentences(corpus, vocabulary)
    if not corpus.token_count:
        remedy = "give text that is not empty, or lower vocab.min_count"
        raise DataError("there are no tokens to train vectors on", expected="text", remedy=remedy)

    epochs = settings.passes(corpus.token_count)

    class _EpochEnd(CallbackAny2Vec):  # type: ignore[misc]
        done = 0

        def on_epoch_end(self, model: object) -> None:
            self.done += 1
            tell(Progress("epochs", self.done, epochs))

    logger = logging.getLogger("gensim")
    before = logger.level
    logger.setLevel(logging.ERROR)  # its advice on batch sizes is not for the user
    try:
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
            epochs=epochs,
            callbacks=[_EpochEnd()],
        )
    finally:
        logger.setLevel(before)
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
        counts: Counter[str] = Counter()
        for name, count in zip(self._names.tolist(), self._corpus.counts().tolist(), strict=True):
            counts[name] += count
        return +counts  # those above 0
