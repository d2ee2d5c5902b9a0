"""What the guard is told, what it says, and what a human lets go in spite of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from functools import cache
from zoneinfo import ZoneInfo

from syncd.core import clock, guard, plan, signs
from syncd.core.guard import VANISH, Cell, Finding, Verdict
from syncd.core.model import Change, Kind, PersonId, RunId, SourceName, TargetName
from syncd.core.plan import Plan
from syncd.core.profile import Profile
from syncd.core.protected import Protected, judge_protected, judge_required
from syncd.core.signs import Sign
from syncd.engine import shapes
from syncd.engine.desire import Decided
from syncd.engine.gather import People, Reading, SourceAccess
from syncd.engine.matching import Matched
from syncd.engine.planned import Planned, without
from syncd.engine.profiles import listed
from syncd.engine.rollover import under_way
from syncd.engine.shapes import Ground
from syncd.errors import EndpointError
from syncd.settings import Config
from syncd.store import Finding as Noted
from syncd.store import Store
from syncd.store.claims import CLAIM
from syncd.store.devices import DEVICES
from syncd.store.facts import LOCK

BEGUN, ENDED = "begun", "ended"  # the explicit first apply to a target, which may take more than one run (R14)
_REJECTED = "turned down by a human: not made and not offered again until it is another change; see `syncd holds`"
_CLOSES = frozenset({Kind.DISABLE, Kind.PARK, Kind.DELETE})
_WROTE = frozenset({"applying", "interrupted", "done", "partly failed"})  # what a run is called once it may have written
_ABOUT = timedelta(days=7)
_LONG_AGO = date(2000, 1, 1)
_NOT_SPENT: tuple[dict[Cell, int], dict[Cell, int]] = ({}, {})


@dataclass(frozen=True, slots=True)
class Judged:
    """What a run planned, to be judged as one."""

    people: People
    decided: Mapping[PersonId, Decided]
    plans: Mapping[TargetName, Plan]
    matched: Mapping[TargetName, Matched]
    came_from: Mapping[PersonId, str]


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is said of the plans of a run.

    `released` are people whom a human let go though a limit would hold them, `rejected` people with a change that a human
    turned down; `lapsed` are digests that were turned down and are not wanted any more. `profiles` is what is believed of the
    rosters' files, `notes` what is told of them.
    """

    verdict: Verdict
    released: frozenset[PersonId] = frozenset()
    rejected: frozenset[PersonId] = frozenset()
    lapsed: frozenset[str] = frozenset()
    profiles: Mapping[SourceName, Mapping[str, Profile]] = field(default_factory=dict)
    notes: tuple[Noted, ...] = ()

    def without_rejected(
        self, plans: Mapping[TargetName, Plan], matched: Mapping[TargetName, Matched]
    ) -> tuple[dict[TargetName, Plan], list[Noted]]:
        """The plans without whoever has a change that was turned down (R16), who stay dirty (R5), and a finding for each."""
        for name, one in plans.items():
            matched[name].waiting |= {change.person for change in one.changes if change.person in self.rejected and change.person}
        left = {name: without(one, self.rejected) for name, one in plans.items()}
        return left, [Noted("rejected", person, _REJECTED, person) for person in sorted(self.rejected)]


class Judge:
    """Judges the plans of one district."""

    def __init__(
        self,
        config: Config,
        store: Store,
        clock: Callable[[], datetime],
        staff: Collection[str],
        unnamed: Callable[[Change], str],
    ) -> None:
        """`unnamed` tells what an account to be made is known by, whatever it would be called."""
        self._unnamed = unnamed
        self._config = config
        self._staff = frozenset(staff)
        self._store = store
        self._clock = clock

    def ground(self, today: date) -> Ground:
        """What is known of this day besides rosters and plans."""
        calendar = self._config.calendar
        return Ground(self._clock(), today, calendar.now(today), calendar, under_way(self._config, self._store, today), self._staff)

    def must_be_newest(self, run: RunId) -> None:
        """Raises EndpointError where a later run has written: what this one planned from is not so any more."""
        rows = self._store.runs(100)
        beside = (LOCK, CLAIM, DEVICES)
        later = [row.id for row in rows if row.status in _WROTE and row.kind not in beside and int(row.id[1:]) > int(run[1:])]
        if later:
            raise EndpointError(f"plan {run}", f"{later[0]} has been applied since", "plan again")

    def verdict(
        self, pipeline: str, accesses: Collection[SourceAccess], readings: Mapping[SourceName, Reading], run: Judged, ground: Ground
    ) -> Ruling:
        """The verdict, with what humans have decided of what it holds.

        What was turned down is judged with the rest, so that turning some of a wave down never lets the others go.
        """
        plans, season = run.plans, ground.season.name
        known = {name: self._known(name, one, run.matched[name], ground) for name, one in plans.items()}
        changes = {name: one.changes for name, one in plans.items()}
        people_at = cache(self._store.people_at)
        told = shapes.signs_of(run.people, run.decided, run.came_from, readings, self._store)
        looked = shapes.looked_at(accesses, readings, self._store, ground)
        found = shapes.broken_shapes(accesses, readings, looked, self._store, ground)
        absent = {person for person, keys in run.people.keys.items() if all(key.missing_since is not None for key in keys)}
        moved = {("create", name): _by_cell(one, {Kind.CREATE}) for name, one in plans.items()}
        moved |= {("disable", name): _by_cell(one, _CLOSES, absent) for name, one in plans.items()}
        found += shapes.waiting_with_the_vanished(found, moved)
        found += self._protected(changes)
        risen = shapes.rises(run.people, run.decided)
        found += risen
        rising = {person for one in risen for person in one.persons}
        # Of whoever is kept as they are for that, what else the roster tells is asked when they have been let go.
        found += self._signs(accesses, [one for one in told if one.person not in rising], people_at, ground)
        dirty = self._store.dirty() if any(one.broken for one in looked.values()) else frozenset[PersonId]()
        for one in looked.values():
            found += one.findings_of_people(run.people, run.decided, dirty, people_at)
        # A limit of a target that would hold nobody more is not said: the roster's says why.
        held = {person for finding in found for person in finding.persons}
        limits = guard.judge(changes, known, people_at, run.came_from, season).findings
        found += (one for one in limits if not one.persons <= held)
        moving = {change.person for one in plans.values() for change in one.changes if change.person is not None}
        # Nothing is to be done to these, and yet there is something to decide: whether they are gone, or have become staff.
        asked = {person: shapes.vanish_digest(person) for one in found if _is_of(one, VANISH) for person in one.persons}
        asked |= shapes.rise_digests((one.cell, one.persons) for one in risen)
        verdict = Verdict(tuple(found))
        wanted = _digests(change for one in plans.values() for change in one.changes)
        observing = frozenset[PersonId]().union(*(one.observing for one in run.matched.values()))
        # Of what is only observed nobody can tell whether it is still wanted.
        rejected, stays, lapsed = self._turned_down(wanted, plans, asked, readings, run.decided.keys() - observing)
        waits = verdict.held & moving
        released = self._approved(wanted, waits) - rejected if waits else frozenset[PersonId]()
        verdict = verdict.released(released | rejected | stays)
        # A sign of people to whom nothing would be done holds nobody.
        telling = tuple(one for one in verdict.findings if one.cell is None or not one.persons.isdisjoint(moving | asked.keys()))
        first = tuple(sorted(name for name, one in plans.items() if one.changes and self.is_first(pipeline, name)))
        verdict = replace(verdict, findings=telling, first=first)
        waiting = verdict.held | released | rejected | stays
        believed = Counter(cell for sign in told if sign.person not in waiting for cell in sign.cells)
        verdict = replace(verdict, idle=frozenset(verdict.held - moving - asked.keys()), believed=believed)
        believing = {name: profiles for name, one in looked.items() if (profiles := one.believed(verdict)) is not None}
        return Ruling(verdict, released, rejected, lapsed, believing, tuple(listed(looked.values())))

    def _turned_down(
        self,
        wanted: Mapping[PersonId, set[str]],
        plans: Mapping[TargetName, Plan],
        asked: Mapping[PersonId, str],
        readings: Mapping[SourceName, Reading],
        decided: Collection[PersonId],
    ) -> tuple[frozenset[PersonId], frozenset[PersonId], frozenset[str]]:
        """Who has a change that somebody turned down, whose absence or rise somebody did, and what is not wanted any more."""
        told = self._store.decisions.rejections(self._clock())
        if not told:
            return frozenset(), frozenset(), frozenset()
        gone = {digest: person for person, digest in asked.items() if person not in wanted}
        theirs = {one.person for one in told}
        made = [
            change for one in plans.values() for change in one.changes if change.kind is Kind.CREATE and change.person in theirs
        ]
        unnamed = {(change.person, self._unnamed(change)) for change in made}
        rejected = frozenset(
            one.person for one in told if one.digest in wanted.get(one.person, ()) or (one.person, one.digest) in unnamed
        )
        read = bool(readings) and all(one.fresh and one.failed is None for one in readings.values())
        lapsed = frozenset(
            one.digest
            for one in told
            if one.digest not in gone
            and (read if one.digest == shapes.vanish_digest(one.person) else one.person in decided)
            and one.person not in rejected
        )
        return rejected, frozenset(gone[one.digest] for one in told if one.digest in gone), lapsed

    def _protected(self, changes: Mapping[TargetName, Collection[Change]]) -> Iterator[Finding]:
        """What touches what the configuration says never to touch, or closes the account of somebody who must have one."""
        required = {
            key.person
            for name, source in self._config.sources.items()
            if source.required
            for key in self._store.keys(name, source.required).values()
        }
        for name, mine in changes.items():
            protected = self._config.targets[name].protected
            if mine and protected != Protected():
                persons = {person for text in protected.persons for person in self._store.find_person(text)}
                yield from judge_protected(name, mine, protected, persons)
            if mine and required:
                yield from judge_required(name, mine, required)

    def _signs(
        self,
        accesses: Iterable[SourceAccess],
        told: Collection[Sign],
        people_at: Callable[[], Mapping[tuple[str, str], int]],
        ground: Ground,
    ) -> list[Finding]:
        found: list[Finding] = []
        for access in accesses if told else ():
            day, week = self._spent(TargetName(access.name), ground)
            found += signs.judge_signs(access.name, access.shape, told, people_at, day, week, ground.season.name)
        return found

    def _spent(self, name: TargetName, ground: Ground) -> tuple[Mapping[Cell, int], Mapping[Cell, int]]:
        """What was done in this season: what another one allowed says nothing of this one."""
        zone = ZoneInfo(self._config.district.timezone)
        since = datetime.combine(max(ground.season.since, _LONG_AGO), time_of_day(), zone)
        return self._store.spent(name, self._clock(), since)

    def _known(self, name: TargetName, one: Plan, matched: Matched, ground: Ground) -> guard.Known:
        day, week = self._spent(name, ground) if one.changes else _NOT_SPENT
        return guard.Known(
            matched.accounts,
            self._config.targets[name].limits.in_season(ground.season.season),
            history=self._store.has_history(name),
            filling=self._store.first_apply(name) == BEGUN,
            day=day,
            week=week,
            most=lambda cell: self._most(cell, ground),
            yearly=lambda cell: self._yearly(cell, ground),
        )

    def _most(self, cell: Cell, ground: Ground) -> int | None:
        """The largest of the last school days of this season; None where they are too few to tell what is usual."""
        calendar, today = ground.calendar, ground.today
        first = max(calendar.back(today, guard.SCHOOL_DAYS), ground.season.since)
        if calendar.school_days(first - timedelta(days=1), today - timedelta(days=1)) * 2 < guard.SCHOOL_DAYS:
            return None
        # A day is the store's, which begins and ends some hours before or after the district's.
        return max(self._store.past.by_day(cell, first, today - timedelta(days=1)).values(), default=0)

    def _yearly(self, cell: Cell, ground: Ground) -> int:
        """As much as was done on the largest day about this time last year, what people let go included."""
        about = ground.today - timedelta(days=364)
        days: Counter[date] = Counter()
        for each in (cell, replace(cell, operation=f"{cell.operation}{guard.LET_GO}")):
            days.update(self._store.past.by_day(each, about - _ABOUT, about + _ABOUT))
        return max(days.values(), default=0)

    def _approved(self, wanted: Mapping[PersonId, set[str]], held: Collection[PersonId]) -> frozenset[PersonId]:
        """Those of the people all of whose changes somebody approved just as they are (R15)."""
        theirs = {person: mine for person, mine in wanted.items() if person in held}
        approved = self._store.decisions.approved({digest for mine in theirs.values() for digest in mine}, self._clock())
        return frozenset(person for person, mine in theirs.items() if mine <= approved)

    def cells_of(self, ready: Planned, name: TargetName) -> Callable[[Change], Collection[Cell]]:
        """Where a change that was made counts for runs to come (R12): apart what a human released, not what a first apply fills."""
        if name in ready.verdict.first or self._store.first_apply(name) == BEGUN:
            return lambda _: ()
        created = {change.person for change in ready.plans[name].changes if change.kind is Kind.CREATE}

        def counted(change: Change) -> Collection[Cell]:
            if change.person in created and change.kind is not Kind.CREATE:
                return ()
            cells = guard.cells(change, ready.came_from)
            if change.person in ready.released:  # it is no evidence of a runaway, but of what a year brings
                return [replace(cell, operation=f"{cell.operation}{guard.LET_GO}") for cell in cells]
            return cells

        return counted

    def is_first(self, pipeline: str, target: TargetName) -> bool:
        """Whether the next apply to a target must be explicit: never written to (R14), or not read since a restore (R25)."""
        return not self._store.has_history(target) or self.needs_reconcile(pipeline)

    def doubted(self, verdict: Verdict, pipeline: str, today: date) -> tuple[Verdict, str]:
        """The verdict, and why the clock is not believed, if it is not: then nothing is applied or accepted but explicitly."""
        doubt = clock.doubt(today, self._last_day(pipeline))
        targets = self._config.pipelines[pipeline].targets
        return (replace(verdict, first=tuple(sorted(targets))) if doubt else verdict), doubt

    def days(self, pipeline: str, today: date) -> tuple[date, date | None]:
        """The day to go by, and from which day the clock was set back further than that; None where it was not."""
        last = self._last_day(pipeline)
        chosen = clock.day(today, last)
        return chosen, last if last is not None and last > chosen else None

    def _last_day(self, pipeline: str) -> date | None:
        """The day of the last run of this pipeline that was applied."""
        seen = [self._store.meta(f"seen {source}") for source in self._config.pipelines[pipeline].sources]
        return max(map(date.fromisoformat, filter(None, seen)), default=None)

    def reconciled(self, pipeline: str) -> None:
        """The targets of this pipeline have been read; when all have, nothing is left of the restore."""
        restored, *done = self._store.meta("needs_reconcile").split() or [""]
        if restored:
            left = self._config.pipelines.keys() - {pipeline, *done}
            self._store.set_meta("needs_reconcile", " ".join([restored, *sorted({pipeline, *done})]) if left else "")

    def needs_reconcile(self, pipeline: str) -> bool:
        """Whether the store was restored and this pipeline has not read its targets since (R25)."""
        restored, *done = self._store.meta("needs_reconcile").split() or [""]
        return bool(restored) and pipeline not in done


def _is_of(finding: Finding, operation: str) -> bool:
    return finding.cell is not None and finding.cell.operation == operation


def _by_cell(one: Plan, kinds: Collection[Kind], among: Collection[PersonId] | None = None) -> dict[tuple[str, str], set[PersonId]]:
    """Who has a change of one of these kinds, by campus and population; `among` these only."""
    found: dict[tuple[str, str], set[PersonId]] = {}
    for change in one.changes:
        if change.kind in kinds and change.person is not None and (among is None or change.person in among):
            found.setdefault((change.campus, change.population), set()).add(change.person)
    return found


def _digests(changes: Iterable[Change]) -> dict[PersonId, set[str]]:
    """The digests of what is to be done, by person."""
    found: dict[PersonId, set[str]] = {}
    for change in changes:
        if change.person is not None:
            found.setdefault(change.person, set()).add(plan.digest(change))
    return found
