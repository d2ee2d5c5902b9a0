"""What is told, and how often: new reasons once, critical ones again after a day, and once more when they are over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from syncd.core.health import Level, Reason
from syncd.core.notices import Notice, Told, due, key_of

NOW = datetime(2026, 9, 16, 15, tzinfo=UTC)
HELD = Reason(Level.CRITICAL, "campus 012", "run r12 is held: 33 accounts would be disabled, but x allows at most 5 % of 400")
OLD = Reason(Level.WARNING, "backup", "the last one is 9 days old")


def through(*nights: list[Reason], every: timedelta = timedelta(hours=1)) -> list[Notice | None]:
    """What is told when these reasons are found one after the other."""
    told: dict[str, Told] = {}
    found = []
    for number, reasons in enumerate(nights):
        notice, told = due("Test ISD", reasons, told, NOW + number * every)
        found.append(notice)
    return found


def test_nothing_is_said_where_nothing_is_wrong() -> None:
    """A run that ends well says nothing."""
    assert through([], [], []) == [None, None, None]


def test_a_reason_is_told_once_whatever_its_numbers_become() -> None:
    """Forty held in one run and forty-one in the next are one thing; another campus is another."""
    more = Reason(Level.CRITICAL, "campus 012", "run r13 is held: 34 accounts would be disabled, but x allows 5 %")
    other = Reason(Level.CRITICAL, "campus 001", HELD.why)
    first, second, third = through([HELD], [more], [more, other])
    assert first is not None
    assert first.subject == f"syncd Test ISD: critical: {HELD}"
    assert second is None
    assert third is not None
    assert list(third.reasons) == [other]
    assert key_of(HELD) == key_of(more) != key_of(other)


def test_another_campus_is_news_also_where_a_pipeline_tells_of_it() -> None:
    """Whoever would become staff at a second campus is told of at once: that reason is told of the pipeline alone."""
    here, there = (
        Reason(Level.CRITICAL, "pipeline main", f"run {run} is held: campus {campus}, source sis: {count} would become staff")
        for run, campus, count in (("r12", "A12", 2), ("r13", "A34", 3))
    )
    again = Reason(Level.CRITICAL, "pipeline main", here.why.replace("r12", "r14").replace("2 would", "1,204 would"))
    first, second, third = through([here], [here, there], [again, there])
    assert first is not None
    assert second is not None
    assert list(second.reasons) == [there]
    assert third is None


def test_what_is_still_critical_is_told_again_after_a_day_and_a_warning_is_not() -> None:
    """Nobody forgets a held campus, and nobody is woken for a backup twice."""
    told = through(*[[HELD, OLD]] * 26)
    assert [number for number, notice in enumerate(told) if notice] == [0, 24]
    assert told[24] is not None
    assert list(told[24].reasons) == [HELD]


def test_what_gets_worse_is_told_at_once() -> None:
    """A warning that becomes critical is news."""
    worse = Reason(Level.CRITICAL, "backup", "the last one is 90 days old")
    assert [notice is not None for notice in through([OLD], [OLD], [worse], [worse])] == [True, False, True, False]


def test_what_is_over_is_told_once_where_it_was_critical() -> None:
    """`well again`, and then silence; a warning goes without a word."""
    _, over, silent = through([HELD, OLD], [], [])
    assert over is not None
    assert over.subject.startswith("syncd Test ISD: ok: well again: campus 012: run r# is held")
    assert over.text.startswith("well again: campus 012")
    assert "backup" not in over.text
    assert silent is None


def test_a_subject_is_one_short_line() -> None:
    """Whatever a reason says."""
    long = Reason(Level.CRITICAL, "source sis", "no " * 200)
    (notice,) = through([long])
    assert notice is not None
    assert len(notice.subject) == 150
    assert "no no" in notice.text
