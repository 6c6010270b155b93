"""`elmo check`: is a run whole, does its model keep the rules, does it still give the embeddings that were stored.

What is looked at is made up from the run's own vocabulary, so that no data is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
from elmo_cli.inference.batching import in_order
from elmo_cli.inference.embed import embed_sentences, read_dump
from elmo_cli.metrics.checks import (
    TOLERANCE,
    CheckResult,
    activation_leak_test,
    agreement,
    invariances,
    leak_test,
    stream_agreement,
)
from elmo_cli.model.bilm import BiLm
from elmo_cli.runs import Run, load_embedder
from elmo_cli.text.encoded import EncodedCorpus, encode, encode_tokens
from elmo_cli.text.tokenizer import Tokenizer
from elmo_cli.text.vocabulary import SPECIAL_TOKENS

_LENGTHS = (9, 1, 4, 0, 7)  # of the sentences that are made up: one word and none are where padding goes wrong
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
        expected: Embeddings: all layers (L + 1, T, 2P), one or their mean (T, 2P), or the top's halves (2, T, P).
        tolerance: Largest difference that counts as none, absolute up to 1 and relative beyond.
        tokenizer: For `texts`, in place of the run's own.
        stateful: Whether `expected` was computed with the state carried from batch to batch.
        batch_size: Sentences of a batch, where it was.
        device: Where to compute.
        tell: Told the checks that are done, and the sentences that are embedded.

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
    if Run.open(path).kind not in ("lm", "classifier", "tagger"):
        raise RunError(
            f"{path} holds no model to check",
            where=path,
            expected="an LM run, a classifier run or a tagger run",
            remedy="name a run of `elmo pretrain`, `elmo classify`, `elmo tag` or `elmo import`",
        )
    try:
        embedder = load_embedder(path)
    except InputError as error:  # a finding of the check, not a failure to check
        return [CheckResult("files", False, detail=error.message)]
    results = []
    for number, result in enumerate(_check_model(embedder, tolerance, device), start=1):
        results.append(result)
        tell(Progress("checks", number, None))
    if results[-1].passed and expected is not None and texts is not None:
        corpus = encode(texts, Tokenizer(tokenizer or embedder.tokenizer))
        batches = in_order(corpus, batch_size)
        found = embed_sentences(embedder, corpus, batches, device, stateful=stateful, tell=tell)
        results.append(_compare_embeddings(found, read_dump(expected), tolerance))
    return results


def _check_model(embedder: Embedder, tolerance: float, device: torch.device | str) -> Iterator[CheckResult]:
    """What loading has seen and, of a biLM, leak test and invariances on made-up sentences."""
    yield CheckResult("files", True, detail="settings, vocabulary and weights belong together, all weights are finite")
    network = embedder.network.to(device)
    if isinstance(network, BiLm):  # a static table has nothing to leak
        corpus = _made_up(embedder)
        tokens, _ = Feed(embedder, corpus, device).sentences(np.array([0]))
        yield from (leak_test if network.softmax else activation_leak_test)(network, tokens, tolerance)
        yield from invariances(embedder, corpus, tolerance)
        yield from stream_agreement(embedder, corpus, tolerance)


def _compare_embeddings(
    found: Sequence[NDArray[np.float32]], expected: Iterator[tuple[int, NDArray[np.floating[Any]]]], tolerance: float
) -> CheckResult:
    """Compare activations (L + 1, T, 2P) with stored ones of any of the shapes that `check_run` takes."""
    pairs: list[tuple[Tensor, Tensor]] = []
    for index, stored in expected:
        if index >= len(found):
            return _not_embedded(f"sentence {index} is stored, but there are only {len(found)} sentences")
        pairs.append((torch.as_tensor(found[index]), torch.as_tensor(stored, dtype=torch.float32)))
    if len(pairs) != len(found):
        return _not_embedded(f"{len(pairs)} sentences are stored, but there are {len(found)}")
    viewed = [(_views(layers), entry) for layers, entry in pairs]
    for views, entry in viewed:
        if all(view.shape != entry.shape for view in views.values()):
            whole = tuple(views["all layers"].shape)
            return _not_embedded(f"an entry has shape {tuple(entry.shape)}, its layers have {whole}")
    results = []
    for what in viewed[0][0]:
        seen = [(views[what], entry) for views, entry in viewed]
        if all(one.shape == other.shape for one, other in seen):
            ours, theirs = zip(*seen, strict=True)
            results.append(agreement("embeddings", ours, theirs, tolerance, f"{what} and the stored embeddings"))
    if not results:
        return _not_embedded("the entries are not all of one kind")
    # A file does not say which layer it holds: the one that is nearest.
    return min(results, key=lambda result: (not result.passed, result.value))


def _views(layers: Tensor) -> dict[str, Tensor]:
    """What may have been stored of (L + 1, T, 2P)."""
    return {
        "all layers": layers,
        "the directions of the top layer": torch.stack(layers[-1].chunk(2, dim=1)),
        "the mean of the layers": layers.mean(dim=0),
        **{f"layer {number}": layer for number, layer in enumerate(layers)},
    }


def _not_embedded(detail: str) -> CheckResult:
    return CheckResult("embeddings", False, detail=detail)


def _made_up(embedder: Embedder) -> EncodedCorpus:
    """Sentences of several lengths; the first has different tokens."""
    words: Sequence[str] = _WORDS
    if embedder.vocabulary is not None:
        # The frequent ones, whose vectors differ; with <UNK>, so that there are two in any vocabulary.
        words = (embedder.vocabulary.tokens[len(SPECIAL_TOKENS) :] + SPECIAL_TOKENS[-1:])[:100]
    edges = np.cumsum([0, *_LENGTHS]).tolist()
    return encode_tokens([[words[place % len(words)] for place in range(start, end)] for start, end in pairwise(edges)])
