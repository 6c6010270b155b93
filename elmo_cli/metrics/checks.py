"""What must hold of any biLM, whatever it has learnt: no token sees itself, and company changes nothing.

Differences are absolute up to 1 and relative beyond: |a - b| / max(1, |b|), in the unit of what is compared
(log-probabilities, activations or nats). Legend: B batch, T tokens, V vocabulary, P projection, L layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from elmo_cli.embedder import Embedder, Feed
from elmo_cli.model.bilm import BiLm, BiLmState
from elmo_cli.model.encoder import TokenIds
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.text.streams import Stream

TOLERANCE = 1e-5
WINDOW = 5  # steps of a stream's window: so few that sentences go on from window to window

_Parts = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]


@dataclass(frozen=True)
class CheckResult:
    """The outcome of a check."""

    name: str
    passed: bool
    value: float | None = None  # the difference that was measured, if any
    tolerance: float | None = None
    detail: str = ""  # what it means, in words


class LeakResults(NamedTuple):
    """The two halves of a leak test: without the second, a network that reads nothing would pass."""

    leak: CheckResult  # that no token is seen where it must not be
    context: CheckResult  # that it is seen where it must be


def leak_test(network: BiLm, tokens: TokenIds, tolerance: float = TOLERANCE) -> LeakResults:
    """Change one token after the other: the scores that predict it must stay, those of its neighbours must move.

    Args:
        network: What is tested, in eval mode.
        tokens: Ids (1, T + 2) of a framed sentence with at least two different tokens.
        tolerance: Largest difference that counts as none.
    """

    def predictions(changed: TokenIds) -> Tensor:
        # (2, T + 1, V): at k, of framed token k + 1 from its left, and of framed token k from its right
        return network.distributions(changed, _length(changed))[:, 0]

    def parts(moved: Tensor, place: int) -> _Parts:  # of (2, T + 1)
        # what has read nothing from `place` on forward, nothing up to it backward
        return (moved[0, :place], moved[1, place:]), (moved[0, place], moved[1, place - 1])

    return _leaks(predictions, parts, tokens, tolerance, "predictions")


def activation_leak_test(network: BiLm, tokens: TokenIds, tolerance: float = TOLERANCE) -> LeakResults:
    """The leak test of a network without softmax: forward activations before a token and backward ones after it stay.

    The arguments are those of `leak_test`.
    """

    def activations(changed: TokenIds) -> Tensor:
        layers = network.layers(changed, _length(changed))[0][:, 0]  # (L + 1, T, 2P)
        return torch.stack(layers.chunk(2, dim=2))  # (2, L + 1, T, P)

    def parts(moved: Tensor, place: int) -> _Parts:  # of (2, L + 1, T)
        before, after = slice(place - 1), slice(place, None)
        # the token's own vector, layer 0, is all that neither direction hands on
        hidden = (moved[0, :, before], moved[1, :, after], moved[:, 0, before], moved[:, 0, after])
        return hidden, (moved[0, -1, place : place + 1], moved[1, -1, max(place - 2, 0) : place - 1])

    return _leaks(activations, parts, tokens, tolerance, "activations")


def invariances(embedder: Embedder, corpus: EncodedCorpus, tolerance: float = TOLERANCE) -> list[CheckResult]:
    """Whether a sentence is the same alone, in company, with more padding, and in another order.

    Args:
        embedder: Of a biLM in eval mode; its activations are compared and, where it has a softmax, its scores.
        corpus: Some sentences of different length.
        tolerance: Largest difference that counts as none.
    """
    network, everyone = embedder.bilm(), np.arange(len(corpus))
    feed = Feed(embedder, corpus, _device(network))
    scored = network.softmax is not None and embedder.vocabulary is not None

    def outputs(batches: Sequence[NDArray[np.int64]], padding: int = 0) -> list[Tensor]:
        found = _sentence_outputs(network, feed, scored, batches, padding)
        return [part for _, parts in sorted(found, key=lambda item: item[0]) for part in parts]

    alone = outputs(np.split(everyone, len(everyone)))
    together = outputs([everyone])
    return [
        agreement("batch", alone, together, tolerance, "a sentence alone and in a batch"),
        agreement("padding", outputs([everyone], 7), together, tolerance, "a batch with and without more padding"),
        agreement("order", outputs([everyone[::-1].copy()]), together, tolerance, "a batch in order and reversed"),
    ]


def stream_agreement(embedder: Embedder, corpus: EncodedCorpus, tolerance: float = TOLERANCE) -> list[CheckResult]:
    """Whether the stream of pretraining and batches of whole sentences give the same activations and losses.

    Args:
        embedder: Of a biLM in eval mode. Losses are left out of a network without a softmax, and of one whose softmax
            samples, since its training loss is an estimate.
        corpus: Some sentences.
        tolerance: Largest difference that counts as none.
    """
    network = embedder.bilm()
    feed = Feed(embedder, corpus, _device(network))
    scored = network.softmax is not None and embedder.vocabulary is not None and network.settings.softmax != "sampled"
    batch = dict(_sentence_outputs(network, feed, scored, [np.arange(len(corpus))]))
    whole = [batch[index] for index in range(len(corpus))]
    layers, stream = [parts[0][1:] for parts in whole], list(_stream_activations(network, feed))
    what = "the stream of pretraining and whole sentences"
    results = [agreement("stream activations", stream, layers, tolerance, what)]
    if scored:
        steps = corpus.token_count + len(corpus)
        nats = torch.stack([scores.sum(dim=1) for _, scores in whole]).sum(dim=0) / steps
        found = _stream_nats(network, feed) / steps
        results.append(agreement("stream losses", [found], [nats], tolerance, "mean nats of stream and sentences"))
    return results


def agreement(
    name: str, found: Sequence[Tensor], expected: Sequence[Tensor], tolerance: float, what: str
) -> CheckResult:
    """Whether tensors agree with others, each of the shape of its counterpart."""
    pairs = zip(found, expected, strict=True)
    everything = torch.cat([_difference(one, other).flatten() for one, other in pairs])
    value = float(everything.max()) if len(everything) else 0.0
    return CheckResult(name, value <= tolerance, value, tolerance, f"difference between {what}")


def _length(tokens: TokenIds) -> Tensor:
    return torch.tensor([tokens.ids.shape[1] - 2], device=tokens.ids.device)


def _leaks(
    compute: Callable[[TokenIds], Tensor],
    parts: Callable[[Tensor, int], _Parts],
    tokens: TokenIds,
    tolerance: float,
    what: str,
) -> LeakResults:
    """Change each token to another one of the sentence, and see what moves.

    `compute` gives (..., width) of ids. Of the movements (...) by a change at a framed place, `parts` gives those that
    must not be and those that must.
    """
    inner = tokens.ids[0, 1:-1].tolist()
    hidden: list[Tensor] = []
    seen: list[Tensor] = []
    with torch.inference_mode():
        before = compute(tokens)
        for place, own in enumerate(inner, start=1):
            other = next((number for number in inner if number != own), None)
            if other is None:
                raise ValueError("a leak test needs two different tokens")
            ids = tokens.ids.clone()
            ids[0, place] = other
            moved = _difference(compute(tokens._replace(ids=ids)), before).amax(dim=-1)
            unseeing, beside = parts(moved, place)
            hidden += unseeing
            seen += beside
    leak = float(torch.cat([part.flatten() for part in hidden]).max())
    least = float(torch.cat([part.flatten() for part in seen]).min())
    # A young model moves little, as all its numbers are small; what it moves must still be more than what leaks.
    finite = before[before.isfinite()]  # what is infinite is of places that nothing predicts
    spread = float((finite - finite.mean()).square().mean().sqrt())
    limit = max(tolerance * min(1.0, spread), min(leak, tolerance))
    return LeakResults(  # compared so that NaN fails
        CheckResult("leak", leak <= tolerance, leak, tolerance, f"most that a token moves {what} that may not see it"),
        CheckResult("context", least > limit, least, limit, f"least that a token moves {what} beside it"),
    )


def _difference(found: Tensor, expected: Tensor) -> Tensor:
    return (found - expected).abs() / expected.abs().clamp(min=1.0)


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


@torch.inference_mode()
def _sentence_outputs(
    network: BiLm, feed: Feed, scored: bool, batches: Sequence[NDArray[np.int64]], padding: int = 0
) -> Iterator[tuple[int, list[Tensor]]]:
    """Each sentence's index with its activations (L + 1, T, 2P) and, where it is scored, its nats (2, T + 1)."""
    for sentences in batches:
        tokens, lengths = feed.sentences(sentences)
        tokens = tokens._replace(ids=functional.pad(tokens.ids, (0, padding)))
        layers, _ = network.layers(tokens, lengths)
        scores = None
        if scored:
            _, targets, _ = feed.scored(sentences)
            scores = network.score(tokens, functional.pad(targets, (0, padding)), lengths)
        for row, (index, length) in enumerate(zip(sentences.tolist(), lengths.tolist(), strict=True)):
            yield index, [layers[:, row, :length], *([] if scores is None else [scores[:, row, : length + 1]])]


@torch.inference_mode()
def _stream_activations(network: BiLm, feed: Feed) -> Iterator[Tensor]:
    """(L, T, 2P) of each sentence, read off a stream of one row."""
    state: BiLmState | None = None
    pieces = []
    for cut in Stream(feed.corpus, 1, WINDOW, seed=0, shuffle=False).epoch(0):
        reset = torch.as_tensor(cut.reset, device=feed.device)
        outputs, state = network.run(network.encoder(feed.ids(cut.inputs)), reset=reset, state=state)
        pieces.append(torch.stack(outputs)[:, :, 0])  # (L, 2, T, P)
    steps = torch.cat(pieces, dim=2)
    start = 0
    for length in feed.corpus.lengths.tolist():
        forward, backward = steps[:, :, start + 1 : start + 1 + length].unbind(dim=1)
        yield torch.cat([forward, backward.flip(1)], dim=2)
        start += length + 1


@torch.inference_mode()
def _stream_nats(network: BiLm, feed: Feed) -> Tensor:
    """(2,) nats of a whole epoch in a stream of two rows."""
    state: BiLmState | None = None
    sums = torch.zeros(2, device=feed.device)
    for cut in Stream(feed.corpus, min(2, len(feed.corpus)), WINDOW, seed=0, shuffle=False).epoch(0):
        loss = network.stream_loss(*feed.window(cut), state)
        sums, state = sums + loss.sums, loss.state
    return sums
