"""Nearest tokens in context, as table 4 of Peters et al. 2018: whose vectors are like that of a token in a sentence.

    similarity(x, y) = x · y / (|x| |y|)

of one layer, of the mean of all, or of a classifier's own mix. The corpus is read in pieces and no activation is kept,
so memory follows neither its size nor its longest text. Legend: K layers, B batch, T tokens, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from elmo_cli.config import Experiment
from elmo_cli.data.cleaning import CLEANINGS
from elmo_cli.embedder import Embedder, Extractor
from elmo_cli.errors import ConfigError, DataError, nearest
from elmo_cli.events import Notice, Progress, Tell, silent
from elmo_cli.runs import Run, load_classifier, load_lm, load_tagger
from elmo_cli.text.batches import length_batches
from elmo_cli.text.encoded import encode_tokens
from elmo_cli.text.sources import corpus_files, records_of
from elmo_cli.text.tokenizer import Tokenizer

BATCH_TOKENS = 4096
LONGEST = BATCH_TOKENS - 2  # tokens of a text between <S> and </S>
PIECE = 8 * BATCH_TOKENS  # tokens that are held at once, so that there are sentences of similar length among them

IN_MEMORY = Path("texts")  # stands for the file of texts that lie in none
_NONE = -2.0  # less than any cosine


@dataclass(frozen=True, slots=True)
class Hit:
    """A token in its sentence."""

    similarity: float  # cosine with the token that was asked for
    token: str
    position: int  # in its sentence, from 0
    tokens: tuple[str, ...]  # of its sentence
    file: Path
    line: int  # on which the sentence begins


@dataclass(frozen=True)
class Similar:
    """The tokens nearest to one."""

    token: str  # the one that was asked for
    position: int  # in its sentence, from 0
    tokens: tuple[str, ...]  # of its sentence
    layer: str  # what was compared, in words
    sentences: int  # how many were searched
    searched: int  # tokens in them
    hits: tuple[Hit, ...]  # one a sentence, the most similar first
    notices: tuple[str, ...]  # what the user should know of how it went


def similar_run(
    experiment: Experiment,
    run: Path,
    sentence: str,
    paths: Sequence[Path] = (),
    *,
    token: str | None = None,
    occurrence: int = 1,
    layer: str = "top",
    top: int = 10,
    same_word: bool = False,
    device: torch.device | str = "cpu",
    tell: Tell = silent,
) -> Similar:
    """Search a corpus for the tokens that are most like a token in a sentence.

    The sentence itself is left out wherever the corpus holds it, and a sentence that it holds twice counts once.

    Args:
        experiment: Its `data` says how files are read, and which where `paths` is empty.
        run: An LM run, or a classifier run.
        sentence: With the token; cleaned and tokenised as the corpus is.
        paths: Text or CSV files.
        token: The token; None: the sentence has only one.
        occurrence: Which of several equal ones, from 1.
        layer: `top`, the number of a layer from 0, or `mix`: the mean of all layers, for a classifier its own mix.
        top: Hits at most.
        same_word: Only tokens of the same form, in whatever case.
        device: Where to compute.
        tell: Told the sentences that are searched, and the notices.

    Raises:
        ConfigError: There is no such token or layer, no text was given, or a number is out of its bounds.
        RunError: The run cannot be used.
        DataError: A file cannot be read or holds no tokens.
    """
    if top < 1:
        raise ConfigError(f"--top is {top}", expected="at least 1", remedy="leave --top out for 10")
    files = tuple(paths) or corpus_files(experiment)
    embedder, represent, name = _load(run, layer, device)
    records = ((file, record.line, record.text) for file, record in records_of(experiment, files))
    query = _Query(CLEANINGS[experiment.data.clean](sentence), token, occurrence, top, same_word)
    found = _similar(embedder, represent, name, query, records, device, tell)
    if not found.searched:
        raise DataError(
            "there is nothing to search",
            where=", ".join(map(str, files)),
            expected="text with tokens",
            remedy="give another --corpus, or name its text column with --column",
        )
    for notice in found.notices:
        tell(Notice(notice))
    return found


def similar_texts(
    embedder: Embedder,
    sentence: str,
    texts: Iterable[str],
    *,
    token: str | None = None,
    occurrence: int = 1,
    layer: str = "top",
    top: int = 10,
    same_word: bool = False,
    device: torch.device | str = "cpu",
) -> Similar:
    """The same in texts in memory, by an embedder in memory; the line of a hit is the number of its text, from 1.

    Raises:
        ConfigError: There is no such token or layer.
    """
    represent, name = _represent(embedder.layer_count, layer)
    records = ((IN_MEMORY, line, text) for line, text in enumerate(texts, start=1))
    return _similar(embedder, represent, name, _Query(sentence, token, occurrence, top, same_word), records, device)


@dataclass(frozen=True)
class _Query:
    """What is searched for."""

    sentence: str
    token: str | None
    occurrence: int
    top: int
    same_word: bool


def _similar(
    embedder: Embedder,
    represent: _Represent,
    name: str,
    query: _Query,
    records: Iterable[tuple[Path, int, str]],
    device: torch.device | str,
    tell: Tell = silent,
) -> Similar:
    """Search records, each with its file and line."""
    tokenize = Tokenizer(embedder.tokenizer)
    tokens = tuple(tokenize(query.sentence))
    position = find_token(tokens, query.token, tokenize, query.occurrence)
    search = _Search(tokens, position, query.top, query.same_word, Extractor(embedder, device), represent)
    for piece in _pieces(records, tokenize):
        search.look_through(piece)
        tell(Progress("sentences", search.sentences, None))
    hits, notices = tuple(search.hits), _notices(embedder, search) if search.searched else ()
    return Similar(tokens[position], position, tokens, name, search.sentences, search.searched, hits, notices)


def find_token(tokens: Sequence[str], wanted: str | None, tokenize: Tokenizer, occurrence: int) -> int:
    """The place of a token in a sentence.

    Args:
        tokens: The sentence.
        wanted: The token, as it is or as the tokenizer would have it; None: the only one.
        tokenize: The tokenizer.
        occurrence: Which of several, from 1.

    Raises:
        ConfigError: It is not there, or not as often, or none was named and there are several.
    """
    if not tokens:
        raise ConfigError(
            "the sentence has no tokens",
            expected="a sentence with the token in it",
            remedy="put the sentence in quotes for the shell",
        )
    if wanted is None and len(tokens) > 1:
        raise ConfigError(
            f"the sentence has {len(tokens)} tokens, and --token names none of them",
            expected="--token with one of: " + ", ".join(dict.fromkeys(tokens)),
            remedy="add --token",
        )
    wanted = tokens[0] if wanted is None else wanted
    alike = [wanted] if wanted in tokens else tokenize(wanted)
    places = [place for place, token in enumerate(tokens) if [token] == alike]
    if not places:
        raise ConfigError(
            f"'{wanted}' is no token of the sentence",
            expected="a token of it, as the run's tokenizer cuts it",
            remedy=nearest(wanted, dict.fromkeys(tokens)),
        )
    if not 1 <= occurrence <= len(places):
        times = "once" if len(places) == 1 else f"{len(places)} times"
        raise ConfigError(
            f"--occurrence is {occurrence}, but '{wanted}' stands in the sentence {times}",
            expected=f"1 to {len(places)}",
            remedy="leave --occurrence out for the first",
        )
    return places[occurrence - 1]


# (K, B, T, W) layers and (B, T) mask to (B, T, W)
_Represent = Callable[[Tensor, Tensor], Tensor]


def _load(run: Path, layer: str, device: torch.device | str) -> tuple[Embedder, _Represent, str]:
    """The embedder of a run, what of its layers is compared, and that in words."""
    kind, combiner = Run.open(run).kind, None
    match kind:
        case "classifier":
            classifier = load_classifier(run)
            embedder, combiner = classifier.embedder, classifier.classifier.combiner
        case "tagger":
            tagger = load_tagger(run)
            embedder, combiner = tagger.embedder, tagger.tagger.combiner
        case _:
            embedder = load_lm(run)
    if layer == "mix" and combiner is not None:
        return embedder, combiner.to(device), f"the {kind}'s mix"
    return embedder, *_represent(embedder.layer_count, layer)


def _represent(count: int, layer: str) -> tuple[_Represent, str]:
    """What is compared of so many layers, and that in words."""
    if layer == "mix":
        return lambda layers, mask: layers.mean(dim=0), f"mean of {count} layers"
    number = count - 1 if layer == "top" else int(layer) if layer.isdecimal() else count
    if number >= count:
        raise ConfigError(
            f"there is no layer {layer}",
            expected=f"top, mix, or 0 to {count - 1}",
            remedy="layer 0 are the token vectors, top is the last LSTM layer",
        )
    return lambda layers, mask: layers[number], f"layer {number}"


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence of the corpus, or a stretch of one that is too long."""

    tokens: tuple[str, ...]
    start: int  # its first token in the text
    file: Path
    line: int


def _pieces(records: Iterable[tuple[Path, int, str]], tokenize: Tokenizer) -> Iterator[list[_Sentence]]:
    piece: list[_Sentence] = []
    cells = 0
    for file, line, text in records:
        tokens = tuple(tokenize(text))
        piece += [
            _Sentence(tokens[start : start + LONGEST], start, file, line)
            for start in range(0, max(1, len(tokens)), LONGEST)
        ]
        cells += len(tokens) + 2
        if cells >= PIECE:
            yield piece
            piece, cells = [], 0
    yield piece


class _Search:
    """A search for the tokens that are most like one, `position` of the sentence `tokens`, and its best hits so far."""

    def __init__(
        self,
        tokens: tuple[str, ...],
        position: int,
        top: int,
        same_word: bool,
        extractor: Extractor,
        represent: _Represent,
    ) -> None:
        self.hits: list[Hit] = []  # the most similar first; of equal ones, the earlier in the corpus
        self.sentences = self.searched = 0  # and tokens in them
        self.stretched = 0  # texts that were too long to be run whole
        self.tokens, self.token = tokens, tokens[position]
        self._top, self._same_word = top, same_word
        self._extractor, self._represent = extractor, represent
        ((_, vectors, _),) = self._vectors([tokens])
        self._vector = vectors[0, position]  # (W,)

    def look_through(self, sentences: Sequence[_Sentence]) -> None:
        """Search a piece of the corpus."""
        self.sentences += sum(sentence.start == 0 for sentence in sentences)
        self.searched += sum(len(sentence.tokens) for sentence in sentences)
        self.stretched += sum(sentence.start == LONGEST for sentence in sentences)
        chosen = [sentence for sentence in sentences if sentence.tokens and sentence.tokens != self.tokens]
        found: dict[int, Hit] = {}
        for indices, vectors, mask in self._vectors([sentence.tokens for sentence in chosen]):
            similarities = functional.cosine_similarity(vectors, self._vector, dim=-1)  # (B, T)
            if self._same_word:
                mask = mask & self._alike([chosen[index].tokens for index in indices], mask)
            best, places = similarities.masked_fill(~mask, _NONE).max(dim=1)
            for index, value, place in zip(indices, best.tolist(), places.tolist(), strict=True):
                if value > _NONE:
                    one = chosen[index]
                    found[index] = Hit(value, one.tokens[place], place, one.tokens, one.file, one.line)
        # Batches go by length: back in the order of the corpus, so that of equal hits the earlier one is kept.
        in_order = [*self.hits, *(found[index] for index in sorted(found))]
        best_of: dict[tuple[str, ...], Hit] = {}
        for hit in sorted(in_order, key=lambda hit: -hit.similarity):
            best_of.setdefault(hit.tokens, hit)
        self.hits = list(best_of.values())[: self._top]

    def _vectors(self, sentences: Sequence[Sequence[str]]) -> Iterator[tuple[list[int], Tensor, Tensor]]:
        """Batch by batch: indices of its sentences, (B, T, W) vectors, and (B, T) which of them are of tokens."""
        corpus = encode_tokens(sentences)
        batches = length_batches(corpus.lengths + 2, BATCH_TOKENS)
        for indices, layers, lengths in self._extractor.batches(corpus, batches):
            mask = torch.arange(layers.shape[2], device=layers.device) < lengths[:, None]
            with torch.inference_mode():
                vectors = self._represent(layers, mask)
            yield indices.tolist(), vectors, mask

    def _alike(self, sentences: Sequence[Sequence[str]], mask: Tensor) -> Tensor:
        """(B, T) which tokens are of the form that was asked for."""
        alike = torch.zeros_like(mask, device="cpu")
        for row, tokens in enumerate(sentences):
            alike[row, : len(tokens)] = torch.tensor([token.casefold() == self.token.casefold() for token in tokens])
        return alike.to(mask.device)


def _notices(embedder: Embedder, search: _Search) -> tuple[str, ...]:
    notices = []
    vocabulary = embedder.indexer.vocabulary
    if embedder.indexer.encoder == "word" and vocabulary is not None and search.token not in vocabulary:
        notices.append(f"'{search.token}' is not in the vocabulary: to the model it is any unknown token")
    if search.stretched:
        notices.append(
            f"texts of more than {LONGEST} tokens, which were searched in stretches of that length: {search.stretched}"
        )
    if not search.hits:
        notices.append("no other sentence of the corpus has such a token")
    return tuple(notices)
