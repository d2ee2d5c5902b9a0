"""The run: extract, digest, resolve, desire, observe, diff, guard, apply, record. The one imperative shell.

`plan()` does everything down to the guard and writes to no target; `apply()` does the rest. The scheduler, the command line and
every later caller use these two. What is decided is decided in `core`; what is remembered is the store's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from syncd import telemetry
from syncd.core import guard, mapping, plan
from syncd.core.guard import Verdict
from syncd.core.model import Change, Outcome, PersonId, RunId, SourceName, TargetName
from syncd.core.plan import Plan
from syncd.engine import explain, gather, planned
from syncd.engine.carry_out import CarryOut, Report
from syncd.engine.desire import Decided, Desire
from syncd.engine.gather import Reading, SourceAccess
from syncd.engine.lock import exclusive
from syncd.engine.matching import Matched, Matching
from syncd.engine.planned import Applied, Planned, StoredPlan
from syncd.engine.resolve import resolve
from syncd.errors import EndpointError, TransientError
from syncd.settings import Config, extra_fields
from syncd.sources import Source
from syncd.sources.spool import open_spool, purge
from syncd.store import Finding, Store
from syncd.targets import Scope
from syncd.targets.target import Target
from syncd.vault import Vault

DELTA = "delta"  # trusts the store about targets, looks only at who is dirty
EVERYTHING = "everything"  # trusts the store about targets, looks at everybody
RECONCILE = "reconcile"  # reads the targets, looks at everybody

Told = Callable[[Outcome], None]
_log = telemetry.logger("engine")


class Engine:
    """Plans and applies the pipelines of one district. One run at a time: a second one on the same store is refused."""

    def __init__(
        self,
        config: Config,
        store: Store,
        vault: Vault,
        clock: Callable[[], datetime],
        sources: Mapping[SourceName, Source],
        targets: Mapping[TargetName, Target],
    ) -> None:
        self._config = config
        self._store = store
        self._vault = vault
        self._clock = clock
        self._targets = targets
        self._people = mapping.compile_people(config.people, extra_fields(config.sources))
        self._mappings = {name: mapping.compile_target(spec, self._people) for name, spec in config.mappings.items()}
        self._accesses = {
            name: SourceAccess(name, sources[name], settings.shape, settings.match_on, settings.stale_after)
            for name, settings in config.sources.items()
        }
        self._spools = config.state / "spools"

    @property
    def today(self) -> date:
        """The date in the district's time zone (R27)."""
        return self._clock().astimezone(ZoneInfo(self._config.district.timezone)).date()

    # --- plan ---------------------------------------------------------------------------------------------------------

    def plan(
        self,
        pipeline: str,
        kind: str = DELTA,
        *,
        person: str | None = None,
        spools: Mapping[SourceName, str] | None = None,
        trigger: str = "operator",
        stored: bool = True,
    ) -> Planned:
        """What a run would do now. Writes to no target; where `stored`, the store keeps the sealed plan and its reserved names.

        `person` (a person id, source key, name or native id) plans that one person only. `spools` plans from kept snapshots instead
        of reading the sources. Raises EndpointError where a source failed that was never read before.
        """
        with exclusive(self._config.state, self._store, self._clock):
            return self._plan(pipeline, kind, person, spools or {}, None, trigger, stored=stored)

    def _plan(
        self,
        pipeline: str,
        kind: str,
        person: str | None,
        spools: Mapping[SourceName, str],
        mapped_on: date | None,
        trigger: str,
        *,
        stored: bool,
    ) -> Planned:
        stopped = self._resume()[1]
        now, today, store = self._clock(), self.today, self._store
        parts = self._config.pipelines[pipeline]
        if kind == DELTA and (store.meta("needs_reconcile") or not all(map(store.has_history, parts.targets))):
            kind = RECONCILE  # first contact, and after a restore: the target itself is read (R14, R25)
        run = store.begin_run(pipeline, kind, trigger, now)
        accesses = [self._accesses[name] for name in parts.sources]
        readings = {access.name: self._read(access, spools.get(access.name), now, today) for access in accesses}
        fingerprints = self._fingerprints(parts.targets)
        everyone = kind != DELTA or not fingerprints.items() <= store.fingerprints().items()
        asked = store.find_person(person) if person else []
        people = gather.people(accesses, readings, store, today, everyone=everyone, also=asked)
        desire = Desire(
            store,
            self._people,
            [self._mappings[name] for name in parts.targets],
            self._config.district.display,
            today,
            mapped_on=mapped_on,
        )
        linked = {owner for name in parts.targets for owner in store.linked(name).values()}
        decided = desire.decide(people, readings, linked)
        if person:
            chosen = {*asked, *(owner for owner, keys in people.keys.items() if person in {key.key for key in keys})}
            decided = {owner: one for owner, one in decided.items() if owner in chosen}
        usable = [name for name in parts.targets if name not in stopped]
        matched = self._match(usable, decided, desire.foreign, stopped, reconcile=kind == RECONCILE)
        plans = {name: Plan(name, tuple(sorted(one.changes, key=planned.order_key))) for name, one in matched.items()}
        adopted = {owner for one in matched.values() for owner in one.names}
        reserved = {
            name: owner
            for name, owner in desire.reserved.items()
            if owner in decided and owner not in desire.foreign and owner not in adopted
        }
        result = Planned(
            run=run,
            pipeline=pipeline,
            kind=kind,
            today=today,
            plans=plans,
            verdict=self._judge(accesses, readings, plans, matched),
            findings=tuple(_findings(people, desire, matched, readings)),
            readings=readings,
            decided=decided,
            matched=matched,
            people=people,
            fingerprints=fingerprints,
            reserved=reserved,
            stopped=stopped,
            one_person=person is not None,
        )
        _log.info(
            "run.planned", run=run, pipeline=pipeline, kind=kind, trigger=trigger, persons=len(decided), changes=result.changes,
            findings=len(result.findings), held=len(result.verdict.findings), seconds=(self._clock() - now).total_seconds(),
        )  # fmt: skip
        for where, error in stopped.items():
            _log.warning("target.stopped", run=run, target=where, failure=type(error).__name__)
        if stored:
            store.reserve(run, reserved, now)
            status = "planned" if result.verdict.clear else "held"
            store.save_plan(run, planned.dump(result, mapped_on or today), result.summary, status)
            self._expire({name: reading.spool.id for name, reading in readings.items()})
        return result

    def _read(self, access: SourceAccess, spool: str | None, now: datetime, today: date) -> Reading:
        if spool is None:
            return gather.read(access, self._store, self._spools, self._vault, now, today)
        kept = open_spool(self._spools, access.name, spool, self._vault)
        history = self._store.snapshots(access.name, 1)
        return gather.compare(access, kept, history[0] if history else None, self._store, today)

    def _fingerprints(self, targets: Collection[TargetName]) -> dict[str, str]:
        """What a mapping edit changes: then everybody is looked at (R4)."""
        people = f"{self._people.fingerprint} {self._config.district.display}"
        return {"people": people, **{f"target {name}": self._mappings[name].fingerprint for name in targets}}

    def _match(
        self,
        targets: Collection[TargetName],
        decided: Mapping[PersonId, Decided],
        foreign: Mapping[PersonId, str],
        stopped: dict[TargetName, EndpointError | TransientError],
        *,
        reconcile: bool,
    ) -> dict[TargetName, Matched]:
        matched: dict[TargetName, Matched] = {}
        for name in targets:
            matching = Matching(self._targets[name], self._mappings[name], self._store, self._people.lifecycle, foreign)
            try:
                matched[name] = matching.match(decided, reconcile=reconcile)
            except (EndpointError, TransientError) as error:
                stopped[name] = error  # this target sits the run out; the others go on
        return matched

    def _judge(
        self,
        accesses: Collection[SourceAccess],
        readings: Mapping[SourceName, Reading],
        plans: Mapping[TargetName, Plan],
        matched: Mapping[TargetName, Matched],
    ) -> Verdict:
        verdict = guard.judge(
            {name: one.changes for name, one in plans.items()},
            {name: one.accounts for name, one in matched.items()},
            {name: self._config.targets[name].limits for name in plans},
            {name: self._store.has_history(name) for name in plans},
        )
        return replace(verdict, findings=(*gather.broken_shapes(accesses, readings, self._store), *verdict.findings))

    # --- apply --------------------------------------------------------------------------------------------------------

    def apply(self, ready: Planned, *, first: bool = False, told: Told = lambda _: None) -> Applied | None:
        """Apply a plan made by this process just now. None where it is held: nothing was written.

        `first` releases the targets that were never applied to, and nothing else (R14).
        """
        with exclusive(self._config.state, self._store, self._clock):
            return self._apply(ready, first=first, told=told)

    def _apply(self, ready: Planned, *, first: bool, told: Told, only: Collection[PersonId] | None = None) -> Applied | None:
        if ready.verdict.findings or (ready.verdict.first and not first):
            self._store.set_run(ready.run, "held")
            return None
        store, run = self._store, ready.run
        store.accept(run, ready.acceptance(), self._clock())
        for one in ready.matched.values():
            store.found_names(one.found, self._clock())
            store.link(run, one.links)
        for name, reading in ready.readings.items():
            if reading.failed is None and not ready.one_person:
                store.set_meta(f"seen {name}", ready.today.isoformat())
        store.set_run(run, "applying")
        reports = {name: self._carry_out(ready, name, told, only) for name in ready.plans}
        unsettled = ready.unfinished().union(*(report.unsettled for report in reports.values()))
        if only is not None:
            unsettled |= {change.person for change in _changes(ready) if change.person is not None} - set(only)
        settled = ready.decided.keys() - unsettled
        store.settle(settled, [ready.decided[person].state for person in settled & ready.moving()])
        applied = Applied(run, reports)
        status = "partly failed" if applied.failed or ready.stopped else "done"
        store.set_run(run, status, self._clock(), {**ready.summary, "landed": applied.landed, "failed": applied.failed})
        _log.info("run.ended", run=run, status=status, landed=applied.landed, failed=applied.failed)
        if ready.kind == RECONCILE and not ready.one_person and not ready.stopped:
            store.set_meta("needs_reconcile", "")
        return applied

    def _carry_out(self, ready: Planned, name: TargetName, told: Told, only: Collection[PersonId] | None) -> Report:
        changes: Collection[Change] = ready.plans[name].changes
        if only is not None:
            changes = [change for change in changes if change.person is None or change.person in only]
        carrier = CarryOut(
            self._targets[name], self._store, self._vault, ready.run, Scope(self._mappings[name].attributes), self._clock
        )
        wanted = {person: one.wanted[name] for person, one in ready.decided.items() if name in one.wanted}
        return carrier.apply(tuple(changes), ready.matched[name].wants, wanted, told)

    def _expire(self, current: Mapping[SourceName, str]) -> None:
        """Drop spools, plans and before-images older than the configuration keeps them (R38); accepted and current spools stay."""
        kept, now = self._config.retention, self._clock()
        self._store.expire(now, now - timedelta(days=kept.plans), now - timedelta(days=kept.before_images))
        for name, spool in current.items():
            accepted = self._store.snapshots(name, 1000)
            young = {row.spool for row in accepted if (self.today - row.accepted_on).days <= kept.spools}
            purge(self._spools, name, young | {spool, *(row.spool for row in accepted[:1])})

    def apply_stored(self, run: RunId, *, first: bool = False, told: Told = lambda _: None) -> Applied | None:
        """Plan again, apply what replans identically to the stored plan, and leave the rest held (R15). None where all is held.

        A person whose changes do not all replan identically is held as a whole (R16). Raises EndpointError without such a plan.
        """
        kept = self.stored_plan(run)
        with exclusive(self._config.state, self._store, self._clock):
            again = self._plan(kept.pipeline, kept.kind, None, {}, kept.mapped_on, f"plan {run}", stored=True)
            approved = {plan.digest(change) for one in kept.plans.values() for change in one.changes}
            now = {plan.digest(change) for change in _changes(again)}
            altered = {change.person for change in _changes(again) if change.person and plan.digest(change) not in approved}
            only = again.decided.keys() - altered
            applied = self._apply(again, first=first, told=told, only=only)
            self._store.set_run(run, "done" if applied is not None else "held", self._clock())
        if applied is None:
            return None
        held = tuple(change for change in _changes(again) if change.person in altered)
        return replace(applied, held=held, vanished=len(approved - now))

    def stored_plan(self, run: RunId) -> StoredPlan:
        """A plan kept by an earlier `plan()`. Raises EndpointError where there is none."""
        kept = self._store.plan(run)
        if kept is None:
            raise EndpointError(f"plan {run}", "there is no such plan", "see `syncd runs` for the plans that are kept")
        return planned.load(kept)

    def sync(
        self,
        pipeline: str,
        kind: str = DELTA,
        *,
        person: str | None = None,
        trigger: str = "operator",
        told: Told = lambda _: None,
    ) -> tuple[Planned, Applied | None]:
        """Plan and apply in one go: what the scheduler does."""
        with exclusive(self._config.state, self._store, self._clock):
            ready = self._plan(pipeline, kind, person, {}, None, trigger, stored=True)
            return ready, self._apply(ready, first=False, told=told)

    def resume(self) -> int:
        """Find out what became of every change that was sent but not answered. How many there were; every run does this first."""
        with exclusive(self._config.state, self._store, self._clock):
            return self._resume()[0]

    def _resume(self) -> tuple[int, dict[TargetName, EndpointError | TransientError]]:
        """How many open intentions were resolved, and the targets that could not be asked: these sit the run out."""
        open_ones = self._store.open_intentions()
        stopped: dict[TargetName, EndpointError | TransientError] = {}
        for name in sorted({one.change.target for one in open_ones}):
            mine = [one for one in open_ones if one.change.target == name]
            scope = Scope(self._mappings[name].attributes)
            try:
                outcomes = list(resolve(self._targets[name], scope, mine, self._store))
            except (EndpointError, TransientError) as error:
                stopped[name] = error
                continue
            self._store.record(mine[0].run, outcomes, self._clock())
            for run in {one.run for one in mine}:
                self._store.set_run(run, "interrupted", self._clock())
        return sum(one.change.target not in stopped for one in open_ones), stopped

    def explain(self, key: str) -> list[explain.Explanation]:
        """Everything known of each person this key means, and what made each part of their accounts."""
        return [
            explain.explain(person, self._store, self._people, self._mappings, self._config.district.display, self.today)
            for person in self._store.find_person(key)
        ]


def _changes(ready: Planned) -> list[Change]:
    return [change for one in ready.plans.values() for change in one.changes]


def _findings(
    people: gather.People, desire: Desire, matched: Mapping[TargetName, Matched], readings: Mapping[SourceName, Reading]
) -> list[Finding]:
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
