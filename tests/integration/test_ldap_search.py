"""What searching promises whatever the server does: all or an error, in time, in bounded memory, and no answers left behind."""

from __future__ import annotations

import ssl
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from threading import Event

import pytest

from syncd.demo.slapd import PrivateSlapd
from syncd.errors import EndpointError, TransientError
from syncd.targets import ldap_ber as ber
from syncd.targets import ldap_entries as entries
from syncd.targets.ldap import LdapConfig
from syncd.targets.ldap_wire import Wire
from syncd.vault import Credentials
from tests.conftest import Ldif, config_for
from tests.integration.test_review_targets import OK, Answering, RudeServer, answer

ANY = ber.present("objectClass")


def entry(message_id: int, name: str, attributes: Mapping[str, list[str]] = {"cn": ["x"]}) -> bytes:
    """One entry as a server sends it."""
    told = b"".join(ber._attribute(attribute, values) for attribute, values in attributes.items())
    return ber.message(message_id, ber.tlv(entries.ENTRY, ber._text(name) + ber.tlv(0x30, told)))


def end(message_id: int, cookie: bytes = b"", body: bytes = OK) -> bytes:
    """The end of a page."""
    return ber.message(message_id, ber.tlv(entries.DONE, body), [ber.page(0, cookie)])


@pytest.fixture
def rude(tmp_path: Path) -> Iterator[Callable[[Answering], tuple[RudeServer, Wire]]]:
    """Makes rude servers, each with a wire to it; both are gone when the test ends."""
    made: list[tuple[RudeServer, Wire]] = []

    def make(answering: Answering) -> tuple[RudeServer, Wire]:
        server = RudeServer(tmp_path, answering)
        made.append((server, wire_to(server.connector().config, Credentials(tmp_path))))
        return made[-1]

    yield make
    for server, wire in made:
        wire.close()
        server.close()


def wire_to(config: LdapConfig, credentials: Credentials) -> Wire:
    """A wire that is dialled when it is first used."""
    return Wire("t", config, lambda: credentials.text(config.credential))


def names(found: Iterator[entries.Entry]) -> list[str]:
    """The names of all that is found."""
    return [name for name, _ in found]


def test_the_next_page_is_asked_for_before_this_one_is_told(rude: Callable[[Answering], tuple[RudeServer, Wire]]) -> None:
    """The server works while we do."""
    asked, second = count(1), Event()

    def two_pages(wire: ssl.SSLSocket, number: int, tag: int) -> None:
        if tag == 0x63 and next(asked) == 1:
            wire.sendall(entry(number, "cn=a") + entry(number, "cn=b") + end(number, b"more"))
        elif tag == 0x63:
            second.set()
            wire.sendall(entry(number, "cn=c") + end(number))

    _, wire = rude(two_pages)
    found = wire.search("dc=t", ANY, ["cn"])
    assert next(found) == ("cn=a", {"cn": [b"x"]})
    assert second.wait(5)
    assert names(found) == ["cn=b", "cn=c"]


def test_a_message_in_pieces_and_many_in_one_are_the_same_entries(rude: Callable[[Answering], tuple[RudeServer, Wire]]) -> None:
    """Cut into single bytes, or all in one TLS record."""
    asked = count()

    def pieces(wire: ssl.SSLSocket, number: int, _tag: int) -> None:
        told = b"".join(entry(number, f"cn={name}", {"CN": ["x" * 90]}) for name in "abc") + end(number)
        size = 1 if next(asked) == 0 else len(told)
        for start in range(0, len(told), size):
            wire.sendall(told[start : start + size])

    _, wire = rude(pieces)
    expected = [(f"cn={name}", {"cn": [b"x" * 90]}) for name in "abc"]
    assert list(wire.search("dc=t", ANY, ["cn"])) == expected
    assert list(wire.search("dc=t", ANY, ["cn"])) == expected


BROKEN: dict[str, Callable[[int], bytes]] = {
    "no LDAP at all": lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "an indefinite length": lambda _: b"\x30\x80\x02\x01\x01\x00\x00",
    "two gigabytes": lambda _: b"\x30\x84\x7f\xff\xff\xff",
    "half a message": lambda number: entry(number, "cn=b")[:-3],
    "a goodbye": lambda _: answer(0, tag=0x78, body=OK + b"\x8a\x161.3.6.1.4.1.1466.20036"),
    "somebody else's answer": lambda number: entry(number + 5000, "cn=b"),
    "an answer to a write": answer,
    "an intermediate answer": lambda number: answer(number, tag=0x79, body=b""),
    "an entry that is none": lambda number: ber.message(number, ber.tlv(entries.ENTRY, b"\x30\x00")) + end(number),
    "a name that is no text": lambda number: ber.message(number, ber.tlv(entries.ENTRY, b"\x04\x01\xff\x30\x00")) + end(number),
    "an end without a code": lambda number: end(number, body=b"\x0a\x00\x04\x00\x04\x00"),
    "a cookie that is none": lambda number: answer(
        number, 0x65, tail=ber.tlv(0xA0, ber.tlv(0x30, ber._text(ber.PAGED) + b"\x04\x00"))
    ),
    "a busy server": lambda number: end(number, body=b"\x0a\x01\x33\x04\x00\x04\x00"),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_is_an_error_in_time_and_the_next_search_starts_afresh(
    rude: Callable[[Answering], tuple[RudeServer, Wire]], broken: Callable[[int], bytes]
) -> None:
    """It may pass: so it is transient. Never a shorter list, and never a wait without end."""
    asked = count()

    def once(wire: ssl.SSLSocket, number: int, tag: int) -> None:
        if tag == 0x63 and next(asked) == 0:
            wire.sendall(entry(number, "cn=a") + broken(number))
        elif tag == 0x63:
            wire.sendall(entry(number, "cn=a") + end(number))

    _, wire = rude(once)
    began = time.monotonic()
    with pytest.raises(TransientError, match="search below dc=t"):
        list(wire.search("dc=t", ANY, ["cn"]))
    assert time.monotonic() - began < 10
    assert names(wire.search("dc=t", ANY, ["cn"])) == ["cn=a"]


def test_empty_pages_without_end_are_an_error(rude: Callable[[Answering], tuple[RudeServer, Wire]]) -> None:
    """One may be empty, where the server ran out of time; but a server that goes round in a circle is left."""
    _, wire = rude(lambda wire, number, tag: wire.sendall(end(number, b"again")) if tag == 0x63 else None)
    with pytest.raises(TransientError, match="empty pages"):
        list(wire.search("dc=t", ANY, ["cn"]))


def test_a_part_of_the_values_is_a_matter_for_a_human(rude: Callable[[Answering], tuple[RudeServer, Wire]]) -> None:
    """Members that the server kept back must not be taken for gone."""
    _, wire = rude(lambda wire, number, _: wire.sendall(entry(number, "cn=a", {"member;range=0-1": ["x", "y"]}) + end(number)))
    with pytest.raises(EndpointError, match="only a part of the values of member"):
        wire.entry("cn=a", ["member"])


def test_a_page_without_end_is_told_as_it_comes_in_bounded_memory(rude: Callable[[Answering], tuple[RudeServer, Wire]]) -> None:
    """A server that knows no pages sends everything in one: nobody waits for its end."""
    many = 30_000

    def flood(wire: ssl.SSLSocket, number: int, tag: int) -> None:
        if tag == 0x63:
            some = b"".join([entry(number, "cn=a", {"description": ["x" * 1000]})] * 100)
            for _ in range(many // 100):
                wire.sendall(some)
            wire.sendall(end(number))

    _, wire = rude(flood)
    tracemalloc.start()
    try:
        assert sum(1 for _ in wire.search("dc=t", ANY, ["cn"])) == many
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


# --- a real slapd -------------------------------------------------------------------------------------------------------


@pytest.fixture
def wire(slapd: PrivateSlapd, ldap_base: str, ldif: Ldif) -> Iterator[Wire]:
    """A wire with pages of two, below a base with seven units."""
    for number in range(7):
        ldif(f"dn: ou=u{number},{ldap_base}\nobjectClass: organizationalUnit\nou: u{number}\n")
    wire = wire_to(config_for(slapd, ldap_base, page_size=2), Credentials(slapd.credentials))
    yield wire
    wire.close()


UNITS = ber.every([ber.equal("objectClass", "organizationalUnit"), ber.some(ber.equal("ou", f"u{number}") for number in range(7))])


def test_a_search_given_up_leaves_no_answers_for_the_next(wire: Wire, ldap_base: str) -> None:
    """The page that was asked for ahead is nobody's."""
    found = wire.search(ldap_base, UNITS, ["ou"])
    next(found)
    found.close()  # type: ignore[attr-defined]  # a generator, as whoever drops one closes it
    assert len(names(wire.search(ldap_base, UNITS, ["ou"]))) == 7
    assert (told := wire.entry(f"ou=u3,{ldap_base}", ["ou"])) is not None
    assert told[1] == {"ou": [b"u3"]}


def test_of_two_searches_at_once_neither_is_told_the_other_s_entries(wire: Wire, ldap_base: str) -> None:
    """Who was in the middle learns that the connection is gone; a shorter list is never told."""
    first = wire.search(ldap_base, UNITS, ["ou"])
    next(first)
    assert len(names(wire.search(ldap_base, UNITS, ["ou"]))) == 7
    with pytest.raises(TransientError, match="closed meanwhile"):
        list(first)
    assert len(names(wire.search(ldap_base, UNITS, ["ou"]))) == 7


def test_an_entry_that_is_not_there_is_none_and_a_base_that_is_not_there_an_error(wire: Wire, ldap_base: str) -> None:
    """The one is an answer, the other a mistake: nothing was searched."""
    assert wire.entry(f"ou=nowhere,{ldap_base}", ["ou"]) is None
    with pytest.raises(EndpointError, match="no such object"):
        list(wire.search(f"ou=nowhere,{ldap_base}", ANY, ["ou"]))


def test_many_entries_asked_for_by_name_are_each_found_or_not(wire: Wire, ldap_base: str) -> None:
    """More than are asked for at once; in any order, and none is told under another's name."""
    asked = [f"ou=u{number},{ldap_base}" for number in range(200)]
    found = dict(wire.entries_of(asked, ["ou"]))
    assert found.keys() == set(asked)
    assert {dn: entry[1]["ou"] for dn, entry in found.items() if entry is not None} == {
        f"ou=u{number},{ldap_base}": [b"u%d" % number] for number in range(7)
    }


def test_names_asked_for_and_given_up_leave_no_answers_for_the_next(wire: Wire, ldap_base: str) -> None:
    """Neither for a search, nor for other names; and who goes on after somebody else asked is told so."""
    units = [f"ou=u{number},{ldap_base}" for number in range(7)]
    given_up = wire.entries_of(units, ["ou"])
    next(given_up)
    given_up.close()  # type: ignore[attr-defined]  # a generator, as whoever drops one closes it
    assert len(names(wire.search(ldap_base, UNITS, ["ou"]))) == 7
    interrupted = wire.entries_of(units, ["ou"])
    next(interrupted)
    assert len(dict(wire.entries_of(units, ["ou"]))) == 7
    with pytest.raises(TransientError, match="closed meanwhile"):
        list(interrupted)


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_about_names_is_an_error_in_time(
    rude: Callable[[Answering], tuple[RudeServer, Wire]], broken: Callable[[int], bytes]
) -> None:
    """As of a search: never an entry taken for absent because its answer could not be read."""
    asked = count()

    def once(wire: ssl.SSLSocket, number: int, tag: int) -> None:
        if tag == 0x63:
            wire.sendall(broken(number) if next(asked) == 0 else entry(number, "cn=a") + end(number))

    _, wire = rude(once)
    with pytest.raises(TransientError, match="entries by name"):
        dict(wire.entries_of(["cn=a"], ["cn"]))
    assert dict(wire.entries_of(["cn=a"], ["cn"])) == {"cn=a": ("cn=a", {"cn": [b"x"]})}
