"""A thousand broken requests, drawn at random: each is refused, none breaks the server."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter

from fastapi import FastAPI
from serverworld import client

PATHS = ("/v1/embeddings", "/predict", "/embed", "/similar", "/perplexity")
# None of these is a text, a list of texts, or the name of a run.
VALUES = (None, True, -1, 10**400, 1e308, [], {}, [[]], [None], {"a": {}}, [1.5], [[["a"]]], "\ud800")


def broken(draw: random.Random) -> bytes:
    """A body that cannot be answered: damaged JSON, wrong types, huge numbers, deep nesting."""
    fields = {name: draw.choice(VALUES) for name in ("model", "input", "texts", "text", "layers", "layer", "top")}
    text = json.dumps(fields)
    match draw.randrange(4):
        case 0:
            return text[: draw.randrange(len(text))].encode()
        case 1:
            return bytes(draw.randrange(256) for _ in range(draw.randrange(200)))
        case 2:
            depth = draw.choice((10, 1000, 100_000))
            return b'{"texts":' + b"[" * depth + b"]" * depth + b"}"
        case _:
            return text.encode()


def test_none_of_a_thousand_broken_requests_is_answered_500(app: FastAPI) -> None:
    draw = random.Random(1)

    async def scenario() -> Counter[int]:
        found: Counter[int] = Counter()
        async with client(app) as http:
            for _ in range(1000):
                kind = draw.choice(("application/json", "application/json", "text/plain", "nonsense"))
                answer = await http.post(draw.choice(PATHS), content=broken(draw), headers={"content-type": kind})
                assert "error" in answer.json()
                found[answer.status_code] += 1
        return found

    found = asyncio.run(scenario())
    assert set(found) <= {400, 404, 413, 415}
    assert found.total() == 1000
