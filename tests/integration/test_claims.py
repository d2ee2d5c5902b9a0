"""Claims on the real engine and store: who is let in, what is counted, and what a claim makes true (R23, R41)."""

from __future__ import annotations

import re
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from syncd.assembly import opened_claims
from syncd.control import Answer, Question, answer_line
from syncd.control.client import ask
from syncd.control.peers import Peer
from syncd.core.facts import FactKind
from syncd.core.health import Level
from syncd.core.lifecycle import State
from syncd.core.model import Change, Observed, Outcome, TargetName
from syncd.daemon.portal import PortalDesk, claim, portal
from syncd.engine.claiming import Accepted, Claiming, Done, Expired, Later, Locked, Refused, Wanting
from syncd.errors import EndpointError
from syncd.settings import load
from syncd.targets import Chosen, PasswordOf, Scope
from syncd.targets import Question as Asked
from syncd.targets.ldap_ad_config import ActiveDirectoryConfig
from syncd.targets.memory import Memory, MemoryConfig
from tests.fixtures.claims import (
    ADDRESS,
    BAO,
    FACTS,
    PASSWORD,
    S_NUMBER,
    SSN,
    claiming,
    claims_world,
    passwords,
    ticket,
    tries,
)
from tests.fixtures.engine_world import LDAP, PLACES, World, kinds, pupil
from tests.fixtures.health_states import health_of

WHO, WHY = "head (uid 1)", "asked for by the family"


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Six students whose accounts wait to be claimed."""
    with claims_world(tmp_path) as made:
        yield made


def state_of(district: World, key: str) -> tuple[str, bool]:
    """Where somebody stands, and whether their account is claimed."""
    person = district.person(key)
    found = district.store.persons([person])[person]
    return found.state, found.claimed


# --- a claim ----------------------------------------------------------------------------------------------------------


def test_who_proves_who_they_are_has_an_open_account_with_their_password(district: World) -> None:
    """Username and mail address are told then and not before; the next runs leave the account alone, whatever they are."""
    assert not district.account("s1").enabled
    desk = claiming(district)
    done = desk.set_password(ticket=ticket(desk), password=PASSWORD)
    username = district.account("s1").rdn
    assert done == Done(username, f"{username}@students.lonestar.example.org", (LDAP,))
    assert district.account("s1").enabled
    assert passwords(district)["s1"] == PASSWORD
    assert isinstance(district.memory.passwords[district.native("s1")], Chosen)  # which a target may take hashed
    assert state_of(district, "s1") == (State.UNCLAIMED, True)
    for kind in ("delta", "reconcile", "delta"):
        planned = district.day(kind=kind)
        assert kinds(planned, district.person("s1")) == []
    assert state_of(district, "s1") == (State.ACTIVE, True)
    assert (district.account("s1").enabled, district.account("s3").enabled) == (True, False)
    assert passwords(district)["s1"] == PASSWORD


def test_the_audit_names_the_claim_and_none_of_its_facts(district: World) -> None:
    """Nor does any file of the state folder: neither digits nor birth date, in any spelling, nor the password."""
    desk = claiming(district)
    desk.set_password(ticket=ticket(desk), password=PASSWORD)
    tries(desk, given="Bao", family="Phan", birth_date="03/04/2011", last4="0938")
    person = district.person("s1")
    entries = [entry for entry in district.store.audit.entries(person) if entry.kind == "claim"]
    assert [(entry.actor, entry.contents) for entry in entries] == [("portal", {"target": "ldap"})]
    assert not district.store.audit.verify().problems
    copy = district.folder / "state" / "a.backup"
    district.store.backup(copy)
    kept = {path: path.read_bytes() for path in district.state.rglob("*") if path.is_file()}
    told = repr([district.store.audit.entries(), district.store.journal()])
    for text in (SSN, S_NUMBER, "0938", "2012-07-23", "07/23/2012", "20120723", "2011-03-04", "03/04/2011", PASSWORD):
        word = re.compile(rf"(?<![0-9A-Za-z]){re.escape(text)}(?![0-9A-Za-z])")
        assert [path.name for path, content in kept.items() if word.search(content.decode("latin-1"))] == []
        assert not word.search(told), text


def test_who_has_no_social_security_number_claims_with_the_other_one(district: World) -> None:
    """The first number on file is asked for, and no other one will do."""
    desk = claiming(district)
    bao = {"given": "Bao", "family": "Phan", "birth_date": f"{BAO.birth:%m/%d/%Y}"}
    assert isinstance(tries(desk, **bao, last4="4471"), Accepted)
    assert isinstance(tries(desk, last4=S_NUMBER), Refused)


def test_a_ticket_is_good_for_one_account_and_some_minutes(district: World) -> None:
    """A refused password leaves it good; once the account is open, or after ten minutes, it is good for nothing."""
    desk = claiming(district)
    held, second = ticket(desk), ticket(desk)
    wanting = desk.set_password(ticket=held, password="maria 2012")
    assert isinstance(wanting, Wanting)
    assert [one.code for one in wanting.reasons] == ["min_length", "no_name", "no_birth_year"]
    assert isinstance(desk.set_password(ticket=held, password=f"blue boats {SSN} sail"), Wanting)
    assert isinstance(desk.set_password(ticket="x" * 43, password=PASSWORD), Expired)
    district.clock.now += timedelta(minutes=10)
    assert isinstance(desk.set_password(ticket=held, password=PASSWORD), Expired)
    third, fourth = ticket(desk), ticket(desk)
    assert isinstance(desk.set_password(ticket=third, password=PASSWORD), Done)
    for one in (second, third, fourth):
        assert isinstance(desk.set_password(ticket=one, password="another kayak 62"), Expired)
    assert passwords(district)["s1"] == PASSWORD


def test_who_returns_after_a_long_absence_claims_again(district: World) -> None:
    """The account that was closed and parked waits for them at its old place, under its old name, closed to the old password."""
    desk = claiming(district)
    desk.set_password(ticket=ticket(desk), password=PASSWORD)
    before, student = district.account("s1").rdn, district.roster.students["s1"]
    district.day()
    district.leave("s1")
    for days in (1, 6, 6, 31):
        district.day(days)
        district.students(replace(district.roster.students["s3"], given=f"Cleo{days}"))  # another roster, without them
    assert (district.account("s1").enabled, isinstance(tries(desk), Refused)) == (False, True)
    district.students(student)
    district.day()
    assert (state_of(district, "s1"), district.account("s1").enabled) == ((State.UNCLAIMED, False), False)
    done = desk.set_password(ticket=ticket(desk), password="another kayak 62")
    assert isinstance(done, Done)
    assert (done.username, passwords(district)["s1"], district.account("s1").enabled) == (before, "another kayak 62", True)


# --- who cannot claim (R41) -------------------------------------------------------------------------------------------


def is_refused(district: World) -> bool:
    """Whether s1, who types everything rightly, is refused and nothing of their account changes."""
    before = district.everything()
    found = tries(claiming(district))
    return isinstance(found, Refused) and district.everything() == before


def test_nobody_claims_twice(district: World) -> None:
    """The facts never set the password of an enabled account, nor of a claimed one that we have closed since."""
    desk, person = claiming(district), district.person("s1")
    desk.set_password(ticket=ticket(desk), password=PASSWORD)
    assert is_refused(district)
    district.engine.facts.lock(person, WHO, WHY)
    district.engine.facts.end(person, FactKind.LOCK, WHO, WHY)
    assert not district.account("s1").enabled
    assert is_refused(district)
    district.day()
    assert is_refused(district)


def test_an_account_that_somebody_else_opened_is_not_claimed(district: World) -> None:
    """Neither when the store does not know of it yet, nor afterwards."""
    desk = claiming(district)
    held = ticket(desk)
    district.alter("s1", enabled=True)
    before = district.everything()
    assert isinstance(desk.set_password(ticket=held, password=PASSWORD), Expired)
    assert district.everything() == before
    assert not district.store.claims.waits()
    for enabled in (True, False):  # and whoever closes it again does not give it back to the page (R33)
        district.alter("s1", enabled=enabled)
        district.day(kind="reconcile")
        assert is_refused(district)


@pytest.mark.parametrize("kind", [FactKind.LOCK, FactKind.FREEZE])
def test_who_is_locked_or_frozen_cannot_claim(district: World, kind: FactKind) -> None:
    """Nor with a ticket from before (R33)."""
    desk = claiming(district)
    held, person = ticket(desk), district.person("s1")
    if kind is FactKind.LOCK:
        district.engine.facts.lock(person, WHO, WHY)
    else:
        district.engine.facts.freeze(person, district.clock.today, WHO, WHY)
    assert isinstance(desk.set_password(ticket=held, password=PASSWORD), Expired)
    assert is_refused(district)


def test_an_account_waits_for_its_owner_only_so_long(tmp_path: Path) -> None:
    """After the window somebody has to help."""
    with claims_world(tmp_path, more="  window: 30 days") as district:
        district.clock.advance(29)
        assert isinstance(tries(claiming(district)), Accepted)
        district.clock.advance()
        assert is_refused(district)


def test_staff_and_whoever_left_cannot_claim(district: World) -> None:
    """Only populations that claim do, and only who is in the roster."""
    assert isinstance(tries(claiming(district)), Accepted)
    district.leave("s1")
    district.day()
    assert is_refused(district)
    assert isinstance(tries(claiming(district), given="Noa", family="Nashson"), Refused)


# --- wrong tries ------------------------------------------------------------------------------------------------------

ABSENT = {"given": "Nobody", "family": "Atall", "birth_date": "07/24/2012", "last4": "0000"}
WRONG: dict[str, dict[str, str]] = {
    "there": {"last4": "0000"},
    "not there": ABSENT,
    "right digits, wrong day": {"birth_date": "07/24/2012"},
    "right digits, wrong name": {"given": "Other"},
}


def test_the_fifth_wrong_try_locks_whether_there_is_such_a_person_or_not(district: World) -> None:
    """The same five answers, the same lock, the same quarter of an hour; a new process remembers; ten close it for good."""
    for minutes, told in ((0, [Refused()] * 5 + [Locked(15)]), (15, [Refused()] * 5 + [Locked(15)]), (15, [Refused()])):
        district.clock.now += timedelta(minutes=minutes)
        desk = claiming(district)
        assert {what: [tries(desk, **typed) for _ in told] for what, typed in WRONG.items()} == dict.fromkeys(WRONG, told)


def test_the_unlocked_try_after_fifteen_minutes_works(district: World) -> None:
    """Not one second before."""
    desk = claiming(district)
    assert [tries(desk, last4="0000") for _ in range(5)] == [Refused()] * 5
    district.clock.now += timedelta(minutes=14, seconds=59)
    assert tries(desk) == Locked(1)
    district.clock.now += timedelta(seconds=1)
    assert isinstance(tries(desk), Accepted)


def test_tolerated_spellings_do_not_dodge_the_counter_and_do_not_show_that_there_is_somebody(district: World) -> None:
    """Another spelling is refused like a name nobody has, even with the right digits, and nothing was compared."""
    desk = claiming(district)
    for _ in range(5):
        tries(desk, last4="0000")
    spelt = {"family": "García López"}
    assert tries(desk, **spelt) == Refused() == tries(desk, **ABSENT)
    district.clock.now += timedelta(minutes=15)
    assert isinstance(tries(desk, **spelt), Accepted)


def test_playing_with_the_page_touches_no_account_that_is_claimed(district: World) -> None:
    """Wrong tries from many addresses at somebody who has claimed change nothing of theirs."""
    desk = claiming(district)
    desk.set_password(ticket=ticket(desk), password=PASSWORD)
    before = district.everything()
    for number in range(11):
        tries(desk, address=f"198.51.100.{number}", last4=f"{number:04}")
    assert district.everything() == before
    assert district.day(kind="reconcile").plans[LDAP].changes == ()


def test_somebody_who_helps_takes_the_wrong_tries_back(district: World) -> None:
    """That is on the chain, with who and why; the person can claim at once."""
    desk, person = claiming(district), district.person("s1")
    for minutes in (0, 15):
        district.clock.now += timedelta(minutes=minutes)
        for _ in range(5):
            tries(desk, last4="0000")
    district.clock.now += timedelta(minutes=15)
    assert tries(desk) == Refused()
    assert district.store.claims.release(person, WHO, WHY, district.clock()) == 11
    assert isinstance(tries(desk), Accepted)
    (entry,) = [entry for entry in district.store.audit.entries(person) if entry.kind == "claim released"]
    assert (entry.actor, entry.contents) == (WHO, {"because": WHY, "wrong": 11})


def test_a_network_and_the_district_run_out_and_open_again(tmp_path: Path) -> None:
    """From another network the others go on; over all of them the day ends, until it is over or somebody looked."""
    with claims_world(tmp_path, more="  limits: { network: 3, district: 5 }") as district:
        desk = claiming(district)

        def guess(number: int, address: str) -> object:
            return tries(desk, address=address, given=f"Name{chr(97 + number)}")

        assert [guess(number, "192.0.2.7") for number in range(4)] == [Refused()] * 3 + [Locked(60)]
        assert isinstance(tries(desk, address="2001:db8:1:2::3"), Accepted)
        assert [guess(number, "2001:db8:1:2::4") for number in (5, 6)] == [Refused()] * 2
        assert guess(7, "203.0.113.9") == Locked(24 * 60)
        reason = next(one for one in health_of(district).reasons if one.where == "portal")
        assert (reason.level, reason.why.partition(":")[0]) == (
            Level.CRITICAL,
            "5 wrong tries at claiming in a day, and 1 right ones",
        )
        district.store.claims.reopen(WHO, WHY, district.clock())
        assert guess(7, "203.0.113.9") == Refused()
        assert [one for one in health_of(district).reasons if one.where == "portal"] == []


NO_TRY: list[dict[str, str]] = [
    *({"birth_date": "7/23/2012"}, {"last4": "831"}, {"given": " "}, {"family": "x" * 101}, {"given": "A\nB"}, {"address": "here"}),
]


def test_what_no_page_sends_on_is_no_try(district: World) -> None:
    """It is told apart from a refusal, and not counted."""
    desk = claiming(district)
    for typed in NO_TRY * 11:
        with pytest.raises(ValueError, match=r"no such claim|does not appear"):
            tries(desk, **typed)
    assert isinstance(tries(desk), Accepted)


def test_nobody_but_the_portal_s_user_is_answered_at_its_socket(district: World) -> None:
    """Not even the daemon's own user, where there is one for the portal: before a byte of the question is read."""
    path = district.folder / "portal.sock"
    settings = district.config.portal
    assert settings is not None

    def serve(_peer: Peer, question: Question) -> Answer:
        raise AssertionError(question.verb)

    with portal(replace(settings, socket=path, user="nobody"), PortalDesk(lambda: district.config, district.clock), serve):
        answer = ask(path, Question("terms"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert answer is not None
    assert (answer.code, answer.value) == (77, None)
    assert "is not the user that `user` in config/portal.yaml names" in answer.lines[0].text


@pytest.mark.parametrize("name", ["syncd@district.test", "CN=syncd,OU=Service,DC=district,DC=test"])
def test_claims_are_signed_in_for_whichever_way_the_runs_account_is_named(district: World, name: str) -> None:
    """A domain takes a principal name as well as a place."""
    options = ActiveDirectoryConfig(urls=("ldaps://127.0.0.1:1",), bind_dn=name, credential="runs", base="DC=district,DC=test")
    targets = {LDAP: replace(district.config.targets[LDAP], kind="active_directory", options=options)}
    with opened_claims(replace(district.config, targets=targets), clock=district.clock) as desk:
        assert isinstance(tries(desk), Accepted)


# --- nobody learns whether there is somebody ----------------------------------------------------------------------------


def test_whoever_is_refused_is_refused_in_the_same_bytes_after_the_same_questions(district: World) -> None:
    """There or not, claimed or not, right name with a wrong date, right digits of somebody else: what is asked of the store too."""
    desk = claiming(district)
    bao = {"given": "Bao", "family": "Phan", "birth_date": "03/04/2011", "last4": "4471"}
    found = tries(desk, **bao)
    assert isinstance(found, Accepted)
    desk.set_password(ticket=found.ticket, password=PASSWORD)
    for _ in range(5):
        tries(desk, last4="0000")
    cleo = {"given": "Cleo", "family": "Cruz", "birth_date": f"{district.roster.students['s3'].birth:%m/%d/%Y}"}
    cases: dict[str, dict[str, str]] = {
        "claimed, right": bao,
        "claimed, wrong": {**bao, "last4": "0000"},
        "locked as a person, another spelling, right": {"family": "García López"},
        "waits, wrong": {**cleo, "last4": "0000"},
        "waits, another's digits": cleo,
        "nobody": ABSENT,
        "a day nobody was born on": {**ABSENT, "birth_date": "02/29/2012"},
        "staff": {"given": "Noa", "family": "Nashson", "birth_date": "01/05/1980"},
    }
    told: dict[str, bytes] = {}
    asked: dict[str, list[str]] = {}

    def note(*arguments: object) -> None:
        asked[case].append(f"{arguments[2]} {len(arguments[3])}")  # type: ignore[arg-type]  # its parameters, of one row or many

    event.listen(Engine, "before_cursor_execute", note)
    try:
        for case, typed in cases.items():
            asked[case] = []
            told[case] = answer_line(claim(desk, **{**FACTS, "address": ADDRESS, **typed}))
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert set(told.values()) == {answer_line(Answer(value={"outcome": "refused"}))}, told
    assert len(asked["nobody"]) > 20
    assert {case: lines for case, lines in asked.items() if lines != asked["nobody"]} == {}


# --- runs beside claims -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["delta", "reconcile"])
def test_a_run_that_had_read_somebody_before_they_claimed_does_not_take_it_back(district: World, kind: str) -> None:
    """Planned before, with a change of theirs, and applied after: they stay claimed, and the next run makes them active."""
    district.students(replace(district.roster.students["s1"], grade="08"), pupil(4, given="Else"))
    planned = district.engine.plan("main", kind)
    desk = claiming(district)
    desk.set_password(ticket=ticket(desk), password=PASSWORD)
    applied = district.engine.apply(planned)
    assert applied is not None
    assert not applied.failed
    assert state_of(district, "s1") == (State.UNCLAIMED, True)
    district.day()
    assert state_of(district, "s1") == (State.ACTIVE, True)
    assert district.account("s1").enabled


# --- a target that is away --------------------------------------------------------------------------------------------


class Mortal(Memory):
    """The memory directory, which can be away."""

    away = False

    def lookup(self, questions: Collection[Asked], scope: Scope) -> Iterator[tuple[Asked, Observed]]:
        """As the directory does, if it is there."""
        if self.away:
            raise EndpointError("ldap", "connection refused")
        return super().lookup(questions, scope)

    def apply(self, changes: Iterable[Change], password: PasswordOf) -> Iterator[Outcome]:
        """As the directory does, if it is there."""
        if self.away:
            raise EndpointError("ldap", "connection refused")
        return super().apply(changes, password)


def mortal(district: World) -> Mortal:
    """The same directory from now on, but one that can be away."""
    district.memory.__class__ = Mortal
    assert isinstance(district.connector, Mortal)
    return district.connector


def test_a_directory_that_is_away_leaves_the_ticket_good(district: World) -> None:
    """Once it is back, the same ticket opens the account; nothing of the password is kept meanwhile."""
    memory, desk = mortal(district), claiming(district)
    held = ticket(desk)
    memory.away = True
    assert isinstance(desk.set_password(ticket=held, password=PASSWORD), Later)
    memory.away = False
    assert isinstance(desk.set_password(ticket=held, password=PASSWORD), Done)
    assert passwords(district)["s1"] == PASSWORD
    assert not district.store.claims.waits()


# --- further targets --------------------------------------------------------------------------------------------------

MAIL = TargetName("mail")


@pytest.fixture
def both(district: World) -> World:
    """A second directory of the same people behind the first one, with an account of s1 that waits as well, and is away."""
    folder = district.folder
    settings, portal = folder / "config" / "syncd.yaml", folder / "config" / "portal.yaml"
    text = settings.read_text(encoding="utf-8")
    start, end = text.index("  ldap:\n    kind: memory"), text.index("pipelines:")
    mail = text[start:end].replace("  ldap:", "  mail:").replace("directory.json", "mail.json")
    settings.write_text(text[:end] + mail + text[end:].replace("[ldap]", "[ldap, mail]"), encoding="utf-8")
    mapping = (folder / "mappings" / "ldap.yaml").read_text(encoding="utf-8")
    (folder / "mappings" / "mail.yaml").write_text(mapping.replace("target: ldap", "target: mail"), encoding="utf-8")
    claims = portal.read_text(encoding="utf-8")
    portal.write_text(claims.rstrip("\n") + '\n    mail: { credential: claims, bind_dn: "cn=claims,dc=test" }\n', encoding="utf-8")
    district.others[MAIL] = Mortal("mail", MemoryConfig(containers=PLACES))
    district.reopen(load(folder))
    district.clock.advance()
    district.sync("reconcile", first=True)
    mail_of(district).away = True
    return district


def mail_of(district: World) -> Mortal:
    """The second directory."""
    found = district.others[MAIL]
    assert isinstance(found, Mortal)
    return found


def mailbox(district: World) -> tuple[bool, str]:
    """Whether the account of s1 there is open, and its password."""
    native = district.store.known(MAIL)[district.person("s1")].native_id
    memory = mail_of(district)
    return memory.accounts[native].enabled, memory.passwords.get(native, "")


def claims_where_one_is_away(district: World) -> Claiming:
    """s1 claims; the answer says where their password works."""
    desk = claiming(district, district.others)
    done = desk.set_password(ticket=ticket(desk), password=PASSWORD)
    assert isinstance(done, Done)
    assert (done.works, done.later) == ((LDAP,), (MAIL,))
    assert (passwords(district)["s1"], mailbox(district)[0]) == (PASSWORD, False)
    kept = {path.name: path.read_bytes() for path in district.state.rglob("*") if path.is_file()}
    assert [name for name, content in kept.items() if PASSWORD.encode() in content] == []
    return desk


def test_a_further_target_that_is_away_gets_the_password_when_it_is_back(both: World) -> None:
    """It waits sealed; the claim is done where people sign in; paid, nothing waits any more."""
    desk = claims_where_one_is_away(both)
    assert desk.pay() == 1
    mail_of(both).away = False
    assert desk.pay() == 0
    assert mailbox(both) == (True, PASSWORD)
    assert not both.store.claims.waits()


def test_a_password_that_waits_for_too_long_is_destroyed(both: World) -> None:
    """After half an hour the target may come back as it likes."""
    desk = claims_where_one_is_away(both)
    mail_of(both).away = False
    both.clock.now += timedelta(minutes=30)
    assert desk.pay() == 0
    assert not both.store.claims.waits()
    assert mailbox(both)[1] != PASSWORD


def test_a_run_that_opens_the_further_account_takes_the_password_along(both: World) -> None:
    """Whoever comes first: there is no moment at which it is open to a password that nobody chose."""
    claims_where_one_is_away(both)
    mail_of(both).away = False
    both.sync()
    assert mailbox(both) == (True, PASSWORD)
    assert isinstance(mail_of(both).passwords[both.store.known(MAIL)[both.person("s1")].native_id], Chosen)
    assert not both.store.claims.waits()
