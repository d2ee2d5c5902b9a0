"""What humans decided about who somebody is: kept for ever, taken back only by saying so."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Engine, Row, or_, select, update

from syncd.core.model import PersonId
from syncd.core.resolution import Resolution, United, Verb, person_of
from syncd.store import audit, codec, statements, tables
from syncd.store.database import looking, transaction
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
            remember(connection, self._vault, new)
            return len(new)

    def withdraw(self, made: Collection[Resolution], now: datetime, actor: str, because: str) -> int:
        """Take these decisions back; they stay, and say when, by whom and why. How many held until now."""
        with transaction(self._engine) as connection:
            return sum(take_back(connection, self._vault, one, now, actor, because) for one in made)

    def united(self) -> dict[PersonId, United]:
        """Everybody who is one with somebody else, and with whom in the end. Waits for no writer."""
        with looking(self._engine) as connection:
            return united(connection, self._vault)


def remember(
    connection: Connection,
    vault: Vault,
    made: Sequence[Resolution],
    more: Mapping[str, Any] = MappingProxyType({}),
    also: Collection[PersonId] = (),
) -> None:
    """Write decisions down, with what `more` is to be known of each, and put them on the chain; for these persons, too."""
    rows = [
        {
            "kind": str(one.verb),
            "subject": one.subject,
            "candidate": one.candidate,
            "at": one.at.astimezone(UTC).isoformat(),
            "actor": one.actor,
            "sealed": vault.seal(codec.dumps({"because": one.because, **more}), context(one.subject, one.candidate)),
        }
        for one in made
    ]
    statements.add_numbered(connection, tables.resolutions, rows)
    said = [_said("resolution", one, one.actor, one.because, one.at) for one in made]
    audit.append_all(connection, vault, [*said, *(replace(one, person=person) for person in also for one in said)])


def take_back(connection: Connection, vault: Vault, one: Resolution, now: datetime, actor: str, because: str) -> int:
    """Take a decision back, if it holds; it stays, and says when, by whom and why. How many held."""
    table = tables.resolutions
    told = {"because": one.because, "withdrawn_by": actor, "withdrawn_because": because}
    sealed = vault.seal(codec.dumps(told), context(one.subject, one.candidate))
    held = update(table).where(table.c.seq == one.number, table.c.withdrawn.is_(None))
    taken = connection.execute(held.values(withdrawn=now.astimezone(UTC).isoformat(), sealed=sealed)).rowcount
    if taken:
        audit.append_all(connection, vault, [_said("resolution withdrawn", one, actor, because, now)])
    return taken


def united(connection: Connection, vault: Vault) -> dict[PersonId, United]:
    """Everybody who is one with somebody else, and with whom in the end."""
    table = tables.resolutions
    persons = table.c.subject.like("p%"), table.c.subject.not_like("%/%"), table.c.subject.not_like("%:%")
    query = select(table).where(table.c.kind == str(Verb.MERGE), table.c.withdrawn.is_(None), *persons).order_by(table.c.seq)
    rows = {PersonId(row.subject): row for row in connection.execute(query)}
    found: dict[PersonId, United] = {}
    for one, row in rows.items():
        told = json.loads(vault.open(row.sealed, context(row.subject, row.candidate)))
        into = PersonId(row.candidate)
        while into in rows:
            into = PersonId(rows[into].candidate)
        why = f"one with {into}, as {row.actor} said on {row.at[:10]}: {told['because']}"
        found[one] = United(into, why, frozenset(told["moved"]["called"]))
    return found


def _said(kind: str, one: Resolution, actor: str, because: str, at: datetime) -> audit.Said:
    """What is put on the chain of a decision, with the decision itself: nobody decides unseen."""
    told = {"verb": str(one.verb), "subject": one.subject, "candidate": one.candidate, "because": because}
    return audit.Said(kind, actor, told, at, person=person_of(one.subject))


def _about(connection: Connection, vault: Vault, named: Collection[str]) -> list[Resolution]:
    table, found = tables.resolutions, dict[int, Resolution]()
    for piece in chunks(named):
        query = select(table).where(or_(table.c.subject.in_(piece), table.c.candidate.in_(piece)))
        found |= {row.seq: _resolution(row, vault) for row in connection.execute(query)}
    return [found[number] for number in sorted(found)]


def _resolution(row: Row[Any], vault: Vault) -> Resolution:
    told = json.loads(vault.open(row.sealed, context(row.subject, row.candidate)))
    because = told["because"]
    if row.withdrawn:
        because = f"{because}; taken back by {told['withdrawn_by']}: {told['withdrawn_because']}"
    at, withdrawn = datetime.fromisoformat(row.at), datetime.fromisoformat(row.withdrawn) if row.withdrawn else None
    return Resolution(Verb(row.kind), row.subject, row.candidate, at, row.actor, because, withdrawn, row.seq)


def context(subject: str, candidate: str) -> str:
    """What the contents of a decision are bound to."""
    return f"resolution {subject} {candidate}"
