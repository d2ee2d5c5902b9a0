"""What persons of a OneRoster roster are joined with: campuses, classes, roles, read from a spool and judged.

A row that cannot be used becomes a Reject of what it is about; what points at it is rejected in turn, so that its persons are
shielded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches

from syncd.core.model import Campus, Reject, Role, RowRef, Section, SourceKey, SourceName, Subject, SubjectKey
from syncd.errors import EndpointError
from syncd.sources.oneroster_layout import DELETED, GUARDIANS, ROLES
from syncd.sources.spool import Readable, row_bytes
from syncd.sources.values import read_date

_LINE = "\0line"  # beside the cells of a small table; no header can hold a NUL
_Row = tuple[int, list[str]]


def split_list(text: str) -> list[str]:
    """The parts of a comma-separated cell, without blanks and empty ones."""
    return [part.strip() for part in text.split(",") if part.strip()] if text else []


class Table:
    """A spooled table with cells by name; a column the file did not have reads as empty."""

    def __init__(self, spool: Readable, name: str) -> None:
        self.name = name
        self.file = f"{name}.csv"
        self.columns = spool.columns(name)
        self._spool = spool
        self._places = {column: place for place, column in enumerate(self.columns)}

    def has(self, column: str) -> bool:
        """True where the file had the column."""
        return column in self._places

    def rows(self) -> Iterator[_Row]:
        """Line and cells of every row."""
        return self._spool.rows(self.name)

    def getter(self, column: str) -> Callable[[list[str]], str]:
        """Reads one column of a row."""
        place = self._places.get(column)
        return (lambda _: "") if place is None else (lambda row: row[place])

    def cells(self, row: list[str]) -> dict[str, str]:
        """A row by column name."""
        return dict(zip(self.columns, row, strict=True))

    def digestible(self, row: list[str]) -> bytes:
        """Without `dateLastModified`: some exports stamp every row every night."""
        place = self._places.get("dateLastModified")
        return row_bytes(self.name, row if place is None else row[:place] + row[place + 1 :])


@dataclass(slots=True)
class Grounds:
    """The small tables, read and judged: everything persons are joined with."""

    source: SourceName
    campuses: dict[str, Campus] = field(default_factory=dict)
    sections: dict[str, Section] = field(default_factory=dict)
    gone: set[tuple[Subject, str]] = field(default_factory=set)  # marked tobedeleted: pointing at it is no error
    rejects: list[Reject] = field(default_factory=list)
    digests: list[tuple[SubjectKey, bytes]] = field(default_factory=list)
    users: dict[str, SubjectKey] = field(default_factory=dict)


@dataclass(slots=True)
class Roles:
    """The roles of everybody, or why a person's cannot be used."""

    of: dict[str, list[Role]] = field(default_factory=lambda: defaultdict(list))
    ended: dict[str, list[Role]] = field(default_factory=lambda: defaultdict(list))
    rows: dict[str, list[RowRef]] = field(default_factory=lambda: defaultdict(list))
    rejects: list[Reject] = field(default_factory=list)
    digests: list[tuple[SubjectKey, bytes]] = field(default_factory=list)
    astray: bool = False  # some row gives a role to nobody we know: whoever has none may be the one it was meant for


def read_grounds(spool: Readable, source: SourceName, declared: Collection[str]) -> Grounds:
    """Campuses, classes and who there is. Raises EndpointError where the spool was written without a declared column."""
    for name in declared:
        if name not in spool.columns("users"):
            raise EndpointError(f"source {source}", f"spool {spool.id} lacks {name}", "run the source again before a replay")
    grounds = Grounds(source)
    for user, (status, row) in _statused(spool, "users").items():
        if status != DELETED or exit_day(row) is not None:
            grounds.users[user] = SubjectKey(Subject.PERSON, SourceKey(user))
        else:
            grounds.gone.add((Subject.PERSON, user))
    _read_campuses(spool, grounds)
    _read_sections(spool, grounds)
    return grounds


def _statused(spool: Readable, name: str) -> dict[str, tuple[str, dict[str, str]]]:
    """Status and cells of every row by its key; for users only what an exit needs."""
    table = Table(spool, name)
    if name == "users":
        status, modified = table.getter("status"), table.getter("dateLastModified")
        return {row[0]: (status(row).lower(), {"dateLastModified": modified(row)}) for _, row in table.rows()}
    found = {}
    for line, row in table.rows():
        cells = table.cells(row)
        cells[_LINE] = str(line)
        found[row[0]] = (cells.get("status", "").lower(), cells)
    return found


def _read_campuses(spool: Readable, grounds: Grounds) -> None:
    table = Table(spool, "orgs")
    rows = _statused(spool, "orgs")
    for key, (status, cells) in rows.items():
        if status == DELETED:
            grounds.gone.add((Subject.CAMPUS, key))
            continue
        subject = SubjectKey(Subject.CAMPUS, SourceKey(key))
        if not cells["name"]:
            grounds.rejects.append(
                Reject(grounds.source, RowRef(table.file, int(cells[_LINE])), "name is empty", SourceKey(key), Subject.CAMPUS)
            )
            continue
        parent = cells.get("parentSourcedId") or ""
        grounds.campuses[key] = Campus(
            SourceKey(key),
            cells["name"],
            cells.get("identifier") or key,
            cells["type"].lower() or "school",
            SourceKey(parent) if parent in rows else None,
        )
        grounds.digests.append((subject, _plain("orgs", cells)))


def _read_sections(spool: Readable, grounds: Grounds) -> None:
    sessions = _statused(spool, "academicSessions")
    courses = _statused(spool, "courses")
    for key, (status, cells) in _statused(spool, "classes").items():
        if status == DELETED:
            grounds.gone.add((Subject.CLASS, key))
            continue
        where = RowRef("classes.csv", int(cells[_LINE]))
        own = SubjectKey(Subject.CLASS, SourceKey(key))
        said = split_list(cells.get("termSourcedIds", ""))
        terms = [sessions[term] for term in said if term in sessions]
        # With a term unknown nobody can say when the class ends: it counts as running.
        bounded = len(terms) == len(said)
        course = courses.get(cells.get("courseSourcedId", ""), ("", {}))[1]
        try:
            section = _section(key, cells, course, terms if bounded else [], grounds)
        except ValueError as error:
            grounds.rejects.append(Reject(grounds.source, where, str(error), own.key, Subject.CLASS))
            continue
        if section is None:
            grounds.gone.add((Subject.CLASS, key))
            continue
        grounds.sections[key] = section
        grounds.digests.append((own, _plain("classes", cells)))
        if course:
            grounds.digests.append((own, _plain("courses", course)))
        grounds.digests += [(own, _plain("academicSessions", term)) for _, term in terms]


def _section(
    key: str,
    cells: Mapping[str, str],
    course: Mapping[str, str],
    terms: list[tuple[str, dict[str, str]]],
    grounds: Grounds,
) -> Section | None:
    """The class; None where its school is marked tobedeleted. Raises ValueError on what cannot be used."""
    school = cells["schoolSourcedId"]
    if (Subject.CAMPUS, school) in grounds.gone:
        return None
    if school not in grounds.campuses:
        raise ValueError(f"schoolSourcedId {school!r} is no usable org")
    live = [term for status, term in terms if status != DELETED]
    begins = [read_date(term["startDate"]) for term in live if term["startDate"]]
    ends = [read_date(term["endDate"]) for term in live if term["endDate"]]
    return Section(
        SourceKey(key), cells.get("classCode") or key, cells["title"], SourceKey(school), cells["classType"].lower() or "scheduled",
        course.get("title", ""), min(begins) if begins and len(begins) == len(live) else None,
        max(ends) if ends and len(ends) == len(live) else None,
    )  # fmt: skip


def read_roles(spool: Readable, grounds: Grounds) -> Roles:
    """From roles.csv (1.2), else from the users themselves (1.1)."""
    found = Roles()
    users = Table(spool, "users")
    if users.has("orgSourcedIds"):
        _roles_of_users(users, grounds, found)
        return found
    primary_org = users.getter("primaryOrgSourcedId")
    primary = {row[0]: primary_org(row) for _, row in users.rows() if primary_org(row)}
    table = Table(spool, "roles")
    for line, row in table.rows():
        cells = table.cells(row)
        user, where = cells["userSourcedId"], RowRef(table.file, line)
        if user not in grounds.users:
            if (Subject.PERSON, user) not in grounds.gone and cells.get("status", "").lower() != DELETED:
                why = f"userSourcedId {user!r} is no user" if user else "userSourcedId is empty"
                found.rejects.append(Reject(grounds.source, where, why, SourceKey(user) or None))
                found.astray = True
            continue
        try:
            role = _read_role(cells, grounds, primary.get(user, ""))
        except ValueError as error:
            if cells.get("status", "").lower() != DELETED:
                found.rejects.append(Reject(grounds.source, where, str(error), SourceKey(user)))
            continue
        if role is None or cells.get("status", "").lower() == DELETED:
            if role is not None:
                found.ended[user].append(role)
            continue
        found.of[user].append(role)
        found.rows[user].append(where)
        found.digests.append((grounds.users[user], table.digestible(row)))
    return found


def _roles_of_users(users: Table, grounds: Grounds, found: Roles) -> None:
    """OneRoster 1.1: one role per user, at every org listed."""
    orgs, role = users.getter("orgSourcedIds"), users.getter("role")
    for line, row in users.rows():
        if row[0] not in grounds.users:
            continue
        try:
            held = read_word(role(row), ROLES)
            listed = dict.fromkeys(split_list(orgs(row)))
            if not listed and held not in GUARDIANS:
                raise ValueError("orgSourcedIds is empty")  # noqa: TRY301 — one place turns every problem into a Reject
            campuses = [_campus(grounds, org, "orgSourcedIds") for org in listed]
        except ValueError as error:
            found.rejects.append(Reject(grounds.source, RowRef(users.file, line), str(error), SourceKey(row[0])))
            continue
        found.of[row[0]] = [Role(campus, held) for campus in campuses if campus is not None]


def _plain(table: str, cells: Mapping[str, str]) -> bytes:
    return row_bytes(table, [cell for column, cell in cells.items() if column not in (_LINE, "dateLastModified")])


def exit_day(cells: Mapping[str, str]) -> date | None:
    """The day a row was marked tobedeleted; None where that cannot be read."""
    try:
        return read_date(cells.get("dateLastModified", ""))
    except ValueError:
        return None


def _campus(grounds: Grounds, org: str, column: str) -> Campus | None:
    """The org; None where it is marked tobedeleted. Raises ValueError on any other."""
    if org in grounds.campuses:
        return grounds.campuses[org]
    if (Subject.CAMPUS, org) in grounds.gone:
        return None
    raise ValueError(f"org {org!r} is no usable org" if org else f"{column} is empty")


def read_word(text: str, known: Mapping[str, str]) -> str:
    """A role in the standard's own spelling, or an `ext:` one. Raises ValueError: a mistyped role must not cost an account."""
    if not text:
        raise ValueError("role is empty")
    found = known.get(text.lower())
    if found is not None:
        return found
    if text.startswith("ext:") and len(text) > len("ext:"):
        return text
    near = get_close_matches(text.lower(), known, n=1)
    raise ValueError(f"role {text!r} is unknown" + (f"; did you mean {known[near[0]]!r}?" if near else ""))


def _read_role(cells: Mapping[str, str], grounds: Grounds, primary_org: str) -> Role | None:
    """One row of roles.csv. The user's own `primaryOrgSourcedId` decides what is primary, else `roleType`."""
    role = read_word(cells["role"], ROLES)
    kind = cells["roleType"].lower()
    if kind not in ("primary", "secondary"):
        raise ValueError(f"roleType {cells['roleType']!r} is neither primary nor secondary")
    begin, end = (read_date(cells[column]) if cells.get(column) else None for column in ("beginDate", "endDate"))
    org = cells["orgSourcedId"]
    campus = _campus(grounds, org, "orgSourcedId")
    if campus is None:
        return None
    return Role(campus, role, org == primary_org if primary_org else kind == "primary", begin, end)
