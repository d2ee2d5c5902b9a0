"""Rollover mode, what is protected and who is required, through whole runs (R13, R36, R40)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from syncd.core.calendar import Calendar, Rollover, SchoolYear
from syncd.core.lifecycle import State
from syncd.core.model import SourceKey
from syncd.core.protected import Protected
from syncd.engine import rollover
from syncd.errors import EndpointError
from tests.fixtures.engine_world import FIRST_DAY, LDAP, MAIN, SIS, World, pupil, roster_of, world
from tests.fixtures.health_states import health_of

DAYS = 16  # of rollover: longer than a grace
GRACE = 14  # days and more than enough rosters


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Twelve students at two campuses, and some staff."""
    with world(tmp_path, roster_of(students=12)) as one:
        one.begin()
        yield one


def started(district: World, *campuses: str) -> None:
    """Somebody starts a rollover of some days."""
    until = district.clock.today + timedelta(days=DAYS)
    rollover.start(district.store, district.clock.today, until, campuses, "the new year is built")


def state(district: World, key: str) -> str:
    """Where somebody stands."""
    person = district.person(key)
    return str(district.store.persons({person})[person].state)


def nights(district: World, count: int) -> None:
    """So many days, each with a roster that is a little different."""
    for _ in range(count):
        district.clock.advance()
        district.students(pupil(12, family=f"Night{district.clock.today:%m%d}"))
        assert district.engine.sync(MAIN)[1] is not None


def test_missing_students_stay_as_they_are_until_it_ends_and_then_have_their_whole_grace(district: World) -> None:
    """R13: whoever was missing before it and whoever vanishes in it begin their grace, days and rosters, when it has ended."""
    district.leave("s1")
    nights(district, 8)  # most of a grace
    assert state(district, "s1") == State.GRACE
    started(district)
    district.leave("s2", "s3")
    nights(district, DAYS)
    assert [district.account(key).enabled for key in ("s1", "s2", "s3")] == [True, True, True]
    assert [state(district, key) for key in ("s2", "s3")] == [State.ACTIVE, State.ACTIVE]
    told = rollover.preview(district.config, district.store, district.clock.today)
    assert dict(told.missing) == {"012": 2, "001": 1}
    assert told.first_disable is not None
    nights(district, 5)
    assert [district.account(key).enabled for key in ("s1", "s2", "s3")] == [True, True, True]
    nights(district, GRACE)
    assert [district.account(key).enabled for key in ("s1", "s2", "s3")] == [False, False, False]


def test_staff_exits_newcomers_and_other_campuses_go_on(district: World) -> None:
    """Only students who are missing without a word are kept, and only where the rollover is."""
    started(district, "001")
    gone = replace(district.roster.students["s4"], exit=district.clock.today)
    district.leave("s2", "s1", "t2")
    district.students(gone, pupil(41))
    nights(district, GRACE)
    assert (district.account("s2").enabled, state(district, "s2")) == (True, State.ACTIVE)
    assert [district.account(key).enabled for key in ("s1", "t2", "s4")] == [False, False, False]
    assert district.account("s41").enabled


def test_it_is_seen_in_the_plan_and_in_health_and_can_be_ended(district: World) -> None:
    """Nobody forgets a rollover: every plan lists it, health warns before it ends; ended, the missing are missing."""
    started(district)
    district.leave("s2")
    nights(district, 1)
    (listed,) = [one for one in district.plan().findings if one.kind == "rollover"]
    assert "all campuses; 1 missing students are kept as they are" in listed.why
    assert "rollover" not in {reason.where for reason in health_of(district).reasons}
    nights(district, DAYS - 3)
    assert "rollover" in {reason.where for reason in health_of(district).reasons}
    rollover.end(district.store, district.clock.today, ())
    nights(district, 1)
    assert state(district, "s2") == State.GRACE


def test_a_rollover_of_the_calendar_needs_nobody_to_start_it(district: World) -> None:
    """Its days stand in config/calendar.yaml, every year anew."""
    days = Rollover(FIRST_DAY, FIRST_DAY + timedelta(days=DAYS))
    year = SchoolYear(FIRST_DAY + timedelta(days=7), FIRST_DAY + timedelta(days=270), rollover=days)
    district.reopen(replace(district.config, calendar=Calendar((year,))))
    district.leave("s2")
    nights(district, GRACE)
    assert state(district, "s2") == State.ACTIVE


def test_a_rollover_has_an_end(district: World) -> None:
    """One in the past is a mistake, and one of a year would let nobody leave."""
    for days in (-1, 100):
        with pytest.raises(EndpointError, match="cannot end on"):
            rollover.start(district.store, district.clock.today, district.clock.today + timedelta(days=days), (), "")


def test_what_is_protected_is_never_touched_and_everybody_else_goes_on(district: World) -> None:
    """A protected person's new name waits, whoever approves it; another's does not."""
    target = replace(district.config.targets[LDAP], protected=Protected(persons=("s1",)))
    district.reopen(replace(district.config, targets={LDAP: target}))
    before = district.account("s1")
    district.clock.advance()
    district.students(*(replace(district.roster.students[key], family="Newname") for key in ("s1", "s2")))
    planned, _ = district.engine.sync(MAIN)
    assert "targets.ldap.protected.persons says never to touch them" in str(planned.verdict.findings[0])
    district.engine.approve(planned.run, "administrator", "go on")
    district.engine.sync(MAIN)
    assert district.account("s1") == before
    assert district.account("s2").attributes["sn"] == ("Newname",)


def test_a_required_person_loses_their_account_only_when_a_human_says_so(district: World) -> None:
    """One exit date breaks no limit; the superintendent's is asked about."""
    sis = replace(district.config.sources[SIS], required=(SourceKey("s1"),))
    district.reopen(replace(district.config, sources={SIS: sis}))
    left = district.clock.today
    district.clock.advance()
    district.students(*(replace(district.roster.students[key], exit=left) for key in ("s1", "s2")))
    planned, _ = district.engine.sync(MAIN)
    assert "persons in `required` of the sources would lose their account" in str(planned.verdict.findings[0])
    assert (district.account("s1").enabled, district.account("s2").enabled) == (True, False)
    district.engine.approve(planned.run, "administrator", "retired")
    district.engine.sync(MAIN)
    assert not district.account("s1").enabled
