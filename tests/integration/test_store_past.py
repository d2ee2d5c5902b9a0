"""What the guard asks of the past, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from syncd.core.guard import Cell
from syncd.core.model import RunId, SourceKey, SourceName, Subject, SubjectKey, TargetName
from syncd.core.profile import Profile
from syncd.store import Acceptance, KnownKey, SnapshotRow, Store

NOW = datetime(2026, 9, 1, 9, tzinfo=UTC)
SIS = SourceName("sis")
NAMES = Cell(TargetName("sis"), "names", "012", "students")


def person(key: str) -> SubjectKey:
    return SubjectKey(Subject.PERSON, SourceKey(key))


def accepted(store: Store, day: int, content: str = "", rows: int = 0, believed: int = 0, **digests: int) -> RunId:
    """On that day a roster was accepted in which these persons were told otherwise."""
    now = NOW + timedelta(days=day)
    run = store.begin_run("main", "delta", "test", now)
    counts = {"persons": rows, "users": rows}
    snapshot = SnapshotRow(SIS, f"spool{day}", content or f"content {day}", counts, now.date(), now)
    told = {SIS: ({person(key): digest for key, digest in digests.items()}, set[SubjectKey]())}
    store.accept(run, Acceptance((snapshot,), told, believed={NAMES: believed} if believed else {}), now)
    return run


def test_who_is_told_as_before_their_last_change_is_counted(store: Store) -> None:
    """Of three who are known one is as before, one as now, one as never; who is new is not counted."""
    accepted(store, 0, s1=11, s2=21, s3=31)
    accepted(store, 1, s1=12, s2=22)
    told = {person("s1"): 11, person("s2"): 22, person("s3"): 33, person("s9"): 1}
    assert store.past.told_before(SIS, told) == (3, 1)


def test_a_roster_accepted_earlier_is_known_by_its_content(store: Store) -> None:
    """The last day on which it was accepted, and none for what was never seen."""
    accepted(store, 0, content="summer")
    accepted(store, 1, content="autumn")
    accepted(store, 2, content="summer")
    assert store.past.accepted_on(SIS, "summer") == date(2026, 9, 3)
    assert store.past.accepted_on(SIS, "winter") is None


def test_what_files_looked_like_is_told_of_the_days_asked_for_and_of_the_two_newest(store: Store) -> None:
    """As it was kept with the newest roster of each day, oldest first; of one that nobody counted nothing is told."""
    one = Profile("users.csv", ("sourcedId", "é"), "UTF-8", 5, {"é": 4}, {"identifier": 0}, ("grades",), anew=True)
    assert store.past.profiles(SIS, NOW.date()) == []
    accepted(store, 0)
    for day in (1, 2, 3):
        accepted(store, day)
        now = NOW + timedelta(days=day)
        profiles = {SIS: {"users": replace(one, rows=day)}}
        store.accept(store.begin_run("main", "delta", "test", now), Acceptance(profiles=profiles), now)
    days = {day: (date(2026, 9, 1 + day), {"users": replace(one, rows=day)} if day else {}) for day in range(4)}
    assert store.past.profiles(SIS, date.min) == [days[0], days[1], days[2], days[3]]
    assert store.past.profiles(SIS, date(2026, 9, 2)) == [days[1], days[2], days[3]]
    assert store.past.profiles(SIS, date.max) == [days[2], days[3]]
    assert store.past.profiles(SourceName("other"), date.min) == []


def test_the_fullest_of_the_last_rosters_is_what_rows_are_compared_with(store: Store) -> None:
    """Not the last one, which many small cuts would wear away; and not one from before."""
    for day, rows in enumerate((900, 500, 480, 460)):
        accepted(store, day, rows=rows)
    assert store.past.most_rows(SIS, date(2026, 9, 2)) == {"persons": 500, "users": 500}


def test_what_was_done_is_known_for_over_a_year_by_day(store: Store) -> None:
    """Hours are summed up by day after a week, once and not again, and forgotten when they are over a year old."""
    for day, hours in ((0, 0), (0, 5), (1, 0)):
        at = NOW + timedelta(days=day, hours=hours)
        run = store.begin_run("main", "delta", "test", at)
        store.accept(run, Acceptance(believed={NAMES: 2}), at)
    before = {date(2026, 9, 1): 4, date(2026, 9, 2): 2}
    span = (NAMES, date(2026, 8, 1), date(2026, 9, 30))
    assert store.past.by_day(*span) == before
    for days in (9, 10, 11, 370):
        store.expire(NOW + timedelta(days=days), NOW, NOW)
        assert store.past.by_day(*span) == before
    store.expire(NOW + timedelta(days=432), NOW, NOW)
    assert store.past.by_day(*span) == {}


def test_the_last_seven_days_do_not_reach_back_into_another_season(store: Store) -> None:
    """What August allowed is not held against September."""
    run = store.begin_run("main", "delta", "test", NOW)
    store.accept(run, Acceptance(believed={NAMES: 400}), NOW)
    later = NOW + timedelta(days=2)
    assert store.spent(TargetName("sis"), later)[1] == {NAMES: 400}
    assert store.spent(TargetName("sis"), later, NOW + timedelta(days=1))[1] == {}


def test_who_is_told_under_another_key_is_not_missing(store: Store) -> None:
    """After a change of roster systems nobody is looked at for ever because of a key that is gone."""
    (one, other) = store.mint([(SIS, SourceKey("old")), (SIS, SourceKey("gone"))]).values()
    missing = date(2026, 9, 1)
    keys = (
        KnownKey(SIS, SourceKey("old"), one, missing),
        KnownKey(SIS, SourceKey("new"), one),
        KnownKey(SIS, SourceKey("gone"), other, missing),
    )
    run = store.begin_run("main", "delta", "test", NOW)
    store.accept(run, Acceptance(keys=keys), NOW)
    assert set(store.missing(SIS)) == {"gone"}
