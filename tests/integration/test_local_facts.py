"""What people decided here stands above the sources until its day, and no run takes it back (R6)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from syncd.core.facts import FactKind
from syncd.core.model import Kind, PersonId, SourceKey
from syncd.errors import ChangeError
from syncd.store import Store
from tests.fixtures.engine_world import LDAP, MAIN, SIS, World, begun_world, digests, employee, found, kinds, pupil, world

WHO, WHY = "head (uid 1)", "asked for by the family"


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Six pupils and three of staff, with accounts."""
    with begun_world(tmp_path) as made:
        yield made


def override(district: World, key: str, attribute: str, value: str, target: str = "", days: int = 2) -> None:
    """Another value, for so many more days."""
    until = district.clock.today + timedelta(days=days)
    district.engine.facts.override(district.person(key), attribute, value, target, until, WHO, WHY)


# --- overrides --------------------------------------------------------------------------------------------------------


def test_an_override_of_a_field_is_read_by_every_rule_and_ends_with_its_day(district: World) -> None:
    """A name: the account follows it, no run of any kind takes it back, and the day after the last one the old value is back."""
    before = district.account("s1")
    override(district, "s1", "family", "Rivera")
    planned, _ = district.sync()
    assert kinds(planned, district.person("s1")) == [Kind.UPDATE]
    assert found(planned, "overridden") == [f"override of family until 2026-09-03, by {WHO} on 2026-09-01: {WHY}"]
    assert district.account("s1").attributes["sn"] == ("Rivera",)
    district.students(replace(district.roster.students["s1"], family="Latest"))
    for kind in ("delta", "reconcile"):
        planned = district.day(kind=kind)
        assert kinds(planned, district.person("s1")) == []
    assert district.account("s1").attributes["sn"] == ("Rivera",)
    assert district.clock.today.isoformat() == "2026-09-03"
    district.day()
    assert district.account("s1").attributes["sn"] == ("Latest",)
    assert district.account("s1").rdn == before.rdn
    assert kinds(district.plan("reconcile")) == []


def test_an_override_of_a_campus_moves_the_person_and_their_cell(district: World) -> None:
    """By the code; place and groups follow, and limits count the person there."""
    override(district, "s1", "campus", "001")
    assert ",ou=012," in district.account("s1").container
    planned, _ = district.sync()
    assert ",ou=001," in district.account("s1").container
    assert {change.campus for one in planned.plans.values() for change in one.changes if change.person} == {"001"}
    district.day(3)
    assert ",ou=012," in district.account("s1").container


def test_an_override_reaches_who_is_made_from_the_person(district: World) -> None:
    """R4: a teacher's name stands in nobody's account here but what reads them is looked at, and plan(delta) = plan(everything)."""
    override(district, "t1", "family", "Rivera")
    delta, everything = district.plan(), district.plan("everything")
    assert digests(delta) == digests(everything) != []
    assert district.person("t2") in delta.decided


def test_an_override_of_an_attribute_is_of_that_account_alone(district: World) -> None:
    """As the target spells it, whoever else enforces it; ended by hand it is gone with the next run."""
    override(district, "s1", "DISPLAYNAME", "Coach Ada", "ldap")
    district.sync()
    assert district.account("s1").attributes["displayName"] == ("Coach Ada",)
    district.alter("s1", displayName=("Somebody",))
    district.sync("reconcile")
    assert district.account("s1").attributes["displayName"] == ("Coach Ada",)
    assert district.engine.facts.end(district.person("s1"), FactKind.OVERRIDE, WHO, "over", "displayName", "ldap") == 1
    district.sync()
    assert district.account("s1").attributes["displayName"] == ("Ada Abara",)


SLIPS = (
    ("familly", "x", "", "no person field is called 'familly'; did you mean 'family'?"),
    ("display_name", "x", "", "display_name is worked out from other fields"),
    ("campus", "02", "", "no campus has the code '02'; did you mean '012'?"),
    ("exit_date", "soon", "", "exit_date is a date such as 2026-12-31, not 'soon'"),
    ("enabled", "maybe", "", "enabled is true or false, not 'maybe'"),
    ("displayNam", "x", "ldap", "the mapping of ldap has no attribute 'displayNam'; did you mean 'displayName'?"),
    ("cn", "x", "ldpa", "no target is called 'ldpa'; did you mean 'ldap'?"),
    ("mail", "x", "ldap", "mail holds a name of theirs, which only `syncd rename` changes"),
    ("description", "x", "ldap", "description is written with policy initial"),
    ("manager", "x", "ldap", "manager names another account, which follows the roster"),
)


def test_what_nothing_reads_cannot_be_overridden(district: World) -> None:
    """The message names what is near, and nothing is remembered."""
    for attribute, value, target, said in SLIPS:
        with pytest.raises(ValueError, match=re.escape(said)):
            override(district, "s1", attribute, value, target)
    assert district.store.facts.listed() == []


def test_an_override_that_never_holds_is_refused(district: World) -> None:
    """A last day that has passed is a slip of the pen."""
    with pytest.raises(ValueError, match="2026-08-31 has passed"):
        override(district, "s1", "family", "x", days=-1)


def test_a_second_override_takes_the_place_of_the_first(district: World) -> None:
    """One value at a time; both are remembered."""
    override(district, "s1", "family", "First")
    override(district, "s1", "family", "Second")
    district.sync()
    assert district.account("s1").attributes["sn"] == ("Second",)
    assert [fact.ended is None for fact in district.store.facts.listed()] == [False, True]


# --- freezes ----------------------------------------------------------------------------------------------------------


def test_nothing_of_a_frozen_person_is_changed_until_the_day_has_passed(district: World) -> None:
    """Not their name, their place nor their access; afterwards all of it, as if it had been told then."""
    kept = district.account("s1")
    district.engine.facts.freeze(district.person("s1"), district.clock.today + timedelta(days=1), WHO, WHY)
    district.students(replace(district.roster.students["s1"], family="Altered", exit=district.clock.today - timedelta(days=1)))
    for kind in ("delta", "reconcile"):
        planned, _ = district.sync(kind)
        assert kinds(planned, district.person("s1")) == []
        assert found(planned, "frozen") == [f"freeze until 2026-09-02, by {WHO} on 2026-09-01: {WHY}"]
    district.day()
    assert district.account("s1") == kept
    district.day()
    assert not district.account("s1").enabled


def test_a_frozen_newcomer_waits_and_an_unfrozen_one_does_not(district: World) -> None:
    """Nobody gets an account by being frozen; unfreezing is enough for the next run to make it."""
    district.students(pupil(30))
    district.plan()
    district.engine.facts.freeze(district.person("s30"), district.clock.today, WHO, WHY)
    district.sync()
    assert district.person("s30") not in district.store.known(LDAP)
    assert district.engine.facts.end(district.person("s30"), FactKind.FREEZE, WHO, "sorted out") == 1
    assert district.engine.facts.end(district.person("s30"), FactKind.FREEZE, WHO, "again") == 0
    district.sync()
    assert district.account("s30").enabled


def test_nobody_rises_to_staff_by_way_of_a_freeze(district: World) -> None:
    """R40: what somebody was before they were frozen is what they are compared with afterwards."""
    district.engine.facts.freeze(district.person("s1"), district.clock.today, WHO, WHY)
    override(district, "s1", "staff_number", "9999", days=9)
    district.edit("mappings/people.yaml", "\"'student' in roles\"", "\"'student' in roles and not staff_number\"")
    district.edit("mappings/people.yaml", "'teacher' in roles or", "staff_number or 'teacher' in roles or")
    district.sync()
    district.clock.advance()
    planned, _ = district.sync()
    assert any("was students, would become staff" in why for why in found(planned, "disputed"))


# --- sponsored persons ------------------------------------------------------------------------------------------------


def sponsored(district: World, days: int = 10, **told: str) -> PersonId:
    """Sam Okafor, for whom t1 answers."""
    values = {"given": "Sam", "family": "Okafor", "population": "staff", "campus": "012", "staff_number": "S-77", **told}
    until = district.clock.today + timedelta(days=days)
    return district.engine.facts.sponsor(values, district.person("t1"), until, WHO, WHY).person


def enabled(district: World, person: PersonId) -> bool:
    """Whether their account is open."""
    return district.memory.accounts[district.store.known(LDAP)[person].native_id].enabled


def test_a_sponsored_person_has_an_account_until_the_last_day_and_then_leaves(district: World) -> None:
    """Nobody of any roster: made by the next run, found by every reconcile as it is, closed the day after the last."""
    sam = sponsored(district, days=2)
    planned, _ = district.sync()
    assert found(planned, "sponsored") == [f"sponsor until 2026-09-03, by {WHO} on 2026-09-01: {WHY}"]
    account = district.memory.accounts[district.store.known(LDAP)[sam].native_id]
    assert (account.enabled, account.attributes["sn"], account.attributes["departmentNumber"]) == (True, ("Okafor",), ("012",))
    for _ in range(2):
        assert kinds(district.day(kind="reconcile"), sam) == []
    planned = district.day()
    assert Kind.DISABLE in kinds(planned, sam)
    assert not enabled(district, sam)
    assert kinds(district.day(kind="reconcile"), sam) == []


def test_a_sponsorship_is_extended_or_ended_before_its_day(district: World) -> None:
    """Also when it was over: the same person, account and name."""
    sam = sponsored(district, days=1)
    district.sync()
    district.engine.facts.extend(sam, district.clock.today + timedelta(days=30), WHO, "stays")
    district.day(5)
    assert enabled(district, sam)
    district.engine.facts.end_sponsorship(sam, WHO, "went")
    district.sync()
    assert not enabled(district, sam)
    native = district.store.known(LDAP)[sam].native_id
    district.engine.facts.extend(sam, district.clock.today + timedelta(days=30), WHO, "is back")
    district.sync()
    assert enabled(district, sam)
    assert district.store.known(LDAP)[sam].native_id == native
    with pytest.raises(ValueError, match="nobody ever sponsored"):
        district.engine.facts.extend(district.person("s1"), district.clock.today, WHO, "x")


def hired(district: World, **changed: object) -> None:
    """The roster brings Sam Okafor."""
    district.staff(employee(9, **{"given": "Sam", "family": "Okafor", **changed}))


def test_who_is_hired_later_keeps_the_account_where_a_field_says_who_they_are(tmp_path: Path) -> None:
    """`match_on`: the record joins the person, and from then on the roster alone speaks, also of the end."""
    with world(tmp_path) as district:
        district.edit("config/syncd.yaml", "    stale_after: 3 days", "    stale_after: 3 days\n    match_on: [staff_number]")
        district.begin()
        sam = sponsored(district, days=2, staff_number="9009")
        district.sync()
        account = district.store.known(LDAP)[sam].account
        hired(district)
        district.day()
        assert district.person("t9") == sam
        for _ in range(4):
            district.day(kind="reconcile")
        assert enabled(district, sam)
        assert district.store.known(LDAP)[sam].account.rdn == account.rdn
        assert [one.attributes["sn"] for one in district.memory.accounts.values()].count(("Okafor",)) == 1
        district.leave("t9")
        district.day()
        assert enabled(district, sam)  # missing is not gone: grace, as for everybody


def test_who_is_hired_later_and_only_has_the_same_name_is_disputed(district: World) -> None:
    """Never a second account, and never a guess; after the sponsorship too. Another given name is somebody else."""
    sam = sponsored(district, days=2)
    district.sync()
    hired(district)
    before = len(district.memory.accounts)
    for kind in ("delta", "reconcile", "delta"):
        planned, _ = district.sync(kind)
        assert [finding.detail["candidates"] for finding in planned.findings if finding.kind == "disputed"] == [sam]
    district.day(5)
    assert len(district.memory.accounts) == before
    hired(district, given="Ruth")
    district.sync()
    assert len(district.memory.accounts) == before + 1


def test_a_sponsorship_is_told_rightly_or_not_at_all(district: World) -> None:
    """Population, campus, fields and the last day are checked; nobody is minted for a mistake."""
    everybody = district.store.everyone()
    for told, said in (
        ({"population": "staf"}, "no population 'staf'; did you mean 'staff'"),
        ({"campus": "12"}, "no campus has the code '12'; did you mean '012'"),
        ({"family": " "}, "family is empty"),
        ({"stafff_number": "1"}, "did you mean 'staff_number'"),
        ({"exit_date": "2027-01-01"}, "follows from --campus and --until"),
    ):
        with pytest.raises(ValueError, match=said):
            sponsored(district, **told)
    with pytest.raises(ValueError, match="has passed"):
        sponsored(district, days=-1)
    assert district.store.everyone() == everybody


# --- renames ----------------------------------------------------------------------------------------------------------


def test_a_rename_gives_one_person_another_name_and_keeps_the_old_one_theirs(district: World) -> None:
    """Every attribute made of the name follows; no later run, and no other newcomer, gets the old one back."""
    person = district.person("s1")
    assert district.engine.facts.rename(person, "username", "ariver", WHO, WHY, sealed=False) == "aabara"
    district.sync()
    account = district.account("s1")
    assert (account.rdn, account.attributes["mail"][0].partition("@")[0]) == ("ariver", "ariver")
    assert kinds(district.day(kind="reconcile")) == []
    assert {row.name for row in district.store.ledger(person)} >= {"aabara", "ariver"}
    assert district.store.find_person("aabara") == [person]
    district.students(pupil(30, given="Ada", family="Abara"))
    district.sync()
    assert district.account("s30").rdn not in ("aabara", "ariver")


def test_a_sealed_name_is_found_by_nobody_and_given_to_nobody(district: World) -> None:
    """Not even to whoever had it, when their rules would make it again; the ledger keeps it for ever (R9)."""
    person = district.person("s1")
    district.edit("mappings/people.yaml", "on_rename: propose", "on_rename: automatic")
    district.sync()
    district.engine.facts.rename(person, "username", "jriver", WHO, "adoption", sealed=True)
    district.sync()
    assert district.account("s1").rdn == "jriver"
    assert district.store.find_person("aabara") == []
    assert district.store.find_person("jriver") == [person]
    assert district.store.facts.hidden(district.clock.today) == {person}
    for given in ("Adam", "Ada"):  # another basis, and then the old one
        district.students(replace(district.roster.students["s1"], given=given))
        district.sync()
    assert district.account("s1").rdn != "aabara"
    assert "aabara" in {row.name for row in district.store.ledger(person)}
    (story,) = district.engine.explain("s1")
    assert story.confidential


def test_a_name_that_may_not_be_is_refused(district: World) -> None:
    """Misspelt, avoided, or ever anybody else's: nothing is remembered."""
    for kind, name, said in (
        ("usernam", "x1", "did you mean 'username'"),
        ("username", "Ana Ruiz", "'anaruiz' would be"),
        ("username", "postmaster", "a word to avoid"),
        ("username", "bbell", "belongs to"),
    ):
        with pytest.raises((ValueError, ChangeError), match=said):
            district.engine.facts.rename(district.person("s1"), kind, name, WHO, WHY, sealed=True)
    assert district.store.names()[district.person("s1")]["username"].value == "aabara"
    assert district.store.facts.sealed() == frozenset()


# --- all of them ------------------------------------------------------------------------------------------------------


def test_explain_tells_what_was_decided_and_what_it_makes(district: World) -> None:
    """The value that stands above the sources, and who decided it."""
    override(district, "s1", "family", "Rivera")
    override(district, "s1", "displayName", "Coach Ada", "ldap")
    (story,) = district.engine.explain("s1")
    assert story.fields["family"] == "Rivera"
    assert {part.part: part.wanted for part in story.accounts[0].parts}["displayName"] == ("Coach Ada",)
    assert [fact.kind for fact in story.facts] == [FactKind.OVERRIDE, FactKind.OVERRIDE]


def test_decisions_are_carried_by_a_backup(district: World, tmp_path: Path) -> None:
    """R25: they exist only here."""
    override(district, "s1", "family", "Rivera")
    sam = sponsored(district)
    district.store.backup(tmp_path / "copy")
    other = Store.open(f"sqlite:///{tmp_path}/other.db", district.vault, migrate=True)
    try:
        other.restore(tmp_path / "copy")
        assert other.facts.listed() == district.store.facts.listed()
        assert other.keys_of([sam])[sam][0].key == SourceKey("sponsored-1")
    finally:
        other.close()


def test_a_run_for_one_person_carries_out_what_was_decided(district: World) -> None:
    """`syncd sync --person`, as every verb proposes."""
    override(district, "s1", "family", "Rivera")
    sam = sponsored(district)
    for key in ("s1", sam):
        district.engine.sync(MAIN, person=key)
    assert district.account("s1").attributes["sn"] == ("Rivera",)
    assert enabled(district, sam)
    assert SIS in district.config.sources
