"""Processes that train one model together: the ranks that torchrun starts, on one machine or several.

What they tell each other goes through torch.distributed: gloo on CPUs, NCCL on GPUs. A process that was started alone
is the only rank there is, and needs none of it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, NoReturn, TypeVar

from elmo_cli.errors import ConfigError, ElmoError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor
    from torch.distributed.distributed_c10d import Store

T = TypeVar("T")

# A rank may have to wait while another reads a corpus; that one has died shows at once, by its closed connection.
PATIENCE = timedelta(hours=24)
_trainings = count()  # of this process, which all ranks count alike
FAILED = "failed"  # in the store that all ranks see: the rank whose failure the others only follow


def rank_here() -> int:
    """The rank of this process by what torchrun says to it, before any of them is joined; 0 of one alone."""
    return int(os.environ.get("RANK", 0)) if "WORLD_SIZE" in os.environ else 0


def restarted() -> bool:
    """Whether torchrun has started this process anew after a rank had died."""
    return rank_count() > 1 and _restarts() > 0


def _restarts() -> int:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))


def launch() -> str | None:
    """What the processes of one torchrun have in common, those that it starts anew too; None of a process alone."""
    if rank_count() == 1:
        return None
    facts = f"{os.environ.get('TORCHELASTIC_RUN_ID')} {os.environ.get('MASTER_ADDR')} {os.getppid()}"
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def rank_seed(seed: int, rank: int) -> int:
    """A seed of its own for each rank; that of rank 0 is that of a process alone."""
    return seed + 1_000_003 * rank


def rank_count() -> int:
    """How many ranks torchrun has started."""
    return int(os.environ.get("WORLD_SIZE", 1)) if "RANK" in os.environ else 1


class LostRankError(ElmoError):
    """Another rank has ended, and says why itself, unless it was killed."""


class FollowedError(ElmoError):
    """A failure that another rank has told of already."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that train one model.

    Attributes:
        rank: From 0; rank 0 alone writes and shows.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this one writes and shows."""
        return self.rank == 0

    def add(self, tensor: Tensor) -> Tensor:
        """The sum over all ranks, in place and of the same bits everywhere."""
        if self.size > 1:
            import torch.distributed as dist

            with told_by_the_other():
                dist.all_reduce(tensor)
        return tensor

    def total(self, values: Sequence[float] | NDArray[np.float64]) -> list[float]:
        """Sums over all ranks, in double."""
        if self.size == 1:
            return list(values)
        import torch

        where = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
        found: list[float] = self.add(torch.tensor(values, dtype=torch.float64, device=where)).tolist()
        return found

    def rows(self, tensor: Tensor, dim: int) -> Tensor:
        """The rows of this rank: r, r + n, r + 2n, ... of all, along a dimension."""
        if self.size == 1:
            return tensor
        import torch

        own = range(self.rank, tensor.shape[dim], self.size)
        return tensor.index_select(dim, tensor.new_tensor(own, dtype=torch.int64))

    def all_rows(self, tensor: Tensor, dim: int) -> Tensor:
        """All rows, from those that each rank has."""
        if self.size == 1:
            return tensor
        import torch

        return torch.stack(self.gather(tensor), dim + 1).flatten(dim, dim + 1)

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """What each rank has, of one shape, in the order of the ranks."""
        if self.size == 1:
            return [tensor]
        import torch
        import torch.distributed as dist

        found = [torch.empty_like(tensor) for _ in range(self.size)]
        with told_by_the_other():
            dist.all_gather(found, tensor.contiguous())
        return found

    def wait(self) -> None:
        """Wait until all ranks are here."""
        self.total([0.0])

    def in_turn(self, work: Callable[[], T]) -> T:
        """Do something at rank 0, and then at all others, which find what it has left on the disk.

        A failure of rank 0 is the failure of all.
        """
        if self.size == 1:
            return work()
        if self.first:
            found = work()
            self.wait()
        else:
            self.wait()
            found = work()
        self.wait()
        return found

    def check_same(self, what: str, digest: str) -> None:
        """See that all ranks have the same of something.

        Raises:
            ConfigError: They do not.
        """
        if self.size == 1:
            return
        import torch.distributed as dist

        found: list[str | None] = [None] * self.size
        with told_by_the_other():
            dist.all_gather_object(found, digest)
        if len(set(found)) > 1:
            other = next(rank for rank, value in enumerate(found) if value != found[0])
            raise ConfigError(
                f"{what} of rank {other} are not those of rank 0",
                expected="the same on all machines",
                remedy="start all ranks with the same arguments, on files that they share",
            )


ALONE = Ranks()


@contextmanager
def joined(kind: str) -> Iterator[Ranks]:
    """Join the ranks that torchrun has started; without it, there is one.

    Of failures, the first that happens is raised as it is; on the other ranks it is a `FollowedError`, since they fail
    for no reason of their own.

    Args:
        kind: Of the device that is computed on: `cpu` or `cuda`.

    Raises:
        LostRankError: Another rank has ended, and has not told why.
    """
    if rank_count() == 1:
        yield ALONE
        return
    import torch.distributed as dist
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    store, rank, size = next(iter(rendezvous("env://", timeout=PATIENCE)))
    # What earlier ranks, or an earlier training of these, have left in it is theirs: their addresses, and who failed.
    store = PrefixStore(f"start {_restarts()}, training {next(_trainings)}", store)
    dist.init_process_group("nccl" if kind == "cuda" else "gloo", store=store, rank=rank, world_size=size)
    try:
        yield Ranks(rank, size)
    except GeneratorExit:
        raise
    except BaseException as error:
        _raise_or_follow(error, store, rank)
    finally:
        dist.destroy_process_group()


def _raise_or_follow(error: BaseException, store: Store, rank: int) -> NoReturn:
    teller = str(rank)
    if isinstance(error, LostRankError):
        # Who died first may be telling of it at this moment.
        with suppress(RuntimeError):
            store.wait([FAILED], timedelta(seconds=2))
    with suppress(RuntimeError):  # the store ends with the machine that it is on
        teller = store.compare_set(FAILED, "", teller).decode()
    if teller == str(rank):
        if rank:
            error.add_note(f"rank {rank}")  # that it is this one who tells
        raise error
    raise FollowedError(str(error)) from error


@contextmanager
def told_by_the_other() -> Iterator[None]:
    """Within it, a connection that breaks means that another rank has ended."""
    try:
        yield
    except RuntimeError as error:
        raise LostRankError(
            "another process of this training has ended",
            expected="all of them until the end",
            remedy="see its own message; torchrun's --max-restarts goes on from the last checkpoint by itself",
        ) from error
