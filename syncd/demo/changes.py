"""What a day brings to the district: people come, move, marry, leave and return; classes and managers change.

Grades do not change in the middle of a year, and nothing is entered at weekends. A vanished student is simply no longer
in the roster; one with an explicit exit stays listed, with date and reason, until a few days after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from types import MappingProxyType

from syncd.demo import names
from syncd.demo.district import Builder, District, Event, plain, seeded
from syncd.demo.roster import Employee, Lesson, Roster, Row, Student, index

LISTED_AFTER_EXIT = 10
"""Days for which a student with an explicit exit is still listed: who reads a roster a week sees it."""

TRIES = 60
"""How often a draw is repeated that hit somebody who does not fit; then that event does not happen today."""

WEEKEND = 5  # date.weekday() of Saturday


def next_day(district: District) -> District:
    """The same district one day later, with the events that made the difference."""
    today = district.today + timedelta(days=1)
    day = Day(district, today)
    day.drop_the_long_gone()
    if today.weekday() < WEEKEND:
        day.happen()
    return replace(
        district,
        number=district.number + 1,
        today=today,
        roster=day.roster(),
        events=tuple(day.events),
        departed=MappingProxyType(day.departed),
        serial=day.builder.serial,
    )


class Day:
    """One day in the making. Its draws depend on the seed and the day only; each person meets at most one event a day."""

    def __init__(self, district: District, today: date) -> None:
        self.rates = district.rates
        self.today = today
        self.random = seeded(f"district {district.seed} day {district.number + 1}")
        self.before: Roster = district.roster
        # Worked on in place and made into a roster once: copying a large district for every event would take minutes.
        self.students, self.staff = dict(self.before.students), dict(self.before.staff)
        self.lessons, self.schools = dict(self.before.lessons), dict(self.before.schools)
        self.homerooms = [one for one in self.lessons.values() if one.kind == "homeroom"]
        self.pools: dict[str, list[str]] = {}
        self.gone_staff: set[str] = set()
        self.departed: dict[str, Student] = dict(district.departed)
        self.events: list[Event] = []
        self.builder = Builder(self.random, district.serial)
        self.touched: set[str] = {key for keys in district.planted.values() for key in keys}

    def roster(self) -> Roster:
        """What the day has come to."""
        changed = replace(
            self.before,
            students=index(self.students.values()),
            staff=index(self.staff.values()),
            lessons=index(self.lessons.values()),
            schools=index(self.schools.values()),
        )
        return changed.without_staff(self.gone_staff) if self.gone_staff else changed

    def happen(self) -> None:
        """Let every kind of event happen as often as its rate says."""
        rates, students, staff = self.rates, len(self.students) / 1000, len(self.staff) / 1000
        classes, homerooms = len(self.lessons) / 1000, len(self.homerooms) / 1000
        happenings: Sequence[tuple[Callable[[], None], float]] = (
            (self.returned, rates.returned * len(self.departed)),
            (self.vanished, rates.vanished * students),
            (self.exited, rates.exited * students),
            (self.moved, rates.moved * students),
            (self.renamed, rates.renamed * students),
            (self.preferred, rates.preferred * students),
            (self.renumbered, rates.renumbered * students),
            (self.new, rates.new * students),
            (self.staff_left, rates.staff_left * staff),
            (self.staff_renamed, rates.staff_renamed * staff),
            (self.manager, rates.manager * staff),
            (self.staff_new, rates.staff_new * staff),
            (self.homeroom_teacher, rates.homeroom_teacher * homerooms),
            (self.class_renamed, rates.class_renamed * classes),
            (self.campus_renamed, rates.campus_renamed),
        )
        for happening, expected in happenings:
            for _ in range(int(expected) + (self.random.random() < expected % 1)):
                happening()

    # --- students ---

    def new(self) -> None:
        """A new student, starting today or within the week."""
        room = self.random.choice(self.homerooms)
        pupil = self._newcomer(room.school, room.grade)
        start = self.today + timedelta(days=self.random.randrange(6))
        pupil = replace(pupil, lessons=self._cohort(room), start=start)
        self._list(pupil)
        self._tell("new", pupil.key, f"{pupil.given} {pupil.family}, grade {pupil.grade}, starts {start}")

    def moved(self) -> None:
        """A student changes campus within the district."""
        pupil = self._student()
        if pupil is None:
            return
        rooms = [one for one in self.homerooms if one.grade == pupil.grade and one.school not in pupil.schools]
        if not rooms:
            return
        room = self.random.choice(rooms)
        self._list(replace(pupil, schools=(room.school,), lessons=self._cohort(room)))
        self._tell("moved", pupil.key, f"from {pupil.schools[0]} to {room.school}")

    def renamed(self) -> None:
        """A student's family name changes."""
        pupil = self._student()
        if pupil:
            family = self._other(pupil.family, self.builder.family)
            if self.random.random() < 1 / 3:
                family = f"{pupil.family}-{family}"
            self._list(replace(pupil, family=family))
            self._tell("renamed", pupil.key, f"{pupil.family} is now {family}")

    def preferred(self) -> None:
        """A student goes by another given name from now on."""
        pupil = self._student()
        if pupil:
            name = self._other(pupil.preferred_given or pupil.given, lambda: self.builder.given(pupil.sex))
            self._list(replace(pupil, preferred_given=name))
            self._tell("preferred", pupil.key, f"{pupil.given} goes by {name}")

    def vanished(self) -> None:
        """A student is no longer in the roster and nobody says why."""
        pupil = self._student()
        if pupil:
            self._leave((pupil,))
            self._tell("vanished", pupil.key, f"{pupil.given} {pupil.family} is no longer listed")

    def exited(self) -> None:
        """A student leaves on a given day, for a given reason."""
        pupil = self._student()
        if pupil:
            last = self.today + timedelta(days=self.random.randrange(4))
            reason = self.random.choice(names.EXIT_REASONS)
            self._list(replace(pupil, exit=last, exit_reason=reason))
            self._tell("exited", pupil.key, f"last day {last}, {reason}")

    def returned(self) -> None:
        """Somebody who left comes back under the same number, now and then to another campus."""
        choices = [key for key in sorted(self.departed) if key not in self.touched]
        if not choices:
            return
        pupil = self.departed.pop(self.random.choice(choices))
        rooms = [one for one in self.homerooms if one.grade == pupil.grade]
        same = [one for one in rooms if one.school == pupil.schools[0]]
        room = self.random.choice(same if same and self.random.random() < 2 / 3 else rooms or self.homerooms)
        back = replace(pupil, schools=(room.school,), lessons=self._cohort(room), start=self.today, exit=None, exit_reason="")
        self._list(back)
        self._tell("returned", back.key, f"{back.given} {back.family} is back, at {room.school}")

    def renumbered(self) -> None:
        """A child's row is replaced by another one with a new key and number."""
        pupil = self._student()
        if pupil:
            fresh = self._newcomer(pupil.schools[0], pupil.grade)
            again = replace(pupil, key=fresh.key, number=fresh.number)
            del self.students[pupil.key]
            self._list(again)
            self.touched.add(again.key)
            self._tell("renumbered", pupil.key, f"number {pupil.number} is now {again.number}, under key {again.key}")

    def drop_the_long_gone(self) -> None:
        """Take those off the list whose explicit exit is some days past."""
        limit = self.today - timedelta(days=LISTED_AFTER_EXIT)
        gone = [one for one in self.students.values() if one.exit is not None and one.exit < limit]
        if gone:
            self._leave(gone)
            self.events += [Event("delisted", one.key, f"left on {one.exit}") for one in gone]

    # --- staff, classes, campuses ---

    def staff_new(self) -> None:
        """A new teacher, starting today."""
        school = self.random.choice(list(self.schools))
        person = self.builder.employee(school, "teacher", start=self.today)
        principals = [one.key for one in self.staff.values() if one.role == "principal" and school in one.schools]
        person = replace(person, manager=principals[0] if principals else "")
        self._employ(person)
        self._tell("staff_new", person.key, f"{person.given} {person.family} at {school}")

    def staff_left(self) -> None:
        """A teacher is no longer listed; their classes have nobody for now."""
        key = self._teacher()
        if key:
            person = self.staff[key]
            del self.staff[key]
            self.gone_staff.add(key)
            self._tell("staff_left", key, f"{person.given} {person.family} is no longer listed")

    def staff_renamed(self) -> None:
        """A member of staff marries and takes another family name."""
        key = self._one("staff", self.staff)
        if key:
            person = self.staff[key]
            family = self._other(person.family, self.builder.family)
            self._employ(replace(person, family=family))
            self._tell("staff_renamed", key, f"{person.family} is now {family}")

    def manager(self) -> None:
        """A teacher reports to another colleague of the same campus, or to the principal of another one."""
        key = self._teacher()
        if key:
            person = self.staff[key]
            bosses = [
                one.key
                for one in self.staff.values()
                if one.role in ("principal", "counselor") and one.key not in (key, person.manager)
            ]
            if bosses:
                boss = self.random.choice(bosses)
                self._employ(replace(person, manager=boss))
                self._tell("manager", key, f"now reports to {boss}")

    def homeroom_teacher(self) -> None:
        """Another teacher of the campus takes over a homeroom."""
        room = self.random.choice(self.homerooms)
        teachers = [
            one.key
            for one in self.staff.values()
            if one.role == "teacher" and room.school in one.schools and one.key not in room.teachers
        ]
        if teachers and room.key not in self.touched:
            teacher = self.random.choice(teachers)
            self._schedule(replace(room, teachers=(teacher,)))
            self._tell("homeroom_teacher", room.key, f"now taught by {teacher}")

    def class_renamed(self) -> None:
        """A class gets another title; its code stays."""
        key = self._one("class", self.lessons, lambda one: one.kind == "scheduled")
        if key:
            lesson = self.lessons[key]
            title = f"{lesson.title} Honors" if not lesson.title.endswith("Honors") else lesson.title[: -len(" Honors")]
            self._schedule(replace(lesson, title=title))
            self._tell("class_renamed", key, f"{lesson.title} is now {title}")

    def campus_renamed(self) -> None:
        """A campus gets another name; its code stays."""
        key = self._one("school", self.schools)
        if key:
            school = self.schools[key]
            name = f"{school.name} at {self.builder.family()} Park".replace("Park at ", "")
            self.schools[key] = replace(school, name=name)
            self._tell("campus_renamed", key, f"{school.name} is now {name}")

    # --- choosing ---

    def _tell(self, kind: str, key: str, detail: str) -> None:
        self.touched.add(key)
        self.events.append(Event(kind, key, detail))

    def _other(self, now: str, draw: Callable[[], str]) -> str:
        """A draw that is not what there is now."""
        return next(drawn for drawn in iter(draw, None) if drawn != now)

    def _one(self, kind: str, rows: Mapping[str, Row], fits: Callable[[Row], bool] = lambda _: True) -> str | None:
        """The key of some row that fits and met no event today."""
        pool = self.pools.setdefault(kind, list(rows))
        for _ in range(TRIES):
            key = self.random.choice(pool) if pool else ""
            if key in rows and key not in self.touched and fits(rows[key]):
                return key
        return None

    def _student(self) -> Student | None:
        key = self._one("student", self.students, self._is_settled)
        return self.students[key] if key else None

    def _newcomer(self, school: str, grade: str) -> Student:
        """A student who resembles nobody, present or departed."""
        if not self.builder.taken:
            everybody = (*self.students.values(), *self.departed.values())
            self.builder.taken = {(plain(one.family), one.birth) for one in everybody}
        return self.builder.student(school, grade)

    def _is_settled(self, pupil: Student) -> bool:
        return pupil.exit is None and (pupil.start is None or pupil.start <= self.today)

    def _teacher(self) -> str | None:
        return self._one("staff", self.staff, lambda one: one.role == "teacher")

    def _list(self, pupil: Student) -> None:
        self.students[pupil.key] = pupil

    def _employ(self, person: Employee) -> None:
        self.staff[person.key] = person

    def _schedule(self, lesson: Lesson) -> None:
        self.lessons[lesson.key] = lesson

    def _cohort(self, room: Lesson) -> tuple[str, ...]:
        section = room.key[: -len("0")]
        keys = (f"{section}{n}" for n in range(len(names.SUBJECTS) + 1))
        return tuple(key for key in keys if key in self.lessons)

    def _leave(self, pupils: Iterable[Student]) -> None:
        for pupil in pupils:
            self.departed[pupil.key] = self.students.pop(pupil.key)
