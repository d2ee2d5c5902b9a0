"""Who a roster of devices may mean: everybody the store knows, as of one day, by number and by the address of their account.

Read from the last good records: a run about devices comes after one about accounts, and asks no source of people.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import date

from syncd.core import correlate
from syncd.core.devices import Directory, Student
from syncd.core.lifecycle import LEFT
from syncd.core.local import Local, without_overrides
from syncd.core.model import Person, PersonId, SourceName, TargetName
from syncd.core.naming import ledger_key
from syncd.core.people import People
from syncd.store import Known, Store


def directory(
    store: Store,
    people: People,
    target: TargetName,
    order: Sequence[SourceName],
    display: str,
    local: Local,
    addresses: Collection[str],
) -> Directory:
    """Everybody, found by number and by address. `addresses` are asked of the name ledger, too: who had one before."""
    by_number: dict[str, list[Student]] = defaultdict(list)
    by_address: dict[str, Student] = {}
    by_person: dict[PersonId, Student] = {}
    accounts = store.known(target)
    for student in _students(store, people, order, display, local, accounts):
        person = student.person
        by_person[person.id] = student
        number = person.fields.get("student_number")
        if isinstance(number, str) and number:
            by_number[number].append(student)
        known = accounts.get(person.id)
        if known is not None:
            aliases = (value for values in known.account.attributes.values() for value in values if "@" in value)
            for address in (*aliases, known.account.rdn):  # where one is the alias of another, the owner counts
                by_address.setdefault(address.casefold(), student)
            by_address[known.account.rdn.casefold()] = student
    # Of two people with one number of whom one has left, the other is meant: numbers are given out again.
    numbered = {number: [one for one in told if one.left is None] or told for number, told in by_number.items()}
    unknown = {ledger_key(address): address for address in addresses if address and address.casefold() not in by_address}
    for key, holder in store.holders(list(unknown)).items():
        if (owner := by_person.get(PersonId(holder))) is not None:
            by_address[unknown[key].casefold()] = owner
    return Directory(numbered, by_address)


def _students(
    store: Store, people: People, order: Sequence[SourceName], display: str, local: Local, accounts: dict[PersonId, Known]
) -> Iterator[Student]:
    building = correlate.Building(local.today, display, settles_after=people.campus_settles_after)
    states, keys, names, united = store.persons(), store.keys_of(), store.names(), store.resolutions.united()
    gone = {(key.source, key.key) for mine in keys.values() for key in mine if key.missing_since is not None}
    person_of = {(key.source, key.key): key.person for mine in keys.values() for key in mine}
    rank = {name: place for place, name in enumerate(order)}
    built: dict[PersonId, Person] = {}
    for person_id, kept in store.records().items():
        if person_id in united or person_id not in states:
            continue
        records = [one for one in kept if (one.source, one.key) not in gone] or kept
        records.sort(key=lambda one: (rank.get(one.source, len(rank)), one.key))
        related = {
            relation: person_of[record.source, key]
            for record in reversed(records)
            for relation, key in record.related.items()
            if (record.source, key) in person_of
        }
        overridden = local.overriding(person_id, records)
        person, _ = building.build(person_id, overridden, related, previous_campus=states[person_id].campus)
        built[person_id] = without_overrides(person)
    for person_id, person in built.items():
        state, known = states[person_id], accounts.get(person_id)
        left = _left(person, state.since or local.today) if state.state in LEFT else None
        campus = person.campus.code if person.campus is not None and left is None else state.campus
        yield Student(
            person,
            known.account.rdn if known is not None else "",
            {kind: name.value for kind, name in names.get(person_id, {}).items()},
            {relation: built[other] for relation, other in person.related.items() if other in built},
            left,
            campus or state.campus,
            state.population or "",
        )


def _left(person: Person, since: date) -> date:
    """The last day somebody was here: as the roster tells it, else the day from which on they count as gone."""
    told = person.fields.get("exit_date")
    return told if isinstance(told, date) and told <= since else since
