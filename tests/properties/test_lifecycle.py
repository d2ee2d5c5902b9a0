"""Laws of the lifecycle: it waits for evidence, it never moves early, and more evidence never gives more access."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from syncd.core.lifecycle import LEFT, LifecycleSpec, PersonState, Presence, State, decide
from syncd.core.model import PersonId

EPOCH = date(2026, 6, 1)

dates = st.integers(0, 60).map(lambda day: EPOCH + timedelta(days=day))
some_days = st.none() | st.integers(0, 25)
specs = st.builds(
    LifecycleSpec,
    create_before_start=some_days,
    enable_before_start=some_days,
    grace_days=st.integers(0, 15),
    grace_snapshots=st.integers(0, 4),
    park_after=some_days,
    delete_after=some_days,
    reset_after=st.integers(0, 20),
)
presences = st.builds(
    Presence,
    present=st.booleans(),
    start=st.none() | dates,
    exit=st.none() | dates,
    enabled=st.sampled_from([True, True, True, False]),
    missing_since=dates,
    absences=st.integers(0, 6),
    shielded=st.sampled_from([False, False, False, True]),
    as_of=dates,
)


def in_state(*among: State) -> st.SearchStrategy[PersonState]:
    """A person whose last decision was one of these."""
    return st.builds(PersonState, id=st.just(PersonId("p1")), state=st.sampled_from(among), since=dates, due=st.none() | dates)


states = st.none() | in_state(*State)


@given(specs, presences, states, dates, st.data())
def test_nothing_changes_before_it_is_due(
    spec: LifecycleSpec, presence: Presence, previous: PersonState | None, today: date, data: st.DataObject
) -> None:
    """Decided again on any day before `due`, from what was decided and the same evidence, the standing is the same."""
    has_account = data.draw(st.booleans())
    standing = decide(spec, presence, previous, today, has_account=has_account)
    last = standing.due - timedelta(days=1) if standing.due else date(2030, 1, 1)
    assume(last >= today)
    day = data.draw(st.dates(today, last))
    now = PersonState(PersonId("p1"), state=standing.state, since=standing.since, due=standing.due)
    again = decide(spec, presence, now, day, has_account=has_account)
    assert replace(again, why="") == replace(standing, reset=False, why="")


@given(specs, presences, states, dates)
def test_due_lies_ahead(spec: LifecycleSpec, presence: Presence, previous: PersonState | None, today: date) -> None:
    """A decision is never already due again, unless a shield keeps it from being made."""
    standing = decide(spec, presence, previous, today)
    assert standing.frozen or standing.due is None or standing.due > today


@given(specs, presences, in_state(State.ACTIVE, State.GRACE), dates)
def test_vanishing_disables_nobody_before_days_and_snapshots(
    spec: LifecycleSpec, presence: Presence, previous: PersonState, today: date
) -> None:
    """Without an explicit exit nobody in use is disabled before grace_days of fresh evidence and grace_snapshots (R13)."""
    presence = replace(presence, exit=None, enabled=True)
    standing = decide(spec, presence, previous, today)
    if not standing.enabled:
        assert presence.missing_since is not None
        assert presence.absences >= spec.grace_snapshots
        assert min(today, presence.as_of) - presence.missing_since >= timedelta(days=spec.grace_days)


@given(specs, presences, states, dates)
def test_a_shield_changes_nothing(spec: LifecycleSpec, presence: Presence, previous: PersonState | None, today: date) -> None:
    """Who could not be read keeps state and access, and no account is made or unmade for them."""
    standing = decide(spec, replace(presence, shielded=True), previous, today)
    assert standing.frozen
    assert standing.state == (previous.state if previous else State.PENDING)


@given(specs, presences, states, dates, st.data())
def test_more_evidence_of_leaving_never_leaves_more_access(
    spec: LifecycleSpec, presence: Presence, previous: PersonState | None, today: date, data: st.DataObject
) -> None:
    """Fewer sightings, more absences, an earlier exit or a flag may take access away and never give it."""
    presence = replace(presence, shielded=False)
    exits = [presence.exit] if presence.exit else [None, data.draw(dates)]
    stronger = replace(
        presence,
        present=presence.present and data.draw(st.booleans()),
        enabled=presence.enabled and data.draw(st.booleans()),
        absences=presence.absences + data.draw(st.integers(0, 5)),
        as_of=presence.as_of + timedelta(days=data.draw(st.integers(0, 9))),
        exit=data.draw(st.sampled_from(exits + [day - timedelta(days=3) for day in exits if day])),
    )
    if not decide(spec, presence, previous, today).enabled:
        assert not decide(spec, stronger, previous, today).enabled


@given(specs, presences, states, dates)
def test_nobody_is_parked_or_deletable_with_access(
    spec: LifecycleSpec, presence: Presence, previous: PersonState | None, today: date
) -> None:
    """Only who left is parked or deletable, and only as the setting says."""
    standing = decide(spec, replace(presence, shielded=False), previous, today)
    if standing.parked or standing.state in LEFT:
        assert not standing.enabled
    if standing.state is State.DELETABLE:
        assert spec.delete_after is not None
    if standing.parked:
        assert spec.park_after is not None


@given(specs, presences, dates)
def test_an_account_is_never_made_for_somebody_who_left(spec: LifecycleSpec, presence: Presence, today: date) -> None:
    """A person first met as a leaver, or missing, gets no account."""
    gone = not presence.present or not presence.enabled or (presence.exit is not None and presence.exit < today)
    assume(gone)
    assert not decide(spec, presence, None, today).exists


@given(specs, presences, states, dates)
def test_the_same_evidence_gives_the_same_answer(
    spec: LifecycleSpec, presence: Presence, previous: PersonState | None, today: date
) -> None:
    """Deciding is pure."""
    assert decide(spec, presence, previous, today) == decide(spec, presence, previous, today)
