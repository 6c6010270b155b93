"""Figures of a server, in Prometheus' form; each server has its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """What is counted while a server runs."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter("elmo_requests", "Answers.", ["path", "status"], registry=self._registry)
        self.seconds = Histogram("elmo_request_seconds", "Time to an answer.", ["path"], registry=self._registry)
        self._texts = Counter("elmo_texts", "Texts computed.", registry=self._registry)
        self._tokens = Counter("elmo_tokens", "Tokens computed.", registry=self._registry)
        sizes = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)
        self._batches = Histogram("elmo_batch_texts", "Texts of a batch.", buckets=sizes, registry=self._registry)
        self.waiting = Gauge("elmo_waiting_tokens", "Tokens that wait for their turn.", registry=self._registry)

    def batch(self, texts: int, tokens: int) -> None:
        """Count a batch."""
        self._texts.inc(texts)
        self._tokens.inc(tokens)
        self._batches.observe(texts)

    def as_text(self) -> bytes:
        """All of them."""
        return generate_latest(self._registry)
