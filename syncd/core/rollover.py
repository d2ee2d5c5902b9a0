"""Rollover: the days on which rosters are rebuilt for another year, and whoever is missing from one has not left. Pure.

Additions and updates go on; staff leave as ever, and an exit that the roster tells acts on its day. When it ends, whoever is still
missing begins their grace.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Rolling:
    """A rollover that is under way, until and including a day, at some campuses or (none named) everywhere."""

    until: date
    campuses: frozenset[str] = frozenset()
    because: str = ""

    def keeps(self, campus: str, population: str, staff: Collection[str]) -> bool:
        """Whether somebody of this campus and population stays as they are though they are missing."""
        return population not in staff and (not self.campuses or campus in self.campuses)

    def where(self) -> str:
        """The campuses in words."""
        return f"campus {', '.join(sorted(self.campuses))}" if self.campuses else "all campuses"


def keeping(rolling: Collection[Rolling], campus: str, population: str, staff: Collection[str]) -> Rolling | None:
    """Of those under way, the longest that keeps somebody of this campus and population as they are."""
    mine = [one for one in rolling if one.keeps(campus, population, staff)]
    return max(mine, key=lambda one: one.until, default=None)
