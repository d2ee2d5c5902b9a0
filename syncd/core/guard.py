"""Limits a plan must satisfy before anything is written. Pure: counts in, a verdict in words out.

Nothing here knows how to look at a target or ask a human. What breaks a limit is *held*, by cell (R11): a campus whose leavers are
too many waits for somebody, and the others go on. What breaks a sum holds that operation on that target everywhere; what is wrong
with a source as a whole holds the run. A first apply is never exempt because it is the first: a target without history is always
held until applied explicitly (R14).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date

from syncd.core.calendar import Season
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

    def scaled(self, factor: float) -> Limit:
        """So many times what it allows, but for what is always allowed."""
        if factor == 1:
            return self
        absolute = int(self.absolute * factor)
        return replace(self, percent=self.percent * factor, absolute=absolute, campus_percent=self.campus_percent * factor)

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

    def in_season(self, season: Season) -> Limits:
        """As they are in a season of the year."""
        return replace(self, **{one.name: getattr(self, one.name).scaled(season.factor(one.name)) for one in fields(self)})


A_CAMPUS = 3
"""Fewer people than this may all vanish from where they are: they are a family, or an office."""
_RARE = Limit(percent=2, at_least=25, campus_percent=5)
_SOMETIMES = Limit(percent=2, at_least=50, campus_percent=5, campus_at_least=15)


@dataclass(frozen=True, slots=True)
class Signs:
    """How many people a roster may tell otherwise of in 24 hours than the last accepted one did, by what it tells."""

    emptied: Limit = field(default=_RARE, metadata=_documented("one field has no value any more, which had one"))
    names: Limit = field(default=_RARE, metadata=_documented("another given or family name"))
    numbers: Limit = field(default=_RARE, metadata=_documented("another student, staff or state number, or username"))
    population: Limit = field(default=_RARE, metadata=_documented("another population"))
    grade: Limit = field(default=_SOMETIMES, metadata=_documented("another grade"))
    campus: Limit = field(default=_SOMETIMES, metadata=_documented("another primary campus; counted at both"))

    def in_season(self, season: Season) -> Signs:
        """As they are in a season of the year."""
        return replace(self, **{one.name: getattr(self, one.name).scaled(season.factor(one.name)) for one in fields(self)})


@dataclass(frozen=True, slots=True)
class Share:
    """How much of one file may look otherwise than in the last ten school days."""

    percent: float = field(metadata=_documented("share, in percent"))
    absolute: int = field(default=1_000_000, metadata=_documented("number, whatever the share"))
    at_least: int = field(
        default=25, metadata=_documented("this many are always allowed, so that a small file is not held for a few rows")
    )

    def excess(self, count: float, among: float) -> str | None:
        """Which bound `count` of so many breaks, in words; None when neither."""
        if count > self.absolute:
            return f"at most {self.absolute:,}"
        if count > self.at_least and count * 100 > self.percent * among:
            return f"at most {self.percent:g} %"
        return None


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
    week: float = field(default=2.0, metadata=_documented("over seven days, this many times what may vanish at one campus at once"))
    rows_percent: float = field(
        default=30.0,
        metadata=_documented("a file with fewer rows than in the last ten school days by more than this is refused"),
    )
    rows_at_least: int = field(default=200, metadata=_documented("a file that never had more rows than this is not judged"))
    older_percent: float = field(
        default=40.0,
        metadata=_documented(
            "when more of whoever differs are told just as they were before, the roster is taken for an older one"
        ),
    )
    older_at_least: int = field(
        default=5, metadata=_documented("this many may always be told as they were before, so that a correction is not held")
    )
    empty: Share = field(
        default=Share(percent=10),
        metadata=_documented(
            "of how many rows of a file a column in use may have become empty. Who is told of so with too many others waits until "
            "somebody has looked; where it is nobody in particular, the roster does"
        ),
    )
    repeated: Share = field(
        default=Share(percent=1),
        metadata=_documented(
            "in how many more rows of a file a number, username or address may stand that another row has as well; who is told of "
            "so with too many others waits until somebody has looked"
        ),
    )
    signs: Signs = field(
        default=Signs(),
        metadata=_documented(
            "of how many people a roster may tell something else at once. Who is told of with too many others waits until "
            "somebody has looked"
        ),
    )

    def in_season(self, season: Season) -> Shape:
        """As it is in a season of the year."""
        vanish = season.factor("vanish")
        return replace(
            self,
            shrink_percent=self.shrink_percent * vanish,
            campus_percent=self.campus_percent * vanish,
            rows_percent=self.rows_percent * season.factor("rows"),
            signs=self.signs.in_season(season),
        )

    def keeps(self, vanished: int, of_late: int, people: int) -> bool:
        """Whether so many of the people of one campus and population are too many to believe that they have gone.

        `of_late` others vanished in the last seven days. A campus of which nobody is left has not lost a family.
        """
        if vanished >= people >= A_CAMPUS and self.campus_percent < 100:  # noqa: PLR2004 — per cent
            return True
        if vanished > self.campus_at_least and vanished * 100 > self.campus_percent * people:
            return True
        week = vanished + of_late
        return week > self.campus_at_least * self.week and week * 100 > self.campus_percent * self.week * people


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

    With a `cell` it holds the persons whose changes are counted there; without, the whole run. `digest` is what an approval of the
    whole roster is known by, where a human may let it go (R15). A `final` one no approval lets go.
    """

    where: str
    what: str
    cell: Cell | None = None
    persons: frozenset[PersonId] = frozenset()
    digest: str = ""
    final: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may go on. `findings` hold the run or cells of it; `first` are targets whose next apply must be explicit (R14, R25).

    `idle` are held without anything to be done to them; `believed` counts the signs of rosters for which nobody is held, by cell.
    """

    findings: tuple[Finding, ...] = ()
    first: tuple[TargetName, ...] = ()
    idle: frozenset[PersonId] = frozenset()
    believed: Mapping[Cell, int] = field(default_factory=dict)

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
            replace(finding, persons=finding.persons - frozenset(approved)) if finding.cell and not finding.final else finding
            for finding in self.findings
        ]
        return replace(self, findings=tuple(finding for finding in left if finding.cell is None or finding.persons))


@dataclass(frozen=True, slots=True)
class Known:
    """What a target's plan is judged against. `accounts` are linked there; `first apply` may be under way (`filling`).

    `day` and `week` count what was applied in the last 24 hours and seven days, by cell (R12), but for what a human released.
    `most` tells the largest day of the last school days, None where too few are known, and `yearly` what was done in this cell on
    the largest day about this time last year; both are asked only where a limit, or half of it, is exceeded.
    """

    accounts: int
    limits: Limits
    history: bool = True
    filling: bool = False
    day: Mapping[Cell, int] = field(default_factory=dict)
    week: Mapping[Cell, int] = field(default_factory=dict)
    most: Callable[[Cell], int | None] = lambda _: None
    yearly: Callable[[Cell], int] = lambda _: 0

    def is_yearly(self, cell: Cell, count: int) -> bool:
        """Whether as much as that was done in this cell about this time last year, and people had no objection."""
        return count <= self.yearly(cell) * _AS_LAST_YEAR


LET_GO = " let go"
"""After an operation: what of it a human released, counted apart."""
SCHOOL_DAYS = 20
"""How many school days tell what is usual."""
_UNUSUAL, _TIMES, _FEW = 0.5, 3, 100
_AS_LAST_YEAR = 1.25


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
_NO_FILES = frozenset({"persons", "rejects"})  # counted, or judged, otherwise


APPROVABLE = "shape"
"""What stands in a Finding's `digest` until it is known which roster it is about."""


def during(season: str) -> str:
    """The season in words, where it is one that allows more."""
    return "" if season == "term" else f" while the year is {season}"


def judge_source(source: SourceName, persons: int, last: int | None, shape: Shape, season: str = "term") -> list[Finding]:
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
                f"the {shape.shrink_percent:g} % of sources.{source}.shape.shrink_percent{during(season)}. "
                "Look at the file: a partial export looks like this. If it is right, approve it",
                digest=APPROVABLE,
            )
        ]
    return []


VANISH = "vanish"
"""The operation of a cell whose people are missing from a roster all at once."""


def judge_rows(
    source: SourceName, rows: Mapping[str, int], most: Mapping[str, int], shape: Shape, season: str = "term"
) -> list[Finding]:
    """Which files of a roster have far fewer rows than the fullest of the last ten school days (R2: accepted ones)."""
    found = []
    for name, before in sorted(most.items()):
        now = rows.get(name, 0)
        if name not in _NO_FILES and before > shape.rows_at_least and now * 100 < before * (100 - shape.rows_percent):
            found.append(
                Finding(
                    f"source {source}",
                    f"{name} has {now:,} rows, and had up to {before:,} in the last ten school days: that is less by "
                    f"{(before - now) * 100 / before:.0f} %, and sources.{source}.shape.rows_percent allows "
                    f"{shape.rows_percent:g} %{during(season)}. Look at the file: an export that was cut looks like this. "
                    "If it is right, approve it",
                    digest=APPROVABLE,
                )
            )
    return found


def judge_age(
    source: SourceName, accepted_on: date | None, differ: int, known: int, before: int, shape: Shape, former: int = 0
) -> list[Finding]:
    """Whether a roster is an older one: one that was accepted earlier, or one in which most are as they were before.

    `differ` persons are told otherwise than in the last accepted roster, `known` of them were in it, and `before` of these are told
    just as they were before their last change. `former` are told under keys that they had before those of the last roster.
    """
    if accepted_on is not None:
        why = f"this is the roster of {accepted_on} again, and {differ:,} persons differ from the last accepted one"
    elif before > shape.older_at_least and before * 100 > known * shape.older_percent:
        why = f"{before:,} of {known:,} persons who differ are told just as they were before their last change"
    elif former > shape.older_at_least and former * 100 > differ * shape.older_percent:
        why = f"{former:,} of {differ:,} persons who differ are told under keys that they had before their present ones"
    else:
        return []
    return [
        Finding(
            f"source {source}",
            f"{why}: an old export looks like this (sources.{source}.shape.older_percent). Look at the file's date. "
            "If the roster is right, approve it",
            digest=APPROVABLE,
        )
    ]


def vanished(
    source: SourceName,
    gone: Mapping[tuple[str, str], Collection[PersonId]],
    people_at: Mapping[tuple[str, str], int],
    shape: Shape,
    season: str = "term",
) -> Iterator[Finding]:
    """What is said of people who are kept as they are, since too many of them vanished at once (R12).

    By campus and population; of one population that is missing almost everywhere, once.
    """
    for campus, population, who, there in spread(gone, people_at):
        at = f"campus {campus}, " if campus else ""
        yield Finding(
            f"{at}{population or 'people'}, source {source}",
            f"{len(who):,} have vanished from the roster, but sources.{source}.shape.campus_percent allows at most "
            f"{shape.campus_percent:g} % of the {there:,} there at once{during(season)}. "
            "They are kept as they are; everybody else goes on. "
            "Look at the file: an export that lost a campus looks like this. If they have really gone, approve it",
            Cell(TargetName(source), VANISH, campus, population),
            who,
        )


def spread(
    groups: Mapping[tuple[str, str], Collection[PersonId]], people_at: Mapping[tuple[str, str], int]
) -> Iterator[tuple[str, str, frozenset[PersonId], int]]:
    """Campus, population, people, and how many are there in all; for a population met almost everywhere once, without campus."""
    for population in sorted({population for _, population in groups}):
        campuses = {campus: frozenset(who) for (campus, of), who in groups.items() if of == population and who}
        there = {campus: count for (campus, of), count in people_at.items() if of == population}
        if len(campuses) >= A_CAMPUS and len(campuses) * 2 > len(there):
            campuses, there = {"": frozenset[PersonId]().union(*campuses.values())}, {"": sum(there.values())}
        for campus, who in sorted(campuses.items()):
            yield campus, population, who, there.get(campus, 0)


def judge_canaries(source: SourceName, missing: int, canaries: int) -> list[Finding]:
    """What is wrong with a snapshot in which persons are missing that are in every good one; they are counted, not named."""
    if not missing:
        return []
    return [
        Finding(
            f"source {source}",
            f"{missing} of the {canaries} canaries of sources.{source}.canaries {'is' if missing == 1 else 'are'} missing, "
            "who are in every good roster. Look at the file; if one of them has really left, take the key out of the list",
            digest=APPROVABLE,
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
    season: str = "term",
) -> Verdict:
    """The verdict over all plans, before any write. `season` is what the year is called now.

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
        counted = _Counted(target, changes, came_from, season)
        for operation in _OPERATIONS:
            unmeasured = operation in _FILLING if facts.filling else operation == "create" and not facts.history
            if not unmeasured:
                findings += counted.broken(operation, facts, people_at)
    return Verdict(tuple(findings), tuple(first))


class _Counted:
    """The changes of one target's plan, by cell."""

    def __init__(self, target: TargetName, changes: Collection[Change], came_from: Mapping[PersonId, str], season: str) -> None:
        self._target = target
        self._season = season
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
            count = self._number(whole) + before.get(whole, 0)
            excess = bound.excess(count, facts.accounts)
            if excess and not facts.is_yearly(whole, count):
                yield self._finding(whole, f"{excess} {span}", before.get(whole, 0))
                return
        unusual = self._unusual(whole, limit, facts)
        if unusual:
            yield self._finding(whole, unusual, facts.day.get(whole, 0))
            return
        for cell in sorted(cell for cell in self._persons if cell.operation == operation and cell != whole):
            for span, bound, before in spans:
                count = self._number(cell) + before.get(cell, 0)
                if count <= bound.campus_at_least:
                    continue  # however few people there are
                excess = bound.campus_excess(count, people_at().get((cell.campus, cell.population), 0))
                if excess and not facts.is_yearly(cell, count):
                    yield self._finding(cell, f"{excess} {span}", before.get(cell, 0))
                    break

    def _unusual(self, whole: Cell, limit: Limit, facts: Known) -> str | None:
        """Why half of a limit is all that is allowed: more than it, and far more than on any of the last school days."""
        count = self._number(whole) + facts.day.get(whole, 0)
        half = limit.scaled(_UNUSUAL).excess(count, facts.accounts)
        most = facts.most(whole) if half and count > _FEW else None
        if most is None or count <= most * _TIMES:
            return None
        return (
            f"{half} in 24 hours, half of the limit, for what is more than {_TIMES} times what was done on any of the last "
            f"{SCHOOL_DAYS} school days (at most {most:,})"
        )

    def _finding(self, cell: Cell, allowed: str, before: int) -> Finding:
        number, operation = self._number(cell), cell.operation
        at = f"campus {cell.campus or '(none)'}, {cell.population or 'people'}, on " if cell != Cell(cell.target, operation) else ""
        key = f"targets.{cell.target}.limits.{operation}" + (".campus_percent" if at else "")
        allowed += during(self._season)
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
