"""The wire to one LDAP server: a verified, time-limited connection, searches and a pipeline of writes over its socket.

Refuses to know what a change is. A connection belongs to one thread. The library opens it and binds; from there the bytes are ours.
Writes go out back to back and answers are matched by id; nothing is ever sent twice here, and a lost connection says so once, for
all that was in flight. A search is one at a time: who begins another before the end of the last one gets a new connection. Only
entries asked for by their names are asked for many at once.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol
from urllib.parse import urlsplit

from ldap3 import NONE, SYNC, Connection, Server, Tls
from ldap3.core.exceptions import LDAPExceptionError

from syncd.errors import EndpointError, TransientError
from syncd.targets import ldap_ber as ber
from syncd.targets import ldap_entries as entries
from syncd.targets.ldap_entries import Entry
from syncd.targets.ldap_errors import NO_SUCH_OBJECT, SUCCESS, WIRE_ERRORS, broken, refusal
from syncd.targets.ldap_route import Route

_CHUNK = 65536
_TOGETHER = 16384  # bytes of writes that leave at once: what one TLS record holds
_AHEAD = 4 * 1024 * 1024  # bytes of a page held before its entries are told, though the page goes on
_ASKED = 50  # entries asked for at once: a server that is told too much at a time hangs up
_EMPTY_PAGES = 100  # in a row: a server may send one where it ran out of time, but not for ever
_EMPTY_CHANGES = 10_000  # in a row: a server looks at so many entries and tells only those that match
_CHANGES = 4 * 1024 * 1024  # bytes of changes in one answer, if the server lets us choose
_OBJECT_SECURITY = 1  # [MS-ADTS] 3.1.1.3.4.1.3, LDAP_DIRSYNC_OBJECT_SECURITY: what an ordinary account may read anyway
_ANYTHING = ber.present("objectClass")


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


class _Turns(Protocol):
    """How a search that is told in several turns goes on."""

    patience: int  # turns in a row that may tell nothing

    def controls(self) -> list[bytes]: ...  # of the next request
    def goes_on(self, told: ber.Answer, cookie: bytes) -> bool: ...  # whether there is one; `cookie` is that of a page


@dataclass(slots=True)
class _Once:
    """Everything at once: an entry by its name."""

    also: Sequence[bytes] = ()  # other controls of the request
    patience: int = _EMPTY_PAGES

    def controls(self) -> list[bytes]:
        return [*self.also]

    def goes_on(self, told: ber.Answer, cookie: bytes) -> bool:
        del told, cookie
        return False


@dataclass(slots=True)
class _Paged:
    """So many entries at a time (RFC 2696)."""

    size: int
    also: Sequence[bytes] = ()  # other controls of each request
    cookie: bytes = b""
    patience: int = _EMPTY_PAGES

    def controls(self) -> list[bytes]:
        return [ber.page(self.size, self.cookie), *self.also]

    def goes_on(self, told: ber.Answer, cookie: bytes) -> bool:
        del told
        self.cookie = cookie
        return bool(cookie)


@dataclass(slots=True)
class _Since:
    """What changed since a cookie ([MS-ADTS] 3.1.1.3.4.1.3)."""

    cookie: bytes
    patience: int = _EMPTY_CHANGES

    def controls(self) -> list[bytes]:
        return [ber.dirsync(_OBJECT_SECURITY, _CHANGES, self.cookie)]

    def goes_on(self, told: ber.Answer, cookie: bytes) -> bool:
        del cookie
        self.cookie, more = entries.synced(told)
        return more


class _VerifiedTls(Tls):
    """TLS in which OpenSSL itself checks chain and host name.

    The library's own host name check uses a function that Python 3.12 removed and then refuses addresses; and without an explicit
    `validate` it would accept any certificate.
    """

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context
        self._host = host
        self.refused: ssl.SSLError | None = None  # as OpenSSL said it: the library tells it as text within text

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:  # noqa: FBT002 — the library calls it so
        try:
            connection.socket = self._context.wrap_socket(
                connection.socket, server_hostname=self._host, do_handshake_on_connect=do_handshake
            )
        except ssl.SSLError as error:
            self.refused = error
            raise


class Wire:
    """One bound connection, opened on first use and again after it was lost."""

    def __init__(self, endpoint: str, dial: Dialled, password: Callable[[], str], route: Route | None = None) -> None:
        self.endpoint = endpoint
        self._route = route or Route(dial.urls)
        self._dial = dial
        self._password = password
        self._connection: Connection | None = None
        self._buffer = bytearray()
        self._leaving = bytearray()  # writes handed over that are not on the wire yet
        self._names = entries.Names()
        self._names_of_one = entries.Names(parts=True)  # of an entry asked for by its name, the rest of which can be asked for
        self._owed = 0  # the id of the search whose answers are on their way, or 0

    def open(self) -> None:
        """Connect, verify, bind. Raises TransientError where no server answers, EndpointError where one refuses us or went away."""
        if self._connection is not None:
            return
        last: Exception | None = None
        for url, address in self._route.to_try():
            try:
                self._connection = self._bound(url, address)
            except TransientError as error:
                last = error
            else:
                self._route.reached(url, address)
                return
        if last is not None and (was := self._route.lost()):
            raise EndpointError(
                f"{self.endpoint} ({was})", f"went away in the middle: {last}", "the next run begins with another server"
            ) from last
        raise last or EndpointError(self.endpoint, "no url is configured", "set url")

    def _bound(self, url: str, address: str) -> Connection:
        """A connection to one of the addresses of a server, signed in; the certificate is held against the name."""
        parts = urlsplit(url)
        secure = parts.scheme == "ldaps"
        tls = _VerifiedTls(self._trusting(), parts.hostname or "")
        server = Server(
            address,
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
        self._owed = 0
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

    def entry(self, dn: str, attributes: Sequence[str], controls: Sequence[bytes] = ()) -> Entry | None:
        """The entry of that name, or None where there is none."""
        found = next(iter(list(self._search(dn, ber.Reach.BASE, _ANYTHING, attributes, _Once(controls)))), None)
        return self._whole(dn, found) if found is not None else None

    def _whole(self, dn: str, found: Entry) -> Entry:
        """The entry with all values of attributes of which a server tells only so many at a time: Active Directory's way.

        Raises EndpointError where it stops telling before the end.
        """
        whole: dict[str, list[bytes]] = {}
        for told_as, values in found[1].items():
            kept, _, more = entries.part(told_as) or (told_as, 0, None)
            held = whole.setdefault(kept, [])
            held += values
            while more is not None:
                rest = next(iter(list(self._search(dn, ber.Reach.BASE, _ANYTHING, [f"{kept};range={more}-*"]))), None)
                parts = {name: told for name in (rest[1] if rest else {}) if (told := entries.part(name)) is not None}
                name = next((name for name, (_, begins, _) in parts.items() if begins == more), "")
                if rest is None or not rest[1].get(name):  # not what was asked for, and so no end in sight
                    why = f"the server tells only a part of the values of {kept} of {dn}"
                    raise EndpointError(self.endpoint, why, "raise the server's limit of values in one answer")
                held += rest[1][name]
                more = parts[name][2]
        return found[0], whole

    def entries_of(self, dns: Iterable[str], attributes: Sequence[str]) -> Iterator[tuple[str, Entry | None]]:
        """Each of these names, in any order, with its entry or None where there is none. Many are asked for at once."""
        in_parts: list[tuple[str, Entry]] = []
        for dn, found in self._entries_of(dns, attributes):
            if found is not None and any(map(entries.part, found[1])):
                in_parts.append((dn, found))  # the rest is asked for when nothing else is owed
            else:
                yield dn, found
        for dn, found in in_parts:
            yield dn, self._whole(dn, found)

    def _entries_of(self, dns: Iterable[str], attributes: Sequence[str]) -> Iterator[tuple[str, Entry | None]]:
        """As entries_of(), with parts as they come."""
        waiting, asked, told = iter(dns), dict[int, str](), dict[int, Entry]()
        if self._owed:
            self.close()
        self.open()
        connection = self._connection
        with self._doing("search for entries by name") as doing:
            try:
                while True:
                    for dn in islice(waiting, _ASKED - len(asked)):
                        self._owed = self.send(ber.search(dn, ber.Reach.BASE, _ANYTHING, attributes))
                        asked[self._owed] = dn
                    if not asked:
                        return
                    if self._connection is not connection:
                        raise TransientError(f"{self.endpoint}: {doing}: the connection was closed meanwhile")
                    message_id, entry, ended = self._told_of(doing, self._message(entries.LONGEST))
                    if message_id not in asked:
                        raise Lost(f"the server answered a question nobody asked ({message_id})")
                    if entry is not None:
                        told[message_id] = entry
                    if ended:
                        dn, found = asked.pop(message_id), told.pop(message_id, None)
                        self._owed = self._owed if asked else 0
                        yield dn, found
            finally:
                if asked and self._connection is connection:  # given up in the middle
                    self.close()

    def _told_of(self, doing: str, message: bytes) -> tuple[int, Entry | None, bool]:
        """Which search for one entry a message answers, the entry it tells, and whether that was all."""
        message_id, operation, start, stop = entries.head(message, 0, len(message))
        if message_id == 0:  # RFC 4511 §4.4.1: notice of disconnection
            raise Lost(f"the server says goodbye: {ber.answer(message).why}")
        if operation == entries.ENTRY:
            return message_id, entries.entry(message, start, stop, self._names_of_one), False
        if operation == entries.REFERENCE:
            raise self._elsewhere(doing, entries.reference(message, start, stop))
        if operation != entries.DONE:
            raise ber.Malformed(f"0x{operation:02x} is no answer to a search")
        self._ended(doing, ber.Reach.BASE, message)
        return message_id, None, True

    def search(self, base: str, condition: bytes, attributes: Sequence[str]) -> Iterator[Entry]:
        """Every entry below the base that matches, streamed page by page. Raises unless the server reached the end."""
        return self._search(base, ber.Reach.SUBTREE, condition, attributes)

    def search_here(
        self, base: str, condition: bytes, attributes: Sequence[str], controls: Sequence[bytes] = ()
    ) -> Iterator[Entry]:
        """As search(), but only of what this server holds itself: parts on other servers are passed over."""
        turns = _Paged(self._dial.page_size, controls)
        return self._search(base, ber.Reach.SUBTREE, condition, attributes, turns, whole=False)

    def changes(self, context: str, condition: bytes, attributes: Sequence[str], cookie: bytes) -> tuple[list[Entry], bytes]:
        """What changed in a naming context since the cookie, each entry with those of the attributes that did, and the next cookie.

        Active Directory's DirSync. What we may not read is not told of, and so no deletion. Raises RefusalError where the server
        will not: another cookie than its own, or not the name of a context.
        """
        since = _Since(cookie)
        told = list(self._search(context, ber.Reach.SUBTREE, condition, attributes, since, whole=False))
        return told, since.cookie

    def _search(
        self,
        base: str,
        reach: ber.Reach,
        condition: bytes,
        attributes: Sequence[str],
        turns: _Turns | None = None,
        *,
        whole: bool = True,
    ) -> Iterator[Entry]:
        request = ber.search(base, reach, condition, attributes)
        known = self._names_of_one if reach is ber.Reach.BASE else self._names
        if turns is None:
            turns = _Once() if reach is ber.Reach.BASE else _Paged(self._dial.page_size)
        with self._doing(f"search below {base}") as doing, closing(self._pages(doing, request, reach, turns)) as pages:
            for data, found in pages:
                for operation, start, end in found:
                    if operation == entries.ENTRY:
                        yield entries.entry(data, start, end, known)
                    elif whole:  # whoever stands there was not read, and not read is not gone
                        raise self._elsewhere(doing, entries.reference(data, start, end))

    @contextmanager
    def _doing(self, doing: str) -> Iterator[str]:
        """Whatever goes wrong with a search is told as what became of it, and where."""
        try:
            yield doing
        except entries.Partial as error:
            raise EndpointError(self.endpoint, f"{doing}: {error}", "raise the server's limit of values in one answer") from error
        except (OSError, ber.Malformed, Lost) as error:
            self.close()
            raise broken(self.endpoint, doing, error) from error

    def _elsewhere(self, doing: str, urls: Iterable[str]) -> EndpointError:
        why = f"{doing}: a part of it lies on another server ({', '.join(urls)}), which is not followed"
        return EndpointError(self.endpoint, why, "choose a base without referrals below it")

    def _pages(self, doing: str, request: bytes, reach: ber.Reach, turns: _Turns) -> Generator[tuple[bytes, list[entries.Span]]]:
        """What each page holds, once its successor is asked for: so the server works while we read."""
        if self._owed:  # a search that nobody listened to until its end: its answers must not meet this one
            self.close()
        self.open()
        connection, more, empty = self._connection, True, 0
        try:
            self._owed = self.send(request, turns.controls())
            self._flush()
            while more:
                if self._connection is not connection:
                    raise TransientError(f"{self.endpoint}: {doing}: the connection was closed meanwhile")
                data, found, end = self._batch()
                empty = 0 if found else empty + 1
                if empty > turns.patience:
                    raise Lost(f"the server gave {turns.patience} empty pages and no end")
                if end is not None:
                    self._owed = 0
                    more = turns.goes_on(*self._ended(doing, reach, end))
                    if more:
                        self._owed = self.send(request, turns.controls())
                        self._flush()
                yield data, found
        finally:
            if self._owed and self._connection is connection:  # given up in the middle
                self.close()

    def _ended(self, doing: str, reach: ber.Reach, end: bytes) -> tuple[ber.Answer, bytes]:
        """How a search ended, and the cookie of the next page, or the empty one. Raises where it did not succeed."""
        told, cookie = entries.done(end)
        absent = told.code == NO_SUCH_OBJECT and reach is ber.Reach.BASE
        if told.code != SUCCESS and not absent:
            raise refusal(self.endpoint, doing, told.code, told.why)
        return told, cookie

    def _batch(self) -> tuple[bytes, list[entries.Span], bytes | None]:
        """Bytes, the entries and references in them, and the message that ends the page, or None where the page goes on.

        Waits no longer than the time-out for each piece. Raises Lost, OSError or Malformed.
        """
        buffer, found, at, end = self._buffer, [], 0, None
        while end is None and at < _AHEAD:
            if (length := ber.frame(buffer, at, entries.LONGEST)) is None:
                self._fill()
                continue
            message_id, operation, start, stop = entries.head(buffer, at, at + length)
            if message_id == 0:  # RFC 4511 §4.4.1: notice of disconnection
                raise Lost(f"the server says goodbye: {ber.answer(bytes(buffer[at : at + length])).why}")
            if message_id != self._owed:
                raise Lost(f"the server answered a question nobody asked ({message_id})")
            if operation == entries.DONE:
                end = bytes(buffer[at : at + length])
            elif operation in (entries.ENTRY, entries.REFERENCE):
                found.append((operation, start, stop))
            else:
                raise ber.Malformed(f"0x{operation:02x} is no answer to a search")
            at += length
        with memoryview(buffer) as view:
            data = bytes(view[:at])
        del buffer[:at]
        return data, found, end

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
            self._flush()
        return message_id

    def _flush(self) -> None:
        connection, leaving = self._connection, self._leaving
        if connection is None or not leaving:
            return
        self._leaving = bytearray()
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
            received = ber.answer(self._message())
        except (OSError, ber.Malformed, Lost) as error:
            self.close()
            raise Lost(str(error)) from error
        if received.message_id == 0:  # RFC 4511 §4.4.1: notice of disconnection
            self.close()
            raise Lost(f"the server says goodbye: {received.why}")
        return received

    def _message(self, longest: int = ber.LONGEST) -> bytes:
        """The next whole message. Raises Lost, OSError or Malformed."""
        while (length := ber.frame(self._buffer, 0, longest)) is None:
            self._fill()
        message = bytes(self._buffer[:length])
        del self._buffer[:length]
        return message

    def _fill(self) -> None:
        """Send what is left to be sent, then wait for more bytes, no longer than the time-out. Raises Lost or OSError."""
        self._flush()
        connection = self._connection
        chunk = connection.socket.recv(_CHUNK) if connection is not None else b""
        if not chunk:
            raise Lost("the server closed the connection")
        self._buffer += chunk


def _hang_up(connection: Connection) -> None:
    """Unbind and close the socket whatever state the connection is in; the library leaves it open when connecting fails."""
    with suppress(LDAPExceptionError, OSError):
        connection.unbind()
    if connection.socket is not None:
        with suppress(OSError):
            connection.socket.close()
