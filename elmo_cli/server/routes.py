"""What `elmo predict`, `embed`, `similar` and `evaluate --per-token` do, by HTTP; and how the server is."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from elmo_cli.inference.token_scores import TOKEN_COLUMNS
from elmo_cli.server.operations import Embed, Nearest, Predict, Score
from elmo_cli.server.requests import EmbedRequest, OnTexts, RequestError, SimilarRequest
from elmo_cli.server.responses import Json
from elmo_cli.server.service import Service


def own_routes(service: Service) -> APIRouter:
    """`/predict`, `/embed`, `/similar`, `/perplexity`, `/healthz` and `/metrics`."""
    router = APIRouter()

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        """That the server is up."""
        return {"status": "ok"}

    @router.get("/metrics")
    async def metrics() -> Response:
        """Figures in Prometheus' form."""
        return Response(service.metrics.as_text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @router.post("/predict")
    async def predict(asked: OnTexts, request: Request) -> Json:
        """Label and probabilities of each text, and the classifier's λ."""
        served = service.find(asked.model)
        if served.classifier is None:
            raise RequestError(400, f"{served.name} is a language model, not a classifier", param="model")
        _, count = service.tokenize(served, asked.texts)
        found = await service.compute(request, Predict(served.classifier), asked.texts, count)
        classes = served.classifier.classes
        rows = [
            {"label": one.label, "probabilities": dict(zip(classes, one.probabilities, strict=True)), "cut": one.cut}
            for one in found
        ]
        return Json({"model": served.name, "lambdas": served.classifier.lambdas, "predictions": rows})

    @router.post("/embed")
    async def embed(asked: EmbedRequest, request: Request) -> Json:
        """Layer activations of each text: (L, T, W), without L where one was chosen, without T where pooled."""
        served = service.find(asked.model)
        if isinstance(asked.layers, int) and asked.layers >= served.elmo.embedder.layer_count:
            raise RequestError(400, f"layers go from 0 to {served.elmo.embedder.layer_count - 1}", param="layers")
        tokens, count = service.tokenize(served, asked.texts)
        found = await service.compute(request, Embed(served, asked.layers, asked.pool), tokens, count)
        rows = [{"tokens": one, "vectors": array.tolist()} for one, array in zip(tokens, found, strict=True)]
        return Json({"model": served.name, "texts": rows})

    @router.post("/similar")
    async def similar(asked: SimilarRequest, request: Request) -> Json:
        """The tokens of some texts that are nearest to a token in its context, the best of each text."""
        served = service.find(asked.model)
        _, count = service.tokenize(served, [asked.text, *asked.texts])
        token = (asked.token, asked.occurrence, str(asked.layer), asked.top, asked.same_word)
        (found,) = await service.compute(request, Nearest(served, asked.text, *token), [asked.texts], count)
        hits = [
            {
                "similarity": hit.similarity,
                "token": hit.token,
                "position": hit.position,
                "text": hit.line - 1,
                "tokens": hit.tokens,
            }
            for hit in found.hits
        ]
        document = {"token": found.token, "position": found.position, "tokens": found.tokens, "layer": found.layer}
        return Json({"model": served.name, **document, "hits": hits})

    @router.post("/perplexity")
    async def perplexity(asked: OnTexts, request: Request) -> Json:
        """Surprise of each token in nats, in both directions, `<S>` and `</S>` included."""
        served = service.find(asked.model)
        tokens, count = service.tokenize(served, asked.texts)
        found = await service.compute(request, Score(served), tokens, count)
        names = TOKEN_COLUMNS[1:]
        rows = [{"tokens": [dict(zip(names, row[1:], strict=True)) for row in text]} for text in found]
        return Json({"model": served.name, "texts": rows})

    return router
