"""An ordinary account with the rights the documentation gives it, and no more, does what syncd does, and nothing elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ldap3 import MODIFY_REPLACE

from syncd.core.model import Account, Change, Failure, Kind, NativeId, Outcome, PersonId, Result, TargetName
from syncd.demo.samba import SUFFIX
from syncd.targets import Scope
from syncd.targets.ldap_ad import ActiveDirectory
from syncd.targets.ldap_ad_changes import Bookmark
from syncd.vault import Credentials
from tests.conftest import write_secret
from tests.contract.target_contract import place
from tests.integration.samba import Domain

# schemaIDGUID of classes and attributes, [MS-ADSC] and [MS-ADA2]; the right to reset a password, [MS-ADTS] 5.1.3.2.1
USER, UNIT, GROUP = (
    "bf967aba-0de6-11d0-a285-00aa003049e2",
    "bf967aa5-0de6-11d0-a285-00aa003049e2",
    "bf967a9c-0de6-11d0-a285-00aa003049e2",
)
MEMBER, RESET = "bf9679c0-0de6-11d0-a285-00aa003049e2", "00299570-246d-11d0-a768-00aa006e0529"
PEOPLE = (
    f"(OA;CI;CCDC;{USER};;{{sid}})",
    f"(OA;CIIO;RPWP;;{USER};{{sid}})",
    f"(OA;CIIO;CR;{RESET};{USER};{{sid}})",
    f"(OA;CI;CC;{UNIT};;{{sid}})",
)
GROUPS = (f"(OA;CI;CC;{GROUP};;{{sid}})", f"(OA;CIIO;RPWP;{MEMBER};{GROUP};{{sid}})")
"""The same as the dsacls lines of docs/how-to/active-directory.md, in the same order."""


@pytest.fixture
def connector(domain: Domain, room: str, tmp_path: Path) -> Iterator[ActiveDirectory]:
    """Bound as that account, and configured for the whole domain: what it may not do is the domain's to refuse."""
    rights = {f"OU={name},{room}": PEOPLE for name in ("Students", "Disabled")}
    name, word = domain.ordinary({**rights, f"OU=Groups,{room}": GROUPS})
    write_secret(tmp_path / "ordinary", word)
    connector = ActiveDirectory("t", domain.config(SUFFIX, bind_dn=name, credential="ordinary"), Credentials(tmp_path))
    yield connector
    connector.close()


def outcome(connector: ActiveDirectory, kind: Kind, word: str | None = None, **told: object) -> Outcome:
    """What becomes of one change."""
    change = Change(TargetName("t"), kind, "test", person=PersonId("p1"), **told)  # type: ignore[arg-type]  # spelled out by the callers
    (told_of,) = connector.apply([change], lambda _: word)
    return told_of


def inside(room: str, name: str) -> str:
    """A container of the room, told from the domain."""
    return f"ou={name},{room.removesuffix(',' + SUFFIX)}"


def test_the_documented_rights_are_enough(connector: ActiveDirectory, room: str) -> None:
    """Everything syncd does to an account in its life, and to its groups."""
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
    told = connector.canonical(Account("a", grade, enabled=True, attributes={"givenName": ("A",), "employeeNumber": ("1",)}))
    native_id = does(Kind.CREATE, "Correct-Horse-9", after=told)
    known = {"native_id": native_id, "before": place(told)}
    does(Kind.UPDATE, native_id=native_id, before=place(told, givenName=("A",)), after=place(told, givenName=("B",)))
    does(Kind.ADD_MEMBER, **known, group=group)
    does(Kind.REMOVE_MEMBER, **known, group=group)
    off = replace(place(told), enabled=False)
    does(Kind.DISABLE, **known, after=off)
    does(Kind.ENABLE, "Another-Word-7", native_id=native_id, before=off, after=place(told))
    does(Kind.DISABLE, **known, after=off)
    away = replace(off, container=connector.canonical_group(parked), rdn="b")
    does(Kind.PARK, native_id=native_id, before=off, after=away)
    does(Kind.DELETE, native_id=native_id, before=away)
    assert [told_of for told_of in done if told_of[1] is not Result.DONE] == []
    assert len(done) == 11


def test_the_documented_rights_are_enough_to_be_told_what_changed(connector: ActiveDirectory, domain: Domain, room: str) -> None:
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
    tried = [
        outcome(connector, Kind.CREATE, after=connector.canonical(Account("x", staff, enabled=False, attributes={}))),
        outcome(connector, Kind.UPDATE, **known, after=place(theirs.account, givenName=("B",))),
        outcome(connector, Kind.ENABLE, "Another-Word-7", **known, after=replace(place(theirs.account), enabled=True)),
        outcome(connector, Kind.DELETE, **known),
        outcome(connector, Kind.CREATE_GROUP, group=f"cn=g,{staff}"),
        outcome(connector, Kind.ADD_MEMBER, **known, group="cn=domain admins,cn=users"),
    ]
    assert [(one.result, one.failure) for one in tried] == [(Result.FAILED, Failure.REFUSED)] * len(tried)
