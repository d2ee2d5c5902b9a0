"""Whether a table says what it said last time, found out while its bytes stream by; and where it does not.

A roster system writes its files anew every night, with other quotes and in another order, though nothing changed. `InOrder` sees
through the quotes and costs next to nothing. `RowSum` sees through the order as well, by adding up a keyed digest of every row, and
leaves a mark of every few lines, by which `lockstep` finds the lines that differ. For it, what is no plain table (a quoted line
break, an encoding other than one byte or UTF-8) is known by its bytes alone.
"""

from __future__ import annotations

import csv
import hashlib
import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

LINES = 32
"""Lines under one mark. Fewer cost more per line, more are read anew for one that differs."""

LONGEST = 4 * 1024 * 1024
"""Bytes of a line: what has longer ones is no table."""

_RING = 1 << 128  # digests of rows are summed in this ring, never XORed: two equal rows would cancel


class Mark(NamedTuple):
    """What some lines said."""

    lines: int
    first: int  # a checksum of the first of them
    digest: bytes  # of all of them in their order
    total: int  # what they add to the sum of the rows


def bare(lines: bytes) -> list[bytes]:
    """The lines up to the first that is no row by itself, each written with no quotes but those it needs.

    Whoever reads such a line gets the same cells as from the one it stands for: equal cells are equal lines, and nothing goes on
    from one line to the next. Line ends are single bytes here.
    """
    found = lines.split(b"\n")
    if b'"' not in lines:
        return found
    plain = _all_quoted(lines, len(found))
    if plain is not None:
        return plain.split(b"\n")
    quoted = [number for number, line in enumerate(found) if b'"' in line]
    try:
        rows = _rows([found[number] for number in quoted])
        whole = len(found)
    except csv.Error:
        rows = []
        for number in quoted:  # one of them is no row; those before it are
            try:
                rows += _rows([found[number]])
            except csv.Error:
                break
        whole = quoted[len(rows)]
    for number, cells in zip(quoted, rows, strict=False):
        joined = ",".join(cells)
        if not joined or '"' in joined or joined.count(",") >= len(cells):
            joined = ",".join(map(_written, cells)) or '""'
        found[number] = joined.encode("latin-1")
    return found[:whole]


def _written(cell: str) -> str:
    """A cell with the quotes it needs."""
    return '"' + cell.replace('"', '""') + '"' if '"' in cell or "," in cell else cell


def _all_quoted(lines: bytes, count: int) -> bytes | None:
    """The lines without quotes, if every cell has quotes around it and no comma or quote in it."""
    within = lines.replace(b'","', b",")
    commas = lines.count(b",")
    if (
        commas
        and len(lines) - len(within) == 2 * commas  # every comma was between two quotes,
        and within.count(b'"') == 2 * count  # the others are first and last in their lines
        and within[:1] + within[-1:] == b'""'
        and within.count(b'"\n"') == count - 1
    ):
        return within.replace(b'"', b"")
    return None


def _rows(lines: Sequence[bytes]) -> list[list[str]]:
    """The cells of lines that are rows. Raises csv.Error where one is none."""
    rows = list(csv.reader((line.decode("latin-1") for line in lines), strict=True))
    if len(rows) != len(lines):
        raise csv.Error("a row goes on in the next line")
    return rows


def mark(lines: Sequence[bytes], digest: Callable[[bytes], int]) -> Mark:
    """The mark of lines that are `bare`."""
    return Mark(len(lines), checksum(lines[0]), together(lines), sum(map(digest, lines)) % _RING)


def checksum(line: bytes) -> int:
    """What a mark knows of its first line. Two lines may share it."""
    return zlib.crc32(line)


def together(lines: Sequence[bytes]) -> bytes:
    """What a mark knows of all its lines in their order."""
    return hashlib.blake2b(b"\n".join(lines), digest_size=16).digest()


class _Fed:
    """Takes the bytes of one comma-separated table block by block, and deals with whole lines of it, their ends single bytes."""

    def __init__(self) -> None:
        self._rest = b""
        self._plain = True

    def feed(self, block: bytes) -> None:
        """The next bytes of the table, as many as there are."""
        if not self._plain:
            return
        lines, found, self._rest = (self._rest + block).replace(b"\r\n", b"\n").rpartition(b"\n")
        self._plain = len(self._rest) <= LONGEST
        if found:
            self._take(lines)

    def _take(self, lines: bytes) -> None:
        raise NotImplementedError


class InOrder(_Fed):
    """Tells equal tables by their rows in order."""

    def __init__(self) -> None:
        super().__init__()
        self._digest = hashlib.blake2b(digest_size=32)
        self._bare = True

    def _take(self, lines: bytes) -> None:
        """Lines without their last end. From the first that is no row by itself, quotes say where rows end: all of them count."""
        if self._bare and b'"' in lines:
            found = bare(lines)
            self._bare = len(found) > lines.count(b"\n")
            rest = [] if self._bare else lines.split(b"\n")[len(found) :]
            lines = b"\n".join(found + rest)
        self._digest.update(lines)
        self._digest.update(b"\n")

    def told(self) -> str:
        """Equal for equal rows in the same order, whichever of their cells have quotes; "" where a line is too long for a table.

        To be called when all bytes were fed.
        """
        if not self._plain:
            return ""
        self._take(self._rest)
        self._rest = b""
        return self._digest.hexdigest()


class RowSum(_Fed):
    """Tells equal tables by the sum of their rows. `digest` is keyed: what lies at rest tells nothing about a row (R23)."""

    def __init__(self, digest: Callable[[bytes], int]) -> None:
        super().__init__()
        self._digest = digest
        self._header: bytes | None = None
        self._pending: list[bytes] = []
        self._marks: list[Mark] = []

    def _take(self, lines: bytes) -> None:
        """Lines without their last end."""
        told = bare(lines)
        if b"\r" in lines or len(told) <= lines.count(b"\n"):
            self._plain = False  # a row and a line are not the same
            return
        if self._header is None:
            self._header = told.pop(0)
        self._pending += told
        whole = len(self._pending) // LINES * LINES
        for start in range(0, whole, LINES):
            self._mark(self._pending[start : start + LINES])
        del self._pending[:whole]

    def _mark(self, lines: list[bytes]) -> None:
        self._marks.append(mark(lines, self._digest))

    def told(self) -> str:
        """Header, number and sum of the rows; "" where the table is not plain. To be called when all bytes were fed."""
        last, self._rest = self._rest.removesuffix(b"\r"), b""
        if last and self._plain:
            self._take(last)
        if self._pending:
            self._mark(self._pending)
            self._pending = []
        header = self.header()
        return said(header, self._marks) if header else ""

    def header(self) -> str:
        """What the first line said; "" where the table is not plain."""
        return f"{self._digest(self._header):032x}" if self._plain and self._header is not None else ""

    def marks(self) -> list[Mark]:
        """The marks of the lines below the header, `LINES` of them under each but the last; none where the table is not plain."""
        return self._marks if self._plain else []


def said(header: str, marks: Sequence[Mark]) -> str:
    """What `RowSum.told` says of a table with this header and these marks."""
    return f"{header} {sum(one.lines for one in marks)} {sum(one.total for one in marks) % _RING:032x}"
