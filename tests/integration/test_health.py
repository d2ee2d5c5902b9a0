"""A district in trouble says so: in `/health`'s JSON, in words, and in the code that Nagios reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from syncd.engine.health import as_json, in_words
from tests.fixtures.engine_world import MAIN, World, pupil, world
from tests.fixtures.health_states import STATES, State, health_of, mortal, page, reached, settled

DOCUMENTED = Path(__file__).parents[2] / "docs" / "reference" / "health.md"


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.title)
def test_each_kind_of_trouble_is_told_with_its_level(state: State, tmp_path: Path) -> None:
    """The first reason is the one that matters, and it names nobody."""
    found = reached(state, tmp_path)
    assert int(found.level) == int(state.code)
    assert in_words(found).startswith(state.said), in_words(found)
    told = json.dumps(as_json(found))
    assert not [name for name in ("Abara", "Bell", "Cruz", "Gray", '"s1"', '"t1"') if name in told]


def test_the_page_shows_what_is_really_told() -> None:
    """The documented JSON is what the code tells today (`python -m tests.fixtures.health_states`)."""
    assert DOCUMENTED.read_text(encoding="utf-8").splitlines() == list(page())


@pytest.fixture
def district(tmp_path: Path) -> World:  # type: ignore[misc]  # a generator fixture
    """A settled district whose directory can be away."""
    with world(tmp_path, connect=mortal) as one:
        settled(one)
        yield one


def test_what_was_troubled_and_is_well_again_is_told_as_well(district: World) -> None:
    """Reasons go when their cause goes."""
    for state in STATES[2:]:
        state.reach(district)
        assert health_of(district).reasons, state.title
        district.connector.away = False  # type: ignore[attr-defined]  # the mortal one
        district.roster = district.roster.with_students(pupil(1), pupil(2), pupil(3))
        district.deliver()
        district.day(kind="reconcile")
        assert [str(reason) for reason in health_of(district).reasons] == [], state.title


def test_a_campus_that_falls_out_of_the_roster_is_told_and_no_other(district: World) -> None:
    """Its people are kept and the campus is critical, with the reason, while the others stay fresh."""
    at_south = [key for key, one in district.roster.students.items() if one.schools == ("o2",)]
    staff = [key for key, one in district.roster.staff.items() if one.schools == ("o2",)]
    for _ in range(2):
        district.clock.advance()
        district.leave(*at_south, *staff)
        district.students(pupil(31, schools=("o1",), lessons=("h1",), given=f"X{district.clock.today.day}"))
        planned, applied = district.engine.sync(MAIN, "reconcile")
        assert applied is not None, planned.verdict
    for _ in range(16):
        district.day(kind="reconcile")  # until grace has ended
    told = campuses_told(district)
    assert len(told) == 1
    assert told[0].startswith("campus 012: campus 012, students, source sis: 5 have vanished from the roster")


def test_a_campus_is_as_fresh_as_the_last_roster_that_told_of_somebody_there(district: World) -> None:
    """Where a campus falls out of the roster, and that is approved, its age grows until its last people have left.

    The others stay fresh. A campus that has closed is not told of for ever after: what is always critical hides what becomes so.
    """
    at_south = [key for key, one in district.roster.students.items() if one.schools == ("o2",)]
    staff = [key for key, one in district.roster.staff.items() if one.schools == ("o2",)]
    district.leave(*at_south, *staff)
    told = []
    for day in range(20):  # until grace has ended
        district.clock.advance()
        district.students(pupil(31, schools=("o1",), lessons=("h1",), given=f"X{'abcdefghijklmnopqrst'[day]}"))
        planned, _ = district.engine.sync(MAIN, "reconcile")
        if planned.verdict.held:
            district.engine.approve(planned.run, "head (uid 1)", "the campus has closed")
        told.append(campuses_told(district))
    assert [len(each) for each in told[2:8]] == [1] * 6
    assert told[8][0].startswith("campus 012: its last good data is ")
    assert told[-1] == []
    assert set(as_json(health_of(district))["campuses"]) == {"001"}  # type: ignore[call-overload]  # plain JSON


def campuses_told(district: World) -> list[str]:
    """What is told of campuses."""
    return [str(reason) for reason in health_of(district).reasons if reason.where.startswith("campus ")]


def test_a_run_of_one_person_says_nothing_about_the_roster(district: World) -> None:
    """`syncd sync --person` proves no source, target or campus good."""
    before = as_json(health_of(district))["sources"]
    district.clock.advance()
    district.engine.sync(MAIN, person="s1")
    after = as_json(health_of(district))["sources"]
    assert before["sis"]["good_at"] == after["sis"]["good_at"]  # type: ignore[index]  # plain JSON
