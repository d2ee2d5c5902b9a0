"""A store that others lock, or cut off: what the daemon says of it, what it still does, and that nothing is lost."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text

from syncd.cli.exits import Exit
from syncd.demo.district import District
from syncd.demo.tour import settle_in, write_roster
from tests.integration.postgres import PrivatePostgres
from tests.integration.test_daemon import Service, edit, of_today, open_wide, serving, syncd, waited_for

PATIENT = """
import sys
from syncd.store import database
database.BUSY_SECONDS = 2
from syncd.cli import main
sys.exit(main(sys.argv[1:]))
"""
"""The program, which waits two seconds for somebody's lock instead of half a minute."""
WATCHDOG = 1.0
WAITS = text(
    "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
    " WHERE datname = current_database() AND NOT granted AND query LIKE 'INSERT%'"
)
CUT = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")


NEWCOMERS = 10


@dataclass
class Place:
    """A district with a store that can be locked."""

    folder: Path
    whole: District
    url: str = ""
    students: int = 0

    def grown(self) -> District:
        """The district with some students more."""
        self.students += NEWCOMERS
        roster = self.whole.roster
        return replace(self.whole, roster=roster.without_students(list(roster.students)[self.students :]))

    def is_right(self) -> None:
        """Everybody has one account, and nothing is left to do."""
        assert syncd(self.folder, "plan", "--reconcile", "--detailed-exitcode") == Exit.DONE
        told = json.loads((self.folder / "directory.json").read_text(encoding="utf-8"))
        listed = [attributes["employeeNumber"][0] for _, _, _, attributes, *_ in told["accounts"].values()]
        assert len(listed) == len(set(listed)) == self.students + len(self.whole.roster.staff)

    @contextmanager
    def serving(self, *program: str) -> Iterator[Service]:
        """Its daemon, when newcomers have come who have no accounts yet."""
        write_roster(self.grown(), self.folder / "roster")
        with serving(self.folder, watchdog=WATCHDOG, program=program or ("-c", PATIENT)) as service:
            yield service


def settled(folder: Path, url: str = "") -> Place:
    """A small district whose staff and first students have accounts, on this store."""
    whole = of_today(60, 8)
    plain = whole.roster.without_students([key for keys in whole.planted.values() for key in keys])  # nobody disputed among them
    place = Place(folder, replace(whole, roster=plain), url)
    settle_in(folder, None, place.grown(), lambda _: None)
    open_wide(folder)
    if url:
        edit(folder, 'store: ""', f'store: "{url}"')
        assert syncd(folder, "migrate") == Exit.DONE
    assert syncd(folder, "plan") == Exit.DONE
    assert syncd(folder, "apply", "r1", "--first") == Exit.DONE
    return place


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A district on the default store, which lives through all of it."""
    return settled(tmp_path_factory.mktemp("sqlite") / "d")


@pytest.fixture(scope="module")
def on_postgresql(tmp_path_factory: pytest.TempPathFactory, postgres: PrivatePostgres) -> Place:
    """A district on a PostgreSQL database, which lives through all of it."""
    return settled(tmp_path_factory.mktemp("postgresql") / "d", postgres.fresh())


@contextmanager
def somebody(place: Place) -> Iterator[Connection]:
    """A session of somebody else's on the same database, in a transaction."""
    engine = create_engine(place.url)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def is_waiting(place: Place) -> bool:
    """Whether the daemon waits for somebody's lock with an answer that is to be recorded. Asked anew each time."""
    with somebody(place) as other:
        return bool(other.execute(WAITS).scalar())


def signs_of_life(service: Service, seconds: float = 2.5) -> int:
    """How often the service manager hears that the daemon lives, in so many seconds."""
    before = service.heard.count("WATCHDOG=1")
    time.sleep(seconds)
    return service.heard.count("WATCHDOG=1") - before


def fails(service: Service, *words: str) -> None:
    """A run is asked for, fails because of the store, and `/health` says these words of it."""
    service.run_now()
    failed = service.logged("run.failed")[-1]
    assert (failed["endpoint"], "traceback" in failed) == ("store", False), failed
    assert service.ask("/healthz")[0] == 200
    code, told = service.ask("/health")
    assert (code, [word for word in words if word not in told]) == (503, []), told


def goes_on(service: Service, place: Place) -> None:
    """The next run does everything, and says so."""
    service.run_now()
    assert not [reason for reason in service.reasons() if not reason.startswith("backup: ")]
    assert service.end()[0] == 0
    place.is_right()


def test_a_daemon_whose_sqlite_store_is_locked_by_others_lives_says_so_and_goes_on(on_sqlite: Place) -> None:
    """Reading goes on, so monitors and the service manager are answered; the run says which file, and what to do."""
    file = on_sqlite.folder / "state" / "syncd.db"
    with on_sqlite.serving() as service:
        with closing(sqlite3.connect(file)) as other:
            other.execute("BEGIN IMMEDIATE")
            fails(service, f"the database {file} has been locked by another process", f"fuser -v {file}", "goes on by itself")
            assert signs_of_life(service) >= 2
            assert service.ask("/readyz") == (200, "ready\n")
            other.rollback()
        goes_on(service, on_sqlite)


def test_a_daemon_told_to_end_while_the_store_is_locked_ends_in_time(on_sqlite: Place) -> None:
    """Its own rights are given back if they can be; nobody waits half a minute for that."""
    with on_sqlite.serving("-m", "syncd") as service, closing(sqlite3.connect(on_sqlite.folder / "state" / "syncd.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        code, seconds = service.end()
        other.rollback()
        assert seconds < 20
        assert code in (0, Exit.UNAVAILABLE), service.log
    assert not [line for line in service.log if "Traceback" in str(line)]
    assert syncd(on_sqlite.folder, "sync") == Exit.DONE
    on_sqlite.is_right()


def test_a_daemon_whose_postgresql_store_is_locked_lives_says_so_and_goes_on(on_postgresql: Place) -> None:
    """A table that somebody holds fails the run and not the daemon; signs of life end only while the store gives no row at all."""
    with on_postgresql.serving() as service:
        with somebody(on_postgresql) as other:
            other.execute(text("LOCK TABLE dirty IN ACCESS EXCLUSIVE MODE"))
            fails(service, "has been locked by another session for", "pg_stat_activity", "goes on by itself")
            assert signs_of_life(service) >= 2
        with somebody(on_postgresql) as other:
            other.execute(text("LOCK TABLE meta IN ACCESS EXCLUSIVE MODE"))
            waited_for(lambda: service.logged("store.silent"))
            assert "the store does not answer" in service.status
            assert signs_of_life(service) == 0
            code, told = service.ask("/health")
            assert (code, "has been locked by another session for" in told) == (503, True)
            assert service.ask("/readyz")[0] == 503
        waited_for(lambda: signs_of_life(service, 0.5) > 0)
        goes_on(service, on_postgresql)


def test_a_daemon_whose_connections_are_cut_in_the_middle_of_a_run_loses_nothing(on_postgresql: Place) -> None:
    """The server ends every session just when answers are to be recorded: the run says who to ask, the next one completes it."""
    with on_postgresql.serving() as service:
        with somebody(on_postgresql) as other:
            other.execute(text("LOCK TABLE outcomes IN SHARE MODE"))
            service.process.send_signal(signal.SIGUSR1)
            waited_for(lambda: is_waiting(on_postgresql))
            assert other.execute(CUT).all()
        waited_for(lambda: service.logged("run.failed") or service.logged("run.ended"))
        assert [line["endpoint"] for line in service.logged("run.failed")] == ["store"], service.log
        code, told = service.ask("/health")
        assert (code, "ended the connection" in told, "goes on by itself" in told) == (503, True, True), told
        goes_on(service, on_postgresql)
