"""Counters, tickets and waiting passwords of claims, in both databases."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from syncd.core.claiming import Limits, Verdict
from syncd.core.lifecycle import PersonState
from syncd.core.model import PersonId, SourceKey, SourceName, TargetName
from syncd.store import Store
from syncd.store.claims import Try

NOW = datetime(2026, 8, 20, 14, tzinfo=UTC)
SIS, AD = SourceName("sis"), TargetName("ad")
LIMITS = Limits(tries=2, close_after=3)
NAMES = ("aa|x", "ab|Zeta", "ab|alpha", "ab|ábc", "abc|x", "b|x", "")


def people(store: Store) -> dict[str, PersonId]:
    """Persons by what they can be recognised by, as a token and a family name."""
    minted = [*store.mint([(SIS, SourceKey(str(number))) for number in range(len(NAMES))]).values()]
    told = dict(zip(NAMES, minted, strict=True))
    store.settle([], [PersonState(one, "students", "unclaimed", date(2026, 8, 1), likeness=like) for like, one in told.items()])
    return told


def test_whoever_has_a_birth_date_is_found_with_others_beside_them(store: Store) -> None:
    """By its token alone, however the family name is spelt; as many in all, whoever there is; nobody without one, nobody twice."""
    told = people(store)
    theirs, others = store.claims.born("ab", 5)
    assert set(theirs) == {told["ab|Zeta"], told["ab|alpha"], told["ab|ábc"]}
    assert (len(others), set(others) & set(theirs), told[""] in others) == (2, set(), False)
    assert store.claims.born("zz", 6)[0] == []
    assert set(store.claims.born("zz", 6)[1]) == {one for like, one in told.items() if like}
    assert store.claims.born("ab", 1)[1] == []


def test_tries_are_counted_and_a_right_one_is_taken_back(store: Store) -> None:
    """Of a name and of a person each; a ticket is whose it was given to, for its minutes."""
    person = people(store)["ab|alpha"]
    first, other = Try("typed", "net", person), Try("otherwise", "net", person)
    assert [store.claims.count(first, LIMITS, NOW) for _ in range(3)] == [Verdict(), Verdict(), Verdict(15, compared=False)]
    assert store.claims.count(other, LIMITS, NOW) == Verdict(0, compared=False)
    assert store.claims.count(Try("nobody", "net"), LIMITS, NOW) == Verdict()
    assert store.claims.district(NOW).wrong == 4
    assert store.claims.release(person, "head", "came in", NOW) == 3
    assert store.claims.count(first, LIMITS, NOW) == Verdict()
    store.claims.settle(first, LIMITS, NOW, ticket="t", expires=NOW + timedelta(minutes=10))
    assert (store.claims.district(NOW).wrong, store.claims.district(NOW).right) == (4, 1)
    assert [store.claims.holder(held, NOW) for held in ("t", "x")] == [person, None]
    assert store.claims.holder("t", NOW + timedelta(minutes=10)) is None
    assert store.claims.reopen("head", "a class that mistyped", NOW) == 4
    assert store.claims.district(NOW).wrong == 0


def test_a_password_waits_sealed_for_whoever_has_claimed_and_goes_in_time(store: Store) -> None:
    """Nobody is given one whose account is not claimed; kept again it is another; in time it is gone."""
    told = people(store)
    one, two = told["ab|alpha"], told["b|x"]
    store.claims.keep(one, [AD], "first kayak", NOW + timedelta(minutes=30))
    store.claims.keep(one, [AD], "second kayak", NOW + timedelta(minutes=30))
    store.claims.keep(two, [AD], "third kayak", NOW + timedelta(minutes=30))
    store.settle([], [PersonState(one, "students", "active", date(2026, 8, 1), claimed=True)])
    assert [(each.person, each.password) for each in store.claims.waiting(NOW)] == [(one, "second kayak")]
    assert [each.password for each in store.claims.kept(two, NOW)] == ["third kayak"]
    store.claims.drop(two)
    assert store.claims.waits()
    assert store.claims.waiting(NOW + timedelta(minutes=30)) == []
    assert (store.claims.expire(NOW + timedelta(minutes=30)), store.claims.waits()) == (1, False)


def test_a_run_s_own_expiry_destroys_what_waited_for_too_long_as_well(store: Store) -> None:
    """Where no portal is configured any more nobody else would; tries that nobody repeats are forgotten after a year."""
    person = people(store)["ab|alpha"]
    store.claims.keep(person, [AD], "first kayak", NOW)
    store.claims.count(Try("typed", "net", person), LIMITS, NOW)
    store.expire(NOW, NOW, NOW)
    assert not store.claims.waits()
    store.expire(NOW + timedelta(days=367), NOW, NOW)
    assert store.claims.release(person, "head", "came in", NOW) == 0
