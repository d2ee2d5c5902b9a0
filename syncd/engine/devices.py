"""Devices of students: planned first, held by limits, journalled before and behind, applied; and reported lost or found.

The same promises as for accounts, in a run of its own that comes after the one about accounts: whose a device is follows the
people the store knows, and nothing of a person changes here. A device whose change is held waits as a whole. What was sent and not
answered is found out from the target's list, with which every run begins.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from datetime import time as time_of_day
from itertools import groupby
from zoneinfo import ZoneInfo

from syncd import telemetry
from syncd.core import devices as core
from syncd.core import plan
from syncd.core.device_rules import DeviceRules, Looks, compile_devices
from syncd.core.devices import FILLING, OPERATIONS, Collect, Device, DeviceLimits, Finding, Held, Joined, Mine, Row
from syncd.core.guard import LET_GO, Cell
from syncd.core.mapping import compile_people
from syncd.core.model import Change, Failure, Kind, NativeId, Outcome, PersonId, Result, RunId, TargetName
from syncd.core.spelling import parent
from syncd.engine import Engine, health
from syncd.engine.approving import Approved
from syncd.engine.device_people import directory
from syncd.engine.lock import Busy, Lease, exclusive
from syncd.errors import EndpointError, SyncdError, TransientError
from syncd.settings import Config, DeviceSettings, extra_fields
from syncd.sources import device_roster
from syncd.sources.device_roster import Told
from syncd.store import Store
from syncd.store.devices import DEVICES, Seen
from syncd.store.rows import JournalRow
from syncd.targets.target import Target

PIPELINE = "(devices)"
"""What a run about devices says in the pipeline's place: it is no sign of life of any."""
BATCH = 200
"""Changes journalled at once: what a kill leaves to be found out."""
_LONG_AGO = date(2000, 1, 1)
_OWN = Told((), "own")
"""In the place of a roster, where the target's own list is one."""

_log = telemetry.logger("engine")


@dataclass(frozen=True, slots=True)
class Planned:
    """What a run about devices would do. `waiting` are devices that wait for a human, `containers` units to be made first."""

    run: RunId
    target: TargetName
    changes: tuple[Change, ...]
    containers: tuple[str, ...]
    held: tuple[Held, ...]
    waiting: frozenset[NativeId]
    first: bool
    released: frozenset[NativeId]
    joined: Joined
    findings: tuple[Finding, ...]
    collect: tuple[Collect, ...]
    looks: Mapping[NativeId, Looks]
    seen: Seen
    devices: int
    whole: bool = True  # False: one device was looked at, and nothing is told of the others

    @property
    def blocked(self) -> bool:
        """True when nothing of it may be applied, whichever device it is about."""
        return any(one.cell is None for one in self.held)

    @property
    def sendable(self) -> tuple[Change, ...]:
        """What waits for nobody."""
        return () if self.blocked else tuple(one for one in self.changes if one.native_id not in self.waiting)

    @property
    def summary(self) -> dict[str, int]:
        """Counts by kind, of what the run would do."""
        return {str(kind): count for kind, count in sorted(Counter(one.kind for one in self.changes).items())}


@dataclass(slots=True)
class Report:
    """What came of it. `held` says why something waits; `stopped` why the target or the roster could not be used."""

    target: TargetName
    run: RunId | None = None
    kinds: Counter[Kind] = field(default_factory=Counter)  # of what landed
    failures: list[Outcome] = field(default_factory=list)
    held: tuple[Held, ...] = ()
    first: bool = False
    findings: tuple[Finding, ...] = ()
    collect: int = 0
    excluded: int = 0
    stopped: EndpointError | None = None
    cut_short: bool = False


@dataclass(frozen=True, slots=True)
class Story:
    """Everything known of one device, and why it is as it is."""

    target: TargetName
    device: Device
    mine: Mine | None
    excluded: str
    looks: Looks | None
    marks: Mapping[str, str]
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    history: tuple[JournalRow, ...]


class Devices:
    """The devices on the targets of one district."""

    def __init__(self, config: Config, store: Store, engine: Engine, targets: Mapping[TargetName, Target]) -> None:
        self._config = config
        self._store = store
        self._engine = engine
        self._targets = targets
        specs = {name: spec.devices for name, spec in config.mappings.items() if spec.devices is not None}
        if specs:
            self._people = compile_people(config.people, extra_fields(config.sources))
        self._rules = {name: compile_devices(spec, self._people) for name, spec in specs.items()}

    @property
    def targets(self) -> tuple[TargetName, ...]:
        """The targets whose devices are looked after, in their order."""
        return tuple(sorted(self._rules))

    # --- plan ---------------------------------------------------------------------------------------------------------

    def plan(self, target: TargetName, trigger: str) -> Planned:
        """What a run would do now; writes to no target. Raises EndpointError where roster or target cannot be read."""
        with self._exclusive():
            return self._plan(target, trigger, None)

    def _exclusive(self) -> AbstractContextManager[Lease]:
        return exclusive(self._config.state, self._store, self._engine.now)

    def _plan(self, name: TargetName, trigger: str, only: str | None) -> Planned:
        """`only`: nothing but what somebody said of the device with this serial, whatever the roster says."""
        store, now = self._store, self._engine.now()
        store.bury(now)
        run = store.begin_run(PIPELINE, DEVICES, trigger, now)
        try:
            ready = self._planned(run, name, only)
        except Exception as error:
            with suppress(EndpointError):
                store.set_run(run, "failed", self._engine.now())
                if isinstance(error, SyncdError):
                    store.set_freshness(health.stopped_devices(name, error, now))
            raise
        status = "held" if ready.held or ready.first else "planned"
        told = [one.what for one in ready.held] + (["this would be the first apply"] if ready.first else [])
        store.save_plan(run, _dumped(ready), ready.summary, status, told)
        if only is None:
            store.set_freshness(health.after_devices(name, run, told, now))
        _log.info(
            "run.planned", run=run, kind=DEVICES, target=name, changes=len(ready.changes), findings=len(ready.findings),
            held=len(ready.waiting), count=ready.devices, seconds=(self._engine.now() - now).total_seconds(),
        )  # fmt: skip
        return ready

    def _planned(self, run: RunId, name: TargetName, only: str | None) -> Planned:
        settings, rules, target, store = self._config.targets[name].devices, self._rules[name], self._targets[name], self._store
        told = _OWN if only else self._roster(name, settings)
        devices = target.devices()
        seen = store.devices.seen(name)
        if not devices:
            raise EndpointError(
                name, "lists no device at all; nothing is done", "give the administrator's role the right to see devices"
            )
        self._settle(name, devices)
        rows: Sequence[Row] = told.rows if settings.roster is not None or only else core.own_roster(devices)
        joined, people = self._joined(name, devices, rows, rules)
        by_us = store.devices.disabled_by_us(name)
        store.devices.enabled_by_others(name, _in_use(devices, by_us))
        ground = core.Ground(store.devices.lost(name), by_us, target.canonical_group)
        wished = core.wished(name, joined, devices, rules, ground)
        changes, findings, containers = wished.changes, (*joined.findings, *wished.findings), tuple[str, ...]()
        if only:
            changes = tuple(
                one for one in changes if _is_switch(one) and one.before and one.before.rdn.casefold() == only.casefold()
            )
        else:
            changes, containers, missing = self._with_units(name, changes)
            findings = (*findings, *missing)
        now_seen = Seen(len(rows), len(devices), told.digest)
        held = [] if only else [*self._shrunk(settings, seen, now_seen), *self._judged(name, changes, devices, people, seen)]
        released, waiting, held = self._released(changes, held)
        return Planned(
            run=run,
            target=name,
            changes=changes,
            containers=containers,
            held=tuple(held),
            waiting=waiting,
            first=bool(changes) and not seen.devices and not only,
            released=released,
            joined=joined,
            findings=findings,
            collect=tuple(core.to_collect(joined, self._is_masked(joined))),
            looks=wished.looks,
            seen=now_seen,
            devices=len(devices),
            whole=not only,
        )

    def _roster(self, name: TargetName, settings: DeviceSettings) -> Told:
        return device_roster.read(settings.roster, f"devices of {name}") if settings.roster is not None else _OWN

    def _joined(
        self, name: TargetName, devices: Collection[Device], rows: Collection[Row], rules: DeviceRules
    ) -> tuple[Joined, Counter[str]]:
        """Whose each device is, and how many devices are at each campus."""
        order = next((one.sources for one in self._config.pipelines.values() if name in one.targets), ())
        local = self._engine.facts.on(self._engine.today)
        display, addresses = self._config.district.display, {row.address for row in rows}
        people = directory(self._store, self._people, name, order, display, local, addresses)
        joined = core.joined(devices, rows, people, rules)
        return joined, Counter(one.campus or "(none)" for one in (*joined.mine, *joined.collect))

    def _is_masked(self, joined: Joined) -> Callable[[PersonId], bool]:
        """Who is told by number only (R37)."""
        hidden = self._store.facts.hidden(self._engine.today)
        told = {one.student.person.id for one in joined.collect if one.student and one.student.person.fields.get("confidential")}
        return lambda person: person in told or person in hidden

    def _settle(self, name: TargetName, devices: Collection[Device]) -> None:
        """Find out what became of every change of a device that was sent but not answered, from the list."""
        by_id = {one.native_id: one for one in devices}
        found = [(one.seq, _found_out(one.change, by_id)) for one in self._store.devices.open_intentions(name)]
        if found:
            self._store.record(RunId(""), found, self._engine.now())
            _log.info("devices.resolved", target=name, count=len(found), landed=sum(outcome.landed for _, outcome in found))

    def _with_units(self, name: TargetName, changes: Sequence[Change]) -> tuple[tuple[Change, ...], tuple[str, ...], list[Finding]]:
        """The changes, the units to be made for them, and findings about devices whose unit is not there and not made."""
        units = {one.after.container for one in changes if one.kind is Kind.MOVE_DEVICE and one.after and one.after.container}
        missing = self._targets[name].missing_containers(units) if units else set[str]()
        if self._config.targets[name].create_containers:
            return tuple(changes), tuple(sorted(missing)), []
        lacking = [one for one in changes if one.kind is Kind.MOVE_DEVICE and one.after and one.after.container in missing]
        why = "its unit does not exist, and `create_containers` is false: make it, or correct the rule"
        findings = [Finding("no unit", one.after.rdn, f"{one.after.container}: {why}", one.person) for one in lacking if one.after]
        return tuple(one for one in changes if one not in lacking), (), findings

    # --- limits -------------------------------------------------------------------------------------------------------

    def _shrunk(self, settings: DeviceSettings, seen: Seen, now: Seen) -> Iterator[Held]:
        """Whether the roster, or what the target lists, has lost too much to be believed."""
        for what, before, count, digest in (
            ("the roster of devices has", seen.rows, now.rows, f"devices roster {now.digest}"),
            ("the target lists", seen.devices, now.devices, f"devices listed {now.devices}"),
        ):
            if before and count * 100 < before * (100 - settings.shrink_percent):
                unit = "rows" if "roster" in what else "devices"
                yield Held(
                    f"{what} {count:,} {unit}, and had {before:,} at the last apply: more than devices.shrink_percent "
                    f"({settings.shrink_percent:g} %) are gone. Nothing is done. Look at the export; if it is right, approve it",
                    digest=digest,
                )

    def _judged(
        self, name: TargetName, changes: Collection[Change], devices: Collection[Device], at: Mapping[str, int], seen: Seen
    ) -> list[Held]:
        calendar, zone = self._config.calendar, ZoneInfo(self._config.district.timezone)
        season = calendar.now(self._engine.today)
        since = datetime.combine(max(season.since, _LONG_AGO), time_of_day(), zone)
        spent = core.Spent(*self._store.spent(name, self._engine.now(), since))
        limits: DeviceLimits = self._config.targets[name].devices.limits.in_season(season.season)
        measured = set(OPERATIONS.values()) - (FILLING if not seen.devices else frozenset())
        there = sum(one.status is not core.Status.OUT for one in devices)
        return core.judge(changes, there, at, limits, spent, season.name, measured)

    def _released(
        self, changes: Sequence[Change], held: Sequence[Held]
    ) -> tuple[frozenset[NativeId], frozenset[NativeId], list[Held]]:
        """Which devices a human let go all of whose changes they have seen (R15), which wait, and why."""
        touched = frozenset[NativeId]().union(*(one.devices for one in held))
        theirs: dict[NativeId, set[str]] = {}
        for change in changes:
            if change.native_id in touched and change.native_id is not None:
                theirs.setdefault(change.native_id, set()).add(plan.digest(change))
        asked = {digest for mine in theirs.values() for digest in mine} | {one.digest for one in held if one.digest}
        approved = self._store.decisions.approved(asked, self._engine.now()) if asked else set[str]()
        released = frozenset(device for device, mine in theirs.items() if mine <= approved)
        left = [replace(one, devices=one.devices - released) if one.cell else one for one in held]
        left = [one for one in left if (one.devices if one.cell else one.digest not in approved)]
        return released, frozenset[NativeId]().union(*(one.devices for one in left)), left

    def approve(self, run: RunId, actor: str, because: str) -> Approved:
        """Let go what a plan holds, exactly as it is; the next run applies it. Raises EndpointError where it holds nothing."""
        kept = self._store.plan(run)
        told = json.loads(kept) if kept is not None else None
        if not isinstance(told, dict) or told.get("kind") != DEVICES:
            raise EndpointError(f"plan {run}", "is no stored plan about devices", "see `syncd runs`, or plan: syncd devices plan")
        if not told["held"]:
            raise EndpointError(f"plan {run}", "holds no device back", "apply it: syncd devices apply")
        return self._engine.approving.let_go(run, told["held"], told["devices"], actor, because)

    # --- apply --------------------------------------------------------------------------------------------------------

    def apply(self, target: TargetName, trigger: str, *, first: bool = False) -> Report:
        """Plan and apply in one go. `first` releases the target's first apply, and nothing else (R14)."""
        with self._exclusive() as lease:
            return self._applied(self._plan(target, trigger, None), lease, first=first)

    def follow(self, pipeline: str, trigger: str, *, changed: bool = True) -> list[Report]:
        """After a run about accounts: the devices on its targets. Raises for none of them; why one could not be used is told.

        Where nothing `changed` about accounts, the roster is as it was and nothing failed the last time, nothing is asked of the
        target.
        """
        told = []
        mine = [name for name in self._config.pipelines[pipeline].targets if name in self._rules]
        failed = health.failing_devices(self._store) if mine and not changed else set[str]()
        for name in mine:
            if not (changed or name in failed or self._is_news(name)):
                continue
            try:
                told.append(self.apply(name, trigger))
            except Busy:
                raise  # somebody else runs on the store, and will end
            except EndpointError as error:
                _log.warning("devices.stopped", target=name, failure=type(error).__name__)
                told.append(Report(name, stopped=error))
        return told

    def _is_news(self, name: TargetName) -> bool:
        done = self._store.devices.seen(name).digest
        try:
            return not done or self._roster(name, self._config.targets[name].devices).digest != done
        except EndpointError:
            return True  # the run says what is wrong with it

    def _applied(self, ready: Planned, lease: Lease, *, first: bool) -> Report:
        store, name = self._store, ready.target
        report = Report(
            name,
            ready.run,
            held=ready.held,
            findings=ready.findings,
            collect=len(ready.collect),
            excluded=len(ready.joined.excluded),
        )
        report.first = ready.first and not first
        if report.first or ready.blocked:
            store.set_run(ready.run, "held", self._engine.now())
            store.set_freshness(health.stopped_devices(name, None, self._engine.now()))
            return report
        store.set_run(ready.run, "applying")
        self._targets[name].begin()
        cells = self._counted(ready)
        try:
            self._make_units(ready)
            for batch in _batches(ready.sendable):
                lease.renew()
                if self._engine.is_stopping():
                    report.cut_short = True
                    break
                self._send(ready, batch, cells, report)
        except (EndpointError, TransientError) as error:
            report.stopped = error if isinstance(error, EndpointError) else EndpointError(name, str(error))
        self._ended(ready, report)
        return report

    def _counted(self, ready: Planned) -> Callable[[Change], Collection[Cell]]:
        """Where a change counts for runs to come (R12): apart what a human released, not what a first apply fills."""
        if ready.first:
            return lambda _: ()

        def counted(change: Change) -> Collection[Cell]:
            mine = core.cells(change)
            if change.native_id in ready.released:
                return [replace(cell, operation=f"{cell.operation}{LET_GO}") for cell in mine]
            return mine

        return counted

    def _make_units(self, ready: Planned) -> None:
        """The units that moves need which are sent, outermost first, journalled like any other."""
        needed: set[str] = set()
        for change in ready.sendable:
            place = change.after.container if change.kind is Kind.MOVE_DEVICE and change.after else ""
            while place and place in ready.containers:
                needed.add(place)
                place = parent(place)
        store, target = self._store, self._targets[ready.target]
        for place in sorted(needed, key=lambda one: (one.count("/"), one)):
            change = Change(ready.target, Kind.CREATE_CONTAINER, "devices are to stand there", group=place)
            seq = store.intend(ready.run, [change], {}, self._engine.now())[0]
            outcomes = [one for one in target.apply(iter([change]), lambda _: None) if one.result is not Result.UNKNOWN]
            store.record(ready.run, [(seq, one) for one in outcomes], self._engine.now())

    def _send(self, ready: Planned, batch: Sequence[Change], cells: Callable[[Change], Collection[Cell]], report: Report) -> None:
        """Journal, send, record. What is unknown still, the list tells; what it cannot, stays open for the next run."""
        store, target, now = self._store, self._targets[ready.target], self._engine.now
        seqs = store.intend(ready.run, batch, {}, now())
        place = {id(change): seq for change, seq in zip(batch, seqs, strict=True)}
        told: list[tuple[int, Outcome]] = []
        unsure: list[Change] = []
        try:
            for outcome in target.change_devices(batch):
                if outcome.result is Result.UNKNOWN:
                    unsure.append(outcome.change)
                else:
                    told.append((place[id(outcome.change)], outcome))
            if unsure:
                by_id = {one.native_id: one for one in target.devices()}
                told += [(place[id(change)], _found_out(change, by_id)) for change in unsure]
        finally:
            spent = Counter(cell for _, one in told if one.result is Result.DONE for cell in cells(one.change))
            store.record(ready.run, told, now(), spent)
            for _, outcome in told:
                self._heard(ready.run, outcome, report)

    def _heard(self, run: RunId, outcome: Outcome, report: Report) -> None:
        if outcome.landed:
            report.kinds[outcome.change.kind] += 1
        else:
            report.failures.append(outcome)
        change, failure = outcome.change, outcome.failure and str(outcome.failure)
        _log.info("change.applied", run=run, target=change.target, native_id=change.native_id, kind=str(change.kind),
                  result=str(outcome.result), failure=failure)  # fmt: skip

    def _ended(self, ready: Planned, report: Report) -> None:
        """Say how it ended. What was there is believed from now on, unless only one device was looked at."""
        troubled = report.failures or report.stopped is not None
        if ready.whole:
            done = not troubled and not ready.held and not report.cut_short
            self._store.devices.set_seen(ready.target, ready.seen if done else replace(ready.seen, digest=""))
            now, held = self._engine.now(), [one.what for one in ready.held]  # the first apply waits no more
            told = [
                *health.after_devices(ready.target, ready.run, held, now),
                *health.stopped_devices(ready.target, report.stopped, now),
            ]
            self._store.set_freshness(told)
        landed, failed = report.kinds.total(), len(report.failures)
        status = "interrupted" if report.cut_short else "partly failed" if troubled else "held" if ready.held else "done"
        self._store.set_run(ready.run, status, self._engine.now(), {**ready.summary, "landed": landed, "failed": failed})
        _log.info("run.ended", run=ready.run, status=status, landed=landed, failed=failed)

    # --- lost and found -----------------------------------------------------------------------------------------------

    def lost(self, target: TargetName, serial: str, actor: str, because: str) -> Report:
        """Somebody says that a device is lost: remembered, and disabled at once, past limits and roster (as a lock is)."""
        self._store.devices.report_lost(target, serial, self._engine.now(), actor, because)
        return self._at_once(target, serial, f"lost, said {actor}")

    def found(self, target: TargetName, serial: str, actor: str, because: str) -> Report:
        """Somebody says that a device was found: enabled again where it was us who disabled it.

        Raises EndpointError where nobody reported it lost here.
        """
        if not self._store.devices.report_found(target, serial, self._engine.now(), actor, because):
            raise EndpointError(
                f"devices of {target}", f"nobody has reported {serial} lost here", "one that the roster calls lost is found there"
            )
        return self._at_once(target, serial, f"found, said {actor}")

    def _at_once(self, target: TargetName, serial: str, trigger: str) -> Report:
        with self._exclusive() as lease:
            ready = self._plan(target, trigger, serial)
            report = self._applied(ready, lease, first=True)
            if not report.kinds and not report.failures and report.stopped is None:
                report.findings = tuple(one for one in ready.findings if one.subject.casefold() == serial.casefold())
            return report

    # --- looking ------------------------------------------------------------------------------------------------------

    def explain(self, target: TargetName, serial: str) -> list[Story]:
        """Why a device is as it is, and what is to be done to it. Reads the roster and the target; writes nothing."""
        settings, rules, store = self._config.targets[target].devices, self._rules[target], self._store
        devices = self._targets[target].devices()
        rows = self._roster(target, settings).rows if settings.roster is not None else core.own_roster(devices)
        joined, _ = self._joined(target, devices, rows, rules)
        ground = core.Ground(
            store.devices.lost(target), store.devices.disabled_by_us(target), self._targets[target].canonical_group
        )
        wished = core.wished(target, joined, devices, rules, ground)
        mine = {one.device.native_id: one for one in (*joined.mine, *joined.collect)}
        return [
            Story(
                target,
                one,
                mine.get(one.native_id),
                joined.excluded.get(one.native_id, ""),
                wished.looks.get(one.native_id),
                {part: rules.mark(part) for part in rules.rules.marks},
                tuple(change for change in wished.changes if change.native_id == one.native_id),
                tuple(found for found in (*joined.findings, *wished.findings) if found.subject.casefold() == serial.casefold()),
                tuple(store.devices.journal(target, one.native_id)),
            )
            for one in devices
            if one.serial.casefold() == serial.casefold()
        ]


def _is_switch(change: Change) -> bool:
    return change.kind in (Kind.DISABLE_DEVICE, Kind.ENABLE_DEVICE)


def _in_use(devices: Collection[Device], by_us: Collection[NativeId]) -> list[NativeId]:
    return [one.native_id for one in devices if one.status is core.Status.ACTIVE and one.native_id in by_us]


def _found_out(change: Change, by_id: Mapping[NativeId, Device]) -> Outcome:
    """What became of a change whose answer is not known, by how the device is now."""
    device = by_id.get(change.native_id or NativeId(""))
    if core.is_so(change, device):
        return Outcome(change, Result.ALREADY)
    failure = Failure.NO_SUCH_OBJECT if device is None else Failure.WAITS
    return Outcome(change, Result.FAILED, failure=failure, why="it was not carried out; the next run looks again")


def _batches(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    """Changes of one kind together, in their order."""
    for _, alike in groupby(changes, key=lambda one: one.kind):
        same = list(alike)
        for start in range(0, len(same), BATCH):
            yield same[start : start + BATCH]


def _dumped(ready: Planned) -> bytes:
    """What is kept of a plan: the digests of what it holds, for an approval of exactly that."""
    held = {plan.digest(one) for one in ready.changes if one.native_id in ready.waiting}
    held |= {one.digest for one in ready.held if one.digest}
    told = {"kind": DEVICES, "target": ready.target, "held": sorted(held), "devices": len(ready.waiting)}
    return json.dumps(told).encode()
