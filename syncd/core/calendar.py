"""The school calendar: which days are school days, when a year begins and ends, and what is ordinary then.

A roster that does not change in July is well; one that does not change in the second week of September is an export that stopped.
Everybody goes up a grade before the first day and a whole class leaves after the last one: the same in October is a disaster.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

_SATURDAY = 5
_LONGEST = 400  # days looked back at most: more than a year without a change is one reason, not a longer one


def _documented(doc: str) -> dict[str, str]:
    return {"doc": doc}


@dataclass(frozen=True, slots=True)
class Break:
    """Days without school, both included."""

    first: date = field(metadata=_documented("the first day without school"))
    last: date = field(metadata=_documented("the last day without school"))

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"last: {self.last} is before {self.first}")


@dataclass(frozen=True, slots=True)
class Rollover:
    """Days on which rosters are rebuilt, both included: students who vanish then stay as they are, whatever their number."""

    first: date = field(metadata=_documented("the first day of it"))
    last: date = field(metadata=_documented("the last day of it; from the next day on, whoever is missing begins their grace"))
    campuses: tuple[str, ...] = field(default=(), metadata=_documented("codes of the campuses it is for; empty: all"))

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"last: {self.last} is before {self.first}")

    def covers(self, day: date) -> bool:
        """Whether it is under way on that day."""
        return self.first <= day <= self.last


@dataclass(frozen=True, slots=True)
class SchoolYear:
    """One school year."""

    first_day: date = field(metadata=_documented("The first day of school."))
    last_day: date = field(metadata=_documented("The last day of school."))
    breaks: tuple[Break, ...] = field(default=(), metadata=_documented("Days without school in between."))
    rollover: Rollover | None = field(
        default=None,
        metadata=_documented("Days on which rosters are rebuilt for this year, and students who vanish are left as they are."),
    )

    def __post_init__(self) -> None:
        if self.last_day <= self.first_day:
            raise ValueError(f"last_day: {self.last_day} is not after {self.first_day}")


@dataclass(frozen=True, slots=True)
class Season:
    """A part of the year in which more is ordinary: so many times the percentages and numbers of a limit are allowed."""

    days: int = field(metadata=_documented("how long it is, in days"))
    create: float = field(default=1.0, metadata=_documented("accounts created"))
    update: float = field(default=1.0, metadata=_documented("accounts whose attributes change"))
    move: float = field(default=1.0, metadata=_documented("accounts renamed or moved"))
    enable: float = field(default=1.0, metadata=_documented("accounts enabled"))
    disable: float = field(default=1.0, metadata=_documented("accounts disabled"))
    delete: float = field(default=1.0, metadata=_documented("accounts deleted"))
    member: float = field(default=1.0, metadata=_documented("group memberships added or removed"))
    vanish: float = field(default=1.0, metadata=_documented("people missing from the roster, and a roster that is smaller"))
    grade: float = field(default=1.0, metadata=_documented("people told to be in another grade"))
    campus: float = field(default=1.0, metadata=_documented("people told to be at another campus"))
    rows: float = field(default=1.0, metadata=_documented("files with fewer rows; columns emptied in files that tell of nobody"))

    def __post_init__(self) -> None:
        if self.days < 0:
            raise ValueError(f"days: {self.days} is below 0")
        for name in ("create", "update", "move", "enable", "disable", "delete", "member", "vanish", "grade", "campus", "rows"):
            if not getattr(self, name) >= 1:
                raise ValueError(f"{name}: {getattr(self, name)} is below 1; a season allows more, never less")

    def factor(self, operation: str) -> float:
        """How many times the limit of an operation is allowed; 1 for what no season changes."""
        factor = getattr(self, operation, 1.0)
        return factor if isinstance(factor, float) else float(factor)


TERM = Season(0)


@dataclass(frozen=True, slots=True)
class Now:
    """The season of one day: what it is called, since when it is, what it allows."""

    name: str = "term"
    since: date = date.min
    season: Season = TERM


@dataclass(frozen=True, slots=True)
class Calendar:
    """The years a district has told. Without any, every weekday counts as a school day, and no season allows more."""

    years: tuple[SchoolYear, ...] = field(default=(), metadata=_documented("The school years, in any order."))
    opening: Season = field(
        default=Season(45, create=3, update=4, move=4, enable=4, member=4, grade=100, campus=100, rows=100),
        metadata=_documented("The days before a first day of school, and that day: everybody comes, moves, goes up a grade."),
    )
    closing: Season = field(
        default=Season(21, move=8, disable=8, member=4, vanish=8, rows=100),
        metadata=_documented("The last day of school and the days after it: a whole class leaves."),
    )

    def is_school_day(self, day: date) -> bool:
        """Whether there is school on that day."""
        if day.weekday() >= _SATURDAY:
            return False
        if not self.years:
            return True
        return any(
            year.first_day <= day <= year.last_day and not any(off.first <= day <= off.last for off in year.breaks)
            for year in self.years
        )

    def school_days(self, since: date, until: date) -> int:
        """How many school days lie after `since`, up to and including `until`; counted for some 400 days at most."""
        days = min((until - since).days, _LONGEST)
        return sum(self.is_school_day(until - timedelta(days=back)) for back in range(max(days, 0)))

    def back(self, day: date, school_days: int) -> date:
        """The day before so many school days, of which `day` is not one; some 400 days before at most."""
        for back in range(1, _LONGEST):
            earlier = day - timedelta(days=back)
            school_days -= self.is_school_day(earlier)
            if school_days <= 0:
                return earlier
        return day - timedelta(days=_LONGEST)

    def now(self, day: date) -> Now:
        """The season of that day. Where a closing and an opening overlap, it is the opening."""
        closed: Now | None = None
        begun = date.min
        for year in sorted(self.years, key=lambda year: year.first_day):
            opens = year.first_day - timedelta(days=self.opening.days)
            if opens <= day <= year.first_day:
                return Now("opening", opens, self.opening)
            closes = year.last_day + timedelta(days=self.closing.days)
            if year.last_day <= day <= closes:
                closed = Now("closing", year.last_day, self.closing)
            begun = max(begun, *(edge + timedelta(days=1) for edge in (year.first_day, closes) if edge < day), date.min)
        return closed or Now(since=begun)

    def rollover(self, day: date) -> Rollover | None:
        """The rollover that is under way on that day."""
        return next((year.rollover for year in self.years if year.rollover is not None and year.rollover.covers(day)), None)
