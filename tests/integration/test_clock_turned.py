"""A clock that is set back, or ahead and then back: never more is let go than a straight one would, and nothing waits for ever.

The store is asked on both databases; the engine lives through it in one small district.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from syncd.core.facts import FactKind
from syncd.core.guard import Cell, Limit
from syncd.core.health import Freshness
from syncd.core.health import Kind as Of
from syncd.core.model import Account, Change, Failure, Kind, NativeId, Outcome, Result, SourceKey, TargetName
from syncd.core.quarantine import BACK_OFF
from syncd.engine.lock import SECONDS
from syncd.store import Approval, Store
from tests.fixtures.engine_world import FIRST_DAY, LDAP, MAIN, SIS, World, pupil, world
from tests.fixtures.health_states import health_of
from tests.integration.test_engine_reading import deliver_anew

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LITTLE, FAR = [timedelta(hours=3), timedelta(days=2)], timedelta(days=400)
"""By so much the clock is set back: a little, where nobody knows which of the two was right, or far, when that was said."""
AD = TargetName("ad")
CELL = Cell(AD, "disable", "001", "students")
DIGEST, OTHER = "d" * 20, "e" * 20


def spent(store: Store, now: datetime) -> tuple[int, int]:
    """What counts of one cell in 24 hours, and in seven days."""
    return tuple(window.get(CELL, 0) for window in store.spent(AD, now))  # type: ignore[return-value]  # of two


def run_at(store: Store, now: datetime) -> None:
    """What a run does first."""
    store.bring_back(now, now.date())


# --- what was applied of late (R12) ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", LITTLE)
def test_what_was_applied_before_a_clock_went_a_little_back_counts_until_it_would_have(store: Store, back: timedelta) -> None:
    """Whichever of the two was right: it counts a day and a week from when it was, and until then."""
    run = store.begin_run(MAIN, "delta", "timer", NOON)
    store.record(run, [], NOON, {CELL: 40})
    now = NOON - back
    run_at(store, now)
    assert spent(store, now) == spent(store, NOON + 23 * HOUR) == (40, 40)
    assert spent(store, NOON + 2 * DAY) == (0, 40)
    assert spent(store, NOON + 8 * DAY) == (0, 0)


def test_what_was_applied_far_ahead_counts_for_a_day_and_a_week_once_the_clock_is_believed(store: Store) -> None:
    """Until somebody has said so it counts as well; afterwards it leaves the windows when they have passed, not in a year."""
    run = store.begin_run(MAIN, "delta", "timer", NOON)
    store.record(run, [], NOON, {CELL: 40})
    now = NOON - FAR
    assert spent(store, now) == spent(store, now + 2 * DAY) == (40, 40)
    run_at(store, now)
    store.record(run, [], now, {CELL: 2})
    assert spent(store, now + HOUR) == (42, 42)
    assert spent(store, now + DAY + 2 * HOUR) == (0, 42)
    assert spent(store, now + 8 * DAY) == spent(store, NOON) == (0, 0)


def test_what_was_applied_comes_back_into_the_window_with_the_clock(store: Store) -> None:
    """Ten days ahead all windows are empty, and hours are summed up to days; back again, everything counts as it did."""
    run = store.begin_run(MAIN, "delta", "timer", NOON)
    store.record(run, [], NOON - 30 * HOUR, {CELL: 7})
    store.record(run, [], NOON - 4 * HOUR, {CELL: 5})
    assert spent(store, NOON) == (5, 12)
    ahead = NOON + 10 * DAY
    assert spent(store, ahead) == (0, 0)
    store.expire(ahead, ahead, ahead)
    store.record(run, [], ahead, {CELL: 3})
    run_at(store, NOON + HOUR)
    day, week = spent(store, NOON + HOUR)
    assert (day >= 8, week) == (True, 15)
    assert spent(store, NOON + 9 * DAY) == (0, 0)


def test_what_lies_ahead_makes_no_day_of_the_past_look_usual(store: Store) -> None:
    """What was counted under a wrong clock is in the windows, which hold, and in no day that a limit grows by."""
    run = store.begin_run(MAIN, "delta", "timer", NOON)
    for days in range(5):
        store.record(run, [], NOON + (20 + days) * DAY, {CELL: 30})
    run_at(store, NOON)
    assert spent(store, NOON) == (150, 150)
    assert store.past.by_day(CELL, (NOON - 30 * DAY).date(), (NOON + 30 * DAY).date()) == {}


# --- approvals and rejections (R15) ---------------------------------------------------------------------------------------


def approval(store: Store, at: datetime, expires: datetime) -> Approval:
    """Somebody decided something of a run."""
    return Approval(store.begin_run(MAIN, "delta", "timer", at), at, expires, "ana (uid 1)", "seen")


@pytest.mark.parametrize("back", [*LITTLE, FAR])
def test_an_approval_from_ahead_lets_nothing_go(store: Store, back: timedelta) -> None:
    """Whoever let something go under another clock is asked again. After a little it is good again; far ahead it never will be."""
    store.decisions.approve(approval(store, NOON, NOON + 7 * DAY), [DIGEST])
    now = NOON - back
    run_at(store, now)
    assert store.decisions.approved([DIGEST], now) == set()
    assert store.decisions.approvals([DIGEST], now) == {}
    assert store.decisions.approved([DIGEST], NOON + HOUR) == (set() if back == FAR else {DIGEST})
    assert store.decisions.approved([DIGEST], NOON + 8 * DAY) == set()
    store.decisions.approve(approval(store, now, now + 7 * DAY), [DIGEST])
    assert store.decisions.approved([DIGEST], now + HOUR) == {DIGEST}
    assert store.decisions.approved([DIGEST], now + 8 * DAY) == set()


def test_an_approval_that_has_run_out_does_not_come_back_with_the_clock(store: Store) -> None:
    """What a run, or the daemon's own clock, has seen run out is gone; one that was still good stays so."""
    store.decisions.approve(approval(store, NOON - 3 * DAY, NOON - HOUR), [DIGEST])
    store.decisions.approve(approval(store, NOON - 3 * DAY, NOON + DAY), [OTHER])
    store.decisions.ran_out(NOON)
    run_at(store, NOON - 2 * DAY)
    assert store.decisions.approved([DIGEST, OTHER], NOON - 2 * DAY) == {OTHER}


def test_hosts_whose_clocks_are_some_minutes_apart_agree(store: Store) -> None:
    """An approval that another host gave a minute from now is one."""
    store.decisions.approve(approval(store, NOON + timedelta(minutes=2), NOON + DAY), [DIGEST])
    assert store.decisions.approved([DIGEST], NOON) == {DIGEST}


@pytest.mark.parametrize("back", [*LITTLE, FAR])
def test_a_rejection_from_ahead_lasts_as_long_as_it_was_to(store: Store, back: timedelta) -> None:
    """It holds meanwhile, and no longer than it was said, from when it was or, far ahead, from now."""
    (person,) = store.mint([(SIS, SourceKey("1"))]).values()
    store.decisions.reject(approval(store, NOON, NOON + 30 * DAY), {DIGEST: person})
    now = NOON - back
    run_at(store, now)
    begun = now if back == FAR else NOON
    assert [one.digest for one in store.decisions.rejections(now)] == [DIGEST]
    assert [one.digest for one in store.decisions.rejections(begun + 29 * DAY)] == [DIGEST]
    assert store.decisions.rejections(begun + 31 * DAY) == []


# --- quarantine -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", [*LITTLE, FAR])
def test_a_refusal_from_ahead_is_tried_again_when_its_time_is_over_and_not_before(store: Store, back: timedelta) -> None:
    """The target is left alone for as long as it was to be, from when it refused or, far ahead, from now."""
    (person,) = store.mint([(SIS, SourceKey("1"))]).values()
    was = Account("x", "", enabled=True, attributes={})
    change = Change(AD, Kind.UPDATE, "x", person, NativeId("n"), was, replace(was, attributes={"sn": ("a",)}))
    for _ in range(2):
        run = store.begin_run(MAIN, "delta", "timer", NOON)
        (seq,) = store.intend(run, [change], {}, NOON)
        store.record(run, [(seq, Outcome(change, Result.FAILED, failure=Failure.INVALID, why="no"))], NOON)
    now = NOON - back
    run_at(store, now)
    run_at(store, now + HOUR)  # bringing it back once is enough
    begun = now if back == FAR else NOON
    (refused,) = store.quarantine.refused()
    assert (refused.count, refused.first, refused.last, refused.next) == (2, begun, begun, begun + BACK_OFF[1])


# --- leases (R19) ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", [*LITTLE, FAR])
def test_a_lease_from_ahead_is_left_to_whoever_renews_it_and_taken_from_the_dead(store: Store, back: timedelta) -> None:
    """One that lives keeps it, whatever the clocks say; one that is dead is waited for as long as a lease lasts, and no longer."""
    assert store.leases.take("run", "theirs", NOON, SECONDS)
    now = NOON - back
    assert not store.leases.take("run", "ours", now, SECONDS)
    assert not store.leases.take("run", "ours", now + timedelta(seconds=SECONDS - 60), SECONDS)
    assert store.leases.take("run", "theirs", NOON + timedelta(minutes=10), SECONDS)  # it lives, by its own clock
    assert not store.leases.take("run", "ours", now + timedelta(seconds=SECONDS + 60), SECONDS)
    assert not store.leases.take("run", "ours", now + timedelta(seconds=2 * SECONDS), SECONDS)
    assert store.leases.take("run", "ours", now + timedelta(seconds=2 * SECONDS + 120), SECONDS)
    assert not store.leases.take("run", "theirs", now + timedelta(seconds=2 * SECONDS + 130), SECONDS)
    assert store.leases.holder("run", now + timedelta(seconds=2 * SECONDS + 130)) == "ours"


def test_a_lease_from_ahead_is_nobodys_for_who_only_looks(store: Store) -> None:
    """`syncd status` does not say for a year that a daemon runs on another host."""
    store.leases.take("daemon", "theirs", NOON, SECONDS)
    assert store.leases.holder("daemon", NOON) == "theirs"
    assert store.leases.holder("daemon", NOON - 2 * DAY) is None


def test_a_clock_that_is_turned_while_a_dead_lease_is_waited_for_begins_to_wait_anew(store: Store) -> None:
    """What was noted by a clock that was wrong, too, proves nothing."""
    store.leases.take("run", "theirs", NOON, SECONDS)
    assert not store.leases.take("run", "ours", NOON - DAY, SECONDS)
    assert not store.leases.take("run", "ours", NOON - 3 * DAY, SECONDS)
    assert not store.leases.take("run", "ours", NOON - 3 * DAY + timedelta(seconds=SECONDS - 60), SECONDS)
    assert store.leases.take("run", "ours", NOON - 3 * DAY + timedelta(seconds=SECONDS + 60), SECONDS)


# --- when things were last well -------------------------------------------------------------------------------------------


def test_a_roster_that_changed_ahead_counts_as_changed_when_it_is_next_read(store: Store) -> None:
    """Exports that stopped are noticed so many days from now, not from a day that is still to come."""
    store.set_freshness([Freshness(Of.SOURCE, "sis", NOON + 300 * DAY, NOON + 300 * DAY)])
    store.set_freshness([Freshness(Of.SOURCE, "sis", NOON)])
    (fresh,) = store.wellbeing([], {}).freshness
    assert (fresh.good_at, fresh.changed_at) == (NOON, NOON)


# --- days: grace, exits, local facts --------------------------------------------------------------------------------------


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Six students and three staff with their accounts, and a week of rosters that told something new each day."""
    with world(tmp_path) as made:
        made.begin()
        for number in range(3):
            made.students(pupil(20 + number))
            made.day()
        yield made


def goes(district: World, days: int) -> None:
    """The clock is turned, by so many days."""
    district.clock.now += timedelta(days=days)


def first_said(district: World) -> None:
    """Somebody has looked at the newest plan, and says that the clock is right."""
    planned = district.engine.plan(MAIN)
    assert planned.doubt
    assert district.engine.apply(planned) is None
    assert district.engine.apply_stored(planned.run, first=True) is not None


@pytest.mark.parametrize("back", [1, 2])
def test_no_day_comes_twice(district: World, back: int) -> None:
    """A clock that is a day or two behind goes by the day of the last run: what ended does not begin again."""
    first, until = district.person("s1"), district.clock.today
    district.engine.facts.override(first, "family", "Guest", "", until, "root (uid 0)", "for a day")
    district.students(pupil(2, exit=until))
    planned, _ = district.sync()
    assert district.account("s1").attributes["sn"] == ("Guest",)
    district.day()
    last = district.clock.today
    assert (district.account("s1").attributes["sn"], district.account("s2").enabled) == (("Abara",), False)
    goes(district, -back)
    planned, _ = district.sync("everything")
    assert (planned.today, planned.doubt, planned.changes) == (last, "", 0)
    assert (district.account("s1").attributes["sn"], district.account("s2").enabled) == (("Abara",), False)
    goes(district, back + 1)
    assert district.day(0).today == last + DAY


def test_a_clock_that_is_further_behind_lets_nothing_begin_again_unasked(district: World) -> None:
    """A sponsorship and an account that ended stay ended, plan after plan, until somebody says that the day is right."""
    until = district.clock.today
    told = {"given": "Sam", "family": "Sub", "population": "staff", "campus": "001"}
    district.engine.facts.sponsor(told, district.person("t1"), until, "root (uid 0)", "a substitute")
    district.students(pupil(2, exit=until))
    district.sync()
    (fact,) = [one for one in district.store.facts.listed() if one.kind is FactKind.SPONSOR]
    sub = district.store.known(LDAP)[fact.person].native_id
    assert district.memory.accounts[sub].enabled
    district.day()
    assert not district.memory.accounts[sub].enabled
    before = district.everything()
    goes(district, -10)
    for _ in range(2):
        planned, applied = district.engine.sync(MAIN, "everything")
        assert applied is None
        assert "is it right" in planned.doubt.lower()
    assert district.everything() == before
    goes(district, 10)
    assert district.day().changes == 0  # by itself, when the clock is right again


def test_grace_that_began_ahead_of_the_clock_begins_today_and_ends_in_its_days(district: World) -> None:
    """Whoever vanished while the clock was 60 days ahead is not kept until then, and not closed before grace is over."""
    goes(district, 60)
    district.leave("s3")
    district.day(0)
    goes(district, -60)
    first_said(district)
    begun = district.clock.today
    (missing,) = district.store.missing(SIS).values()
    assert missing.missing_since == begun
    for number in range(9):
        deliver_anew(district)
        district.day()
        assert district.account("s3").enabled, number
    deliver_anew(district)
    district.day()
    assert district.clock.today == begun + 10 * DAY
    assert not district.account("s3").enabled


def test_grace_does_not_run_on_a_roster_that_was_accepted_ahead(district: World) -> None:
    """R13: a source that stands still is stale, whatever day its last roster was accepted on by a wrong clock."""
    district.leave("s3")
    for _ in range(3):
        deliver_anew(district)
        district.day()
    goes(district, 5)
    deliver_anew(district)
    district.day(0)
    goes(district, -5)
    first_said(district)
    for _ in range(12):  # the same roster, day after day: in eight of them it would have been ten days of evidence
        district.day()
    assert district.account("s3").enabled
    deliver_anew(district)
    district.day()
    assert not district.account("s3").enabled


def test_a_source_that_fails_after_the_clock_came_back_proves_no_day(district: World) -> None:
    """What was last seen on a day still to come was not seen: grace stands still while the last copy stands in."""
    honest = district.clock.today
    goes(district, 40)
    deliver_anew(district)
    district.day(0)
    goes(district, -30)
    district.break_roster()
    planned = district.engine.plan(MAIN)
    assert planned.readings[SIS].failed
    assert planned.readings[SIS].as_of == honest + 3 * DAY  # `stale_after`


def test_whoever_left_ahead_of_the_clock_is_parked_and_deleted_in_their_days(district: World) -> None:
    """A stage counts from the day access ended, which is not a day that is still to come."""
    district.students(pupil(2, exit=FIRST_DAY))
    goes(district, 60)
    district.day(0)
    assert not district.account("s2").enabled
    goes(district, -60)
    first_said(district)
    person = district.person("s2")
    assert district.store.persons([person])[person].since == district.clock.today


def test_nothing_is_thrown_away_because_of_a_day_that_may_not_be(district: World) -> None:
    """A year ahead everything has expired: first passwords, before-images and copies of rosters stay until somebody has looked."""
    waiting = district.store.sealed_passwords(district.clock())
    spools = sorted(path.name for path in (district.state / "spools" / "sis").iterdir())
    assert len(waiting) > 5
    goes(district, 400)
    assert district.engine.plan(MAIN).doubt
    goes(district, -400)
    assert district.store.sealed_passwords(district.clock()) == waiting
    assert sorted(path.name for path in (district.state / "spools" / "sis").iterdir()) == spools
    assert any(row.change.after for row in district.store.journal())


def test_a_limit_holds_after_the_clock_went_ahead_and_came_back(district: World) -> None:
    """R12: what was closed yesterday counts today, though the clock was a month ahead in between."""
    narrow = Limit(percent=100, at_least=1000, campus_percent=50, campus_at_least=1)
    target = district.config.targets[LDAP]
    district.reopen(replace(district.config, targets={LDAP: replace(target, limits=replace(target.limits, disable=narrow))}))
    district.students(pupil(2, exit=FIRST_DAY))
    assert district.day().verdict.clear
    goes(district, 30)
    district.day()
    goes(district, -30)
    counted = district.store.spent(LDAP, district.clock())[0]
    assert [number for cell, number in counted.items() if cell.operation == "disable"] == [1, 1]  # at the campus, and in all
    assert district.store.spent(LDAP, district.clock() + 2 * DAY)[0] == {}


def test_the_health_says_that_the_clock_is_not_believed(district: World) -> None:
    """And what to do about it."""
    goes(district, -10)
    district.engine.sync(MAIN)
    told = [reason.why for reason in health_of(district).reasons if reason.where == "pipeline main"]
    assert any("the clock says" in why and "--first" in why for why in told), told
