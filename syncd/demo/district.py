"""A made-up district on a given day, the same for the same seed: campuses, classes and people of a Texas charter network.

`District.generate` gives the first day, `advance` the next one, `day(n)` and `days()` those after it; each is an
immutable value. Nothing here is read from a clock or written to a file: `oneroster_writer` does the writing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import count, islice
from random import Random
from types import MappingProxyType

from syncd.demo import names, planted
from syncd.demo.roster import (
    FALL_KEY,
    GRADES,
    SPRING_KEY,
    YEAR_KEY,
    Course,
    Employee,
    Lesson,
    Parent,
    Roster,
    School,
    Student,
    index,
)

FIRST_DAY = date(2026, 9, 1)
ACCENTED = MappingProxyType(
    {
        "Garcia": "García",
        "Gonzalez": "González",
        "Martinez": "Martínez",
        "Munoz": "Muñoz",
        "Nunez": "Núñez",
        "Pena": "Peña",
        "Sofia": "Sofía",
        "Jesus": "Jesús",
        "Andres": "Andrés",
        "Trevino": "Treviño",
        "Nguyen": "Nguyễn",
        "Tomas": "Tomás",
    }
)
SECTION_SIZE = 22
EARLIEST_SECONDARY = "06"
STAFF_DOMAIN, FAMILY_DOMAIN = "staff.example.org", "families.example.com"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened in the district on one day: what, to whom or what (its key), and in words."""

    kind: str
    key: str
    detail: str


@dataclass(frozen=True, slots=True)
class Rates:
    """How much happens on a school day. Per thousand students, staff or classes; campus renames per day; returns per departed."""

    new: float = 0.8
    moved: float = 0.5
    renamed: float = 0.3
    vanished: float = 0.6
    exited: float = 0.4
    returned: float = 0.08
    preferred: float = 0.4
    renumbered: float = 0.02
    staff_new: float = 2.0
    staff_left: float = 2.0
    staff_renamed: float = 3.0
    manager: float = 2.0
    homeroom_teacher: float = 4.0
    class_renamed: float = 0.5
    campus_renamed: float = 0.0  # touches everybody at the campus: a deliberate act that limits are meant to stop


@dataclass(frozen=True, slots=True)
class District:
    """One district on one day. `planted` names the awkward people by kind; `departed` are those who may return."""

    seed: int
    number: int
    today: date
    roster: Roster
    rates: Rates
    planted: Mapping[str, tuple[str, ...]]
    events: tuple[Event, ...] = ()
    departed: Mapping[str, Student] = field(default_factory=lambda: MappingProxyType({}))
    serial: int = 0

    @classmethod
    def generate(
        cls,
        seed: int,
        campuses: int = 3,
        students: int = 1200,
        staff: int = 150,
        *,
        guardians: int | None = None,
        rates: Rates | None = None,
        first_day: date = FIRST_DAY,
    ) -> District:
        """The district on its first day. `guardians` come on top of students and staff: one for ten students unless told."""
        if min(campuses, students, staff) < 1:
            raise ValueError("A district needs at least one campus, one student and one member of staff.")
        builder = Builder(seeded(f"district {seed}"))
        roster = builder.build(campuses, students, staff, students // 10 if guardians is None else guardians)
        kinds = MappingProxyType({kind: tuple(keys) for kind, keys in builder.planted.items()})
        return cls(seed, 0, first_day, roster, rates or Rates(), kinds, serial=builder.serial)

    def advance(self, until: date | None = None) -> District:
        """The district on the next day, or day by day on `until` (its events are those of the last step only)."""
        from syncd.demo.changes import next_day  # noqa: PLC0415 - changes builds on this module's values

        day = next_day(self)
        while until is not None and day.today < until:
            day = next_day(day)
        return day

    def day(self, number: int) -> District:
        """The district `number` days after this one; 0 is this one."""
        return next(islice(self.days(), number, None))

    def days(self, number: int | None = None) -> Iterator[District]:
        """All days from this one on: `number` of them, or without end."""
        day = self
        for _ in count() if number is None else range(number):
            yield day
            day = day.advance()


def seeded(name: str) -> Random:
    """A source of randomness that always draws the same for the same name."""
    return Random(name)  # noqa: S311 - nothing here is a secret


def plain(text: str) -> str:
    """The text without accents, case and punctuation; letters of other scripts stay."""
    spread = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in spread if letter.isalnum())


def birth_in(grade: str, random: Random) -> date:
    """A birth date fit for the grade in 2026-27 (Texas: five years old by 1 September for kindergarten)."""
    latest = date(2022 - GRADES.index(grade), 9, 1)
    return latest - timedelta(days=random.randrange(360))


class Builder:
    """Draws names, numbers and people; keeps what has been drawn, so that nobody resembles another by chance.

    Only planted children may share family name and birth date (R35): disputes are then exactly the ones we know of.
    """

    def __init__(self, random: Random, serial: int = 0) -> None:
        self.random = random
        self.serial = serial
        self.planted: dict[str, list[str]] = {}
        self.taken: set[tuple[str, date]] = set()

    def build(self, campuses: int, students: int, staff: int, guardians: int) -> Roster:
        """A whole roster of these sizes."""
        schools = [
            School(
                f"org-{n:03d}",
                f"{n:03d}",
                names.CAMPUSES[n - 1] if n <= len(names.CAMPUSES) else f"{names.CAMPUSES[n % len(names.CAMPUSES)]} {n}",
            )
            for n in range(1, campuses + 1)
        ]
        employees = self._staff(schools, staff)
        pupils = self._students(schools, students)
        lessons, courses, cohorts = self._classes(schools, employees, pupils)
        by_school: dict[str, list[tuple[str, ...]]] = {}
        for (school, _), groups in cohorts.items():
            by_school.setdefault(school, []).extend(groups)
        seats: dict[tuple[str, str], int] = {}
        for at, pupil in enumerate(pupils):
            place = (pupil.schools[0], pupil.grade)
            seat = seats[place] = seats.get(place, -1) + 1
            taken = cohorts[place][seat % len(cohorts[place])]
            for second in pupil.schools[1:]:
                taken = (*taken, *by_school[second][-1][1:3])
            pupils[at] = replace(pupil, lessons=taken)
        parents = self._parents(pupils, employees, guardians)
        return Roster(index(schools), index(courses), index(lessons), index(pupils), index(employees), index(parents))

    # --- people ---

    def given(self, sex: str) -> str:
        """A given name, now and then with its accent."""
        return self._accent(self.random.choice(names.GIRLS if sex == "female" else names.BOYS))

    def family(self) -> str:
        """A family name; one in six has two surnames, one in thirty a hyphen."""
        first = self._accent(self.random.choice(names.FAMILIES))
        draw = self.random.random()
        if draw > 0.2:  # noqa: PLR2004 - the shares the docstring tells
            return first
        return f"{first}{'-' if draw < 1 / 30 else ' '}{self._accent(self.random.choice(names.FAMILIES))}"

    def student(self, school: str, grade: str, sketch: planted.Sketch | None = None) -> Student:
        """A new student; without a sketch nobody else has both this family name and this birth date."""
        self.serial += 1
        sex = sketch.sex if sketch else self.random.choice(("female", "male"))
        given = sketch.given if sketch else self.given(sex)
        family = sketch.family if sketch else self.family()
        birth = (sketch.birth if sketch else None) or birth_in(grade, self.random)
        while sketch is None and (plain(family), birth) in self.taken:
            birth = birth_in(grade, self.random)
            family = self.family()
        self.taken.add((plain(family), birth))
        number = f"{104000 + self.serial * 3 + self.random.randrange(3)}"
        has_ssn = self.random.random() < 0.9  # noqa: PLR2004 - the rest has a Texas S-number only
        digits = f"{self.random.randrange(10000):04d}"
        return Student(
            key=f"stu-{self.serial:07d}",
            number=number,
            given=given,
            family=family,
            birth=birth,
            sex=sex,
            grade=grade,
            schools=(school,),
            lessons=(),
            middle=self.random.choice(names.MIDDLES) if self.random.random() < 0.4 else "",  # noqa: PLR2004 - a share
            email=f"family{number}@{FAMILY_DOMAIN}" if self.random.random() < 0.8 else "",  # noqa: PLR2004 - a share
            state_id=f"{1000000000 + self.serial * 7919}",
            ssn4=digits if has_ssn else "",
            s_number4="" if has_ssn else digits,
            start=date(2026 - self.random.randrange(GRADES.index(grade) + 1), 8, 10),
        )

    def employee(self, school: str, role: str, sketch: planted.StaffSketch | None = None, start: date | None = None) -> Employee:
        """A new member of staff."""
        self.serial += 1
        given = sketch.given if sketch else self.given(self.random.choice(("female", "female", "male")))
        family = sketch.family if sketch else self.family()
        number = f"{70000 + self.serial}"
        return Employee(
            key=f"emp-{self.serial:07d}",
            number=number,
            given=given,
            family=family,
            role=role,
            schools=(school,),
            email=f"{plain(given)}.{plain(family)}.{number}@{STAFF_DOMAIN}",
            start=start or date(2026 - self.random.randrange(1, 20), 8, 1),
        )

    def _accent(self, name: str) -> str:
        return ACCENTED[name] if name in ACCENTED and self.random.random() < 0.5 else name  # noqa: PLR2004 - half of them

    def _students(self, schools: Sequence[School], number: int) -> list[Student]:
        pupils: list[Student] = []
        for kind, sketches in planted.students():
            if len(pupils) + len(sketches) > number // 2 or (len(schools) == 1 and any(one.second_school for one in sketches)):
                continue
            school = schools[len(self.planted) % len(schools)].key
            for sketch in sketches:
                pupil = self.student(school, sketch.grade, sketch)
                pupil = sketch.applied_to(pupil)
                if sketch.second_school:
                    others = [one.key for one in schools if one.key != school]
                    pupil = replace(pupil, schools=(school, others[len(self.planted) % len(others)]))
                self.planted.setdefault(kind, []).append(pupil.key)
                pupils.append(pupil)
        places = ((schools[at % len(schools)].key, GRADES[at // len(schools) % len(GRADES)]) for at in count())
        pupils += [self.student(*place) for place in islice(places, number - len(pupils))]
        return pupils

    def _staff(self, schools: Sequence[School], number: int) -> list[Employee]:
        employees = [self.employee(schools[0].key, "districtAdministrator")]
        head = employees[0].key
        employees += [replace(self.employee(one.key, "principal"), manager=head) for one in schools]
        principals = {one.schools[0]: one.key for one in employees[1:]}
        for kind, sketches in planted.staff():
            if len(employees) + len(sketches) > number // 2 or (len(schools) == 1 and any(one.second_school for one in sketches)):
                continue
            for sketch in sketches:
                at = len(self.planted) % len(schools)
                person = self.employee(schools[at].key, "teacher", sketch)
                if sketch.second_school:
                    person = replace(person, schools=(schools[at].key, schools[(at + 1) % len(schools)].key))
                if sketch.is_parent:
                    person = replace(person, parent_at=(schools[at].key,))
                employees.append(replace(person, manager=principals[person.schools[0]]))
                self.planted.setdefault(kind, []).append(person.key)
        for at in range(number - len(employees)):
            campus = schools[at % len(schools)].key
            role = ("counselor", "aide")[at // len(schools) % 2] if at // len(schools) % 10 in (8, 9) else "teacher"
            employees.append(replace(self.employee(campus, role), manager=principals[campus]))
        return employees[:number]

    def _parents(self, pupils: list[Student], employees: Sequence[Employee], number: int) -> list[Parent]:
        parents: list[Parent] = []
        for person in employees:
            two_rows = person.key in self.planted.get("teacher_parent_two_rows", ())
            if not (two_rows or person.parent_at):
                continue
            at = next(n for n, pupil in enumerate(pupils) if person.schools[0] in pupil.schools and not pupil.guardians)
            guardian = person.key
            if two_rows:
                parents.append(Parent("par-0000000", person.given, person.family, person.schools[0], person.email))
                self.planted["teacher_parent_two_rows"].append("par-0000000")
                guardian = "par-0000000"
            pupils[at] = replace(pupils[at], guardians=(guardian,))
        step = max(1, len(pupils) // max(1, number))
        for n, at in enumerate(islice(range(0, len(pupils), step), max(0, number - len(parents))), start=1):
            pupil = pupils[at]
            parent = Parent(f"par-{n:07d}", self.given("female"), pupil.family, pupil.schools[0], f"parent{n}@{FAMILY_DOMAIN}")
            parents.append(parent)
            pupils[at] = replace(pupil, guardians=(*pupil.guardians, parent.key))
        return parents

    # --- classes ---

    def _classes(
        self, schools: Sequence[School], employees: Sequence[Employee], pupils: Sequence[Student]
    ) -> tuple[list[Lesson], list[Course], dict[tuple[str, str], list[tuple[str, ...]]]]:
        """The classes, the courses, and by campus and grade the class keys of each section, homeroom first."""
        heads: dict[tuple[str, str], int] = {}
        for pupil in pupils:
            place = (pupil.schools[0], pupil.grade)
            heads[place] = heads.get(place, 0) + 1
        teachers = {
            school.key: [one.key for one in employees if school.key in one.schools and one.role == "teacher"]
            or [one.key for one in employees][:1]
            for school in schools
        }
        codes = {school.key: school.code for school in schools}
        lessons: list[Lesson] = []
        courses: dict[str, Course] = {}
        cohorts: dict[tuple[str, str], list[tuple[str, ...]]] = {}
        section = dict.fromkeys(codes, 0)
        for (school, grade), head in sorted(heads.items()):
            for letter in range(-(-head // SECTION_SIZE)):
                made = self._cohort(school, codes[school], grade, letter, (teachers[school], section[school]), courses)
                section[school] += 1
                lessons += made
                cohorts.setdefault((school, grade), []).append(tuple(one.key for one in made))
        return lessons, list(courses.values()), cohorts

    def _cohort(
        self, school: str, code: str, grade: str, letter: int, staffing: tuple[list[str], int], courses: dict[str, Course]
    ) -> list[Lesson]:
        teachers, section = staffing
        name = f"{grade}{chr(65 + letter)}" if letter < 26 else f"{grade}Z{letter}"  # noqa: PLR2004 - letters of the alphabet
        secondary = EARLIEST_SECONDARY <= grade <= GRADES[-1]
        made: list[Lesson] = []
        for n, subject in enumerate(("Homeroom", *(names.SECONDARY_SUBJECTS if secondary else names.SUBJECTS))):
            course = Course(f"course-{grade}-{n}", f"{grade}0{n}", f"{subject} {grade}", grade)
            courses.setdefault(course.key, course)
            own = n == 0 or (not secondary and n <= 4)  # noqa: PLR2004 - the core subjects of a primary class
            teacher = teachers[(section if own else section * 5 + n) % len(teachers)]
            made.append(
                Lesson(
                    key=f"class-{code}-{name}-{n}",
                    code=f"{code}-{name}-{subject[:3].upper() if n else 'HR'}{n or ''}",
                    title=f"{subject} {name}",
                    school=school,
                    grade=grade,
                    course=course.key,
                    kind="scheduled" if n else "homeroom",
                    session={"Band": FALL_KEY, "Athletics": SPRING_KEY}.get(subject, YEAR_KEY),
                    teachers=(teacher,),
                )
            )
        return made
