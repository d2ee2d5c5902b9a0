"""A complete copy of what one source said, sealed on disk: what every run works from.

A spool appears under its name only when the source was read to its end (rename), is never altered afterwards, and is readable only
with the state key it was sealed under (R38). Rows are lists of text with the line they came from; what they mean is the source's
business. This module knows nothing of CSV, OneRoster or people.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from syncd.core.model import SourceName
from syncd.errors import EndpointError
from syncd.vault import Vault

FORMAT = 1
"""Raised when the layout on disk changes: a spool of another format is refused, never misread."""

_HEAD = "head"
_PARTIAL = ".partial-"
_CHUNK_ROWS = 4000
_LENGTH_BYTES = 4
_LEAST_BYTES = 28  # nonce and tag: nothing sealed is shorter
_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class _Table:
    columns: tuple[str, ...]
    file: str
    rows: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Spool:
    """One stored snapshot of one source.

    `content` identifies what was said: equal for files that say the same under an equal configuration. `read` identifies the bytes
    of the files, which for a delta file is less than the content; `in_order` the rows in their order, empty where nobody looked.
    `notes` are for people: what was not as it should be, though nothing was lost.
    """

    id: str
    source: SourceName
    content: str
    read: str
    in_order: str
    fetched_at: datetime
    notes: tuple[str, ...]
    _folder: Path = field(repr=False)
    _tables: Mapping[str, _Table] = field(repr=False)
    _vault: Vault = field(repr=False)

    @property
    def counts(self) -> dict[str, int]:
        """How many rows each table holds."""
        return {name: table.rows for name, table in self._tables.items()}

    def columns(self, name: str) -> tuple[str, ...]:
        """The columns of a table, in the order of its rows; none where the source had no such table."""
        table = self._tables.get(name)
        return table.columns if table else ()

    def rows(self, name: str) -> Iterator[tuple[int, list[str]]]:
        """Every row of a table with its line, in the order written. Raises EndpointError where the spool was altered or cut."""
        table = self._tables.get(name)
        if table is None:
            return
        try:
            with (self._folder / table.file).open("rb") as file:
                for chunk in range(table.chunks):
                    length = int.from_bytes(file.read(_LENGTH_BYTES), "big")
                    context = _context(self.source, self.id, table.file, chunk)
                    sealed = file.read(length)
                    if len(sealed) < max(length, _LEAST_BYTES):
                        raise _lost(self.source, self.id, f"{name} was cut off")
                    yield from map(tuple, json.loads(zlib.decompress(self._vault.open(sealed, context))))
        except OSError as error:
            raise _lost(self.source, self.id, error.strerror or str(error)) from error


class TableWriter:
    """Takes the rows of one table, in order."""

    def __init__(self, file: BinaryIO, name: str, vault: Vault, source: SourceName, spool: str) -> None:
        self._file = file
        self._name = name
        self._vault = vault
        self._source = source
        self._spool = spool
        self._pending: list[tuple[int, Sequence[str]]] = []
        self.rows = 0
        self.chunks = 0

    def write(self, row: Sequence[str], line: int) -> None:
        """Add one row; it reaches the disk with its chunk."""
        self._pending.append((line, row))
        if len(self._pending) >= _CHUNK_ROWS:
            self.flush()

    def flush(self) -> None:
        """Seal and write what is pending."""
        if not self._pending:
            return
        plain = json.dumps(self._pending, ensure_ascii=True, separators=(",", ":")).encode("ascii")
        sealed = self._vault.seal(zlib.compress(plain, 1), _context(self._source, self._spool, self._name, self.chunks))
        self._file.write(len(sealed).to_bytes(_LENGTH_BYTES, "big"))
        self._file.write(sealed)
        self.rows += len(self._pending)
        self.chunks += 1
        self._pending.clear()


class SpoolWriter:
    """What a source fills. `previous` is the last accepted spool of the same source, where there is one."""

    def __init__(self, source: SourceName, folder: Path, vault: Vault, previous: Spool | None, now: datetime) -> None:
        self.source = source
        self.previous = previous
        self.unchanged = False
        self._vault = vault
        self._now = now
        self._home = folder / _safe(source)
        self._id = _free_id(self._home, now)
        self._partial = self._home / f"{_PARTIAL}{self._id}"
        self._content = ""
        self._read = ""
        self._in_order = ""
        self._tables: dict[str, _Table] = {}
        self._notes: list[str] = []

    def is_known(self, read: str) -> bool:
        """Say which bytes were read (a digest). True means that the previous spool was made of these: nothing is to be done."""
        self._read = read
        self.unchanged = self.previous is not None and self.previous.read == read
        return self.unchanged

    def is_in_order(self, said: str) -> bool:
        """Say what was said in which order (a digest). True means that the previous spool was made of the same."""
        self._in_order = said
        self.unchanged = self.previous is not None and self.previous.in_order == said
        return self.unchanged

    def content(self, said: str, *, onto_previous: bool = False) -> bool:
        """Say what was said (a digest). True means that the previous spool already holds it: there is nothing to write.

        `onto_previous`: what was said is a delta, so that the content depends on the previous spool as well.
        """
        self._content = said
        if onto_previous and self.previous is not None:
            self._content = f"{said}+{self.previous.content[:32]}"
        else:
            self.unchanged = self.unchanged or (self.previous is not None and self.previous.content == said)
        return self.unchanged

    def note(self, text: str) -> None:
        """Keep a remark for people with the spool."""
        self._notes.append(text)

    @contextmanager
    def table(self, name: str, columns: Sequence[str]) -> Iterator[TableWriter]:
        """A new table of the spool. Several may be open at once; each name is written once."""
        if name in self._tables:
            raise ValueError(f"table {name} is already written")
        self._begin()
        stored = f"{len(self._tables)}.rows"
        self._tables[name] = _Table(tuple(columns), stored, 0, 0)
        with _create(self._partial / stored) as file:
            writer = TableWriter(file, stored, self._vault, self.source, self._id)
            yield writer
            writer.flush()
            file.flush()
            os.fsync(file.fileno())
        self._tables[name] = _Table(tuple(columns), stored, writer.rows, writer.chunks)

    def _begin(self) -> None:
        """Make the folders, each closed to everybody else."""
        for folder in (self._home.parent, self._home, self._partial):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def commit(self) -> Spool:
        """The finished spool, durable under its own name."""
        if not self._content:
            raise ValueError(f"source {self.source} never said what it read")
        self._begin()
        tables = {name: [table.columns, table.file, table.rows, table.chunks] for name, table in self._tables.items()}
        said = {"content": self._content, "read": self._read, "in_order": self._in_order}
        head = {**said, "fetched_at": self._now.isoformat(), "notes": self._notes, "format": FORMAT, "tables": tables}
        plain = json.dumps(head).encode()
        with _create(self._partial / _HEAD) as file:
            file.write(self._vault.seal(plain, _context(self.source, self._id, _HEAD, 0)))
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(self._partial)
        final = self._home / self._id
        self._partial.rename(final)
        _sync_folder(self._home)
        return Spool(
            self._id,
            self.source,
            self._content,
            self._read,
            self._in_order,
            self._now,
            tuple(self._notes),
            final,
            dict(self._tables),
            self._vault,
        )

    def discard(self) -> None:
        """Remove what was written so far."""
        shutil.rmtree(self._partial, ignore_errors=True)


def open_spool(folder: Path, source: SourceName, spool: str, vault: Vault) -> Spool:
    """A stored spool by its id. Raises EndpointError where it is missing, altered, or sealed under another key."""
    path = folder / _safe(source) / _safe(spool)
    try:
        sealed = (path / _HEAD).read_bytes()
    except OSError as error:
        raise _lost(source, spool, error.strerror or str(error)) from error
    if len(sealed) < _LEAST_BYTES:
        raise _lost(source, spool, "its head was cut off")
    head = json.loads(vault.open(sealed, _context(source, spool, _HEAD, 0)))
    if head["format"] != FORMAT:
        raise _lost(source, spool, f"it has format {head['format']}, this version reads {FORMAT}")
    tables = {name: _Table(tuple(columns), file, rows, chunks) for name, (columns, file, rows, chunks) in head["tables"].items()}
    fetched = datetime.fromisoformat(head["fetched_at"])
    said = head["content"], head["read"], head.get("in_order", "")
    return Spool(spool, source, *said, fetched, tuple(head["notes"]), path, tables, vault)


def stored(folder: Path, source: SourceName) -> list[str]:
    """The ids of every stored spool of a source, oldest first."""
    home = folder / _safe(source)
    if not home.is_dir():
        return []
    return sorted(path.name for path in home.iterdir() if not path.name.startswith("."))


def purge(folder: Path, source: SourceName, keep: Collection[str]) -> list[str]:
    """Delete every spool of a source but those named, and what killed runs left half-written; says which spools went."""
    home = folder / _safe(source)
    gone = [spool for spool in stored(folder, source) if spool not in keep]
    for spool in gone:
        # Renamed first: a kill half-way leaves a partial that the next purge removes, never a spool with a hole.
        doomed = home / f"{_PARTIAL}{spool}"
        (home / spool).rename(doomed)
    purge_partials(folder, source)
    return gone


def purge_partials(folder: Path, source: SourceName) -> None:
    """Delete what killed runs left half-written. The caller holds the lease: nobody else is writing."""
    for path in (folder / _safe(source)).glob(f"{_PARTIAL}*"):
        shutil.rmtree(path, ignore_errors=True)


def row_bytes(table: str, row: list[str]) -> bytes:
    """A row as it is digested. Cells that hold the separator themselves are written so that no two rows look alike."""
    text = _SEPARATOR.join((table, *row))
    return (text if text.count(_SEPARATOR) == len(row) else repr((table, row))).encode("utf-8", "surrogatepass")


def _create(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _free_id(home: Path, now: datetime) -> str:
    """A name that sorts by time; a second spool of the same instant gets a counter."""
    stem = f"{now:%Y%m%dT%H%M%S%f}"
    taken, number = stem, 1
    while (home / taken).exists() or (home / f"{_PARTIAL}{taken}").exists():
        number += 1
        taken = f"{stem}-{number}"
    return taken


def _context(source: SourceName, spool: str, file: str, chunk: int) -> str:
    """Binds a chunk to its place: chunks cannot be swapped between spools, tables or positions unnoticed."""
    return f"spool {source}/{spool}/{file}/{chunk}"


def _safe(name: str) -> str:
    """The name, if it can only mean a folder right here."""
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise ValueError(f"{name!r} cannot name a folder")
    return name


def _lost(source: SourceName, spool: str, why: str) -> EndpointError:
    return EndpointError(f"source {source}", f"spool {spool} cannot be read: {why}", "run the source again with its full file")
