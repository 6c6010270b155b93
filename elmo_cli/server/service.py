"""The runs that are served, and the way of a request through them: found, counted, queued, computed in time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request

from elmo_cli.errors import InputError
from elmo_cli.server.batcher import Batcher, QueueFullError
from elmo_cli.server.metrics import Metrics
from elmo_cli.server.operations import Operation, Served
from elmo_cli.server.requests import MOST_TOKENS, RequestError

NO_ANSWER = 499  # for a client that has left, as nginx counts it


class Service:
    """What the routes answer from.

    Args:
        models: Runs by their names.
        batch_tokens: See `Batcher`.
        queue_tokens: Its capacity.
        seconds: That a request may take.
    """

    def __init__(self, models: Mapping[str, Served], batch_tokens: int, queue_tokens: int, seconds: float) -> None:
        self.models, self.metrics, self._seconds = models, Metrics(), seconds
        self._batcher = Batcher(batch_tokens, queue_tokens, self.metrics.batch)
        self.metrics.waiting.set_function(lambda: self._batcher.waiting)

    def find(self, name: str | None) -> Served:
        """A run by its name, or the only one.

        Raises:
            RequestError: There is none, or several and none was named.
        """
        if name is None and len(self.models) == 1:
            return next(iter(self.models.values()))
        if name is None or name not in self.models:
            message = f"there is no such model; choose from: {', '.join(self.models)}"
            raise RequestError(404, message, code="model_not_found", param="model")
        return self.models[name]

    @staticmethod
    def tokenize(served: Served, texts: Sequence[str]) -> tuple[list[list[str]], int]:
        """Tokens of texts as the run has them, and how many these are.

        Raises:
            RequestError: They are too many.
        """
        tokens = [served.elmo.tokens(text) for text in texts]
        count = sum(map(len, tokens))
        if count > MOST_TOKENS:
            message = f"the texts have {count} tokens together; send at most {MOST_TOKENS} a request"
            raise RequestError(400, message, code="too_many_tokens")
        return tokens, count

    async def compute(self, request: Request, operation: Operation, texts: Sequence[Any], tokens: int) -> Sequence[Any]:
        """A result for each text, within the time a request may take and while its client is there.

        Raises:
            RequestError: The queue is full, the time is over, the client has left, or the operation cannot be done.
        """
        work = asyncio.ensure_future(self._batcher.run(operation, texts, tokens))
        left = asyncio.ensure_future(_until_left(request))
        try:
            await asyncio.wait((work, left), timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise _late() if not left.done() else RequestError(NO_ANSWER, "the client has left")
            return work.result()
        except QueueFullError as full:
            wait = str(max(1, math.ceil(full.seconds)))
            message = f"too many texts are waiting; try again in {wait} s"
            raise RequestError(429, message, code="queue_full", headers={"Retry-After": wait}) from full
        except InputError as error:
            raise RequestError(400, error.message) from error
        finally:
            for task in (work, left):
                task.cancel()


def _late() -> RequestError:
    return RequestError(504, "the answer was not ready in time; send fewer texts", code="timeout")


async def _until_left(request: Request) -> None:
    """Return when the client has left; its body was read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
