"""Refuses requests before anything is made of them: without a key, too large, too slow.

Keys are compared by their digests and each with all, so that the time does not tell how much of one was right.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from elmo_cli.errors import ConfigError
from elmo_cli.server.requests import RequestError

MOST_BYTES = 4 << 20  # of a body
SECONDS_TO_SEND = 10.0  # that a client has for its body
OPEN = ("/healthz",)  # paths that need no key


def read_keys(path: Path) -> list[bytes]:
    """Digests of the keys in a file, one a line.

    Raises:
        ConfigError: The file cannot be read or holds none.
    """
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        expected, remedy = "a file with a key a line", "check the path and who may read it"
        raise ConfigError(f"{path} cannot be read", where=path, expected=expected, remedy=remedy) from error
    if not lines:
        remedy = "write one into it, or leave --api-key-file out"
        raise ConfigError(f"{path} holds no key", where=path, expected="a key a line", remedy=remedy)
    return [_digest(line.encode()) for line in lines]


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


class Guard:
    """The outermost layer of the application.

    Args:
        app: What it guards.
        keys: Digests of the keys that are let in; none: everybody is.
    """

    def __init__(self, app: ASGIApp, keys: Sequence[bytes] = ()) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered with its body read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check_key(scope)
            body = await asyncio.wait_for(_body(scope, receive), SECONDS_TO_SEND)
        except TimeoutError:
            await RequestError(408, "the body did not come in time").response()(scope, receive, send)
        except RequestError as error:
            await error.response()(scope, receive, send)
        else:
            if body is not None:
                await self._app(scope, _again(body, receive), send)

    def _check_key(self, scope: Scope) -> None:
        if not self._keys or scope["path"] in OPEN:
            return
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        digest = _digest(given.removeprefix(b"Bearer "))
        known = [hmac.compare_digest(digest, key) for key in self._keys]
        if not any(known):
            headers = {"WWW-Authenticate": "Bearer"}
            raise RequestError(401, "the API key is missing or wrong", code="invalid_api_key", headers=headers)


async def _body(scope: Scope, receive: Receive) -> bytes | None:
    """The whole body; None where the client has left."""
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if not length.isdigit() or int(length[:20]) > MOST_BYTES:
        raise _too_large()
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            raise _too_large()
        if not message.get("more_body", False):
            return bytes(body)


def _too_large() -> RequestError:
    return RequestError(413, f"the body is too large; send at most {MOST_BYTES} bytes")


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body, and then what else comes: that the client leaves."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
