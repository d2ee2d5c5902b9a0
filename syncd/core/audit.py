"""The audit chain (R24): what each entry commits to, and how it hangs on the one before. Pure.

An entry commits to the SHA-256 of what was written, never to the words themselves: contents that are destroyed leave the chain as
it was. What is sealed is committed to in its sealed form, whose random nonce goes with it, so that nothing can be guessed from a
commitment that remains.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

GENESIS = bytes(32)
"""What the first entry hangs on."""

_SEPARATOR = b"\x1f"
Cell = str | int | bytes | None


def digest(contents: bytes) -> bytes:
    """What is committed to in the contents' place: 32 bytes."""
    return hashlib.sha256(contents).digest()


def of_rows(rows: Iterable[Iterable[Cell]]) -> bytes:
    """One digest over rows, in their order: altering, taking away, adding or exchanging any of them alters it."""
    whole = hashlib.sha256()
    for row in rows:
        line = _SEPARATOR.join(map(_cell, row))
        whole.update(len(line).to_bytes(4, "big") + line)
    return whole.digest()


def link(before: bytes, *row: Cell) -> bytes:
    """The head of the chain once an entry hangs on the one whose head was `before`."""
    return hashlib.sha256(before + of_rows([row])).digest()


def _cell(value: Cell) -> bytes:
    """A cell, spelled so that no two rows spell alike: its kind, its length and what it holds."""
    match value:
        case None:
            return b"-"
        case bytes():
            return b"b%d:" % len(value) + value
        case int():
            return b"i%d" % value
        case str():
            encoded = value.encode()
            return b"s%d:" % len(encoded) + encoded
