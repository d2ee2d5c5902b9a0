"""Desired against known: the changes between them, each with its own digest, and the plan they make.

Decides nothing about who should have an account (lifecycle) or what is in it (mapping): it only compares. It never disables
because of a date that has not come, and never writes an attribute the mapping does not own.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

from syncd.core.addresses import Aliases, held
from syncd.core.model import (
    ACCOUNT_KINDS,
    Account,
    Change,
    Kind,
    NativeId,
    PersonId,
    TargetName,
)
from syncd.core.spelling import parent


class Desired(NamedTuple):
    """One person's account on one target as it should be, already canonical.

    `policies` names every attribute the mapping owns. `refers` are attributes that hold the place of another person's account;
    `account.attributes` does not contain them. `leaving` keeps everything but the enabled flag, the groups and, with `park`,
    the container; `locked` everything but the enabled flag. `aliases` are attributes whose values depend on what is there.
    """

    person: PersonId
    account: Account
    policies: Mapping[str, str] = MappingProxyType({})
    refers: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    campus: str = ""
    population: str = ""
    leaving: bool = False
    park: str | None = None
    delete: bool = False
    reset: bool = False  # an enable of this account sets a new password: its owner was away for long, or locked
    locked: bool = False  # its owner is kept out: it is disabled with a password nobody has, and nothing else
    keeps_groups: bool = False  # of who leaves
    reason: str = ""
    aliases: tuple[Aliases, ...] = ()


@dataclass(frozen=True, slots=True)
class Holding:
    """The account as we know it: from the store in a delta run, from the target in a reconcile. `groups` are those we own."""

    native_id: NativeId
    account: Account
    disabled_by_us: bool = True


def steps(target: TargetName, want: Desired, have: Holding | None) -> list[Change]:
    """The changes that bring one person's account from `have` to `want`, in the order in which they must happen."""
    if want.locked:
        return list(_Steps(target, want, have.native_id).locking(have)) if have is not None else []
    if have is None:
        return [] if want.leaving else list(_Steps(target, want, None).creation())
    maker = _Steps(target, want, have.native_id)
    return list(maker.leaving(have) if want.leaving else maker.adjustment(have))


@dataclass(frozen=True, slots=True)
class _Steps:
    """Makes the changes of one person's account, so that each says only what is its own."""

    target: TargetName
    want: Desired
    native_id: NativeId | None

    def make(self, kind: Kind, before: Account | None = None, after: Account | None = None, group: str | None = None) -> Change:
        """One change of this account."""
        return Change(
            target=self.target,
            kind=kind,
            reason=self.want.reason,
            person=self.want.person,
            native_id=self.native_id,
            before=before,
            after=after,
            group=group,
            campus=self.want.campus,
            population=self.want.population,
        )

    def creation(self) -> Iterator[Change]:
        """The steps of an account that does not exist yet."""
        account, place = self.want.account, _place(self.want.account)
        made = None
        if self.want.aliases:
            made = held(self.want.aliases, account.attributes, self.want.policies, None, (account.rdn, "")).attributes
        after = replace(account, groups=frozenset())
        yield self.make(Kind.CREATE, after=after if made is None else replace(after, attributes=made))
        refers = {name: values for name, values in self.want.refers.items() if values}
        if refers:
            # As it is planned again where only the create has landed: the approval still covers it (R15).
            unset = replace(place, attributes=dict.fromkeys(refers, ()))
            yield self.make(Kind.REFER, before=unset, after=replace(place, attributes=refers))
        yield from self.memberships(place, account.groups, frozenset())

    def adjustment(self, have: Holding) -> Iterator[Change]:
        """The steps that make a wanted account what it should be."""
        account, place = self.want.account, _place(have.account)
        if account.enabled and not place.enabled and have.disabled_by_us:
            yield self.make(Kind.ENABLE, before=place, after=replace(place, enabled=True))
            place = replace(place, enabled=True)
        wanted, policies = account.attributes, self.want.policies
        if self.want.aliases:
            names = account.rdn, have.account.rdn
            wanted, policies, _ = held(self.want.aliases, wanted, policies, have.account.attributes, names)
        old, new = _difference(policies, wanted, have.account.attributes)
        if new:
            yield self.make(Kind.UPDATE, replace(place, attributes=old), replace(place, attributes=new))
        kept = account.groups & have.account.groups
        yield from self.memberships(place, kept, have.account.groups)
        if (account.rdn, account.container) != (place.rdn, place.container):
            moved = replace(place, rdn=account.rdn, container=account.container)
            yield self.make(Kind.MOVE, before=place, after=moved)
            place = moved
        if self.want.refers:
            old, new = _difference(dict.fromkeys(self.want.refers, "enforce"), self.want.refers, have.account.attributes)
            if new:
                yield self.make(Kind.REFER, replace(place, attributes=old), replace(place, attributes=new))
        yield from self.memberships(place, account.groups, kept)

    def locking(self, have: Holding) -> Iterator[Change]:
        """The step that keeps somebody out, where the account is open (R33)."""
        place = _place(have.account)
        if place.enabled:
            yield self.make(Kind.DISABLE, before=place, after=replace(place, enabled=False))

    def leaving(self, have: Holding) -> Iterator[Change]:
        """The steps that take access away, and no more than the lifecycle asks for."""
        place = _place(have.account)
        yield from self.memberships(place, have.account.groups if self.want.keeps_groups else frozenset(), have.account.groups)
        if place.enabled:
            yield self.make(Kind.DISABLE, before=place, after=replace(place, enabled=False))
            place = replace(place, enabled=False)
        if self.want.park is not None and place.container != self.want.park:
            yield self.make(Kind.PARK, before=place, after=replace(place, container=self.want.park))
            place = replace(place, container=self.want.park)
        if self.want.delete:
            yield self.make(Kind.DELETE, before=replace(place, attributes=have.account.attributes))

    def memberships(self, place: Account, want: frozenset[str], have: frozenset[str]) -> Iterator[Change]:
        """One change per edge: a membership belongs to the person (R16)."""
        if want == have:
            return
        for group in sorted(want - have):
            yield self.make(Kind.ADD_MEMBER, before=place, group=group)
        for group in sorted(have - want):
            yield self.make(Kind.REMOVE_MEMBER, before=place, group=group)


def _place(account: Account) -> Account:
    return Account(account.rdn, account.container, account.enabled, {})


def _difference(
    policies: Mapping[str, str], want: Mapping[str, tuple[str, ...]], have: Mapping[str, tuple[str, ...]]
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    old: dict[str, tuple[str, ...]] = {}
    new: dict[str, tuple[str, ...]] = {}
    for name, policy in policies.items():
        is_value, should = have.get(name, ()), want.get(name, ())
        if is_value != should and policy != "initial" and not (is_value and policy == "if_empty"):
            old[name], new[name] = is_value, should
    return old, new


# --- the plan ---------------------------------------------------------------------------------------------------------


def digest(change: Change) -> str:
    """What identifies a change for approval (R15): person, target, operation, before and after; no run, time, count or password."""
    told = [change.target, change.kind, change.person, change.group, _told(change.before), _told(change.after)]
    text = json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def _told(account: Account | None) -> object:
    if account is None:
        return None
    attributes = {name: list(values) for name, values in account.attributes.items()}
    return [account.rdn, account.container, account.enabled, attributes]


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes for one target, in a stable order."""

    target: TargetName
    changes: tuple[Change, ...]

    @property
    def digest(self) -> str:
        """One digest over the digests of all changes."""
        return hashlib.blake2b("".join(map(digest, self.changes)).encode(), digest_size=10).hexdigest()

    @property
    def counts(self) -> Counter[Kind]:
        """How many changes of each kind."""
        return Counter(change.kind for change in self.changes)

    def only(self, keep: Iterable[PersonId]) -> Plan:
        """The part of the plan that concerns these persons."""
        kept = frozenset(keep)
        return Plan(self.target, tuple(change for change in self.changes if change.person in kept))


def needed_containers(changes: Iterable[Change]) -> set[str]:
    """Every container some create, move or park of these changes puts an account into."""
    wanted = {Kind.CREATE, Kind.MOVE, Kind.PARK}
    return {change.after.container for change in changes if change.kind in wanted and change.after is not None}


def without_orphans(changes: Sequence[Change]) -> Iterator[Change]:
    """The changes but for the containers and groups that none of the others needs, in their order (R16)."""
    joined = {change.group for change in changes if change.kind is Kind.ADD_MEMBER}
    groups = {change.group for change in changes if change.kind is Kind.CREATE_GROUP and change.group in joined}
    containers: set[str] = set()
    for name in {*needed_containers(changes), *(parent(group) for group in groups if group is not None)}:
        above = name
        while above and above not in containers:
            containers.add(above)
            above = parent(above)
    for change in changes:
        orphan = (change.kind is Kind.CREATE_GROUP and change.group not in groups) or (
            change.kind is Kind.CREATE_CONTAINER and change.group not in containers
        )
        if not orphan:
            yield change


def is_below(container: str, top: str) -> bool:
    """True for a container that is `top` or lies below it; both canonical."""
    while container != top:
        if not container:
            return False
        container = parent(container)
    return True


def is_about_account(change: Change) -> bool:
    """True for a change of the account itself, not of a group or container."""
    return change.kind in ACCOUNT_KINDS
