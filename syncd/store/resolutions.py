"""What humans decided about who somebody is: kept for ever, taken back only by saying so."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, or_, select, update

from syncd.core.model import PersonId
from syncd.core.resolution import Resolution, Verb
from syncd.store import audit, codec, statements, tables
from syncd.store.database import transaction
from syncd.store.reading import chunks
from syncd.vault import Vault


class Resolutions:
    """The decisions of a store. Every method is one transaction; raises EndpointError where the database is not well."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault

    def about(self, named: Collection[str]) -> list[Resolution]:
        """Every decision of which one of these is the subject or the candidate, oldest first; those taken back as well."""
        with transaction(self._engine) as connection:
            return _about(connection, self._vault, named)

    def all(self) -> list[Resolution]:
        """Every decision ever made, oldest first."""
        with transaction(self._engine) as connection:
            rows = connection.execute(select(tables.resolutions).order_by(tables.resolutions.c.seq))
            return [_resolution(row, self._vault) for row in rows]

    def decide(self, made: Sequence[Resolution]) -> int:
        """Remember these decisions, all or none; what holds already is not said twice. How many are new."""
        with transaction(self._engine) as connection:
            holding = {one.told for one in _about(connection, self._vault, {one.subject for one in made}) if one.withdrawn is None}
            new = [one for one in dict.fromkeys(made) if one.told not in holding]
            rows = [
                {
                    "kind": str(one.verb),
                    "subject": one.subject,
                    "candidate": one.candidate,
                    "at": one.at.astimezone(UTC).isoformat(),
                    "actor": one.actor,
                    "sealed": self._vault.seal(codec.dumps({"because": one.because}), _context(one.subject, one.candidate)),
                }
                for one in new
            ]
            statements.add_numbered(connection, tables.resolutions, rows)
            said = [_said("resolution", one, one.actor, one.because, one.at) for one in new]
            audit.append_all(connection, self._vault, said)
            return len(new)

    def withdraw(self, made: Collection[Resolution], now: datetime, actor: str, because: str) -> int:
        """Take these decisions back; they stay, and say when, by whom and why. How many held until now."""
        table = tables.resolutions
        with transaction(self._engine) as connection:
            count = 0
            for one in made:
                told = {"because": one.because, "withdrawn_by": actor, "withdrawn_because": because}
                sealed = self._vault.seal(codec.dumps(told), _context(one.subject, one.candidate))
                held = update(table).where(table.c.seq == one.number, table.c.withdrawn.is_(None))
                taken = connection.execute(held.values(withdrawn=now.astimezone(UTC).isoformat(), sealed=sealed)).rowcount
                if taken:
                    audit.append_all(connection, self._vault, [_said("resolution withdrawn", one, actor, because, now)])
                count += taken
            return count


def _said(kind: str, one: Resolution, actor: str, because: str, at: datetime) -> audit.Said:
    """What is put on the chain of a decision, with the decision itself: nobody decides unseen."""
    told = {"verb": str(one.verb), "subject": one.subject, "candidate": one.candidate, "because": because}
    is_person = one.subject[:1] == "p" and one.subject[1:].isdecimal()
    return audit.Said(kind, actor, told, at, person=PersonId(one.subject) if is_person else None)


def _about(connection: Connection, vault: Vault, named: Collection[str]) -> list[Resolution]:
    table, found = tables.resolutions, dict[int, Resolution]()
    for piece in chunks(named):
        query = select(table).where(or_(table.c.subject.in_(piece), table.c.candidate.in_(piece)))
        found |= {row.seq: _resolution(row, vault) for row in connection.execute(query)}
    return [found[number] for number in sorted(found)]


def _resolution(row: Row[Any], vault: Vault) -> Resolution:
    told = json.loads(vault.open(row.sealed, _context(row.subject, row.candidate)))
    because = told["because"]
    if row.withdrawn:
        because = f"{because}; taken back by {told['withdrawn_by']}: {told['withdrawn_because']}"
    at, withdrawn = datetime.fromisoformat(row.at), datetime.fromisoformat(row.withdrawn) if row.withdrawn else None
    return Resolution(Verb(row.kind), row.subject, row.candidate, at, row.actor, because, withdrawn, row.seq)


def _context(subject: str, candidate: str) -> str:
    return f"resolution {subject} {candidate}"
