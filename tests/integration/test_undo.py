"""A run is taken back: what it wrote is as it was, no later run does it again, and what has changed since is left alone (R22)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from syncd.core.guard import Limit
from syncd.core.model import Kind, Result, RunId
from syncd.engine.planned import Applied, Planned, Undoes
from syncd.errors import EndpointError
from tests.fixtures.engine_world import LDAP, MAIN, World, found, pupil, roster_of, world


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Twelve students and three teachers."""
    with world(tmp_path, roster_of(students=12)) as one:
        one.begin()
        yield one


def a_bad_day(district: World) -> RunId:
    """A run that does a little of everything: leavers, a newcomer, a rename with a move, other names; its id."""
    yesterday = district.clock.today
    district.clock.advance()
    district.students(
        *(replace(district.roster.students[f"s{n}"], exit=yesterday) for n in (1, 2, 3)),
        pupil(4, family="Married"),
        pupil(5, schools=("o1",), lessons=("h1",)),
        pupil(31),
    )
    planned, applied = district.engine.sync(MAIN)
    assert applied is not None
    assert not applied.failed
    kinds = {change.kind for one in planned.plans.values() for change in one.changes}
    assert {Kind.CREATE, Kind.DISABLE, Kind.UPDATE, Kind.MOVE, Kind.ADD_MEMBER, Kind.REMOVE_MEMBER} <= kinds
    return planned.run


def undone(district: World, run: RunId, **chosen: object) -> tuple[Planned, Applied]:
    """The run, or a part of it, is taken back."""
    planned = district.engine.undo(Undoes(run, **chosen))  # type: ignore[arg-type]  # the callers spell the fields
    applied = district.engine.apply_stored(planned.run)
    assert applied is not None
    assert not applied.failed, applied.failures
    return planned, applied


def test_a_run_is_taken_back_and_three_more_runs_leave_it_so(district: World) -> None:
    """R22: what the mapping owns is as before, but for who was made: closed, not deleted. No later run fights it."""
    before = district.everything()
    run = a_bad_day(district)
    native = district.native("s31")
    after = district.everything()
    assert after["accounts"] != before["accounts"]
    undone(district, run)
    now = district.everything()
    made = now["accounts"].pop(native)  # type: ignore[attr-defined]  # a dict of accounts
    assert not made.enabled
    assert now["accounts"] == before["accounts"]
    assert {name: members - {native} for name, members in now["groups"].items() if members - {native}} == {  # type: ignore[attr-defined]  # as above
        name: members
        for name, members in before["groups"].items()
        if members  # type: ignore[attr-defined]  # as above
    }
    settled = district.everything()
    for kind in ("delta", "reconcile", "delta"):
        district.clock.advance()
        planned, applied = district.engine.sync(MAIN, kind)
        assert applied is not None
        assert planned.changes == 0, [change for one in planned.plans.values() for change in one.changes]
        assert district.everything() == settled
    assert len(found(planned, "shelved")) == 6


def test_what_is_on_the_shelf_goes_on_when_its_cause_changes(district: World) -> None:
    """R22: the roster says something new of somebody: that is done, and what it says anew next year is done as well."""
    run = a_bad_day(district)
    undone(district, run)
    district.students(pupil(1), pupil(4, family="Divorced"))  # one is back, one is called otherwise again
    district.day()
    assert district.account("s1").enabled
    assert district.account("s4").attributes["sn"] == ("Divorced",)
    assert {key[1] for key in district.store.shelved()} == {district.person(f"s{n}") for n in (2, 3, 5, 31)}
    district.students(replace(district.roster.students["s1"], exit=district.clock.today))
    district.day()
    assert not district.account("s1").enabled


def test_a_plan_that_nobody_applies_takes_nothing_off_the_shelf(district: World) -> None:
    """A roster that is held, or a plan that is only looked at, says otherwise of somebody for a while: the undo stands."""
    undone(district, a_bad_day(district))
    before = district.store.shelved()
    bad_day = district.roster
    district.students(pupil(1), pupil(2), pupil(3))
    district.engine.plan(MAIN)
    assert district.store.shelved() == before
    district.roster = bad_day
    district.deliver()
    district.day()
    assert [district.account(f"s{n}").enabled for n in (1, 2, 3)] == [True] * 3


def test_a_human_releases_somebody_from_the_shelf(district: World) -> None:
    """The next run does it after all, for that person and nobody else."""
    undone(district, a_bad_day(district))
    assert district.engine.release("s2") == 1
    assert district.engine.release("s7") == 0
    district.day()
    assert [district.account(f"s{n}").enabled for n in (1, 2, 3)] == [True, False, True]


def test_an_undo_is_itself_undone(district: World) -> None:
    """Back and forth: what the first run did is there again, and stays."""
    run = a_bad_day(district)
    after = district.everything()
    _, applied = undone(district, run)
    undone(district, applied.run)
    assert district.everything()["accounts"] == after["accounts"]
    assert district.everything()["groups"] == after["groups"]
    for kind in ("delta", "reconcile"):
        district.day(kind=kind)
        assert district.everything()["accounts"] == after["accounts"]


@pytest.mark.parametrize(
    ("chosen", "enabled"),
    [
        ({"campuses": frozenset({"012"})}, [True, False, True]),
        ({"kinds": frozenset({Kind.DISABLE})}, [True, True, True]),
        ({"kinds": frozenset({Kind.UPDATE})}, [False, False, False]),
    ],
    ids=["campus", "disables", "updates"],
)
def test_a_part_of_a_run_is_taken_back(district: World, chosen: dict[str, object], enabled: list[bool]) -> None:
    """`--campus` and `--kind`: the rest of the run stands."""
    undone(district, a_bad_day(district), **chosen)
    assert [district.account(f"s{n}").enabled for n in (1, 2, 3)] == enabled
    assert (district.account("s4").attributes["sn"] == ("Married",)) is (
        "kinds" not in chosen or Kind.UPDATE not in chosen["kinds"]
    )  # type: ignore[operator]  # a set of kinds


def test_one_person_of_a_run_is_taken_back(district: World) -> None:
    """`--person`."""
    undone(district, a_bad_day(district), persons=frozenset({district.person("s3")}))
    assert [district.account(f"s{n}").enabled for n in (1, 2, 3)] == [False, False, True]


def test_what_has_changed_since_is_left_alone_and_listed(district: World) -> None:
    """R22: a later run's name, a group somebody left since; everything else of the run is taken back."""
    run = a_bad_day(district)
    district.students(pupil(4, family="Again"))
    district.day()
    planned, _ = undone(district, run)
    assert district.account("s4").attributes["sn"] == ("Again",)
    told = [one.why for one in planned.findings if one.kind == "not undone" and one.person == district.person("s4")]
    assert told
    assert set(told) <= {"what it wrote has been changed since", "it has been moved or renamed since"}
    assert [district.account(f"s{n}").enabled for n in (1, 2, 3)] == [True] * 3


def test_an_undo_is_held_to_the_limits_and_let_go_like_any_plan(district: World) -> None:
    """Three accounts enabled are too many here: the plan holds them, and an approval lets them go."""
    run = a_bad_day(district)
    target = district.config.targets[LDAP]
    narrow = Limit(percent=100, at_least=1000, campus_percent=1, campus_at_least=0)
    district.reopen(replace(district.config, targets={LDAP: replace(target, limits=replace(target.limits, enable=narrow))}))
    planned = district.engine.undo(Undoes(run))
    applied = district.engine.apply_stored(planned.run)
    assert applied is not None
    assert applied.findings
    assert [district.account(f"s{n}").enabled for n in (1, 2, 3)] == [False] * 3
    assert district.account("s4").attributes["sn"] == ("Diaz",)
    district.engine.approve(planned.run, "head (uid 1)", "it was a bad roster")
    undone(district, run)
    assert [district.account(f"s{n}").enabled for n in (1, 2, 3)] == [True] * 3


def test_a_kill_between_an_undo_and_the_shelf_loses_nothing(district: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the next plan wants of these people goes on the shelf, whoever makes that plan."""
    run = a_bad_day(district)
    before = district.engine.undo(Undoes(run))
    monkeypatch.setattr(type(district.engine), "_shelve", lambda *_: None)
    applied = district.engine.apply_stored(before.run)
    assert applied is not None
    monkeypatch.undo()
    settled = district.everything()
    for kind in ("delta", "reconcile"):
        district.clock.advance()
        district.engine.sync(MAIN, kind)
        assert district.everything() == settled


def test_what_cannot_be_undone_is_said(district: World) -> None:
    """There is no such run; its images have expired; nothing of it is left to take back."""
    with pytest.raises(EndpointError, match="there is no such run"):
        district.engine.undo(Undoes(RunId("r99")))
    with pytest.raises(EndpointError, match="wrote nothing"):
        district.engine.undo(Undoes(district.engine.plan(MAIN).run))
    run = a_bad_day(district)
    undone(district, run)
    planned = district.engine.undo(Undoes(run))
    assert planned.changes == 0
    assert "it has been enabled since" in found(planned, "not undone")
    later = district.clock.now + timedelta(days=400)
    district.store.expire(later, later, later)
    journal = district.store.journal(run=run)
    assert any(row.result is Result.DONE for row in journal)
    planned = district.engine.undo(Undoes(run))
    assert planned.changes == 0
    assert "what it was before has expired (retention.before_images)" in found(planned, "not undone")
