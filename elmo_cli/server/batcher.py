"""Texts of several clients in one batch: a bounded queue, and one thread that computes.

The event loop never computes and the thread never waits for a client. What is cancelled before its turn leaves the
queue.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from elmo_cli.server.operations import Operation

SECONDS_TO_WAIT = 0.003  # for texts of other clients, where nothing else is to be done
FIRST_SPEED = 5_000.0  # tokens a second, until it is measured


class QueueFullError(Exception):
    """There is no room for more texts.

    Attributes:
        seconds: After which there is likely to be.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@dataclass(eq=False)
class _Job:
    operation: Operation
    texts: Sequence[Any]
    tokens: int  # in all of them; at least 1
    result: asyncio.Future[Sequence[Any]]


class Batcher:
    """Computes operations on texts, those of equal operations together.

    Args:
        budget: Tokens of a batch; a request with more is a batch of its own.
        capacity: Tokens that may wait.
        on_batch: Told of each batch how many texts and tokens it had.
    """

    def __init__(self, budget: int, capacity: int, on_batch: Callable[[int, int], object]) -> None:
        self._budget, self._capacity, self._on_batch = budget, capacity, on_batch
        self._jobs: deque[_Job] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="elmo")
        self._working: asyncio.Task[None] | None = None
        self._speed = FIRST_SPEED
        self.waiting = 0  # tokens

    async def run(self, operation: Operation, texts: Sequence[Any], tokens: int) -> Sequence[Any]:
        """A result for each text, in their order.

        Args:
            operation: What to compute.
            texts: For what.
            tokens: How many they have, for the budget.

        Raises:
            QueueFullError: More tokens wait than there is room for.
        """
        tokens = max(1, tokens)
        if self.waiting and self.waiting + tokens > self._capacity:
            raise QueueFullError(self.waiting / self._speed)
        job = _Job(operation, texts, tokens, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self.waiting += tokens
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        try:
            return await job.result
        finally:
            if job in self._jobs:  # who asked has left
                self._jobs.remove(job)
                self.waiting -= tokens

    async def _work(self) -> None:
        """Compute batch after batch until nothing waits."""
        await asyncio.sleep(SECONDS_TO_WAIT)
        while self._jobs:
            batch = self._take()
            began, tokens = time.perf_counter(), sum(job.tokens for job in batch)
            await self._compute(batch)
            speed = tokens / max(1e-6, time.perf_counter() - began)
            self._speed += 0.2 * (speed - self._speed)
            self._on_batch(sum(len(job.texts) for job in batch), tokens)

    def _take(self) -> list[_Job]:
        """The job that has waited longest, and of those behind it all that are alike and find room."""
        batch = [self._jobs.popleft()]
        room = self._budget - batch[0].tokens
        for job in list(self._jobs):
            if job.operation == batch[0].operation and job.tokens <= room:
                batch.append(job)
                self._jobs.remove(job)
                room -= job.tokens
        self.waiting -= sum(job.tokens for job in batch)
        return batch

    async def _compute(self, batch: list[_Job]) -> None:
        """Compute jobs together; where that fails, each alone, so that it fails only for who is the cause."""
        texts = [text for job in batch for text in job.texts]
        try:
            results = await asyncio.get_running_loop().run_in_executor(self._thread, batch[0].operation, texts)
        except Exception as error:
            if len(batch) > 1:
                for job in batch:
                    await self._compute([job])
            elif not batch[0].result.done():
                batch[0].result.set_exception(error)
            return
        start = 0
        for job in batch:
            if not job.result.done():
                job.result.set_result(results[start : start + len(job.texts)])
            start += len(job.texts)
