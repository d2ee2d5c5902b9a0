"""What the rows of a OneRoster roster mean: which can be used, what each adds to whose digest, and the joined records.

Works on a spool and knows nothing of files, zips or HTTP, so that every OneRoster binding shares one reading. One set of
checks serves digests and records alike: a person is either told by a record or shielded by a Reject, in both.

`tobedeleted`: on a user it is an explicit exit on the day of `dateLastModified` (R36); without a readable day the person is
simply gone, and grace begins. On any other row it means that the row is no longer there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from syncd.core.claims import parted
from syncd.core.model import (
    Enrolment,
    Guardianship,
    Record,
    Reject,
    RowRef,
    Section,
    SourceKey,
    SourceName,
    Subject,
    SubjectKey,
    Value,
)
from syncd.sources.oneroster_grounds import Grounds, Roles, Table, exit_day, read_grounds, read_roles, read_word, split_list
from syncd.sources.oneroster_layout import DELETED, ENROLMENT_ROLES, GUARDIANS
from syncd.sources.oneroster_part import Part
from syncd.sources.spool import Readable, Spool, row_bytes
from syncd.sources.supplement import Supplement, stored_rejects
from syncd.sources.values import (
    HOMEROOM_TEACHER,
    MANAGER,
    UNREADABLE,
    homeroom_of,
    ordered,
    put_fields,
    read_date,
    read_flag,
    read_grade,
)
from syncd.vault import Vault

# What a column of users.csv is called here. `identifier`, `grades` and `status` need more than a name.
_USER_FIELDS = {
    "givenName": "given", "middleName": "middle", "familyName": "family",
    "preferredGivenName": "preferred_given", "preferredMiddleName": "preferred_middle", "preferredFamilyName": "preferred_family",
    "username": "sis_username", "userMasterIdentifier": "state_id", "email": "email", "phone": "phone", "sms": "sms",
    "pronouns": "pronouns",
}  # fmt: skip


_FEW = 4  # so many times fewer persons than there are: then only the blocks that tell of them are read


@dataclass(frozen=True, slots=True)
class Rules:
    """How one source's roster is read."""

    source: SourceName
    metadata: Mapping[str, str]
    profiles: Mapping[str, str]
    grades: Mapping[str, str]
    supplements: tuple[Supplement, ...]
    vault: Vault = field(repr=False)
    _read: list[Part] = field(default_factory=list, repr=False, compare=False)  # the last part: its records are asked for next

    def digests_of(self, spool: Spool, subjects: Collection[SubjectKey]) -> list[tuple[SubjectKey, int] | Reject]:
        """What `digests` says of these, and every Reject that is about them or about no person. The spool is sound."""
        persons = {one.key for one in subjects if one.subject is Subject.PERSON}
        part = Part(spool, persons, {one.key for one in subjects if one.subject is Subject.CLASS})
        self._read[:] = [part]
        wanted = frozenset(subjects)
        return [
            item
            for item in self.digests(part)
            if (
                item.subject is not Subject.PERSON or item.key is None or item.key in persons
                if isinstance(item, Reject)
                else item[0] in wanted
            )
        ]

    def digests(self, spool: Readable) -> Iterator[tuple[SubjectKey, int] | Reject]:
        """One item or more per spooled row: small tables first, then persons, then their rows elsewhere."""
        digest = self.vault.row_digest()
        yield from stored_rejects(spool)
        grounds = read_grounds(spool, self.source, self.metadata)
        yield from grounds.rejects
        for subject, plain in grounds.digests:
            yield subject, digest(plain)
        roles = read_roles(spool, grounds)
        yield from roles.rejects
        for subject, plain in roles.digests:
            yield subject, digest(plain)
        yield from self._user_digests(spool, grounds, roles, digest)
        yield from self._enrolment_digests(spool, grounds, digest)
        for attached, line, key, row, plain in self._attached(spool):
            if key not in grounds.users:
                continue
            why = self._attached_problem(attached, row)
            if why:
                yield Reject(self.source, self._ref(attached, line), why, key)
            else:
                yield grounds.users[key], digest(plain)

    def _user_digests(
        self, spool: Readable, grounds: Grounds, roles: Roles, digest: Callable[[bytes], int]
    ) -> Iterator[tuple[SubjectKey, int] | Reject]:
        """A users row feeds its person, and whoever it names as agent (a child's record lists its guardians)."""
        users = Table(spool, "users")
        agents = users.getter("agentSourcedIds")
        for line, row in users.rows():
            told = self._user(users, line, row, roles)
            if isinstance(told, Reject):
                yield told
            elif told is not None:
                own = grounds.users[row[0]]
                amount = digest(users.digestible(row) if not told.ended else row_bytes("users", row))
                yield own, amount
                for agent in split_list(agents(row)):
                    if agent in grounds.users:
                        yield grounds.users[agent], amount

    def _enrolment_digests(
        self, spool: Readable, grounds: Grounds, digest: Callable[[bytes], int]
    ) -> Iterator[tuple[SubjectKey, int] | Reject]:
        """An enrolment feeds its person; a teacher's also the class, whose pupils read who teaches it."""
        enrollments = Table(spool, "enrollments")
        classes: dict[str, SubjectKey] = {}
        for _, row, said in self._enrolments(enrollments, grounds, None):
            if isinstance(said, Reject):
                yield said
                continue
            amount = digest(enrollments.digestible(row))
            yield grounds.users[said[0]], amount
            if said[2] == "teacher":
                section = said[1].key
                yield classes.setdefault(section, SubjectKey(Subject.CLASS, section)), amount

    def records(self, spool: Readable, keys: Collection[SourceKey] | None) -> Iterator[Record | Reject]:  # noqa: C901, PLR0912 — one join, table after table; split, each part would need all the others' state
        """The joined records of these persons, or the Rejects that shield them."""
        spool = self._readable(spool, keys)
        wanted = None if keys is None else frozenset(keys)
        grounds = read_grounds(spool, self.source, self.metadata)
        roles = read_roles(spool, grounds)
        bad: dict[str, list[Reject]] = defaultdict(list)
        others: list[Reject] = []
        for reject in (*stored_rejects(spool), *grounds.rejects, *roles.rejects):
            if reject.key is not None and reject.subject is Subject.PERSON:
                bad[reject.key].append(reject)
            else:
                others.append(reject)
        if wanted is None:
            yield from others
        enrolled: dict[str, list[tuple[Section, str, bool, date | None, date | None, int]]] = defaultdict(list)
        teachers: dict[str, list[tuple[bool, int, str]]] = defaultdict(list)
        for line, _, said in self._enrolments(Table(spool, "enrollments"), grounds, wanted):
            if isinstance(said, Reject):
                if said.key is not None:
                    bad[said.key].append(said)
                elif wanted is None:
                    yield said
                continue
            user, section, role, primary, begin, end = said
            if role == "teacher":
                teachers[section.key].append((not primary, -(begin.toordinal() if begin else 0), user))
            if wanted is None or user in wanted:
                enrolled[user].append((section, role, primary, begin, end, line))
        attached: dict[str, list[tuple[Supplement | None, int, list[str]]]] = defaultdict(list)
        for table, line, key, row, _ in self._attached(spool):
            if key not in grounds.users or (wanted is not None and key not in wanted):
                continue
            why = self._attached_problem(table, row)
            if why:
                bad[key].append(Reject(self.source, self._ref(table, line), why, key))
            else:
                attached[key].append((table if isinstance(table, Supplement) else None, line, row))
        sections = {key: self._taught(section, teachers.get(key, ())) for key, section in grounds.sections.items()}
        users = Table(spool, "users")
        guardians = self._guardians(users, grounds, roles)
        profiles = self._profiles(spool, wanted)
        for line, row in users.rows():
            key = SourceKey(row[0])
            if wanted is not None and key not in wanted:
                continue
            told = self._user(users, line, row, roles)
            if isinstance(told, Reject):
                bad[key].append(told)
            elif told is not None and key not in bad:
                told.fields.update(profiles.get(key, {}))
                yield self._record(
                    key,
                    told,
                    RowRef(users.file, line),
                    roles,
                    sections,
                    enrolled.get(key, []),
                    guardians.get(key, ()),
                    attached.get(key, []),
                )
        for person, rejects in bad.items():
            if wanted is None or person in wanted:
                yield from rejects

    def _readable(self, spool: Readable, keys: Collection[SourceKey] | None) -> Readable:
        """Only what tells of these, where they are few."""
        last, self._read[:] = self._read[:], []
        if not isinstance(spool, Spool) or keys is None or not spool.sound or len(keys) * _FEW >= spool.counts.get("users", 0):
            return spool
        return next((part for part in last if part.tells(spool, keys)), None) or Part(spool, keys)

    def _user(self, users: Table, line: int, row: list[str], roles: Roles) -> _Told | Reject | None:
        """The scalar fields of one user; None where the user is marked tobedeleted without a day."""
        cells = users.cells(row)
        key = SourceKey(row[0])
        ended = cells.get("status", "").lower() == DELETED
        left = exit_day(cells) if ended else None
        if ended and left is None:
            return None
        told = _Told({}, {}, {}, left, cells.get("agentSourcedIds", ""))
        fields = told.fields
        try:
            if not cells["givenName"] and not cells["familyName"]:
                raise ValueError("givenName and familyName are empty")  # noqa: TRY301 — one place turns every problem into a Reject
            for column, name in _USER_FIELDS.items():
                if column in cells:
                    fields[name] = cells[column]
            fields["enabled"] = read_flag(cells["enabledUser"]) if cells["enabledUser"] else True
            if cells.get("status", "").lower() == "inactive":  # OneRoster 1.0; still sent
                fields["enabled"] = False
            held = {role.role for role in roles.of.get(key, ()) or roles.ended.get(key, ())}
            if roles.astray and not held:
                raise ValueError("has no role, and a row of roles.csv gives one to a user nobody knows")  # noqa: TRY301 — as above
            if "identifier" in cells:
                fields["student_number"] = cells["identifier"] if "student" in held else ""
                fields["staff_number"] = cells["identifier"] if held - GUARDIANS - {"student"} else ""
            if "grades" in cells:
                self._put_grade(cells["grades"], fields, is_student="student" in held)
            declared = {name: cells[name] for name in self.metadata}
            manager = declared.pop(MANAGER, "")
            if manager:
                told.related[MANAGER] = SourceKey(manager)
            put_fields(fields, told.facts, declared)
        except ValueError as error:
            return Reject(self.source, RowRef(users.file, line), str(error), key)
        return told

    def _put_grade(self, text: str, fields: dict[str, Value], *, is_student: bool) -> None:
        """The first grade listed, for students only: for teachers OneRoster lists what they teach."""
        said = split_list(text)
        fields["grade"] = ""
        if not is_student or not said:
            return
        grade, index = read_grade(self.grades.get(said[0], said[0]))
        fields["grade"] = grade
        if index is not None:
            fields["grade_index"] = index

    def _enrolments(
        self, table: Table, grounds: Grounds, wanted: frozenset[SourceKey] | None
    ) -> Iterator[tuple[int, list[str], _Enrolled | Reject]]:
        """Every enrolment that counts, or why it cannot. With `wanted`, of those persons and of every teacher."""
        status, group, person, role, primary, begin, end = (
            table.getter(column)
            for column in ("status", "classSourcedId", "userSourcedId", "role", "primary", "beginDate", "endDate")
        )
        users, sections, gone = grounds.users, grounds.sections, grounds.gone
        for line, row in table.rows():
            user = person(row)
            teaches = role(row).lower() == "teacher"
            if wanted is not None and user not in wanted and not teaches:
                continue
            if status(row).lower() == DELETED:
                continue
            section = sections.get(group(row))
            try:
                if user not in users:
                    if (Subject.PERSON, user) in gone:
                        continue
                    raise ValueError(f"userSourcedId {user!r} is no user" if user else "userSourcedId is empty")  # noqa: TRY301 — as in _user
                if section is None:
                    if (Subject.CLASS, group(row)) in gone:
                        continue
                    raise ValueError(f"classSourcedId {group(row)!r} is no usable class")  # noqa: TRY301 — as in _user
                said = "teacher" if teaches else read_word(role(row), ENROLMENT_ROLES)
                first, starts, ends = primary(row), begin(row), end(row)
                yield (
                    line,
                    row,
                    (
                        user,
                        section,
                        said,
                        bool(first) and read_flag(first),
                        read_date(starts) if starts else None,
                        read_date(ends) if ends else None,
                    ),
                )
            except ValueError as error:
                yield line, row, Reject(self.source, RowRef(table.file, line), str(error), SourceKey(user) or None)

    # --- what is attached to persons by key -----------------------------------------------------------------------

    def _attached(self, spool: Readable) -> Iterator[tuple[Supplement | str, int, SourceKey, list[str], bytes]]:
        """Rows of demographics, user profiles and supplements: table, line, whose, cells, and what is digested."""
        demographics = Table(spool, "demographics")
        birth, status = demographics.getter("birthDate"), demographics.getter("status")
        for line, row in demographics.rows():
            if status(row).lower() != DELETED:
                yield demographics.name, line, SourceKey(row[0]), [birth(row)], row_bytes(demographics.name, [row[0], birth(row)])
        if self.profiles:
            profiles = Table(spool, "userProfiles")
            for line, row in profiles.rows():
                cells = profiles.cells(row)
                if cells["profileType"] in self.profiles.values() and cells.get("status", "").lower() != DELETED:
                    yield profiles.name, line, SourceKey(cells["userSourcedId"]), [""], profiles.digestible(row)
        for supplement in self.supplements:
            for line, key, row in supplement.rows(spool):
                yield supplement, line, key, row, row_bytes(supplement.table, row)

    def _attached_problem(self, table: Supplement | str, row: list[str]) -> str | None:
        if isinstance(table, Supplement):
            try:
                table.put(row, {}, {}, {})
            except ValueError as error:
                return str(error)
            return None
        return "birthDate is not a date like YYYY-MM-DD" if row[0] == UNREADABLE else None

    def _ref(self, table: Supplement | str, line: int) -> RowRef:
        return table.row_ref(line) if isinstance(table, Supplement) else RowRef(f"{table}.csv", line)

    def _profiles(self, spool: Readable, wanted: frozenset[SourceKey] | None) -> dict[str, dict[str, Value]]:
        """The declared profile usernames by person; the first of a type counts."""
        found: dict[str, dict[str, Value]] = defaultdict(dict)
        if not self.profiles:
            return found
        table = Table(spool, "userProfiles")
        for _, row in table.rows():
            cells = table.cells(row)
            user = SourceKey(cells["userSourcedId"])
            if (wanted is None or user in wanted) and cells.get("status", "").lower() != DELETED:
                for name, kind in self.profiles.items():
                    if kind == cells["profileType"]:
                        found[user].setdefault(name, cells["username"])
        return found

    def _guardians(self, users: Table, grounds: Grounds, roles: Roles) -> dict[str, tuple[Guardianship, ...]]:
        """Guardians by person. `agentSourcedIds` points from the child, the guardian or both; either is enough."""
        agents = users.getter("agentSourcedIds")
        relation: dict[str, str] = {}
        for user, held in roles.of.items():
            kinds = sorted(role.role for role in held if role.role in GUARDIANS)
            if kinds:
                relation[user] = kinds[0]
        found: dict[str, set[str]] = defaultdict(set)
        for _, row in users.rows():
            for agent in split_list(agents(row)):
                if agent in grounds.users and row[0] in grounds.users:
                    if agent in relation and row[0] not in relation:
                        found[row[0]].add(agent)
                    elif row[0] in relation and agent not in relation:
                        found[agent].add(row[0])
        return {child: tuple(Guardianship(SourceKey(one), relation[one]) for one in sorted(them)) for child, them in found.items()}

    # --- the record ------------------------------------------------------------------------------------------------

    def _taught(self, section: Section, teachers: Collection[tuple[bool, int, str]]) -> Section:
        """The class with its teachers: the primary one first, then who came last, then by key."""
        if not teachers:
            return section
        keys = tuple(SourceKey(user) for _, _, user in sorted(teachers))
        return Section(
            section.key,
            section.code,
            section.title,
            section.campus,
            section.kind,
            section.course,
            section.begin,
            section.end,
            section.active,
            tuple(dict.fromkeys(keys)),
        )

    def _record(
        self, key: SourceKey, told: _Told, where: RowRef, roles: Roles, sections: Mapping[str, Section],
        enrolled: list[tuple[Section, str, bool, date | None, date | None, int]], guardians: tuple[Guardianship, ...],
        attached: list[tuple[Supplement | None, int, list[str]]],
    ) -> Record:  # fmt: skip
        rows = [where, *roles.rows.get(key, ())]
        for supplement in self.supplements:
            supplement.absent(told.fields)
        for supplement_or_none, line, cells in attached:
            if supplement_or_none is not None:
                supplement_or_none.put(cells, told.fields, told.facts, told.related)
                rows.append(supplement_or_none.row_ref(line))
            elif cells[0]:
                told.facts["birth_date"] = cells[0]
                rows.append(RowRef("demographics.csv", line))
        if told.left is not None and told.fields.get("exit_date") is None:  # a supplement without a date takes no exit back
            told.fields["exit_date"] = told.left
        held = roles.of.get(key) or (roles.ended.get(key, []) if told.ended else [])
        roles_held, enrolments = ordered(
            held,
            (Enrolment(sections[section.key], role, primary, begin, end) for section, role, primary, begin, end, _ in enrolled),
        )
        rows += [RowRef("enrollments.csv", line) for *_, line in enrolled]
        homeroom = homeroom_of(enrolments)
        if homeroom is not None:
            told.related[HOMEROOM_TEACHER] = homeroom.teachers[0]
        tokens, sealed = parted(told.facts)
        return Record(self.source, key, told.fields, roles_held, enrolments, guardians, told.related, tokens, tuple(rows), sealed)


@dataclass(slots=True)
class _Told:
    """What one users row tells."""

    fields: dict[str, Value]
    facts: dict[str, str]
    related: dict[str, SourceKey]
    left: date | None  # the day the row was marked tobedeleted
    agents: str

    @property
    def ended(self) -> bool:
        """Whether the row says that they left."""
        return self.left is not None


_Enrolled = tuple[str, Section, str, bool, date | None, date | None]
