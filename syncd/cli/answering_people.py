"""What is answered where people decide what no source tells: lock, unlock, override, freeze, sponsor, rename, facts, claims."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from syncd.cli.asking import Answered, in_words, masker, whom
from syncd.cli.exits import Exit
from syncd.control import Answer, Malformed, listed, said
from syncd.control.visit import Visit
from syncd.core.facts import FactKind
from syncd.core.rendering import Line

_NEXT = "The next run does it; at once: syncd sync --person"
_HIDDEN = "(confidential)"


def lock(visit: Visit, *, key: str, because: str) -> Answer:
    """Shut somebody out everywhere, now; what became of each account. 4 where one is still open."""
    person = whom(visit.district.store, key)
    with visit.apart() as district:  # beside the run that may be under way, and not behind it (R33)
        shut = district.engine.facts.lock(person, visit.who, because)
    told = [Line(f"{visit.who} locks {person}; it stays so until: syncd unlock {person} --because '…'")]
    told += [Line(f"  {one.target}: {one.why}", "green" if one.closed else "red") for one in shut]
    if not shut:
        told.append(Line("  no account of theirs is open, and no run makes one"))
    if all(one.closed for one in shut):
        return Answer(lines=tuple(told))
    owed = "what is still open is owed: the daemon tries again every 20 seconds, every run does, and so does: syncd lock"
    return Answer(Exit.PARTLY, (*told, Line(owed)))


def unlock(visit: Visit, *, key: str, because: str) -> Answer:
    """Give a locked person back what the roster says."""
    person = whom(visit.district.store, key)
    _must_have_ended(visit.district.engine.facts.end(person, FactKind.LOCK, visit.who, because), "a lock")
    return Answer(
        lines=(
            Line(f"{visit.who} unlocks {person}. The next run does it; at once: syncd sync --person {person}"),
            Line(
                "Nobody knows the password the account has now. Where the mapping says `password:`, the run sets a new first one, "
                "and `syncd letters` hands it out; elsewhere reset it as you always do"
            ),
        )
    )


def release_claim(visit: Visit, *, key: str, because: str) -> Answer:
    """Forget the wrong tries at claiming somebody's account."""
    person = whom(visit.district.store, key)
    wrong = visit.district.store.claims.release(person, visit.who, because, visit.district.engine.now())
    return said(f"{visit.who} takes back {wrong} wrong tries at the account of {person}: it can be claimed at once, if it waits")


def reopen_claims(visit: Visit, *, because: str) -> Answer:
    """Forget the wrong tries of all networks and of the district together; those of single people stay."""
    wrong = visit.district.store.claims.reopen(visit.who, because, visit.district.engine.now())
    return said(f"{visit.who} takes back {wrong} wrong tries of today: everybody can claim again")


def override(
    visit: Visit,
    *,
    key: str,
    attribute: str,
    because: str,
    value: str | None = None,
    until: date | None = None,
    target: str = "",
    end: bool = False,
) -> Answer:
    """Another value of a field, or of an attribute on one target, until a day; or the end of that."""
    if end == (value is not None):
        raise Malformed("override: say either a value, or --end")
    facts, person = visit.district.engine.facts, whom(visit.district.store, key)
    if value is None:
        count = facts.end(person, FactKind.OVERRIDE, visit.who, because, attribute, target)
        _must_have_ended(count, f"an override of {attribute}{f' on {target}' if target else ''}")
        return said(f"{visit.who} ends the override of {attribute}. {_NEXT} {person}")
    with in_words("override"):
        fact = facts.override(person, attribute, value, target, _day("override", until), visit.who, because)
    return said(f"{visit.who} overrides {fact.attribute} of {person} to the end of {fact.until}. {_NEXT} {person}")


def freeze(visit: Visit, *, key: str, because: str, until: date | None = None) -> Answer:
    """Nothing of somebody is changed until a day."""
    person = whom(visit.district.store, key)
    with in_words("freeze"):
        fact = visit.district.engine.facts.freeze(person, _day("freeze", until), visit.who, because)
    return said(f"{visit.who} freezes {person} to the end of {fact.until}; end it with: syncd unfreeze {person} --because '…'")


def unfreeze(visit: Visit, *, key: str, because: str) -> Answer:
    """Runs may change a frozen person again."""
    person = whom(visit.district.store, key)
    _must_have_ended(visit.district.engine.facts.end(person, FactKind.FREEZE, visit.who, because), "a freeze")
    return said(f"{visit.who} lets runs change {person} again. {_NEXT} {person}")


def sponsor(  # noqa: PLR0913 — what a verb is told are its arguments
    visit: Visit,
    *,
    because: str,
    given: str = "",
    family: str = "",
    population: str = "",
    campus: str = "",
    by: str = "",
    until: date | None = None,
    birth_date: date | None = None,
    field: Sequence[str] = (),
    extend: str = "",
    end: str = "",
) -> Answer:
    """An account for somebody of no roster, for some time; or more time, or its end."""
    if bool(given and family) + bool(extend) + bool(end) != 1:
        raise Malformed("sponsor: say the names of somebody new, or --extend KEY, or --end KEY")
    if not (extend or end or by):
        raise Malformed("sponsor: say who answers for them (--by)")
    facts, person = visit.district.engine.facts, whom(visit.district.store, extend or end or by)
    with in_words("sponsor"):
        if end:
            facts.end_sponsorship(person, visit.who, because)
            return said(f"{visit.who} ends the sponsorship of {person}: access ends today. {_NEXT} {person}")
        last = _day("sponsor", until)
        if extend:
            fact = facts.extend(person, last, visit.who, because)
            return said(f"{visit.who} extends the sponsorship of {person} to the end of {fact.until}")
        told = {"given": given, "family": family, "population": population, "campus": campus} | dict(_fields(field))
        if birth_date is not None:
            told["birth_date"] = birth_date.isoformat()
        fact = facts.sponsor(told, person, last, visit.who, because)
        return said(f"{visit.who} lets {fact.person} have an account to the end of {fact.until}. {_NEXT} {fact.person}")


def rename(visit: Visit, *, key: str, name: str, because: str, sealed: bool = False, kind: str = "username") -> Answer:
    """Another name for one person; the old one stays theirs for ever, and is never told where it is sealed."""
    person = whom(visit.district.store, key)
    with in_words("rename"):
        old = visit.district.engine.facts.rename(person, kind, name, visit.who, because, sealed=sealed)
    if sealed:
        return said(f"{visit.who} renames {person} and seals the names they had: no report tells them. {_NEXT} {person}")
    return said(f"{visit.who} renames {person} from {old} to {name}. {_NEXT} {person}")


def facts(visit: Visit, *, key: str = "", json: bool = False) -> Answer:
    """What was decided here and is in force; of one person, also what is over."""
    store = visit.district.store
    person = whom(store, key) if key else None
    today = visit.district.engine.today
    found = store.facts.listed([person] if person else None)
    shown = [one for one in found if person or (one.is_in_force(today) and one.kind is not FactKind.SEAL)]
    masked = masker(store, [one.person for one in shown])
    rows = []
    for one in shown:
        hidden = masked(one.person)
        what = " on ".join(part for part in (one.attribute, one.target) if part) if one.kind is not FactKind.SEAL else ""
        rows.append(
            {
                "person": str(one.person),
                "fact": str(one.kind),
                "of": what,
                "value": _HIDDEN if hidden and one.values else one.values.get("value", ""),
                "since": f"{one.since:%Y-%m-%d}",
                "until": str(one.until or ""),
                "by": one.actor,
                "because": _HIDDEN if hidden else one.because,
                "ended": f"{one.ended:%Y-%m-%d} by {one.ended_by}" if one.ended else "",
            }
        )
    return listed(rows, "nothing was decided here that is in force", json=json)


def _day(verb: str, until: date | None) -> date:
    if until is None:
        raise Malformed(f"{verb}: say the last day on which it holds (--until)")
    return until


def _fields(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise Malformed(f"sponsor: {word!r} is not NAME=VALUE (--field)")
        yield name.strip(), value


def _must_have_ended(count: int, what: str) -> None:
    if not count:
        why = f"there is {what} of nobody by that key that could end; `syncd facts KEY` lists what was decided"
        raise Answered(said(why, Exit.NO_INPUT))
