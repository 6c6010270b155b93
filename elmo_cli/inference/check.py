"""`elmo check`: is a run whole, does its model keep the rules, does it still give the embeddings that were stored.

What is looked at is made up from the run's own vocabulary, so that no data is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elmo_cli.config import TokenizerSettings
from elmo_cli.embedder import Embedder, Feed
from elmo_cli.errors import ConfigError, InputError, RunError
from elmo_cli.events import Progress, Tell, silent
from elmo_cli.inference.dump_pieces import in_order
from elmo_cli.inference.embed import embed_sentences, load_embedder, read_dump
from elmo_cli.metrics.checks import (
    TOLERANCE,
    CheckResult,
    activation_leak_test,
    agreement,
    finite_weights,
    invariances,
    leak_test,
    stream_agreement,
)
from elmo_cli.model.bilm import BiLm
from elmo_cli.runs import Run
from elmo_cli.text.encoded import EncodedCorpus, encode, encode_tokens
from elmo_cli.text.tokenizer import Tokenizer
from elmo_cli.text.vocabulary import SPECIAL_TOKENS

_LENGTHS = (9, 1, 4, 0, 7)
_WORDS = ("The", "naïve", "cat", "猫", "sat", "on", "12", "mats", ",", "straightforwardly", ".", "🙂")


def check_run(
    path: Path,
    texts: Iterable[str] | None = None,
    *,
    expected: Path | None = None,
    tolerance: float = TOLERANCE,
    tokenizer: TokenizerSettings | None = None,
    stateful: bool = False,
    batch_size: int = 1,
    device: torch.device | str = "cpu",
    tell: Tell = silent,
) -> list[CheckResult]:
    """Check an LM run or the biLM of a classifier run.

    Args:
        path: The run.
        texts: The sentences that `expected` was computed from, in its order.
        expected: An embedding file: all layers (L + 1, T, 2P), one layer or the mean of all (T, 2P), or the directions
            of the top layer (2, T, P).
        tolerance: Largest difference that counts as none, absolute up to 1 and relative beyond.
        tokenizer: For `texts`, in place of the run's own.
        stateful: Whether `expected` was computed with the state carried from batch to batch.
        batch_size: Sentences of a batch, where it was.
        device: Where to compute.
        tell: Told the checks that are done, and the sentences that are embedded to be compared.

    Returns:
        The checks in their order. A run that cannot be loaded fails the first, and no others are made.

    Raises:
        RunError: There is no such run, or it is of another kind.
        ConfigError: `expected` without `texts`.
        DataError: `expected` cannot be read.
    """
    if expected is not None and texts is None:
        raise ConfigError(
            "stored embeddings alone cannot be checked",
            expected="the sentences they were computed from",
            remedy="elmo check RUN SENTENCES --expected FILE",
        )
    kind = Run.open(path).kind
    if kind not in ("lm", "classifier"):
        raise RunError(
            f"{path} holds no model to check",
            where=path,
            expected="an LM run or a classifier run",
            remedy="name a run of `elmo pretrain`, `elmo classify` or `elmo import`",
        )
    try:
        embedder = load_embedder(path)
    except InputError as error:
        return [CheckResult("files", False, detail=error.message)]
    results = [CheckResult("files", True, detail="settings, vocabulary and weights belong together")]
    embedder.network.to(device)
    results.append(finite_weights(embedder.network))
    tell(Progress("checks", len(results), None))
    if results[-1].passed and isinstance(embedder.network, BiLm):
        for result in _check_bilm(embedder, embedder.network, tolerance, device):
            results.append(result)
            tell(Progress("checks", len(results), None))
    if results[-1].passed and expected is not None and texts is not None:
        corpus = encode(texts, Tokenizer(tokenizer or embedder.tokenizer))
        batches = in_order(corpus, batch_size)
        found = {}
        for number, layers in embed_sentences(embedder, corpus, batches, device, stateful=stateful):
            found[number] = layers
            tell(Progress("sentences", len(found), len(corpus)))
        results.append(compare_embeddings(found, read_dump(expected), tolerance))
    return results


def compare_embeddings(
    found: dict[int, Tensor], expected: Iterator[tuple[int, NDArray[np.floating[Any]]]], tolerance: float = TOLERANCE
) -> CheckResult:
    """Compare activations (L + 1, T, 2P) with stored ones of any of the shapes that `check_run` takes."""
    pairs: list[tuple[Tensor, Tensor]] = []
    for index, stored in expected:
        if index not in found:
            return _not_embedded(f"sentence {index} is stored, but there are only {len(found)} sentences")
        pairs.append((found[index], torch.as_tensor(stored, dtype=torch.float32, device=found[index].device)))
    if len(pairs) != len(found):
        return _not_embedded(f"{len(pairs)} sentences are stored, but there are {len(found)}")
    views = _views(pairs[0][0].shape[0])
    for layers, entry in pairs:
        if all(view(layers).shape != entry.shape for view in views.values()):
            return _not_embedded(f"an entry has shape {tuple(entry.shape)}, its layers have {tuple(layers.shape)}")
    results = []
    for what, view in views.items():
        seen = [(view(layers), stored) for layers, stored in pairs]
        if all(one.shape == other.shape for one, other in seen):
            ours, theirs = zip(*seen, strict=True)
            results.append(agreement("embeddings", ours, theirs, tolerance, f"{what} and the stored embeddings"))
    if not results:
        return _not_embedded("the entries are not all of one kind")
    # a file does not say which layer it holds: the one that is nearest
    return min(results, key=lambda result: (not result.passed, result.value))


def _views(count: int) -> dict[str, Callable[[Tensor], Tensor]]:
    """What may have been stored of (L + 1, T, 2P)."""

    def single(number: int) -> Callable[[Tensor], Tensor]:
        return lambda layers: layers[number]

    return {
        "all layers": lambda layers: layers,
        "the directions of the top layer": lambda layers: torch.stack(layers[-1].chunk(2, dim=1)),
        "the mean of the layers": lambda layers: layers.mean(dim=0),
        **{f"layer {number}": single(number) for number in range(count)},
    }


def _not_embedded(detail: str) -> CheckResult:
    return CheckResult("embeddings", False, detail=detail)


def _check_bilm(
    embedder: Embedder, network: BiLm, tolerance: float, device: torch.device | str
) -> Iterator[CheckResult]:
    """Leak test and invariances on made-up sentences."""
    corpus = _made_up(embedder)
    tokens, _ = Feed(embedder, corpus, device).sentences(np.array([0]))
    yield from (leak_test if network.softmax else activation_leak_test)(network, tokens, tolerance)
    yield from invariances(embedder, corpus, tolerance)
    yield from stream_agreement(embedder, corpus, tolerance)


def _made_up(embedder: Embedder) -> EncodedCorpus:
    """Sentences of several lengths; the first has different tokens."""
    words: Sequence[str] = _WORDS
    if embedder.vocabulary is not None:
        words = (embedder.vocabulary.tokens[len(SPECIAL_TOKENS) :] + SPECIAL_TOKENS[-1:])[:100]
    edges = np.cumsum([0, *_LENGTHS]).tolist()
    return encode_tokens([[words[place % len(words)] for place in range(start, end)] for start, end in pairwise(edges)])
