"""Plain CSV: one file of people, with what else is known about them in files joined by key.

Everything is said in the configuration: which column feeds which field, what its values mean, how dates are written. Files joined
to people belong to the delivery, so a missing one is an error (a *supplement* may be missing, see there).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal, NoReturn

from syncd.core.claims import parted
from syncd.core.fields import CLAIM_FACTS
from syncd.core.model import (
    Campus,
    Enrolment,
    Record,
    Reject,
    Role,
    RowRef,
    Section,
    SourceKey,
    SourceName,
    Subject,
    SubjectKey,
    Value,
)
from syncd.errors import EndpointError
from syncd.sources import tabular
from syncd.sources.archive import Package, open_file
from syncd.sources.profiles import Look, look
from syncd.sources.spool import Readable, Spool, SpoolWriter, row_bytes
from syncd.sources.spool_table import Writer
from syncd.sources.supplement import REJECT_COLUMNS, REJECTS, Joins, Supplement, SupplementConfig, joined, stored_rejects
from syncd.sources.values import (
    EXTRA,
    HOMEROOM_TEACHER,
    MANAGER,
    Facts,
    claim_problem,
    homeroom_of,
    ordered,
    put_fields,
    read_date,
    read_flag,
    target_problem,
)
from syncd.vault import Vault

_PEOPLE_ONLY = (MANAGER, "role", "campus")
_ROLE_CELLS = ("campus", "role", "primary", "begin", "end")
_CLASS_CELLS = ("class", "title", "campus", "role", "primary", "begin", "end", "kind")
_CAMPUS_CELLS = ("name", "code", "kind", "parent")
_MAY_EMPTY = frozenset({"end", "primary"})  # what ended is often dropped from the file; what is primary is told where it is true
_MEANING = 2


@dataclass(frozen=True)
class CsvTable:
    """One file: whose rows they are, and which column feeds what."""

    path: Path = field(metadata={"doc": "the CSV file"})
    key: str = field(metadata={"doc": "the column with the person's key (of campuses: the campus's key)"})
    columns: Mapping[str, str] = field(default_factory=dict, metadata={"doc": "what is fed: the column that feeds it"})
    constants: Mapping[str, str] = field(
        default_factory=dict, metadata={"doc": "what is fed: the same text for every row, as in role: student"}
    )
    values: Mapping[str, Mapping[str, str]] = field(
        default_factory=dict, metadata={"doc": "what is fed: {what the file says: what it means}"}
    )
    floor: int = field(default=1, metadata={"doc": "fewest rows the file may have; fewer is an error"})

    @property
    def feeds(self) -> tuple[str, ...]:
        """Everything the table feeds, in the order of the configuration."""
        return (*self.columns, *(name for name in self.constants if name not in self.columns))


@dataclass(frozen=True)
class CsvConfig:
    """Where the files lie and what their columns mean."""

    people: CsvTable = field(
        metadata={
            "doc": "one row per person. Feeds canonical fields, claim facts, extra.NAME, manager (another row's key), role, campus"
        }
    )
    joins: tuple[CsvTable, ...] = field(default=(), metadata={"doc": "more files with at most one row per person, by the same key"})
    roles: CsvTable | None = field(
        default=None, metadata={"doc": "several rows per person: feeds campus, role, primary, begin, end"}
    )
    enrolments: CsvTable | None = field(
        default=None,
        metadata={"doc": "several rows per person: feeds class (its key), title, campus, role, primary, begin, end, kind"},
    )
    campuses: CsvTable | None = field(
        default=None, metadata={"doc": "one row per campus: feeds name, code, kind, parent. Without it a campus is its key"}
    )
    date_formats: tuple[str, ...] = field(default=(), metadata={"doc": "how dates are written besides YYYY-MM-DD, as in %m/%d/%Y"})
    encoding: Literal["auto", "utf-8", "utf-16", "latin-1"] = field(
        default="auto", metadata={"doc": "how the files are encoded; auto looks at each"}
    )
    delimiter: str = field(default="", metadata={"doc": "what separates cells; empty looks for one"})
    supplements: tuple[SupplementConfig, ...] = field(default=(), metadata={"doc": "CSV files that add columns to these persons"})

    def __post_init__(self) -> None:
        """Raise ValueError where a column feeds nothing."""
        problems: list[str | None] = []
        for table in (self.people, *self.joins):
            problems += [target_problem(name, _PEOPLE_ONLY) for name in (*table.feeds, *table.values)]
            problems.append(claim_problem(table.columns, table.key))
        for table_or_none, known in ((self.roles, _ROLE_CELLS), (self.enrolments, _CLASS_CELLS), (self.campuses, _CAMPUS_CELLS)):
            if table_or_none is not None:
                problems += [
                    f"{table_or_none.path.name} cannot feed {name!r}; it feeds {', '.join(known)}"
                    for name in table_or_none.feeds
                    if name not in known
                ]
        fed = [name for table in (self.people, *self.joins) for name in table.feeds]
        problems += [f"{name} is fed by two files" for name in sorted({name for name in fed if fed.count(name) > 1})]
        if self.roles is not None and not {"campus", "role"} <= set(self.roles.feeds):
            problems.append("roles must feed campus and role")
        if self.enrolments is not None and "class" not in self.enrolments.feeds:
            problems.append("enrolments must feed class")
        if self.delimiter and self.delimiter not in tabular.DELIMITERS:
            problems.append(f"delimiter {self.delimiter!r} is none of , ; | or tab")
        found = [problem for problem in problems if problem]
        if found:
            raise ValueError("; ".join(found))

    @property
    def extra_fields(self) -> frozenset[str]:
        """The `extra.*` fields this source tells."""
        names = [name for table in (self.people, *self.joins) for name in table.feeds]
        names += [name for one in self.supplements for name in one.columns]
        return frozenset(name for name in names if name.startswith(EXTRA))

    @property
    def tables(self) -> dict[str, CsvTable]:
        """Every file by its table's name in the spool."""
        named = {"campuses": self.campuses, "people": self.people, "roles": self.roles, "enrolments": self.enrolments}
        named |= {f"join.{number}": table for number, table in enumerate(self.joins, 1)}
        return {name: table for name, table in named.items() if table is not None}


class Csv:
    """The source for a set of plain CSV files."""

    def __init__(self, name: SourceName, options: CsvConfig, vault: Vault) -> None:
        self._name = name
        self._options = options
        self._vault = vault
        self._supplements = tuple(Supplement(config, name, vault) for config in options.supplements)
        self._tables = options.tables
        self._read_campuses: tuple[str, dict[str, Campus]] | None = None
        self._read_roleless: tuple[str, frozenset[str]] | None = None
        self._single = [table for table in self._tables if table == "people" or table.startswith("join.")]

    # --- fetch ------------------------------------------------------------------------------------------------------

    def fetch(self, spool: SpoolWriter) -> None:
        """Copy the configured columns of every file into the spool."""
        with ExitStack() as stack:
            packages = {
                name: stack.enter_context(open_file(table.path, f"source {self._name}")) for name, table in self._tables.items()
            }
            scans = {name: tabular.scan(package, package.names[0], self._options.encoding) for name, package in packages.items()}
            said = [
                str(_MEANING),
                repr(self._options),
                self._vault.key_id,
                *(f"{name} {scans[name].digest}" for name in sorted(scans)),
            ]
            said += [f"{supplement.table} {supplement.mark()}" for supplement in self._supplements]
            digest = hashlib.sha256("\n".join(said).encode()).hexdigest()
            if spool.is_known(digest) or spool.content(digest):
                return
            people: dict[str, list[str]] = {}
            rejects = stack.enter_context(spool.table(REJECTS, REJECT_COLUMNS))
            for name, table in self._tables.items():
                strangers = 0
                with ExitStack() as open_ones:
                    opened = open_ones.enter_context(self._opened(table, packages[name], scans[name]))
                    seen = self._look(name, table, opened, scans[name])
                    written = open_ones.enter_context(spool.table(name, ("key", *table.feeds), look=seen))
                    for line, row in self._copied(name, table, packages[name], opened, rejects):
                        written.write(row, line)
                        if name == "people":
                            people[row[0]] = row
                        elif row[0] not in people:
                            strangers += 1
                    written.flush()
                if written.rows < table.floor:
                    self._refuse(
                        f"{table.path.name} has {written.rows} usable rows, fewer than its floor of {table.floor}",
                        "if that is right, lower `floor`; else export again",
                    )
                if name != "campuses" and 1 < strangers == written.rows and table.floor:
                    self._refuse(
                        f"{table.path.name}: none of its {strangers} rows is about anybody in {self._options.people.path.name}",
                        "look at `key` and at how the files write it; a file that may be about nobody has `floor: 0`",
                    )
            for supplement in self._supplements:
                supplement.spool(spool, rejects, lambda joins: self._index(list(people.values()), joins))

    def _refuse(self, why: str, remedy: str) -> NoReturn:
        raise EndpointError(f"source {self._name}", why, remedy)

    def _opened(self, table: CsvTable, package: Package, found: tabular.Scan) -> AbstractContextManager[tabular.Table]:
        columns = (table.key, *table.columns.values())
        shape = tabular.Shape(tuple(dict.fromkeys(columns)), frozenset(columns), columns, delimiter=self._options.delimiter)
        return tabular.open_table(package, package.names[0], found, shape)

    def _look(self, name: str, table: CsvTable, opened: tabular.Table, found: tabular.Scan) -> Look:
        """How the file looks; a constant is in no column of it."""
        names = ["" if fed in _MAY_EMPTY else table.columns.get(fed, "") for fed in table.feeds]
        owner = -1 if name == "campuses" else 0
        return look(table.path.name, opened, found, ("key", *table.feeds), ("", *names), owner=owner)

    def _copied(
        self, name: str, table: CsvTable, package: Package, opened: tabular.Table, rejects: Writer
    ) -> Iterator[tuple[int, list[str]]]:
        """The rows of one file, translated; a second row for the same person refuses the delivery where one is all there may be."""
        file = package.names[0]
        facts = Facts(self._vault, self._name, self._options.date_formats)
        constants = [text for fed, text in table.constants.items() if fed not in table.columns]
        translations = [(place, table.values[fed]) for place, fed in enumerate(table.columns, 1) if fed in table.values]
        secrets = [(place, fed) for place, fed in enumerate(table.feeds, 1) if fed in CLAIM_FACTS]
        unique = name in self._single or name == "campuses"
        subject = Subject.CAMPUS if name == "campuses" else Subject.PERSON
        seen: dict[str, int] = {}
        for item in opened.rows:
            if isinstance(item, tabular.BadRow):
                rejects.write((file, "", subject, "", item.why), item.line)
                continue
            line, row = item
            if not row[0]:
                rejects.write((file, "", subject, "", f"{table.key} is empty"), line)
                continue
            if unique and row[0] in seen:
                package.refuse(
                    f"{file}:{line}:", f"repeats {table.key} {row[0]!r} of row {seen[row[0]]}", "have the export corrected"
                )
            seen[row[0]] = line
            for place, meanings in translations:
                row[place] = meanings.get(row[place], row[place])
            row += constants
            for place, fact in secrets:
                row[place] = facts.token(fact, SourceKey(row[0]), row[place])
            yield line, row

    def _index(self, people: list[list[str]], joins: Joins) -> Mapping[str, SourceKey | None]:
        if joins == "key":
            return {row[0]: SourceKey(row[0]) for row in people}
        if joins not in self._options.people.feeds:
            return {}
        place, found = self._options.people.feeds.index(joins) + 1, dict[str, SourceKey | None]()
        for row in people:
            if row[place]:
                theirs = joined(joins, row[place])
                found[theirs] = None if theirs in found else SourceKey(row[0])
        return found

    # --- digests and records ----------------------------------------------------------------------------------------

    def digests(self, spool: Readable, of: Collection[SubjectKey] | None = None) -> Iterator[tuple[SubjectKey, int] | Reject]:
        """One item or more per spooled row: campuses, persons, then what is joined to them. Always all of them: see `differs`."""
        if of is not None:
            raise ValueError("a spool of CSV files never tells how it differs from another")
        digest = self._vault.row_digest()
        yield from stored_rejects(spool)
        for _, row in spool.rows("campuses"):
            yield SubjectKey(Subject.CAMPUS, SourceKey(row[0])), digest(row_bytes("campuses", row))
        people = self._people(spool)
        for table, line, row in self._rows(spool):
            found = self._judge(spool, table, line, row, people)
            if isinstance(found, Reject):
                yield found
            elif found:
                key = people[row[0]]
                amount = digest(row_bytes(table if isinstance(table, str) else table.table, row))
                yield key, amount
                if table == "enrolments":
                    yield SubjectKey(Subject.CLASS, SourceKey(self._cells(table, row)["class"])), amount

    def records(  # noqa: C901, PLR0912 — one join, row after row; each part would need the others' state
        self, spool: Spool, keys: Collection[SourceKey] | None
    ) -> Iterator[Record | Reject]:
        """The joined records of these persons, or the Rejects that shield them."""
        wanted = None if keys is None else frozenset(keys)
        people = self._people(spool)
        campuses = self._campuses(spool)
        bad: dict[str, list[Reject]] = defaultdict(list)
        told: dict[str, _Told] = {}
        for reject in stored_rejects(spool):
            if reject.key is not None and reject.subject is Subject.PERSON:
                bad[reject.key].append(reject)
            elif wanted is None:
                yield reject
        classes = _Classes(campuses)
        for table, line, row in self._rows(spool):
            key = row[0]
            mine = wanted is None or key in wanted
            if not mine and table != "enrolments":
                continue
            found = self._judge(spool, table, line, row, people)
            if isinstance(found, Reject):
                if mine:
                    bad[key].append(found)
                continue
            if found is None:
                continue
            if table == "enrolments":
                classes.add(self._cells(table, row), key)
            if not mine:
                continue
            person = told.setdefault(key, _Told())
            person.rows.append(found)
            if isinstance(table, Supplement):
                person.supplements.append((table, row[1:]))
            else:
                self._tell(table, self._cells(table, row), person, campuses)
        for key, person in told.items():
            if key not in bad:
                yield self._record(SourceKey(key), person, classes)
        for person_key, rejects in bad.items():
            if wanted is None or person_key in wanted:
                yield from rejects

    def _people(self, spool: Readable) -> dict[str, SubjectKey]:
        for name, table in self._tables.items():
            for fed in table.feeds:
                if fed not in spool.columns(name):
                    self._refuse(f"spool {spool.id} lacks {fed}", "run the source again before a replay")
        return {row[0]: SubjectKey(Subject.PERSON, SourceKey(row[0])) for _, row in spool.rows("people")}

    def _rows(self, spool: Readable) -> Iterator[tuple[str | Supplement, int, list[str]]]:
        """Every row about a person, people first."""
        for name in (*self._single, "roles", "enrolments"):
            for line, row in spool.rows(name):
                yield name, line, row
        for supplement in self._supplements:
            for line, key, cells in supplement.rows(spool):
                yield supplement, line, [key, *cells]

    def _cells(self, table: str, row: list[str]) -> dict[str, str]:
        return dict(zip(self._tables[table].feeds, row[1:], strict=True))

    def _judge(
        self, spool: Readable, table: str | Supplement, line: int, row: list[str], people: Mapping[str, SubjectKey]
    ) -> RowRef | Reject | None:
        """Where a usable row stands; the Reject of one that is not; None for a joined row of nobody in the people file."""
        key = SourceKey(row[0])
        where = table.row_ref(line) if isinstance(table, Supplement) else RowRef(self._tables[table].path.name, line)
        if key not in people:
            return (
                None
                if isinstance(table, Supplement) or table.startswith("join.")
                else Reject(
                    spool.source, where, f"{self._tables[table].key} {key!r} is nobody in {self._options.people.path.name}", key
                )
            )
        try:
            if isinstance(table, Supplement):
                table.put(row[1:], {}, {}, {})
            else:
                self._tell(table, self._cells(table, row), _Told(), self._campuses(spool))
        except ValueError as error:
            return Reject(spool.source, where, str(error), key)
        if table == "people" and key in self._roleless(spool, people):
            why = f"has no role, and a row of {self._tables['roles'].path.name} gives one to somebody nobody knows"
            return Reject(spool.source, where, why, key)
        return where

    def _roleless(self, spool: Readable, people: Mapping[str, SubjectKey]) -> frozenset[str]:
        """Who may be the one a stray role was meant for: everybody without a role, where some role is nobody's."""
        if "roles" not in self._tables or any("role" in self._tables[table].feeds for table in self._single):
            return frozenset()
        if self._read_roleless is None or self._read_roleless[0] != spool.id:
            holders = {row[0] for _, row in spool.rows("roles")}
            found = frozenset(people.keys() - holders) if holders - people.keys() else frozenset()
            self._read_roleless = (spool.id, found)
        return self._read_roleless[1]

    def _tell(self, table: str, cells: dict[str, str], person: _Told, campuses: Mapping[str, Campus] | None) -> None:
        """Add one row to what is known of a person. Raises ValueError saying what cannot be used."""
        formats = self._options.date_formats
        if table == "roles":
            role = cells["role"].lower()
            if not role:
                raise ValueError("role is empty")
            begin, end = _day(cells, "begin", formats), _day(cells, "end", formats)
            person.roles.append(Role(_campus(cells["campus"], campuses), role, _flag(cells, "primary"), begin, end))
        elif table == "enrolments":
            if not cells["class"]:
                raise ValueError("class is empty")
            if "campus" in cells:
                _campus(cells["campus"], campuses)
            person.enrolments.append(
                (
                    cells["class"],
                    (cells.get("role") or "student").lower(),
                    _flag(cells, "primary"),
                    _day(cells, "begin", formats),
                    _day(cells, "end", formats),
                )
            )
        else:
            role, campus, manager = (cells.pop(name, "") for name in ("role", "campus", MANAGER))
            if campus:
                person.campus = _campus(campus, campuses)
            if role:
                person.role = role.lower()
            if manager:
                person.related[MANAGER] = SourceKey(manager)
            put_fields(person.fields, person.facts, cells, formats)

    def _campuses(self, spool: Readable) -> Mapping[str, Campus] | None:
        """The campuses file; None where there is none and every key is a campus."""
        table = self._options.campuses
        if table is None:
            return None
        if self._read_campuses is None or self._read_campuses[0] != spool.id:
            found = {}
            for _, row in spool.rows("campuses"):
                cells = self._cells("campuses", row)
                found[row[0]] = Campus(
                    SourceKey(row[0]),
                    cells.get("name") or row[0],
                    cells.get("code") or row[0],
                    cells.get("kind") or "school",
                    SourceKey(cells["parent"]) if cells.get("parent") else None,
                )
            self._read_campuses = (spool.id, found)
        return self._read_campuses[1]

    def _record(self, key: SourceKey, person: _Told, classes: _Classes) -> Record:
        fields: dict[str, Value] = {}
        facts, related = person.facts, person.related
        for supplement in self._supplements:
            supplement.absent(fields)
        fields.update(person.fields)
        for supplement, cells in person.supplements:
            supplement.put(cells, fields, facts, related)
        roles = list(person.roles)
        if person.role and person.campus is not None:
            roles.insert(0, Role(person.campus, person.role, primary=True))
        elif person.role:
            fields["roles"] = (person.role,)
        held, enrolments = ordered(
            roles,
            (Enrolment(classes.section(name), role, primary, begin, end) for name, role, primary, begin, end in person.enrolments),
        )
        homeroom = homeroom_of(enrolments)
        if homeroom is not None:
            related[HOMEROOM_TEACHER] = homeroom.teachers[0]
        tokens, sealed = parted(facts)
        return Record(self._name, key, fields, held, enrolments, (), related, tokens, tuple(person.rows), sealed)


@dataclass(slots=True)
class _Told:
    """What the files tell of one person so far."""

    fields: dict[str, Value] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    related: dict[str, SourceKey] = field(default_factory=dict)
    role: str = ""
    campus: Campus | None = None
    roles: list[Role] = field(default_factory=list)
    enrolments: list[tuple[str, str, bool, date | None, date | None]] = field(default_factory=list)
    rows: list[RowRef] = field(default_factory=list)
    supplements: list[tuple[Supplement, list[str]]] = field(default_factory=list)


@dataclass(slots=True)
class _Classes:
    """Classes as the enrolment rows tell them: where these differ, the smallest text counts, whatever the order of the rows."""

    campuses: Mapping[str, Campus] | None
    cells: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    teachers: dict[str, list[tuple[bool, str]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, cells: Mapping[str, str], person: str) -> None:
        name = cells["class"]
        for told in ("title", "campus", "kind"):
            if cells.get(told):
                self.cells[name][told] = min(cells[told], self.cells[name].get(told, cells[told]))
        if cells.get("role", "").lower() == "teacher":
            self.teachers[name].append((not _flag(cells, "primary"), person))

    def section(self, name: str) -> Section:
        cells = self.cells[name]
        teachers = dict.fromkeys(SourceKey(person) for _, person in sorted(self.teachers[name]))
        return Section(
            SourceKey(name),
            name,
            cells.get("title") or name,
            SourceKey(cells.get("campus", "")),
            (cells.get("kind") or "scheduled").lower(),
            teachers=tuple(teachers),
        )


def _campus(key: str, campuses: Mapping[str, Campus] | None) -> Campus:
    if not key:
        raise ValueError("campus is empty")
    if campuses is None:
        return Campus(SourceKey(key), key, key)
    if key not in campuses:
        raise ValueError(f"campus {key!r} is not in the campuses file")
    return campuses[key]


def _day(cells: Mapping[str, str], name: str, formats: tuple[str, ...]) -> date | None:
    return read_date(cells[name], formats) if cells.get(name) else None


def _flag(cells: Mapping[str, str], name: str) -> bool:
    return bool(cells.get(name)) and read_flag(cells[name])
