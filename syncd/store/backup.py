"""A consistent, encrypted copy of the store, and the way back (R25).

One format for both databases: sealed frames of rows, the last of which counts them all, so that a truncated copy is refused.
First passwords and leases are left out: a copy that lies somewhere must open nothing. After a restore the next run is a reconcile.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection, Table, func, insert, select, text
from sqlalchemy.sql.sqltypes import LargeBinary

from syncd.errors import EndpointError
from syncd.store import codec, tables
from syncd.vault import Vault

MAGIC = b"syncd backup 1\n"
LEFT_OUT = frozenset({"passwords", "leases"})
NEEDS_RECONCILE = "needs_reconcile"
_ROWS = 500
_LONGEST = 64 * 1024 * 1024


def _kept() -> list[Table]:
    return [table for table in tables.metadata.sorted_tables if table.name not in LEFT_OUT]


def write(connection: Connection, vault: Vault, path: Path) -> int:
    """Write the copy, complete or not at all; how many rows it holds. Raises EndpointError where the file cannot be written."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
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
    file.write(MAGIC)
    count = frames = 0
    for table in _kept():
        for rows in _pages(connection, table):
            count += len(rows)
            _frame(vault, file, frames, {"table": table.name, "rows": rows})
            frames += 1
    _frame(vault, file, frames, {"end": count})
    return count


def _pages(connection: Connection, table: Table) -> Iterator[list[list[Any]]]:
    page: list[list[Any]] = []
    for row in connection.execute(select(table).order_by(*table.primary_key)):
        page.append([{"bytes": base64.b64encode(value).decode()} if isinstance(value, bytes) else value for value in row])
        if len(page) == _ROWS:
            yield page
            page = []
    if page:
        yield page


def _frame(vault: Vault, file: BinaryIO, number: int, told: object) -> None:
    sealed = vault.seal(codec.dumps(told), f"backup {number}")
    file.write(len(sealed).to_bytes(4, "big"))
    file.write(sealed)


def read(connection: Connection, vault: Vault, path: Path) -> int:
    """Fill an empty store from a copy; how many rows. Raises EndpointError where either is not what it should be."""
    if connection.execute(select(func.count()).select_from(tables.persons)).scalar_one():
        raise EndpointError("restore", "this store is not empty", "restore into a new one: move the old file away first")
    by_name = {table.name: table for table in _kept()}
    count, ended = 0, False
    for table in reversed(_kept()):
        connection.execute(table.delete())
    for told in _frames(vault, path):
        if "end" in told:
            ended = told["end"] == count
            break
        table = by_name[told["table"]]
        columns = [column.name for column in table.columns]
        binary = [isinstance(column.type, LargeBinary) for column in table.columns]
        rows = [
            {
                name: base64.b64decode(value["bytes"]) if is_binary and value is not None else value
                for name, value, is_binary in zip(columns, row, binary, strict=True)
            }
            for row in told["rows"]
        ]
        connection.execute(insert(table), rows)
        count += len(rows)
    if not ended:
        raise EndpointError("restore", f"{path} is not whole: its end is missing", "take another copy; nothing was restored")
    if connection.dialect.name == "postgresql":
        _continue_numbering(connection)
    connection.execute(tables.meta.delete().where(tables.meta.c.key == NEEDS_RECONCILE))
    connection.execute(insert(tables.meta).values(key=NEEDS_RECONCILE, value="restored"))
    return count


def _frames(vault: Vault, path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise EndpointError("restore", f"{path} is no copy made by `syncd backup`", "name the right file")
            number = 0
            while len(head := file.read(4)) == 4:  # noqa: PLR2004 — the length of a length
                size = int.from_bytes(head, "big")
                sealed = file.read(size) if size <= _LONGEST else b""
                if len(sealed) < size or not sealed:
                    return
                yield json.loads(vault.open(sealed, f"backup {number}"))
                number += 1
    except OSError as error:
        raise EndpointError("restore", f"cannot read {path}: {error.strerror}", "name a file that can be read") from error


def _continue_numbering(connection: Connection) -> None:
    """PostgreSQL's sequences do not see explicit numbers: none may be given twice."""
    for table in _kept():
        if "seq" in table.c and table.c.seq.autoincrement is True:
            highest = connection.execute(select(func.max(table.c.seq))).scalar()
            if highest is not None:
                connection.execute(
                    text("SELECT setval(pg_get_serial_sequence(:name, 'seq'), :value)"), {"name": table.name, "value": highest}
                )
