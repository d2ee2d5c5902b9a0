"""Cron expressions mean what crontab(5) says, and the parts of a day what a clock says."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.schedule import Cron, Hours, Schedule
from syncd.daemon.timing import next_run, trigger

CHICAGO = ZoneInfo("America/Chicago")


def fires(text: str, since: datetime, count: int = 3) -> list[str]:
    """The next times of an expression in Texas."""
    one, at, found = trigger(Cron.parse(text), CHICAGO), since, []
    before = None
    for _ in range(count):
        before = one.get_next_fire_time(before, at)
        assert before is not None
        found.append(f"{before:%a %m-%d %H:%M}")
        at = before + timedelta(seconds=1)
    return found


MONDAY = datetime(2026, 9, 7, 12, 0, tzinfo=CHICAGO)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*/15 * * * *", ["Mon 09-07 12:00", "Mon 09-07 12:15", "Mon 09-07 12:30"]),
        ("30 2 * * *", ["Tue 09-08 02:30", "Wed 09-09 02:30", "Thu 09-10 02:30"]),
        ("0 5 * * 0", ["Sun 09-13 05:00", "Sun 09-20 05:00", "Sun 09-27 05:00"]),  # 0 is Sunday, not Monday
        ("0 5 * * 7", ["Sun 09-13 05:00", "Sun 09-20 05:00", "Sun 09-27 05:00"]),
        ("0 5 * * mon-fri", ["Tue 09-08 05:00", "Wed 09-09 05:00", "Thu 09-10 05:00"]),
        ("0 5 * * 5-7", ["Fri 09-11 05:00", "Sat 09-12 05:00", "Sun 09-13 05:00"]),
        ("0 0 13 * 5", ["Fri 09-11 00:00", "Sun 09-13 00:00", "Fri 09-18 00:00"]),  # either day field will do
        ("0 6-8/2 * sep *", ["Tue 09-08 06:00", "Tue 09-08 08:00", "Wed 09-09 06:00"]),
        ("@daily", ["Tue 09-08 00:00", "Wed 09-09 00:00", "Thu 09-10 00:00"]),
        ("5,35 13 * * *", ["Mon 09-07 13:05", "Mon 09-07 13:35", "Tue 09-08 13:05"]),
        ("10/20 12 * * *", ["Mon 09-07 12:10", "Mon 09-07 12:30", "Mon 09-07 12:50"]),
    ],
)
def test_expressions_fire_when_cron_would(text: str, expected: list[str]) -> None:
    """Weekdays count from Sunday, steps and lists work, and both day fields restricted means either."""
    assert fires(text, MONDAY) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has 0 fields"),
        ("* * * *", "has 4 fields"),
        ("60 * * * *", "the minute '60' is not a number from 0 to 59"),
        ("* 24 * * *", "the hour '24'"),
        ("* * 0 * *", "the day of the month '0'"),
        ("* * * 13 *", "the month '13'"),
        ("* * * * 8", "the weekday '8' is not a number from 0 to 7 or sun to sat"),
        ("* * * * monday", "the weekday 'monday'"),
        ("30-10 * * * *", "runs backwards"),
        ("*/0 * * * *", "the step of the minute '0'"),
        ("*/x * * * *", "the step of the minute 'x'"),
        ("1,,2 * * * *", "the minute ''"),
        ("-1 * * * *", "the minute ''"),
        ("٣ * * * *", "the minute '٣'"),
    ],
)
def test_what_is_no_expression_is_refused_with_its_reason(text: str, said: str) -> None:
    """The field is named, and what it may hold."""
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        Cron.parse(text)


FIELD = st.sampled_from(["*", "*/5", "0", "1-3", "2,4", "5-6/1"])


@given(st.tuples(FIELD, FIELD, FIELD.filter(lambda text: text != "0"), FIELD.filter(lambda text: text != "0"), FIELD))
def test_every_expression_has_a_next_time_that_it_allows(parts: tuple[str, ...]) -> None:
    """Whatever is accepted fires within some years, at a minute and hour that stand in it."""
    cron = Cron.parse(" ".join(parts))
    at = trigger(cron, ZoneInfo("UTC")).get_next_fire_time(None, datetime(2026, 1, 1, tzinfo=UTC))
    if at is not None:  # the 30th of February never comes
        assert at.minute in cron.minutes
        assert at.hour in cron.hours
        assert at.month in cron.months


def test_a_time_that_the_clocks_skip_costs_no_later_night() -> None:
    """On the night in March when 02:30 does not exist, the run moves or waits; the next night it is there again."""
    one = trigger(Cron.parse("30 2 * * *"), CHICAGO)
    first = one.get_next_fire_time(None, datetime(2027, 3, 13, 12, tzinfo=CHICAGO))
    assert first is not None
    second = one.get_next_fire_time(first, first + timedelta(seconds=1))
    assert second is not None
    assert second.astimezone(UTC) - datetime(2027, 3, 13, 18, tzinfo=UTC) < timedelta(hours=40)


def test_quiet_hours_include_their_beginning_and_may_span_midnight() -> None:
    """`22:00-05:30` is one night."""
    day, night = Hours.parse("07:30-08:15"), Hours.parse("22:00-05:30")
    assert [day.include(time(7, 29)), day.include(time(7, 30)), day.include(time(8, 15))] == [False, True, False]
    assert [night.include(time(23)), night.include(time(3)), night.include(time(5, 30)), night.include(time(12))] == [
        True, True, False, False,
    ]  # fmt: skip
    assert Schedule(quiet=("07:30-08:15",)).is_quiet(time(8))


@pytest.mark.parametrize("text", ["7:30", "25:00-26:00", "08:00-08:00", "08:00 - 09:00"])
def test_what_is_no_part_of_a_day_is_refused(text: str) -> None:
    """With the example that is."""
    with pytest.raises(ValueError, match=r"quiet: '.*'"):
        Schedule(quiet=(text,))


def test_the_next_run_that_is_told_is_one_that_begins() -> None:
    """What falls into quiet hours is passed over, and so is not told of; elsewhere and without them it is the next time."""
    cron, quiet = Cron.parse("*/15 7,9 * * mon-fri"), Schedule(quiet=("07:10-08:30",))
    at = datetime(2026, 9, 7, 7, 1, tzinfo=CHICAGO)
    assert next_run(cron, quiet, at, CHICAGO) == datetime(2026, 9, 7, 9, 0, tzinfo=CHICAGO)
    assert next_run(cron, Schedule(), at, CHICAGO) == datetime(2026, 9, 7, 7, 15, tzinfo=CHICAGO)
    assert next_run(Cron.parse("0 0 30 2 *"), quiet, at, CHICAGO) is None


def test_a_schedule_that_never_begins_is_refused() -> None:
    """A pipeline all of whose times are quiet would never run, and nobody would know why."""
    with pytest.raises(ValueError, match=r"reconcile: every time of '30 2 [*] [*] [*]' lies in the quiet hours"):
        Schedule(reconcile="30 2 * * *", quiet=("22:00-02:00", "02:00-05:00"))
    assert Schedule(reconcile="30 2,5 * * *", quiet=("02:00-05:00",)).crons
