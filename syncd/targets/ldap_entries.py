"""What a search brings back, read from bytes: entries, references and the end of a page (RFC 4511 §4.5.2, RFC 2696).

Written for speed where it pays, which is in `entry` alone: one pass over the bytes of a whole page, nothing copied but the values.
A length is believed only if the element that holds it ends where it says. Knows no socket and sends nothing.
"""

from __future__ import annotations

import re

from syncd.targets.ldap_ber import DIRSYNC, PAGED, Answer, Malformed, answer, sequence

Entry = tuple[str, dict[str, list[bytes]]]
"""A name as the server spells it, and raw values under attribute names in lower case."""
Span = tuple[int, int, int]
"""ENTRY or REFERENCE, and where its content begins and ends in the bytes of a page."""

ENTRY, DONE, REFERENCE = 0x64, 0x65, 0x73  # SearchResultEntry, SearchResultDone, SearchResultReference: §4.5.2
LONGEST = 128 * 1024 * 1024
"""A group of a million members fits; no entry is longer. What one message can make us hold ends here."""

_RANGE = re.compile(r"(.+);range=(\d+)-(\d+|\*)")  # [MS-ADTS] 3.1.1.3.1.3.3, Range Retrieval of Attribute Values
_INTEGER, _OCTETS, _SEQUENCE, _SET = 0x02, 0x04, 0x30, 0x31
_LONG_FORM = 0x80
_WIDEST = 4  # bytes of a length: LDAP's end at 2**31 - 1
_NAMES_KEPT = 4096


class Partial(Malformed):
    """The server told only some values of an attribute: what it did not tell must not read as not there."""


class Names(dict[bytes, str]):
    """Attribute names in lower case by their bytes on the wire: each is decoded once and then shared by all entries."""

    def __init__(self, *, parts: bool = False) -> None:
        """`parts`: names that tell only some of their values are let through, as `member;range=0-1499`."""
        super().__init__()
        self._parts = parts

    def __missing__(self, raw: bytes) -> str:
        """The name, from now on known. Raises Malformed for one that is no name, or that says there is more than was sent."""
        name = _decoded(raw).lower()
        if ";range=" in name and not self._parts:  # Active Directory cuts long lists in this way, and says so in the name
            raise Partial(f"the server tells only a part of the values of {name.partition(';')[0]}")
        if len(self) >= _NAMES_KEPT:
            self.clear()
        self[raw] = name
        return name


def head(data: bytes | bytearray, at: int, end: int) -> tuple[int, int, int, int]:
    """Of the message that fills data[at:end] (§4.1.1): its id, its operation, and where that one's content begins and ends.

    Raises Malformed.
    """
    try:
        at, _ = _inside(data, at, _SEQUENCE, end)
        at, stop = _inside(data, at, _INTEGER, end)
        if not 1 <= stop - at <= _WIDEST or data[at] >= _LONG_FORM:
            raise Malformed("a message id is empty, negative or too long")
        operation = data[stop]
        start, over = _inside(data, stop, operation, end)
    except IndexError as error:
        raise Malformed("a message ends in the middle of its head") from error
    return int.from_bytes(data[at:stop], "big"), operation, start, over


def entry(data: bytes, at: int, end: int, names: Names) -> Entry:  # noqa: C901, PLR0912 — one loop, not one call per element: a third of the time
    """The entry in data[at:end], the content of a SearchResultEntry (§4.5.2). Raises Malformed."""
    found: dict[str, list[bytes]] = {}
    try:
        at, stop = _inside(data, at, _OCTETS, end)  # objectName LDAPDN: §4.1.3
        dn = _decoded(data[at:stop])
        at, stop = _inside(data, stop, _SEQUENCE, end)  # attributes PartialAttributeList
        if stop != end:
            raise Malformed("an entry does not end with its attributes")
        while at < end:
            tag, size = data[at], data[at + 1]  # PartialAttribute: §4.1.7
            at += 2
            if size >= _LONG_FORM:
                size, at = _long(data, at, size)
            attribute_end = at + size
            if tag != _SEQUENCE:
                raise Malformed("an attribute is not what belongs in its place")
            tag, size = data[at], data[at + 1]  # type AttributeDescription: §4.1.4
            at += 2
            if size >= _LONG_FORM:
                size, at = _long(data, at, size)
            if tag != _OCTETS:
                raise Malformed("an attribute has no name")
            name = names[data[at : at + size]]
            at += size
            tag, size = data[at], data[at + 1]  # vals SET OF AttributeValue: §4.1.5
            at += 2
            if size >= _LONG_FORM:
                size, at = _long(data, at, size)
            if tag != _SET or at + size != attribute_end or attribute_end > end:
                raise Malformed("an attribute does not end with its values")
            values = []
            while at < attribute_end:
                tag, size = data[at], data[at + 1]
                at += 2
                if size >= _LONG_FORM:
                    size, at = _long(data, at, size)
                if tag != _OCTETS:
                    raise Malformed("a value is not what belongs in its place")
                values.append(data[at : at + size])
                at += size
            if at != attribute_end:
                raise Malformed("a value is longer than what holds it")
            found[name] = values if name not in found else found[name] + values
    except IndexError as error:
        raise Malformed("an entry is cut off") from error
    return dn, found


def part(name: str) -> tuple[str, int, int | None] | None:
    """Of a name that tells only some of its values: the attribute, where this part begins and where the next, None after the last.

    None for a name that tells all.
    """
    found = _RANGE.fullmatch(name)
    if found is None:
        return None
    return found[1], int(found[2]), None if found[3] == "*" else int(found[3]) + 1


def reference(data: bytes, at: int, end: int) -> list[str]:
    """Where the part of the tree lies that another server holds (§4.5.3). Raises Malformed."""
    places = []
    try:
        while at < end:
            at, stop = _inside(data, at, _OCTETS, end)
            places.append(data[at:stop].decode(errors="replace"))
            at = stop
    except IndexError as error:
        raise Malformed("a reference is cut off") from error
    return places


def done(data: bytes) -> tuple[Answer, bytes]:
    """How the search ended, and the cookie of the next page: empty where there is none. Raises Malformed."""
    told = answer(data, frozenset({DONE}))
    control = told.controls.get(PAGED)
    if control is None:
        return told, b""
    return told, sequence(control, _INTEGER, _OCTETS)[1]


def synced(told: Answer) -> tuple[bytes, bool]:
    """Of how a search for changes ended: the cookie to go on from, now or another day, and whether there is more to be told now.

    [MS-ADTS] 3.1.1.3.4.1.3. Raises Malformed where the server did not say.
    """
    control = told.controls.get(DIRSYNC)
    if control is None:
        raise Malformed("an answer to a search for changes does not say where to go on")
    more, _, cookie = sequence(control, _INTEGER, _INTEGER, _OCTETS)[:3]
    return cookie, any(more)


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Malformed("a name is not UTF-8") from error


def _inside(data: bytes | bytearray, at: int, tag: int, end: int) -> tuple[int, int]:
    """Where the content of the element begins and ends. Raises IndexError where the data ends before it, else Malformed."""
    size, start = data[at + 1], at + 2
    if data[at] != tag:
        raise Malformed("an element is not what belongs in its place")
    if size >= _LONG_FORM:
        size, start = _long(data, start, size)
    if start + size > end:
        raise Malformed("an element is longer than what holds it")
    return start, start + size


def _long(data: bytes | bytearray, at: int, form: int) -> tuple[int, int]:
    """A length of the long form (X.690 §8.1.3.5), and where the content begins. The indefinite form is not LDAP (§5.1)."""
    width = form & 0x7F
    if not 1 <= width <= _WIDEST:
        raise Malformed(f"a length of form 0x{form:02x} is not allowed in LDAP")
    return int.from_bytes(data[at : at + width], "big"), at + width
