"""Undo: a plan of what takes a run back, and what keeps the next run from doing it again (R22)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

from syncd.core import plan
from syncd.core import undo as back
from syncd.core.lifecycle import LifecycleSpec
from syncd.core.model import Account, Change, NativeId, PersonId, PopulationName, Result, RunId, TargetName
from syncd.core.plan import Plan
from syncd.engine import planned
from syncd.engine.desire import Decided
from syncd.engine.gather import People
from syncd.engine.judging import Judge, Judged
from syncd.engine.matching import Matched
from syncd.engine.planned import Planned, Shelf, Undoes
from syncd.errors import EndpointError
from syncd.store import Finding, JournalRow, Store
from syncd.store.claims import CLAIM
from syncd.store.devices import DEVICES
from syncd.store.facts import LOCK
from syncd.targets.target import Target

UNDO = "undo"
_SHELVED = "undone by a human: stays as it is until the roster or the mapping wants something else; see `syncd shelved`"


class Undoing:
    """Plans the way back from a run, and keeps on the shelf what was undone."""

    def __init__(
        self,
        store: Store,
        judge: Judge,
        targets: Mapping[TargetName, Target],
        lifecycles: Mapping[PopulationName, LifecycleSpec],
    ) -> None:
        self._store = store
        self._judge = judge
        self._targets = targets
        self._lifecycles = lifecycles

    def plan(self, run: RunId, pipeline: str, undoes: Undoes, today: date) -> Planned:
        """A plan, called `run`, of what takes `undoes` back. What has changed since is left alone and listed."""
        done: dict[tuple[TargetName, PersonId], list[Change]] = {}
        for row in self._store.journal(undoes.run):
            if row.result is Result.DONE and row.change.person is not None and _is_chosen(row, undoes):
                done.setdefault((row.change.target, row.change.person), []).append(row.change)
        findings: list[Finding] = []
        changes: dict[TargetName, list[Change]] = {}
        for target in sorted({target for target, _ in done}):
            persons = {person for name, person in done if name == target}
            known = self._store.known(target, persons)
            for person in sorted(persons):
                one = known.get(person)
                now = None if one is None else (one.native_id, one.account, one.disabled_by_us)
                mine = self._undone(target, person, done[target, person], now, undoes.run)
                changes.setdefault(target, []).extend(mine.changes)
                findings += [
                    Finding("not undone", f"{change.kind} {person}", why, person, None, target) for change, why in mine.skipped
                ]
        plans = {name: Plan(name, tuple(sorted(listed, key=planned.order_key))) for name, listed in changes.items()}
        matched = {name: Matched(name, accounts=self._store.accounts(name)) for name in plans}
        ruling = self._judge.verdict(pipeline, (), {}, Judged(People(), {}, plans, matched, {}), self._judge.ground(today))
        plans, turned_down = ruling.without_rejected(plans, matched)
        return Planned(
            run=run,
            pipeline=pipeline,
            kind=UNDO,
            today=today,
            plans=plans,
            verdict=ruling.verdict,
            findings=(*findings, *turned_down),
            readings={},
            decided={},
            matched=matched,
            people=People(),
            fingerprints={},
            reserved={},
            released=ruling.released,
            one_person=True,
            undoes=undoes,
        )

    def _undone(
        self, target: TargetName, person: PersonId, done: list[Change], now: tuple[NativeId, Account, bool] | None, run: RunId
    ) -> back.Undone:
        spec = self._lifecycles.get(PopulationName(done[-1].population))
        park = spec.park_container if spec else None
        if park is not None:
            park = self._targets[target].canonical(Account("x", park, enabled=False, attributes={})).container
        return back.undo(target, person, done, now, f"undoes {run}", park)

    def hold(
        self,
        plans: Mapping[TargetName, Plan],
        matched: Mapping[TargetName, Matched],
        decided: Mapping[PersonId, Decided],
    ) -> tuple[dict[TargetName, Plan], list[Finding], Shelf]:
        """The plans without what is on the shelf, a finding for each who waits there, and the shelf once they are applied.

        What the first plan after an undo would do to somebody is what the undo must not be fought with: it is put on the shelf. It
        stays until a plan wants something else of them, since then what caused it has changed, or until a human releases it.
        """
        shelved = self._store.shelved()
        left = dict(plans)
        findings: list[Finding] = []
        shelf: dict[tuple[TargetName, PersonId], set[str]] = {}
        for target, one in plans.items():
            mine = {person: digests for (name, person), digests in shelved.items() if name == target}
            if not mine:
                continue
            wanted: dict[PersonId, set[str]] = {person: set() for person in mine if _is_decided(decided.get(person))}
            for change in one.changes:
                if change.person in wanted:
                    wanted[change.person].add(plan.digest(change))
            waiting = set()
            for person, digests in wanted.items():
                if person in matched[target].observing:
                    still = mine[person]  # of what is only observed nobody can tell whether it is still wanted
                else:
                    still = digests if "" in mine[person] else digests & mine[person]
                if still != mine[person]:
                    shelf[target, person] = still
                if still:
                    waiting.add(person)
                    findings.append(Finding("shelved", person, _SHELVED, person, None, target))
            matched[target].waiting |= waiting
            left[target] = planned.without(one, waiting)
        return left, findings, shelf

    def keep_back(self, ready: Planned) -> None:
        """Before an undo is carried out: what the next plan wants of these people goes on the shelf, whatever happens between."""
        self._store.shelve({
            (name, change.person): {""} for name, one in ready.plans.items() for change in one.changes if change.person is not None
        })  # fmt: skip

    def release(self, persons: Collection[PersonId]) -> int:
        """Take these people's changes off the shelf: the next run makes them. How many people that were."""
        held = {key: set[str]() for key in self._store.shelved() if key[1] in persons}
        self._store.shelve(held)
        self._store.mark({person for _, person in held})
        return len({person for _, person in held})


def _is_decided(one: Decided | None) -> bool:
    """Whether this run has made up its mind about somebody: of whom it has not, nothing is wanted, which means nothing."""
    return one is not None and not one.blocked and not one.standing.frozen


def _is_chosen(row: JournalRow, undoes: Undoes) -> bool:
    change = row.change
    return (
        (not undoes.persons or change.person in undoes.persons)
        and (not undoes.campuses or change.campus in undoes.campuses)
        and (not undoes.kinds or change.kind in undoes.kinds)
    )


def undoable(store: Store, run: RunId) -> str:
    """The pipeline of a run that can be undone. Raises EndpointError where it cannot: there is no such run, or it wrote nothing."""
    row = store.run(run)
    if row is None:
        raise EndpointError(f"run {run}", "there is no such run", "see `syncd runs`")
    if row.status in ("planning", "applying"):
        raise EndpointError(f"run {run}", "is still going on", "wait for it to end")
    if row.kind == LOCK:
        raise EndpointError(f"run {run}", "carried out a lock", "syncd unlock KEY gives the account back")
    if row.kind == CLAIM:
        raise EndpointError(f"run {run}", "carried out a claim", "syncd lock KEY takes the account away from whoever claimed it")
    if row.kind == DEVICES:
        raise EndpointError(f"run {run}", "was about devices", "correct the roster of devices: the next run makes them as it says")
    if not store.has_journal(run):
        raise EndpointError(
            f"run {run}", "wrote nothing", "where it is a plan that was applied, name the run that did: see `syncd runs`"
        )
    return row.pipeline
