r"""Distinguished names as values (RFC 4514): read, written, folded, and told relative to a base.

Names are always compared parsed, never as text: a server may give `\3B` back for `\;`, and `OU=A` for `ou=a`. Knows no wire.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

Rdn = tuple[tuple[str, str], ...]
"""One step of a name: pairs of attribute type (lower case) and value, more than one only for `cn=a+uid=b`."""
Dn = tuple[Rdn, ...]
"""A name, most specific step first."""

_ALIASES = {
    "commonname": "cn",
    "domaincomponent": "dc",
    "organizationalunitname": "ou",
    "organizationname": "o",
    "surname": "sn",
    "userid": "uid",
}
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*")
_HEX = re.compile(rb"[0-9A-Fa-f]{2}")
_BACKSLASH = ord("\\")
_SPECIAL = frozenset(',+"\\<>;=')
_ESCAPED = re.compile(r'[,+"\\<>;=\x00-\x1f\x7f]|^[ #]| \Z')
_PLAIN = re.compile(r'([A-Za-z][A-Za-z0-9-]*)=([^\\"+,;]*),(.*\S.*)', re.DOTALL)  # a first step in which nothing can hide a comma
_CONTAINERS = 4096
_FOREIGN = re.compile(r"\\([A-Za-z][A-Za-z0-9-]*)=")


class NotADn(ValueError):  # noqa: N818 — reads as what it says where it is raised
    """The text is no distinguished name; the message says where it stops being one."""


@lru_cache(maxsize=4096)  # the same few containers come with every account
def parse(text: str) -> Dn:
    """The name as pairs; `""` is the empty name. Raises NotADn naming what is wrong with which text."""
    if not text.strip():
        return ()
    return tuple(_rdn(part, text) for part in _split(text, ",;"))


def _rdn(part: str, whole: str) -> Rdn:
    pairs = []
    for piece in _split(part, "+"):
        kind, equals, value = piece.partition("=")
        kind = kind.strip()
        if not equals or not _TYPE.fullmatch(kind):
            raise NotADn(f"{whole!r} is not a distinguished name: {piece.strip()!r} is not of the form type=value")
        pairs.append((_ALIASES.get(kind.lower(), kind.lower()), _unescape(value, whole)))
    return tuple(sorted(pairs))


def _split(text: str, separators: str) -> list[str]:
    """Split at separators that are neither escaped nor inside the quotes of RFC 2253."""
    if "\\" not in text and '"' not in text:  # nearly every name: nothing can hide a separator
        return re.split(f"[{separators}]", text)
    parts, current, quoted, index = [], "", False, 0
    while index < len(text):
        char = text[index]
        if char == "\\":
            current += text[index : index + 2]
            index += 2
            continue
        if char == '"':
            quoted = not quoted
        if char in separators and not quoted:
            parts.append(current)
            current = ""
        else:
            current += char
        index += 1
    return [*parts, current]


def _unescape(raw: str, whole: str) -> str:
    text = raw.lstrip(" ")
    quoted = len(text) > 1 and text.startswith('"') and text.rstrip(" ").endswith('"')
    if quoted:
        text = text.rstrip(" ")[1:-1]
    if not quoted and "\\" not in text:
        return text.rstrip(" ")
    out, index, kept = bytearray(), 0, 0  # `kept`: up to here trailing spaces were escaped and belong to the value
    encoded = text.encode()
    while index < len(encoded):
        if encoded[index] != _BACKSLASH:
            out.append(encoded[index])
            index += 1
            continue
        pair = encoded[index + 1 : index + 3]
        if _HEX.fullmatch(pair):
            out.append(int(pair, 16))
            index += 3
        elif pair:
            out.append(pair[0])
            index += 2
        else:
            raise NotADn(f"{whole!r} is not a distinguished name: it ends in a lone backslash")
        kept = len(out)
    body = bytes(out) if quoted else bytes(out[:kept]) + bytes(out[kept:]).rstrip(b" ")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise NotADn(f"{whole!r} is not a distinguished name: its escapes are no UTF-8") from error


def escape(value: str) -> str:
    """The value as it may stand in a name: RFC 4514's specials behind a backslash, control characters as hex."""
    if not _ESCAPED.search(value):
        return value
    out = []
    last = len(value) - 1
    for index, char in enumerate(value):
        edge = (index == 0 and char in " #") or (index == last and char == " ")
        if char in _SPECIAL or edge:
            out.append("\\" + char)
        elif char < " " or char == "\x7f":
            out.append(f"\\{ord(char):02x}")
        else:
            out.append(char)
    return "".join(out)


def render(dn: Dn) -> str:
    """The name as text that any server reads: types in lower case, values as they are, escaped."""
    return ",".join("+".join(f"{kind}={escape(value)}" for kind, value in rdn) for rdn in dn)


def fold_value(value: str) -> str:
    """What a directory compares: case and runs of spaces do not count."""
    if value.isascii():  # nothing to normalize, and nearly every name
        return " ".join(value.lower().split())
    return " ".join(unicodedata.normalize("NFC", value).casefold().split())


def fold(dn: Dn) -> Dn:
    """The name with every value folded: equal for names the directory calls equal."""
    return tuple(tuple((kind, fold_value(value)) for kind, value in rdn) for rdn in dn)


def canonical(text: str) -> str:
    """The one spelling of a name: folded and rendered. Idempotent."""
    return render(fold(parse(text)))


def is_foreign(rdn: str) -> bool:
    """True for a naming value told with its own attribute type, because it is not the configured one."""
    return rdn.startswith("\\") and bool(_FOREIGN.match(rdn))


@dataclass(frozen=True, slots=True)
class Tree:
    r"""The part of a directory below one base: turns full names into (container, rdn) and back.

    A naming value whose type is not the configured one is told as `\type=value`, so that an account somebody else named
    otherwise can be found, linked and renamed.
    """

    base: Dn
    naming: str

    @classmethod
    def of(cls, base: str, naming: str) -> Tree:
        """The tree below a base given as text."""
        return cls(parse(base), _ALIASES.get(naming.lower(), naming.lower()))

    def within(self, dn: Dn) -> Dn | None:
        """The name relative to the base, or None where it does not lie below it."""
        depth = len(self.base)
        if len(dn) < depth or fold(dn[len(dn) - depth :]) != fold(self.base):
            return None
        return dn[: len(dn) - depth]

    def place(self, dn: Dn) -> tuple[str, str] | None:
        """(container, rdn) of an account; None for the base itself and what lies outside."""
        inside = self.within(dn)
        if not inside:
            return None
        first = inside[0]
        ours = len(first) == 1 and first[0][0] == self.naming
        rdn = first[0][1] if ours else "\\" + render((first,))
        return render(fold(inside[1:])), rdn

    def first(self, rdn: str) -> Rdn:
        """The naming step for a naming value. Raises NotADn for an empty one."""
        if is_foreign(rdn):
            return parse(rdn[1:])[0]
        if not rdn.strip():
            raise NotADn("the naming value is empty")
        return ((self.naming, rdn),)

    def full(self, name: str) -> str:
        """The full name of a container or group told relative to the base."""
        return render(parse(name) + self.base)

    def account(self, container: str, rdn: str) -> str:
        """The full name of an account at this place."""
        return render((self.first(rdn), *parse(container), *self.base))


class Spot(NamedTuple):
    """Where an account stands: its container and naming value as `Tree.place` tells them, and its whole name, canonical."""

    container: str
    rdn: str
    name: str


class Places:
    """Where accounts stand, from the text of their names. The same few containers come with every account: each is read once."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._above = lru_cache(maxsize=_CONTAINERS)(self._container)

    def of(self, text: str) -> Spot | None:
        """The spot; None for the base itself and what lies outside. Raises NotADn."""
        plain = _PLAIN.fullmatch(text)
        if plain is None:
            dn = parse(text)
            place = self._tree.place(dn)
            return Spot(*place, render(fold(dn))) if place is not None else None
        kind, value, above = plain.groups()
        container, canonical_above = self._above(above)
        if container is None:
            return None
        kind, value = _ALIASES.get(kind.lower(), kind.lower()), value.strip(" ")
        rdn = value if kind == self._tree.naming else "\\" + render((((kind, value),),))
        return Spot(container, rdn, f"{kind}={escape(fold_value(value))},{canonical_above}")

    def _container(self, text: str) -> tuple[str | None, str]:
        """The container relative to the base, None where it lies outside, and its whole name; both canonical."""
        dn = parse(text)
        inside = self._tree.within(dn)
        return render(fold(inside)) if inside is not None else None, render(fold(dn))
