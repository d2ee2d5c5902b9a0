"""What of each target people let runs write (R34): who did, when and why, and who took it back. Nothing is ever deleted."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, select, update

from syncd.core.model import TargetName
from syncd.core.release import Release
from syncd.store import audit, statements, tables
from syncd.store.database import looking, transaction
from syncd.vault import Vault

FIRST, ENDED = "first {}", "ended"
"""Under which the store remembers where a target's first apply stands (R14), and that it is over."""


class Releases:
    """The releases of one store. Every method is one transaction."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault

    def of(self, target: TargetName | None = None) -> list[Release]:
        """Every release of a target, or of all, oldest first; those that were taken back as well. Waits for no writer."""
        table = tables.releases
        query = select(table).order_by(table.c.seq)
        with looking(self._engine) as connection:
            return [_release(row) for row in connection.execute(query.where(table.c.target == target) if target else query)]

    def release(self, one: Release) -> None:
        """Runs may write this from now on. The target has history then: its limits hold, and no first apply is left (R14)."""
        with transaction(self._engine) as connection:
            _add(connection, one)
            statements.upsert(connection, tables.meta, [{"key": FIRST.format(one.target), "value": ENDED}])
            self._audited(connection, "released to write", one, one.actor, one.because, one.at)

    def withdraw(self, releases: Collection[Release], now: datetime, actor: str, because: str) -> None:
        """Runs may write this no longer. One that was never written down, as of a target that was live ever since, is now."""
        at, table = now.astimezone(UTC).isoformat(), tables.releases
        with transaction(self._engine) as connection:
            for one in releases:
                number = one.number or _add(connection, one)
                connection.execute(update(table).where(table.c.seq == number).values(ended=at, ended_by=actor))
                self._audited(connection, "withdrawn from writing", one, actor, because, now)

    def _audited(self, connection: Connection, kind: str, one: Release, actor: str, because: str, now: datetime) -> None:
        told = {"target": one.target, "covers": [sorted(part) for part in one.covers], "because": because}
        audit.append(connection, self._vault, kind, actor, told, now)


def _add(connection: Connection, one: Release) -> int:
    campuses, operations, attributes = (json.dumps(sorted(part)) for part in one.covers)
    row = {
        "target": one.target,
        "campuses": campuses,
        "operations": operations,
        "attributes": attributes,
        "at": one.at.astimezone(UTC).isoformat(),
        "actor": one.actor,
        "because": one.because,
        "ended_by": "",
    }
    number: int = connection.execute(tables.releases.insert().values(row).returning(tables.releases.c.seq)).scalar_one()
    return number


def _release(row: Row[Any]) -> Release:
    campuses, operations, attributes = (frozenset(json.loads(part)) for part in (row.campuses, row.operations, row.attributes))
    return Release(
        TargetName(row.target),
        datetime.fromisoformat(row.at),
        row.actor,
        row.because,
        campuses,
        operations,
        attributes,
        row.seq,
        datetime.fromisoformat(row.ended) if row.ended else None,
        row.ended_by,
    )
