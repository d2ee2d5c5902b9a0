"""Writes a roster as OneRoster 1.1 or 1.2 zip files, full or only what changed, and the supplement CSVs beside it.

The same state gives the same bytes: members, rows and time stamps are in a fixed order. Rows are streamed, so that a
full zip of a million rows needs no more memory than the roster itself. Headers are exactly those of the standard.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Literal

from syncd.demo.district import District
from syncd.demo.roster import DISTRICT_KEY, SESSIONS, YEAR_KEY, Roster

Version = Literal["1.1", "1.2"]
Row = tuple[str, ...]  # sourcedId first, then the columns behind dateLastModified
Rows = Callable[[Roster], Iterator[Row]]

ZIP_TIME = (2026, 7, 1, 0, 0, 0)
STAMPED = ("sourcedId", "status", "dateLastModified")
SCHOOL_YEAR = "2027"  # OneRoster names a school year by the year in which it ends
DISTRICT_NAME = "Lone Star Charter Network"
ABSENT_11 = ("categories", "classResources", "courseResources", "lineItems", "resources", "results")
ABSENT_12 = (
    *ABSENT_11,
    "lineItemLearningObjectiveIds",
    "lineItemScoreScales",
    "resultLearningObjectiveIds",
    "resultScoreScales",
    "scoreScales",
    "userProfiles",
    "userResources",
)
OLD_ROLES = {
    "districtAdministrator": "administrator",
    "principal": "administrator",
    "siteAdministrator": "administrator",
    "counselor": "aide",
}
"""OneRoster 1.2's roles in the words of 1.1, which knows no counselor."""


def write_oneroster(state: District, path: Path, version: Version = "1.2", previous: District | None = None) -> Path:
    """The zip file at `path`: a full (bulk) one, or with `previous` a delta file of what changed since then."""
    mode = "bulk" if previous is None else "delta"
    tables = tables_of(version)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        _write(archive, "manifest.csv", ("propertyName", "value"), _manifest(version, mode, tables))
        for name, (columns, rows) in tables.items():
            if previous is None:
                lines: Iterable[Row] = ((row[0], "", "", *row[1:]) for row in rows(state.roster))
            else:
                lines = _changed(rows(previous.roster), rows(state.roster), state.today)
            _write(archive, f"{name}.csv", (*STAMPED, *columns), lines)
    return path


def write_supplements(state: District, folder: Path) -> tuple[Path, ...]:
    """The four supplement CSVs in `folder`, which is made if missing: claim_facts, ferpa, exits and staff."""
    folder.mkdir(parents=True, exist_ok=True)
    students = sorted(state.roster.students.values(), key=lambda one: one.number)
    numbers = {key: one.number for key, one in state.roster.staff.items()}
    written = {
        "claim_facts.csv": (
            ("student_number", "birth_date", "ssn4", "s_number4"),
            ((one.number, f"{one.birth:%m/%d/%Y}", one.ssn4, one.s_number4) for one in students),
        ),
        "ferpa.csv": (
            ("student_number", "directory_optout", "confidential"),
            ((one.number, _yes(one.optout), _yes(one.confidential)) for one in students),
        ),
        "exits.csv": (
            ("student_number", "start_date", "exit_date", "exit_reason"),
            ((one.number, _day(one.start), _day(one.exit), one.exit_reason) for one in students if one.start or one.exit),
        ),
        "staff.csv": (
            ("staff_number", "start_date", "manager"),
            (
                (one.number, _day(one.start), numbers.get(one.manager, ""))
                for one in sorted(state.roster.staff.values(), key=lambda one: one.number)
            ),
        ),
    }
    for name, (columns, lines) in written.items():
        with (folder / name).open("w", encoding="utf-8", newline="") as text:
            writer = csv.writer(text)
            writer.writerow(columns)
            writer.writerows(lines)
    return tuple(folder / name for name in written)


# --- files ---


def _write(archive: zipfile.ZipFile, name: str, columns: Row, lines: Iterable[Row]) -> None:
    member = zipfile.ZipInfo(name, ZIP_TIME)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = 0o600 << 16
    with archive.open(member, "w", force_zip64=True) as raw, io.TextIOWrapper(raw, "utf-8", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(columns)
        writer.writerows(lines)


def _manifest(version: Version, mode: str, tables: Iterable[str]) -> Iterator[Row]:
    files = dict.fromkeys(ABSENT_11 if version == "1.1" else ABSENT_12, "absent") | dict.fromkeys(tables, mode)
    yield "manifest.version", "1.0"
    yield "oneroster.version", version
    for name, how in sorted(files.items()):
        yield f"file.{name}", how
    yield "source.systemName", "syncd sample district"
    yield "source.systemCode", "SAMPLE"


def _changed(before: Iterable[Row], now: Iterable[Row], day: date) -> Iterator[Row]:
    old = {row[0]: row for row in before}
    stamp = datetime.combine(day, time(4), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    for row in now:
        if old.pop(row[0], None) != row:
            yield row[0], "active", stamp, *row[1:]
    for row in old.values():
        yield row[0], "tobedeleted", stamp, *row[1:]


def _day(day: date | None) -> str:
    return "" if day is None else day.isoformat()


def _yes(flag: bool) -> str:
    return "Y" if flag else "N"


# --- tables ---


def tables_of(version: Version) -> Mapping[str, tuple[Row, Rows]]:
    """The files of a delivery by name: their columns behind those of `STAMPED`, and what makes their rows, the key first."""
    tables: dict[str, tuple[Row, Rows]] = {
        "academicSessions": (
            ("title", "type", "startDate", "endDate", "parentSourcedId", "schoolYear"),
            _sessions,
        ),
        "classes": (
            (
                *("title", "grades", "courseSourcedId", "classCode", "classType", "location"),
                *("schoolSourcedId", "termSourcedIds", "subjects", "subjectCodes", "periods"),
            ),
            _classes,
        ),
        "courses": (
            ("schoolYearSourcedId", "title", "courseCode", "grades", "orgSourcedId", "subjects", "subjectCodes"),
            _courses,
        ),
        "demographics": (
            (
                *("birthDate", "sex", "americanIndianOrAlaskaNative", "asian", "blackOrAfricanAmerican"),
                *("nativeHawaiianOrOtherPacificIslander", "white", "demographicRaceTwoOrMoreRaces"),
                *("hispanicOrLatinoEthnicity", "countryOfBirthCode", "stateOfBirthAbbreviation", "cityOfBirth"),
                "publicSchoolResidenceStatus",
            ),
            _demographics,
        ),
        "enrollments": (
            ("classSourcedId", "schoolSourcedId", "userSourcedId", "role", "primary", "beginDate", "endDate"),
            _enrollments,
        ),
        "orgs": (("name", "type", "identifier", "parentSourcedId"), _orgs),
    }
    person: Row = ("userIds", "givenName", "familyName", "middleName", "identifier", "email", "sms", "phone")
    person = (*person, "agentSourcedIds", "grades", "password")
    if version == "1.1":
        tables["users"] = (("enabledUser", "orgSourcedIds", "role", "username", *person), _users_11)
        return tables
    preferred = ("preferredGivenName", "preferredMiddleName", "preferredFamilyName")
    tables["roles"] = (
        ("userSourcedId", "roleType", "role", "beginDate", "endDate", "orgSourcedId", "userProfileSourcedId"),
        _roles,
    )
    tables["users"] = (
        ("enabledUser", "username", *person, "userMasterIdentifier", *preferred, "primaryOrgSourcedId", "pronouns"),
        _users_12,
    )
    return tables


def _sessions(_: Roster) -> Iterator[Row]:
    for one in SESSIONS:
        yield one.key, one.title, one.kind, _day(one.begin), _day(one.end), one.parent, SCHOOL_YEAR


def _orgs(roster: Roster) -> Iterator[Row]:
    yield DISTRICT_KEY, DISTRICT_NAME, "district", "000", ""
    for one in roster.schools.values():
        yield one.key, one.name, "school", one.code, DISTRICT_KEY


def _courses(roster: Roster) -> Iterator[Row]:
    for one in roster.courses.values():
        yield one.key, YEAR_KEY, one.title, one.code, one.grade, DISTRICT_KEY, "", ""


def _classes(roster: Roster) -> Iterator[Row]:
    for one in roster.lessons.values():
        row = one.key, one.title, one.grade, one.course, one.code, one.kind, "", one.school, one.session
        yield *row, "", "", ""


def _demographics(roster: Roster) -> Iterator[Row]:
    for one in roster.students.values():
        yield one.key, _day(one.birth), one.sex, *[""] * 11


def _enrollments(roster: Roster) -> Iterator[Row]:
    for lesson in roster.lessons.values():
        for rank, key in enumerate(lesson.teachers):
            primary = "false" if rank else "true"
            yield f"{lesson.key}.{key}", lesson.key, lesson.school, key, "teacher", primary, "", ""
    schools = {key: lesson.school for key, lesson in roster.lessons.items()}
    for student in roster.students.values():
        key = student.key
        for lesson_key in student.lessons:
            yield f"{lesson_key}.{key}", lesson_key, schools[lesson_key], key, "student", "", "", ""


def _roles(roster: Roster) -> Iterator[Row]:
    for student in roster.students.values():
        for rank, school in enumerate(student.schools):
            yield _role(student.key, "student", school, "secondary" if rank else "primary")
    for employee in roster.staff.values():
        for rank, school in enumerate(employee.schools):
            yield _role(employee.key, employee.role, school, "secondary" if rank else "primary")
        for school in employee.parent_at:
            yield _role(employee.key, "parent", school, "secondary")
    for parent in roster.parents.values():
        yield _role(parent.key, "parent", parent.school, "primary")


def _role(user: str, role: str, school: str, kind: str) -> Row:
    return f"{user}.{school}.{role}", user, kind, role, "", "", school, ""


def _users_11(roster: Roster) -> Iterator[Row]:
    for key, role, schools, person, *_ in _people(roster):
        yield key, "true", ",".join(schools), OLD_ROLES.get(role, role), *person


def _users_12(roster: Roster) -> Iterator[Row]:
    for key, _, schools, person, state_id, preferred in _people(roster):
        yield key, "true", *person, state_id, preferred, "", "", schools[0], ""


def _people(roster: Roster) -> Iterator[tuple[str, str, Row, Row, str, str]]:
    """Every user: key, role, schools, the columns both versions share from `username` on, state id, preferred given name."""
    for one in roster.students.values():
        ids = f"{{TSDS:{one.state_id}}}" if one.state_id else ""
        person = one.number, ids, one.given, one.family, one.middle, one.number, one.email, "", ""
        agents = ",".join(key for key in one.guardians if key in roster.parents or key in roster.staff)
        yield one.key, "student", one.schools, (*person, agents, one.grade, ""), one.state_id, one.preferred_given
    for employee in roster.staff.values():
        name = f"staff{employee.number}"
        person = name, "", employee.given, employee.family, employee.middle, employee.number, employee.email, "", ""
        yield employee.key, employee.role, employee.schools, (*person, "", "", ""), "", employee.preferred_given
    for parent in roster.parents.values():
        person = parent.key, "", parent.given, parent.family, "", "", parent.email, "", ""
        yield parent.key, "parent", (parent.school,), (*person, "", "", ""), "", ""
