"""When a pipeline runs by itself: cron expressions in cron's own meaning, and hours in which nothing starts.

Only what is written is understood here; when the next time comes is the scheduler's business. The five fields and their meaning
are those of POSIX crontab and of Debian's crontab(5): 0 and 7 are Sunday, and where both a day of the month and a weekday are
restricted, either will do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import time

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("weekday", 0, 7, _WEEKDAYS),
)
_SPECIAL = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_HOURS = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)-([01]?\d|2[0-3]):([0-5]\d)")


def _documented(doc: str) -> dict[str, str]:
    return {"doc": doc}


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression, understood: the values each field allows. None where a field allows every day."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...] | None
    months: tuple[int, ...]
    weekdays: tuple[int, ...] | None  # 0 is Sunday

    @classmethod
    def parse(cls, text: str) -> Cron:
        """The expression's meaning. Raises ValueError that names the field and what is wrong with it."""
        written = _SPECIAL.get(text.strip().lower(), text)
        parts = written.split()
        if len(parts) != len(_FIELDS):
            raise ValueError(
                f"'{text}' has {len(parts)} fields; a cron expression has five: minute hour day month weekday, "
                "such as `*/15 * * * *` or `30 2 * * mon-fri`"
            )
        minutes, hours, days, months, weekdays = (_allowed(part, *told) for part, told in zip(parts, _FIELDS, strict=True))
        return cls(
            minutes,
            hours,
            None if parts[2].startswith("*") and len(days) == _size(2) else days,
            months,
            None if parts[4].startswith("*") and len(set(weekdays)) == _size(4) else tuple(sorted({day % 7 for day in weekdays})),
        )


def _size(place: int) -> int:
    _, low, high, _ = _FIELDS[place]
    return high - low + 1


def _allowed(text: str, name: str, low: int, high: int, words: tuple[str, ...]) -> tuple[int, ...]:
    """The numbers a field allows, in order."""
    found: set[int] = set()
    for item in text.split(","):
        span, slash, step_text = item.partition("/")
        step = _number(step_text, f"the step of the {name}", 1, high, ()) if slash else 1
        if span == "*":
            first, last = low, high
        elif "-" in span:
            left, _, right = span.partition("-")
            first, last = _number(left, name, low, high, words), _number(right, name, low, high, words)
        else:
            first = _number(span, name, low, high, words)
            last = high if slash else first
        if last < first:
            raise ValueError(f"the {name} '{item}' runs backwards")
        found.update(range(first, last + 1, step))
    return tuple(sorted(found))


def _number(text: str, name: str, low: int, high: int, words: tuple[str, ...]) -> int:
    if text.lower() in words:
        return words.index(text.lower()) + (1 if words is _MONTHS else 0)
    if not (text.isascii() and text.isdecimal()) or not low <= int(text) <= high:
        known = f" or {words[0]} to {words[-1]}" if words else ""
        raise ValueError(f"the {name} '{text}' is not a number from {low} to {high}{known}")
    return int(text)


@dataclass(frozen=True, slots=True)
class Hours:
    """A part of every day, from a time up to another one; over midnight where the second is earlier."""

    begin: time
    end: time

    @classmethod
    def parse(cls, text: str) -> Hours:
        """`07:30-16:00`. Raises ValueError for anything else."""
        match = _HOURS.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"'{text}' is no part of a day; write it like `07:30-16:00`")
        begin, end = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
        if begin == end:
            raise ValueError(f"'{text}' is empty or the whole day; leave it out, or take the schedule away")
        return cls(begin, end)

    def include(self, moment: time) -> bool:
        """Whether this time of day lies in it."""
        if self.begin < self.end:
            return self.begin <= moment < self.end
        return moment >= self.begin or moment < self.end


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the daemon runs a pipeline. Expressions are in the district's time zone."""

    delta: str = field(
        default="",
        metadata=_documented("Cron expression of the cheap runs, which look at what changed: `*/15 * * * *`. Empty: none."),
    )
    reconcile: str = field(
        default="",
        metadata=_documented("Cron expression of the runs that read the targets and look at everybody: `30 2 * * *`. Empty: none."),
    )
    quiet: tuple[str, ...] = field(
        default=(), metadata=_documented('Parts of the day in which no scheduled run begins: ["07:30-08:15"].')
    )

    def __post_init__(self) -> None:
        for key, text in (("delta", self.delta), ("reconcile", self.reconcile)):
            try:
                if text:
                    Cron.parse(text)
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None
        for text in self.quiet:
            try:
                Hours.parse(text)
            except ValueError as error:
                raise ValueError(f"quiet: {error}") from None
        for key, cron in self.crons.items():
            if all(self.is_quiet(time(hour, minute)) for hour in cron.hours for minute in cron.minutes):
                raise ValueError(f"{key}: every time of '{getattr(self, key)}' lies in the quiet hours, so that it never runs")

    @property
    def crons(self) -> dict[str, Cron]:
        """What runs when, by kind of run."""
        return {kind: Cron.parse(text) for kind, text in (("delta", self.delta), ("reconcile", self.reconcile)) if text}

    def is_quiet(self, moment: time) -> bool:
        """Whether no run begins at this time of day."""
        return any(Hours.parse(text).include(moment) for text in self.quiet)
