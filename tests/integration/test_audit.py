"""The audit chain (R24): whatever is altered, removed, added, exchanged or cut off is found, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from syncd.core.model import Change, Failure, Kind, NativeId, Outcome, PersonId, Result, RunId
from syncd.store import Store, audit, migrations, tables
from syncd.store.audit import Head
from syncd.store.database import connect, transaction
from syncd.vault import Vault
from tests.integration.test_store import AD, NOW, P1, P2, create, people

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def lived(store: Store, batches: int = 3) -> RunId:
    """A store in which a few batches were journalled and answered, and something was decided in between."""
    run = people(store, 4)
    for batch in range(batches):
        changes = [create(P1, f"Ana {batch}"), Change(AD, Kind.DISABLE, "gone", P2, NativeId("n2"))]
        seqs = store.intend(run, changes, {}, NOW + timedelta(days=batch))
        refused = Outcome(changes[1], Result.FAILED, failure=Failure.REFUSED, why="no such object")
        answers = [(seqs[0], Outcome(changes[0], Result.DONE, NativeId(f"n{batch}"))), (seqs[1], refused)]
        store.record(run, answers, NOW + timedelta(days=batch))
        store.audit.append("approved", "ana (uid 1000)", {"because": "checked"}, NOW, run=run, person=P2)
    return run


def tampered(store: Store, how: Callable[[Connection], object]) -> tuple[str, ...]:
    """What is found once somebody with the database's own tools was at it, past what refuses changes there."""
    with transaction(store._engine) as connection:
        unguarded(connection)
        how(connection)
    return store.audit.verify().problems


def unguarded(connection: Connection) -> None:
    """Nothing in the database itself refuses a change any more."""
    if connection.dialect.name == "sqlite":
        for name in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all():
            connection.execute(text(f"DROP TRIGGER {name}"))
    else:
        for table in ("journal", "outcomes", "audit"):
            connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))


def test_an_untouched_chain_verifies_to_its_end(store: Store) -> None:
    assert store.audit.verify().head == store.audit.head() == Head(0, "00" * 32)
    lived(store)
    told = store.audit.verify(store.audit.head())
    assert (told.problems, told.entries, told.rows, told.destroyed) == ((), 9, 12, 0)
    assert store.audit.head() == told.head
    assert Head.parse(str(told.head)) == told.head


JOURNAL, OUTCOMES, IMAGES, AUDIT = tables.journal, tables.outcomes, tables.images, tables.audit
TAMPERING: dict[str, Callable[[Connection], object]] = {
    "whose change it was": lambda c: c.execute(update(JOURNAL).where(JOURNAL.c.seq == 3).values(person=4)),
    "when it was": lambda c: c.execute(update(JOURNAL).where(JOURNAL.c.seq == 3).values(at="2026-01-01T00:00:00+00:00")),
    "what came of it": lambda c: c.execute(update(OUTCOMES).where(OUTCOMES.c.seq == 2).values(result="done", failure=None)),
    "a row is removed": lambda c: (
        c.execute(delete(IMAGES).where(IMAGES.c.seq == 3)),
        c.execute(delete(OUTCOMES).where(OUTCOMES.c.seq == 3)),
        c.execute(delete(JOURNAL).where(JOURNAL.c.seq == 3)),
    ),
    "a row is added": lambda c: c.execute(
        insert(JOURNAL).values(run=1, at=NOW.isoformat(), target="ad", kind="disable", person=1, commitment=b"x" * 32, entry=4)
    ),
    "a row of no entry is added": lambda c: c.execute(
        insert(JOURNAL).values(run=1, at=NOW.isoformat(), target="ad", kind="disable", person=1)
    ),
    "a row of an entry to come is added": lambda c: c.execute(
        insert(JOURNAL).values(run=1, at=NOW.isoformat(), target="ad", kind="disable", person=1, entry=99)
    ),
    "two contents are exchanged": lambda c: exchanged(c),  # noqa: PLW0108 — defined below
    "contents are altered": lambda c: c.execute(update(IMAGES).where(IMAGES.c.seq == 1).values(sealed=b"other")),
    "contents are taken away": lambda c: c.execute(delete(IMAGES).where(IMAGES.c.seq == 1)),
    "the target's words are taken away": lambda c: c.execute(update(OUTCOMES).where(OUTCOMES.c.seq == 2).values(sealed=b"")),
    "a decision is altered": lambda c: c.execute(update(AUDIT).where(AUDIT.c.seq == 3).values(actor="bo (uid 1001)")),
    "a decision's words are altered": lambda c: c.execute(update(AUDIT).where(AUDIT.c.seq == 3).values(sealed=b"other")),
    "a decision's words are taken away": lambda c: c.execute(update(AUDIT).where(AUDIT.c.seq == 3).values(sealed=None)),
    "an entry is removed": lambda c: c.execute(delete(AUDIT).where(AUDIT.c.seq == 3)),
    "the first entry is removed": lambda c: c.execute(delete(AUDIT).where(AUDIT.c.seq == 1)),
    "two entries are exchanged": lambda c: (
        c.execute(update(AUDIT).where(AUDIT.c.seq == 3).values(seq=99)),
        c.execute(update(AUDIT).where(AUDIT.c.seq == 6).values(seq=3)),
        c.execute(update(AUDIT).where(AUDIT.c.seq == 99).values(seq=6)),
    ),
}


def exchanged(connection: Connection) -> None:
    """The images of two rows, each in the other's place."""
    one, other = (connection.execute(select(IMAGES.c.sealed).where(IMAGES.c.seq == seq)).scalar_one() for seq in (1, 3))
    connection.execute(update(IMAGES).where(IMAGES.c.seq == 1).values(sealed=other))
    connection.execute(update(IMAGES).where(IMAGES.c.seq == 3).values(sealed=one))


def test_whatever_is_done_to_the_rows_is_found(store: Store, store_vault: Vault) -> None:
    """R24: with the database's own tools, past the program."""
    lived(store)
    with transaction(store._engine) as connection:
        unguarded(connection)
        for what, how in TAMPERING.items():
            with connection.begin_nested() as savepoint:
                assert audit.walked(connection, store_vault, None).problems == ()
                how(connection)
                assert audit.walked(connection, store_vault, None).problems, what
                savepoint.rollback()


def test_an_end_that_was_cut_off_is_found_by_a_head_told_elsewhere(store: Store) -> None:
    """R24: without it nobody can know; with it the chain must lead there."""
    run = lived(store)
    told = store.audit.head()
    assert tampered(store, lambda c: c.execute(delete(AUDIT).where(AUDIT.c.seq == told.seq))) == ()
    assert "cut off" in store.audit.verify(told).problems[0]
    store.audit.append("approved", "bo (uid 1001)", {"because": "another"}, NOW, run=run)  # it grows on from there
    assert "rewritten" in store.audit.verify(told).problems[0]


def test_a_longer_chain_still_leads_to_a_head_told_before(store: Store) -> None:
    run = lived(store)
    told = store.audit.head()
    store.audit.append("approved", "bo (uid 1001)", {"because": "another"}, NOW, run=run)
    assert store.audit.verify(told).problems == ()
    assert store.audit.verify(Head(told.seq, "ab" * 32)).problems


@pytest.mark.parametrize("written", ["", "12", "12:ab", "x:" + "a" * 64, "1:" + "A" * 64, "²:" + "a" * 64])
def test_what_is_no_head_is_said_to_be_none(written: str) -> None:
    with pytest.raises(ValueError, match="syncd audit head"):
        Head.parse(written)


def test_contents_that_expired_leave_the_chain_whole(store: Store) -> None:
    """R38 and R24: that they went is an entry; what goes without one is found."""
    lived(store)
    assert store.expire(NOW + timedelta(days=9), LONG_AGO, NOW + timedelta(days=1)) == 2
    told = store.audit.verify()
    assert (told.problems, told.destroyed) == ((), 2)
    assert [one.contents for one in store.audit.entries(kinds=["expired"])] == [
        {"before": (NOW + timedelta(days=1)).isoformat(), "images": 2}
    ]
    assert tampered(store, lambda c: c.execute(delete(IMAGES).where(IMAGES.c.seq == 6)))


def test_writers_at_once_make_one_chain(store: Store) -> None:
    """An approval while a run journals: no fork, on either database."""
    run = lived(store, 1)

    def decide() -> None:
        for _ in range(20):
            store.audit.append("approved", "ana (uid 1000)", {}, NOW, run=run)

    def journal() -> None:
        for _ in range(10):
            store.intend(run, [create(P1)], {}, NOW)

    threads = [threading.Thread(target=work) for work in (decide, decide, journal)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = store.audit.verify()
    assert (told.problems, told.entries) == ((), 3 + 20 + 20 + 10)


def test_what_was_journalled_before_there_was_a_chain_is_on_it(url: str, store_vault: Vault) -> None:
    """A store of an earlier version is chained as it stands when it is migrated, its expired contents too."""
    engine = connect(url)
    with transaction(engine) as connection:
        migrations.upgrade(connection, "0003")
        at = NOW.isoformat()
        columns = "pipeline, kind, trigger, status, started, summary"
        run = f"INSERT INTO runs ({columns}) VALUES ('main', 'delta', 'x', 'done', :at, '{{}}')"  # noqa: S608 — the row of this test
        connection.execute(text(run), {"at": at})
        for kind in ("create", "disable"):
            row = {"at": at, "kind": kind}
            connection.execute(text("INSERT INTO journal (run, at, target, kind, person) VALUES (1, :at, 'ad', :kind, 1)"), row)
        connection.execute(text("INSERT INTO images (seq, sealed) VALUES (2, :sealed)"), {"sealed": b"sealed"})
        connection.execute(
            text("INSERT INTO outcomes (seq, at, result, sealed) VALUES (1, :at, 'done', :sealed)"), {"at": at, "sealed": b"said"}
        )
    engine.dispose()
    store = Store.open(url, store_vault, migrate=True)
    try:
        told = store.audit.verify()
        assert (told.problems, told.entries, told.rows, told.destroyed) == ((), 2, 3, 1)
        lived(store, 1)
        assert store.audit.verify().problems == ()
        assert tampered(store, lambda c: c.execute(update(JOURNAL).where(JOURNAL.c.seq == 1).values(kind="delete")))
    finally:
        store.close()


REFUSED = (
    delete(AUDIT),
    update(AUDIT).values(actor="somebody else"),
    update(AUDIT).values(sealed=b"other words"),
    update(OUTCOMES).values(sealed=b"other words"),
    update(OUTCOMES).values(result="done", sealed=b""),
    update(JOURNAL).values(kind="delete"),
)


def test_the_database_itself_refuses_what_is_no_destruction_of_contents(store: Store) -> None:
    """R24: append-only; only contents may be emptied."""
    lived(store, 1)
    for change in REFUSED:
        with pytest.raises(DBAPIError, match="append-only"), transaction(store._engine) as connection:
            connection.execute(change)
    with transaction(store._engine) as connection:
        connection.execute(update(OUTCOMES).values(sealed=b""))
        connection.execute(update(AUDIT).values(sealed=None))
    assert len(store.audit.verify().problems) == 3  # nobody said that they went


def test_a_person_reads_what_was_decided_about_them(store: Store) -> None:
    run = lived(store, 1)
    (entry,) = store.audit.entries(PersonId("p2"))
    assert (entry.kind, entry.actor, entry.run, entry.contents) == ("approved", "ana (uid 1000)", run, {"because": "checked"})
    assert store.audit.entries(P1) == []
