"""Where a plan's accounts are to stand and what they belong to: missing containers and groups are made where that is allowed.

Where it is not, whoever needs one is listed and waits; whoever leaves loses access all the same. Decides nothing about persons.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from syncd.core import plan
from syncd.core.model import Change, Kind, PersonId
from syncd.core.spelling import STEP, parent
from syncd.store import Finding
from syncd.targets import Seats
from syncd.targets.target import Target


@dataclass(frozen=True, slots=True)
class Placed:
    """The changes with what they need in front, what could not be had, and who waits for it (R5)."""

    changes: list[Change]
    findings: list[Finding]
    waiting: frozenset[PersonId]
    beyond: Mapping[str, str]  # parts of the target that cannot be used now, and why


def placed(
    target: Target, changes: Sequence[Change], missing: Collection[str], may_create: Collection[str], *, create_containers: bool
) -> Placed:
    """The changes of one target completed.

    `missing` are the groups among those to be joined that do not exist, `may_create` those a mapping allows to be made; canonical.
    """
    groups = set(missing) & set(may_create)
    needed = (plan.needed_containers(changes) | {parent(name) for name in groups}) - {""}
    beyond = target.out_of_reach(needed)
    absent = target.missing_containers(needed - beyond.keys())
    refused = set(missing).difference(groups) | {name for name in groups if parent(name) in beyond}
    unknown = sorted(set(missing) - groups)
    findings = [Finding("missing group", name, _no_group(target, name), None, None, target.name, {}) for name in unknown]
    kept = _without_places(changes, beyond.keys()) if beyond else list(changes)
    if absent and not create_containers:
        findings += [
            Finding("missing container", name, _no_container(target, name), None, None, target.name, {}) for name in sorted(absent)
        ]
        refused |= {name for name in groups if parent(name) in absent}
        kept = _without_places(kept, absent)
        absent = set()
    kept = [change for change in kept if change.group not in refused]
    left_out = set(map(id, changes)) - set(map(id, kept))
    containers = [
        Change(target.name, Kind.CREATE_CONTAINER, "something is to stand in it", group=name)
        for name in sorted(absent, key=lambda name: (name.count(STEP) if name.startswith(STEP) else name.count(","), name))
    ]
    made = [Change(target.name, Kind.CREATE_GROUP, "somebody belongs to it", group=name) for name in sorted(groups - refused)]
    waiting = frozenset(change.person for change in changes if change.person is not None and id(change) in left_out)
    return Placed([*containers, *made, *kept], findings, waiting, {one.part: one.why for one in beyond.values()})


def seats(target: Target, changes: Sequence[Change], others: Iterable[str] = ()) -> dict[str, str]:
    """What is to be said of each licence that these changes give, and of `others`, of which is known how many are left.

    Said before they run out, and nothing is held for it: empty where there are enough.
    """
    given = Counter(change.group for change in changes if change.kind is Kind.ADD_MEMBER and change.group is not None)
    back = Counter(change.group for change in changes if change.kind is Kind.REMOVE_MEMBER)
    left = target.seats_left({*given, *others})
    return {name: of_seats(given[name], left[name], back[name]) for name in sorted(left)}


def of_seats(given: int, known: Seats, back: int = 0) -> str:
    """What is to be said of a licence that so many people are to get and so many give back; empty where there are enough."""
    left = max(known.left, 0)
    free = f"{left:,} seats are left" + (f" and {back:,} come back" if back else "")
    if given > left + back:
        return f"{given:,} people are to get one, and {free}: buy {given - left - back:,} more, or some go without"
    if (then := left + back - given) < known.warn_below:
        return f"{then:,} seats will be left, fewer than the {known.warn_below:,} of `warn_below`: buy more before they run out"
    return ""


def _without_places(changes: Sequence[Change], absent: Collection[str]) -> list[Change]:
    """The changes without those that need one of the containers, and without what would have followed them.

    Somebody who is to arrive or to move there stays as they are (R16); somebody who leaves loses everything but is not parked.
    """
    nowhere = [change for change in changes if change.after is not None and change.after.container in absent]
    staying = {change.person for change in nowhere if change.kind in (Kind.CREATE, Kind.MOVE)}
    unparked = {change.person for change in nowhere if change.kind is Kind.PARK}
    last = (Kind.PARK, Kind.DELETE)
    return [one for one in changes if one.person not in staying and not (one.kind in last and one.person in unparked)]


def _no_group(target: Target, name: str) -> str:
    return f"{target.name} has no group {name} and the mapping does not say `create: true`"


def _no_container(target: Target, name: str) -> str:
    return f"{target.name} has no container {name} and its settings say `create_containers: false`"


__all__ = ["Placed", "of_seats", "placed", "seats"]
