"""School days: weekdays in a school year that are in none of its breaks."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from syncd.core.calendar import Break, Calendar, SchoolYear

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
