"""What the store promises, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import Table, delete, select, update
from sqlalchemy.exc import DBAPIError

from syncd.core.lifecycle import PersonState
from syncd.core.model import (
    Account,
    Campus,
    Change,
    Enrolment,
    Failure,
    Kind,
    NativeId,
    Outcome,
    PersonId,
    Record,
    Result,
    Role,
    RunId,
    Section,
    SourceKey,
    SourceName,
    Subject,
    SubjectKey,
    TargetName,
)
from syncd.core.naming import IssuedName
from syncd.errors import ChangeError, EndpointError
from syncd.store import Acceptance, Finding, Known, KnownKey, SnapshotRow, Store, tables
from syncd.store.database import transaction

NOW = datetime(2026, 8, 20, 6, 0, tzinfo=UTC)
TODAY = date(2026, 8, 20)
SIS = SourceName("sis")
AD = TargetName("ad")
P1, P2 = PersonId("p1"), PersonId("p2")


def key(text: str) -> tuple[SourceName, SourceKey]:
    return SIS, SourceKey(text)


def campus(text: str) -> SubjectKey:
    return SubjectKey(Subject.CAMPUS, SourceKey(text))


def account(rdn: str = "Ana", **attributes: str) -> Account:
    return Account(rdn, "ou=Students", enabled=True, attributes={name: (value,) for name, value in attributes.items()})


def create(person: PersonId = P1, rdn: str = "Ana", **attributes: str) -> Change:
    return Change(AD, Kind.CREATE, "new", person, after=account(rdn, **attributes))


def people(store: Store, count: int = 2) -> RunId:
    store.mint([key(str(number)) for number in range(1, count + 1)])
    return store.begin_run("main", "delta", "timer", NOW)


def done(change: Change, native_id: str | None = None) -> Outcome:
    return Outcome(change, Result.DONE, NativeId(native_id) if native_id else None)


def carry_out(store: Store, run: RunId, *outcomes: Outcome) -> None:
    seqs = store.intend(run, [one.change for one in outcomes], {}, NOW)
    store.record(run, list(zip(seqs, outcomes, strict=True)), NOW)


# --- runs and leases --------------------------------------------------------------------------------------------------


def test_runs_are_numbered_and_told_newest_first(store: Store) -> None:
    first, second = (store.begin_run("main", "delta", "timer", NOW) for _ in range(2))
    assert (first, second) == ("r1", "r2")
    store.set_run(first, "done", NOW + timedelta(minutes=1), {"landed": 3})
    told = store.run(first)
    assert told is not None
    assert ("done", NOW + timedelta(minutes=1), {"landed": 3}) == (told.status, told.ended, told.summary)
    assert [second, first] == [row.id for row in store.runs()]


@pytest.mark.parametrize("said", ["r99", "99", "rx", "", "r²", "r1; DROP TABLE runs"])
def test_a_run_that_never_was_is_simply_not_there(store: Store, said: str) -> None:
    """What an operator types is looked up, never parsed into an error."""
    people(store)
    assert store.run(RunId(said)) is None
    assert store.plan(RunId(said)) is None
    assert store.journal(RunId(said)) == []


def test_a_lease_has_one_holder_until_it_expires_or_is_given_back(store: Store) -> None:
    """R19."""
    assert store.leases.take("run", "a", NOW, 60)
    assert not store.leases.take("run", "b", NOW + timedelta(seconds=59), 60)
    assert store.leases.take("run", "a", NOW + timedelta(seconds=59), 60)
    assert not store.leases.take("run", "b", NOW + timedelta(seconds=60), 60)
    assert store.leases.take("run", "b", NOW + timedelta(seconds=119), 60)
    store.leases.give_back("run", "a")
    assert not store.leases.take("run", "a", NOW + timedelta(seconds=120), 60)
    store.leases.give_back("run", "b")
    assert store.leases.take("run", "a", NOW + timedelta(seconds=120), 60)


def test_of_many_who_want_a_lease_at_once_one_gets_it(store: Store) -> None:
    """R19: two daemons that start together do not both run."""
    started = threading.Barrier(4)
    won: list[int] = []

    def want(number: int) -> None:
        started.wait()
        if store.leases.take("run", f"holder {number}", NOW, 60):
            won.append(number)

    in_threads([partial(want, number) for number in range(4)])
    assert len(won) == 1


def test_four_threads_that_read_and_then_update_lose_nothing(store: Store) -> None:
    """SQLAlchemy's default on SQLite silently loses concurrent updates; every transaction here begins IMMEDIATE."""
    store.set_meta("count", "0")

    def count() -> None:
        for _ in range(200):
            with transaction(store._engine) as connection:
                query = select(tables.meta.c.value).where(tables.meta.c.key == "count").with_for_update()
                value = int(connection.execute(query).scalar_one())
                connection.execute(update(tables.meta).where(tables.meta.c.key == "count").values(value=str(value + 1)))

    in_threads([count] * 4)
    assert store.meta("count") == "800"


def in_threads(work: Sequence[Callable[[], object]]) -> None:
    failed: list[BaseException] = []

    def guarded(one: Callable[[], object]) -> None:
        try:
            one()
        except BaseException as error:  # noqa: BLE001 — a thread's failure is the test's failure
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


# --- persons and names ------------------------------------------------------------------------------------------------


def test_persons_are_minted_once_in_the_order_given(store: Store) -> None:
    """The same key is the same person for ever."""
    assert {key("a"): P1, key("b"): P2} == store.mint([key("a"), key("b"), key("a")])
    assert {key("c"): PersonId("p3"), key("a"): P1} == store.mint([key("c"), key("a")])


def test_a_persons_number_is_never_used_again(store: Store) -> None:
    """Not even when the newest person was deleted: a PersonId stands in journals and backups."""
    people(store)
    with transaction(store._engine) as connection:
        connection.execute(delete(tables.source_keys).where(tables.source_keys.c.person == 2))
        connection.execute(delete(tables.persons).where(tables.persons.c.seq == 2))
    assert store.mint([key("new")]) == {key("new"): "p3"}


def test_another_sources_key_leads_to_the_same_person(store: Store) -> None:
    run = people(store)
    store.accept(run, Acceptance(keys=(KnownKey(SourceName("hr"), SourceKey("h7"), P1),)), NOW)
    assert {"h7", "1"} == {one.key for one in store.keys_of([P1])[P1]}
    assert [P1] == store.find_person("h7") == store.find_person("p1") == store.find_person("1")


@pytest.mark.parametrize("said", ["p99", "p", "p²", "", "99999999999999", "p99999999999"])
def test_a_text_that_means_nobody_finds_nobody(store: Store, said: str) -> None:
    people(store)
    assert store.find_person(said) == []


def test_a_name_that_somebody_holds_is_never_reserved_for_another(store: Store) -> None:
    """R9: the unique key decides, however the name is spelled, and nothing of the refused call stays."""
    run = people(store)
    store.reserve(run, {"agarcia": P1}, NOW)
    store.reserve(run, {"A.Garcia@example.org": P1}, NOW)
    with pytest.raises(ChangeError, match="belongs to p1"):
        store.reserve(run, {"AGarcía": P2, "free": P2}, NOW)
    assert store.holders(["agarcia", "free"]) == {"agarcia": P1}


def test_threads_that_want_one_name_do_not_all_get_it(store: Store) -> None:
    """R9 holds between processes and threads."""
    run = people(store, 4)
    started = threading.Barrier(4)
    won: list[str] = []

    def want(person: PersonId) -> None:
        started.wait()
        try:
            store.reserve(run, {"agarcia": person, f"own{person}": person}, NOW)
        except ChangeError:
            return
        won.append(person)

    in_threads([partial(want, PersonId(f"p{number}")) for number in range(1, 5)])
    assert len(won) == 1
    assert {"agarcia": won[0]} == store.holders(["agarcia"])


def test_a_reserved_name_is_issued_once_it_was_sent(store: Store) -> None:
    """R9: reserved until sent, issued from then on."""
    run = people(store)
    store.reserve(run, {"agarcia": P1, "bgarcia": P2}, NOW)
    store.intend(run, [create(P1)], {}, NOW)
    assert [(row.name, row.holder, row.state) for row in store.ledger()] == [
        ("agarcia", "p1", "issued"),
        ("bgarcia", "p2", "reserved"),
    ]


def test_a_found_name_never_overwrites_a_holder_and_becomes_its_adopters(store: Store) -> None:
    """R34: every name found enters the ledger."""
    run = people(store)
    store.reserve(run, {"agarcia": P1}, NOW)
    store.accept(run, Acceptance(found={"agarcia": "ad:n9", "bgarcia": "ad:n2"}), NOW)
    assert store.holders(["agarcia", "bgarcia"]) == {"agarcia": "p1", "bgarcia": "ad:n2"}
    with pytest.raises(ChangeError, match="ad:n2"):
        store.reserve(run, {"bgarcia": P2}, NOW)
    store.accept(run, Acceptance(names={P2: (IssuedName("username", "bgarcia", ""),)}), NOW)
    assert store.holders(["bgarcia"]) == {"bgarcia": "p2"}
    assert store.names([P2]) == {P2: {"username": IssuedName("username", "bgarcia", "")}}


def test_the_ledger_is_searched_by_holder_and_by_part(store: Store) -> None:
    run = people(store)
    store.reserve(run, {"agarcia": P1, "zgarcia": P1, "bsmith": P2}, NOW)
    assert [row.name for row in store.ledger(holder="p1")] == ["agarcia", "zgarcia"]
    assert [row.name for row in store.ledger(like="GARC")] == ["agarcia", "zgarcia"]
    assert store.ledger(like="%") == []


# --- accepting --------------------------------------------------------------------------------------------------------


def test_what_was_accepted_is_what_is_known(store: Store) -> None:
    """Everything a clear plan makes true, read back through the questions a run asks."""
    run = people(store)
    north, south = Campus(SourceKey("c1"), "North", "north"), SourceKey("c2")
    algebra = Section(SourceKey("k1"), "ALG1", "Algebra I", south)
    record = Record(
        SIS, SourceKey("1"), {"given": "Ana", "start_date": TODAY}, (Role(north, "student"),), (Enrolment(algebra, "student"),)
    )
    snapshot = SnapshotRow(SIS, "s1", "hash", {"persons": 2}, TODAY, NOW)
    state = PersonState(P1, "students", "active", TODAY, TODAY + timedelta(days=3), "token garcia", "ana", "north")
    subject = SubjectKey(Subject.PERSON, SourceKey("1"))
    store.accept(
        run,
        Acceptance(
            snapshots=(snapshot,),
            digests={SIS: ({subject: 2**128 - 1, campus("c1"): 0, campus("c2"): 5}, ())},
            records=(record,),
            keys=(KnownKey(SIS, SourceKey("2"), P2, TODAY, 2),),
            persons=(state,),
            refs={P1: [(SIS, SourceKey("2"))], P2: [(SIS, SourceKey("1"))]},
            dirty=[P1, P2],
            fingerprints={"people": "f1", "target:ad": "f2"},
            findings=(Finding("reject", "students.csv:12", "no key", P1, SIS, None, {"column": "id"}),),
        ),
        NOW,
    )
    assert [snapshot] == store.snapshots(SIS)
    assert {subject: 2**128 - 1, campus("c1"): 0, campus("c2"): 5} == store.digests(SIS)
    assert {P1: [record]} == store.records([P1, P2]) == store.records()
    assert [KnownKey(SIS, SourceKey("2"), P2, TODAY, 2)] == store.keys_of([P2])[P2]
    assert {P1: state} == store.persons([P1])
    assert {"token garcia": [state]} == store.resembling(["token garcia", ""])
    assert (set(), {P1}) == (store.due(TODAY + timedelta(days=2)), store.due(TODAY + timedelta(days=3)))
    two = SubjectKey(Subject.PERSON, SourceKey("2"))
    for edge in (campus("c1"), campus("c2"), SubjectKey(Subject.CLASS, SourceKey("k1")), two):
        assert store.referrers(SIS, [edge]) == {P1}
    assert store.referrers(SIS, [campus("c1"), subject]) == {P1, P2}
    assert store.referrers(SIS, [campus("c3"), SubjectKey(Subject.CLASS, south)]) == set()
    assert {P1, P2} == store.dirty()
    assert store.fingerprints() == {"people": "f1", "target:ad": "f2"}
    assert [one.subject for one in store.findings("reject")] == ["students.csv:12"]
    assert store.findings("disputed") == []

    store.accept(run, Acceptance(digests={SIS: ({}, [campus("c2")])}, refs={P1: []}, findings=()), NOW)
    assert {subject, campus("c1")} == store.digests(SIS).keys()
    assert (set(), {P2}) == (store.referrers(SIS, [two]), store.referrers(SIS, [subject]))
    assert store.findings() == []
    store.settle([P1])
    assert {P2} == store.dirty()


def test_an_acceptance_that_fails_halfway_leaves_nothing(store: Store) -> None:
    """One transaction: a name that is somebody else's takes the whole acceptance back."""
    run = people(store)
    store.reserve(run, {"agarcia": P1}, NOW)
    with pytest.raises(ChangeError):
        store.accept(run, Acceptance(dirty=[P1], names={P2: (IssuedName("username", "agarcia", "b"),)}), NOW)
    assert store.dirty() == set()


def test_more_values_than_one_question_takes_are_asked_in_pieces(store: Store) -> None:
    """Collections have no upper limit."""
    minted = store.mint([key(str(number)) for number in range(1201)])
    assert minted.keys() == {(SIS, one) for one in store.keys(SIS, [one for _, one in minted])}
    assert set(minted.values()) == store.persons(list(minted.values())).keys() == store.everyone()
    store.mark(minted.values())
    store.settle(list(minted.values())[:1100])
    assert len(store.dirty()) == 101


# --- journal ----------------------------------------------------------------------------------------------------------


def test_an_intention_is_open_until_its_outcome_is_recorded(store: Store) -> None:
    """Written before it is sent, in the order given."""
    run = people(store)
    changes = [create(P1, "Ana", mail="a@x"), create(P2, "Bo")]
    first, second = store.intend(run, changes, {}, NOW)
    assert first < second
    assert [(first, run, changes[0]), (second, run, changes[1])] == [
        (one.seq, one.run, one.change) for one in store.open_intentions()
    ]
    store.record(run, [(first, done(changes[0], "n1"))], NOW)
    assert [second] == [one.seq for one in store.open_intentions()]
    assert [row.result for row in store.journal(run)] == [Result.DONE, None]
    assert [second] == [row.seq for row in store.journal(person=P2)]


def test_a_target_has_history_once_its_first_apply_has_begun(store: Store) -> None:
    """R14: a journalled change alone is none, such as that of one person synced alone."""
    store.intend(people(store), [create(P1, "Ana")], {}, NOW)
    assert not store.has_history(AD)
    store.set_first_apply(AD, "begun")
    assert (store.has_history(AD), store.first_apply(AD), store.has_history(TargetName("google"))) == (True, "begun", False)


@pytest.mark.parametrize("table", [tables.journal, tables.outcomes], ids=str)
def test_the_journal_refuses_to_be_rewritten(store: Store, table: Table) -> None:
    """R24: append-only, in the database itself."""
    run = people(store)
    carry_out(store, run, done(create(), "n1"))
    for statement in (update(table).values(at="never"), delete(table)):
        with pytest.raises(DBAPIError, match="append-only"), transaction(store._engine) as connection:
            connection.execute(statement)
    assert len(store.journal(run)) == 1


def test_an_image_moved_to_another_row_of_the_journal_does_not_open(store: Store) -> None:
    """What is sealed is bound to its row."""
    run = people(store)
    first, second = store.intend(run, [create(P1), create(P2)], {}, NOW)
    image = tables.images
    with transaction(store._engine) as connection:
        stolen = connection.execute(select(image.c.sealed).where(image.c.seq == first)).scalar_one()
        connection.execute(update(image).where(image.c.seq == second).values(sealed=stolen))
    with pytest.raises(EndpointError, match="altered"):
        store.journal(person=P2)


def test_images_and_plans_expire_but_that_something_was_done_stays(store: Store) -> None:
    """R38, R24: what an account held goes, the journal's row and its outcome stay; what is still open keeps its image."""
    run = people(store)
    store.save_plan(run, b"plan", {}, "planned")
    carry_out(store, run, done(create(P1, "Ana", mail="a@x"), "n1"))
    store.intend(run, [create(P2, "Bo")], {}, NOW)
    store.set_run(run, "partly failed", NOW)
    store.expire(NOW, NOW, NOW)
    assert store.journal(run)[0].change.after == account("Ana", mail="a@x")
    later = NOW + timedelta(seconds=1)
    assert store.expire(NOW, later, later) == 2
    expired, still_open = store.journal(run)
    assert (
        expired.change.after, expired.change.person, expired.change.kind, expired.result,
    ) == (None, P1, Kind.CREATE, Result.DONE)  # fmt: skip
    assert [create(P2, "Bo")] == [still_open.change] == [one.change for one in store.open_intentions()]
    assert store.plan(run) is None
    assert store.known(AD)[P1].account == account("Ana", mail="a@x")


def test_a_create_that_landed_is_a_link_with_what_was_written(store: Store) -> None:
    run = people(store)
    carry_out(store, run, done(create(P1, "Ana", mail="a@x"), "n1"))
    assert {P1: Known(P1, AD, NativeId("n1"), "created", account("Ana", mail="a@x"))} == store.known(AD)
    assert {"n1": P1} == store.linked(AD) == store.linked(AD, [NativeId("n1"), NativeId("n2")])
    assert store.find_person("n1") == [P1]


def test_every_kind_of_change_has_its_effect_on_the_known_account(store: Store) -> None:
    """What we know of an account follows what was recorded of it, within one batch as across batches."""
    run = people(store)

    def change(kind: Kind, after: Account | None = None, group: str | None = None) -> Change:
        return Change(AD, kind, "why", P1, NativeId("n1"), after=after, group=group)

    cleared = Account("", "", enabled=True, attributes={"mail": (), "title": ("Dr",), "sn": ("A", "B")})
    carry_out(
        store, run,
        done(create(P1, "Ana", mail="a@x"), "n1"),
        done(change(Kind.UPDATE, cleared)),
        done(change(Kind.REFER, Account("", "", enabled=True, attributes={"manager": ("n2",)}))),
        done(change(Kind.ADD_MEMBER, group="all")),
        done(change(Kind.ADD_MEMBER, group="north")),
        Outcome(change(Kind.ADD_MEMBER, group="theirs"), Result.ALREADY),
    )  # fmt: skip
    expected = Account(
        "Ana", "ou=Students", enabled=True, attributes={"title": ("Dr",), "sn": ("A", "B"), "manager": ("n2",)},
        groups=frozenset({"all", "north"}),
    )  # fmt: skip
    assert expected == store.known(AD, [P1])[P1].account

    moved = Account("Anna", "ou=Gone", enabled=False, attributes={})
    carry_out(store, run, done(change(Kind.REMOVE_MEMBER, group="all")), done(change(Kind.DISABLE, moved)))
    known = store.known(AD)[P1]
    assert (False, True, {"north"}) == (known.account.enabled, known.disabled_by_us, known.account.groups)
    carry_out(store, run, done(change(Kind.PARK, moved)), done(change(Kind.ENABLE, moved)))
    known = store.known(AD)[P1]
    assert (
        known.account.rdn, known.account.container, known.account.enabled, known.disabled_by_us,
    ) == ("Anna", "ou=Gone", True, False)  # fmt: skip
    carry_out(store, run, done(change(Kind.DELETE, moved)))
    assert (store.known(AD), store.linked(AD)) == ({}, {})


def test_an_account_made_anew_has_none_of_its_predecessors_memberships(store: Store) -> None:
    """Somebody deleted the account; the new one is in no group until it is added."""
    run = people(store)
    carry_out(store, run, done(create(), "n1"), done(Change(AD, Kind.ADD_MEMBER, "why", P1, NativeId("n1"), group="all")))
    carry_out(store, run, done(create(), "n2"))
    assert (NativeId("n2"), frozenset()) == ((known := store.known(AD)[P1]).native_id, known.account.groups)


def test_a_refused_change_is_set_aside_with_its_words_until_something_lands(store: Store) -> None:
    """Quarantine counts and remembers since when; a second try that lands clears it."""
    run = people(store)
    for _ in range(2):
        carry_out(store, run, Outcome(create(), Result.FAILED, None, Failure.INVALID, "mail: value #0 invalid"))
    (held,) = store.quarantine.refused()
    assert (held.person, held.target, held.kind, held.count) == (P1, AD, Kind.CREATE, 2)
    assert held.words == "invalid value: mail: value #0 invalid"
    assert store.known(AD) == {}
    carry_out(store, run, done(create(), "n1"))
    assert store.quarantine.refused() == []


def test_an_adopted_account_is_known_with_the_memberships_we_own(store: Store) -> None:
    """R34; a second look replaces the first."""
    run = people(store)
    seen = Account("Ana", "", enabled=True, attributes={"mail": ("a@x",)}, groups=frozenset({"g1"}))
    store.link(run, [Known(P1, AD, NativeId("n1"), "matched by mail", seen), Known(P2, AD, NativeId("n2"), "confirmed", account())])
    assert seen == store.known(AD)[P1].account
    store.link(run, [Known(P1, AD, NativeId("n1"), "matched by mail", account("Anna"))])
    assert account("Anna") == store.known(AD)[P1].account


def test_an_account_is_never_linked_to_two_persons(store: Store) -> None:
    """The second link is refused, the first one stays."""
    run = people(store)
    store.link(run, [Known(P1, AD, NativeId("n1"), "matched", account())])
    with pytest.raises(ChangeError, match="belongs to p1"):
        store.link(run, [Known(P2, AD, NativeId("n1"), "matched", account())])
    assert store.linked(AD) == {"n1": P1}


# --- plans, letters, secrecy ------------------------------------------------------------------------------------------


def test_a_plan_is_kept_and_given_back(store: Store) -> None:
    run = people(store)
    store.save_plan(run, b"first", {}, "held")
    store.save_plan(run, b"the plan", {"create": 2}, "planned")
    told = store.run(run)
    assert told is not None
    assert (store.plan(run), told.status, told.summary) == (b"the plan", "planned", {"create": 2})


def test_a_letter_is_written_once_and_only_for_an_account_that_exists(store: Store) -> None:
    """R21: the sealed password lies in the same transaction as the intention, and is gone once handed out."""
    run, later = people(store), NOW + timedelta(days=60)
    changes = [create(P1), create(P2, "Bo")]
    seqs = store.intend(run, changes, {0: (b"sealed 1", later), 1: (b"sealed 2", NOW - timedelta(days=1))}, NOW)
    assert store.sealed_passwords(NOW, AD) == []
    store.record(run, [(seqs[0], done(changes[0], "n1")), (seqs[1], done(changes[1], "n2"))], NOW)
    (waiting,) = store.sealed_passwords(NOW)
    assert (P1, AD, b"sealed 1", later) == (waiting.person, waiting.target, waiting.sealed, waiting.expires)
    assert store.sealed_passwords(NOW, TargetName("google")) == []
    store.expire(later - timedelta(seconds=1), NOW, NOW)
    assert len(store.sealed_passwords(NOW)) == 1
    store.hand_out([waiting.id], NOW)
    assert store.sealed_passwords(NOW) == []
    with transaction(store._engine) as connection:
        assert (
            None is connection.execute(select(tables.passwords.c.sealed).where(tables.passwords.c.seq == waiting.id)).scalar_one()
        )


def test_a_password_nobody_fetched_is_gone_after_its_day(store: Store) -> None:
    """A first password does not wait for ever."""
    run, day = people(store), datetime.now(UTC) + timedelta(days=60)
    change = create()
    (seq,) = store.intend(run, [change], {0: (b"sealed", day)}, NOW)
    store.record(run, [(seq, done(change, "n1"))], NOW)
    store.expire(day, NOW, NOW)
    with transaction(store._engine) as connection:
        assert list(connection.scalars(select(tables.passwords.c.sealed))) == [None]
    assert store.sealed_passwords(NOW) == []


def test_nothing_of_a_persons_data_lies_readable_in_any_table(store: Store) -> None:
    """R38: records, accounts, journal, outcomes, findings and plans are sealed."""
    run, secret = people(store), "Quetzalcoatl"
    store.accept(
        run,
        Acceptance(records=(Record(SIS, SourceKey("1"), {"family": secret}),), findings=(Finding("reject", secret, secret, P1),)),
        NOW,
    )
    store.save_plan(run, secret.encode(), {}, "planned")
    carry_out(
        store,
        run,
        done(create(P1, secret, sn=secret), "n1"),
        Outcome(create(P2, secret), Result.FAILED, None, Failure.OTHER, secret),
    )
    with transaction(store._engine) as connection:
        for table in tables.metadata.sorted_tables:
            for row in connection.execute(select(table)):
                assert secret not in str(tuple(bytes(one) if isinstance(one, memoryview) else one for one in row)), table.name
