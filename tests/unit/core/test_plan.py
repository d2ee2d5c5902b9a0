"""The diff: what it writes, what it leaves alone, and that applying it leaves nothing to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.model import Account, Change, Kind, NativeId, PersonId, TargetName
from syncd.core.plan import Desired, Holding, digest, parent, steps

LDAP = TargetName("ldap")
ANA = PersonId("p1")
NATIVE = NativeId("n1")
ACCOUNT = Account("ana", "ou=Grade 07", enabled=True, attributes={"sn": ("Ruiz",)}, groups=frozenset({"cn=all"}))
ENFORCE = {"sn": "enforce"}


def kinds(changes: Sequence[Change]) -> list[Kind]:
    return [change.kind for change in changes]


def applied(changes: Sequence[Change], have: Account | None) -> Account | None:
    """What an obedient target would hold afterwards."""
    account = have
    for change in changes:
        match change.kind:
            case Kind.CREATE:
                account = change.after
            case Kind.DELETE:
                account = None
            case Kind.ADD_MEMBER if account is not None:
                account = replace(account, groups=account.groups | {change.group or ""})
            case Kind.REMOVE_MEMBER if account is not None:
                account = replace(account, groups=account.groups - {change.group or ""})
            case _ if account is not None and change.after is not None:
                attributes: Mapping[str, tuple[str, ...]] = {**account.attributes, **change.after.attributes}
                after = change.after
                account = replace(account, rdn=after.rdn, container=after.container, enabled=after.enabled, attributes=attributes)
    return account


def test_a_new_person_gets_a_create_then_references_then_memberships() -> None:
    """R20: what names another account, and what needs the account, comes behind it."""
    want = Desired(ANA, ACCOUNT, policies=ENFORCE, refers={"manager": ("uid=boss",)})
    assert kinds(steps(LDAP, want, None)) == [Kind.CREATE, Kind.REFER, Kind.ADD_MEMBER]


def test_somebody_who_left_and_never_had_an_account_gets_nothing() -> None:
    """Nobody is created only to be disabled."""
    assert steps(LDAP, Desired(ANA, ACCOUNT, leaving=True), None) == []


def test_an_attribute_the_mapping_does_not_own_is_left_alone() -> None:
    """Ownership is by attribute: what others wrote beside ours stays."""
    have = Holding(NATIVE, replace(ACCOUNT, attributes={"sn": ("Ruiz",), "title": ("theirs",)}))
    assert steps(LDAP, Desired(ANA, ACCOUNT, policies=ENFORCE), have) == []


@pytest.mark.parametrize(("policy", "now", "written"), [
    ("enforce", ("drifted",), True),
    ("initial", ("drifted",), False),
    ("initial", (), False),
    ("if_empty", ("drifted",), False),
    ("if_empty", (), True),
])  # fmt: skip
def test_a_policy_says_when_an_existing_value_is_written(policy: str, now: tuple[str, ...], written: bool) -> None:
    """`enforce` puts back, `initial` never again, `if_empty` only into nothing."""
    have = Holding(NATIVE, replace(ACCOUNT, attributes={"sn": now}))
    changes = steps(LDAP, Desired(ANA, ACCOUNT, policies={"sn": policy}), have)
    assert bool(changes) == written


def test_an_account_disabled_by_others_is_not_enabled() -> None:
    """R33."""
    have = Holding(NATIVE, replace(ACCOUNT, enabled=False), disabled_by_us=False)
    assert steps(LDAP, Desired(ANA, ACCOUNT, policies=ENFORCE), have) == []


def test_a_leaver_loses_groups_then_access_then_place() -> None:
    """The account is disabled before it is parked, and deleted only where asked."""
    want = Desired(ANA, ACCOUNT, leaving=True, park="ou=Disabled")
    assert kinds(steps(LDAP, want, Holding(NATIVE, ACCOUNT))) == [Kind.REMOVE_MEMBER, Kind.DISABLE, Kind.PARK]
    assert kinds(steps(LDAP, want._replace(delete=True), Holding(NATIVE, ACCOUNT)))[-1] is Kind.DELETE


def test_a_rename_and_a_move_are_one_change_and_later_steps_know_the_new_place() -> None:
    """A membership behind a move names the member where it is then."""
    want = Desired(
        ANA, replace(ACCOUNT, rdn="ana2", container="ou=Grade 08", groups=frozenset({"cn=all", "cn=new"})), policies=ENFORCE
    )
    move, add = steps(LDAP, want, Holding(NATIVE, ACCOUNT))
    assert (move.kind, add.kind) == (Kind.MOVE, Kind.ADD_MEMBER)
    assert add.before is not None
    assert (add.before.rdn, add.before.container) == ("ana2", "ou=Grade 08")


names = st.sampled_from(["ana", "ben", "cy"])
attributes = st.dictionaries(st.sampled_from(["sn", "mail", "title"]), st.sampled_from([("a",), ("b",), ("a", "b"), ()]))
accounts = st.builds(
    Account, names, st.sampled_from(["ou=A", "ou=B"]), st.booleans(), attributes, st.frozensets(st.sampled_from(["cn=1", "cn=2"]))
)


@given(want=accounts, have=st.none() | accounts, leaving=st.booleans(), refers=st.booleans(), landed=st.integers(1, 9))
def test_what_is_left_of_a_half_applied_plan_is_still_what_was_approved(
    want: Account, have: Account | None, leaving: bool, refers: bool, landed: int
) -> None:
    """R15: killed after any step, a person's other changes replan identically, so that the approval still covers them."""
    policies = dict.fromkeys(want.attributes, "enforce")
    wish = Desired(ANA, want, policies=policies, refers={"manager": ("uid=boss",)} if refers else {}, leaving=leaving)
    changes = steps(LDAP, wish, Holding(NATIVE, have) if have else None)
    now = applied(changes[:landed], have)
    left = steps(LDAP, wish, Holding(NATIVE, now) if now else None)
    assert [digest(change) for change in changes[landed:]] == [digest(change) for change in left]


@given(want=accounts, have=st.none() | accounts, leaving=st.booleans(), refers=st.booleans())
def test_applying_a_plan_leaves_nothing_to_do(want: Account, have: Account | None, leaving: bool, refers: bool) -> None:
    """Convergence: the same wish against the result asks for nothing more."""
    desired = Desired(
        ANA,
        want if not leaving or have is None else have,
        policies=dict.fromkeys(want.attributes, "enforce"),
        refers={"manager": ("uid=boss",)} if refers and not leaving else {},
        leaving=leaving,
        park="ou=Disabled" if leaving else None,
    )
    holding = Holding(NATIVE, have) if have is not None else None
    after = applied(steps(LDAP, desired, holding), have)
    if after is not None:
        assert steps(LDAP, desired, Holding(NATIVE, after)) == []
        if not leaving:
            assert after.enabled == (want.enabled or bool(have and have.enabled))


@given(accounts, accounts)
def test_a_digest_tells_different_effects_apart_and_nothing_else(one: Account, other: Account) -> None:
    """R15: reasons and native ids are not part of what is approved; before and after are."""
    first = Change(LDAP, Kind.UPDATE, "because", person=ANA, before=one, after=other)
    assert digest(first) == digest(replace(first, reason="otherwise", native_id=NATIVE, campus="012"))
    same = (other.rdn, other.container, other.enabled, other.attributes) == (one.rdn, one.container, one.enabled, one.attributes)
    assert (digest(first) == digest(replace(first, after=one))) == same


@pytest.mark.parametrize(("name", "above"), [
    ("ou=Grade 07,ou=012,ou=Students", "ou=012,ou=Students"),
    ("ou=a\\,b,ou=c", "ou=c"),
    ("ou=a\\\\,ou=c", "ou=c"),
    ("ou=top", ""),
    ("", ""),
])  # fmt: skip
def test_a_container_stands_in_what_follows_its_first_unescaped_comma(name: str, above: str) -> None:
    """RFC 4514 escaping is respected."""
    assert parent(name) == above
