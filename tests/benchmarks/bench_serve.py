"""Texts a second of `elmo serve` beside the same model behind a plain FastAPI route, asked by 32 clients at once.

    PYTHONPATH=. python tests/benchmarks/bench_serve.py [--seconds 60] [--clients 32]

The model has the size of the preset `small`; its weights are of an epoch on a few texts, which makes no difference to
the time. Clients are threads of the package openai in two processes of their own; each sends a text of 40 tokens, waits
for its embedding, and sends the next. The alternative calls `Elmo.embed` once for each request, in FastAPI's threads.
Both answer on the same machine, one after the other, with the same clients, and every answer is compared with what
`Elmo.embed` gives for the text alone.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

TEXTS = [" ".join(f"word{(7 * text + 3 * place * place) % 997}" for place in range(40)) for text in range(64)]

PLAIN = """
import sys
import uvicorn
from fastapi import FastAPI
from elmo_cli import Elmo

app, elmo = FastAPI(), Elmo.load(sys.argv[1], "cpu")

@app.get("/healthz")
def healthz():
    return {}

@app.post("/v1/embeddings")
def embeddings(asked: dict):
    vector = elmo.embed([asked["input"]], layers="average", pool="mean")[0]
    data = [{"object": "embedding", "index": 0, "embedding": vector.tolist()}]
    return {"object": "list", "data": data, "model": "lm", "usage": {"prompt_tokens": 0, "total_tokens": 0}}

uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")
"""


def ask(url: str, clients: int, seconds: float, expected: Any, answers: Any) -> None:
    """Ask from threads until the time is over; puts the seconds of each request and how many were wrong or lost."""
    from openai import OpenAI

    taken: list[float] = []
    failed = [0, 0]
    ending = time.monotonic() + seconds

    def one(number: int) -> None:
        client = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
        while time.monotonic() < ending:
            number = (number + 1) % len(TEXTS)
            began = time.monotonic()
            try:
                answer = client.embeddings.create(model="lm", input=TEXTS[number], encoding_format="float")
            except Exception:
                failed[1] += 1
                continue
            taken.append(time.monotonic() - began)
            failed[0] += not np.allclose(answer.data[0].embedding, expected[number], atol=1e-5)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers.put((taken, failed))


def measure(command: list[str], port: int, clients: int, seconds: float, expected: Any) -> dict[str, float]:
    """Start a server, ask it, and end it."""
    import httpx

    began = time.monotonic()
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    while True:
        try:
            httpx.get(f"{url}/healthz")
            break
        except httpx.TransportError:
            time.sleep(0.05)
    started = time.monotonic() - began
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    asking = [context.Process(target=ask, args=(url, clients // 2, seconds, expected, answers)) for _ in range(2)]
    for process in asking:
        process.start()
    found = [answers.get() for _ in asking]
    for process in asking:
        process.join()
    server.send_signal(signal.SIGTERM)
    server.wait()
    taken = np.array([each for some, _ in found for each in some])
    return {
        "texts_per_second": len(taken) / seconds,
        "median_ms": 1000 * float(np.median(taken)),
        "p99_ms": 1000 * float(np.quantile(taken, 0.99)),
        "wrong": sum(failed[0] for _, failed in found),
        "lost": sum(failed[1] for _, failed in found),
        "start_seconds": started,
    }


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=32)
    given = parser.parse_args()
    import elmo_cli

    with tempfile.TemporaryDirectory() as folder:
        lm = Path(folder) / "lm"
        elmo_cli.Elmo.pretrain(TEXTS * 2, epochs=1, out=lm, device="cpu")
        elmo = elmo_cli.Elmo.load(lm, "cpu")
        expected = [elmo.embed([text], layers="average", pool="mean")[0].tolist() for text in TEXTS]
        for name in ("elmo serve", "plain FastAPI"):
            port = free_port()
            ours = [sys.executable, "-m", "elmo_cli", "serve", str(lm), "--port", str(port), "--device", "cpu"]
            command = ours if name == "elmo serve" else [sys.executable, "-c", PLAIN, str(lm), str(port)]
            figures = measure(command, port, given.clients, given.seconds, expected)
            print(name, {key: round(value, 2) for key, value in figures.items()})  # noqa: T201
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"largest process {memory:.0f} MB, load {os.getloadavg()[0]:.1f}")  # noqa: T201


if __name__ == "__main__":
    main()
