"""Why an account is as it is: which row, which rule, which value, which run. Reads the store and decides everything anew.

Nothing is asked of a target and nothing is written, so an explanation is what syncd knows, not what it hopes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Protocol

from syncd.core import addresses, correlate
from syncd.core.facts import Fact
from syncd.core.lifecycle import PersonState
from syncd.core.local import Local, without_overrides
from syncd.core.mapping import MappingFailure, People, TargetMapping, Wanted
from syncd.core.model import Account, Person, PersonId, PopulationName, Record, TargetName
from syncd.core.naming import IssuedName, ledger_key
from syncd.core.quarantine import Refused
from syncd.core.resolution import Resolution, spelled
from syncd.engine import renames
from syncd.store import Finding, JournalRow, Known, LedgerRow, Store


class Spells(Protocol):
    """A target, as far as it is about how it writes things."""

    def reference(self, account: Account) -> str | None:
        """What an attribute holds when it names this account."""

    def is_name(self, attribute: str) -> bool:
        """Whether this attribute is the account's own name there."""


@dataclass(frozen=True, slots=True)
class Because:
    """One part of an account: what it is now, what the mapping makes it, and the rule that says so (`file:line:col`)."""

    part: str
    now: tuple[str, ...]
    wanted: tuple[str, ...]
    rule: str


@dataclass(frozen=True, slots=True)
class Alias:
    """An address that goes on in `attribute`: it was in `of` until the day it was replaced, and is theirs until another day."""

    value: str
    attribute: str
    of: str
    replaced: date
    until: date


@dataclass(frozen=True, slots=True)
class NameStory:
    """A name a person has: the rule that made it (`file:line:col`), and of which values."""

    issued: IssuedName
    rule: str
    made_of: str


@dataclass(frozen=True, slots=True)
class AccountStory:
    """One target's account of a person: the link and why it is theirs, every part with its rule, and old addresses that go on."""

    target: TargetName
    known: Known | None
    parts: tuple[Because, ...] = ()
    failure: str = ""
    aliases: tuple[Alias, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything known of one person. `confidential` persons are masked by whoever prints this (R37)."""

    person: PersonId
    state: PersonState | None
    records: tuple[Record, ...]
    names: tuple[NameStory, ...]
    former_names: tuple[LedgerRow, ...]  # theirs for ever, too
    accounts: tuple[AccountStory, ...]
    findings: tuple[Finding, ...]
    history: tuple[JournalRow, ...]
    refused: tuple[Refused, ...] = ()  # changes a target refused, and when they are tried again
    decisions: tuple[Resolution, ...] = ()  # what humans decided about who this is (R6)
    confidential: bool = False
    fields: Mapping[str, object] = field(default_factory=dict)
    facts: tuple[Fact, ...] = ()  # everything decided here about this person, over or not


@dataclass(frozen=True, slots=True)
class _View:
    """What every account is explained with."""

    store: Store
    people: People
    display: str
    local: Local
    targets: Mapping[TargetName, Spells]

    @property
    def today(self) -> date:
        """The day on which everything is decided."""
        return self.local.today


def explain(
    person_id: PersonId,
    store: Store,
    people: People,
    mappings: Mapping[TargetName, TargetMapping],
    display: str,
    local: Local,
    targets: Mapping[TargetName, Spells],
) -> Explanation:
    """The explanation of one person, as of the day of what was decided here."""
    records = store.records([person_id]).get(person_id, [])
    state = store.persons([person_id]).get(person_id)
    names = store.names([person_id]).get(person_id, {})
    overridden = local.overriding(person_id, records)
    person = _built(person_id, overridden, store, display, local.today, state, people.campus_settles_after) if records else None
    view, stories = _View(store, people, display, local, targets), []
    for name, mapping in mappings.items():
        known = store.known(name, [person_id]).get(person_id)
        stories.append(_story(name, mapping, known, person, names, view))
    return Explanation(
        person=person_id,
        state=state,
        records=tuple(records),
        names=tuple(_named(names, people, person, state)),
        former_names=tuple(_former(store.ledger(holder=person_id), names)),
        accounts=tuple(stories),
        findings=tuple(found for found in store.findings() if found.person == person_id),
        refused=tuple(one for one in store.quarantine.refused() if one.person == person_id),
        decisions=tuple(store.resolutions.about([person_id, *(spelled((one.source, one.key)) for one in records)])),
        history=tuple(store.journal(person=person_id)),
        confidential=not records
        or any(record.fields.get("confidential") for record in overridden)
        or person_id in store.facts.hidden(local.today),
        fields=person.fields if person else {},
        facts=tuple(store.facts.listed([person_id])),
    )


def _named(
    names: Mapping[str, IssuedName], people: People, person: Person | None, state: PersonState | None
) -> Iterator[NameStory]:
    population = PopulationName(state.population) if state is not None and state.population else None
    marks = people.explain(population) if population is not None else {}
    reads = people.named_by(population) if population is not None else {}
    for kind, issued in names.items():
        made_of = renames.made_of(person, reads.get(kind, ())) if person is not None and issued.basis else ""
        yield NameStory(issued, str(marks.get(f"names.{kind}", "")), made_of)


def _former(held: Iterable[LedgerRow], names: Mapping[str, IssuedName]) -> Iterator[LedgerRow]:
    now = {ledger_key(issued.value) for issued in names.values()}
    return (row for row in held if row.name not in now)


def _built(
    person_id: PersonId,
    records: list[Record],
    store: Store,
    display: str,
    today: date,
    state: PersonState | None,
    settles_after: int,
) -> Person:
    related: dict[str, PersonId] = {}
    for record in records:
        keys = store.keys(record.source, set(record.related.values())) if record.related else {}
        related |= {relation: keys[key].person for relation, key in record.related.items() if key in keys}
    previous = state.campus if state else ""
    person, _ = correlate.build(person_id, records, related, today, display, previous_campus=previous, settles_after=settles_after)
    return without_overrides(person)


def _story(
    target: TargetName,
    mapping: TargetMapping,
    known: Known | None,
    person: Person | None,
    names: Mapping[str, IssuedName],
    view: _View,
) -> AccountStory:
    if person is None:
        return AccountStory(target, known)
    people, store, today = view.people, view.store, view.today
    try:
        population = view.local.population(person) or people.population(person)
        if population is None or population not in mapping.populations:
            return AccountStory(target, known, failure=f"no account here for population {population or 'none'}")
        others = store.records(set(person.related.values()))
        related = {
            relation: correlate.build(other, others[other], {}, today, view.display, settles_after=people.campus_settles_after)[0]
            for relation, other in person.related.items()
            if others.get(other)
        }
        plain = {kind: name.value for kind, name in names.items()}
        wanted = view.local.overridden(person.id, target, mapping.desire(person, population, plain, related, today))
    except MappingFailure as failure:
        return AccountStory(target, known, failure=str(failure))
    if wanted is None:
        return AccountStory(target, known, failure="the mapping's `when` gives this person no account here")
    referred = {
        relation: _referred(relation, person.related.get(relation), target, view) for relation in wanted.person_attributes.values()
    }
    naming = [rule.of for rule in wanted.aliases.values() if view.targets[target].is_name(rule.of)]
    former = store.lives.former_addresses(target, [person.id]).get(person.id, ())
    aliases = addresses.of_account(wanted.aliases, former, today, naming)
    there, own = (known.account.attributes, known.account.rdn) if known is not None else (None, "")
    told = wanted._replace(
        attributes=addresses.held(aliases, wanted.attributes, wanted.policies, there, (wanted.rdn, own)).attributes
    )
    return AccountStory(
        target, known, tuple(_parts(told, mapping, population, known, referred)), aliases=tuple(_going_on(aliases, known))
    )


def _going_on(aliases: Iterable[addresses.Aliases], known: Known | None) -> Iterator[Alias]:
    """The old addresses that the account holds, with the day on which each is taken away."""
    for one in aliases:
        there = known.account.attributes.get(one.attribute, ()) if known is not None else ()
        held = {addresses.bare(value).casefold() for value in there}
        for value, replaced in sorted(one.replaced.items()):
            if value.casefold() in held and (until := replaced + timedelta(days=one.rule.keep)) > one.today:
                yield Alias(value, one.attribute, one.rule.of, replaced, until)


def _referred(relation: str, other: PersonId | None, target: TargetName, view: _View) -> tuple[str, ...]:
    """What names the account of the related person: nothing where there is no such person."""
    if other is None:
        return ()
    known = view.store.known(target, [other]).get(other)
    named = view.targets[target].reference(known.account) if known is not None else None
    return (named or f"the account of the {relation}, who has none here",)


def _parts(
    wanted: Wanted,
    mapping: TargetMapping,
    population: PopulationName,
    known: Known | None,
    referred: Mapping[str, tuple[str, ...]],
) -> list[Because]:
    marks = {rule: str(mark) for rule, mark in mapping.explain(population).items()}
    account = known.account if known else None
    parts = [
        Because("rdn", (account.rdn,) if account else (), (wanted.rdn,), marks.get("rdn", "")),
        Because("container", (account.container,) if account else (), (wanted.container,), marks.get("container", "")),
    ]
    for name, values in sorted(wanted.attributes.items()):
        now = account.attributes.get(name, ()) if account else ()
        parts.append(Because(name, now, values, marks.get(name, "")))
    for name, relation in sorted(wanted.person_attributes.items()):
        now = account.attributes.get(name, ()) if account else ()
        parts.append(Because(name, now, referred[relation], marks.get(name, "")))
    for group in wanted.groups:
        folded = {held.casefold() for held in account.groups} if account else set()
        now = (group.name,) if group.name.casefold() in folded else ()
        parts.append(Because("member of", now, (group.name,), marks.get(group.rule, "")))
    return parts
