"""The part of OpenAI's API that a language model without generation can answer, for the clients that know it.

An embedding is the mean over the tokens of the mean of all layers.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from numpy.typing import NDArray

from elmo_cli.server.operations import Embed
from elmo_cli.server.requests import EmbeddingsRequest, RequestError
from elmo_cli.server.responses import Json
from elmo_cli.server.service import Service


def openai_routes(service: Service) -> APIRouter:
    """`/v1/embeddings` and `/v1/models`."""
    router = APIRouter(prefix="/v1", tags=["OpenAI"])

    @router.get("/models")
    async def models() -> dict[str, Any]:
        """The runs that are served."""
        return {"object": "list", "data": [_model(service, name) for name in service.models]}

    @router.get("/models/{name}")
    async def model(name: str) -> dict[str, Any]:
        """One of them."""
        return _model(service, name)

    @router.post("/embeddings")
    async def embeddings(asked: EmbeddingsRequest, request: Request) -> Json:
        """A vector for each text."""
        served, texts = service.find(asked.model), _texts(asked)
        if asked.dimensions not in (None, served.elmo.embedder.width):
            message = f"vectors of this model have {served.elmo.embedder.width} dimensions; leave dimensions out"
            raise RequestError(400, message, param="dimensions")
        tokens, count = service.tokenize(served, texts)
        found = await service.compute(request, Embed(served, "average", "mean"), tokens, count)
        data = [
            {"object": "embedding", "index": index, "embedding": _written(vector, asked.encoding_format)}
            for index, vector in enumerate(found)
        ]
        usage = {"prompt_tokens": count, "total_tokens": count}
        return Json({"object": "list", "data": data, "model": served.name, "usage": usage})

    return router


def _model(service: Service, name: str) -> dict[str, Any]:
    served = service.find(name)
    return {"id": served.name, "object": "model", "created": served.created, "owned_by": "elmo"}


def _texts(asked: EmbeddingsRequest) -> list[str]:
    """The texts of a request.

    Raises:
        RequestError: They are numbers of tokens, which mean nothing to another vocabulary, or empty.
    """
    given = [asked.input] if isinstance(asked.input, str) else asked.input
    texts = [text for text in given if isinstance(text, str)]
    if len(texts) < len(given):
        raise RequestError(400, "input holds numbers of tokens; send texts", param="input")
    if not all(texts):
        raise RequestError(400, "input holds an empty text", param="input")
    return texts


def _written(vector: NDArray[np.float32], form: str) -> str | list[float]:
    if form == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    numbers: list[float] = vector.tolist()
    return numbers
