"""What a hostile reader of the engine tried: kills between two statements, existing accounts, operators at once, bad luck."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from zipfile import ZipFile

import pytest

from syncd.core.model import Change, Failure, Kind, NativeId, Outcome, Result, TargetName
from syncd.errors import ConfigError, EndpointError
from syncd.targets import PasswordOf
from syncd.targets.memory import Memory, MemoryConfig
from tests.fixtures.engine_world import LDAP, MAIN, PLACES, World, found, kinds, pupil, told, world


class Killed(BaseException):
    """The process is gone; nothing may catch it and go on."""


class Moody(Memory):
    """A directory that refuses what a test says, and dies where it says."""

    refuse: frozenset[Kind] = frozenset()
    dies_after: int = -1

    def _do(self, change: Change, password: PasswordOf) -> NativeId | None:
        if self.dies_after == 0:
            raise Killed
        self.dies_after -= 1
        return super()._do(change, password)

    def apply(self, changes: Iterable[Change], password: PasswordOf) -> Iterator[Outcome]:
        """As the memory directory, but for what it refuses."""
        for change in changes:
            if change.kind in self.refuse:
                yield Outcome(change, Result.FAILED, failure=Failure.REFUSED, why="insufficient access (50)")
            else:
                yield from super().apply([change], password)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[World]:
    """Six students and three staff, delivered; the directory is empty."""
    with world(tmp_path, connect=lambda _: Moody("ldap", MemoryConfig(containers=PLACES))) as made:
        made.deliver()
        yield made


@pytest.fixture
def district(fresh: World) -> World:
    """Six students and three staff, with their accounts."""
    fresh.begin()
    return fresh


def moody(district: World) -> Moody:
    """The directory, to be told its mood."""
    assert isinstance(district.connector, Moody)
    return district.connector


# --- names and adoption -----------------------------------------------------------------------------------------------


def test_a_newcomer_and_an_adopted_account_with_one_name_do_not_stop_the_run(fresh: World) -> None:
    """R7, R34: s1 would like the name that s2's existing account has; s2 keeps it, s1 gets another, and the run ends."""
    fresh.students(pupil(1, given="Ann", family="Zed"), pupil(2, given="Al", family="Zed"))
    native = fresh.by_hand("azed", "ou=Students", employeeNumber="10002", uid="azed")
    fresh.sync(first=True)
    fresh.sync()
    fresh.sync()
    assert fresh.native("s2") == native
    assert (fresh.account("s1").rdn, fresh.account("s2").rdn) == ("azed2", "azed")


def test_two_existing_accounts_whose_names_fold_alike_are_both_adopted(fresh: World) -> None:
    """R34: a.zed and azed were there before us; both are adopted and keep their names, run after run."""
    first = fresh.by_hand("a.zed", "ou=Students", employeeNumber="10001", uid="a.zed")
    second = fresh.by_hand("azed", "ou=Students", employeeNumber="10002", uid="azed")
    fresh.sync(first=True)
    for kind in ("reconcile", "delta", "everything"):
        fresh.sync(kind)
    assert (fresh.native("s1"), fresh.native("s2")) == (first, second)
    assert (fresh.account("s1").rdn, fresh.account("s2").rdn) == ("a.zed", "azed")


def test_a_disputed_name_stays_disputed(district: World) -> None:
    """R9, R35: a name that belongs to an account nobody is linked to does not become ours by asking twice."""
    district.by_hand("q.quick", "ou=Students", uid="q.quick")
    district.sync("reconcile")
    district.students(pupil(7, given="Quentin", family="Quick"))
    for _ in range(3):
        planned, _ = district.sync()
        assert Kind.CREATE not in kinds(planned)
    assert found(district.plan(), "disputed")


def test_a_rename_never_takes_the_name_of_an_account_nobody_is_linked_to(district: World) -> None:
    """R9, R35: with automatic renames the next candidate is taken where the better one belongs to somebody else's account."""
    district.edit("mappings/people.yaml", "on_rename: propose", "on_rename: automatic")
    district.by_hand("q.quick", "ou=Staff", uid="q.quick")
    district.sync("reconcile")
    district.students(pupil(1, given="Quentin", family="Quick"))
    district.sync()
    assert district.account("s1").rdn != "qquick"
    assert district.store.holders(["qquick"])["qquick"].startswith("ldap:")


# --- kills ------------------------------------------------------------------------------------------------------------


def test_a_first_apply_that_was_killed_can_be_completed(tmp_path: Path) -> None:
    """R14: a kill after a few accounts does not leave a district whose remaining accounts break the limit on creates for ever."""
    with world(tmp_path, connect=lambda _: Moody("ldap", MemoryConfig(containers=PLACES))) as fresh:
        fresh.edit(
            "config/syncd.yaml",
            "create: { percent: 100, at_least: 1000,",
            "create: { percent: 20, at_least: 2,",
        )
        fresh.edit(
            "config/syncd.yaml",
            "member: { percent: 100, at_least: 10000,",
            "member: { percent: 100, at_least: 2,",
        )
        fresh.deliver()
        planned = fresh.engine.plan(MAIN)
        steps = [change.kind for change in planned.plans[LDAP].changes]
        moody(fresh).dies_after = steps.count(Kind.CREATE_CONTAINER) + steps.count(Kind.CREATE_GROUP) + 3
        with pytest.raises(Killed):
            fresh.engine.apply(planned, first=True)
        moody(fresh).dies_after = -1
        fresh.reopen()
        planned, applied = fresh.sync(first=True)
        assert not applied.failed
        assert not fresh.plan("reconcile").changes
        assert len(fresh.memory.accounts) == 9


def test_a_repair_survives_a_kill_before_it_was_sent(district: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """R5: drift that a reconcile saw is still repaired when the process dies before the first change, by a delta run."""
    district.alter("s1", sn=("Tampered",))
    planned = district.engine.plan(MAIN, "reconcile")
    with monkeypatch.context() as dying:
        dying.setattr(type(district.store), "set_meta", _die)
        dying.setattr(type(district.store), "link", _die)
        with pytest.raises(Killed):
            district.engine.apply(planned)
    district.reopen()
    district.sync()
    assert district.account("s1").attributes["sn"] == ("Abara",)


def _die(*_: object) -> None:
    raise Killed


def test_a_membership_that_came_about_after_it_was_looked_for_is_ours(district: World) -> None:
    """R17, R19: a killed run's request may be carried out late. Taken for somebody else's, it would outlast the class."""
    target = moody(district)
    before = {name: set(members) for name, (_, members) in target.groups.items()}
    district.students(pupil(1, lessons=("h2", "k1", "k2", "k3")))
    planned = district.engine.plan(MAIN)
    joins = [change for one in planned.plans.values() for change in one.changes if change.kind is Kind.ADD_MEMBER]
    assert joins
    target.dies_after = sum(change.kind is not Kind.ADD_MEMBER for one in planned.plans.values() for change in one.changes)
    with pytest.raises(Killed):
        district.engine.apply(planned)
    target.dies_after = -1
    district.reopen()
    assert district.engine.resume() >= 1
    late = [change for change in joins if change.native_id not in target.groups[change.group or ""][1]]
    assert late
    for change in late:
        assert change.native_id is not None
        target.groups[change.group or ""][1].add(change.native_id)
    district.clock.advance()
    district.sync("reconcile")
    district.students(pupil(1))
    district.sync()
    assert {name: members for name, (_, members) in target.groups.items() if members} == {n: m for n, m in before.items() if m}


# --- who is looked at again -------------------------------------------------------------------------------------------


def test_a_refused_change_survives_a_day_on_which_the_row_is_unreadable(district: World) -> None:
    """R3, R5: what the target refused is tried again after a run that had to leave the person exactly as they were."""
    district.students(pupil(1, given="Zora"))
    moody(district).refuse = frozenset({Kind.UPDATE})
    district.sync()
    moody(district).refuse = frozenset()
    district.clock.advance()
    good = (district.drop / "oneroster.zip").read_bytes()
    district.students(pupil(1, given="", family=""))
    planned, _ = district.sync()
    assert planned.people.unreadable, "the row must have been rejected for this test to mean anything"
    (district.drop / "oneroster.zip").write_bytes(good)
    district.clock.advance()
    district.sync()
    assert district.account("s1").attributes["givenName"] == ("Zora",)


def test_a_twin_of_somebody_only_ever_planned_is_disputed(district: World) -> None:
    """R35: a newcomer whom a plan minted that nobody applied is known all the same: the second row for that child is disputed."""
    district.students(pupil(7, given="Quentin", family="Quick"))
    district.engine.plan(MAIN)
    district.students(pupil(8, given="Quentin", family="Quick", birth=pupil(7).birth))
    planned, _ = district.sync()
    assert kinds(planned).count(Kind.CREATE) <= 1


def test_a_returner_whose_groups_are_refused_is_not_deleted_for_a_missing_row(tmp_path: Path) -> None:
    """R13: back for months, with one change refused in every run: missing from a single roster is grace, never the old leaving."""
    with world(tmp_path, connect=lambda _: Moody("ldap", MemoryConfig(containers=PLACES))) as district:
        district.begin()
        here = district.roster
        district.students(pupil(1, exit=district.clock.today))
        district.day(2)
        assert not district.account("s1").enabled
        district.clock.advance(60)
        district.roster = here
        district.deliver()
        moody(district).refuse = frozenset({Kind.ADD_MEMBER})
        district.sync()
        assert district.account("s1").enabled
        moody(district).refuse = frozenset()
        district.clock.advance()
        district.leave("s1")
        district.sync()
        assert district.account("s1").enabled


# --- leaving ----------------------------------------------------------------------------------------------------------


def test_whoever_leaves_is_disabled_though_a_group_refuses_to_let_go(district: World) -> None:
    """R36: access ends on its day; a membership that cannot be removed is tried again and holds nothing up."""
    moody(district).refuse = frozenset({Kind.REMOVE_MEMBER})
    district.students(pupil(1, exit=district.clock.today))
    district.clock.advance(2)
    district.sync()
    assert not district.account("s1").enabled


def test_whoever_leaves_is_disabled_though_a_group_has_vanished(district: World) -> None:
    """R20: a delta run trusts the store about a group that somebody deleted, and still ends the access of its member."""
    district.memory.groups.clear()
    district.students(pupil(1, exit=district.clock.today))
    district.clock.advance(2)
    district.sync()
    assert not district.account("s1").enabled


# --- operators --------------------------------------------------------------------------------------------------------


def test_a_plan_is_not_applied_after_a_later_run_wrote(district: World) -> None:
    """R15, R18: a plan held in one process is refused once another run has applied something newer."""
    district.students(pupil(1, exit=district.clock.today - timedelta(days=3)))
    stale = district.engine.plan(MAIN)
    assert Kind.DISABLE in kinds(stale)
    district.students(pupil(1, given="Zora"))
    district.sync()
    with suppress(EndpointError):
        district.engine.apply(stale)
    assert district.account("s1").enabled


def test_containers_and_groups_of_held_changes_are_not_made(district: World) -> None:
    """R15, R16: applying a stored plan makes nothing for somebody whose changes were not in it."""
    district.students(pupil(1, given="Zora"))
    stored = district.engine.plan(MAIN)
    district.students(pupil(8, grade="11"))
    before = set(district.memory.containers), set(district.memory.groups)
    applied = district.engine.apply_stored(stored.run)
    assert applied is not None
    assert applied.held
    assert (set(district.memory.containers), set(district.memory.groups)) == before


def test_a_run_that_takes_long_keeps_its_lease(district: World) -> None:
    """R19: no other host takes the store over while a slow apply is still writing."""
    district.students(*(pupil(number, given="Zora") for number in range(1, 7)))
    taken: list[bool] = []

    def slow(_: Outcome) -> None:
        district.clock.now += timedelta(minutes=10)
        taken.append(district.store.leases.take("run", "another host", district.clock.now, 60))

    district.engine.apply(district.engine.plan(MAIN), told=slow)
    assert taken
    assert not any(taken)


# --- settings and several of a kind -----------------------------------------------------------------------------------


def test_a_target_that_is_gone_from_the_settings_stops_nobody(district: World) -> None:
    """R17: a change in doubt on a target that is configured no more is left in doubt; the other targets go on."""
    run = district.store.runs(1)[0].id
    left = Change(TargetName("gone"), Kind.UPDATE, "left over", person=district.person("s1"))
    district.store.intend(run, [left], {}, district.clock())
    district.students(pupil(1, given="Zora"))
    district.sync()
    assert district.account("s1").attributes["givenName"] == ("Zora",)
    assert not district.store.dirty()


def test_a_student_who_is_nobody_for_a_day_is_still_held_as_staff(district: World) -> None:
    """R40: student, then in no population, then staff is a change from student to staff, and a human looks first."""
    people = "mappings/people.yaml"
    district.edit(
        people, """    when: "'student' in roles"\n""", """    when: "'student' in roles and student_number != '10001'"\n"""
    )
    district.sync()
    assert not district.account("s1").enabled
    district.edit(people, """    when: "'teacher' in roles""", """    when: "student_number == '10001' or 'teacher' in roles""")
    planned, _ = district.sync()
    assert any("human" in why for why in found(planned, "disputed"))


def test_a_source_belongs_to_one_pipeline(district: World) -> None:
    """R4: what changed in a source is told once, so a second pipeline on it is refused rather than never told."""
    with pytest.raises(ConfigError, match="belongs to the pipeline 'main' already"):
        district.edit(
            "config/syncd.yaml",
            "  main: { sources: [sis], targets: [ldap] }",
            "  main: { sources: [sis], targets: [ldap] }\n  other: { sources: [sis], targets: [ldap] }",
        )


def test_a_membership_that_others_made_is_not_planned_for_ever(fresh: World) -> None:
    """R19: an adopted account that is in its group already is left there, and the next reconcile finds nothing to do."""
    native = fresh.by_hand("aabara", "ou=Students", employeeNumber="10001")
    fresh.memory.groups["cn=all students,ou=groups"] = (fresh.memory._mint(), {native})
    fresh.sync(first=True)
    fresh.sync()
    fresh.sync("reconcile")
    assert native in fresh.memory.groups["cn=all students,ou=groups"][1]
    assert told(fresh.plan("reconcile")) == []


def test_a_class_whose_row_is_unreadable_keeps_its_members(district: World) -> None:
    """R3: a rejected class shields the memberships of whoever is in it."""
    group = next(name for name in district.memory.groups if "class alg1," in name)
    before = set(district.memory.groups[group][1])
    assert before
    path = district.drop / "oneroster.zip"
    with ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    rows = members["classes.csv"].decode("utf-8-sig").splitlines(keepends=True)
    members["classes.csv"] = "".join(row.replace("o2", "nowhere") if "ALG1" in row else row for row in rows).encode()
    with ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with suppress(EndpointError):
        planned, _ = district.sync()
        assert [finding for finding in planned.findings if finding.kind == "reject"]
    assert set(district.memory.groups[group][1]) == before


def test_one_target_person_synced_alone_is_no_first_apply(fresh: World) -> None:
    """R14: after one person was released alone everybody else still waits for the explicit first apply, and no limit holds it."""
    fresh.edit(
        "config/syncd.yaml",
        "create: { percent: 100, at_least: 1000,",
        "create: { percent: 20, at_least: 2,",
    )
    planned = fresh.engine.plan(MAIN, person="s1")
    fresh.engine.apply(planned, first=True)
    assert len(fresh.memory.accounts) == 1
    assert fresh.engine.sync(MAIN)[1] is None
    fresh.sync(first=True)
    assert len(fresh.memory.accounts) == 9


def test_whoever_left_long_ago_costs_a_run_nothing(district: World) -> None:
    """R4: grace is watched daily, but who has left is only looked at when a date has come or they return."""
    district.leave("s1")
    person = district.person("s1")
    for number in range(14):
        district.students(pupil(2, given=f"Zora{number}"))
        district.day()
    assert not district.account("s1").enabled
    district.students(pupil(2, given="Zoe"))
    assert person not in district.day().decided
    district.clock.advance(40)
    district.sync()
    assert district.account("s1").container == "ou=disabled"
    district.students(pupil(1))
    district.sync()
    assert district.account("s1").enabled
