"""What a person typed, resolved against the store; and who must not be shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import NoReturn

from syncd.cli.console import say, say_lines
from syncd.cli.exits import Ended, Exit
from syncd.control import Answer, Malformed
from syncd.core.model import PersonId, Record, RunId
from syncd.core.rendering import Line, Masked
from syncd.engine.planned import Planned
from syncd.store import Store

_STANDS = {
    "disputed": "disputed, so nothing is created or changed for it until a human has decided",
    "reject": "rejected, so whoever it is about is left alone",
}


class Answered(Exception):  # noqa: N818 — not an error: there is nothing more to be said
    """Ends a verb with this answer."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(answer.code)


@contextmanager
def in_words(verb: str) -> Iterator[None]:
    """What is asked wrongly is a wrong call, and says what is near."""
    try:
        yield
    except Malformed:
        raise
    except ValueError as error:
        raise Malformed(f"{verb}: {error}") from error


def whom(store: Store, text: str) -> PersonId:
    """The one person this text names. Raises Answered where it is not exactly one."""
    found, lines = person_named(store, text)
    if found is None:
        raise Answered(Answer(Exit.NO_PERSON, tuple(lines)))
    return found


def one_person(store: Store, text: str) -> PersonId:
    """The person this text names: our id, a source key, an issued name or a target's own id. Ends with 67 unless exactly one."""
    found, lines = person_named(store, text)
    if found is None:
        say_lines(lines)
        raise Ended(Exit.NO_PERSON)
    return found


def person_named(store: Store, text: str) -> tuple[PersonId | None, list[Line]]:
    """The one person this text names, or None and what is to be said of it."""
    found = store.find_person(text)
    if not found:
        return None, nobody_lines(store, text)
    if len(found) > 1:
        return None, [Line(f"{text!r} fits {len(found)} persons: {', '.join(found)}; name one of them")]
    return found[0], []


def nobody(store: Store, text: str) -> NoReturn:
    """Say that no person is known by this text, and what else is known by it, and end."""
    say_lines(nobody_lines(store, text))
    raise Ended(Exit.NO_PERSON)


def nobody_lines(store: Store, text: str) -> list[Line]:
    """That no person is known by this text, and what else is known by it."""
    first = Line(f"nobody is known by {text!r}; try a source key, a user name, or the id a plan prints (p17)")
    return [first, *without_person(store, text)]


def without_person(store: Store, text: str) -> Iterator[Line]:
    """What is known by this text that is nobody's: a record that is disputed or rejected, an account syncd does not own."""
    for finding in store.findings():
        named = {finding.subject, finding.subject.partition("/")[2], finding.detail.get("key", "")}
        if finding.person is None and text in named:
            yield Line(f"{finding.subject} is {_STANDS.get(finding.kind, finding.kind)}: {finding.why}", "yellow")
    holders = {store.holders([text]).get(text, ""), *(row.holder for row in store.ledger() if row.holder.endswith(f":{text}"))}
    for holder in sorted(holders):
        target, colon, native_id = holder.partition(":")
        if colon:
            held = ", ".join(row.name for row in store.ledger(holder=holder))
            yield Line(f"account {native_id} on {target} holds {held}: found there, linked to nobody, and left alone", "yellow")


def run_id(text: str) -> RunId:
    """A run as people write it: `r12`, or just `12`. Ends with 66 where it is neither."""
    run = run_named(text)
    if run is None:
        say(no_run(text))
        raise Ended(Exit.NO_INPUT)
    return run


def run_named(text: str) -> RunId | None:
    """A run as people write it; None where it is none."""
    number = text.removeprefix("r")
    return RunId(f"r{number}") if number.isascii() and number.isdecimal() else None


def no_run(text: str) -> str:
    """What is said of a text that is no run."""
    return f"{text!r} is not a run; runs are called r1, r2, …, and `syncd runs` lists them"


def masker(store: Store, persons: Iterable[PersonId]) -> Masked:
    """Who of these persons is confidential (R37), by their last accepted records; of whom there is none counts as confidential.

    So does whoever has a sealed name, and of whom it was decided here.
    """
    asked = set(persons)
    known = store.records(asked) if asked else {}
    hidden = {person for person in asked if not known.get(person) or _confidential(known[person])} | _decided(store)
    return lambda person: person in hidden


def _decided(store: Store) -> frozenset[PersonId]:
    return store.facts.hidden(date.today())  # noqa: DTZ011 — a day too long masked, or too short, at the other end of the world


def masker_of_plan(store: Store, planned: Planned) -> Masked:
    """As masker(), but by what this run has read as well: somebody new is in no stored record yet."""
    changing = {change.person for plan in planned.plans.values() for change in plan.changes if change.person}
    stored = masker(store, changing | {finding.person for finding in planned.findings if finding.person})
    people = [one.person for one in planned.decided.values() if one.person is not None]
    fresh = {person.id: bool(person.fields.get("confidential")) for person in people}
    known = store.records(fresh.keys())
    fresh |= {person: True for person, records in known.items() if _confidential(records)}
    fresh |= dict.fromkeys(_decided(store), True)
    return lambda person: fresh[person] if person in fresh else stored(person)


def _confidential(records: Iterable[Record]) -> bool:
    return any(record.fields.get("confidential") for record in records)
