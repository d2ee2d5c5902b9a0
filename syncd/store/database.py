"""The connection to SQLite or PostgreSQL, and what their errors mean here.

On SQLite every transaction begins IMMEDIATE: SQLAlchemy's default silently loses concurrent updates. `synchronous` is FULL, since
an intention that a power cut rolled back could belong to an account that exists.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from syncd.errors import EndpointError, StoreError

BUSY_SECONDS = 30
"""How long somebody's lock is waited for."""
_LOOKS_ONLY = "looks_only"
_PATIENCE: ContextVar[float | None] = ContextVar("patience", default=None)


def connect(url: str) -> Engine:
    """An engine for the store. Raises EndpointError on a URL nobody understands; no connection is made yet."""
    tune: Callable[[Any, object], None]
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            if parsed.database and parsed.database != ":memory:" and not parsed.database.startswith("file:"):
                _make_private(Path(parsed.database))
            engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS})
            tune, begin = _tune, _begin_immediate
        else:
            engine = create_engine(parsed, pool_pre_ping=True)
            tune, begin = _bound, _begin_bounded
    except OSError as error:
        raise EndpointError(
            "store", f"cannot use {_shown(url)}: {error.strerror}", "look at the folder, its owner and mode"
        ) from error
    except (ImportError, ValueError, ArgumentError, NoSuchModuleError) as error:
        raise EndpointError("store", f"cannot use {_shown(url)}: {error}", "see `store:` in config/syncd.yaml") from error
    event.listen(engine, "connect", tune)
    event.listen(engine, "begin", begin)
    return engine


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


def only_looks(connection: Connection) -> bool:
    """Whether its transaction is one that writes nothing (`looking`)."""
    return bool(connection.get_execution_options().get(_LOOKS_ONLY))


def _begin_immediate(connection: Connection) -> None:
    if only_looks(connection):
        connection.exec_driver_sql("BEGIN")
        return
    patience = _PATIENCE.get()
    if patience is None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return
    connection.exec_driver_sql(f"PRAGMA busy_timeout={int(patience * 1000)}")
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")


def _bound(connection: DBAPIConnection, _record: object) -> None:
    """PostgreSQL waits for ever for a lock, if nobody tells it otherwise."""
    cursor = connection.cursor()
    cursor.execute(f"SET lock_timeout = {int(BUSY_SECONDS * 1000)}")
    cursor.close()
    connection.commit()


def _begin_bounded(connection: Connection) -> None:
    if (patience := _PATIENCE.get()) is not None:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(patience * 1000)}")


@contextmanager
def impatient(seconds: float = 1.0) -> Iterator[None]:
    """What is asked of a store meanwhile waits no longer for somebody's lock: whoever must answer signals cannot wait."""
    before = _PATIENCE.set(seconds)
    try:
        yield
    finally:
        _PATIENCE.reset(before)


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction: all of it or none. Raises EndpointError for a database that is locked, full, read-only or gone."""
    with _told(engine), engine.begin() as connection:
        yield connection


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """One transaction that sees everything as of one moment, however long it lasts."""
    if engine.dialect.name == "postgresql":  # SQLite's are so anyway
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    with transaction(engine) as connection:
        yield connection


@contextmanager
def _told(engine: Engine) -> Iterator[None]:
    """A database's complaint as EndpointError."""
    try:
        yield
    except DBAPIError as error:
        said = str(error.orig)
        if isinstance(error, OperationalError) or error.connection_invalidated or any(words in said for words in _MEANINGS):
            raise _meaning(said, engine) from error
        raise


@contextmanager
def looking(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads, and so waits for no writer: whoever asks after the health must not wait for a run.

    Raises EndpointError as `transaction` does.
    """
    with _told(engine), engine.connect().execution_options(**{_LOOKS_ONLY: True}) as connection, connection.begin():
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


_RECORDED = "nothing of this step was recorded"
_GOES_ON = f"{_RECORDED}, and the next run goes on by itself"
_MEANINGS = {
    "is locked": (
        "has been locked by another process for {seconds:g} seconds",
        f"see which one with `fuser -v {{place}}` and let it end; {_GOES_ON}",
    ),
    "lock timeout": (
        "has been locked by another session for {seconds:g} seconds",
        f"see which one in pg_stat_activity and pg_locks, and let it end; {_GOES_ON}",
    ),
    "terminating connection": ("ended the connection", f"see the server's log for who did that; {_GOES_ON}"),
    "server closed the connection": ("ended the connection", f"see whether the server was restarted; {_GOES_ON}"),
    "disk is full": ("cannot grow: the disk is full", f"make room where the store lies; {_RECORDED}"),
    "No space left": ("cannot grow: the disk is full", f"make room where the store lies; {_RECORDED}"),
    "readonly": ("cannot be written", f"look at the file's owner and mode; {_RECORDED}"),
    "read-only": ("takes no writes: it is read-only or a standby", _RECORDED),
    "unable to open": ("cannot be opened", f"look at the folder, its owner and mode; {_RECORDED}"),
    "disk I/O error": (
        "cannot be used: the disk is full or reports an error",
        f"look at its space, then at the system's log; {_RECORDED}",
    ),
    "malformed": ("is damaged", f"restore a backup; {_RECORDED}"),
    "not a database": ("is no SQLite database", _RECORDED),
}


def _meaning(said: str, engine: Engine) -> StoreError:
    """What a database's words mean for the one who must act, and what to do."""
    first = said.strip().splitlines()[0] if said.strip() else "no answer"
    place = _place(engine)
    for words, (meaning, remedy) in _MEANINGS.items():
        if words in said:
            why = meaning.format(seconds=_PATIENCE.get() or BUSY_SECONDS)
            return StoreError(f"the database {place} {why} ({first})", remedy.format(place=place))
    return StoreError(f"{place}: {first}", _RECORDED)


def _place(engine: Engine) -> str:
    """Where the store lies, as an administrator would look for it."""
    url = engine.url
    if url.get_backend_name() == "sqlite":
        return url.database or "in memory"
    host = url.host or url.query.get("host", "")
    return f"{url.database}{f' on {host}' if host else ''}"


def _shown(url: str) -> str:
    """The URL without a password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "the store's URL"
