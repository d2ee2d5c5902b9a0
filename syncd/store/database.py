"""The connection to SQLite or PostgreSQL, and what their errors mean here.

On SQLite every transaction begins IMMEDIATE: SQLAlchemy's default silently loses concurrent updates. `synchronous` is FULL, since
an intention that a power cut rolled back could belong to an account that exists.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from syncd.errors import EndpointError

BUSY_SECONDS = 30
_LOOKS_ONLY = "looks_only"


def connect(url: str) -> Engine:
    """An engine for the store. Raises EndpointError on a URL nobody understands; no connection is made yet."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            if parsed.database and parsed.database != ":memory:" and not parsed.database.startswith("file:"):
                _make_private(Path(parsed.database))
            engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS})
            event.listen(engine, "connect", _tune)
            event.listen(engine, "begin", _begin_immediate)
            return engine
        return create_engine(parsed, pool_pre_ping=True)
    except OSError as error:
        raise EndpointError(
            "store", f"cannot use {_shown(url)}: {error.strerror}", "look at the folder, its owner and mode"
        ) from error
    except (ImportError, ValueError, ArgumentError, NoSuchModuleError) as error:
        raise EndpointError("store", f"cannot use {_shown(url)}: {error}", "see `store:` in config/syncd.yaml") from error


def _make_private(file: Path) -> None:
    """An empty file that only its owner reads, where there is none: names and source keys lie in it unsealed."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not file.exists():
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))


def _tune(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy begins; the driver must not
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_SECONDS * 1000}",
        "temp_store=MEMORY",
        "cache_size=-65536",  # 64 MiB where needed: a district's first roster is half a million rows in no index's order
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get(_LOOKS_ONLY) else "BEGIN IMMEDIATE")


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction: all of it or none. Raises EndpointError for a database that is locked, full, read-only or gone."""
    with _told(), engine.begin() as connection:
        yield connection


@contextmanager
def _told() -> Iterator[None]:
    """A database's complaint as EndpointError."""
    try:
        yield
    except DBAPIError as error:
        said = str(error.orig)
        if isinstance(error, OperationalError) or error.connection_invalidated or any(words in said for words in _MEANINGS):
            raise EndpointError("store", _meaning(said), "nothing of this step was recorded") from error
        raise


@contextmanager
def looking(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads, and so waits for no writer: whoever asks after the health must not wait for a run.

    Raises EndpointError as `transaction` does.
    """
    with _told(), engine.connect().execution_options(**{_LOOKS_ONLY: True}) as connection, connection.begin():
        yield connection


@contextmanager
def overwriting(connection: Connection) -> Iterator[None]:
    """What is deleted meanwhile is overwritten in the file as well; PostgreSQL's vacuum does it in its own time."""
    if connection.dialect.name != "sqlite":
        yield
        return
    connection.exec_driver_sql("PRAGMA secure_delete=ON")
    try:
        yield
    finally:
        connection.exec_driver_sql("PRAGMA secure_delete=OFF")


def empty_log(engine: Engine) -> bool:
    """Take what was written into SQLite's file and empty its log, where older pages stand; False while somebody reads in it."""
    if engine.dialect.name != "sqlite":
        return True
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout=1000")  # whoever reads there is not waited for
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        told = cursor.fetchone()
        cursor.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")
        return told is not None and told[0] == 0
    except sqlite3.OperationalError:  # locked for longer than that
        return False
    finally:
        connection.close()


_MEANINGS = {
    "is locked": f"the database has been locked by another process for {BUSY_SECONDS} seconds",
    "disk is full": "the disk is full; make room where the store lies",
    "No space left": "the disk is full; make room where the store lies",
    "readonly": "the database file cannot be written; look at its owner and mode",
    "read-only": "the database takes no writes: it is read-only or a standby",
    "unable to open": "the database file cannot be opened; look at the folder, its owner and mode",
    "disk I/O error": "the disk is full or reports an error; look at its space, then at the system's log",
    "malformed": "the database file is damaged; restore a backup",
    "not a database": "the file is no SQLite database",
}


def _meaning(said: str) -> str:
    """What a database's words mean for the one who must act."""
    first = said.strip().splitlines()[0] if said.strip() else "no answer"
    return next((f"{meaning} ({first})" for words, meaning in _MEANINGS.items() if words in said), first)


def _shown(url: str) -> str:
    """The URL without a password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "the store's URL"
