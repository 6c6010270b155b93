"""Tagged sentences as numbers: read, checked against the tags of training, held out for validation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from elmo_cli.config import DataSettings, Experiment, TagSettings, TokenizerSettings
from elmo_cli.data.tag_set import UNSEEN, TagSet
from elmo_cli.data.tagged import TagColumns, TaggedSentence, open_tagged
from elmo_cli.errors import ConfigError, DataError
from elmo_cli.text.encoded import EncodedCorpus, encode_tokens
from elmo_cli.text.tokenizer import Tokenizer
from elmo_cli.training.cache import Indices
from elmo_cli.training.objective import Device
from elmo_cli.training.tag_objective import TagObjective

MOST_UNSEEN = 0.02  # of the tokens, whose tags training never saw


@dataclass(frozen=True)
class TaggedCorpus:
    """Sentences with a tag for each token."""

    corpus: EncodedCorpus  # tokens as the embedder knows them
    sentences: tuple[TaggedSentence, ...]  # as they were read
    tags: NDArray[np.int64]  # (tokens,) numbers of tags, sentence after sentence; of unseen ones `UNSEEN`
    tag_set: TagSet  # of the training file
    path: Path
    columns: dict[str, str]  # which of the file's hold `tokens` and `tags`

    def __len__(self) -> int:
        """Number of sentences."""
        return len(self.sentences)

    def objective(
        self, settings: TagSettings, seed: int, parts: tuple[Indices, Indices] | None, device: Device
    ) -> TagObjective:
        """See `Learnable.objective`; sentences are held out at random."""
        return TagObjective(self, settings, parts or self._split(settings.valid_fraction, seed), device)

    def numbers(self, indices: Indices) -> Iterator[NDArray[np.int64]]:
        """Numbers of the tags of some sentences."""
        offsets = self.corpus.offsets
        return (self.tags[offsets[index] : offsets[index + 1]] for index in indices)

    @property
    def unseen(self) -> NDArray[np.int64]:
        """Indices of the sentences that hold a tag which training never saw."""
        return np.unique(np.searchsorted(self.corpus.offsets, np.flatnonzero(self.tags == UNSEEN), side="right") - 1)

    def words(self) -> frozenset[str]:
        """The distinct tokens, as the embedder knows them."""
        return frozenset(self.corpus.types[number] for number in np.unique(self.corpus.tokens).tolist())

    def known(self, words: frozenset[str]) -> list[NDArray[np.bool_]]:
        """Of each sentence, which of its tokens are among some words."""
        is_known = np.array([one in words for one in self.corpus.types])
        return [is_known[self.corpus.sentence(index)] for index in range(len(self))]

    def joined(self, other: TaggedCorpus) -> TaggedCorpus:
        """The sentences of both, under the name of this one."""
        types = (self.corpus.types, other.corpus.types)
        both = (
            [kinds[number] for number in one.sentence(index)]
            for kinds, one in zip(types, (self.corpus, other.corpus), strict=True)
            for index in range(len(one))
        )
        tags = np.concatenate([self.tags, other.tags])
        sentences = self.sentences + other.sentences
        return TaggedCorpus(encode_tokens(both), sentences, tags, self.tag_set, self.path, self.columns)

    def _split(self, fraction: float, seed: int) -> tuple[Indices, Indices]:
        """Indices for training and for validation, ascending: one sentence each at least."""
        if len(self) < 2:
            raise DataError(
                f"{self.path.name} holds one sentence: none can be held out for validation",
                where=self.path,
                expected="at least two sentences",
                remedy="give more of them, or a file for validation with --valid",
            )
        held = np.random.default_rng(seed).permutation(len(self))[: max(1, round(fraction * len(self)))]
        return np.setdiff1d(np.arange(len(self)), held), np.sort(held)


def read_tagged_corpus(
    path: Path,
    data: DataSettings,
    tokenizer: TokenizerSettings,
    settings: TagSettings,
    tag_set: TagSet | None = None,
) -> TaggedCorpus:
    """Read a tagged file. Without `tag_set` it is a training file: it defines the tags, and `data.limit` holds for it.

    Raises:
        DataError: The file cannot be read; a tag may not stand where it does; more than a few tokens have tags that
            training never saw; or (training) all tokens have the same tag.
    """
    file = open_tagged(path, data, TagColumns(settings.tokens, settings.tags))
    sentences = tuple(islice(file.sentences(tagged=True), data.limit if tag_set is None else None))
    if tag_set is None:
        tag_set = TagSet.of(sentences, settings.scheme)
        if len(tag_set.names) < 2:
            raise DataError(
                f"all tokens of {path.name} have the same tag '{sentences[0].tags[0]}'",
                where=path,
                expected="at least two tags to tell apart",
                remedy="name the column of the tags with --tags COLUMN",
            )
    tags = np.fromiter(chain.from_iterable(tag_set.encode(one, path) for one in sentences), np.int64)
    tokens = encode_as_known((one.tokens for one in sentences), tokenizer)
    corpus = TaggedCorpus(tokens, sentences, tags, tag_set, path, file.taken(tagged=True))
    if (tags == UNSEEN).mean() > MOST_UNSEEN:  # the tags of another column, or of another language's tag set
        first = int(corpus.unseen[0])
        place = int(np.argmax(next(corpus.numbers(np.array([first]))) == UNSEEN))
        raise tag_set.unseen(sentences[first], place, path)
    return corpus


def encode_as_known(sentences: Iterator[tuple[str, ...]], tokenizer: TokenizerSettings) -> EncodedCorpus:
    """Tokens as they stand, in the letters that an embedder's tokenizer writes."""
    as_known = Tokenizer(tokenizer).normalise
    return encode_tokens([as_known(token) for token in tokens] for tokens in sentences)


@dataclass(frozen=True)
class TagFiles:
    """The files of a tagger."""

    train: TaggedCorpus
    valid: TaggedCorpus | None  # None: a share of the training file
    test: TaggedCorpus | None

    @property
    def by_role(self) -> dict[str, TaggedCorpus]:
        """Those that there are."""
        found = {"train": self.train, "valid": self.valid, "test": self.test}
        return {role: one for role, one in found.items() if one is not None}

    @cached_property
    def learned(self) -> tuple[TaggedCorpus, tuple[Indices, Indices] | None]:
        """What is trained and validated on, and its two parts where they are given."""
        if self.valid is None:
            return self.train, None
        count = len(self.train)
        scored = np.setdiff1d(np.arange(len(self.valid)), self.valid.unseen)  # what is unseen has no number to score
        if not len(scored):
            raise DataError(
                f"every sentence of {self.valid.path.name} has a tag that training never saw",
                where=self.valid.path,
                expected="some sentence with tags of the training file alone, to choose the epoch by",
                remedy="give another --valid, or none",
            )
        return self.train.joined(self.valid), (np.arange(count), count + scored)


def read_tag_files(experiment: Experiment, tokenizer: TokenizerSettings) -> TagFiles:
    """Training file of an experiment, and files for validation and test where there are any.

    Raises:
        ConfigError: There is no training file, or one file stands for two of the three.
        DataError: A file cannot be used; see `read_tagged_corpus`.
    """
    data, settings = experiment.data, experiment.tag
    if data.train is None:
        raise ConfigError(
            "no training file was given",
            expected="a tagged file as argument, or data.train in the settings",
            remedy="name a file: elmo tag train.conll",
        )
    others = {"validation": settings.valid, "test": data.test}
    seen = {data.train.resolve(): "training"}
    for role, path in others.items():
        if path is not None and (before := seen.setdefault(path.resolve(), role)) != role:
            raise ConfigError(
                f"{path} is {before} and {role} file at once",
                where=path,
                expected="sentences for each that the others do not have",
                remedy="give another file, or none",
            )
    train = read_tagged_corpus(data.train, data, tokenizer, settings)
    valid, test = (
        None if path is None else read_tagged_corpus(path, data, tokenizer, settings, train.tag_set)
        for path in others.values()
    )
    return TagFiles(train, valid, test)
