"""What breaks a limit is held by cell, everybody else goes on, and a human lets exactly what was seen go (R11, R12, R15, R16)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.core.guard import Cell, Limit, Limits
from syncd.core.model import Kind, RunId
from syncd.engine.health import as_json
from syncd.engine.planned import Applied, Planned, Undoes
from syncd.errors import EndpointError
from tests.fixtures.engine_world import LDAP, MAIN, World, pupil, roster_of, world
from tests.fixtures.health_states import health_of

NORTH, SOUTH = ("o1",), ("o2",)  # campus 001 with the even numbers of roster_of, campus 012 with the odd ones
FEW = Limit(percent=100, at_least=1000, campus_percent=12, campus_at_least=1, week=2.5)


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Forty students at two campuses, none of which may lose more than two of its twenty a day."""
    with world(tmp_path, roster_of(students=40)) as one:
        one.begin()
        target = one.config.targets[LDAP]
        narrow = replace(target, limits=replace(target.limits, disable=FEW, move=FEW))
        one.reopen(replace(one.config, targets={LDAP: narrow}))
        yield one


def exits(district: World, *numbers: int) -> None:
    """These students have left."""
    district.clock.advance()
    district.students(*(replace(district.roster.students[f"s{n}"], exit=yesterday(district)) for n in numbers))


def yesterday(district: World) -> date:
    """An exit date that has passed: access has ended."""
    return district.clock.today - timedelta(days=1)


def synced(district: World) -> tuple[Planned, Applied]:
    """A run; it is not held as a whole."""
    planned, applied = district.engine.sync(MAIN)
    assert applied is not None
    return planned, applied


def enabled(district: World, *numbers: int) -> list[bool]:
    """Whether these students' accounts are enabled."""
    return [district.account(f"s{n}").enabled for n in numbers]


def test_a_campus_is_held_and_everybody_else_goes_on(district: World) -> None:
    """R11: eight of 012 would go, which is too many; one of 001 goes, a new one comes, and a changed name is changed."""
    exits(district, 1, 3, 5, 7, 9, 11, 13, 15, 2)
    district.students(pupil(41, schools=NORTH, lessons=("h1",)), pupil(4, family="Other", schools=NORTH, lessons=("h1",)))
    planned, applied = synced(district)
    assert [finding.cell for finding in applied.findings] == [Cell(LDAP, "disable", "012", "students")]
    assert "campus 012, students, on target ldap: 8 accounts would be disabled" in str(applied.findings[0])
    assert enabled(district, 1, 3, 5, 7, 9, 11, 13, 15) == [True] * 8
    assert enabled(district, 2) == [False]
    assert district.account("s4").attributes["sn"] == ("Other",)
    assert district.account("s41").enabled
    assert len(planned.verdict.held) == 8
    row = district.store.run(planned.run)
    assert row is not None
    assert (row.status, row.held) == ("done", (str(applied.findings[0]),))


def test_everything_of_a_held_person_waits(district: World) -> None:
    """R16: a held leaver's memberships and name stay as they are, too."""
    exits(district, 1, 3, 5, 7)
    before = district.everything()
    synced(district)
    assert district.everything() == before
    synced(district)  # and in the next run, though the roster has not changed since
    assert district.everything() == before


def test_what_is_held_is_told_until_it_is_well(district: World) -> None:
    """`/health`: the pipeline and the campus are critical, the other campus is fresh; both are well again with the roster."""
    exits(district, 1, 3, 5, 7)
    _, applied = synced(district)
    told = {reason.where: reason.why for reason in health_of(district).reasons}
    assert told["campus 012"] == str(applied.findings[0])
    assert "is held: campus 012, students" in told["pipeline main"]
    assert "campus 001" not in told
    district.students(*(replace(district.roster.students[f"s{n}"], exit=None) for n in (1, 3, 5, 7)))
    district.clock.advance()
    synced(district)
    assert not {"campus 012", "pipeline main"} & {reason.where for reason in health_of(district).reasons}


def test_what_is_held_is_told_whatever_else_was_asked_for_since(district: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan that takes another run back, a run for one person, one that failed, and one under way say nothing of what waits."""
    exits(district, 1, 3, 5, 7)
    planned, _ = synced(district)
    [why] = [f"run {planned.run} is held: {finding}" for finding in planned.verdict.findings]
    assert held_told(district) == [why]
    asked = district.engine.undo(Undoes(RunId("r1"), kinds=frozenset({Kind.UPDATE}))).run
    assert held_told(district) == [why]
    district.engine.sync(MAIN, person="s40")
    assert held_told(district) == [why]
    for _ in range(25):
        district.store.set_run(
            district.store.begin_run(MAIN, "delta", "schedule", district.clock.now), "failed", district.clock.now
        )
    district.store.begin_run(MAIN, "delta", "schedule", district.clock.now)
    assert held_told(district) == [why]
    assert as_json(health_of(district))["held"] == 1
    assert main(["--config", str(district.folder), "holds"]) == Exit.HELD
    told = capsys.readouterr().out
    assert (f"syncd approve {planned.run}" in told, f"syncd approve {asked}" in told) == (True, False)


def held_told(district: World) -> list[str]:
    """What health says is held."""
    return [reason.why for reason in health_of(district).reasons if " is held: " in reason.why]


def test_an_undo_that_is_held_is_told_beside_what_is_held(district: World) -> None:
    """Both wait for somebody; whoever rejects the undo leaves the other as it is."""
    exits(district, 1, 3, 5, 7)
    planned, _ = synced(district)
    narrow = replace(district.config.targets[LDAP], limits=Limits(disable=Limit(percent=1, at_least=1)))
    district.reopen(replace(district.config, targets={LDAP: narrow}))
    undo = district.engine.undo(Undoes(RunId("r1"), kinds=frozenset({Kind.CREATE})))
    assert not undo.verdict.clear
    told = held_told(district)
    assert {one.split()[1] for one in told} == {planned.run, undo.run}
    district.engine.reject(undo.run)
    assert {one.split()[1] for one in held_told(district)} == {planned.run}


def test_an_approval_lets_exactly_what_was_seen_go(district: World) -> None:
    """R15: the four that were seen go with the next run; the two that came after stay held and are told."""
    exits(district, 1, 3, 5, 7)
    planned, _ = synced(district)
    assert approved_of(district, planned) == (4, len(held_changes(planned)))
    exits(district, 9, 11, 13)
    planned, applied = synced(district)
    assert enabled(district, 1, 3, 5, 7) == [False] * 4
    assert enabled(district, 9, 11, 13) == [True] * 3
    assert [finding.cell.campus for finding in applied.findings if finding.cell] == ["012"]
    assert planned.verdict.held == {district.person(f"s{n}") for n in (9, 11, 13)}


def approved_of(district: World, planned: Planned) -> tuple[int, int]:
    """Approve all that this plan holds; of how many people and changes that was."""
    approved = district.engine.approve(planned.run, "head (uid 1)", "a grade moved away")
    return approved.people, approved.changes


def held_changes(planned: Planned) -> list[object]:
    """Every change of whoever is held."""
    return [change for one in planned.plans.values() for change in one.changes if change.person in planned.verdict.held]


def test_an_altered_change_is_not_the_approved_one(district: World) -> None:
    """R15: somebody whose leaving has become more than was seen, a new name for one, stays held."""
    exits(district, 1, 3, 5, 7)
    planned, _ = synced(district)
    district.engine.approve(planned.run, "head (uid 1)", "a grade moved away")
    district.students(replace(district.roster.students["s7"], exit=None, family="Altered"))
    planned, applied = synced(district)
    assert enabled(district, 1, 3, 5, 7) == [False, False, False, True]
    assert applied.findings == ()
    assert district.account("s7").attributes["sn"] == ("Altered",)  # an update, which no limit held


def test_an_approval_can_be_for_one_campus_and_expires(district: World) -> None:
    """`--campus`: the other one waits on. After a week nobody has seen what is so now."""
    exits(district, 1, 3, 5, 7, 2, 4, 6, 8)
    planned, applied = synced(district)
    assert len(applied.findings) == 2
    district.engine.approve(planned.run, "head (uid 1)", "moved away", ["001"])
    _, applied = synced(district)
    assert enabled(district, 2, 4, 6, 8) == [False] * 4
    assert enabled(district, 1, 3, 5, 7) == [True] * 4
    planned, _ = synced(district)
    district.engine.approve(planned.run, "head (uid 1)", "moved away")
    district.clock.advance(8)
    synced(district)
    assert enabled(district, 1, 3, 5, 7) == [True] * 4


def test_what_holds_nobody_cannot_be_approved(district: World) -> None:
    """A plan that is clear, one that is gone, a campus where nobody waits."""
    exits(district, 1, 3, 5, 7)
    held, _ = synced(district)
    with pytest.raises(EndpointError, match="holds nobody back there"):
        district.engine.approve(held.run, "x", "y", ["001"])
    with pytest.raises(EndpointError, match="there is no such plan"):
        district.engine.approve(RunId("r99"), "x", "y")
    district.students(*(replace(district.roster.students[f"s{n}"], exit=None) for n in (1, 3, 5, 7)))
    clear, _ = synced(district)
    with pytest.raises(EndpointError, match="holds nobody back; see"):
        district.engine.approve(clear.run, "x", "y")


def test_small_cuts_add_up_over_a_day_and_are_forgotten_after_it(district: World) -> None:
    """R12: two in the morning and two an hour later are four in 24 hours; the next day two more may go; then the week is full."""
    exits(district, 1, 3)
    assert synced(district)[1].findings == ()
    district.clock.now += timedelta(hours=1)
    district.students(*(replace(district.roster.students[f"s{n}"], exit=yesterday(district)) for n in (5, 7)))
    _, applied = synced(district)
    assert "2 accounts would be disabled, and 2 have been already" in str(applied.findings[0])
    assert enabled(district, 1, 3, 5, 7) == [False, False, True, True]
    district.clock.now += timedelta(hours=25)
    assert synced(district)[1].findings == ()
    assert enabled(district, 5, 7) == [False, False]
    exits(district, 9)
    district.clock.now += timedelta(hours=2)
    _, applied = synced(district)
    assert "in seven days" in str(applied.findings[0])
    district.clock.advance(7)
    assert synced(district)[1].findings == ()
    assert enabled(district, 9) == [False]


def test_what_a_human_let_go_does_not_count_against_the_next(district: World) -> None:
    """R12: a decision is no evidence of a runaway: after it the ordinary few still go."""
    exits(district, 1, 3, 5, 7)
    planned, _ = synced(district)
    district.engine.approve(planned.run, "head (uid 1)", "moved away")
    assert synced(district)[1].findings == ()
    exits(district, 9)
    assert synced(district)[1].findings == ()
    assert enabled(district, 1, 3, 5, 7, 9) == [False] * 5


def test_a_first_apply_does_not_count_against_the_first_day(tmp_path: Path) -> None:
    """R12, R14: forty accounts made by an explicit first apply leave room for the one that enrols the same morning."""
    with world(tmp_path, roster_of(students=40)) as district:
        target = district.config.targets[LDAP]
        narrow = replace(target, limits=replace(target.limits, create=Limit(percent=5, at_least=2, campus_percent=10)))
        district.reopen(replace(district.config, targets={LDAP: narrow}))
        district.begin()
        district.students(pupil(41), pupil(42))
        assert synced(district)[1].findings == ()
        assert district.account("s42").enabled


def test_a_stored_plan_that_a_human_applies_holds_what_its_limits_hold(district: World) -> None:
    """R15: applying a plan by name approves nothing of it that breaks a limit."""
    exits(district, 1, 3, 5, 7, 2)
    stored = district.engine.plan(MAIN)
    applied = district.engine.apply_stored(stored.run)
    assert applied is not None
    assert [finding.cell.campus for finding in applied.findings if finding.cell] == ["012"]
    assert enabled(district, 1, 3, 5, 7, 2) == [True, True, True, True, False]


def test_a_wave_of_transfers_is_held_where_it_arrives_and_where_it_leaves(district: World) -> None:
    """R11: six children of 012 turn up at 001; neither campus is so small that this is nothing."""
    district.clock.advance()
    moved = [replace(district.roster.students[f"s{n}"], schools=NORTH, lessons=("h1",)) for n in (1, 3, 5, 7, 9, 11)]
    district.students(*moved)
    planned, applied = synced(district)
    assert Kind.MOVE in {change.kind for one in planned.plans.values() for change in one.changes}
    assert {finding.cell.campus for finding in applied.findings if finding.cell} == {"001", "012"}
    assert planned.verdict.held == {district.person(one.key) for one in moved}


def test_a_rename_that_is_held_is_told_with_what_the_roster_told_before_however_long_it_waits(tmp_path: Path) -> None:
    """The roster that tells the new value is taken up on the first day; the plan of every later day says what it was."""
    with world(tmp_path) as district:
        district.edit("mappings/people.yaml", "on_rename: propose", "on_rename: automatic")
        district.begin()
        old = "move: { percent: 100, at_least: 1000, campus_at_least: 1000 }"
        district.edit("config/syncd.yaml", old, "move: { percent: 1, at_least: 1, campus_at_least: 1 }")
        district.students(pupil(1, given="Bea"), pupil(3, given="Zoe"))
        for _ in range(3):
            district.clock.advance()
            planned = district.sync()[0]
            why = sorted(change.reason for change in planned.plans[LDAP].changes if change.kind is Kind.MOVE)
            assert [text.rpartition("; ")[2] for text in why] == [
                "username aabara became babara: the roster's given was Ada and is Bea",
                "username ccruz became zcruz: the roster's given was Cleo and is Zoe",
            ]
            assert planned.verdict.held
