"""Where a table differs from what it was: the blocks of the last spool and the lines of the new file, side by side.

Blocks that say the same are passed over by one digest each, wherever the lines above them have moved them. Between two of these lie
the lines that differ. Where the two cannot be brought into step again soon, the table is another one, and is read whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from syncd.sources.sameness import LONGEST, bare, checksum, together
from syncd.sources.spool_table import Block

_BUFFER = 1024 * 1024
_REACHES = (4, 32, 256)  # blocks looked at, in turn, to find the next that says the same
_FEW = 20_000  # lines that may differ, with those beside them in their blocks, however small the table;
_SHARE = 8  # of a larger one, one in so many


class Lost(Exception):  # noqa: N818 — says what happened
    """The differences cannot be told: whoever wants to know reads the whole file."""


class Piece(NamedTuple):
    """Either one block that says the same (`lines` is None), or lines that stand where these blocks stood."""

    first: int  # of the blocks
    end: int
    line: int  # of the new file, where it begins
    lines: list[bytes] | None


class _Lines:
    """The lines of a file, without needless quotes, as many ahead as are asked for."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rest = b""
        self._held: list[bytes] = []
        self._place = 0
        self._ended = False

    def ahead(self, count: int) -> list[bytes]:
        """The next lines; fewer only at the end."""
        while len(self._held) - self._place < count and not self._ended:
            self._read()
        return self._held[self._place : self._place + count]

    def passed(self, count: int) -> None:
        """So many of them have been dealt with."""
        self._place += count

    def _read(self) -> None:
        block = self._file.read(_BUFFER)
        self._ended = not block
        lines, found, self._rest = (self._rest + block).replace(b"\r\n", b"\n").rpartition(b"\n")
        if self._ended and self._rest:
            lines, found, self._rest = (lines + found + self._rest).removesuffix(b"\r"), b"\n", b""
        if not found:
            if len(self._rest) > LONGEST:
                raise Lost
            return
        told = bare(lines)
        if b"\r" in lines or len(told) <= lines.count(b"\n"):
            raise Lost
        self._held = self._held[self._place :] + told
        self._place = 0


def header(file: BinaryIO) -> bytes:
    """The first line, without needless quotes. Raises Lost where it is no row."""
    (line,) = _Lines(file).ahead(1) or [b""]
    return line


def pieces(file: BinaryIO, blocks: Sequence[Block]) -> Iterator[Piece]:
    """The whole file below its header, in order, against blocks that all have marks. Raises Lost."""
    lines = _Lines(file)
    lines.ahead(1)
    lines.passed(1)
    line, place, differ = 2, 0, 0
    most = max(_FEW, sum(block.lines for block in blocks) // _SHARE)
    while place < len(blocks):
        if _says(blocks[place], lines.ahead(blocks[place].lines)):
            yield Piece(place, place + 1, line, None)
            end, count = place + 1, blocks[place].lines
        else:
            end, count = _in_step(lines, blocks, place)
            differ += max(count, sum(block.lines for block in blocks[place:end]))
            if differ > most:
                raise Lost
            yield Piece(place, end, line, lines.ahead(count))
        lines.passed(count)
        line += count
        place = end
    rest = lines.ahead(most - differ + 1)
    if len(rest) > most - differ:
        raise Lost
    if rest:
        yield Piece(place, place, line, rest)


def _in_step(lines: _Lines, blocks: Sequence[Block], place: int) -> tuple[int, int]:
    """The next block that says the same further on, and how many lines lie before it; or the ends of both."""
    for reach in _REACHES:
        candidates = blocks[place + 1 : place + reach]
        span = sum(block.lines for block in blocks[place : place + reach])
        ahead = lines.ahead(span + reach)
        firsts: dict[int, int] = {}
        for number, line in enumerate(ahead):
            firsts.setdefault(checksum(line), number)
        for number, block in enumerate(candidates, place + 1):
            start = firsts.get(block.mark.first) if block.mark else None
            if start is not None and _says(block, ahead[start : start + block.lines]):
                return number, start
        if place + reach >= len(blocks) and len(ahead) < span + reach:
            return len(blocks), len(ahead)
    raise Lost


def _says(block: Block, lines: list[bytes]) -> bool:
    mark = block.mark
    if mark is None:
        raise Lost
    return len(lines) == mark.lines and together(lines) == mark.digest
