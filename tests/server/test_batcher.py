"""The queue: what is computed together, what is refused, what leaves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from elmo_cli.server.batcher import Batcher, QueueFullError


@dataclass(frozen=True)
class Double:
    """Doubles numbers, and remembers the batches; it can be held up."""

    name: str = "double"
    batches: list[list[int]] = field(default_factory=list, compare=False)
    go: threading.Event = field(default_factory=threading.Event, compare=False)

    def __call__(self, texts: Sequence[int], /) -> list[int]:
        assert self.go.wait(10)
        if 13 in texts:
            raise ValueError("13")
        self.batches.append(list(texts))
        return [2 * text for text in texts]


def made(budget: int = 10, capacity: int = 100) -> tuple[Batcher, list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []
    return Batcher(budget, capacity, lambda texts, tokens: told.append((texts, tokens))), told


def free(operation: Double) -> Double:
    operation.go.set()
    return operation


def test_equal_operations_are_computed_together_within_the_budget() -> None:
    async def scenario() -> None:
        batcher, told = made(budget=6)
        one, other = free(Double()), free(Double("other"))
        jobs = [batcher.run(one, [n, n], 2) for n in range(4)] + [batcher.run(other, [9], 1)]
        found = await asyncio.gather(*jobs)
        assert found == [[0, 0], [2, 2], [4, 4], [6, 6], [18]]
        assert one.batches == [[0, 0, 1, 1, 2, 2], [3, 3]]
        assert other.batches == [[9]]
        assert told == [(6, 6), (2, 2), (1, 1)]
        assert batcher.waiting == 0

    asyncio.run(scenario())


def test_a_large_request_is_a_batch_of_its_own() -> None:
    async def scenario() -> None:
        batcher, told = made(budget=6, capacity=8)
        assert await batcher.run(free(Double()), list(range(20, 40)), 20) == [2 * n for n in range(20, 40)]
        assert told == [(20, 20)]

    asyncio.run(scenario())


def test_what_fails_fails_alone() -> None:
    async def scenario() -> None:
        batcher, _ = made()
        operation = free(Double())
        found = await asyncio.gather(*(batcher.run(operation, [n], 1) for n in (1, 13, 2)), return_exceptions=True)
        assert found[0] == [2]
        assert isinstance(found[1], ValueError)
        assert found[2] == [4]
        assert await batcher.run(operation, [5], 1) == [10]

    asyncio.run(scenario())


def test_a_full_queue_refuses_and_who_leaves_makes_room() -> None:
    async def scenario() -> None:
        batcher, _ = made(budget=1, capacity=10)
        operation = Double()
        first = asyncio.create_task(batcher.run(operation, [1], 1))
        await asyncio.sleep(0.05)  # it is being computed, and waits no more
        second = asyncio.create_task(batcher.run(operation, [2], 8))
        await asyncio.sleep(0)
        assert batcher.waiting == 8
        with pytest.raises(QueueFullError) as refused:
            await batcher.run(operation, [3], 3)
        assert refused.value.seconds > 0
        second.cancel()
        await asyncio.sleep(0)
        assert batcher.waiting == 0
        third = asyncio.create_task(batcher.run(operation, [3], 3))
        await asyncio.sleep(0)
        operation.go.set()
        assert [await first, await third] == [[2], [6]]
        assert operation.batches == [[1], [3]]

    asyncio.run(scenario())
