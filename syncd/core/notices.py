"""What is told to whom when something is not well: once, again after a day, and once more when it is well. Pure.

A run that ends well says nothing. What was told is remembered by its *key*, the reason without its numbers: forty people held in
one run and forty-one in the next are one thing to tell, not two.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from syncd.core.health import Level, Reason

AGAIN = timedelta(hours=24)
"""What is still critical is told again after so long."""
_NUMBERS = re.compile(r"(campus \S+)|\d[\d,.]*")  # but for the code of a campus, which is its name


@dataclass(frozen=True, slots=True)
class Told:
    """Something that was told: since when it is so, when it was told last, and how bad it was."""

    since: datetime
    last: datetime
    level: int


@dataclass(frozen=True, slots=True)
class Notice:
    """One message: what is new or still so, and what is well again. Counts and campuses, never persons (R42)."""

    subject: str
    reasons: Sequence[Reason]
    over: Sequence[str]

    @property
    def text(self) -> str:
        """The message, a line for each thing."""
        lines = [f"{reason.level.name}: {reason}" for reason in self.reasons]
        return "\n".join([*lines, *(f"well again: {key}" for key in self.over)]) + "\n"


def key_of(reason: Reason) -> str:
    """What a reason is remembered by: its words without the numbers of runs, people and days, but for the campuses it is about."""
    return f"{reason.where}: {_NUMBERS.sub(lambda found: found[1] or '#', reason.why.split(' allows ')[0])}"


def due(district: str, reasons: Sequence[Reason], told: Mapping[str, Told], now: datetime) -> tuple[Notice | None, dict[str, Told]]:
    """What is to be told now, if anything, and what has been told then.

    New is what was not told, or only as a warning. What was told as critical and is gone is told once more, as well again.
    """
    kept: dict[str, Told] = {}
    new: list[Reason] = []
    for reason in reasons:
        if reason.level is Level.OK:
            continue  # it is as somebody wants it
        key = key_of(reason)
        before = told.get(key)
        late = before is not None and reason.level is Level.CRITICAL and now - before.last >= AGAIN
        if before is None or reason.level > before.level or late:
            new.append(reason)
            kept[key] = Told(before.since if before else now, now, int(reason.level))
        else:
            kept[key] = Told(before.since, before.last, max(before.level, int(reason.level)))
    over = [key for key, before in told.items() if key not in kept and before.level >= Level.CRITICAL]
    if not new and not over:
        return None, kept
    worst = max((reason.level for reason in reasons), default=Level.OK)
    what = str(new[0]) if new else f"well again: {over[0]}"
    subject = f"syncd {district}: {worst.name.lower()}: {what}"
    return Notice(subject if len(subject) <= _LONGEST else f"{subject[: _LONGEST - 1]}…", new, over), kept


_LONGEST = 150  # of a subject: more is shown nowhere
