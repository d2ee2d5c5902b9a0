"""From plan to directory: first applies, stored plans, drift, refusals, unanswered changes, order, the way back from a loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from syncd.core import plan as plans
from syncd.core.guard import Limit
from syncd.core.model import KIND_ORDER, Change, Failure, Kind, NativeId, Outcome, Result
from syncd.errors import EndpointError
from syncd.store.history import password_context
from syncd.targets import PasswordOf
from syncd.targets.memory import Memory, MemoryConfig, _No
from tests.fixtures.engine_world import FIRST_DAY, LDAP, MAIN, PLACES, World, digests, employee, found, kinds, pupil, world
from tests.integration.test_engine_identity import restore


class Server(Memory):
    """The memory directory with a server's moods: `meet` is called with every change before it is carried out, `part` after."""

    def __init__(self) -> None:
        super().__init__("ldap", MemoryConfig(containers=PLACES))
        self.meet: Callable[[Change], Outcome | None] = lambda _: None
        self.part: Callable[[Change], object] = lambda _: None
        self.sent: list[Change] = []

    def apply(self, changes, password: PasswordOf) -> Iterator[Outcome]:  # type: ignore[no-untyped-def]  # noqa: ANN001 — as its parent
        """One outcome for every change, in order; `meet` may decide what is answered, after or instead of doing it."""
        for change in changes:
            self.sent.append(change)
            met = self.meet(change)
            if met is not None and met.result is Result.FAILED:
                yield met
                continue
            done = next(super().apply([change], password))
            self.part(change)
            yield met or done


def server(district: World) -> Server:
    """The target, as what it is."""
    assert isinstance(district.connector, Server)
    return district.connector


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[World]:
    """Six students and three staff, delivered; the directory is empty."""
    with world(tmp_path, connect=lambda _: Server()) as made:
        made.deliver()
        yield made


@pytest.fixture
def district(fresh: World) -> World:
    """Six students and three staff, with their accounts."""
    fresh.begin()
    server(fresh).sent.clear()
    return fresh


def only(kind: Kind, person: object, failure: Failure = Failure.REFUSED) -> Callable[[Change], Outcome | None]:
    """Refuses one kind of change for one person."""

    def meet(change: Change) -> Outcome | None:
        if change.kind is kind and change.person == person:
            return Outcome(change, Result.FAILED, failure=failure, why="insufficient access (50)")
        return None

    return meet


def changes(planned) -> list[Change]:  # type: ignore[no-untyped-def]  # noqa: ANN001 — a Planned
    """All changes of a plan."""
    return [change for one in planned.plans.values() for change in one.changes]


# --- R14 ------------------------------------------------------------------------------------------------------------------


def test_the_first_apply_is_explicit(fresh: World) -> None:
    """R14: a directory that syncd never wrote to is observed and planned only, until somebody says --first."""
    for _ in range(2):
        planned = fresh.engine.plan(MAIN)
        assert planned.verdict.first == (LDAP,)
        assert fresh.engine.apply(planned) is None
        assert fresh.engine.sync(MAIN)[1] is None
        assert fresh.engine.apply_stored(planned.run) is None
    assert server(fresh).sent == []
    assert fresh.memory.accounts == {}
    fresh.engine.apply_stored(planned.run, first=True)
    assert len(fresh.memory.accounts) == 9


def test_the_second_apply_needs_no_word(district: World) -> None:
    """R14: a directory with a history is synced without being asked for."""
    district.students(pupil(7))
    planned, applied = district.engine.sync(MAIN)
    assert applied is not None
    assert kinds(planned).count(Kind.CREATE) == 1


def test_first_releases_nothing_but_the_first(district: World) -> None:
    """R14: nothing runs unlimited because somebody says --first: a broken limit holds it just the same."""
    limited(district, disable=Limit(percent=3, absolute=1, at_least=0))
    district.students(*(pupil(number, exit=FIRST_DAY) for number in (1, 2, 3)))
    district.clock.advance()
    planned = district.engine.plan(MAIN)
    applied = district.engine.apply(planned, first=True)
    assert applied is not None
    assert applied.findings
    assert server(district).sent == []


def limited(district: World, **limits: Limit) -> None:
    """The same district under other limits."""
    target = district.config.targets[LDAP]
    narrow = replace(target, limits=replace(target.limits, **limits))
    district.reopen(replace(district.config, targets={LDAP: narrow}))


def test_a_broken_limit_is_told_before_anything_is_written(district: World) -> None:
    """R12, R14: what, how many, of how many, which limit, how to look; and none of these changes is sent."""
    limited(district, disable=Limit(percent=3, absolute=500, at_least=0))
    district.students(*(pupil(number, exit=FIRST_DAY) for number in (1, 2, 3)))
    district.clock.advance()
    planned, applied = district.engine.sync(MAIN)
    assert applied is not None
    [finding] = applied.findings
    assert str(finding) == (
        "target ldap: 3 accounts would be disabled, but targets.ldap.limits.disable allows at most 3 % of 9 accounts in 24 hours. "
        "They wait; everybody else goes on. See them with: syncd plan --kind disable"
    )
    assert planned.verdict.held == {district.person(key) for key in ("s1", "s2", "s3")}
    assert server(district).sent == []


# --- R5: refused stays dirty ----------------------------------------------------------------------------------------------


def test_a_refused_change_is_tried_again_until_it_lands(district: World) -> None:
    """R5: a delta run plans a refused person again, though nothing in the roster changes any more."""
    district.students(pupil(1, family="Other"))
    server(district).meet = only(Kind.UPDATE, district.person("s1"))
    for _ in range(3):
        district.clock.advance()
        _, applied = district.sync()
        assert applied.failed == 1
    assert [one.person for one in district.store.quarantine.refused()] == [district.person("s1")]
    server(district).meet = lambda _: None
    district.day()
    assert district.account("s1").attributes["sn"] == ("Other",)
    assert kinds(district.day()) == []
    assert district.store.quarantine.refused() == []


def test_what_waits_on_a_refused_change_is_not_sent(district: World) -> None:
    """R5, R20: after a refused create nothing else of that person goes out; the next run does it all."""
    district.students(pupil(7))
    person = None

    def refuse(change: Change) -> Outcome | None:
        if change.kind is Kind.CREATE:
            return Outcome(change, Result.FAILED, failure=Failure.REFUSED, why="insufficient access (50)")
        return None

    server(district).meet = refuse
    district.sync()
    person = district.person("s7")
    assert [change.kind for change in server(district).sent if change.person == person] == [Kind.CREATE]
    server(district).meet = lambda _: None
    district.day()
    assert district.account("s7").rdn == "ggray"
    assert kinds(district.day(kind="reconcile")) == []


def test_a_held_plan_leaves_everybody_dirty(district: World) -> None:
    """R2, R5: what is held is planned again with the same digests, from an unchanged file, until it may be applied."""
    district.students(*(pupil(number, exit=FIRST_DAY) for number in (1, 2, 3)), pupil(7))
    limited(district, disable=Limit(percent=3, absolute=1, at_least=0))
    district.clock.advance()
    held, _ = district.engine.sync(MAIN)
    assert district.account("s7").enabled  # whom no limit holds
    again, _ = district.engine.sync(MAIN)
    assert again.verdict.held == held.verdict.held == {district.person(key) for key in ("s1", "s2", "s3")}
    waiting = digests(again)
    assert set(waiting) < set(digests(held))
    limited(district, disable=Limit())
    done, applied = district.engine.sync(MAIN)
    assert applied is not None
    assert digests(done) == waiting
    assert not district.account("s1").enabled


def test_a_person_a_mapping_fails_on_is_quarantined_alone(district: World) -> None:
    """R5: the others go on; the person is looked at again in every delta run, and is well again once the mapping is."""
    before = district.account("s1")
    district.edit("mappings/people.yaml", '    "04": "students.lonestar.example.org"\n', "")  # the table of s1's grade
    district.students(pupil(1, family="Other"), pupil(2, family="Changed"))
    for _ in range(2):
        planned = district.day()
        assert [finding.person for finding in planned.findings if finding.kind == "quarantined"] == [district.person("s1")]
        assert district.account("s1") == before
        assert district.account("s2").attributes["sn"] == ("Changed",)
    people = '    "05": "students.lonestar.example.org"\n'
    district.edit("mappings/people.yaml", people, people + '    "04": "students.lonestar.example.org"\n')
    district.day()
    assert district.account("s1").attributes["sn"] == ("Other",)


def test_a_target_that_is_down_sits_the_run_out(district: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """R5: nothing is lost of a run whose target could not be reached; the next one does it."""

    def down(*_: object) -> Iterator[Outcome]:
        raise EndpointError("ldap", "cannot be reached")

    district.students(pupil(1, family="Other"), pupil(7))
    with monkeypatch.context() as broken:
        broken.setattr(district.connector, "apply", down)
        broken.setattr(district.connector, "lookup", down)
        for _ in range(2):
            district.clock.advance()
            planned, applied = district.engine.sync(MAIN)
            assert planned.stopped or (applied is not None and applied.failed)
    district.day()
    assert district.account("s1").attributes["sn"] == ("Other",)
    assert district.account("s7").rdn == "ggray"
    assert kinds(district.day(kind="reconcile")) == []


# --- R15, R16: stored plans -----------------------------------------------------------------------------------------------


def test_what_replans_identically_is_applied_and_the_rest_is_held(district: World) -> None:
    """R15, R16: after drift an identical change applies; a person with an altered one is held as a whole; a new one is held."""
    moved = pupil(2, family="Changed", schools=("o2",), lessons=("h2",))
    district.students(pupil(1, family="Other"), moved, pupil(7))
    stored = district.engine.plan(MAIN)
    assert len(kinds(stored, district.person("s2"))) > 2
    district.students(replace(moved, family="Drifted"), pupil(8), pupil(3, family="New"))
    before = district.account("s2")
    applied = district.engine.apply_stored(stored.run)
    assert applied is not None
    assert district.account("s1").attributes["sn"] == ("Other",)
    assert district.account("s7").rdn == "ggray"
    assert district.account("s2") == before
    assert district.account("s3").attributes["sn"] == ("Cruz",)
    held = {change.person for change in applied.held}
    assert held == {district.person(key) for key in ("s2", "s8", "s3")}
    assert not any(account.rdn == "hhale" for account in district.memory.accounts.values())
    district.day()
    assert district.account("s2").attributes["sn"] == ("Drifted",)
    assert district.account("s8").rdn == "hhale"
    assert kinds(district.day(kind="reconcile")) == []


def test_a_plan_applied_the_next_day_still_replans_identically(district: World) -> None:
    """R15: no date, time or run id is in a change's digest; an initial value keeps the day the plan was made on."""
    district.students(pupil(7), pupil(1, family="Other"))
    stored = district.engine.plan(MAIN)
    district.clock.advance()
    district.deliver()
    applied = district.engine.apply_stored(stored.run)
    assert applied is not None
    assert applied.held == ()
    assert applied.vanished == 0
    assert district.account("s7").attributes["description"] == (f"Created {FIRST_DAY} from the roster",)
    assert kinds(district.day()) == []


def test_what_is_not_needed_any_more_is_not_done(district: World) -> None:
    """R15: a change of a stored plan that has vanished since is counted and not carried out."""
    district.students(pupil(1, family="Other"))
    stored = district.engine.plan(MAIN)
    district.students(pupil(1))
    applied = district.engine.apply_stored(stored.run)
    assert applied is not None
    assert applied.vanished == 1
    assert server(district).sent == []


def test_a_stored_plan_is_applied_once(district: World) -> None:
    """R15: applied again it finds everything done."""
    district.students(pupil(7))
    stored = district.engine.plan(MAIN)
    district.engine.apply_stored(stored.run)
    server(district).sent.clear()
    again = district.engine.apply_stored(stored.run)
    assert again is not None
    assert server(district).sent == []


def test_a_run_that_wrote_is_not_called_done_because_its_plan_was_applied_again(district: World) -> None:
    """R17: what it left in doubt is looked for in the runs that did not end well."""
    district.students(pupil(7))
    stored = district.engine.plan(MAIN)
    district.store.set_run(stored.run, "interrupted")
    district.engine.apply_stored(stored.run)
    row = district.store.run(stored.run)
    assert row is not None
    assert row.status == "interrupted"


def test_an_unknown_plan_is_an_error_in_words(district: World) -> None:
    """R15: there is nothing to approve in a plan that is not kept."""
    with pytest.raises(EndpointError, match="there is no such plan"):
        district.engine.apply_stored("r999")  # type: ignore[arg-type]  # a RunId is a str


# --- R17, R18: unanswered and outrun ---------------------------------------------------------------------------------------


def unanswered(landed: bool) -> Callable[[Change], Outcome | None]:
    """A server that never answers an account's change: it was carried out, or it was not."""

    def meet(change: Change) -> Outcome | None:
        if change.kind not in (Kind.CREATE, Kind.UPDATE, Kind.MOVE, Kind.ADD_MEMBER, Kind.DISABLE):
            return None
        return Outcome(change, Result.UNKNOWN, why="the connection was lost")

    def drop(change: Change) -> Outcome | None:
        met = meet(change)
        if met is None:
            return None
        raise _No(Result.UNKNOWN, why="the connection was lost")

    return meet if landed else drop


class Dropping(Server):
    """Answers UNKNOWN without having done anything where `meet` raises."""

    def apply(self, changes, password: PasswordOf) -> Iterator[Outcome]:  # type: ignore[no-untyped-def]  # noqa: ANN001 — as its parent
        for change in changes:
            try:
                yield from super().apply([change], password)
            except _No as error:
                yield Outcome(change, error.outcome[0], why=error.outcome[2])


@pytest.mark.parametrize("landed", [True, False])
def test_an_unanswered_change_is_resolved_by_reading(tmp_path: Path, landed: bool) -> None:
    """R17: what can be seen was done, what cannot was not; never is a create repeated blindly, and the next run converges."""
    with world(tmp_path, connect=lambda _: Dropping()) as district:
        district.begin()
        server(district).meet = unanswered(landed)
        district.students(pupil(7), pupil(1, family="Other"), pupil(2, grade="08"), pupil(3, exit=FIRST_DAY))
        district.clock.advance()
        _, applied = district.sync()
        assert not any(outcome.result is Result.UNKNOWN for report in applied.reports.values() for outcome in report.failures)
        assert district.store.open_intentions() == []
        seven = [one for one in district.memory.accounts.values() if one.attributes["employeeNumber"] == ("10007",)]
        assert len(seven) == (1 if landed else 0)
        server(district).meet = lambda _: None
        district.day()
        seven = [one for one in district.memory.accounts.values() if one.attributes["employeeNumber"] == ("10007",)]
        assert len(seven) == 1
        assert district.account("s1").attributes["sn"] == ("Other",)
        assert kinds(district.day(kind="reconcile")) == []


@pytest.mark.parametrize("landed", [True, False])
def test_a_run_killed_in_the_middle_is_completed_by_the_next(district: World, landed: bool) -> None:
    """R17, R21: killed before or after a create took effect, there is one account in the end, and its password is there."""

    class Killed(BaseException):
        """The process is gone."""

    def kill(change: Change) -> None:
        if change.kind is Kind.CREATE:
            raise Killed

    if landed:
        server(district).part = kill
    else:
        server(district).meet = kill
    district.students(pupil(7))
    with pytest.raises(Killed):
        district.engine.sync(MAIN)
    server(district).part = lambda _: None
    server(district).meet = lambda _: None
    district.reopen()
    assert district.engine.resume() >= 1
    assert district.engine.resume() == 0
    district.day()
    assert [one.rdn for one in district.memory.accounts.values()].count("ggray") == 1
    sealed = {one.person: one.sealed for one in district.store.sealed_passwords(district.clock())}[district.person("s7")]
    password = district.vault.open(sealed, password_context(LDAP, district.person("s7"))).decode()
    assert password == district.memory.passwords[district.native("s7")]
    assert kinds(district.day(kind="reconcile")) == []


def test_a_stale_account_is_reread_and_planned_once_more(district: World) -> None:
    """R18: somebody else changed the value we were to replace: the person is read again and planned again in the same run."""
    district.students(pupil(1, family="Other"))
    district.alter("s1", sn=("Meanwhile",))
    _, applied = district.sync()
    assert not applied.failed
    assert district.account("s1").attributes["sn"] == ("Other",)
    assert kinds(district.day()) == []
    assert kinds(district.day(kind="reconcile")) == []


def test_a_second_miss_is_a_refused_change(district: World) -> None:
    """R18: outrun twice in one run, it is told as a failure and the person stays dirty."""
    person = district.person("s1")

    def outrun(change: Change) -> Outcome | None:
        if change.person == person and change.kind is Kind.UPDATE:
            district.alter("s1", sn=(f"Meanwhile{len(server(district).sent)}",))
        return None

    server(district).meet = outrun
    district.students(pupil(1, family="Other"))
    _, applied = district.sync()
    assert applied.failed == 1
    assert "twice" in applied.failures[0].why
    server(district).meet = lambda _: None
    district.day()
    assert district.account("s1").attributes["sn"] == ("Other",)


def test_what_others_changed_in_attributes_we_do_not_write_is_no_miss(district: World) -> None:
    """R18: preconditions cover identity and the old values of what is written, nothing else."""
    district.students(pupil(1, family="Other"))
    district.alter("s1", description=("noted by a secretary",), telephoneNumber=("1",))
    _, applied = district.sync()
    assert not applied.failed
    assert applied.landed == 1
    assert district.account("s1").attributes["description"] == ("noted by a secretary",)


# --- R20 -------------------------------------------------------------------------------------------------------------------


def test_changes_are_sent_in_the_order_of_what_they_need(fresh: World) -> None:
    """R20: containers, then groups, then accounts, then memberships; whoever leaves waits for whoever comes."""
    fresh.begin()
    sent = server(fresh).sent
    containers = [change.group for change in sent if change.kind is Kind.CREATE_CONTAINER]
    for place, name in enumerate(containers):
        assert plans.parent(name or "") not in containers[place:]
    first = {kind: next(index for index, change in enumerate(sent) if change.kind is kind) for kind in {one.kind for one in sent}}
    assert first[Kind.CREATE_CONTAINER] < first[Kind.CREATE_GROUP] < first[Kind.ADD_MEMBER]
    for change in sent:
        if change.kind in (Kind.ADD_MEMBER, Kind.REFER):
            created = next(one for one in sent if one.kind is Kind.CREATE and one.person == change.person)
            assert sent.index(created) < sent.index(change)


def test_a_persons_steps_follow_their_order(district: World) -> None:
    """R20: of one person an update, a move and the memberships are sent in that order, and a leaver loses groups before access."""
    district.students(pupil(2, family="Changed", schools=("o2",), lessons=("h2",)), pupil(3, exit=FIRST_DAY))
    district.day()
    sent = [change.kind for change in server(district).sent if change.person == district.person("s2")]
    assert sent == sorted(sent, key=KIND_ORDER.__getitem__)
    leaver = [change.kind for change in server(district).sent if change.person == district.person("s3")]
    assert leaver[-1] is Kind.DISABLE
    assert set(leaver[:-1]) == {Kind.REMOVE_MEMBER}


def test_a_reference_follows_the_account_it_names(district: World) -> None:
    """R4, R20: when a manager's account moves, everybody who names it is rewritten behind the move, untouched as their rows are."""
    district.staff(employee(1, schools=("o1",)))
    planned = district.day()
    assert Kind.MOVE in kinds(planned, district.person("t1"))
    for key in ("t2", "t3"):
        assert kinds(planned, district.person(key)) == [Kind.REFER]
        assert district.account(key).attributes["manager"] == ("uid=noa.nashson,ou=001,ou=staff",)


# --- R25 -------------------------------------------------------------------------------------------------------------------


def test_after_a_restore_the_target_is_read_before_anything_is_created(district: World, tmp_path: Path) -> None:
    """R25: accounts made after the copy are found again, not made again, and the first run is a reconcile whatever is asked for."""
    copy = tmp_path / "old.backup"
    district.store.backup(copy)
    district.students(pupil(7))
    district.day()
    native = district.native("s7")
    lose_and_restore(district, copy)
    server(district).sent.clear()
    district.clock.advance()
    planned, applied = district.engine.sync(MAIN)
    assert planned.kind == "reconcile"
    assert applied is not None
    assert Kind.CREATE not in kinds(planned)
    assert found(planned, "adopted")
    assert district.native("s7") == native
    district.day()
    assert [change for change in server(district).sent if change.kind is Kind.CREATE] == []
    assert kinds(district.day()) == []


def test_after_a_restore_a_target_that_cannot_be_read_is_not_written(
    district: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R25: nothing is created, renamed or disabled until the target has been read in full, in however many runs."""
    restore(district, tmp_path)
    district.students(pupil(7), pupil(1, exit=FIRST_DAY))
    server(district).sent.clear()

    def down(*_: object) -> Iterator[NativeId]:
        raise EndpointError("ldap", "cannot be read")

    with monkeypatch.context() as broken:
        broken.setattr(district.connector, "read", down)
        for _ in range(3):
            district.clock.now += timedelta(days=1)
            planned, _ = district.engine.sync(MAIN)
            assert planned.kind == "reconcile"
            assert planned.stopped
    assert server(district).sent == []
    district.reopen()  # the breaker would leave the target alone for a minute
    assert district.engine.sync(MAIN)[1] is None
    assert server(district).sent == []
    planned, _ = district.sync(first=True)
    assert planned.kind == "reconcile"
    assert Kind.CREATE in kinds(planned)
    assert district.day().kind == "delta"


def lose_and_restore(district: World, copy: Path) -> None:
    """The store is lost and restored from this copy."""
    kept = copy.read_bytes()
    restore(district, copy.parent)  # makes a copy of its own beside it
    from syncd.assembly import migrate_store  # noqa: PLC0415 — used here only
    from syncd.store import Store  # noqa: PLC0415 — used here only

    district.store.close()
    for path in district.state.glob("syncd.db*"):
        path.unlink()
    migrate_store(district.config)
    district.store = Store.open(district.config.store, district.vault)
    copy.write_bytes(kept)
    district.store.restore(copy)
    district.reopen()
