"""What the guard is told, what it says, and what a human lets go in spite of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import cache

from syncd import telemetry
from syncd.core import clock, guard, plan
from syncd.core.guard import Cell, Verdict
from syncd.core.model import Change, Kind, PersonId, RunId, SourceName, TargetName
from syncd.core.plan import Plan
from syncd.engine import gather
from syncd.engine.gather import Reading, SourceAccess
from syncd.engine.matching import Matched
from syncd.engine.planned import Planned, StoredPlan
from syncd.errors import EndpointError
from syncd.settings import Config
from syncd.store import Approval, Store

BEGUN, ENDED = "begun", "ended"  # the explicit first apply to a target, which may take more than one run (R14)
APPROVED_FOR = timedelta(days=7)
"""How long an approval waits for the run that applies it: who approved has seen what was so then."""
_NOT_SPENT: tuple[dict[Cell, int], dict[Cell, int]] = ({}, {})

_log = telemetry.logger("engine")


class Judge:
    """Judges the plans of one district."""

    def __init__(self, config: Config, store: Store, clock: Callable[[], datetime]) -> None:
        self._config = config
        self._store = store
        self._clock = clock

    def verdict(
        self,
        pipeline: str,
        accesses: Collection[SourceAccess],
        readings: Mapping[SourceName, Reading],
        plans: Mapping[TargetName, Plan],
        matched: Mapping[TargetName, Matched],
        came_from: Mapping[PersonId, str],
    ) -> tuple[Verdict, frozenset[PersonId]]:
        """The verdict, and whom a human has let go though a limit would hold them."""
        known = {name: self._known(name, one, matched[name]) for name, one in plans.items()}
        changes = {name: one.changes for name, one in plans.items()}
        verdict = guard.judge(changes, known, cache(self._store.people_at), came_from)
        released = self._approved(plans, verdict.held) if verdict.held else frozenset()
        verdict = verdict.released(released)
        findings = (*gather.broken_shapes(accesses, readings, self._store), *verdict.findings)
        first = tuple(sorted(name for name, one in plans.items() if one.changes and self.is_first(pipeline, name)))
        return replace(verdict, findings=findings, first=first), released

    def _known(self, name: TargetName, one: Plan, matched: Matched) -> guard.Known:
        day, week = self._store.spent(name, self._clock()) if one.changes else _NOT_SPENT
        return guard.Known(
            matched.accounts,
            self._config.targets[name].limits,
            history=self._store.has_history(name),
            filling=self._store.first_apply(name) == BEGUN,
            day=day,
            week=week,
        )

    def _approved(self, plans: Mapping[TargetName, Plan], held: Collection[PersonId]) -> frozenset[PersonId]:
        """Those of the people all of whose changes somebody approved just as they are (R15)."""
        theirs: dict[PersonId, set[str]] = {}
        for change in (change for one in plans.values() for change in one.changes):
            if change.person is not None and change.person in held:
                theirs.setdefault(change.person, set()).add(plan.digest(change))
        approved = self._store.approved({digest for mine in theirs.values() for digest in mine}, self._clock())
        return frozenset(person for person, mine in theirs.items() if mine <= approved)

    def approve(self, run: RunId, kept: StoredPlan, actor: str, because: str, campuses: Collection[str]) -> tuple[int, int]:
        """Remember that somebody let the held changes of this plan go; how many people, and how many changes."""
        now = self._clock()
        changes = [change for one in kept.plans.values() for change in one.changes if change.person in kept.held]
        chosen = {change.person for change in changes if change.person is not None and (not campuses or change.campus in campuses)}
        digests = {plan.digest(change) for change in changes if change.person in chosen}
        # Whoever is held without a change has vanished from a roster: what is approved is that they are gone.
        gone = self._store.persons(kept.held - {change.person for change in changes})
        absent = {person for person, state in gone.items() if not campuses or state.campus in campuses}
        chosen |= absent
        digests |= {gather.vanish_digest(person) for person in absent}
        if not digests:
            raise EndpointError(f"plan {run}", "holds nobody back" + (" there" if campuses else ""), "see `syncd holds`")
        self._store.approve(Approval(run, now, now + APPROVED_FOR, actor, because), digests)
        _log.info("plan.approved", run=run, persons=len(chosen), changes=len(digests))
        return len(chosen), len(digests)

    def cells_of(self, ready: Planned, name: TargetName) -> Callable[[Change], Collection[Cell]]:
        """Where a change that was made counts for runs to come (R12): not what a human released, nor what a first apply fills."""
        if name in ready.verdict.first or self._store.first_apply(name) == BEGUN:
            return lambda _: ()
        created = {change.person for change in ready.plans[name].changes if change.kind is Kind.CREATE}

        def counted(change: Change) -> Collection[Cell]:
            if change.person in ready.released or (change.person in created and change.kind is not Kind.CREATE):
                return ()
            return guard.cells(change, ready.came_from)

        return counted

    def is_first(self, pipeline: str, target: TargetName) -> bool:
        """Whether the next apply to a target must be explicit: never written to (R14), or not read since a restore (R25)."""
        return not self._store.has_history(target) or self.needs_reconcile(pipeline)

    def doubted(self, verdict: Verdict, pipeline: str, today: date) -> tuple[Verdict, str]:
        """The verdict, and why the clock is not believed, if it is not: then nothing is applied or accepted but explicitly."""
        parts = self._config.pipelines[pipeline]
        seen = [self._store.meta(f"seen {source}") for source in parts.sources]
        doubt = clock.doubt(today, max(map(date.fromisoformat, filter(None, seen)), default=None))
        return (replace(verdict, first=tuple(sorted(parts.targets))) if doubt else verdict), doubt

    def needs_reconcile(self, pipeline: str) -> bool:
        """Whether the store was restored and this pipeline has not read its targets since (R25)."""
        restored, *done = self._store.meta("needs_reconcile").split() or [""]
        return bool(restored) and pipeline not in done
