"""Protected and required: who and what a run never touches, and whose access is asked about."""

from __future__ import annotations

import pytest

from syncd.core.guard import Verdict
from syncd.core.model import Account, Change, Kind, PersonId, TargetName
from syncd.core.protected import Protected, judge_protected, judge_required

LDAP, ANA, BEN = TargetName("ldap"), PersonId("p1"), PersonId("p2")
BOARD = "ou=Board,ou=Staff"


def account(container: str) -> Account:
    return Account("x", container, enabled=True, attributes={})


@pytest.mark.parametrize(
    ("change", "touches"),
    [
        (Change(LDAP, Kind.UPDATE, "", person=ANA), True),
        (Change(LDAP, Kind.UPDATE, "", person=BEN), False),
        (Change(LDAP, Kind.ADD_MEMBER, "", person=BEN, group="CN=Principals, ou=Groups"), True),
        (Change(LDAP, Kind.ADD_MEMBER, "", person=BEN, group="cn=teachers,ou=groups"), False),
        (Change(LDAP, Kind.MOVE, "", person=BEN, before=account("ou=Staff"), after=account("OU=Board,ou=Staff")), True),
        (Change(LDAP, Kind.MOVE, "", person=BEN, before=account("ou=East,ou=Board,ou=Staff"), after=account("ou=Staff")), True),
        (Change(LDAP, Kind.UPDATE, "", person=BEN, before=account("ou=Keyboard,ou=Staff")), False),
        (Change(LDAP, Kind.CREATE_CONTAINER, "", group=BOARD), False),  # it waits with whoever needs it
    ],
)
def test_what_is_protected_is_not_touched(change: Change, touches: bool) -> None:
    """Persons by name, groups and everything below a place, however they are spelled."""
    protected = Protected(groups=("cn=principals,ou=groups",), containers=(BOARD,))
    found = list(judge_protected(LDAP, [change], protected, {ANA}))
    assert [one.persons for one in found] == ([frozenset({change.person})] if touches else [])


def test_no_approval_lets_go_what_is_protected() -> None:
    """The configuration says never; a human who wants otherwise edits it."""
    found = judge_protected(LDAP, [Change(LDAP, Kind.UPDATE, "", person=ANA)], Protected(), {ANA})
    verdict = Verdict(tuple(found))
    assert verdict.released({ANA}).held == {ANA}


def test_closing_the_account_of_a_required_person_is_held_by_itself() -> None:
    """One disable breaks no limit; this one is asked about all the same, and names nobody."""
    changes = [Change(LDAP, Kind.DISABLE, "left", person=ANA), Change(LDAP, Kind.DISABLE, "left", person=BEN)]
    (finding,) = judge_required(LDAP, changes, {ANA, PersonId("p3")})
    assert finding.persons == {ANA}
    assert str(finding).startswith("target ldap: 1 of the 2 persons in `required` of the sources would lose their account.")
    assert Verdict((finding,)).released({ANA}).clear


def test_required_persons_may_change_like_anybody() -> None:
    """It is about having an account, not about what is in it."""
    assert not list(judge_required(LDAP, [Change(LDAP, Kind.UPDATE, "", person=ANA)], {ANA}))
