"""Humans decide about what is held: one or two of them let it go, or somebody turns it down (R15, R16, R39)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from syncd.core.guard import Limit, Shape
from syncd.core.model import PersonId, RunId, SourceKey
from syncd.engine.approving import AUTHOR
from syncd.engine.planned import Applied, Planned
from syncd.errors import EndpointError
from syncd.settings import Approvals
from syncd.store import Approval, Store
from tests.fixtures.engine_world import LDAP, MAIN, SIS, World, found, roster_of, world
from tests.fixtures.health_states import health_of

FEW = Limit(percent=100, at_least=1000, campus_percent=12, campus_at_least=1)
SOUTH = (1, 3, 5, 7, 9, 11)
ALICE, BOB, CARL, DORA = "alice (uid 1001)", "bob (uid 1002)", "carl (uid 1003)", "dora (uid 1004)"


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Forty students at two campuses, none of which may lose more than two of its twenty a day."""
    with world(tmp_path, roster_of(students=40)) as one:
        one.begin()
        target = one.config.targets[LDAP]
        one.reopen(replace(one.config, targets={LDAP: replace(target, limits=replace(target.limits, disable=FEW))}))
        yield one


def exits(district: World, *numbers: int) -> None:
    """These students have left."""
    district.clock.advance()
    gone = district.clock.today - timedelta(days=1)
    district.students(*(replace(district.roster.students[f"s{n}"], exit=gone) for n in numbers))


def synced(district: World, trigger: str = "schedule") -> tuple[Planned, Applied]:
    """A run; it is not held as a whole."""
    planned, applied = district.engine.sync(MAIN, trigger=trigger)
    assert applied is not None
    return planned, applied


def enabled(district: World, *numbers: int) -> list[bool]:
    """Whether these students' accounts are enabled."""
    return [district.account(f"s{n}").enabled for n in numbers]


def rejected(district: World, planned: Planned, *keys: str, campuses: tuple[str, ...] = ()) -> tuple[int, int]:
    """Turn down what this plan holds, or has of these people."""
    persons = [district.person(key) for key in keys]
    approving = district.engine.approving
    return approving.reject(planned.run, district.engine.stored_plan(planned.run), ALICE, "they stay", campuses, persons)


# --- two humans -------------------------------------------------------------------------------------------------------


@pytest.fixture
def strict(district: World) -> World:
    """The same district, in which two must approve; carl took up its configuration."""
    district.reopen(replace(district.config, approvals=Approvals(approvers=2)))
    district.store.set_meta(AUTHOR, f"files {CARL}")
    return district


def test_two_different_humans_let_go_and_one_does_not(strict: World) -> None:
    """R15, R39: the first approval changes nothing but what is shown; the same human once more is no second one."""
    exits(strict, *SOUTH)
    planned, _ = synced(strict)
    assert not strict.engine.approve(planned.run, ALICE, "moved away").lets_go
    again = strict.engine.approve(planned.run, ALICE, "moved away, I say")
    assert (again.given, again.needed, again.lets_go) == (1, 2, False)
    synced(strict)
    assert enabled(strict, *SOUTH) == [True] * 6
    told = {reason.where: reason.why for reason in health_of(strict).reasons}
    assert "are approved by 1 of 2; somebody else must approve them, too" in told["approvals"]
    (cell,) = strict.engine.approving.cells(strict.engine.stored_plan(planned.run))
    assert [(approval.actor, count) for approval, count in cell.approvals] == [(ALICE, cell.digests)]
    assert strict.engine.approve(planned.run, BOB, "so it is").lets_go
    synced(strict)
    assert enabled(strict, *SOUTH) == [False] * 6
    assert "approvals" not in {reason.where for reason in health_of(strict).reasons}


def test_requester_author_and_nobody_are_none_of_the_two(strict: World) -> None:
    """R39: whoever asked for the run, the author of the configuration, and an account that anybody may use are refused."""
    exits(strict, *SOUTH)
    planned, _ = synced(strict, f"asked by {DORA}")
    for who, why in (
        (DORA, "asked for r"),
        (CARL, "took up the configuration in force"),
        ("root (uid 0, nobody signed in)", "behind which anybody may stand"),
    ):
        with pytest.raises(EndpointError, match=why):
            strict.engine.approve(planned.run, who, "moved away")
        with pytest.raises(EndpointError, match=why):
            strict.engine.approving.may_apply(planned.run, who)
    strict.engine.approve(planned.run, ALICE, "moved away")
    synced(strict)
    assert enabled(strict, *SOUTH) == [True] * 6


def test_whoever_asked_for_an_undo_asked_for_the_plan_that_applies_it(strict: World) -> None:
    """R39: the plan of an undo is the wish of who planned it, also when it is planned again to be applied."""
    exits(strict, *SOUTH)
    planned, _ = synced(strict)
    run = strict.store.begin_run(MAIN, "undo", f"undo of r1 by {ALICE}", strict.clock.now)
    again = strict.store.begin_run(MAIN, "undo", f"plan {run}", strict.clock.now)
    kept = strict.engine.stored_plan(planned.run)
    for one in (run, again):
        with pytest.raises(EndpointError, match=f"{one}, and two others"):
            strict.engine.approving.approve(one, kept, ALICE, "x", ())
    strict.engine.approving.approve(again, kept, BOB, "x", ())


def test_nobody_approves_under_a_configuration_that_nobody_answers_for(strict: World) -> None:
    """R39: files taken up by a signal, or edited before a start, could be anybody's, the approver's too."""
    exits(strict, *SOUTH)
    planned, _ = synced(strict)
    strict.store.set_meta(AUTHOR, "files unknown (signal)")
    with pytest.raises(EndpointError, match="whoever answers for it runs: syncd reload"):
        strict.engine.approve(planned.run, ALICE, "moved away")


def test_who_takes_up_a_new_configuration_is_not_counted_any_more(strict: World) -> None:
    """R39: the first to approve edits the limits then; two others are needed."""
    exits(strict, *SOUTH)
    planned, _ = synced(strict)
    strict.engine.approve(planned.run, ALICE, "moved away")
    strict.store.set_meta(AUTHOR, f"files {ALICE}")
    assert not strict.engine.approve(planned.run, BOB, "moved away").lets_go
    assert strict.engine.approve(planned.run, CARL, "moved away").lets_go


def test_what_one_let_go_before_two_had_to_agree_waits_for_the_second(district: World) -> None:
    """R15, R39: whoever tightens the rule after a scare must not see the approval of yesterday go through; it is the first of two.

    An approval of whoever took the new files up is none of them.
    """
    exits(district, *SOUTH)
    planned, _ = synced(district)
    for alone in (CARL, ALICE):
        assert district.engine.approve(planned.run, alone, "moved away").lets_go
    district.reopen(replace(district.config, approvals=Approvals(approvers=2)))
    district.store.set_meta(AUTHOR, f"files {CARL}")
    district.engine.approving.tighten()
    synced(district)
    assert enabled(district, *SOUTH) == [True] * 6
    assert district.engine.approve(planned.run, BOB, "moved away").lets_go
    district.engine.approving.tighten()  # as every start of the daemon does
    synced(district)
    assert enabled(district, *SOUTH) == [False] * 6


# --- turned down ------------------------------------------------------------------------------------------------------


def test_what_is_turned_down_is_not_made_not_held_and_not_offered_again(district: World) -> None:
    """Health is well again and counts it; the next runs leave it, whether or not anything else happens; R5: it stays dirty."""
    exits(district, *SOUTH)
    planned, _ = synced(district)
    assert rejected(district, planned)[0] == 6
    for _ in range(2):
        district.clock.advance()
        planned, applied = synced(district)
        assert applied.findings == ()
        assert len(found(planned, "rejected")) == 6
    assert enabled(district, *SOUTH) == [True] * 6
    told = health_of(district)
    assert "pipeline main" not in {reason.where for reason in told.reasons}
    assert told.facts.findings["rejected"] == 6


def test_turning_some_down_lets_nobody_else_go(district: World) -> None:
    """R15: nothing unapproved is applied: the two that are left of six would be few enough for the limit, but wait."""
    exits(district, *SOUTH)
    planned, _ = synced(district)
    assert rejected(district, planned, "s1", "s3", "s5", "s7")[0] == 4
    planned, applied = synced(district)
    assert planned.verdict.held == {district.person(f"s{n}") for n in (9, 11)}
    assert applied.findings
    assert enabled(district, *SOUTH) == [True] * 6


def test_another_change_is_another_question(district: World) -> None:
    """Turned down is that change: when they return, leave again, or are renamed and leave, somebody is asked anew."""
    exits(district, *SOUTH)
    planned, _ = synced(district)
    rejected(district, planned)
    district.students(*(replace(district.roster.students[f"s{n}"], exit=None) for n in SOUTH))
    synced(district)
    assert district.store.decisions.rejections(district.clock.now) == []
    exits(district, *SOUTH)
    planned, applied = synced(district)
    assert len(planned.verdict.held) == 6
    assert applied.findings


def test_a_release_offers_again_and_a_rejection_expires(district: World) -> None:
    """`syncd release KEY` for one of them; for the others after `rejected_for`."""
    exits(district, *SOUTH)
    planned, _ = synced(district)
    rejected(district, planned)
    synced(district)
    assert district.engine.release("s1") == 1
    planned, _ = synced(district)
    assert planned.verdict.held == {district.person("s1")}
    district.clock.advance(91)
    district.deliver()
    planned, _ = synced(district)
    assert planned.verdict.held >= {district.person(f"s{n}") for n in SOUTH}


def test_a_rejection_overrules_an_approval(district: World) -> None:
    """Who said yes first is overruled by who says no before it was done."""
    exits(district, *SOUTH)
    planned, _ = synced(district)
    district.engine.approve(planned.run, BOB, "moved away")
    rejected(district, planned, campuses=("012",))
    synced(district)
    assert enabled(district, *SOUTH) == [True] * 6


def test_an_absence_that_is_turned_down_is_kept_without_asking_again(district: World) -> None:
    """Whoever vanished with too many others stays as they are, and the roster's loss is not told every night."""
    access = district.config.sources[SIS]
    shape = Shape(floor=1, shrink_percent=99, campus_percent=10, campus_at_least=1)
    district.reopen(replace(district.config, sources={SIS: replace(access, shape=shape)}))
    district.clock.advance()
    district.leave(*(f"s{n}" for n in SOUTH))
    planned, applied = synced(district)
    assert applied.findings
    assert rejected(district, planned)[0] == 6
    district.clock.advance()
    _, applied = synced(district)
    assert applied.findings == ()
    assert enabled(district, *SOUTH) == [True] * 6


# --- the store, on both databases -------------------------------------------------------------------------------------


def test_approvals_and_rejections_are_kept_by_human_and_expire(store: Store) -> None:
    """Two rows for two humans, the last of whom lets go; an hour past its day none of it is left."""
    at = datetime(2026, 9, 1, 8, tzinfo=UTC)
    person = store.mint([(SIS, SourceKey("s1"))])[SIS, SourceKey("s1")]
    first, second = (Approval(RunId("r1"), at, at + timedelta(days=7), who, "so") for who in (ALICE, BOB))
    assert store.decisions.approve(first, ["a", "b"], 2) == 1
    assert store.decisions.approved(["a", "b"], at) == set()
    assert store.decisions.approve(second, ["a"], 2) == 2
    assert store.decisions.approved(["a", "b"], at) == {"a"}
    assert store.decisions.approvals(["a", "b"], at) == {"a": [first, second], "b": [first]}
    assert store.wellbeing((), {}).half_approved == 1
    assert store.decisions.approve(replace(second, actor="somebody"), ["b"], 2) == 1  # nobody can tell who that is
    assert store.decisions.approved(["a"], at + timedelta(days=8)) == set()
    store.decisions.reject(first, {"a": person})
    assert [(one.person, one.digest) for one in store.decisions.rejections(at)] == [(PersonId("p1"), "a")]
    assert store.decisions.approved(["a"], at) == set()
    until = first.expires.isoformat()
    told = [(one.kind, one.actor, one.contents) for one in store.audit.entries()]
    assert told[:2] == [
        ("approved", ALICE, {"because": "so", "digests": ["a", "b"], "expires": until}),
        ("approved", BOB, {"because": "so", "digests": ["a"], "expires": until}),
    ]
    assert told[-1] == ("rejected", ALICE, {"because": "so", "digests": ["a"], "expires": until})
    assert store.audit.verify().problems == ()
    store.expire(at + timedelta(days=8), at, at)
    assert store.decisions.approvals(["a", "b"], at) == {}
    assert store.decisions.rejections(at) == []
