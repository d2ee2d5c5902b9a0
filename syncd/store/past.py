"""What the guard asks of the past: what rosters told earlier, and what happened on other days."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import date, timedelta

from sqlalchemy import Connection, Engine, func, select, update

from syncd.core.guard import Cell
from syncd.core.model import Failure, Kind, PersonId, SourceKey, SourceName, Subject, SubjectKey, TargetName
from syncd.core.profile import Profile
from syncd.store import codec, tables
from syncd.store.database import transaction
from syncd.store.reading import chunks, number, person_id

_DAY = 10  # letters of an hour that are its day
_NEWEST = 2


class Past:
    """Questions about days and rosters before the last one. Days are UTC."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def told_before(self, source: SourceName, told: Mapping[SubjectKey, int]) -> tuple[int, int]:
        """Of these persons' digests: how many are of somebody known, and how many of these were so before their last change."""
        table = tables.digests
        query = select(table.c.key, table.c.before).where(table.c.source == source, table.c.subject == str(Subject.PERSON))
        keys = [key.key for key in told if key.subject is Subject.PERSON]
        known = again = 0
        with transaction(self._engine) as connection:
            for piece in chunks(keys):
                for key, before in connection.execute(query.where(table.c.key.in_(piece))):
                    known += 1
                    digest = told[SubjectKey(Subject.PERSON, SourceKey(key))]
                    again += before is not None and int.from_bytes(before, "big") == digest
        return known, again

    def accepted_on(self, source: SourceName, content: str) -> date | None:
        """The last day on which a roster with this content was accepted; None where that never was."""
        table = tables.snapshots
        query = select(func.max(table.c.accepted_on)).where(table.c.source == source, table.c.content == content)
        with transaction(self._engine) as connection:
            found = connection.execute(query).scalar()
        return date.fromisoformat(found) if found else None

    def most_rows(self, source: SourceName, since: date) -> dict[str, int]:
        """The most rows each table had in a roster accepted since then, and how many persons were in one."""
        table = tables.snapshots
        query = select(table.c.counts).where(table.c.source == source, table.c.accepted_on >= since.isoformat())
        most: dict[str, int] = {}
        with transaction(self._engine) as connection:
            for (counts,) in connection.execute(query):
                for name, rows in json.loads(counts).items():
                    most[name] = max(rows, most.get(name, 0))
        return most

    def joins_in_doubt(self, target: TargetName, persons: Collection[PersonId]) -> set[PersonId]:
        """Who of these was to join a group, and had not when somebody looked: it may have come about since."""
        table, done = tables.journal, tables.outcomes
        query = (
            select(table.c.person)
            .join_from(table, done, done.c.seq == table.c.seq)
            .where(table.c.target == target, table.c.kind == str(Kind.ADD_MEMBER), done.c.failure == str(Failure.WAITS))
        )
        found: set[PersonId] = set()
        with transaction(self._engine) as connection:
            for piece in chunks([number(person) for person in persons]):
                found |= {person_id(row) for (row,) in connection.execute(query.where(table.c.person.in_(piece)))}
        return found

    def profiles(self, source: SourceName, since: date) -> list[tuple[date, dict[str, Profile]]]:
        """What the files of each roster accepted since then looked like, by table, and those of the two newest; oldest first."""
        table = tables.snapshots
        mine = select(table.c.accepted_on, table.c.profiles).where(table.c.source == source).order_by(table.c.seq.desc())
        with transaction(self._engine) as connection:
            rows = list(connection.execute(mine.where(table.c.accepted_on >= since.isoformat())))
            if len(rows) < _NEWEST:
                rows = list(connection.execute(mine.limit(_NEWEST)))
        return [(date.fromisoformat(day), _profiles(told)) for day, told in reversed(rows)]

    def by_day(self, cell: Cell, first: date, last: date) -> dict[date, int]:
        """How much was applied in this cell on each day of the span, both ends included, on which anything was."""
        table = tables.spent
        day = func.substr(table.c.hour, 1, _DAY)
        query = select(day, func.sum(table.c.number)).where(
            table.c.target == cell.target,
            table.c.hour >= first.isoformat(),
            table.c.hour < (last + timedelta(days=1)).isoformat(),
            table.c.operation == cell.operation,
            table.c.campus == cell.campus,
            table.c.population == cell.population,
        )
        with transaction(self._engine) as connection:
            return {date.fromisoformat(told): int(number) for told, number in connection.execute(query.group_by(day))}


def keep_profiles(connection: Connection, source: SourceName, profiles: Mapping[str, Profile]) -> None:
    """Remember with the newest accepted roster of a source what its files look like."""
    table = tables.snapshots
    newest = select(func.max(table.c.seq)).where(table.c.source == source).scalar_subquery()
    told = {name: asdict(one) for name, one in sorted(profiles.items())}
    connection.execute(update(table).where(table.c.seq == newest).values(profiles=codec.dumps(told).decode()))


def _profiles(told: str | None) -> dict[str, Profile]:
    return {
        name: Profile(**{**one, "header": tuple(one["header"]), "lacks": tuple(one["lacks"])})
        for name, one in json.loads(told or "{}").items()
    }
