"""HTTP on loopback: one thread, one event loop, kept-alive connections.

The wire is written by hand because it is the client's time too: a general server costs half a millisecond a request in Python,
this one a tenth, and a demonstration with 28,000 users runs both ends on one processor. It speaks what clients of Google send:
HTTP/1.1, a body with a Content-Length or in chunks, one request after the other.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Mapping

from tests.doubles.google.clock import Clock, SimulatedClock
from tests.doubles.google.refusals import phrase
from tests.doubles.google.service import Answer

Serve = Callable[[str, str, Mapping[str, str], bytes], Answer]
_LARGEST = 64 * 1024 * 1024


class Listener:
    """Listens on a free port of loopback until closed."""

    def __init__(
        self,
        serve: Serve,
        clock: Clock,
        delay: Callable[[], float],
        under_way: Callable[[int], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._serve, self._clock, self._delay, self._under_way = serve, clock, delay, under_way
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._connections: set[_Connection] = set()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="google-double", daemon=True)
        self._ready = threading.Event()
        self._thread.start()
        self._ready.wait()

    def close(self) -> None:
        """Stop listening and cut what is open; idempotent."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def cut_all(self) -> None:
        """Cut every connection, as a failing network would."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for connection in list(self._connections):
            connection.cut()

    def _run(self) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(loop.create_server(lambda: _Connection(self), sock=self._socket, ssl=self._tls))
        self._ready.set()
        try:
            loop.run_forever()
        finally:
            server.close()
            self._cut()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()


class _Connection(asyncio.Protocol):
    """One connection: reads requests, one at a time."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream's transport is a Transport
        self._listener._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 — asyncio names it
        self._transport = None
        self._listener._connections.discard(self)

    def cut(self) -> None:
        """No answer, no goodbye."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._busy:
            self._next()

    def _next(self) -> None:
        """Answer the request that is complete, if one is."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].decode("latin-1").split("\r\n")
        words = head[0].split(" ")
        if len(words) != 3:
            self._refuse(400)
            return
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        if "chunked" in headers.get("transfer-encoding", "").lower():
            taken = _unchunked(self._buffer, end + 4)
        else:
            length = int(headers.get("content-length") or 0)
            taken = None
            if length > _LARGEST:
                self._refuse(413)
                return
            if len(self._buffer) >= end + 4 + length:
                taken = bytes(self._buffer[end + 4 : end + 4 + length]), end + 4 + length
        if taken is None:
            if headers.get("expect", "").lower() == "100-continue" and self._transport is not None:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        body, used = taken
        del self._buffer[:used]
        self._answer(words[0], words[1], headers, body)

    def _answer(self, verb: str, target: str, headers: Mapping[str, str], body: bytes) -> None:
        listener = self._listener
        self._busy = True
        if isinstance(listener._clock, SimulatedClock):
            listener._clock.stir()
        listener._under_way(1)
        close = headers.get("connection", "").lower() == "close"
        try:
            answer = listener._serve(verb, target, headers, body)
        except BaseException:
            listener._under_way(-1)
            self._refuse(500)
            raise
        delay = listener._delay()
        if delay <= 0:
            self._send(verb, answer, close=close)
        elif isinstance(listener._clock, SimulatedClock):
            loop = listener._loop

            def ready() -> None:
                loop.call_soon_threadsafe(lambda: self._send(verb, answer, close=close))

            listener._clock.call_later(delay, ready)
        else:
            listener._loop.call_later(delay, lambda: self._send(verb, answer, close=close))

    def _send(self, verb: str, answer: Answer, *, close: bool) -> None:
        self._listener._under_way(-1)
        self._busy = False
        if self._transport is None:
            return
        if answer.cut:
            self.cut()
            return
        lines = [f"HTTP/1.1 {answer.status} {phrase(answer.status)}", *(f"{name}: {value}" for name, value in answer.headers)]
        if answer.status not in (204, 304):
            lines.append(f"Content-Length: {len(answer.body)}")
        if close:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        self._transport.write(head if verb == "HEAD" else head + answer.body)
        if close:
            self._transport.close()
        elif self._buffer:
            self._next()

    def _refuse(self, status: int) -> None:
        if self._transport is not None:
            self._transport.write(f"HTTP/1.1 {status} {phrase(status)}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            self._transport.close()


def _unchunked(buffer: bytearray, at: int) -> tuple[bytes, int] | None:
    """The body that came in chunks, and where it ends; None while it is not complete."""
    body = bytearray()
    while True:
        end = buffer.find(b"\r\n", at)
        if end < 0:
            return None
        size = int(buffer[at:end].split(b";")[0], 16)
        if len(buffer) < end + 2 + size + 2:
            return None
        body += buffer[end + 2 : end + 2 + size]
        at = end + 2 + size + 2
        if size == 0:
            return bytes(body), at
