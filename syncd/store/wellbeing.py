"""What monitors ask for: freshness and counts. Functions of an open connection; a few rows, whatever the district."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, delete, func, select, update

from syncd.core.health import WHOLE, Freshness, Kind
from syncd.core.lifecycle import IN_USE, LEFT, State
from syncd.core.model import SourceKey, SourceName
from syncd.store import statements, tables
from syncd.store.decisions import half_approved
from syncd.store.history import run_row
from syncd.store.rotation import pending
from syncd.store.rows import RunRow, Wellbeing

_NEWEST, _WHOLE = 20, 12
"""How many runs of a pipeline are looked at: the newest, and the newest that read everything and ended well."""
_HERE = frozenset(State) - LEFT - {State.PENDING}
"""The states of whoever belongs to a campus still."""


def set_freshness(connection: Connection, told: Iterable[Freshness]) -> None:
    """Remember these; a time that is None leaves the one known before. What is told now is the newest, whatever the clock says."""
    known = {(row.kind, row.name): _row(row) for row in connection.execute(select(tables.freshness))}
    rows = []
    for one in told:
        before = _not_ahead(known.get((one.kind, one.name), Freshness(one.kind, one.name)), one)
        rows.append(
            {
                "kind": one.kind,
                "name": one.name,
                "good_at": _text(one.good_at or before.good_at),
                "changed_at": _text(one.changed_at or before.changed_at),
                "failed_at": _text(one.failed_at or before.failed_at),
                "why": one.why if one.failed_at or one.why else before.why,
                "number": one.count if one.good_at else before.count,
            }
        )
    statements.upsert(connection, tables.freshness, rows)


def _not_ahead(before: Freshness, told: Freshness) -> Freshness:
    """What was known, with no time that would outlive what is told now: it was noted before the clock went back."""
    now = max(filter(None, (told.good_at, told.failed_at)), default=None)
    if now is not None and before.changed_at is not None and before.changed_at > now:
        before = replace(before, changed_at=now)
    if told.good_at is not None and before.failed_at is not None and before.failed_at > told.good_at:
        return replace(before, failed_at=told.good_at)
    if told.failed_at is not None and before.good_at is not None and before.good_at >= told.failed_at:
        return replace(before, good_at=told.failed_at - timedelta(microseconds=1))
    return before


def recover_campuses(connection: Connection, failing: Collection[str]) -> None:
    """Nothing is wrong any more with a campus that is not failing; when it was last good stays.

    One that everybody has left, and of which nothing is told, is none: it would be stale for ever.
    """
    table, persons = tables.freshness, tables.persons
    other = table.c.kind == Kind.CAMPUS, table.c.name.not_in(list(failing))
    connection.execute(update(table).where(*other, table.c.failed_at.is_not(None)).values(failed_at=None, why=""))
    here = select(persons.c.campus).where(persons.c.campus.is_not(None), persons.c.state.in_([str(one) for one in _HERE]))
    connection.execute(delete(table).where(*other, table.c.name.not_in(here)))


def touch(connection: Connection, kind: str, at: datetime) -> None:
    """Everything of this kind that somebody belongs to was found as it was."""
    table = tables.freshness
    connection.execute(update(table).where(table.c.kind == kind, table.c.number > 0).values(good_at=at.isoformat()))


def wellbeing(
    connection: Connection,
    pipelines: Collection[str],
    canaries: Mapping[SourceName, Collection[SourceKey]],
    required: Mapping[SourceName, Collection[SourceKey]] | None = None,
) -> Wellbeing:
    """Everything health is judged by, as of one instant."""
    found, links, aside = tables.findings, tables.links, tables.quarantine
    return Wellbeing(
        tuple(_row(row) for row in connection.execute(select(tables.freshness))),
        {name: tuple(_runs_of(connection, name)) for name in pipelines},
        _absent(connection, canaries),
        _counts(connection, links.c.target, links),
        _counts(connection, found.c.kind, found),
        connection.execute(select(func.count()).select_from(aside)).scalar_one(),
        connection.execute(select(tables.meta.c.value).where(tables.meta.c.key == "rollover")).scalar() or "",
        half_approved(connection),
        pending(connection),
        _absent(connection, required or {}),
    )


def _absent(connection: Connection, named: Mapping[SourceName, Collection[SourceKey]]) -> dict[SourceName, int]:
    """How many of these the last accepted snapshot of each source does not tell of."""
    return {source: len(set(keys) - present(connection, source, keys)) for source, keys in named.items() if keys}


def _runs_of(connection: Connection, pipeline: str) -> list[RunRow]:
    table = tables.runs
    mine = select(table).where(table.c.pipeline == pipeline).order_by(table.c.seq.desc())
    good = mine.where(table.c.status == "done")
    # What is held is told by the newest that judged everybody, however many failed or were about somebody since.
    judged = mine.where(table.c.kind.in_(WHOLE), table.c.summary != "{}", table.c.status.not_in(["tried", "rejected"]))
    asked = (mine.limit(_NEWEST), judged.limit(1), good.where(table.c.kind == "reconcile").limit(_WHOLE), good.limit(1))
    found = {row.seq: row for query in asked for row in connection.execute(query)}
    return [run_row(found[seq]) for seq in sorted(found, reverse=True)]


def _counts(connection: Connection, by: ColumnElement[str], table: Table) -> dict[str, int]:
    return {str(name): int(count) for name, count in connection.execute(select(by, func.count()).select_from(table).group_by(by))}


def campus_counts(connection: Connection) -> dict[str, int]:
    """How many persons with access there are, by the code of their campus."""
    table = tables.persons
    query = select(table.c.campus, func.count()).where(table.c.state == str(State.ACTIVE)).group_by(table.c.campus)
    return {campus: count for campus, count in connection.execute(query) if campus}


def people_at(connection: Connection) -> dict[tuple[str, str], int]:
    """How many persons with access there are, by the code of their campus and their population."""
    table = tables.persons
    query = select(table.c.campus, table.c.population, func.count()).where(table.c.state.in_([str(state) for state in IN_USE]))
    counted = connection.execute(query.group_by(table.c.campus, table.c.population))
    return {(campus, population or ""): int(count) for campus, population, count in counted}


def present(connection: Connection, source: SourceName, keys: Collection[SourceKey]) -> set[SourceKey]:
    """Those of the keys that the last accepted snapshot of the source tells of."""
    table = tables.source_keys
    query = select(table.c.key).where(table.c.source == source, table.c.key.in_(keys), table.c.missing_since.is_(None))
    return {SourceKey(key) for (key,) in connection.execute(query)}


def _row(row: Row[Any]) -> Freshness:
    return Freshness(row.kind, row.name, _time(row.good_at), _time(row.changed_at), _time(row.failed_at), row.why, row.number)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _text(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at else None
