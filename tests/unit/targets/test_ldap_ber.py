"""Messages as bytes, checked against the library's own decoder, and answers cut, broken and hostile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.protocol.rfc4511 import LDAPMessage
from ldap3.strategy.base import BaseStrategy
from pyasn1.codec.ber import decoder, encoder

from syncd.targets import ldap_ber as ber

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)


def decoded(message: bytes) -> tuple[int, str, object]:
    """The message as the library reads it: id, kind of operation, its content."""
    told, rest = decoder.decode(message, asn1Spec=LDAPMessage())
    assert rest == b""
    operation = told["protocolOp"]
    return int(told["messageID"]), operation.getName(), operation.getComponent()


@given(st.integers(0, 2**31 - 1), TEXTS, TEXTS)
def test_an_add_says_what_it_was_given(message_id: int, dn: str, value: str) -> None:
    """Name, attributes and values arrive as they are, and lengths of every form are right."""
    told_id, kind, add = decoded(ber.message(message_id, ber.add(dn, {"cn": [value, "x"], "sn": [value * 3]})))
    assert (told_id, kind, bytes(add["entry"]).decode()) == (message_id, "addRequest", dn)  # type: ignore[index]  # pyasn1 is untyped
    assert [sorted(bytes(one) for one in attribute["vals"]) for attribute in add["attributes"]] == [  # type: ignore[index]  # as above
        sorted([value.encode(), b"x"]),
        [(value * 3).encode()],
    ]


@given(TEXTS)
def test_modify_rename_and_delete_say_what_they_were_given(text: str) -> None:
    """Each is what the library takes it for."""
    assert decoded(ber.message(1, ber.delete(text)))[1] == "delRequest"
    assert decoded(ber.message(1, ber.rename(text, "uid=a", None)))[1] == "modDNRequest"
    moved = decoded(ber.message(1, ber.rename(text, "uid=a", text, keep_old=True)))[2]
    assert bytes(moved["newSuperior"]).decode() == text  # type: ignore[index]  # pyasn1 is untyped
    assert not moved["deleteoldrdn"]  # type: ignore[index]  # as above
    controls = (ber.assertion(ber.every([ber.equal("cn", text), ber.negation(ber.present("sn"))])), ber.post_read("entryUUID"))
    assert (
        decoded(ber.message(1, ber.modify(text, [(ber.Modify.REPLACE, "cn", [text]), (ber.Modify.ADD, "sn", [])]), controls))[1]
        == "modifyRequest"
    )


def result(message_id: int, code: int, why: str) -> bytes:
    """An answer to an add, as the library writes it."""
    from ldap3.protocol.rfc4511 import AddResponse, MessageID, ProtocolOp  # noqa: PLC0415 — used here only

    answer = AddResponse()
    answer["resultCode"], answer["matchedDN"], answer["diagnosticMessage"] = code, "", why
    operation = ProtocolOp()
    operation.setComponentByName("addResponse", answer)
    message = LDAPMessage()
    message["messageID"] = MessageID(message_id)
    message["protocolOp"] = operation
    return bytes(encoder.encode(message))


@given(st.lists(st.tuples(st.integers(0, 2**31 - 1), st.sampled_from([0, 32, 68, 122]), TEXTS), max_size=5), st.integers(1, 50))
def test_answers_are_framed_however_they_arrive(answers: list[tuple[int, int, str]], size: int) -> None:
    """Cut anywhere, the same answers come out."""
    stream = b"".join(result(*answer) for answer in answers)
    buffer, out = bytearray(), []
    for start in range(0, len(stream), size):
        buffer += stream[start : start + size]
        while (length := ber.frame(buffer)) is not None:
            out.append(ber.answer(bytes(buffer[:length])))
            del buffer[:length]
    assert [(one.message_id, one.code, one.why) for one in out] == answers
    assert not buffer


@given(st.binary(max_size=60))
def test_any_bytes_are_an_answer_or_malformed(data: bytes) -> None:
    """A broken or hostile server cannot make us fail in any other way."""
    try:
        if (length := ber.frame(data)) is not None:
            ber.answer(data[:length])
    except ber.Malformed:
        pass


@pytest.mark.parametrize(
    "data", [b"\x30\x80\x00\x00", b"\x31\x03\x02\x01\x01", b"\x30\x84\x7f\xff\xff\xff", b"\x30\x85\x00\x00\x00\x00\x01"]
)
def test_indefinite_absurd_and_foreign_frames_are_refused(data: bytes) -> None:
    """LDAP forbids the indefinite form, and no answer to a write is two gigabytes."""
    with pytest.raises(ber.Malformed):
        ber.frame(data)


def test_our_frames_are_as_long_as_the_library_thinks() -> None:
    """Both count alike."""
    message = ber.message(7, ber.add("cn=a", {"cn": ["a" * 70_000]}))
    assert ber.frame(message) == len(message) == BaseStrategy.compute_ldap_message_size(message)
