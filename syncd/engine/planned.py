"""What a plan is made of, what it makes true when it is applied, and how it is kept until then.

A stored plan holds every change and the day its initial values were made on; applying it plans again and compares digests (R15).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import date
from typing import Any

from syncd.core.guard import Cell, Verdict
from syncd.core.guard import Finding as Broken
from syncd.core.lifecycle import PersonState
from syncd.core.model import KIND_ORDER, Change, Kind, Outcome, PersonId, Result, RunId, SourceName, Subject, SubjectKey, TargetName
from syncd.core.naming import ledger_key
from syncd.core.plan import Plan, without_orphans
from syncd.core.profile import Profile
from syncd.engine.carry_out import STANDING, Report
from syncd.engine.desire import Decided, Desire
from syncd.engine.gather import People, Reading
from syncd.engine.matching import Matched
from syncd.engine.set_aside import NOBODY, SetAside
from syncd.engine.shapes import is_known
from syncd.errors import EndpointError, TransientError
from syncd.store import Acceptance, Finding, Said, SnapshotRow
from syncd.store.codec import change_from_json, change_to_json, dumps

Stopped = Mapping[TargetName, EndpointError | TransientError]
Shelf = Mapping[tuple[TargetName, PersonId], Collection[str]]
"""Digests of what is not to be done again (R22), by target and person; none of them: the shelf is empty for that person."""
_TOGETHER = 1_000  # changes told as one piece of JSON


@dataclass(frozen=True, slots=True)
class Undoes:
    """Which run a plan takes back, and of whom, where and what; empty means all."""

    run: RunId
    persons: frozenset[PersonId] = frozenset()
    campuses: frozenset[str] = frozenset()
    kinds: frozenset[Kind] = frozenset()


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with everything needed to apply it."""

    run: RunId
    pipeline: str
    kind: str
    today: date
    plans: Mapping[TargetName, Plan]
    verdict: Verdict
    findings: tuple[Finding, ...]
    readings: Mapping[SourceName, Reading]
    decided: Mapping[PersonId, Decided]
    matched: Mapping[TargetName, Matched]
    people: People
    fingerprints: Mapping[str, str]
    reserved: Mapping[str, PersonId]
    stopped: Stopped = field(default_factory=dict)
    one_person: bool = False
    came_from: Mapping[PersonId, str] = field(default_factory=dict)  # the campus somebody leaves in this run (R11)
    undoes: Undoes | None = None
    shelf: Shelf = field(default_factory=dict)  # as it is once this plan is applied; one that never is changes nothing there
    aside: SetAside = NOBODY  # what was refused before, and is not sent now
    lapsed: frozenset[str] = frozenset()  # digests that a human turned down, and that nobody wants any more
    released: frozenset[PersonId] = frozenset()  # whom a human let go though a limit holds their cell (R15)
    profiles: Mapping[SourceName, Mapping[str, Profile]] = field(default_factory=dict)  # what is believed of the rosters' files
    doubt: str = ""  # why the clock is not believed
    said: Said | None = None  # the decision behind it, which goes on the audit's chain with what it brings
    phases: Mapping[str, float] = field(default_factory=dict)  # seconds of each phase of the plan, in order

    @property
    def unread(self) -> dict[SourceName, EndpointError]:
        """The sources that could not be read, whose last accepted rosters stand in for them (R1)."""
        return {name: reading.failed for name, reading in self.readings.items() if reading.failed is not None}

    @property
    def waits(self) -> list[str]:
        """What holds this plan or a part of it, in words."""
        return [*filter(None, [self.doubt]), *map(str, self.verdict.findings)]

    @property
    def changes(self) -> int:
        """How many changes there are, over all targets."""
        return sum(len(one.changes) for one in self.plans.values())

    @property
    def summary(self) -> dict[str, int]:
        """Counts for the run's row: changes by kind, persons looked at, findings by kind."""
        counts: Counter[str] = Counter()
        for one in self.plans.values():
            counts.update({str(kind): number for kind, number in one.counts.items()})
        counts.update(Counter(f"finding: {finding.kind}" for finding in self.findings))
        for name, left in self.observed.items():
            counts[observed_key(name)] = len(left)
            counts.update(Counter(observed_key(name, change.kind) for change in left))
        counts["persons"] = len(self.decided)
        return dict(counts)

    def unfinished(self) -> set[PersonId]:
        """Who must be looked at again whatever lands: blocked, unreadable, disputed, adopted, or due on a target that sat out (R5).

        Whoever is shielded misses what other rows brought them: repaired to just what it was, their own row would not tell.
        """
        if self.stopped:
            return set(self.decided)
        blocked = {person for person, one in self.decided.items() if one.blocked or one.standing.frozen}
        return blocked.union(*(one.waiting for one in self.matched.values()))

    @property
    def observed(self) -> dict[TargetName, tuple[Change, ...]]:
        """What would be changed besides, where not all of a target is released (R34)."""
        return {
            name: tuple(sorted(one.observed, key=order_key)) for name, one in self.matched.items() if not one.released.everything
        }

    @property
    def owing(self) -> set[PersonId]:
        """Whose account is not opened or closed as their state says: because that was refused, or is only observed.

        Whoever has an account on a target that is live is as open or closed as they should be there.
        """
        observed = [change.person for one in self.matched.values() for change in one.observed if change.kind in STANDING]
        live = {person for one in self.matched.values() if one.released.everything for person in one.wants} if observed else set()
        return {*self.aside.owing, *(person for person in observed if person is not None and person not in live)}

    def moving(self) -> set[PersonId]:
        """Everybody with a change in this plan."""
        return {change.person for one in self.plans.values() for change in one.changes if change.person is not None}

    def doubted(self) -> set[PersonId]:
        """Of whom the roster is not believed yet, so that they are remembered as the last one told of them (R2, R5).

        They are held, or nothing of them may change: they stay marked, and the next run compares with the same. What is told of
        somebody new there is nothing to compare with.
        """
        blocked = {person for person, one in self.decided.items() if one.blocked}
        return {person for person in self.verdict.held | blocked if is_known(self.people.states.get(person))}

    @property
    def promised(self) -> dict[str, PersonId]:
        """The names of everybody for whom an account would be made, given to them in this run or before (R9)."""
        made = {
            change.person for one in self.plans.values() for change in one.changes if change.kind is Kind.CREATE and change.person
        }
        return {ledger_key(name.value): person for person in made for name in self.decided[person].names.values()}

    def acceptance(self) -> Acceptance:
        """What becomes true when the plan is applied, before its first change is sent: one transaction."""
        people = self.people
        moving = self.moving() | self.owing
        doubted = self.doubted()
        whole = not self.one_person
        # Of whom no account was worked out nothing new is known: what they were promised before may be over meanwhile (R9).
        names = {person: dict(one.names) for person, one in self.decided.items() if one.names and one.wanted}
        for one in self.matched.values():
            for person, kept in one.names.items():
                names[person] = {**names.get(person, {}), **kept}
        mine = self.decided.keys()
        believed = mine - doubted
        states = [
            _not_yet(one.state, people.states.get(person)) if person in moving else one.state
            for person, one in self.decided.items()
            if person not in doubted
        ]
        return Acceptance(
            snapshots=tuple(_snapshot(reading, self.today) for reading in self.readings.values() if reading.fresh and whole),
            digests={name: _digests(one, people) for name, one in self.readings.items() if (one.fresh or one.gone) and whole},
            records=tuple(record for person, records in people.records.items() if person in believed for record in records),
            # An absence counts with the snapshot it was seen in (R13), and a run for one person accepts none.
            keys=tuple(key for key in people.changed_keys if key.person in mine and (whole or key.missing_since is None)),
            persons=tuple(state for state in states if people.states.get(state.id) != state),
            refs={person: one.refs for person, one in self.decided.items() if one.person is not None},
            dirty=moving | self.unfinished() | doubted,
            names={person: tuple(kept.values()) for person, kept in names.items()},
            links=tuple(link for one in self.matched.values() for link in one.links),
            found={name: holder for one in self.matched.values() for name, holder in one.found.items()},
            fingerprints=self.fingerprints if whole else {},
            findings=self.findings if whole else None,
            believed=self.verdict.believed,
            bookmarks={name: one.bookmark for name, one in self.matched.items() if one.bookmark and whole},
            gone={name: one.gone for name, one in self.matched.items() if one.gone is not None and whole},
            retold={name: one.retold for name, one in self.readings.items() if whole and one.retold is not None},
            profiles=self.profiles if whole else {},
            said=self.said,
        )


def _not_yet(state: PersonState, before: PersonState | None) -> PersonState:
    """The state as it is until its changes have landed: a lifecycle step that a kill interrupts is decided again (R5)."""
    before = before or PersonState(state.id)
    return replace(state, state=before.state, since=before.since)


def _snapshot(reading: Reading, today: date) -> SnapshotRow:
    spool = reading.spool
    counts = {**spool.counts, "persons": reading.persons}
    return SnapshotRow(reading.source, spool.id, spool.content, counts, reading.same_since or today, spool.fetched_at)


def _digests(reading: Reading, people: People) -> tuple[dict[SubjectKey, int], set[SubjectKey]]:
    """The digests to advance: not those of keys nobody could be found or read for (R5)."""
    stuck = {SubjectKey(Subject.PERSON, key) for key in people.unsettled.get(reading.source, ())}
    return {key: digest for key, digest in reading.changed.items() if key not in stuck}, reading.gone - stuck


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of a plan. `held` are changes that were not applied because they did not replan identically (R15)."""

    run: RunId
    reports: Mapping[TargetName, Report]
    held: tuple[Change, ...] = ()
    findings: tuple[Broken, ...] = ()  # the limits that hold cells back
    vanished: int = 0  # changes of the stored plan that are not needed any more
    stopped: Stopped = field(default_factory=dict)  # targets that sat the whole run out
    unread: Mapping[SourceName, EndpointError] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """How many changes were refused, and targets that could not be used."""
        return sum(len(report.failures) + (report.stopped is not None) for report in self.reports.values())

    @property
    def landed(self) -> int:
        """How many changes are now as they should be."""
        return sum(report.results[Result.DONE] + report.results[Result.ALREADY] for report in self.reports.values())

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """Every refused change with the target's words."""
        return tuple(outcome for report in self.reports.values() for outcome in report.failures)


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan as it was kept: what was to be done, planned on which day, and why it was held."""

    pipeline: str
    kind: str
    today: date
    mapped_on: date
    plans: Mapping[TargetName, Plan]
    verdict: tuple[str, ...]
    held: frozenset[PersonId] = frozenset()
    undoes: Undoes | None = None
    shapes: frozenset[str] = frozenset()  # what an approval of the rosters as a whole would say
    cells: tuple[tuple[Cell | None, frozenset[PersonId]], ...] = ()  # who is held in which cell


def without(whole: Plan, persons: Collection[PersonId]) -> Plan:
    """The plan without these persons' changes, and without the containers and groups that only they need (R16)."""
    if not persons:
        return whole
    kept = [change for change in whole.changes if change.person is None or change.person not in persons]
    return Plan(whole.target, tuple(without_orphans(kept)))


def without_all(plans: Mapping[TargetName, Plan], persons: Collection[PersonId]) -> dict[TargetName, Plan]:
    """The plans of all targets without these persons' changes."""
    return {name: without(one, persons) for name, one in plans.items()}


def transfers(people: People, decided: Mapping[PersonId, Decided]) -> dict[PersonId, str]:
    """The campus that each person leaves in this run."""
    before = {person: people.states[person].campus for person in decided if person in people.states}
    return {person: campus for person, campus in before.items() if campus and campus != decided[person].state.campus}


def changes_of(ready: Planned) -> list[Change]:
    """Every change of a plan, over all targets."""
    return [change for one in ready.plans.values() for change in one.changes]


def findings_of(
    people: People, desire: Desire, matched: Mapping[TargetName, Matched], readings: Mapping[SourceName, Reading]
) -> list[Finding]:
    """Everything to be listed of a run: who was left alone and why, and what the sources have to say."""
    notes = [Finding("source note", name, note, None, name) for name, reading in readings.items() for note in reading.spool.notes]
    failed = [
        Finding("source failed", name, f"{reading.failed}; its last accepted roster stands in for it", None, name, None, {})
        for name, reading in readings.items()
        if reading.failed
    ]
    return [
        *people.findings.values(),
        *desire.findings,
        *(found for one in matched.values() for found in one.findings),
        *notes,
        *failed,
    ]


def dump(planned: Planned, mapped_on: date) -> bytes:
    """A plan as bytes, to be sealed by the store (R38)."""
    told = {
        "pipeline": planned.pipeline,
        "kind": planned.kind,
        "today": planned.today.isoformat(),
        "mapped_on": mapped_on.isoformat(),
        "verdict": [str(finding) for finding in planned.verdict.findings],
        "held": sorted(planned.verdict.held - planned.verdict.idle),
        "shapes": sorted({finding.digest for finding in planned.verdict.findings if finding.digest}),
        "cells": [[*astuple(one.cell), sorted(one.persons)] for one in planned.verdict.findings if one.cell],
        "undoes": _undoes_told(planned.undoes),
    }
    plans = [b"%b:[%b]" % (dumps(name), b",".join(_told(one.changes))) for name, one in planned.plans.items()]
    return b'%b,"plans":{%b}}' % (dumps(told)[:-1], b",".join(plans))


def _told(changes: Sequence[Change]) -> Iterator[bytes]:
    """The changes as JSON, some at a time: a large plan is not held twice as objects and once more as text."""
    for start in range(0, len(changes), _TOGETHER):
        yield dumps([change_to_json(change) for change in changes[start : start + _TOGETHER]])[1:-1]


def load(kept: bytes) -> StoredPlan:
    """The plan that was dumped."""
    told = json.loads(kept)
    return StoredPlan(
        told["pipeline"],
        told["kind"],
        date.fromisoformat(told["today"]),
        date.fromisoformat(told["mapped_on"]),
        {
            TargetName(name): Plan(TargetName(name), tuple(change_from_json(change) for change in changes))
            for name, changes in told["plans"].items()
        },
        tuple(told["verdict"]),
        frozenset(PersonId(person) for person in told.get("held", ())),
        _undoes_read(told.get("undoes")),
        frozenset(told.get("shapes", ())),
        tuple((Cell(*cell), frozenset(map(PersonId, persons))) for *cell, persons in told.get("cells", ())),
    )


def _undoes_told(undoes: Undoes | None) -> list[object] | None:
    if undoes is None:
        return None
    return [undoes.run, sorted(undoes.persons), sorted(undoes.campuses), sorted(undoes.kinds)]


def _undoes_read(told: list[Any] | None) -> Undoes | None:
    if told is None:
        return None
    run, persons, campuses, kinds = told
    return Undoes(RunId(run), frozenset(map(PersonId, persons)), frozenset(campuses), frozenset(map(Kind, kinds)))


def observed_key(target: TargetName, kind: Kind | None = None) -> str:
    """Under which a run's summary tells how many changes of a target were only observed; of one kind, or all."""
    return f"observed on {target}" + (f": {kind}" if kind else "")


def order_key(change: Change) -> tuple[int, str, str, str]:
    """The order in which changes are listed: by kind, then campus, then person, then group."""
    return KIND_ORDER[change.kind], change.campus, _numbered(change.person or ""), change.group or ""


def _numbered(person: str) -> str:
    return f"{person[:1]}{person[1:]:0>12}"
