"""Laws of the BER codec: what we send is byte for byte what the library would send, and no bytes whatever break the reader."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from ldap3.operation.add import add_operation
from ldap3.operation.delete import delete_operation
from ldap3.operation.modify import modify_operation
from ldap3.operation.modifyDn import modify_dn_operation
from ldap3.operation.search import compile_filter, parse_filter
from ldap3.protocol.controls import build_control
from ldap3.protocol.convert import build_controls_list
from ldap3.protocol.rfc4511 import LDAPMessage, MessageID, ProtocolOp
from ldap3.utils.asn1 import encode  # type: ignore[attr-defined]  # the library picks its encoder at import

from syncd.targets import ldap_ber as ber

IDS = st.one_of(st.integers(1, 2**31 - 1), st.sampled_from([1, 127, 128, 255, 256, 2**15, 2**31 - 1]))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
LONG = st.sampled_from(["", "a" * 127, "a" * 128, "é" * 128, "a" * 65_535, "a" * 65_536])
VALUES = st.lists(st.one_of(TEXTS, LONG), max_size=3)
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,12}(;x-[a-z]{1,4})?", fullmatch=True)
DNS = st.one_of(TEXTS, LONG)


def escaped(value: str) -> str:
    """The value as it may stand in a filter that is text (RFC 4515): every octet escaped."""
    return "".join(f"\\{octet:02x}" for octet in value.encode())


def their_filter(text: str) -> bytes:
    """The filter as the library puts it on the wire."""
    (only,) = parse_filter(text, None, auto_escape=False, auto_encode=False, validator=None, check_names=False).elements  # type: ignore[no-untyped-call]  # ldap3 is untyped
    return bytes(encode(compile_filter(only)))  # type: ignore[no-untyped-call]  # as above


def theirs(message_id: int, kind: str, request: Any, controls: Sequence[Any] = ()) -> bytes:
    """The message as the library puts it on the wire."""
    message = LDAPMessage()
    message["messageID"] = MessageID(message_id)
    message["protocolOp"] = ProtocolOp().setComponentByName(kind, request)
    if controls:
        message["controls"] = build_controls_list(list(controls))
    return bytes(encode(message))


@given(IDS, DNS, st.dictionaries(NAMES, VALUES, max_size=4))
def test_an_add_is_byte_for_byte_the_library_s(message_id: int, dn: str, attributes: dict[str, list[str]]) -> None:
    """Whatever the lengths and characters are."""
    request = add_operation(
        dn, {name: [value.encode() for value in values] for name, values in attributes.items()}, auto_encode=False
    )
    assert theirs(message_id, "addRequest", request) == ber.message(message_id, ber.add(dn, attributes))


@given(IDS, DNS, st.lists(st.tuples(st.sampled_from(list(ber.Modify)), NAMES, VALUES), max_size=4))
def test_a_modify_is_byte_for_byte_the_library_s(
    message_id: int, dn: str, changes: list[tuple[ber.Modify, str, list[str]]]
) -> None:
    """Every kind of modification, with and without values, in the order given."""
    names = {ber.Modify.ADD: "MODIFY_ADD", ber.Modify.DELETE: "MODIFY_DELETE", ber.Modify.REPLACE: "MODIFY_REPLACE"}
    told: dict[str, list[tuple[str, list[bytes]]]] = {}
    for how, name, values in changes:
        told.setdefault(name, []).append((names[how], [value.encode() for value in values]))
    # the library groups by attribute: give ours the same order
    ordered = [
        (next(how for how in names if names[how] == operation), name, [value.decode() for value in values])
        for name, steps in told.items()
        for operation, values in steps
    ]
    request = modify_operation(dn, told, auto_encode=False)
    assert theirs(message_id, "modifyRequest", request) == ber.message(message_id, ber.modify(dn, ordered))


@given(IDS, DNS, TEXTS, st.one_of(st.none(), DNS.filter(bool)), st.booleans())
def test_a_rename_is_byte_for_byte_the_library_s(message_id: int, dn: str, rdn: str, superior: str | None, keep_old: bool) -> None:
    """With and without a new superior, keeping the old naming value or not."""
    request = modify_dn_operation(dn, rdn, not keep_old, superior)
    assert theirs(message_id, "modDNRequest", request) == ber.message(message_id, ber.rename(dn, rdn, superior, keep_old=keep_old))


@given(IDS, DNS)
def test_a_delete_is_byte_for_byte_the_library_s(message_id: int, dn: str) -> None:
    """The shortest request of all."""
    assert theirs(message_id, "delRequest", delete_operation(dn)) == ber.message(message_id, ber.delete(dn))  # type: ignore[no-untyped-call]  # ldap3 is untyped


@given(IDS, TEXTS.filter(bool), NAMES, st.lists(NAMES, min_size=1, max_size=3))
def test_controls_are_byte_for_byte_the_library_s(message_id: int, value: str, name: str, read: list[str]) -> None:
    """A critical assertion over a filter, and a post-read control that is not critical."""
    condition = f"(&({name}={escaped(value)})(!({name}=*)))"
    library_filter = their_filter(condition)
    ours = ber.every([ber.equal(name, value), ber.negation(ber.present(name))])
    assert library_filter == ours
    from ldap3.protocol.rfc4511 import AttributeSelection, Selector  # noqa: PLC0415 — used here only

    selection = AttributeSelection()
    for position, attribute in enumerate(read):
        selection[position] = Selector(attribute)
    controls = [build_control(ber.ASSERTION, criticality=True, value=library_filter, encode_control_value=False)]
    controls += [build_control(ber.POST_READ, criticality=False, value=bytes(encode(selection)), encode_control_value=False)]
    expected = theirs(message_id, "delRequest", delete_operation("cn=a"), controls)  # type: ignore[no-untyped-call]  # ldap3 is untyped
    assert expected == ber.message(message_id, ber.delete("cn=a"), (ber.assertion(ours), ber.post_read(*read)))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
@example(" a")
@example("a ")
@example("*)(uid=*")
@example("a:=b")
@example("a~=b")
@example("\\2a")
def test_a_search_asks_for_exactly_the_value(value: str) -> None:
    """Nothing in a value is structure, and nothing of it is lost: the library puts the same bytes on the wire for its octets."""
    assert their_filter(f"(uid={escaped(value)})") == ber.equal("uid", value)


# --- reading ------------------------------------------------------------------------------------------------------------


TAGS = st.sampled_from([0x02, 0x04, 0x0A, 0x30, 0x31, 0x61, 0x67, 0x69, 0x6B, 0x6D, 0x78, 0x8A, 0x8B, 0xA0, 0x1F])
LIES = [b"\x80", b"\x81\x00", b"\x81\x05", b"\x84\x00\x00\x00\x02", b"\x84\xff\xff\xff\xff", b"\x88" + b"\xff" * 8, b"\xff", b""]


def elements(depth: int) -> st.SearchStrategy[bytes]:
    """Nested elements with true, false, absurd and indefinite lengths."""
    content = st.binary(max_size=12)
    if depth:
        content = st.one_of(content, st.lists(elements(depth - 1), max_size=4).map(b"".join))
    honest = st.builds(ber.tlv, TAGS, content)
    lying = st.builds(lambda tag, length, body: bytes((tag,)) + length + body, TAGS, st.sampled_from(LIES), content)
    return st.one_of(honest, honest, honest, lying)


ANSWERS = st.one_of(
    st.binary(max_size=80).map(lambda body: ber.tlv(0x30, body)),
    elements(4),
    st.builds(  # nearly right, so that the fuzz reaches what lies behind the first checks
        lambda number, code, words, tail: ber.tlv(0x30, number + ber.tlv(0x69, code + ber.tlv(4, b"") + words) + tail),
        st.one_of(st.just(b"\x02\x01\x07"), elements(0)),
        st.one_of(st.just(b"\x0a\x01\x00"), elements(0)),
        st.one_of(st.just(b"\x04\x00"), elements(1)),
        st.one_of(st.just(b""), elements(3), st.lists(elements(2), max_size=2).map(lambda parts: ber.tlv(0xA0, b"".join(parts)))),
    ),
)


@given(ANSWERS)
@example(b"\x30\x10\x02\x01\x07\x69\x07\x0a\x01\x00\x04\x00\x04\x00\xa0\x02\x30\x00")
def test_any_message_is_an_answer_or_malformed(data: bytes) -> None:
    """However broken, it is never any other exception; and what is read holds a code that was really there."""
    try:
        length = ber.frame(data)
        if length is not None:
            told = ber.answer(data[:length])
            assert told.message_id >= 0
    except ber.Malformed:
        pass


@given(st.one_of(elements(4), st.binary(max_size=60)))
def test_any_post_read_value_is_attributes_or_malformed(value: bytes) -> None:
    """The entry a server shows may be nonsense as well."""
    with suppress(ber.Malformed):
        ber.entry_attributes(value)


def test_an_empty_code_is_not_success() -> None:
    """Zero bytes are not the number zero: a change is done only where the server says so."""
    for code in (b"\x0a\x00", b"\x04\x01\x00", b"\x05\x00"):
        message = ber.tlv(0x30, b"\x02\x01\x07" + ber.tlv(0x69, code + b"\x04\x00\x04\x00"))
        try:
            told = ber.answer(message)
        except ber.Malformed:
            continue
        raise AssertionError(f"read as {told}")


def test_an_answer_that_is_no_result_of_a_write_is_malformed() -> None:
    """An intermediate answer, or an entry of a search, says nothing about whether a write was done."""
    for operation in (0x64, 0x65, 0x73, 0x79):
        message = ber.tlv(0x30, b"\x02\x01\x07" + ber.tlv(operation, b"\x0a\x01\x00\x04\x00\x04\x00"))
        try:
            told = ber.answer(message)
        except ber.Malformed:
            continue
        raise AssertionError(f"read as {told}")
