"""Schedules as APScheduler runs them.

APScheduler's own crontab reader counts weekdays from Monday where cron counts them from Sunday, and wants both day fields to match
where cron is content with either. So the expression is read by `core.schedule`, and its triggers are made of what that found.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger

from syncd.core.schedule import Cron, Schedule
from syncd.settings import Config

_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def trigger(cron: Cron, zone: ZoneInfo) -> BaseTrigger:
    """The trigger that fires when cron would, in that time zone."""
    days = _listed(cron.days) if cron.days is not None else "*"
    weekdays = ",".join(_WEEKDAYS[day] for day in cron.weekdays) if cron.weekdays is not None else "*"
    if days != "*" and weekdays != "*":
        return OrTrigger([_trigger(cron, days, "*", zone), _trigger(cron, "*", weekdays, zone)])
    return _trigger(cron, days, weekdays, zone)


def _trigger(cron: Cron, days: str, weekdays: str, zone: ZoneInfo) -> CronTrigger:
    return CronTrigger(
        minute=_listed(cron.minutes),
        hour=_listed(cron.hours),
        day=days,
        month=_listed(cron.months),
        day_of_week=weekdays,
        timezone=zone,
    )


def _listed(numbers: tuple[int, ...]) -> str:
    return ",".join(map(str, numbers))


def next_run(cron: Cron, schedule: Schedule, now: datetime, zone: ZoneInfo) -> datetime | None:
    """When the next run of a schedule begins, which none does in its quiet hours; None where the expression names no day at all."""
    one = trigger(cron, zone)
    at: datetime | None = one.get_next_fire_time(None, now.astimezone(zone))
    while at is not None and schedule.is_quiet(at.time()):
        at = one.get_next_fire_time(None, at + timedelta(minutes=1))
    return at


def next_runs(config: Config, now: datetime) -> dict[str, dict[str, datetime]]:
    """When each pipeline's next scheduled run of each kind begins, in the district's time zone."""
    zone = ZoneInfo(config.district.timezone)
    told = {
        name: {kind: next_run(cron, each.schedule, now, zone) for kind, cron in each.schedule.crons.items()}
        for name, each in config.pipelines.items()
    }
    return {name: {kind: at for kind, at in times.items() if at is not None} for name, times in told.items()}
