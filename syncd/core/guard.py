"""Limits a plan must satisfy before anything is written. Pure: counts in, a verdict in words out.

Nothing here knows how to look at a target or ask a human. What breaks a limit is *held*, by cell (R11): a campus whose leavers are
too many waits for somebody, and the others go on. What breaks a sum holds that operation on that target everywhere; what is wrong
with a source as a whole holds the run. A first apply is never exempt because it is the first: a target without history is always
held until applied explicitly (R14).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from syncd.core.model import Change, Kind, PersonId, SourceName, TargetName


def _documented(doc: str) -> dict[str, str]:
    return {"doc": doc}


@dataclass(frozen=True, slots=True)
class Limit:
    """How much of one operation may happen on one target in 24 hours, and how much at one campus among one population."""

    percent: float = field(default=100.0, metadata=_documented("share of the target's linked accounts, in percent"))
    absolute: int = field(default=1_000_000, metadata=_documented("number of changes, whatever the share"))
    at_least: int = field(
        default=5,
        metadata=_documented("this many are always allowed, so that a small district is not held for one leaver"),
    )
    campus_percent: float = field(
        default=100.0, metadata=_documented("share of the people of one population at one campus, in percent")
    )
    campus_at_least: int = field(
        default=5,
        metadata=_documented("this many are always allowed at one campus, so that a small one is not held for a family"),
    )
    week: float = field(default=2.0, metadata=_documented("over seven days, this many times what is allowed in 24 hours"))

    def excess(self, count: int, accounts: int) -> str | None:
        """Which limit `count` changes break among `accounts` accounts, in words; None when neither."""
        if count > self.absolute:
            return f"at most {self.absolute:,}, whatever their share of {accounts:,} accounts"
        if count > self.at_least and count * 100 > self.percent * accounts:
            return f"at most {self.percent:g} % of {accounts:,} accounts"
        return None

    def campus_excess(self, count: int, people: int) -> str | None:
        """Which limit `count` changes break among `people` people of one campus and population, in words; None when none."""
        if count > self.campus_at_least and count * 100 > self.campus_percent * people:
            return f"at most {self.campus_percent:g} % of the {people:,} there"
        return None

    def weekly(self) -> Limit:
        """The same for seven days."""
        return replace(
            self,
            percent=self.percent * self.week,
            absolute=int(self.absolute * self.week),
            at_least=int(self.at_least * self.week),
            campus_percent=self.campus_percent * self.week,
            campus_at_least=int(self.campus_at_least * self.week),
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one target, by operation. A disable is the operation that closes a school, so it is the tightest."""

    create: Limit = field(
        default=Limit(percent=20, campus_percent=40, campus_at_least=15), metadata=_documented("accounts created")
    )
    update: Limit = field(default=Limit(percent=50, campus_at_least=25), metadata=_documented("accounts whose attributes change"))
    move: Limit = field(
        default=Limit(percent=30, campus_percent=40, campus_at_least=15),
        metadata=_documented("accounts renamed or moved to another container"),
    )
    enable: Limit = field(
        default=Limit(percent=20, campus_percent=40, campus_at_least=15), metadata=_documented("accounts enabled")
    )
    disable: Limit = field(default=Limit(percent=3, absolute=500, campus_percent=5), metadata=_documented("accounts disabled"))
    delete: Limit = field(
        default=Limit(percent=0.5, absolute=25, at_least=0, campus_percent=2, campus_at_least=0),
        metadata=_documented("accounts deleted"),
    )
    member: Limit = field(
        default=Limit(percent=300, campus_percent=600, campus_at_least=100),
        metadata=_documented("group memberships added or removed"),
    )


@dataclass(frozen=True, slots=True)
class Shape:
    """What a source must look like to be believed."""

    floor: int = field(default=1, metadata=_documented("fewer persons than this in a roster is an error, never a leaver wave"))
    shrink_percent: float = field(
        default=5.0, metadata=_documented("a roster smaller than the last accepted one by more than this is refused")
    )
    campus_percent: float = field(
        default=5.0,
        metadata=_documented(
            "when more of one population at one campus vanish at once, they are kept as they are until somebody has looked"
        ),
    )
    campus_at_least: int = field(
        default=5, metadata=_documented("this many may always vanish at one campus, so that a small one is not held for a family")
    )

    def keeps(self, vanished: int, people: int) -> bool:
        """Whether so many of the people of one campus and population are too many to believe that they have gone."""
        return vanished > self.campus_at_least and vanished * 100 > self.campus_percent * people


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """The unit in which blast radius is judged (R11). Without campus and population: the sum over a target."""

    target: TargetName
    operation: str
    campus: str = ""
    population: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken limit, in words an operator can act on: what, how many, of how many, which limit, how to look.

    With a `cell` it holds the persons whose changes are counted there; without, the whole run.
    """

    where: str
    what: str
    cell: Cell | None = None
    persons: frozenset[PersonId] = frozenset()

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may go on. `findings` hold the run or cells of it; `first` are targets whose next apply must be explicit (R14, R25)."""

    findings: tuple[Finding, ...] = ()
    first: tuple[TargetName, ...] = ()

    @property
    def clear(self) -> bool:
        """True when the plan may be applied without anybody being asked."""
        return not self.findings and not self.first

    @property
    def blocked(self) -> bool:
        """True when nothing of the plan may be applied, whoever it is about."""
        return any(finding.cell is None for finding in self.findings)

    @property
    def held(self) -> frozenset[PersonId]:
        """Everybody with a change in a held cell: all their changes wait, on all targets (R16)."""
        return frozenset().union(*(finding.persons for finding in self.findings))

    def released(self, approved: Collection[PersonId]) -> Verdict:
        """The verdict once these people's changes have all been approved (R15). A cell holds whoever else is in it."""
        left = [
            replace(finding, persons=finding.persons - frozenset(approved)) if finding.cell else finding
            for finding in self.findings
        ]
        return replace(self, findings=tuple(finding for finding in left if finding.cell is None or finding.persons))


@dataclass(frozen=True, slots=True)
class Known:
    """What a target's plan is judged against. `accounts` are linked there; `first apply` may be under way (`filling`).

    `day` and `week` count what was applied in the last 24 hours and seven days, by cell (R12), but for what a human released.
    """

    accounts: int
    limits: Limits
    history: bool = True
    filling: bool = False
    day: Mapping[Cell, int] = field(default_factory=dict)
    week: Mapping[Cell, int] = field(default_factory=dict)


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


VANISH = "vanish"
"""The operation of a cell whose people are missing from a roster all at once."""


def vanished(source: SourceName, campus: str, population: str, persons: frozenset[PersonId], people: int, shape: Shape) -> Finding:
    """What is said of people who are kept as they are, since too many of them vanished at once (R12)."""
    return Finding(
        f"campus {campus or '(none)'}, {population or 'people'}, source {source}",
        f"{len(persons):,} have vanished from the roster, but sources.{source}.shape.campus_percent allows at most "
        f"{shape.campus_percent:g} % of the {people:,} there at once. They are kept as they are; everybody else goes on. "
        "Look at the file: an export that lost a campus looks like this. If they have really gone, approve it",
        Cell(TargetName(source), VANISH, campus, population),
        persons,
    )


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


def operation_of(kind: Kind) -> str | None:
    """The operation under whose limit a kind of change falls; None for what no limit counts."""
    return next((operation for operation, kinds in _OPERATIONS.items() if kind in kinds), None)


def cells(change: Change, came_from: Mapping[PersonId, str]) -> list[Cell]:
    """Where a change is counted: at its campus, at the one its person comes from in this run (R11), and in the sum."""
    operation = operation_of(change.kind)
    if operation is None or change.person is None:
        return []
    campuses = {change.campus, came_from.get(change.person, change.campus)}
    return [Cell(change.target, operation), *(Cell(change.target, operation, at, change.population) for at in sorted(campuses))]


def judge(
    plans: Mapping[TargetName, Collection[Change]],
    known: Mapping[TargetName, Known],
    people_at: Callable[[], Mapping[tuple[str, str], int]],
    came_from: Mapping[PersonId, str],
) -> Verdict:
    """The verdict over all plans, before any write.

    `people_at` tells how many people with access there are by campus and population; it is asked only where a cell is full enough
    to matter. `came_from` tells the campus that a person leaves in this run: a transfer counts at both (R11). On a target without
    history creates have no share to be measured against: only its explicit first apply releases them. One whose first apply was cut
    short is `filling`: what makes accounts and completes them is still part of that first apply.
    """
    findings: list[Finding] = []
    first: list[TargetName] = []
    for target in sorted(plans):
        facts, changes = known[target], plans[target]
        if changes and not facts.history:
            first.append(target)
        counted = _Counted(target, changes, came_from)
        for operation in _OPERATIONS:
            unmeasured = operation in _FILLING if facts.filling else operation == "create" and not facts.history
            if not unmeasured:
                findings += counted.broken(operation, facts, people_at)
    return Verdict(tuple(findings), tuple(first))


class _Counted:
    """The changes of one target's plan, by cell."""

    def __init__(self, target: TargetName, changes: Collection[Change], came_from: Mapping[PersonId, str]) -> None:
        self._target = target
        self._persons: dict[Cell, set[PersonId]] = {}
        self._edges: Counter[Cell] = Counter()
        created = {change.person for change in changes if change.kind is Kind.CREATE}
        for change in changes:
            # What else a new account needs is part of its creation, and judged with it.
            if change.person is None or (change.kind is not Kind.CREATE and change.person in created):
                continue
            for cell in set(cells(change, came_from)):
                self._persons.setdefault(cell, set()).add(change.person)
                self._edges[cell] += 1

    def _number(self, cell: Cell) -> int:
        return self._edges[cell] if cell.operation == "member" else len(self._persons.get(cell, ()))

    def broken(self, operation: str, facts: Known, people_at: Callable[[], Mapping[tuple[str, str], int]]) -> Iterator[Finding]:
        """What breaks a limit: the sum, or else each cell that does."""
        limit: Limit = getattr(facts.limits, operation)
        whole = Cell(self._target, operation)
        if not self._number(whole):
            return
        spans = (("in 24 hours", limit, facts.day), ("in seven days", limit.weekly(), facts.week))
        for span, bound, before in spans:
            excess = bound.excess(self._number(whole) + before.get(whole, 0), facts.accounts)
            if excess:
                yield self._finding(whole, f"{excess} {span}", before.get(whole, 0))
                return
        for cell in sorted(cell for cell in self._persons if cell.operation == operation and cell != whole):
            for span, bound, before in spans:
                count = self._number(cell) + before.get(cell, 0)
                if count <= bound.campus_at_least:
                    continue  # however few people there are
                excess = bound.campus_excess(count, people_at().get((cell.campus, cell.population), 0))
                if excess:
                    yield self._finding(cell, f"{excess} {span}", before.get(cell, 0))
                    break

    def _finding(self, cell: Cell, allowed: str, before: int) -> Finding:
        number, operation = self._number(cell), cell.operation
        at = f"campus {cell.campus or '(none)'}, {cell.population or 'people'}, on " if cell != Cell(cell.target, operation) else ""
        key = f"targets.{cell.target}.limits.{operation}" + (".campus_percent" if at else "")
        look = f"syncd plan --kind {operation}" + (f" --campus {cell.campus}" if at and cell.campus else "")
        already = f", and {before:,} have been already" if before else ""
        return Finding(
            f"{at}target {cell.target}",
            f"{number:,} {_NOUN.get(operation, 'accounts')} would be {_past(operation)}{already}, "
            f"but {key} allows {allowed}. They wait; everybody else goes on. See them with: {look}",
            cell,
            frozenset(self._persons[cell]),
        )


def _past(operation: str) -> str:
    return {"member": "changed", "move": "moved or renamed"}.get(operation, operation.removesuffix("e") + "ed")
