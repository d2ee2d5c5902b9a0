"""What a real domain refuses, and what an operator then reads: by whom, which right, which rule, which attribute."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from ldap3 import NONE, Connection, Server

from syncd.core.model import Account, Change, Failure, Kind, NativeId, Outcome, PersonId, Result, TargetName
from syncd.demo.samba import DOMAIN, SERVICE, SUFFIX
from syncd.targets.ldap_ad import ActiveDirectory
from syncd.targets.ldap_ad_apply import quoted
from syncd.targets.ldap_errors import refusal
from syncd.vault import Credentials
from tests.contract.target_contract import place
from tests.integration.samba import Domain

PASSWORD = "Correct-Horse-9"


@pytest.fixture
def connector(domain: Domain, room: str) -> Iterator[ActiveDirectory]:
    """The connector in a room of its own."""
    with closing(ActiveDirectory("t", domain.config(room), Credentials(domain.server.folder))) as opened:
        yield opened


def outcome(connector: ActiveDirectory, kind: Kind, word: str | None = None, **told: object) -> Outcome:
    """What becomes of one change."""
    change = Change(TargetName("t"), kind, "test", person=PersonId("p1"), **told)  # type: ignore[arg-type]  # spelled out by the callers
    (became,) = connector.apply([change], lambda _: word)
    return became


def account(rdn: str, container: str = "ou=students", **attributes: str) -> Account:
    """A disabled account."""
    return Account(rdn, container, enabled=False, attributes={name: (value,) for name, value in attributes.items()})


def made(connector: ActiveDirectory, wanted: Account) -> tuple[NativeId, Account]:
    """The account, created."""
    told = connector.canonical(wanted)
    became = outcome(connector, Kind.CREATE, after=told)
    assert (became.result, became.why) == (Result.DONE, "")
    return became.native_id or NativeId(""), told


def fresh() -> str:
    """A name nobody has in the whole domain."""
    return f"u{secrets.token_hex(6)}"


# --- taken, and by whom ------------------------------------------------------------------------------------------------


def test_who_has_a_sign_in_name_is_told(connector: ActiveDirectory, domain: Domain, room: str) -> None:
    """An account outside the base too; with an update as with a create, and for both names that are unique in a domain."""
    name = fresh()
    theirs = f"CN={name},CN=Users,{SUFFIX}"
    told = {"sAMAccountName": name, "userPrincipalName": f"{name}@{DOMAIN}"}
    domain.does(domain.admin.add(theirs, "user", told))
    native_id, mine = made(connector, account("mine", sAMAccountName=fresh()))
    seen = [
        outcome(connector, Kind.CREATE, after=connector.canonical(account("b", **{attribute: value})))
        for attribute, value in told.items()
    ]
    before = {attribute: mine.attributes.get(attribute, ()) for attribute in told}
    seen += [
        outcome(
            connector,
            Kind.UPDATE,
            native_id=native_id,
            before=place(mine, **{attribute: before[attribute]}),
            after=place(mine, **{attribute: (value,)}),
        )
        for attribute, value in told.items()
    ]
    assert [one.failure for one in seen] == [Failure.NAME_TAKEN] * 4
    for one, attribute in zip(seen, [*told, *told], strict=True):
        assert f"{attribute} is that of {theirs}" in one.why or f" and {attribute} is that of {theirs}" in one.why
    domain.does(domain.admin.delete(theirs))
    assert room


def test_who_stands_at_a_place_is_told(connector: ActiveDirectory, room: str) -> None:
    """A cn is unique in its container: told with a create, a rename and a move."""
    made(connector, account("a"))
    native_id, told = made(connector, account("b"))
    other_id, other = made(connector, account("a", container="ou=staff"))
    there = f"at its place stands CN=a,OU=Students,{room}"
    created = outcome(connector, Kind.CREATE, after=connector.canonical(account("a")))
    renamed = outcome(connector, Kind.MOVE, native_id=native_id, before=place(told), after=replace(place(told), rdn="a"))
    to = replace(place(other), container="ou=students")
    moved = outcome(connector, Kind.MOVE, native_id=other_id, before=place(other), after=to)
    assert [one.failure for one in (created, renamed, moved)] == [Failure.NAME_TAKEN] * 3
    assert [there in one.why for one in (created, renamed, moved)] == [True] * 3


def test_who_has_a_groups_sign_in_name_is_told(connector: ActiveDirectory, room: str) -> None:
    """A group shares its namespace with accounts."""
    name = fresh()
    made(connector, account("a", sAMAccountName=name))
    became = outcome(connector, Kind.CREATE_GROUP, group=f"cn={name},ou=groups")
    assert (became.result, became.failure) == (Result.FAILED, Failure.NAME_TAKEN)
    assert f"sAMAccountName is that of CN=a,OU=Students,{room}" in became.why


# --- passwords ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "broken"),
    [
        ("Ab-1", "it has 4 characters"),
        ("alllowercaseletters", "it has 1 of 3 kinds of characters"),
    ],
)
def test_a_refused_password_is_held_against_the_policy(connector: ActiveDirectory, word: str, broken: str) -> None:
    """The domain's demands and the broken rule are told, the password is not."""
    became = outcome(connector, Kind.CREATE, word, after=connector.canonical(account("a")))
    assert (became.result, became.failure) == (Result.FAILED, Failure.REFUSED)
    assert f"{SUFFIX} demands at least 7 characters, 3 kinds of characters" in became.why
    assert became.why.endswith(broken)
    assert word not in became.why


# --- values and places --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        ({"displayName": ("x" * 300,)}, "displayName"),
        ({"givenName": ("x", "y")}, "givenName"),
        ({"gPLink": ("x",)}, "gPLink"),
        ({"telephoneNumber": ("1" * 80,)}, "telephoneNumber"),
    ],
)
def test_a_value_that_does_not_fit_names_its_attribute(
    connector: ActiveDirectory, attributes: dict[str, tuple[str, ...]], named: str
) -> None:
    """Too long, too many, or none of this class."""
    wanted = replace(account("a"), attributes=attributes)
    became = outcome(connector, Kind.CREATE, after=wanted)
    assert became.result is Result.FAILED
    assert became.failure is Failure.INVALID
    assert became.why.endswith(f": {named}")


def test_a_missing_parent_is_told_as_the_container(connector: ActiveDirectory) -> None:
    """With a create and with a move."""
    created = outcome(connector, Kind.CREATE, after=connector.canonical(account("a", container="ou=nowhere")))
    native_id, told = made(connector, account("a"))
    to = replace(place(told), container="ou=nowhere")
    moved = outcome(connector, Kind.MOVE, native_id=native_id, before=place(told), after=to)
    assert [one.failure for one in (created, moved)] == [Failure.NO_CONTAINER] * 2


# --- rights -------------------------------------------------------------------------------------------------------------


def test_a_missing_right_is_named(connector: ActiveDirectory, domain: Domain, room: str) -> None:
    """Of several attributes only the one that may not be written; of a move the side that says no."""
    native_id, told = made(connector, account("a", givenName="A", title="t"))
    known = {"native_id": native_id, "before": place(told)}
    with domain.denied_below(f"OU=Staff,{room}", "CC"):
        to = replace(place(told), container="ou=staff")
        moved = outcome(connector, Kind.MOVE, **known, after=to)
        container = outcome(connector, Kind.CREATE_CONTAINER, group="ou=x,ou=staff")
        group = outcome(connector, Kind.CREATE_GROUP, group="cn=x,ou=staff")
        created = outcome(connector, Kind.CREATE, after=connector.canonical(account("b", container="ou=staff")))
    with domain.denied_below(f"OU=Students,{room}", "SD"):
        from_here = outcome(connector, Kind.MOVE, **known, after=to)
        deleted = outcome(connector, Kind.DELETE, **known)
    with domain.denied_below(f"OU=Students,{room}", "CR"):
        enabled = outcome(connector, Kind.ENABLE, PASSWORD, **known, after=replace(place(told), enabled=True))
    with domain.denied_below(f"OU=Students,{room}", "WP"):
        renamed = outcome(connector, Kind.MOVE, **known, after=replace(place(told), rdn="b"))
        switched = outcome(connector, Kind.ENABLE, **known, after=replace(place(told), enabled=True))
    before, after = place(told, givenName=("A",), title=("t",)), place(told, givenName=("B",), title=("u",))
    updated = outcome(connector, Kind.UPDATE, native_id=native_id, before=before, after=after)
    group_dn = f"CN=g,OU=Groups,{room}"
    domain.does(domain.admin.add(group_dn, "group", {"sAMAccountName": fresh()}))
    with domain.denied_below(group_dn, "WP"):
        joined = outcome(connector, Kind.ADD_MEMBER, **known, group="cn=g,ou=groups")
    expected = {
        f"create user in ou=staff,{room}": [moved, created],
        f"create organizationalUnit in ou=staff,{room}": [container],
        f"create group in ou=staff,{room}": [group],
        f"delete user in ou=students,{room}": [from_here, deleted],
        "Reset Password of user": [enabled],
        "write cn, name of user": [renamed],
        "write userAccountControl of user": [switched],
        "write title of user": [updated],
        f"write member of cn=g,ou=groups,{room}": [joined],
    }
    for right, outcomes in expected.items():
        for one in outcomes:
            assert (one.result, one.failure) == (Result.FAILED, Failure.REFUSED)
            assert one.why.lower().endswith(f"; the right that is missing: {right}".lower())


# --- signing in ---------------------------------------------------------------------------------------------------------


def test_a_password_in_clear_is_refused_by_the_server_too(domain: Domain) -> None:
    """None is ever sent; what a domain controller says to who does is told with the remedy."""
    connection = Connection(Server(domain.server.address, port=389, get_info=NONE), SERVICE, domain.server.password())
    assert not connection.bind()
    error = refusal("ad", "bind", connection.result["result"], connection.result["message"])
    connection.unbind()
    assert "stronger authentication required (8)" in str(error)
    assert "ldaps:// in urls, or start_tls: true" in str(error)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"userAccountControl": "514"}, "the account is disabled: enable it"),
        ({"accountExpires": "130000000000000000"}, "the account has expired: set accountExpires to never"),
        ({"pwdLastSet": "0"}, "it must change its password first"),
        ({}, "the password is wrong: correct the credential"),
    ],
)
def test_a_refused_sign_in_says_what_to_do(domain: Domain, told: dict[str, str], said: str) -> None:
    """By the number that stands behind `data`. A lock-out is seen in the tests of passwords."""
    name = fresh()
    given = {"sAMAccountName": name, "userAccountControl": "512", "unicodePwd": quoted(PASSWORD), **told}
    domain.does(domain.admin.add(f"CN={name},CN=Users,{SUFFIX}", "user", given))
    why = domain.sign_in(f"{name}@{DOMAIN}", PASSWORD if told else "Another-Word-7")
    assert said in str(refusal("ad", "bind", 49, why))
