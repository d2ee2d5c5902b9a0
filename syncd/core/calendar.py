"""The school calendar: which days are school days, and when a year rolls over.

A roster that does not change in July is well; one that does not change in the second week of September is an export that stopped.
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
class SchoolYear:
    """One school year."""

    first_day: date = field(metadata=_documented("The first day of school."))
    last_day: date = field(metadata=_documented("The last day of school."))
    breaks: tuple[Break, ...] = field(default=(), metadata=_documented("Days without school in between."))

    def __post_init__(self) -> None:
        if self.last_day <= self.first_day:
            raise ValueError(f"last_day: {self.last_day} is not after {self.first_day}")


@dataclass(frozen=True, slots=True)
class Calendar:
    """The years a district has told. Without any, every weekday counts as a school day."""

    years: tuple[SchoolYear, ...] = field(default=(), metadata=_documented("The school years, in any order."))

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
