"""Whose account is whose: existing accounts, strayed and deleted ones, names, privileges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from syncd.core.model import Kind, NativeId
from syncd.core.resolution import Resolution, Verb
from syncd.engine.deciding import Answer
from syncd.targets.memory import Memory, MemoryConfig
from tests.fixtures.engine_world import (
    FIRST_DAY,
    LDAP,
    MAIN,
    PLACES,
    World,
    employee,
    found,
    kinds,
    pupil,
    roster_of,
    told,
    world,
)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[World]:
    """Six students and three staff, delivered; the directory is empty."""
    with world(tmp_path) as made:
        made.deliver()
        yield made


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Six students and three staff, with their accounts."""
    with world(tmp_path) as made:
        made.begin()
        yield made


def holding(district: World, number: str) -> list[NativeId]:
    """Every account with this employee number."""
    return [one for one, account in district.memory.accounts.items() if account.attributes.get("employeeNumber") == (number,)]


# --- R7: asked before every create ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["delta", "reconcile"])
def test_an_account_made_by_hand_meanwhile_becomes_a_link(district: World, kind: str) -> None:
    """R7: before a create the target is asked for the find key, in delta as in reconcile; a hit is adopted, never doubled."""
    district.students(pupil(7))
    by_hand = district.by_hand("gus.gray", employeeNumber="10007", sn="Gray", cn="Gus Gray")
    planned, _ = district.sync(kind)
    assert Kind.CREATE not in kinds(planned)
    assert holding(district, "10007") == [by_hand]
    assert district.native("s7") == by_hand
    assert found(planned, "adopted")


@pytest.mark.parametrize("kind", ["delta", "reconcile"])
def test_an_account_made_by_hand_under_the_name_is_disputed(district: World, kind: str) -> None:
    """R7, R35: the name alone says nothing about whose account it is; neither is it taken over nor the next counter given."""
    district.students(pupil(7))
    by_hand = district.by_hand("ggray", cn="Somebody Else", sn="Gray")
    before = district.everything()
    planned, _ = district.sync(kind)
    assert kinds(planned) == []
    assert found(planned, "disputed")
    assert district.everything() == before
    assert by_hand not in district.store.linked(LDAP)


@pytest.mark.parametrize("kind", ["delta", "reconcile"])
def test_an_account_is_found_by_the_name_it_stands_under(district: World, kind: str) -> None:
    """R7: where `find` names the naming attribute itself, one complete listing answers as a search does."""
    find = "    find:\n      - employeeNumber: student_number\n"
    district.edit("mappings/ldap.yaml", find, "    find:\n      - uid: student_number\n")
    district.students(pupil(7))
    by_hand = district.by_hand("10007", sn="Gray", cn="Gus Gray")
    planned, _ = district.sync(kind)
    assert Kind.CREATE not in kinds(planned)
    assert district.native("s7") == by_hand


def test_two_accounts_with_the_key_are_disputed(district: World) -> None:
    """R7: two hits are listed for a human and never guessed between."""
    district.students(pupil(7))
    district.by_hand("ggray", employeeNumber="10007")
    district.by_hand("gray.g", employeeNumber="10007")
    before = district.everything()
    planned, _ = district.sync()
    assert found(planned, "disputed")
    assert district.everything() == before


def test_a_disputed_person_is_created_once_the_dispute_is_settled(district: World) -> None:
    """R5, R7: a delta run goes on looking at a disputed person, though nothing in the roster changes any more."""
    district.students(pupil(7))
    by_hand = district.by_hand("ggray", cn="Somebody Else", sn="Gray")
    district.sync()
    district.alter_account(by_hand, employeeNumber=("10007",))
    assert found(district.day(), "adopted")
    assert district.native("s7") == by_hand


@pytest.mark.parametrize("kind", ["delta", "reconcile"])
def test_an_account_without_a_number_that_bears_their_name_is_disputed(district: World, kind: str) -> None:
    """R35: under whatever user name; nothing is made until somebody has said that it is not theirs."""
    district.students(pupil(7))
    by_hand = district.by_hand("gg", cn="Gus Gray", sn="Gray", givenName="Gus")
    planned, _ = district.sync(kind)
    assert found(planned, "disputed") == ["an account nobody is linked to looks like theirs; no find key says so"]
    assert Kind.CREATE not in kinds(planned)
    district.store.resolutions.decide([
        Resolution(Verb.IGNORE, district.person("s7"), f"ldap:{by_hand}", district.clock.now, "ana (uid 1)", "a cousin")
    ])  # fmt: skip
    planned = district.day(kind=kind)
    assert found(planned, "disputed") == []
    assert district.native("s7") != by_hand


@pytest.mark.parametrize("kind", ["delta", "reconcile"])
def test_a_namesake_with_an_account_of_their_own_is_no_dispute(district: World, kind: str) -> None:
    """An account that is somebody's is nobody else's question."""
    one = pupil(1)
    district.students(pupil(7, given=one.given, family=one.family))
    planned, _ = district.sync(kind)
    assert found(planned, "disputed") == []
    assert holding(district, "10007") != []


def test_a_population_searches_only_its_own_places(district: World) -> None:
    """Students and staff are numbered apart: an account of staff with a student's number is not looked at."""
    find = "    find:\n      - employeeNumber: student_number\n"
    district.edit("mappings/ldap.yaml", find, f'{find}    find_in: ["ou=Students", "ou=Disabled"]\n')
    district.by_hand("zoe", "ou=Staff", employeeNumber="10007", sn="Zulu", givenName="Zoe", cn="Zoe Zulu")
    native = district.by_hand("ben", "ou=Staff", employeeNumber="10008", sn="Hale", givenName="Hana", cn="Hana Hale")
    district.students(pupil(7), pupil(8))
    planned, _ = district.sync("reconcile")
    assert len(holding(district, "10007")) == 2
    assert [one.detail["evidence"] for one in planned.findings if one.kind == "disputed"] == [
        f'{{"ldap:{native}": "ben,ou=staff: Hana Hale, employeeNumber 10008"}}'
    ]


# --- R8: strayed and deleted accounts -------------------------------------------------------------------------------------


def test_a_deleted_account_is_not_recreated(district: World) -> None:
    """R8: what others deleted is reported and stays deleted, in reconcile and in the delta runs after it."""
    native = district.native("s1")
    account = district.memory.accounts.pop(native)
    district.memory._places.pop((account.container, account.rdn.casefold()))
    for kind in ("reconcile", "delta", "reconcile"):
        planned = district.day(kind=kind)
        assert Kind.CREATE not in kinds(planned)
        assert holding(district, "10001") == []
    assert any("was deleted by others" in why for why in found(planned, "deleted"))
    district.students(pupil(1, family="Other"))
    planned, _ = district.sync()
    assert Kind.CREATE not in kinds(planned)
    assert holding(district, "10001") == []


class Narrow(Memory):
    """The memory directory, listing only what stands below the configured base; what strayed is still found by its id."""

    def read(self, scope):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 — as its parent
        """Everything but what stands outside."""
        return (one for one in super().read(scope) if not one.account.container.startswith("ou=elsewhere"))


def test_a_strayed_account_is_reported_and_left_alone(tmp_path: Path) -> None:
    """R8: a linked account that somebody moved out of the base is neither moved back nor made anew."""
    with world(tmp_path, connect=lambda _: Narrow("ldap", MemoryConfig(containers=(*PLACES, "ou=Elsewhere")))) as district:
        district.begin()
        native = district.native("s1")
        strayed = district.alter("s1", container="ou=elsewhere")
        for _ in range(2):
            planned = district.day(kind="reconcile")
            assert any("is outside the configured base" in why for why in found(planned, "strayed"))
            assert kinds(planned, district.person("s1")) == []
        assert district.memory.accounts[native] == strayed
        assert holding(district, "10001") == [native]


def test_a_target_that_suddenly_reports_nothing_is_not_believed(district: World) -> None:
    """R8: an empty listing where accounts are linked is a failed read, not nine deleted accounts."""
    district.memory.accounts.clear()
    district.memory._places.clear()
    planned = district.engine.plan(MAIN, "reconcile")
    assert "reported no account at all" in str(planned.stopped[LDAP])
    assert planned.changes == 0


# --- R9: names are for ever -----------------------------------------------------------------------------------------------


def test_a_name_is_never_given_to_another_person(district: World) -> None:
    """R9: whoever has the name of somebody who left long ago gets another, even when the account itself is gone."""
    district.edit("mappings/people.yaml", "delete: never", "delete: { after: 60 days }")
    district.students(pupil(1, exit=FIRST_DAY))
    district.day()
    district.leave("s1")
    district.day()
    district.day(90)
    assert holding(district, "10001") == []
    district.students(pupil(15, given="Alf", family="Abara"))
    district.day()
    assert district.account("s15").rdn == "aabara2"


def test_a_name_stays_taken_after_a_restore(district: World, tmp_path: Path) -> None:
    """R9, R25: the ledger of a restored store gives out no name of the old one."""
    district.students(pupil(1, exit=FIRST_DAY))
    district.day()
    district.leave("s1")
    district.day()
    restore(district, tmp_path)
    district.day()
    district.students(pupil(15, given="Alf", family="Abara"))
    district.day()
    assert district.account("s15").rdn == "aabara2"


def restore(district: World, folder: Path) -> None:
    """The store is lost and restored from a copy made just before."""
    from syncd.assembly import migrate_store  # noqa: PLC0415 — used here only
    from syncd.store import Store  # noqa: PLC0415 — used here only

    district.store.backup(folder / "copy.backup")
    district.store.close()
    for path in district.state.glob("syncd.db*"):
        path.unlink()
    migrate_store(district.config)
    district.store = Store.open(district.config.store, district.vault)
    district.store.restore(folder / "copy.backup")
    district.reopen()


def test_a_held_plan_keeps_the_names_it_promised(district: World) -> None:
    """R9: storing a plan reserves names per person, so a newcomer of the next roster cannot take one, and replanning keeps them."""
    district.students(pupil(15, given="Ned", family="Oak"))
    stored = district.engine.plan(MAIN)
    district.students(pupil(3, given="Nat", family="Oak", key="a0", number="10016", birth=date(2011, 1, 1)))
    planned, _ = district.sync()
    assert Kind.CREATE in kinds(planned)
    assert district.account("s15").rdn == "noak"
    assert district.account("a0").rdn == "noak2"
    assert stored.run != planned.run


def test_names_found_in_the_directory_are_taken(district: World) -> None:
    """R9: a name that a reconcile saw on an account nobody is linked to is never issued: its newcomer is disputed (R35)."""
    district.by_hand("zzulu", cn="Zoe Zulu")
    district.day(kind="reconcile")
    assert district.store.holders(["zzulu"]) != {}
    district.students(pupil(7, given="Zac", family="Zulu"))
    planned, _ = district.sync()
    assert found(planned, "disputed")
    assert Kind.CREATE not in kinds(planned)


@pytest.mark.parametrize("kind", ["delta", "reconcile"])
def test_a_full_name_that_folds_like_a_user_name_takes_none(district: World, kind: str) -> None:
    """R9, R35: `cn: José de la Cruz` is what a student is called, not a name we issued: `jose.delacruz` is free for a teacher."""
    district.students(pupil(7, given="José", family="de la Cruz"))
    district.day(kind=kind)
    assert district.account("s7").attributes["cn"] == ("José de la Cruz",)
    district.staff(employee(4, given="José", family="de la Cruz"))
    planned = district.day(kind=kind)
    assert found(planned, "disputed") == []
    assert district.account("t4").rdn == "jose.delacruz"


def with_nicknames(district: World) -> None:
    """The names shall be unique in an attribute that the mapping does not write."""
    district.edit("mappings/people.yaml", "unique_in: [uid]", "unique_in: [uid, mailNickname]")
    district.day()


@pytest.mark.parametrize("kind", ["delta", "reconcile"])
def test_an_attribute_listed_as_unique_is_asked_about_though_nothing_writes_it(district: World, kind: str) -> None:
    """R7: `unique_in` names what else on the target holds people's names; whoever has the name there disputes it."""
    with_nicknames(district)
    district.by_hand("somebody", cn="Somebody Else", mailNickname="ggray")
    district.students(pupil(7))
    planned, _ = district.sync(kind)
    assert found(planned, "disputed")
    assert Kind.CREATE not in kinds(planned)


def test_names_in_an_attribute_listed_as_unique_are_taken(district: World) -> None:
    """R9: a reconcile seeds the ledger from every attribute under `unique_in`, written by the mapping or not."""
    with_nicknames(district)
    native = district.by_hand("somebody", cn="Somebody Else", mailNickname="Z.Zulu")
    district.day(kind="reconcile")
    assert district.store.holders(["zzulu"]) == {"zzulu": f"ldap:{native}"}
    assert district.store.holders(["somebodyelse"]) == {}


# --- R10: names freed and taken -------------------------------------------------------------------------------------------


def with_own_names(district: World) -> None:
    """Accounts named after the person, so that two of them can change places."""
    rdn = '    rdn: "{{ names.username }}"\n    # What is in the account.'
    district.edit("mappings/ldap.yaml", rdn, rdn.replace("names.username", "display_name"))


def test_two_accounts_swap_their_names(tmp_path: Path) -> None:
    """R10: each needs the place the other has; one goes through a temporary name, and both arrive."""
    with world(tmp_path) as district:
        with_own_names(district)
        same = {"schools": ("o1",), "lessons": ("h1",), "grade": "05"}
        one, two = pupil(1, given="Ann", family="Lee", **same), pupil(2, given="Bea", family="May", **same)
        district.roster = district.roster.with_students(one, two)
        district.begin()
        ids = district.native("s1"), district.native("s2")
        district.students(replace(one, given="Bea", family="May"), replace(two, given="Ann", family="Lee"))
        district.day()
        assert [district.memory.accounts[native].rdn for native in ids] == ["Bea May", "Ann Lee"]
        assert kinds(district.day(kind="reconcile")) == []


def test_a_name_is_taken_after_it_was_freed(tmp_path: Path) -> None:
    """R10: in a chain of three each waits for the one that stands where it goes, whatever their order."""
    with world(tmp_path) as district:
        with_own_names(district)
        same = {"schools": ("o1",), "lessons": ("h1",), "grade": "05"}
        names = [("Ann", "Lee"), ("Bea", "May"), ("Cal", "Nye"), ("Dee", "Orr")]
        three = [pupil(n, given=given, family=family, **same) for n, (given, family) in enumerate(names[:3], 1)]
        district.roster = district.roster.with_students(*three)
        district.begin()
        moved = [replace(one, given=given, family=family) for one, (given, family) in zip(three, names[1:], strict=True)]
        district.students(*moved)
        district.day()
        assert [district.account(one.key).rdn for one in three] == ["Bea May", "Cal Nye", "Dee Orr"]
        assert kinds(district.day(kind="reconcile")) == []


# --- R33, R34, R35, R40 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["delta", "reconcile"])
def test_an_account_disabled_by_others_is_never_enabled(district: World, kind: str) -> None:
    """R33: it is reported, and stays disabled through every later run and change."""
    district.alter("s1", enabled=False)
    assert any("disabled by somebody else" in why for why in found(district.day(kind="reconcile"), "disabled by others"))
    district.students(pupil(1, family="Other"))
    for _ in range(3):
        planned = district.day(kind=kind)
        assert Kind.ENABLE not in kinds(planned)
    assert district.account("s1").attributes["sn"] == ("Other",)
    assert not district.account("s1").enabled


def test_adoption_writes_a_link_and_nothing_else(fresh: World) -> None:
    """R34: an existing account keeps its name, its place and every value in the run that finds it; the next run converges."""
    native = fresh.by_hand("ada.a", "ou=Students", employeeNumber="10001", sn="Ab.", cn="Ada", description="by hand")
    before = fresh.memory.accounts[native]
    planned, _ = fresh.sync(first=True)
    assert kinds(planned, fresh.person("s1")) == []
    assert fresh.memory.accounts[native] == before
    assert native not in fresh.memory.passwords
    fresh.day()
    account = fresh.account("s1")
    assert account.rdn == "ada.a"
    assert account.attributes["sn"] == ("Abara",)
    assert account.attributes["description"] == ("by hand",)
    assert account.attributes["mail"] == ("ada.a@students.lonestar.example.org",)
    assert fresh.native("s1") == native
    assert kinds(fresh.day()) == []
    assert kinds(fresh.day(kind="reconcile")) == []


def test_an_adopted_name_is_in_the_ledger(fresh: World) -> None:
    """R9, R34: the name an adopted account has is its person's from then on, and the name we would have given stays free."""
    fresh.by_hand("ada.a", employeeNumber="10001", sn="Abara", cn="Ada Abara")
    fresh.sync(first=True)
    assert fresh.store.holders(["adaa", "ada.a"])["ada.a"] == fresh.person("s1")
    fresh.students(pupil(15, given="Alf", family="Abara"))
    fresh.day()
    assert fresh.account("s15").rdn == "aabara"


def test_an_adopted_account_that_is_disabled_stays_so(fresh: World) -> None:
    """R33, R34: nothing says that we disabled it, so a human enables it."""
    fresh.by_hand("ada.a", employeeNumber="10001", sn="Abara", cn="Ada Abara", enabled=False)
    fresh.sync(first=True)
    for kind in ("delta", "reconcile"):
        assert Kind.ENABLE not in kinds(fresh.day(kind=kind))
    assert not fresh.account("s1").enabled


def test_one_account_that_two_people_could_own_is_disputed(fresh: World) -> None:
    """R35: two students under one number, one account with it: nobody gets it."""
    fresh.roster = fresh.roster.with_students(pupil(2, number="10001"))
    fresh.deliver()
    opted_out = fresh.folder / "roster" / "ferpa.csv"  # in which a number of two people is an error of its own
    kept = [line for line in opted_out.read_text().splitlines(keepends=True) if not line.startswith("10001,")]
    opted_out.write_text("".join(kept))
    native = fresh.by_hand("ada.a", employeeNumber="10001")
    planned, _ = fresh.sync(first=True)
    assert found(planned, "disputed")
    assert native not in fresh.store.linked(LDAP)


def test_a_newcomer_who_resembles_somebody_known_is_disputed(district: World) -> None:
    """R35: the same birth date, family name and given name under a new number is a human's to decide; no account is made."""
    district.students(pupil(7, given="Ada", family="Abara", birth=pupil(1).birth))
    planned, _ = district.sync()
    assert found(planned, "disputed")
    assert kinds(planned) == []
    assert holding(district, "10007") == []


def test_newcomers_who_resemble_each_other_are_both_disputed(district: World) -> None:
    """R35: of two rows for one child neither is preferred."""
    district.students(pupil(7), pupil(8, given="Gus", family="Gray", birth=pupil(7).birth))
    planned, _ = district.sync()
    assert len(found(planned, "disputed")) == 2
    assert Kind.CREATE not in kinds(planned)


def test_a_dispute_among_newcomers_ends_with_its_cause(district: World) -> None:
    """R5, R35: when one of the two rows is gone the other person gets an account, in a delta run."""
    district.students(pupil(7), pupil(8, given="Gus", family="Gray", birth=pupil(7).birth))
    district.day()
    district.leave("s8")
    district.day()
    assert holding(district, "10007") != []


def test_a_dispute_is_told_until_it_is_settled(district: World) -> None:
    """R5, R35: an unchanged file does not make `syncd disputes` forget who waits, and what settles it is seen."""
    ada = pupil(1)
    district.students(pupil(7, given="Ada", family="Abara", birth=ada.birth))
    for _ in range(3):
        district.day()
        assert [finding.detail["key"] for finding in district.store.findings("disputed")] == ["s7"]
    district.students(replace(ada, given="Zoe"))
    for _ in range(2):
        district.day()  # the first run still compares with what Zoe was called before it
    assert holding(district, "10007") != []
    assert district.store.findings("disputed") == []


def number_used_again(district: World) -> None:
    """Ada has a new key and number, and her old ones are another child's, in one roster."""
    ada = pupil(1)
    district.students(replace(ada, given="Zora", family="Zell"), pupil(7, given="Ada", family="Abara", birth=ada.birth))


@pytest.mark.parametrize("kind", ["delta", "everything", "reconcile"])
def test_who_was_called_like_a_newcomer_until_now_is_asked_about(district: World, kind: str) -> None:
    """R35: in every run from then on, of whatever kind and whether the roster is new or not, until a human has decided."""
    number_used_again(district)
    for again in (kind, "delta", "reconcile", kind):
        planned = district.day(kind=again)
        [dispute] = [one for one in planned.findings if one.kind == "disputed"]
        assert (dispute.subject, dispute.detail["candidates"]) == ("sis/s7", district.person("s1"))
        assert "until the roster in which this record appeared" in dispute.why
        assert holding(district, "10007") == []
    assert district.account("s1").attributes["sn"] == ("Zell",)
    checked = district.engine.deciding.check([Answer("sis/s7", Verb.IGNORE, "", "two children")], "ana (uid 1)")
    district.engine.deciding.remember(checked.answers)
    assert found(district.day(), "disputed") == []
    assert holding(district, "10007") != []


def test_what_a_later_roster_tells_otherwise_ends_the_question(district: World) -> None:
    """R5, R35: whoever mends the row of the one who is asked about has looked at both."""
    number_used_again(district)
    district.day()
    district.students(replace(pupil(1), given="Zora", family="Zelle"))
    assert found(district.day(), "disputed") == []
    assert holding(district, "10007") != []


def test_a_privileged_account_is_never_adopted(tmp_path: Path) -> None:
    """R40: an administrator's account that carries a student's number is no candidate."""
    with world(tmp_path, memory=MemoryConfig(containers=PLACES, privileged=("root.admin",))) as district:
        district.deliver()
        native = district.by_hand("root.admin", employeeNumber="10001", sn="Admin", cn="Admin")
        before = district.memory.accounts[native]
        for _ in range(2):
            planned = district.engine.plan(MAIN)
            district.engine.apply(planned, first=True)
            assert native not in district.store.linked(LDAP)
            assert district.memory.accounts[native] == before


def test_a_linked_account_that_became_privileged_is_not_written(tmp_path: Path) -> None:
    """R40: privileged later, it is refused in the connector whatever the plan says."""
    with world(tmp_path) as district:
        district.begin()
        native = district.native("t1")
        before = district.memory.accounts[native]
        district.memory.config = replace(district.memory.config, privileged=(before.rdn,))
        district.staff(employee(1, family="Other"))
        planned, applied = district.sync()
        assert kinds(planned, district.person("t1")) != []
        assert applied.failed
        assert district.memory.accounts[native] == before


def test_a_student_who_would_become_staff_is_held(district: World) -> None:
    """R40: the change of population waits for a human; the student's account stays what it is."""
    district.edit(
        "mappings/people.yaml",
        """    when: "'student' in roles"\n""",
        """    when: "'student' in roles and student_number != '10001'"\n""",
    )
    district.edit(
        "mappings/people.yaml",
        """    when: "'teacher' in roles""",
        """    when: "student_number == '10001' or 'teacher' in roles""",
    )
    before = district.account("s1")
    planned, _ = district.sync()
    assert any("would become staff" in why for why in found(planned, "disputed"))
    assert kinds(planned, district.person("s1")) == []
    for _ in range(3):
        assert kinds(district.day(), district.person("s1")) == []
    assert district.account("s1") == before


def test_staff_leave_by_their_own_rules(district: World) -> None:
    """R36: an employee who vanishes has the grace of staff, and their subordinates' accounts stop naming them when they move."""
    boss = district.account("t1")
    district.leave("t1")
    for _ in range(12):
        district.roster = district.roster.with_lessons(replace(district.roster.lessons["k1"], title=f"A {district.clock.today}"))
        district.deliver()
        district.day()
    assert boss.enabled
    assert not district.account("t1").enabled
    assert "manager" not in district.account("t2").attributes


def test_a_second_run_finds_nothing_to_do(tmp_path: Path) -> None:
    """Applying makes the plan empty, in delta, over everybody, and read back."""
    with world(tmp_path, roster_of(14, 5)) as district:
        district.begin()
        for kind in ("delta", "everything", "reconcile"):
            assert told(district.plan(kind)) == []
        district.clock.advance(int(timedelta(days=30).days))
        assert told(district.plan("everything")) == []
