"""Two persons known to the store are one, as a human says: the one with the older account stays (R6, R9, R35)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.core.facts import FactKind
from syncd.core.model import Account, Change, Kind, NativeId, Outcome, Result, RunId, TargetName
from syncd.core.resolution import Verb
from syncd.demo.roster import Student
from syncd.demo.slapd import PrivateSlapd
from syncd.engine.deciding import Answer
from syncd.errors import ChangeError, EndpointError
from syncd.store import Known
from syncd.store.history import password_context
from syncd.targets.ldap import Ldap
from syncd.vault import Credentials
from tests.conftest import as_admin, config_for
from tests.fixtures.engine_world import LDAP, World, found, kinds, pupil, told, world

ANA = "ana (uid 1)"
ADA = pupil(1)


BOTH = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """The URL of the store on PostgreSQL, where it is asked for; empty for a file in the district's folder."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return ""
    url: str = request.getfixturevalue("postgres").fresh(request.getfixturevalue("migrated_database"))
    return url


@pytest.fixture
def district(tmp_path: Path, database: str) -> Iterator[World]:
    """Six students and three staff, with their accounts; Ada is there twice, and nothing in her second row told so."""
    with world(tmp_path, database=database) as made:
        made.begin()
        made.students(again())
        made.day()
        yield made


def again(**changed: object) -> Student:
    """Ada under another key and number, as she is called now."""
    return replace(ADA, key="n1", number="70001", given="Ada", family="Abbott", birth=pupil(9).birth, **changed)  # type: ignore[arg-type]  # the callers spell the fields


def merge(district: World, one: str, other: str, because: str = "one child") -> list[str]:
    """Somebody says that two persons are one; what was wrong with that."""
    deciding = district.engine.deciding
    checked = deciding.check([Answer(one, Verb.MERGE, other, because)], ANA)
    if not checked.problems:
        deciding.remember(checked.answers)
    return [problem.why for problem in checked.problems]


def settles(district: World) -> None:
    """Nothing more is to be done, in a second run, over everybody, and read back; and not a month later, but for parking."""
    for kind in ("delta", "everything", "reconcile"):
        assert told(district.plan(kind)) == [], kind


@BOTH
def test_the_older_account_stays_and_the_other_is_closed_like_a_leavers(district: World) -> None:
    """Whichever is named first. Records and names go over; the second account loses groups and access, and nothing else."""
    older, newer = district.person("s1"), district.person("n1")
    first, second = district.native("s1"), district.native("n1")
    names = {row.name for row in district.store.ledger(holder=newer)}
    before = district.memory.accounts[second]
    assert merge(district, older, newer) == []
    planned, applied = district.sync()
    assert not applied.failed
    assert district.person("n1") == district.person("s1") == older
    assert district.store.linked(LDAP)[first] == older
    assert district.store.linked(LDAP)[second] == newer
    assert set(kinds(planned, newer)) == {Kind.DISABLE, Kind.REMOVE_MEMBER}
    assert district.memory.accounts[second] == replace(before, enabled=False)
    assert district.memory.accounts[first].enabled
    assert names <= {row.name for row in district.store.ledger(holder=older)}
    assert district.store.ledger(holder=newer) == []
    settles(district)
    journalled = [(row.change.kind, row.result) for row in district.store.journal(person=newer) if row.run == planned.run]
    assert (Kind.DISABLE, "done") in journalled


def test_the_records_of_both_make_the_account_from_then_on(district: World) -> None:
    """When the old row is gone, the new one alone tells; the account is the same."""
    native = district.native("s1")
    merge(district, district.person("n1"), district.person("s1"))
    district.sync()
    district.leave("s1")
    for number in range(3):  # as many rosters, and days, as grace takes
        district.students(again(grade=f"0{number + 4}"))
        district.day(5)
    account = district.memory.accounts[native]
    assert (account.enabled, account.attributes["employeeNumber"], account.attributes["sn"]) == (True, ("70001",), ("Abbott",))
    assert found(district.plan("reconcile"), "disputed") == []
    settles(district)


def test_data_never_writes_the_second_account_again(district: World) -> None:
    """Whatever the roster tells of her, and whoever resembles her; a month later it is parked, as a leaver's is."""
    newer, second = district.person("n1"), district.native("n1")
    merge(district, newer, district.person("s1"))
    district.sync()
    closed = district.memory.accounts[second]
    district.students(again(grade="07"), replace(ADA, family="Abbott"))
    for kind in ("delta", "reconcile"):
        planned = district.day(kind=kind)
        assert kinds(planned, newer) == []
        assert district.memory.accounts[second] == closed
    planned = district.day(40)
    assert kinds(planned, newer) == [Kind.PARK]
    assert district.memory.accounts[second].container == "ou=disabled"
    settles(district)


@BOTH
def test_an_account_on_a_target_where_the_other_has_none_is_linked(district: World) -> None:
    """Nothing is closed there: it is theirs now, and so is the first password that waits to be handed out."""
    older, newer = district.person("s1"), district.person("n1")
    account, elsewhere = Account("ada@abbott", "", enabled=True, attributes={}, groups=frozenset({"g"})), TargetName("mail")
    district.store.link(RunId("r1"), [Known(newer, elsewhere, NativeId("m7"), "created", account, disabled_by_us=False)])
    create = Change(elsewhere, Kind.CREATE, "", newer, after=account)
    sealed = district.vault.seal(b"secret", password_context(elsewhere, newer))
    expires = district.clock.now + timedelta(days=9)
    seqs = district.store.intend(RunId("r1"), [create], {0: (sealed, expires)}, district.clock.now)
    district.store.record(RunId("r1"), [(seqs[0], Outcome(create, Result.DONE, NativeId("m7")))], district.clock.now)
    assert merge(district, older, newer) == []
    assert district.store.linked(elsewhere) == {"m7": older}
    assert district.store.known(elsewhere)[older].account.groups == frozenset()
    [letter] = [one for one in district.store.sealed_passwords(district.clock.now) if one.target == elsewhere]
    assert letter.person == older
    assert district.vault.open(letter.sealed, password_context(elsewhere, older)) == b"secret"


def test_it_is_on_the_chain_and_told_by_explain_and_history(district: World) -> None:
    """Who said it and why, of both, for ever."""
    older, newer = district.person("s1"), district.person("n1")
    merge(district, older, newer, because="same birth certificate")
    entries = [one for one in district.store.audit.entries() if one.kind == "resolution"]
    assert [(one.person, one.actor) for one in entries] == [(newer, ANA), (older, ANA)]
    assert {(one.contents or {})["because"] for one in entries} == {"same birth certificate"}
    assert district.store.audit.verify().problems == ()
    for key in (older, newer):
        [story] = district.engine.explain(key)
        assert [(one.verb, one.subject, one.candidate) for one in story.decisions] == [(Verb.MERGE, newer, older)]


@BOTH
def test_it_is_taken_back_until_a_run_has_been_applied(district: World) -> None:
    """Then everything is whose it was; afterwards it cannot be taken apart, and says since when."""
    older, newer = district.person("s1"), district.person("n1")
    before = everything(district)
    merge(district, older, newer)
    district.plan()
    assert [one.candidate for one in district.engine.deciding.withdraw(newer, ANA, "two children after all")] == [older]
    assert everything(district) == before
    assert told(district.plan()) == []
    merge(district, older, newer)
    planned, _ = district.sync()
    with pytest.raises(EndpointError, match=f"{planned.run} has been applied since, with what was theirs as {older}'s"):
        district.engine.deciding.withdraw(newer, ANA, "two children after all")


def everything(district: World) -> list[object]:
    """Whose everything is."""
    store = district.store
    names = {person: dict(mine) for person, mine in store.names().items()}
    states = {person: (one.likeness, one.given) for person, one in store.persons().items()}
    return [store.keys_of(), store.linked(LDAP), names, sorted(store.ledger(), key=lambda row: row.name), states]


def test_a_record_that_was_said_to_be_the_others_is_theirs(district: World) -> None:
    """And whoever resembles the one who went is asked about as the one who stays."""
    older, newer = district.person("s1"), district.person("n1")
    district.students(pupil(8, key="x8", given="Ada", family="Abbott", birth=pupil(9).birth))
    district.sync()
    checked = district.engine.deciding.check([Answer("sis/x8", Verb.MERGE, newer, "she")], ANA)
    assert district.engine.deciding.remember(checked.answers) == 1
    merge(district, older, newer)
    district.sync()
    assert district.person("x8") == older
    district.leave("s1")
    district.day()
    district.students(pupil(10, key="x10", given="Ada", family="Abbott", birth=pupil(9).birth))
    district.day()
    [question] = district.engine.deciding.questions()
    assert (question.subject, list(question.candidates)) == ("sis/x10", [older])
    checked = district.engine.deciding.check([Answer("sis/x10", Verb.MERGE, newer, "she")], ANA)
    assert [one.candidate for answer in checked.answers for one in answer] == [older]


def test_a_lock_shuts_out_both(district: World) -> None:
    """R33: whoever is locked afterwards has no second account that is open; one alone cannot be locked when they become one."""
    older, newer = district.person("s1"), district.person("n1")
    facts = district.engine.facts
    facts.lock(newer, ANA, "stolen phone")
    [why] = merge(district, older, newer)
    assert f"{newer} is locked and {older} is not" in why
    facts.end(newer, FactKind.LOCK, ANA, "found")
    assert merge(district, older, newer) == []
    shut = facts.lock(older, ANA, "stolen phone")
    assert {one.person for one in shut} == {older}  # the other one is closed already
    assert facts.end(newer, FactKind.LOCK, ANA, "found") == 2


@pytest.mark.parametrize("said", ["freeze", "override"])
def test_what_would_be_lost_is_ended_first(district: World, said: str) -> None:
    """A decision about the one who goes is not dropped in silence; and afterwards it is said of the one who stays."""
    older, newer = district.person("s1"), district.person("n1")
    facts, day = district.engine.facts, district.clock.today
    if said == "freeze":
        facts.freeze(newer, day, ANA, "who is who?")
    else:
        facts.override(newer, "preferred_given", "Addie", "", day, ANA, "wish")
    [why] = merge(district, older, newer)
    assert f"of {newer} there is a {said} in force" in why
    district.clock.advance()
    assert merge(district, older, newer) == []
    with pytest.raises(ValueError, match=f"{newer} is one with {older}"):
        facts.freeze(newer, district.clock.today, ANA, "who is who?")


def test_two_persons_are_decided_by_words(district: World, capsys: pytest.CaptureFixture[str]) -> None:
    """By any key of either, in whichever order; once more is known, and of whom nobody knows it says so."""
    older, newer = district.person("s1"), district.person("n1")

    def resolve(*words: str) -> tuple[int, str]:
        code = main(["--config", str(district.folder), "resolve", *words, "--because", "one child"])
        return code, capsys.readouterr().out

    code, said = resolve("s1", "--merge", "70001")
    assert (code, "70001 is nobody who is known" in said) == (Exit.NO_INPUT, True)
    code, said = resolve("s1", "--merge", "n1")
    assert (code, f"{newer} merge {older}" in said) == (Exit.DONE, True)
    for words in ((older, "--merge", newer), (newer, "--merge", older)):
        code, said = resolve(*words)
        assert (code, said) == (Exit.DONE, "that was decided already\n")
    assert main(["--config", str(district.folder), "unresolve", newer, "--because", "no"]) == Exit.DONE


@BOTH
def test_three_become_one_and_who_went_is_nobody_new(district: World) -> None:
    """The account that was there first stays through all of it, and nobody is resembled or found under the ones who went."""
    district.students(again(), pupil(8, key="x8"))
    district.day()
    one, two, three = (district.person(key) for key in ("s1", "n1", "x8"))
    assert merge(district, three, two) == []
    assert merge(district, three, one) == []
    district.day()
    assert {district.person(key) for key in ("s1", "n1", "x8")} == {one}
    assert [district.account(key).enabled for key in ("s1",)] == [True]
    assert sorted(district.store.resolutions.united()) == sorted((two, three))
    assert {told.into for told in district.store.resolutions.united().values()} == {one}
    settles(district)


def test_who_went_is_forgotten_before_who_stays(district: World) -> None:
    """R24: what the journal has of one human goes as a whole."""
    older, newer = district.person("s1"), district.person("n1")
    merge(district, older, newer)
    yesterday = district.clock.today - timedelta(days=1)
    district.students(replace(ADA, exit=yesterday), again(exit=yesterday))
    district.day()
    district.leave("s1", "n1")
    district.day()
    with pytest.raises(ChangeError, match=f"{newer} is one with them: forget {newer} first"):
        district.store.lives.forget(older, ANA, "gone", district.clock.now)
    for person in (newer, older):
        district.store.lives.forget(person, ANA, "gone", district.clock.now)
    assert district.store.audit.verify().problems == ()
    assert found(district.plan("reconcile"), "disputed") == []


def test_it_is_so_in_a_real_directory(tmp_path: Path, slapd: PrivateSlapd, credentials: Credentials, ldap_base: str) -> None:
    """R29: as the directory's own client tells it; a second run, everybody looked at, and a reconcile find nothing to do."""
    told_so = {"disable_attribute": "pwdAccountLockedTime", "disable_value": "000001010000Z"}
    with world(tmp_path, connect=lambda _: Ldap("ldap", config_for(slapd, ldap_base, **told_so), credentials)) as made:
        made.begin()
        made.students(again())
        made.day()

        first, second = (made.store.known(LDAP)[made.person(key)].account.rdn for key in ("s1", "n1"))

        def entry(uid: str) -> list[str]:
            words = ("-LLL", "-o", "ldif-wrap=no", "-b", ldap_base, f"(uid={uid})", "*", "+")
            return as_admin(slapd, "ldapsearch", *words).splitlines()

        def groups(uid: str) -> str:
            dn = entry(uid)[0].removeprefix("dn: ")
            return as_admin(slapd, "ldapsearch", "-LLL", "-b", ldap_base, f"(member={dn})", "1.1").strip()

        native = next(line for line in entry(first) if line.startswith("entryUUID"))
        assert groups(second) != ""
        assert merge(made, made.person("n1"), made.person("s1")) == []
        planned, applied = made.sync()
        assert not applied.failed
        assert "pwdAccountLockedTime: 000001010000Z" in entry(second)
        assert groups(second) == ""
        assert "pwdAccountLockedTime: 000001010000Z" not in entry(first)
        assert groups(first) != ""
        assert native in entry(first)
        settles(made)
        assert kinds(planned, made.person("s1")) != []
