"""What operators' verbs answer, of a district that is open: the daemon's over its socket, or this program's own where none runs.

Nothing is printed here: an answer may go to another process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from syncd.cli.asking import masker, masker_of_plan, no_run, person_named, run_named
from syncd.cli.exits import Exit, Nagios, answer_to
from syncd.cli.plans import applied_lines, code_of, held_lines, lines, people_of
from syncd.control import Answer, Malformed, said
from syncd.control.visit import Handler, Visit
from syncd.core.facts import FactKind
from syncd.core.health import Level, PipelineFacts, age
from syncd.core.model import PersonId, RunId
from syncd.core.rendering import Filter, Line, kinds_named
from syncd.engine.approving import HeldCell
from syncd.engine.health import Health, as_json, in_words, run_facts
from syncd.engine.planned import Undoes
from syncd.engine.shapes import is_rise
from syncd.errors import SyncdError
from syncd.store import Store

_WAITS = frozenset({"planned", "held"})
_MOST_PERSONS = 500
_NARROWED = {"campuses": "campus", "operations": "operation", "attributes": "attribute"}


def answered(visit: Visit) -> Answer:
    """The answer to one question; what went wrong is an answer, too."""
    try:
        return HANDLERS[visit.question.verb](visit)
    except Malformed as error:
        return said(str(error), Exit.USAGE)
    except (SyncdError, OSError) as error:
        code, why = answer_to(error)
        return said(why, code)


# --- what is held -----------------------------------------------------------------------------------------------------


def holds(visit: Visit) -> Answer:
    """What is held back now, by pipeline and cell, who has approved it, and what was turned down. 3 where something is held."""
    store, config = visit.district.store, visit.district.config
    told: list[Line] = []
    for name, rows in sorted(store.wellbeing(config.pipelines, {}).runs.items()):
        told += _held(visit, name, PipelineFacts(run_facts(rows)))
    code = Exit.HELD if told else Exit.DONE
    told = told or [Line("nothing is held back")]
    return Answer(code, (*told, *_turned_down(visit)))


def _held(visit: Visit, pipeline: str, facts: PipelineFacts) -> Iterator[Line]:
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
                yield from _cell(visit, cell)
        yield Line(f"  let them go with: syncd approve {run.id} --because '…'  (--campus CODE for some)")
        yield Line(f"  or turn them down with: syncd reject {run.id} --because '…'  (--campus CODE, --person KEY for some)")


def _cell(visit: Visit, cell: HeldCell) -> Iterator[Line]:
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
    if visit.question.flag("persons"):
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


def approve(visit: Visit) -> Answer:
    """Let held changes go, exactly as a plan has them."""
    asked, district = visit.question, visit.district
    text, because, campuses = asked.text("run"), asked.text("because").strip(), asked.texts("campus")
    plan = run_named(text)
    if plan is None:
        return said(no_run(text), Exit.NO_INPUT)
    if district.store.plan(plan) is None:
        return said(f"there is no stored plan {text}; `syncd holds` lists what is held", Exit.NO_INPUT)
    if not because:
        raise Malformed("approve: say why")
    who = str(visit.peer.actor)
    found = district.engine.approve(plan, who, because, campuses)
    days = district.config.approvals.expire_after
    if not found.lets_go:
        waits = f"{found.given} of {found.needed} have approved it; it waits for another human, for {days} days"
        return said(f"{who} approves {found.changes:,} changes of {found.people:,} people: {waits}")
    row = district.store.run(plan)
    return Answer(
        lines=(
            Line(
                f"{who} lets {found.changes:,} changes of {found.people:,} people go, for {days} days. The next run applies what "
                "is still exactly so: the daemon by itself, or syncd sync"
            ),
        ),
        runs=row.pipeline if row else "",
    )


def reject(visit: Visit) -> Answer:
    """Turn down what a plan holds, or has of some people; a plan that waits as a whole is dropped."""
    asked, district = visit.question, visit.district
    text, because, campuses = asked.text("run"), asked.text("because").strip(), asked.texts("campus")
    run = run_named(text)
    if run is None:
        return said(no_run(text), Exit.NO_INPUT)
    if not because:
        raise Malformed("reject: say why")
    if district.store.plan(run) is None:
        return said(f"there is no stored plan {text}; `syncd holds` lists what is held", Exit.NO_INPUT)
    persons: list[PersonId] = []
    for key in asked.texts("person"):
        person, why = person_named(district.store, key)
        if person is None:
            return Answer(Exit.NO_PERSON, tuple(why))
        persons.append(person)
    kept, row, who = district.engine.stored_plan(run), district.store.run(run), str(visit.peer.actor)
    told: list[str] = []
    drops = row is not None and row.status in _WAITS and not campuses and not persons
    with visit.alone():
        names = district.engine.reject(run) if drops else 0  # first, for what waits for nobody is refused
        done = district.engine.approving.reject(run, kept, who, because, campuses, persons)
    names += done.names
    if done.changes:
        told.append(
            f"{who} turns {done.changes:,} changes of {done.people:,} people down, for "
            f"{district.config.approvals.rejected_for} days or until they are others; `syncd release KEY` offers them again"
        )
    if drops:
        told.append(f"plan {run} is rejected; {names:,} names it had reserved are free again")
    elif names:
        told.append(f"{names:,} names that were reserved for them are free again")
    if not told:
        return said(f"plan {run} holds nobody back there; see `syncd holds`", Exit.UNAVAILABLE)
    return Answer(lines=tuple(map(Line, told)))


def release(visit: Visit) -> Answer:
    """Take what was undone of somebody off the shelf, and offer what was turned down again."""
    key = visit.question.text("key")
    count = visit.district.engine.release(key)
    if not count:
        return said(f"nothing of {key} is on the shelf, or turned down")
    store, now = visit.district.store, visit.district.engine.now()
    for person in store.find_person(key):
        store.audit.append("released", str(visit.peer.actor), {}, now, person=person)
    return said(f"the next run does what it wants of {count:,} people")


def shelved(visit: Visit) -> Answer:
    """Who keeps what an undo gave back."""
    shelf = visit.district.store.shelved()
    rows = [(str(target), str(person), str(len(digests))) for (target, person), digests in sorted(shelf.items())]
    if not rows:
        return said("nothing is on the shelf")
    last = (Line("syncd release KEY lets the next run do it after all"),)
    return Answer(lines=last, table=(("target", "person", "changes"), *rows))


def undo(visit: Visit) -> Answer:
    """A stored plan of what takes a run back, or a part of it."""
    asked, district = visit.question, visit.district
    try:
        kinds = kinds_named(asked.texts("kind"))
    except ValueError as error:
        raise Malformed(f"undo: {error}") from error
    text, key = asked.text("run"), asked.told.get("person")
    run = run_named(text)
    if run is None:
        return said(no_run(text), Exit.NO_INPUT)
    chosen: frozenset[PersonId] = frozenset()
    if key is not None:
        person, why = person_named(district.store, asked.text("person"))
        if person is None:
            return Answer(Exit.NO_PERSON, tuple(why))
        chosen = frozenset([person])
    undoes = Undoes(run, chosen, frozenset(asked.texts("campus")), kinds)
    with visit.alone():
        planned = district.engine.undo(undoes, f"undo of {run} by {visit.peer.actor}")
    return Answer(lines=tuple(lines(planned, Filter(), masker_of_plan(district.store, planned), asked.number("most", 10))))


def apply(visit: Visit) -> Answer:
    """What came of a stored plan: what replans identically is applied, the rest stays held."""
    asked, district = visit.question, visit.district
    run = run_named(asked.text("run"))
    if run is None:
        return said(no_run(asked.text("run")), Exit.NO_INPUT)
    if district.store.plan(run) is None:
        return said(f"there is no stored plan {run}; `syncd runs` lists the runs, `syncd plan` makes a plan", Exit.NO_INPUT)
    district.engine.approving.may_apply(run, str(visit.peer.actor))
    kept, first = district.engine.stored_plan(run), asked.flag("first")
    fresh = [name for name, one in kept.plans.items() if one.changes and district.engine.is_first(kept.pipeline, name)]
    with visit.alone():
        applied = district.engine.apply_stored(run, first=first)
    if applied is None:
        return Answer(Exit.HELD, tuple(held_lines(kept.verdict, () if first else fresh, run)))
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


def go_live(visit: Visit) -> Answer:
    """Let runs write to a target, or some of it; or take that back."""
    asked, district, who = visit.question, visit.district, str(visit.peer.actor)
    target, because = asked.text("target"), asked.text("because").strip()
    if not because:
        raise Malformed("go-live: say why")
    told = {name: asked.texts(word) for name, word in _NARROWED.items()}
    try:
        if asked.flag("withdraw"):
            taken = district.engine.golive.withdraw(target, who, because, **told)
            what = "; ".join(one.told for one in taken)
            return said(f"{who} takes back from {target}: {what}. From the next run on it is only observed")
        district.engine.approving.may_release(who)
        one = district.engine.golive.release(target, who, because, **told)
    except ValueError as error:
        if isinstance(error, Malformed):
            raise
        raise Malformed(f"go-live: {error}") from error
    runs = next((name for name, each in district.config.pipelines.items() if target in each.targets), "")
    line = Line(f"{who} lets runs write to {target}: {one.told}. The next run does: the daemon by itself, or syncd sync")
    return Answer(lines=(line,), runs=runs)


def unlock(visit: Visit) -> Answer:
    """Give a locked person back what the roster says."""
    district, because = visit.district, visit.question.text("because").strip()
    person, why = person_named(district.store, visit.question.text("key"))
    if person is None:
        return Answer(Exit.NO_PERSON, tuple(why))
    if not because:
        raise Malformed("unlock: say why")
    who = str(visit.peer.actor)
    if not district.engine.facts.end(person, FactKind.LOCK, who, because):
        why_not = "there is a lock of nobody by that key that could end; `syncd facts KEY` lists what was decided"
        return said(why_not, Exit.NO_INPUT)
    return Answer(
        lines=(
            Line(f"{who} unlocks {person}. The next run does it; at once: syncd sync --person {person}"),
            Line(
                "Nobody knows the password the account has now. Where the mapping says `password:`, the run sets a new first one, "
                "and `syncd letters` hands it out; elsewhere reset it as you always do"
            ),
        )
    )


# --- how it is --------------------------------------------------------------------------------------------------------


def status(visit: Visit) -> Answer:
    """How it is, for a person or for Nagios."""
    return how(visit.health(), json=visit.question.flag("json"))


def how(health: Health, *, json: bool) -> Answer:
    """A district's health as `syncd status` tells it; the code is Nagios' own."""
    code = int(Nagios(health.level))
    if json:
        return Answer(code, value=as_json(health))
    facts = health.facts
    held = sum(len(one.held) for one in facts.pipelines.values())
    counts = {"accounts": sum(health.accounts.values()), "held": held, "quarantined": facts.quarantined}
    perfdata = " ".join(f"{name}={count}" for name, count in counts.items())
    told = [Line(f"SYNCD {health.level.name} - {in_words(health)} | {perfdata}")]
    colour = {Level.CRITICAL: "red"}
    told += [Line(f"{reason.level.name}: {reason}", colour.get(reason.level, "yellow")) for reason in health.reasons]
    return Answer(code, tuple(told))


HANDLERS: Mapping[str, Handler] = {
    "apply": apply,
    "approve": approve,
    "go-live": go_live,
    "holds": holds,
    "live": live,
    "reject": reject,
    "release": release,
    "shelved": shelved,
    "status": status,
    "undo": undo,
    "unlock": unlock,
}
"""What is answered of an open district; the daemon itself answers `reload` and `run-now`."""
