"""The application: routes, the form of its errors, what it counts; and the server that runs it."""

from __future__ import annotations

import socket
import time
from collections.abc import Awaitable, Callable, Sequence

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from elmo_cli import __version__
from elmo_cli.errors import ElmoError
from elmo_cli.server.guard import Guard
from elmo_cli.server.openai import openai_routes
from elmo_cli.server.requests import RequestError
from elmo_cli.server.routes import own_routes
from elmo_cli.server.service import Service


def create_app(service: Service, keys: Sequence[bytes] = ()) -> FastAPI:
    """The application.

    Args:
        service: What it answers from.
        keys: Digests of the API keys that are let in; none: everybody is.
    """
    # Without the pages that would fetch scripts from elsewhere; the description is at /openapi.json.
    app = FastAPI(title="elmo", version=__version__, docs_url=None, redoc_url=None)
    app.include_router(openai_routes(service))
    app.include_router(own_routes(service))
    app.add_exception_handler(RequestError, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse)
    app.add_exception_handler(HTTPException, _refuse)

    @app.middleware("http")
    async def count(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        began = time.perf_counter()
        response = await answer(request)
        route = request.scope.get("route")
        path = getattr(route, "path", "other")  # never what a client made up
        service.metrics.requests.labels(path, str(response.status_code)).inc()
        service.metrics.seconds.labels(path).observe(time.perf_counter() - began)
        return response

    app.add_middleware(Guard, keys=keys)  # the last is the outermost
    return app


async def _refuse(request: Request, error: Exception) -> JSONResponse:
    """Any error in one form, without what was sent."""
    if isinstance(error, RequestError):
        return error.response()
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if isinstance(part, str) and part != "body")
        return RequestError(400, f"{place or 'the body'}: {first['msg']}", param=place or None).response()
    assert isinstance(error, HTTPException)
    return RequestError(error.status_code, str(error.detail)).response()


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections from now on, which are answered once the server runs.

    Raises:
        ElmoError: The address is not this machine's, or the port is taken.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ElmoError(
            f"{host}, port {port}, cannot be listened at: {error.strerror or error}",
            expected="an address of this machine, and a port that is free",
            remedy="choose another --port, or another --host",
        ) from error


def run_server(app: FastAPI, listening: socket.socket, seconds: float) -> None:
    """Serve until SIGINT or SIGTERM; what was taken until then is answered.

    Args:
        app: What to serve.
        listening: From `listen`; closed at the end.
        seconds: That a request may take.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=int(seconds) + 1,
    )
    with listening:
        uvicorn.Server(config).run([listening])
