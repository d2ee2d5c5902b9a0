"""What `plan`, `apply` and `sync` print: the plan, why it is held, what came of it, and what to do next. Yields lines only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from syncd.cli.console import counted
from syncd.cli.exits import Exit
from syncd.core.model import PersonId, RunId, SourceName
from syncd.core.plan import Plan
from syncd.core.rendering import Filter, Line, Masked, where
from syncd.core.rendering import as_json as change_as_json
from syncd.core.rendering import lines as plan_lines
from syncd.engine.planned import Applied, Planned, Stopped
from syncd.errors import EndpointError
from syncd.store import Finding, Store

_ASK = {"disputed": "syncd disputes", "reject": "syncd rejects"}


def lines(planned: Planned, wanted: Filter, masked: Masked, most: int) -> Iterator[Line]:
    """A whole plan as a person reads it."""
    for target in sorted(planned.plans):
        yield from plan_lines(planned.plans[target], wanted, masked, most)
        if target in planned.observed:
            yield from plan_lines(Plan(target, planned.observed[target]), wanted, masked, most, about="observed on ")
    yield from _findings([one for one in planned.findings if wanted.person in (None, one.person)], masked)
    yield from stopped_lines(planned.stopped, planned.unread)
    yield from verdict_lines(planned)


def _findings(findings: Sequence[Finding], masked: Masked) -> Iterator[Line]:
    counts = Counter(finding.kind for finding in findings if finding.kind != "source failed")  # told apart, in red
    if counts:
        yield Line("left alone, and why:", "bold")
    for kind, number in sorted(counts.items()):
        look = f"  (see: {_ASK[kind]})" if kind in _ASK else ""
        open_ones = (one for one in findings if one.kind == kind and not (one.person and masked(one.person)))
        first = next(open_ones, None)
        yield Line(f"  {number:,} {kind}{look}" + (f", such as {first.subject}: {first.why}" if first else ""))


def stopped_lines(stopped: Stopped, unread: Mapping[SourceName, EndpointError]) -> Iterator[Line]:
    """Targets that could not be used, and sources whose last accepted roster was taken instead."""
    for source, failed in sorted(unread.items()):
        yield Line(f"source {source} was not read, and its last accepted roster stands in for it: {failed}", "red")
    for target, error in sorted(stopped.items()):
        yield Line(f"target {target} sits this run out: {error}", "red")


def _nothing_to_do(stopped: Stopped, unread: Mapping[SourceName, EndpointError], *, observed: bool = False) -> Line:
    """Said only where it was seen: what could not be asked may need anything."""
    if observed and not stopped and not unread:
        return Line("Nothing to do of what is released.", "green")
    if stopped or unread:
        return Line("Nothing was found to do, but not everything could be looked at: see above.", "yellow")
    return Line("Nothing to do: every account is as it should be.", "green")


def verdict_lines(planned: Planned) -> Iterator[Line]:
    """Why the plan is held, or how to apply it."""
    verdict = planned.verdict
    yield from observing_lines(planned)
    yield from held_lines([str(finding) for finding in verdict.findings], verdict.first, planned.run)
    if not planned.changes:
        yield _nothing_to_do(planned.stopped, planned.unread, observed=any(planned.observed.values()))
    elif verdict.clear:
        yield Line(f"Apply it with: syncd apply {planned.run}")
    elif not verdict.blocked and not verdict.first:
        yield Line(f"Apply the rest with: syncd apply {planned.run}")
    if verdict.held:
        yield Line(f"Let what is held go, where it is right, with: syncd approve {planned.run} --because '…'")


def observing_lines(planned: Planned) -> Iterator[Line]:
    """What of which target is not released, and so not made."""
    for target, left in sorted(planned.observed.items()):
        would = counted(Counter(str(change.kind) for change in left))
        adoptable = sum(one.kind == "adoptable" and one.target == target for one in planned.findings)
        yield Line(
            f"observing {target}: {len(left):,} changes would be made besides ({would}). Let runs do so: syncd go-live {target} …",
            "yellow",
        )
        if adoptable:
            yield Line(f"  {adoptable:,} people have an account there that would be theirs. Look: syncd adopt --report", "yellow")


def held_lines(findings: Sequence[str], first: Sequence[str], run: str) -> Iterator[Line]:
    """What holds a plan, and how a human releases it."""
    for finding in findings:
        yield Line(f"held: {finding}", "red")
    if first:
        yield Line(
            f"held: syncd never wrote to {', '.join(first)} before, or its store was restored since, "
            "so the first apply is explicit. "
            f"When the plan is right: syncd apply {run} --first",
            "yellow",
        )


def spools_of(store: Store, run: str, sources: Collection[SourceName]) -> dict[SourceName, str]:
    """The rosters accepted by the end of this run (or `last`), by source. Raises LookupError, in words, where there is none."""
    newest = store.runs(1)
    row = (newest[0] if newest else None) if run == "last" else store.run(RunId(run))
    if row is None:
        raise LookupError(f"there is no run {run}; `syncd runs` lists them")
    end = row.ended or row.started
    found: dict[SourceName, str] = {}
    for source in sources:
        accepted = [kept for kept in store.snapshots(source, 1000) if kept.fetched_at <= end]
        if not accepted:
            raise LookupError(f"no roster of source {source} was accepted by the end of {run}; name a later run")
        found[source] = accepted[0].spool
    return found


def as_json(planned: Planned, wanted: Filter, masked: Masked) -> dict[str, object]:
    """A plan for programs; changes in the plan's own order."""
    return {
        "run": planned.run,
        "pipeline": planned.pipeline,
        "kind": planned.kind,
        "today": planned.today.isoformat(),
        "clear": planned.verdict.clear,
        "held": [{"where": finding.where, "what": finding.what} for finding in planned.verdict.findings],
        "first": list(planned.verdict.first),
        "targets": [
            {
                "target": target,
                "digest": plan.digest,
                "counts": {kind.value: number for kind, number in sorted(plan.counts.items())},
                "changes": [change_as_json(change, masked) for change in plan.changes if wanted.wants(change)],
            }
            for target, plan in sorted(planned.plans.items())
        ],
        "findings": [
            {
                "kind": finding.kind,
                "subject": finding.subject,
                "person": finding.person,
                "source": finding.source,
                "target": finding.target,
                "why": "(confidential)" if masked(finding.person) else finding.why,
            }
            for finding in planned.findings
        ],
        "observed": {
            target: [change_as_json(change, masked) for change in left if wanted.wants(change)]
            for target, left in sorted(planned.observed.items())
        },
        "stopped": {name: str(error) for name, error in sorted(planned.stopped.items())},
    }


def code_of(applied: Applied) -> Exit:
    """The exit code of what came of a plan."""
    if any(report.cut_short for report in applied.reports.values()):
        return Exit.TERMINATED
    if applied.stopped and not applied.reports:
        return Exit.UNAVAILABLE
    if applied.failed or applied.stopped or applied.unread:
        return Exit.PARTLY
    return Exit.HELD if applied.held or applied.findings else Exit.DONE


def people_of(applied: Applied) -> set[PersonId]:
    """Everybody a report of this apply may name."""
    failed = {outcome.change.person for report in applied.reports.values() for outcome in report.failures}
    return {person for person in {*failed, *(change.person for change in applied.held)} if person is not None}


def applied_lines(applied: Applied, masked: Masked, most: int = 20) -> Iterator[Line]:
    """What came of a plan: counts, refusals in the target's own words, what stayed held, and what could not be used."""
    yield from stopped_lines(applied.stopped, applied.unread)
    if not applied.reports and not applied.held:
        yield _nothing_to_do(applied.stopped, applied.unread)
    for target, report in sorted(applied.reports.items()):
        done = ", ".join(f"{number:,} {kind}" for kind, number in sorted(report.kinds.items())) or "nothing to do"
        yield Line(f"{target}: {done}", "green" if not report.failures else "")
        for outcome in report.failures[:most]:
            change = outcome.change
            told = "(confidential)" if masked(change.person) else f"{where(change)}: {outcome.why}"
            yield Line(f"  {change.kind} {change.person or ''} {outcome.failure}: {told}", "red")
        if len(report.failures) > most:
            yield Line(f"  … and {len(report.failures) - most:,} more refusals: syncd show {applied.run}", "red")
        if report.cut_short:
            yield Line(f"  {target}: told to end; what was sent is recorded, the next run does the rest", "yellow")
        if report.waiting:
            yield Line(
                f"  {target}: {report.waiting:,} people wait for the target it comes after; the next run sends them", "yellow"
            )
        if report.stopped:
            yield Line(f"  {target} sat the rest of this run out: {report.stopped}", "red")
    yield from held_lines([str(finding) for finding in applied.findings], (), applied.run)
    if applied.findings:
        yield Line(f"Let them go, where that is right, with: syncd approve {applied.run} --because '…'", "yellow")
    if applied.held:
        yield Line(f"held: {len(applied.held):,} changes are not what was planned any more; look again with: syncd plan", "yellow")
        for change in applied.held[:most]:
            yield Line(
                f"  {change.kind} {change.person or ''} {'(confidential)' if masked(change.person) else where(change)}", "yellow"
            )
    if applied.vanished:
        yield Line(f"{applied.vanished:,} planned changes are not needed any more")
