"""Tags for new sentences, as a stream: a chunk is read, tagged and handed on before the next one is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch

from elmo_cli.runs import LoadedTagger
from elmo_cli.training.tag_objective import tag_sentences
from elmo_cli.training.tagged import encode_as_known

CHUNK = 1024


@dataclass(frozen=True, slots=True)
class Tagged:
    """What a tagger says of a sentence."""

    tokens: tuple[str, ...]  # as they were given
    tags: tuple[str, ...]  # in the scheme of the training file


def tag_stream(
    loaded: LoadedTagger, sentences: Iterable[Sequence[str]], batch: int = CHUNK, device: torch.device | str = "cpu"
) -> Iterator[Tagged]:
    """Tag sentences in their order.

    Args:
        loaded: The tagger.
        sentences: Tokens as they stand; a sentence without tokens has no tags.
        batch: Sentences that are read before the first of them is handed on; batches of similar length are made of
            them.
        device: Where to compute.
    """
    source = iter(sentences)
    # No more is read than is answered: the source may be somebody who types.
    while chunk := [tuple(one) for one in islice(source, batch)]:
        corpus = encode_as_known(iter(chunk), loaded.embedder.tokenizer)
        for tokens, numbers in zip(chunk, tag_sentences(loaded.tagger, loaded.embedder, corpus, device), strict=True):
            yield Tagged(tokens, tuple(loaded.tag_set.decode(numbers.tolist())))
