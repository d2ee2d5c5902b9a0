"""When a day is believed."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from syncd.core.clock import AHEAD, BEHIND, doubt

LAST = date(2026, 10, 8)


@given(st.integers(-BEHIND.days, AHEAD.days))
def test_a_day_about_the_last_applied_run_is_believed(days: int) -> None:
    """A long weekend, a summer, a machine whose clock was set back by a day."""
    assert doubt(LAST + timedelta(days=days), LAST) == ""


@given(st.one_of(st.integers(-4000, -BEHIND.days - 1), st.integers(AHEAD.days + 1, 4000)))
def test_another_year_is_not(days: int) -> None:
    """Both days are told, and what to do."""
    why = doubt(LAST + timedelta(days=days), LAST)
    assert str(LAST) in why
    assert str(LAST + timedelta(days=days)) in why
    assert "--first" in why


def test_a_district_that_never_ran_has_nothing_to_doubt() -> None:
    """The very first run may be on any day."""
    assert doubt(LAST, None) == ""
