"""Whether a table says what it said last time, found out while its bytes stream by.

A roster system writes its files anew every night, with other quotes and in another order, though nothing changed. `InOrder` sees
through the quotes and costs next to nothing; `RowSum` sees through the order as well, by adding up a keyed digest of every row.
For it, what is no plain table (a quoted line break, an encoding other than one byte or UTF-8) is known by its bytes alone. Neither
says which row is different: whoever finds a table that differs reads it.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Callable, Iterator

_LONGEST = 4 * 1024 * 1024  # bytes of a line: what has longer ones is no table
_RING = 1 << 128  # digests of rows are summed in this ring, never XORed: two equal rows would cancel
# A cell in quotes that needs none: not empty, so that no half of a doubled quote is taken for one. The quote before it can only
# be an opening one: a closing quote is followed by a comma or a line end, a doubled one by its other half.
_NEEDLESS = re.compile(rb'(?<![^,\n])"([^",\r\n]+)"(?=[,\r\n]|\Z)')


class InOrder:
    """Takes the bytes of one comma-separated table block by block, and tells equal ones by their rows in order."""

    def __init__(self) -> None:
        self._digest = hashlib.blake2b(digest_size=32)
        self._rest = b""
        self._plain = True

    def feed(self, block: bytes) -> None:
        """The next bytes of the table, as many as there are."""
        if not self._plain:
            return
        cut = block.rfind(b"\n") + 1
        if cut:
            self._take(self._rest + block[:cut])
            self._rest = block[cut:]
        else:
            self._rest += block
        self._plain = len(self._rest) <= _LONGEST

    def _take(self, lines: bytes) -> None:
        self._digest.update(_NEEDLESS.sub(rb"\1", lines) if b'"' in lines else lines)

    def told(self) -> str:
        """Equal for equal rows in the same order, whichever of their cells have quotes; "" where a line is too long for a table.

        To be called when all bytes were fed.
        """
        if not self._plain:
            return ""
        self._take(self._rest)
        self._rest = b""
        return self._digest.hexdigest()


class RowSum:
    """Takes the bytes of one table block by block. `digest` is keyed: what lies at rest tells nothing about a row (R23)."""

    def __init__(self, digest: Callable[[bytes], int]) -> None:
        self._digest = digest
        self._rest = b""
        self._header: bytes | None = None
        self._rows = 0
        self._sum = 0
        self._plain = True

    def feed(self, block: bytes) -> None:
        """The next bytes of the table, as many as there are."""
        if not self._plain:
            return
        lines = (self._rest + block).replace(b"\r\n", b"\n").split(b"\n")
        self._rest = lines.pop()
        self._plain = len(self._rest) <= _LONGEST
        if self._header is None and lines:
            self._header = lines.pop(0)
        if lines:
            self._add(lines, quoted=b'"' in block or b'"' in lines[0])

    def _add(self, lines: list[bytes], *, quoted: bool) -> None:
        self._rows += len(lines)
        try:
            self._sum += sum(map(self._digest, self._unquoted(lines) if quoted else lines))
        except csv.Error:  # whoever reads the table says what is wrong with it, and where
            self._plain = False

    def _unquoted(self, lines: list[bytes]) -> Iterator[bytes]:
        """The rows of these lines, each without the quotes it does not need."""
        if any(line.count(b'"') % 2 for line in lines):
            self._plain = False  # a cell goes on in the next line
            return
        for cells in csv.reader((line.decode("latin-1") for line in lines), strict=True):
            joined = ",".join(cells)
            bare = joined.count(",") < max(len(cells), 1) and '"' not in joined
            yield joined.encode("latin-1") if bare else b"\0" + "\x1f".join(cells).encode("latin-1")

    def told(self) -> str:
        """Header, number and sum of the rows; "" where the table is not plain. To be called when all bytes were fed."""
        if self._rest:
            last, self._rest = self._rest, b""
            self._add([last.removesuffix(b"\r")], quoted=b'"' in last)
        if not self._plain or self._header is None:
            return ""
        return f"{self._digest(self._header):032x} {self._rows} {self._sum % _RING:032x}"
