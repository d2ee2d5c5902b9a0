"""Is it well? Judged by the age of good data, not by runs that ended: a sync may run every minute and tell nobody anything new.

Pure: what is remembered goes in, reasons in words come out. They carry counts, sources, targets and campuses, never persons (R42).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import IntEnum
from statistics import median

from syncd.core.calendar import Calendar
from syncd.core.rollover import Rolling

ENDS_SOON = timedelta(days=3)
"""So long before its end a rollover is told of."""
FEWEST_RUNS, TOO_FAST, WORTH_TIMING = 5, 0.05, 10.0  # earlier runs; share of their median; seconds


class Level(IntEnum):
    """How well: Nagios' own numbers, so that `syncd status` exits with them."""

    OK = 0
    WARNING = 1
    CRITICAL = 2


class Kind:
    """What freshness is remembered of."""

    SOURCE = "source"
    TARGET = "target"
    CAMPUS = "campus"
    CONFIGURATION = "configuration"
    BACKUP = "backup"
    NOTICE = "notice"
    SEATS = "seats"
    PART = "part"
    DEVICES = "devices"
    HELD_DEVICES = "held devices"


@dataclass(frozen=True, slots=True)
class Freshness:
    """How fresh something is: when it was last good, when its content last changed, and when and why it last failed.

    `count` is how many persons or accounts it told of when it was last good.
    """

    kind: str
    name: str
    good_at: datetime | None = None
    changed_at: datetime | None = None
    failed_at: datetime | None = None
    why: str = ""
    count: int = 0

    @property
    def failing(self) -> bool:
        """True where it failed the last time it was tried."""
        return self.failed_at is not None and (self.good_at is None or self.failed_at > self.good_at)


WHOLE = ("delta", "everything", "reconcile")
"""The kinds of runs that judge everybody. An undo, or a run for one person, says nothing of the others."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run as far as health goes. `held` says why it waits for somebody, a sentence for each limit."""

    id: str
    kind: str
    status: str
    started: datetime
    ended: datetime | None
    held: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs."""
        return None if self.ended is None else (self.ended - self.started).total_seconds()

    @property
    def judged(self) -> bool:
        """Whether it came to a verdict about everybody: it neither ended before, nor was about some people only."""
        return self.kind in WHOLE and (bool(self.counts) or self.status not in ("planning", "failed", "interrupted"))

    @property
    def waits(self) -> bool:
        """Whether it, or a part of it, waits for somebody."""
        return self.status == "held" or bool(self.held)


@dataclass(frozen=True, slots=True)
class PipelineFacts:
    """A pipeline: its newest runs, newest first, and when the next is due by its schedule."""

    runs: Sequence[RunFacts] = ()
    scheduled: bool = False
    next_runs: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def newest(self) -> RunFacts | None:
        """The newest run, whatever became of it."""
        return self.runs[0] if self.runs else None

    @property
    def good(self) -> RunFacts | None:
        """The newest run that went through."""
        return next((run for run in self.runs if run.status in ("done", "partly failed") and run.ended), None)

    @property
    def holding(self) -> tuple[RunFacts, ...]:
        """The runs by which something waits for somebody now, newest first.

        That is the newest one that judged everybody, and what was asked for since beside it and still waits, such as an undo.
        """
        found: list[RunFacts] = []
        for place, run in enumerate(self.runs):
            if run.waits and (run.judged or place == 0 or run.status in ("planned", "held")):
                found.append(run)
            if run.judged:
                break
        return tuple(found)

    def held_since(self, run: RunFacts) -> datetime:
        """Since when something has waited without a break, as of this run: since the first of the runs before it that held, too."""
        since = run.started
        for one in self.runs[self.runs.index(run) :] if run.judged else ():
            if one.judged and not one.held:
                break
            since = one.started if one.judged else since
        return since

    @property
    def held(self) -> tuple[str, ...]:
        """Why something waits for somebody."""
        return tuple(why for run in self.holding for why in run.held)


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is judged."""

    sources: Mapping[str, Freshness]
    targets: Mapping[str, Freshness]
    campuses: Mapping[str, Freshness]
    pipelines: Mapping[str, PipelineFacts]
    unchanged_after: Mapping[str, int]  # days, by source
    missing_canaries: Mapping[str, int]  # how many, by source
    missing_required: Mapping[str, int] = field(default_factory=dict)  # how many who must have an account, by source
    quarantined: int = 0
    findings: Mapping[str, int] = field(default_factory=dict)
    configuration: Freshness | None = None
    alive: bool = False  # a daemon runs on this store
    backup: Freshness | None = None
    notices: Mapping[str, Freshness] = field(default_factory=dict)
    breakers: Mapping[str, str] = field(default_factory=dict)
    decided: Mapping[str, int] = field(default_factory=dict)  # local facts in force, by kind
    owed_locks: Mapping[str, int] = field(default_factory=dict)  # accounts of locked people that may be open, by target
    rolling: Sequence[Rolling] = ()  # the rollovers under way
    broken: Mapping[str, str] = field(default_factory=dict)  # by pipeline: what of this host keeps it from running at all
    half_approved: int = 0  # changes that one human approved where two must
    rekeying: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # facts under earlier keys, by source and key
    observed: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # by target: what would be done and is not released
    devices: Mapping[str, Freshness] = field(default_factory=dict)  # by target: the last run about devices
    held_devices: Mapping[str, Freshness] = field(default_factory=dict)  # by target: what of it waits for somebody
    seats: Mapping[tuple[str, str], Freshness] = field(default_factory=dict)  # by target and licence, as last looked at
    parts: Mapping[tuple[str, str], Freshness] = field(default_factory=dict)  # by target and part, such as its groups
    claims: Claims | None = None  # what was tried at the portal, where there is one


@dataclass(frozen=True, slots=True)
class Claims:
    """Tries at claiming accounts in the present day: wrong and right ones, and how many wrong ones it takes."""

    wrong: int
    right: int
    allowed: int


CROWD = 25
"""So many findings of one kind are told."""
_CROWDS: Mapping[str, tuple[str, str]] = {
    "reject": ("rows cannot be used; whom they belong to is left as they are", "syncd rejects"),
    "disputed": ("people or accounts are disputed, and left as they are", "syncd disputes"),
    "deleted": ("linked accounts are gone or not shown any more, and are not made anew unasked", "syncd plan"),
    "strayed": ("accounts were moved out of the base by others", "syncd plan"),
    "disabled by others": ("accounts were disabled by others, and stay so", "syncd plan"),
    "adoptable": ("accounts were found that would be somebody's, on a target that is only observed", "syncd adopt --report"),
    "adopted": ("accounts were found that nobody here had made, and are linked now", "syncd plan"),
    "quarantined": ("people have accounts that cannot be worked out, and are left as they are", "syncd plan"),
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a district takes for stale."""

    stale_after: timedelta = timedelta(hours=26)
    backup_after: timedelta = timedelta(days=8)


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that is not well: how bad, what it is about, and what is wrong, in words."""

    level: Level
    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


def judge(facts: Facts, bounds: Bounds, calendar: Calendar, now: datetime, today: date) -> list[Reason]:
    """What is not well, worst first; empty where all is."""
    reasons = [
        *_process(facts),
        *_runs(facts, bounds, now),
        *_sources(facts, bounds, calendar, now, today),
        *_targets(facts, bounds, now),
        *_parts(facts, bounds, now),
        *_seats(facts, bounds, now),
        *_devices(facts),
        *_campuses(facts, bounds, now),
        *_many(facts),
        *_approvals(facts),
        *_backup(facts, bounds, now),
        *_notices(facts),
        *_locks(facts),
        *_claims(facts),
        *_rollovers(facts, today),
        *_rotation(facts),
        *_observed(facts),
    ]
    return sorted(reasons, key=lambda reason: -reason.level)


def level_of(reasons: Collection[Reason]) -> Level:
    """The worst of these."""
    return max((reason.level for reason in reasons), default=Level.OK)


def _process(facts: Facts) -> Iterator[Reason]:
    if not facts.alive and any(one.scheduled for one in facts.pipelines.values()):
        yield Reason(Level.CRITICAL, "daemon", "does not run; start it: systemctl start syncd")
    if facts.configuration is not None and facts.configuration.failing:
        yield Reason(
            Level.WARNING,
            "configuration",
            f"the edited files are refused, the last good ones are in use: {facts.configuration.why}",
        )


def _runs(facts: Facts, bounds: Bounds, now: datetime) -> Iterator[Reason]:
    for name, pipeline in facts.pipelines.items():
        where = f"pipeline {name}"
        newest, good = pipeline.newest, pipeline.good
        if name in facts.broken:
            yield Reason(Level.CRITICAL, where, f"the last run could not be: {facts.broken[name]}")
        if newest is None:
            yield Reason(Level.WARNING, where, "has never run")
            continue
        for run in pipeline.holding:
            for why in run.held or ("the next apply must be explicit",):
                yield Reason(Level.CRITICAL, where, f"run {run.id} is held: {why}")
        if newest.status in ("failed", "interrupted") and not newest.waits:
            yield Reason(Level.WARNING, where, f"run {newest.id} {newest.status}; `syncd show {newest.id}` tells more")
        if good is None or (good.ended is not None and now - good.ended > bounds.stale_after):
            since = "ever" if good is None or good.ended is None else f"for {age(now - good.ended)}"
            yield Reason(Level.CRITICAL, where, f"no run has ended well {since}")
        yield from _too_fast(where, pipeline.runs)


def _too_fast(where: str, runs: Sequence[RunFacts]) -> Iterator[Reason]:
    """A run that reads everything takes about what it always takes; in a twentieth of that nothing can have been read."""
    timed = [(run, run.seconds) for run in runs if run.kind == "reconcile" and run.status == "done"]
    before = [seconds for _, seconds in timed[1:] if seconds is not None]
    if len(before) < FEWEST_RUNS:
        return
    usual, (newest, seconds) = median(before), timed[0]
    if usual >= WORTH_TIMING and seconds is not None and seconds < usual * TOO_FAST:
        yield Reason(
            Level.CRITICAL, where, f"run {newest.id} took {seconds:.1f} s, suspiciously fast: such a run takes {usual:.0f} s here"
        )


def _sources(facts: Facts, bounds: Bounds, calendar: Calendar, now: datetime, today: date) -> Iterator[Reason]:
    for name, fresh in facts.sources.items():
        where = f"source {name}"
        if facts.missing_canaries.get(name):
            yield Reason(Level.CRITICAL, where, f"{facts.missing_canaries[name]} of its canaries are missing from the last roster")
        if facts.missing_required.get(name):
            who = f"{facts.missing_required[name]:,} of its required persons"
            yield Reason(Level.WARNING, where, f"{who} are not in the last roster; closing their accounts is asked about")
        yield from _age(where, fresh, "read", bounds.stale_after, now)
        if fresh.changed_at is None:
            continue
        days = calendar.school_days(fresh.changed_at.date(), today)
        if days > facts.unchanged_after.get(name, days):
            yield Reason(
                Level.CRITICAL, where,
                f"the roster has not changed for {days} school days: exports that stopped look like this",
            )  # fmt: skip


def _targets(facts: Facts, bounds: Bounds, now: datetime) -> Iterator[Reason]:
    for name, fresh in facts.targets.items():
        yield from _age(f"target {name}", fresh, "used", bounds.stale_after, now)
        if facts.breakers.get(name, "closed") != "closed":
            yield Reason(Level.WARNING, f"target {name}", "is not called at the moment, after failing several times in a row")
    if facts.quarantined:
        yield Reason(Level.WARNING, "quarantine", f"{facts.quarantined:,} changes were refused by a target; see `syncd quarantine`")


def _parts(facts: Facts, bounds: Bounds, now: datetime) -> Iterator[Reason]:
    """Parts of a target that cannot be used, while the rest goes on: as grave as a target that cannot, once it lasts."""
    for (target, part), fresh in sorted(facts.parts.items()):
        if fresh.failing:
            since = fresh.changed_at or now
            level = Level.CRITICAL if now - since > bounds.stale_after else Level.WARNING
            yield Reason(level, f"target {target}", f"{part} cannot be used, and what needs them waits: {fresh.why}")


def _seats(facts: Facts, bounds: Bounds, now: datetime) -> Iterator[Reason]:
    """Licences that will not do. Each run that gives some looks, and each that reads everything: what is older is over."""
    for (target, name), fresh in sorted(facts.seats.items()):
        if fresh.failing and fresh.failed_at is not None and now - fresh.failed_at <= bounds.stale_after:
            yield Reason(Level.WARNING, f"target {target}", f"{name}: {fresh.why}")


def _devices(facts: Facts) -> Iterator[Reason]:
    for name, fresh in sorted(facts.held_devices.items()):
        if fresh.failing:
            yield Reason(Level.CRITICAL, f"devices on {name}", fresh.why)
    for name, fresh in sorted(facts.devices.items()):
        if fresh.failing:
            yield Reason(Level.WARNING, f"devices on {name}", f"could not be looked after: {fresh.why}")


def _age(where: str, fresh: Freshness, verb: str, stale: timedelta, now: datetime) -> Iterator[Reason]:
    """What is wrong with something that must be reached every day."""
    old = fresh.good_at is None or now - fresh.good_at > stale
    since = "never" if fresh.good_at is None else f"not for {age(now - fresh.good_at)}"
    if fresh.failing:
        yield Reason(Level.CRITICAL if old else Level.WARNING, where, f"could {since} be {verb}: {fresh.why}" if old else fresh.why)
    elif old and fresh.good_at is not None:
        yield Reason(Level.CRITICAL, where, f"was {since} {verb}, which is longer than {age(stale)}")


def _campuses(facts: Facts, bounds: Bounds, now: datetime) -> Iterator[Reason]:
    for code, fresh in facts.campuses.items():
        if fresh.failing:
            yield Reason(Level.CRITICAL, f"campus {code}", fresh.why)
        elif fresh.good_at is not None and now - fresh.good_at > bounds.stale_after:
            yield Reason(Level.CRITICAL, f"campus {code}", f"its last good data is {age(now - fresh.good_at)} old")


def _many(facts: Facts) -> Iterator[Reason]:
    """A few of these are every week's; a crowd is an export, a script or a server that went wrong."""
    for kind, (what, look) in _CROWDS.items():
        number = facts.findings.get(kind, 0)
        if number >= CROWD:
            yield Reason(Level.WARNING, "findings", f"{number:,} {what}. Look: `{look}`")


def _notices(facts: Facts) -> Iterator[Reason]:
    for name, fresh in facts.notices.items():
        if fresh.failing:
            yield Reason(Level.WARNING, f"notify {name}", f"the last message could not be sent: {fresh.why}")


def _locks(facts: Facts) -> Iterator[Reason]:
    for name, count in facts.owed_locks.items():
        what = "an account of somebody locked is" if count == 1 else f"{count:,} accounts of locked people are"
        yield Reason(
            Level.CRITICAL, f"target {name}", f"{what} still open; it is tried again and again. Close it by hand if it cannot wait"
        )


def _claims(facts: Facts) -> Iterator[Reason]:
    """Somebody who guesses a little at each of many people locks none of them; all together they show."""
    claims = facts.claims
    if claims is None or 2 * claims.wrong < claims.allowed:
        return
    told = f"{claims.wrong:,} wrong tries at claiming in a day, and {claims.right:,} right ones: somebody guesses, or many mistype"
    if claims.wrong < claims.allowed:
        yield Reason(Level.WARNING, "portal", f"{told}. At {claims.allowed:,} nobody can claim")
    else:
        look = "Look at the portal's log; then: `syncd reopen-claims`"
        yield Reason(Level.CRITICAL, "portal", f"{told}. Nobody can claim until the day is over. {look}")


def _rotation(facts: Facts) -> Iterator[Reason]:
    """Facts that only a complete roster tells again; a source that never comes again keeps them under a key that was to go."""
    for source, keys in facts.rekeying.items():
        for key, count in keys.items():
            why = f"rotation pending: {count:,} of its facts are still under key {key}; its next complete roster tells them again"
            yield Reason(Level.WARNING, f"source {source}", why)


def _rollovers(facts: Facts, today: date) -> Iterator[Reason]:
    """A rollover that is about to end: whoever is missing then is missing in earnest."""
    for one in facts.rolling:
        if one.until - today <= ENDS_SOON:
            why = f"at {one.where()} ends on {one.until}; students still missing then begin their grace: syncd rollover preview"
            yield Reason(Level.WARNING, "rollover", why)


def _approvals(facts: Facts) -> Iterator[Reason]:
    """Said only while something is held: what one human approved may not be wanted any more."""
    if facts.half_approved and any(pipeline.held for pipeline in facts.pipelines.values()):
        yield Reason(
            Level.WARNING, "approvals",
            f"{facts.half_approved:,} held changes are approved by 1 of 2; somebody else must approve them, too: see `syncd holds`",
        )  # fmt: skip


def _observed(facts: Facts) -> Iterator[Reason]:
    """Not amiss, and not to be forgotten: what is planned and not made, because nobody has released it (R34)."""
    for name, kinds in facts.observed.items():
        would = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items())) or "no change"
        yield Reason(Level.OK, f"target {name}", f"observing: {would} would be made; `syncd go-live --list` tells what is released")


def _backup(facts: Facts, bounds: Bounds, now: datetime) -> Iterator[Reason]:
    at = facts.backup.good_at if facts.backup else None
    if at is None:
        yield Reason(Level.WARNING, "backup", "there is none; `syncd backup FILE` makes one")
    elif now - at > bounds.backup_after:
        yield Reason(Level.WARNING, "backup", f"the last one is {age(now - at)} old")


def age(span: timedelta) -> str:
    """A span of time as people say it: `40 s`, `5 minutes`, `3 hours`, `2 days`."""
    seconds = max(int(span.total_seconds()), 0)
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * size or (seconds >= size and unit == "minute"):
            number = seconds // size
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{seconds} s"
