"""Pretraining on several ranks: each has some rows of the stream, and all take the step of all rows together.

    g = Σ_r (n_r / n) g_r      n_r predicted steps of rank r, n = Σ n_r

where g_r is the gradient of the mean loss of rank r. DistributedDataParallel adds up what is dense, bucket by bucket
while the backward pass goes on. Of a table only those rows travel that some rank has touched: of an embedding the
tokens of the windows, of a sampled softmax the targets and the negatives, which all ranks share.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._C._distributed_c10d import GradBucket
from torch.nn.parallel import DistributedDataParallel

from elmo_cli.config import Precision
from elmo_cli.errors import ConfigError
from elmo_cli.model.bilm import BiLm, StreamLoss
from elmo_cli.model.softmax import AdaptiveSoftmax, SampledSoftmax
from elmo_cli.ranks import Ranks
from elmo_cli.runs import portable
from elmo_cli.training.prepare import PretrainJob
from elmo_cli.training.state import StepCounter


class Replica:
    """The network of one of several ranks, whose gradients end as those of all ranks.

    Args:
        network: Of the same weights on every rank.
        ranks: Those that train it.
        reduce: What gradients travel in.

    Attributes:
        bytes: What this rank has given to sums so far.
        steps: In how many steps.
    """

    def __init__(self, network: BiLm, ranks: Ranks, reduce: Precision = "float32") -> None:
        self.ranks, self.bytes, self.steps = ranks, 0, 0
        self._type = torch.bfloat16 if reduce == "bfloat16" else next(network.parameters()).dtype
        module = _Predicts(network)
        self._tables = [table for table in _tables(network) if table.requires_grad]
        names = [name for name, weight in module.named_parameters() if any(weight is table for table in self._tables)]
        leave_out = DistributedDataParallel._set_params_and_buffers_to_ignore_for_model
        leave_out(module, names)  # type: ignore[no-untyped-call]
        # A cluster of an adaptive softmax may have no target on one rank, and some on another.
        clusters = isinstance(network.softmax, AdaptiveSoftmax)
        self._parallel = DistributedDataParallel(module, init_sync=False, find_unused_parameters=clusters)
        # Not the method itself: torch compares the annotations of a hook, which are text here.
        self._parallel.register_comm_hook(None, lambda _, bucket: self._sum(bucket))

    def stream_loss(self, *batch: Any) -> StreamLoss:
        """`BiLm.stream_loss`, whose backward pass adds up the gradients of all ranks."""
        found: StreamLoss = self._parallel(*batch)
        return found

    @contextmanager
    def summing(self, last: bool) -> Iterator[None]:
        """Around forward and backward pass of a window; only with the last one of a step gradients travel."""
        with nullcontext() if last else self._parallel.no_sync():
            yield

    def sum_tables(self) -> None:
        """Add up the gradients of the tables, of rows that some rank has touched."""
        self.steps += 1
        for table in self._tables:
            if table.grad is None:
                table.grad = torch.zeros_like(table)
            touched = (table.grad != 0).any(dim=1).nonzero().squeeze(1)
            rows = self._all_of(touched)
            given = table.grad[rows].to(self._type)
            self.bytes += given.nbytes
            table.grad[rows] = self.ranks.add(given).to(table.dtype)

    def _all_of(self, rows: Tensor) -> Tensor:
        """Numbers of rows that any rank has, ascending."""
        counts = [int(count) for count in self.ranks.gather(torch.tensor([len(rows)], device=rows.device))]
        padded = torch.full((max(counts),), -1, dtype=torch.int32, device=rows.device)
        padded[: len(rows)] = rows.to(torch.int32)
        self.bytes += padded.nbytes
        numbers = [own[:count] for own, count in zip(self.ranks.gather(padded), counts, strict=True)]
        found: Tensor = torch.cat(numbers).unique()  # type: ignore[no-untyped-call]
        return found.long()

    def _sum(self, bucket: GradBucket) -> torch.futures.Future[Tensor]:
        """The hook of DistributedDataParallel: the sum of a bucket, where it would take the mean."""
        own = bucket.buffer()
        sent = own.to(self._type)
        self.bytes += sent.nbytes
        work: torch.futures.Future[list[Tensor]] = dist.all_reduce(sent, async_op=True).get_future()
        return work.then(lambda done: own.copy_(done.value()[0]))


class _Predicts(nn.Module):
    """A biLM whose forward pass is the loss of a window."""

    def __init__(self, network: BiLm) -> None:
        super().__init__()
        self.network = network

    def forward(self, *batch: Any) -> StreamLoss:
        return self.network.stream_loss(*batch)


def _tables(network: BiLm) -> list[nn.Parameter]:
    """The weights of which a window touches few rows."""
    sampled = network.softmax.weight if isinstance(network.softmax, SampledSoftmax) else None
    return [table for table in (network.encoder.word_table, sampled) if isinstance(table, nn.Parameter)]


def check_ranks(ranks: Ranks, job: PretrainJob) -> None:
    """See that the rows of the stream can be shared out, and that all ranks train the same.

    Raises:
        ConfigError: They cannot, or do not.
    """
    rows = job.settings.pretrain.rows
    if rows % ranks.size:
        raise ConfigError(
            f"pretrain.batch_size is {rows}, which {ranks.size} processes cannot share out",
            expected=f"a multiple of {ranks.size}",
            remedy="change one of the two",
        )
    facts = [portable(job.settings), job.files, job.vocabulary.fingerprint()]
    ranks.check_same("the settings, vocabulary or data", json.dumps(facts, default=str))


@dataclass(frozen=True)
class Agreed:
    """What all ranks hold of a step that was taken, so that they do the same next."""

    loss: Tensor  # () mean nats of all predicted steps
    steps: int  # how many these were, of one direction
    stop: bool  # some rank was asked to
    save: bool  # it is time to
    time_share: float  # of the time that the training has


def agree(ranks: Ranks, found: StreamLoss, stop: bool, save: bool, counter: StepCounter) -> Agreed:
    """Put together what the ranks know; the clock is that of rank 0."""
    if ranks.size == 1:
        return Agreed(found.loss, found.steps, stop, save, counter.time_share)
    clock = (float(save), counter.time_share) if ranks.first else (0.0, 0.0)
    loss, steps, stops, saves, share = ranks.total([float(found.loss) * found.steps, found.steps, float(stop), *clock])
    return Agreed(torch.tensor(loss / max(1.0, steps)), int(steps), stops > 0, saves > 0, share)
