"""A linear-chain conditional random field over the tags of a sentence (Lafferty et al. 2001).

score(x, y) = a[y_1] + Σ_t x[t, y_t] + Σ_t A[y_(t-1), y_t] + b[y_n]
p(y | x)    = exp score(x, y) / Σ_y' exp score(x, y')

Transitions that are not allowed score so little that no path with one has any probability. Every recursion runs over
a batch, all tags of a step at once. Legend: B batch, T tokens, K tags.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FORBIDDEN = -1e30  # exp of it is 0; of -inf the gradient would be no number where nothing leads to a tag


class Crf(nn.Module):
    """Transition scores, their likelihood, and the best path through them.

    Args:
        allowed: (K + 1, K + 1) bool; [i, j] whether tag j may follow tag i. The last row says which tags may begin a
            sentence, the last column which may end one. Some path of every length must be allowed.

    Attributes:
        weights: (K + 1, K + 1) learned scores of these transitions, zero at first.
    """

    allowed: Tensor

    def __init__(self, allowed: Tensor) -> None:
        super().__init__()
        self.register_buffer("allowed", allowed, persistent=False)
        self.weights = nn.Parameter(torch.zeros(allowed.shape))

    def nll(self, emissions: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """-log p(y | x), nats of each sentence.

        Args:
            emissions: (B, T, K) scores x.
            tags: (B, T) tag numbers y, allowed as a path; any number beyond a sentence.
            lengths: (B,) tokens of each sentence; one without tokens costs nothing.

        Returns:
            (B,)
        """
        transitions, start, end = self._scores()
        rows = torch.arange(len(tags), device=tags.device)
        steps = torch.arange(tags.shape[1], device=tags.device)
        real = steps < lengths[:, None]
        tags = tags.masked_fill(~real, 0)
        emitted = emissions.gather(2, tags[:, :, None]).squeeze(2).masked_fill(~real, 0.0).sum(1)
        moved = transitions[tags[:, :-1], tags[:, 1:]].masked_fill(~real[:, 1:], 0.0).sum(1)
        path = start[tags[:, 0]] + emitted + moved + end[tags[rows, (lengths - 1).clamp(min=0)]]
        return (self._log_partition(emissions, lengths) - path).masked_fill(lengths == 0, 0.0)

    def _log_partition(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """Log of Σ_y exp score(x, y), (B,), by α_t[j] = x[t, j] + log Σ_i exp(α_(t-1)[i]) exp(A[i, j]).

        The sum is a matrix product, so that a step takes B K exponentials and not B K². It is taken relative to the
        largest α, in float64: a tag that is 700 nats less likely than the likeliest counts as out of reach.
        """
        transitions, start, end = (scores.to(_wide(emissions)) for scores in self._scores())
        factors, least = transitions.exp(), torch.finfo(transitions.dtype).tiny
        first, *steps = emissions.to(transitions.dtype).unbind(1)
        forward = start + first
        for step, emitted in enumerate(steps, start=1):
            top = forward.detach().amax(dim=1, keepdim=True)  # any shift will do, so it has no gradient
            reached = ((forward - top).exp() @ factors).clamp(min=least)
            forward = torch.where((step < lengths)[:, None], reached.log() + top + emitted, forward)
        return torch.logsumexp(forward + end, dim=1).to(emissions.dtype)

    @torch.no_grad()
    def decode(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """argmax_y score(x, y), by Viterbi's recursion.

        Args:
            emissions: (B, T, K).
            lengths: (B,)

        Returns:
            (B, T) tag numbers, 0 beyond a sentence.
        """
        transitions, start, end = self._scores()
        first, *steps = emissions.unbind(1)
        best, origins = start + first, []
        for step, emitted in enumerate(steps, start=1):
            following, origin = (best[:, :, None] + transitions).max(dim=1)
            going_on = (step < lengths)[:, None]
            best = torch.where(going_on, following + emitted, best)
            origins.append(origin)
        tag = (best + end).argmax(dim=1)
        path = [tag]
        for step, origin in zip(range(len(origins), 0, -1), reversed(origins), strict=True):
            tag = torch.where(step < lengths, origin.gather(1, tag[:, None]).squeeze(1), tag)
            path.append(tag)
        tags = torch.stack(path[::-1], dim=1)
        return tags.masked_fill(torch.arange(tags.shape[1], device=tags.device) >= lengths[:, None], 0)

    def _scores(self) -> tuple[Tensor, Tensor, Tensor]:
        """A (K, K), a (K,) and b (K,)."""
        scores = self.weights.masked_fill(~self.allowed, FORBIDDEN)
        return scores[:-1, :-1], scores[-1, :-1], scores[:-1, -1]


def _wide(values: Tensor) -> torch.dtype:
    """The widest precision of a device."""
    return torch.float32 if values.device.type == "mps" else torch.float64
