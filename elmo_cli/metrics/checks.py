"""What must hold of any biLM, whatever it has learnt: no token sees itself, and company changes nothing.

Differences are absolute up to 1 and relative beyond: |a - b| / max(1, |b|), in the unit of what is compared
(log-probabilities, activations or nats). Legend: B batch, T tokens, V vocabulary, P projection, L layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

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


@dataclass(frozen=True)
class CheckResult:
    """The outcome of a check.

    Attributes:
        name: What was checked.
        passed: Whether it holds.
        value: The difference that was measured; None where nothing was.
        tolerance: What it was held against.
        detail: What it means, in words.
    """

    name: str
    passed: bool
    value: float | None = None
    tolerance: float | None = None
    detail: str = ""


class LeakResults(NamedTuple):
    """The two halves of a leak test: without the second, a network that reads nothing would pass."""

    leak: CheckResult  # that no token is seen where it must not be
    context: CheckResult  # that it is seen where it must be


class Predicts(Protocol):
    """A network that predicts each token of framed sentences from either side, such as a biLM with a softmax."""

    def distributions(self, tokens: TokenIds, lengths: Tensor) -> Tensor:
        """Ids (B, T + 2) and lengths (B,) to log-probabilities (2, B, T + 1, V).

        [0, b, k] predicts framed token k + 1 from its left, [1, b, k] framed token k from its right.
        """
        ...


class Embeds(Protocol):
    """A network with layers of forward and backward activations, such as any biLM."""

    def layers(self, tokens: TokenIds, lengths: Tensor) -> tuple[Tensor, Any]:
        """Ids (B, T + 2) and lengths (B,) to activations (L + 1, B, T, 2P), forward half first, and a state."""
        ...


def leak_test(network: Predicts, tokens: TokenIds, tolerance: float = TOLERANCE) -> LeakResults:
    """Change one token after the other: the scores that predict it must stay, those of its neighbours must move.

    Args:
        network: What is tested, in eval mode.
        tokens: Ids (1, T + 2) of a framed sentence with at least two different tokens.
        tolerance: Largest difference that counts as none.
    """

    def predictions(changed: TokenIds) -> Tensor:
        return network.distributions(changed, _length(changed))[:, 0]  # (2, T + 1, V)

    hidden: list[Tensor] = []
    seen: list[Tensor] = []
    for place, before, after in _changes(predictions, tokens):
        moved = _difference(after, before).amax(dim=2)  # (2, T + 1)
        # what has read nothing from `place` on forward, nothing up to it backward
        hidden += [moved[0, :place], moved[1, place:]]
        seen += [moved[0, place], moved[1, place - 1]]
    return _leak_results(hidden, seen, tolerance, "predictions")


def activation_leak_test(network: Embeds, tokens: TokenIds, tolerance: float = TOLERANCE) -> LeakResults:
    """The leak test of a network without softmax: forward activations before a token and backward ones after it stay.

    Args:
        network: What is tested, in eval mode.
        tokens: Ids (1, T + 2) of a framed sentence with at least two different tokens.
        tolerance: Largest difference that counts as none.
    """

    def activations(changed: TokenIds) -> Tensor:
        layers = network.layers(changed, _length(changed))[0][:, 0]  # (L + 1, T, 2P)
        return torch.stack(layers.chunk(2, dim=2))  # (2, L + 1, T, P)

    hidden: list[Tensor] = []
    seen: list[Tensor] = []
    for place, before, after in _changes(activations, tokens):
        moved = _difference(after, before).amax(dim=3)  # (2, L + 1, T)
        # the token's own vector, layer 0, is all that neither direction hands on
        hidden += [moved[0, :, : place - 1], moved[1, :, place:], moved[:, 0, : place - 1], moved[:, 0, place:]]
        seen += [moved[0, -1, place : place + 1], moved[1, -1, max(place - 2, 0) : place - 1]]
    return _leak_results(hidden, seen, tolerance, "activations")


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
        _agreement("batch", alone, together, tolerance, "a sentence alone and in a batch"),
        _agreement("padding", outputs([everyone], 7), together, tolerance, "a batch with and without more padding"),
        _agreement("order", outputs([everyone[::-1].copy()]), together, tolerance, "a batch in order and reversed"),
    ]


def stream_agreement(
    embedder: Embedder, corpus: EncodedCorpus, tolerance: float = TOLERANCE, window: int = 5
) -> list[CheckResult]:
    """Whether the stream of pretraining and batches of whole sentences give the same activations and losses.

    Args:
        embedder: Of a biLM in eval mode. Losses are left out of a network without a softmax, and of one whose softmax
            samples, since its training loss is an estimate.
        corpus: Some sentences.
        tolerance: Largest difference that counts as none.
        window: Steps of a window; small, so that sentences go on from window to window.
    """
    network = embedder.bilm()
    feed = Feed(embedder, corpus, _device(network))
    scored = network.softmax is not None and embedder.vocabulary is not None and network.settings.softmax != "sampled"
    batch = dict(_sentence_outputs(network, feed, scored, [np.arange(len(corpus))]))
    whole = [batch[index] for index in range(len(corpus))]
    layers, stream = [parts[0][1:] for parts in whole], list(_stream_activations(network, feed, window))
    what = "the stream of pretraining and whole sentences"
    results = [_agreement("stream activations", stream, layers, tolerance, what)]
    if scored:
        steps = corpus.token_count + len(corpus)
        nats = torch.stack([scores.sum(dim=1) for _, scores in whole]).sum(dim=0) / steps
        found = _stream_nats(network, feed, window) / steps
        results.append(_agreement("stream losses", [found], [nats], tolerance, "mean nats of stream and sentences"))
    return results


def finite_weights(network: nn.Module) -> CheckResult:
    """Whether all weights are numbers."""
    bad = [name for name, tensor in network.state_dict().items() if not bool(torch.isfinite(tensor).all())]
    found = f"NaN or infinity in {', '.join(bad)}" if bad else "all weights are finite"
    return CheckResult("weights", not bad, detail=found)


def agreement(name: str, found: Tensor, expected: Tensor, tolerance: float, what: str) -> CheckResult:
    """Whether two tensors of one shape agree."""
    return _agreement(name, [found], [expected], tolerance, what)


def _length(tokens: TokenIds) -> Tensor:
    return torch.tensor([tokens.ids.shape[1] - 2], device=tokens.ids.device)


def _changes(compute: Callable[[TokenIds], Tensor], tokens: TokenIds) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Framed place of each token, and what is computed before and after it is changed to another of the sentence."""
    inner = tokens.ids[0, 1:-1].tolist()
    with torch.inference_mode():
        before = compute(tokens)
        for place, own in enumerate(inner, start=1):
            other = next((number for number in inner if number != own), None)
            if other is None:
                raise ValueError("a leak test needs two different tokens")
            ids = tokens.ids.clone()
            ids[0, place] = other
            yield place, before, compute(tokens._replace(ids=ids))


def _difference(found: Tensor, expected: Tensor) -> Tensor:
    return (found - expected).abs() / expected.abs().clamp(min=1.0)


def _leak_results(hidden: Sequence[Tensor], seen: Sequence[Tensor], tolerance: float, what: str) -> LeakResults:
    # compared so that NaN fails
    leak = float(torch.cat([part.flatten() for part in hidden]).max())
    least = float(torch.cat([part.flatten() for part in seen]).min())
    return LeakResults(
        CheckResult("leak", leak <= tolerance, leak, tolerance, f"most that a token moves {what} that may not see it"),
        CheckResult("context", least > tolerance, least, tolerance, f"least that a token moves {what} beside it"),
    )


def _agreement(
    name: str, found: Sequence[Tensor], expected: Sequence[Tensor], tolerance: float, what: str
) -> CheckResult:
    pairs = zip(found, expected, strict=True)
    differences = [_difference(one, other).flatten() for one, other in pairs]
    everything = torch.cat(differences)
    value = float(everything.max()) if len(everything) else 0.0
    return CheckResult(name, value <= tolerance, value, tolerance, f"difference between {what}")


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
def _stream_activations(network: BiLm, feed: Feed, window: int) -> Iterator[Tensor]:
    """(L, T, 2P) of each sentence, read off a stream of one row."""
    state: BiLmState | None = None
    pieces = []
    for cut in Stream(feed.corpus, 1, window, seed=0, shuffle=False).epoch(0):
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
def _stream_nats(network: BiLm, feed: Feed, window: int) -> Tensor:
    """(2,) nats of a whole epoch in a stream of two rows."""
    state: BiLmState | None = None
    sums = torch.zeros(2, device=feed.device)
    for cut in Stream(feed.corpus, min(2, len(feed.corpus)), window, seed=0, shuffle=False).epoch(0):
        loss = network.stream_loss(*feed.window(cut), state)
        sums, state = sums + loss.sums, loss.state
    return sums
