"""What is answered about the devices of students: plan, apply, approve, collect, lost, found, explain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from syncd.cli.asking import Answered, masker, no_run, run_named
from syncd.cli.console import counted
from syncd.cli.exits import Exit
from syncd.control import Answer, said
from syncd.control.visit import Visit
from syncd.core.device_rules import UNIT
from syncd.core.devices import Finding, Held
from syncd.core.model import Account, Change, Kind, TargetName
from syncd.core.rendering import MASK, Line, Masked
from syncd.engine.devices import Planned, Report, Story
from syncd.store import Store

_SIGNS = {
    Kind.DISABLE_DEVICE: ("-", "red"),
    Kind.ENABLE_DEVICE: ("+", "green"),
    Kind.ANNOTATE_DEVICE: ("~", "yellow"),
    Kind.MOVE_DEVICE: ("~", "yellow"),
}
_EVERYWHERE = "/"


def plan(visit: Visit, *, target: str = "", most: int = 10) -> Answer:
    """What a run about devices would do. 3 where something waits for a human."""
    name = _target(visit, target)
    with visit.alone():
        ready = visit.district.devices.plan(name, f"asked by {visit.who}")
    persons = {one.person for one in ready.changes if one.person} | {one.person for one in ready.findings if one.person}
    masked = masker(visit.district.store, persons)
    code = Exit.HELD if ready.held or ready.first else Exit.DONE
    return Answer(code, tuple(_planned(ready, masked, most)))


def _planned(ready: Planned, masked: Masked, most: int) -> Iterator[Line]:
    yield Line(f"devices of {ready.target}, run {ready.run}: {len(ready.changes):,} changes of {ready.devices:,} devices", "bold")
    for place in ready.containers:
        yield Line(f"  + unit {place}", "green")
    for kind, alike in groupby(ready.changes, key=lambda one: one.kind):
        same = list(alike)
        yield Line(f"  {kind}: {len(same):,}", "bold")
        for change in same[: most or None]:
            yield from _change(change, hidden=masked(change.person))
        if most and len(same) > most:
            yield Line(f"    … and {len(same) - most:,} more (--most 0 shows all)", "dim")
    yield from _left_alone(ready.findings, len(ready.joined.excluded), len(ready.collect), masked)
    yield from _held(ready.held, first=ready.first, run=ready.run)
    if ready.sendable and not ready.first:
        yield Line("Apply it with: syncd devices apply")
    elif not ready.changes:
        yield Line("Nothing to do: every device is as it should be, or left alone as said above.", "green")


def _change(change: Change, *, hidden: bool) -> Iterator[Line]:
    sign, style = _SIGNS[change.kind]
    before, after = change.before, change.after
    if before is None or after is None:
        return
    about = f"  [campus {change.campus}]" if change.campus and not hidden else ""
    moved = f" {_unit(before)}  →  {_unit(after)}" if change.kind is Kind.MOVE_DEVICE else ""
    yield Line(f"    {sign} {after.rdn}{moved}{about}  {change.reason}", style)
    for name in sorted(after.attributes):
        for mark, account in (("-", before), ("+", after)):
            for value in account.attributes.get(name, ()):
                yield Line(f"        {mark} {name}: {MASK if hidden else value}", "red" if mark == "-" else "green")


def _unit(account: Account) -> str:
    return account.container or _EVERYWHERE


def _left_alone(findings: Sequence[Finding], excluded: int, collect: int, masked: Masked) -> Iterator[Line]:
    counts = Counter(one.kind for one in findings)
    if counts or excluded:
        yield Line("left alone, and why:", "bold")
    if excluded:
        yield Line(f"  {excluded:,} excluded by rule")
    for kind, number in sorted(counts.items()):
        first = next((one for one in findings if one.kind == kind and not (one.person and masked(one.person))), None)
        yield Line(f"  {number:,} {kind}" + (f", such as {first.subject}: {first.why}" if first else ""))
    if collect:
        yield Line(f"{collect:,} devices of people who left are to be collected: syncd devices collect", "yellow")


def _held(held: Sequence[Held], *, first: bool, run: str | None) -> Iterator[Line]:
    for one in held:
        yield Line(f"held: {one.what}", "red")
    if held and run:
        yield Line(f"Let it go, where it is right, with: syncd devices approve {run} --because '…'")
    if first:
        yield Line(
            "held: syncd never changed a device here, so the first apply is explicit. When the plan is right: "
            "syncd devices apply --first",
            "yellow",
        )


def apply(visit: Visit, *, target: str = "", first: bool = False) -> Answer:
    """Plan again and apply what waits for nobody."""
    name = _target(visit, target)
    with visit.alone():
        report = visit.district.devices.apply(name, f"asked by {visit.who}", first=first)
    return answer(visit.district.store, [report])


def answer(store: Store, reports: Sequence[Report]) -> Answer:
    """What came of runs about devices."""
    persons = [one.change.person for report in reports for one in report.failures if one.change.person]
    persons += [one.person for report in reports for one in report.findings if one.person]
    masked = masker(store, persons)
    return Answer(code_of(reports), tuple(line for report in reports for line in lines(report, masked)))


def code_of(reports: Sequence[Report]) -> Exit:
    """The exit code of what came of runs about devices."""
    if any(one.cut_short for one in reports):
        return Exit.TERMINATED
    if any(one.failures or one.stopped for one in reports):
        return Exit.PARTLY
    return Exit.HELD if any(one.held or one.first for one in reports) else Exit.DONE


def lines(report: Report, masked: Masked, most: int = 20) -> Iterator[Line]:
    """What came of one run about devices."""
    done = counted({str(kind): count for kind, count in sorted(report.kinds.items())}) or "nothing to do"
    if report.stopped is None or report.kinds:
        yield Line(f"devices of {report.target}: {done}", "" if report.failures else "green")
    if report.stopped is not None:
        yield Line(f"devices of {report.target} were left alone: {report.stopped}", "red")
    for outcome in report.failures[:most]:
        change, told = outcome.change, "(confidential)" if masked(outcome.change.person) else outcome.why
        yield Line(f"  {change.kind} {change.after.rdn if change.after else ''} {outcome.failure}: {told}", "red")
    if len(report.failures) > most:
        yield Line(f"  … and {len(report.failures) - most:,} more refusals: syncd show {report.run}", "red")
    yield from _left_alone(report.findings, report.excluded, report.collect, masked)
    yield from _held(report.held, first=report.first, run=report.run)


def approve(visit: Visit, *, run: str, because: str) -> Answer:
    """Let go what a plan about devices holds, exactly as it has it."""
    named = run_named(run)
    if named is None:
        raise Answered(said(no_run(run), Exit.NO_INPUT))
    found = visit.district.devices.approve(named, visit.who, because)
    days = visit.district.config.approvals.expire_after
    if not found.lets_go:
        waits = f"{found.given} of {found.needed} have approved it; it waits for another human, for {days} days"
        return said(f"{visit.who} approves {found.changes:,} decisions about {found.people:,} devices: {waits}")
    line = Line(
        f"{visit.who} lets {found.people:,} devices go, for {days} days. The next run changes what is still exactly so: "
        "the daemon by itself, or syncd devices apply"
    )
    runs = next(
        (name for name, one in visit.district.config.pipelines.items() if set(one.targets) & {*visit.district.devices.targets}), ""
    )
    return Answer(lines=(line,), runs=runs)


def collect(visit: Visit, *, target: str = "", campus: Sequence[str] = ()) -> Answer:
    """The devices that people who left still have, as rows for a file of each campus."""
    name = _target(visit, target)
    with visit.alone():
        ready = visit.district.devices.plan(name, f"asked by {visit.who}")
    rows = [
        {
            "campus": one.campus,
            "serial": one.serial,
            "asset": one.asset,
            "model": one.model,
            "location": one.location,
            "person": one.person,
            "name": one.name,
            "student_number": one.number,
            "left": one.left.isoformat(),
        }
        for one in ready.collect
        if not campus or one.campus in campus
    ]
    return Answer(value=rows)


def lost(visit: Visit, *, serial: str, because: str, target: str = "") -> Answer:
    """Somebody lost a device: it is disabled now."""
    return _switched(visit, visit.district.devices.lost(_target(visit, target), serial, visit.who, because), serial)


def found(visit: Visit, *, serial: str, because: str, target: str = "") -> Answer:
    """A device was found: it is enabled again where we disabled it."""
    return _switched(visit, visit.district.devices.found(_target(visit, target), serial, visit.who, because), serial)


def _switched(visit: Visit, report: Report, serial: str) -> Answer:
    told = answer(visit.district.store, [report])
    if report.kinds or report.failures or report.stopped:
        return told
    why = [Line(f"{serial}: {one.why}", "yellow") for one in report.findings]
    nothing = Line(f"{serial}: nothing to do on {report.target}: it is so already, or not there. It is remembered all the same")
    return Answer(told.code, tuple(why) or (nothing,))


def explain(visit: Visit, *, serial: str, target: str = "") -> Answer:
    """Why a device is as it is."""
    name = _target(visit, target)
    stories = visit.district.devices.explain(name, serial)
    if not stories:
        return said(f"no device on {name} has the serial number {serial!r}", Exit.NO_INPUT)
    persons = [one.mine.student.person.id for one in stories if one.mine and one.mine.student]
    masked = masker(visit.district.store, persons)
    return Answer(lines=tuple(line for story in stories for line in _story(story, masked)))


def _story(story: Story, masked: Masked) -> Iterator[Line]:
    device, mine = story.device, story.mine
    student = mine.student if mine else None
    hidden = student is not None and masked(student.person.id)
    yield Line(f"{device.serial} on {story.target}: {device.status}, in {device.unit or _EVERYWHERE}  ({device.native_id})", "bold")
    if story.excluded:
        yield Line(f"  no rule touches it: {story.excluded}")
    if mine is not None:
        where = f"row {mine.row.line} of the roster of devices" if mine.row.line else "what the target notes of it"
        whose = f"{student.person.id}, campus {student.campus or '(none)'}" if student else "nobody"
        yield Line(f"  {where} gives it to {whose}" + (" and says that it is lost" if mine.row.lost else ""))
        if student is not None and student.left is not None:
            yield Line(f"  who left on {student.left}: it is to be collected, and stays as it is", "yellow")
    for name, value in sorted(device.annotations.items()):
        wanted = story.looks.annotations.get(name) if story.looks else None
        rule = f"  by {story.marks.get(name) or 'default'}" if wanted is not None else "  left as it is: no rule"
        now, then = (MASK if hidden and text else text for text in (value, wanted or ""))
        yield Line(
            f"  {name}: {now or '(nothing)'}" + (f"  →  {then or '(nothing)'}" if wanted not in (None, value) else "") + rule
        )
    if story.looks is not None and story.looks.unit is not None:
        yield Line(f"  unit: {device.unit or _EVERYWHERE}, wanted {story.looks.unit}  by {story.marks.get(UNIT) or '`spare`'}")
    for finding in story.findings:
        yield Line(f"  {finding.kind}: {finding.why}", "yellow")
    for change in story.changes:
        yield Line(f"  to do: {change.kind}: {change.reason}")
    for row in story.history:
        yield Line(
            f"  {row.at:%Y-%m-%d %H:%M} UTC, run {row.run}: {row.change.kind}, {row.result or 'not known yet'}: {row.change.reason}"
        )


def _target(visit: Visit, target: str) -> TargetName:
    """The target whose devices are meant: the only one, unless it is named."""
    known = visit.district.devices.targets
    if not known:
        raise Answered(said("no mapping says anything of `devices:`; see docs/how-to/chromebooks.md", Exit.CONFIG))
    if not target and len(known) == 1:
        return known[0]
    if TargetName(target) not in known:
        there = ", ".join(known)
        raise Answered(said(f"name a target that has devices, with --target: {there}", Exit.USAGE))
    return TargetName(target)
