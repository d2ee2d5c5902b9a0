"""What of a target runs may write: what is not released is left out by name, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, combinations

import pytest

from syncd.core.addresses import Aliases, AliasRule
from syncd.core.model import Account, Change, Kind, NativeId, PersonId, TargetName
from syncd.core.plan import Desired, Holding, steps
from syncd.core.release import (
    ADOPTING,
    EVERYTHING,
    LIVE,
    NOTHING,
    OBSERVING,
    OPERATIONS,
    Conduct,
    Release,
    Released,
    left_out,
    narrowed,
    released,
)

LDAP, ANA = TargetName("ldap"), PersonId("p1")
NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
HAVE = Account(
    "ana", "ou=07", enabled=False, attributes={"sn": ("Ruiz",), "mail": ("ana@x",)}, groups=frozenset({"cn=old", "cn=all"})
)
WANT = Account(
    "ana2", "ou=08", enabled=True, attributes={"sn": ("Diaz",), "mail": ("ana2@x",)}, groups=frozenset({"cn=new", "cn=all"})
)
POLICIES = {"sn": "enforce", "mail": "enforce"}
REFERS = {"manager": ("uid=boss",)}
HELD = Holding(NativeId("n1"), HAVE)
OPEN = replace(HELD, account=replace(HAVE, enabled=True))

CASES: dict[str, tuple[Desired, Holding | None]] = {
    "new": (Desired(ANA, WANT, POLICIES, REFERS, campus="012"), None),
    "changed": (Desired(ANA, WANT, POLICIES, REFERS, campus="012"), HELD),
    "leaving": (Desired(ANA, OPEN.account, campus="012", leaving=True, park="ou=gone", delete=True), OPEN),
    "closed": (Desired(ANA, HAVE, campus="012", leaving=True, park="ou=gone"), HELD),
}


def release(**covers: Iterable[str]) -> Release:
    """Somebody released this much."""
    return Release(LDAP, NOON, "ana (uid 1)", "seen", **{name: frozenset(words) for name, words in covers.items()})


def made(case: str, may: Released) -> list[Change]:
    """What a run does."""
    want, have = CASES[case]
    left = narrowed(want, have, may)
    return steps(LDAP, left, have) if left is not None else []


def operation_of(change: Change) -> str:
    return next(word for word, kinds in OPERATIONS.items() if change.kind in kinds)


def told(changes: Iterable[Change]) -> set[tuple[str, str, str]]:
    """Each thing that is done: its kind, its group, and each attribute by itself."""
    found: set[tuple[str, str, str]] = set()
    for change in changes:
        names = change.after.attributes if change.after is not None and change.kind in (Kind.UPDATE, Kind.REFER) else [""]
        found |= {(change.kind.value, change.group or "", name) for name in names}
    return found


@pytest.mark.parametrize("case", CASES)
def test_what_is_made_and_what_is_left_out_are_the_whole_and_only_what_is_released_is_made(case: str) -> None:
    """Every set of operations: nothing of another operation is made, nothing is lost, and nothing is made twice."""
    want, have = CASES[case]
    whole = steps(LDAP, want, have)
    words = sorted(OPERATIONS)
    for chosen in chain.from_iterable(combinations(words, size) for size in range(len(words) + 1)):
        may = released([release(operations=chosen)]) if chosen else NOTHING
        done = made(case, may)
        left = list(left_out(whole, done))
        allowed = {*chosen, *(["update"] if case == "new" else [])}  # a new account is made as a whole, references with it
        assert {operation_of(change) for change in done} <= allowed, chosen
        assert told(done) | told(left) == told(whole), chosen
        assert not told(done) & told(left), chosen
    assert made(case, EVERYTHING) == whole
    assert made(case, NOTHING) == []


def test_nobody_is_parked_or_deleted_whose_account_stays_open() -> None:
    """Parking and deleting are stages of leaving: released by themselves they wait for the disabling."""
    may = released([release(operations=("park", "delete", "member"))])
    assert {change.kind for change in made("leaving", may)} == {Kind.REMOVE_MEMBER}
    assert {change.kind for change in made("closed", may)} == {Kind.REMOVE_MEMBER, Kind.PARK}


def test_an_attribute_is_released_by_itself() -> None:
    """Whatever its case; what else would be updated is left out of the change, and told."""
    may = released([release(attributes=("mail",))])
    [change] = made("changed", may)
    assert change.before is not None
    assert change.after is not None
    assert (change.kind, dict(change.before.attributes), dict(change.after.attributes)) == (
        Kind.UPDATE, {"mail": ("ana@x",)}, {"mail": ("ana2@x",)},
    )  # fmt: skip
    assert (change.after.rdn, change.after.container, change.after.enabled) == ("ana", "ou=07", False)
    left = left_out(steps(LDAP, *CASES["changed"]), [change])
    assert ("update", "", "sn") in told(left)


def test_an_alias_is_made_only_of_an_address_that_may_be_replaced() -> None:
    """Where the address itself is not released, it stays, and the attribute with the aliases says so."""
    rule = Aliases("proxyAddresses", AliasRule("mail", 365), {}, NOON.date())
    have = Holding(NativeId("n1"), replace(HAVE, attributes={"mail": ("ana@x",)}))
    want = Desired(ANA, WANT, {"mail": "enforce"}, aliases=(rule,))
    for attributes, expected in (
        (("proxyAddresses",), ("SMTP:ana@x",)),
        (("proxyAddresses", "mail"), ("SMTP:ana2@x", "smtp:ana@x")),
    ):
        left = narrowed(want, have, released([release(attributes=[name.lower() for name in attributes])]))
        assert left is not None
        [change] = steps(LDAP, left, have)
        assert change.after is not None
        assert change.after.attributes["proxyAddresses"] == expected


def test_releases_add_up_and_a_campus_is_only_that_campus() -> None:
    """One after the other: what any of them covers may be written."""
    may = released([release(campuses=("001",)), release(campuses=("012",), operations=("move",)), release(attributes=("sn",))])
    assert {change.kind for change in made("changed", may)} == {Kind.MOVE, Kind.UPDATE}
    assert may.attributes("012") == {"sn"}
    assert may.attributes("001") is None
    assert may.allows("create", "001")
    assert not may.allows("create", "012")
    assert not may.allows("create", "")


def test_what_was_taken_back_counts_no_more() -> None:
    """And a release without anything narrower is everything."""
    assert released([release()]).everything
    assert released([replace(release(), ended=NOON)]) == NOTHING
    assert not released([replace(release(), ended=NOON), release(operations=("move",))]).everything


def test_whoever_is_locked_is_shut_out_on_an_observed_target_too() -> None:
    """R33: a lock asks nothing."""
    want = Desired(ANA, OPEN.account, locked=True)
    assert narrowed(want, OPEN, NOTHING) is want


@pytest.mark.parametrize(("others", "expected"), [(True, OBSERVING), (False, LIVE)])
def test_a_target_nobody_decided_about_is_observed_only_if_it_holds_accounts_of_others(*, others: bool, expected: Conduct) -> None:
    """An empty one needs its first apply, and nothing more."""
    assert Conduct(unless_empty=True).among(others=others) == expected


def test_adopting_writes_nothing_and_links() -> None:
    """R34."""
    assert ADOPTING.among(others=True) == ADOPTING
    assert (ADOPTING.released, ADOPTING.links) == (NOTHING, True)
