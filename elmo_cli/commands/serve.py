"""`elmo serve`: runs behind HTTP."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.call import Call
from elmo_cli.commands.signals import stop_on_signals
from elmo_cli.errors import ConfigError

LOOPBACK = ("127.0.0.1", "::1", "localhost")

Runs = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Runs of language models and classifiers.")]
Host = Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")]
Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="At which port.")]
ApiKeyFile = Annotated[
    Path | None,
    typer.Option("--api-key-file", metavar="FILE", help="Let in only who sends one of its keys, a line each."),
]
BatchTokens = Annotated[int, typer.Option("--batch-tokens", min=1, help="Tokens of a batch over all clients.")]
QueueTokens = Annotated[int, typer.Option("--queue-tokens", min=1, help="Tokens that may wait; more are answered 429.")]
Seconds = Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="That a request may take.")]


def serve(
    call: Call,
    runs: Runs,
    host: Host = "127.0.0.1",
    port: Port = 8765,
    api_key_file: ApiKeyFile = None,
    batch_tokens: BatchTokens = 4096,
    queue_tokens: QueueTokens = 200_000,
    timeout: Seconds = 30.0,
    device: options.Device = "auto",
) -> None:
    """Serve runs by HTTP, with the embeddings of OpenAI's API among others.

    Texts of several clients are computed together. SIGTERM and Ctrl-C
    answer what was taken, and end. Needs the extra serve.

    Examples:
      elmo serve runs/lm runs/classify-frozen
      elmo serve runs/lm --port 9000 --api-key-file keys.txt
      curl -d '{"texts": ["Oil prices rose"]}' -H 'Content-Type: application/json' localhost:8765/embed
    """
    try:
        from elmo_cli.server.app import create_app, listen, run_server
        from elmo_cli.server.guard import read_keys
        from elmo_cli.server.operations import load_served
        from elmo_cli.server.service import Service
    except ModuleNotFoundError as error:
        remedy = "pip install 'elmo-cli[serve]'"
        raise ConfigError(f"elmo serve needs the package {error.name}", remedy=remedy) from error

    keys = read_keys(api_key_file) if api_key_file else []
    if host not in LOOPBACK and not keys:
        call.note(f"{host} can be reached from other machines, and no --api-key-file is given")
    service = Service(load_served(runs, device), batch_tokens, queue_tokens, timeout)
    listening = listen(host, port)
    place = {"url": f"http://{host}:{port}", "models": list(service.models)}
    call.output.show(place, views.pairs(place))
    sys.stdout.flush()  # a pipe would have it only at the end
    with stop_on_signals() as stop:
        run_server(create_app(service, keys), listening, timeout)
    raise typer.Exit(stop.code)
