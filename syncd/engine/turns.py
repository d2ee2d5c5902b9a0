"""Targets that take turns: who waits on one target for their own outcome on another (`after:` in syncd.yaml).

Nobody waits for anybody else's outcome. Who leaves or is locked never waits: what closes an account is sent everywhere at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from syncd.core.model import Change, PersonId, TargetName
from syncd.core.plan import Plan
from syncd.engine import planned
from syncd.engine.carry_out import STANDING, Report
from syncd.engine.passwords import OfOneRun
from syncd.engine.planned import Planned
from syncd.settings import Config
from syncd.store import Store


@dataclass(frozen=True, slots=True)
class Shared:
    """What the targets of one run have in common: the first passwords of those who get accounts on several of them."""

    passwords: OfOneRun = field(default_factory=OfOneRun)


Send = Callable[[TargetName, Sequence[Change], Shared], Report]


def carried_out(ready: Planned, held: Collection[PersonId], config: Config, store: Store, send: Send) -> dict[TargetName, Report]:
    """What came of a plan on each target; nothing of those who are `held`, or wait for another target, was sent."""
    reports: dict[TargetName, Report] = {}
    shared = Shared()
    for name in in_turn(ready.plans, config):
        mine = planned.without(ready.plans[name], held)
        waits = _waiting(ready, mine, config.targets[name].after, reports, store)
        reports[name] = _told(send(name, planned.without(mine, waits).changes, shared), mine, waits)
    return reports


def in_turn(names: Collection[TargetName], config: Config) -> list[TargetName]:
    """The targets, each behind the one it comes after; otherwise in the order they have. Settings refuse a ring of them."""

    def behind(name: TargetName) -> int:
        first = config.targets[name].after
        return 0 if first is None else 1 + behind(first)

    return sorted(names, key=behind)


def _waiting(
    ready: Planned, mine: Plan, first: TargetName | None, reports: Mapping[TargetName, Report], store: Store
) -> set[PersonId]:
    """Who is not sent to this target yet, because what they need on the target that comes `first` has not come about.

    That is: a change of theirs there was refused or not sent, no account of theirs is there though one should be, or the target
    could not be read at all. They stay marked, and the next run sends them.
    """
    if first is None:
        return set()
    wants = ready.matched[mine.target].wants
    moving = {change.person for change in mine.changes if change.person is not None}
    staying = {person for person in moving if person in wants and not (wants[person].leaving or wants[person].locked)}
    due = {person for person in staying if person in ready.decided and first in ready.decided[person].wanted}
    if first in ready.stopped:
        return due
    unsettled = reports[first].unsettled if first in reports else set()
    return {person for person in staying if person in unsettled} | (due - store.opened(first, due).keys())


def _told(report: Report, whole: Plan, waits: Collection[PersonId]) -> Report:
    """The report with those who wait: they are looked at again (R5), and what they owe makes their states not true yet."""
    report.waiting = len(waits)
    report.unsettled |= set(waits)
    report.owed.update(
        person for change in whole.changes if (person := change.person) is not None and person in waits and change.kind in STANDING
    )
    return report
