"""Wires between syncd and a server: one that can be made slow, and one to a server that tells only so many values at a time."""

from __future__ import annotations

import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

from syncd.demo.certificates import write_certificates

_CHUNK = 65_536


class Wire:
    """What arrives is passed on after a while, in order, both ways. Listens on loopback and passes on to a port there.

    `delay` is in seconds and may be changed at any time.
    """

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
            self._join(near)

    def _join(self, near: socket.socket) -> None:
        """Somebody has called: connect them."""
        try:
            far = socket.create_connection(("127.0.0.1", self._port))
        except OSError:
            near.close()
            return
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


class MaxValRange(Wire):
    """A wire to a domain controller that tells at most so many values of an attribute in one answer, as Microsoft's do.

    MaxValRange is 1,500 ([MS-ADTS] 3.1.1.3.4.6, LDAP policies); how a client asks for the rest is 3.1.1.3.1.3.3. Samba has no
    such limit, but tells the part it is asked for: so each question that asks for more is narrowed on its way, and the answer is
    Samba's own. The wire ends TLS on both sides; `ca_file` vouches for its own certificate.
    """

    def __init__(self, address: str, trusted: Path, folder: Path, *, attribute: str = "member", most: int = 1500) -> None:
        super().__init__(636)
        self._address = address
        self._attribute = attribute.encode()
        self._asked = re.compile(rb"%s(?:;range=(\d+)-(\d+|\*))?" % re.escape(self._attribute), re.IGNORECASE)
        self._most = most
        self.narrowed = 0  # questions so far
        folder.mkdir()
        write_certificates(folder, ["127.0.0.1"])
        self.ca_file = folder / "ca.pem"
        self._inner = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._inner.load_cert_chain(folder / "server.pem", folder / "server.key")
        self._outer = ssl.create_default_context(cafile=str(trusted))

    @property
    def url(self) -> str:
        """Where it is spoken to."""
        return f"ldaps://127.0.0.1:{self.port}"

    def _join(self, near: socket.socket) -> None:
        self._start(self._serve, near)

    def _serve(self, plain: socket.socket) -> None:
        """One thread for both ways: a TLS connection is not for two at once."""
        with suppress(OSError):
            near = self._inner.wrap_socket(plain, server_side=True)
            far = self._outer.wrap_socket(socket.create_connection((self._address, self._port)), server_hostname=self._address)
            self._ends += [near, far]
            waiting = {near: b"", far: b""}
            while True:
                ready = [one for one in waiting if one.pending()] or select.select(list(waiting), [], [])[0]
                for one in ready:
                    if not (told := one.recv(_CHUNK)):
                        return
                    other = far if one is near else near
                    waiting[one] += told
                    while (length := _length(waiting[one])) and len(waiting[one]) >= length:
                        message, waiting[one] = waiting[one][:length], waiting[one][length:]
                        other.sendall(self._narrowed(message) if one is near else self._as_whole(message))

    def _narrowed(self, message: bytes) -> bytes:
        """A question for the attribute, or for a part of it, as a question for no more than may be told."""
        number, (kind, search), *controls = _parts(message)
        if kind != _SEARCH:
            return message
        *head, (tag, selection) = _split(search)
        names = [self._part(name) for _, name in _split(selection)]
        told = b"".join(_element(each, content) for each, content in head) + _element(
            tag, b"".join(_element(4, one) for one in names)
        )
        return _message(number, (kind, told), *controls)

    def _part(self, name: bytes) -> bytes:
        asked = self._asked.fullmatch(name)
        if asked is None:
            return name
        self.narrowed += 1
        first = int(asked[1] or 0)
        last = first + self._most - 1
        if asked[2] not in (None, b"*"):
            last = min(last, int(asked[2]))
        return b"%s;range=%d-%d" % (self._attribute, first, last)

    def _as_whole(self, message: bytes) -> bytes:
        """An answer that holds all values from the first on is not told as a part."""
        number, (kind, entry), *controls = _parts(message)
        if kind != _ENTRY or (whole := self._attribute + b";range=0-*").lower() not in entry.lower():
            return message
        (_, name), (_, attributes) = _split(entry)
        kept = b""
        for _, attribute in _split(attributes):
            (tag, described), values = _split(attribute)
            described = self._attribute if described.lower() == whole.lower() else described
            kept += _element(0x30, _element(tag, described) + _element(*values))
        return _message(number, (kind, _element(4, name) + _element(0x30, kept)), *controls)


# BER (X.690), as far as LDAP's messages need it to be taken apart and put together (RFC 4511 §5.1); none of it is syncd's.

_SEARCH, _ENTRY = 0x63, 0x64
_Part = tuple[int, bytes]


def _head(data: bytes) -> tuple[int, int]:
    """The length of an element's head and of its content; (0, 0) while the head is not whole."""
    if len(data) < 2 or (data[1] & 0x80 and len(data) < 2 + (data[1] & 0x7F)):
        return 0, 0
    if not data[1] & 0x80:
        return 2, data[1]
    width = data[1] & 0x7F
    return 2 + width, int.from_bytes(data[2 : 2 + width], "big")


def _length(data: bytes) -> int:
    return sum(_head(data))


def _split(data: bytes) -> list[_Part]:
    return list(_elements(data))


def _elements(data: bytes) -> Iterator[_Part]:
    at = 0
    while at < len(data):
        head, size = _head(data[at : at + 6])
        yield data[at], data[at + head : at + head + size]
        at += head + size


def _element(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _parts(message: bytes) -> list[_Part]:
    ((_, content),) = _split(message)
    return _split(content)


def _message(*parts: _Part) -> bytes:
    return _element(0x30, b"".join(_element(tag, content) for tag, content in parts))
