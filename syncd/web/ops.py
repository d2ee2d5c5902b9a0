"""What monitors ask: `/healthz` (alive), `/readyz` (may be relied upon), `/health` (how it is), `/metrics` (Prometheus).

Everything is asked of the callables handed in; nothing here knows a store. Answers carry counts and campuses, never persons (R42).
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from syncd.errors import EndpointError

_OK, _UNAVAILABLE = 200, 503
_PLAIN = "text/plain; version=0.0.4; charset=utf-8"  # the text format Prometheus reads
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_LEAVE = 5.0  # seconds a question under way has when the listener ends


def ops(
    health: Callable[[], tuple[bool, Mapping[str, object]]], ready: Callable[[], str], metrics: Callable[[], bytes]
) -> Starlette:
    """The application. `health` says whether all is well enough and how it is; `ready` why not, or nothing."""

    def alive(_: Request) -> Response:
        return _text("alive")

    def readiness(_: Request) -> Response:
        why = ready()
        return _text(why or "ready", _UNAVAILABLE if why else _OK)

    def how(_: Request) -> Response:
        try:
            well, told = health()
        except EndpointError as error:
            well, told = (
                False,
                {"status": "critical", "reasons": [{"level": "critical", "where": error.endpoint, "why": error.why}]},
            )
        body = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
        return Response(body, _OK if well else _UNAVAILABLE, _HEADERS, "application/json")

    def measures(_: Request) -> Response:
        try:
            return Response(metrics(), _OK, _HEADERS, _PLAIN)
        except EndpointError as error:
            return _text(str(error), _UNAVAILABLE)

    return Starlette(
        routes=[
            Route("/healthz", alive),
            Route("/readyz", readiness),
            Route("/health", how),
            Route("/metrics", measures),
        ]
    )


def _text(text: str, status: int = _OK) -> Response:
    return PlainTextResponse(f"{text}\n", status, _HEADERS)


def bound(host: str, port: int, endpoint: str, remedy: str) -> socket.socket:
    """A listening socket on this address. Raises EndpointError, in the name of this endpoint, where it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(64)
    except OSError as error:
        listener.close()
        raise EndpointError(endpoint, f"cannot listen on {host} port {port}: {error.strerror}", remedy) from error
    return listener


@contextmanager
def listening(app: Starlette, host: str, port: int) -> Iterator[int]:
    """Answer on this address, in a thread of its own; the port, which was chosen by the system where 0 was asked for.

    Raises EndpointError where the address cannot be had.
    """
    listener = bound(host, port, "health", "see health.listen in config/syncd.yaml")
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", loop="asyncio", http="h11", ws="none",
            server_header=False, timeout_graceful_shutdown=int(_LEAVE), timeout_keep_alive=5,
        )
    )  # fmt: skip
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="health", daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(_LEAVE)
        listener.close()
