"""When a refused change is tried again, and what waits with it.

Decides from values alone: what a target refused, when, how often, and what is wanted now. Knows no target and no clock.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from syncd.core import order
from syncd.core.model import Account, Change, Failure, Kind, PersonId, TargetName

BACK_OFF = (timedelta(hours=1), timedelta(hours=4), timedelta(days=1), timedelta(days=3), timedelta(days=7))
"""How long a change is left alone after its first refusal, its second, and so on; the last one holds for all later ones."""

Slot = tuple[TargetName, PersonId, Kind, str]
"""What a refusal is remembered under: a person's kind of change on a target, and of a membership its group."""

_CLOSED = frozenset({Kind.PARK, Kind.DELETE})  # of an account that must be disabled before


@dataclass(frozen=True, slots=True)
class Refused:
    """A change a target refused: `wanted` is what it should have made true, `words` are the target's own."""

    target: TargetName
    person: PersonId
    kind: Kind
    group: str
    wanted: str
    attribute: str
    words: str
    count: int
    first: datetime
    last: datetime
    next: datetime

    @property
    def slot(self) -> Slot:
        """What it is remembered under."""
        return self.target, self.person, self.kind, self.group


@dataclass(frozen=True, slots=True)
class Sorted:
    """One target's changes with what it refused before.

    `aside` are not sent: refused lately, or waiting on such a one. `retried` is who has something that was refused and is due.
    `obsolete`: refused once, and not wanted any more.
    """

    sent: tuple[Change, ...]
    aside: tuple[Change, ...] = ()
    retried: frozenset[PersonId] = frozenset()
    obsolete: tuple[Slot, ...] = ()


def next_try(count: int, refused_at: datetime, failure: Failure | None = None) -> datetime:
    """When a change that was refused `count` times, last at this time, is tried again. Seats may be bought any time: every hour."""
    count = 1 if failure is Failure.NO_SEAT else count
    return refused_at + BACK_OFF[min(max(count, 1), len(BACK_OFF)) - 1]


def slot(change: Change) -> Slot | None:
    """What a refusal of this change is remembered under; None for a container or group, which is nobody's."""
    return None if change.person is None else (change.target, change.person, change.kind, change.group or "")


def wanted(change: Change) -> str:
    """A digest of what a change makes true. As long as it is the same, so is the question put to the target."""
    after = change.after
    told: object = None
    match change.kind:
        case Kind.CREATE if after is not None:
            told = [after.rdn, after.container, after.enabled, _values(after)]
        case Kind.MOVE | Kind.PARK if after is not None:
            told = [after.rdn, after.container]
        case Kind.UPDATE | Kind.REFER if after is not None:
            told = _values(after)
    text = json.dumps([change.kind, change.group, told], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def _values(account: Account) -> dict[str, list[str]]:
    return {name: sorted(values) for name, values in account.attributes.items()}


def depends(change: Change, missing: Change) -> bool:
    """True where a change of a person makes no sense while an earlier one of theirs has not landed."""
    if change.person != missing.person or change.target != missing.target:
        return False
    match missing.kind:
        case Kind.CREATE:
            return True
        case Kind.DISABLE:
            return change.kind in _CLOSED
        case Kind.MOVE | Kind.PARK:
            # What comes behind says where the account stands by then, and would miss it.
            return change.kind is not Kind.DISABLE and _starts_from(change, missing)
        case Kind.REMOVE_MEMBER | Kind.ADD_MEMBER:
            # One group taken and given back is one edge: in order, or not at all.
            return change.group is not None and change.group == missing.group
        case _:
            return False


def _starts_from(change: Change, move: Change) -> bool:
    if change.before is None or move.after is None:
        return change.kind is Kind.DELETE
    return (change.before.rdn, change.before.container) == (move.after.rdn, move.after.container)


def attribute_named(change: Change, words: str) -> str:
    """Which attribute a target complains of: the one its words name, else the only one that was written, else nothing."""
    names = sorted(change.after.attributes) if change.after is not None else []
    named = [name for name in names if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", words, re.IGNORECASE)]
    if len(named) == 1:
        return named[0]
    return names[0] if len(names) == 1 else ""


def sort_out(
    changes: Sequence[Change],
    refused: Iterable[Refused],
    decided: Collection[PersonId],
    now: datetime,
    *,
    edited: bool = False,
) -> Sorted:
    """What of these changes of one target is sent, and what is left alone because it was refused lately.

    A refused change is tried again when its time comes, when something else is wanted in its place, when the same person has
    something else to be changed, or when the mapping was `edited`. A ring of renames is tried as a whole, when nothing of it waits.
    `decided` is whose wants are known: only of them can it be said that something is not wanted any more.
    """
    known = {one.slot: one for one in refused}
    if not known:
        return Sorted(tuple(changes))
    people = {one.person for one in known.values()}
    rings = [ring for ring in _rings(changes) if people & {change.person for change in ring}]
    asked = people | {change.person for ring in rings for change in ring}
    mine: dict[PersonId, list[Change]] = {}
    for change in changes:
        if change.person is not None and change.person in asked:
            mine.setdefault(change.person, []).append(change)
    again = {person: [change for change in theirs if _is_same(change, known)] for person, theirs in mine.items()}
    waiting = {
        person: _with_followers(theirs, [] if edited else [change for change in again[person] if known[_slot(change)].next > now])
        for person, theirs in mine.items()
    }
    awake = {
        person
        for person in people & mine.keys()
        if not all(change in waiting[person] or change in again[person] for change in mine[person])
    }
    for ring in rings:
        if any(change.person in awake for change in ring):
            awake |= {change.person for change in ring if change.person}
        elif any(change in waiting[person] for change in ring if (person := change.person)):
            for change in ring:
                if person := change.person:
                    waiting[person] = _with_followers(mine[person], [*waiting[person], change])
    aside = [change for person in mine if person not in awake for change in waiting[person]]
    retried = {person for person in mine if any(person in awake or change not in waiting[person] for change in again[person])}
    for ring in rings:  # they go together, or one of them finds its place taken
        if any(change.person in retried for change in ring):
            retried |= {change.person for change in ring if change.person}
    gone = set(map(id, aside))
    there = {slot(change) for change in changes}
    obsolete = tuple(key for key, one in sorted(known.items()) if one.person in decided and key not in there)
    return Sorted(tuple(change for change in changes if id(change) not in gone), tuple(aside), frozenset(retried), obsolete)


def _rings(changes: Sequence[Change]) -> list[list[Change]]:
    return [[changes[index] for index in ring] for ring in order.rings(changes)]


def _is_same(change: Change, known: dict[Slot, Refused]) -> bool:
    key = slot(change)
    return key is not None and key in known and known[key].wanted == wanted(change)


def _slot(change: Change) -> Slot:
    key = slot(change)
    if key is None:
        raise AssertionError("only a person's change is remembered")
    return key


def _with_followers(theirs: Sequence[Change], first: Sequence[Change]) -> list[Change]:
    """These changes and those behind them that wait for one of them, in their order."""
    waiting: list[Change] = []
    for change in theirs:
        if any(change is one for one in first) or any(depends(change, other) for other in waiting):
            waiting.append(change)
    return waiting
