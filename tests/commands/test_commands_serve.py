"""`elmo serve` as a process: it answers, and ends with all answered."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

httpx = pytest.importorskip("httpx")
pytest.importorskip("uvicorn")

from test_json_documents import check_against_page  # noqa: E402

import elmo_cli  # noqa: E402

REPOSITORY = Path(__file__).resolve().parent.parent.parent
TEXTS = ["the sky is up today", "the sea is down there"] * 10


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("serve") / "lm"
    elmo_cli.Elmo.pretrain(TEXTS, preset="tiny", epochs=1, out=path, device="cpu")
    return path


@contextmanager
def serving(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server on a port that was free, once it answers; its process and address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "elmo_cli", "serve", *map(str, arguments), "--port", str(port), "--device", "cpu"]
    environment = dict(os.environ, PYTHONPATH=str(REPOSITORY), NO_COLOR="1")
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                if httpx.get(f"{url}/healthz").status_code == 200:
                    break
            except httpx.TransportError:
                assert process.poll() is None, process.communicate()
                time.sleep(0.1)
        yield process, url
    finally:
        process.kill()
        process.communicate()


def test_sigterm_answers_what_was_taken(lm: Path) -> None:
    texts = [" ".join(TEXTS)] * 40  # each request is more than a batch, so that they wait for each other

    def ask(client: httpx.Client) -> list[int]:
        answer = client.post("/embed", json={"texts": texts, "pool": "mean"}, timeout=60)
        return [answer.status_code, len(answer.json()["texts"])]

    def waiting(client: httpx.Client) -> float:
        lines = client.get("/metrics").text.splitlines()
        return max(float(line.split()[1]) for line in lines if line.startswith("elmo_waiting_tokens"))

    with (
        serving(lm, "--json", "--batch-tokens", 1000) as (process, url),
        # One for all: to make a client takes longer than to answer it, on a slow machine.
        httpx.Client(base_url=url) as client,
        ThreadPoolExecutor(8) as clients,
    ):
        for _ in range(50):
            asking = [clients.submit(ask, client) for _ in range(8)]
            # At last all of them are there, and most have not had their turn.
            while not (found := waiting(client) >= 6 * 40 * 100) and not all(one.done() for one in asking):
                pass
            if found:
                break
        assert found  # else they never waited for each other
        process.send_signal(signal.SIGTERM)
        shown, messages = process.communicate(timeout=60)
        assert [one.result() for one in asking] == [[200, len(texts)]] * 8
    assert process.returncode == 143
    check_against_page("serve", json.loads(shown))
    assert messages == ""


def test_keys_and_what_cannot_be_served(lm: Path, tmp_path: Path, run_elmo) -> None:
    keys = tmp_path / "keys"
    keys.write_text("secret\n", encoding="utf-8")
    with serving(lm, "--api-key-file", keys) as (process, url):
        assert httpx.get(f"{url}/v1/models").status_code == 401
        assert httpx.get(f"{url}/v1/models", headers={"Authorization": "Bearer secret"}).status_code == 200
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run_elmo("serve", lm, "--port", taken.getsockname()[1], "--device", "cpu")
    assert done.code == 1
    assert "cannot be listened at" in done.stderr
    for arguments, message in (
        ((lm, lm), "two runs are named lm"),
        ((tmp_path / "nothing",), "there is no run"),
        ((lm, "--api-key-file", tmp_path / "nothing"), "cannot be read"),
    ):
        done = run_elmo("serve", *arguments)
        assert done.code == 2
        assert message in done.stderr
