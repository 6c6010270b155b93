"""Exact perplexity of a biLM.

    perplexity = exp( Σ -ln p(target | context) / steps )

Unit: nats in the exponent. Normaliser: the predicted steps, n + 1 for a sentence of n tokens in each direction (forward
`</S>`, backward `<S>` are predicted too). Left out: padding, and nothing else. Tokens outside the vocabulary are scored
as `<UNK>`, so a perplexity means little without the OOV rate beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elmo_cli.embedder import Embedder, Feed
from elmo_cli.events import Progress, Tell, silent
from elmo_cli.ranks import ALONE, Ranks
from elmo_cli.text.batches import length_batches
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Perplexity:
    """Perplexities, their geometric mean, and what they were measured on."""

    forward: float
    backward: float
    mean: float
    steps: int  # predicted in one direction
    tokens: int  # without the frame of sentences
    unknown: int  # tokens that the vocabulary lacks
    oov_rate: float  # unknown / tokens


@dataclass(frozen=True)
class Nats:
    """What a text costs to predict, summed over the steps of each direction; those of several texts add up."""

    forward: float = 0.0
    backward: float = 0.0
    steps: int = 0
    tokens: int = 0
    unknown: int = 0

    @classmethod
    def of(cls, scores: NDArray[np.float64], corpus: EncodedCorpus, vocabulary: Vocabulary) -> Nats:
        """From the scores (S, 2) of the sentences of a text."""
        forward, backward = scores.sum(axis=0).tolist()
        oov = vocabulary.oov(corpus)
        return cls(forward, backward, corpus.token_count + len(corpus), oov.tokens, oov.unknown)

    def __add__(self, other: Nats) -> Nats:
        """The nats and counts of two texts together."""
        return Nats(*(one + more for one, more in zip(astuple(self), astuple(other), strict=True)))

    def perplexity(self) -> Perplexity:
        """The exponential of the mean; 1 where there is nothing to predict."""
        forward, backward = self.forward / max(1, self.steps), self.backward / max(1, self.steps)
        return Perplexity(
            forward=_exp(forward),
            backward=_exp(backward),
            mean=_exp((forward + backward) / 2),
            steps=self.steps,
            tokens=self.tokens,
            unknown=self.unknown,
            oov_rate=self.unknown / max(1, self.tokens),
        )


def token_scores(
    embedder: Embedder,
    corpus: EncodedCorpus,
    *,
    max_tokens: int = 4096,
    device: torch.device | str = "cpu",
    ranks: Ranks = ALONE,
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Negative log-likelihood of each token, batch by batch of sentences of similar length.

    Args:
        embedder: A biLM with a softmax; moved to `device`, scored in eval mode and put back in the mode it was in.
        corpus: S sentences.
        max_tokens: Cells of a batch, padding included.
        device: Where to compute.
        ranks: Batches are dealt out to them; each yields its own.

    Yields:
        Indices (B,) of the sentences, and nats (2, B, T + 1) on the CPU; see `BiLm.score`.

    Raises:
        WeightsError: The model has no vocabulary or no softmax.
    """
    network, feed = embedder.bilm().to(device), Feed(embedder, corpus, device)
    was_training = network.training
    network.eval()
    try:
        for sentences in islice(length_batches(corpus.lengths + 2, max_tokens), ranks.rank, None, ranks.size):
            with torch.inference_mode():
                nats = network.score(*feed.scored(sentences))
            yield sentences, nats.cpu()
    finally:
        network.train(was_training)


def sentence_scores(
    embedder: Embedder,
    corpus: EncodedCorpus,
    *,
    max_tokens: int = 4096,
    device: torch.device | str = "cpu",
    tell: Tell = silent,
    ranks: Ranks = ALONE,
) -> NDArray[np.float64]:
    """Negative log-likelihood of each sentence; the arguments are those of `token_scores`, and who is told how many.

    Returns:
        (S, 2) nats, forward and backward; a sentence of n tokens sums n + 1 steps in each.
    """
    scores = np.zeros((len(corpus), 2))
    done = 0
    for sentences, nats in token_scores(embedder, corpus, max_tokens=max_tokens, device=device, ranks=ranks):
        # Summed in double on the host: a device may have no doubles.
        scores[sentences] = nats.double().sum(dim=2).T.numpy()
        done += len(sentences)
        tell(Progress("sentences", done, len(corpus)))
    # What is another rank's is zero here, so that the sum has the bits of each.
    return scores if ranks is ALONE else np.array(ranks.total(scores.ravel())).reshape(scores.shape)


def perplexity(
    embedder: Embedder,
    corpus: EncodedCorpus,
    *,
    max_tokens: int = 4096,
    device: torch.device | str = "cpu",
    tell: Tell = silent,
    ranks: Ranks = ALONE,
) -> Perplexity:
    """Exact perplexity of a text; the arguments are those of `sentence_scores`."""
    vocabulary = embedder.predicted()
    scores = sentence_scores(embedder, corpus, max_tokens=max_tokens, device=device, tell=tell, ranks=ranks)
    return Nats.of(scores, corpus, vocabulary).perplexity()


def _exp(nats: float) -> float:
    """exp, or infinity where it is beyond a double."""
    return math.exp(nats) if nats < 700 else math.inf
