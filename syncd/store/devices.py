"""What only we know of devices: which somebody reported lost, which we disabled, how many there were. The journal has the rest."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, Table, delete, func, select, update

from syncd.core.model import DEVICE_KINDS, Change, Kind, NativeId, Outcome, TargetName
from syncd.store import audit, history, statements, tables
from syncd.store.database import looking, transaction
from syncd.store.rows import Intention, JournalRow
from syncd.vault import Vault

DEVICES = "devices"
"""What a run about devices is called."""
LOST, FOUND = "device lost", "device found"
"""Kinds of entry in the audit: why somebody said so is told there."""
_COUNTS = "devices {}"


@dataclass(frozen=True, slots=True)
class LostDevice:
    """What somebody reported: who and when, and who ended that."""

    serial: str
    at: datetime
    actor: str
    ended: datetime | None = None
    ended_by: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What there was when a plan was last applied: rows of the roster, devices on the target. Nothing yet: zeros.

    `digest` is the roster's, where everything that it asked for has been done; else it is empty.
    """

    rows: int = 0
    devices: int = 0
    digest: str = ""


class Devices:
    """The devices of one store. Every method is one transaction."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault

    def reported(self, target: TargetName) -> list[LostDevice]:
        """Everything ever reported lost, oldest first; what was found again as well. Waits for no writer."""
        table = tables.lost_devices
        query = select(table).where(table.c.target == target).order_by(table.c.seq)
        with looking(self._engine) as connection:
            return [
                LostDevice(row.serial, _at(row.at), row.actor, _at(row.ended) if row.ended else None, row.ended_by)
                for row in connection.execute(query)
            ]

    def lost(self, target: TargetName) -> frozenset[str]:
        """The serials, folded, of what is lost now because somebody said so."""
        return frozenset(one.serial.casefold() for one in self.reported(target) if one.ended is None)

    def report_lost(self, target: TargetName, serial: str, now: datetime, actor: str, because: str) -> bool:
        """Somebody says that a device is lost; False where somebody has said so already."""
        table = tables.lost_devices
        with transaction(self._engine) as connection:
            mine = table.c.target == target, func.lower(table.c.serial) == serial.lower(), table.c.ended.is_(None)
            if connection.execute(select(table.c.seq).where(*mine)).first() is not None:
                return False
            row = {"target": target, "serial": serial, "at": _utc(now), "actor": actor, "ended_by": ""}
            connection.execute(table.insert().values(row))
            _ask_again(connection, target)
            told = {"target": target, "serial": serial, "because": because}
            audit.append(connection, self._vault, LOST, actor, told, now)
            return True

    def report_found(self, target: TargetName, serial: str, now: datetime, actor: str, because: str) -> bool:
        """Somebody says that a device was found; False where nobody has reported it lost."""
        table = tables.lost_devices
        with transaction(self._engine) as connection:
            mine = table.c.target == target, func.lower(table.c.serial) == serial.lower(), table.c.ended.is_(None)
            ended = connection.execute(update(table).where(*mine).values(ended=_utc(now), ended_by=actor))
            if not ended.rowcount:
                return False
            _ask_again(connection, target)
            told = {"target": target, "serial": serial, "because": because}
            audit.append(connection, self._vault, FOUND, actor, told, now)
            return True

    def disabled_by_us(self, target: TargetName) -> frozenset[NativeId]:
        """The devices that are disabled because we did that, as far as we know."""
        table = tables.disabled_devices
        with looking(self._engine) as connection:
            return frozenset(map(NativeId, connection.execute(select(table.c.native_id).where(table.c.target == target)).scalars()))

    def enabled_by_others(self, target: TargetName, devices: Collection[NativeId]) -> None:
        """These are in use though we had disabled them: should they be disabled again, it is not by us."""
        table = tables.disabled_devices
        with transaction(self._engine) as connection:
            for each in devices:
                connection.execute(delete(table).where(table.c.target == target, table.c.native_id == each))

    def seen(self, target: TargetName) -> Seen:
        """How much there was when a plan was last applied."""
        with looking(self._engine) as connection:
            return _seen(connection, target)

    def set_seen(self, target: TargetName, seen: Seen) -> None:
        """So much was there, and is believed. From now on the target has history: no first apply is left (R14)."""
        with transaction(self._engine) as connection:
            _set_seen(connection, target, seen)

    def open_intentions(self, target: TargetName) -> list[Intention]:
        """Journalled changes of devices without an outcome, oldest first."""
        with transaction(self._engine) as connection:
            return [
                one
                for one in history.open_intentions(connection, self._vault)
                if one.change.kind in DEVICE_KINDS and one.change.target == target
            ]

    def journal(self, target: TargetName, native_id: NativeId) -> list[JournalRow]:
        """What was intended of one device and what came of it, in order; what has expired is nobody's any more (R38)."""
        with transaction(self._engine) as connection:
            rows = history.journal_of(connection, self._vault, target, DEVICE_KINDS)
            return [row for row in rows if row.change.native_id == native_id]


def _seen(connection: Connection, target: TargetName) -> Seen:
    value = connection.execute(select(tables.meta.c.value).where(tables.meta.c.key == _COUNTS.format(target))).scalar()
    return Seen(**json.loads(value)) if value else Seen()


def _set_seen(connection: Connection, target: TargetName, seen: Seen) -> None:
    statements.upsert(connection, tables.meta, [{"key": _COUNTS.format(target), "value": json.dumps(asdict(seen))}])


def _ask_again(connection: Connection, target: TargetName) -> None:
    """The next run looks at the devices, whatever the roster's digest."""
    _set_seen(connection, target, replace(_seen(connection, target), digest=""))


def take_effect(connection: Connection, outcomes: Iterable[Outcome]) -> None:
    """What outcomes make true of which devices we disabled; in the transaction that records them."""
    table = tables.disabled_devices
    for one in outcomes:
        if one.landed and one.change.kind in (Kind.DISABLE_DEVICE, Kind.ENABLE_DEVICE):
            _switched(connection, table, one.change)


def _switched(connection: Connection, table: Table, change: Change) -> None:
    if change.kind is Kind.DISABLE_DEVICE:
        statements.add_if_absent(connection, table, [{"target": change.target, "native_id": change.native_id}])
    else:
        connection.execute(delete(table).where(table.c.target == change.target, table.c.native_id == change.native_id))


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _utc(now: datetime) -> str:
    return now.astimezone(UTC).isoformat()
