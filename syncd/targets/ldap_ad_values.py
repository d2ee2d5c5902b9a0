"""Attributes of Active Directory that hold bytes: as a mapping spells them, and back. Nothing of them is ever taken for text.

A permanent id and a security identifier are told as Microsoft's tools write them, everything else in Base64, as LDIF does.
"""

from __future__ import annotations

import base64
import binascii
import struct
import uuid
from collections.abc import Callable
from contextlib import suppress

from syncd.core.model import NativeId
from syncd.errors import ChangeError

_GUIDS, _SIDS = frozenset({"objectguid"}), frozenset({"objectsid", "sidhistory", "securityidentifier"})
BINARY = (
    _GUIDS
    | _SIDS
    | {"thumbnailphoto", "thumbnaillogo", "jpegphoto", "photo", "audio", "logonhours", "ms-ds-consistencyguid", "msexchmailboxguid"}
    | {"usercertificate", "usersmimecertificate", "userpkcs12", "x500uniqueidentifier"}
)
"""In lower case: those of the syntaxes String(Octet) and String(Sid), [MS-ADTS] 3.1.1.2.2.2, that say something of a person."""


def told(attribute: str, value: bytes) -> str:
    """The value as a mapping spells it; the attribute is one of BINARY."""
    if attribute in _GUIDS and len(value) == len(uuid.NAMESPACE_DNS.bytes):
        return native_id(value)
    if attribute in _SIDS:
        with suppress(IndexError, struct.error):  # no SID after all: told like anything else
            if _sid(text := sid_text(value)) == value:
                return text
    return base64.b64encode(value).decode()


def sent(attribute: str, value: str) -> bytes:
    """The bytes of a value as a mapping spells it; the attribute is one of BINARY. Raises ChangeError for what spells none."""
    kind: str
    read: Callable[[str], bytes]
    if attribute in _GUIDS:
        kind, read = "a GUID", lambda text: uuid.UUID(text).bytes_le
    elif attribute in _SIDS:
        kind, read = "a SID", _sid
    else:
        kind, read = "Base64", lambda text: base64.b64decode("".join(text.split()), validate=True)
    try:
        return read(value)
    except (ValueError, binascii.Error, struct.error) as error:
        why = f"{attribute} holds bytes, which are written as {kind}: {value[:40]!r} is not"
        raise ChangeError("invalid value", why) from error


def native_id(value: bytes) -> NativeId:
    """An objectGUID as Microsoft's tools write it: its first three parts are little-endian ([MS-DTYP] 2.3.4.2)."""
    return NativeId(str(uuid.UUID(bytes_le=value)))


def sid_text(sid: bytes) -> str:
    """A security identifier as people write it: [MS-DTYP] 2.4.2.1 and 2.4.2.2."""
    count = sid[1]
    parts = struct.unpack_from(f"<{count}I", sid, 8)
    return "-".join(map(str, ("S", sid[0], int.from_bytes(sid[2:8], "big"), *parts)))


def _sid(text: str) -> bytes:
    letter, *numbers = text.split("-")
    if letter.upper() != "S" or len(numbers) < 2:  # noqa: PLR2004 — revision and authority
        raise ValueError(text)
    revision, authority, *parts = map(int, numbers)
    return struct.pack("BB", revision, len(parts)) + authority.to_bytes(6, "big") + struct.pack(f"<{len(parts)}I", *parts)
