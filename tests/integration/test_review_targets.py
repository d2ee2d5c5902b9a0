"""What a hostile, broken or unusual directory may do to us, and what must come of it. Real slapd, or a server that speaks badly."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.core.model import Account, Change, Failure, Kind, NativeId, PersonId, Result, TargetName
from syncd.demo.certificates import write_certificates
from syncd.demo.slapd import PrivateSlapd
from syncd.errors import EndpointError, TransientError
from syncd.targets import ById, Scope
from syncd.targets import ldap_ber as ber
from syncd.targets.ldap import Ldap, LdapConfig
from syncd.targets.target import Target
from syncd.vault import Credentials
from tests.conftest import Ldif, as_admin, config_for, fresh_base, run_as, write_secret
from tests.contract.target_contract import SCOPE, account, no_password, place

Answering = Callable[[ssl.SSLSocket, int, int], None]
"""Called for each request after the bind: the connection, the request's id, and its tag."""
OK = b"\x0a\x01\x00\x04\x00\x04\x00"


def answer(message_id: int, tag: int = 0x69, body: bytes = OK, tail: bytes = b"") -> bytes:
    """One message of a server."""
    return ber.message(message_id, ber.tlv(tag, body) + tail)


class RudeServer:
    """An LDAPS server that lets everybody in and answers as the test says."""

    def __init__(self, folder: Path, answering: Answering) -> None:
        write_certificates(folder, ["127.0.0.1"])
        write_secret(folder / "service.password", "secret")
        self._folder = folder
        self._answering = answering
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "server.pem", folder / "server.key")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.dialled = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def connector(self, **changed: object) -> Ldap:
        """A connector that talks to it."""
        told: dict[str, object] = {
            "urls": (f"ldaps://127.0.0.1:{self._listener.getsockname()[1]}",),
            "ca_file": str(self._folder / "ca.pem"),
            "bind_dn": "cn=syncd,dc=t",
            "credential": "service.password",
            "base": "dc=t",
            "receive_timeout": 2,
        }
        return Ldap("t", LdapConfig(**{**told, **changed}), Credentials(self._folder))  # type: ignore[arg-type]  # spelt by the tests

    def close(self) -> None:
        """Stop listening and hang up."""
        self._listener.close()
        for one in self._open:
            one.close()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
                secure = self._context.wrap_socket(plain, server_side=True)
            except OSError:
                return
            self.dialled += 1
            self._open.append(secure)
            threading.Thread(target=self._talk, args=(secure,), daemon=True).start()

    def _talk(self, secure: ssl.SSLSocket) -> None:
        buffer = bytearray()
        try:
            while chunk := secure.recv(65536):
                buffer += chunk
                while (length := ber.frame(buffer)) is not None:
                    message_id, tag = _request(bytes(buffer[:length]))
                    del buffer[:length]
                    if tag == 0x60:
                        secure.sendall(answer(message_id, 0x61))
                    else:
                        self._answering(secure, message_id, tag)
        except OSError:
            return


def _request(message: bytes) -> tuple[int, int]:
    (_, number), (tag, _), *_ = ber._elements(ber._element(message, 0)[1])
    return int.from_bytes(number, "big"), tag


@pytest.fixture
def rude(tmp_path: Path) -> Iterator[Callable[[Answering], RudeServer]]:
    """Makes rude servers that are gone when the test ends."""
    made: list[RudeServer] = []

    def make(answering: Answering) -> RudeServer:
        made.append(RudeServer(tmp_path, answering))
        return made[-1]

    yield make
    for server in made:
        server.close()


def creates(connector: Ldap, count: int, description: str = "some") -> list[Change]:
    """Changes that create so many accounts."""
    wanted = (connector.canonical(account(f"u{number}", description=description)) for number in range(count))
    return [Change(TargetName("t"), Kind.CREATE, "test", person=PersonId("p"), after=one) for one in wanted]


# --- a hostile or broken server -----------------------------------------------------------------------------------------

BROKEN = {
    "an empty code": lambda number: answer(number, body=b"\x0a\x00\x04\x00\x04\x00"),
    "an empty control": lambda number: answer(number, tail=b"\xa0\x02\x30\x00"),
    "an answer to a search": lambda number: answer(number, tag=0x65),
    "no LDAP at all": lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "an indefinite length": lambda _: b"\x30\x80\x02\x01\x01\x00\x00",
    "two gigabytes": lambda _: b"\x30\x84\x7f\xff\xff\xff",
    "a goodbye": lambda _: answer(0, tag=0x78, body=OK + b"\x8a\x161.3.6.1.4.1.1466.20036"),
    "somebody else's answer": lambda number: answer(number + 5000),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_leaves_every_change_in_flight_unknown(
    rude: Callable[[Answering], RudeServer], broken: Callable[[int], bytes]
) -> None:
    """R17: apply() never raises once it sent, never calls a change done on such an answer, and has one outcome for each."""
    connector = rude(lambda wire, number, tag: wire.sendall(broken(number)) if tag == 0x68 else None).connector()
    outcomes = list(connector.apply(creates(connector, 5), no_password))
    connector.close()
    assert len(outcomes) == 5
    assert {outcome.result for outcome in outcomes} <= {Result.UNKNOWN, Result.FAILED}
    assert {outcome.failure for outcome in outcomes if outcome.result is Result.FAILED} <= {Failure.WAITS}
    assert any(outcome.result is Result.UNKNOWN for outcome in outcomes)


def test_a_created_account_whose_id_is_nonsense_is_unknown(rude: Callable[[Answering], RudeServer]) -> None:
    """It may well exist: it is looked up, and apply() does not fall over."""
    control = ber.tlv(0x30, ber.tlv(4, ber.POST_READ.encode()) + ber.tlv(4, b"\x30\x00"))
    connector = rude(
        lambda wire, number, tag: wire.sendall(answer(number, tail=ber.tlv(0xA0, control))) if tag == 0x68 else None
    ).connector(receive_timeout=1)
    (outcome,) = connector.apply(creates(connector, 1), no_password)
    connector.close()
    assert outcome.result is Result.UNKNOWN


def test_answers_in_any_order_and_any_pieces_find_their_changes(rude: Callable[[Answering], RudeServer]) -> None:
    """Matched by id: the last asked may be answered first, a byte at a time or all in one TLS record."""
    held: list[int] = []

    def backwards(wire: ssl.SSLSocket, number: int, _tag: int) -> None:
        held.append(number)
        if len(held) == 20:
            identity = ber.tlv(0x30, ber.tlv(4, b"") + ber.tlv(0x30, ber._attribute("entryUUID", ["x"])))
            control = ber.tlv(0xA0, ber.tlv(0x30, ber.tlv(4, ber.POST_READ.encode()) + ber.tlv(4, identity)))
            told = b"".join(
                answer(one, body=OK if one % 2 else b"\x0a\x01\x44\x04\x00\x04\x00", tail=control) for one in held[::-1]
            )
            for byte in told[:100]:
                wire.sendall(bytes((byte,)))
            wire.sendall(told[100:])

    connector = rude(backwards).connector()
    outcomes = list(connector.apply(creates(connector, 20), no_password))
    connector.close()
    order = [outcome.change.after.rdn for outcome in outcomes if outcome.change.after]
    assert order == [f"u{number}" for number in reversed(range(20))]
    odd = {number % 2 for number in held[:1]}  # ids follow each other, so every other change was refused
    expected = [(Result.DONE if (index + (1 in odd)) % 2 else Result.FAILED) for index in range(20)]
    assert sorted(outcome.result for outcome in outcomes) == sorted(expected)


def test_a_server_that_stops_reading_is_given_up(rude: Callable[[Answering], RudeServer]) -> None:
    """Sending has a time limit too: what does not fit into anybody's buffers is unknown, not waited for for ever."""
    connector = rude(lambda *_: time.sleep(30)).connector(receive_timeout=1, window=200)
    started = time.monotonic()
    outcomes = list(connector.apply(creates(connector, 150, description="x" * 200_000), no_password))
    connector.close()
    assert time.monotonic() - started < 20
    assert len(outcomes) == 150
    assert {outcome.result for outcome in outcomes} <= {Result.UNKNOWN, Result.FAILED}


@pytest.mark.parametrize("start_tls", [False, True], ids=["ldaps", "starttls"])
def test_a_server_that_accepts_and_says_nothing_is_given_up(tmp_path: Path, start_tls: bool) -> None:
    """Neither the TLS handshake nor the question for it may wait for ever."""
    write_secret(tmp_path / "service.password", "secret")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"{'ldap' if start_tls else 'ldaps'}://127.0.0.1:{listener.getsockname()[1]}"
        config = LdapConfig(
            urls=(url,), bind_dn="cn=a", credential="service.password", base="dc=t", start_tls=start_tls, connect_timeout=1,
            receive_timeout=1,
        )  # fmt: skip
        started = time.monotonic()
        with pytest.raises(TransientError):
            list(Ldap("t", config, Credentials(tmp_path)).read(SCOPE))
    assert time.monotonic() - started < 5


def test_a_server_without_tls_never_hears_the_password(tmp_path: Path) -> None:
    """A StartTLS that is refused, or answered with success and no TLS, ends the connection before the bind."""
    write_secret(tmp_path / "service.password", "geheim-4711")
    heard = bytearray()
    for code in (b"\x02", b"\x00", b"\x34"):
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def serve(listener: socket.socket = listener, code: bytes = code) -> None:
                wire, _ = listener.accept()
                with wire:
                    wire.settimeout(2)
                    try:
                        while chunk := wire.recv(65536):
                            heard.extend(chunk)
                            if (length := ber.frame(bytes(chunk))) is not None and chunk[0] == 0x30:
                                number, tag = _request(chunk[:length])
                                reply = 0x78 if tag == 0x77 else 0x61
                                wire.sendall(answer(number, reply, b"\x0a\x01" + code + b"\x04\x00\x04\x00"))
                    except (OSError, ber.Malformed, ValueError):
                        return

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            config = LdapConfig(
                urls=(f"ldap://127.0.0.1:{listener.getsockname()[1]}",), bind_dn="cn=a", credential="service.password", base="dc=t",
                start_tls=True, connect_timeout=1, receive_timeout=1,
            )  # fmt: skip
            with pytest.raises((TransientError, EndpointError)):
                list(Ldap("t", config, Credentials(tmp_path)).read(SCOPE))
            thread.join(5)
    assert heard
    assert b"geheim" not in heard


# --- a real slapd -------------------------------------------------------------------------------------------------------


@pytest.fixture
def ldap(ldap_config: LdapConfig, credentials: Credentials) -> Iterator[Ldap]:
    """A connector on this test's own part of the tree."""
    connector = Ldap("t", ldap_config, credentials)
    yield connector
    connector.close()


def made(ldap: Ldap, wanted: Account, password: str | None = None) -> tuple[NativeId, Account]:
    """The id of the account just made, and the account as it was wanted."""
    told = ldap.canonical(wanted)
    change = Change(TargetName("t"), Kind.CREATE, "test", person=PersonId("p"), after=told)
    (outcome,) = ldap.apply([change], lambda _: password)
    assert outcome.native_id, outcome
    return outcome.native_id, told


def changed(kind: Kind, native_id: NativeId, before: Account, after: Account | None = None, group: str | None = None) -> Change:
    """A change to an account."""
    return Change(TargetName("t"), kind, "test", person=PersonId("p"), native_id=native_id, before=before, after=after, group=group)


def may_sign_in(slapd: PrivateSlapd, base: str, rdn: str, password: str) -> bool:
    """True where the directory lets this person in."""
    return run_as(slapd, f"uid={rdn},ou=Students,{base}", password, "ldapwhoami").returncode == 0


def test_an_account_created_disabled_cannot_sign_in_until_it_is_enabled(slapd: PrivateSlapd, ldap_base: str, ldap: Ldap) -> None:
    """pwdAccountLockedTime, on a server with a password policy: what syncd calls disabled, the server refuses."""
    native_id, told = made(ldap, account("kim", enabled=False), "First-passw0rd")
    assert not may_sign_in(slapd, ldap_base, "kim", "First-passw0rd")
    on = replace(place(told), enabled=True)
    (outcome,) = ldap.apply([changed(Kind.ENABLE, native_id, place(told), on)], no_password)
    assert outcome.result is Result.DONE
    assert may_sign_in(slapd, ldap_base, "kim", "First-passw0rd")
    (outcome,) = ldap.apply([changed(Kind.DISABLE, native_id, on, place(told))], no_password)
    assert outcome.result is Result.DONE
    assert not may_sign_in(slapd, ldap_base, "kim", "First-passw0rd")


def test_somebody_who_returns_signs_in_with_the_new_password_only(slapd: PrivateSlapd, ldap_base: str, ldap: Ldap) -> None:
    """Enabling and resetting are one request."""
    native_id, told = made(ldap, account("kim", enabled=False), "First-passw0rd")
    on = replace(place(told), enabled=True)
    (outcome,) = ldap.apply([changed(Kind.ENABLE, native_id, place(told), on)], lambda _: "Second-passw0rd")
    assert outcome.result is Result.DONE, outcome
    assert may_sign_in(slapd, ldap_base, "kim", "Second-passw0rd")
    assert not may_sign_in(slapd, ldap_base, "kim", "First-passw0rd")


def test_an_account_locked_by_wrong_passwords_is_still_disabled_for_good(slapd: PrivateSlapd, ldap_base: str, ldap: Ldap) -> None:
    """The server's own temporary lock is not our disabling, and does not stand in its way."""
    native_id, told = made(ldap, account("kim"), "First-passw0rd")
    for _ in range(6):
        may_sign_in(slapd, ldap_base, "kim", "wrong")
    off = replace(place(told), enabled=False)
    (outcome,) = ldap.apply([changed(Kind.DISABLE, native_id, place(told), off)], no_password)
    assert outcome.result is Result.DONE, outcome
    ((_, observed),) = ldap.lookup([ById(native_id)], Scope(frozenset()))
    assert not observed.account.enabled


def test_a_part_of_the_tree_on_another_server_is_an_error_not_an_absence(ldap_base: str, slapd: PrivateSlapd, ldap: Ldap) -> None:
    """Not read is not gone: a referral below the base hides whoever stands behind it."""
    made(ldap, account("kim"))
    as_admin(
        slapd, "ldapadd", "-M",
        ldif=f"dn: ou=Elsewhere,{ldap_base}\nobjectClass: referral\nobjectClass: extensibleObject\nou: Elsewhere\n"
        "ref: ldap://other.district.example/ou=Elsewhere,dc=other\n",
    )  # fmt: skip
    try:
        with pytest.raises(EndpointError, match="another server"):
            list(ldap.read(SCOPE))
    finally:  # other tests read this server from its top
        as_admin(slapd, "ldapdelete", "-M", f"ou=Elsewhere,{ldap_base}")


def test_a_rename_on_a_server_that_checks_uniqueness_keeps_its_groups(
    slapd: PrivateSlapd, ldap_base: str, credentials: Credentials
) -> None:
    """R19: the rename that had to be sent again without its assertion is followed by the groups like any other."""
    config = config_for(slapd, ldap_base, group_class="posixGroup")
    ldap = Ldap("t", config, credentials)
    posix = ("inetOrgPerson",)
    native_id, told = made(ldap, replace(account("kim"), attributes={**account("kim").attributes, "objectClass": posix}))
    group = Change(TargetName("t"), Kind.CREATE_GROUP, "test", group=ldap.canonical_group("cn=choir,ou=Groups"))
    list(ldap.apply([group], no_password))
    list(ldap.apply([changed(Kind.ADD_MEMBER, native_id, told, group=group.group)], no_password))
    after = replace(place(told), rdn="kimberly")
    (outcome,) = ldap.apply([changed(Kind.MOVE, native_id, place(told), after)], no_password)
    ldap.close()
    assert (outcome.result, outcome.why) == (Result.DONE, "")
    assert "memberUid: kimberly\n" in as_admin(slapd, "ldapsearch", "-LLL", "-b", f"cn=choir,ou=Groups,{ldap_base}", "memberUid")


def test_a_rename_retried_without_its_assertion_is_followed_as_well(
    ldif: Ldif, slapd: PrivateSlapd, credentials: Credentials
) -> None:
    """As before, in the part of the tree where this server's `unique` overlay looks for namesakes."""
    base = "dc=district,dc=test"
    ldap = Ldap("t", config_for(slapd, base, group_class="posixGroup"), credentials)
    name = f"kim{time.monotonic_ns()}"
    native_id, told = made(ldap, account(name))
    ldif(f"dn: cn=g{name},ou=Groups,{base}\nobjectClass: posixGroup\ncn: g{name}\ngidNumber: 77\nmemberUid: {name}\n")
    after = replace(place(told), rdn=f"{name}x")
    (outcome,) = ldap.apply([changed(Kind.MOVE, native_id, place(told), after)], no_password)
    members = as_admin(slapd, "ldapsearch", "-LLL", "-b", f"cn=g{name},ou=Groups,{base}", "memberUid")
    list(ldap.apply([changed(Kind.DELETE, native_id, after)], no_password))
    as_admin(slapd, "ldapdelete", f"cn=g{name},ou=Groups,{base}")
    ldap.close()
    assert outcome.result is Result.DONE, outcome
    assert f"memberUid: {name}x\n" in members


def test_a_privileged_group_is_never_written(slapd: PrivateSlapd, ldap_base: str, credentials: Credentials, ldif: Ldif) -> None:
    """R40: nobody becomes a member of what is never named by data, even where groups may be written beside it."""
    ldif(f"dn: cn=admins,ou=Groups,{ldap_base}\nobjectClass: groupOfNames\ncn: admins\nmember: {ldap_base}\n")
    ldap = Ldap("t", config_for(slapd, ldap_base, privileged_groups=("cn=admins,ou=Groups",)), credentials)
    native_id, told = made(ldap, account("kim"))
    add = changed(Kind.ADD_MEMBER, native_id, told, group=ldap.canonical_group("CN=Admins,OU=Groups"))
    refusal = ldap.refuses(add)
    (outcome,) = Target("t", ldap).apply([add], no_password)
    ldap.close()
    assert "privileged" in refusal
    assert outcome.failure is Failure.OUT_OF_SCOPE


def test_a_membership_is_given_to_the_account_meant_not_to_who_stands_there_now(
    slapd: PrivateSlapd, ldap_base: str, ldap: Ldap, ldif: Ldif
) -> None:
    """R18, R19: members are remembered by id. Somebody else put another account at the place we knew: it gets nothing."""
    native_id, told = made(ldap, account("kim"))
    ldif(f"dn: cn=staff,ou=Groups,{ldap_base}\nobjectClass: groupOfNames\ncn: staff\nmember: {ldap_base}\n")
    ldif(f"dn: uid=kim,ou=Students,{ldap_base}\nchangetype: modrdn\nnewrdn: uid=kim2\ndeleteoldrdn: 1\n")
    ldif(f"dn: uid=kim,ou=Students,{ldap_base}\nobjectClass: inetOrgPerson\ncn: Other\nsn: Other\nuid: kim\n")
    (outcome,) = ldap.apply([changed(Kind.ADD_MEMBER, native_id, told, group="cn=staff,ou=groups")], no_password)
    members = as_admin(slapd, "ldapsearch", "-LLL", "-b", f"cn=staff,ou=Groups,{ldap_base}", "member").lower()
    assert "uid=kim,ou=students" not in members
    assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.STALE)


def test_an_apply_that_is_abandoned_leaves_no_answers_for_the_next(ldap: Ldap) -> None:
    """A caller that stops listening half-way (its disk is full, it is told to end) does not spoil the connection."""
    first = ldap.apply(creates(ldap, 150), no_password)
    next(first)
    first.close()  # type: ignore[attr-defined]  # it is a generator
    native_id, told = made(ldap, account("later"))
    assert native_id
    assert told.rdn == "later"


def test_trouble_while_a_request_is_made_is_that_change_s_outcome(
    slapd: PrivateSlapd, ldap_base: str, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that was sent is sent again because a gidNumber could not be found for the next change."""
    ldap = Ldap("t", config_for(slapd, ldap_base, group_class="posixGroup"), credentials)
    wire = ldap._wires["ask"]

    def dead(*_: object) -> Iterator[object]:
        raise TransientError("gone")

    monkeypatch.setattr(wire, "search", dead)
    container = Change(TargetName("t"), Kind.CREATE_CONTAINER, "test", group="ou=new")
    group = Change(TargetName("t"), Kind.CREATE_GROUP, "test", group="cn=choir,ou=groups")
    outcomes = list(Target("t", ldap, patience=0.01).apply([*creates(ldap, 1), container, group], no_password))
    ldap.close()
    done = [(outcome.change.kind, outcome.result) for outcome in outcomes if outcome.change.kind is not Kind.CREATE_GROUP]
    # Two requests under way at once may be answered in either order (RFC 4511 section 3.1).
    assert sorted(done) == [(Kind.CREATE, Result.DONE), (Kind.CREATE_CONTAINER, Result.DONE)]
    assert [outcome.failure for outcome in outcomes if outcome.change.kind is Kind.CREATE_GROUP] == [Failure.WAITS]


@pytest.mark.parametrize("patience", [20.0, 0.2, 0.0], ids=["quick", "slow", "not waited for"])
def test_somebody_renamed_and_taken_out_of_a_group_in_one_run_is_out(
    ldap: Ldap, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    """R20: a campus change renames first and then takes out. slapd's refint rewrites members after it answered the rename.

    However long that takes in all: it is waited for as long as it goes on, and then done from here.
    """
    monkeypatch.setattr("syncd.targets.ldap_groups._PATIENCE", patience)
    group = ldap.canonical_group("cn=old,ou=groups")
    list(ldap.apply([Change(TargetName("t"), Kind.CREATE_GROUP, "test", group=group)], no_password))
    people = {o.native_id: o.change.after for o in ldap.apply(creates(ldap, 200), no_password) if o.native_id and o.change.after}
    list(ldap.apply([changed(Kind.ADD_MEMBER, one, told, group=group) for one, told in people.items()], no_password))
    moved = {one: replace(place(told), rdn=f"{told.rdn}x", container="ou=staff") for one, told in people.items()}
    moves = [changed(Kind.MOVE, one, place(told), moved[one]) for one, told in people.items()]
    assert {(outcome.result, outcome.why) for outcome in ldap.apply(moves, no_password)} == {(Result.DONE, "")}
    list(ldap.apply([changed(Kind.REMOVE_MEMBER, one, told, group=group) for one, told in moved.items()], no_password))
    for _ in range(30):
        (read,) = ldap.read_groups([group])
        time.sleep(0.1)
    assert read.members == frozenset()


def test_a_server_that_was_to_rewrite_members_and_does_not_is_waited_for_and_then_helped(
    own_slapd: PrivateSlapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R19: what refint had still to do when slapd was restarted, or where there is none, is done from here."""
    monkeypatch.setattr("syncd.targets.ldap_groups._PATIENCE", 0.2)
    own_slapd.stop()
    overlays = [*(own_slapd.folder / "conf").rglob("olcOverlay=*refint.ldif"), *(own_slapd.folder / "conf").rglob("*memberof.ldif")]
    assert len(overlays) == 2
    for overlay in overlays:
        overlay.unlink()
    own_slapd.start()
    ldap = Ldap("t", config_for(own_slapd, fresh_base(own_slapd)), Credentials(own_slapd.credentials))
    group = ldap.canonical_group("cn=old,ou=groups")
    list(ldap.apply([Change(TargetName("t"), Kind.CREATE_GROUP, "test", group=group)], no_password))
    people = {o.native_id: o.change.after for o in ldap.apply(creates(ldap, 120), no_password) if o.native_id and o.change.after}
    list(ldap.apply([changed(Kind.ADD_MEMBER, one, told, group=group) for one, told in people.items()], no_password))
    moves = [changed(Kind.MOVE, one, place(told), replace(place(told), rdn=f"{told.rdn}x")) for one, told in people.items()]
    assert {(outcome.result, outcome.why) for outcome in ldap.apply(moves, no_password)} == {(Result.DONE, "")}
    (read,) = ldap.read_groups([group])
    ldap.close()
    assert read.members == set(people)


@pytest.mark.parametrize("kept_by", ["server", "syncd"])
def test_a_rename_in_case_only_keeps_its_groups(
    slapd: PrivateSlapd, ldap_base: str, credentials: Credentials, kept_by: str
) -> None:
    """To the directory it is the same name: nobody loses a membership, and nothing is waited for."""
    ldap = Ldap("t", config_for(slapd, ldap_base, references_kept_by=kept_by), credentials)
    group = ldap.canonical_group("cn=g,ou=groups")
    list(ldap.apply([Change(TargetName("t"), Kind.CREATE_GROUP, "test", group=group)], no_password))
    native_id, told = made(ldap, account("kim"))
    list(ldap.apply([changed(Kind.ADD_MEMBER, native_id, told, group=group)], no_password))
    started = time.monotonic()
    (outcome,) = ldap.apply([changed(Kind.MOVE, native_id, place(told), replace(place(told), rdn="Kim"))], no_password)
    assert (outcome.result, outcome.why) == (Result.DONE, "")
    assert time.monotonic() - started < 3
    (read,) = ldap.read_groups([group])
    ldap.close()
    assert read.members == {native_id}


def test_a_secret_that_is_no_text_is_a_matter_for_a_human(slapd: PrivateSlapd, ldap_base: str, tmp_path: Path) -> None:
    """The file is named, what is in it is not."""
    write_secret(tmp_path / "service.password", b"geheim\xff\xfe")
    connector = Ldap("t", config_for(slapd, ldap_base), Credentials(tmp_path))
    with pytest.raises(EndpointError, match=r"service\.password") as raised:
        list(connector.read(SCOPE))
    assert "geheim" not in str(raised.value)
