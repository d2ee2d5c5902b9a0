"""Who is where, as rows beside persons (R26): campuses, classes, and the roles, enrolments and guardians of the last good records.

The sealed record stays the truth a person is made from; these rows answer the questions that start at a campus, a class or a child.
A campus or class that no record names any more keeps its row: accounts of those who left may still carry its code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table, delete, select

from syncd.core.model import Campus, PersonId, Record, Section, SourceKey, SourceName
from syncd.store import codec, tables
from syncd.store.reading import chunks, day, person_id
from syncd.store.rows import Enrolled, Guardian
from syncd.store.statements import Cell, fill, upsert

Cells = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """One kind of rows a record has several of, kept in the record's order."""

    table: Table
    cells: Callable[[Record], Iterable[Cells]]

    @property
    def columns(self) -> list[str]:
        """The columns behind source, key and place."""
        return [column.name for column in self.table.columns][3:]


@cache  # a roster has 200,000 enrolments and a dozen dates
def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None


_PARTS = (
    _Part(
        tables.roles,
        lambda record: ((one.campus.key, one.role, one.primary, _day(one.begin), _day(one.end)) for one in record.roles),
    ),
    _Part(
        tables.enrolments,
        lambda record: ((one.section.key, one.role, one.primary, _day(one.begin), _day(one.end)) for one in record.enrolments),
    ),
    _Part(tables.guardianships, lambda record: ((one.guardian, one.relation) for one in record.guardians)),
)


def keep(connection: Connection, records: Iterable[Record]) -> None:
    """These records' rows, exactly: what a record does not say any more goes. Only what is different is written."""
    by_source: dict[SourceName, list[Record]] = {}
    for record in records:
        by_source.setdefault(record.source, []).append(record)
    for source, mine in by_source.items():
        _keep_places(connection, source, mine)
        for part in _PARTS:
            _keep_part(connection, source, part, mine)


def _keep_places(connection: Connection, source: SourceName, records: Iterable[Record]) -> None:
    campuses: dict[SourceKey, Campus] = {}
    sections: dict[SourceKey, Section] = {}
    for record in records:
        campuses.update((role.campus.key, role.campus) for role in record.roles)
        sections.update((one.section.key, one.section) for one in record.enrolments)
    upsert(connection, tables.campuses, [_campus_row(source, campus) for campus in campuses.values()])
    upsert(connection, tables.classes, [_class_row(source, section) for section in sections.values()])


def _campus_row(source: SourceName, campus: Campus) -> dict[str, Any]:
    told = {"code": campus.code, "name": campus.name, "kind": campus.kind, "parent": campus.parent}
    return {"source": source, "key": campus.key, **told}


def _class_row(source: SourceName, section: Section) -> dict[str, Any]:
    return {
        "source": source,
        "key": section.key,
        "code": section.code,
        "title": section.title,
        "campus": section.campus,
        "kind": section.kind,
        "course": section.course,
        "begin": _day(section.begin),
        "end": _day(section.end),
        "teachers": codec.dumps(list(section.teachers)).decode(),
    }


def _keep_part(connection: Connection, source: SourceName, part: _Part, records: Iterable[Record]) -> None:
    table, columns = part.table, part.columns
    wanted: Mapping[SourceKey, list[Cells]] = {record.key: list(part.cells(record)) for record in records}
    different: list[SourceKey] = []
    for piece in chunks(wanted):
        query = select(table.c.key, *(table.c[name] for name in columns)).where(table.c.source == source, table.c.key.in_(piece))
        held: dict[SourceKey, list[Cells]] = {}
        for key, *cells in connection.execute(query.order_by(table.c.key, table.c.place)):
            held.setdefault(key, []).append(tuple(cells))
        changed = [key for key in piece if held.get(key, []) != wanted[key]]
        stale = [key for key in changed if key in held]
        if stale:
            connection.execute(delete(table).where(table.c.source == source, table.c.key.in_(stale)))
        different += changed
    fill(connection, table, [(source, key, place, *cells) for key in different for place, cells in enumerate(wanted[key])])


# --- questions --------------------------------------------------------------------------------------------------------


def campuses(connection: Connection) -> dict[SourceName, list[Campus]]:
    """Every campus anybody was ever at, by source, in the order of their codes."""
    found: dict[SourceName, list[Campus]] = {}
    for row in connection.execute(select(tables.campuses)):
        campus = Campus(SourceKey(row.key), row.name, row.code, row.kind, SourceKey(row.parent) if row.parent else None)
        found.setdefault(SourceName(row.source), []).append(campus)
    return {source: sorted(mine, key=lambda campus: (campus.code, campus.key)) for source, mine in sorted(found.items())}


def enrolled_in(connection: Connection, source: SourceName, section: SourceKey) -> list[Enrolled]:
    """Everybody whose last good record says they are in this class, teachers too, in the order they were minted."""
    table, key = tables.enrolments, tables.source_keys
    query = (
        select(key.c.person, table)
        .select_from(table.join(key, (key.c.source == table.c.source) & (key.c.key == table.c.key)))
        .where(table.c.source == source, table.c["class"] == section)
        .order_by(key.c.person, table.c.key, table.c.place)
    )
    return [
        Enrolled(person_id(row.person), row.role, row.primary, day(row.begin), day(row.end)) for row in connection.execute(query)
    ]


def guardians_of(connection: Connection, person: PersonId) -> list[Guardian]:
    """Who their last good records name as guardians; `person` is None for a guardian who is nobody here."""
    table, child, guardian = tables.guardianships, tables.source_keys.alias("child"), tables.source_keys.alias("guardian")
    joined = table.join(child, (child.c.source == table.c.source) & (child.c.key == table.c.key)).outerjoin(
        guardian, (guardian.c.source == table.c.source) & (guardian.c.key == table.c.guardian)
    )
    query = (
        select(table.c.source, table.c.guardian, table.c.relation, guardian.c.person)
        .select_from(joined)
        .where(child.c.person == int(person[1:]))
        .order_by(table.c.source, table.c.key, table.c.place)
    )
    return [
        Guardian(
            SourceName(row.source), SourceKey(row.guardian), row.relation, person_id(row.person) if row.person is not None else None
        )
        for row in connection.execute(query)
    ]
