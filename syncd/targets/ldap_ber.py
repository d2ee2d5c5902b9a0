"""The few LDAP requests that are sent in bulk, and the answers to writes, as bytes (RFC 4511; BER with definite lengths, §5.1).

Written here because the library's codec costs more than the server's whole work on an add. Only what reading and writing accounts
needs: search, add, modify, rename, delete, with their controls and the filters of a search or an assertion. What a search finds
is read by `ldap_entries`; binding and StartTLS stay with the library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache

ASSERTION = "1.3.6.1.1.12"  # RFC 4528
POST_READ = "1.3.6.1.1.13.2"  # RFC 4527
PAGED = "1.2.840.113556.1.4.319"  # RFC 2696
DIRSYNC = "1.2.840.113556.1.4.841"  # [MS-ADTS] 3.1.1.3.4.1.3, LDAP_SERVER_DIRSYNC_OID
DESCRIPTOR_PARTS = "1.2.840.113556.1.4.801"  # [MS-ADTS] 3.1.1.3.4.1.11, LDAP_SERVER_SD_FLAGS_OID
LONGEST = 16 * 1024 * 1024
"""No answer to a write is this long: a longer one is no LDAP."""

RESULTS = frozenset({0x67, 0x69, 0x6B, 0x6D, 0x78})
"""Answers to modify, add, delete and rename, and the extended one in which a server says goodbye."""

Values = Sequence[str | bytes]
"""Text, and bytes for what is none (`unicodePwd`, `objectGUID`)."""


class Modify(IntEnum):
    """What a modification does to one attribute (§4.6)."""

    ADD = 0
    DELETE = 1
    REPLACE = 2


class Reach(IntEnum):
    """How far from its base a search looks (§4.5.1.2)."""

    BASE = 0
    SUBTREE = 2


class Malformed(ValueError):  # noqa: N818 — reads as what it says where it is raised
    """The bytes are no LDAP answer: the connection cannot be trusted any further."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One result (§4.1.9): the code, the server's own words, and response controls by OID."""

    message_id: int
    operation: int
    code: int
    why: str
    controls: Mapping[str, bytes] = field(default_factory=dict)


# --- writing ----------------------------------------------------------------------------------------------------------


def tlv(tag: int, content: bytes) -> bytes:
    """One element: tag, definite length, content."""
    size = len(content)
    if size < 0x80:  # noqa: PLR2004 — BER's short form ends here
        return (_SHORT[tag][size] if tag in _SHORT else bytes((tag, size))) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


_SHORT = {tag: [bytes((tag, size)) for size in range(0x80)] for tag in (0x04, 0x30, 0x31)}
"""The heads of short octet strings, sequences and sets, which nearly every element has."""


def _text(value: str, tag: int = 0x04) -> bytes:
    return tlv(tag, value.encode())


@lru_cache(maxsize=1024)  # the same names of attributes, and little else, come with every entry
def _name(attribute: str) -> bytes:
    return _text(attribute)


def _number(value: int, tag: int = 0x02) -> bytes:
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _attribute(name: str, values: Values) -> bytes:
    return tlv(
        0x30,
        _name(name) + tlv(0x31, b"".join([tlv(0x04, value.encode() if isinstance(value, str) else value) for value in values])),
    )


def add(dn: str, attributes: Mapping[str, Values]) -> bytes:
    """An add request (§4.7)."""
    return tlv(0x68, _text(dn) + tlv(0x30, b"".join([_attribute(name, values) for name, values in attributes.items()])))


def modify(dn: str, changes: Iterable[tuple[Modify, str, Values]]) -> bytes:
    """A modify request (§4.6): all of the changes, in order, or none."""
    steps = (tlv(0x30, _number(how, 0x0A) + _attribute(name, values)) for how, name, values in changes)
    return tlv(0x66, _text(dn) + tlv(0x30, b"".join(steps)))


def rename(dn: str, rdn: str, superior: str | None, *, keep_old: bool = False) -> bytes:
    """A rename (§4.9) that drops the old naming value unless told to keep it, with a move where a new superior is given."""
    moved = _text(superior, 0x80) if superior is not None else b""
    return tlv(0x6C, _text(dn) + _text(rdn) + tlv(0x01, b"\x00" if keep_old else b"\xff") + moved)


def delete(dn: str) -> bytes:
    """A delete request (§4.8)."""
    return _text(dn, 0x4A)


# derefAliases always, as the library asks by default; no limit of size or time but the server's; values, not types only
_AS_EVER = _number(3, 0x0A) + _number(0) + _number(0) + b"\x01\x01\x00"


def search(base: str, reach: Reach, condition: bytes, attributes: Sequence[str]) -> bytes:
    """A search request (§4.5.1); no attribute at all is asked for as `1.1` (§4.5.1.8)."""
    selection = tlv(0x30, b"".join(map(_text, attributes or ("1.1",))))
    return tlv(0x63, _text(base) + _number(reach, 0x0A) + _AS_EVER + condition + selection)


# Filters: §4.5.1.7


def equal(attribute: str, value: str | bytes) -> bytes:
    """The filter (attribute=value); being bytes, it needs no escaping."""
    return tlv(0xA3, _name(attribute) + (_text(value) if isinstance(value, str) else tlv(0x04, value)))


def at_least(attribute: str, value: str) -> bytes:
    """The filter (attribute>=value)."""
    return tlv(0xA5, _name(attribute) + _text(value))


def present(attribute: str) -> bytes:
    """The filter (attribute=*)."""
    return _text(attribute, 0x87)


def negation(condition: bytes) -> bytes:
    """The filter (!condition)."""
    return tlv(0xA2, condition)


def every(conditions: Iterable[bytes]) -> bytes:
    """The filter (&conditions…)."""
    return tlv(0xA0, b"".join(conditions))


def some(conditions: Iterable[bytes]) -> bytes:
    """The filter (|conditions…)."""
    return tlv(0xA1, b"".join(conditions))


# Controls: §4.1.11


def assertion(condition: bytes) -> bytes:
    """A critical assertion control: the operation happens only if the entry matches (R18)."""
    return tlv(0x30, _text(ASSERTION) + b"\x01\x01\xff" + tlv(0x04, condition))


@lru_cache(maxsize=8)
def post_read(*attributes: str) -> bytes:
    """A control that asks for attributes of the entry as the operation left it."""
    return tlv(0x30, _text(POST_READ) + tlv(0x04, tlv(0x30, b"".join(map(_text, attributes)))))


def page(size: int, cookie: bytes) -> bytes:
    """A control that asks for the next so many entries; an empty cookie asks for the first (RFC 2696 §2)."""
    return tlv(0x30, _text(PAGED) + tlv(0x04, tlv(0x30, _number(size) + tlv(0x04, cookie))))


def dirsync(flags: int, most: int, cookie: bytes) -> bytes:
    """A critical control that asks for what changed since the cookie, so many bytes at a time; an empty one asks for everything."""
    return tlv(0x30, _text(DIRSYNC) + b"\x01\x01\xff" + tlv(0x04, tlv(0x30, _number(flags) + _number(most) + tlv(0x04, cookie))))


def rights_only() -> bytes:
    """A control by which `nTSecurityDescriptor` is the list of rights only, to read and to write: owners are nobody's to touch."""
    return tlv(0x30, _text(DESCRIPTOR_PARTS) + b"\x01\x01\xff" + tlv(0x04, tlv(0x30, _number(0x4))))


def message(message_id: int, operation: bytes, controls: Sequence[bytes] = ()) -> bytes:
    """The whole message (§4.1.1), ready for the socket."""
    tail = tlv(0xA0, b"".join(controls)) if controls else b""
    return tlv(0x30, _number(message_id) + operation + tail)


# --- reading ----------------------------------------------------------------------------------------------------------


def frame(buffer: bytes | bytearray, at: int = 0, longest: int = LONGEST) -> int | None:
    """The length of the whole message that begins there, or None while it is incomplete. Raises Malformed."""
    there = len(buffer) - at
    if there < 2:  # noqa: PLR2004 — tag and first length byte
        return None
    if buffer[at] != 0x30:  # noqa: PLR2004 — every LDAPMessage is a SEQUENCE
        raise Malformed(f"an LDAP message cannot begin with 0x{buffer[at]:02x}")
    short = buffer[at + 1]
    if short < 0x80:  # noqa: PLR2004 — BER's short form
        total = 2 + short
    else:
        width = short & 0x7F
        if not 1 <= width <= 4:  # noqa: PLR2004 — 0x80 is the indefinite form, which LDAP forbids; over 4 is absurd
            raise Malformed(f"a length of form 0x{short:02x} is not allowed in LDAP")
        if there < 2 + width:
            return None
        total = 2 + width + int.from_bytes(buffer[at + 2 : at + 2 + width], "big")
    if total > longest:
        raise Malformed(f"an answer of {total} bytes is too long to be one")
    return total if there >= total else None


def _element(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Tag, content and the offset behind the element."""
    try:
        tag, size, start = data[at], data[at + 1], at + 2
    except IndexError as error:
        raise Malformed("an element is cut off") from error
    if size >= 0x80:  # noqa: PLR2004 — BER's long form
        width = size & 0x7F
        if not width:
            raise Malformed("an element has the indefinite length that LDAP forbids")
        size = int.from_bytes(data[start : start + width], "big")
        start += width
    if start + size > len(data):
        raise Malformed("an element is longer than what holds it")
    return tag, data[start : start + size], start + size


def _elements(data: bytes) -> list[tuple[int, bytes]]:
    out, at, end = [], 0, len(data)
    while at < end:
        if at + 1 < end and (size := data[at + 1]) < 0x80 and at + 2 + size <= end:  # noqa: PLR2004 — short, as nearly all are
            out.append((data[at], data[at + 2 : at + 2 + size]))
            at += 2 + size
        else:
            tag, content, at = _element(data, at)
            out.append((tag, content))
    return out


def _parts(data: bytes, *tags: int) -> list[bytes]:
    """The contents of the elements, the first of which must have these tags: nothing is taken for what it does not say it is."""
    found = _elements(data)
    if len(found) < len(tags):
        raise Malformed("an element is not what belongs in its place")
    for (tag, _), wanted in zip(found, tags, strict=False):
        if tag != wanted:
            raise Malformed("an element is not what belongs in its place")
    return [content for _, content in found]


def sequence(data: bytes, *tags: int) -> list[bytes]:
    """The contents of the elements inside the one that the data is; the first of them must have these tags. Raises Malformed."""
    return _parts(_element(data, 0)[1], *tags)


def _positive(content: bytes) -> int:
    """A number that is really there: zero bytes are not zero, which would read as success."""
    if not 1 <= len(content) <= 4 or content[0] >= 0x80:  # noqa: PLR2004 — LDAP's numbers end at 2**31 - 1 and are not negative here
        raise Malformed("a number is empty, negative or too long")
    return int.from_bytes(content, "big")


def answer(data: bytes, kinds: frozenset[int] = RESULTS) -> Answer:
    """One framed message as an Answer of these kinds: to a write, or a notice (message id 0; §4.4). Raises Malformed."""
    body = _element(data, 0)[1]
    parts = _elements(body)
    if len(parts) < 2 or parts[0][0] != 0x02 or parts[1][0] not in kinds:  # noqa: PLR2004 — an INTEGER and an operation
        raise Malformed("a message holds no result of what was asked")
    operation, result = parts[1]
    code, _, why, *_ = _parts(result, 0x0A, 0x04, 0x04)
    controls: dict[str, bytes] = {}
    for tag, block in parts[2:]:
        if tag == 0xA0:  # noqa: PLR2004 — the context tag [0]
            controls.update(_control(content) for _, content in _elements(block))
    return Answer(_positive(parts[0][1]), operation, _positive(code), why.decode(errors="replace"), controls)


def _control(content: bytes) -> tuple[str, bytes]:
    oid = _parts(content, 0x04)[0]
    value = next((body for tag, body in _elements(content)[1:] if tag == 0x04), b"")  # noqa: PLR2004 — OCTET STRING
    return oid.decode(errors="replace"), value


def entry_attributes(value: bytes) -> dict[str, tuple[str, ...]]:
    """The attributes in a post-read control's value, names in lower case. Raises Malformed."""
    _, attributes, *_ = sequence(value, 0x04, 0x30)
    out = {}
    for _, attribute in _elements(attributes):
        name, values, *_ = _parts(attribute, 0x04, 0x31)
        out[name.decode(errors="replace").lower()] = tuple(content.decode(errors="replace") for _, content in _elements(values))
    return out
