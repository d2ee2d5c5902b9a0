"""Rosters that are wrong: what they tell otherwise of too many, older ones, cut ones; and the same in small, which is life.

The district has thirty students at each of two campuses and the shipped limits of signs (R2, R3, R11, R12, R15).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.core.guard import Shape, Signs
from syncd.core.model import RunId
from syncd.demo.roster import Student
from syncd.engine.planned import Applied, Planned
from tests.fixtures.engine_world import MAIN, SIS, World, roster_of, world
from tests.fixtures.health_states import health_of

SHIPPED = Shape(floor=1, shrink_percent=5)
SPOILED = tuple(range(1, 36, 2))  # eighteen of the thirty at campus 012
BENIGN = SPOILED[:3]
ELSEWHERE = 2  # at campus 001

Spoil = Callable[[Student], Student]


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Sixty students, and sources as the program is shipped."""
    with world(tmp_path, roster_of(students=60)) as one:
        one.begin()
        believing(one, SHIPPED)
        yield one


def believing(district: World, shape: Shape) -> None:
    """The same district with another idea of what a roster must look like."""
    sis = replace(district.config.sources[SIS], shape=shape)
    district.reopen(replace(district.config, sources={SIS: sis}))


def swapped(one: Student) -> Student:
    """The columns of the given and the family name are swapped."""
    return replace(one, given=one.family, family=one.given)


def garbled(one: Student) -> Student:
    """The names were read with the wrong code page."""
    return replace(one, family=f"{one.family}Ã©")


def blank(one: Student) -> Student:
    """The given name is empty."""
    return replace(one, given="")


def promoted(one: Student) -> Student:
    """The year was closed in the middle of it."""
    return replace(one, grade=f"{int(one.grade) + 1:02}")


def elsewhere(one: Student) -> Student:
    """The campuses are mixed up."""
    return replace(one, schools=("o1",), lessons=("h1",))


def shifted(one: Student) -> Student:
    """The numbers slipped by a row."""
    return replace(one, number=f"7{one.number}")


ALL = [swapped, garbled, blank, promoted, elsewhere, shifted]


def spoil(district: World, how: Spoil, *numbers: int) -> None:
    """The next morning's roster tells something else of these; one student of the other campus has really married."""
    district.clock.advance()
    married = replace(district.roster.students[f"s{ELSEWHERE}"], family=f"Married{district.clock.today.day}")
    district.students(*(how(district.roster.students[f"s{n}"]) for n in numbers), married)


def synced(district: World, kind: str = "delta") -> tuple[Planned, Applied]:
    """A run; it is not held as a whole."""
    planned, applied = district.engine.sync(MAIN, kind)
    assert applied is not None, planned.verdict
    return planned, applied


def accounts(district: World, *numbers: int) -> list[object]:
    """The accounts of these students, all that is in them."""
    return [district.account(f"s{n}") for n in numbers]


def mend(district: World, before: dict[str, Student]) -> None:
    """The export is right again."""
    district.clock.advance()
    district.students(*before.values())


@pytest.mark.parametrize("how", [blank, promoted, elsewhere])
def test_what_is_told_otherwise_of_too_many_waits_and_everybody_else_goes_on(district: World, how: Spoil) -> None:
    """Not that day, nor the next, nor in a run that looks at everybody; the other campus flows, and health says why."""
    before = accounts(district, *SPOILED)
    spoil(district, how, *SPOILED)
    _, applied = synced(district)
    assert accounts(district, *SPOILED) == before
    assert district.account("s2").attributes["sn"] == (f"Married{district.clock.today.day}",)
    assert any("source sis" in finding.where for finding in applied.findings)
    assert any("source sis" in reason.why for reason in health_of(district).reasons if reason.where == "pipeline main")
    spoil(district, lambda one: one, *SPOILED)
    for kind in ("delta", "reconcile"):
        _, applied = synced(district, kind)
        assert applied.findings, kind
        assert accounts(district, *SPOILED) == before, kind


@pytest.mark.parametrize("how", [garbled])
def test_when_the_roster_is_right_again_nothing_is_left_of_it(district: World, how: Spoil) -> None:
    """The good roster of the next day is not mistaken for an old one, and nobody waits any more."""
    before, good = accounts(district, *SPOILED), {f"s{n}": district.roster.students[f"s{n}"] for n in SPOILED}
    spoil(district, how, *SPOILED)
    synced(district)
    mend(district, good)
    planned, _ = synced(district)
    assert planned.verdict.clear
    assert accounts(district, *SPOILED) == before
    assert not synced(district, "reconcile")[0].changes


def test_who_was_told_under_other_keys_for_a_day_has_not_vanished_with_them(tmp_path: Path) -> None:
    """A part was entered once more, recognised, and held for its numbers; the right roster of the next day holds nobody."""
    roster = roster_of(students=60)
    roster = roster.with_students(*(replace(one, state_id=f"700{key}") for key, one in roster.students.items()))
    with world(tmp_path, roster) as one:
        one.edit("config/syncd.yaml", "    kind: oneroster_csv", "    kind: oneroster_csv\n    match_on: [state_id]")
        one.begin()
        believing(one, SHIPPED)
        good = one.roster
        before = accounts(one, *SPOILED)
        twice = [replace(good.students[f"s{n}"], key=f"re-s{n}", number=f"8{good.students[f's{n}'].number}") for n in SPOILED]
        one.clock.advance()
        one.roster = good.without_students({f"s{n}" for n in SPOILED})
        one.students(*twice)
        _, applied = synced(one)
        assert any("another number" in str(finding) for finding in applied.findings)
        one.clock.advance()
        one.roster = good
        one.students(replace(good.students[f"s{ELSEWHERE}"], family="Married"))
        planned, _ = synced(one)
        assert planned.verdict.clear, planned.verdict
        assert accounts(one, *SPOILED) == before


@pytest.mark.parametrize("how", [shifted])
def test_a_human_lets_exactly_that_go(district: World, how: Spoil) -> None:
    """R15: what was seen is done in the next run, and nothing is held after it."""
    before = accounts(district, *SPOILED)
    spoil(district, how, *SPOILED)
    planned, _ = synced(district)
    district.engine.approve(planned.run, "administrator", "it is right so")
    planned, _ = synced(district)
    assert planned.verdict.clear
    assert accounts(district, *SPOILED) != before
    assert synced(district)[0].verdict.clear


def test_who_comes_that_very_day_to_a_campus_of_which_wrong_things_are_told_waits_with_it(district: World) -> None:
    """R11: a transfer counts at both campuses, also with what else is told of it."""
    before = accounts(district, ELSEWHERE + 2)
    moved = f"s{ELSEWHERE + 2}"
    arriving = district.roster.students["s1"].schools
    spoil(district, swapped, *SPOILED)
    district.students(swapped(replace(district.roster.students[moved], schools=arriving, lessons=())))
    synced(district)
    assert accounts(district, ELSEWHERE + 2) == before


def test_the_same_of_three_people_is_life(district: World) -> None:
    """The benign twins, day after day: each flows at once."""
    for how in ALL:
        district.clock.advance()
        before = accounts(district, *BENIGN)
        spoil(district, how, *BENIGN)
        planned, _ = synced(district)
        assert planned.verdict.clear, how
        assert all(was != now for was, now in zip(before, accounts(district, *BENIGN), strict=True)), how


def test_an_edited_mapping_is_no_sign(district: World) -> None:
    """A new mail domain changes everybody, and the roster tells nothing otherwise."""
    district.clock.advance()
    district.edit("mappings/people.yaml", '"students.lonestar.example.org"', '"pupils.lonestar.example.org"')
    believing(district, SHIPPED)
    planned, _ = synced(district)
    assert planned.changes > len(SPOILED)
    assert planned.verdict.clear


# --- older rosters ----------------------------------------------------------------------------------------------------


def live(district: World, days: int) -> None:
    """So many ordinary days: each brings a marriage or two."""
    for day in range(days):
        district.clock.advance()
        chosen = (30 + 4 * day, 31 + 4 * day)  # one at each campus
        district.students(*(replace(district.roster.students[f"s{n}"], family=f"Wed{n}") for n in chosen))
        synced(district)


def test_an_old_roster_is_not_believed(district: World) -> None:
    """The transfer failed and last week's file is still there: the run is held, and says of which day the file is."""
    live(district, 1)
    old, day = district.roster, district.clock.today
    live(district, 5)
    new, everything = district.roster, district.everything()
    district.clock.advance()
    district.roster = old
    district.deliver()
    planned, applied = district.engine.sync(MAIN)
    assert applied is None
    assert f"this is the roster of {day} again" in str(planned.verdict.findings[0])
    assert district.everything() == everything
    district.roster = new
    live(district, 1)


def test_an_old_roster_that_was_never_seen_is_recognised_by_what_it_takes_back(district: World) -> None:
    """Exported on a day on which nobody read it: most of whom it tells otherwise are as they were before their last change."""
    live(district, 1)
    old = district.roster.with_students(replace(district.roster.students["s60"], family="Unseen"))
    live(district, 5)
    everything = district.everything()
    district.clock.advance()
    district.roster = old
    district.deliver()
    planned, applied = district.engine.sync(MAIN)
    assert applied is None
    assert "8 of 9 persons who differ are told just as they were before their last change" in str(planned.verdict.findings[0])
    assert district.everything() == everything


def test_who_takes_three_corrections_back_is_believed(district: World) -> None:
    """The benign twin: two of yesterday's marriages were entered for the wrong people."""
    live(district, 1)
    before = district.roster
    live(district, 1)
    district.clock.advance()
    district.roster = before
    district.deliver()
    assert synced(district)[0].verdict.clear


def test_an_old_roster_goes_when_a_human_says_so_and_only_that_one(district: World) -> None:
    """R15: an approval of a roster as a whole says nothing of the next one."""
    live(district, 1)
    old = district.roster
    live(district, 5)
    district.clock.advance()
    new, district.roster = district.roster, old
    district.deliver()
    planned, _ = district.engine.sync(MAIN)
    approve(district, planned.run)
    other = replace(old.students["s60"], family="Otherwise")
    district.students(other)
    assert district.engine.sync(MAIN)[1] is None
    district.roster = old
    district.deliver()
    assert synced(district)[0].verdict.clear
    assert district.account("s34").attributes["sn"] != ("Wed34",)
    del new


def approve(district: World, run: RunId) -> None:
    """An administrator has looked at the file."""
    approved = district.engine.approve(run, "administrator", "it is right so")
    assert (approved.people, approved.changes) == (0, 1)


def test_a_roster_that_is_smaller_goes_when_a_human_says_so(district: World) -> None:
    """A campus was closed: first its people are let go, then the roster is believed."""
    believing(district, Shape(floor=1, shrink_percent=5, campus_percent=100, signs=Signs()))
    district.clock.advance()
    district.leave(*(f"s{n}" for n in range(1, 41, 2)))
    planned, applied = district.engine.sync(MAIN)
    assert applied is None
    approve(district, planned.run)
    assert synced(district)[0].verdict.clear


def test_a_file_that_lost_a_third_of_its_rows_is_not_believed(district: World) -> None:
    """Everybody is there, and most have lost their classes: an export that was cut in the middle."""
    believing(district, replace(SHIPPED, rows_at_least=100))
    district.clock.advance()
    lessons = {key: one.lessons for key, one in district.roster.students.items()}
    district.students(*(replace(one, lessons=one.lessons[:1]) for one in district.roster.students.values()))
    planned, applied = district.engine.sync(MAIN)
    assert applied is None
    assert "enrollments has" in str(planned.verdict.findings[0])
    district.students(
        *(replace(one, lessons=lessons[key][:1] if key < "s2" else lessons[key]) for key, one in district.roster.students.items())
    )
    assert synced(district)[0].verdict.clear


def test_a_new_roster_system_is_one_question_and_whoever_leaves_after_it_is_missed(district: World) -> None:
    """Everybody under another key and number, known by the state's: nobody has vanished; let go, they live on as before."""
    sis = replace(district.config.sources[SIS], match_on=("state_id",))
    district.students(*(replace(one, state_id=f"T{one.number}") for one in district.roster.students.values()))
    synced(district)
    district.reopen(replace(district.config, sources={SIS: sis}))
    district.clock.advance(10)
    old = district.roster
    again = {key: replace(one, key=f"u{key}", number=f"5{one.number}") for key, one in district.roster.students.items()}
    district.roster = district.roster.without_students(again.keys())
    district.students(*again.values())
    planned, _ = synced(district)
    assert [finding.cell.operation for finding in planned.verdict.findings if finding.cell] == ["numbers"]
    district.engine.approve(planned.run, "administrator", "the new system")
    assert synced(district)[0].verdict.clear
    assert district.account("us1").enabled
    assert not synced(district)[0].people.everybody  # nobody is looked at for a key that is gone
    everything, new = district.everything(), district.roster
    district.clock.advance()
    district.roster = old
    district.students(replace(old.students["s7"], family="Unseen"))
    planned, applied = district.engine.sync(MAIN)
    assert applied is None
    assert any("told under keys that they had before their present ones" in str(one) for one in planned.verdict.findings)
    assert district.everything() == everything
    district.clock.advance()
    district.roster = new
    district.leave("us1")
    assert synced(district)[0].verdict.clear
    (state,) = district.store.persons({district.person("us1")}).values()
    assert state.state == "grace"
