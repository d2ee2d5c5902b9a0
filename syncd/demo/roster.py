"""What a district's student information system knows on one morning: a Roster of campuses, classes and people.

Plain immutable values, indexed by the source's own permanent keys. Knows nothing of files and of how a district comes about.
A roster is edited with `dataclasses.replace` and `Roster.with_…`; the roster it came from stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType
from typing import TypeVar

GRADES = ("PK", "KG", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12")

DISTRICT_KEY = "org-district"
YEAR_KEY, FALL_KEY, SPRING_KEY = "session-2027", "session-2027-s1", "session-2027-s2"


@dataclass(frozen=True, slots=True)
class Session:
    """A school year or semester; `end` is the last day, as OneRoster has it."""

    key: str
    title: str
    kind: str
    begin: date
    end: date
    parent: str = ""


SESSIONS = (
    Session(YEAR_KEY, "2026-2027", "schoolYear", date(2026, 8, 10), date(2027, 5, 28)),
    Session(FALL_KEY, "Fall 2026", "semester", date(2026, 8, 10), date(2026, 12, 18), YEAR_KEY),
    Session(SPRING_KEY, "Spring 2027", "semester", date(2027, 1, 5), date(2027, 5, 28), YEAR_KEY),
)


@dataclass(frozen=True, slots=True)
class School:
    """A campus. `code` is what the district calls it by: three digits, leading zeros included."""

    key: str
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Course:
    """What is taught, at any campus."""

    key: str
    code: str
    title: str
    grade: str


@dataclass(frozen=True, slots=True)
class Lesson:
    """A class as scheduled: OneRoster `classes`. `teachers` are staff keys, the primary teacher first."""

    key: str
    code: str
    title: str
    school: str
    grade: str
    course: str
    kind: str  # homeroom or scheduled
    session: str
    teachers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Student:
    """One student row, with what the supplements tell of them. `schools` and `lessons`: keys, the primary school first."""

    key: str
    number: str
    given: str
    family: str
    birth: date
    sex: str
    grade: str
    schools: tuple[str, ...]
    lessons: tuple[str, ...]
    middle: str = ""
    preferred_given: str = ""
    email: str = ""
    state_id: str = ""
    ssn4: str = ""
    s_number4: str = ""
    guardians: tuple[str, ...] = ()
    start: date | None = None
    exit: date | None = None
    exit_reason: str = ""
    optout: bool = False
    confidential: bool = False


@dataclass(frozen=True, slots=True)
class Employee:
    """One member of staff. `role` is OneRoster 1.2's word, `manager` an employee's key, `parent_at` their children's schools."""

    key: str
    number: str
    given: str
    family: str
    role: str
    schools: tuple[str, ...]
    manager: str = ""
    middle: str = ""
    preferred_given: str = ""
    email: str = ""
    start: date | None = None
    parent_at: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parent:
    """A guardian in the roster: no account, no birth date."""

    key: str
    given: str
    family: str
    school: str
    email: str = ""


Row = TypeVar("Row", School, Course, Lesson, Student, Employee, Parent)


def index(rows: Iterable[Row]) -> Mapping[str, Row]:
    """The rows by key, in key order, not to be changed."""
    return MappingProxyType({row.key: row for row in sorted(rows, key=lambda row: row.key)})


@dataclass(frozen=True, slots=True)
class Roster:
    """Everybody and everything the student information system lists today, each by key."""

    schools: Mapping[str, School]
    courses: Mapping[str, Course]
    lessons: Mapping[str, Lesson]
    students: Mapping[str, Student]
    staff: Mapping[str, Employee]
    parents: Mapping[str, Parent] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def persons(self) -> int:
        """How many students and staff rows there are."""
        return len(self.students) + len(self.staff)

    def with_students(self, *changed: Student) -> Roster:
        """The roster with these students added or replaced."""
        return replace(self, students=_with(self.students, changed))

    def without_students(self, keys: Iterable[str]) -> Roster:
        """The roster without these students."""
        return replace(self, students=_without(self.students, keys))

    def with_staff(self, *changed: Employee) -> Roster:
        """The roster with these employees added or replaced."""
        return replace(self, staff=_with(self.staff, changed))

    def without_staff(self, keys: Iterable[str]) -> Roster:
        """The roster without these employees; their classes and subordinates go to nobody."""
        gone = frozenset(keys)
        staff = {
            key: replace(row, manager="") if row.manager in gone else row for key, row in self.staff.items() if key not in gone
        }
        lessons = {
            key: replace(row, teachers=tuple(one for one in row.teachers if one not in gone))
            if not gone.isdisjoint(row.teachers)
            else row
            for key, row in self.lessons.items()
        }
        return replace(self, staff=MappingProxyType(staff), lessons=MappingProxyType(lessons))

    def with_lessons(self, *changed: Lesson) -> Roster:
        """The roster with these classes added or replaced."""
        return replace(self, lessons=_with(self.lessons, changed))

    def with_schools(self, *changed: School) -> Roster:
        """The roster with these campuses added or replaced."""
        return replace(self, schools=_with(self.schools, changed))


def _with(rows: Mapping[str, Row], changed: Iterable[Row]) -> Mapping[str, Row]:
    merged = dict(rows)
    merged.update((row.key, row) for row in changed)
    if len(merged) == len(rows):
        return MappingProxyType(merged)
    return MappingProxyType({key: merged[key] for key in sorted(merged)})


def _without(rows: Mapping[str, Row], keys: Iterable[str]) -> Mapping[str, Row]:
    gone = frozenset(keys)
    return MappingProxyType({key: row for key, row in rows.items() if key not in gone})
