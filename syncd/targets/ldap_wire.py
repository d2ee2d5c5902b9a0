"""The wire to one LDAP server: a verified, time-limited connection, searches on it, and a pipeline of writes over its socket.

Refuses to know what a change is. A connection belongs to one thread. Writes go out back to back and answers are matched by id;
nothing is ever sent twice here, and a lost connection says so once, for all that was in flight.
"""

from __future__ import annotations

import socket
import ssl
import string
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import urlsplit

from ldap3 import BASE, NONE, SUBTREE, SYNC, Connection, Server, Tls
from ldap3.core.exceptions import LDAPExceptionError

from syncd.errors import EndpointError, TransientError
from syncd.targets import ldap_ber as ber
from syncd.targets.ldap_errors import NO_SUCH_OBJECT, SUCCESS, WIRE_ERRORS, broken, refusal

Entry = tuple[str, dict[str, list[bytes]]]
"""A name as the server spells it, and raw values under attribute names in lower case."""
_PAGED = "1.2.840.113556.1.4.319"  # RFC 2696
_CHUNK = 65536
_TOGETHER = 16384  # bytes of writes that leave at once: what one TLS record holds
_PLAIN = frozenset(string.ascii_letters + string.digits + "-_.@=,")  # no blank: the library strips outer ones


class Lost(Exception):  # noqa: N818 — an event, not a mistake
    """The connection ended, or was silent too long, while answers were owed."""


class Dialled(Protocol):
    """What the wire needs to know of a configuration."""

    @property
    def urls(self) -> tuple[str, ...]: ...  # noqa: D102 — documented where it is configured
    @property
    def start_tls(self) -> bool: ...  # noqa: D102 — documented where it is configured
    @property
    def ca_file(self) -> str: ...  # noqa: D102 — documented where it is configured
    @property
    def bind_dn(self) -> str: ...  # noqa: D102 — documented where it is configured
    @property
    def connect_timeout(self) -> int: ...  # noqa: D102 — documented where it is configured
    @property
    def receive_timeout(self) -> int: ...  # noqa: D102 — documented where it is configured
    @property
    def page_size(self) -> int: ...  # noqa: D102 — documented where it is configured


class _VerifiedTls(Tls):
    """TLS in which OpenSSL itself checks chain and host name.

    The library's own host name check uses a function that Python 3.12 removed and then refuses addresses; and without an explicit
    `validate` it would accept any certificate.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context
        self.refused: ssl.SSLError | None = None  # as OpenSSL said it: the library tells it as text within text

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:  # noqa: FBT002 — the library calls it so
        try:
            connection.socket = self._context.wrap_socket(
                connection.socket, server_hostname=connection.server.host, do_handshake_on_connect=do_handshake
            )
        except ssl.SSLError as error:
            self.refused = error
            raise


class Wire:
    """One bound connection, opened on first use and again after it was lost."""

    def __init__(self, endpoint: str, dial: Dialled, password: Callable[[], str]) -> None:
        self.endpoint = endpoint
        self._dial = dial
        self._password = password
        self._connection: Connection | None = None
        self._buffer = bytearray()
        self._leaving = bytearray()  # writes handed over that are not on the wire yet

    def open(self) -> None:
        """Connect, verify, bind. Raises TransientError where no server answers, EndpointError where one refuses us."""
        if self._connection is not None:
            return
        last: Exception | None = None
        for url in self._dial.urls:
            try:
                self._connection = self._bound(url)
            except TransientError as error:
                last = error
            else:
                return
        raise last or EndpointError(self.endpoint, "no url is configured", "set url")

    def _bound(self, url: str) -> Connection:
        parts = urlsplit(url)
        secure = parts.scheme == "ldaps"
        tls = _VerifiedTls(self._trusting())
        server = Server(
            parts.hostname or "",
            port=parts.port or (636 if secure else 389),
            use_ssl=secure,
            tls=tls,
            get_info=NONE,
            connect_timeout=self._dial.connect_timeout,
        )
        connection = Connection(
            server,
            user=self._dial.bind_dn,
            password=self._password(),
            client_strategy=SYNC,
            receive_timeout=self._dial.receive_timeout,
            auto_referrals=False,
            check_names=False,
            raise_exceptions=False,
        )
        try:
            connection.open(read_server_info=False)
            if not secure:
                connection.start_tls(read_server_info=False)
            if not isinstance(connection.socket, ssl.SSLSocket):
                raise EndpointError(f"{self.endpoint} ({url})", "the connection is not encrypted, so no password was sent over it")  # noqa: TRY301 — hung up below, like every failure
            connection.bind(read_server_info=False)
            code, why = connection.result["result"], connection.result["message"]
            if code != SUCCESS:
                raise refusal(f"{self.endpoint} ({url})", f"bind as {self._dial.bind_dn}", code, why)
        except WIRE_ERRORS as error:
            _hang_up(connection)
            raise broken(f"{self.endpoint} ({url})", "connect", tls.refused or error) from error
        except (EndpointError, TransientError):
            _hang_up(connection)
            raise
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer.clear()
        return connection

    def _trusting(self) -> ssl.SSLContext:
        """What vouches for the server. Raises EndpointError naming a `ca_file` that cannot be read or holds no certificate."""
        ca_file = self._dial.ca_file
        try:
            context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca_file or None)
        except OSError as error:  # an SSLError is one
            why = "it holds no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
            remedy = "name a file with the certificate of the authority that signed the server's"
            raise EndpointError(self.endpoint, f"ca_file {ca_file} cannot be used: {why}", remedy) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def refresh(self) -> None:
        """Open, and prove with one small question that the connection still lives, so that no write is spent on a dead one."""
        if self._connection is not None:
            try:
                self.entry("", ["1.1"])
            except TransientError:
                self.close()
        self.open()

    def close(self) -> None:
        """Hang up; idempotent."""
        connection, self._connection = self._connection, None
        self._leaving.clear()
        if connection is not None:
            _hang_up(connection)

    # --- searches -----------------------------------------------------------------------------------------------------

    def entry(self, dn: str, attributes: Sequence[str]) -> Entry | None:
        """The entry of that name, or None where there is none."""
        return next(self._search(dn, "(objectClass=*)", attributes, scope=BASE, missing_is_none=True), None)

    def search(self, base: str, condition: str, attributes: Sequence[str]) -> Iterator[Entry]:
        """Every entry below the base that matches, streamed page by page. Raises unless the server reached the end."""
        return self._search(base, condition, attributes, scope=SUBTREE, missing_is_none=False)

    def search_here(self, base: str, condition: str, attributes: Sequence[str]) -> Iterator[Entry]:
        """As search(), but only of what this server holds itself: parts on other servers are passed over."""
        return self._search(base, condition, attributes, scope=SUBTREE, missing_is_none=False, whole=False)

    def _search(
        self, base: str, condition: str, attributes: Sequence[str], *, scope: Any, missing_is_none: bool, whole: bool = True
    ) -> Iterator[Entry]:
        self.open()
        cookie: bytes | None = None
        while True:
            connection = self._connection
            if connection is None:
                raise TransientError(f"{self.endpoint}: search below {base}: the connection was closed meanwhile")
            try:
                connection.search(
                    base,
                    condition,
                    search_scope=scope,
                    attributes=list(attributes),
                    paged_size=None if scope == BASE else self._dial.page_size,
                    paged_cookie=cookie,
                )
            except WIRE_ERRORS as error:
                self.close()
                raise broken(self.endpoint, f"search below {base}", error) from error
            result, response = connection.result, connection.response or []
            if result["result"] != SUCCESS:
                if missing_is_none and result["result"] == NO_SUCH_OBJECT:
                    return
                raise refusal(self.endpoint, f"search below {base}", result["result"], result["message"])
            for found in response:
                if found["type"] == "searchResRef" and whole:  # whoever stands there was not read, and not read is not gone
                    where = ", ".join(found["uri"])
                    why = f"search below {base}: a part of it lies on another server ({where}), which is not followed"
                    raise EndpointError(self.endpoint, why, "choose a base without referrals below it")
                if found["type"] == "searchResEntry":
                    yield found["dn"], {name.lower(): values for name, values in found["raw_attributes"].items()}
            cookie = result.get("controls", {}).get(_PAGED, {}).get("value", {}).get("cookie")
            if not cookie:
                return

    # --- the pipeline -------------------------------------------------------------------------------------------------

    def send(self, operation: bytes, controls: Sequence[bytes] = ()) -> int:
        """Hand over one write and say under which id its answer will come. Raises Lost: it may have arrived or not.

        Writes leave together: when there is enough for the wire, and at the latest when an answer is waited for.
        """
        connection = self._connection
        if connection is None:
            raise Lost("the connection is closed")
        message_id = int(connection.server.next_message_id())
        self._leaving += ber.message(message_id, operation, controls)
        if len(self._leaving) >= _TOGETHER:
            self._flush(connection)
        return message_id

    def _flush(self, connection: Connection) -> None:
        leaving, self._leaving = self._leaving, bytearray()
        try:
            connection.socket.sendall(leaving)
        except OSError as error:
            self.close()
            raise Lost(f"while sending: {error}") from error

    def receive(self) -> ber.Answer:
        """The next answer, whoever it is for; waits no longer than the time-out. Raises Lost."""
        connection = self._connection
        if connection is None:
            raise Lost("the connection is closed")
        try:
            while (length := ber.frame(self._buffer)) is None:
                if self._leaving:
                    self._flush(connection)
                chunk = connection.socket.recv(_CHUNK)
                if not chunk:
                    raise Lost("the server closed the connection")  # noqa: TRY301 — one place hangs up for every cause
                self._buffer += chunk
            received = ber.answer(bytes(self._buffer[:length]))
        except (OSError, ber.Malformed, Lost) as error:
            self.close()
            raise Lost(str(error)) from error
        del self._buffer[:length]
        if received.message_id == 0:  # RFC 4511 §4.4.1: notice of disconnection
            self.close()
            raise Lost(f"the server says goodbye: {received.why}")
        return received


def escape_filter(value: str) -> str:
    """The value as it may stand in a search filter (RFC 4515): everything but plain characters as escaped octets."""
    return "".join(chr(octet) if chr(octet) in _PLAIN else f"\\{octet:02x}" for octet in value.encode())


def _hang_up(connection: Connection) -> None:
    """Unbind and close the socket whatever state the connection is in; the library leaves it open when connecting fails."""
    with suppress(LDAPExceptionError, OSError):
        connection.unbind()
    if connection.socket is not None:
        with suppress(OSError):
            connection.socket.close()
