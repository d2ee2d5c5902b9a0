"""What of a target runs may write: everything, nothing, or what people released of it (R34).

A release is a human decision about a target: all of it, or some campuses, operations or attributes. What no release covers is
*observed*: planned and told, and not made. What a run wants is narrowed, not what it does, so that a person's steps fit together.
A lock passes by: whoever is shut out is shut out everywhere (R33).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from syncd.core.model import Account, Change, Kind, TargetName
from syncd.core.plan import Desired, Holding

OPERATIONS: Mapping[str, frozenset[Kind]] = MappingProxyType(
    {
        "create": frozenset({Kind.CREATE}),
        "enable": frozenset({Kind.ENABLE}),
        "update": frozenset({Kind.UPDATE, Kind.REFER}),
        "move": frozenset({Kind.MOVE}),
        "member": frozenset({Kind.ADD_MEMBER, Kind.REMOVE_MEMBER}),
        "disable": frozenset({Kind.DISABLE}),
        "park": frozenset({Kind.PARK}),
        "delete": frozenset({Kind.DELETE}),
    }
)
"""What can be released by itself, in the words limits are configured in, and the kinds of change each is."""

CREATED = "created"
"""Why an account is linked that syncd made."""


@dataclass(frozen=True, slots=True)
class Release:
    """Somebody let runs write to a target: all of it where nothing else is said. `ended`: when it was taken back, `ended_by` whom.

    `attributes`, in small letters, narrow updates of accounts that are there, and nothing else.
    """

    target: TargetName
    at: datetime
    actor: str
    because: str
    campuses: frozenset[str] = frozenset()
    operations: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()
    number: int = 0
    ended: datetime | None = None
    ended_by: str = ""

    @property
    def covers(self) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
        """What it lets runs write, without who, when and why."""
        return self.campuses, self.operations, self.attributes

    @property
    def told(self) -> str:
        """What it covers, in words."""
        parts = (("campus", self.campuses), ("operation", self.operations), ("attribute", self.attributes))
        return ", ".join(f"{word} {' '.join(sorted(named))}" for word, named in parts if named) or "everything"


@dataclass(frozen=True, slots=True)
class Released:
    """What of one target may be written: `everything`, or what these releases cover."""

    releases: tuple[Release, ...] = ()
    everything: bool = False

    def allows(self, operation: str, campus: str) -> bool:
        """Whether an operation may be done to people of a campus."""
        return self.everything or any(True for _ in self._about(operation, campus))

    def attributes(self, campus: str) -> frozenset[str] | None:
        """The attributes that may be updated of people of a campus, in small letters; None for all."""
        if self.everything:
            return None
        found: set[str] = set()
        for release in self._about("update", campus):
            if not release.attributes:
                return None
            found |= release.attributes
        return frozenset(found)

    def _about(self, operation: str, campus: str) -> Iterator[Release]:
        for one in self.releases:
            operations = one.operations or (frozenset({"update"}) if one.attributes else frozenset(OPERATIONS))
            if operation in operations and (not one.campuses or campus in one.campuses):
                yield one


EVERYTHING, NOTHING = Released(everything=True), Released()


def released(releases: Collection[Release]) -> Released:
    """What these releases come to; those that were taken back are none."""
    in_force = tuple(one for one in releases if one.ended is None)
    return EVERYTHING if any(not any(one.covers) for one in in_force) else Released(in_force)


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a run treats one target: what it may write, and whether it links existing accounts to their owners.

    `unless_empty`: where the target holds accounts that syncd did not make, it does neither.
    """

    released: Released = EVERYTHING
    links: bool = True
    unless_empty: bool = False

    def among(self, *, others: bool) -> Conduct:
        """The conduct once it is known whether the target holds accounts of others."""
        return OBSERVING if self.unless_empty and others else replace(self, unless_empty=False)


LIVE = Conduct()
OBSERVING = Conduct(NOTHING, links=False)
ADOPTING = Conduct(NOTHING, links=True)


# --- what of somebody's account may be changed ------------------------------------------------------------------------


def narrowed(want: Desired, have: Holding | None, may: Released) -> Desired | None:
    """What is wanted of somebody's account, as far as it may be written; None where nothing of it may."""
    if may.everything or want.locked:
        return want
    if have is None:
        return _creation(want, may)
    return _leaving(want, have, may) if want.leaving else _adjustment(want, have, may)


def _creation(want: Desired, may: Released) -> Desired | None:
    """A new account is made as a whole, but for its memberships."""
    if want.leaving or not may.allows("create", want.campus):
        return None
    if may.allows("member", want.campus):
        return want
    return want._replace(account=replace(want.account, groups=frozenset()))


def _adjustment(want: Desired, have: Holding, may: Released) -> Desired:
    account, campus = want.account, want.campus
    if not may.allows("enable", campus):
        account = replace(account, enabled=have.account.enabled)
    if not may.allows("member", campus):
        account = replace(account, groups=have.account.groups)
    if not may.allows("move", campus):
        account = replace(account, rdn=have.account.rdn, container=have.account.container)
    attributes = may.attributes(campus)
    if attributes is None:
        return want._replace(account=account)
    # What may not be written is left as it was found, which others are told: an alias of an address that stays is none.
    policies = {name: policy if name.lower() in attributes else "initial" for name, policy in want.policies.items()}
    refers = {name: values for name, values in want.refers.items() if name.lower() in attributes}
    aliases = tuple(one for one in want.aliases if one.attribute.lower() in attributes)
    return want._replace(account=account, policies=policies, refers=refers, aliases=aliases)


def _leaving(want: Desired, have: Holding, may: Released) -> Desired:
    """Nobody is parked or deleted whose access may not be taken away."""
    campus = want.campus
    keeps = not may.allows("member", campus)
    if have.account.enabled and not may.allows("disable", campus):
        groups = have.account.groups if keeps else frozenset[str]()
        return want._replace(account=replace(have.account, groups=groups), policies={}, leaving=False, park=None, delete=False)
    park = want.park if may.allows("park", campus) else None
    return want._replace(park=park, delete=want.delete and may.allows("delete", campus), keeps_groups=keeps)


def left_out(whole: Sequence[Change], made: Sequence[Change]) -> Iterator[Change]:
    """What of all changes is not among those that are made, each without the attributes that are written."""
    done = {(change.kind, change.group): change for change in made}
    for change in whole:
        same = done.get((change.kind, change.group))
        if same is None:
            yield change
        elif change.before is not None and change.after is not None and same.after is not None:
            left = change.after.attributes.keys() - same.after.attributes.keys()
            if left:
                yield replace(change, before=_only(change.before, left), after=_only(change.after, left))


def _only(account: Account, names: Collection[str]) -> Account:
    return replace(account, attributes={name: values for name, values in account.attributes.items() if name in names})
