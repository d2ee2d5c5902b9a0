"""A tiny district that lives through many nights: its roster, the edits that happen to it, and what the oracle makes of them.

Knows files and days, nothing of syncd. The zips are real OneRoster 1.2 deliveries, written in the plainest way.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Self

from tests.oracle import Answer, Expected, Oracle

FIRST_DAY = date(2026, 9, 7)

HEADERS = {
    "academicSessions": "title type startDate endDate parentSourcedId schoolYear",
    "orgs": "name type identifier parentSourcedId",
    "courses": "schoolYearSourcedId title courseCode grades orgSourcedId subjects subjectCodes",
    "classes": "title grades courseSourcedId classCode classType location schoolSourcedId termSourcedIds",
    "enrollments": "classSourcedId schoolSourcedId userSourcedId role primary beginDate endDate",
    "roles": "userSourcedId roleType role beginDate endDate orgSourcedId",
    "users": "enabledUser username givenName familyName middleName identifier email grades preferredGivenName primaryOrgSourcedId",
    "demographics": "birthDate",
}
GIVEN = ("Ana", "Ben", "José", "Mary Ann", "Zoë", "Al", "Li", "D'Andre")
FAMILY = ("Lee", "García-Núñez", "O'Neil", "Smith", "de la Cruz", "Nguyễn")
GRADES = ("PK", "KG", "02", "03", "07", "12")
BAD = ("grade", "nameless", "org", "date", "class")


@dataclass(slots=True)
class One:
    """Somebody in the roster."""

    key: str
    student: bool
    number: str
    given: str
    family: str
    school: str
    preferred: str = ""
    grade: str = ""
    second: str = ""  # another campus of an employee
    classes: tuple[str, ...] = ()
    birth: str = ""
    start: date | None = None
    exit: date | None = None
    enabled: bool = True
    deleted: date | None = None  # marked as deleted, on that day
    optout: bool = False
    manager: str = ""  # number
    bad: str = ""  # what is wrong with the row, one of BAD


@dataclass(slots=True)
class Lesson:
    """A class; its teacher is in it by an enrolment of their own."""

    key: str
    code: str
    title: str
    school: str
    teacher: str


@dataclass(slots=True)
class Town:
    """The student information system of a district of a dozen people."""

    schools: dict[str, list[str]]  # key -> code, name
    lessons: dict[str, Lesson]
    people: dict[str, One]
    away: dict[str, One] = field(default_factory=dict)  # vanished, and may come back
    minted: int = 0
    today: date = FIRST_DAY

    @classmethod
    def founded(cls, size: int = 9) -> Self:
        """A district with two campuses, two classes, three employees and the rest students."""
        town = cls(
            {"o1": ["001", "Bluebonnet"], "o2": ["012", "Riverside"]},
            {"c1": Lesson("c1", "001-A", "Home A", "o1", "k02"), "c2": Lesson("c2", "012-B", "Home B", "o2", "k03")},
            {},
        )
        draw = Random(size)
        for number in range(size):
            town.new(draw, student=number > 2)
        town.people["k02"].manager = town.people["k03"].manager = town.people["k01"].number
        return town

    def new(self, draw: Random, *, student: bool, start: date | None = None) -> One:
        """Somebody nobody has seen before."""
        self.minted += 1
        key, school = f"k{self.minted:02}", draw.choice(sorted(self.schools))
        one = One(key, student, f"{'' if student else 'E'}{1000 + self.minted}", draw.choice(GIVEN), draw.choice(FAMILY), school)
        if student:
            one.grade = draw.choice(GRADES)
            one.birth = f"{2008 + draw.randrange(3)}-01-{self.minted % 28 + 1:02}"
            one.classes = tuple(key for key, lesson in self.lessons.items() if lesson.school == school)
        else:
            staff = [other.number for other in self.people.values() if not other.student]
            one.manager = draw.choice(["", *staff])
        one.start = start
        self.people[key] = one
        return one

    # --- files --------------------------------------------------------------------------------------------------------

    def write(self, folder: Path, *, truncated: bool = False) -> None:
        """Export the roster and its supplements into the folder."""
        folder.mkdir(exist_ok=True)
        tables = self._tables()
        archive_bytes = io.BytesIO()
        with zipfile.ZipFile(archive_bytes, "w", zipfile.ZIP_STORED) as archive:
            manifest = [["propertyName", "value"], ["manifest.version", "1.0"], ["oneroster.version", "1.2"]]
            manifest += [[f"file.{name}", "bulk"] for name in HEADERS] + [["file.userProfiles", "absent"]]
            archive.writestr(zipfile.ZipInfo("manifest.csv"), _csv(manifest))
            for name, header in HEADERS.items():
                rows = [["sourcedId", "status", "dateLastModified", *header.split()], *tables[name]]
                archive.writestr(zipfile.ZipInfo(f"{name}.csv"), _csv(rows))
        whole = archive_bytes.getvalue()
        (folder / "oneroster.zip").write_bytes(whole[: len(whole) * 2 // 3] if truncated else whole)
        for name, rows in self._supplements().items():
            (folder / f"{name}.csv").write_bytes(_csv(rows))

    def _tables(self) -> dict[str, list[list[str]]]:
        head = ["", ""]
        rows: dict[str, list[list[str]]] = {name: [] for name in HEADERS}
        rows["academicSessions"] = [["year", *head, "Year", "schoolYear", "2026-08-10", "2027-05-28", "", "2027"]]
        rows["orgs"] = [["o0", *head, "District", "district", "000", ""]]
        rows["orgs"] += [[key, *head, name, "school", code, "o0"] for key, (code, name) in self.schools.items()]
        rows["courses"] = [["k", *head, "year", "Homeroom", "HR", "", "o0", "", ""]]
        for lesson in self.lessons.values():
            told = [lesson.title, "", "k", lesson.code, "homeroom", "", lesson.school, "year"]
            rows["classes"].append([lesson.key, *head, *told])
            if lesson.teacher in self.people and not self.people[lesson.teacher].deleted:
                seat = [lesson.key, lesson.school, lesson.teacher, "teacher", "true", "", ""]
                rows["enrollments"].append([f"t-{lesson.key}", *head, *seat])
        for one in self.people.values():
            self._write_one(one, rows)
        return rows

    def _write_one(self, one: One, rows: Mapping[str, list[list[str]]]) -> None:
        head = ["tobedeleted", f"{one.deleted}T04:00:00.000Z"] if one.deleted else ["", ""]
        given, family = ("", "") if one.bad == "nameless" else (one.given, one.family)
        grade = "ZZ" if one.bad == "grade" and one.student else one.grade
        names = ["true" if one.enabled else "false", one.key, given, family, "", one.number, "", grade, one.preferred, one.school]
        rows["users"].append([one.key, *head, *names])
        role = "student" if one.student else "teacher"
        for org in filter(None, (one.school, one.second)):
            kind = "primary" if org == one.school else "secondary"
            where = "o9" if one.bad == "org" or (one.bad == "grade" and not one.student) else org
            rows["roles"].append([f"r-{one.key}-{org}", *head, one.key, kind, role, "", "", where])
        if one.deleted:
            return
        if one.birth:
            rows["demographics"].append([one.key, "", "", one.birth])
        for lesson in (*one.classes, *(["c9"] if one.bad == "class" else [])):
            rows["enrollments"].append([f"{lesson}-{one.key}", "", "", lesson, one.school, one.key, "student", "", "", ""])

    def _supplements(self) -> dict[str, list[list[str]]]:
        """The first row of each is about nobody in the roster, so that none is ever empty."""
        facts = [["student_number", "birth_date", "ssn4", "s_number4"], ["1", "", "", ""]]
        exits = [["student_number", "start_date", "exit_date", "exit_reason"], ["1", "", "", ""]]
        ferpa = [["student_number", "directory_optout", "confidential"], ["1", "N", "N"]]
        staff = [["staff_number", "start_date", "manager"], ["E1", "", ""]]
        for one in self.people.values():
            start = "someday" if one.bad == "date" else f"{one.start or ''}"
            if one.student:
                facts.append([one.number, f"{date.fromisoformat(one.birth):%m/%d/%Y}", "", ""])
                exits.append([one.number, start, f"{one.exit or ''}", ""])
                ferpa.append([one.number, "Y" if one.optout else "N", "N"])
            else:
                staff.append([one.number, start, one.manager])
        return {"exits": exits, "staff": staff, "ferpa": ferpa, "claim_facts": facts}


def _csv(rows: list[list[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


# --- what happens to people -------------------------------------------------------------------------------------------

Edit = Callable[[Town, Random], None]


def _somebody(town: Town, draw: Random, *, student: bool | None = None) -> One | None:
    found = [one for _, one in sorted(town.people.items()) if student is None or one.student == student]
    return draw.choice(found) if found else None


def enrols(town: Town, draw: Random) -> None:
    """Somebody new comes."""
    town.new(draw, student=draw.random() < 0.8)


def enrols_later(town: Town, draw: Random) -> None:
    """Somebody new is announced: their account is made before they begin, and opened later."""
    town.new(draw, student=draw.random() < 0.8, start=town.today + timedelta(days=draw.choice([1, 5, 12, 20, 40])))


def moves(town: Town, draw: Random) -> None:
    """Somebody changes campus, and with it their classes."""
    if one := _somebody(town, draw):
        one.school = next(key for key in sorted(town.schools) if key != one.school)
        one.second = "" if one.second == one.school else one.second
        one.classes = tuple(key for key, lesson in town.lessons.items() if one.student and lesson.school == one.school)


def is_promoted(town: Town, draw: Random) -> None:
    """A student changes grade."""
    if one := _somebody(town, draw, student=True):
        one.grade = draw.choice(GRADES)


def is_renamed(town: Town, draw: Random) -> None:
    """Somebody's family name or given name changes."""
    if one := _somebody(town, draw):
        if draw.random() < 0.5:
            one.family = draw.choice(FAMILY)
        else:
            one.given = draw.choice(GIVEN)


def prefers(town: Town, draw: Random) -> None:
    """Somebody wishes to be called otherwise; the district shows legal names."""
    if one := _somebody(town, draw):
        one.preferred = draw.choice(["", "Nick", "Chris"])


def opts_out(town: Town, draw: Random) -> None:
    """A family opts out of directory information, or in again."""
    if one := _somebody(town, draw, student=True):
        one.optout = not one.optout


def vanishes(town: Town, draw: Random) -> None:
    """Somebody is not in the roster any more, without a word."""
    if one := _somebody(town, draw):
        town.away[one.key] = town.people.pop(one.key)


def exits(town: Town, draw: Random) -> None:
    """A student's last day is announced, or was some days ago."""
    if one := _somebody(town, draw, student=True):
        one.exit = town.today + timedelta(days=draw.choice([-3, -1, 0, 1, 4]))


def is_deleted(town: Town, draw: Random) -> None:
    """Somebody's row is marked as to be deleted."""
    if (one := _somebody(town, draw)) and not one.bad:
        one.deleted = one.deleted or town.today - timedelta(days=draw.choice([1, 2]))


def is_locked_out(town: Town, draw: Random) -> None:
    """The roster says that somebody may not have access, or may again."""
    if one := _somebody(town, draw):
        one.enabled = not one.enabled


def returns(town: Town, draw: Random) -> None:
    """Somebody who vanished or left is back."""
    gone = sorted({*town.away, *(key for key, one in town.people.items() if one.exit or one.deleted or not one.enabled)})
    if gone:
        key = draw.choice(gone)
        one = town.away.pop(key, None) or town.people[key]
        one.exit, one.deleted, one.enabled = None, None, True
        town.people[key] = one


def works_at_two(town: Town, draw: Random) -> None:
    """An employee works at a second campus, or does not any more."""
    if one := _somebody(town, draw, student=False):
        one.second = "" if one.second else next(key for key in sorted(town.schools) if key != one.school)


def reports_to(town: Town, draw: Random) -> None:
    """An employee has another manager."""
    if one := _somebody(town, draw, student=False):
        others = sorted(other.number for other in town.people.values() if not other.student and other is not one)
        one.manager = draw.choice(["", *others])


def teaches(town: Town, draw: Random) -> None:
    """A homeroom has another teacher."""
    if one := _somebody(town, draw, student=False):
        town.lessons[draw.choice(sorted(town.lessons))].teacher = one.key


def campus_renamed(town: Town, draw: Random) -> None:
    """A campus has another name, or another code."""
    school = town.schools[draw.choice(sorted(town.schools))]
    which = draw.randrange(2)
    school[which] = ["104", "Live Oak"][which] if school[which] not in ("104", "Live Oak") else ["001", "Bluebonnet"][which]
    if len({code for code, _ in town.schools.values()}) < len(town.schools):
        school[0] = "105" if school[0] != "105" else "106"


def class_renamed(town: Town, draw: Random) -> None:
    """A class has another title, or another code."""
    lesson = town.lessons[draw.choice(sorted(town.lessons))]
    if draw.random() < 0.5:
        lesson.title += " II"
    else:
        lesson.code = f"{lesson.key}-{draw.choice('XYZ')}"


def row_breaks(town: Town, draw: Random) -> None:
    """Somebody's row becomes unreadable."""
    if (one := _somebody(town, draw)) and not one.deleted:
        one.bad = draw.choice(BAD)


def row_is_repaired(town: Town, draw: Random) -> None:
    """An unreadable row can be read again."""
    broken = sorted(key for key, one in town.people.items() if one.bad)
    if broken:
        town.people[draw.choice(broken)].bad = ""


def shares_a_name(town: Town, draw: Random) -> None:
    """Somebody new comes who is called just like somebody who is here, or was."""
    others = sorted((town.people | town.away).items())
    if others:
        _, like = draw.choice(others)
        one = town.new(draw, student=like.student)
        one.given, one.family = like.given, like.family


EDITS: tuple[Edit, ...] = (
    *(enrols, enrols_later, moves, is_promoted, is_renamed, prefers, opts_out, vanishes, exits, is_deleted, is_locked_out),
    *(returns, works_at_two, reports_to, teaches, campus_renamed, class_renamed, row_breaks, row_is_repaired),
    shares_a_name,
)


# --- the oracle, told what landed -------------------------------------------------------------------------------------


class Foresight(Oracle):
    """The oracle of a district whose nights do not all go well.

    It is told of nights on which the roster could not be read, of what did not land (a step that did not land is decided again on
    the next day, from where the person stood before: R5), and of accounts that somebody else closed (R33).
    """

    def __init__(self) -> None:
        super().__init__()
        self.answer = Answer({}, frozenset(), frozenset(), frozenset())
        self.here: set[str] = set()
        self.closed: set[str] = set()
        self.delayed: set[str] = set()  # who lived through a night that did not end well: some day of theirs may have been lost
        self._before: dict[str, tuple[str, date]] = {}

    def night(self, today: date, folder: Path) -> Answer:
        """What must be true after a run that read these files."""
        self._before = {key: (human.state, human.since) for key, human in self.humans.items()}
        self.answer = self.day(today, folder / "oneroster.zip", folder)
        self.here = set(self.join(today))
        return self.answer

    def night_unread(self, today: date) -> Answer:
        """What must be true after a run that could read nothing: time passes for those last read; nobody vanishes (R1)."""
        self._before = {key: (human.state, human.since) for key, human in self.humans.items()}
        rows = self.join(today)
        for key in sorted(rows.keys() & self.humans.keys() - self.answer.held):
            human = self.humans[key]
            human.row, human.population = rows[key], rows[key].population
            self.decide(human, present=True, today=today, as_of=today)
            self.write(human, present=True, today=today)
        accounts = {key: human.account for key, human in sorted(self.humans.items()) if human.account}
        self.answer = replace(self.answer, accounts=accounts, rejected=frozenset(self.refused))
        return self.answer

    def landed(self, there: Mapping[str, Expected]) -> None:
        """After a night on which not everything landed: what stands there now, by source key."""
        self.delayed |= self.humans.keys()
        for key, human in self.humans.items():
            if human.account is None:
                continue
            stands = there.get(key)
            if stands is None or (stands.enabled != human.account.enabled and key not in self.closed):
                human.state, human.since = self._before.get(key, ("pending", date.min))
            human.account = stands
