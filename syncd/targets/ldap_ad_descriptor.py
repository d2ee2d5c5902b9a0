"""Security descriptors of Active Directory: who may do what to an object, and to those that will be made below it.

Read from their bytes ([MS-DTYP] 2.4.4 to 2.4.6) and judged as a domain controller judges them ([MS-ADTS] 5.1.3.3). Only the list of
rights is looked at and written: not the owner, not what is recorded. Knows no wire.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import IntFlag

EVERYONE = bytes.fromhex("010100000000000100000000")  # S-1-1-0: [MS-DTYP] 2.4.2.4

_HEAD = struct.Struct("<BBHIIII")  # SECURITY_DESCRIPTOR, self-relative: [MS-DTYP] 2.4.6
_LIST = struct.Struct("<BBHHH")  # ACL: 2.4.5
_ENTRY = struct.Struct("<BBHI")  # ACE_HEADER and the mask behind it: 2.4.4.1
_LIST_PRESENT = 0x0004
_ALLOWED, _DENIED, _ALLOWED_OBJECT, _DENIED_OBJECT = 0x00, 0x01, 0x05, 0x06
_HANDED_ON, _ONLY_BELOW, _HANDED_DOWN = 0x02, 0x08, 0x10  # CONTAINER_INHERIT, INHERIT_ONLY and INHERITED_ACE
_OF_TYPE, _FOR_CLASS = 0x1, 0x2  # ACE_OBJECT_TYPE_PRESENT, ACE_INHERITED_OBJECT_TYPE_PRESENT: 2.4.4.3
_GUID = 16


class May(IntFlag):
    """What may be done: [MS-ADTS] 5.1.3.2, Access Rights."""

    CREATE_CHILD = 0x1
    DELETE_CHILD = 0x2
    LIST = 0x4
    READ = 0x10
    WRITE = 0x20
    DELETE_TREE = 0x40
    CONTROL = 0x100
    DELETE = 0x10000
    READ_RIGHTS = 0x20000
    WRITE_RIGHTS = 0x40000


# Rights that stand for several: [MS-ADTS] 5.1.3.2 by the bits of [MS-DTYP] 2.4.3.
_GENERIC = {0x10000000: 0xF01FF, 0x20000000: 0x20004, 0x40000000: 0x20028, 0x80000000: 0x20094}


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a list of rights. `about` is an attribute, a set of them, a class or a control right; None is all of them.

    `here`: it holds for the object itself; `below`: for objects made below it, of the class `of` or (None) of any. `own`: it stands
    on this object, and was not handed down to it.
    """

    allows: bool
    mask: int
    whose: bytes
    about: bytes | None
    here: bool
    below: bool
    of: bytes | None
    own: bool


def rules(descriptor: bytes) -> list[Rule]:
    """The list of rights in its order. Raises ValueError for bytes that are none.

    Lines under a condition, and those of a kind that is neither allowing nor denying, are left out: they give nothing for certain.
    """
    try:
        _, _, control, _, _, _, at = _HEAD.unpack_from(descriptor)
        if not control & _LIST_PRESENT or not at:  # without a list everybody may do everything: [MS-DTYP] 2.5.3
            return [Rule(allows=True, mask=0xF01FF, whose=EVERYONE, about=None, here=True, below=False, of=None, own=True)]
        count = _LIST.unpack_from(descriptor, at)[3]
        found, at = [], at + _LIST.size
        for _ in range(count):
            size = _ENTRY.unpack_from(descriptor, at)[2]
            if (rule := _rule(descriptor[at : at + size])) is not None:
                found.append(rule)
            at += size
    except struct.error as error:
        raise ValueError("a security descriptor is cut off") from error
    return found


def _rule(entry: bytes) -> Rule | None:
    kind, flags, _, mask = _ENTRY.unpack_from(entry)
    if kind not in (_ALLOWED, _DENIED, _ALLOWED_OBJECT, _DENIED_OBJECT):
        return None
    at, types = _ENTRY.size, 0
    if kind in (_ALLOWED_OBJECT, _DENIED_OBJECT):
        types, at = struct.unpack_from("<I", entry, at)[0], at + 4
    about = entry[at : at + _GUID] if types & _OF_TYPE else None
    at += _GUID if types & _OF_TYPE else 0
    of = entry[at : at + _GUID] if types & _FOR_CLASS else None
    at += _GUID if types & _FOR_CLASS else 0
    for generic, meant in _GENERIC.items():
        mask |= meant if mask & generic else 0
    return Rule(
        allows=kind in (_ALLOWED, _ALLOWED_OBJECT),
        mask=mask,
        whose=entry[at:],
        about=about,
        here=not flags & _ONLY_BELOW,
        below=bool(flags & _HANDED_ON),
        of=of,
        own=not flags & _HANDED_DOWN,
    )


def may(rules_in_order: Iterable[Rule], token: Collection[bytes], what: int, about: Collection[bytes] = ()) -> bool:
    """Whether somebody with these SIDs may do all of `what` to the object, or to what of it is `about` ([MS-ADTS] 5.1.3.3.3).

    `about` holds the GUID of an attribute and of the set it belongs to, of a class, or of a control right.
    """
    asked = what
    for rule in rules_in_order:
        if rule.here and rule.whose in token and (rule.about is None or rule.about in about):
            if not rule.allows and rule.mask & asked:
                return False
            asked &= ~rule.mask if rule.allows else ~0
        if not asked:
            return True
    return False


def below(rules_in_order: Iterable[Rule], of: bytes) -> list[Rule]:
    """The lines that an object of this class gets handed down when it is made below: [MS-DTYP] 2.5.3.4."""
    return [
        Rule(rule.allows, rule.mask, rule.whose, rule.about, here=True, below=True, of=rule.of, own=False)
        for rule in rules_in_order
        if rule.below and rule.of in (None, of)
    ]


def denied_to_everyone(descriptor: bytes, what: int) -> bytes | None:
    """The descriptor with one line more, in front, that denies this to everybody, for this object only; None where it is denied.

    Denying lines of an object's own come first: [MS-DTYP] 2.4.5. Raises ValueError for a descriptor without a list: one line
    would take from everybody what they may.
    """
    known: Sequence[Rule] = rules(descriptor)
    if any(not one.allows and one.here and one.whose == EVERYONE and one.about is None and not what & ~one.mask for one in known):
        return None
    revision, padding, control, _, _, _, at = _HEAD.unpack_from(descriptor)
    line = _ENTRY.pack(_DENIED, 0, _ENTRY.size + len(EVERYONE), what) + EVERYONE
    if not control & _LIST_PRESENT or not at:
        raise ValueError("the object has no list of rights")
    version, _, size, count, _ = _LIST.unpack_from(descriptor, at)
    lines = descriptor[at + _LIST.size : at + size]
    told = _LIST.pack(version, 0, _LIST.size + len(line) + len(lines), count + 1, 0) + line + lines
    return _HEAD.pack(revision, padding, control, 0, 0, 0, _HEAD.size) + told
