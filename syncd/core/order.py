"""The order of changes: a dependency graph, laid out as waves of mutually independent changes (R10, R20).

Within a wave nothing waits for anything else, so a connector may pipeline it freely (slapd keeps no order on one connection). Two
changes of one person never share a wave. Knows nothing of what a change costs or whether it will succeed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from syncd.core.model import KIND_ORDER, Account, Change, Kind
from syncd.core.spelling import parent

Place = tuple[str, str]  # container and rdn, folded: two places that a directory would call the same are the same
_Level = tuple[int, int]

_TAKES = frozenset({Kind.CREATE, Kind.MOVE, Kind.PARK})
_FREES = frozenset({Kind.MOVE, Kind.PARK, Kind.DELETE})


def waves(changes: Sequence[Change]) -> list[list[Change]]:
    """All changes, in waves; each wave may start when the one before has ended. A cycle of renames is broken by a temporary rdn."""
    steps = _break_cycles(changes)
    needs, wishes = _needs(steps)
    level: dict[int, _Level] = {}
    for index in range(len(steps)):
        _settle(index, steps, needs, wishes, level)
    grouped: dict[_Level, list[Change]] = {}
    for index, change in enumerate(steps):
        grouped.setdefault(level[index], []).append(change)
    return [grouped[key] for key in sorted(grouped)]


def _settle(
    start: int, steps: Sequence[Change], needs: Sequence[set[int]], wishes: Sequence[set[int]], level: dict[int, _Level]
) -> None:
    """Compute a change's level: its kind's place in the order, or just behind what it waits for last. Iterative: chains are long.

    What waits for itself through others gives up its wishes: it may be refused and planned again, but nothing waits for ever.
    """
    stack, entered = [start], set[int]()
    while stack:
        index = stack[-1]
        if index in level:
            stack.pop()
            continue
        entered.add(index)
        behind = needs[index] | wishes[index]
        unsettled = [other for other in behind if other not in level]
        around = [other for other in unsettled if other in entered]
        if around:
            for other in stack[min(map(stack.index, around)) :]:
                wishes[other].clear()
            entered.clear()
            continue
        if unsettled:
            stack.extend(unsettled)
            continue
        after = ((level[other][0], level[other][1] + 1) for other in behind)
        level[index] = max([(KIND_ORDER[steps[index].kind], 0), *after])
        stack.pop()


def _needs(steps: Sequence[Change]) -> tuple[list[set[int]], list[set[int]]]:
    """For each change, the changes it must wait for, and those that free the place it takes."""
    containers = {_fold(step.group): index for index, step in enumerate(steps) if step.kind is Kind.CREATE_CONTAINER}
    groups = {_fold(step.group): index for index, step in enumerate(steps) if step.kind is Kind.CREATE_GROUP}
    frees = {_place(step.before): index for index, step in enumerate(steps) if step.kind in _FREES and step.before}
    last: dict[str, int] = {}
    edges: dict[tuple[str, str], int] = {}
    needs: list[set[int]] = []
    wishes: list[set[int]] = []
    removals: dict[str, set[int]] = {}  # left where the account still stands, before it moves
    for index, step in enumerate(steps):
        mine: set[int] = set()
        wish: set[int] = set()
        if step.person is not None and step.kind not in (Kind.ADD_MEMBER, Kind.REMOVE_MEMBER):
            if step.person in last:
                mine.add(last[step.person])
            mine.update(removals.pop(step.person, ()))
            last[step.person] = index
        elif step.person is not None:
            mine.update({last[step.person]} if step.person in last else ())
            edge = (step.person, _fold(step.group))
            mine.update({edges[edge]} if edge in edges else ())
            edges[edge] = index
            if step.kind is Kind.REMOVE_MEMBER:
                removals.setdefault(step.person, set()).add(index)
        if step.kind in _TAKES and step.after:
            place = _place(step.after)
            mine.update(_above(step.after.container, containers))
            if place in frees and frees[place] != index and steps[frees[place]].person != step.person:
                wish.add(frees[place])
        if step.group is not None:
            made = groups.get(_fold(step.group))
            mine.update({made} if made is not None else ())
            mine.update(_above(parent(step.group), containers))
            mine.discard(index)
        needs.append(mine)
        wishes.append(wish)
    return needs, wishes


def _above(container: str, containers: dict[str, int]) -> set[int]:
    """The nearest container to be created at or above this one; that one waits for its own parent itself."""
    name = container
    while name:
        if _fold(name) in containers:
            return {containers[_fold(name)]}
        name = parent(name)
    return set()


def _fold(name: str | None) -> str:
    return (name or "").casefold()


def _place(account: Account) -> Place:
    return account.container.casefold(), account.rdn.casefold()


def rings(changes: Sequence[Change]) -> Iterator[list[int]]:
    """Every ring of renames among these changes, by their places in the list: each takes the place that the next one frees."""
    moves = {index: change for index, change in enumerate(changes) if change.kind in (Kind.MOVE, Kind.PARK)}
    by_start = {_place(change.before): index for index, change in moves.items() if change.before}
    seen: set[int] = set()
    for start in moves:
        path: list[int] = []
        at: int | None = start
        while at is not None and at not in seen:
            seen.add(at)
            path.append(at)
            after = moves[at].after
            at = by_start.get(_place(after)) if after else None
        if at in path and len(path) - path.index(at) > 1:
            yield path[path.index(at) :]


def _break_cycles(changes: Sequence[Change]) -> list[Change]:
    """The changes, with one step of every ring of renames replaced by two: to a temporary rdn, and from there home (R10)."""
    broken = {ring[0] for ring in rings(changes)}
    return [part for index, step in enumerate(changes) for part in (_aside(step) if index in broken else [step])]


def _aside(move: Change) -> list[Change]:
    """A move by way of a temporary rdn."""
    if move.before is None or move.after is None:
        return [move]
    aside = replace(move.before, rdn=f"{move.before.rdn} (syncd {move.person})")
    return [replace(move, after=aside), replace(move, before=aside)]
