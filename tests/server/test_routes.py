"""What the server answers, against the Python names, and what it refuses."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from fastapi import FastAPI
from serverworld import TEXTS, client, make_app

import elmo_cli
from elmo_cli.server.guard import MOST_BYTES, read_keys


def ask(app: FastAPI, path: str, document: object = None, **more: Any) -> httpx.Response:
    """One request in this process; without a document, GET."""

    async def once() -> httpx.Response:
        async with client(app) as http:
            return await (http.get(path, **more) if document is None else http.post(path, json=document, **more))

    return asyncio.run(once())


def test_embeddings_are_those_of_python_through_openais_client(app: FastAPI, runs: list[Path]) -> None:
    async def scenario() -> Any:
        async with openai.AsyncOpenAI(api_key="none", base_url="http://elmo/v1", http_client=client(app)) as api:
            names = [model.id async for model in api.models.list()]
            many = await api.embeddings.create(model="lm", input=TEXTS[:3])
            one = await api.embeddings.create(model="classifier", input=TEXTS[0], encoding_format="float")
            return names, many, one

    names, many, one = asyncio.run(scenario())
    assert names == ["lm", "classifier"]
    expected = elmo_cli.Elmo.load(runs[0], "cpu").embed(TEXTS[:3], layers="average", pool="mean")
    np.testing.assert_array_equal(np.array([item.embedding for item in many.data], dtype=np.float32), expected)
    assert [item.index for item in many.data] == [0, 1, 2]
    assert (many.usage.prompt_tokens, many.object, many.model) == (12, "list", "lm")
    np.testing.assert_array_equal(np.array(one.data[0].embedding, dtype=np.float32), expected[0])


def test_base64_holds_the_same_numbers(app: FastAPI) -> None:
    asked = {"model": "lm", "input": TEXTS[0]}
    plain = ask(app, "/v1/embeddings", asked).json()["data"][0]["embedding"]
    coded = ask(app, "/v1/embeddings", {**asked, "encoding_format": "base64"}).json()["data"][0]["embedding"]
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(coded), "<f4"), np.array(plain, dtype=np.float32))


def test_predictions_are_those_of_python(app: FastAPI, runs: list[Path]) -> None:
    model = elmo_cli.TextClassifier.load(runs[1], "cpu")
    found = ask(app, "/predict", {"model": "classifier", "texts": TEXTS[:4]}).json()
    assert found["lambdas"] == pytest.approx(model.lambdas)
    assert [one["label"] for one in found["predictions"]] == model.predict(TEXTS[:4])
    shares = [list(one["probabilities"].values()) for one in found["predictions"]]
    np.testing.assert_allclose(shares, model.predict_proba(TEXTS[:4]), atol=1e-6)


def test_activations_and_surprise_are_those_of_python(app: FastAPI, runs: list[Path]) -> None:
    elmo = elmo_cli.Elmo.load(runs[0], "cpu")
    found = ask(app, "/embed", {"model": "lm", "texts": ["oil prices", ""], "layers": 1}).json()["texts"]
    assert [one["tokens"] for one in found] == [["oil", "prices"], []]
    np.testing.assert_array_equal(np.array(found[0]["vectors"], np.float32), elmo.embed(["oil prices"], layers=1)[0])
    (text,) = ask(app, "/perplexity", {"model": "lm", "texts": [TEXTS[0]]}).json()["texts"]
    frame = elmo.score([TEXTS[0]], per_token=True)
    assert [token["token"] for token in text["tokens"]] == frame["token"].tolist()
    assert text["tokens"][1]["nll_forward"] == pytest.approx(frame["nll_forward"][1])


def test_the_nearest_tokens_are_those_of_python(app: FastAPI, runs: list[Path]) -> None:
    asked = {"text": "oil prices fell", "token": "oil", "texts": ["the match ended", "oil prices rose 1"]}
    found = ask(app, "/similar", {"model": "lm", **asked, "top": 1}).json()
    assert (found["token"], found["position"], found["layer"]) == ("oil", 0, "layer 2")
    frame = elmo_cli.Elmo.load(runs[0], "cpu").similar("oil prices fell", "oil", corpus=asked["texts"], top=1)
    assert found["hits"] == frame.to_dict("records")


def test_texts_of_many_clients_are_answered_together(app: FastAPI, runs: list[Path]) -> None:
    texts = [" ".join(TEXTS[: 1 + number % 7]) for number in range(40)]
    # Alone, each text would be padded to nothing but itself.
    alone = [elmo_cli.Elmo.load(runs[0], "cpu").embed([text], layers="average", pool="mean")[0] for text in texts]

    async def scenario() -> list[httpx.Response]:
        async with client(app) as http:
            requests = [http.post("/v1/embeddings", json={"model": "lm", "input": text}) for text in texts]
            return list(await asyncio.gather(*requests))

    answers = asyncio.run(scenario())
    found = [answer.json()["data"][0]["embedding"] for answer in answers]
    np.testing.assert_allclose(found, alone, atol=1e-6)
    lines = ask(app, "/metrics").text.splitlines()
    assert "elmo_texts_total 40.0" in lines
    assert 'elmo_requests_total{path="/v1/embeddings",status="200"} 40.0' in lines
    batches = next(float(line.split()[1]) for line in lines if line.startswith("elmo_batch_texts_count"))
    assert batches < 10


BAD: list[tuple[str, object, int]] = [
    ("/v1/embeddings", {"model": "other", "input": "a"}, 404),
    ("/v1/embeddings", {"input": "a"}, 400),
    ("/v1/embeddings", {"model": "lm", "input": ""}, 400),
    ("/v1/embeddings", {"model": "lm", "input": []}, 400),
    ("/v1/embeddings", {"model": "lm", "input": ["a", ""]}, 400),
    ("/v1/embeddings", {"model": "lm", "input": [1, 2]}, 400),
    ("/v1/embeddings", {"model": "lm", "input": [[1, 2]]}, 400),
    ("/v1/embeddings", {"model": "lm", "input": ["a", 1]}, 400),
    ("/v1/embeddings", {"model": "lm", "input": ["a"] * 2049}, 400),
    ("/v1/embeddings", {"model": "lm", "input": "a", "dimensions": 7}, 400),
    ("/v1/embeddings", {"model": "lm", "input": "a", "dimensions": 10**400}, 400),
    ("/v1/embeddings", {"model": "lm", "input": "a", "encoding_format": "int8"}, 400),
    ("/v1/embeddings", {"model": "lm", "input": "a " * 100_001}, 400),
    ("/predict", {"model": "lm", "texts": ["a"]}, 400),
    ("/predict", {"texts": ["a"]}, 404),
    ("/embed", {"model": "lm", "texts": ["a"], "layers": 3}, 400),
    ("/embed", {"model": "lm", "texts": ["a"], "layers": 10**30}, 400),
    ("/embed", {"model": "lm", "texts": ["a"], "pool": "sum"}, 400),
    ("/embed", {"model": "lm", "texts": "a"}, 400),
    ("/similar", {"model": "lm", "text": "oil prices", "texts": ["a"]}, 400),
    ("/similar", {"model": "lm", "text": "oil", "token": "gas", "texts": ["a"]}, 400),
    ("/similar", {"model": "lm", "text": "", "texts": ["a"]}, 400),
    ("/similar", {"model": "lm", "text": "oil", "texts": ["a"], "layer": 9}, 400),
    ("/perplexity", {"model": "lm", "texts": [None]}, 400),
    ("/perplexity", ["a"], 400),
    ("/nowhere", {}, 404),
    ("/healthz", {}, 405),
]


@pytest.mark.parametrize(("path", "document", "status"), BAD)
def test_bad_requests_are_refused_in_one_form(app: FastAPI, path: str, document: object, status: int) -> None:
    answer = ask(app, path, document)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"model":"lm","texts":["\\ud800"]}',
        b'{"model":"lm","texts":' + b"9" * 100_000 + b"}",
        b'{"model":"lm","texts":[NaN]}',
    ],
    ids=["nothing", "cut", "bytes", "lists", "objects", "surrogate", "digits", "nan"],
)
@pytest.mark.parametrize("path", ["/embed", "/v1/embeddings"])
def test_bodies_that_are_no_json_of_ours(app: FastAPI, path: str, body: bytes) -> None:
    async def once() -> httpx.Response:
        async with client(app) as http:
            return await http.post(path, content=body, headers={"content-type": "application/json"})

    answer = asyncio.run(once())
    assert answer.status_code == 400
    assert "error" in answer.json()


def test_large_bodies_are_not_read(app: FastAPI) -> None:
    async def pieces() -> Any:
        for _ in range(MOST_BYTES // 1000 + 2):
            yield b" " * 1000

    async def once(**more: Any) -> int:
        async with client(app) as http:
            return (await http.post("/embed", **more)).status_code

    assert asyncio.run(once(content=b" " * (MOST_BYTES + 1))) == 413
    assert asyncio.run(once(content=pieces())) == 413
    assert asyncio.run(once(content=b"{}", headers={"content-length": "x"})) == 413


def test_keys(runs: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("first\nsecond\n", encoding="utf-8")
    app = make_app(runs, keys=tuple(read_keys(file)))
    for key, status in ((None, 401), ("Bearer first", 200), ("Bearer second", 200), ("Bearer firs", 401), ("é", 401)):
        headers = {} if key is None else {"authorization": key.encode()}
        assert ask(app, "/v1/models", headers=headers).status_code == status
    assert ask(app, "/healthz").status_code == 200
    assert ask(app, "/v1/models").json()["error"]["code"] == "invalid_api_key"
    file.write_text("\n", encoding="utf-8")
    with pytest.raises(elmo_cli.ConfigError, match="holds no key"):
        read_keys(file)
    with pytest.raises(elmo_cli.ConfigError, match="cannot be read"):
        read_keys(tmp_path / "nothing")


def test_a_full_queue_says_when_to_come_again(runs: list[Path]) -> None:
    app = make_app(runs, queue=10)

    async def scenario() -> list[httpx.Response]:
        async with client(app) as http:
            requests = [http.post("/embed", json={"model": "lm", "texts": [TEXTS[0]] * 2}) for _ in range(8)]
            return list(await asyncio.gather(*requests))

    answers = asyncio.run(scenario())
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert {answer.status_code for answer in answers} == {200, 429}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)


def test_what_is_late_is_given_up(runs: list[Path]) -> None:
    app = make_app(runs, seconds=0.001)
    answer = ask(app, "/embed", {"model": "lm", "texts": TEXTS})
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "timeout"


def test_who_leaves_is_not_computed_for(runs: list[Path]) -> None:
    app = make_app(runs)
    body = json.dumps({"model": "lm", "texts": TEXTS}).encode()
    arrived = iter([{"type": "http.request", "body": body, "more_body": False}, {"type": "http.disconnect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(arrived)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    scope = {"type": "http", "method": "POST", "path": "/embed", "raw_path": b"/embed", "query_string": b""}
    asyncio.run(app({**scope, "headers": headers, "http_version": "1.1", "scheme": "http"}, receive, send))
    assert sent[0]["status"] == 499
    assert "elmo_texts_total 0.0" in ask(app, "/metrics").text


def test_the_description_names_every_route_and_no_page_fetches_scripts(app: FastAPI) -> None:
    paths = ask(app, "/openapi.json").json()["paths"]
    assert set(paths) == {
        *("/v1/models", "/v1/models/{name}", "/v1/embeddings"),
        *("/healthz", "/metrics", "/predict", "/embed", "/similar", "/perplexity"),
    }
    assert ask(app, "/docs").status_code == 404
    assert ask(app, "/v1/models/lm").json()["id"] == "lm"


def test_the_only_run_needs_no_name(runs: list[Path]) -> None:
    app = make_app(runs[1:])
    assert len(ask(app, "/predict", {"texts": TEXTS[:2]}).json()["predictions"]) == 2
