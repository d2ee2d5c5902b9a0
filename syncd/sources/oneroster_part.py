"""What a OneRoster roster says of a few persons and classes, without reading the rest.

The rows are found by whom they are about. Whoever is needed to judge these rows or to join them (guardians, children, teachers) is
part of the part; what is said of *them* in it is not complete.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from syncd.core.model import SourceKey, SourceName
from syncd.sources.oneroster_grounds import split_list
from syncd.sources.spool import Readable, Spool
from syncd.sources.spool_table import Keys, Row, crc
from syncd.sources.supplement import PREFIX

PERSON, OWN, CLASS = 0, 1, 2
"""What a row is found by: whom it is about, its own key, its class."""

_OWNERS = {"roles": "userSourcedId", "enrollments": "userSourcedId", "userProfiles": "userSourcedId"}


def owner(table: str, columns: Sequence[str]) -> int:
    """The place of the column that says whom a row is about. Raises ValueError where there is none."""
    return columns.index(_OWNERS.get(table, columns[0]))


def keys_of(table: str, columns: Sequence[str]) -> Keys:
    """What the rows of a table are found by."""
    whose = owner(table, columns)
    if table == "users":
        agents = columns.index("agentSourcedIds") if "agentSourcedIds" in columns else None
        return lambda row: (
            [crc(row[0], OWN), crc(row[0])]
            if agents is None or not row[agents]
            else [crc(row[0], OWN), *map(crc, {row[0], *split_list(row[agents])})]
        )
    if table == "enrollments":
        group = columns.index("classSourcedId")
        return lambda row: (crc(row[0], OWN), crc(row[whose]), crc(row[group], CLASS))
    return lambda row: (crc(row[0], OWN), crc(row[whose]))


class Part:
    """To be read as a spool. Complete for these persons, and for who teaches these classes."""

    def __init__(self, spool: Spool, persons: Collection[SourceKey], classes: Collection[SourceKey] = ()) -> None:
        self._spool = spool
        self._persons = frozenset(persons)
        self._tables: dict[str, list[Row]] = {}
        wanted: set[str] = set(persons)
        groups: set[str] = set(classes)
        self._take_enrolments(wanted, groups)
        self._take_users(wanted)
        theirs = {row[0] for _, row in self._tables["users"]} | wanted
        self._take("roles", theirs)
        for table in spool.counts:
            if table in ("demographics", "userProfiles") or table.startswith(PREFIX):
                self._take(table, wanted)

    @property
    def id(self) -> str:
        """The name of the spool."""
        return self._spool.id

    @property
    def source(self) -> SourceName:
        """Whose it is."""
        return self._spool.source

    def columns(self, name: str) -> tuple[str, ...]:
        """The columns of a table, in the order of its rows; none where there is no such table."""
        return self._spool.columns(name)

    def rows(self, name: str) -> Iterator[Row]:
        """Every row of a table that belongs to the part, in the order written."""
        return iter(self._tables[name]) if name in self._tables else self._spool.rows(name)

    def tells(self, spool: Readable, persons: Collection[SourceKey]) -> bool:
        """Whether it is a part of this spool, and complete for these persons."""
        return spool is self._spool and self._persons.issuperset(persons)

    def _take(self, table: str, persons: Collection[str]) -> None:
        columns = self._spool.columns(table)
        if columns:
            whose = owner(table, columns)
            self._tables[table] = [row for row in self._spool.found(table, _crcs(persons)) if row[1][whose] in persons]

    def _take_enrolments(self, persons: set[str], classes: set[str]) -> None:
        """Those of the persons, and the teachers of all their classes."""
        columns = self._spool.columns("enrollments")
        if not columns:
            return
        user, group, role = (columns.index(name) for name in ("userSourcedId", "classSourcedId", "role"))
        keys = _crcs(persons)
        classes.update(row[group] for _, row in self._spool.found("enrollments", keys) if row[user] in persons)
        keys.update(crc(one, CLASS) for one in classes)
        self._tables["enrollments"] = [
            one
            for one in self._spool.found("enrollments", keys)
            if one[1][user] in persons or (one[1][group] in classes and one[1][role].lower() == "teacher")
        ]

    def _take_users(self, persons: set[str]) -> None:
        """The persons, whoever names them or is named by them as an agent, and whoever is enrolled here."""
        columns = self._spool.columns("users")
        agents = columns.index("agentSourcedIds") if "agentSourcedIds" in columns else None
        around = set(persons)
        found: list[Row] = []
        for one in self._spool.found("users", _crcs(persons)):
            row = one[1]
            named = split_list(row[agents]) if agents is not None else ()
            if row[0] in persons or not persons.isdisjoint(named):
                around.update((row[0], *named))
                found.append(one)
        if "enrollments" in self._tables:
            user = self._spool.columns("enrollments").index("userSourcedId")
            around.update(row[user] for _, row in self._tables["enrollments"])
        if len(around) > len(persons):
            found = [one for one in self._spool.found("users", _crcs(around)) if one[1][0] in around]
        self._tables["users"] = found


def _crcs(texts: Iterable[str]) -> set[int]:
    return {crc(text, PERSON) for text in texts}
