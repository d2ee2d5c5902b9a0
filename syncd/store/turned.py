"""Times that lie ahead of the clock: noted before it was set back.

What lies ahead by no more than a clock may be behind stays as it is: it counts, waits and ends as it was to, some hours late. What
lies further ahead was noted by a clock that was wrong, once the present one is believed (`core.clock`): it is brought to now, where
it counts and waits as long as it was to, and what was let go then is not let go any more.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, func, select, update

from syncd.core.clock import BEHIND
from syncd.store import holding, statements, tables

APART = timedelta(minutes=5)
"""So far may the clocks of two hosts be apart."""
_SEEN = "lease seen "


def bring_back(connection: Connection, now: datetime, today: date) -> None:
    """Approvals from days ahead are void; rejections, refusals and what was applied are as if that were now.

    A roster accepted on a day still to come is as old as the one before it: nobody knows any more how old it is.
    """
    beyond = now + BEHIND + APART
    ahead = _text(beyond)
    holding.bring_back(connection, beyond, now)
    connection.execute(delete(tables.approvals).where(tables.approvals.c.at > ahead))
    for table, noted, ends in ((tables.rejections, "at", "expires"), (tables.quarantine, "last", "next")):
        for row in connection.execute(select(table).where(table.c[noted] > ahead)).all():
            length = _time(getattr(row, ends)) - _time(getattr(row, noted))
            told = {noted: _text(now), ends: _text(now + max(length, timedelta(0)))}
            if "first" in table.c:
                told["first"] = min(row.first, told[noted])
            connection.execute(update(table).where(*_is(table, row)).values(told))
    table, day = tables.snapshots, today.isoformat()
    for row in connection.execute(select(table).where(table.c.accepted_on > day)).all():
        before = select(func.max(table.c.accepted_on)).where(table.c.source == row.source, table.c.accepted_on <= day)
        known = connection.execute(before).scalar() or day
        connection.execute(update(table).where(table.c.seq == row.seq).values(accepted_on=known))


def is_dead(connection: Connection, name: str, holder: str, until: str, now: datetime, lasts: timedelta) -> bool:
    """Whether a lease that lies further ahead than one can was taken by a clock that was wrong, and is nobody's any more.

    It is once it has stayed as it is for as long as a lease lasts: whoever lives renews it.
    """
    table, key = tables.meta, f"{_SEEN}{name}"
    if _time(until) <= now + 2 * lasts:
        return False
    told = json.dumps([holder, until])
    noted = connection.execute(select(table.c.value).where(table.c.key == key)).scalar() or ""
    seen, _, of = noted.partition(" ")
    if of != told or not seen or _time(seen) > now + APART:
        statements.upsert(connection, table, [{"key": key, "value": f"{_text(now)} {told}"}])
        return False
    return now - _time(seen) >= lasts


def _is(table: Table, row: Row[Any]) -> Any:
    return (column == getattr(row, column.name) for column in table.primary_key)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
