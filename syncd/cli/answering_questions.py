"""What is answered where a human says who is who, what is tried again, and that a year's rosters are being rebuilt."""

from __future__ import annotations

import json as jsons
from collections.abc import Callable, Iterator, Sequence
from datetime import date

from syncd.cli import dispute_file
from syncd.cli.asking import masker, whom
from syncd.cli.exits import Exit
from syncd.control import Answer, Malformed, listed, said
from syncd.control.visit import Visit
from syncd.core.model import PersonId, TargetName
from syncd.core.rendering import MASK, Line
from syncd.core.resolution import Verb, person_of
from syncd.engine import deciding as asked
from syncd.engine import health as healths
from syncd.engine import rollover
from syncd.store import Store

_HIDDEN = "(confidential)"


# --- who is who -------------------------------------------------------------------------------------------------------


def disputes(visit: Visit, *, json: bool = False, file: bool = False) -> Answer:
    """What is undecided; as the rows of a file to be filled in, or as JSON, where that is asked for."""
    store, found = visit.district.store, visit.district.engine.deciding.questions()
    if file:
        return Answer(value=list(dispute_file.rows(found, _called(store, found))))
    masked = masker(store, [one.person for one in found if one.person])
    rows = [
        {
            "subject": one.subject,
            "person": one.person or "",
            "target": one.target or "",
            "why": _HIDDEN if masked(one.person) else one.why,
            "candidates": ", ".join(one.candidates),
        }
        for one in found
    ]
    last = "decide with: syncd resolve SUBJECT --merge PERSON | --link TARGET:ID | --ignore, and --because '…'"
    return listed(rows, "nothing is disputed", last, json=json)


def _called(store: Store, questions: Sequence[asked.Question]) -> Callable[[PersonId], str]:
    """What the persons of these questions are called; confidential ones are masked (R37)."""
    named = {one.person for one in questions if one.person is not None}
    named |= {person for question in questions for one in question.candidates if (person := person_of(one))}
    masked, records = masker(store, named), store.records(named)
    known = {
        person: " ".join(str(mine[0].fields[part]) for part in ("given", "family", "suffix") if mine[0].fields.get(part))
        for person, mine in records.items()
        if mine
    }
    return lambda person: MASK if masked(person) else known.get(person, "")


def resolve(
    visit: Visit,
    *,
    subject: str = "",
    merge: str | None = None,
    link: str | None = None,
    ignore: bool = False,
    because: str = "",
    rows: Sequence[str] = (),
) -> Answer:
    """Say who is who, for ever: of one subject, or of many, each row a JSON list of subject, verb, candidate and reason.

    Of rows it is told as a value what is wrong with which, by their places; then nothing is decided.
    """
    if rows:
        return _resolve_all(visit, [_row(row) for row in rows])
    if len([given for given in (merge is not None, link is not None, ignore) if given]) != 1:
        raise Malformed("resolve: say one of --merge, --link and --ignore")
    if not subject:
        raise Malformed("resolve: name what is decided")
    if not because.strip():
        raise Malformed("resolve: say why (--because)")
    verb = Verb.MERGE if merge is not None else Verb.LINK if link is not None else Verb.IGNORE
    return _resolve_one(visit, subject, verb, merge or link or "", because)


def _resolve_one(visit: Visit, text: str, verb: Verb, candidate: str, because: str) -> Answer:
    deciding, store = visit.district.engine.deciding, visit.district.store
    persons = store.find_person(text)
    found = list(asked.subjects(deciding.questions(), text, persons)) or (list[str](persons) if verb is Verb.MERGE else [])
    if len(found) > 1:
        return said(f"{text!r} fits {', '.join(found)}; name one of them", Exit.NO_PERSON)
    if verb is Verb.MERGE:
        named = store.find_person(candidate)
        candidate = named[0] if len(named) == 1 else candidate  # else it may be a record
    checked = deciding.check([asked.Answer(found[0] if found else text, verb, candidate, because)], visit.who)
    if checked.problems:
        return Answer(Exit.NO_INPUT, tuple(Line(problem.why, "red") for problem in checked.problems))
    _remember(visit, checked, lambda _: None)
    if checked.known:
        return said("that was decided already")
    made = [one for answer in checked.answers for one in answer]
    takes_back = "The next run does what follows; syncd unresolve takes it back"
    return Answer(lines=tuple(Line(f"{one.actor}: {one.subject} {one.verb} {one.candidate}. {takes_back}") for one in made))


def _row(text: str) -> asked.Answer:
    try:
        subject, verb, candidate, because = jsons.loads(text)
        return asked.Answer(str(subject), Verb(verb), str(candidate), str(because))
    except (ValueError, TypeError) as error:
        raise Malformed("resolve: a row is a JSON list of subject, verb, candidate and reason") from error


def _resolve_all(visit: Visit, answers: Sequence[asked.Answer]) -> Answer:
    checked = visit.district.engine.deciding.check(answers, visit.who)
    if checked.problems:
        return Answer(Exit.NO_INPUT, value={"problems": [[one.place, one.why] for one in checked.problems]})
    with visit.progress("deciding", len(checked.answers)) as told:
        done = 0

        def safe(count: int) -> None:
            nonlocal done
            for number in range(done, count):
                told(number)
            done = count

        new = _remember(visit, checked, safe)
    return Answer(value={"decided": new, "known": checked.known})


def _remember(visit: Visit, checked: asked.Checked, told: Callable[[int], None]) -> int:
    if not asked.waits_for_runs(checked):
        return visit.district.engine.deciding.remember(checked.answers, told)
    with visit.alone():
        return visit.district.engine.deciding.remember(checked.answers, told)


def unresolve(visit: Visit, *, subject: str, because: str) -> Answer:
    """Take a decision back, before a run has made something of it that cannot be taken apart."""
    with visit.alone():
        held = visit.district.engine.deciding.withdraw(subject, visit.who, because)
    return Answer(lines=tuple(Line(f"{visit.who} takes back: {one.subject} {one.verb} {one.candidate}") for one in held))


# --- what was refused -------------------------------------------------------------------------------------------------


def quarantine(visit: Visit, *, target: str = "", json: bool = False) -> Answer:
    """The changes that a target refused."""
    store = visit.district.store
    found = store.quarantine.refused([TargetName(target)] if target else None)
    masked = masker(store, [one.person for one in found])
    rows = [
        {
            "target": one.target,
            "person": one.person,
            "kind": str(one.kind),
            "attribute": one.attribute or one.group,
            "words": _HIDDEN if masked(one.person) else one.words,
            "count": str(one.count),
            "first": f"{one.first:%Y-%m-%d %H:%M}",
            "next try": "next run" if one.next.year == 1 else f"{one.next:%Y-%m-%d %H:%M}",
        }
        for one in found
    ]
    last = "times are UTC; syncd retry KEY, or syncd retry --target NAME, has the next run try at once"
    return listed(rows, "nothing is in quarantine", last, _waiting(visit, target), json=json)


def _waiting(visit: Visit, target: str) -> Iterator[str]:
    """What is not refused and does not happen either: nothing of a target that cannot be used is in quarantine."""
    trouble = healths.troubled(visit.district.config, visit.district.store)
    for name, fresh in trouble.targets.items():
        if target in ("", name):
            yield f"target {name}: its changes wait, and none of them counts as refused: {fresh.why}"
    for (name, part), fresh in trouble.parts.items():
        if target in ("", name):
            yield f"target {name}: what needs its {part} waits, and none of it counts as refused: {fresh.why}"
    for (name, licence), fresh in trouble.seats.items():
        if target in ("", name):
            yield f"target {name}: {licence}: {fresh.why}"


def retry(visit: Visit, *, key: str = "", target: str = "") -> Answer:
    """The next run tries refused changes again at once: those of a person, of a target, or of a person there."""
    if not key and not target:
        raise Malformed("retry: name a person, or a target with --target")
    store, known = visit.district.store, visit.district.config.targets
    if target and target not in known:
        raise Malformed(f"retry: there is no target {target}: {', '.join(known)}")
    persons = [whom(store, key)] if key else None
    count = store.quarantine.retry(persons, [TargetName(target)] if target else None)
    return said(f"the next run tries {count:,} changes again" if count else "nothing of that is in quarantine")


# --- the new year -----------------------------------------------------------------------------------------------------


def start(visit: Visit, *, until: date, because: str = "", campus: Sequence[str] = ()) -> Answer:
    """Students who are missing from the rosters stay as they are, until that day."""
    district = visit.district
    why = f"started by {visit.who}" + (f": {because.strip()}" if because.strip() else "")
    one = rollover.start(district.store, district.engine.today, until, campus, why)
    return said(
        f"rollover at {one.where()} until {one.until}: students missing from a roster stay as they are; staff and exits go on"
    )


def end(visit: Visit, *, campus: Sequence[str] = ()) -> Answer:
    """End what was started."""
    district = visit.district
    ended = rollover.end(district.store, district.engine.today, campus)
    told = [Line(f"the rollover at {one.where()} until {one.until} has ended") for one in ended]
    told = told or [Line("nobody has started a rollover that goes on")]
    planned = district.config.calendar.rollover(district.engine.today)
    if planned is not None:
        told.append(Line(f"the one in config/calendar.yaml goes on until {planned.last}; edit that file to end it"))
    return Answer(lines=tuple(told))


def preview(visit: Visit) -> Answer:
    """Which rollovers go on, and what will happen when they end."""
    district = visit.district
    told = rollover.preview(district.config, district.store, district.engine.today)
    head = [Line(f"rollover at {one.where()} until {one.until}; {one.because}") for one in told.rolling]
    head = head or [Line("no rollover goes on")]
    if not told.missing:
        last = [Line("nobody is missing: nothing will happen when it ends")] if told.rolling else []
        return Answer(lines=(*head, *last))
    rows = [(campus or "(none)", f"{count:,}") for campus, count in sorted(told.missing.items())]
    after = (
        f"if they are still missing when it ends, their grace begins with the next roster; from {told.first_disable} "
        "on accounts are disabled, as far as the limits let it go"
    )
    below = (Line(after),) if told.first_disable else ()
    return Answer(head=tuple(head), table=(("campus", "missing students"), *rows), lines=below)
