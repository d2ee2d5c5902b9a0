"""What Active Directory tells of what others changed since an earlier look, on a real domain controller, to an ordinary account."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from ldap3 import MODIFY_REPLACE

from syncd.core.model import Account, NativeId
from syncd.demo.samba import DOMAIN, SUFFIX
from syncd.errors import EndpointError
from syncd.targets import Changes, Scope
from syncd.targets.ldap_ad import ActiveDirectory
from syncd.targets.ldap_ad_changes import Bookmark, outermost
from syncd.vault import Credentials
from tests.integration.samba import Domain

SCOPE = Scope(frozenset({"sAMAccountName", "givenName", "mail", "manager"}))


@dataclass
class Room:
    """A part of the domain with some accounts in it, which somebody else alters."""

    domain: Domain
    base: str
    connector: ActiveDirectory

    def dn(self, name: str, unit: str = "Students") -> str:
        """Where an account or a container stands."""
        return f"CN={name},OU={unit},{self.base}"

    def make(self, *names: str, unit: str = "Students") -> None:
        """Accounts, by the administrator."""
        for name in names:
            told = {"sAMAccountName": f"{name}{uuid.uuid4().hex[:12]}", "givenName": "Old", "userAccountControl": "514"}
            self.domain.does(self.domain.admin.add(self.dn(name, unit), "user", told))

    def write(self, name: str, attribute: str, value: str, unit: str = "Students") -> None:
        """Another value, by the administrator."""
        self.domain.does(self.domain.admin.modify(self.dn(name, unit), {attribute: [(MODIFY_REPLACE, [value])]}))

    def move(self, dn: str, rdn: str, superior: str | None = None) -> None:
        """Another name or place, by the administrator."""
        self.domain.does(self.domain.admin.modify_dn(dn, rdn, new_superior=superior))

    def ids(self) -> dict[str, NativeId]:
        """The permanent id of each account by its name."""
        return {observed.account.rdn: observed.native_id for observed in self.connector.read(SCOPE)}

    def since(self, bookmark: str) -> Changes:
        """What is told."""
        return self.connector.changed_since(bookmark, SCOPE)


@pytest.fixture
def room(domain: Domain) -> Iterator[Room]:
    """Four accounts among the students, and nobody among the staff."""
    base = domain.room()
    connector = ActiveDirectory("t", domain.config(base), Credentials(domain.server.folder))
    made = Room(domain, base, connector)
    made.make("a", "b", "c", "d")
    yield made
    connector.close()


def by_name(changes: Changes) -> dict[str, Account]:
    """The accounts that were told."""
    return {observed.account.rdn: observed.account for observed in changes.accounts}


def without_cookie(bookmark: str) -> str:
    """A bookmark whose cookie the server does not know: too old, or never its own."""
    told = Bookmark.of(bookmark)
    assert told is not None
    assert told.cookie, "an ordinary account got no cookie"
    return str(replace(told, cookie=b"\x00not a cookie"))


WAYS = pytest.mark.parametrize("way", [str, without_cookie], ids=["by cookie", "by number"])
Way = Callable[[str], str]


@WAYS
def test_what_others_changed_is_told_as_it_stands(room: Room, way: Way) -> None:
    """A value, a name, a place; each under its permanent id, and nothing of whoever is as before."""
    ids, bookmark = room.ids(), room.connector.bookmark()
    room.write("a", "givenName", "New")
    room.move(room.dn("b"), "CN=bb")
    room.move(room.dn("c"), "CN=c", f"OU=Staff,{room.base}")
    changes = room.since(way(bookmark))
    assert {observed.native_id for observed in changes.accounts} == {ids["a"], ids["b"], ids["c"]}
    told = by_name(changes)
    assert told["a"].attributes["givenName"] == ("New",)
    assert told["c"].container == "ou=staff"
    assert told.keys() == {"a", "bb", "c"}
    assert not changes.whole


@WAYS
def test_what_was_told_is_not_told_again(room: Room, way: Way) -> None:
    """The next look goes on from the new bookmark, which has a cookie again whatever became of the last one."""
    bookmark = room.connector.bookmark()
    room.write("a", "givenName", "New")
    after = room.since(way(bookmark)).bookmark
    assert (Bookmark.of(after) or Bookmark("", 0)).cookie
    assert room.since(after).accounts == ()
    room.write("b", "givenName", "New")
    assert by_name(room.since(after)).keys() == {"b"}
    assert by_name(room.since(bookmark)).keys() == {"a", "b"}, "an earlier bookmark still tells everything since"


@WAYS
def test_who_was_moved_out_of_the_base_is_told_as_elsewhere(room: Room, way: Way) -> None:
    """R8: it is not gone; whose it is is the engine's to know."""
    ids, bookmark = room.ids(), room.connector.bookmark()
    room.move(room.dn("a"), "CN=a", f"CN=Users,{SUFFIX}")
    changes = room.since(way(bookmark))
    room.domain.does(room.domain.admin.delete(f"CN=a,CN=Users,{SUFFIX}"))
    assert ids["a"] in changes.elsewhere
    assert changes.accounts == ()


@WAYS
def test_a_renamed_container_tells_of_all_who_stand_in_it(room: Room, way: Way) -> None:
    """Nothing of theirs was written, and still they have another place; the domain tells of the container alone."""
    room.domain.does(room.domain.admin.add(f"OU=Inner,OU=Students,{room.base}", "organizationalUnit"))
    room.make("e", unit="Inner,OU=Students")
    bookmark = room.connector.bookmark()
    room.move(f"OU=Students,{room.base}", "OU=Pupils")
    told = by_name(room.since(way(bookmark)))
    assert {name: account.container for name, account in told.items()} == {
        **dict.fromkeys("abcd", "ou=pupils"),
        "e": "ou=inner,ou=pupils",
    }


@WAYS
def test_a_container_moved_out_of_the_base_takes_everybody_elsewhere(room: Room, way: Way) -> None:
    """They stand below another container by now, which is not ours."""
    ids, bookmark = room.ids(), room.connector.bookmark()
    other = room.domain.room()
    room.move(f"OU=Students,{room.base}", "OU=Pupils", other)
    changes = room.since(way(bookmark))
    assert changes.accounts == ()
    assert changes.elsewhere >= set(ids.values())


@WAYS
def test_a_deletion_is_seen_by_a_whole_read_at_the_latest(room: Room, way: Way) -> None:
    """What an ordinary account may not see, it is not told of: so nothing may be concluded from not being told."""
    bookmark = room.connector.bookmark()
    room.domain.does(room.domain.admin.delete(room.dn("a")))
    assert "a" not in by_name(room.since(way(bookmark)))
    assert "a" not in room.ids()


def test_what_nobody_asked_for_is_not_told(room: Room) -> None:
    """A sign-in, a wrong password and a telephone number concern nobody here: the cookie passes them over."""
    bookmark = room.connector.bookmark()
    room.write("a", "telephoneNumber", "1")
    room.domain.sign_in(f"nobody@{DOMAIN}", "wrong")
    assert room.since(bookmark).accounts == ()


@pytest.mark.parametrize(
    ("wrong", "value"),
    [("controller", str(uuid.UUID(int=1))), ("number", 2**40), ("cookie", "?"), ("number", None)],
    ids=["another controller", "a count that went back", "no cookie", "no number"],
)
def test_a_bookmark_that_means_nothing_here_has_everybody_told(room: Room, wrong: str, value: object) -> None:
    """Another controller counts otherwise, and one that was put back counts anew: neither is believed, everything is read."""
    bookmark = room.connector.bookmark()
    room.write("a", "givenName", "New")
    changes = room.since(json.dumps({**json.loads(bookmark), wrong: value}))
    assert changes.whole
    assert by_name(changes).keys() == {"a", "b", "c", "d"}
    assert room.since(changes.bookmark).accounts == ()
    assert json.loads(changes.bookmark)["controller"] == json.loads(bookmark)["controller"]


def test_a_base_that_may_not_be_read_any_more_is_an_error_when_everything_is_read(room: Room) -> None:
    """Not read is not gone, also where a lost bookmark made a whole read of a small one."""
    room.ids()
    with room.domain.denied(f"OU=Students,{room.base}", "LC"), pytest.raises(EndpointError, match="shows none"):
        room.since("")


def test_many_changes_are_all_told(room: Room) -> None:
    """More than fit into one question."""
    names = [f"m{number}" for number in range(60)]
    bookmark = room.connector.bookmark()
    room.make(*names)
    assert by_name(room.since(bookmark)).keys() == set(names)


def test_containers_within_containers_are_searched_once() -> None:
    """Whatever the case and the order."""
    told = ["ou=a,dc=t", "OU=B,ou=A,dc=t", "ou=c,ou=b,ou=a,DC=T", "ou=b,dc=t", "ou=b\\,ou=a,dc=t"]
    assert sorted(outermost(told)) == ["ou=a,dc=t", "ou=b,dc=t", "ou=b\\,ou=a,dc=t"]
