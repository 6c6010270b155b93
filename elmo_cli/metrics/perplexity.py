"""Exact perplexity of a biLM.

    perplexity = exp( Σ -ln p(target | context) / steps )

Unit: nats in the exponent. Normaliser: the predicted steps, n + 1 for a sentence of n tokens in each direction (forward
`</S>`, backward `<S>` are predicted too). Left out: padding, and nothing else. Tokens outside the vocabulary are scored
as `<UNK>`, so a perplexity means little without the OOV rate beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elmo_cli.errors import WeightsError
from elmo_cli.events import Progress, Tell, silent
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.encoder import TokenIds
from elmo_cli.text.batches import length_batches
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.text.indexer import Indexer, frame
from elmo_cli.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Perplexity:
    """Perplexities and what they were measured on.

    Attributes:
        forward: Of the forward direction.
        backward: Of the backward direction.
        mean: Geometric mean of the two.
        steps: Predicted steps of one direction.
        tokens: Tokens of the text, frame not counted.
        unknown: Those of them that the vocabulary lacks.
        oov_rate: unknown / tokens.
    """

    forward: float
    backward: float
    mean: float
    steps: int
    tokens: int
    unknown: int
    oov_rate: float

    def as_dict(self) -> dict[str, Any]:
        """All figures by name."""
        return asdict(self)

    @classmethod
    def of(cls, forward: float, backward: float, *, steps: int, tokens: int, unknown: int) -> Perplexity:
        """From summed nats of either direction over so many steps each."""
        left, right = forward / max(1, steps), backward / max(1, steps)
        return cls(
            forward=_exp(left),
            backward=_exp(right),
            mean=_exp((left + right) / 2),
            steps=steps,
            tokens=tokens,
            unknown=unknown,
            oov_rate=unknown / tokens if tokens else 0.0,
        )


def token_scores(
    network: BiLm,
    corpus: EncodedCorpus,
    indexer: Indexer,
    vocabulary: Vocabulary,
    *,
    max_tokens: int = 4096,
    device: torch.device | str = "cpu",
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Negative log-likelihood of each token, batch by batch of sentences of similar length.

    Args:
        network: A biLM with a softmax, on `device`; scored in eval mode and put back in the mode it was in.
        corpus: S sentences.
        indexer: Of the network.
        vocabulary: The ids that the softmax predicts.
        max_tokens: Cells of a batch, padding included.
        device: Where to compute.

    Yields:
        Indices (B,) of the sentences, and nats (2, B, T + 1) on the CPU; see `BiLm.score`.

    Raises:
        WeightsError: The model has no softmax.
    """
    if network.softmax is None:
        raise WeightsError(
            "this biLM has no softmax, so it cannot score text",
            expected="a biLM that was trained here; published weights come without their softmax",
            remedy="train one with `elmo pretrain` to score text",
        )
    table = indexer.table(corpus.types)
    target_ids = vocabulary.lookup(corpus.types)
    was_training = network.training
    network.eval()
    try:
        for sentences in length_batches(corpus.lengths + 2, max_tokens):
            numbers, lengths = frame(corpus, sentences, True)
            tokens = TokenIds.from_numpy(*table.index(numbers), device)
            targets = torch.as_tensor(target_ids[numbers], device=device)
            with torch.inference_mode():
                nats = network.score(tokens, targets, torch.as_tensor(lengths, device=device))
            yield sentences, nats.cpu()
    finally:
        network.train(was_training)


def sentence_scores(
    network: BiLm,
    corpus: EncodedCorpus,
    indexer: Indexer,
    vocabulary: Vocabulary,
    *,
    max_tokens: int = 4096,
    device: torch.device | str = "cpu",
    tell: Tell = silent,
) -> NDArray[np.float64]:
    """Negative log-likelihood of each sentence; the arguments are those of `token_scores`, and who is told how many.

    Returns:
        (S, 2) nats, forward and backward; a sentence of n tokens sums n + 1 steps in each.
    """
    scores = np.zeros((len(corpus), 2))
    done = 0
    for sentences, nats in token_scores(network, corpus, indexer, vocabulary, max_tokens=max_tokens, device=device):
        # Summed in double on the host: a device may have no doubles.
        scores[sentences] = nats.double().sum(dim=2).T.numpy()
        done += len(sentences)
        tell(Progress("sentences", done, len(corpus)))
    return scores


def perplexity(
    network: BiLm,
    corpus: EncodedCorpus,
    indexer: Indexer,
    vocabulary: Vocabulary,
    *,
    max_tokens: int = 4096,
    device: torch.device | str = "cpu",
    tell: Tell = silent,
) -> Perplexity:
    """Exact perplexity of a text; the arguments are those of `sentence_scores`."""
    scores = sentence_scores(network, corpus, indexer, vocabulary, max_tokens=max_tokens, device=device, tell=tell)
    nats = scores.sum(axis=0)
    oov = vocabulary.oov(corpus)
    steps = corpus.token_count + len(corpus)
    return Perplexity.of(*nats.tolist(), steps=steps, tokens=oov.tokens, unknown=oov.unknown)


def _exp(nats: float) -> float:
    """exp, or infinity where it is beyond a double."""
    return math.exp(nats) if nats < 700 else math.inf
