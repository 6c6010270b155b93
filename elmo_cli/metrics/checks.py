"""What must hold of any biLM, whatever it has learnt: no token sees itself, and company changes nothing.

Differences are absolute up to 1 and relative beyond: |a - b| / max(1, |b|), in the unit of what is compared
(log-probabilities, activations or nats). Legend: B batch, T tokens, V vocabulary, P projection, L layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elmo_cli.model.bilm import BiLm, BiLmState
from elmo_cli.model.encoder import TokenIds
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.text.indexer import Indexer, frame
from elmo_cli.text.streams import Stream
from elmo_cli.text.vocabulary import Vocabulary

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


def leak_test(network: Predicts, tokens: TokenIds, tolerance: float = TOLERANCE) -> list[CheckResult]:
    """Change one token after the other: the scores that predict it must stay, those of its neighbours must move.

    Args:
        network: What is tested, in eval mode.
        tokens: Ids (1, T + 2) of a framed sentence with at least two different tokens.
        tolerance: Largest difference that counts as none.

    Returns:
        Two checks: that nothing leaks, and that context is used at all.
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


def activation_leak_test(network: Embeds, tokens: TokenIds, tolerance: float = TOLERANCE) -> list[CheckResult]:
    """The leak test of a network without softmax: forward activations before a token and backward ones after it stay.

    Args:
        network: What is tested, in eval mode.
        tokens: Ids (1, T + 2) of a framed sentence with at least two different tokens.
        tolerance: Largest difference that counts as none.

    Returns:
        Two checks: that nothing leaks, and that context is used at all.
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


def invariances(
    network: BiLm,
    corpus: EncodedCorpus,
    indexer: Indexer,
    vocabulary: Vocabulary | None = None,
    tolerance: float = TOLERANCE,
) -> list[CheckResult]:
    """Whether a sentence is the same alone, in company, with more padding, and in another order.

    Args:
        network: In eval mode; its activations are compared and, where it has a softmax, its scores.
        corpus: Some sentences of different length.
        indexer: Of the network.
        vocabulary: The ids that the softmax predicts.
        tolerance: Largest difference that counts as none.
    """
    everyone = np.arange(len(corpus))
    scored = vocabulary if network.softmax is not None else None

    def outputs(batches: Sequence[NDArray[np.int64]], padding: int = 0) -> list[Tensor]:
        found = _sentence_outputs(network, corpus, indexer, scored, batches, padding)
        return [part for _, parts in sorted(found, key=lambda item: item[0]) for part in parts]

    alone = outputs(np.split(everyone, len(everyone)))
    together = outputs([everyone])
    return [
        _agreement("batch", alone, together, tolerance, "a sentence alone and in a batch"),
        _agreement("padding", outputs([everyone], 7), together, tolerance, "a batch with and without more padding"),
        _agreement("order", outputs([everyone[::-1].copy()]), together, tolerance, "a batch in order and reversed"),
    ]


def stream_agreement(
    network: BiLm,
    corpus: EncodedCorpus,
    indexer: Indexer,
    vocabulary: Vocabulary | None = None,
    tolerance: float = TOLERANCE,
    window: int = 5,
) -> list[CheckResult]:
    """Whether the stream of pretraining and batches of whole sentences give the same activations and losses.

    Args:
        network: In eval mode. Losses are left out of a network without a softmax, and of one whose softmax samples,
            since its training loss is an estimate.
        corpus: Some sentences.
        indexer: Of the network.
        vocabulary: The ids that the softmax predicts.
        tolerance: Largest difference that counts as none.
        window: Steps of a window; small, so that sentences go on from window to window.
    """
    exact = network.softmax is not None and network.settings.softmax != "sampled"
    scored = vocabulary if exact else None
    everyone = np.arange(len(corpus))
    batch = dict(_sentence_outputs(network, corpus, indexer, scored, [everyone]))
    layers = [batch[index][0][1:] for index in range(len(corpus))]
    results = [
        _agreement(
            "stream activations",
            list(_stream_activations(network, corpus, indexer, window)),
            layers,
            tolerance,
            "the stream of pretraining and whole sentences",
        )
    ]
    if scored is not None:
        steps = corpus.token_count + len(corpus)
        nats = torch.stack([batch[index][1].sum(dim=1) for index in range(len(corpus))]).sum(dim=0) / steps
        stream = _stream_nats(network, corpus, indexer, scored, window) / steps
        results.append(_agreement("stream losses", [stream], [nats], tolerance, "mean nats of stream and sentences"))
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


def _leak_results(hidden: Sequence[Tensor], seen: Sequence[Tensor], tolerance: float, what: str) -> list[CheckResult]:
    # compared so that NaN fails
    leak = float(torch.cat([part.flatten() for part in hidden]).max())
    least = float(torch.cat([part.flatten() for part in seen]).min())
    return [
        CheckResult("leak", leak <= tolerance, leak, tolerance, f"most that a token moves {what} that may not see it"),
        CheckResult("context", least > tolerance, least, tolerance, f"least that a token moves {what} beside it"),
    ]


def _agreement(
    name: str, found: Sequence[Tensor], expected: Sequence[Tensor], tolerance: float, what: str
) -> CheckResult:
    pairs = zip(found, expected, strict=True)
    differences = [_difference(one, other).flatten() for one, other in pairs]
    everything = torch.cat(differences)
    value = float(everything.max()) if len(everything) else 0.0
    return CheckResult(name, value <= tolerance, value, tolerance, f"difference between {what}")


def _sentence_outputs(
    network: BiLm,
    corpus: EncodedCorpus,
    indexer: Indexer,
    vocabulary: Vocabulary | None,
    batches: Sequence[NDArray[np.int64]],
    padding: int = 0,
) -> Iterator[tuple[int, list[Tensor]]]:
    """Each sentence's index with its activations (L + 1, T, 2P) and, given a vocabulary, its nats (2, T + 1)."""
    device = next(network.parameters()).device
    table = indexer.table(corpus.types)
    targets = None if vocabulary is None else vocabulary.lookup(corpus.types)
    for sentences in batches:
        numbers, lengths = frame(corpus, sentences, True)
        numbers = np.pad(numbers, ((0, 0), (0, padding)))
        tokens = TokenIds.from_numpy(*table.index(numbers), device)
        real = torch.as_tensor(lengths, device=device)
        with torch.inference_mode():
            layers, _ = network.layers(tokens, real)
            scores = (
                None if targets is None else network.score(tokens, torch.as_tensor(targets[numbers]).to(device), real)
            )
        for row, (index, length) in enumerate(zip(sentences.tolist(), lengths.tolist(), strict=True)):
            parts = [layers[:, row, :length]]
            if scores is not None:
                parts.append(scores[:, row, : length + 1])
            yield index, parts


def _stream_activations(network: BiLm, corpus: EncodedCorpus, indexer: Indexer, window: int) -> Iterator[Tensor]:
    """(L, T, 2P) of each sentence, read off a stream of one row."""
    device = next(network.parameters()).device
    table = indexer.table(corpus.types)
    state: BiLmState | None = None
    pieces = []
    for cut in Stream(corpus, 1, window, seed=0, shuffle=False).epoch(0):
        tokens = TokenIds.from_numpy(*table.index(cut.inputs), device)
        with torch.inference_mode():
            reset = torch.as_tensor(cut.reset, device=device)
            outputs, state = network.run(network.encoder(tokens), reset=reset, state=state)
        pieces.append(torch.stack(outputs)[:, :, 0])  # (L, 2, T, P)
    steps = torch.cat(pieces, dim=2)
    start = 0
    for length in corpus.lengths.tolist():
        forward, backward = steps[:, :, start + 1 : start + 1 + length].unbind(dim=1)
        yield torch.cat([forward, backward.flip(1)], dim=2)
        start += length + 1


def _stream_nats(network: BiLm, corpus: EncodedCorpus, indexer: Indexer, vocabulary: Vocabulary, window: int) -> Tensor:
    """(2,) nats of a whole epoch in a stream of two rows."""
    device = next(network.parameters()).device
    table, targets = indexer.table(corpus.types), vocabulary.lookup(corpus.types)
    state: BiLmState | None = None
    sums = torch.zeros(2, device=device)
    for cut in Stream(corpus, min(2, len(corpus)), window, seed=0, shuffle=False).epoch(0):
        tokens = TokenIds.from_numpy(*table.index(cut.inputs), device)
        wanted, reset, mask = (
            torch.as_tensor(values, device=device) for values in (targets[cut.targets], cut.reset, cut.mask)
        )
        with torch.inference_mode():
            loss = network.stream_loss(tokens, wanted, reset, mask, state)
        sums, state = sums + loss.sums, loss.state
    return sums
