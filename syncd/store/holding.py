"""What was applied of late by cell (R12), and undone (R22). Functions of an open connection."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from importlib import import_module

from sqlalchemy import Connection, delete, func, select

from syncd.core.guard import Cell
from syncd.core.model import PersonId, TargetName
from syncd.store import tables
from syncd.store.reading import number, person_id

_BY_HOUR = timedelta(days=8)
_KEPT = timedelta(days=430)  # a year, and some days on either side to compare with
_DAY = 10  # letters of an hour that are its day
_AHEAD = " (ahead)"
"""Behind an operation: what was counted by a clock that was days ahead. Windows count it, days of the past do not."""


def spend(connection: Connection, spent: Mapping[Cell, int], now: datetime) -> None:
    """So much more was applied in each of these cells."""
    rows = [
        {"target": cell.target, "hour": _hour(now), "operation": cell.operation, "campus": cell.campus,
         "population": cell.population, "number": number}
        for cell, number in spent.items()
    ]  # fmt: skip
    if rows:
        _add(connection, rows)


def _add(connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    table = tables.spent
    make = import_module(f"sqlalchemy.dialects.{connection.dialect.name}").insert  # the other is not loaded
    statement = make(table)
    more = statement.on_conflict_do_update(
        index_elements=list(table.primary_key), set_={"number": table.c.number + statement.excluded.number}
    )
    connection.execute(more, list(rows))


def spent_since(connection: Connection, target: TargetName, since: datetime) -> dict[Cell, int]:
    """How much was applied by cell since then, counted in whole hours: rather too much than too little.

    A day that was summed up too early, under a clock that was ahead, is counted whole.
    """
    table = tables.spent
    cell = (table.c.operation, table.c.campus, table.c.population)
    query = select(*cell, func.sum(table.c.number)).where(table.c.target == target, table.c.hour >= _hour(since)[:_DAY])
    whole = (func.length(table.c.hour) == _DAY) | (table.c.hour >= _hour(since))
    found: dict[Cell, int] = {}
    for operation, campus, population, count in connection.execute(query.where(whole).group_by(*cell)):
        one = Cell(target, operation.removesuffix(_AHEAD), campus, population)
        found[one] = found.get(one, 0) + int(count)
    return found


def bring_back(connection: Connection, beyond: datetime, now: datetime) -> None:
    """What was counted in hours beyond that one was counted now."""
    table = tables.spent
    ahead = table.c.hour > _hour(beyond)
    rows = connection.execute(select(table).where(ahead)).all()
    if not rows:
        return
    connection.execute(delete(table).where(ahead))
    told: dict[tuple[str, str, str, str], int] = {}
    for row in rows:
        cell = row.target, f"{row.operation.removesuffix(_AHEAD)}{_AHEAD}", row.campus, row.population
        told[cell] = told.get(cell, 0) + row.number
    names = ("target", "operation", "campus", "population")
    _add(connection, [{**dict(zip(names, cell, strict=True)), "hour": _hour(now), "number": count} for cell, count in told.items()])


def shelved(connection: Connection) -> dict[tuple[TargetName, PersonId], set[str]]:
    """What was undone, by target and person: the digests of what is not to be done again; "" is whatever the next plan wants."""
    found: dict[tuple[TargetName, PersonId], set[str]] = {}
    for target, person, digest in connection.execute(select(tables.shelved)):
        found.setdefault((TargetName(target), person_id(person)), set()).add(digest)
    return found


def shelve(connection: Connection, told: Mapping[tuple[TargetName, PersonId], Collection[str]]) -> None:
    """These digests, and no others, are on the shelf for each target and person told of; none: the shelf is empty for them."""
    table = tables.shelved
    for target, person in told:
        connection.execute(delete(table).where(table.c.target == target, table.c.person == number(person)))
    rows = [
        {"target": target, "person": number(person), "digest": digest}
        for (target, person), digests in told.items()
        for digest in sorted(digests)
    ]
    if rows:
        connection.execute(table.insert(), rows)


def expire(connection: Connection, now: datetime) -> None:
    """Sum up by day what no window reaches any more, and forget what is over a year old."""
    table = tables.spent
    connection.execute(delete(table).where(table.c.hour < _hour(now - _KEPT)))
    day = func.substr(table.c.hour, 1, _DAY)
    old = (table.c.hour < _hour(now - _BY_HOUR), func.length(table.c.hour) > _DAY)
    cell = (table.c.target, day, table.c.operation, table.c.campus, table.c.population)
    sums = [tuple(row) for row in connection.execute(select(*cell, func.sum(table.c.number)).where(*old).group_by(*cell))]
    if sums:
        connection.execute(delete(table).where(*old))
        names = [column.name for column in table.primary_key]
        _add(connection, [{**dict(zip(names, row, strict=False)), "number": int(row[-1])} for row in sums])


def _hour(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H}"
