"""A name that was promised and never sent is free again when what it was for is turned down, dropped, or over (R9)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from syncd.core.guard import Limit
from syncd.core.model import Account, NativeId, SourceKey
from syncd.core.naming import IssuedName
from syncd.demo.roster import Student
from syncd.engine.planned import Applied, Planned
from syncd.store import Acceptance, Approval, Known, Store
from tests.fixtures.engine_world import LDAP, MAIN, SIS, World, found, pupil, world

ALICE = "alice (uid 1001)"
OAKS = ("s15", "s16")


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Six students and three staff; more than one newcomer at a campus is held. Two came to campus 001 and are."""
    with world(tmp_path) as made:
        made.begin()
        target = made.config.targets[LDAP]
        few = Limit(percent=100, at_least=1000, campus_percent=1, campus_at_least=1)
        made.reopen(replace(made.config, targets={LDAP: replace(target, limits=replace(target.limits, create=few))}))
        made.students(newcomer(15, "Oak"), newcomer(16, "Elm"))
        made.clock.advance()
        planned, applied = synced(made)
        assert planned.verdict.held == {made.person("s15"), made.person("s16")}
        assert [finding.cell.operation for finding in applied.findings if finding.cell] == ["create"]
        yield made


def newcomer(number: int, family: str) -> Student:
    """Ned, at campus 001."""
    return pupil(number, given="Ned", family=family, schools=("o1",), lessons=())


def another_oak() -> Student:
    """Somebody else of the name, at the campus where nobody is held."""
    return pupil(17, given="Ned", family="Oak", birth=date(2011, 3, 3))


def synced(district: World) -> tuple[Planned, Applied]:
    """A run; it is not held as a whole."""
    planned, applied = district.engine.sync(MAIN)
    assert applied is not None
    return planned, applied


def holders(district: World) -> dict[str, str]:
    """Who has these names in the ledger."""
    return district.store.holders(["noak", "nelm", "noak2"])


def rejected(district: World, planned: Planned) -> int:
    """Turn down what this plan holds; how many names are free again."""
    kept = district.engine.stored_plan(planned.run)
    return district.engine.approving.reject(planned.run, kept, ALICE, "they are at another district").names


def test_a_create_that_is_turned_down_gives_its_name_back(district: World) -> None:
    """And takes it in no later run: whoever comes next gets it; the one who was turned down is not offered under another name."""
    assert holders(district) == {"noak": district.person("s15"), "nelm": district.person("s16")}
    planned, _ = synced(district)
    assert rejected(district, planned) == 2
    assert holders(district) == {}
    assert district.store.names([district.person("s15")]) == {}
    for kind in ("delta", "reconcile"):
        district.clock.advance()
        planned, applied = district.engine.sync(MAIN, kind)
        assert applied is not None
        assert applied.findings == ()
        assert len(found(planned, "rejected")) == 2
        assert holders(district) == {}
    district.students(another_oak())  # behind s15 in every order
    district.clock.advance()
    planned, applied = synced(district)
    assert applied.findings == ()
    assert district.account("s17").rdn == "noak"
    assert len(found(planned, "rejected")) == 2
    assert holders(district) == {"noak": district.person("s17")}


def test_who_is_released_gets_a_name_anew(district: World) -> None:
    """The one that is free by then."""
    planned, _ = synced(district)
    rejected(district, planned)
    district.students(another_oak())
    district.clock.advance()
    synced(district)
    assert district.engine.release("s15") == 1
    planned, _ = synced(district)
    district.engine.approve(planned.run, ALICE, "they come after all")
    synced(district)
    assert district.account("s15").rdn == "noak2"


def test_another_create_of_the_same_person_is_another_question(district: World) -> None:
    """Turned down is an account with those values, whatever it is called: under a name that was corrected it is held anew."""
    planned, _ = synced(district)
    rejected(district, planned)
    district.students(newcomer(15, "Ash"))
    district.clock.advance()
    planned, _ = synced(district)
    assert planned.verdict.held == {district.person("s15")}
    assert district.store.holders(["noak", "nash"]) == {"nash": district.person("s15")}
    assert len(found(planned, "rejected")) == 1


def test_a_plan_that_is_dropped_gives_back_what_was_promised_again_in_it(district: World) -> None:
    """The names were promised by a run that was applied, and held these people; the plan that is dropped promised them anew."""
    planned = district.engine.plan(MAIN)
    assert not planned.verdict.clear
    assert district.engine.reject(planned.run) == 2
    assert holders(district) == {}


def test_what_was_promised_to_somebody_who_never_came_expires_with_the_plan(district: World) -> None:
    """R38: a held newcomer is gone from the roster before anybody decided; a month later the name is nobody's."""
    district.leave("s15")
    district.day(20)
    assert holders(district)["noak"] == district.person("s15")
    district.day(20)
    assert holders(district) == {"nelm": district.person("s16")}


def test_a_name_that_was_sent_stays_theirs_for_ever(district: World) -> None:
    """Nothing of somebody with an account, or to whom a create was ever sent, is given back."""
    planned, _ = synced(district)
    district.engine.approve(planned.run, ALICE, "welcome")
    synced(district)
    assert {district.account(key).rdn for key in OAKS} == {"noak", "nelm"}
    kept = district.engine.stored_plan(planned.run)
    assert district.engine.approving.reject(planned.run, kept, ALICE, "too late").names == 0
    assert holders(district) == {"noak": district.person("s15"), "nelm": district.person("s16")}


# --- the store, on both databases -------------------------------------------------------------------------------------


def test_what_was_promised_is_given_back_but_not_of_whoever_has_an_account(store: Store) -> None:
    """A name that a later run promised again is that run's; what a human said, or what was sent, is nobody's to give back."""
    at = datetime(2026, 9, 1, 8, tzinfo=UTC)
    keys = [(SIS, SourceKey(f"s{n}")) for n in (1, 2)]
    one, two = store.mint(keys).values()
    first, second = (store.begin_run(MAIN, "delta", "test", at) for _ in range(2))
    names = {"ann": one, "bea": two}
    store.reserve(first, names, at)
    called = {person: (IssuedName("username", name, "x"),) for name, person in names.items()}
    store.accept(first, Acceptance(names=called), at)
    store.reserve(second, {}, at, again={"ann": one, "bea": one, "cal": two})  # only hers is promised again
    assert store.reject(first) == 1
    assert store.holders(["ann", "bea"]) == {"ann": one}
    assert store.names([two]) == {}
    rejection = Approval(second, at, at + timedelta(days=7), ALICE, "no")
    store.link(
        second,
        [Known(one, LDAP, NativeId("n1"), "created", Account("ann", "ou=a", enabled=True, attributes={}), disabled_by_us=True)],
    )
    assert store.decisions.reject(rejection, {"a": one}, [one]) == 0
    assert store.names([one])[one]["username"].value == "ann"
