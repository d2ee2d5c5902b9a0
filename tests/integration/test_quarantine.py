"""What a target refuses is set aside: tried again when it is time or something changes, and in nobody's way until then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from syncd.core.health import Kind as Of
from syncd.core.model import Change, Failure, Kind, Outcome, Result
from tests.fixtures.engine_world import FIRST_DAY, LDAP, World, found, kinds, pupil, world
from tests.integration.test_engine_identity import with_own_names
from tests.integration.test_engine_plans import Server, only, server


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Six students and three staff, with their accounts."""
    with world(tmp_path, connect=lambda _: Server()) as made:
        made.begin()
        server(made).sent.clear()
        yield made


def refuse(*kinds_: Kind, words: str = "no") -> Callable[[Change], Outcome | None]:
    """Refuses these kinds for everybody."""

    def meet(change: Change) -> Outcome | None:
        if change.kind in kinds_ and change.person is not None:
            return Outcome(change, Result.FAILED, failure=Failure.INVALID, why=words)
        return None

    return meet


def later(district: World, **span: float) -> list[Kind]:
    """So much later: what a delta run sends."""
    district.clock.now += timedelta(**span)
    server(district).sent.clear()
    district.sync()
    return [change.kind for change in server(district).sent if change.person is not None]


def refused_update(district: World) -> None:
    """The family name of s1 is one the directory does not take."""
    server(district).meet = only(Kind.UPDATE, district.person("s1"))
    district.students(pupil(1, family="Other"))
    district.sync()


def test_a_refused_change_is_not_sent_in_every_run(district: World) -> None:
    """R5: after an hour, then after four; the person stays dirty all the time, so nothing of them is forgotten."""
    refused_update(district)
    assert later(district, minutes=30) == []
    assert district.person("s1") in district.store.dirty()
    assert later(district, minutes=31) == [Kind.UPDATE]
    assert later(district, hours=3, minutes=58) == []
    assert later(district, minutes=3) == [Kind.UPDATE]
    [one] = district.store.quarantine.refused()
    assert (one.person, one.kind, one.count, one.words) == (
        district.person("s1"),
        Kind.UPDATE,
        3,
        "refused: insufficient access (50)",
    )


def test_what_waits_is_told_of_in_the_plan(district: World) -> None:
    """A plan that does less than the mapping wants says so."""
    refused_update(district)
    planned = district.plan()
    assert kinds(planned) == []
    [told] = found(planned, "set aside")
    assert "refused once; tried again after 2026-09-01 09:00 UTC" in told


def test_a_mended_row_is_sent_at_once_and_clears_the_list(district: World) -> None:
    """Quarantine ends when the change lands, or is not wanted any more."""
    refused_update(district)
    server(district).meet = lambda _: None
    district.students(pupil(1, family="Better"))
    assert later(district, minutes=1) == [Kind.UPDATE]
    assert district.store.quarantine.refused() == []
    assert later(district, minutes=1) == []
    assert district.person("s1") not in district.store.dirty()


def test_a_row_put_back_clears_the_list(district: World) -> None:
    """What is not wanted any more is forgotten, and nobody stays dirty for it."""
    refused_update(district)
    district.students(pupil(1))
    assert later(district, minutes=1) == []
    assert district.store.quarantine.refused() == []
    assert district.person("s1") not in district.store.dirty()


def test_an_edited_mapping_is_tried_at_once(district: World) -> None:
    """R4: the mapping is what the refusal may have been about."""
    refused_update(district)
    server(district).meet = lambda _: None
    server(district).sent.clear()
    district.edit("mappings/ldap.yaml", "displayName: display_name", "displayName: legal_name")  # of staff
    district.sync()
    assert [change.kind for change in server(district).sent if change.person == district.person("s1")] == [Kind.UPDATE]
    assert district.store.quarantine.refused() == []


def test_a_human_has_it_tried_at_once(district: World) -> None:
    """One person's, or all of a target's."""
    refused_update(district)
    assert district.store.quarantine.retry([district.person("s2")]) == 0
    assert later(district, minutes=1) == []
    assert district.store.quarantine.retry([district.person("s1")], [LDAP]) == 1
    assert later(district, minutes=1) == [Kind.UPDATE]
    assert later(district, minutes=1) == []


def test_the_rest_of_a_person_goes_on(district: World) -> None:
    """The account moves to the other campus's groups though its name is refused."""
    server(district).meet = only(Kind.UPDATE, district.person("s1"))
    district.students(pupil(1, family="Other", lessons=("h1", "k1", "k2")))
    district.sync()
    sent = [change.kind for change in server(district).sent if change.person == district.person("s1")]
    assert Kind.UPDATE in sent
    assert Kind.ADD_MEMBER in sent


def test_a_leaver_whom_a_group_keeps_loses_access_all_the_same(district: World) -> None:
    """And in the runs between, while the membership waits, the state that is true is remembered: parking follows in its time."""
    server(district).meet = refuse(Kind.REMOVE_MEMBER)
    district.students(pupil(1, exit=FIRST_DAY))
    district.clock.advance()
    district.sync()
    assert not district.account("s1").enabled
    assert later(district, minutes=1) == []
    assert {one.kind for one in district.store.quarantine.refused()} == {Kind.REMOVE_MEMBER}


def test_a_refused_disable_is_owed_until_it_lands(district: World) -> None:
    """R5: while it waits the person does not count as disabled, though no plan of these runs has a change of theirs."""
    server(district).meet = refuse(Kind.DISABLE, Kind.REMOVE_MEMBER)
    district.students(pupil(1, exit=FIRST_DAY))
    district.clock.advance()
    district.sync()
    before = district.store.persons([district.person("s1")])
    assert later(district, minutes=1) == []
    assert district.store.persons([district.person("s1")]) == before
    server(district).meet = lambda _: None
    assert Kind.DISABLE in later(district, hours=1)
    assert not district.account("s1").enabled


def test_known_refusals_leave_the_error_budget_to_the_others(district: World) -> None:
    """More known refusals than the budget are due, and a newcomer still gets an account: what is known to fail comes last."""
    target = replace(district.config.targets[LDAP], error_budget=2)
    district.reopen(replace(district.config, targets={LDAP: target}))
    server(district).meet = refuse(Kind.UPDATE)
    everybody = [pupil(number, family=f"Other{number}") for number in range(1, 7)]
    for _ in range(4):
        district.students(*everybody)
        later(district, minutes=1)
    assert len(district.store.quarantine.refused()) == 6
    district.store.quarantine.retry()
    server(district).sent.clear()
    district.students(pupil(7))
    _, applied = district.sync()
    assert district.account("s7").enabled
    report = applied.reports[LDAP]
    assert (report.left_alone, sum(one.failure is Failure.INVALID for one in report.failures)) == (0, 2)


def test_a_spent_budget_leaves_the_target_alone_and_says_why(district: World) -> None:
    """The run is partly failed, the reason is in the health, and the next run goes on where this one stopped."""
    target = replace(district.config.targets[LDAP], error_budget=2)
    district.reopen(replace(district.config, targets={LDAP: target}))
    server(district).meet = refuse(Kind.UPDATE)
    district.clock.now += timedelta(minutes=1)
    district.students(*(pupil(number, family=f"Other{number}") for number in range(1, 7)))
    _, applied = district.sync()
    row = district.store.run(applied.run)
    assert row is not None
    assert row.status == "partly failed"
    assert applied.reports[LDAP].left_alone == 2
    known = {(one.kind, one.name): one for one in district.store.wellbeing(["main"], {}).freshness}
    assert known[Of.TARGET, LDAP].failing
    assert "after 2 refused changes, its error budget" in known[Of.TARGET, LDAP].why
    server(district).meet = lambda _: None
    assert later(district, minutes=1).count(Kind.UPDATE) == 4  # the two that were refused wait for their hour
    assert later(district, hours=1).count(Kind.UPDATE) == 2


def test_what_was_refused_is_not_sent_twice_in_one_run(district: World) -> None:
    """R18: somebody's account turns out to be stale, and is planned again: the change that was refused just before is not."""
    person = district.person("s1")
    tried: list[Kind] = []

    def meet(change: Change) -> Outcome | None:
        if change.person != person:
            return None
        tried.append(change.kind)
        if change.kind is Kind.UPDATE:
            return Outcome(change, Result.FAILED, failure=Failure.INVALID, why="no")
        if tried.count(change.kind) == 1:
            return Outcome(change, Result.FAILED, failure=Failure.STALE, why="changed meanwhile")
        return None

    server(district).meet = meet
    district.students(pupil(1, family="Other", lessons=("h1", "k1", "k2")))
    district.sync()
    assert tried.count(Kind.UPDATE) == 1
    assert tried.count(Kind.ADD_MEMBER) == 2


SAME = {"schools": ("o1",), "lessons": ("h1",), "grade": "05"}


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[World]:
    """Two accounts called after their owners, who are told of under each other's names now; the directory renames nobody."""
    with world(tmp_path, connect=lambda _: Server()) as made:
        with_own_names(made)
        one, two = pupil(1, given="Ann", family="Lee", **SAME), pupil(2, given="Bea", family="May", **SAME)
        made.roster = made.roster.with_students(one, two)
        made.begin()
        server(made).meet = refuse(Kind.MOVE)
        made.students(replace(one, given="Bea", family="May"), replace(two, given="Ann", family="Lee"))
        made.sync()
        yield made


def test_a_refused_ring_of_renames_is_left_alone_like_anything_refused(ring: World) -> None:
    """R10: its first step, to a temporary name, is what was refused; both wait, ever longer, and are tried together."""
    assert later(ring, minutes=30) == []
    assert len(found(ring.plan(), "set aside")) > 0
    tried = later(ring, minutes=31)
    assert tried.count(Kind.MOVE) == len(tried) > 0
    assert later(ring, hours=3, minutes=58) == []
    assert {one.count for one in ring.store.quarantine.refused()} == {2}
    server(ring).meet = lambda _: None
    assert len(later(ring, minutes=3)) == 3
    assert [ring.account(key).rdn for key in ("s1", "s2")] == ["Bea May", "Ann Lee"]
    assert ring.store.quarantine.refused() == []
    assert kinds(ring.day(kind="reconcile")) == []


def test_a_ring_goes_when_one_of_it_has_something_else_to_be_changed(ring: World) -> None:
    """As for any refused change: and all of it goes, or the place would be taken."""
    server(ring).meet = lambda _: None
    ring.students(replace(ring.roster.students["s1"], number="10099"))
    assert later(ring, minutes=1).count(Kind.MOVE) == 3
    assert [ring.account(key).rdn for key in ("s1", "s2")] == ["Bea May", "Ann Lee"]


def test_a_ring_of_which_one_half_is_refused_waits_as_a_whole(ring: World) -> None:
    """Only one of the two is refused: the other, which is not, does not run against the taken place in every run."""
    server(ring).meet = only(Kind.MOVE, ring.person("s1"))
    later(ring, hours=1)
    assert later(ring, minutes=30) == []
