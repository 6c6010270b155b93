"""A server's application in this process, over two small runs."""

from __future__ import annotations

from pathlib import Path

import httpx
from fastapi import FastAPI

import elmo_cli
from elmo_cli.server.app import create_app
from elmo_cli.server.operations import load_served
from elmo_cli.server.service import Service

TOPICS = {"Business": ("oil", "prices", "rose"), "Sports": ("the", "match", "ended")}
TEXTS = [" ".join((*words, str(number % 3))) for number in range(15) for words in TOPICS.values()]
LABELS = [label for _ in range(15) for label in TOPICS]


def make_runs(folder: Path) -> list[Path]:
    """`lm` and `classifier` in a folder."""
    lm, classifier = folder / "lm", folder / "classifier"
    elmo_cli.Elmo.pretrain(TEXTS, preset="tiny", out=lm, device="cpu")
    elmo_cli.TextClassifier.fit(TEXTS, LABELS, lm=lm, out=classifier, preset="tiny", device="cpu")
    return [lm, classifier]


def make_app(runs: list[Path], *, keys: tuple[bytes, ...] = (), queue: int = 10_000, seconds: float = 30.0) -> FastAPI:
    return create_app(Service(load_served(runs, "cpu"), 4096, queue, seconds), keys)


def client(app: FastAPI) -> httpx.AsyncClient:
    """A client of the application; a failure of it is answered as a server would, not raised here."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://elmo")
