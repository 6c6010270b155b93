"""Texts as a classifier reads them: through its embedder each time, or from layer activations that were computed once.

A frozen embedder always gives the same activations, so one pass serves every epoch, λ mode and seed.

Small corpora keep float32. Larger ones keep float16 in memory, and beyond the memory budget float16 in a memory-mapped
file. float16 rounds a value by at most 2^-11 of it (0.05 %), an order below bfloat16's 2^-8, and its range of 65,504 is
far beyond any activation: those of a biLM are bounded by its projection clip, and a value out of range is an error.

Where the mix is linear and the pooling a mean, both commute, and pooled layers (N, L, W) in float32 are all that is
needed. Legend: N texts, L layers, B batch, T tokens of the longest text, W width.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from elmo_cli.config import ClassifySettings, FinetuneSettings
from elmo_cli.disk import cannot_write
from elmo_cli.embedder import Embedder, Extractor, Feed
from elmo_cli.errors import ElmoError
from elmo_cli.events import Progress, Tell, silent
from elmo_cli.model.classifier import Classifier
from elmo_cli.model.combiner import make_combiner
from elmo_cli.model.layer_model import LayerModel
from elmo_cli.model.mode import Mode
from elmo_cli.text.batches import length_batches
from elmo_cli.text.encoded import EncodedCorpus

EXACT_BYTES = 256 * 2**20  # up to which token vectors are kept in float32
MEMORY_BYTES = 2 * 2**30  # up to which they stay in memory
TOKENS_PER_BATCH = 4096  # of a pass of the embedder
CELLS_PER_BATCH = 4096  # of a pass of the classifier

Indices = NDArray[np.integer[Any]]


class Texts(Protocol):
    """What hands a classifier its texts: from the cache, or through the embedder."""

    lengths: NDArray[np.int64]
    dtype: torch.dtype  # of the activations that the classifier sees

    def logits(self, classifier: LayerModel, indices: Indices) -> Tensor:
        """Scores of the texts at `indices`, as the classifier has them: (B, classes), or (B, T, tags)."""


class LiveTexts:
    """Texts that go through the classifier's embedder each time, as tuning needs it.

    Args:
        embedder: Gives its indexer; where the classifier has its very network, also what it remembers of words and
            matrices.
        corpus: The texts.
        device: Where the classifier is.
    """

    dtype = torch.float32

    def __init__(self, embedder: Embedder, corpus: EncodedCorpus, device: torch.device | str) -> None:
        self.lengths = corpus.lengths
        self._feed, self._network = Feed(embedder, corpus, device), embedder.network
        self._remembering = Mode(prepared=embedder.prepared)

    def logits(self, classifier: LayerModel, indices: Indices) -> Tensor:
        """Scores of the texts at `indices`, as the classifier has them: (B, classes), or (B, T, tags)."""
        # A tuned copy has other weights, and what is remembered has no gradients.
        if classifier.embedder is self._network and torch.is_inference_mode_enabled():
            logits: Tensor = classifier(*self._feed.known(indices), self._remembering)
        else:
            logits = classifier(*self._feed.sentences(indices))
        return logits


def pooled_suffices(settings: FinetuneSettings) -> bool:
    """Whether mix and pooling commute, so that one vector for a text and layer is all that training reads."""
    return isinstance(settings, ClassifySettings) and settings.pooling == "mean" and settings.lambdas != "function"


class ActivationCache:
    """The activations of a corpus, each computed by one pass of the embedder.

    Args:
        embedder: It is put in eval mode.
        corpus: The texts.
        settings: Those of the classifiers that will read it, which may differ in combiner and seed.
        device: Where to compute, and where batches are handed out.
        tokens: Keep token vectors; False keeps pooled ones only, which must suffice.
        folder: Where a memory-mapped file is put, if one is needed; None: the system's folder for temporary files.
    """

    def __init__(
        self,
        embedder: Embedder,
        corpus: EncodedCorpus,
        settings: FinetuneSettings,
        device: torch.device | str = "cpu",
        *,
        tokens: bool = True,
        folder: Path | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.lengths = corpus.lengths
        self._offsets = corpus.offsets
        layers, width, cells = embedder.layer_count, embedder.width, int(self._offsets[-1])
        self._pooled = torch.zeros(len(corpus), layers, width)
        self._tokens: Tensor | None = None
        self.dtype = torch.float32
        if tokens:
            self._tokens = _reserve((layers, cells + 1, width), self, folder)
            self._tokens[:, cells] = 0  # padding reads this row
            self.dtype = self._tokens.dtype
        normalise = make_combiner(settings, layers, width, seed=0).normalise
        batches = length_batches(self.lengths, TOKENS_PER_BATCH)
        for indices, activations, _ in Extractor(embedder, device).batches(corpus, batches, TOKENS_PER_BATCH):
            self._store(indices, activations, normalise)

    def batch(self, indices: Indices) -> tuple[Tensor, Tensor]:
        """Activations (L, B, T, W) in float32, zero after a text's end, and lengths (B,) of the given texts."""
        if self._tokens is None:
            raise ValueError("this cache holds pooled vectors only; compute it with tokens=True")
        lengths = self.lengths[indices]
        steps = np.arange(max(int(lengths.max(initial=0)), 1))
        cells = np.where(steps < lengths[:, None], self._offsets[indices][:, None] + steps, self._tokens.shape[1] - 1)
        rows = self._tokens.index_select(1, torch.from_numpy(cells.ravel()))
        shape = (rows.shape[0], *cells.shape, rows.shape[2])
        return rows.to(self.device, torch.float32).view(shape), torch.as_tensor(lengths, device=self.device)

    def pooled(self, indices: Indices) -> Tensor:
        """Means over tokens of the normalised layers, (L, B, W)."""
        rows = self._pooled.index_select(0, torch.as_tensor(indices, dtype=torch.int64))
        return rows.to(self.device).transpose(0, 1)

    def logits(self, classifier: LayerModel, indices: Indices) -> Tensor:
        """Scores of the texts at `indices`, as the classifier has them: (B, classes), or (B, T, tags)."""
        # The mean was taken once for all epochs.
        if classifier.reads_means:
            return classifier.score_means(self.pooled(indices))
        return classifier.score_layers(*self.batch(indices))

    def _store(self, indices: Indices, activations: Tensor, normalise: Callable[[Tensor], Tensor]) -> None:
        """Keep one batch of activations (L, B, T, W)."""
        lengths = self.lengths[indices]
        steps = np.arange(activations.shape[2])
        real = steps < lengths[:, None]
        mask = torch.from_numpy(real).to(activations.device)
        means = (normalise(activations) * mask[..., None]).sum(2) / mask.sum(1).clamp(min=1)[:, None]
        self._pooled[torch.as_tensor(indices)] = means.transpose(0, 1).float().cpu()
        if self._tokens is not None:
            cells = torch.from_numpy((self._offsets[indices][:, None] + steps)[real])
            kept = activations[:, mask].to("cpu", self._tokens.dtype)
            if not bool(torch.isfinite(kept).all()):
                raise ElmoError(
                    "the embedder gave activations that are not finite in float16",
                    expected="values below 65,504",
                    remedy="check the embedding file or the run with `elmo check`",
                )
            self._tokens[:, cells] = kept


def _reserve(shape: tuple[int, ...], owner: object, folder: Path | None) -> Tensor:
    """Room for token vectors: float32, float16, or float16 in a file that lives as long as its owner."""
    size = int(np.prod(shape, dtype=np.int64))
    if 4 * size <= EXACT_BYTES:
        return torch.empty(shape)
    if 2 * size <= MEMORY_BYTES:
        return torch.empty(shape, dtype=torch.float16)
    place = Path(tempfile.mkdtemp(prefix=".activations-", dir=folder))
    file = place / "float16"
    # With the last reader goes the file, also when a training fails.
    weakref.finalize(owner, shutil.rmtree, place, ignore_errors=True)
    try:
        with file.open("wb") as room:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(room.fileno(), 0, 2 * size)  # or a full disk ends the process at some later write
    except OSError as error:
        shutil.rmtree(place, ignore_errors=True)
        raise cannot_write(file, error, "nothing was kept") from error
    flat = torch.from_file(str(file), shared=True, size=size, dtype=torch.float16)
    if os.name != "nt":  # what is mapped needs no name: the system frees it however this process ends
        shutil.rmtree(place, ignore_errors=True)
    return flat.view(shape)


def predict(
    classifiers: Sequence[Classifier],
    embedder: Embedder,
    corpus: EncodedCorpus,
    device: torch.device | str = "cpu",
    cache: ActivationCache | None = None,
    tell: Tell = silent,
) -> NDArray[np.float32]:
    """(N, classes) probabilities of texts, in the order of the corpus, which is cut to length already.

    Those of several classifiers are the geometric mean. They are put in eval mode; `cache` has the activations of the
    corpus, if there are any.
    """
    texts: Texts = cache or LiveTexts(embedder, corpus, device)
    every = np.arange(len(corpus))
    found = [log_probabilities(one.to(device).eval(), texts, every, tell) for one in classifiers]
    # What one says is left to the bit.
    return (found[0].exp() if len(found) == 1 else torch.stack(found).mean(0).softmax(1)).numpy()


def make_cache(
    embedder: Embedder,
    corpus: EncodedCorpus,
    settings: FinetuneSettings,
    device: torch.device | str = "cpu",
    folder: Path | None = None,
) -> ActivationCache | None:
    """What a classifier of these settings reads, computed once; None with `tune`, where it changes at each step."""
    if settings.tune:
        return None
    return ActivationCache(embedder, corpus, settings, device, tokens=not pooled_suffices(settings), folder=folder)


@torch.inference_mode()
def log_probabilities(classifier: Classifier, texts: Texts, indices: Indices, tell: Tell = silent) -> Tensor:
    """(N, classes) of the texts at `indices`, on the CPU."""
    rows, order, done = [], [], 0
    for batch in length_batches(texts.lengths[indices], CELLS_PER_BATCH):
        rows.append(functional.log_softmax(texts.logits(classifier, indices[batch]).float(), dim=1).cpu())
        order.append(batch)
        done += len(batch)
        tell(Progress("texts", done, len(indices)))
    found = torch.cat(rows)
    return torch.empty_like(found).index_copy_(0, torch.from_numpy(np.concatenate(order)), found)
