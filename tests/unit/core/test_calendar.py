"""School days: weekdays in a school year that are in none of its breaks."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from syncd.core.calendar import Break, Calendar, Rollover, SchoolYear, Season

YEAR = SchoolYear(date(2026, 8, 12), date(2027, 5, 28), (Break(date(2026, 11, 23), date(2026, 11, 27)),))


@pytest.mark.parametrize(
    ("day", "school"),
    [
        (date(2026, 8, 11), False),
        (date(2026, 8, 12), True),
        (date(2026, 11, 20), True),
        (date(2026, 11, 21), False),  # a Saturday
        (date(2026, 11, 23), False),
        (date(2026, 11, 27), False),
        (date(2026, 11, 30), True),
        (date(2027, 5, 28), True),
        (date(2027, 6, 1), False),
    ],
)
def test_a_school_day_is_a_weekday_of_a_year_outside_its_breaks(day: date, school: bool) -> None:
    """Both ends of a year and of a break belong to it."""
    assert Calendar((YEAR,)).is_school_day(day) is school


def test_days_are_counted_after_the_first_and_with_the_last() -> None:
    """Thanksgiving week adds nothing."""
    assert Calendar((YEAR,)).school_days(date(2026, 11, 20), date(2026, 11, 30)) == 1
    assert Calendar().school_days(date(2026, 11, 20), date(2026, 11, 30)) == 6
    assert Calendar((YEAR,)).school_days(date(2026, 11, 30), date(2026, 11, 30)) == 0
    assert Calendar((YEAR,)).school_days(date(2026, 12, 1), date(2026, 11, 30)) == 0


def test_a_year_ago_and_a_century_ago_cost_the_same() -> None:
    """What is counted is bounded."""
    assert Calendar().school_days(date(1900, 1, 1), date(2026, 1, 1)) == Calendar().school_days(
        date(2026, 1, 1) - timedelta(days=400), date(2026, 1, 1)
    )


def test_a_year_or_break_that_ends_before_it_begins_is_refused() -> None:
    """With the key that is wrong in front, for the message's place in the file."""
    with pytest.raises(ValueError, match="last_day:"):
        SchoolYear(date(2026, 8, 12), date(2026, 8, 12))
    with pytest.raises(ValueError, match="last:"):
        Break(date(2026, 8, 12), date(2026, 8, 11))


YEARS = Calendar((YEAR, SchoolYear(date(2027, 8, 11), date(2028, 5, 26))))


@pytest.mark.parametrize(
    ("day", "season", "since"),
    [
        (date(2026, 6, 27), "term", date.min),
        (date(2026, 6, 28), "opening", date(2026, 6, 28)),
        (date(2026, 8, 12), "opening", date(2026, 6, 28)),
        (date(2026, 8, 13), "term", date(2026, 8, 13)),
        (date(2027, 5, 27), "term", date(2026, 8, 13)),
        (date(2027, 5, 28), "closing", date(2027, 5, 28)),
        (date(2027, 6, 18), "closing", date(2027, 5, 28)),
        (date(2027, 6, 19), "term", date(2027, 6, 19)),
        (date(2027, 6, 27), "opening", date(2027, 6, 27)),
    ],
)
def test_a_year_opens_before_its_first_day_and_closes_after_its_last(day: date, season: str, since: date) -> None:
    """The first day is the last of the opening, and the last day the first of the closing: October is never either."""
    now = YEARS.now(day)
    assert (now.name, now.since) == (season, since)


def test_without_a_calendar_there_is_no_season() -> None:
    """Nobody's limits are wide because nobody said when school begins."""
    assert Calendar().now(date(2026, 8, 1)).name == "term"


def test_a_season_never_allows_less() -> None:
    """What is tighter belongs into the limits."""
    with pytest.raises(ValueError, match=r"disable: 0\.5 is below 1"):
        Season(10, disable=0.5)


def test_a_rollover_is_under_way_on_both_of_its_ends() -> None:
    """And ends by itself."""
    rollover = Rollover(date(2026, 7, 20), date(2026, 8, 14), ("012",))
    calendar = Calendar((SchoolYear(date(2026, 8, 12), date(2027, 5, 28), rollover=rollover),))
    days = (date(2026, 7, 19), date(2026, 7, 20), date(2026, 8, 14), date(2026, 8, 15))
    assert [calendar.rollover(day) for day in days] == [None, rollover, rollover, None]
