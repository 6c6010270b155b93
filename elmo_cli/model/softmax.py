"""Hidden vectors to losses: full, adaptive and sampled softmax over the vocabulary.

Training may use an estimate (sampled); `nll` and `log_probabilities` are always exact. Nothing but
`log_probabilities` ever holds a (tokens, V) matrix; see `elmo_cli.model.kernel.cross_entropy`.

Legend: N rows (tokens of both directions), P projection, V vocabulary, C columns of one table. A target is a
vocabulary id 1..V; the row of id k in a weight table is k - 1.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from elmo_cli.config import ModelSettings, Precision
from elmo_cli.errors import ConfigError
from elmo_cli.model.encoder import WordEncoder
from elmo_cli.model.kernel.cross_entropy import Loss, cross_entropy

# Chosen on Brown's and AG News' validation text: see tests/benchmarks/LOG.md.
ADAPTIVE_CUTOFFS = (1_000, 5_000, 50_000)
TAIL_SHRINKAGE = 2


class Softmax(nn.Module, ABC):
    """A distribution over the vocabulary, given a hidden vector; one serves both directions."""

    @abstractmethod
    def loss(self, hidden: Tensor, targets: Tensor, precision: Precision = "float32") -> Loss:
        """Training loss in nats.

        Args:
            hidden: (N, P).
            targets: (N,) ids 1..V.
            precision: Of the matrix products over the vocabulary.
        """

    @abstractmethod
    def nll(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Exact negative log-likelihood in nats, without gradient.

        Args:
            hidden: (N, P).
            targets: (N,) ids 1..V.

        Returns:
            (N,).
        """

    @abstractmethod
    def log_probabilities(self, hidden: Tensor) -> Tensor:
        """(N, P) to (N, V): exact, all at once, for small inputs."""


class FullSoftmax(Softmax):
    """p(k | h) = exp(w_k · h + b_k) / Σ_m exp(w_m · h + b_m).

    Args:
        size: P.
        vocabulary_size: V.
        tied: Encoder whose table, without its padding row, serves as w; None: a table of its own.
    """

    def __init__(self, size: int, vocabulary_size: int, tied: WordEncoder | None = None) -> None:
        super().__init__()
        # a tuple hides the encoder from the module tree: its table is saved once, and follows copies and moves
        self._tied = None if tied is None else (tied,)
        if tied is None:
            self.table = nn.Parameter(torch.randn(vocabulary_size, size) * size**-0.5)
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))

    @property
    def weight(self) -> Tensor:
        """(V, P)."""
        return self.table if self._tied is None else self._tied[0].table[1:]

    def loss(self, hidden: Tensor, targets: Tensor, precision: Precision = "float32") -> Loss:
        """See `Softmax.loss`; exact."""
        return cross_entropy(hidden, self.weight, self.bias, targets - 1, precision=precision)

    @torch.no_grad()
    def nll(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """See `Softmax.nll`."""
        return cross_entropy(hidden, self.weight, self.bias, targets - 1).rows

    def log_probabilities(self, hidden: Tensor) -> Tensor:
        """See `Softmax.log_probabilities`."""
        return torch.log_softmax(functional.linear(hidden, self.weight, self.bias), dim=1)


class SampledSoftmax(FullSoftmax):
    """Full softmax whose training loss sums over the target and some sampled tokens only (Jean et al. 2015).

    z'_k = w_k · h + b_k - log E[count of k], over the target and S negatives that all rows of a call share; loss =
    log Σ exp(z') - z'_target. Negatives are drawn without replacement from p(k) = log((k + 2) / (k + 1)) / log(V + 1)
    for the k-th most frequent token, k from 0. A negative that is a row's target is left out of that row's sum.

    Args:
        size: P.
        vocabulary_size: V.
        samples: S, less than V.
        tied: As for `FullSoftmax`.
    """

    def __init__(self, size: int, vocabulary_size: int, samples: int, tied: WordEncoder | None = None) -> None:
        super().__init__(size, vocabulary_size, tied)
        self.samples = samples
        self.vocabulary_size = vocabulary_size

    def loss(self, hidden: Tensor, targets: Tensor, precision: Precision = "float32") -> Loss:
        """See `Softmax.loss`; an estimate that draws from torch's random numbers."""
        columns = targets - 1
        negatives, tries = same_on_all_ranks(*sample_log_uniform(self.samples, self.vocabulary_size, hidden.device))
        chosen = torch.cat([negatives, columns])
        correction = expected_count(chosen, tries, self.vocabulary_size).log().to(hidden.dtype)
        weight = functional.embedding(chosen, self.weight)
        bias = self.bias[chosen] - correction
        count = len(negatives)
        own = (hidden * weight[count:]).sum(dim=1) + bias[count:]
        place = torch.full((self.vocabulary_size,), -1, dtype=torch.int64, device=hidden.device)
        place[negatives] = torch.arange(count, device=hidden.device)
        return cross_entropy(hidden, weight[:count], bias[:count], place[columns], own, precision)


def sample_log_uniform(samples: int, vocabulary_size: int, device: torch.device) -> tuple[Tensor, int]:
    """Draw distinct token ranks from the log-uniform distribution.

    Args:
        samples: How many, less than `vocabulary_size`.
        vocabulary_size: V.
        device: Where the random numbers come from.

    Returns:
        (samples,) ranks 0..V - 1, and the number of draws it took, repetitions included.
    """
    drawn = torch.empty(0, dtype=torch.int64, device=device)
    size = 2 * samples
    while True:
        uniform = torch.rand(size, dtype=torch.float64, device=device)
        ranks = torch.exp(uniform * math.log(vocabulary_size + 1)).long() - 1
        drawn = torch.cat([drawn, ranks.clamp_(max=vocabulary_size - 1)])
        distinct, inverse = torch.unique(drawn, return_inverse=True)
        if len(distinct) >= samples:
            break
        size = len(drawn)
    order = torch.arange(len(drawn), device=device)
    first = torch.full_like(distinct, len(drawn)).scatter_reduce_(0, inverse, order, "amin")
    taken = first.sort().values[:samples]
    return drawn[taken], int(taken[-1]) + 1


def same_on_all_ranks(negatives: Tensor, tries: int) -> tuple[Tensor, int]:
    """The negatives of rank 0: a step of several ranks touches no more rows of the table than that of one process."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return negatives, tries
    drawn = torch.cat([negatives, negatives.new_tensor([tries])])
    distributed.broadcast(drawn, 0)
    return drawn[:-1], int(drawn[-1])


def expected_count(ranks: Tensor, tries: int, vocabulary_size: int) -> Tensor:
    """1 - (1 - p(k))^tries: the chance that rank k is among the negatives.

    Args:
        ranks: Any shape.
        tries: Draws, repetitions included.
        vocabulary_size: V.

    Returns:
        float64 of the same shape.
    """
    ranks = ranks.double()
    probability = torch.log1p(1.0 / (ranks + 1.0)) / math.log(vocabulary_size + 1)
    return -torch.expm1(tries * torch.log1p(-probability))


class AdaptiveSoftmax(Softmax):
    """p(k | h) = p_head(k | h) for frequent k, else p_head(cluster | h) p_cluster(k | h) (Grave et al. 2017).

    Ids follow frequency. The head scores the most frequent tokens and one entry for each cluster of rarer ones; cluster
    i = 1, 2, ... scores its tokens from a projection of h to P / 2^i. With a shared table, the vector of a token in
    cluster i is the first P / 2^i columns of its row.

    Args:
        size: P.
        vocabulary_size: V.
        cutoffs: Ranks at which clusters begin, ascending, below V; none: a full softmax.
        tied: Encoder whose table, without its padding row, holds the vectors of all tokens; None: tables of its own.
    """

    def __init__(
        self, size: int, vocabulary_size: int, cutoffs: tuple[int, ...], tied: WordEncoder | None = None
    ) -> None:
        super().__init__()
        self.edges = (*cutoffs, vocabulary_size)
        self._tied = None if tied is None else (tied,)  # as in `FullSoftmax`
        self.widths = [max(1, size // TAIL_SHRINKAGE ** (index + 1)) for index in range(len(cutoffs))]
        self.downs = nn.ModuleList(nn.Linear(size, width, bias=False) for width in self.widths)
        if tied is not None:
            self.entries = nn.Parameter(torch.randn(len(cutoffs), size) * size**-0.5)
            self.bias = nn.Parameter(torch.zeros(vocabulary_size + len(cutoffs)))
            return
        sizes = [stop - start for start, stop in pairwise(self.edges)]
        self.head = nn.Linear(size, self.edges[0] + len(cutoffs))
        self.tails = nn.ModuleList(nn.Linear(width, count) for width, count in zip(self.widths, sizes, strict=True))
        for layer in cast(list[nn.Linear], [self.head, *self.tails]):
            nn.init.normal_(layer.weight, std=layer.weight.shape[1] ** -0.5)
            nn.init.zeros_(layer.bias)

    def loss(self, hidden: Tensor, targets: Tensor, precision: Precision = "float32") -> Loss:
        """See `Softmax.loss`; exact."""
        ranks = targets - 1
        head_size = self.edges[0]
        edges = torch.tensor(self.edges[:-1], device=ranks.device)
        cluster = torch.bucketize(ranks, edges, right=True)  # 0: the head itself
        columns = torch.where(cluster == 0, ranks, head_size - 1 + cluster)
        head, *tails = self._weights()
        total, rows = cross_entropy(hidden, *head, columns, precision=precision)
        for index, (down, tail) in enumerate(zip(self.downs, tails, strict=True)):
            members = (cluster == index + 1).nonzero().squeeze(1)
            if len(members):
                columns = ranks[members] - self.edges[index]
                inside = cross_entropy(down(hidden[members]), *tail, columns, precision=precision)
                total = total + inside.total
                rows = rows.index_add(0, members, inside.rows)
        return Loss(total, rows)

    @torch.no_grad()
    def nll(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """See `Softmax.nll`."""
        return self.loss(hidden, targets).rows

    def log_probabilities(self, hidden: Tensor) -> Tensor:
        """See `Softmax.log_probabilities`."""
        weights, *tails = self._weights()
        head = torch.log_softmax(functional.linear(hidden, *weights), dim=1)
        parts = [head[:, : self.edges[0]]]
        for index, (down, tail) in enumerate(zip(self.downs, tails, strict=True)):
            inside = torch.log_softmax(functional.linear(down(hidden), *tail), dim=1)
            parts.append(head[:, self.edges[0] + index, None] + inside)
        return torch.cat(parts, dim=1)

    def _weights(self) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of the head, then of each cluster."""
        if self._tied is None:
            return [(layer.weight, layer.bias) for layer in cast(list[nn.Linear], [self.head, *self.tails])]
        sizes = [self.edges[0], *(stop - start for start, stop in pairwise(self.edges))]
        # Split, not sliced: the gradient of each slice would be as large as the table.
        _, frequent, *rest = torch.split(self._tied[0].table, [1, *sizes])
        first, *biases, clusters = torch.split(self.bias, [*sizes, len(self.entries)])
        head = torch.cat([frequent, self.entries]), torch.cat([first, clusters])
        narrow = [rows[:, :width].contiguous() for rows, width in zip(rest, self.widths, strict=True)]
        return [head, *zip(narrow, biases, strict=True)]


def make_softmax(settings: ModelSettings, vocabulary_size: int, tied: WordEncoder | None = None) -> Softmax:
    """The softmax of the settings.

    Args:
        settings: Its kind, width and samples.
        vocabulary_size: V.
        tied: Encoder whose table it shares.

    Raises:
        ConfigError: A cluster would begin beyond the vocabulary.
    """
    size = settings.token_size
    if settings.softmax == "adaptive":
        cutoffs = adaptive_cutoffs(vocabulary_size) if settings.cutoffs is None else settings.cutoffs
        if any(cutoff >= vocabulary_size for cutoff in cutoffs):
            raise ConfigError(
                f"model.cutoffs are {list(cutoffs)}, but the vocabulary has {vocabulary_size} tokens",
                expected=f"ranks below {vocabulary_size}",
                remedy="leave model.cutoffs out to have them chosen",
            )
        return AdaptiveSoftmax(size, vocabulary_size, cutoffs, tied)
    if settings.softmax == "sampled" and settings.samples < vocabulary_size:
        return SampledSoftmax(size, vocabulary_size, settings.samples, tied)
    return FullSoftmax(size, vocabulary_size, tied)


def adaptive_cutoffs(vocabulary_size: int) -> tuple[int, ...]:
    """Where clusters begin: the last one holds at least half as many tokens as all before it."""
    return tuple(cutoff for cutoff in ADAPTIVE_CUTOFFS if 3 * cutoff <= 2 * vocabulary_size)
