"""Local facts in the store, on both databases: kept, ended, sealed, and what is owed of a lock (R6, R33)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from syncd.core.facts import LOCAL, Fact, FactKind
from syncd.core.model import Account, Change, Kind, NativeId, Outcome, PersonId, Result, RunId, SourceKey, SourceName, TargetName
from syncd.core.naming import IssuedName
from syncd.errors import ChangeError
from syncd.store import Acceptance, Known, Store, tables
from syncd.store.database import transaction

NOW = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)
TODAY = date(2026, 9, 1)
SIS, AD = SourceName("sis"), TargetName("ad")
P1, P2 = PersonId("p1"), PersonId("p2")
OPEN = Account("ana", "ou=s", enabled=True, attributes={"sn": ("Ruiz",)})


@pytest.fixture
def people(store: Store) -> Store:
    """Two persons, the first with an open account."""
    store.mint([(SIS, SourceKey("1")), (SIS, SourceKey("2"))])
    run = store.begin_run("main", "delta", "timer", NOW)
    store.accept(run, Acceptance(links=(Known(P1, AD, NativeId("n1"), "created", OPEN),)), NOW)
    store.settle([P1, P2])
    return store


def fact(person: PersonId, kind: FactKind, **told: object) -> Fact:
    """A fact of an operator's."""
    return Fact(0, person, kind, NOW, "ana (uid 1)", "a secret reason", **told)  # type: ignore[arg-type]  # the callers spell the fields


def sent(store: Store, kind: Kind, result: Result | None, at: datetime = NOW, person: PersonId = P1) -> RunId:
    """A journalled change of the person's account, and what came of it."""
    run = store.begin_run("main", "delta", "timer", at)
    native = NativeId("n1") if person == P1 else None
    change = Change(
        AD, kind, "x", person, native, None if kind is Kind.CREATE else OPEN, replace(OPEN, enabled=kind is not Kind.DISABLE)
    )
    (seq,) = store.intend(run, [change], {}, at)
    if result is not None:
        store.record(run, [(seq, Outcome(change, result, NativeId("n2") if kind is Kind.CREATE else None))], at)
    return run


def test_a_fact_is_kept_as_told_and_marks_whose_it_is(people: Store) -> None:
    """R4: the next run looks at the person; what the fact says and why is sealed, and comes back as it was."""
    told = fact(P1, FactKind.OVERRIDE, attribute="campus", values={"value": "012"}, until=date(2026, 10, 1))
    made = people.facts.add(told)
    assert people.facts.listed() == [made] == [replace(told, id=made.id)]
    assert people.dirty() == {P1}
    with transaction(people._engine) as connection:
        row = connection.execute(select(tables.facts)).one()
    assert b"secret" not in row.sealed
    assert "012" not in str(row._mapping.values())


def test_one_of_a_kind_ends_the_one_before(people: Store) -> None:
    """Of the same attribute on the same target; another one is another fact. Ended once is ended for good."""
    for attribute in ("campus", "grade", "campus"):
        people.facts.add(fact(P1, FactKind.OVERRIDE, attribute=attribute, values={"value": "x"}))
    first, second, third = people.facts.listed([P1])
    assert (first.ended, second.ended, third.ended) == (NOW, None, None)
    people.facts.end([first.id, second.id], NOW + timedelta(days=1), "bo (uid 2)", "over")
    first, second, _ = people.facts.listed()
    assert (first.ended, first.ended_by) == (NOW, "ana (uid 1)")
    assert (second.ended_by, second.ended_because) == ("bo (uid 2)", "over")
    assert people.facts.listed([P2]) == []
    kinds = [entry.kind for entry in people.audit.entries(P1)]
    assert kinds == ["override", "override", "end of override", "override", "end of override"]
    assert people.audit.entries(P1)[-1].contents == {"attribute": "grade", "target": "", "because": "over"}
    assert people.audit.verify().problems == ()


def test_counts_are_of_what_is_in_force(people: Store) -> None:
    """To its last day inclusive; sealed names are nobody's business."""
    people.facts.add(fact(P1, FactKind.FREEZE, until=TODAY))
    people.facts.add(fact(P1, FactKind.SEAL, attribute="ana"))
    people.facts.add(fact(P2, FactKind.LOCK))
    assert people.facts.counts(TODAY) == {"override": 0, "freeze": 1, "lock": 1, "sponsor": 0}
    assert people.facts.counts(TODAY + timedelta(days=1))["freeze"] == 0


def test_a_lock_owes_what_is_open_and_what_is_being_opened(people: Store) -> None:
    """The linked account while it is open; an account whose making is not answered; never anybody else's."""
    assert people.facts.owes() is False
    people.facts.add(fact(P2, FactKind.LOCK))
    assert people.facts.owed() == []
    people.facts.add(fact(P1, FactKind.LOCK))
    assert people.facts.locked() == {P1, P2}
    (owed,) = people.facts.owed()
    assert (owed.fact.person, owed.target, owed.in_flight) == (P1, AD, False)
    sent(people, Kind.DISABLE, Result.DONE)
    assert people.facts.owes() is False
    sent(people, Kind.ENABLE, None)
    (owed,) = people.facts.owed()
    assert (owed.in_flight, owed.making) == (True, None)
    sent(people, Kind.CREATE, None, person=P2)
    _, made = people.facts.owed()
    assert (made.known, made.in_flight, made.making and made.making.rdn) == (None, True, "ana")


def test_what_a_lock_closed_is_ours_until_it_is_opened_again(people: Store) -> None:
    """Whoever looks at it meanwhile; and the way back sets a new password, once."""
    seen = Known(P1, AD, NativeId("n1"), "created", replace(OPEN, enabled=False), disabled_by_us=False)
    lock = people.facts.add(fact(P1, FactKind.LOCK))
    people.facts.seen([seen])
    assert not people.known(AD)[P1].disabled_by_us  # nothing of ours is journalled: somebody else did it
    sent(people, Kind.DISABLE, None)
    people.facts.seen([seen])
    assert people.known(AD)[P1].disabled_by_us
    assert people.facts.resets() == set()
    people.facts.end([lock.id], NOW, "ana", "over")
    assert people.facts.resets() == {(AD, P1)}
    sent(people, Kind.ENABLE, Result.FAILED)
    assert people.facts.resets() == {(AD, P1)}
    sent(people, Kind.ENABLE, Result.DONE)
    assert people.facts.resets() == set()
    people.facts.seen([seen])
    assert not people.known(AD)[P1].disabled_by_us


def test_an_answer_is_journalled_once_whoever_brings_it(people: Store) -> None:
    """A run may have found out what became of a lock while whoever sent it still waited."""
    run = people.begin_run("(lock)", "lock", "lock", NOW)
    change = Change(AD, Kind.DISABLE, "x", P1, NativeId("n1"), OPEN, replace(OPEN, enabled=False))
    (seq,) = people.intend(run, [change], {}, NOW)
    assert people.facts.beside_others([run, RunId("r1")]) == {run}
    for _ in range(2):
        people.facts.answered([(seq, Outcome(change, Result.DONE))], NOW)
    assert [row.result for row in people.journal(run)] == [Result.DONE]


def test_a_sponsored_person_is_minted_with_the_fact(people: Store) -> None:
    """Under a key of the built-in source, never used twice."""
    told = fact(PersonId("p0"), FactKind.SPONSOR, values={"given": "Sam"})
    first, second = people.facts.sponsor(told), people.facts.sponsor(told)
    assert (first.person, second.person) == ("p3", "p4")
    assert {key.key for key in people.keys(LOCAL).values()} == {"sponsored-1", "sponsored-2"}
    assert people.facts.listed([first.person])[0].values == {"given": "Sam", "key": "sponsored-1"}


def test_a_rename_is_all_or_nothing_and_seals_what_was(people: Store) -> None:
    """R9: a name that is or was another's is refused and nothing becomes true; every older name is sealed with the new one."""
    people.reserve(RunId("r1"), {"ana": P1, "bo": P2}, NOW)
    seal = fact(P1, FactKind.SEAL)
    with pytest.raises(ChangeError, match="belongs to p2"):
        people.facts.rename(seal, IssuedName("username", "b.o", ""), sealed=True)
    assert (people.facts.sealed(), people.names()) == (frozenset(), {})
    people.facts.rename(seal, IssuedName("username", "river", ""), sealed=True)
    assert people.facts.sealed() == {"ana"}
    assert people.names()[P1]["username"].value == "river"
    assert (people.find_person("ana"), people.find_person("A.na"), people.find_person("river")) == ([], [], [P1])
    assert {row.name for row in people.ledger("p1")} == {"ana", "river"}
    assert people.facts.hidden(TODAY) == {P1}
    assert [entry.kind for entry in people.audit.entries(P1)] == ["rename", "seal"]


def test_an_override_can_make_somebody_confidential(people: Store) -> None:
    """While it holds, and where it says so."""
    for person, value in ((P1, "yes"), (P2, "false")):
        people.facts.add(fact(person, FactKind.OVERRIDE, attribute="confidential", values={"value": value}, until=TODAY))
    assert people.facts.hidden(TODAY) == {P1}
    assert people.facts.hidden(TODAY + timedelta(days=1)) == frozenset()
