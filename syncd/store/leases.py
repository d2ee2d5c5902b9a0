"""Who may write: a right that one holder has at a time, and that expires unless it is renewed (R19)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import import_module

from sqlalchemy import Engine, delete, select

from syncd.store import tables, turned
from syncd.store.database import looking, transaction

_LONGEST = timedelta(hours=1)


class Leases:
    """The leases of a store. Every method is one transaction; raises EndpointError where the database is not well."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def take(self, name: str, holder: str, now: datetime, seconds: int) -> bool:
        """True when the lease was taken or renewed; one that somebody else holds may be taken once it has expired.

        One that lies further ahead than a lease lasts may be taken when nobody has renewed it for that long. One statement decides,
        so that two who ask at once are never both told yes.
        """
        table, at, lasts = tables.leases, now.astimezone(UTC), timedelta(seconds=seconds)
        until = (at + lasts).isoformat()
        with transaction(self._engine) as connection:
            held = connection.execute(select(table).where(table.c.name == name, table.c.holder != holder)).first()
            if held is not None and turned.is_dead(connection, name, held.holder, held.until, at, lasts):
                theirs = table.c.name == name, table.c.holder == held.holder, table.c.until == held.until
                connection.execute(delete(table).where(*theirs))
            make = import_module(f"sqlalchemy.dialects.{connection.dialect.name}").insert  # the other is not loaded
            statement = (
                make(table)
                .values(name=name, holder=holder, until=until)
                .on_conflict_do_update(
                    index_elements=[table.c.name],
                    set_={"holder": holder, "until": until},
                    where=(table.c.holder == holder) | (table.c.until <= at.isoformat()),
                )
                .returning(table.c.holder)
            )
            return connection.execute(statement).first() is not None

    def holder(self, name: str, now: datetime) -> str | None:
        """Who holds a lease that has not expired; None where nobody does, or a clock that was wrong has taken it."""
        table, at = tables.leases, now.astimezone(UTC)
        lasting = table.c.until > at.isoformat(), table.c.until <= (at + _LONGEST).isoformat()
        with looking(self._engine) as connection:
            return connection.execute(select(table.c.holder).where(table.c.name == name, *lasting)).scalar()

    def give_back(self, name: str, holder: str) -> None:
        """Give a lease back; somebody else's is left alone."""
        table = tables.leases
        with transaction(self._engine) as connection:
            connection.execute(delete(table).where(table.c.name == name, table.c.holder == holder))
