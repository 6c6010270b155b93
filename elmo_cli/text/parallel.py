"""Texts to numbered tokens in processes of their own, with the same result as in one.

The text is cut into chunks; each is tokenised and numbered by itself, and comes back in its place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import ExitStack, suppress
from functools import lru_cache

from elmo_cli.cluster import cluster_address, cores, pool
from elmo_cli.config import TokenizerSettings
from elmo_cli.events import Notice, Tell
from elmo_cli.text.encoded import EncodedCorpus, encode
from elmo_cli.text.tokenizer import Tokenizer

CHUNK_CHARACTERS = 1 << 20
# Below this, a process takes longer to start than it saves.
BYTES_PER_PROCESS = 8 << 20
MOST_ON_CLUSTER = 64  # workers of it that have chunks at once, which this process keeps too


def processes_for(size: int) -> int:
    """How many processes to tokenise so many bytes of text with, here or on the cluster that is in use."""
    most = size // BYTES_PER_PROCESS
    return max(1, min(MOST_ON_CLUSTER if cluster_address() else cores(), most))


def encode_chunks(
    texts: Iterable[str], settings: TokenizerSettings, processes: int, tell: Tell
) -> Iterator[EncodedCorpus]:
    """Tokenise and number texts chunk by chunk; the parts of the corpus come in order, each with types of its own.

    Texts are read here, so that errors of the reader keep their line. Where processes could not be had, or were lost,
    this is told, and their work done here.

    Raises:
        ConfigError: The tokenizer's pattern cannot be used.
    """
    tokenize = Tokenizer(settings)
    with ExitStack() as stack:
        executor = None
        if processes > 1:
            try:
                executor = stack.enter_context(pool(processes, threads=1))
            except BrokenExecutor as error:
                tell(Notice(f"no further process could be started ({error}), so tokenising in this one takes longer"))
        if executor is None:
            yield from (encode(chunk, tokenize) for chunk in _chunks(texts))
        else:
            yield from _encode_in(executor, texts, tokenize, 2 * processes, tell)


def _encode_in(
    executor: Executor, texts: Iterable[str], tokenize: Tokenizer, ahead: int, tell: Tell
) -> Iterator[EncodedCorpus]:
    """Parts from an executor, and from here what it loses; `ahead`: chunks under way, which stay in memory."""
    pending: deque[tuple[list[str], Future[EncodedCorpus]]] = deque()
    lost = False

    def first() -> EncodedCorpus:
        nonlocal lost
        chunk, future = pending.popleft()
        with suppress(BrokenExecutor):
            return future.result()
        lost = True
        return encode(chunk, tokenize)

    for chunk in _chunks(texts):
        future: Future[EncodedCorpus] = Future()
        try:
            future = executor.submit(_encode, chunk, tokenize.settings)
        except BrokenExecutor as error:
            future.set_exception(error)
        pending.append((chunk, future))
        if len(pending) > ahead:
            yield first()
    while pending:
        yield first()
    if lost:
        tell(Notice("a process for tokenising ended early; what was left was done in this one"))


def _encode(chunk: list[str], settings: TokenizerSettings) -> EncodedCorpus:
    """What a worker does."""
    return encode(chunk, _tokenizer(settings))


# Made once in a process, not once for each chunk: it remembers what it has split.
_tokenizer = lru_cache(maxsize=1)(Tokenizer)


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    """Texts in lists of about as many characters."""
    chunk: list[str] = []
    size = 0
    for text in texts:
        chunk.append(text)
        size += len(text) + 1
        if size >= CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
