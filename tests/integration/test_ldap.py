"""What is particular to LDAP: verified TLS, lost connections, rights, other people's entries, passwords. On a real slapd."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from syncd.core.model import Account, Change, Failure, Kind, NativeId, PersonId, Result, RunId, TargetName
from syncd.demo.certificates import write_certificates
from syncd.demo.slapd import ADMIN_DN, Binaries, PrivateSlapd
from syncd.engine.resolve import resolve
from syncd.errors import EndpointError, TransientError
from syncd.store import Intention, Store
from syncd.targets import ByAttribute, ById, ByLocation, Scope
from syncd.targets.ldap import Ldap, LdapConfig
from syncd.targets.target import Target
from syncd.vault import Credentials
from tests.conftest import Ldif, as_admin, config_for, fresh_base, run_as, write_secret
from tests.contract.target_contract import SCOPE, account, no_password, place

NOTHING: Mapping[str, object] = MappingProxyType({})
TLS = [NOTHING, {"start_tls": True}]


_DIALLED: list[Ldap] = []


@pytest.fixture(autouse=True)
def hung_up() -> Iterator[None]:
    """Whatever a test dialled is closed behind it."""
    yield
    while _DIALLED:
        _DIALLED.pop().close()


def dial(server: PrivateSlapd, base: str, secure: Mapping[str, object] = NOTHING, **changed: object) -> Ldap:
    """A connector over LDAPS, or over StartTLS; closed when the test ends."""
    told = {"urls": (server.url,) if secure else (server.secure_url,), **secure, **changed}
    _DIALLED.append(Ldap("t", config_for(server, base, **told), Credentials(server.credentials)))
    return _DIALLED[-1]


@pytest.fixture
def ldap(ldap_config: LdapConfig, credentials: Credentials) -> Iterator[Ldap]:
    """A connector on this test's own part of the tree."""
    connector = Ldap("t", ldap_config, credentials)
    yield connector
    connector.close()


def test_when_an_account_was_last_changed_is_told_by_the_server(ldap: Ldap) -> None:
    """And when it was used, where the server keeps that: this one does not, so nothing is said of it."""
    native_id = made(ldap, account("ana"))
    [(told, use)] = ldap.uses()
    assert told == native_id
    assert use.used is None
    assert use.changed is not None
    assert abs(datetime.now(UTC) - use.changed) < timedelta(minutes=5)


def create(ldap: Ldap, wanted: Account) -> Change:
    """The change that makes the account."""
    return Change(TargetName("t"), Kind.CREATE, "test", person=PersonId("p"), after=ldap.canonical(wanted))


def made(ldap: Ldap, wanted: Account, password: str | None = None) -> NativeId:
    """The id of the account just made."""
    (outcome,) = ldap.apply([create(ldap, wanted)], lambda _: password)
    assert outcome.native_id, outcome
    return outcome.native_id


# --- the wire -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secure", TLS, ids=["ldaps", "starttls"])
def test_a_certificate_of_an_unknown_authority_is_refused(
    slapd: PrivateSlapd, ldap_base: str, tmp_path: Path, secure: Mapping[str, object]
) -> None:
    """Nobody between us and the directory gets the password."""
    write_certificates(tmp_path, ["127.0.0.1"])
    ldap = dial(slapd, ldap_base, secure, ca_file=str(tmp_path / "ca.pem"))
    with pytest.raises(EndpointError, match="check ca_file"):
        list(ldap.read(SCOPE))


@pytest.mark.parametrize("secure", TLS, ids=["ldaps", "starttls"])
def test_a_certificate_for_another_host_is_refused(slapd_binaries: Binaries, tmp_path: Path, secure: Mapping[str, object]) -> None:
    """A valid certificate of somebody else is not the directory's."""
    named_otherwise = PrivateSlapd(tmp_path / "slapd", slapd_binaries, nosync=True, certificate_names=("elsewhere.test",))
    with named_otherwise as server, pytest.raises(EndpointError, match="check ca_file, and that the host"):
        list(dial(server, "dc=district,dc=test", secure).read(SCOPE))


def test_a_certificate_that_ran_out_is_refused_and_said_to_have(own_slapd: PrivateSlapd) -> None:
    """The right authority and the right name help nobody after its last day; what to do is renew it."""
    base = fresh_base(own_slapd)
    own_slapd.stop()
    write_certificates(own_slapd.folder, own_slapd.certificate_names, made=datetime.now(UTC) - timedelta(days=60))
    own_slapd.start()
    with pytest.raises(EndpointError, match="certificate is refused: certificate has expired; renew it"):
        list(dial(own_slapd, base).read(SCOPE))


@pytest.mark.parametrize(("holds", "why"), [(None, "No such file"), ("no certificate", "holds no certificate in PEM form")])
def test_a_ca_file_that_vouches_for_nobody_is_named(
    slapd: PrivateSlapd, ldap_base: str, tmp_path: Path, holds: str | None, why: str
) -> None:
    """A file that is missing or something else is a matter for a human, and no reason to trust everybody."""
    if holds is not None:
        (tmp_path / "ca.pem").write_text(holds)
    with pytest.raises(EndpointError, match=rf"ca_file .*ca\.pem cannot be used: .*{why}"):
        list(dial(slapd, ldap_base, ca_file=str(tmp_path / "ca.pem")).read(SCOPE))


def test_the_system_authorities_do_not_vouch_for_a_private_one(slapd: PrivateSlapd, ldap_base: str) -> None:
    """No ca_file means the system's, not none."""
    with pytest.raises(EndpointError, match="check ca_file"):
        list(dial(slapd, ldap_base, ca_file="").read(SCOPE))


@pytest.mark.parametrize("secure", TLS, ids=["ldaps", "starttls"])
def test_a_wrong_password_is_a_matter_for_a_human(
    slapd: PrivateSlapd, ldap_base: str, tmp_path: Path, secure: Mapping[str, object]
) -> None:
    """Retrying it would lock the account."""
    write_secret(tmp_path / "service.password", "wrong")
    told = dial(slapd, ldap_base, secure).config
    with pytest.raises(EndpointError, match="invalid credentials"):
        list(Ldap("t", replace(told, bind_dn=ADMIN_DN), Credentials(tmp_path)).read(SCOPE))


def test_a_server_that_is_not_there_is_transient(slapd: PrivateSlapd, ldap_base: str) -> None:
    """It may come back."""
    ldap = dial(slapd, ldap_base, urls=("ldaps://127.0.0.1:1",))
    with pytest.raises(TransientError, match="connect"):
        list(ldap.read(SCOPE))


def test_the_second_server_is_used_where_the_first_does_not_answer(slapd: PrivateSlapd, ldap_base: str) -> None:
    """Servers are tried in order."""
    ldap = dial(slapd, ldap_base, urls=("ldaps://127.0.0.1:1", slapd.secure_url))
    assert list(ldap.read(SCOPE)) == []


def test_a_base_that_does_not_exist_is_an_error_not_an_empty_directory(slapd: PrivateSlapd) -> None:
    """Not read is not gone."""
    with pytest.raises(EndpointError, match="does not exist or may not be read"):
        list(dial(slapd, "ou=nowhere,dc=district,dc=test").read(SCOPE))


def test_a_silent_server_is_given_up_in_time(own_slapd: PrivateSlapd) -> None:
    """Every wait has an end."""
    ldap = dial(own_slapd, fresh_base(own_slapd), receive_timeout=1)
    assert list(ldap.read(SCOPE)) == []
    own_slapd.suspend()
    began = time.monotonic()
    with pytest.raises(TransientError):
        list(ldap.read(SCOPE))
    assert time.monotonic() - began < 5
    own_slapd.resume()


def test_a_restarted_server_is_dialled_again(own_slapd: PrivateSlapd) -> None:
    """A connection that died between two batches costs no outcome."""
    ldap = dial(own_slapd, fresh_base(own_slapd))
    made(ldap, account("before"))
    own_slapd.restart()
    made(ldap, account("after"))
    assert {observed.account.rdn for observed in ldap.read(SCOPE)} == {"before", "after"}


# --- unknown outcomes -----------------------------------------------------------------------------------------------------


def test_a_server_killed_in_the_middle_leaves_unknown_not_failed(own_slapd: PrivateSlapd) -> None:
    """R17: every change has one outcome; done ones exist, waiting ones were never sent, and only sent ones are unknown."""
    ldap = dial(own_slapd, fresh_base(own_slapd), window=200, receive_timeout=1)
    wanted = [create(ldap, account(f"u{number}")) for number in range(600)]

    def pulled() -> Iterator[Change]:
        for number, change in enumerate(wanted):
            if number == 300:
                own_slapd.suspend()  # what is sent from here on is not answered …
            if number == 400:
                own_slapd.kill()  # … and never will be
            yield change

    outcomes = list(ldap.apply(pulled(), no_password))
    assert [
        outcome.change.after.rdn for outcome in sorted(outcomes, key=lambda o: int(o.change.after.rdn[1:])) if outcome.change.after
    ] == [change.after.rdn for change in wanted if change.after]
    by_result = {result: [o for o in outcomes if o.result is result] for result in Result}
    assert by_result[Result.UNKNOWN]
    assert all(outcome.failure is Failure.WAITS for outcome in by_result[Result.FAILED])
    own_slapd.restart()
    there = {observed.account.rdn for observed in ldap.read(SCOPE)}
    assert {o.change.after.rdn for o in by_result[Result.DONE] if o.change.after} <= there
    assert not {o.change.after.rdn for o in by_result[Result.FAILED] if o.change.after} & there


def test_a_server_restarted_in_the_middle_is_used_again_once(own_slapd: PrivateSlapd) -> None:
    """What was in flight is unknown; what came later is done; nothing is sent twice."""
    ldap = dial(own_slapd, fresh_base(own_slapd), window=10)
    wanted = [create(ldap, account(f"u{number}")) for number in range(60)]

    def pulled() -> Iterator[Change]:
        for number, change in enumerate(wanted):
            if number == 30:
                own_slapd.kill()
                own_slapd.start()
            yield change

    outcomes = {o.change.after.rdn: o for o in ldap.apply(pulled(), no_password) if o.change.after}
    assert len(outcomes) == 60
    assert {o.result for o in outcomes.values()} == {Result.DONE, Result.UNKNOWN}
    assert all(outcomes[f"u{number}"].result is Result.DONE for number in range(45, 60))
    there = {observed.account.rdn for observed in ldap.read(SCOPE)}
    assert {rdn for rdn, o in outcomes.items() if o.result is Result.DONE} <= there


def test_nothing_is_pulled_while_no_server_answers(own_slapd: PrivateSlapd) -> None:
    """An error before the first change leaves all of them to be tried again."""
    ldap = dial(own_slapd, fresh_base(own_slapd))
    own_slapd.kill()

    def pulled() -> Iterator[Change]:
        pytest.fail("a change was pulled")
        yield create(ldap, account("a"))

    with pytest.raises(TransientError):
        list(ldap.apply(pulled(), no_password))


def test_a_question_in_the_middle_of_writing_and_reading_disturbs_neither(ldap: Ldap) -> None:
    """Reading, asking and writing have a connection each."""
    changes = [create(ldap, account(f"u{number}")) for number in range(50)]
    for outcome in ldap.apply(changes, no_password):
        assert outcome.native_id
        assert len(list(ldap.lookup([ById(outcome.native_id)], SCOPE))) == 1
    seen = 0
    for observed in ldap.read(SCOPE):
        seen += len(list(ldap.lookup([ById(observed.native_id)], SCOPE)))
    assert seen == 50


# --- passwords and disabling ------------------------------------------------------------------------------------------------


def can_bind(server: PrivateSlapd, dn: str, password: str) -> bool:
    """True when the account may sign in."""
    run = run_as(server, dn, password, "ldapwhoami")
    assert run.returncode == 0 or "Invalid credentials (49)" in run.stderr, run.stderr
    return run.returncode == 0


def test_the_first_password_works_and_a_disabled_account_cannot_use_it(ldap: Ldap, slapd: PrivateSlapd) -> None:
    """Disabled in the same operation that sets the password; enabled, it works; disabled again, it does not."""
    wanted = ldap.canonical(account("a", enabled=False))
    native_id = made(ldap, wanted, "correct horse battery")
    dn = f"uid=a,ou=Students,{ldap.config.base}"
    states = [can_bind(slapd, dn, "correct horse battery")]
    for kind, before in ((Kind.ENABLE, False), (Kind.DISABLE, True)):
        places = [replace(place(wanted), enabled=state) for state in (before, not before)]
        change = Change(TargetName("t"), kind, "", person=PersonId("p"), native_id=native_id, before=places[0], after=places[1])
        assert [outcome.result for outcome in ldap.apply([change], no_password)] == [Result.DONE]
        states.append(can_bind(slapd, dn, "correct horse battery"))
    assert states == [False, True, False]


def test_who_returns_signs_in_with_the_new_password_only(ldap: Ldap, slapd: PrivateSlapd) -> None:
    """Enabling and setting the password are one operation, also where the policy overlay has its own view of both."""
    wanted = ldap.canonical(account("a", enabled=False))
    native_id = made(ldap, wanted, "the password of long ago")
    before, after = place(wanted), replace(place(wanted), enabled=True)
    change = Change(TargetName("t"), Kind.ENABLE, "", person=PersonId("p"), native_id=native_id, before=before, after=after)
    assert [(o.result, o.why) for o in ldap.apply([change], lambda _: "correct horse battery")] == [(Result.DONE, "")]
    dn = f"uid=a,ou=Students,{ldap.config.base}"
    assert [can_bind(slapd, dn, password) for password in ("the password of long ago", "correct horse battery")] == [False, True]


def test_a_password_the_policy_refuses_fails_that_account(ldap: Ldap) -> None:
    """The server's own words are kept, and nothing was created."""
    (outcome,) = ldap.apply([create(ldap, account("a"))], lambda _: "short")
    assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.REFUSED)
    assert "quality" in outcome.why
    assert list(ldap.read(SCOPE)) == []


def test_passwords_are_never_read(ldap: Ldap) -> None:
    """Even where a mapping owns userPassword, its hash stays where it is."""
    made(ldap, account("a"), "correct horse battery")
    (observed,) = ldap.read(Scope(SCOPE.attributes | {"userPassword"}))
    assert "userPassword" not in observed.account.attributes


def test_a_lock_after_bad_passwords_is_not_a_disabled_account(ldap: Ldap, slapd: PrivateSlapd) -> None:
    """A lock-out passes by itself; only the configured value means disabled."""
    made(ldap, account("a"), "correct horse battery")
    for _ in range(6):
        assert not can_bind(slapd, f"uid=a,ou=Students,{ldap.config.base}", "wrong wrong wrong")
    assert [observed.account.enabled for observed in ldap.read(SCOPE)] == [True]


# --- other people's entries ---------------------------------------------------------------------------------------------------


def test_an_account_named_by_another_attribute_is_found_and_renamed(ldap: Ldap, ldif: Ldif) -> None:
    """Accounts that existed before syncd can be adopted, whatever they are named by."""
    base = ldap.config.base
    ldif(
        f"dn: cn=Ann\\2C Lee,ou=Students,{base}\nobjectClass: inetOrgPerson\ncn: Ann, Lee\nsn: Lee\nuid: other\nemployeeNumber: 7\n"
    )
    (observed,) = ldap.read(SCOPE)
    assert observed.account.rdn == "\\cn=Ann\\, Lee"
    after = replace(place(observed.account), rdn="alee")
    change = Change(TargetName("t"), Kind.MOVE, "", native_id=observed.native_id, before=place(observed.account), after=after)
    assert [(o.result, o.why) for o in ldap.apply([change], no_password)] == [(Result.DONE, "")]
    assert [found.account.rdn for found in ldap.read(SCOPE)] == ["alee"]


def test_what_stands_at_a_place_without_being_an_account_is_told_as_untouchable(ldap: Ldap, ldif: Ldif) -> None:
    """A name that a device or service holds is taken, and never a candidate (R40)."""
    ldif(f"dn: uid=printer,ou=Students,{ldap.config.base}\nobjectClass: account\nuid: printer\n")
    ((_, observed),) = ldap.lookup([ByLocation("ou=students", "Printer")], SCOPE)
    assert observed.privileged
    assert list(ldap.read(SCOPE)) == []


def test_attribute_names_come_back_as_the_mapping_spells_them(ldap: Ldap) -> None:
    """`givenname` in a mapping is the server's givenName."""
    made(ldap, account("a", givenName="Ann"))
    (observed,) = ldap.read(Scope(frozenset({"givenname", "SN"})))
    assert observed.account.attributes == {"givenname": ("Ann",), "SN": ("One",)}


def test_containers_keep_the_spelling_of_the_mapping(ldap: Ldap, slapd: PrivateSlapd) -> None:
    """Names are compared folded, but what we create is spelt as an administrator wrote it."""
    wanted = ldap.canonical(account("a", "OU=Grade 07,OU=Students"))
    change = Change(TargetName("t"), Kind.CREATE_CONTAINER, "", group="ou=grade 07,ou=students")
    assert [o.result for o in ldap.apply([change], no_password)] == [Result.DONE]
    made(ldap, wanted)
    told = as_admin(slapd, "ldapsearch", "-LLL", "-b", ldap.config.base, "(uid=a)", "dn")
    assert f"dn: uid=a,ou=Grade 07,ou=Students,{ldap.config.base}" in told.replace("\n ", "")


def test_an_account_that_others_moved_out_of_the_base_is_still_found_by_its_id(slapd: PrivateSlapd, ldif: Ldif) -> None:
    """R8: it strayed, it was not deleted: it is told where it is, nothing is written to it, and no delete is called done."""
    outer = fresh_base(slapd)
    ldap = dial(slapd, f"ou=Students,{outer}")
    wanted = ldap.canonical(account("a, b", ""))
    native_id, other = made(ldap, wanted), made(ldap, account("c", ""))
    ldif(
        f"dn: uid=a\\, b,ou=Students,{outer}\nchangetype: modrdn\nnewrdn: uid=a\\, b\ndeleteoldrdn: 0\n"
        f"newsuperior: ou=Staff,{outer}\n"
    )
    assert [observed.native_id for observed in ldap.read(SCOPE)] == [other]
    nobody = NativeId("00000000-0000-0000-0000-000000000000")
    told = dict(ldap.lookup([ById(native_id), ById(other), ById(nobody)], SCOPE))
    assert told.keys() == {ById(native_id), ById(other)}
    strayed = told[ById(native_id)].account
    assert (strayed.rdn, strayed.container) == ("a, b", f"ou=staff,{outer.lower()}")
    delete = Change(TargetName("t"), Kind.DELETE, "", native_id=native_id, before=wanted)
    off = replace(place(wanted), enabled=False)
    disable = Change(TargetName("t"), Kind.DISABLE, "", native_id=native_id, before=place(wanted), after=off)
    assert [outcome.failure for outcome in ldap.apply([delete], no_password)] == [Failure.STALE]
    assert [outcome.failure for outcome in ldap.apply([disable], no_password)] == [Failure.STALE]
    assert "dn: " in as_admin(slapd, "ldapsearch", "-LLL", "-b", f"ou=Staff,{outer}", "(uid=a, b)", "dn")


def test_privileged_accounts_are_marked_and_refused(slapd: PrivateSlapd, ldap_base: str, ldif: Ldif) -> None:
    """R40: by name or by group, never a candidate, never written."""
    for name in ("chief", "member", "plain"):
        ldif(f"dn: uid={name},ou=Staff,{ldap_base}\nobjectClass: inetOrgPerson\ncn: x\nsn: x\nuid: {name}\n")
    ldif(f"dn: cn=admins,ou=Groups,{ldap_base}\nobjectClass: groupOfNames\ncn: admins\nmember: uid=Member,ou=staff,{ldap_base}\n")
    ldap = dial(slapd, ldap_base, privileged=(f"uid=chief,ou=Staff,{ldap_base}",), privileged_groups=("cn=admins,ou=groups",))
    told = {observed.account.rdn: observed for observed in ldap.read(SCOPE)}
    assert {rdn: observed.privileged for rdn, observed in told.items()} == {"chief": True, "member": True, "plain": False}
    changes = {
        rdn: Change(
            TargetName("t"), Kind.DISABLE, "", native_id=seen.native_id, before=place(seen.account), after=place(seen.account)
        )
        for rdn, seen in told.items()
    }
    assert {rdn: bool(ldap.refuses(change)) for rdn, change in changes.items()} == {"chief": True, "member": True, "plain": False}


def test_an_attribute_without_an_equality_rule_can_be_updated(ldap: Ldap) -> None:
    """FacsimileTelephoneNumber cannot be compared by the server; then identity alone is asserted, after we compared."""
    scope = Scope(SCOPE.attributes | {"facsimileTelephoneNumber"})
    wanted = ldap.canonical(account("a", facsimileTelephoneNumber="1"))
    native_id = made(ldap, wanted)
    before, after = (place(wanted, facsimileTelephoneNumber=(value,)) for value in "12")
    change = Change(TargetName("t"), Kind.UPDATE, "", native_id=native_id, before=before, after=after)
    assert [o.result for o in ldap.apply([change], no_password)] == [Result.DONE]
    (observed,) = ldap.read(scope)
    assert observed.account.attributes["facsimileTelephoneNumber"] == ("2",)
    other = replace(change, before=before, after=place(wanted, facsimileTelephoneNumber=("3",)))
    assert [o.failure for o in ldap.apply([other], no_password)] == [Failure.STALE]


def test_members_we_did_not_add_stay(ldap: Ldap, slapd: PrivateSlapd, ldif: Ldif) -> None:
    """Only named edges are written; a member from outside the base is nobody to us and stays."""
    group = "cn=mixed,ou=groups"
    ldif(f"dn: cn=mixed,ou=Groups,{ldap.config.base}\nobjectClass: groupOfNames\ncn: mixed\nmember: cn=syncd,dc=district,dc=test\n")
    wanted = ldap.canonical(account("a"))
    native_id = made(ldap, wanted)
    add = Change(TargetName("t"), Kind.ADD_MEMBER, "", native_id=native_id, before=place(wanted), group=group)
    for change in (add, replace(add, kind=Kind.REMOVE_MEMBER)):
        assert [o.result for o in ldap.apply([change], no_password)] == [Result.DONE]
    told = as_admin(slapd, "ldapsearch", "-LLL", "-b", f"cn=mixed,ou=groups,{ldap.config.base}", "member")
    assert [line for line in told.splitlines() if line.startswith("member:")] == ["member: cn=syncd,dc=district,dc=test"]


def test_members_follow_a_rename_where_the_server_does_not_see_to_it(slapd: PrivateSlapd, ldap_base: str) -> None:
    """R19: without referential integrity on the server, we rewrite our own edges."""
    ldap = dial(slapd, ldap_base, references_kept_by="syncd")
    wanted = ldap.canonical(account("a"))
    native_id = made(ldap, wanted)
    list(ldap.apply([Change(TargetName("t"), Kind.CREATE_GROUP, "", group="cn=g,ou=groups")], no_password))
    add = Change(TargetName("t"), Kind.ADD_MEMBER, "", native_id=native_id, before=place(wanted), group="cn=g,ou=groups")
    list(ldap.apply([add], no_password))
    after = replace(place(wanted), rdn="b")
    move = Change(TargetName("t"), Kind.MOVE, "", native_id=native_id, before=place(wanted), after=after)
    assert [o.result for o in ldap.apply([move], no_password)] == [Result.DONE]
    assert [group.members for group in ldap.read_groups(["cn=g,ou=groups"])] == [{native_id}]


@pytest.mark.parametrize("new_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("told_by", ["resolve", "apply"])
def test_members_follow_a_rename_whose_writer_was_killed_before_it_saw_to_them(
    slapd: PrivateSlapd, ldap_base: str, store: Store, told_by: str
) -> None:
    """R17, R19: the rename is there, its writer is not. Whoever learns of it, by asking or by sending it once more, ends it."""
    ldap = dial(slapd, ldap_base, group_class="posixGroup")
    wanted, group = ldap.canonical(account("a")), "cn=g,ou=groups"
    native_id = made(ldap, wanted)
    list(ldap.apply([Change(TargetName("t"), Kind.CREATE_GROUP, "", group=group)], no_password))
    add = Change(TargetName("t"), Kind.ADD_MEMBER, "", native_id=native_id, before=place(wanted), group=group)
    list(ldap.apply([add], no_password))
    after = replace(place(wanted), rdn="b")
    move = Change(TargetName("t"), Kind.MOVE, "", native_id=native_id, before=place(wanted), after=after)
    as_admin(slapd, "ldapmodrdn", "-r", f"uid=a,{wanted.container},{ldap.config.base}", "uid=b")
    assert [one.members for one in ldap.read_groups([group])] == [frozenset()]
    if told_by == "resolve":
        outcomes = [one for _, one in resolve(Target("t", ldap), SCOPE, [Intention(1, RunId("r1"), move)], store)]
        assert [(one.result, one.why) for one in outcomes] == [(Result.DONE, "")]
    else:
        assert [(one.result, one.why) for one in ldap.apply([move], no_password)] == [(Result.ALREADY, "")]
    assert [one.members for one in ldap.read_groups([group])] == [{native_id}]


def test_writing_outside_the_configured_containers_is_refused_with_the_setting(slapd: PrivateSlapd, ldap_base: str) -> None:
    """The reason names what to change, if it is to be changed."""
    ldap = dial(slapd, ldap_base, accounts_in=("OU=Students", "OU=Disabled"), groups_in=("OU=Groups",))
    inside, outside = (create(ldap, account("a", container)) for container in ("OU=Grade 07,OU=Students", "OU=Staff"))
    assert ldap.refuses(inside) == ""
    assert "accounts_in" in ldap.refuses(outside)
    park = Change(TargetName("t"), Kind.PARK, "", before=place(account("a")), after=place(account("a", "OU=Staff")))
    assert "accounts_in" in ldap.refuses(park)
    assert "groups_in" in ldap.refuses(Change(TargetName("t"), Kind.CREATE_GROUP, "", group="cn=x,ou=staff"))
    assert ldap.refuses(Change(TargetName("t"), Kind.ADD_MEMBER, "", before=place(account("a")), group="cn=x,ou=groups")) == ""


def test_pages_are_put_together_without_loss(slapd: PrivateSlapd, ldap_base: str) -> None:
    """Twenty-five accounts in pages of ten."""
    ldap = dial(slapd, ldap_base, page_size=10)
    list(ldap.apply([create(ldap, account(f"u{number}")) for number in range(25)], no_password))
    assert len({observed.native_id for observed in ldap.read(SCOPE)}) == 25


def test_an_attribute_the_server_does_not_know_is_an_error_not_a_miss(ldap: Ldap) -> None:
    """R7: a filter on an unknown attribute finds nobody, and nobody would then be found twice."""
    with pytest.raises(EndpointError, match="no attribute employeNumber; did you mean employeeNumber"):
        list(ldap.lookup([ByAttribute("employeNumber", "1")], SCOPE))
    with pytest.raises(EndpointError, match="no attribute nonsense"):
        list(ldap.read(Scope(frozenset({"nonsense"}))))


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=40).filter(str.strip)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXT, st.sets(TEXT, max_size=3), TEXT)
def test_whatever_a_person_is_called_the_diff_becomes_empty(ldap: Ldap, rdn: str, descriptions: set[str], family: str) -> None:
    """canonical(desired) == read(created), for any text in name and values; and updating to other text as well."""
    assume(not rdn.startswith("\\"))
    wanted = ldap.canonical(
        replace(
            account(rdn),
            attributes={"objectClass": ("inetOrgPerson",), "cn": ("x",), "sn": (family,), "description": tuple(descriptions)},
        )
    )
    (outcome,) = ldap.apply([create(ldap, wanted)], no_password)
    assume(outcome.failure is not Failure.INVALID)  # values equal under the server's rules are one too many for it, and it says so
    assert (outcome.result, outcome.why) == (Result.DONE, "")
    assert outcome.native_id
    ((_, observed),) = ldap.lookup([ById(outcome.native_id)], SCOPE)
    gone = Change(TargetName("t"), Kind.DELETE, "", native_id=outcome.native_id, before=place(wanted))
    assert [o.result for o in ldap.apply([gone], no_password)] == [Result.DONE]
    assert observed.account == wanted


def test_a_value_the_server_keeps_unique_is_name_taken(own_slapd: PrivateSlapd) -> None:
    """OpenLDAP's `unique` overlay and a taken name are one matter to the engine; the server's words say which value it is."""
    ldap = dial(own_slapd, "dc=district,dc=test")
    outcomes = list(ldap.apply([create(ldap, account("a", mail="x@y.test"))], no_password))
    outcomes += ldap.apply([create(ldap, account("b", "OU=Grade,OU=Students", mail="q@y.test"))], no_password)
    outcomes += ldap.apply([create(ldap, account("b", mail="X@y.test"))], no_password)
    assert [(o.result, o.failure) for o in outcomes] == [
        (Result.DONE, None),
        (Result.FAILED, Failure.NO_CONTAINER),
        (Result.FAILED, Failure.NAME_TAKEN),
    ]
    assert "x@y.test" in outcomes[-1].why.lower()


def test_the_unique_overlay_does_not_keep_an_account_from_moving_or_changing(own_slapd: PrivateSlapd) -> None:
    """The overlay searches with the write's own assertion and refuses what holds; a write on a stale account stays refused."""
    ldap = dial(own_slapd, "dc=district,dc=test")
    wanted = account("a", mail="x@y.test")
    [made] = ldap.apply([create(ldap, wanted)], no_password)
    before = place(wanted)
    renamed = replace(before, rdn="a2")
    mailed = [replace(renamed, attributes={"mail": (value,)}) for value in ("x@y.test", "z@y.test")]
    move = Change(TargetName("t"), Kind.MOVE, "", native_id=made.native_id, before=before, after=renamed)
    update = Change(TargetName("t"), Kind.UPDATE, "", native_id=made.native_id, before=mailed[0], after=mailed[1])
    stale = Change(TargetName("t"), Kind.MOVE, "", native_id=made.native_id, before=before, after=replace(before, rdn="a3"))
    outcomes = [outcome for change in (move, update, stale) for outcome in ldap.apply([change], no_password)]
    assert [outcome.result for outcome in outcomes[:2]] == [Result.DONE, Result.DONE]
    assert outcomes[2].failure in (Failure.STALE, Failure.NO_SUCH_OBJECT)
    [(_, observed)] = ldap.lookup([ById(made.native_id or NativeId(""))], SCOPE)
    assert (observed.account.rdn, observed.account.attributes["mail"]) == ("a2", ("z@y.test",))


def test_secrets_are_not_in_anything_printed(ldap: Ldap, slapd: PrivateSlapd) -> None:
    """Neither the connector, nor its configuration, nor what goes wrong shows the password it binds with."""
    list(ldap.read(SCOPE))
    shown = repr(ldap) + repr(ldap.config) + repr(vars(ldap))
    assert slapd.password() not in shown


def test_a_read_the_server_cuts_short_is_an_error(own_slapd: PrivateSlapd) -> None:
    """Lesson one: a read is complete or it is an error; here the server stops after five."""
    ldap = dial(own_slapd, fresh_base(own_slapd), page_size=3)
    list(ldap.apply([create(ldap, account(f"u{number}")) for number in range(9)], no_password))
    ldap.close()
    own_slapd.stop()
    config = own_slapd.folder / "conf" / "cn=config" / "olcDatabase={1}mdb.ldif"
    limits = "dn: olcDatabase={1}mdb,cn=config\nchangetype: modify\nadd: olcLimits\nolcLimits: users size=5\n"
    command = [own_slapd.binaries.slapd, "-Tmodify", "-n0", "-F", str(config.parent.parent)]
    subprocess.run(command, env=own_slapd.binaries.environment, input=limits, text=True, check=True)
    own_slapd.start()
    with pytest.raises(EndpointError, match="size limit exceeded"):
        list(ldap.read(SCOPE))
