"""Learning a tag for each token, and tagging with what was learned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elmo_cli.config import Precision, TagSettings
from elmo_cli.embedder import Embedder, Extractor
from elmo_cli.events import Progress, Tell, silent
from elmo_cli.metrics.tagging import span_f1
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.static import StaticTable
from elmo_cli.model.tagger import Tagger, make_tagger
from elmo_cli.text.batches import length_batches
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.training.cache import CELLS_PER_BATCH, TOKENS_PER_BATCH, ActivationCache, Indices, Texts
from elmo_cli.training.objective import Device, Objective, Validated

if TYPE_CHECKING:
    from elmo_cli.training.tagged import TaggedCorpus

MEAN_CELLS = 256  # of a sentence in a batch, at most; a longer one counts for several

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class TagValidated(Validated):
    """Scores of the best epoch on the tokens that were held out."""

    f1: float | None  # of spans; None with plain tags

    @property
    def span_f1(self) -> float | None:
        """See `Validated.span_f1`."""
        return self.f1


class TagObjective(Objective[Tagger]):
    """The tag of each token: nats of a CRF, or cross entropy; an epoch is scored by F1 of spans, or accuracy."""

    def __init__(
        self, train: TaggedCorpus, settings: TagSettings, parts: tuple[Indices, Indices], device: Device
    ) -> None:
        self.fit, self.valid = parts
        self.most_cells = settings.batch_size * MEAN_CELLS
        self._settings, self._train = settings, train
        self._lengths, self._offsets = train.corpus.lengths, train.corpus.offsets
        self._tags = torch.as_tensor(np.append(train.tags, 0), device=device)  # (tokens + 1,), the last for padding

    def make_model(
        self, network: BiLm | StaticTable, seed: int, precision: Precision, combiner_precision: Precision
    ) -> Tagger:
        """See `Objective.make_model`."""
        tag_set = self._train.tag_set
        return make_tagger(network, self._settings, tag_set, seed, precision, combiner_precision)

    def size(self, indices: Indices) -> int:
        """Tokens."""
        return int(self._lengths[indices].sum())

    def loss(self, model: Tagger, scores: Tensor, indices: Indices) -> Tensor:
        """See `Objective.loss`."""
        return model.nll(scores, *self._targets(scores, indices)).sum() / self.size(indices)

    def right(self, model: Tagger, scores: Tensor, indices: Indices) -> Tensor:
        """See `Objective.right`."""
        tags, lengths = self._targets(scores, indices)
        real = torch.arange(tags.shape[1], device=tags.device) < lengths[:, None]
        return ((model.decode(scores, lengths) == tags) & real).sum()

    @torch.inference_mode()
    def validate(self, model: Tagger, texts: Texts) -> Validated:
        """See `Objective.validate`."""
        loss = 0.0
        decoded: dict[int, Numbers] = {}
        for batch in length_batches(texts.lengths[self.valid], CELLS_PER_BATCH):
            indices = self.valid[batch]
            scores = texts.logits(model, indices)
            tags, lengths = self._targets(scores, indices)
            loss += float(model.nll(scores, tags, lengths).sum())
            decoded |= _rows(indices, model.decode(scores, lengths), self._lengths)
        decode = self._train.tag_set.decode
        truth = [decode(one.tolist()) for one in self._train.numbers(self.valid)]
        guesses = [decode(decoded[index].tolist()) for index in self.valid.tolist()]
        right = sum(a == b for one, other in zip(truth, guesses, strict=True) for a, b in zip(one, other, strict=True))
        size = self.size(self.valid)
        f1 = span_f1(truth, guesses) if self._train.tag_set.marks_spans else None
        return TagValidated(size, right / size, loss / size, f1)

    def _targets(self, scores: Tensor, indices: Indices) -> tuple[Tensor, Tensor]:
        """Tag numbers (B, T), 0 beyond a sentence, and lengths (B,), for scores (B, T, tags)."""
        lengths, steps = self._lengths[indices], np.arange(scores.shape[1])
        cells = np.where(steps < lengths[:, None], self._offsets[indices][:, None] + steps, len(self._tags) - 1)
        device = self._tags.device
        return self._tags[torch.as_tensor(cells, device=device)], torch.as_tensor(lengths, device=device)


def tag_sentences(
    tagger: Tagger,
    embedder: Embedder,
    corpus: EncodedCorpus,
    device: Device = "cpu",
    cache: ActivationCache | None = None,
    tell: Tell = silent,
) -> list[Numbers]:
    """Numbers of the tags of each sentence, in the order of the corpus.

    The tagger is put in eval mode. A sentence of any length is read whole, by windows where it is long.

    Args:
        tagger: With whose own network sentences are read.
        embedder: Whose indexer feeds it.
        corpus: The sentences.
        device: Where to compute.
        cache: Activations of the corpus, where there are any.
        tell: Told the sentences that are done.
    """
    tagger.to(device).eval()
    decoded: dict[int, Numbers] = {}
    filled = np.flatnonzero(corpus.lengths)
    batches = [filled[batch] for batch in length_batches(corpus.lengths[filled], CELLS_PER_BATCH)]
    for indices, layers, lengths in _layers(tagger, embedder, corpus, batches, device, cache):
        with torch.inference_mode():
            tags = tagger.decode(tagger.score_layers(layers, lengths), lengths)
        decoded |= _rows(indices, tags, corpus.lengths)
        tell(Progress("sentences", len(decoded), len(filled)))
    return [decoded.get(index, np.empty(0, np.int64)) for index in range(len(corpus))]


def _layers(
    tagger: Tagger,
    embedder: Embedder,
    corpus: EncodedCorpus,
    batches: Sequence[Indices],
    device: Device,
    cache: ActivationCache | None,
) -> Iterator[tuple[Indices, Tensor, Tensor]]:
    """Indices, layers and lengths of each batch."""
    if cache is not None:
        yield from ((batch, *cache.batch(batch)) for batch in batches)
        return
    if embedder.network is not tagger.embedder:  # it was tuned on its own
        embedder = Embedder.of(tagger.embedder, embedder.vocabulary, embedder.tokenizer, embedder.name)
    yield from Extractor(embedder, device).batches(corpus, batches, TOKENS_PER_BATCH)


def _rows(indices: Indices, tags: Tensor, lengths: NDArray[np.int64]) -> dict[int, Numbers]:
    """Each sentence's tags of (B, T), without the padding, by the sentence's index."""
    rows = tags.cpu().numpy()
    return {index: row[: lengths[index]] for index, row in zip(indices.tolist(), rows, strict=True)}
