"""Locks (R33): shut out at once, past limits and runs under way, and shut out until somebody unlocks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from syncd.core.facts import Fact, FactKind
from syncd.core.guard import Limit
from syncd.core.model import Change, Failure, Kind, NativeId, Observed, Outcome, PersonId, Result, RunId, TargetName
from syncd.engine.lockout import Lockout
from syncd.engine.planned import Undoes
from syncd.errors import EndpointError
from syncd.store.facts import LOCK
from syncd.targets import PasswordOf, Question, Scope
from syncd.targets.memory import Memory, MemoryConfig
from syncd.targets.target import Target
from tests.fixtures.engine_world import LDAP, MAIN, PLACES, World, begun_world, found, kinds, pupil

WHO, WHY = "head (uid 1)", "a stolen device"


class Watched(Memory):
    """The memory directory, in which something happens the moment a change is sent, or which is away, or refuses passwords."""

    away = False
    no_passwords = False

    def __init__(self) -> None:
        super().__init__("ldap", MemoryConfig(containers=PLACES))
        self.before: list[object] = []
        self.behind: list[object] = []
        self.open_then: list[bool] = []  # whether pupil 30 had an open account when somebody became a member

    def lookup(self, questions: Collection[Question], scope: Scope) -> Iterator[tuple[Question, Observed]]:
        """As the directory does, if it is there."""
        if self.away:
            raise EndpointError("ldap: connect", "Connection refused; is the server up")
        return super().lookup(questions, scope)

    def apply(self, changes: Iterable[Change], password: PasswordOf) -> Iterator[Outcome]:
        """As the directory does; what waits in `before` and `behind` is called around the first account made or opened."""
        for change in changes:
            if change.kind is Kind.ADD_MEMBER:
                self.open_then.append(any(one.enabled for one in self.accounts.values() if one.attributes["sn"] == ("Bellxx",)))
            opens = change.kind in (Kind.CREATE, Kind.ENABLE)
            if opens and self.before:
                self.before.pop()()  # type: ignore[operator]  # the tests put functions there
            if self.no_passwords and change.kind is Kind.DISABLE and password(change) is not None:
                outcome = Outcome(
                    change, Result.FAILED, failure=Failure.REFUSED, why="constraint violation (19): password too good"
                )
            else:
                (outcome,) = super().apply([change], password)
            if opens and self.behind:
                self.behind.pop()()  # type: ignore[operator]  # the tests put functions there
            yield outcome


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Eight pupils with accounts, in a directory that is watched."""
    with begun_world(tmp_path, Watched()) as made:
        yield made


def directory(district: World) -> Watched:
    """The directory, as what it is."""
    assert isinstance(district.connector, Watched)
    return district.connector


def lock(district: World, key: str) -> None:
    """As `syncd lock` does, without waiting for a run that is under way in this very thread."""
    told = district.engine.facts.lock(district.person(key), WHO, WHY, patience=0)
    assert len(told) == 1


def committed(district: World, person: PersonId) -> None:
    """The lock as it becomes a fact, and nothing of what follows: the process that made it dies."""
    district.store.facts.add(Fact(0, person, FactKind.LOCK, district.clock.now, WHO, WHY))


def test_a_lock_disables_at_once_and_replaces_the_password(district: World) -> None:
    """No run is needed, nothing else of the account is touched, and what was done is in the journal under a run of its own."""
    before, old = district.account("s1"), directory(district).passwords[district.native("s1")]
    (told,) = district.engine.facts.lock(district.person("s1"), WHO, WHY)
    assert (told.closed, told.why) == (True, "disabled, and its password replaced")
    assert district.account("s1") == replace(before, enabled=False)
    assert directory(district).passwords[district.native("s1")] != old
    run = district.store.runs(1)[0]
    assert (run.kind, run.status) == (LOCK, "done")
    (row,) = district.store.journal(run.id)
    assert (row.change.kind, row.result) == (Kind.DISABLE, Result.DONE)
    assert row.change.reason == f"lock, by {WHO} on 2026-09-01: {WHY}"
    assert district.store.facts.owed() == []


def test_a_locked_person_stays_as_they_are_until_unlocked(district: World) -> None:
    """Runs of both kinds change nothing, whatever the roster says; it is found in each plan; a second lock changes nothing."""
    lock(district, "s1")
    district.students(replace(district.roster.students["s1"], family="Altered", schools=("o1",)))
    kept = district.account("s1")
    for kind in ("delta", "reconcile"):
        planned, _ = district.sync(kind)
        assert kinds(planned, district.person("s1")) == []
        assert found(planned, "locked") == [f"lock, by {WHO} on 2026-09-01: {WHY}"]
    assert district.account("s1") == kept
    assert district.engine.facts.lock(district.person("s1"), WHO, "again") == []


def test_an_account_opened_by_hand_is_closed_by_the_next_reconcile(district: World) -> None:
    """R33: whoever opens it in the directory opens it until then, and to no password anybody knows."""
    lock(district, "s1")
    district.alter("s1", enabled=True)
    closed = directory(district).passwords.pop(district.native("s1"))
    district.sync("reconcile")
    assert not district.account("s1").enabled
    assert directory(district).passwords[district.native("s1")] != closed
    assert district.store.facts.owed() == []


def test_no_limit_holds_or_counts_a_lock(district: World) -> None:
    """A limit of nobody, and a roster that is not believed at all: the lock goes through, and is not spent either."""
    target = district.config.targets[LDAP]
    nobody = replace(target.limits, disable=Limit(percent=0, absolute=0, at_least=0, campus_at_least=0))
    district.reopen(replace(district.config, targets={LDAP: replace(target, limits=nobody)}))
    lock(district, "s1")
    district.alter("s1", enabled=True)
    planned = district.engine.plan(MAIN, "reconcile")
    assert kinds(planned, district.person("s1")) == [Kind.DISABLE]
    assert planned.verdict.clear
    district.edit("config/syncd.yaml", "floor: 1\n", "floor: 1000\n")
    district.students(pupil(30))
    planned, applied = district.engine.sync(MAIN, "reconcile")
    assert planned.verdict.blocked
    assert applied is None
    assert not district.account("s1").enabled
    _, week = district.store.spent(LDAP, district.clock.now)
    assert "disable" not in {cell.operation for cell in week}


def test_unlock_gives_back_what_the_roster_says_with_a_new_password(district: World) -> None:
    """The next run enables the account, with a first password for a letter; who left meanwhile gets nothing back."""
    for key in ("s1", "s2"):
        lock(district, key)
    letters = len(district.store.sealed_passwords(district.clock.now))
    random = directory(district).passwords[district.native("s1")]
    district.students(replace(district.roster.students["s2"], exit=district.clock.today.replace(day=1)))
    district.clock.advance()
    for key in ("s1", "s2"):
        assert district.engine.facts.end(district.person(key), FactKind.LOCK, WHO, "it was found") == 1
    district.clock.advance()
    planned, _ = district.sync()
    assert kinds(planned, district.person("s1")) == [Kind.ENABLE]
    assert district.account("s1").enabled
    assert not district.account("s2").enabled
    assert directory(district).passwords[district.native("s1")] != random
    assert len(district.store.sealed_passwords(district.clock.now)) == letters + 1
    district.alter("s1", enabled=False)
    planned, _ = district.sync("reconcile")  # and from here on others' disabling is theirs again
    assert len(found(planned, "disabled by others")) == 1
    assert not district.account("s1").enabled


def test_what_others_closed_before_a_lock_stays_closed_after_it(district: World) -> None:
    """R33: a lock does not make somebody else's decision ours."""
    district.alter("s1", enabled=False)
    (told,) = district.engine.facts.lock(district.person("s1"), WHO, WHY)
    assert (told.closed, told.why) == (True, "is disabled")
    district.engine.facts.end(district.person("s1"), FactKind.LOCK, WHO, "over")
    for kind in ("delta", "reconcile"):
        district.sync(kind)
        assert not district.account("s1").enabled


def test_a_target_that_is_down_owes_the_lock_to_whoever_comes_next(district: World) -> None:
    """It is told as owed, counted, and paid by the next run, even by one of which nothing is applied."""
    directory(district).away = True
    (told,) = district.engine.facts.lock(district.person("s1"), WHO, WHY)
    assert not told.closed
    assert "Connection refused" in told.why
    assert [one.target for one in district.store.facts.owed()] == [LDAP]
    directory(district).away = False
    district.sync()
    assert not district.account("s1").enabled
    assert district.store.facts.owed() == []


def test_a_directory_that_refuses_the_password_still_closes_the_account(district: World) -> None:
    """A password policy must not keep somebody in."""
    directory(district).no_passwords = True
    (told,) = district.engine.facts.lock(district.person("s1"), WHO, WHY)
    assert told.closed
    assert told.why == "disabled, and its password left as it was (constraint violation (19): password too good)"
    assert not district.account("s1").enabled


def test_an_account_of_somebody_locked_while_it_is_made_is_closed_again(district: World) -> None:
    """The lock comes between the journal and the answer: whoever locks is told to wait, and the run closes it before it goes on."""
    told: list[bool] = []

    def now() -> None:
        person = district.person("s30")
        told.extend(one.waits for one in district.engine.facts.lock(person, WHO, WHY, patience=0))

    directory(district).before.append(now)
    district.students(pupil(30), pupil(31))
    directory(district).open_then.clear()
    district.sync()
    assert told == [True]
    assert set(directory(district).open_then) == {False}
    assert not district.account("s30").enabled
    assert district.store.facts.owed() == []
    district.engine.facts.end(district.person("s30"), FactKind.LOCK, WHO, "over")
    district.sync()
    assert district.account("s30").enabled


def test_an_account_made_and_not_answered_is_closed_by_whoever_locks(district: World) -> None:
    """The account is there, the run does not know yet: it is found at its place by what is in it."""

    def now() -> None:
        person = district.person("s30")
        (one,) = district.engine.facts.lock(person, WHO, WHY, patience=0)
        assert one.waits
        assert [account.enabled for account in district.memory.accounts.values() if account.attributes["sn"] == ("Bellxx",)] == [
            False
        ]

    directory(district).behind.append(now)
    district.students(pupil(30))
    district.sync()
    assert not district.account("s30").enabled
    district.engine.facts.end(district.person("s30"), FactKind.LOCK, WHO, "over")
    district.sync()
    assert district.account("s30").enabled


@pytest.mark.parametrize("when", ["before", "behind"])
def test_a_lock_and_a_run_that_both_die_in_the_middle_are_finished_by_the_next(district: World, when: str) -> None:
    """Killed between the journal and the answer, on either side of the effect: the next run finds out, and closes."""

    class Killed(BaseException):
        """As kill -9 does, as far as this process can."""

    def now() -> None:
        committed(district, district.person("s30"))
        raise Killed

    getattr(directory(district), when).append(now)
    district.students(pupil(30))
    with pytest.raises(Killed):
        district.sync()
    assert [one.in_flight for one in district.store.facts.owed()] == [True]
    district.reopen()
    district.sync()
    if when == "behind":
        assert not district.account("s30").enabled
    else:
        assert district.person("s30") not in district.store.known(LDAP)  # it was never made, and is not while they are locked
    assert district.store.facts.owed() == []


@pytest.mark.parametrize("when", ["before", "behind"])
def test_an_account_of_somebody_locked_while_it_is_opened_is_closed_again(district: World, when: str) -> None:
    """As above, for somebody who returns: on either side of the effect the lock waits for the answer, and the run closes."""
    told: list[tuple[bool, str]] = []
    yesterday = district.clock.today - timedelta(days=1)
    district.students(replace(district.roster.students["s1"], exit=yesterday))
    district.sync()
    assert not district.account("s1").enabled

    def now() -> None:
        (one,) = district.engine.facts.lock(district.person("s1"), WHO, WHY, patience=0)
        told.append((one.waits, one.why.partition(",")[0]))

    getattr(directory(district), when).append(now)
    district.students(replace(district.roster.students["s1"], exit=None))
    district.sync()
    assert told == [(True, "disabled" if when == "behind" else "a run has sent something to it and waits for the answer")]
    assert not district.account("s1").enabled
    assert district.store.facts.owed() == []


def test_a_target_that_is_dead_keeps_nobody_waiting_on_another(district: World) -> None:
    """Each on a thread of its own; the dead one stays owed."""
    person, other = district.person("s1"), TargetName("other")
    known = district.store.known(LDAP)[person]
    district.store.link(RunId("r1"), [replace(known, target=other, native_id=NativeId("n9"))])
    dead = Watched()
    dead.away = True
    targets = {LDAP: Target(LDAP, district.connector), other: Target(other, dead)}
    committed(district, person)
    lockout = Lockout(district.store, targets, dict.fromkeys(targets, Scope(frozenset())), district.clock)
    told = {one.target: one.closed for one in lockout.enforce()}
    assert told == {LDAP: True, other: False}
    assert not district.account("s1").enabled
    assert [one.target for one in district.store.facts.owed()] == [other]
    forgotten = Lockout(district.store, {}, {}, district.clock)
    (left,) = forgotten.enforce()
    assert "not configured any more" in left.why


def test_an_account_that_others_deleted_owes_nothing(district: World) -> None:
    """There is nothing to close; should it come back open, a reconcile finds it."""
    person, native = district.person("s1"), district.native("s1")
    account = district.memory.accounts.pop(native)
    (told,) = district.engine.facts.lock(person, WHO, WHY)
    assert (told.closed, told.why) == (True, "is not there")
    district.memory.accounts[native] = account
    district.sync("reconcile")
    assert not district.memory.accounts[native].enabled


def test_a_plan_made_before_a_lock_opens_nothing_behind_it(district: World) -> None:
    """A stored enable or create of somebody locked meanwhile is journalled as not sent, and waits for the unlock."""
    district.students(pupil(30))
    planned = district.engine.plan(MAIN)
    committed(district, district.person("s30"))
    applied = district.engine.apply(planned)
    assert applied is not None
    assert applied.failed == 0
    assert district.person("s30") not in district.store.known(LDAP)
    why = {row.why for row in district.store.journal(planned.run, district.person("s30")) if row.result is Result.FAILED}
    assert why == {"not sent: somebody locked this person; unlock lets the next run do it"}
    district.engine.facts.end(district.person("s30"), FactKind.LOCK, WHO, "over")
    district.sync()
    assert district.account("s30").enabled


def test_a_lock_is_carried_out_while_another_process_holds_the_right_to_run(district: World) -> None:
    """It takes no right to run, is no reason to plan again, and no run that it overtakes takes it for a fault."""
    district.students(pupil(30))
    planned = district.engine.plan(MAIN)
    lock(district, "s1")
    applied = district.engine.apply(planned)
    assert applied is not None
    assert not applied.failed
    assert district.account("s30").enabled
    assert not district.account("s1").enabled


def test_a_reconcile_that_saw_the_effect_before_it_was_recorded_does_not_call_it_others(district: World) -> None:
    """Read behind the disabling and accepted behind the recording, or before the unlock and accepted behind it: it was us."""
    lock(district, "s1")
    known = district.store.known(LDAP)[district.person("s1")]
    district.store.link(RunId("r1"), [replace(known, disabled_by_us=False)])
    assert district.store.known(LDAP)[district.person("s1")].disabled_by_us
    district.engine.facts.end(district.person("s1"), FactKind.LOCK, WHO, "over")
    district.store.link(RunId("r1"), [replace(known, disabled_by_us=False)])
    district.sync()
    assert district.account("s1").enabled


def test_a_resume_leaves_a_lock_that_somebody_carries_out_to_them(district: World) -> None:
    """Its answer is theirs to record; where they are dead, their lease runs out and the run records it. Never twice."""
    (row,) = [known for known in district.store.known(LDAP).values() if known.person == district.person("s1")]
    change = Change(LDAP, Kind.DISABLE, "lock", row.person, row.native_id, row.account, replace(row.account, enabled=False))
    run = district.store.begin_run("(lock)", LOCK, "lock", district.clock.now)
    district.store.set_run(run, "applying")
    (seq,) = district.store.intend(run, [change], {}, district.clock.now)
    assert district.store.leases.take(f"lock {LDAP} {row.person}", "another process", district.clock.now, 30)
    assert district.engine.resume() == 0
    district.clock.advance()
    assert district.engine.resume() == 1
    district.store.facts.answered([(seq, Outcome(change, Result.DONE))], district.clock.now)
    assert len(district.store.journal(run)) == 1


def test_a_lock_cannot_be_undone_but_by_unlocking(district: World) -> None:
    """`undo` of its run is refused, with the verb that does it."""
    lock(district, "s1")
    with pytest.raises(EndpointError, match="syncd unlock KEY"):
        district.engine.undo(Undoes(district.store.runs(1)[0].id))
