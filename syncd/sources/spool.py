"""A complete copy of what one source said, sealed on disk: what every run works from.

A spool appears under its name only when the source was read to its end (rename), is never altered afterwards, and is readable only
with the state key it was sealed under (R38). Rows are lists of text with the line they came from; what they mean is the source's
business. This module knows nothing of CSV, OneRoster or people.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Protocol

from syncd.core.model import SourceKey, SourceName, Subject, SubjectKey
from syncd.core.profile import Profile
from syncd.errors import EndpointError
from syncd.sources.profiles import Counts, Look, Tally, counts_upon, profile
from syncd.sources.sameness import Mark
from syncd.sources.spool_table import LEAST_BYTES, UNKNOWN, CutOff, File, Keys, Row, Said, Table, Writer, link
from syncd.vault import Vault

FORMAT = 2
"""Raised when the layout on disk changes: a spool of another format is refused, never misread."""

OLDEST = timedelta(days=7)
"""How long rows that were replaced may lie beside those that are kept; a shorter retention counts (R38)."""

HEAD = "head"
"""The file of a spool that says what it is made of."""
_PARTIAL = ".partial-"
_FILES = 12  # that a table may lie in: then it is written anew
_DIFFERENCES = 50_000  # subjects that a spool remembers to differ in from an earlier one
_SEPARATOR = "\x1f"


class Readable(Protocol):
    """What a spool, or a part of one, is read by."""

    @property
    def id(self) -> str:
        """The name of the spool."""

    @property
    def source(self) -> SourceName:
        """Whose it is."""

    def columns(self, name: str) -> tuple[str, ...]:
        """The columns of a table, in the order of its rows; none where there is no such table."""

    def rows(self, name: str) -> Iterator[Row]:
        """Every row of a table with its line, in the order written."""


@dataclass(frozen=True, slots=True)
class Spool:
    """One stored snapshot of one source.

    `content` identifies what was said: equal for files that say the same under an equal configuration. `read` identifies the bytes
    of the files, which for a delta file is less than the content; `in_order` the rows in their order, empty where nobody looked;
    `terms` how they were read. It is `sound` where every row is about somebody it tells of: then a part of it can be read without
    the rest. `differs` tells for some earlier spools who may be told otherwise there; nobody else is. `notes` are for people: what
    was not as it should be, though nothing was lost.
    """

    id: str
    source: SourceName
    content: str
    read: str
    in_order: str
    terms: str
    sound: bool
    fetched_at: datetime
    notes: tuple[str, ...]
    differs: Mapping[str, frozenset[SubjectKey]] = field(repr=False)
    _tables: Mapping[str, Table] = field(repr=False)

    @property
    def counts(self) -> dict[str, int]:
        """How many rows each table holds."""
        return {name: table.rows for name, table in self._tables.items()}

    @property
    def profiles(self) -> dict[str, Profile]:
        """What the file of each table looked like; none where an older version of this program has written it."""
        return {
            name: profile(table.look, table.counts, table.rows)
            for name, table in self._tables.items()
            if table.look is not None and table.counts is not None
        }

    def look(self, name: str) -> Look | None:
        """How the file of a table looked."""
        table = self._tables.get(name)
        return table.look if table else None

    def columns(self, name: str) -> tuple[str, ...]:
        """The columns of a table, in the order of its rows; none where the source had no such table."""
        table = self._tables.get(name)
        return table.columns if table else ()

    @property
    def remembers(self) -> set[str]:
        """The earlier spools it knows of: those it differs from, and those that wrote its rows."""
        return {*self.differs, *(file.origin for table in self._tables.values() for file in table.files)}

    def kept(self, name: str) -> Table | None:
        """A table with its blocks; None where the source had none."""
        return self._tables.get(name)

    def rows(self, name: str) -> Iterator[Row]:
        """Every row of a table with its line, in the order written. Raises EndpointError where the spool was altered or cut."""
        table = self._tables.get(name)
        if table is not None:
            with self._whole(name):
                yield from table.every()

    def found(self, name: str, keys: Collection[int]) -> Iterator[Row]:
        """The rows that are found by one of these (`crc`), in the order written, and some of their neighbours. Raises as `rows`."""
        table = self._tables.get(name)
        if table is not None:
            with self._whole(name):
                yield from table.of(table.found(keys))

    @contextmanager
    def _whole(self, name: str) -> Iterator[None]:
        try:
            yield
        except CutOff:
            raise _lost(self.source, self.id, f"{name} was cut off") from None
        except OSError as error:
            raise _lost(self.source, self.id, error.strerror or str(error)) from error


@dataclass(frozen=True, slots=True)
class Difference:
    """How a table differs from that of the previous spool: the rows that do, as they were and as they are, and the encoding."""

    gone: Collection[Sequence[str]]
    come: Collection[Sequence[str]]
    encoding: str


class SpoolWriter:
    """What a source fills. `previous` is the last spool of the same source, where there is one."""

    def __init__(
        self, source: SourceName, folder: Path, vault: Vault, previous: Spool | None, now: datetime, oldest: timedelta = OLDEST
    ) -> None:
        self.source = source
        self.previous = previous
        self.unchanged = False
        self.sound = False
        self._vault = vault
        self._now = now
        self._oldest = (now - min(oldest, OLDEST)).timestamp()
        self._home = folder / _safe(source)
        self._id = _free_id(self._home, now, previous.remembers if previous is not None else ())
        self._partial = self._home / f"{_PARTIAL}{self._id}"
        self._content = ""
        self._read = ""
        self._in_order = ""
        self._terms = ""
        self._differs: dict[str, frozenset[SubjectKey]] = {}
        self._tables: dict[str, Table] = {}
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

    def is_alike(self, terms: str) -> bool:
        """Say how it is read (a digest). True means that the previous spool was read in the same way and may be built upon."""
        self._terms = terms
        return self.previous is not None and self.previous.terms == terms

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
    def table(
        self,
        name: str,
        columns: Sequence[str],
        keys: Keys | None = None,
        said: Said = UNKNOWN,
        marks: Sequence[Mark] = (),
        look: Look | None = None,
    ) -> Iterator[Writer]:
        """A new table of the spool. Several may be open at once; each name is written once.

        `keys` tells what a row is found by; `said` and `marks` what its file said: by these the next spool can be built upon it.
        `look` tells how the file looked, and that its cells are to be counted.
        """
        table = Table(name, tuple(columns), (self._own(),), *self._place(), self._vault, said=said, look=look)
        tally = Tally(look) if look is not None else None
        with self._written(table, keys, marks, tally) as writer:
            yield writer
            writer.flush()
        table.counts = tally.told() if tally is not None else None

    @contextmanager
    def table_upon(self, before: Table, keys: Keys | None, said: Said, difference: Difference | None = None) -> Iterator[Writer]:
        """A table that keeps blocks of the previous spool's. Rows and blocks are put in the order of their lines.

        `difference`: how what is put differs from what is not kept; without it nobody knows what the file looked like.
        """
        self._begin()
        link(before, self._partial, self._id)
        look, counts = before.look, before.counts
        if difference is not None and look is not None and counts is not None:
            counts = counts_upon(counts, look, difference.gone, difference.come, before.having)
            look = look._replace(encoding=difference.encoding)
        table = Table(before.name, before.columns, (*before.files, self._own()), *self._place(), self._vault, said=said, look=look)
        table.indexed = before.indexed
        with self._written(table, keys, ()) as writer:
            yield writer
        table.counts = counts if difference is not None or not writer.wrote else None

    def keep(self, before: Table) -> None:
        """A table of the previous spool, as it is."""
        with self.table_upon(before, None, before.said) as writer:
            for block in before.blocks():
                writer.keep(block, block.line)

    def base(self, name: str) -> Table | None:
        """The table of the previous spool, if its files are neither too many nor too old to be kept."""
        table = self.previous.kept(name) if self.previous is not None else None
        if table is None or len(table.files) >= _FILES or any(file.written < self._oldest for file in table.files):
            return None
        return table

    def differs(self, subjects: Collection[SubjectKey]) -> None:
        """Say who may be told otherwise than in the previous spool. Nobody else is."""
        assert self.previous is not None  # noqa: S101 — there is nothing to differ from
        told = {self.previous.id: frozenset(subjects)}
        told |= {earlier: before.union(subjects) for earlier, before in self.previous.differs.items()}
        self._differs = {earlier: them for earlier, them in told.items() if len(them) <= _DIFFERENCES}

    def _own(self) -> File:
        return File(self._id, f"{len(self._tables)}.rows", self._now.timestamp())

    def _place(self) -> tuple[str, str, Path]:
        return self.source, self._id, self._partial

    @contextmanager
    def _written(self, table: Table, keys: Keys | None, marks: Sequence[Mark], tally: Tally | None = None) -> Iterator[Writer]:
        if table.name in self._tables:
            raise ValueError(f"table {table.name} is already written")
        self._begin()
        *before, own = table.files
        table.number = len(self._tables)
        self._tables[table.name] = table
        with create(self._partial / own.name) as file:
            writer = Writer(table, file, keys, marks, tally)
            yield writer
            settle(file)
        if not writer.wrote and before:
            table.files = tuple(before)
            (self._partial / own.name).unlink()
        else:
            table.indexed = table.indexed and writer.indexed
        if table.indexed and writer.wrote:
            for name, sealed in writer.indexes():
                self._put(name, sealed)
        table.rows = writer.rows
        self._put(table.listed, writer.list())

    def _put(self, name: str, sealed: bytes) -> None:
        with create(self._partial / name) as file:
            file.write(sealed)
            settle(file)

    def _begin(self) -> None:
        """Make the folders, each closed to everybody else."""
        for folder in (self._home.parent, self._home, self._partial):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def commit(self) -> Spool:
        """The finished spool, durable under its own name."""
        if not self._content:
            raise ValueError(f"source {self.source} never said what it read")
        self._begin()
        head = {
            "format": FORMAT,
            "content": self._content,
            "read": self._read,
            "in_order": self._in_order,
            "terms": self._terms,
            "sound": self.sound,
            "fetched_at": self._now.isoformat(),
            "notes": self._notes,
            "differs": {earlier: sorted((one.subject, one.key) for one in them) for earlier, them in self._differs.items()},
            "tables": [
                [one.name, one.columns, one.files, one.said, one.number, one.rows, one.indexed] for one in self._tables.values()
            ],
            "looks": {one.name: [one.look, one.counts] for one in self._tables.values() if one.look and one.counts},
        }
        self._put(HEAD, self._vault.seal(json.dumps(head).encode(), head_bound_to(self.source, self._id)))
        sync_folder(self._partial)
        self._partial.rename(self._home / self._id)
        sync_folder(self._home)
        return open_spool(self._home.parent, self.source, self._id, self._vault)

    def discard(self) -> None:
        """Remove what was written so far."""
        shutil.rmtree(self._partial, ignore_errors=True)


def open_spool(folder: Path, source: SourceName, spool: str, vault: Vault) -> Spool:
    """A stored spool by its id. Raises EndpointError where it is missing, altered, or sealed under another key."""
    path = folder / _safe(source) / _safe(spool)
    try:
        sealed = (path / HEAD).read_bytes()
    except OSError as error:
        raise _lost(source, spool, error.strerror or str(error)) from error
    if len(sealed) < LEAST_BYTES:
        raise _lost(source, spool, "its head was cut off")
    head = json.loads(vault.open(sealed, head_bound_to(source, spool)))
    if head["format"] != FORMAT:
        raise _lost(source, spool, f"it has format {head['format']}, this version reads {FORMAT}")
    tables: dict[str, Table] = {}
    for name, columns, files, told, number, rows, indexed in head["tables"]:
        within = tuple(File(*file) for file in files)
        tables[name] = Table(name, tuple(columns), within, source, spool, path, vault, number, rows, indexed, Said(*told))
    for name, (look, counts) in head.get("looks", {}).items():  # an older version of this program wrote none
        tables[name].look, tables[name].counts = Look.loaded(look), Counts(*map(tuple, counts))
    differs = {
        earlier: frozenset(SubjectKey(Subject(subject), SourceKey(key)) for subject, key in them)
        for earlier, them in head["differs"].items()
    }
    said = head["content"], head["read"], head["in_order"], head["terms"], head["sound"]
    return Spool(spool, source, *said, datetime.fromisoformat(head["fetched_at"]), tuple(head["notes"]), differs, tables)


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


def create(path: Path) -> BinaryIO:
    """A new file that only its owner reads."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def settle(file: BinaryIO) -> None:
    """Have what was written to a file on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Have the names in a folder on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _free_id(home: Path, now: datetime, remembered: Collection[str]) -> str:
    """A name that sorts by time; a second spool of the same instant gets a counter. No name that is remembered comes again."""
    stem = f"{now:%Y%m%dT%H%M%S%f}"
    taken, number = stem, 1
    while taken in remembered or (home / taken).exists() or (home / f"{_PARTIAL}{taken}").exists():
        number += 1
        taken = f"{stem}-{number}"
    return taken


def head_bound_to(source: SourceName, spool: str) -> str:
    """Binds a head to its spool."""
    return f"spool {source}/{spool}/{HEAD}/0"


def _safe(name: str) -> str:
    """The name, if it can only mean a folder right here."""
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise ValueError(f"{name!r} cannot name a folder")
    return name


def _lost(source: SourceName, spool: str, why: str) -> EndpointError:
    return EndpointError(f"source {source}", f"spool {spool} cannot be read: {why}", "run the source again with its full file")
