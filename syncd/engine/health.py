"""What a run leaves behind for whoever watches, and the whole picture made of it: how fresh everything is, and what is not well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from syncd import telemetry
from syncd.core.health import Bounds, Claims, Facts, Freshness, Kind, Level, PipelineFacts, Reason, RunFacts, age, judge, level_of
from syncd.core.model import Kind as ModelKind
from syncd.core.rollover import Rolling
from syncd.engine.planned import Applied, Planned, observed_key
from syncd.engine.rollover import going
from syncd.engine.shapes import is_rise
from syncd.errors import EndpointError, SyncdError
from syncd.settings import Config
from syncd.store import RunRow, Store, Wellbeing

_UNTOLD = ("tried", "rejected")  # what a run is called that says nothing of how it is

# --- left behind by a run ---------------------------------------------------------------------------------------------


def after_planning(ready: Planned, now: datetime) -> list[Freshness]:
    """What could not be read or used, and which licences will not do, whatever becomes of the plan."""
    unread = [Freshness(Kind.SOURCE, name, failed_at=now, why=_why(error)) for name, error in ready.unread.items()]
    stopped = [Freshness(Kind.TARGET, name, failed_at=now, why=_why(error)) for name, error in ready.stopped.items()]
    seats = [one for name, each in ready.matched.items() for one in _seats(name, each.seats, now)]
    beyond = [
        Freshness(Kind.PART, f"{name} {part}", failed_at=now, why=telemetry.masked(why))
        for name, each in ready.matched.items()
        for part, why in each.beyond.items()
    ]
    return [*unread, *stopped, *seats, *beyond]


def _seats(target: str, told: Mapping[str, str], now: datetime) -> list[Freshness]:
    names = ((f"{target} {name}", why) for name, why in told.items())
    return [Freshness(Kind.SEATS, name, failed_at=now, why=why) if why else Freshness(Kind.SEATS, name, now) for name, why in names]


def after_applying(ready: Planned, applied: Applied, store: Store, now: datetime) -> None:
    """Remember what a run that went through has shown to be good: sources, targets, and every campus with somebody at it."""
    told: list[Freshness] = []
    fresh = False
    for name, reading in ready.readings.items():
        if reading.failed is None:
            fresh = fresh or reading.evident
            told.append(Freshness(Kind.SOURCE, name, now, now if reading.evident else None, count=reading.persons))
    for target, report in applied.reports.items():
        told += _seats(target, report.seats, now)
        if report.stopped is not None:
            told.append(Freshness(Kind.TARGET, target, failed_at=now, why=_why(report.stopped)))
        elif report.left_alone:
            why = f"left alone for the rest of run {ready.run} after {report.left_alone:,} refused changes, its error budget"
            told.append(Freshness(Kind.TARGET, target, failed_at=now, why=f"{why}; see `syncd quarantine`"))
        elif ready.kind == "reconcile" or report.results.total():
            told.append(Freshness(Kind.TARGET, target, now, now if report.results.total() else None, count=store.accounts(target)))
    told += _parts(ready, applied, store, now)
    held = {
        finding.cell.campus: str(finding)
        for finding in applied.findings
        if finding.cell and finding.cell.campus and not is_rise(finding.cell)  # which says nothing of the campus
    }
    if applied.unread:
        store.set_freshness(told)  # an old roster stands in: no campus has been heard of anew
    elif fresh or held or ready.kind == "reconcile":
        told += [Freshness(Kind.CAMPUS, code, failed_at=now, why=why) for code, why in held.items()]
        good = {code: count for code, count in store.campus_counts().items() if code not in held}
        told += [Freshness(Kind.CAMPUS, code, now, count=count) for code, count in good.items()]
        store.set_freshness(told, campuses_failing=held)
    else:
        store.set_freshness(told, campuses_at=now)


def _parts(ready: Planned, applied: Applied, store: Store, now: datetime) -> list[Freshness]:
    """Parts of targets that could not be used, and since when; and those that can again, for whoever waits asks in every run."""
    names = [name for name, each in ready.matched.items() if each.has_parts and name not in ready.stopped]
    if not names:
        return []
    known = {name: one for (kind, name), one in _last_told(store).items() if kind == Kind.PART and one.failing}
    found: dict[str, Freshness] = {}
    for name in names:
        reported = applied.reports[name].beyond if name in applied.reports else {}
        for part, why in {**ready.matched[name].beyond, **reported}.items():
            key = f"{name} {part}"
            since = known[key].changed_at if key in known else None
            found[key] = Freshness(Kind.PART, key, None, since or now, now, telemetry.masked(why))
        over = (key for key in known if key.partition(" ")[0] == name and key not in found)
        found |= {key: Freshness(Kind.PART, key, now) for key in over}
    return list(found.values())


def after_devices(target: str, run: str, held: Sequence[str], now: datetime) -> list[Freshness]:
    """What of a plan about all devices of a target waits for somebody."""
    if not held:
        return [Freshness(Kind.HELD_DEVICES, target, now)]
    return [Freshness(Kind.HELD_DEVICES, target, failed_at=now, why=f"run {run} is held: {'; '.join(held)}")]


def stopped_devices(target: str, error: SyncdError | None, now: datetime) -> list[Freshness]:
    """Whether roster and target could be used, and why not."""
    return [Freshness(Kind.DEVICES, target, failed_at=now, why=_why(error)) if error else Freshness(Kind.DEVICES, target, now)]


def _why(error: SyncdError) -> str:
    """What is wrong and what to do, without the name of the endpoint, which stands beside it."""
    if not isinstance(error, EndpointError):
        return telemetry.masked(str(error))
    return telemetry.masked("; ".join(filter(None, (error.why, error.remedy))))


# --- the whole picture ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Health:
    """How the district is, as of one instant."""

    now: datetime
    version: str
    facts: Facts
    reasons: Sequence[Reason]
    accounts: Mapping[str, int]

    @property
    def level(self) -> Level:
        """How well, in all."""
        return level_of(self.reasons)

    @property
    def well(self) -> bool:
        """True unless something is critical."""
        return self.level < Level.CRITICAL


def health(
    config: Config,
    store: Store,
    now: datetime,
    version: str,
    next_runs: Mapping[str, Mapping[str, datetime]],
    *,
    alive: bool,
    breakers: Mapping[str, str] | None = None,
    broken: Mapping[str, str] | None = None,
) -> Health:
    """The picture; `next_runs` by pipeline and kind, `alive`: a daemon runs, `broken`: what it could not even note in the store.

    Raises EndpointError where the store does not answer.
    """
    canaries = {name: each.canaries for name, each in config.sources.items()}
    found = store.wellbeing(config.pipelines, canaries, {name: each.required for name, each in config.sources.items()})
    today = now.astimezone(ZoneInfo(config.district.timezone)).date()
    facts = _facts(config, found, next_runs, breakers or {}, going(config, found.rollover, today), alive=alive)
    owed = Counter(one.target for one in store.facts.owed())
    facts = replace(facts, decided=store.facts.counts(today), owed_locks=dict(sorted(owed.items())), broken=broken or {})
    if config.portal is not None:
        budget, free = store.claims.district(now), config.portal.claims.limits.district
        facts = replace(facts, claims=Claims(budget.wrong, budget.right, budget.allowed(free)))
    bounds = Bounds(config.health.stale_after, config.health.backup_after)
    return Health(now, version, facts, judge(facts, bounds, config.calendar, now, today), found.accounts)


def _last_told(store: Store) -> dict[tuple[str, str], Freshness]:
    """What was told last of everything, by its kind and name."""
    return {(one.kind, one.name): one for one in store.wellbeing((), {}).freshness}


@dataclass(frozen=True, slots=True)
class Trouble:
    """What of the targets could not be used the last time: whole ones, and, by target, parts of one and licences that ran out."""

    targets: Mapping[str, Freshness]
    parts: Mapping[tuple[str, str], Freshness]
    seats: Mapping[tuple[str, str], Freshness]


def troubled(config: Config, store: Store) -> Trouble:
    """What of the targets could not be used the last time: why nothing of it is refused, and does not happen either."""
    known = _last_told(store)
    targets = {name: one for name, one in _of(Kind.TARGET, config.targets, known).items() if one.failing}
    parts, seats = (
        {key: one for key, one in _within(kind, config, known).items() if one.failing} for kind in (Kind.PART, Kind.SEATS)
    )
    return Trouble(targets, parts, seats)


def _facts(
    config: Config,
    found: Wellbeing,
    next_runs: Mapping[str, Mapping[str, datetime]],
    breakers: Mapping[str, str],
    rolling: Sequence[Rolling],
    *,
    alive: bool,
) -> Facts:
    known = {(one.kind, one.name): one for one in found.freshness}
    schedules = {name: pipeline.schedule.crons for name, pipeline in config.pipelines.items()}
    return Facts(
        sources=_of(Kind.SOURCE, config.sources, known),
        targets=_of(Kind.TARGET, config.targets, known),
        campuses={one.name: one for one in found.freshness if one.kind == Kind.CAMPUS},
        pipelines={
            name: PipelineFacts(run_facts(found.runs[name]), bool(schedules[name]), next_runs.get(name, {}))
            for name in config.pipelines
        },
        unchanged_after={name: each.stale_after for name, each in config.sources.items()},
        missing_canaries={name: count for name, count in found.absent.items() if (Kind.SOURCE, name) in known},
        missing_required={name: count for name, count in found.required_absent.items() if (Kind.SOURCE, name) in known},
        quarantined=found.quarantined,
        findings=found.findings,
        configuration=known.get((Kind.CONFIGURATION, "")),
        alive=alive,
        backup=known.get((Kind.BACKUP, "")),
        notices={name: known[Kind.NOTICE, name] for name in _channels(config) if (Kind.NOTICE, name) in known},
        breakers=breakers,
        rolling=rolling,
        half_approved=found.half_approved,
        rekeying={name: keys for name, keys in found.rekeying.items() if keys},
        observed=_observed(config, found),
        devices=_known(Kind.DEVICES, config.targets, known),
        held_devices=_known(Kind.HELD_DEVICES, config.targets, known),
        seats=_within(Kind.SEATS, config, known),
        parts=_within(Kind.PART, config, known),
    )


def _within(kind: str, config: Config, known: Mapping[tuple[str, str], Freshness]) -> dict[tuple[str, str], Freshness]:
    """What is known of the licences, or the parts, of each target: by target, and what of it."""
    told = ((*name.partition(" ")[::2], one) for (of, name), one in sorted(known.items()) if of == kind)
    return {(target, what): one for target, what, one in told if target in config.targets}


def _observed(config: Config, found: Wellbeing) -> dict[str, dict[str, int]]:
    """What the newest run of each pipeline that got so far left out, by target, where not all of it is released."""
    told: dict[str, dict[str, int]] = {}
    for name, pipeline in config.pipelines.items():
        summary = next((row.summary for row in found.runs[name] if row.summary and row.status not in _UNTOLD), {})
        for target in pipeline.targets:
            if observed_key(target) in summary:
                keys = {kind: observed_key(target, kind) for kind in ModelKind}
                told[target] = {str(kind): summary[key] for kind, key in keys.items() if summary.get(key)}
    return told


def _channels(config: Config) -> list[str]:
    """The channels that are configured now: what another one could not send matters no more."""
    return [name for name in ("email", "webhook", "command") if getattr(config.notify, name)]


def _known(kind: str, names: Iterable[str], known: Mapping[tuple[str, str], Freshness]) -> dict[str, Freshness]:
    """Of those that anything is known of."""
    return {name: known[kind, name] for name in names if (kind, name) in known}


def failing_devices(store: Store) -> set[str]:
    """The targets whose devices could not be looked after the last time."""
    return {name for (kind, name), one in _last_told(store).items() if kind == Kind.DEVICES and one.failing}


def held_devices(config: Config, store: Store) -> dict[str, Freshness]:
    """The targets of which devices wait for somebody, and why."""
    known = _last_told(store)
    return {name: one for name, one in _known(Kind.HELD_DEVICES, config.targets, known).items() if one.failing}


def _of(kind: str, names: Iterable[str], known: Mapping[tuple[str, str], Freshness]) -> dict[str, Freshness]:
    return {name: known.get((kind, name), Freshness(kind, name)) for name in names}


def run_facts(rows: Iterable[RunRow]) -> tuple[RunFacts, ...]:
    """The runs that were meant; a plan that was only tried, or that somebody rejected, says nothing of how it is."""
    return tuple(
        RunFacts(row.id, row.kind, row.status, row.started, row.ended, row.held, row.summary)
        for row in rows
        if row.status not in _UNTOLD
    )


def as_json(health: Health) -> dict[str, object]:
    """The picture as JSON values; ages are whole seconds, times ISO 8601 in UTC. Counts and campuses, never persons (R42)."""
    facts, now = health.facts, health.now
    return {
        "status": health.level.name.lower(),
        "reasons": [{"level": one.level.name.lower(), "where": one.where, "why": one.why} for one in health.reasons],
        "version": health.version,
        "at": now.isoformat(timespec="seconds"),
        "pipelines": {name: _pipeline_json(one, now) for name, one in facts.pipelines.items()},
        "sources": {name: _fresh_json(one, now) | {"persons": one.count} for name, one in facts.sources.items()},
        "targets": {
            name: _fresh_json(one, now)
            | {"accounts": health.accounts.get(name, 0), "breaker": facts.breakers.get(name, "closed")}
            | {"observing": dict(facts.observed[name]) if name in facts.observed else None}
            | {"devices": _devices_json(facts, name)}
            | {"out_of_reach": {part: one.why for (target, part), one in facts.parts.items() if target == name and one.failing}}
            | {"seats": {licence: one.why for (target, licence), one in facts.seats.items() if target == name and one.failing}}
            for name, one in facts.targets.items()
        },
        "campuses": {name: _fresh_json(one, now) | {"persons": one.count} for name, one in sorted(facts.campuses.items())},
        "rollover": [{"until": one.until.isoformat(), "campuses": sorted(one.campuses)} for one in facts.rolling],
        "held": sum(len(one.held) for one in facts.pipelines.values()),
        "half_approved": facts.half_approved,
        "quarantined": facts.quarantined,
        "facts_under_earlier_keys": sum(sum(keys.values()) for keys in facts.rekeying.values()),
        "findings": dict(sorted(facts.findings.items())),
        "local_facts": {**facts.decided, "locks_owed": sum(facts.owed_locks.values())},
        "claims": asdict(facts.claims) if facts.claims else None,
        "backup": _fresh_json(facts.backup, now) if facts.backup else None,
        "configuration": _fresh_json(facts.configuration, now) if facts.configuration else None,
        "daemon": "running" if facts.alive else "not running",
    }


def _devices_json(facts: Facts, target: str) -> dict[str, str | None] | None:
    told = {"held": facts.held_devices.get(target), "failing": facts.devices.get(target)}
    return {key: one.why if one and one.failing else None for key, one in told.items()} if any(told.values()) else None


def _pipeline_json(one: PipelineFacts, now: datetime) -> dict[str, object]:
    newest, good = one.newest, one.good
    return {
        "last_run": newest and {
            "id": newest.id,
            "kind": newest.kind,
            "status": newest.status,
            "started": _iso(newest.started),
            "seconds": newest.seconds,
            "held": list(newest.held),
            "counts": dict(newest.counts),
        },
        "last_good_run": good and {"id": good.id, "ended": _iso(good.ended), "age": _seconds(good.ended, now)},
        "next_runs": {kind: _iso(at) for kind, at in one.next_runs.items()},
    }  # fmt: skip


def _fresh_json(one: Freshness, now: datetime) -> dict[str, object]:
    return {
        "good_at": _iso(one.good_at),
        "age": _seconds(one.good_at, now),
        "changed_at": _iso(one.changed_at),
        "failing": one.why if one.failing else None,
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None


def _seconds(at: datetime | None, now: datetime) -> int | None:
    return max(int((now - at).total_seconds()), 0) if at else None


def in_words(health: Health) -> str:
    """One line for a status display: what is wrong first, or how all is well."""
    if health.reasons:
        more = f" (and {len(health.reasons) - 1} more)" if len(health.reasons) > 1 else ""
        return f"{health.reasons[0]}{more}"
    told = []
    for name, pipeline in health.facts.pipelines.items():
        good = pipeline.good
        if good is not None and good.ended is not None:
            told.append(f"{name}: {good.kind} run {good.id} ended {age(health.now - good.ended)} ago")
    return "; ".join(told)
