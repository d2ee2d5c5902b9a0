"""The audit: an append-only chain over the journal, its outcomes, and what people decided (R24).

Each batch of journal rows or outcomes, and each decision, is one entry; each entry hangs on the one before. Whoever alters,
removes, adds or exchanges a row breaks the chain at that place; whoever cuts its end off is found by a head told elsewhere.
Contents may go, by expiry or because somebody is forgotten; that they went is an entry itself.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, Table, select, text

from syncd.core import audit
from syncd.core.model import PersonId, RunId
from syncd.errors import EndpointError
from syncd.store import codec, statements, tables
from syncd.store.database import looking, transaction
from syncd.store.reading import number, person_id
from syncd.vault import Vault

INTENDED, ANSWERED, EXPIRED, FORGOTTEN = "intended", "answered", "expired", "forgotten"
"""Kinds of entry that the program itself writes; every other one is somebody's decision."""
_GONE = b""  # where sealed words were that have been destroyed
_NEVER = audit.digest(b"")  # what is committed to for contents that had gone before there was a chain
_LINKED = ("seq", "at", "kind", "actor", "run", "person", "commitment")  # what of an entry its link covers
_JOURNALLED = ("seq", "run", "at", "target", "kind", "person", "commitment")
_OUTCOME = ("seq", "at", "result", "failure", "commitment")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `contents` is None where they were destroyed; of journal rows and outcomes they lie beside those."""

    seq: int
    at: datetime
    kind: str
    actor: str
    run: RunId | None
    person: PersonId | None
    contents: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain ends: the number of its last entry, and 64 hexadecimal digits that stand for all of it."""

    seq: int
    link: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.link}"

    @classmethod
    def parse(cls, written: str) -> Head:
        """A head as it was told. Raises ValueError for anything else."""
        seq, _, link = written.strip().partition(":")
        if not (seq.isascii() and seq.isdecimal() and len(link) == 64 and set(link) <= set("0123456789abcdef")):  # noqa: PLR2004 — SHA-256 in hexadecimal
            raise ValueError(f"'{written}' is no head: it is written 123:64 hexadecimal digits, as `syncd audit head` prints it")
        return cls(int(seq), link)


@dataclass(frozen=True, slots=True)
class Verified:
    """What a walk along the chain found: the first problems in words, and how much was looked at."""

    problems: tuple[str, ...]
    entries: int
    rows: int
    destroyed: int  # rows whose contents went as an entry says
    head: Head


_Row = Mapping[str, Any]


@dataclass(slots=True)
class _Walk:
    """What is known on the way."""

    vault: Vault
    problems: list[str] = field(default_factory=list)
    entries: int = 0
    rows: int = 0
    destroyed: int = 0
    missing: list[_Row] = field(default_factory=list)  # rows without contents: an entry must say why
    expired: str = ""  # contents older than this have gone
    forgotten: set[int] = field(default_factory=set)
    emptied: set[int] = field(default_factory=set)  # entries about others that named somebody forgotten


class Audit:
    """The audit of one store. Every method is one transaction."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault

    def append(
        self,
        kind: str,
        actor: str,
        contents: Mapping[str, Any],
        now: datetime,
        *,
        run: RunId | None = None,
        person: PersonId | None = None,
    ) -> int:
        """Put a decision on the chain; its number."""
        with transaction(self._engine) as connection:
            return append(connection, self._vault, kind, actor, contents, now, run=run, person=person)

    def head(self) -> Head:
        """Where the chain ends now. Waits for no writer."""
        with looking(self._engine) as connection:
            return _head(connection)

    def entries(self, person: PersonId | None = None, kinds: Collection[str] = ()) -> list[Entry]:
        """What people decided, and what was destroyed, in order; of one person, or all."""
        table = tables.audit
        query = select(table).where(table.c.kind.not_in([INTENDED, ANSWERED])).order_by(table.c.seq)
        if person is not None:
            query = query.where(table.c.person == number(person))
        if kinds:
            query = query.where(table.c.kind.in_(list(kinds)))
        with looking(self._engine) as connection:
            return [_entry(row, self._vault) for row in connection.execute(query)]

    def verify(self, told: Head | None = None) -> Verified:
        """Walk the whole chain. `told` is a head known from elsewhere: a chain that does not lead there was rewritten or cut."""
        with looking(self._engine) as connection:
            return walked(connection, self._vault, told)


# --- writing, in the transaction of what is told ----------------------------------------------------------------------


def append(
    connection: Connection,
    vault: Vault,
    kind: str,
    actor: str,
    contents: Mapping[str, Any],
    now: datetime,
    *,
    run: RunId | None = None,
    person: PersonId | None = None,
) -> int:
    """Put a decision on the chain, in this transaction; its number."""
    return append_all(connection, vault, [Said(kind, actor, contents, now, run, person)])[0]


@dataclass(frozen=True, slots=True)
class Said:
    """A decision that is put on the chain: its kind, whose it is, what it says, when, and which run or person it is about."""

    kind: str
    actor: str
    contents: Mapping[str, Any]
    at: datetime
    run: RunId | None = None
    person: PersonId | None = None


def append_all(connection: Connection, vault: Vault, decisions: Sequence[Said]) -> list[int]:
    """Put decisions on the chain in their order, in this transaction; their numbers. Thousands cost few statements."""
    seqs = _numbers(connection, len(decisions))
    sealed = [vault.seal(codec.dumps(dict(one.contents)), _context(seq)) for seq, one in zip(seqs, decisions, strict=True)]
    told = [
        _columns(seq, one.kind, one.at, audit.digest(contents), one.actor, one.run, one.person) | {"sealed": contents}
        for seq, one, contents in zip(seqs, decisions, sealed, strict=True)
    ]
    _hang(connection, told)
    return seqs


def begin(connection: Connection) -> int:
    """The number of the next entry. Nobody else's is given until this transaction ends, so numbers are in the chain's order."""
    return _numbers(connection, 1)[0]


def _numbers(connection: Connection, count: int) -> list[int]:
    if connection.dialect.name == "postgresql":  # SQLite has one writer in any case
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(current_schema() || '.audit'))"))
    return statements.numbers(connection, tables.audit, count)


def end(
    connection: Connection,
    seq: int,
    kind: str,
    now: datetime,
    commitment: bytes,
    *,
    run: RunId | None = None,
) -> None:
    """Write the entry whose number was given, hung on the last one."""
    _hang(connection, [_columns(seq, kind, now, commitment, "", run, None) | {"sealed": None}])


def _columns(
    seq: int, kind: str, at: datetime, commitment: bytes, actor: str, run: RunId | None, person: PersonId | None
) -> dict[str, Any]:
    """What an entry says that its link covers, in that order."""
    return {
        "seq": seq,
        "at": at.astimezone(UTC).isoformat(),
        "kind": kind,
        "actor": actor,
        "run": int(run[1:]) if run else None,
        "person": number(person) if person else None,
        "commitment": commitment,
    }


def _hang(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write entries, the first hung on the last one that is there, and each on the one before it."""
    table = tables.audit
    last = connection.execute(select(table.c.link).order_by(table.c.seq.desc()).limit(1)).scalar()
    before, hung = bytes(last) if last is not None else audit.GENESIS, list[dict[str, Any]]()
    for row in rows:
        before = audit.link(before, *(row[name] for name in _LINKED))
        hung.append({**row, "link": before})
    statements.add(connection, table, hung)


def intended(connection: Connection, seq: int, rows: Sequence[Mapping[str, Any]], now: datetime, run: RunId) -> None:
    """The entry of journal rows that carry its number."""
    end(connection, seq, INTENDED, now, _over(rows, _JOURNALLED), run=run)


def answered(connection: Connection, seq: int, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """The entry of outcomes that carry its number."""
    end(connection, seq, ANSWERED, now, _over(sorted(rows, key=lambda row: row["seq"]), _OUTCOME))


def _over(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    return audit.of_rows([row[name] for name in columns] for row in rows)


def _link(before: bytes, row: _Row) -> bytes:
    return audit.link(before, *(row[name] for name in _LINKED[:-1]), bytes(row["commitment"]))


def _context(seq: int) -> str:
    return f"audit {seq}"


def _head(connection: Connection) -> Head:
    table = tables.audit
    row = connection.execute(select(table.c.seq, table.c.link).order_by(table.c.seq.desc()).limit(1)).first()
    return Head(row.seq, bytes(row.link).hex()) if row is not None else Head(0, audit.GENESIS.hex())


def _entry(row: Row[Any], vault: Vault) -> Entry:
    return Entry(
        row.seq,
        datetime.fromisoformat(row.at),
        row.kind,
        row.actor,
        RunId(f"r{row.run}") if row.run else None,
        person_id(row.person) if row.person else None,
        json.loads(vault.open(row.sealed, _context(row.seq))) if row.sealed else None,
    )


# --- looking ----------------------------------------------------------------------------------------------------------


def walked(connection: Connection, vault: Vault, told: Head | None) -> Verified:
    """What a walk along the whole chain finds."""
    walk = _Walk(vault)
    before, last, seen = audit.GENESIS, 0, told is None or told.seq == 0
    covered = {
        INTENDED: _Covered(connection, tables.journal, _JOURNALLED),
        ANSWERED: _Covered(connection, tables.outcomes, _OUTCOME),
    }
    for row in _streamed(connection, select(tables.audit).order_by(tables.audit.c.seq)):
        walk.entries += 1
        seq, kind, here = row["seq"], row["kind"], bytes(row["link"])
        if here != _link(before, row):
            walk.problems.append(f"entry {seq} ({kind}) does not hang on the one before it: altered, or one is missing")
        if kind in covered:
            covered[kind].check(row, walk)
        else:
            _check_decision(row, walk)
        before, last = here, seq
        if told is not None and seq == told.seq:
            seen = here.hex() == told.link
    for each in covered.values():
        each.check_rest(walk)
    if not seen and told is not None:
        where = "was rewritten before it" if last >= told.seq else f"ends at entry {last} already: its end is cut off"
        walk.problems.append(f"the head {told} was told, but the chain {where}")
    destroyed = _account_for(walk)
    return Verified(tuple(walk.problems), walk.entries, walk.rows, destroyed, Head(last, before.hex()))


def _streamed(connection: Connection, query: Select[Any]) -> Iterator[_Row]:
    """The rows of a table that may be long, a thousand at a time."""
    for row in connection.execute(query.execution_options(yield_per=1000)).mappings():
        yield {str(name): value for name, value in row.items()}


class _Covered:
    """The rows of one table, walked along with the entries that cover them."""

    def __init__(self, connection: Connection, table: Table, columns: Sequence[str]) -> None:
        self._name = table.name
        self._columns = columns
        self._contents = "journal" if table is tables.journal else "outcome"  # what theirs are sealed as
        journal, images = tables.journal, tables.images
        if table is journal:  # its contents lie in a table of their own
            begun: Select[Any] = select(table, table.c.at.label("begun"), images.c.sealed)
            query = begun.outerjoin_from(table, images, images.c.seq == table.c.seq)
        else:
            query = select(table, journal.c.at.label("begun"), journal.c.person)
            query = query.join_from(table, journal, journal.c.seq == table.c.seq)
        rows = _streamed(connection, query.order_by(table.c.entry, table.c.seq))
        self._groups: Iterator[tuple[int | None, Iterator[_Row]]] = groupby(rows, key=lambda row: row["entry"])
        self._next: tuple[int, list[_Row]] | None = None
        self._step()

    def _step(self) -> None:
        """Go on to the rows of the next entry. Those of no entry stand first or last, as the database has it."""
        for entry, rows in self._groups:
            self._next = (entry or 0, list(rows))
            return
        self._next = None

    def check(self, entry: _Row, walk: _Walk) -> None:
        """Whether the rows of this entry are those it was written over."""
        seq = entry["seq"]
        while self._next is not None and self._next[0] < seq:
            self._stray(walk)
        mine: list[_Row] = []
        if self._next is not None and self._next[0] == seq:
            mine = self._next[1]
            self._step()
        walk.rows += len(mine)
        if audit.of_rows([_plain(row[name]) for name in self._columns] for row in mine) != bytes(entry["commitment"]):
            numbers = f"{mine[0]['seq']} to {mine[-1]['seq']}" if mine else "none is left"
            walk.problems.append(
                f"the {self._name} rows of entry {seq} ({numbers}) are not those it was written over: "
                "altered, removed, added or exchanged"
            )
        for row in mine:
            committed = _plain(row["commitment"])
            if row["sealed"]:
                if _committed(walk, bytes(row["sealed"]), f"{self._contents} {row['seq']}") != committed:
                    walk.problems.append(f"the contents of {self._name} row {row['seq']} are not those that were written")
            elif committed == _NEVER:
                walk.destroyed += 1
            else:
                walk.missing.append(row)

    def _stray(self, walk: _Walk) -> None:
        for row in self._next[1] if self._next else ():
            walk.problems.append(f"{self._name} row {row['seq']} is in no entry: added by somebody else than syncd")
        self._step()

    def check_rest(self, walk: _Walk) -> None:
        """Rows behind the last entry are nobody's."""
        while self._next is not None:
            self._stray(walk)


def _plain(value: Any) -> audit.Cell:
    return bytes(value) if isinstance(value, (bytes, memoryview)) else value


def _committed(walk: _Walk, sealed: bytes, context: str) -> bytes | None:
    """What was committed to for these contents, under whatever key they are now; None where nobody can tell."""
    try:
        return audit.digest(walk.vault.enclosed(sealed, context)[1])
    except EndpointError:
        return None


def _check_decision(row: _Row, walk: _Walk) -> None:
    if row["kind"] == FORGOTTEN and row["person"] is not None:
        walk.forgotten.add(row["person"])
    if not row["sealed"]:
        walk.missing.append({**row, "begun": row["at"]})
    elif _committed(walk, bytes(row["sealed"]), _context(row["seq"])) != bytes(row["commitment"]):
        walk.problems.append(f"the contents of entry {row['seq']} ({row['kind']}) are not those that were written")
    elif row["kind"] == FORGOTTEN:
        walk.emptied.update(json.loads(walk.vault.open(row["sealed"], _context(row["seq"]))).get("emptied", ()))
    elif row["kind"] == EXPIRED:
        walk.expired = max(walk.expired, json.loads(walk.vault.open(row["sealed"], _context(row["seq"])))["before"])


def _account_for(walk: _Walk) -> int:
    """How many rows lost their contents as an entry says; of any other it is a problem that they are missing."""
    destroyed = walk.destroyed
    for row in walk.missing:
        named_them = "link" in row and row["seq"] in walk.emptied
        if row["person"] in walk.forgotten or row["begun"] < walk.expired or named_them:
            destroyed += 1
        else:
            walk.problems.append(f"the contents of row {row['seq']} of {row['at']} are missing, and no entry says that they went")
    return destroyed


def destroy(connection: Connection, person: int, entries: Collection[int] = ()) -> None:
    """Destroy what the chain holds of somebody's contents, and of these entries, which name them; every commitment stays."""
    journal, audited = tables.journal, tables.audit
    mine = select(journal.c.seq).where(journal.c.person == person)
    connection.execute(tables.images.delete().where(tables.images.c.seq.in_(mine)))
    connection.execute(tables.outcomes.update().where(tables.outcomes.c.seq.in_(mine)).values(sealed=_GONE))
    theirs = (audited.c.person == person) | audited.c.seq.in_(entries)
    connection.execute(audited.update().where(theirs, audited.c.kind != FORGOTTEN).values(sealed=None))
