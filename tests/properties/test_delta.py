"""A delta run looks only at who is dirty, and plans exactly what a run over everybody would (R4, R5)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from syncd.core.guard import Shape
from syncd.core.model import Change, NativeId, PersonId
from syncd.settings import load
from syncd.targets import PasswordOf
from syncd.targets.memory import Memory, MemoryConfig, _No
from tests.conftest import NIGHTLY
from tests.fixtures.engine_world import MAIN, PLACES, SIS, World, digests, employee, pupil, roster_of, told, world

RUNS, EXAMPLES = (50, 3) if NIGHTLY else (16, 1)
READS = """      # What is read from a campus, a class, a table and other people.
      l: campus.name
      roomNumber: "{{ homeroom.code | default('') }} {{ homeroom.teacher.family | default('') }}"
      businessCategory: "{{ campus.code | lookup('region') }}"
"""
STAFF_READS = """      l: "{{ campus.name | default('') }}"
      title: "{{ manager.given | default('') }} {{ manager.family | default('') }}"
      businessCategory: "{{ campus.code | default('none') | lookup('region') }}"
"""
REGIONS = '  region:\n    "001": "North"\n    "012": "South"\n    "none": "nowhere"\n'


class Moody(Memory):
    """The memory directory, refusing whatever concerns those it is cross with."""

    def __init__(self, config: MemoryConfig) -> None:
        super().__init__("ldap", config)
        self.cross: set[PersonId] = set()

    def _do(self, change: Change, password: PasswordOf) -> NativeId | None:
        if change.person in self.cross:
            from syncd.core.model import Failure, Result  # noqa: PLC0415 - used nowhere else

            raise _No(Result.FAILED, Failure.REFUSED, "insufficient access (50)")
        return super()._do(change, password)


Edit = Callable[[World, Random], None]


def some(district: World, chance: Random) -> str:
    """Any student's key."""
    return chance.choice(sorted(district.roster.students))


def rename_student(district: World, chance: Random) -> None:
    key = some(district, chance)
    district.students(replace(district.roster.students[key], family=f"Renamed{chance.randrange(50)}"))


def prefer(district: World, chance: Random) -> None:
    key = some(district, chance)
    district.students(replace(district.roster.students[key], preferred_given=chance.choice(("", "Sunny"))))


def rename_manager(district: World, chance: Random) -> None:
    key = chance.choice(("t1", "t1", "t2"))
    district.staff(replace(district.roster.staff[key], family=f"Boss{chance.randrange(50)}"))


def change_manager(district: World, chance: Random) -> None:
    key = chance.choice(sorted(district.roster.staff))
    manager = chance.choice(("", "t1", "t2", "t3"))
    district.staff(replace(district.roster.staff[key], manager="" if manager == key else manager))


def rename_campus(district: World, chance: Random) -> None:
    school = district.roster.schools[chance.choice(("o1", "o2"))]
    district.roster = district.roster.with_schools(replace(school, name=f"Campus {chance.randrange(50)}"))
    district.deliver()


def edit_table(district: World, chance: Random) -> None:
    path = district.folder / "mappings" / "people.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    code = chance.choice(("001", "012"))
    place = next(index for index, line in enumerate(lines) if line.startswith(f'    "{code}": '))
    lines[place] = f'{lines[place].partition(":")[0]}: "Region {chance.randrange(9)}"'
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    district.reopen(load(district.folder))


def rename_class(district: World, chance: Random) -> None:
    lesson = district.roster.lessons[chance.choice(("h1", "h2", "k1", "k2"))]
    district.roster = district.roster.with_lessons(replace(lesson, code=f"C{chance.randrange(1000)}"))
    district.deliver()


def change_teacher(district: World, chance: Random) -> None:
    lesson = district.roster.lessons[chance.choice(("h1", "h2"))]
    district.roster = district.roster.with_lessons(replace(lesson, teachers=(chance.choice(sorted(district.roster.staff)),)))
    district.deliver()


def move(district: World, chance: Random) -> None:
    key, school = some(district, chance), chance.choice("12")
    grade = f"{chance.randrange(3, 9):02}"
    district.students(replace(district.roster.students[key], schools=(f"o{school}",), lessons=(f"h{school}", "k3"), grade=grade))


def arrive(district: World, chance: Random) -> None:
    district.students(pupil(chance.randrange(20, 60)))


def twin(district: World, chance: Random) -> None:
    """Somebody who looks like somebody known: disputed until either is gone."""
    of = district.roster.students[some(district, chance)]
    number = chance.randrange(100, 110)
    district.students(pupil(number, given=of.given, family=of.family, birth=of.birth))


def vanish(district: World, chance: Random) -> None:
    if len(district.roster.students) > 4:
        district.leave(some(district, chance))


def come_back(district: World, chance: Random) -> None:
    district.students(pupil(chance.randrange(1, 11)))


def staff_come_and_go(district: World, chance: Random) -> None:
    key = chance.randrange(3, 7)
    if f"t{key}" in district.roster.staff:
        district.leave(f"t{key}")
    else:
        district.staff(employee(key))


def supplements(district: World, chance: Random) -> None:
    key, today = some(district, chance), district.clock.today
    student = district.roster.students[key]
    dates = (None, today, today.replace(day=28))
    changed = replace(student, optout=chance.random() < 0.5, confidential=chance.random() < 0.5, exit=chance.choice(dates))
    district.students(changed if chance.random() < 0.7 else replace(student, start=chance.choice(dates)))


def lose_a_supplement(district: World, chance: Random) -> None:
    (district.drop / chance.choice(("ferpa.csv", "exits.csv", "staff.csv"))).unlink(missing_ok=True)


def unreadable(district: World, chance: Random) -> None:
    district.students(replace(district.roster.students[some(district, chance)], grade="seven"))


def unmappable(district: World, chance: Random) -> None:
    """No table speaks of grade 13: the mapping fails on this person alone."""
    district.students(replace(district.roster.students[some(district, chance)], grade="13"))


def repair(district: World, _: Random) -> None:
    broken = [one for one in district.roster.students.values() if one.grade in ("seven", "13")]
    district.students(*(replace(one, grade="05") for one in broken))


def break_source(district: World, _: Random) -> None:
    district.break_roster()


def cross(district: World, chance: Random) -> None:
    moody = district.connector
    assert isinstance(moody, Moody)
    people = sorted(district.store.everyone())
    moody.cross = set(chance.sample(people, min(3, len(people)))) if chance.random() < 0.6 else set()


def days(district: World, chance: Random) -> None:
    district.clock.advance(chance.choice((1, 2, 5, 11, 35)))
    district.deliver()


def somebody_else(district: World, chance: Random) -> None:
    """Others change the directory; a run that trusts the store cannot know, and must not care who looks."""
    native_id = chance.choice(sorted(district.memory.accounts))
    district.alter_account(native_id, sn=("Altered",))


def by_hand(district: World, chance: Random) -> None:
    number = chance.randrange(20, 60)
    one = pupil(number)
    name = f"{one.given[0]}{one.family}".lower()
    if not any(account.rdn == name for account in district.memory.accounts.values()):
        district.by_hand(name, **({"employeeNumber": one.number} if chance.random() < 0.5 else {}))


PROMISED: tuple[Edit, ...] = (rename_manager, edit_table, rename_campus)
"""What every example edits at least once, on a day of its own choosing: all three reach people whose own rows are as they were."""

EDITS: tuple[Edit, ...] = (
    rename_student, prefer, rename_manager, change_manager, rename_campus, edit_table, rename_class, change_teacher, move, arrive,
    twin, vanish, come_back, staff_come_and_go, supplements, lose_a_supplement, unreadable, unmappable, repair, break_source, cross,
    days, somebody_else, by_hand,
)  # fmt: skip


def run(district: World, how: str, chance: Random) -> None:
    """One delta run, in one of the ways it may end: applied, held, for one person only, stored and applied later."""
    if how == "held":
        sis = district.config.sources[SIS]
        district.reopen(replace(district.config, sources={SIS: replace(sis, shape=Shape(floor=10_000))}))
        ready = district.engine.plan(MAIN)
        fresh = any(reading.fresh for reading in ready.readings.values())
        assert (district.engine.apply(ready) is None) == fresh  # the size of a roster read before is no news
        district.reopen(load(district.folder))
    elif how == "one person":
        district.engine.sync(MAIN, person=some(district, chance))
    elif how == "stored":
        ready = district.engine.plan(MAIN)
        chance.choice(EDITS)(district, chance)
        assert_delta_is_everything(district)
        district.engine.apply_stored(ready.run)
    else:
        planned, _ = district.engine.sync(MAIN)
        assert planned.kind == "delta"


def assert_delta_is_everything(district: World) -> None:
    """The law."""
    delta, everything = district.plan("delta"), district.plan("everything")
    if digests(delta) != digests(everything):
        assert told(delta) == told(everything)
    assert digests(delta) == digests(everything)


def begun(folder: Path) -> Iterator[World]:
    with world(folder, roster_of(10, 4), connect=lambda _: Moody(MemoryConfig(containers=PLACES))) as district:
        mapping = "mappings/ldap.yaml"
        place = "      # A note for whoever looks at the account. `today` may"
        text = (folder / mapping).read_text(encoding="utf-8").replace(place, READS + place)
        staff = "      # The account of the person they report to."
        (folder / mapping).write_text(text.replace(staff, STAFF_READS + staff), encoding="utf-8")
        people = (folder / "mappings" / "people.yaml").read_text(encoding="utf-8")
        people = people.replace("tables:\n", "tables:\n" + REGIONS).replace("on_rename: propose", "on_rename: automatic")
        (folder / "mappings" / "people.yaml").write_text(people, encoding="utf-8")
        district.reopen(load(folder))
        district.begin()
        yield district


HOW = ("applied", "applied", "applied", "applied", "held", "one person", "stored")


@pytest.mark.parametrize("part", range(2))
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate))
@given(seed=st.integers(0, 10**9))
def test_a_delta_run_plans_what_a_run_over_everybody_plans(part: int, seed: int) -> None:
    """R4, R5: plan(delta) = plan(everything) before each of many random delta runs, whatever was edited and however each ended."""
    del part  # two processes share the examples
    chance = Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        for district in begun(Path(folder)):
            days = dict(zip(chance.sample(range(RUNS), len(PROMISED)), PROMISED, strict=True))
            for number in range(RUNS):
                edits = chance.choices(EDITS, k=chance.randrange(4))
                for edit in [*edits, days[number]] if number in days else edits:
                    note(f"{number}: {edit.__name__}")
                    edit(district, chance)
                assert_delta_is_everything(district)
                how = chance.choice(HOW)
                note(f"{number}: {how}")
                run(district, how, chance)
                if chance.random() < 0.1:  # now and then a night on which the targets are read, on top of the others
                    note(f"{number}: reconciled")
                    district.engine.sync(MAIN, "reconcile")
            assert_delta_is_everything(district)


@pytest.mark.parametrize("edit", PROMISED)
def test_an_edit_elsewhere_reaches_people_whose_own_rows_are_as_they_were(edit: Edit) -> None:
    """R4: a manager's new name, an edited table and a renamed campus change others' accounts, in a delta run as over everybody."""
    with tempfile.TemporaryDirectory() as folder:
        for district in begun(Path(folder)):
            edit(district, Random(1))
            assert_delta_is_everything(district)
            touched = {change.person for one in district.plan("delta").plans.values() for change in one.changes}
            assert len(touched - {district.person("t1")}) > 1
            run(district, "applied", Random(1))
            assert digests(district.plan("everything")) == []
