"""Writing many rows at once, in the statements both databases spell alike but the standard does not.

Rows are given to the driver as they are: a district has 200,000 enrolments, and SQLAlchemy looks at every cell of every row it
is told of. So a row holds only what both drivers take alike: texts, whole numbers, truth values, bytes, nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Table, text

Cell = str | int | bool | bytes | None


def upsert(
    connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]], keep: Collection[str] = (), *, before: str = ""
) -> None:
    """Insert the rows, or overwrite those with the same primary key but for the columns in `keep`.

    With `before`, the column of that name takes what the row's last column held.
    """
    listed = list(rows)
    if not listed:
        return
    quote = connection.dialect.identifier_preparer.quote
    key = [column.name for column in table.primary_key]
    changed = [f"{quote(name)} = excluded.{quote(name)}" for name in listed[0] if name not in key and name not in keep]
    if before:
        changed.append(f"{quote(before)} = {quote(table.name)}.{quote(list(listed[0])[-1])}")
    what = f"UPDATE SET {', '.join(changed)}" if changed else "NOTHING"
    _insert(connection, table, listed, f"ON CONFLICT ({', '.join(map(quote, key))}) DO {what}")


def add(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert the rows."""
    _insert(connection, table, list(rows))


def add_if_absent(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert the rows whose primary key is not there yet."""
    _insert(connection, table, list(rows), "ON CONFLICT DO NOTHING")


def add_numbered(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Insert the rows under new numbers in `seq`, never used before, even by rows deleted since; the numbers, in order."""
    given = numbers(connection, table, len(rows))
    _insert(connection, table, [{"seq": number, **row} for number, row in zip(given, rows, strict=True)])
    return given


def numbers(connection: Connection, table: Table, count: int) -> list[int]:
    """So many new numbers for rows of this table, rising, never given before, not even to rows deleted since."""
    if not count:
        return []
    if connection.dialect.name == "postgresql":
        query = text("SELECT nextval(pg_get_serial_sequence(:name, 'seq')) FROM generate_series(1, :count)")
        return sorted(connection.execute(query, {"name": table.name, "count": count}).scalars())
    # Inserting them tells SQLite how far they are given. Nobody else is in here: the transaction began IMMEDIATE.
    last = connection.execute(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table.name}).scalar() or 0
    return list(range(last + 1, last + 1 + count))


def fill(connection: Connection, table: Table, rows: Sequence[tuple[Cell, ...]]) -> None:
    """Insert many rows, each with a cell for every column, in the table's order."""
    if rows:
        connection.exec_driver_sql(_text(connection, table, [column.name for column in table.columns]), list(rows))


def _insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], conflict: str = "") -> None:
    if not rows:
        return
    names = list(rows[0])
    cells = map(itemgetter(*names), rows) if len(names) > 1 else ((row[names[0]],) for row in rows)
    connection.exec_driver_sql(f"{_text(connection, table, names)} {conflict}", list(cells))


def _text(connection: Connection, table: Table, names: Collection[str]) -> str:
    quote = connection.dialect.identifier_preparer.quote
    mark = "%s" if connection.dialect.name == "postgresql" else "?"
    columns = ", ".join(map(quote, names))
    return f"INSERT INTO {quote(table.name)} ({columns}) VALUES ({', '.join([mark] * len(names))})"  # noqa: S608 — our own names, quoted
