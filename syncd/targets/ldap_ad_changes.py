"""What changed in a domain since an earlier look, as the controller that was asked then tells it.

Each controller counts its own updates. Its count means nothing to another one, nor to itself once it was restored from a backup,
for it goes by another invocationId then ([MS-ADTS] 3.1.1.1.9, DCs, USN Counters, and the Originating Update Stamp). So a bookmark
says whose it is, and somebody else's is none.

DirSync is asked first: it passes over what concerns nobody here, such as sign-ins. Where the server will not, whatever has a higher
uSNChanged than the count of the bookmark is told. Neither tells of what an ordinary account may not read, and so of no deletion
(seen with Samba 4.17.12, 2026-11): who needs to know reads everything.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from syncd.targets import ldap_ber as ber
from syncd.targets import ldap_dn as names
from syncd.targets.ldap_entries import Entry
from syncd.targets.ldap_errors import RefusalError
from syncd.targets.ldap_wire import Wire

_USERS = ber.equal("objectClass", "user")
_CONTAINERS = ber.some(ber.equal("objectClass", name) for name in ("organizationalUnit", "container"))
_NOBODY = ber.equal("objectGUID", bytes(16))
_NAME = "name"  # what a move stamps anew, too: that is how it is told to other controllers


@dataclass(frozen=True, slots=True)
class Bookmark:
    """Where a controller stood: its invocationId, the last number it had given, and from where DirSync goes on, if it does."""

    controller: str
    number: int
    cookie: bytes = b""

    @classmethod
    def of(cls, text: str) -> Bookmark | None:
        """The bookmark that was written so; None for what is none, or another build's."""
        try:
            told = json.loads(text)
            return cls(str(told["controller"]), int(told["number"]), base64.b64decode(told["cookie"], validate=True))
        except (ValueError, KeyError, TypeError):
            return None

    def __str__(self) -> str:
        cookie = base64.b64encode(self.cookie).decode()
        return json.dumps({"controller": self.controller, "number": self.number, "cookie": cookie})

    def precedes(self, other: Bookmark) -> bool:
        """True for an earlier one of the same controller. One that counts less by now was put back to an older state unawares."""
        return self.controller == other.controller and self.number <= other.number


@dataclass(frozen=True, slots=True)
class Told:
    """What changed: users, each with its objectGUID; containers that may have another name or place by now; and where to go on."""

    users: Sequence[Entry]
    containers: Sequence[str]
    bookmark: Bookmark


def here(wire: Wire, context: str) -> Bookmark | None:
    """Where the controller stands at this moment; None where it does not say who it is."""
    standing = _standing(wire)
    return None if standing is None else replace(standing, cookie=_cookie(wire, context))


def since(wire: Wire, context: str, bookmark: Bookmark, attributes: Sequence[str]) -> Told | None:
    """Whatever changed in the context since the bookmark, of attributes and of places; None where that is not this controller's.

    Who stands below a container that was renamed or moved has another place, and is not told of.
    """
    now = _standing(wire)
    if now is None or not bookmark.precedes(now):
        return None
    if bookmark.cookie:
        try:
            users, cookie = wire.changes(context, _USERS, [*attributes, _NAME], bookmark.cookie)
            containers, _ = wire.changes(context, _CONTAINERS, [_NAME], bookmark.cookie)
        except RefusalError:
            pass  # it does not know its own cookie any more, or will not do it for us
        else:
            return Told(users, [dn for dn, _ in containers], replace(now, cookie=cookie))
    now = replace(now, cookie=_cookie(wire, context))
    later = ber.at_least("uSNChanged", str(bookmark.number + 1))
    containers = list(wire.search_here(context, ber.every([_CONTAINERS, later]), ["1.1"]))
    users = list(wire.search_here(context, ber.every([_USERS, later]), ["objectGUID"]))
    return Told(users, [dn for dn, _ in containers], now)


def outermost(containers: Iterable[str]) -> list[str]:
    """Those of the containers that stand in none of the others: who searches below them searches below all."""
    kept: dict[names.Dn, str] = {}
    for dn, name in sorted(((names.fold(names.parse(name)), name) for name in containers), key=lambda one: len(one[0])):
        if not any(dn[above:] in kept for above in range(len(dn))):
            kept[dn] = name
    return list(kept.values())


def _standing(wire: Wire) -> Bookmark | None:
    """Who the controller is and the last number it has given; without a cookie."""
    root = wire.entry("", ["highestCommittedUSN", "dsServiceName"])
    told = root[1] if root is not None else {}
    numbers, itself = told.get("highestcommittedusn"), told.get("dsservicename")
    settings = wire.entry(itself[0].decode(), ["invocationId"]) if itself else None
    ids = settings[1].get("invocationid") if settings is not None else None
    if not numbers or not ids:
        return None
    return Bookmark(str(uuid.UUID(bytes_le=ids[0])), int(numbers[0]))


def _cookie(wire: Wire, context: str) -> bytes:
    """From where DirSync would go on; empty where the server will not do it for us. It tells of nobody meanwhile."""
    try:
        return wire.changes(context, _NOBODY, ["objectGUID"], b"")[1]
    except RefusalError:
        return b""
