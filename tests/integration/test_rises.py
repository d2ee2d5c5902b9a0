"""Who would become staff waits until a human lets exactly that go, however few they are (R40, R15)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.core.facts import FactKind
from syncd.core.guard import Cell
from syncd.core.model import Kind, TargetName
from syncd.engine.planned import Applied, Planned
from tests.fixtures.engine_world import MAIN, SIS, World, employee, found, kinds, pupil, world
from tests.fixtures.health_states import health_of

ALICE = "alice (uid 1001)"
TO_STAFF = Cell(TargetName(SIS), "become staff", "012", "students")


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Six students and three staff, with their accounts; whoever has a staff number is staff."""
    with world(tmp_path) as made:
        made.begin()
        yield made


def hired(district: World, *keys: str) -> None:
    """The roster tells of these students as teachers; delivered at once."""
    for key in keys:
        one = district.roster.students[key]
        district.roster = district.roster.without_students([key])
        told = employee(4, key=key, number=f"8{one.number}", given=one.given, family=one.family, schools=one.schools)
        district.staff(told)
    district.clock.advance()


def synced(district: World) -> tuple[Planned, Applied]:
    """A run; it is not held as a whole."""
    planned, applied = district.engine.sync(MAIN)
    assert applied is not None
    return planned, applied


def is_staff(district: World, key: str) -> bool:
    """Whether the account of whoever has this key is one of staff."""
    return district.account(key).container.endswith("ou=staff")


def test_one_who_would_become_staff_is_held_and_let_go_by_an_approval(district: World) -> None:
    """R40: kept as they are in every run, told by health, and with the approval the same account becomes one of staff."""
    before, native = district.account("s1"), district.native("s1")
    hired(district, "s1")
    for _ in range(2):
        planned, applied = synced(district)
        assert [one.cell for one in applied.findings] == [TO_STAFF]
        assert kinds(planned, district.person("s1")) == []
        assert district.account("s1") == before
    told = {reason.where: reason.why for reason in health_of(district).reasons}
    assert "1 would become staff" in told["pipeline main"]
    assert "campus 012" not in told
    approved = district.engine.approve(planned.run, ALICE, "she has her certificate")
    assert (approved.people, approved.changes, approved.lets_go) == (1, 1, True)
    planned, applied = synced(district)
    assert applied.findings == ()
    assert found(planned, "disputed") == []
    assert (district.native("s1"), is_staff(district, "s1")) == (native, True)
    district.clock.advance(20)
    assert kinds(synced(district)[0]) == []


def test_an_approval_lets_nobody_else_rise(district: World) -> None:
    """R15: who came into it after the plan that was seen waits on."""
    hired(district, "s1")
    planned, _ = synced(district)
    hired(district, "s3")
    synced(district)
    district.engine.approve(planned.run, ALICE, "hired")
    planned, _ = synced(district)
    assert (is_staff(district, "s1"), is_staff(district, "s3")) == (True, False)
    assert planned.verdict.held == {district.person("s3")}


def test_an_approval_is_over_after_its_days(district: World) -> None:
    """After a week nobody has seen what is so now."""
    hired(district, "s1")
    planned, _ = synced(district)
    district.engine.approve(planned.run, ALICE, "hired")
    district.clock.now += timedelta(days=8)
    synced(district)
    assert not is_staff(district, "s1")


def test_a_rise_that_is_turned_down_is_not_held_and_not_made(district: World) -> None:
    """Health is well again, the question stays listed, and a release asks it anew."""
    hired(district, "s1")
    planned, _ = synced(district)
    kept = district.engine.stored_plan(planned.run)
    assert district.engine.approving.reject(planned.run, kept, ALICE, "a mistyped role") == (1, 1, 0)
    for _ in range(2):
        district.clock.advance()
        planned, applied = synced(district)
        assert applied.findings == ()
        assert not is_staff(district, "s1")
    assert len(found(planned, "disputed")) == 1
    assert district.engine.release("s1") == 1
    assert [one.cell for one in synced(district)[1].findings] == [TO_STAFF]


def test_a_rejection_is_forgotten_when_the_roster_is_put_right(district: World) -> None:
    """A student again, and then a teacher in earnest: that is a new question."""
    hired(district, "s1")
    planned, _ = synced(district)
    district.engine.approving.reject(planned.run, district.engine.stored_plan(planned.run), ALICE, "a mistyped role")
    district.roster = district.roster.without_staff(["s1"])
    district.students(pupil(1))
    assert found(synced(district)[0], "disputed") == []
    assert district.store.decisions.rejections(district.clock.now) == []
    hired(district, "s1")
    assert [one.cell for one in synced(district)[1].findings] == [TO_STAFF]


def test_a_lock_closes_whom_a_rise_holds(district: World) -> None:
    """R33: nothing holds a lock back, and while it lasts nobody is asked about the rise."""
    hired(district, "s1")
    district.engine.facts.lock(district.person("s1"), ALICE, "phone stolen")
    district.alter("s1", enabled=True)
    planned, applied = district.engine.sync(MAIN, "reconcile")
    assert applied is not None
    assert applied.findings == ()
    assert not district.account("s1").enabled
    district.engine.facts.end(district.person("s1"), FactKind.LOCK, ALICE, "found")
    assert [one.cell for one in synced(district)[1].findings] == [TO_STAFF]
    assert Kind.ENABLE not in kinds(planned)


def test_the_verb_shows_it_and_its_approval_lets_it_go(district: World, capsys: pytest.CaptureFixture[str]) -> None:
    """`holds` names it, `approve` of that plan is enough, and the next run does it."""
    hired(district, "s1")
    planned, _ = synced(district)
    assert main(["--config", str(district.folder), "holds", "--persons"]) == Exit.HELD
    told = capsys.readouterr().out
    assert "become staff, campus 012, students, on sis: 1 people, 1 to decide (kept as they are)" in told
    assert f"    {district.person('s1')} " in told
    district.engine.approve(planned.run, "alice (uid 1001)", "hired")  # the verb's clock is another one than this district's
    synced(district)
    assert is_staff(district, "s1")
