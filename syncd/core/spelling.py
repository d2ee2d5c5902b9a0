"""The ways in which targets spell places and groups, told apart by how they look: no target needs to be known for that.

A directory writes names from the inside out: `ou=Grade 07,ou=Students`. Google writes paths from the outside in, `/Students/Grade
07`, and calls groups by their mail address. Nothing here knows which target a name belongs to, or whether it exists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from anyascii import anyascii

STEP = "/"
"""What a path begins with, and what stands between its steps. No distinguished name begins so (RFC 4514: an attribute type)."""

_DN_SPECIAL = re.compile(r'[,+"\\<>;=\x00-\x1f]|^[ #]| $')
_NOT_IN_STEPS = re.compile(r"[/\x00-\x1f\x7f]+")
_NOT_IN_ADDRESSES = re.compile(r"[^a-z0-9._'-]+")


def parent(name: str) -> str:
    """The place a place or group stands in: of a path all but its last step, else what follows the first unescaped comma."""
    if name.startswith(STEP):
        return name.rpartition(STEP)[0]
    escaped = False
    for position, character in enumerate(name):
        if character == "," and not escaped:
            return name[position + 1 :].strip()
        escaped = character == "\\" and not escaped
    return ""


def plain(name: str) -> str:
    """A place or group as it is compared: whatever its case, without blanks around what stands between its steps."""
    mark = STEP if name.startswith(STEP) else ","
    return mark.join(part.strip() for part in name.split(mark)).casefold().rstrip(STEP)


def lies_in(name: str, place: str) -> bool:
    """Whether a place or group is this place or stands below it, both as plain() spells them."""
    if name.startswith(STEP) or place.startswith(STEP):
        return f"{name}{STEP}".startswith(f"{place}{STEP}")
    return f",{name}".endswith(f",{place}")


def escaping(template: str) -> str:
    """By its name in ESCAPES, what makes a value of the roster safe inside a place or group that is written like this."""
    if template.lstrip().startswith(STEP):
        return "step_part"
    return "address_part" if "@" in template and "=" not in template else "dn_part"


def escape_dn(value: str) -> str:
    """The value as it may stand inside a DN (RFC 4514): nothing in it can begin another RDN."""
    return _DN_SPECIAL.sub(lambda found: f"\\{ord(found[0]):02X}" if found[0] < " " else f"\\{found[0]}", value)


def escape_step(value: str) -> str:
    """The value as it may stand in one step of a path: there is no way to write a slash there, so it becomes a hyphen."""
    return _NOT_IN_STEPS.sub("-", value).strip()


def escape_address(value: str) -> str:
    """The value as it may stand in an address: small letters without accents; a run of anything else becomes one hyphen."""
    return _NOT_IN_ADDRESSES.sub("-", anyascii(value).lower()).strip(".-")


ESCAPES: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {"dn_part": escape_dn, "step_part": escape_step, "address_part": escape_address}
)
"""What keeps a value of the roster from beginning another step, by the name that compiled mappings call it by."""
