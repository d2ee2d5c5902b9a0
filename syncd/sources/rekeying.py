"""Spools under another state key: written anew beside the old ones, block by block, and put in their place.

What a spool says stays what it was, its name and its shared files too; only offsets move. Claim facts that can be opened are put
under the new key with it. Digits cannot: whether a roster tells the same but for the key is seen by looking past them (`Blind`).
"""

from __future__ import annotations

import json
import re
import shutil
import zlib
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path

from syncd.core.model import SourceName
from syncd.errors import EndpointError
from syncd.sources.spool import HEAD, Readable, Spool, create, head_bound_to, open_spool, settle, stored, sync_folder
from syncd.sources.spool_table import INDEX, VALUES, Block, File, Row, Table, bound_to, packed, share
from syncd.vault import Rekeying

STAGED, FORMER = ".next", ".last"
"""Folders beside those of the sources: what waits to take their place, and what was there before."""

_BORN = re.compile(r"i1:[0-9a-f]{8}:[0-9a-f]+ s1:[0-9a-f]{8}:[0-9a-f]+")
_DIGITS = re.compile(r"t1:[0-9a-f]{8}:[0-9a-f]+")
_OFFSET = 0xFFFFFFFF
_Place = tuple[str, str]  # of a file of rows: the spool that wrote it, and its name there


class Blind:
    """A spool, read as if nobody's digits were known: equal for rosters that tell the same under two keys."""

    def __init__(self, spool: Readable) -> None:
        self._spool = spool

    @property
    def id(self) -> str:
        """The name of the spool."""
        return self._spool.id

    @property
    def source(self) -> SourceName:
        """Whose it is."""
        return self._spool.source

    def columns(self, name: str) -> tuple[str, ...]:
        """As the spool has them."""
        return self._spool.columns(name)

    def rows(self, name: str) -> Iterator[Row]:
        """As the spool has them, but for digits: that there are some is all that is told."""
        for line, row in self._spool.rows(name):
            yield line, ["t1" if cell[:3] == "t1:" and _DIGITS.fullmatch(cell) else cell for cell in row]


def sources_in(folder: Path) -> list[SourceName]:
    """Every source that has a folder of spools, configured or not."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(SourceName(path.name) for path in found if path.is_dir() and path.name[:1] != ".")


def stage(folder: Path, keys: Rekeying) -> dict[SourceName, list[str]]:
    """Write every spool anew under the new key, beside the old ones; the names of those that could be, by source.

    One that cannot be read under the old key can be read by nobody, and is left behind.
    """
    clear(folder)
    staged = folder / STAGED
    written: dict[SourceName, list[str]] = {}
    for source in sources_in(folder):
        home = staged / source
        home.mkdir(mode=0o700, parents=True)
        staged.chmod(0o700)
        written[source] = _Home(source, folder, home, keys).write()
        sync_folder(home)
    if written:
        sync_folder(staged)
        sync_folder(folder)
    return written


def take_over(folder: Path) -> None:
    """Put what is staged in the place of what was there, whatever of that has been done already."""
    former, staged = folder / FORMER, folder / STAGED
    for path in sorted(staged.iterdir()) if staged.is_dir() else ():
        former.mkdir(mode=0o700, exist_ok=True)
        if (folder / path.name).exists():
            (folder / path.name).rename(former / path.name)
        path.rename(folder / path.name)
    if folder.is_dir():
        sync_folder(folder)
    clear(folder)


def clear(folder: Path) -> None:
    """Delete what an unfinished rotation left, which nobody counts on."""
    for name in (STAGED, FORMER):
        if (folder / name).exists():
            shutil.rmtree(folder / name)


class _Home:
    """The spools of one source, on their way from one folder to another."""

    def __init__(self, source: SourceName, folder: Path, home: Path, keys: Rekeying) -> None:
        self._source = source
        self._home = home
        self._keys = keys
        self._spools = [spool for name in stored(folder, source) if (spool := self._opened(folder, name)) is not None]
        self._folder = folder / source
        self._moved: dict[_Place, dict[int, tuple[int, int]]] = {}  # new offset and length, by the old offset
        self._written: dict[_Place, Path] = {}

    def _opened(self, folder: Path, name: str) -> Spool | None:
        """The spool, with the lists of its blocks read; None where it cannot be."""
        try:
            spool = open_spool(folder, self._source, name, self._keys.old)
            for table in _tables(spool):
                table.blocks()
        except (EndpointError, OSError):
            return None
        return spool

    def write(self) -> list[str]:
        """Every spool that is whole; their names."""
        live = self._live()
        return [spool.id for spool in self._spools if self._wrote(spool, self._home / spool.id, live)]

    def _wrote(self, spool: Spool, here: Path, live: Mapping[_Place, Mapping[int, int]]) -> bool:
        """Whether a spool could be written; of one that is damaged nothing is left."""
        here.mkdir(mode=0o700)
        try:
            for table in _tables(spool):
                for file in table.files:
                    self._file(table, file, here, live[file.origin, file.name])
                blocks = b"".join(packed(self._in_place(table, block)) for block in table.blocks())
                context = bound_to(self._source, spool.id, table.listed, 0)
                _put(here / table.listed, self._keys.new.seal(blocks, context))
            sealed = (self._folder / spool.id / HEAD).read_bytes()
            _put(here / HEAD, self._keys.resealed(sealed, head_bound_to(self._source, spool.id)))
        except (EndpointError, FileNotFoundError):
            self._written = {place: path for place, path in self._written.items() if path.parent != here}
            shutil.rmtree(here)
            return False
        sync_folder(here)
        return True

    def _live(self) -> dict[_Place, dict[int, int]]:
        """The blocks that some spool still has, by the file they lie in: offset and length."""
        found: dict[_Place, dict[int, int]] = {}
        for spool in self._spools:
            for table in _tables(spool):
                for file in table.files:
                    found.setdefault((file.origin, file.name), {})
                for block in table.blocks():
                    if block.length:
                        file = table.files[block.file]
                        found[file.origin, file.name][block.offset] = block.length
        return found

    def _file(self, table: Table, file: File, here: Path, live: Mapping[int, int]) -> None:
        """One file of rows and its indexes, for this spool: written once, and linked for every other that shares it."""
        place, target = (file.origin, file.name), file.path(here, table.spool)
        if place in self._written:
            for suffix in (".rows", INDEX, VALUES):
                there = self._written[place].with_suffix(suffix)
                if there.exists():
                    share(there, target.with_suffix(suffix))
            return
        source = file.path(table.folder, table.spool)
        moved = self._moved[place] = {}
        with source.open("rb") as old, create(target) as new:
            for offset, length in sorted(live.items()):
                old.seek(offset)
                context = bound_to(self._source, file.origin, file.name, offset)
                plain = self._rows(zlib.decompress(self._keys.old.open(old.read(length), context)))
                at = new.tell()
                sealed = self._keys.new.seal(zlib.compress(plain, 1), bound_to(self._source, file.origin, file.name, at))
                moved[offset] = at, new.write(sealed)
            settle(new)
        for suffix in (INDEX, VALUES):
            index = source.with_suffix(suffix)
            if index.exists():
                context = bound_to(self._source, file.origin, file.beside(suffix), 0)
                entries = array("Q")
                entries.frombytes(self._keys.old.open(index.read_bytes(), context))
                kept = sorted(entry >> 32 << 32 | moved[entry & _OFFSET][0] for entry in entries if entry & _OFFSET in moved)
                _put(target.with_suffix(suffix), self._keys.new.seal(array("Q", kept).tobytes(), context))
        self._written[place] = target

    def _in_place(self, table: Table, block: Block) -> Block:
        if not block.length:
            return block
        file = table.files[block.file]
        offset, length = self._moved[file.origin, file.name][block.offset]
        return block._replace(offset=offset, length=length)

    def _rows(self, plain: bytes) -> bytes:
        """The rows of a block, whose claim facts that can be opened are under the new key: each is bound to the key of its row."""
        if b" s1:" not in plain:
            return plain
        rows = json.loads(plain)
        for _, row in rows:
            for place, cell in enumerate(row):
                if cell[:3] == "i1:" and _BORN.fullmatch(cell):
                    row[place] = self._keys.fact(cell, source=self._source, key=row[0], fact="birth_date") or cell
        return json.dumps(rows, separators=(",", ":")).encode("ascii")


def _tables(spool: Spool) -> list[Table]:
    return [table for name in spool.counts if (table := spool.kept(name)) is not None]


def _put(path: Path, sealed: bytes) -> None:
    with create(path) as file:
        file.write(sealed)
        settle(file)
