"""A school year of a made-up district, weekday by weekday: registration, the new year, ordinary days, a cut-over, graduation.

What happens on a day is drawn from the seed. Ordinary life is the sample district's own (`syncd.demo.changes`) at the rates of the
season; what it does not know (a year that begins and ends, a new roster system, a family that moves) is added here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from random import Random

from bench.exports import slim
from syncd.demo.district import District, Rates, seeded
from syncd.demo.roster import GRADES, Roster, Student, index

REGISTRATION = date(2026, 7, 20)
NEW_YEAR = date(2026, 8, 3)
FIRST_DAY, LAST_DAY = date(2026, 8, 10), date(2027, 5, 28)
CUT_OVER = date(2026, 12, 29)
END = date(2027, 6, 25)
BREAKS = ((date(2026, 11, 25), date(2026, 11, 27)), (date(2026, 12, 24), date(2027, 1, 1)))
"""With these, 200 days of the year are school days."""

_LATE = 0.02  # of those who were there last year register anew elsewhere
_FEEDERS = frozenset({"06", "09"})  # grades in which a part of the children changes campus
_FED = 0.3

SUMMER = Rates(
    new=0.0, moved=0.1, renamed=0.1, vanished=0.1, exited=0.1, returned=0.0, preferred=0.1, renumbered=0.0,
    staff_new=2.5, staff_left=2.0, staff_renamed=0.5, manager=1.0, homeroom_teacher=0.0, class_renamed=0.0,
)  # fmt: skip
OPENING = Rates(
    new=2.0, moved=1.5, renamed=0.3, vanished=1.5, exited=0.3, returned=0.1, preferred=0.4, renumbered=0.03,
    staff_new=2.0, staff_left=1.0, staff_renamed=0.5, manager=2.0, homeroom_teacher=8.0, class_renamed=0.5,
)  # fmt: skip
TERM = Rates(
    new=0.8, moved=0.4, renamed=0.2, vanished=0.4, exited=0.4, returned=0.05, preferred=0.3, renumbered=0.02,
    staff_new=0.6, staff_left=0.6, staff_renamed=0.5, manager=1.0, homeroom_teacher=2.0, class_renamed=0.5,
)  # fmt: skip
JANUARY = replace(TERM, new=1.6, moved=1.2, vanished=0.9, exited=0.9, homeroom_teacher=6.0)
"""Ordinary life per thousand and day, by season."""


def is_school_day(day: date) -> bool:
    """Whether there is school."""
    return day.weekday() < 5 and FIRST_DAY <= day <= LAST_DAY and not any(first <= day <= last for first, last in BREAKS)  # noqa: PLR2004 — Saturday


def rates(day: date) -> Rates:
    """What a day of that season brings."""
    if day < FIRST_DAY or day > LAST_DAY:
        return SUMMER
    if day < FIRST_DAY + timedelta(days=18):
        return OPENING
    return JANUARY if date(2027, 1, 4) <= day <= date(2027, 1, 15) else TERM


@dataclass(slots=True)
class Life:
    """One district through the year. `days` yields it on every weekday after the first; each is an immutable value."""

    seed: int
    campuses: int
    students: int
    staff: int
    first: District = field(init=False)
    _autumn: Roster = field(init=False)
    _coming: list[Student] = field(init=False)

    def __post_init__(self) -> None:
        """The district as it is in the summer: everybody in last year's grade, some not there yet."""
        made = slim(District.generate(self.seed, self.campuses, self.students, self.staff, guardians=0, first_day=REGISTRATION))
        random = seeded(f"life {self.seed}")
        self._autumn = made.roster
        schools = list(made.roster.schools)
        planted = {key for keys in made.planted.values() for key in keys}
        self._coming, here = [], []
        for pupil in made.roster.students.values():
            if pupil.grade == GRADES[0] or (pupil.key not in planted and random.random() < _LATE):
                self._coming.append(replace(pupil, start=pupil.start if _is_later(pupil) else FIRST_DAY))
                continue
            at = pupil.schools
            if pupil.grade in _FEEDERS and len(at) == 1 and random.random() < _FED:
                at = (random.choice(schools),)
            here.append(replace(pupil, grade=GRADES[GRADES.index(pupil.grade) - 1], schools=at, lessons=()))
        random.shuffle(self._coming)
        self.first = replace(made, roster=replace(made.roster, students=index(here)))

    def days(self, until: date = END) -> Iterator[District]:
        """The weekdays after the first, in order."""
        district = self.first
        while district.today < until:
            step = 3 if district.today.weekday() == 4 else 1  # noqa: PLR2004 — from Friday to Monday
            day = district.today + timedelta(days=step)
            district = replace(district, rates=rates(day)).advance(day)
            for happening in self._special(day):
                district = replace(district, roster=happening(district))
            yield district

    def _special(self, day: date) -> Iterator[Callable[[District], Roster]]:
        if day < NEW_YEAR + timedelta(days=2):
            yield self._registered
        if day == NEW_YEAR:
            yield self._promoted
        if day == CUT_OVER:
            yield cut_over
        if day == LAST_DAY:
            yield graduated
        if is_school_day(day):
            yield from self._unusual(day)

    def _registered(self, district: District) -> Roster:
        """A twelfth of those who will come is entered on each weekday of registration, under last summer's grades or this one's."""
        days = sum((REGISTRATION + timedelta(days=n)).weekday() < 5 for n in range((NEW_YEAR - REGISTRATION).days + 2))  # noqa: PLR2004 — Saturday
        now, self._coming = self._coming[: -(-len(self._coming) // days) or 1], self._coming[-(-len(self._coming) // days) or 1 :]
        if district.today >= NEW_YEAR:
            now, self._coming = [*now, *self._coming], []
        known = set(district.roster.lessons)
        placed = [one if district.today >= NEW_YEAR else replace(one, lessons=()) for one in now if known.issuperset(one.lessons)]
        return district.roster.with_students(*placed)

    def _promoted(self, district: District) -> Roster:
        """Everybody goes up a grade, some to another campus, and the classes of the new year are scheduled."""
        changed = []
        for pupil in district.roster.students.values():
            autumn = self._autumn.students.get(pupil.key)
            if autumn is not None:
                changed.append(replace(pupil, grade=autumn.grade, schools=autumn.schools, lessons=autumn.lessons))
        return district.roster.with_students(*changed)

    def _unusual(self, day: date) -> Iterator[Callable[[District], Roster]]:
        """What is no ordinary day, and no disaster either; one day in twelve has something of it."""
        random = seeded(f"life {self.seed} {day}")
        if random.random() < 1 / 12:
            which = random.choice(UNUSUAL)
            campus = f"org-{random.randrange(self.campuses) + 1:03d}"
            yield lambda district: which(district, campus, f"{self.seed} {day}")


def _is_later(pupil: Student) -> bool:
    return pupil.start is not None and pupil.start > FIRST_DAY


def _at(district: District, campus: str) -> list[Student]:
    planted = {key for keys in district.planted.values() for key in keys}
    settled = district.roster.students.values()
    return [one for one in settled if one.schools == (campus,) and one.exit is None and one.key not in planted]


def _some(district: District, campus: str, random: Random, number: int) -> list[Student]:
    there = _at(district, campus)
    return random.sample(there, min(number, len(there)))


def shelter_closes(district: District, campus: str, seed: str) -> Roster:
    """Twelve children of one campus leave on one day, with an exit date."""
    pupils = _some(district, campus, seeded(seed), 12)
    return district.roster.with_students(*(replace(one, exit=district.today, exit_reason="moved") for one in pupils))


def program_moves(district: District, campus: str, seed: str) -> Roster:
    """A program with twelve children moves to another campus."""
    random = seeded(seed)
    schools = sorted(key for key in district.roster.schools if key != campus)
    other = random.choice(schools)
    pupils = _some(district, campus, random, 12)
    rooms = {one.grade: one.key for one in district.roster.lessons.values() if one.school == other}
    moved = [replace(one, schools=(other,), lessons=(rooms[one.grade],) if one.grade in rooms else ()) for one in pupils]
    return district.roster.with_students(*moved)


def families_vanish(district: District, campus: str, seed: str) -> Roster:
    """Two families with three children each are not listed any more."""
    return district.roster.without_students({one.key for one in _some(district, campus, seeded(seed), 6)})


def grades_corrected(district: District, campus: str, seed: str) -> Roster:
    """The counselor puts eight children into the grade they are really in."""
    pupils = _some(district, campus, seeded(seed), 8)
    return district.roster.with_students(
        *(replace(one, grade=GRADES[max(0, GRADES.index(one.grade) - 1)], lessons=()) for one in pupils)
    )


def classes_balanced(district: District, campus: str, seed: str) -> Roster:
    """Forty children of one campus change their class."""
    random = seeded(seed)
    rooms: dict[str, list[str]] = {}
    for lesson in district.roster.lessons.values():
        if lesson.school == campus:
            rooms.setdefault(lesson.grade, []).append(lesson.key)
    pupils = _some(district, campus, random, 40)
    return district.roster.with_students(
        *(replace(one, lessons=(random.choice(rooms[one.grade]),)) for one in pupils if one.grade in rooms)
    )


def campus_renamed(district: District, campus: str, seed: str) -> Roster:
    """The board honors somebody: the campus has another name, and the same code."""
    school = district.roster.schools[campus]
    return district.roster.with_schools(replace(school, name=f"{school.name} {seed.rsplit('-', 1)[-1]}"))


UNUSUAL = (shelter_closes, program_moves, families_vanish, grades_corrected, classes_balanced, campus_renamed)


def cut_over(district: District) -> Roster:
    """A new roster system: everybody under another key and another number; the state's number is what it was."""
    roster = district.roster
    keys = {key: f"u{number:07d}" for number, key in enumerate(sorted([*roster.students, *roster.staff]), 1)}
    students = [replace(one, key=keys[one.key], number=f"5{one.number}") for one in roster.students.values()]
    staff = [
        replace(one, key=keys[one.key], number=f"5{one.number}", manager=keys.get(one.manager, "")) for one in roster.staff.values()
    ]
    lessons = [replace(one, teachers=tuple(keys[key] for key in one.teachers)) for one in roster.lessons.values()]
    return replace(roster, students=index(students), staff=index(staff), lessons=index(lessons))


def graduated(district: District) -> Roster:
    """The last grade leaves on the last day, and the roster says so."""
    last = [one for one in district.roster.students.values() if one.grade == GRADES[-1] and one.exit is None]
    return district.roster.with_students(*(replace(one, exit=LAST_DAY, exit_reason="graduated") for one in last))
