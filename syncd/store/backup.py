"""A consistent, encrypted copy of the store, and the way back (R25).

One format for both databases: sealed frames of rows, the last of which counts them all, so that a truncated copy is refused.
Passwords, rights to choose one, and leases are left out: a copy that lies somewhere must open nothing. After a restore the next run
is a reconcile, and claims are closed.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection, Table, insert, select, text, update
from sqlalchemy.sql.sqltypes import LargeBinary

from syncd.core.lifecycle import State
from syncd.errors import EndpointError
from syncd.store import codec, migrations, statements, tables
from syncd.vault import Vault

MAGIC = b"syncd backup 2\n"
LEFT_OUT = frozenset({"passwords", "leases", "claim_tickets", "claim_passwords"})
NEEDS_RECONCILE = "needs_reconcile"
_ID = 16  # bytes that tell one copy from another, so that frames of two cannot be mixed
_ROWS = 500
_LONGEST = 64 * 1024 * 1024


def _kept() -> list[Table]:
    return [table for table in tables.metadata.sorted_tables if table.name not in LEFT_OUT]


def write(connection: Connection, vault: Vault, path: Path) -> int:
    """Write the copy, complete or not at all; how many rows it holds. The connection sees one moment (`database.snapshot`).

    Raises EndpointError where the file cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            count = _write_frames(connection, vault, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise EndpointError(
            "backup", f"cannot write {path}: {error.strerror}", "an older copy at that place is untouched"
        ) from error
    return count


def _write_frames(connection: Connection, vault: Vault, file: BinaryIO) -> int:
    identity = os.urandom(_ID)
    file.write(MAGIC + identity)
    count, frames = 0, itertools.count()
    _frame(vault, file, _context(identity, next(frames)), {"schema": migrations.HEAD, "highest": _highest(connection)})
    for table in _kept():
        for rows in _pages(connection, table):
            count += len(rows)
            _frame(vault, file, _context(identity, next(frames)), {"table": table.name, "rows": rows})
    _frame(vault, file, _context(identity, next(frames)), {"end": count})
    return count


def _context(identity: bytes, frame: int) -> str:
    return f"backup {identity.hex()} {frame}"


def _pages(connection: Connection, table: Table) -> Iterator[list[list[Any]]]:
    page: list[list[Any]] = []
    for row in connection.execute(select(table).order_by(*table.primary_key)):
        page.append([{"bytes": base64.b64encode(value).decode()} if isinstance(value, bytes) else value for value in row])
        if len(page) == _ROWS:
            yield page
            page = []
    if page:
        yield page


def _frame(vault: Vault, file: BinaryIO, context: str, told: object) -> None:
    sealed = vault.seal(codec.dumps(told), context)
    file.write(len(sealed).to_bytes(4, "big"))
    file.write(sealed)


def read(connection: Connection, vault: Vault, path: Path) -> int:
    """Fill an empty store from a copy; how many rows. Raises EndpointError where either is not what it should be."""
    for table in (tables.persons, tables.ledger, tables.journal):
        if connection.execute(select(*table.primary_key).limit(1)).first() is not None:
            raise EndpointError("restore", "this store is not empty", "restore into a new one: move the old file away first")
    for table in reversed(_kept()):
        connection.execute(table.delete())
    frames = _frames(vault, path)
    head = next(frames, {})
    if head.get("schema") != migrations.HEAD:
        made = f"was made with schema {head.get('schema')}, this program has {migrations.HEAD}"
        raise EndpointError("restore", f"{path} {made}", "restore with the version of syncd that made it, then run: syncd migrate")
    by_name = {table.name: table for table in _kept()}
    count, ended = 0, False
    for told in frames:
        if "end" in told:
            ended = told["end"] == count
            break
        count += _fill(connection, by_name[told["table"]], told["rows"])
    if not ended:
        raise EndpointError("restore", f"{path} is not whole: its end is missing", "take another copy; nothing was restored")
    _continue_numbering(connection, head["highest"])
    _close_claims(connection)
    statements.upsert(connection, tables.meta, [{"key": NEEDS_RECONCILE, "value": "restored"}])
    return count


def _close_claims(connection: Connection) -> None:
    """Whoever has an account counts as having claimed it (R25): a copy does not know who did since, nor whom somebody shut out.

    An account that waited for its owner stays disabled, as one that somebody else disabled: it is reported, and a human opens it.
    """
    persons, links = tables.persons, tables.links
    waiting = select(persons.c.seq).where(persons.c.state == str(State.UNCLAIMED))
    connection.execute(update(links).where(links.c.person.in_(waiting)).values(disabled_by_us=False))
    connection.execute(update(persons).where(persons.c.seq.in_(select(links.c.person))).values(claimed=True))


def _fill(connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> int:
    columns = [(column.name, isinstance(column.type, LargeBinary)) for column in table.columns]
    connection.execute(
        insert(table),
        [
            {
                name: base64.b64decode(value["bytes"]) if binary and value is not None else value
                for (name, binary), value in zip(columns, row, strict=True)
            }
            for row in rows
        ],
    )
    return len(rows)


def _frames(vault: Vault, path: Path) -> Iterator[dict[str, Any]]:
    """The opened frames, in order; they stop where the file does."""
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise EndpointError("restore", f"{path} is no copy made by `syncd backup`", "name the right file")
            identity = file.read(_ID)
            for number in itertools.count():
                head = file.read(4)
                size = int.from_bytes(head, "big")
                sealed = file.read(size) if len(head) == 4 and size <= _LONGEST else b""  # noqa: PLR2004 — the length of a length
                if len(sealed) < size or not sealed:
                    return
                yield json.loads(vault.open(sealed, _context(identity, number)))
    except OSError as error:
        raise EndpointError("restore", f"cannot read {path}: {error.strerror}", "name a file that can be read") from error


# --- numbers never given twice ----------------------------------------------------------------------------------------


def _numbered() -> list[Table]:
    return [table for table in _kept() if "seq" in table.c and table.c.seq.autoincrement is True]


def _highest(connection: Connection) -> dict[str, int]:
    """The highest number each table ever gave: its row may be gone, the number stays used."""
    if connection.dialect.name == "sqlite":
        given = {row.name: row.seq for row in connection.execute(text("SELECT name, seq FROM sqlite_sequence"))}
        return {table.name: int(given[table.name]) for table in _numbered() if table.name in given}
    highest = {}
    for table in _numbered():
        last = connection.execute(text("SELECT pg_sequence_last_value(pg_get_serial_sequence(:name, 'seq'))"), {"name": table.name})
        if (value := last.scalar()) is not None:
            highest[table.name] = int(value)
    return highest


def _continue_numbering(connection: Connection, highest: Mapping[str, int]) -> None:
    for name, value in highest.items():
        told = {"name": name, "value": value}
        if connection.dialect.name == "sqlite":
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": name})
            connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :value)"), told)
        else:
            connection.execute(text("SELECT setval(pg_get_serial_sequence(:name, 'seq'), :value)"), told)
