"""What operators' verbs about plans and the daemon answer: the daemon's over its socket, or this program's own where none runs.

What a verb is told is what its handler declares (`control.verbs`); which right it takes stands in `cli.verbs`. Nothing is printed
here: an answer may go to another process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from syncd.cli.asking import Answered, in_words, masker, masker_of_plan, no_run, run_named, whom
from syncd.cli.exits import Exit, Nagios
from syncd.cli.plans import applied_lines, code_of, held_lines, lines, people_of
from syncd.control import Answer, Malformed, said
from syncd.control.visit import Visit
from syncd.core.health import Level, PipelineFacts, age
from syncd.core.model import PersonId, RunId
from syncd.core.rendering import Filter, Line, kinds_named
from syncd.engine import health as healths
from syncd.engine.approving import HeldCell
from syncd.engine.planned import Undoes
from syncd.engine.shapes import is_rise
from syncd.store import Store

_WAITS = frozenset({"planned", "held"})
_MOST_PERSONS = 500


NO_DAEMON = "no daemon runs here; start it: systemctl start syncd. `syncd sync` runs a pipeline without it"


# --- what is held -----------------------------------------------------------------------------------------------------


def holds(visit: Visit, *, persons: bool = False) -> Answer:
    """What is held back now, by pipeline and cell, who has approved it, and what was turned down. 3 where something is held."""
    store, config = visit.district.store, visit.district.config
    told: list[Line] = []
    for name, rows in sorted(store.wellbeing(config.pipelines, {}).runs.items()):
        told += _held(visit, name, PipelineFacts(healths.run_facts(rows)), persons=persons)
    for target, fresh in healths.held_devices(config, store).items():
        told += [
            Line(f"devices on {target}: {fresh.why}", "red"),
            Line("  look with: syncd devices plan; let them go with: syncd devices approve RUN --because '…'"),
        ]
    code = Exit.HELD if told else Exit.DONE
    told = told or [Line("nothing is held back")]
    return Answer(code, (*told, *_turned_down(visit)))


def _held(visit: Visit, pipeline: str, facts: PipelineFacts, *, persons: bool) -> Iterator[Line]:
    now, engine = visit.district.engine.now(), visit.district.engine
    for run in facts.holding:
        if not run.held:  # a first apply: it holds no cell, and `syncd apply PLAN --first` is said where it was planned
            continue
        for why in run.held:
            yield Line(f"{pipeline}, run {run.id}: {why}", "red")
        since = facts.held_since(run)
        yield Line(f"  held for {age(now - since)}, since {since:%Y-%m-%d %H:%M} UTC")
        kept = RunId(run.id)
        if visit.district.store.plan(kept) is not None:
            for cell in engine.approving.cells(engine.stored_plan(kept)):
                yield from _cell(visit, cell, persons=persons)
        yield Line(f"  let them go with: syncd approve {run.id} --because '…'  (--campus CODE for some)")
        yield Line(f"  or turn them down with: syncd reject {run.id} --because '…'  (--campus CODE, --person KEY for some)")


def _cell(visit: Visit, cell: HeldCell, *, persons: bool) -> Iterator[Line]:
    needed = visit.district.config.approvals.approvers
    where = "all that is held"
    if cell.cell is not None:
        at = [f"campus {cell.cell.campus or '(none)'}", cell.cell.population or "people"] if cell.cell.campus else ["everywhere"]
        where = ", ".join([cell.cell.operation, *at, f"on {cell.cell.target}"])
    unmoved = "kept as they are" if is_rise(cell.cell) else "missing from the roster"
    what = ", ".join(f"{number:,} {kind}" for kind, number in cell.kinds.items()) or unmoved
    yield Line(f"  {where}: {len(cell.persons):,} people, {cell.digests:,} to decide ({what})")
    for number, (approval, count) in enumerate(cell.approvals, 1):
        stands = f"{min(number, needed)} of {needed}" if needed > 1 else "goes with the next run"
        yield Line(
            f"    approved by {approval.actor} ({stands}): {count:,} of {cell.digests:,}, until "
            f"{approval.expires:%Y-%m-%d %H:%M} UTC, because {approval.because}",
            "yellow",
        )
    if persons:
        yield from _persons(visit.district.store, cell)


def _persons(store: Store, cell: HeldCell) -> Iterator[Line]:
    hidden = masker(store, cell.persons)
    names = store.names(cell.persons)
    shown = sorted(cell.persons, key=lambda person: int(person[1:]))[:_MOST_PERSONS]
    for person in shown:
        user = next((one.value for _, one in sorted(names.get(person, {}).items())), "")
        yield Line(f"    {person} {'(confidential)' if hidden(person) else user}".rstrip())
    if len(cell.persons) > len(shown):
        yield Line(f"    … and {len(cell.persons) - len(shown):,} more")


def _turned_down(visit: Visit) -> Iterator[Line]:
    groups: dict[tuple[RunId, str, str], list[PersonId]] = {}
    for one in visit.district.store.decisions.rejections(visit.district.engine.now()):
        groups.setdefault((one.told.run, one.told.actor, one.told.because), []).append(one.person)
    for (run, actor, because), persons in sorted(groups.items()):
        yield Line(f"turned down of {run} by {actor}: {len(set(persons)):,} people, {len(persons):,} changes, because {because}")
    if groups:
        yield Line("  offer somebody's again with: syncd release KEY")


# --- decisions --------------------------------------------------------------------------------------------------------


def approve(visit: Visit, *, run: str, because: str, campus: Sequence[str] = ()) -> Answer:
    """Let held changes go, exactly as a plan has them."""
    district = visit.district
    plan = _kept_plan(district.store, run, "`syncd holds` lists what is held")
    found = district.engine.approve(plan, visit.who, because, campus)
    days = district.config.approvals.expire_after
    if not found.lets_go:
        waits = f"{found.given} of {found.needed} have approved it; it waits for another human, for {days} days"
        return said(f"{visit.who} approves {found.changes:,} changes of {found.people:,} people: {waits}")
    row = district.store.run(plan)
    return Answer(
        lines=(
            Line(
                f"{visit.who} lets {found.changes:,} changes of {found.people:,} people go, for {days} days. The next run applies "
                "what is still exactly so: the daemon by itself, or syncd sync"
            ),
        ),
        runs=row.pipeline if row else "",
    )


def reject(visit: Visit, *, run: str, because: str, campus: Sequence[str] = (), person: Sequence[str] = ()) -> Answer:
    """Turn down what a plan holds, or has of some people; a plan that waits as a whole is dropped."""
    district = visit.district
    plan = _kept_plan(district.store, run, "`syncd holds` lists what is held")
    persons = [whom(district.store, key) for key in person]
    kept, row = district.engine.stored_plan(plan), district.store.run(plan)
    told: list[str] = []
    drops = row is not None and row.status in _WAITS and not campus and not persons
    with visit.alone():
        names = district.engine.reject(plan) if drops else 0  # first, for what waits for nobody is refused
        done = district.engine.approving.reject(plan, kept, visit.who, because, campus, persons)
    names += done.names
    if done.changes:
        told.append(
            f"{visit.who} turns {done.changes:,} changes of {done.people:,} people down, for "
            f"{district.config.approvals.rejected_for} days or until they are others; `syncd release KEY` offers them again"
        )
    if drops:
        told.append(f"plan {plan} is rejected; {names:,} names it had reserved are free again")
    elif names:
        told.append(f"{names:,} names that were reserved for them are free again")
    if not told:
        return said(f"plan {plan} holds nobody back there; see `syncd holds`", Exit.UNAVAILABLE)
    return Answer(lines=tuple(map(Line, told)))


def release(visit: Visit, *, key: str) -> Answer:
    """Take what was undone of somebody off the shelf, and offer what was turned down again."""
    count = visit.district.engine.release(key)
    if not count:
        return said(f"nothing of {key} is on the shelf, or turned down")
    store, now = visit.district.store, visit.district.engine.now()
    for person in store.find_person(key):
        store.audit.append("released", visit.who, {}, now, person=person)
    return said(f"the next run does what it wants of {count:,} people")


def shelved(visit: Visit) -> Answer:
    """Who keeps what an undo gave back."""
    shelf = visit.district.store.shelved()
    rows = [(str(target), str(person), str(len(digests))) for (target, person), digests in sorted(shelf.items())]
    if not rows:
        return said("nothing is on the shelf")
    last = (Line("syncd release KEY lets the next run do it after all"),)
    return Answer(lines=last, table=(("target", "person", "changes"), *rows))


def undo(
    visit: Visit, *, run: str, person: str = "", campus: Sequence[str] = (), kind: Sequence[str] = (), most: int = 10
) -> Answer:
    """A stored plan of what takes a run back, or a part of it."""
    district = visit.district
    try:
        kinds = kinds_named(kind)
    except ValueError as error:
        raise Malformed(f"undo: {error}") from error
    taken = _run(run)
    chosen = frozenset([whom(district.store, person)]) if person else frozenset[PersonId]()
    undoes = Undoes(taken, chosen, frozenset(campus), kinds)
    with visit.alone():
        planned = district.engine.undo(undoes, f"undo of {taken} by {visit.who}")
    return Answer(lines=tuple(lines(planned, Filter(), masker_of_plan(district.store, planned), most)))


def apply(visit: Visit, *, run: str, first: bool = False) -> Answer:
    """What came of a stored plan: what replans identically is applied, the rest stays held."""
    district = visit.district
    plan = _kept_plan(district.store, run, "`syncd runs` lists the runs, `syncd plan` makes a plan")
    district.engine.approving.may_apply(plan, visit.who)
    kept = district.engine.stored_plan(plan)
    fresh = [name for name, one in kept.plans.items() if one.changes and district.engine.is_first(kept.pipeline, name)]
    with visit.alone():
        applied = district.engine.apply_stored(plan, first=first)
    if applied is None:
        return Answer(Exit.HELD, tuple(held_lines(kept.verdict, () if first else fresh, plan)))
    return Answer(code_of(applied), tuple(applied_lines(applied, masker(district.store, people_of(applied)))))


def live(visit: Visit) -> Answer:
    """What is released of each target, by whom and why."""
    rows: list[tuple[str, ...]] = []
    for one in visit.district.engine.golive.standings():
        rows += [(one.target, each.told, f"{each.at:%Y-%m-%d}", each.actor, each.because) for each in one.releases]
        if one.why:
            rows.append((one.target, one.why, "", "", ""))
    last = (Line("what is not released is planned and not made: syncd go-live TARGET … lets runs write it"),)
    return Answer(lines=last, table=(("target", "released", "since", "by", "because"), *rows))


def go_live(
    visit: Visit,
    *,
    target: str,
    because: str,
    campus: Sequence[str] = (),
    operation: Sequence[str] = (),
    attribute: Sequence[str] = (),
    withdraw: bool = False,
) -> Answer:
    """Let runs write to a target, or some of it; or take that back."""
    district = visit.district
    told = {"campuses": campus, "operations": operation, "attributes": attribute}
    with in_words("go-live"):
        if withdraw:
            taken = district.engine.golive.withdraw(target, visit.who, because, **told)
            what = "; ".join(one.told for one in taken)
            return said(f"{visit.who} takes back from {target}: {what}. From the next run on it is only observed")
        district.engine.approving.may_release(visit.who)
        one = district.engine.golive.release(target, visit.who, because, **told)
    runs = next((name for name, each in district.config.pipelines.items() if target in each.targets), "")
    line = Line(f"{visit.who} lets runs write to {target}: {one.told}. The next run does: the daemon by itself, or syncd sync")
    return Answer(lines=(line,), runs=runs)


def _run(text: str) -> RunId:
    """A run as people write it."""
    run = run_named(text)
    if run is None:
        raise Answered(said(no_run(text), Exit.NO_INPUT))
    return run


def _kept_plan(store: Store, text: str, look: str) -> RunId:
    """A plan that is stored, by its run as people write it."""
    run = _run(text)
    if store.plan(run) is None:
        raise Answered(said(f"there is no stored plan {text}; {look}", Exit.NO_INPUT))
    return run


# --- the daemon ---------------------------------------------------------------------------------------------------------


def reload(visit: Visit) -> Answer:
    """The daemon reads the files anew; whoever asked is their author."""
    if visit.daemon is None:
        return said(NO_DAEMON, Exit.UNAVAILABLE)
    problems = visit.daemon.reload(visit.who)
    if problems:
        told = [Line(str(problem), "red") for problem in problems]
        return Answer(Exit.CONFIG, (*told, Line("the edited files are refused, the last good ones are in use")))
    return said(f"the edited files are good; they are in use from the next run on, and {visit.who} answers for them")


def run_now(visit: Visit, *, pipeline: str = "", reconcile: bool = False) -> Answer:
    """The daemon runs now, whatever schedule and quiet hours say."""
    if visit.daemon is None:
        return said(NO_DAEMON, Exit.UNAVAILABLE)
    there = sorted(visit.district.config.pipelines)
    wanted = [pipeline] if pipeline else there
    if not set(wanted) <= set(there):
        return said(f"no pipeline is called {wanted[0]!r}; there are: {', '.join(there)}", Exit.USAGE)
    visit.daemon.run_now(wanted, "reconcile" if reconcile else "delta", f"asked by {visit.who}")
    return said(f"{', '.join(wanted)}: a run begins now, or when the one under way has ended; look with: syncd runs")


# --- how it is --------------------------------------------------------------------------------------------------------


def status(visit: Visit, *, json: bool = False) -> Answer:
    """How it is, for a person or for Nagios."""
    return how(visit.health(), json=json)


def how(health: healths.Health, *, json: bool) -> Answer:
    """A district's health as `syncd status` tells it; the code is Nagios' own."""
    code = int(Nagios(health.level))
    if json:
        return Answer(code, value=healths.as_json(health))
    facts = health.facts
    held = sum(len(one.held) for one in facts.pipelines.values())
    counts = {"accounts": sum(health.accounts.values()), "held": held, "quarantined": facts.quarantined}
    perfdata = " ".join(f"{name}={count}" for name, count in counts.items())
    told = [Line(f"SYNCD {health.level.name} - {healths.in_words(health)} | {perfdata}")]
    colour = {Level.CRITICAL: "red"}
    told += [Line(f"{reason.level.name}: {reason}", colour.get(reason.level, "yellow")) for reason in health.reasons]
    return Answer(code, tuple(told))
