"""The rights of an ordinary account in a real domain: what `syncd ad-delegation` prints is enough, `check` misses the rest.

All other tests of Active Directory run as an account that has just what the verb prints for their mapping, too. Here the mapping is
small, and what it does not ask for is tried.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from ldap3 import MODIFY_ADD, MODIFY_REPLACE

from syncd.cli import main
from syncd.cli.delegating import needs_of
from syncd.cli.exits import Exit
from syncd.core.model import Account, Change, Failure, Kind, NativeId, Outcome, PersonId, Result, TargetName
from syncd.demo.samba import SUFFIX
from syncd.settings import load
from syncd.targets import Scope
from syncd.targets import ldap_ad_rights as rights
from syncd.targets.ldap_ad import ActiveDirectory
from syncd.targets.ldap_ad_changes import Bookmark
from syncd.targets.ldap_ad_descriptor import EVERYONE, May, may, rules
from syncd.targets.ldap_ad_passwords import Passwords
from syncd.targets.ldap_wire import Wire
from syncd.vault import Credentials
from tests.contract.target_contract import place
from tests.integration.samba import Domain

MAPPING = """
target: ad
accounts:
  people:
    container: "ou={{ grade }},ou=Students"
    rdn: "{{ student_number }}"
    attributes:
      givenName: given
      employeeNumber: student_number
      title: { value: "'new'", policy: initial }
    groups: [{ name: "cn=All,ou=Groups", create: true }]
    password: {}
"""
PEOPLE = """
populations:
  people: { when: "true" }
lifecycle:
  people: { park: { container: "ou=Disabled" }, delete: { after: 400 days } }
"""
STAYS = MAPPING.replace("ou={{ grade }},ou=Students", "ou=Students").replace(", create: true", "")
STAYING = 'populations:\n  people: { when: "true" }\n'


def settings_of(room: str, who: Mapping[str, str]) -> dict[str, object]:
    """The keys of a target with three containers of the room to write in."""
    return {**who, "base": room, "accounts_in": ["OU=Students", "OU=Disabled"], "groups_in": ["OU=Groups"]}


@pytest.fixture
def who(domain: Domain) -> dict[str, str]:
    """An ordinary account."""
    return domain.ordinary()


def connected(domain: Domain, who: Mapping[str, str]) -> ActiveDirectory:
    """Bound as that account, and configured for the whole domain: what it may not do is the domain's to refuse."""
    return ActiveDirectory("t", domain.config(SUFFIX, **who), Credentials(domain.server.folder))


@pytest.fixture
def connector(domain: Domain, room: str, who: dict[str, str]) -> Iterator[ActiveDirectory]:
    """Bound as an account with what the verb prints for the mapping."""
    domain.delegate(MAPPING, PEOPLE, **settings_of(room, who))
    with closing(connected(domain, who)) as opened:
        yield opened


def outcome(connector: ActiveDirectory, kind: Kind, word: str | None = None, **told: object) -> Outcome:
    """What becomes of one change."""
    change = Change(TargetName("t"), kind, "test", person=PersonId("p1"), **told)  # type: ignore[arg-type]  # spelled out by the callers
    (told_of,) = connector.apply([change], lambda _: word)
    return told_of


def inside(room: str, name: str) -> str:
    """A container of the room, told from the domain."""
    return f"ou={name},{room.removesuffix(',' + SUFFIX)}"


def test_what_the_verb_prints_is_enough(connector: ActiveDirectory, domain: Domain, room: str, who: dict[str, str]) -> None:
    """Everything syncd does to an account in its life, to its password, and to its groups."""
    students, parked, groups = (inside(room, name) for name in ("students", "disabled", "groups"))
    grade = f"ou=grade 7,{students}"
    group = f"cn=all of {room.partition(',')[0].removeprefix('OU=')},{groups}"  # its sAMAccountName is unique in the domain
    done: list[tuple[Kind, Result, str]] = []

    def does(kind: Kind, word: str | None = None, **told: object) -> NativeId | None:
        became = outcome(connector, kind, word, **told)
        done.append((kind, became.result, became.why))
        return became.native_id

    does(Kind.CREATE_CONTAINER, group=grade)
    does(Kind.CREATE_GROUP, group=group)
    told = connector.canonical(
        Account("a", grade, enabled=True, attributes={"givenName": ("A",), "employeeNumber": ("1",), "title": ("new",)})
    )
    native_id = does(Kind.CREATE, "Correct-Horse-9", after=told)
    known = {"native_id": native_id, "before": place(told)}
    does(Kind.UPDATE, native_id=native_id, before=place(told, givenName=("A",)), after=place(told, givenName=("B",)))
    does(Kind.ADD_MEMBER, **known, group=group)
    does(Kind.REMOVE_MEMBER, **known, group=group)
    off = replace(place(told), enabled=False)
    does(Kind.DISABLE, **known, after=off)
    does(Kind.ENABLE, "Another-Word-7", native_id=native_id, before=off, after=place(told))
    does(Kind.DISABLE, **known, after=off)
    with closing(Passwords("t", domain.config(SUFFIX, **who), Credentials(domain.server.folder))) as passwords:
        passwords.set(native_id or NativeId(""), "A-Third-Word-7", must_change=True)
        passwords.unlock(native_id or NativeId(""))
        assert passwords.sign_in(native_id or NativeId("")).must_change
    away = replace(off, container=connector.canonical_group(parked), rdn="b")
    does(Kind.PARK, native_id=native_id, before=off, after=away)
    does(Kind.DELETE, native_id=native_id, before=away)
    assert [told_of for told_of in done if told_of[1] is not Result.DONE] == []
    assert len(done) == 11


def test_what_the_verb_prints_is_enough_to_be_told_what_changed(connector: ActiveDirectory, domain: Domain, room: str) -> None:
    """DirSync is refused to an ordinary account, but for what it may read anyway: that is asked for, over the whole domain."""
    dn = f"CN=altered,OU=Students,{room}"
    domain.does(domain.admin.add(dn, "user", {"givenName": "A"}))
    bookmark = connector.bookmark()
    domain.does(domain.admin.modify(dn, {"givenName": [(MODIFY_REPLACE, ["B"])]}))
    told = connector.changed_since(bookmark, Scope(frozenset({"givenName"})))
    assert not told.whole
    assert [(one.account.rdn, one.account.attributes["givenName"]) for one in told.accounts] == [("altered", ("B",))]
    for each in (bookmark, told.bookmark):
        assert (Bookmark.of(each) or Bookmark("", 0)).cookie, "by number only"


def test_elsewhere_the_domain_refuses_it(connector: ActiveDirectory, domain: Domain, room: str) -> None:
    """Shown by trying: no account beside its containers, no change of one, no member of a group, nothing to an administrator."""
    staff = inside(room, "staff")
    domain.does(domain.admin.add(f"CN=theirs,OU=Staff,{room}", "user", {"givenName": "A"}))
    (theirs,) = [one for one in connector.read(Scope(frozenset({"givenName"}))) if one.account.rdn == "theirs"]
    known = {"native_id": theirs.native_id, "before": place(theirs.account, givenName=("A",))}
    here = replace(place(theirs.account), container=connector.canonical_group(inside(room, "students")))
    tried = [
        outcome(connector, Kind.CREATE, after=connector.canonical(Account("x", staff, enabled=False, attributes={}))),
        outcome(connector, Kind.UPDATE, **known, after=place(theirs.account, givenName=("B",))),
        outcome(connector, Kind.ENABLE, "Another-Word-7", **known, after=replace(place(theirs.account), enabled=True)),
        outcome(connector, Kind.MOVE, **known, after=here),
        outcome(connector, Kind.DELETE, **known),
        outcome(connector, Kind.CREATE_GROUP, group=f"cn=g,{staff}"),
        outcome(connector, Kind.CREATE_CONTAINER, group=f"ou=new,{staff}"),
        outcome(connector, Kind.ADD_MEMBER, **known, group="cn=domain admins,cn=users"),
    ]
    assert [(one.result, one.failure) for one in tried] == [(Result.FAILED, Failure.REFUSED)] * len(tried)


def test_what_the_mapping_does_not_do_is_not_granted(domain: Domain, room: str, who: dict[str, str]) -> None:
    """Inside its own containers too: other attributes, and for accounts that stay where they are neither moves nor deletes."""
    domain.delegate(STAYS, STAYING, **settings_of(room, who), create_containers=False)
    students, parked, groups = (inside(room, name) for name in ("students", "disabled", "groups"))
    with closing(connected(domain, who)) as connector:
        told = connector.canonical(Account("a", students, enabled=False, attributes={"givenName": ("A",), "title": ("new",)}))
        made = outcome(connector, Kind.CREATE, after=told)
        assert made.result is Result.DONE, made.why
        known = {"native_id": made.native_id}
        away = replace(place(told), container=connector.canonical_group(parked))
        tried = [
            outcome(connector, Kind.UPDATE, **known, before=place(told, title=("new",)), after=place(told, title=("B",))),
            outcome(connector, Kind.UPDATE, **known, before=place(told), after=place(told, description=("B",))),
            outcome(connector, Kind.MOVE, **known, before=place(told), after=away),
            outcome(connector, Kind.DELETE, **known, before=place(told)),
            outcome(connector, Kind.CREATE_CONTAINER, group=f"ou=grade 7,{students}"),
            outcome(connector, Kind.CREATE_GROUP, group=f"cn=g,{groups}"),
        ]
        assert [(one.result, one.failure) for one in tried] == [(Result.FAILED, Failure.REFUSED)] * len(tried)
        renamed = outcome(connector, Kind.MOVE, **known, before=place(told), after=replace(place(told), rdn="b"))
        assert renamed.result is Result.DONE, renamed.why


# --- containers -------------------------------------------------------------------------------------------------------


def deletes(domain: Domain, dn: str) -> bool:
    """Whether the administrator deletes it, who may do everything that is not denied to everybody."""
    return bool(domain.admin.delete(dn))


def test_a_container_that_is_made_cannot_be_deleted_by_mistake(domain: Domain, room: str, who: dict[str, str]) -> None:
    """Not even by an administrator, once the owner of the one above ran the optional line; accounts come and go all the same."""
    commands = domain.delegate(MAPPING, PEOPLE, protect=True, **settings_of(room, who))
    assert len([line for line in commands if "(D;;DC;;;WD)" in line]) == 3
    students = inside(room, "students")
    campus, grade = f"ou=north,{students}", f"ou=7,ou=north,{students}"
    with closing(connected(domain, who)) as connector:
        made = [outcome(connector, Kind.CREATE_CONTAINER, group=name) for name in (campus, grade)]
        assert [(one.result, one.why) for one in made] == [(Result.DONE, "")] * 2
        told = connector.canonical(Account("a", campus, enabled=False, attributes={}))
        native_id = outcome(connector, Kind.CREATE, after=told).native_id
        for name in (grade, campus):
            assert not deletes(domain, f"{name},{SUFFIX}")
            assert "access" in domain.admin.result["message"].lower()
        to = replace(place(told), container=connector.canonical_group(grade))
        moved = outcome(connector, Kind.MOVE, native_id=native_id, before=place(told), after=to)
        gone = outcome(connector, Kind.DELETE, native_id=native_id, before=to)
    assert [(one.result, one.why) for one in (moved, gone)] == [(Result.DONE, "")] * 2


def test_where_the_container_above_is_not_ours_to_protect_that_is_told(domain: Domain, room: str, who: dict[str, str]) -> None:
    """The container is made and used; its own half of the protection stands."""
    domain.delegate(MAPPING, PEOPLE, **settings_of(room, who))
    with closing(connected(domain, who)) as connector:
        made = outcome(connector, Kind.CREATE_CONTAINER, group=f"ou=north,{inside(room, 'students')}")
    assert made.result is Result.DONE
    assert f"ou=students,{room} does not keep it from being deleted".lower() in made.why.lower()
    assert "syncd ad-delegation" in made.why
    listed = rules(domain.rights_on(f"OU=north,OU=Students,{room}"))
    assert (listed[0].allows, listed[0].mask, listed[0].whose) == (False, May.DELETE | May.DELETE_TREE, EVERYONE)


def test_containers_are_left_as_they_are_made_where_told_so(domain: Domain, room: str, who: dict[str, str]) -> None:
    """`protect_containers: false`."""
    domain.delegate(MAPPING, PEOPLE, **settings_of(room, who))
    config = domain.config(SUFFIX, protect_containers=False, **who)
    with closing(ActiveDirectory("t", config, Credentials(domain.server.folder))) as connector:
        made = outcome(connector, Kind.CREATE_CONTAINER, group=f"ou=north,{inside(room, 'students')}")
    assert (made.result, made.why) == (Result.DONE, "")
    assert deletes(domain, f"OU=north,OU=Students,{room}")


# --- what `check` says --------------------------------------------------------------------------------------------------


def lacks(domain: Domain, folder: Path) -> list[str]:
    """What the account lacks for the settings in the folder, as it is found out before the first run."""
    config = load(folder)
    target = config.targets[TargetName("ad")]
    with closing(ActiveDirectory("ad", target.options, Credentials(domain.server.folder))) as connector:  # type: ignore[arg-type]  # of this kind
        return list(connector.lacks(needs_of(config, TargetName("ad"))))


def test_check_says_what_is_missing_until_the_commands_were_run(
    domain: Domain, room: str, who: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By container and in words, with the verb that prints the commands; nothing is missed afterwards."""
    folder = domain.settings(tmp_path, MAPPING, PEOPLE, **settings_of(room, who))
    assert main(["--config", str(folder), "check"]) == Exit.UNAVAILABLE
    said = capsys.readouterr().out
    assert "target ad: the rights are wrong" in said
    assert f"in OU=Students,{room} and below: may not create organizationalUnit; create user; " in said
    assert "write cn, employeeNumber, givenName, lockoutTime, name, pwdLastSet, userAccountControl of user" in said
    assert f"in OU=Groups,{room} and below: may not create organizationalUnit; create group; write member of group" in said
    assert "syncd ad-delegation ad" in said
    assert "title" not in said
    domain.delegate(MAPPING, PEOPLE, **settings_of(room, who))
    main(["--config", str(folder), "check"])  # the roster is not there
    assert "target ad: answers, and gives the rights the mapping needs" in capsys.readouterr().out


def test_a_right_that_was_taken_back_is_missed(domain: Domain, room: str, who: dict[str, str], tmp_path: Path) -> None:
    """A line that denies stands before the ones that allow; one attribute of all."""
    folder = domain.settings(tmp_path, MAPPING, PEOPLE, **settings_of(room, who))
    domain.delegate(MAPPING, PEOPLE, **settings_of(room, who))
    given = "f0f8ff8e-1191-11d0-a060-00aa006c33ed"  # givenName, [MS-ADA1]
    domain.grant(f"OU=Students,{room}", f"(OD;CIIO;WP;{given};;{{sid}})", who["bind_dn"])
    assert lacks(domain, folder) == [f"in OU=Students,{room} and below: may not write givenName of user"]


def test_a_container_that_is_handed_down_nothing_is_named(domain: Domain, room: str, who: dict[str, str], tmp_path: Path) -> None:
    """Somebody cut it off from what stands above; the others are well."""
    domain.does(domain.admin.add(f"OU=Cut off,OU=Students,{room}", "organizationalUnit"))
    folder = domain.settings(tmp_path, MAPPING, PEOPLE, **settings_of(room, who))
    domain.delegate(MAPPING, PEOPLE, **settings_of(room, who))
    assert lacks(domain, folder) == []
    dn = f"OU=Cut off,OU=Students,{room}"
    domain.set_rights(dn, cut_off(domain.rights_on(dn)))
    (told,) = lacks(domain, folder)
    assert told.startswith(f"in {dn}, which is not handed down what stands above: may not create organizationalUnit; create user;")


def cut_off(descriptor: bytes) -> bytes:
    """The list of rights without what was handed down, and closed to more of it: SE_DACL_PROTECTED, [MS-DTYP] 2.4.6."""
    control, at = struct.unpack_from("<H", descriptor, 2)[0], struct.unpack_from("<I", descriptor, 16)[0]
    count = struct.unpack_from("<H", descriptor, at + 4)[0]
    kept, start = [], at + 8
    for _ in range(count):
        size = struct.unpack_from("<H", descriptor, start + 2)[0]
        kept += [] if descriptor[start + 1] & 0x10 else [descriptor[start : start + size]]
        start += size
    told = b"".join(kept)
    head = struct.pack("<BBHIIII", 1, 0, control | 0x1000, 0, 0, 0, 20)
    return head + struct.pack("<BBHHH", 4, 0, 8 + len(told), len(kept), 0) + told


@pytest.mark.parametrize("way", ["member", "within", "primary"])
def test_an_administrator_is_refused_by_whatever_way_it_is_one(
    domain: Domain, room: str, who: dict[str, str], tmp_path: Path, way: str
) -> None:
    """It lacks nothing, and that is what is wrong with it: a member, a member of a member, or by its primary group."""
    folder = domain.settings(tmp_path, MAPPING, PEOPLE, **settings_of(room, who))
    dn = f"CN={who['credential']},CN=Users,{SUFFIX}"
    admins, inner = f"CN=Domain Admins,CN=Users,{SUFFIX}", f"CN=g{who['credential']},CN=Users,{SUFFIX}"
    if way == "within":
        domain.does(domain.admin.add(inner, "group", {"sAMAccountName": f"g{who['credential']}"}))
        domain.does(domain.admin.modify(inner, {"member": [(MODIFY_ADD, [dn])]}))
    domain.does(domain.admin.modify(admins, {"member": [(MODIFY_ADD, [inner if way == "within" else dn])]}))
    if way == "primary":
        domain.does(domain.admin.modify(dn, {"primaryGroupID": [(MODIFY_REPLACE, ["512"])]}))
    (told,) = lacks(domain, folder)
    assert "is privileged (a member of Domain Admins, a member of Administrators)" in told
    domain.does(domain.admin.delete(dn))


def test_what_is_read_from_the_lists_is_what_the_domain_says_itself(domain: Domain, room: str, who: dict[str, str]) -> None:
    """Attribute by attribute and class by class, with allowing and denying lines, sets of attributes, and classes."""
    students, person = f"OU=Students,{room}", f"CN=a,OU=Students,{room}"
    general = "59ba2f42-79a2-11d0-9020-00c04fc2d3cf"  # General-Information, a set of attributes: [MS-ADTS] 5.1.3.2.1 and [MS-ADA3]
    user, unit = "bf967aba-0de6-11d0-a285-00aa003049e2", "bf967aa5-0de6-11d0-a285-00aa003049e2"
    given, display = "f0f8ff8e-1191-11d0-a060-00aa006c33ed", "bf967953-0de6-11d0-a285-00aa003049e2"
    for line in (
        f"(OA;CI;CC;{user};;{{sid}})(OA;CI;CC;{unit};;{{sid}})(OA;CIIO;WP;{given};{user};{{sid}})",
        f"(OA;CIIO;WP;{general};{user};{{sid}})(OD;CI;CC;{unit};;{{sid}})",
        f"(OD;CIIO;WP;{display};{user};{{sid}})",
    ):
        domain.grant(students, line, who["bind_dn"])
    domain.does(domain.admin.add(person, "user"))
    config = domain.config(SUFFIX, **who)
    with closing(Wire("t", config, (domain.server.folder / who["credential"]).read_text)) as wire:
        ours = rights.token(wire)
        found = {dn: wire.entry(dn, ["allowedAttributesEffective", "allowedChildClassesEffective"]) for dn in (students, person)}
        allowed = {name.decode() for name in (found[person] or ("", {}))[1]["allowedattributeseffective"]}
        children = {name.decode() for name in (found[students] or ("", {}))[1]["allowedchildclasseseffective"]}
        attributes = {name.decode() for name in (wire.entry(person, ["allowedAttributes"]) or ("", {}))[1]["allowedattributes"]}
        guids = rights.Guids(wire, {*attributes, "user", "organizationalUnit", "group"})
    listed = {dn: rules(domain.rights_on(dn)) for dn in (students, person)}
    writable = {name for name in attributes if may(listed[person], ours, May.WRITE, guids.about(name))}
    assert writable - {"objectSid", "sDRightsEffective"} == allowed  # those two only the server writes
    assert allowed > {"givenName"}
    assert not may(listed[person], ours, May.WRITE, guids.about("displayName"))
    assert "displayName" not in allowed
    classes = {"user", "organizationalUnit", "group"}
    assert {name for name in classes if may(listed[students], ours, May.CREATE_CHILD, guids.about(name))} == children & classes
