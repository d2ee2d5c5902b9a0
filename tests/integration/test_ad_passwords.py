"""Passwords of a real domain: its policy, its lock-outs, and what syncd's ordinary account may do about them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from ldap3 import MODIFY_REPLACE

from syncd.core.model import NativeId
from syncd.demo.samba import DOMAIN, SERVICE, SUFFIX
from syncd.errors import ChangeError
from syncd.targets.ldap_ad_apply import quoted
from syncd.targets.ldap_ad_passwords import PasswordRules, Passwords, SignIn
from syncd.targets.ldap_ad_values import native_id
from syncd.vault import Credentials
from tests.integration.samba import Domain

WORD = "Correct-Horse-9"


@pytest.fixture
def passwords(domain: Domain, room: str) -> Iterator[Passwords]:
    """The passwords below this test's part of the domain."""
    opened = Passwords("ad", domain.config(room), Credentials(domain.server.folder))
    yield opened
    opened.close()


@pytest.fixture
def somebody(domain: Domain, room: str) -> tuple[NativeId, str]:
    """An enabled account: its id, and what it signs in with."""
    name = f"u{secrets.token_hex(6)}"
    dn = f"CN={name},OU=Students,{room}"
    told = {"sAMAccountName": name, "userAccountControl": "512", "unicodePwd": quoted(WORD)}
    domain.does(domain.admin.add(dn, "user", told))
    return native_id(domain.entry(dn, "objectGUID")["objectGUID"][0]), f"{name}@{DOMAIN}"


def test_the_domains_policy_is_told_before_it_refuses(passwords: Passwords, somebody: tuple[NativeId, str]) -> None:
    """What Samba makes a domain with: seven characters, complex, the last 24 remembered, changed by its owner after a day."""
    assert passwords.rules(somebody[0]) == PasswordRules(7, complex=True, remembered=24, whose=SUFFIX, hours=24)


SETTINGS = f"CN=Password Settings Container,CN=System,{SUFFIX}"


@contextmanager
def fine_grained(domain: Domain, who: str) -> Iterator[str]:
    """A policy of somebody's own, stricter than the domain's: its full name."""
    dn = f"CN=p{secrets.token_hex(4)},{SETTINGS}"
    told = {
        "msDS-PasswordSettingsPrecedence": "1",
        "msDS-PasswordReversibleEncryptionEnabled": "FALSE",
        "msDS-PasswordHistoryLength": "3",
        "msDS-PasswordComplexityEnabled": "FALSE",
        "msDS-MinimumPasswordLength": "12",
        "msDS-MinimumPasswordAge": str(-72_000_000_000),
        "msDS-MaximumPasswordAge": str(-36_288_000_000_000),
        "msDS-LockoutThreshold": "0",
        "msDS-LockoutObservationWindow": str(-18_000_000_000),
        "msDS-LockoutDuration": str(-18_000_000_000),
        "msDS-PSOAppliesTo": who,
    }
    domain.does(domain.admin.add(dn, "msDS-PasswordSettings", told))
    try:
        yield dn
    finally:
        domain.does(domain.admin.delete(dn))


def test_a_policy_of_somebodys_own_stands_above_the_domains(
    passwords: Passwords, somebody: tuple[NativeId, str], domain: Domain, room: str
) -> None:
    """Where it may be read; where not, it is told that one applies. A refusal is held against it all the same by the domain."""
    who, name = somebody
    with fine_grained(domain, f"CN={name.partition('@')[0]},OU=Students,{room}") as policy:
        hidden = passwords.rules(who)
        domain.grant(SETTINGS, "(A;CI;LCRP;;;{sid})", SERVICE)
        shown = passwords.rules(who)
        with pytest.raises(ChangeError, match="too short"):
            passwords.set(who, "only-eleven")
        passwords.set(who, "only lowercase letters")
    assert hidden == PasswordRules(
        7, complex=True, remembered=24, whose=f"{SUFFIX} ({policy} applies, but may not be read)", hours=24
    )
    assert shown == PasswordRules(12, complex=False, remembered=3, whose=policy, hours=2)
    assert passwords.admits(name, "only lowercase letters") == ""


def test_a_password_is_set_and_tried(passwords: Passwords, somebody: tuple[NativeId, str]) -> None:
    """Set as an administrator does, with or without a new one asked for at the next sign-in."""
    who, name = somebody
    passwords.set(who, "Another-Word-7")
    assert passwords.admits(name, "Another-Word-7") == ""
    assert "password is wrong" in passwords.admits(name, "Wrong-Word-7")
    assert passwords.admits(name, "") != ""
    passwords.set(who, "A-Third-Word-7", must_change=True)
    assert "change its password" in passwords.admits(name, "A-Third-Word-7")
    assert passwords.sign_in(who).must_change


def test_a_password_the_policy_refuses_says_why(passwords: Passwords, somebody: tuple[NativeId, str]) -> None:
    """And the old one stays."""
    with pytest.raises(ChangeError, match=r"too short.*demands at least 7 characters.*: it has 4 characters"):
        passwords.set(somebody[0], "Ab-1")
    assert passwords.admits(somebody[1], WORD) == ""


def test_what_may_not_be_done_names_the_right(
    passwords: Passwords, somebody: tuple[NativeId, str], domain: Domain, room: str
) -> None:
    """To reset a password, and to unlock."""
    with domain.denied_below(f"OU=Students,{room}", "CRWP"):
        with pytest.raises(ChangeError, match="missing: Reset Password of user"):
            passwords.set(somebody[0], "Another-Word-7")
        with pytest.raises(ChangeError, match="missing: write lockoutTime of user"):
            passwords.unlock(somebody[0])


def test_somebody_locked_out_is_seen_and_unlocked(passwords: Passwords, somebody: tuple[NativeId, str], domain: Domain) -> None:
    """After three wrong passwords, in a domain that allows no more."""
    who, name = somebody
    domain.does(domain.admin.modify(SUFFIX, {"lockoutThreshold": [(MODIFY_REPLACE, ["3"])]}))
    try:
        for number in range(3):
            assert passwords.admits(name, f"Wrong-Word-{number}") != ""
        assert passwords.sign_in(who) == SignIn(locked=True, wrong=3, must_change=False)
        assert "locked" in passwords.admits(name, WORD)
        passwords.unlock(who)
        assert passwords.sign_in(who) == SignIn(locked=False, wrong=0, must_change=False)
        assert passwords.admits(name, WORD) == ""
    finally:
        domain.does(domain.admin.modify(SUFFIX, {"lockoutThreshold": [(MODIFY_REPLACE, ["0"])]}))


def test_nobody_privileged_is_helped(passwords: Passwords, domain: Domain) -> None:
    """R40: refused before anything is sent; the server would refuse an ordinary account as well."""
    administrator = native_id(domain.entry(domain.server.admin_dn, "objectGUID")["objectGUID"][0])
    with pytest.raises(ChangeError, match="R40"):
        passwords.set(administrator, "Another-Word-7")
    assert domain.sign_in(domain.server.admin_dn, domain.server.password("admin")) == ""


def test_an_account_outside_the_given_containers_is_not_helped(domain: Domain, room: str, somebody: tuple[NativeId, str]) -> None:
    """The write scope holds for passwords as for everything else."""
    passwords = Passwords("ad", domain.config(room, accounts_in=("OU=Staff",)), Credentials(domain.server.folder))
    with pytest.raises(ChangeError, match="accounts_in"):
        passwords.unlock(somebody[0])
    passwords.close()
