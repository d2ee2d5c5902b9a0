"""Limits a plan must satisfy before anything is written. Pure: counts in, a verdict in words out.

Nothing here knows how to look at a target or ask a human. What breaks a limit is *held*; the caller writes nothing of it.
A first apply is never exempt because it is the first: a target without history is always held until applied explicitly (R14).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from syncd.core.model import Change, Kind, SourceName, TargetName


def _documented(doc: str) -> dict[str, str]:
    return {"doc": doc}


@dataclass(frozen=True, slots=True)
class Limit:
    """How much of one operation one run may do on one target."""

    percent: float = field(default=100.0, metadata=_documented("share of the target's linked accounts, in percent"))
    absolute: int = field(default=1_000_000, metadata=_documented("number of changes, whatever the share"))
    at_least: int = field(
        default=5,
        metadata=_documented("this many are always allowed, so that a small school is not held for one leaver"),
    )

    def excess(self, count: int, accounts: int) -> str | None:
        """Which limit `count` changes break among `accounts` accounts, in words; None when neither."""
        if count > self.absolute:
            return f"at most {self.absolute:,} in one run, whatever their share of {accounts:,} accounts"
        if count > self.at_least and count * 100 > self.percent * accounts:
            return f"at most {self.percent:g} % of {accounts:,} accounts in one run"
        return None


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one target, by operation. A disable is the operation that closes a school, so it is the tightest."""

    create: Limit = field(default=Limit(percent=20), metadata=_documented("accounts created"))
    update: Limit = field(default=Limit(percent=50), metadata=_documented("accounts whose attributes change"))
    move: Limit = field(default=Limit(percent=30), metadata=_documented("accounts renamed or moved to another container"))
    enable: Limit = field(default=Limit(percent=20), metadata=_documented("accounts enabled"))
    disable: Limit = field(default=Limit(percent=3, absolute=500), metadata=_documented("accounts disabled"))
    delete: Limit = field(default=Limit(percent=0.5, absolute=25, at_least=0), metadata=_documented("accounts deleted"))
    member: Limit = field(default=Limit(percent=300), metadata=_documented("group memberships added or removed"))


@dataclass(frozen=True, slots=True)
class Shape:
    """What a source must look like to be believed."""

    floor: int = field(default=1, metadata=_documented("fewer persons than this in a roster is an error, never a leaver wave"))
    shrink_percent: float = field(
        default=5.0, metadata=_documented("a roster smaller than the last accepted one by more than this is refused")
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken limit, in words an operator can act on: what, how many, of how many, which limit, how to look."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may go on. `findings` hold the run; `first` names targets whose next apply must be explicit (R14, R25)."""

    findings: tuple[Finding, ...] = ()
    first: tuple[TargetName, ...] = ()

    @property
    def clear(self) -> bool:
        """True when the plan may be applied without anybody being asked."""
        return not self.findings and not self.first


_OPERATIONS: Mapping[str, frozenset[Kind]] = {
    "create": frozenset({Kind.CREATE}),
    "update": frozenset({Kind.UPDATE, Kind.REFER}),
    "move": frozenset({Kind.MOVE}),
    "enable": frozenset({Kind.ENABLE}),
    "disable": frozenset({Kind.DISABLE}),
    "delete": frozenset({Kind.DELETE}),
    "member": frozenset({Kind.ADD_MEMBER, Kind.REMOVE_MEMBER}),
}
_FILLING = frozenset({"create", "update", "member"})
_NOUN = {"member": "group memberships"}


def judge_source(source: SourceName, persons: int, last: int | None, shape: Shape) -> list[Finding]:
    """What is wrong with the size of one snapshot against its floor and the last accepted one (R2: only accepted ones count)."""
    if persons < shape.floor:
        return [
            Finding(
                f"source {source}",
                f"{persons:,} persons, below the floor of {shape.floor:,}; nothing is planned from it. "
                f"Look at the file; if the district really is that small now, lower sources.{source}.shape.floor",
            )
        ]
    if last and persons * 100 < last * (100 - shape.shrink_percent):
        gone = last - persons
        return [
            Finding(
                f"source {source}",
                f"{gone:,} of {last:,} persons are gone since the last accepted roster ({gone * 100 / last:.1f} %), more than "
                f"the {shape.shrink_percent:g} % of sources.{source}.shape.shrink_percent. "
                "Look at the file: a partial export looks like this",
            )
        ]
    return []


def judge_canaries(source: SourceName, missing: int, canaries: int) -> list[Finding]:
    """What is wrong with a snapshot in which persons are missing that are in every good one; they are counted, not named."""
    if not missing:
        return []
    return [
        Finding(
            f"source {source}",
            f"{missing} of the {canaries} canaries of sources.{source}.canaries {'is' if missing == 1 else 'are'} missing, "
            "who are in every good roster. Look at the file; if one of them has really left, take the key out of the list",
        )
    ]


def judge(
    plans: Mapping[TargetName, Iterable[Change]],
    accounts: Mapping[TargetName, int],
    limits: Mapping[TargetName, Limits],
    history: Mapping[TargetName, bool],
    filling: Collection[TargetName] = (),
) -> Verdict:
    """The verdict over all plans, before any write. `accounts` is how many accounts are linked on each target.

    On a target without history creates have no share to be measured against: only its explicit first apply releases them. One whose
    first apply was cut short is `filling`: what makes accounts and completes them is still part of that first apply.
    """
    findings: list[Finding] = []
    first: list[TargetName] = []
    for target in sorted(plans):
        count: Counter[str] = Counter()
        people: dict[str, set[str]] = {name: set() for name in _OPERATIONS}
        changes = list(plans[target])
        created = {change.person for change in changes if change.kind is Kind.CREATE}
        for change in changes:
            for operation, kinds in _OPERATIONS.items():
                # What else a new account needs is part of its creation, and judged with it.
                if change.kind in kinds and (change.kind is Kind.CREATE or change.person not in created):
                    count[operation] += 1
                    people[operation].add(change.person or "")
        if changes and not history[target]:
            first.append(target)
        for operation in _OPERATIONS:
            number = count[operation] if operation == "member" else len(people[operation])
            unmeasured = operation in _FILLING if target in filling else operation == "create" and not history[target]
            excess = None if unmeasured else getattr(limits[target], operation).excess(number, accounts[target])
            if excess:
                findings.append(
                    Finding(
                        f"target {target}",
                        f"{number:,} {_NOUN.get(operation, 'accounts')} would be {_past(operation)}, "
                        f"but targets.{target}.limits.{operation} allows {excess}. Nothing was written. "
                        f"See them with: syncd plan --kind {operation}",
                    )
                )
    return Verdict(tuple(findings), tuple(first))


def _past(operation: str) -> str:
    return {"member": "changed", "move": "moved or renamed"}.get(operation, operation.removesuffix("e") + "ed")
