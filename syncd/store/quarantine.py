"""What targets refused: set aside with their words until it lands, is tried again, or is not wanted any more."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, delete, select, tuple_, update

from syncd.core import quarantine as rules
from syncd.core.model import Failure, Kind, Outcome, PersonId, TargetName
from syncd.core.quarantine import Refused, Slot
from syncd.store import codec, statements, tables
from syncd.store.database import transaction
from syncd.store.reading import chunks, number, person_id
from syncd.vault import Vault

_UNREMARKABLE = frozenset({Failure.STALE, Failure.WAITS})  # not the target's refusal: nothing to set aside
_ELSEWHERE = frozenset({Failure.NO_SUCH_OBJECT, Failure.NO_CONTAINER})
"""What was missing may be there with the next run, as a container that a dying server did not make: only then is it left alone."""
_AT_ONCE = datetime.min.replace(tzinfo=UTC).isoformat()


class Quarantine:
    """The refused changes of a store. Every method is one transaction; raises EndpointError where the database is not well."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault

    def refused(self, targets: Collection[TargetName] | None = None) -> list[Refused]:
        """Everything that is set aside, or what is on these targets, by target and person."""
        table = tables.quarantine
        query = select(table, table.c["count"].label("times")).order_by(table.c.target, table.c.person, table.c.kind, table.c.group)
        if targets is not None:
            query = query.where(table.c.target.in_(targets))
        with transaction(self._engine) as connection:
            return [_refused(row, self._vault) for row in connection.execute(query)]

    def retry(self, persons: Collection[PersonId] | None = None, targets: Collection[TargetName] | None = None) -> int:
        """Have the next run try again what is set aside, all of it or that of these persons, on these targets; how many changes."""
        table = tables.quarantine
        due = update(table).values(next=_AT_ONCE)
        if targets is not None:
            due = due.where(table.c.target.in_(targets))
        whose = [due] if persons is None else [due.where(table.c.person.in_(piece)) for piece in chunks([*map(number, persons)])]
        with transaction(self._engine) as connection:
            return sum(connection.execute(each).rowcount for each in whose)

    def drop(self, slots: Iterable[Slot]) -> None:
        """Forget what is not wanted any more."""
        listed = list(slots)
        if listed:
            with transaction(self._engine) as connection:
                _forget(connection, listed)


def _refused(row: Row[Any], vault: Vault) -> Refused:
    told = json.loads(vault.open(row.sealed, _context(row.target, row.person, row.kind, row.group)))
    return Refused(
        TargetName(row.target),
        person_id(row.person),
        Kind(row.kind),
        row.group,
        row.wanted,
        row.attribute,
        told["words"],
        row.times,
        *(datetime.fromisoformat(at) for at in (row.first, row.last, row.next)),
    )


def _context(target: str, person: int, kind: str, group: str) -> str:
    return f"quarantine {target} {person} {kind} {group}"


def take(connection: Connection, vault: Vault, outcomes: Sequence[Outcome], now: datetime) -> None:
    """Set refused changes aside with the target's words, and forget those that have landed."""
    landed: list[Slot] = []
    refused: dict[Slot, Outcome] = {}
    for outcome in outcomes:
        slot = rules.slot(outcome.change)
        if slot is None:
            continue
        if outcome.landed:
            landed.append(slot)
            refused.pop(slot, None)
        elif outcome.failure not in _UNREMARKABLE:
            refused[slot] = outcome
    _forget(connection, landed)
    before = _known(connection, refused)
    rows = []
    for (target, person, kind, group), outcome in refused.items():
        wanted, words = rules.wanted(outcome.change), f"{outcome.failure or outcome.result}: {outcome.why}"
        held = before.get((target, person, kind, group))
        again = held is not None and held.wanted == wanted  # else it is another question, refused for the first time
        count = held.times + 1 if held is not None and again else 1
        rows.append(
            {
                "target": target,
                "person": number(person),
                "kind": str(kind),
                "group": group,
                "wanted": wanted,
                "attribute": rules.attribute_named(outcome.change, outcome.why),
                "count": count,
                "first": held.first if held is not None and again else now.isoformat(),
                "last": now.isoformat(),
                "next": (
                    now if count == 1 and outcome.failure in _ELSEWHERE else rules.next_try(count, now, outcome.failure)
                ).isoformat(),
                "sealed": vault.seal(codec.dumps({"words": words}), _context(target, number(person), str(kind), group)),
            }
        )
    statements.upsert(connection, tables.quarantine, rows)


def _known(connection: Connection, slots: Collection[Slot]) -> dict[Slot, Row[Any]]:
    """What is set aside of the persons of these slots."""
    table = tables.quarantine
    query: Select[Any] = select(
        table.c.target, table.c.person, table.c.kind, table.c.group, table.c.wanted, table.c["count"].label("times"), table.c.first
    )
    found: dict[Slot, Row[Any]] = {}
    for target in {slot[0] for slot in slots}:
        for piece in chunks({number(person) for name, person, _, _ in slots if name == target}):
            for row in connection.execute(query.where(table.c.target == target, table.c.person.in_(piece))):
                slot = TargetName(row.target), person_id(row.person), Kind(row.kind), str(row.group)
                found[slot] = row
    return found


def _forget(connection: Connection, slots: Collection[Slot]) -> None:
    """Most changes were never refused: who is in quarantine at all is asked first."""
    known, table = _known(connection, slots), tables.quarantine
    keys = tuple_(table.c.target, table.c.person, table.c.kind, table.c.group)
    gone = [(slot[0], number(slot[1]), str(slot[2]), slot[3]) for slot in slots if slot in known]
    for piece in chunks(gone):
        connection.execute(delete(table).where(keys.in_(piece)))
