"""A target that others kept begins in observe, and people let runs write to it part by part (R34, R14, R5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from syncd.core.facts import FactKind
from syncd.core.health import Level
from syncd.core.model import Kind, TargetName
from syncd.core.notices import due
from syncd.core.release import LIVE, OBSERVING
from syncd.engine.matching import Matched
from syncd.engine.planned import Applied, Planned, Undoes
from syncd.errors import EndpointError
from tests.fixtures.engine_world import FIRST_DAY, LDAP, MAIN, World, employee, found, kinds, pupil, told, world
from tests.fixtures.health_states import health_of

ADA = {"employeeNumber": "10001", "sn": "Abara", "givenName": "Ada", "cn": "Ada Abara"}
WHO = ("ana (uid 1)", "seen")


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[World]:
    """Six students and three staff, delivered; the settings say nothing of how the target starts."""
    with world(tmp_path) as made:
        made.edit("config/syncd.yaml", "    start: live\n", "")
        made.deliver()
        yield made


@pytest.fixture
def messy(fresh: World) -> World:
    """Ada has an account that others made, disabled by nobody, under a name and in a place of its own."""
    fresh.by_hand("ada.a", mail="ada@old.example.org", **ADA)
    return fresh


def ran(district: World, kind: str = "delta") -> tuple[Planned, Applied]:
    """A run as the schedule has it; it is not held."""
    planned, applied = district.engine.sync(MAIN, kind)
    assert applied is not None, planned.verdict
    assert not applied.failed, applied.failures
    return planned, applied


def released(district: World, **what: list[str]) -> None:
    """Somebody lets runs write this much."""
    district.engine.golive.release(LDAP, *WHO, **what)


def would(planned: Planned) -> set[Kind]:
    """The kinds of what is only observed."""
    return {change.kind for left in planned.observed.values() for change in left}


def adopted(district: World) -> None:
    """Link what can be."""
    assert district.engine.adopting.adopt(MAIN, *WHO)[-1][1] is not None


# --- how a target begins ----------------------------------------------------------------------------------------------


def test_an_empty_target_needs_its_first_apply_and_nothing_more(fresh: World) -> None:
    """R14: as ever."""
    planned = fresh.engine.plan(MAIN)
    assert planned.verdict.first == (LDAP,)
    assert planned.observed == {}
    fresh.sync(first=True)
    assert len(fresh.memory.accounts) == 9
    assert told(fresh.plan("reconcile")) == []


def test_a_target_that_holds_accounts_of_others_is_observed(messy: World) -> None:
    """R34: runs go through, learn what there is, and write and link nothing, not even with `--first`."""
    before = messy.everything()
    for kind, first in (("delta", False), ("reconcile", False), ("delta", True)):
        planned, _ = messy.sync(kind, first=first)
        assert planned.changes == 0
        assert {Kind.CREATE, Kind.ADD_MEMBER} <= would(planned)
        assert found(planned, "adoptable") == ["the existing account ada.a would be theirs: matched by employeeNumber"]
    assert messy.everything() == before
    assert messy.store.linked(LDAP) == {}
    assert messy.store.snapshots(next(iter(messy.config.sources))) != []
    assert messy.store.holders(["ada.a"]) != {}


def test_one_person_alone_is_observed_as_well(messy: World) -> None:
    """`sync --person` is a run."""
    ran(messy)
    before = messy.everything()
    planned, applied = messy.engine.sync(MAIN, person="s2")
    assert applied is not None
    assert (planned.changes, messy.everything()) == (0, before)
    assert would(planned) != set()


@pytest.mark.parametrize(("start", "conduct"), [("live", LIVE), ("observe", OBSERVING)])
def test_the_settings_may_say_how_a_target_starts(messy: World, start: str, conduct: object) -> None:
    """Whatever it holds; a target that was written to before is live whatever they say now."""
    messy.edit("config/syncd.yaml", "    kind: memory\n", f"    kind: memory\n    start: {start}\n")
    assert messy.engine.golive.conduct(LDAP) == conduct
    messy.store.set_first_apply(LDAP, "ended")
    assert messy.engine.golive.conduct(LDAP) == LIVE


def test_privileged_accounts_do_not_make_a_target_observed(fresh: World) -> None:
    """R40: every directory has an administrator."""
    fresh.by_hand("root.admin")
    fresh.memory.config = replace(fresh.memory.config, privileged=("root.admin",))
    assert fresh.engine.plan(MAIN).verdict.first == (LDAP,)


def test_an_account_that_syncd_made_for_one_person_alone_is_not_somebody_elses(fresh: World) -> None:
    """`sync --person` on an empty target makes no target that others kept of it."""
    planned = fresh.engine.plan(MAIN, person="s1")
    assert fresh.engine.apply(planned, first=True) is not None
    assert fresh.engine.plan(MAIN).verdict.first == (LDAP,)


# --- one by one -------------------------------------------------------------------------------------------------------


def test_part_by_part_until_nothing_is_left(messy: World) -> None:
    """Operations, attributes, campuses, everything: each run does what was released by then, and the rest stays observed."""
    adopted(messy)
    ada = messy.account("s1")
    released(messy, operations=["create"])
    planned, _ = ran(messy)
    made = set(kinds(planned))
    assert made == {Kind.CREATE_CONTAINER, Kind.CREATE, Kind.REFER}
    assert would(planned) == {Kind.UPDATE, Kind.MOVE, Kind.ADD_MEMBER}
    assert len(messy.memory.accounts) == 9
    assert messy.account("s1") == ada

    released(messy, attributes=["Mail"])
    ran(messy)
    now = messy.account("s1")
    assert now.attributes["mail"] == ("ada.a@students.lonestar.example.org",)
    assert {**now.attributes, "mail": ()} == {**ada.attributes, "mail": ()}
    assert (now.rdn, now.container) == (ada.rdn, ada.container)

    released(messy, campuses=["001"])
    planned, _ = ran(messy)
    campuses = {change.campus for one in planned.plans.values() for change in one.changes if change.person}
    assert campuses == {"001"}
    assert {change.campus for left in planned.observed.values() for change in left} == {"012"}
    assert messy.account("s1").container == ada.container  # Ada is at 012

    released(messy)
    planned, _ = ran(messy)
    assert planned.observed == {}
    assert told(messy.plan("reconcile")) == []
    assert messy.account("s1").rdn == "ada.a"  # R34: the name stays theirs


def test_what_is_observed_is_owed_and_a_delta_run_does_it_once_it_is_released(messy: World) -> None:
    """R5: though nothing changes any more, whoever something is left out of is looked at until nothing is."""
    adopted(messy)
    released(messy, operations=["create", "member", "move"])
    ran(messy)
    ran(messy)
    released(messy, operations=["update"])
    planned, _ = ran(messy)
    assert (planned.kind, kinds(planned)) == ("delta", [Kind.UPDATE])


def test_a_leaver_on_an_observed_target_has_not_left_yet(messy: World) -> None:
    """R5: the account is open, so the state is not `disabled`; parking counts from the day on which it is closed."""
    adopted(messy)
    released(messy, operations=["create", "update", "move", "member"])
    ran(messy)
    messy.clock.advance()
    messy.students(pupil(1, exit=FIRST_DAY))
    planned, _ = ran(messy)
    ada = messy.person("s1")
    assert [change.kind for change in planned.observed[LDAP] if change.person == ada] == [Kind.DISABLE]
    assert messy.account("s1").enabled
    assert messy.store.persons([ada])[ada].state == "active"
    messy.clock.advance(60)
    messy.deliver()
    released(messy, operations=["disable", "park"])
    assert kinds(ran(messy)[0], ada) == [Kind.DISABLE]
    assert messy.store.persons([ada])[ada].since == messy.clock.today


def test_what_somebody_else_changes_meanwhile_is_planned_again_without_what_is_not_released(messy: World) -> None:
    """R18: a miss in the middle of a run replans that person, and writes no attribute more than was released."""
    adopted(messy)
    released(messy, attributes=["mail"])
    planned = messy.engine.plan(MAIN)
    messy.alter("s1", mail=("other@example.org",))
    assert messy.engine.apply(planned) is not None
    now = messy.account("s1")
    assert now.attributes["mail"] == ("ada.a@students.lonestar.example.org",)
    assert now.attributes["cn"] == ("Ada Abara",)
    assert "departmentNumber" not in now.attributes


def test_whoever_has_left_where_the_target_is_live_has_left(messy: World) -> None:
    """R5: of two targets one is live: access has ended there, so parking and deleting count from that day."""
    adopted(messy)
    released(messy, operations=["create", "update", "move", "member"])
    ran(messy)
    messy.clock.advance()
    messy.students(pupil(1, exit=FIRST_DAY))
    planned = messy.plan()
    ada = messy.person("s1")
    assert planned.owing == {ada}
    live = Matched(TargetName("other"), wants={ada: planned.matched[LDAP].wants[ada]})
    assert replace(planned, matched={**planned.matched, live.target: live}).owing == set()


def test_limits_hold_as_soon_as_anything_is_released(messy: World) -> None:
    """R14: nothing runs unlimited because it is the first time; a first apply is not asked for any more."""
    adopted(messy)
    target = messy.config.targets[LDAP]
    few = replace(target.limits.create, percent=1, at_least=2)
    messy.reopen(replace(messy.config, targets={LDAP: replace(target, limits=replace(target.limits, create=few))}))
    released(messy)
    planned, applied = messy.engine.sync(MAIN)
    assert applied is not None
    assert planned.verdict.first == ()
    assert "accounts would be created" in str(planned.verdict.findings[0])
    assert Kind.CREATE not in {kind for report in applied.reports.values() for kind in report.kinds}


def test_a_stored_plan_does_not_do_what_was_released_since(messy: World) -> None:
    """R15: what was seen is what is applied; what was released meanwhile is another change, and shown."""
    adopted(messy)
    stored = messy.engine.plan(MAIN)
    released(messy, attributes=["mail"])
    before = messy.everything()
    applied = messy.engine.apply_stored(stored.run)
    assert applied is not None
    assert [change.kind for change in applied.held] == [Kind.UPDATE]
    assert messy.everything() == before


def test_somebody_locked_is_shut_out_of_an_observed_target_too(messy: World) -> None:
    """R33: a lock is a human's word about one person, at once."""
    adopted(messy)
    [shut] = messy.engine.facts.lock(messy.person("s1"), *WHO)
    assert shut.closed
    assert not messy.account("s1").enabled
    assert messy.engine.facts.end(messy.person("s1"), FactKind.LOCK, *WHO) == 1


# --- taking it back ---------------------------------------------------------------------------------------------------


def test_a_live_target_is_put_back_into_observe_and_goes_on_where_it_was(fresh: World) -> None:
    """Also one that was live ever since its first apply: nothing is written from the next run on, and nothing is lost."""
    fresh.sync(first=True)
    assert [one.told for one in fresh.engine.golive.withdraw(LDAP, *WHO)] == ["everything"]
    before = fresh.everything()
    fresh.students(pupil(1, family="Other"), pupil(7))
    for kind in ("delta", "reconcile", "delta"):
        planned, _ = ran(fresh, kind)
        assert {Kind.CREATE, Kind.UPDATE} <= would(planned)
    assert fresh.everything() == before
    released(fresh)
    ran(fresh)
    assert fresh.account("s1").attributes["sn"] == ("Other",)
    assert fresh.account("s7").enabled
    assert told(fresh.plan("reconcile")) == []


def test_just_what_was_released_can_be_taken_back(messy: World) -> None:
    """The others stay; what nobody released is refused with what there is."""
    released(messy, operations=["create"])
    released(messy, attributes=["mail"])
    with pytest.raises(EndpointError, match=r"nobody released just campus 001, but: operation create; attribute mail"):
        messy.engine.golive.withdraw(LDAP, *WHO, campuses=["001"])
    messy.engine.golive.withdraw(LDAP, *WHO, operations=["create"])
    adopted(messy)
    assert set(kinds(ran(messy)[0])) == {Kind.UPDATE}


def test_what_was_undone_stays_undone_through_an_observed_time(fresh: World) -> None:
    """R22: the shelf is not emptied because nothing is planned meanwhile, and a rejection is not forgotten."""
    fresh.sync(first=True)
    fresh.clock.advance()
    fresh.students(pupil(1, family="Other"))
    run = ran(fresh)[0].run
    undo = fresh.engine.undo(Undoes(run))
    assert fresh.engine.apply_stored(undo.run) is not None
    assert fresh.account("s1").attributes["sn"] == ("Abara",)
    fresh.engine.golive.withdraw(LDAP, *WHO)
    ran(fresh, "reconcile")
    released(fresh)
    for _ in range(2):
        ran(fresh, "reconcile")
        assert fresh.account("s1").attributes["sn"] == ("Abara",)


def test_a_run_can_be_undone_on_a_target_that_was_withdrawn(fresh: World) -> None:
    """Something went wrong: first nothing more is written, then what was is taken back, by hand."""
    fresh.sync(first=True)
    fresh.clock.advance()
    fresh.students(pupil(1, family="Other"))
    run = ran(fresh)[0].run
    fresh.engine.golive.withdraw(LDAP, *WHO)
    assert fresh.engine.apply_stored(fresh.engine.undo(Undoes(run)).run) is not None
    assert fresh.account("s1").attributes["sn"] == ("Abara",)


def test_decisions_are_on_the_audit_chain_and_survive_a_restore(messy: World, tmp_path: Path) -> None:
    """R24, R25, R39: who, what and why; and a restored store releases no more than the old one did."""
    from tests.integration.test_engine_identity import restore  # noqa: PLC0415 — used here only

    released(messy, operations=["create"], campuses=["001"])
    messy.engine.golive.withdraw(LDAP, "bob (uid 2)", "too early")
    entries = {one.kind: (one.actor, one.contents) for one in messy.store.audit.entries()}
    covers = [["001"], ["create"], []]
    assert entries["released to write"] == ("ana (uid 1)", {"target": "ldap", "covers": covers, "because": "seen"})
    assert entries["withdrawn from writing"][0] == "bob (uid 2)"
    assert messy.store.audit.verify().problems == ()
    restore(messy, tmp_path)
    assert messy.engine.golive.conduct(LDAP).released.releases == ()


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ({"operations": ["rename"]}, "no operation is called 'rename'; there are: create, enable, update"),
        ({"attributes": ["mial"]}, "the mapping of ldap writes no attribute 'mial'; did you mean 'mail'?"),
        ({"attributes": ["mail"], "operations": ["create"]}, "attributes narrow updates"),
        ({"campuses": ["0012"]}, "no campus has the code '0012'; did you mean '012'?"),
    ],
)
def test_a_release_of_what_there_is_not_is_refused(messy: World, what: dict[str, list[str]], problem: str) -> None:
    """A misspelled campus would release nothing, and nobody would know why."""
    ran(messy)
    with pytest.raises(ValueError, match=problem.replace("?", r"\?")):
        released(messy, **what)
    assert messy.store.releases.of() == []


def test_the_same_is_not_released_twice(messy: World) -> None:
    """It would have to be taken back twice."""
    released(messy, operations=["membership"])
    with pytest.raises(ValueError, match="operation member of ldap is released already"):
        released(messy, operations=["member"])


# --- being told -------------------------------------------------------------------------------------------------------


def test_health_says_that_a_target_is_observed_and_nobody_is_woken_for_it(messy: World) -> None:
    """Not amiss, and not to be forgotten: a line, a count for each kind, no message."""
    ran(messy)
    health = health_of(messy)
    [reason] = [one for one in health.reasons if one.where == "target ldap"]
    assert reason.level is Level.OK
    assert reason.why.startswith("observing: ")
    assert "8 create" in reason.why
    assert health.facts.observed["ldap"]["create"] == 8
    notice, kept = due("Test", [reason], {}, messy.clock.now)
    assert (notice, kept) == (None, {})
    released(messy)
    messy.clock.now += timedelta(minutes=1)
    ran(messy)
    ran(messy)
    assert "ldap" not in health_of(messy).facts.observed


def test_how_each_target_stands_is_told(messy: World) -> None:
    """Before anybody decided, afterwards, and once it was taken back."""
    golive = messy.engine.golive
    assert "else observed until it is released" in golive.standings()[0].why
    released(messy, operations=["create"])
    [standing] = golive.standings()
    assert [(one.told, one.actor) for one in standing.releases] == [("operation create", "ana (uid 1)")]
    golive.withdraw(LDAP, "bob (uid 2)", "too early")
    assert golive.standings()[0].why == "observed: withdrawn by bob (uid 2)"


def test_a_transfer_into_a_campus_that_is_not_released_is_observed(messy: World) -> None:
    """Whoever is there is looked after by whoever looked after them before."""
    adopted(messy)
    released(messy, campuses=["001"])
    ran(messy)
    before = messy.account("s2")
    messy.clock.advance()
    messy.students(pupil(2, schools=("o2",), lessons=("h2",)))
    planned, _ = ran(messy)
    assert kinds(planned, messy.person("s2")) == []
    assert messy.account("s2") == before


def test_references_to_accounts_that_are_not_moved_name_them_where_they_are(messy: World) -> None:
    """A manager whose account others placed elsewhere is referred to there, until moves are released."""
    messy.by_hand("boss", "ou=Staff", employeeNumber="9001", sn="Nashson", givenName="Noa", cn="Noa Nashson")
    adopted(messy)
    released(messy, operations=["create", "update"])
    ran(messy)
    assert messy.account("t1").container == "ou=staff"
    assert messy.account("t2").attributes["manager"] == ("uid=boss,ou=staff",)
    released(messy, operations=["move"])
    ran(messy)
    assert messy.account("t2").attributes["manager"] == (f"uid=boss,{messy.account('t1').container}",)
    assert employee(2).manager == "t1"
