"""What was destroyed, and may still stand in older pages of SQLite's log until that is emptied: whoever comes next empties it.

PostgreSQL's vacuum does it in its own time.
"""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import Connection, Engine, delete, select

from syncd.errors import EndpointError
from syncd.store import statements, tables
from syncd.store.database import empty_log, looking, transaction

_KEY = "remnants"


def leave(connection: Connection) -> None:
    """Say in the transaction that destroys something that its remnants are to be wiped: a kill may come before that."""
    if connection.dialect.name == "sqlite":
        statements.upsert(connection, tables.meta, [{"key": _KEY, "value": "in the log"}])


def are_left(connection: Connection) -> bool:
    """Whether there are any."""
    return connection.execute(select(tables.meta.c.value).where(tables.meta.c.key == _KEY)).first() is not None


def wipe(engine: Engine) -> None:
    """Empty the log, if anything is to be wiped from it; left for the next who asks while somebody reads or writes there."""
    with suppress(EndpointError):
        with looking(engine) as connection:
            left = are_left(connection)
        if left and empty_log(engine):
            with transaction(engine) as connection:
                connection.execute(delete(tables.meta).where(tables.meta.c.key == _KEY))
