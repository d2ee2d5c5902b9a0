"""What was refused lately is not sent again in every run: it waits, with what depends on it, and everybody else goes on (R5)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from syncd.core import quarantine
from syncd.core.model import PersonId, TargetName
from syncd.core.plan import Plan, without_orphans
from syncd.core.quarantine import Refused, Slot
from syncd.engine.carry_out import STANDING
from syncd.engine.desire import Decided
from syncd.engine.matching import Matched
from syncd.store import Finding, Store


@dataclass(frozen=True, slots=True)
class SetAside:
    """What one run leaves in quarantine, and what it takes from there.

    `owing`: whose account is not opened or closed as their state says, because that was refused. `retried`, by target: who is tried
    again. `obsolete`: what is to be forgotten once the plan is applied.
    """

    findings: tuple[Finding, ...] = ()
    owing: frozenset[PersonId] = frozenset()
    retried: Mapping[TargetName, frozenset[PersonId]] = field(default_factory=dict)
    obsolete: tuple[Slot, ...] = ()


NOBODY = SetAside()


def set_aside(
    plans: Mapping[TargetName, Plan],
    matched: Mapping[TargetName, Matched],
    decided: Mapping[PersonId, Decided],
    store: Store,
    now: datetime,
    fingerprints: Mapping[str, str],
    *,
    asked_for: bool,
) -> tuple[dict[TargetName, Plan], SetAside]:
    """The plans without what was refused lately, and what is to be known of it. Whoever it belongs to stays dirty (R5).

    Everything is tried again where the `fingerprints` of the mappings are not those of the last applied plan, or where a human
    `asked_for` one person's run.
    """
    refused = store.quarantine.refused(list(plans)) if plans else []
    if not refused:
        return dict(plans), NOBODY
    left = dict(plans)
    result = NOBODY
    edited = asked_for or not fingerprints.items() <= store.fingerprints().items()
    for target, one in plans.items():
        mine = [row for row in refused if row.target == target]
        waiting = matched[target].waiting
        known = {person for person, decision in decided.items() if _is_made_up(decision) and person not in waiting}
        found = quarantine.sort_out(one.changes, mine, known, now, edited=edited)
        if found.aside:
            left[target] = Plan(target, tuple(without_orphans(found.sent)))
            matched[target].waiting |= {change.person for change in found.aside if change.person is not None}
        result = replace(
            result,
            findings=(*result.findings, *_findings(mine, found)),
            owing=result.owing.union(change.person for change in found.aside if change.person and change.kind in STANDING),
            retried={**result.retried, target: found.retried},
            obsolete=(*result.obsolete, *found.obsolete),
        )
    return left, result


def _is_made_up(one: Decided) -> bool:
    """Whether this run knows what it wants of somebody: of whom it does not, nothing is wanted, which means nothing."""
    return not one.blocked and not one.standing.frozen


def _findings(refused: Collection[Refused], found: quarantine.Sorted) -> list[Finding]:
    aside = {quarantine.slot(change) for change in found.aside}
    return [
        Finding("set aside", f"{one.kind} {one.person}", _told(one), one.person, None, one.target)
        for one in refused
        if one.slot in aside
    ]


def _told(one: Refused) -> str:
    times = "once" if one.count == 1 else f"{one.count} times"
    return f"{one.kind} was refused {times}; tried again after {one.next:%Y-%m-%d %H:%M} UTC, see `syncd quarantine`"
