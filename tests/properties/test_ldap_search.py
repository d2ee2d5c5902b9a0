"""Laws of searching: we ask byte for byte as the library would, read what it reads, and no bytes whatever break the reader."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ldap3 import BASE, DEREF_ALWAYS, SUBTREE
from ldap3.operation.search import search_operation, search_result_entry_response_to_dict_fast
from ldap3.protocol.controls import build_control
from ldap3.protocol.microsoft import DirSyncControlResponseValue, dir_sync_control
from ldap3.protocol.rfc2696 import paged_search_control
from ldap3.protocol.rfc4511 import (
    URI,
    PartialAttribute,
    PartialAttributeList,
    SearchResultDone,
    SearchResultEntry,
    SearchResultReference,
    Vals,
)
from ldap3.utils.asn1 import decode_message_fast

from syncd.targets import ldap_ber as ber
from syncd.targets import ldap_entries as entries
from tests.conftest import NIGHTLY
from tests.properties.test_ldap_ber import DNS, IDS, LONG, NAMES, TEXTS, elements, escaped, theirs

DECODES = 10_000_000 if NIGHTLY else 30_000

# --- asking -------------------------------------------------------------------------------------------------------------


def _joined(sign: str, how: Callable[[list[bytes]], bytes]) -> Callable[[list[tuple[str, bytes]]], tuple[str, bytes]]:
    return lambda parts: (f"({sign}{''.join(text for text, _ in parts)})", how([told for _, told in parts]))


SIMPLE = st.one_of(
    st.builds(lambda name, value: (f"({name}={escaped(value)})", ber.equal(name, value)), NAMES, TEXTS.filter(bool)),
    st.builds(lambda name, value: (f"({name}>={escaped(value)})", ber.at_least(name, value)), NAMES, TEXTS.filter(bool)),
    st.builds(lambda name: (f"({name}=*)", ber.present(name)), NAMES),
)
CONDITIONS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map(_joined("&", ber.every)),
        st.lists(inner, min_size=1, max_size=4).map(_joined("|", ber.some)),
        inner.map(lambda part: (f"(!{part[0]})", ber.negation(part[1]))),
    ),
    max_leaves=12,
)
"""A condition as text for the library, and as our bytes."""


@given(
    IDS,
    DNS,
    st.sampled_from([(BASE, ber.Reach.BASE), (SUBTREE, ber.Reach.SUBTREE)]),
    CONDITIONS,
    st.lists(NAMES, min_size=1, max_size=5),
    st.one_of(st.none(), st.tuples(st.integers(1, 2**31 - 1), st.one_of(st.binary(max_size=40), st.just(b"c" * 70_000)))),
)
def test_a_search_is_byte_for_byte_the_library_s(
    message_id: int,
    base: str,
    reach: tuple[Any, ber.Reach],
    condition: tuple[str, bytes],
    attributes: list[str],
    page: tuple[int, bytes] | None,
) -> None:
    """Any base, either reach, conditions nested at will, with and without a page asked for."""
    request = search_operation(base, condition[0], reach[0], DEREF_ALWAYS, attributes, 0, 0, False, False, False)  # noqa: FBT003 — the library's order
    controls = [paged_search_control(False, *page)] if page else []  # noqa: FBT003 — the library's order
    ours = ber.search(base, reach[1], condition[1], attributes)
    expected = theirs(message_id, "searchRequest", request, controls)
    assert expected == ber.message(message_id, ours, [ber.page(*page)] if page else ())


@given(IDS, st.integers(0, 2**31 - 1), st.one_of(st.binary(max_size=40), st.just(b"c" * 70_000)))
def test_a_search_for_changes_is_byte_for_byte_the_library_s(message_id: int, most: int, cookie: bytes) -> None:
    """Critical, so that a server that does not know it does not tell everything instead."""
    request = search_operation("dc=t", "(cn=a)", SUBTREE, DEREF_ALWAYS, ["cn"], 0, 0, False, False, False)  # noqa: FBT003 — the library's order
    control = dir_sync_control(True, True, False, False, False, most, cookie)  # type: ignore[no-untyped-call]  # noqa: FBT003 — as above
    ours = ber.search("dc=t", ber.Reach.SUBTREE, ber.equal("cn", "a"), ["cn"])
    assert theirs(message_id, "searchRequest", request, [control]) == ber.message(message_id, ours, [ber.dirsync(1, most, cookie)])


# --- reading ------------------------------------------------------------------------------------------------------------

VALUES = st.lists(st.one_of(st.binary(max_size=20), LONG.map(str.encode)), max_size=4)
FOUND = st.dictionaries(NAMES, VALUES, max_size=6)


def as_sent(message_id: int, dn: str, attributes: dict[str, list[bytes]], controls: tuple[Any, ...] = ()) -> bytes:
    """An entry as a server that used the library would send it."""
    entry = SearchResultEntry()
    entry["object"] = dn
    told = PartialAttributeList()
    for position, (name, values) in enumerate(attributes.items()):
        attribute = PartialAttribute()
        attribute["type"] = name
        attribute["vals"] = Vals()
        attribute["vals"].extend(values)
        told[position] = attribute
    entry["attributes"] = told
    return theirs(message_id, "searchResEntry", entry, controls)


def read(message: bytes, at: int = 0) -> tuple[int, entries.Entry]:
    """The entry as we read it, and for whom it is."""
    message_id, operation, start, end = entries.head(message, at, at + (ber.frame(message, at) or 0))
    assert operation == entries.ENTRY
    return message_id, entries.entry(message, start, end, entries.Names())


@given(IDS, DNS, FOUND, st.booleans(), st.binary(max_size=9))
@example(message_id=1, dn="", attributes={"J": [b""], "j": []}, controlled=False, before=b"")
def test_an_entry_is_what_the_library_reads(
    message_id: int, dn: str, attributes: dict[str, list[bytes]], controlled: bool, before: bytes
) -> None:
    """Every value in its place, in the order sent, wherever in a page the message begins and whatever controls follow it."""
    control = (paged_search_control(False, 1, b"x"),) if controlled else ()  # noqa: FBT003 — the library's order
    message = as_sent(message_id, dn, attributes, control)
    payload = decode_message_fast(message)["payload"]  # type: ignore[no-untyped-call]  # ldap3 is untyped
    library = search_result_entry_response_to_dict_fast(payload, None, None, False)  # type: ignore[no-untyped-call]  # noqa: FBT003 — as above
    told_id, (told_dn, told) = read(before + message, len(before))
    assert (told_id, told_dn) == (message_id, library["dn"])
    # Of an attribute told twice, once without values, the library keeps one part. We keep what was sent.
    twice = len({name.lower() for name in attributes}) < len(attributes)
    expected: dict[str, list[bytes]] = {}
    for name, values in (attributes if twice else library["raw_attributes"]).items():
        expected[name.lower()] = expected.get(name.lower(), []) + (values or [])
    assert told == expected


@given(IDS, st.lists(TEXTS, min_size=1, max_size=4))
def test_a_reference_is_what_the_library_wrote(message_id: int, places: list[str]) -> None:
    """Where the rest of the tree is."""
    told = SearchResultReference()
    for position, place in enumerate(places):
        told[position] = URI(place)
    message = theirs(message_id, "searchResRef", told)
    assert (message_id, entries.REFERENCE) == (found := entries.head(message, 0, len(message)))[:2]
    assert entries.reference(message, *found[2:]) == places


@given(IDS, st.sampled_from([0, 4, 10, 32, 51]), TEXTS, st.one_of(st.none(), st.tuples(st.integers(0, 2**31 - 1), st.binary())))
def test_the_end_of_a_page_is_what_the_library_wrote(message_id: int, code: int, why: str, page: tuple[int, bytes] | None) -> None:
    """The code, the server's words, and the cookie."""
    told = SearchResultDone()
    told["resultCode"], told["matchedDN"], told["diagnosticMessage"] = code, "", why
    controls = [paged_search_control(False, *page)] if page else []  # noqa: FBT003 — the library's order
    message = theirs(message_id, "searchResDone", told, controls)
    answer, cookie = entries.done(message)
    assert (answer.message_id, answer.code, answer.why, cookie) == (message_id, code, why, page[1] if page else b"")


@given(IDS, st.integers(-1, 2**31 - 1), st.integers(0, 2**31 - 1), st.binary())
def test_the_end_of_a_search_for_changes_is_what_the_library_wrote(message_id: int, more: int, unused: int, cookie: bytes) -> None:
    """The cookie to go on from, and whether to go on at once: any number but nought says so."""
    told = SearchResultDone()
    told["resultCode"], told["matchedDN"], told["diagnosticMessage"] = 0, "", ""
    value = DirSyncControlResponseValue()
    value["MoreResults"], value["unused"], value["CookieServer"] = more, unused, cookie
    message = theirs(message_id, "searchResDone", told, [build_control(ber.DIRSYNC, False, value)])  # type: ignore[no-untyped-call]  # noqa: FBT003 — the library's order
    assert entries.synced(entries.done(message)[0]) == (cookie, more != 0)


# --- broken and hostile bytes -------------------------------------------------------------------------------------------


def decoded(data: bytes, names: entries.Names) -> None:
    """Everything a page could make us read from these bytes; what is not LDAP says so."""
    try:
        length = ber.frame(data, 0, entries.LONGEST)
        if length is None:
            return
        _, operation, start, end = entries.head(data, 0, length)
        if operation == entries.ENTRY:
            entries.entry(data, start, end, names)
        elif operation == entries.REFERENCE:
            entries.reference(data, start, end)
        elif operation == entries.DONE:
            entries.synced(entries.done(data[:length])[0])
        else:
            ber.answer(data[:length])
    except ber.Malformed:
        return


@given(st.one_of(st.binary(max_size=80), elements(4), st.builds(ber.message, IDS, elements(4))))
def test_any_bytes_are_read_or_malformed(data: bytes) -> None:
    """Never any other exception, as a message and as the content of an entry."""
    names = entries.Names()
    decoded(data, names)
    for operation in (entries.ENTRY, entries.REFERENCE, entries.DONE):
        decoded(ber.message(1, ber.tlv(operation, data)), names)


SAMPLES = (
    as_sent(
        7, "uid=kim,ou=Students,dc=t", {"objectClass": [b"inetOrgPerson", b"top"], "cn": [b"Kim"], "mail": [b"x" * 200], "sn": []}
    ),
    as_sent(2**31 - 1, "", {}),
    ber.message(7, ber.tlv(entries.REFERENCE, ber.tlv(0x04, b"ldap://elsewhere/") * 2)),
    ber.message(7, ber.tlv(entries.DONE, b"\x0a\x01\x00\x04\x00\x04\x00"), [ber.page(500, b"cookie")]),
    ber.message(7, ber.tlv(entries.DONE, b"\x0a\x01\x00\x04\x00\x04\x00"), [ber.dirsync(0, 0, b"cookie")]),
    ber.message(0, ber.tlv(0x78, b"\x0a\x01\x34\x04\x00\x04\x03bye\x8a\x03\x31\x2e\x33")),
)


@pytest.mark.parametrize("message", SAMPLES, ids=["entry", "empty entry", "reference", "end", "end of changes", "goodbye"])
def test_a_message_cut_at_any_byte_is_awaited_and_one_that_lies_about_it_is_malformed(message: bytes) -> None:
    """Half a message is no message yet; and half a message in a whole frame is none."""
    header = 2 if message[1] < 0x80 else 2 + (message[1] & 0x7F)
    for cut in range(len(message)):
        assert ber.frame(message[:cut], 0, entries.LONGEST) is None
    for cut in range(header, len(message) - 1):
        framed = ber.tlv(0x30, message[header:cut])
        try:
            _, operation, _, end = entries.head(framed, 0, len(framed))
        except ber.Malformed:
            continue
        assert operation == entries.DONE  # the one that is whole without its control, and then is the last page
        assert end <= len(framed)
        with suppress(ber.Malformed):
            assert entries.done(framed)[1] == b""


LENGTHS = [b"\x80", b"\x81\x7f", b"\x84\xff\xff\xff\xff", b"\x84\x7f\xff\xff\xff", b"\x85\x01\x00\x00\x00\x00", b"\xff"]


@pytest.mark.parametrize("length", LENGTHS, ids=lambda length: length.hex())
def test_an_indefinite_or_absurd_length_is_malformed_wherever_it_stands(length: bytes) -> None:
    """LDAP forbids the first, and nothing holds the others; no memory is taken for what is only announced."""
    value = ber.tlv(0x04, b"Kim")
    places: list[Callable[[bytes], bytes]] = [
        lambda lie: ber.tlv(0x30, b"\x02" + lie + b"\x01" + ber.tlv(0x64, b"")),
        lambda lie: ber.tlv(0x30, b"\x02\x01\x01\x64" + lie + b"\x04\x00\x30\x00"),
        lambda lie: ber.message(1, ber.tlv(0x64, b"\x04" + lie + b"\x30\x00")),
        lambda lie: ber.message(1, ber.tlv(0x64, b"\x04\x00\x30" + lie + value)),
        lambda lie: ber.message(1, ber.tlv(0x64, b"\x04\x00" + ber.tlv(0x30, b"\x30" + lie + value))),
        lambda lie: ber.message(1, ber.tlv(0x64, b"\x04\x00" + ber.tlv(0x30, ber.tlv(0x30, b"\x04" + lie + value)))),
        lambda lie: ber.message(1, ber.tlv(0x64, b"\x04\x00" + ber.tlv(0x30, ber.tlv(0x30, value + b"\x31" + lie + value)))),
        lambda lie: ber.message(
            1, ber.tlv(0x64, b"\x04\x00" + ber.tlv(0x30, ber.tlv(0x30, value + ber.tlv(0x31, b"\x04" + lie + value))))
        ),
    ]
    tracemalloc.start()
    try:
        for place in places:
            data = place(length)
            with pytest.raises(ber.Malformed):
                read(data)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_message_longer_than_any_entry_is_malformed_before_it_arrives() -> None:
    """A length alone makes nobody wait for, or hold, two gigabytes."""
    with pytest.raises(ber.Malformed, match="too long"):
        ber.frame(b"\x30\x84\x7f\xff\xff\xff", 0, entries.LONGEST)
    assert ber.frame(b"\x30\x84\x04\x00\x00\x00", 0, entries.LONGEST) is None


def test_a_server_that_makes_up_names_does_not_fill_our_memory() -> None:
    """Names are remembered to be quick, and forgotten when there are more than any directory has."""
    names = entries.Names()
    for number in range(20_000):
        assert names[b"Name-%d" % number] == f"name-{number}"
    assert len(names) < 5_000


def test_a_part_of_the_values_is_never_taken_for_all_of_them() -> None:
    """Some servers cut long lists and say so in the attribute's name: not told is not gone."""
    with pytest.raises(entries.Partial, match="only a part of the values of member"):
        read(as_sent(1, "cn=a", {"member;range=0-1499": [b"x"]}))


def _broken(dice: random.Random) -> Iterator[bytes]:
    """Messages as a hostile or broken server could send them, for ever: cut, with wrong bytes, with wrong lengths, spliced."""
    lies = [bytes((value,)) for value in (0, 1, 0x7F, 0x80, 0x81, 0x84, 0x88, 0xFF, 0x04, 0x30, 0x31)]
    while True:
        message = bytearray(dice.choice(SAMPLES))
        header = 2 if message[1] < 0x80 else 2 + (message[1] & 0x7F)
        body = message[header:]
        for _ in range(dice.randrange(1, 4)):
            at = dice.randrange(len(body)) if body else 0
            match dice.randrange(5):
                case 0:
                    body[at : at + 1] = lies[dice.randrange(len(lies))]
                case 1:
                    del body[at : at + dice.randrange(1, 9)]
                case 2:
                    body[at:at] = dice.randbytes(dice.randrange(1, 5))
                case 3:
                    body[at : at + 1] = bytes((dice.randrange(256),))
                case _:
                    body[at:at] = body[dice.randrange(len(body)) :][: dice.randrange(1, 40)] if body else b""
        yield bytes(body) if dice.randrange(10) == 0 else ber.tlv(0x30, bytes(body))


@pytest.mark.timeout(3600)
def test_millions_of_broken_messages_are_read_or_malformed() -> None:
    """Ten million in the nightly profile, always the same ones: no other exception, no hang, no memory kept."""
    broken, names = _broken(random.Random(20261123)), entries.Names()
    for _ in range(DECODES):
        decoded(next(broken), names)
    assert len(names) < 5_000
