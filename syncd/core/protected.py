"""Who and what is never changed on a target, and who must keep their access. Pure.

*Protected* persons, groups and places are left alone by every run: what would change them is held, and no approval lets it go; the
configuration must be edited. *Required* persons may change like anybody else, but closing their account is asked about by itself,
however few they are: the superintendent does not leave unnoticed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from syncd.core.guard import Cell, Finding
from syncd.core.model import Account, Change, Kind, PersonId, TargetName
from syncd.core.spelling import lies_in, plain

PROTECTED, REQUIRED = "protected", "required"
_CLOSES = frozenset({Kind.DISABLE, Kind.DELETE, Kind.PARK})


@dataclass(frozen=True, slots=True)
class Protected:
    """What is never changed on one target. Groups and places are compared whatever their case."""

    persons: tuple[str, ...] = field(default=(), metadata={"doc": "persons, by any key of theirs that `syncd explain` understands"})
    groups: tuple[str, ...] = field(default=(), metadata={"doc": "groups that nobody is added to or removed from, by name"})
    containers: tuple[str, ...] = field(
        default=(), metadata={"doc": "places below which nothing is made, changed or moved in or out, as in ou=Board,ou=Staff"}
    )


def judge_protected(
    target: TargetName, changes: Collection[Change], protected: Protected, persons: Collection[PersonId]
) -> Iterator[Finding]:
    """What of a plan touches what is protected. `persons` are those whom the configuration names."""
    groups = {plain(name): name for name in protected.groups}
    containers = {plain(place): place for place in protected.containers if place.strip()}
    touched: dict[str, set[PersonId]] = {}
    for change in changes:
        if change.person is None:
            continue  # containers and groups are only made for whoever needs them, and wait with them (R16)
        if change.person in persons:
            touched.setdefault("persons", set()).add(change.person)
        if change.group is not None and plain(change.group) in groups:
            touched.setdefault(f"groups: {groups[plain(change.group)]}", set()).add(change.person)
        for spelt, place in containers.items():
            if any(_is_in(account, spelt) for account in (change.before, change.after)) or (
                change.group is not None and lies_in(plain(change.group), spelt)
            ):
                touched.setdefault(f"containers: {place}", set()).add(change.person)
    for what, who in sorted(touched.items()):
        kind, _, name = what.partition(": ")
        told = f"{kind.removesuffix('s')} {name}" if name else "persons"
        yield Finding(
            f"target {target}",
            f"{len(who):,} people would be changed, but targets.{target}.protected.{kind} says never to touch "
            f"{told if name else 'them'}. They wait for as long as that stands there. See them with: syncd plan",
            Cell(target, f"{PROTECTED} {told}"),
            frozenset(who),
            final=True,
        )


def judge_required(target: TargetName, changes: Collection[Change], required: Collection[PersonId]) -> Iterator[Finding]:
    """Whether the account of somebody would be closed who must have one; they are counted, not named."""
    closed = {change.person for change in changes if change.kind in _CLOSES and change.person in required}
    persons = frozenset(person for person in closed if person is not None)
    if persons:
        yield Finding(
            f"target {target}",
            f"{len(persons):,} of the {len(required):,} persons in `required` of the sources would lose their account. They wait, "
            "whatever the limits allow; everybody else goes on. If it is right, approve it and take the key out of the list. "
            "See them with: syncd plan --kind disable",
            Cell(target, REQUIRED),
            persons,
        )


def _is_in(account: Account | None, place: str) -> bool:
    return account is not None and lies_in(plain(account.container), place)
