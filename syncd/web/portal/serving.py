"""The listener of the public pages: TLS, and patience with nobody. Whoever sends slowly keeps a connection for some seconds."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from syncd.errors import EndpointError
from syncd.web.ops import bound

REQUEST_SECONDS = 15.0
"""How long a request may take to arrive, from its first byte or the beginning of its connection to its last byte."""
_IDLE_SECONDS = 5
"""How long a connection may stay open between two requests."""
_MOST_CONNECTIONS = 512
_LONGEST_HEAD = 16 * 1024
_LEAVE_SECONDS = 5.0
LIFE_SECONDS = 5
"""How often a sign of life is given."""


@dataclass(frozen=True, slots=True)
class Tls:
    """The files of a certificate with its chain, and of its private key."""

    certificate: Path
    key: Path


class _Impatient(H11Protocol):
    """A connection that ends where a request does not arrive in time."""

    seconds = REQUEST_SECONDS
    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """A browser connected, and has to ask something."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """A part of a request arrived, or the end of one."""
        super().data_received(data)
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._wait()
        else:
            self._wait_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        """The browser went."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._due is None:
            self._due = self.loop.call_later(self.seconds, self.transport.abort)

    def _wait_no_more(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


@contextmanager
def listening(
    app: ASGIApp, host: str, port: int, tls: Tls | None, proxies: Sequence[str], alive: Callable[[], None],
    patience: float = REQUEST_SECONDS,
) -> Iterator[tuple[int, threading.Thread]]:  # fmt: skip
    """Answer browsers on this address; the port, and the thread that answers: where it ends, the listener has.

    `alive` is called every few seconds by what answers, for as long as it does. Raises EndpointError where the address or the
    certificate cannot be had.
    """
    protocol = type("Impatient", (_Impatient,), {"seconds": patience})

    async def lives() -> None:
        alive()

    listener = bound(host, port, "portal", "see web.listen in config/portal.yaml")
    try:
        secure: dict[str, Any] = {"ssl_certfile": str(tls.certificate), "ssl_keyfile": str(tls.key)} if tls else {}
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", loop="asyncio", http=protocol, ws="none",
            server_header=False, timeout_graceful_shutdown=int(_LEAVE_SECONDS), timeout_keep_alive=_IDLE_SECONDS,
            limit_concurrency=_MOST_CONNECTIONS, h11_max_incomplete_event_size=_LONGEST_HEAD,
            proxy_headers=bool(proxies), forwarded_allow_ips=list(proxies),
            callback_notify=lives, timeout_notify=LIFE_SECONDS, **secure,
        )  # fmt: skip
        try:
            config.load()
        except (OSError, ssl.SSLError) as error:
            where = f"{tls.certificate} and {tls.key}" if tls else "the certificate"
            why = f"{where} are no certificate and its key: {error.strerror or type(error).__name__}"
            raise EndpointError("portal", why, "see web.certificate_file and web.key_credential in config/portal.yaml") from error
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="pages", daemon=True)
        thread.start()
        try:
            yield int(listener.getsockname()[1]), thread
        finally:
            server.should_exit = True
            thread.join(_LEAVE_SECONDS + 1)
    finally:
        listener.close()
