"""Whether the clock can be believed. Pure.

Dates end access: of a machine that woke up in another year, every grace has ended and every last day is past, or nobody has begun.
"""

from __future__ import annotations

from datetime import date, timedelta

BEHIND, AHEAD = timedelta(days=2), timedelta(days=100)
"""How far from the last run that was applied a day may be before somebody has to look: backwards, and forwards."""


def day(today: date, last: date | None) -> date:
    """The day to go by. No day comes twice: a clock that is behind by no more than BEHIND goes by the last run's day."""
    return last if last is not None and timedelta(0) < last - today <= BEHIND else today


def doubt(today: date, last: date | None) -> str:
    """Why this day is not believed after a last run applied on `last`, in words; empty where it is, or nothing was applied yet."""
    if last is None or -BEHIND <= today - last <= AHEAD:
        return ""
    far = f"{abs((today - last).days):,} days {'after' if today > last else 'before'} {last}, when the last run was applied"
    return (
        f"the clock says {today}, {far}. Is it right? Whatever follows from dates waits: if the clock is right, look at the plan "
        "and let it go with `syncd apply PLAN --first`"
    )
