"""The run: extract, digest, resolve, desire, observe, diff, guard, apply, record. The one imperative shell.

`plan()` does everything down to the guard and writes to no target; `apply()` does the rest. The scheduler, the command line and
every later caller use these two. What is decided is decided in `core`; what is remembered is the store's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from threading import Event
from zoneinfo import ZoneInfo

from syncd import telemetry
from syncd.core import health as core_health
from syncd.core import mapping, plan
from syncd.core.health import Freshness
from syncd.core.local import Local
from syncd.core.model import Change, Outcome, PersonId, RunId, SourceName, TargetName
from syncd.core.plan import Plan
from syncd.engine import explain, gather, health, planned, shapes, turns
from syncd.engine.adopting import Adopting
from syncd.engine.approving import Approved, Approving, unnamed
from syncd.engine.carry_out import CarryOut, Report
from syncd.engine.collecting import seldom_collected
from syncd.engine.deciding import Deciding
from syncd.engine.desire import Desire
from syncd.engine.facts import LocalFacts
from syncd.engine.gather import Reading, SourceAccess
from syncd.engine.golive import GoingLive
from syncd.engine.judging import BEGUN, ENDED, Judge, Judged
from syncd.engine.laps import Laps
from syncd.engine.lock import Lease, exclusive
from syncd.engine.matching import Manner, Matched, Matching, match_all
from syncd.engine.observing import Sight, look
from syncd.engine.planned import Applied, Planned, StoredPlan, Undoes
from syncd.engine.resolve import resolve_all
from syncd.engine.retention import expire
from syncd.engine.rollover import paused
from syncd.engine.set_aside import set_aside
from syncd.engine.shapes import Ground
from syncd.engine.undoing import UNDO, Undoing, undoable
from syncd.errors import EndpointError, Stopped, TransientError
from syncd.settings import Config, extra_fields
from syncd.sources import Source
from syncd.store import Said, Store
from syncd.targets import Scope
from syncd.targets.target import Target
from syncd.vault import Vault

DELTA = "delta"  # trusts the store about targets, looks only at who is dirty
EVERYTHING = "everything"  # trusts the store about targets, looks at everybody
RECONCILE = "reconcile"  # reads the targets, looks at everybody
PERSON = "person"  # what a run is called that is for one person alone: it says nothing of the others

_WAITS = frozenset({"planned", "held"})  # what a run is called whose plan waits for somebody

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
            name: SourceAccess(
                name, sources[name], settings.shape, settings.match_on, settings.stale_after, settings.canaries, settings.required
            )
            for name, settings in config.sources.items()
        }
        self._spools = config.state / "spools"
        nameless = partial(unnamed, self._mappings)
        self._judge = Judge(config, store, clock, self._people.staff, nameless)
        self.approving = Approving(config, store, clock, nameless)
        self._undoing = Undoing(store, self._judge, targets, self._people.lifecycle)
        self.facts = LocalFacts(config, store, clock, self._people, self._mappings, targets)
        self.golive = GoingLive(config, store, clock, self._mappings)
        self._as_released = Manner(self.golive.conduct)
        self.adopting = Adopting(self.as_decided, store, targets, self._mappings, clock)
        self._stopping = Event()
        self.deciding = Deciding(store, config.state, clock)

    def stop(self) -> None:
        """Let the run in progress, if any, end soon: what was sent is awaited and recorded, nothing more is sent. For ever."""
        self._stopping.set()

    def is_stopping(self) -> bool:
        """Whether it was told to end."""
        return self._stopping.is_set()

    def now(self) -> datetime:
        """The time, as this district has it."""
        return self._clock()

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
        with exclusive(self._config.state, self._store, self._clock), seldom_collected():
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
        manner: Manner | None = None,
    ) -> Planned:
        parts = self._config.pipelines[pipeline]
        stopped = {name: error for name, error in self._resume()[1].items() if name in parts.targets}
        now, store = self._clock(), self._store
        if kind == DELTA and (self._judge.needs_reconcile(pipeline) or not all(map(store.has_history, parts.targets))):
            kind = RECONCILE  # first contact, and after a restore: the target itself is read (R14, R25)
        run = store.begin_run(pipeline, PERSON if person else kind, trigger, now)
        with self._told_of_failure(run):
            how = replace(manner or self._as_released, stored=stored)
            return self._planned(run, pipeline, kind, person, spools, mapped_on, trigger, stopped, how)

    @contextmanager
    def _told_of_failure(self, run: RunId) -> Iterator[None]:
        """A run that ends with an error has ended; one that a kill ends is told of by the next (`Store.bury`)."""
        try:
            yield
        except Exception as error:
            with suppress(EndpointError):  # what went wrong is told, not that it could not be noted
                self._store.set_run(run, "interrupted" if isinstance(error, Stopped) else "failed", self._clock())
            raise

    def _may_stop(self) -> None:
        """Between two phases of planning: a program that was told to end plans no further."""
        if self._stopping.is_set():
            raise Stopped("the program was told to end; nothing was written, the next run plans anew")

    def _planned(
        self,
        run: RunId,
        pipeline: str,
        kind: str,
        person: str | None,
        spools: Mapping[SourceName, str],
        mapped_on: date | None,
        trigger: str,
        stopped: dict[TargetName, EndpointError | TransientError],
        manner: Manner,
    ) -> Planned:
        parts, now, store = self._config.pipelines[pipeline], self._clock(), self._store
        today, turned = self._judge.days(pipeline, self.today)
        if turned is None:  # else nobody knows yet which of the two days is wrong
            store.bring_back(now, today)
        laps, ground = Laps(), self._judge.ground(today)
        accesses = [
            replace(one, shape=one.shape.in_season(ground.season.season)) for one in map(self._accesses.__getitem__, parts.sources)
        ]
        readings = {access.name: self._read(access, spools.get(access.name), ground) for access in accesses}
        usable = [name for name in parts.targets if name not in stopped]
        looks = () if kind == RECONCILE or person else usable  # a reconcile reads them whole
        sights = look(looks, self._targets, self._mappings, store, stopped)
        laps.end("read")
        self._may_stop()
        fingerprints = self._fingerprints(parts.targets)
        everyone = kind != DELTA or turned is not None or not fingerprints.items() <= store.fingerprints().items()
        asked = store.find_person(person) if person else []
        also = {*asked, *(owner for seen in sights.values() for owner in seen.persons)}
        told = gather.people(accesses, readings, store, today, everyone=everyone, also=also, turned=turned)
        people, local = self.facts.joined(paused(told, ground.rolling, ground.staff), today)
        laps.end("resolve")
        self._may_stop()
        desire = Desire(
            store,
            self._people,
            [self._mappings[name] for name in parts.targets],
            self._config.district.display,
            today,
            mapped_on=mapped_on,
            local=local,
            lets_go=lambda digest: bool(store.decisions.approved([digest], now)),
            last={one.person for one in store.decisions.rejections(now)},
        )
        # Where nobody is to be looked at, a delta run asks nothing more: what a district costs is what changed in it.
        asleep = kind == DELTA and not people.everybody
        holders = [store.opened(name, people.everybody) for name in parts.targets if not asleep]
        linked = {owner for mine in holders for owner in mine}
        opened = {owner for mine in holders for owner, open_now in mine.items() if open_now}
        decided = desire.decide(people, readings, linked, linked - opened)
        if person:
            chosen = {*asked, *(owner for owner, keys in people.keys.items() if person in {key.key for key in keys})}
            decided = {owner: one for owner, one in decided.items() if owner in chosen}
        laps.end("desire")
        self._may_stop()
        usable = [name for name in usable if name not in stopped]
        matched = (
            {name: Matched(name, bookmark=sights[name].bookmark if name in sights else "") for name in usable}
            if asleep
            else match_all(
                [self._matching(name, desire.foreign, local, sights.get(name), manner) for name in usable],
                decided,
                stopped,
                reconcile=kind == RECONCILE,
            )
        )
        laps.end("match")
        self._may_stop()
        plans = {name: Plan(name, tuple(sorted(one.changes, key=planned.order_key))) for name, one in matched.items()}
        nameless = set(desire.foreign).union(*(one.nameless for one in matched.values()))
        given_back = desire.unnamed(decided, nameless, [one.found for one in matched.values()])
        plans, shelved, shelf = self._undoing.hold(planned.without_all(plans, given_back), matched, decided)
        plans, aside = set_aside(plans, matched, decided, store, now, fingerprints, asked_for=person is not None)
        came_from = planned.transfers(people, decided)
        judged = planned.without_all(plans, local.kept_out)  # a lock asks no limit
        ruling = self._judge.verdict(pipeline, accesses, readings, Judged(people, decided, judged, matched, came_from), ground)
        verdict, doubt = self._judge.doubted(ruling.verdict, pipeline, self.today)
        plans, turned_down = ruling.without_rejected(plans, matched)
        given_back |= desire.nameless(decided, ruling.rejected)
        reserved = {name: owner for name, owner in desire.reserved.items() if owner in decided and owner not in given_back}
        result = Planned(
            run=run,
            pipeline=pipeline,
            kind=kind,
            today=today,
            plans=plans,
            verdict=verdict,
            came_from=came_from,
            doubt=doubt,
            shelf=shelf,
            aside=aside,
            lapsed=ruling.lapsed,
            released=ruling.released,
            profiles=ruling.profiles,
            findings=(
                *planned.findings_of(people, desire, matched, readings),
                *shelved,
                *turned_down,
                *aside.findings,
                *shapes.told_of_rollover(readings.values(), ground),
                *shapes.told_of_required(accesses, readings, store),
                *ruling.notes,
            ),
            readings=readings,
            decided=decided,
            matched=matched,
            people=people,
            fingerprints=fingerprints,
            reserved=reserved,
            stopped=stopped,
            one_person=person is not None,
            phases=laps.seconds,
        )
        laps.end("judge")
        self._put_by(result, trigger, now, mapped_on or today, laps, stored=manner.stored)
        return result

    def _put_by(self, result: Planned, trigger: str, begun: datetime, mapped_on: date, laps: Laps, *, stored: bool) -> None:
        """Tell of a plan and, where `stored`, keep it and the names it promises."""
        run, store, now = result.run, self._store, self._clock()
        _log.info(
            "run.planned", run=run, pipeline=result.pipeline, kind=result.kind, trigger=trigger.partition(" by ")[0],
            persons=len(result.decided), changes=result.changes, findings=len(result.findings), held=len(result.verdict.findings),
            seconds=(now - begun).total_seconds(),
        )  # fmt: skip
        for where, error in result.stopped.items():
            _log.warning("target.stopped", run=run, target=where, failure=type(error).__name__)
        if not stored:
            store.set_run(run, "tried", now)
            return
        store.reserve(run, result.reserved, begun, again=result.promised)
        status = "planned" if result.verdict.clear else "held"
        store.save_plan(run, planned.dump(result, mapped_on), result.summary, status, result.waits)
        if told := health.after_planning(result, now):
            store.set_freshness(told)
        if not result.doubt:  # nothing is thrown away because of a day that may not be
            expire(self._config, store, now, self.today, {name: reading.spool.id for name, reading in result.readings.items()})
        laps.end("store")

    def _read(self, access: SourceAccess, spool: str | None, ground: Ground) -> Reading:
        now, today = ground.now, ground.today
        if spool is None:
            kept = timedelta(days=self._config.retention.spools)
            try:
                reading = gather.read(access, self._store, self._spools, self._vault, now, today, kept)
            except EndpointError as error:
                self._store.set_freshness([Freshness(core_health.Kind.SOURCE, access.name, failed_at=now, why=error.why)])
                raise
        else:
            reading = gather.read_again(access, self._store, self._spools, self._vault, spool, today)
        return shapes.believed(access, reading, self._store, ground)

    def _fingerprints(self, targets: Collection[TargetName]) -> dict[str, str]:
        """What a mapping edit changes: then everybody is looked at (R4)."""
        people = f"{self._people.fingerprint} {self._config.district.display}"
        return {"people": people, **{f"target {name}": self._mappings[name].fingerprint for name in targets}}

    def _matching(
        self, name: TargetName, foreign: Mapping[PersonId, str], local: Local, sight: Sight | None, manner: Manner
    ) -> Matching:
        return Matching(
            self._targets[name],
            self._mappings[name],
            self._store,
            self._people.lifecycle,
            foreign,
            create_containers=self._config.targets[name].create_containers,
            local=local,
            sight=sight,
            manner=manner,
        )

    def is_first(self, pipeline: str, target: TargetName) -> bool:
        """Whether the next apply to a target must be explicit: never written to (R14), or not read since a restore (R25)."""
        return self._judge.is_first(pipeline, target)

    def approve(self, run: RunId, actor: str, because: str, campuses: Collection[str] = ()) -> Approved:
        """Let the held changes of a stored plan go, all or those of some campuses; `actor` is who, as the kernel says it (R39).

        What replans just as it was is applied by the next run; what is new or otherwise stays held (R15). Raises EndpointError
        where the plan is gone, holds nobody there, or this human may not.
        """
        return self.approving.approve(run, self.stored_plan(run), actor, because, campuses)

    # --- apply --------------------------------------------------------------------------------------------------------

    def apply(self, ready: Planned, *, first: bool = False, told: Told = lambda _: None) -> Applied | None:
        """Apply a plan made by this process just now. None where it is held: nothing was written.

        `first` releases the targets whose next apply must be explicit, and nothing else (R14, R25).
        """
        with exclusive(self._config.state, self._store, self._clock) as lease, seldom_collected():
            return self._apply(ready, lease, first=first, told=told)

    def _apply(
        self, ready: Planned, lease: Lease, *, first: bool, told: Told, only: Collection[PersonId] | None = None
    ) -> Applied | None:
        self.facts.shut_out(ready)
        if ready.verdict.blocked or (ready.verdict.first and not first):
            self._store.set_run(ready.run, "held")
            return None
        store, run = self._store, ready.run
        lease.renew()
        self._judge.must_be_newest(run)
        altered = ready.moving() - set(only) if only is not None else set()
        held = altered | ready.verdict.held
        whole = not ready.one_person and not altered
        for name in ready.verdict.first if whole else ():
            if not store.has_history(name):
                store.set_first_apply(name, BEGUN)
        store.set_run(run, "applying")
        if ready.doubt:
            store.bring_back(self._clock(), ready.today)
        store.accept(run, ready.acceptance(), self._clock())
        store.shelve(ready.shelf)
        store.quarantine.drop(ready.aside.obsolete)
        store.decisions.forget(ready.lapsed)
        if ready.undoes is not None:
            self._undoing.keep_back(ready)
        for source, reading in ready.readings.items():
            if reading.failed is None and not ready.one_person:
                store.set_meta(f"seen {source}", ready.today.isoformat())

        def heard(outcome: Outcome) -> None:
            lease.renew()
            told(outcome)

        reports = turns.carried_out(ready, held, self._config, store, partial(self._carry_out, ready, heard))
        for name, report in reports.items():
            if whole and report.complete and store.first_apply(name) == BEGUN:
                store.set_first_apply(name, ENDED)
        self.facts.lockout.enforce()
        self._settle(ready, reports, held)
        if ready.one_person and any(reading.fresh for reading in ready.readings.values()):
            store.mark(ready.decided.keys())  # made from a roster that is not accepted yet: only a whole run settles them
        return self._ended(ready, reports)

    def _ended(self, ready: Planned, reports: Mapping[TargetName, Report]) -> Applied:
        """Say how a run ended, to the store, the log and monitors."""
        store, run = self._store, ready.run
        applied = Applied(run, reports, findings=ready.verdict.findings, stopped=ready.stopped, unread=ready.unread)
        cut_short = any(report.cut_short for report in reports.values())
        status = "interrupted" if cut_short else "partly failed" if applied.failed or ready.stopped else "done"
        store.set_run(run, status, self._clock(), {**ready.summary, "landed": applied.landed, "failed": applied.failed})
        if not ready.one_person and not cut_short:
            health.after_applying(ready, applied, store, self._clock())
        _log.info("run.ended", run=run, status=status, landed=applied.landed, failed=applied.failed)
        if ready.kind == RECONCILE and not ready.one_person and not ready.stopped and not cut_short:
            self._judge.reconciled(ready.pipeline)
        if ready.undoes is not None:
            self._shelve(ready.pipeline)
        return applied

    def _settle(self, ready: Planned, reports: Mapping[TargetName, Report], held: Collection[PersonId]) -> None:
        """Take the marks of everybody whose changes have landed, and remember the states that are true now (R5)."""
        settled = ready.decided.keys() - ready.unfinished().union(held, *(report.unsettled for report in reports.values()))
        # A state is true once the account is opened or closed as it says, whatever else of the person was refused.
        owing = {person for report in reports.values() for person, steps in report.owed.items() if steps > 0}
        owing |= ready.owing
        true = settled if ready.stopped else settled | (ready.decided.keys() - set(held) - owing)
        self._store.settle(settled, [ready.decided[person].state for person in true & ready.moving()])

    def _carry_out(self, ready: Planned, told: Told, name: TargetName, changes: Sequence[Change], shared: turns.Shared) -> Report:
        if not changes:
            return Report()  # and no connector is built, no protocol loaded
        carrier = CarryOut(
            self._targets[name],
            self._store,
            self._vault,
            ready.run,
            Scope(self._mappings[name].attributes),
            self._clock,
            self._stopping.is_set,
            self._judge.cells_of(ready, name),
            self.facts.keep_out,
        )
        wanted = {person: one.wanted[name] for person, one in ready.decided.items() if name in one.wanted}
        retried = ready.aside.retried.get(name, frozenset())
        return carrier.apply(changes, ready.matched[name].wants, wanted, told, retried, shared.passwords)

    def apply_stored(self, run: RunId, *, first: bool = False, told: Told = lambda _: None) -> Applied | None:
        """Plan again, apply what replans identically to the stored plan, and leave the rest held (R15). None where all is held.

        A person whose changes do not all replan identically is held as a whole (R16). Raises EndpointError without such a plan.
        """
        kept = self.stored_plan(run)
        with exclusive(self._config.state, self._store, self._clock) as lease, seldom_collected():
            again = self._planned_again(run, kept)
            approved = {plan.digest(change) for one in kept.plans.values() for change in one.changes}
            now = {plan.digest(change) for change in planned.changes_of(again)}
            altered = {
                change.person for change in planned.changes_of(again) if change.person and plan.digest(change) not in approved
            }
            only = again.moving() - altered
            applied = self._apply(again, lease, first=first, told=told, only=only)
            row = self._store.run(run)
            waits = row is not None and row.status in _WAITS  # one that has written says itself how that ended
            if waits and not again.stopped:  # else it waits as it did: a target that sat out has done nothing of it
                self._store.set_run(run, "done" if applied is not None else "held", self._clock())
        if applied is None:
            return None
        held = tuple(change for change in planned.changes_of(again) if change.person in altered)
        asked = {plan.digest(change) for name, one in kept.plans.items() if name not in again.stopped for change in one.changes}
        return replace(applied, held=held, vanished=len(asked - now))

    def _planned_again(self, run: RunId, kept: StoredPlan) -> Planned:
        trigger = f"plan {run}"
        if kept.undoes is not None:
            return self._undo(kept.undoes, kept.pipeline, trigger)
        return self._plan(kept.pipeline, kept.kind, None, {}, kept.mapped_on, trigger, stored=True)

    # --- undo ---------------------------------------------------------------------------------------------------------

    def undo(self, undoes: Undoes, trigger: str = "operator") -> Planned:
        """A stored plan of what takes a run back, or a part of it (R22); apply it like any other. Writes to no target.

        Raises EndpointError where there is no such run, or it still goes on.
        """
        with exclusive(self._config.state, self._store, self._clock), seldom_collected():
            return self._undo(undoes, undoable(self._store, undoes.run), trigger)

    def _undo(self, undoes: Undoes, pipeline: str, trigger: str) -> Planned:
        self._resume()
        store = self._store
        run = store.begin_run(pipeline, UNDO, trigger, self._clock())
        with self._told_of_failure(run):
            ready = self._undoing.plan(run, pipeline, undoes, self._judge.days(pipeline, self.today)[0])
            status = "planned" if ready.verdict.clear else "held"
            held = [str(finding) for finding in ready.verdict.findings]
            store.save_plan(run, planned.dump(ready, self.today), ready.summary, status, held)
            return ready

    def _shelve(self, pipeline: str) -> None:
        """Put on the shelf what the next run would do against an undo: it is planned now, on the rosters that are accepted."""
        accepted = {source: self._store.snapshots(source, 1) for source in self._config.pipelines[pipeline].sources}
        spools = {source: rows[0].spool for source, rows in accepted.items() if rows}
        with suppress(EndpointError, Stopped):  # what cannot be planned now goes on the shelf with the next run
            self._store.shelve(self._plan(pipeline, DELTA, None, spools, None, UNDO, stored=False).shelf)

    def release(self, key: str) -> int:
        """Take what was undone of whoever this key means off the shelf, and offer what was turned down: how many people."""
        persons = self._store.find_person(key)
        return max(self._undoing.release(persons), self._store.decisions.release(persons))

    def reject(self, run: RunId) -> int:
        """Drop a stored plan, and the names it promised that were never sent (R9); how many names.

        Raises EndpointError where there is no such plan, or it does not wait for anybody any more.
        """
        with exclusive(self._config.state, self._store, self._clock):
            self.stored_plan(run)
            row = self._store.run(run)
            if row is None or row.status not in _WAITS:
                raise EndpointError(
                    f"plan {run}", f"does not wait for approval: it is {row.status if row else 'gone'}", "see `syncd runs`"
                )
            return self._store.reject(run)

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
        with exclusive(self._config.state, self._store, self._clock) as lease, seldom_collected():
            self.facts.lockout.enforce()
            ready = self._plan(pipeline, kind, person, {}, None, trigger, stored=True)
            return ready, self._apply(ready, lease, first=False, told=told)

    def as_decided(
        self, pipeline: str, manner: Manner, trigger: str, decided: Callable[[Planned], Said | None] | None = None
    ) -> tuple[Planned, Applied | None]:
        """A run that reads the targets and goes about them in a manner of its own; planned only, unless somebody `decided`."""
        with exclusive(self._config.state, self._store, self._clock) as lease, seldom_collected():
            ready = self._plan(pipeline, RECONCILE, None, {}, None, trigger, stored=decided is not None, manner=manner)
            if decided is None:
                return ready, None
            ready = replace(ready, said=decided(ready))
            return ready, self._apply(ready, lease, first=False, told=lambda _: None)

    def resume(self) -> int:
        """Find out what became of every change that was sent but not answered. How many there were; every run does this first.

        Raises EndpointError where a target could not be asked: what is in doubt there stays in doubt.
        """
        with exclusive(self._config.state, self._store, self._clock):
            count, stopped = self._resume()
            for error in stopped.values():
                raise error
            return count

    def _resume(self) -> tuple[int, dict[TargetName, EndpointError | TransientError]]:
        """How many open intentions were resolved, and the targets that could not be asked: these sit the run out."""
        self._store.bury(self._clock())
        open_ones = self.facts.left_behind(self._store.open_intentions())
        scopes = {name: Scope(one.attributes) for name, one in self._mappings.items()}
        return resolve_all(self._targets, scopes, open_ones, self._store, self._clock)

    def explain(self, key: str) -> list[explain.Explanation]:
        """Everything known of each person this key means, and what made each part of their accounts."""
        return [
            explain.explain(
                person,
                self._store,
                self._people,
                self._mappings,
                self._config.district.display,
                self.facts.on(self.today),
                self._targets,
            )
            for person in self._store.find_person(key)
        ]
