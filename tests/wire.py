"""A wire between syncd and a server that can be made slow: what arrives is passed on after a while, in order, both ways."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Self

_CHUNK = 65_536


class Wire:
    """Listens on loopback and passes everything on to a port there; `delay` seconds late, which may be changed at any time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.delay = 0.0
        self.chunks = 0  # passed on so far
        self._ear = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._ear.getsockname()[1])

    def __enter__(self) -> Self:
        self._start(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        for end in (self._ear, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        for thread in self._threads:
            thread.join()

    def _start(self, what: object, *arguments: object) -> None:
        thread = threading.Thread(target=what, args=arguments)  # type: ignore[arg-type]  # a method of ours
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        while True:
            try:
                near, _ = self._ear.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                near.close()
                continue
            self._ends += [near, far]
            self._start(self._pass_on, near, far)
            self._start(self._pass_on, far, near)

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while told := one.recv(_CHUNK):
                time.sleep(self.delay)
                other.sendall(told)
                self.chunks += 1
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
