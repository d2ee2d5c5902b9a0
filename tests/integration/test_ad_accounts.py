"""What the attributes of accounts are like in a real domain: days on which they end, folders, passwords to be changed, names."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ldap3 import MODIFY_REPLACE

from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.core.model import Account, Change, Failure, Kind, NativeId, Outcome, PersonId, Result, TargetName
from syncd.demo.samba import DOMAIN
from syncd.errors import ChangeError, EndpointError
from syncd.targets import ById, OneTime, Scope
from syncd.targets.ldap_ad import ActiveDirectory
from syncd.vault import Credentials
from tests.contract.target_contract import place
from tests.integration.samba import EVERYTHING, Domain

PASSWORD = "Correct-Horse-9"
SCOPE = Scope(frozenset({"accountExpires", "homeDirectory", "homeDrive"}))


@pytest.fixture
def connector(domain: Domain, room: str) -> Iterator[ActiveDirectory]:
    """The connector of a district in Chicago."""
    config = domain.config(room, time_zone="America/Chicago")
    with closing(ActiveDirectory("t", config, Credentials(domain.server.folder))) as opened:
        yield opened


def outcome(connector: ActiveDirectory, kind: Kind, word: str | None = None, **told: object) -> Outcome:
    """What becomes of one change."""
    change = Change(TargetName("t"), kind, "test", person=PersonId("p1"), **told)  # type: ignore[arg-type]  # spelled out by the callers
    (became,) = connector.apply([change], lambda _: word)
    return became


def account(name: str, *, enabled: bool = True, **attributes: str) -> Account:
    """An account that signs in with its name."""
    told = {"sAMAccountName": name, "userPrincipalName": f"{name}@{DOMAIN}", **attributes}
    return Account(name, "ou=students", enabled, {key: (value,) for key, value in told.items()})


def made(connector: ActiveDirectory, wanted: Account, word: str | None = None) -> NativeId:
    """The account, created."""
    became = outcome(connector, Kind.CREATE, word, after=connector.canonical(wanted))
    assert (became.result, became.why) == (Result.DONE, "")
    return became.native_id or NativeId("")


def found(connector: ActiveDirectory, native_id: NativeId) -> Account:
    """The account as it is read."""
    ((_, observed),) = connector.lookup([ById(native_id)], SCOPE)
    return observed.account


def fresh() -> str:
    """A name nobody has in the whole domain."""
    return f"u{secrets.token_hex(6)}"


# --- the day on which an account ends -----------------------------------------------------------------------------------


def test_an_account_ends_with_the_last_day(connector: ActiveDirectory, domain: Domain, room: str) -> None:
    """A file time on the wire: the midnight after that day, in the district's time zone. It is read as it was wanted."""
    name = fresh()
    native_id = made(connector, account(name, accountExpires="2099-05-28"), PASSWORD)
    (wire,) = domain.entry(f"CN={name},OU=Students,{room}", "accountExpires")["accountExpires"]
    begin = datetime(1601, 1, 1, tzinfo=UTC)
    assert begin + timedelta(microseconds=int(wire) // 10) == datetime(2099, 5, 29, 5, tzinfo=UTC)  # midnight in Chicago, in summer
    assert found(connector, native_id).attributes["accountExpires"] == ("2099-05-28",)
    assert domain.sign_in(f"{name}@{DOMAIN}", PASSWORD) == ""


def test_another_day_may_come_and_go(connector: ActiveDirectory, domain: Domain, room: str) -> None:
    """Whatever stood for never before; and who has no last day any more has none, though the domain writes a number for that."""
    name = fresh()
    native_id = made(connector, account(name), PASSWORD)
    at, dn = found(connector, native_id), f"CN={name},OU=Students,{room}"
    seen = []
    for never in ("0", "9223372036854775807"):
        domain.does(domain.admin.modify(dn, {"accountExpires": [(MODIFY_REPLACE, [never])]}))
        assert "accountExpires" not in found(connector, native_id).attributes
        last: tuple[str, ...] = ()
        for day in (("2026-05-28",), ("2099-05-28",), ()):
            steps = {"before": place(at, accountExpires=last), "after": place(at, accountExpires=day)}
            became = outcome(connector, Kind.UPDATE, native_id=native_id, **steps)
            assert (became.result, became.why) == (Result.DONE, "")
            assert found(connector, native_id).attributes.get("accountExpires", ()) == day
            seen.append(domain.sign_in(f"{name}@{DOMAIN}", PASSWORD))
            last = day
    assert ["data 701" in one for one in seen] == [True, False, False] * 2
    assert [one for one in seen if one and "data 701" not in one] == []


def test_a_moment_set_by_hand_is_seen_and_not_overwritten_unawares(connector: ActiveDirectory, domain: Domain, room: str) -> None:
    """It is told to its last digit, differs from the day, and makes a change that expects the day stale (R18)."""
    name = fresh()
    native_id = made(connector, account(name, accountExpires="2099-05-28"))
    domain.does(
        domain.admin.modify(f"CN={name},OU=Students,{room}", {"accountExpires": [(MODIFY_REPLACE, ["157000000000000001"])]})
    )
    at = found(connector, native_id)
    assert at.attributes["accountExpires"] == ("2098-07-06T23:06:40.0000001Z",)
    steps = {"before": place(at, accountExpires=("2099-05-28",)), "after": place(at, accountExpires=("2099-06-01",))}
    became = outcome(connector, Kind.UPDATE, native_id=native_id, **steps)
    assert (became.result, became.failure) == (Result.FAILED, Failure.STALE)


def test_what_is_no_day_sets_one_person_aside(connector: ActiveDirectory) -> None:
    """Before anything is sent, with what to do."""
    with pytest.raises(ChangeError, match=r"accountExpires: '05/28/2027' is not a day such as 2027-05-28; map it to a date"):
        connector.canonical(account("a", accountExpires="05/28/2027"))


# --- folders, and what a schema may lack --------------------------------------------------------------------------------


def test_a_home_folder_is_written_with_its_backslashes(connector: ActiveDirectory) -> None:
    """As Windows names a folder on another machine."""
    native_id = made(connector, account(fresh(), enabled=False, homeDirectory=r"\\files\home\ana", homeDrive="H:"))
    assert found(connector, native_id).attributes == {"homeDirectory": (r"\\files\home\ana",), "homeDrive": ("H:",)}


def test_attributes_of_exchange_are_told_where_the_schema_lacks_them(domain: Domain, room: str, tmp_path: Path) -> None:
    """`check` and `ad-delegation` say so before the first run."""
    mapping = EVERYTHING.replace("department: campus.code", "extensionAttribute7: campus.code")
    folder = domain.settings(tmp_path, mapping, base=room)
    with closing(ActiveDirectory("t", domain.config(room), Credentials(domain.server.folder))) as connector:
        with pytest.raises(EndpointError, match="no attribute extensionAttribute7; it comes with Exchange"):
            list(connector.lookup([ById(NativeId("0"))], Scope(frozenset({"extensionAttribute7"}))))
    assert main(["--config", str(folder), "ad-delegation", "ad"]) == Exit.UNAVAILABLE


# --- passwords that are to be changed -----------------------------------------------------------------------------------


def test_a_one_time_password_is_to_be_changed_at_the_first_sign_in(connector: ActiveDirectory, domain: Domain) -> None:
    """`change_at_first_login: true`: of somebody new, and of somebody who returns with a new one."""
    name = fresh()
    native_id = made(connector, account(name), OneTime(PASSWORD))
    assert "data 773" in domain.sign_in(f"{name}@{DOMAIN}", PASSWORD)
    at = found(connector, native_id)
    off = replace(place(at), enabled=False)
    assert outcome(connector, Kind.DISABLE, native_id=native_id, before=place(at), after=off).result is Result.DONE
    returned = outcome(connector, Kind.ENABLE, OneTime("Another-Word-7"), native_id=native_id, before=off, after=place(at))
    assert (returned.result, returned.why) == (Result.DONE, "")
    assert "data 773" in domain.sign_in(f"{name}@{DOMAIN}", "Another-Word-7")


# --- names --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ('"{{ names.username }}"', "at most 20 characters, and this rule can make 30"),
        ("names.username", "at most 20 characters, and this rule can make 30"),
        ('"s-{{ names.username }}"', "at most 20 characters, and this rule can make 32"),
        ('"{{ student_number }}/{{ grade }}"', "must not have '/' in it"),
    ],
)
def test_a_rule_for_an_impossible_sign_in_name_is_a_mistake_of_the_file(
    domain: Domain, tmp_path: Path, capsys: pytest.CaptureFixture[str], rule: str, told: str
) -> None:
    """Told when the file is loaded, with its place, and not person by person."""
    mapping = EVERYTHING.replace("sAMAccountName: student_number", f"sAMAccountName: {rule}")
    people = (
        'populations:\n  people: { when: "true" }\nnames:\n  username: { populations: { people: "{{ given }}" }, max_length: 30 }\n'
    )
    folder = domain.settings(tmp_path, mapping, people, base="DC=d")
    assert main(["--config", str(folder), "check", "--offline"]) == Exit.CONFIG
    said = capsys.readouterr().err
    assert "mappings/ad.yaml:8:" in said
    assert told in said
