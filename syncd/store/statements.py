"""The two statements both databases spell alike but the standard does not: overwrite, and insert only what is not there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

Cell = str | int | bool | None


def upsert(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]], keep: Collection[str] = ()) -> None:
    """Insert the rows, or overwrite those with the same primary key but for the columns in `keep`."""
    listed = list(rows)
    if not listed:
        return
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = make(table)
    key = [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in listed[0] if name not in key and name not in keep}
    connection.execute(
        statement.on_conflict_do_update(index_elements=key, set_=changed)
        if changed
        else statement.on_conflict_do_nothing(index_elements=key),
        listed,
    )


def add_if_absent(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert the rows whose primary key is not there yet."""
    listed = list(rows)
    if listed:
        make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(make(table).on_conflict_do_nothing(), listed)


def fill(connection: Connection, table: Table, rows: Sequence[tuple[Cell, ...]]) -> None:
    """Insert many rows, each with a cell for every column. Given to the driver as they are: a district has 200,000 enrolments."""
    if not rows:
        return
    quote = connection.dialect.identifier_preparer.quote
    columns = ", ".join(quote(column.name) for column in table.columns)
    marks = ", ".join("%s" if connection.dialect.name == "postgresql" else "?" for _ in table.columns)
    statement = f"INSERT INTO {quote(table.name)} ({columns}) VALUES ({marks})"  # noqa: S608 — our own names, quoted
    connection.exec_driver_sql(statement, list(rows))
