"""What people decided here and no source tells (R6): overrides, freezes, locks, sponsorships and seals, as values.

What they mean for a person and for accounts is said in `local`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType

from syncd.core.model import PersonId, SourceKey, SourceName

LOCAL = SourceName("local")
"""The built-in source under whose name records are made of local facts."""
OVERRIDING = SourceKey("override")
"""The key of a record that is nothing but overrides: it is no record of anybody's, and nothing depends on its rows."""
SPONSORED = "sponsored"
"""The role of a sponsored person at their campus."""


class FactKind(StrEnum):
    """What was decided about somebody."""

    OVERRIDE = "override"  # this value, whatever the sources say
    FREEZE = "freeze"  # nothing of this person is changed
    LOCK = "lock"  # no access anywhere
    SPONSOR = "sponsor"  # somebody of no roster, for whom a person here answers
    SEAL = "seal"  # a name that is told to nobody and never used again


@dataclass(frozen=True, slots=True)
class Fact:
    """One decision about one person: by whom as the kernel says it (R39), why, from when, and to which day (inclusive).

    `attribute` is what an override speaks of: a canonical field, or with `target` an attribute of the account there; of a seal, the
    name as the ledger spells it. `values` is what it says: of an override `value`, of a sponsorship the person's fields.
    """

    id: int
    person: PersonId
    kind: FactKind
    since: datetime
    actor: str
    because: str
    attribute: str = ""
    target: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    until: date | None = None
    ended: datetime | None = None
    ended_by: str = ""
    ended_because: str = ""

    def is_in_force(self, today: date) -> bool:
        """Whether it holds on this day."""
        return self.ended is None and (self.until is None or today <= self.until)

    @property
    def told(self) -> str:
        """Who decided it, until when and why, as a finding tells it."""
        until = f" until {self.until}" if self.until else ""
        what = f" of {self.attribute}{f' on {self.target}' if self.target else ''}" if self.attribute else ""
        return f"{self.kind}{what}{until}, by {self.actor} on {self.since:%Y-%m-%d}: {self.because}"


FOUND: Mapping[FactKind, str] = MappingProxyType(
    {
        FactKind.OVERRIDE: "overridden",
        FactKind.FREEZE: "frozen",
        FactKind.LOCK: "locked",
        FactKind.SPONSOR: "sponsored",
    }
)
"""What a run calls its findings about somebody of whom such a fact holds."""
