"""What a kill, a full disk, a lock or a spoilt file does to the SQLite store; and how fast it is on a district's size."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from syncd.core.lifecycle import PersonState
from syncd.core.model import (
    Account,
    Campus,
    Change,
    Enrolment,
    Kind,
    NativeId,
    Outcome,
    PersonId,
    Record,
    Result,
    Role,
    Section,
    SourceKey,
    SourceName,
    Subject,
    SubjectKey,
    TargetName,
)
from syncd.core.naming import IssuedName
from syncd.errors import EndpointError
from syncd.store import Acceptance, KnownKey, Store, database
from syncd.store.database import transaction
from syncd.vault import Vault

NOW = datetime(2026, 8, 20, 6, 0, tzinfo=UTC)
SIS, AD = SourceName("sis"), TargetName("ad")

CHILD = """
import sys
from datetime import UTC, datetime
from syncd.core.model import Account, Change, Kind, NativeId, Outcome, PersonId, Result
from syncd.store import Store
from syncd.vault import Vault
now = datetime(2026, 8, 20, 6, 0, tzinfo=UTC)
store = Store.open(sys.argv[1], Vault(b"k" * 32))
run = store.begin_run("main", "delta", "timer", now)
persons = store.mint([("sis", str(number)) for number in range(4)]).values()
changes = [Change("ad", Kind.CREATE, "new", one, after=Account(one, "", True, {})) for one in persons]
seqs = store.intend(run, changes, {0: (b"sealed", now.replace(year=2099))}, now)
store.record(run, [(seqs[0], Outcome(changes[0], Result.DONE, NativeId("n1")))], now)
print(*seqs, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "syncd.db"


@pytest.fixture
def sqlite_store(file: Path, store_vault: Vault) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{file}", store_vault, migrate=True)
    yield opened
    opened.close()


def test_a_kill_between_intention_and_outcome_leaves_the_open_intentions(sqlite_store: Store, file: Path) -> None:
    """Kill -9 loses nothing: what was sent without an answer is known, and so is the password it was sent with."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, f"sqlite:///{file}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdin is not None
    seqs = [int(seq) for seq in child.stdout.readline().split()]
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdin.close()
    child.stdout.close()
    assert seqs[1:] == [one.seq for one in sqlite_store.open_intentions()]
    assert [one.change.person for one in sqlite_store.open_intentions()] == ["p2", "p3", "p4"]
    assert sqlite_store.linked(AD) == {"n1": "p1"}
    assert [one.person for one in sqlite_store.sealed_passwords(NOW)] == ["p1"]


def test_every_connection_is_safe_against_a_power_cut(sqlite_store: Store) -> None:
    """WAL with synchronous=FULL: a commit that returned is on the disk."""
    with transaction(sqlite_store._engine) as connection:
        told = [connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous", "foreign_keys")]
    assert told == ["wal", 2, 1]


def test_the_file_is_its_owners_only(sqlite_store: Store, file: Path) -> None:
    """Names and source keys lie in it unsealed."""
    sqlite_store.set_meta("a", "b")
    assert {0o600} == {path.stat().st_mode & 0o777 for path in file.parent.glob("syncd.db*")}


def test_a_store_locked_by_another_process_is_told_as_that(file: Path, store_vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    store = Store.open(f"sqlite:///{file}", store_vault, migrate=True)
    other = sqlite3.connect(file)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(EndpointError, match="locked by another process"):
        store.mark([PersonId("p1")])
    other.rollback()
    other.close()
    store.mark([PersonId("p1")])
    store.close()


def test_a_full_disk_is_told_as_that_and_nothing_of_the_step_stays(sqlite_store: Store) -> None:
    """The store stays usable once there is room."""
    sqlite_store.mint([(SIS, SourceKey("1"))])
    with transaction(sqlite_store._engine) as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count = {pages + 2}"))  # SQLite says "full" as on a full disk
    run = sqlite_store.begin_run("main", "delta", "timer", NOW)
    with pytest.raises(EndpointError, match="disk is full"):
        sqlite_store.save_plan(run, bytes(200_000), {}, "planned")
    assert sqlite_store.plan(run) is None
    with transaction(sqlite_store._engine) as connection:
        connection.execute(text("PRAGMA max_page_count = 1000000"))
    sqlite_store.save_plan(run, bytes(200_000), {}, "planned")
    assert sqlite_store.plan(run) == bytes(200_000)


def test_a_store_that_takes_no_writes_is_told_as_that(sqlite_store: Store, file: Path, store_vault: Vault) -> None:
    sqlite_store.close()
    with pytest.raises(EndpointError, match="cannot be written"):
        Store.open(f"sqlite:///file:{file}?mode=ro&uri=true", store_vault, migrate=True).set_meta("a", "b")


@pytest.mark.parametrize("harm", [b"this is no database at all, it is a text file" * 50, None], ids=["text", "spoilt"])
def test_a_file_that_is_no_store_is_told_as_that(file: Path, store_vault: Vault, harm: bytes | None) -> None:
    if harm is None:
        Store.open(f"sqlite:///{file}", store_vault, migrate=True).close()
        told = bytearray(file.read_bytes())
        told[100:4096] = b"\xff" * 3996
        file.write_bytes(told)
    else:
        file.write_bytes(harm)
    with pytest.raises(EndpointError, match=r"no SQLite database|damaged"):
        Store.open(f"sqlite:///{file}", store_vault)


@pytest.mark.parametrize("url", ["nonsense", "oracle2://x/y", "sqlite:////proc/nowhere/x.db"])
def test_a_url_that_leads_nowhere_is_told_without_a_traceback(url: str, store_vault: Vault) -> None:
    with pytest.raises(EndpointError, match="store"):
        Store.open(url, store_vault)


def test_a_server_that_does_not_answer_is_told_without_its_password(store_vault: Vault) -> None:
    with pytest.raises(EndpointError) as told:
        Store.open("postgresql+psycopg://syncd:hunter2@127.0.0.1:1/x?connect_timeout=2", store_vault)
    assert "hunter2" not in str(told.value)


# --- a district's size ------------------------------------------------------------------------------------------------

SIZE = 28_000
MANY, FEW = SIZE // 20, 30


def test_a_district_is_accepted_and_read_back_in_few_statements(sqlite_store: Store) -> None:
    """28,000 persons with records, digests, states, names and references: nothing is asked or told of one person at a time."""
    store = sqlite_store
    keys = [SourceKey(f"{number:08d}") for number in range(SIZE)]
    persons = store.mint([(SIS, key) for key in keys])
    run = store.begin_run("main", "everything", "timer", NOW)
    north = Campus(SourceKey("c1"), "North High", "north")
    section = Section(SourceKey("k1"), "ALG1", "Algebra I", SourceKey("c1"), teachers=(SourceKey("t1"),))
    edges = frozenset({SubjectKey(Subject.CAMPUS, SourceKey("c1")), SubjectKey(Subject.CLASS, SourceKey("k1"))})
    records = tuple(
        Record(
            SIS, key, {"given": "Ana", "family": "García", "grade": "09", "start_date": date(2024, 8, 20), "enabled": True},
            (Role(north, "student", primary=True),), tuple(Enrolment(section, "student") for _ in range(7)),
        )
        for key in keys
    )  # fmt: skip
    acceptance = Acceptance(
        digests={SIS: ({SubjectKey(Subject.PERSON, key): number for number, key in enumerate(keys)}, ())},
        records=records,
        keys=tuple(KnownKey(SIS, key, persons[SIS, key]) for key in keys),
        persons=tuple(PersonState(one, "students", "active", date(2026, 8, 20), None, "token", "ana") for one in persons.values()),
        refs={one: [(SIS, keys[0]), (SIS, keys[1])] for one in persons.values()},
        dirty=list(persons.values()),
        names={one: (IssuedName("username", f"ana{one}", "b"),) for one in persons.values()},
    )
    assert statements(store, lambda: store.accept(run, acceptance, NOW)) < MANY
    assert statements(store, lambda: store.digests(SIS)) < FEW
    assert statements(store, store.records) < FEW
    assert statements(store, lambda: store.referrers(SIS, edges)) < FEW
    assert statements(store, lambda: store.settle(persons.values())) < MANY

    changes = [
        Change(AD, Kind.CREATE, "new", one, after=Account(one, "ou=Students", enabled=True, attributes={"mail": (one,)}))
        for one in list(persons.values())[:200]
    ]
    seqs: list[int] = []
    assert statements(store, lambda: seqs.extend(store.intend(run, changes, {}, NOW))) < FEW
    outcomes = [(seq, Outcome(one, Result.DONE, NativeId(f"n{seq}"))) for seq, one in zip(seqs, changes, strict=True)]
    assert statements(store, lambda: store.record(run, outcomes, NOW)) < FEW
    assert len(store.known(AD)) == 200


def statements(store: Store, work: Callable[[], object]) -> int:
    """How many statements the database was sent; one with many rows of parameters is one."""
    sent: list[str] = []

    def heard(*told: Any) -> None:
        sent.append(told[2])

    event.listen(store._engine, "before_cursor_execute", heard)
    work()
    event.remove(store._engine, "before_cursor_execute", heard)
    return len(sent)
