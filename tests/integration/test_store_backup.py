"""Backup and restore, from either database to either (R25)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from syncd.core.lifecycle import PersonState
from syncd.core.model import (
    Account,
    Change,
    Kind,
    NativeId,
    Outcome,
    PersonId,
    Record,
    Result,
    RunId,
    SourceKey,
    SourceName,
    TargetName,
)
from syncd.core.naming import IssuedName
from syncd.errors import EndpointError
from syncd.store import Acceptance, Finding, Known, Store, backup, tables
from syncd.store.database import snapshot, transaction
from syncd.vault import Vault
from tests.integration.postgres import PrivatePostgres

NOW = datetime(2026, 8, 20, 6, 0, tzinfo=UTC)
SIS, AD = SourceName("sis"), TargetName("ad")
P1 = PersonId("p1")
SECRET = "Quetzalcoatl"


def filled(store: Store) -> RunId:
    """A store with a row in every table."""
    store.mint([(SIS, SourceKey(str(number))) for number in range(1200)])
    run = store.begin_run("main", "delta", "timer", NOW)
    store.reserve(run, {"agarcia": P1}, NOW)
    store.accept(
        run,
        Acceptance(
            records=(Record(SIS, SourceKey("0"), {"family": SECRET}),),
            persons=(PersonState(P1, "students", "active", likeness="token"),),
            names={P1: (IssuedName("username", "agarcia", "b"),)},
            dirty=[P1],
            findings=(Finding("reject", "a.csv:1", "no key"),),
            fingerprints={"people": "f"},
        ),
        NOW,
    )
    store.save_plan(run, b"plan", {}, "planned")
    change = Change(AD, Kind.CREATE, "new", P1, after=Account("Ana", "", enabled=True, attributes={"sn": (SECRET,)}))
    failing = Change(AD, Kind.CREATE, "new", PersonId("p2"), after=Account("Bo", "", enabled=True, attributes={}))
    first, second = store.intend(run, [change, failing], {0: (b"sealed password", NOW + timedelta(days=9000))}, NOW)
    store.record(run, [(first, Outcome(change, Result.DONE, NativeId("n1"))), (second, Outcome(failing, Result.FAILED))], NOW)
    store.leases.take("run", "somebody", NOW, 60)
    return run


def content(store: Store) -> dict[str, list[object]]:
    """Every row of every table that a backup keeps, but for what a restore changes: its own mark, and that claims are closed."""
    with transaction(store._engine) as connection:
        kept = [table for table in tables.metadata.sorted_tables if table.name not in backup.LEFT_OUT]
        columns = {table.name: [column for column in table.columns if column is not tables.persons.c.claimed] for table in kept}
        rows = {table.name: connection.execute(select(*columns[table.name]).order_by(*table.primary_key)).all() for table in kept}
    return {name: [tuple(row) for row in found if row[0] != backup.NEEDS_RECONCILE] for name, found in rows.items()}


def test_a_restored_store_knows_everything_and_insists_on_a_reconcile(
    store: Store, new_url: Callable[[str], str], store_vault: Vault, tmp_path: Path
) -> None:
    """The ledger, decisions, ownership and journal come back; first passwords and leases do not."""
    filled(store)
    assert len(store.sealed_passwords(NOW)) == 1
    written = store.backup(tmp_path / "copy")
    other = Store.open(new_url("other"), store_vault, migrate=True)
    try:
        assert other.restore(tmp_path / "copy") == written
        assert content(store) == content(other)
        assert (other.meta("needs_reconcile"), store.meta("needs_reconcile")) == ("restored", "")
        assert other.sealed_passwords(NOW) == []
        assert other.leases.take("run", "somebody else", NOW, 60)
        assert other.mint([(SIS, SourceKey("new"))]) == {(SIS, "new"): "p1201"}
        assert other.begin_run("main", "delta", "timer", NOW) == "r2"
    finally:
        other.close()


def test_a_number_given_before_the_backup_is_not_given_after_the_restore(
    store: Store, new_url: Callable[[str], str], store_vault: Vault, tmp_path: Path
) -> None:
    """A PersonId is never used again, not even one that was deleted before the copy was made."""
    store.mint([(SIS, SourceKey("a")), (SIS, SourceKey("b"))])
    with transaction(store._engine) as connection:
        connection.execute(delete(tables.source_keys).where(tables.source_keys.c.person == 2))
        connection.execute(delete(tables.persons).where(tables.persons.c.seq == 2))
    store.backup(tmp_path / "copy")
    other = Store.open(new_url("other"), store_vault, migrate=True)
    try:
        other.restore(tmp_path / "copy")
        assert other.mint([(SIS, SourceKey("new"))]) == {(SIS, "new"): "p3"}
    finally:
        other.close()


def test_a_copy_from_sqlite_fills_postgresql_and_back(postgres: PrivatePostgres, store_vault: Vault, tmp_path: Path) -> None:
    """One format: this is how a district moves from one database to the other."""
    urls = [f"sqlite:///{tmp_path}/a.db", postgres.fresh(), f"sqlite:///{tmp_path}/b.db"]
    stores = [Store.open(url, store_vault, migrate=True) for url in urls]
    try:
        filled(stores[0])
        for number, (one, other) in enumerate(itertools.pairwise(stores)):
            one.backup(tmp_path / f"copy{number}")
            other.restore(tmp_path / f"copy{number}")
        assert content(stores[0]) == content(stores[1]) == content(stores[2])
    finally:
        for one in stores:
            one.close()


def test_claims_are_closed_by_a_restore(store: Store, new_url: Callable[[str], str], store_vault: Vault, tmp_path: Path) -> None:
    """R25: who has an account has claimed it, for all a copy knows; one that waited stays shut, as if by somebody else (R33)."""
    filled(store)
    store.settle([], [PersonState(P1, "students", "unclaimed"), PersonState(PersonId("p2"), "students", "unclaimed")])
    shut = Account("Ana", "", enabled=False, attributes={})
    store.link(RunId("r1"), [Known(P1, AD, NativeId("n1"), "created", shut, disabled_by_us=True)])
    store.backup(tmp_path / "copy")
    other = Store.open(new_url("other"), store_vault, migrate=True)
    try:
        other.restore(tmp_path / "copy")
        claimed = {person: state.claimed for person, state in other.persons([P1, PersonId("p2")]).items()}
        assert claimed == {P1: True, "p2": False}
        assert not other.known(AD)[P1].disabled_by_us
    finally:
        other.close()


def test_a_copy_shows_nothing_and_belongs_to_its_owner(store: Store, tmp_path: Path) -> None:
    """It lies on some other disk: nobody reads it without the state key, and it is not even open to other users."""
    filled(store)
    store.backup(tmp_path / "copy")
    told = (tmp_path / "copy").read_bytes()
    for words in (SECRET, "agarcia", "username", "persons", "sealed password"):
        assert words.encode() not in told
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir() if "copy" in path.name) == ["copy"]


def test_a_store_that_holds_something_is_not_restored_into(store: Store, tmp_path: Path) -> None:
    filled(store)
    store.backup(tmp_path / "copy")
    before = content(store)
    with pytest.raises(EndpointError, match="not empty"):
        store.restore(tmp_path / "copy")
    assert before == content(store)


def cut_in_the_middle(told: bytes) -> bytes:
    return told[: len(told) // 2]


def without_its_end(told: bytes) -> bytes:
    return frames_of(told)[0] + b"".join(frames_of(told)[1:-1])


def with_two_frames_swapped(told: bytes) -> bytes:
    head, first, second, third, *rest = frames_of(told)
    return b"".join([head, first, third, second, *rest])


def with_one_bit_turned(told: bytes) -> bytes:
    return told[:5000] + bytes([told[5000] ^ 1]) + told[5001:]


def frames_of(told: bytes) -> list[bytes]:
    """The head, then each frame with its length."""
    start = len(b"syncd backup 2\n") + 16
    parts = [told[:start]]
    while start < len(told):
        end = start + 4 + int.from_bytes(told[start : start + 4], "big")
        parts.append(told[start:end])
        start = end
    return parts


@pytest.mark.parametrize(
    "harm",
    [cut_in_the_middle, without_its_end, with_two_frames_swapped, with_one_bit_turned, lambda _: b"", lambda told: told[:20]],
    ids=["cut", "without end", "swapped", "bit", "empty", "head only"],
)
def test_a_harmed_copy_is_refused_and_leaves_the_store_empty(
    store: Store, new_url: Callable[[str], str], store_vault: Vault, tmp_path: Path, harm: Callable[[bytes], bytes]
) -> None:
    """Whole and unaltered, or not at all."""
    filled(store)
    store.backup(tmp_path / "copy")
    (tmp_path / "harmed").write_bytes(harm((tmp_path / "copy").read_bytes()))
    other = Store.open(new_url("other"), store_vault, migrate=True)
    try:
        with pytest.raises(EndpointError):
            other.restore(tmp_path / "harmed")
        assert (set(), []) == (other.everyone(), other.ledger())
    finally:
        other.close()


def test_frames_of_two_copies_cannot_be_mixed(store: Store, store_vault: Vault, tmp_path: Path) -> None:
    """An old frame in a new copy would bring back what was decided otherwise since."""
    filled(store)
    store.backup(tmp_path / "old")
    store.backup(tmp_path / "new")
    old, new = (frames_of((tmp_path / name).read_bytes()) for name in ("old", "new"))
    (tmp_path / "mixed").write_bytes(b"".join([*new[:3], old[3], *new[4:]]))
    other = Store.open(f"sqlite:///{tmp_path}/mixed.db", store_vault, migrate=True)
    try:
        with pytest.raises(EndpointError, match="altered"):
            other.restore(tmp_path / "mixed")
    finally:
        other.close()


def test_a_copy_of_another_district_is_refused(store: Store, tmp_path: Path) -> None:
    """It is sealed under another state key."""
    filled(store)
    store.backup(tmp_path / "copy")
    other = Store.open(f"sqlite:///{tmp_path}/other.db", Vault(b"x" * 32), migrate=True)
    try:
        with pytest.raises(EndpointError, match="state_key"):
            other.restore(tmp_path / "copy")
        assert other.set_meta("still", "usable") is None
    finally:
        other.close()


def test_a_copy_that_cannot_be_written_says_where_and_leaves_the_older_one(store: Store, tmp_path: Path) -> None:
    """A folder stands where the file should be."""
    (tmp_path / "copy").mkdir()
    with pytest.raises(EndpointError, match="cannot write"):
        store.backup(tmp_path / "copy")
    assert not list(tmp_path.glob(".copy*"))


def test_a_copy_is_of_one_moment(postgres: PrivatePostgres, store_vault: Vault, tmp_path: Path) -> None:
    """On PostgreSQL every table is read as it was when the copy began; on SQLite nobody writes meanwhile."""
    one = Store.open(postgres.fresh(), store_vault, migrate=True)
    try:
        with snapshot(one._engine) as connection:
            backup.write(connection, store_vault, tmp_path / "copy")
            one.mark([P1])  # another connection commits
            assert connection.execute(select(tables.dirty)).all() == []
        assert one.dirty() == {P1}
    finally:
        one.close()
