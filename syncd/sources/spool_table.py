"""The rows of one spooled table on disk: sealed blocks in a few files, the list of them, and who is told of in which.

A block is a fixed number of lines of the file that was read. A spool may keep blocks of an earlier one (its files are linked, not
copied) and add a file with those that differ: what a changed roster costs is what changed in it. Rows know their line from the
start of their block, so that a line put in above moves nobody.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from syncd.sources.profiles import Counts, Look, Tally
from syncd.sources.sameness import LINES, Mark
from syncd.vault import Vault

LEAST_BYTES = 28  # nonce and tag: nothing sealed is shorter
_PACKED = struct.Struct("<HQIQHHI16s16s")  # a block: 62 bytes
_INDEXED_BYTES = 1 << 32  # places beyond are not indexed: a table of 4 GiB, sealed, is read whole

Row = tuple[int, list[str]]
Keys = Callable[[Sequence[str]], Iterable[int]]
"""What a row is found by: `crc` of each text."""


def crc(text: str, kind: int = 0) -> int:
    """What the index knows of a text; `kind` keeps apart what is told of different things. Two texts may share it."""
    return zlib.crc32(text.encode("utf-8", "surrogatepass"), kind)


class Block(NamedTuple):
    """One sealed block: where it lies, and which lines of the file that was read it stands for."""

    file: int
    offset: int
    length: int  # in bytes; 0 where none of its lines is a row
    line: int  # of its first line
    lines: int
    rows: int
    mark: Mark | None


class File(NamedTuple):
    """One file of rows: the spool that wrote it, its name there, and the second it was written."""

    origin: str
    name: str
    written: float

    def beside(self, suffix: str) -> str:
        """The name of an index beside it."""
        return Path(self.name).with_suffix(suffix).name

    def path(self, folder: Path, spool: str) -> Path:
        """Where the spool has it."""
        return folder / (self.name if self.origin == spool else f"{self.origin}~{self.name}")


class Said(NamedTuple):
    """What a table says, by digests (`sameness`): its rows in their order, its header, its rows in any order. "" is not known."""

    in_order: str = ""
    header: str = ""
    rows: str = ""


UNKNOWN = Said()


INDEX, VALUES = ".index", ".values"
"""What lies beside the rows: who is told of in which block, and which block holds which value that people are recognised by."""


class CutOff(Exception):  # noqa: N818 — says what it is
    """A file of rows is shorter than its list of blocks says."""


@dataclass(slots=True)
class Table:
    """One table of a stored spool. OSError and CutOff are for the caller to word."""

    name: str
    columns: tuple[str, ...]
    files: tuple[File, ...]
    source: str
    spool: str
    folder: Path
    vault: Vault = field(repr=False)
    number: int = 0
    rows: int = 0
    indexed: bool = True
    said: Said = UNKNOWN
    look: Look | None = None
    counts: Counts | None = None
    _blocks: list[Block] | None = None

    @property
    def listed(self) -> str:
        """The name of the file with the list of its blocks."""
        return f"{self.number}.blocks"

    def blocks(self) -> list[Block]:
        """The list of its blocks, in the order of their lines."""
        if self._blocks is None:
            sealed = (self.folder / self.listed).read_bytes()
            _check(sealed, LEAST_BYTES)
            plain = self.vault.open(sealed, _context(self.source, self.spool, self.listed, 0))
            self._blocks = [_unpacked(*told) for told in _PACKED.iter_unpack(plain)]
        return self._blocks

    def every(self) -> Iterator[Row]:
        """Every row with its line."""
        return self.of(self.blocks())

    def of(self, blocks: Iterable[Block]) -> Iterator[Row]:
        """The rows of these blocks."""
        opened: dict[int, BinaryIO] = {}
        try:
            for block in blocks:
                if not block.length:
                    continue
                file = opened.get(block.file)
                if file is None:
                    file = opened[block.file] = self.files[block.file].path(self.folder, self.spool).open("rb")
                if file.tell() != block.offset:
                    file.seek(block.offset)
                yield from self._opened(block, file.read(block.length))
        finally:
            for file in opened.values():
                file.close()

    def found(self, keys: Collection[int]) -> list[Block]:
        """The blocks that may hold rows found by one of these; all of them where the table has no index."""
        return self._found(keys, INDEX) if self.indexed else self.blocks()

    def having(self, place: int, values: Collection[str]) -> Iterator[list[str]]:
        """The rows with one of these values in a place of `Look.keys`, and some of their neighbours."""
        for _, row in self.of(self._found({crc(value, place) for value in values}, VALUES)):
            yield row

    def _found(self, keys: Collection[int], suffix: str) -> list[Block]:
        live = {(block.file, block.offset): place for place, block in enumerate(self.blocks()) if block.length}
        if not live:
            return []
        hit: set[tuple[int, int]] = set()
        for number, file in enumerate(self.files):
            entries = self._index(file, suffix)
            for key in keys:
                place = bisect_left(entries, key << 32)
                while place < len(entries) and entries[place] >> 32 == key:
                    hit.add((number, entries[place] & 0xFFFFFFFF))
                    place += 1
        blocks = self.blocks()
        return [blocks[place] for place in sorted(live[one] for one in hit if one in live)]

    def _index(self, file: File, suffix: str) -> array[int]:
        sealed = file.path(self.folder, self.spool).with_suffix(suffix).read_bytes()
        _check(sealed, LEAST_BYTES)
        entries = array("Q")
        entries.frombytes(self.vault.open(sealed, _context(self.source, file.origin, file.beside(suffix), 0)))
        return entries

    def _opened(self, block: Block, sealed: bytes) -> Iterator[Row]:
        _check(sealed, max(block.length, LEAST_BYTES))
        file = self.files[block.file]
        plain = zlib.decompress(self.vault.open(sealed, _context(self.source, file.origin, file.name, block.offset)))
        first = block.line
        for line, row in json.loads(plain):
            yield first + line, row


class Writer:
    """Takes the rows of one table, in the order of their lines, or blocks of an earlier spool as they are."""

    def __init__(
        self,
        table: Table,
        file: BinaryIO,
        keys: Keys | None = None,
        marks: Sequence[Mark] = (),
        tally: Tally | None = None,
    ) -> None:
        self._table = table
        self._file = file
        self._keys = keys
        self._places = table.look.keys if keys is not None and table.look is not None else ()
        self._marks = marks
        self._tally = tally
        self._number = len(table.files) - 1
        self._name = table.files[-1].name
        self._origin = table.files[-1].origin
        self._entries = array("Q")
        self._values = array("Q")
        self._pending: list[tuple[int, Sequence[str]]] = []
        self._offset = 0
        self.blocks: list[Block] = []
        self.rows = 0

    def write(self, row: Sequence[str], line: int) -> None:
        """Add one row; it reaches the disk with its block."""
        pending = self._pending
        if self._marks:
            if line >= 2 + LINES * (len(self.blocks) + 1):  # 1 is the header
                self._marked(line)
        elif len(pending) >= LINES:
            self.flush()
        pending.append((line, row))

    def _marked(self, line: int) -> None:
        """End the blocks before this line; one may be without rows."""
        while len(self.blocks) < min((line - 2) // LINES, len(self._marks)):
            number = len(self.blocks)
            self.put(self._pending, 2 + LINES * number, self._marks[number])
            self._pending.clear()

    def flush(self) -> None:
        """Seal and write what is pending."""
        if self._marks:
            self._marked(2 + LINES * len(self._marks))
        elif self._pending:
            self.put(self._pending, min(line for line, _ in self._pending), None)
            self._pending.clear()

    def keep(self, block: Block, line: int) -> None:
        """A block of the earlier spool, whose first line is this one now."""
        self.blocks.append(block if block.line == line else block._replace(line=line))
        self.rows += block.rows

    def put(self, rows: Sequence[tuple[int, Sequence[str]]], first: int, mark: Mark | None) -> None:
        """A new block, which begins with line `first`."""
        offset, length = self._offset, 0
        if rows:
            if self._tally is not None:
                self._tally.add(rows)
            plain = json.dumps([(line - first, row) for line, row in rows], separators=(",", ":")).encode("ascii")
            sealed = self._table.vault.seal(zlib.compress(plain, 1), _context(self._table.source, self._origin, self._name, offset))
            length = self._file.write(sealed)
            if self._keys is not None and offset < _INDEXED_BYTES:
                keys = self._keys
                self._entries.extend({key << 32 | offset for _, row in rows for key in keys(row)})
                for place in self._places:
                    told = [row[place].encode() for _, row in rows if row[place]]
                    self._values.extend([zlib.crc32(one, place) << 32 | offset for one in told])  # as `crc` does, without its calls
        self.blocks.append(Block(self._number, offset, length, first, mark.lines if mark else 0, len(rows), mark))
        self._offset += length
        self.rows += len(rows)

    @property
    def wrote(self) -> bool:
        """Whether there is any new block with rows."""
        return self._offset > 0

    @property
    def indexed(self) -> bool:
        """Whether what was written can be found by its keys."""
        return self._keys is not None and self._offset < _INDEXED_BYTES

    def indexes(self) -> Iterator[tuple[str, bytes]]:
        """The sealed indexes of what was written here, each with its name."""
        for suffix, entries in ((INDEX, self._entries), (VALUES, self._values)):
            if suffix == INDEX or self._places:
                name = self._table.files[-1].beside(suffix)
                plain = array("Q", sorted(entries)).tobytes()
                yield name, self._table.vault.seal(plain, _context(self._table.source, self._origin, name, 0))

    def list(self) -> bytes:
        """The sealed list of all blocks."""
        plain = b"".join(map(_packed, self.blocks))
        return self._table.vault.seal(plain, _context(self._table.source, self._table.spool, self._table.listed, 0))


def link(table: Table, folder: Path, spool: str) -> None:
    """The files of an earlier spool's table, in the folder of another as well; copied where the disk knows no links."""
    for file in table.files:
        for suffix in (".rows", INDEX, VALUES):
            there = file.path(table.folder, table.spool).with_suffix(suffix)
            here = file.path(folder, spool).with_suffix(suffix)
            if suffix != ".rows" and not there.exists():
                continue
            try:
                os.link(there, here)
            except OSError:
                shutil.copy(there, here)
                with here.open("rb") as copied:
                    os.fsync(copied.fileno())


def _packed(block: Block) -> bytes:
    mark = block.mark or Mark(0, 0, b"", 0)
    return _PACKED.pack(*block[:6], mark.first, mark.digest, mark.total.to_bytes(16, "big"))


def _unpacked(
    file: int, offset: int, length: int, line: int, lines: int, rows: int, first: int, digest: bytes, total: bytes
) -> Block:
    mark = Mark(lines, first, digest, int.from_bytes(total, "big")) if lines else None
    return Block(file, offset, length, line, lines, rows, mark)


def _check(sealed: bytes, least: int) -> None:
    if len(sealed) < least:
        raise CutOff


def _context(source: str, origin: str, name: str, offset: int) -> str:
    """Binds what is sealed to its place: nothing can be swapped between spools, tables or positions unnoticed."""
    return f"spool {source}/{origin}/{name}/{offset}"
