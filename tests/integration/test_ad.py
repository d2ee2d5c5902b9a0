"""What Active Directory alone can do, or do wrong, on a real domain controller; syncd is bound as an ordinary account."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from ldap3 import MODIFY_ADD, MODIFY_REPLACE

from syncd.core.model import Account, Change, Failure, Kind, NativeId, Outcome, PersonId, Result, TargetName
from syncd.demo.samba import DOMAIN, SERVICE, SUFFIX, PrivateSamba, free_address
from syncd.errors import ChangeError, EndpointError
from syncd.targets import ByAttribute, ById, Scope, Target
from syncd.targets.ldap_ad import ActiveDirectory
from syncd.vault import Credentials
from tests.conftest import NIGHTLY
from tests.contract.target_contract import no_password, place
from tests.integration.samba import Domain
from tests.wire import MaxValRange

SCOPE = Scope(frozenset({"sAMAccountName", "userPrincipalName", "givenName", "mail", "manager", "pwdLastSet"}))
PASSWORD = "Correct-Horse-9"
MEMBERS, TOLD = (5000, 1500) if NIGHTLY else (200, 75)
"""Members of a large group, and how many of them a server tells in one answer: Microsoft's limit, or a twentieth of it."""

Connect = Callable[..., ActiveDirectory]


def change(kind: Kind, **told: object) -> Change:
    """A change of the target `t`."""
    return Change(TargetName("t"), kind, "test", person=PersonId("p1"), **told)  # type: ignore[arg-type]  # spelled out by the callers


def account(rdn: str, *, enabled: bool = True, container: str = "ou=students", **attributes: str) -> Account:
    """An account as a mapping would desire it."""
    return Account(rdn, container, enabled, {name: (value,) for name, value in attributes.items()})


@pytest.fixture
def connect(domain: Domain, room: str) -> Iterator[Connect]:
    """Makes connectors for this test's part of the domain."""
    made: list[ActiveDirectory] = []

    def connected(**changed: object) -> ActiveDirectory:
        made.append(
            ActiveDirectory("t", domain.config(str(changed.pop("base", room)), **changed), Credentials(domain.server.folder))
        )
        return made[-1]

    yield connected
    for each in made:
        each.close()


@pytest.fixture
def connector(connect: Connect) -> ActiveDirectory:
    """The connector with its usual configuration."""
    return connect()


def one(connector: ActiveDirectory, what: Change, password: str | None = None) -> Outcome:
    """The outcome of one change."""
    (outcome,) = connector.apply([what], lambda _: password)
    return outcome


def made(connector: ActiveDirectory, wanted: Account, password: str | None = None) -> tuple[NativeId, Account]:
    """The account, created."""
    told = connector.canonical(wanted)
    outcome = one(connector, change(Kind.CREATE, after=told), password)
    assert (outcome.result, outcome.why) == (Result.DONE, "")
    assert outcome.native_id
    return outcome.native_id, told


def switched(kind: Kind, native_id: NativeId, told: Account) -> Change:
    """An enable or a disable."""
    return change(kind, native_id=native_id, before=place(told), after=replace(place(told), enabled=kind is Kind.ENABLE))


def fresh() -> str:
    """A name nobody has in the whole domain."""
    return f"u{secrets.token_hex(6)}"


# --- accounts ---------------------------------------------------------------------------------------------------------


def test_an_account_is_made_with_its_password_in_one_step(connector: ActiveDirectory, domain: Domain) -> None:
    """It signs in at once, with the password it was made with and no other."""
    name = fresh()
    made(connector, account("a", sAMAccountName=name, userPrincipalName=f"{name}@{DOMAIN}"), PASSWORD)
    assert domain.sign_in(f"{name}@{DOMAIN}", PASSWORD) == ""
    assert "data 52e" in domain.sign_in(f"{name}@{DOMAIN}", "Another-Word-9")


def test_an_account_made_disabled_lets_nobody_in_until_it_is_enabled(connector: ActiveDirectory, domain: Domain) -> None:
    """The password is set already; the bit decides."""
    name = fresh()
    native_id, told = made(connector, account("a", enabled=False, sAMAccountName=name), PASSWORD)
    assert "data 533" in domain.sign_in(f"{name}@{DOMAIN}", PASSWORD)
    assert one(connector, switched(Kind.ENABLE, native_id, replace(told, enabled=False))).result is Result.DONE
    assert domain.sign_in(f"{name}@{DOMAIN}", PASSWORD) == ""


def test_an_enabled_account_without_a_password_gets_one_that_nobody_knows(
    connector: ActiveDirectory, domain: Domain, room: str
) -> None:
    """Samba would enable it without any; whoever came first would be in."""
    made(connector, account("a"))
    entry = domain.entry(f"CN=a,OU=Students,{room}", "pwdLastSet", "userAccountControl")
    assert entry["userAccountControl"] == [b"512"]
    assert entry["pwdLastSet"] != [b"0"]


def test_enabling_and_disabling_leave_the_other_bits_alone(connector: ActiveDirectory, domain: Domain, room: str) -> None:
    """Somebody said that this password does not expire: it still does not."""
    native_id, told = made(connector, account("a"), PASSWORD)
    dn = f"CN=a,OU=Students,{room}"
    domain.does(domain.admin.modify(dn, {"userAccountControl": [(MODIFY_REPLACE, [str(0x10200)])]}))
    seen = []
    for kind in (Kind.DISABLE, Kind.ENABLE):
        assert one(connector, switched(kind, native_id, replace(told, enabled=kind is Kind.DISABLE))).result is Result.DONE
        seen.append(int(domain.entry(dn, "userAccountControl")["userAccountControl"][0]))
    assert seen == [0x10202, 0x10200]


def test_a_returner_gets_the_new_password_with_the_enabling(connector: ActiveDirectory, domain: Domain) -> None:
    """Nobody is let in with the password of long ago, not even in the hour in which a domain still takes the last one."""
    name = fresh()
    native_id, told = made(connector, account("a", enabled=False, sAMAccountName=name), PASSWORD)
    assert one(connector, switched(Kind.ENABLE, native_id, replace(told, enabled=False)), "Brand-New-Word-7").result is Result.DONE
    assert domain.sign_in(f"{name}@{DOMAIN}", "Brand-New-Word-7") == ""
    assert "data 52e" in domain.sign_in(f"{name}@{DOMAIN}", PASSWORD)


def test_who_must_change_the_password_is_asked_to(connector: ActiveDirectory, domain: Domain) -> None:
    """`pwdLastSet: 0` in the mapping."""
    name = fresh()
    made(connector, account("a", sAMAccountName=name, pwdLastSet="0"), PASSWORD)
    assert "data 773" in domain.sign_in(f"{name}@{DOMAIN}", PASSWORD)


@pytest.mark.parametrize(("word", "why"), [("Ab-1", "too short"), ("alllowercaseletters", "complexity|complex enough")])
def test_a_password_the_policy_refuses_says_which_rule(connector: ActiveDirectory, word: str, why: str) -> None:
    """The account is not made, and the operator reads why."""
    outcome = one(connector, change(Kind.CREATE, after=connector.canonical(account("a"))), word)
    assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.REFUSED)
    assert "0000052D" in outcome.why
    assert any(said in outcome.why for said in why.split("|"))
    assert PASSWORD not in outcome.why
    assert list(connector.read(SCOPE)) == []


@pytest.mark.parametrize("attribute", ["sAMAccountName", "userPrincipalName"])
def test_a_sign_in_name_in_use_elsewhere_is_name_taken(connector: ActiveDirectory, attribute: str) -> None:
    """The place is free, the domain is not; Samba says so under two different codes."""
    name = fresh() if attribute == "sAMAccountName" else f"{fresh()}@{DOMAIN}"
    made(connector, account("a", enabled=False, **{attribute: name}))
    second = connector.canonical(account("b", enabled=False, container="ou=staff", **{attribute: name}))
    outcome = one(connector, change(Kind.CREATE, after=second))
    assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.NAME_TAKEN)


@pytest.mark.parametrize("name", ["a" * 21, "with,comma", "dot.", "a@b\t", "semi;colon", "back\\slash"])
def test_a_sam_account_name_that_cannot_be_quarantines_one_person(connector: ActiveDirectory, name: str) -> None:
    """Samba takes one that is too long, Microsoft takes none of them: it is refused before it is sent, by name."""
    with pytest.raises(ChangeError, match="sAMAccountName"):
        connector.canonical(account("a", sAMAccountName=name))


def test_what_the_domain_or_syncd_writes_is_not_a_mappings(connector: ActiveDirectory) -> None:
    """A mapping that sets userAccountControl as a whole would undo bits that others set."""
    with pytest.raises(ChangeError, match="userAccountControl"):
        connector.canonical(account("a", userAccountControl="512"))


def test_an_account_moved_and_renamed_by_hand_is_followed(connector: ActiveDirectory, domain: Domain, room: str) -> None:
    """Its objectGUID is who it is, even outside the base (R8)."""
    native_id, _ = made(connector, account("a", enabled=False))
    domain.does(domain.admin.modify_dn(f"CN=a,OU=Students,{room}", "CN=b", new_superior=f"OU=Staff,{room}"))
    ((_, inside),) = connector.lookup([ById(native_id)], SCOPE)
    domain.does(domain.admin.modify_dn(f"CN=b,OU=Staff,{room}", "CN=b", new_superior=f"CN=Users,{SUFFIX}"))
    ((_, outside),) = connector.lookup([ById(native_id)], SCOPE)
    domain.does(domain.admin.delete(f"CN=b,CN=Users,{SUFFIX}"))
    assert (inside.account.rdn, inside.account.container) == ("b", "ou=staff")
    assert outside.account.container == "cn=users,dc=district,dc=test"


def test_a_write_names_the_account_by_its_id(connector: ActiveDirectory, domain: Domain, room: str) -> None:
    """R18: one who took the place of another in the moment between is not written. The moment is made here by hand."""
    native_id, told = made(connector, account("a", enabled=False, givenName="Old"))
    lookup = connector.lookup
    dn = f"CN=a,OU=Students,{room}"

    def replaced(*asked: object) -> Iterator[object]:
        found = list(lookup(*asked))  # type: ignore[arg-type]  # passed through
        domain.does(domain.admin.delete(dn))
        domain.does(domain.admin.add(dn, "user", {"givenName": "Old"}))
        return iter(found)

    connector.lookup = replaced  # type: ignore[method-assign,assignment]  # a moment in time, not a fake: it asks and answers as ever
    after = place(told, givenName=("New",))
    outcome = one(connector, change(Kind.UPDATE, native_id=native_id, before=place(told, givenName=("Old",)), after=after))
    assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.NO_SUCH_OBJECT)
    assert domain.entry(dn, "givenName")["givenName"] == [b"Old"]


def test_a_value_written_in_the_moment_between_is_not_overwritten(connector: ActiveDirectory, domain: Domain, room: str) -> None:
    """R18: the old value is taken out by name, so that the server refuses when it is another one by now."""
    native_id, told = made(connector, account("a", enabled=False, givenName="Old"))
    lookup = connector.lookup
    dn = f"CN=a,OU=Students,{room}"

    def overtaken(*asked: object) -> Iterator[object]:
        found = list(lookup(*asked))  # type: ignore[arg-type]  # passed through
        domain.does(domain.admin.modify(dn, {"givenName": [(MODIFY_REPLACE, ["Theirs"])]}))
        return iter(found)

    connector.lookup = overtaken  # type: ignore[method-assign,assignment]  # a moment in time, not a fake: it asks and answers as ever
    after = place(told, givenName=("Ours",))
    outcome = one(connector, change(Kind.UPDATE, native_id=native_id, before=place(told, givenName=("Old",)), after=after))
    assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.STALE)
    assert domain.entry(dn, "givenName")["givenName"] == [b"Theirs"]


def test_start_tls_with_small_pages_and_one_write_at_a_time(connect: Connect, domain: Domain) -> None:
    """Nothing depends on the port or the sizes."""
    connector = connect(urls=(domain.server.url,), start_tls=True, page_size=2, window=1)
    ids = {made(connector, account(f"m{number}", enabled=False))[0] for number in range(5)}
    assert {observed.native_id for observed in connector.read(SCOPE)} == ids


@pytest.mark.parametrize(
    "photo", [b"\xff\xd8\xff\xe0\x00\x10JFIF", b"nothing but text", "tëxt".encode()], ids=["jpeg", "ascii", "utf-8"]
)
def test_bytes_are_written_and_read_as_bytes(connector: ActiveDirectory, domain: Domain, room: str, photo: bytes) -> None:
    """A photo goes there and comes back in Base64, whatever its bytes happen to spell; so do its replacement and the ids."""
    scope = Scope(frozenset({"thumbnailPhoto", "objectGUID", "objectSid"}))
    native_id, told = made(connector, account("a", enabled=False, thumbnailPhoto=base64.b64encode(photo).decode()))
    dn = f"CN=a,OU=Students,{room}"
    assert domain.entry(dn, "thumbnailPhoto")["thumbnailPhoto"] == [photo]
    (read,) = connector.read(scope)
    assert read.account.attributes["thumbnailPhoto"] == told.attributes["thumbnailPhoto"]
    assert read.account.attributes["objectGUID"] == (native_id,)
    other = base64.b64encode(photo[::-1]).decode()
    before, after = (place(told, thumbnailPhoto=(text,)) for text in (*told.attributes["thumbnailPhoto"], other))
    assert one(connector, change(Kind.UPDATE, native_id=native_id, before=before, after=after)).result is Result.DONE
    assert domain.entry(dn, "thumbnailPhoto")["thumbnailPhoto"] == [photo[::-1]]
    (sid,) = read.account.attributes["objectSid"]
    questions = [ByAttribute("objectSid", sid), ByAttribute("objectGUID", native_id), ByAttribute("objectSid", "none")]
    assert [question for question, _ in connector.lookup(questions, scope)] == questions[:2]


# --- who must never be touched (R40) --------------------------------------------------------------------------------------


def test_an_administrator_by_a_group_within_a_group_is_privileged_and_never_written(
    connector: ActiveDirectory, domain: Domain, room: str
) -> None:
    """Samba sets no adminCount, and Microsoft within the hour: the groups themselves are followed."""
    native_id, told = made(connector, account("boss", enabled=False))
    group = f"CN=inner,OU=Groups,{room}"
    domain.does(domain.admin.add(group, "group", {"sAMAccountName": fresh()}))
    domain.does(domain.admin.modify(group, {"member": [(MODIFY_ADD, [f"CN=boss,OU=Students,{room}"])]}))
    domain.does(domain.admin.modify(f"CN=Domain Admins,CN=Users,{SUFFIX}", {"member": [(MODIFY_ADD, [group])]}))
    (seen,) = connector.read(SCOPE)
    assert seen.privileged
    switch = switched(Kind.DISABLE, native_id, told)
    assert "R40" in connector.refuses(switch)
    joined = change(Kind.ADD_MEMBER, native_id=native_id, before=place(told), group="cn=inner,ou=groups")
    assert "R40" in connector.refuses(joined)
    domain.does(domain.admin.delete(group))
    assert not next(connector.read(SCOPE)).privileged
    assert connector.refuses(switch) == ""  # a daemon's connector lives for weeks


def test_an_account_that_is_protected_by_now_is_not_written(connector: ActiveDirectory, domain: Domain, room: str) -> None:
    """It was nobody special when it was planned; adminCount is looked at a moment before the write."""
    native_id, told = made(connector, account("a", enabled=False))
    domain.does(domain.admin.modify(f"CN=a,OU=Students,{room}", {"adminCount": [(MODIFY_REPLACE, ["1"])]}))
    outcome = one(connector, switched(Kind.ENABLE, native_id, replace(told, enabled=False)))
    assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.OUT_OF_SCOPE)


def test_the_domains_own_accounts_are_privileged(connect: Connect) -> None:
    """Administrator, krbtgt, and the account syncd binds as, wherever the base is."""
    connector = connect(base=f"CN=Users,{SUFFIX}")
    told = {observed.account.attributes["sAMAccountName"][0]: observed.privileged for observed in connector.read(SCOPE)}
    assert {name for name, privileged in told.items() if privileged} >= {"Administrator", "krbtgt", SERVICE.partition("@")[0]}


# --- groups -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "kind", "flags"),
    [("global", "security", -2147483646), ("domain_local", "security", -2147483644), ("universal", "distribution", 8)],
)
def test_a_group_is_made_with_the_configured_scope_and_type(
    connect: Connect, domain: Domain, room: str, scope: str, kind: str, flags: int
) -> None:
    """[MS-ADTS] 2.2.12."""
    connector = connect(group_scope=scope, group_type=kind)
    name = fresh()
    assert one(connector, change(Kind.CREATE_GROUP, group=f"cn={name},ou=groups")).result is Result.DONE
    entry = domain.entry(f"CN={name},OU=Groups,{room}", "groupType", "sAMAccountName")
    assert entry == {"groupType": [str(flags).encode()], "sAMAccountName": [name.encode()]}


def test_a_group_whose_sign_in_name_is_somebody_elses_is_not_taken_for_made(connector: ActiveDirectory) -> None:
    """Samba and Microsoft answer as if the group were there already; it is not."""
    name = fresh()
    made(connector, account("a", enabled=False, sAMAccountName=name))
    outcome = one(connector, change(Kind.CREATE_GROUP, group=f"cn={name},ou=groups"))
    assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.NAME_TAKEN)


def test_members_of_others_are_left_alone(connector: ActiveDirectory, domain: Domain, room: str) -> None:
    """A member from outside the base is not told, and not lost when ours come and go."""
    group = f"CN=g,OU=Groups,{room}"
    domain.does(domain.admin.add(group, "group", {"sAMAccountName": fresh()}))
    domain.does(domain.admin.modify(group, {"member": [(MODIFY_ADD, [f"CN=Guest,CN=Users,{SUFFIX}"])]}))
    native_id, told = made(connector, account("a", enabled=False))
    for kind, expected in ((Kind.ADD_MEMBER, {native_id}), (Kind.REMOVE_MEMBER, set())):
        outcome = one(connector, change(kind, native_id=native_id, before=place(told), group="cn=g,ou=groups"))
        assert outcome.result is Result.DONE
        (read,) = connector.read_groups(["cn=g,ou=groups"])
        assert read.members == expected
    assert domain.entry(group, "member")["member"] == [f"CN=Guest,CN=Users,{SUFFIX}".encode()]


def test_groups_and_people_of_other_domains_in_a_group_are_left_alone(
    connector: ActiveDirectory, domain: Domain, room: str
) -> None:
    """A group within the group, and somebody of a trusted domain, who stands there by a foreignSecurityPrincipal."""
    group, inner = f"CN=g,OU=Groups,{room}", f"CN=inner,OU=Groups,{room}"
    for dn in (group, inner):
        domain.does(domain.admin.add(dn, "group", {"sAMAccountName": fresh()}))
    within, _ = made(connector, account("within", enabled=False))
    domain.does(domain.admin.modify(inner, {"member": [(MODIFY_ADD, [f"CN=within,OU=Students,{room}"])]}))
    foreign = f"S-1-5-21-1-2-3-{secrets.randbelow(10**6) + 1000}"
    domain.does(domain.admin.modify(group, {"member": [(MODIFY_ADD, [inner, f"<SID={foreign}>"])]}))
    before = sorted(domain.entry(group, "member")["member"])
    assert [foreign.encode() in name for name in before].count(True) == 1
    native_id, told = made(connector, account("a", enabled=False))
    for kind, expected in ((Kind.ADD_MEMBER, {native_id}), (Kind.REMOVE_MEMBER, set())):
        outcome = one(connector, change(kind, native_id=native_id, before=place(told), group="cn=g,ou=groups"))
        assert outcome.result is Result.DONE
        (read,) = connector.read_groups(["cn=g,ou=groups"])
        assert read.members == expected
    assert sorted(domain.entry(group, "member")["member"]) == before
    assert within


def test_a_primary_group_counts_as_membership_and_is_left_alone(connector: ActiveDirectory, domain: Domain, room: str) -> None:
    """It stands on the account and not in the group: joining is already so, leaving changes nothing."""
    native_id, told = made(connector, account("a", enabled=False))
    group, dn = f"CN=g,OU=Groups,{room}", f"CN=a,OU=Students,{room}"
    domain.does(domain.admin.add(group, "group", {"sAMAccountName": fresh()}))
    domain.does(domain.admin.modify(group, {"member": [(MODIFY_ADD, [dn])]}))
    token = domain.entry(group, "primaryGroupToken")["primaryGroupToken"][0].decode()
    domain.does(domain.admin.modify(dn, {"primaryGroupID": [(MODIFY_REPLACE, [token])]}))
    assert "member" not in {name for name, values in domain.entry(group, "member").items() if values}
    (read,) = connector.read_groups(["cn=g,ou=groups"])
    assert read.members == {native_id}
    for kind in (Kind.ADD_MEMBER, Kind.REMOVE_MEMBER):
        outcome = one(connector, change(kind, native_id=native_id, before=place(told), group="cn=g,ou=groups"))
        assert (outcome.result, outcome.why) == (Result.ALREADY, "")
    assert domain.entry(dn, "primaryGroupID")["primaryGroupID"] == [token.encode()]


def test_one_member_that_is_gone_does_not_lose_the_others(connector: ActiveDirectory, domain: Domain, room: str) -> None:
    """R19: the server refuses the whole batch for one that does not exist; the batch is taken apart until it stands alone."""
    group = f"cn={fresh()},ou=groups"
    people = [made(connector, account(f"m{number}", enabled=False)) for number in range(5)]
    assert one(connector, change(Kind.CREATE_GROUP, group=group)).result is Result.DONE
    joins = [change(Kind.ADD_MEMBER, native_id=native_id, before=place(told), group=group) for native_id, told in people]
    now = connector._now

    def and_one_goes(*asked: object) -> object:
        found = now(*asked)  # type: ignore[arg-type]  # passed through
        domain.admin.delete(f"CN=m2,OU=Students,{room}")
        return found

    connector._now = and_one_goes  # type: ignore[method-assign,assignment]  # the moment between, by hand
    outcomes = {outcome.change.native_id: outcome for outcome in connector.apply(joins, no_password)}
    results = [outcomes[native_id].result for native_id, _ in people]
    assert results == [Result.DONE, Result.DONE, Result.FAILED, Result.DONE, Result.DONE]
    assert outcomes[people[2][0]].failure is Failure.NO_SUCH_OBJECT


@pytest.fixture
def parts_told(domain: Domain, tmp_path: Path) -> Iterator[MaxValRange]:
    """A wire to the domain that tells a part of a group's members at a time."""
    with MaxValRange(domain.server.address, domain.server.ca_file, tmp_path / "wire", most=TOLD) as wire:
        yield wire


@pytest.mark.parametrize("in_parts", [False, True])
def test_a_large_group_is_filled_changed_and_read_back_exactly(
    connect: Connect, domain: Domain, room: str, parts_told: MaxValRange, in_parts: bool
) -> None:
    """First fill, one joiner, one leaver, in batches and by difference; from Samba, and through a server that tells parts."""
    connector = connect(**({"urls": (parts_told.url,), "ca_file": str(parts_told.ca_file)} if in_parts else {}))
    group = f"cn={fresh()},ou=groups"
    ids = fill(domain, f"OU=Students,{room}", MEMBERS)
    assert one(connector, change(Kind.CREATE_GROUP, group=group)).result is Result.DONE

    def edge(kind: Kind, number: int) -> Change:
        return change(kind, native_id=ids[number], before=account(f"m{number}", enabled=False), group=group)

    first = list(connector.apply([edge(Kind.ADD_MEMBER, number) for number in range(MEMBERS - 1)], no_password))
    assert {outcome.result for outcome in first} == {Result.DONE}
    (filled,) = connector.read_groups([group])
    assert filled.members == set(ids[:-1])
    parts_told.narrowed = 0
    steps = [edge(Kind.ADD_MEMBER, MEMBERS - 1), edge(Kind.REMOVE_MEMBER, 0), edge(Kind.ADD_MEMBER, 1), edge(Kind.REMOVE_MEMBER, 0)]
    assert [outcome.result for outcome in connector.apply(steps[:2], no_password)] == [Result.DONE] * 2
    assert [one(connector, step).result for step in steps[2:]] == [Result.ALREADY] * 2
    (read,) = connector.read_groups([group])
    assert read.members == set(ids[1:])
    assert len(domain.entry(f"{group},{room}", "member")["member"]) == MEMBERS - 1
    assert parts_told.narrowed >= (3 * -(-(MEMBERS - 1) // TOLD) if in_parts else 0)


def fill(domain: Domain, container: str, count: int) -> list[NativeId]:
    """So many disabled accounts m0, m1 …, made by the administrator; their ids in this order."""
    wire_free = ActiveDirectory("t", domain.config(container.partition(",")[2]), Credentials(domain.server.folder))
    wanted = [wire_free.canonical(account(f"m{number}", enabled=False)) for number in range(count)]
    outcomes = wire_free.apply([change(Kind.CREATE, after=told) for told in wanted], no_password)
    found = {outcome.change.after.rdn: outcome.native_id for outcome in outcomes if outcome.change.after}
    wire_free.close()
    return [found[f"m{number}"] or NativeId("") for number in range(count)]


# --- containers -------------------------------------------------------------------------------------------------------


def test_a_base_that_does_not_exist_is_an_error(connect: Connect, room: str) -> None:
    """Not read is not gone."""
    with pytest.raises(EndpointError, match="base"):
        list(connect(base=f"OU=Nowhere,{room}").read(SCOPE))


def test_a_container_is_one_in_either_spelling(connector: ActiveDirectory) -> None:
    r"""Names are compared parsed: `\;` and `\3B` are the same, and Samba tells the second where the first was written."""
    written, told = "ou=north\\; old,ou=students", "OU=north\\3B old,OU=Students"
    first, second = (one(connector, change(Kind.CREATE_CONTAINER, group=name)) for name in (written, told))
    assert (first.result, second.result) == (Result.DONE, Result.ALREADY)
    assert connector.missing_containers({written, told, "ou=south,ou=students"}) == {"ou=south,ou=students"}
    native_id, wanted = made(connector, account("a", enabled=False, container=told))
    ((_, seen),) = connector.lookup([ById(native_id)], SCOPE)
    assert seen.account.container == wanted.container == connector.canonical_group(written)


def test_a_domain_with_parts_on_other_servers_is_read_all_the_same(connect: Connect) -> None:
    """Every domain refers to its DNS zones and its configuration; nobody stands there, and the references are not chased."""
    made(connect(), account("findme", enabled=False))
    assert "findme" in {observed.account.rdn for observed in connect(base=SUFFIX).read(SCOPE)}


def test_so_are_the_members_of_its_groups(connect: Connect, domain: Domain, room: str) -> None:
    """Also by a connector that has read nobody yet, as in a run that resumes after a kill."""
    native_id, _ = made(connect(), account("member", enabled=False))
    name = f"cn=joined,ou=groups,{room.removesuffix(f',{SUFFIX}').lower()}"
    domain.does(domain.admin.add(f"CN=joined,OU=Groups,{room}", "group", {"member": [f"CN=member,OU=Students,{room}"]}))
    (group,) = connect(base=SUFFIX).read_groups([name])
    assert group.members == {native_id}


# --- what may not be read, and who does not answer ----------------------------------------------------------------------


def test_a_read_right_that_was_lost_is_an_error(connector: ActiveDirectory, domain: Domain, room: str) -> None:
    """The server says "success" and shows nobody: that is no empty container. Taken away on the running server, and given back."""
    for container in ("ou=students", "ou=staff"):
        made(connector, account("a", enabled=False, container=container))
    before = {observed.native_id for observed in connector.read(SCOPE)}
    with domain.denied(f"OU=Students,{room}", "LC"), pytest.raises(EndpointError, match="ou=students shows none"):
        list(connector.read(SCOPE))
    assert {observed.native_id for observed in connector.read(SCOPE)} == before


def test_accounts_that_moved_away_are_no_lost_right(connector: ActiveDirectory) -> None:
    """A container may empty itself: whoever stood there is found elsewhere."""
    native_id, told = made(connector, account("a", enabled=False))
    list(connector.read(SCOPE))
    after = replace(place(told), container="ou=staff")
    assert one(connector, change(Kind.MOVE, native_id=native_id, before=place(told), after=after)).result is Result.DONE
    assert [observed.account.container for observed in connector.read(SCOPE)] == ["ou=staff"]


def test_accounts_that_syncd_deleted_are_no_lost_right(connector: ActiveDirectory) -> None:
    """What is gone by our own hand is not missed."""
    native_id, told = made(connector, account("a", enabled=False))
    list(connector.read(SCOPE))
    assert one(connector, change(Kind.DELETE, native_id=native_id, before=told)).result is Result.DONE
    assert list(connector.read(SCOPE)) == []


def test_a_controller_that_goes_away_ends_the_run_and_the_next_begins_with_another(samba_cache: Path, tmp_path: Path) -> None:
    """One controller per run; the other is the same directory started again at the second address that is configured."""
    addresses = free_address(), free_address()
    with PrivateSamba(tmp_path / "dc", samba_cache, addresses[0], also=addresses[1:]) as server:
        own = Domain(server)
        own.open_rooms()
        config = own.config(own.room(), urls=tuple(f"ldaps://{address}" for address in addresses))
        with closing(Target("t", ActiveDirectory("t", config, Credentials(server.folder)), patience=0.1)) as target:
            told = target.canonical(account("a", enabled=False))
            (first,) = target.apply([change(Kind.CREATE, after=told)], no_password)
            assert first.native_id
            own.close()
            server.kill()
            server.address = addresses[1]
            server.start()
            enable = switched(Kind.ENABLE, first.native_id, told)
            with pytest.raises(EndpointError, match=f"{addresses[0]}.*went away.*next run begins with another"):
                list(target.apply([enable], no_password))
            assert [observed.native_id for observed in target.read(SCOPE)] == [first.native_id]
            assert [outcome.result for outcome in target.apply([enable], no_password)] == [Result.DONE]
