"""Where a person stands: dates, vanishing, shields, leaving, coming back."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date, timedelta

import pytest

from syncd.core.lifecycle import LEFT, LifecycleSpec, PersonState, Presence, Standing, State, decide, rises_to_staff
from syncd.core.model import PersonId

TODAY = date(2026, 9, 10)
SPEC = LifecycleSpec(create_before_start=14, enable_before_start=3, park_after=7, park_container="OU=Left", delete_after=400)
HERE = Presence(as_of=TODAY)
GONE = Presence(present=False, missing_since=TODAY - timedelta(days=10), absences=3, as_of=TODAY)


def days(count: int) -> timedelta:
    """So many days."""
    return timedelta(days=count)


def was(state: State, since: date = date(2026, 8, 1), due: date | None = None) -> PersonState:
    """What the last decision made of the person."""
    return PersonState(PersonId("p1"), state=state, since=since, due=due)


def told(standing: Standing) -> tuple[State, bool, bool, date | None]:
    """What most tests look at: the state, whether an account exists, whether it is enabled, and when to look again."""
    return standing.state, standing.exists, standing.enabled, standing.due


def test_somebody_in_the_source_without_dates_is_active() -> None:
    """No start date means begun, no exit date means no end."""
    assert decide(SPEC, HERE, None, TODAY) == Standing(
        State.ACTIVE, TODAY, None, exists=True, enabled=True, parked=False, frozen=False, why="in the source"
    )


@pytest.mark.parametrize(
    ("before_start", "expected"),
    [
        (15, (State.PENDING, False, False, TODAY + days(1))),
        (14, (State.WAITING, True, False, TODAY + days(11))),
        (4, (State.WAITING, True, False, TODAY + days(1))),
        (3, (State.ACTIVE, True, True, None)),
        (0, (State.ACTIVE, True, True, None)),
        (-30, (State.ACTIVE, True, True, None)),
    ],
)
def test_before_the_start_the_account_is_made_and_then_enabled(before_start: int, expected: tuple[object, ...]) -> None:
    """Made 14 days before the start date, enabled 3 days before; `due` is the next of the two."""
    assert told(decide(SPEC, replace(HERE, start=TODAY + days(before_start)), None, TODAY)) == expected


def test_without_lead_times_a_start_date_changes_nothing() -> None:
    """A district that configures no lead times gives accounts as soon as the roster names somebody."""
    standing = decide(LifecycleSpec(), replace(HERE, start=TODAY + days(90)), None, TODAY)
    assert told(standing) == (State.ACTIVE, True, True, None)


def test_an_enabling_date_before_the_making_date_waits_for_the_account() -> None:
    """Nobody is enabled before there is an account."""
    spec = LifecycleSpec(create_before_start=2, enable_before_start=5)
    assert told(decide(spec, replace(HERE, start=TODAY + days(4)), None, TODAY)) == (State.PENDING, False, False, TODAY + days(2))


@pytest.mark.parametrize("state", [State.ACTIVE, State.GRACE])
def test_a_start_date_never_closes(state: State) -> None:
    """A new school year moves the start date into the future: whoever is active stays active."""
    assert decide(SPEC, replace(HERE, start=TODAY + days(60)), was(state), TODAY).state is State.ACTIVE


def test_a_waiting_account_is_not_unmade_by_a_later_start() -> None:
    """A start date that moves away leaves the account waiting for the new one."""
    standing = decide(SPEC, replace(HERE, start=TODAY + days(60)), was(State.WAITING), TODAY)
    assert told(standing) == (State.WAITING, True, False, TODAY + days(57))


def test_a_waiting_account_without_an_enabling_date_opens_when_it_would_be_made() -> None:
    """Found by the property: a start date moved away must not leave a waiting account that is never due."""
    standing = decide(LifecycleSpec(create_before_start=14), replace(HERE, start=TODAY + days(60)), was(State.WAITING), TODAY)
    assert told(standing) == (State.WAITING, True, False, TODAY + days(46))


def test_an_account_found_in_use_is_not_closed_by_a_start_to_come() -> None:
    """Adoption changes nothing (R34): first contact in July disables no pupil whose year begins in August."""
    assert decide(SPEC, replace(HERE, start=TODAY + days(60)), None, TODAY, has_account=True).state is State.ACTIVE


@pytest.mark.parametrize(
    ("exit_in", "expected"),
    [
        (5, (State.ACTIVE, True, True, TODAY + days(6))),
        (0, (State.ACTIVE, True, True, TODAY + days(1))),
        (-1, (State.DISABLED, True, False, TODAY + days(7))),
        (-90, (State.DISABLED, True, False, TODAY + days(7))),
    ],
)
def test_an_exit_acts_on_its_date(exit_in: int, expected: tuple[object, ...]) -> None:
    """The exit date is the last day: access ends on the day after, without grace (R36)."""
    assert told(decide(SPEC, replace(HERE, exit=TODAY + days(exit_in)), was(State.ACTIVE), TODAY)) == expected


def test_parking_counts_from_the_day_access_ended_not_from_the_date_told() -> None:
    """An exit told late, or mistyped by a year, deletes and parks nothing at once."""
    standing = decide(SPEC, replace(HERE, exit=TODAY - days(1000)), was(State.ACTIVE), TODAY)
    assert (standing.state, standing.since) == (State.DISABLED, TODAY)


def test_marked_as_not_enabled_is_an_exit_now() -> None:
    """`enabled: false` in the source ends access the same day, grace or not."""
    standing = decide(SPEC, replace(GONE, enabled=False, absences=1), was(State.GRACE), TODAY)
    assert told(standing) == (State.DISABLED, True, False, TODAY + days(7))


def test_an_exit_wins_over_a_later_start() -> None:
    """A source that tells of a return drops the old exit; until then access stays ended."""
    presence = replace(HERE, exit=TODAY - days(5), start=TODAY - days(1))
    assert decide(SPEC, presence, was(State.ACTIVE), TODAY).state is State.DISABLED


def test_for_somebody_who_left_before_an_account_was_made_none_is_made() -> None:
    """A leaver met for the first time gets nothing."""
    assert told(decide(SPEC, replace(HERE, exit=TODAY - days(5)), None, TODAY)) == (State.PENDING, False, False, None)


def test_somebody_who_left_but_has_an_account_is_disabled() -> None:
    """First contact finds the account of a leaver: it is treated as any leaver's."""
    standing = decide(SPEC, replace(HERE, exit=TODAY - days(5)), None, TODAY, has_account=True)
    assert told(standing) == (State.DISABLED, True, False, TODAY + days(7))


def test_vanishing_begins_grace() -> None:
    """On the first day nothing happens yet, and the day grace may end is noted."""
    presence = replace(GONE, missing_since=TODAY, absences=1)
    standing = decide(SPEC, presence, was(State.ACTIVE), TODAY)
    assert told(standing) == (State.GRACE, True, True, TODAY + days(10))


def test_grace_ends_when_days_and_snapshots_are_both_enough() -> None:
    """Ten days and three snapshots: disabled (R13)."""
    assert told(decide(SPEC, GONE, was(State.GRACE), TODAY)) == (State.DISABLED, True, False, TODAY + days(7))


@pytest.mark.parametrize(
    "presence",
    [
        replace(GONE, missing_since=TODAY - days(9), absences=99),
        replace(GONE, missing_since=TODAY - days(900), absences=2),
        replace(GONE, missing_since=TODAY - days(900), absences=99, as_of=TODAY - days(891)),
        replace(GONE, missing_since=None),
    ],
    ids=["a day too few", "a snapshot too few", "the source is stale", "no day known"],
)
def test_weak_evidence_ends_no_grace(presence: Presence) -> None:
    """Days alone, snapshots alone or days without a fresh source never disable; it is looked at again at the latest tomorrow."""
    assert told(decide(SPEC, presence, was(State.GRACE), TODAY)) == (State.GRACE, True, True, TODAY + days(1))


def test_an_exit_to_come_ends_grace_early() -> None:
    """Who vanishes three days before their exit date leaves on the exit date."""
    presence = replace(GONE, missing_since=TODAY, absences=1, exit=TODAY + days(2))
    assert decide(SPEC, presence, was(State.ACTIVE), TODAY).due == TODAY + days(3)
    assert decide(SPEC, presence, was(State.GRACE), TODAY + days(3)).state is State.DISABLED


def test_who_vanishes_before_beginning_is_not_opened_on_the_way_out() -> None:
    """A waiting account stays disabled through grace and is a leaver's after it."""
    early = replace(GONE, missing_since=TODAY, absences=1, start=TODAY)
    assert told(decide(SPEC, early, was(State.WAITING), TODAY)) == (State.WAITING, True, False, TODAY + days(10))
    assert decide(SPEC, GONE, was(State.WAITING), TODAY).state is State.DISABLED


def test_who_vanishes_before_an_account_was_made_gets_none() -> None:
    """Nothing was made, so nothing ends."""
    assert told(decide(SPEC, GONE, was(State.PENDING), TODAY)) == (State.PENDING, False, False, None)


def test_reappearing_ends_grace() -> None:
    """Back in the roster before grace is over: as if nothing had been."""
    assert told(decide(SPEC, HERE, was(State.GRACE), TODAY)) == (State.ACTIVE, True, True, None)


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("presence", [GONE, replace(HERE, exit=TODAY - days(9)), replace(HERE, enabled=False), HERE])
def test_behind_a_shield_everything_stays(state: State, presence: Presence) -> None:
    """A reject or an unread source freezes its owner, whatever else is told (R1, R3)."""
    previous = was(state, due=TODAY - days(1))
    standing = decide(SPEC, replace(presence, shielded=True), previous, TODAY)
    assert (standing.state, standing.since, standing.due, standing.frozen) == (state, previous.since, previous.due, True)


def test_a_person_first_met_behind_a_shield_gets_nothing() -> None:
    """Nothing is made from a row that could not be read."""
    assert told(decide(SPEC, replace(HERE, shielded=True), None, TODAY)) == (State.PENDING, False, False, None)


@pytest.mark.parametrize(
    ("ago", "state", "due_in"),
    [
        (0, State.DISABLED, 7),
        (6, State.DISABLED, 1),
        (7, State.PARKED, 393),
        (399, State.PARKED, 1),
        (400, State.DELETABLE, None),
        (4000, State.DELETABLE, None),
    ],
)
def test_a_leaver_is_parked_and_later_deletable(ago: int, state: State, due_in: int | None) -> None:
    """7 days after access ended the account moves, 400 days after it may be deleted; both count from the same day."""
    standing = decide(SPEC, GONE, was(State.DISABLED, TODAY - days(ago)), TODAY)
    assert (standing.state, standing.since) == (state, TODAY - days(ago))
    assert standing.due == (None if due_in is None else TODAY + days(due_in))
    assert standing.exists is (state is not State.DELETABLE)
    assert standing.parked is (state is not State.DISABLED)


def test_nothing_is_deleted_or_parked_unless_asked() -> None:
    """Without `park_after` and `delete_after` a leaver stays disabled for ever, and is never due."""
    standing = decide(LifecycleSpec(), GONE, was(State.DISABLED, date(2001, 1, 1)), TODAY)
    assert told(standing) == (State.DISABLED, True, False, None)


def test_parking_after_no_days_is_at_once() -> None:
    """`park_after: 0` parks on the day access ends."""
    assert decide(replace(SPEC, park_after=0), GONE, was(State.GRACE), TODAY).parked


def test_deleting_before_parking_is_due_for_parking_too() -> None:
    """Periods in an odd order: what is deletable but still there is parked when that period is over."""
    standing = decide(replace(SPEC, delete_after=2), GONE, was(State.DISABLED, TODAY - days(3)), TODAY)
    assert (standing.state, standing.parked, standing.due) == (State.DELETABLE, False, TODAY + days(4))


def test_a_district_that_withdraws_deletion_gets_its_accounts_back_from_the_list() -> None:
    """What is deletable follows the setting, not history."""
    standing = decide(replace(SPEC, delete_after=None), GONE, was(State.DELETABLE, TODAY - days(500)), TODAY)
    assert told(standing) == (State.PARKED, True, False, None)


@pytest.mark.parametrize("state", sorted(LEFT))
@pytest.mark.parametrize(("ago", "reset"), [(29, False), (30, True)])
def test_returning_enables_the_same_account(state: State, ago: int, reset: bool) -> None:
    """Back in the roster: active again; after 30 days without access with a new password."""
    standing = decide(SPEC, HERE, was(state, TODAY - days(ago)), TODAY)
    assert (told(standing), standing.reset) == ((State.ACTIVE, True, True, None), reset)


def test_a_new_password_is_wanted_once() -> None:
    """The decision after the return asks for nothing more."""
    assert not decide(SPEC, HERE, was(State.ACTIVE, TODAY), TODAY).reset


def test_whoever_is_announced_to_return_is_not_deleted_first() -> None:
    """A leaver with a start date to come stays parked until the account is wanted again."""
    presence = replace(HERE, start=TODAY + days(30))
    standing = decide(SPEC, presence, was(State.PARKED, TODAY - days(500)), TODAY)
    assert told(standing) == (State.PARKED, True, False, TODAY + days(16))
    later = decide(SPEC, presence, was(State.PARKED, TODAY - days(500)), TODAY + days(16))
    assert (told(later), later.reset) == ((State.WAITING, True, False, TODAY + days(27)), True)


def test_the_state_keeps_its_day() -> None:
    """`since` is the day the state began, however often it is decided again."""
    assert decide(SPEC, HERE, was(State.ACTIVE, date(2020, 1, 1)), TODAY).since == date(2020, 1, 1)
    assert decide(SPEC, HERE, was(State.WAITING, date(2020, 1, 1)), TODAY).since == TODAY


@pytest.mark.parametrize(
    ("before", "after", "held"),
    [
        ("students", "staff", True),
        ("guardians", "staff", True),
        ("staff", "staff", False),
        ("staff", "students", False),
        ("students", "students", False),
        ("students", None, False),
        (None, "staff", False),
    ],
)
def test_becoming_staff_is_always_held(before: str | None, after: str | None, held: bool) -> None:
    """A known person who becomes staff is held for a human (R40); a new member of staff is not."""
    assert rises_to_staff(before, after) is held


def test_a_district_names_its_staff_populations() -> None:
    """Moving between two staff populations is no rise."""
    staff = {"teachers", "office"}
    assert not rises_to_staff("teachers", "office", staff)
    assert rises_to_staff("seniors", "office", staff)


@pytest.mark.parametrize(
    ("presence", "expected"),
    [
        (replace(HERE, exit=date.max), (State.ACTIVE, True, True, date.max)),
        (replace(HERE, start=date.min), (State.ACTIVE, True, True, None)),
        (replace(HERE, exit=date.min), (State.PENDING, False, False, None)),
        (replace(HERE, start=date.max), (State.PENDING, False, False, date.max - days(14))),
    ],
)
def test_the_first_and_the_last_of_all_days_are_days(presence: Presence, expected: tuple[object, ...]) -> None:
    """Sources write 9999-12-31 for `never` and 0001-01-01 for `always`: nothing is counted beyond them."""
    assert told(decide(SPEC, presence, None, TODAY)) == expected


def test_every_setting_is_documented() -> None:
    """The reference is generated from the settings' own words."""
    assert all(setting.metadata.get("doc") for setting in fields(LifecycleSpec))
