"""What people decided here (R6), and what is still owed of it: who is to be shut out and is not yet (R33).

Whether an account that is closed was closed by us is told by the journal, not by who looked first: a lock is carried out beside
runs, which may see its effect before it is recorded.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, or_, select, update

from syncd.core.facts import LOCAL, Fact, FactKind
from syncd.core.model import Account, Kind, Outcome, PersonId, Result, RunId, SourceKey, TargetName
from syncd.core.naming import IssuedName, ledger_key
from syncd.store import audit, codec, history, journal, reading, resolutions, statements, tables, writing
from syncd.store.claims import CLAIM
from syncd.store.database import looking, transaction
from syncd.store.reading import chunks, number, person_id
from syncd.store.rows import Known
from syncd.vault import Vault

_ONE_OF_A_KIND = frozenset(
    {FactKind.OVERRIDE, FactKind.FREEZE, FactKind.LOCK, FactKind.SPONSOR}
)  # a new one takes the old one's place
_BORN = "birth_date"
_LANDED = (str(Result.DONE), str(Result.ALREADY))


@dataclass(frozen=True, slots=True)
class Owed:
    """An account that a lock has not closed yet, as far as we know: `known` is linked, `making` was sent and is not answered."""

    fact: Fact
    target: TargetName
    known: Known | None
    making: Account | None = None
    in_flight: bool = False  # a run has sent something that opens it, and what came of that is not known yet


class Facts:
    """The local facts of one store. Every method is one transaction."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault

    def add(self, fact: Fact) -> Fact:
        """Remember a fact under a number of its own; what it takes the place of ends with it. Its person must be looked at (R4)."""
        with transaction(self._engine) as connection:
            return _add(connection, self._vault, fact)

    def sponsor(self, fact: Fact) -> Fact:
        """Remember a sponsorship of somebody new, who is minted in the same transaction; its person, id and `key` are filled in.

        A birth date among its values is kept as that of a roster is (R23).
        """
        with transaction(self._engine) as connection:
            given = connection.execute(select(tables.source_keys.c.key).where(tables.source_keys.c.source == LOCAL)).scalars()
            # not how many there are: one of them may have been forgotten, and the next would be somebody who is there
            last = max((int(key.rpartition("-")[2]) for key in given), default=0)
            key = SourceKey(f"sponsored-{last + 1}")
            person = writing.mint(connection, [(LOCAL, key)])[LOCAL, key]
            values = {**fact.values, "key": key}
            if values.get(_BORN):
                values[_BORN] = self._vault.kept_fact(values[_BORN], source=LOCAL, key=key, fact=_BORN)
            return _add(connection, self._vault, replace(fact, person=person, values=values))

    def end(self, ids: Collection[int], at: datetime, actor: str, because: str) -> None:
        """These facts hold no more; their persons must be looked at (R4)."""
        with transaction(self._engine) as connection:
            _end(connection, self._vault, ids, at, actor, because)

    def listed(self, persons: Collection[PersonId] | None = None) -> list[Fact]:
        """Every fact, of these persons or of everybody, oldest first."""
        numbers = None if persons is None else [number(person) for person in persons]
        with looking(self._engine) as connection:
            return listed(connection, self._vault, numbers)

    def locked(self) -> frozenset[PersonId]:
        """Everybody who is locked; waits for no writer."""
        with looking(self._engine) as connection:
            return frozenset(person_id(row.person) for row in connection.execute(_locks()))

    def rename(self, seal: Fact, name: IssuedName, *, sealed: bool) -> None:
        """The person of the fact is called this from now on. Raises ChangeError where the name is or was somebody else's (R9).

        Where `sealed`, every other name of theirs is, by that fact for each.
        """
        person, at = seal.person, seal.since
        with transaction(self._engine) as connection:
            writing.reserve(connection, self._vault, None, {name.value: person}, at.astimezone(UTC))
            writing.set_names(connection, self._vault, {person: [name]}, at.astimezone(UTC))
            writing.mark(connection, [person])
            told = {"name": name.value, "sealed": sealed, "because": seal.because}
            audit.append(connection, self._vault, "rename", seal.actor, told, at, person=person)
            if sealed:
                held = select(tables.ledger.c.name).where(tables.ledger.c.holder == person)
                now = {ledger_key(one.value) for one in reading.names(connection, [person]).get(person, {}).values()}
                for old in sorted(set(connection.execute(held).scalars()) - now):
                    _add(connection, self._vault, replace(seal, attribute=old))

    def sealed(self) -> frozenset[str]:
        """Names that are never used again, by anybody, as the ledger spells them."""
        query = select(tables.facts.c.attribute).where(tables.facts.c.kind == FactKind.SEAL)
        with looking(self._engine) as connection:
            return frozenset(connection.execute(query).scalars())

    def hidden(self, today: date) -> frozenset[PersonId]:
        """Whose reports are masked by a decision made here: a sealed name, or an override that says `confidential`."""
        table = tables.facts
        wanted = or_(table.c.kind == FactKind.SEAL, (table.c.kind == FactKind.OVERRIDE) & (table.c.attribute == "confidential"))
        with looking(self._engine) as connection:
            found = [_fact(row, self._vault) for row in connection.execute(select(table).where(wanted))]
            united = resolutions.united(connection, self._vault) if found else {}
        hidden = {
            fact.person
            for fact in found
            if fact.is_in_force(today) and (fact.kind is FactKind.SEAL or fact.values["value"].lower() in ("true", "yes", "1"))
        }
        return frozenset(hidden | {united[person].into for person in hidden & united.keys()})

    def resets(self) -> set[tuple[TargetName, PersonId]]:
        """The accounts that a lock closed and nothing has opened since it ended."""
        table, written = tables.facts, tables.journal
        ended = select(table.c.person, func.max(table.c.since)).where(table.c.kind == FactKind.LOCK, table.c.ended.is_not(None))
        found: set[tuple[TargetName, PersonId]] = set()
        with looking(self._engine) as connection:
            for row, since in connection.execute(ended.group_by(table.c.person)).all():
                targets = connection.execute(select(tables.links.c.target).where(tables.links.c.person == row)).scalars().all()
                opened = (
                    select(written.c.target)
                    .join(tables.outcomes, tables.outcomes.c.seq == written.c.seq)
                    .where(written.c.person == row, written.c.kind == Kind.ENABLE, written.c.at >= since)
                    .where(tables.outcomes.c.result.in_(_LANDED))
                )
                for target in set(targets) - set(connection.execute(opened).scalars()):
                    found.add((TargetName(target), person_id(row)))
        return found

    # --- what is owed -------------------------------------------------------------------------------------------------

    def owes(self) -> bool:
        """Whether some account of somebody locked may be open. Waits for no writer, and costs nothing where nobody is locked."""
        return bool(self.owed())

    def owed(self) -> list[Owed]:
        """The accounts of everybody locked that may be open, by target."""
        with looking(self._engine) as connection:
            locks = {fact.person: fact for row in connection.execute(_locks()) if (fact := _fact(row, self._vault))}
            if not locks:
                return []
            known = self._known(connection, locks)
            opening = self._opening(connection, locks)
            places = sorted({*known, *opening})
            return [
                Owed(locks[person], target, known.get((target, person)), opening.get((target, person)), (target, person) in opening)
                for target, person in places
                if (target, person) in opening or known[target, person].account.enabled
            ]

    def known(self, asked: Collection[tuple[TargetName, PersonId]]) -> list[Owed]:
        """These accounts of people who are locked, open or not."""
        with looking(self._engine) as connection:
            wanted = {person for _, person in asked}
            locks = {
                fact.person: fact for row in connection.execute(_locks()) if (fact := _fact(row, self._vault)).person in wanted
            }
            known = self._known(connection, locks)
            return [
                Owed(locks[person], target, one) for (target, person), one in sorted(known.items()) if (target, person) in asked
            ]

    def _known(self, connection: Connection, persons: Collection[PersonId]) -> dict[tuple[TargetName, PersonId], Known]:
        table = tables.links
        query = select(table.c.target).where(table.c.person.in_([number(person) for person in persons])).distinct()
        targets = [TargetName(name) for name in connection.execute(query).scalars()]
        return {
            (target, person): one
            for target in targets
            for person, one in reading.known(connection, self._vault, target, persons).items()
        }

    def _opening(self, connection: Connection, persons: Collection[PersonId]) -> dict[tuple[TargetName, PersonId], Account | None]:
        """What was sent for these persons that opens an account, and has no answer yet; of an account being made, what it is."""
        table, done, image = tables.journal, tables.outcomes, tables.images
        query = (
            select(table, image.c.sealed.label("image"))
            .select_from(table.outerjoin(done, done.c.seq == table.c.seq).outerjoin(image, image.c.seq == table.c.seq))
            .where(table.c.person.in_([number(person) for person in persons]), done.c.seq.is_(None))
            .where(table.c.kind.in_([str(Kind.CREATE), str(Kind.ENABLE)]))
            .order_by(table.c.seq)
        )
        found: dict[tuple[TargetName, PersonId], Account | None] = {}
        for row in connection.execute(query):
            made = None
            if row.kind == Kind.CREATE and row.image is not None:
                sealed = self._vault.open(row.image, history.journal_context(row.seq))
                made = codec.change_from_json(json.loads(sealed)).after
            found[TargetName(row.target), person_id(row.person)] = made
        return found

    def answered(self, outcomes: Iterable[tuple[int, Outcome]], at: datetime) -> None:
        """Journal what came of changes beside a run; what somebody has found out meanwhile is not said twice."""
        listed = list(outcomes)
        table = tables.outcomes
        with transaction(self._engine) as connection:
            query = select(table.c.seq).where(table.c.seq.in_([seq for seq, _ in listed]))
            told = set(connection.execute(query).scalars())
            journal.record(connection, self._vault, [one for one in listed if one[0] not in told], at.astimezone(UTC))

    def seen(self, known: Sequence[Known]) -> None:
        """Accounts of locked people as the target has them now."""
        with transaction(self._engine) as connection:
            writing.put_known(connection, self._vault, known)

    def beside_others(self, runs: Collection[RunId]) -> set[RunId]:
        """Those of the runs that carried out a lock or a claim, and nothing else: beside all others, under a lease."""
        table = tables.runs
        query = select(table.c.seq).where(table.c.seq.in_([int(run[1:]) for run in runs]), table.c.kind.in_([LOCK, CLAIM]))
        with looking(self._engine) as connection:
            return {history.run_id(row) for row in connection.execute(query).scalars()}

    def counts(self, today: date) -> dict[str, int]:
        """How many facts of each kind are in force, for monitors. No persons."""
        table = tables.facts
        held = table.c.ended.is_(None) & or_(table.c.until.is_(None), table.c.until >= today.isoformat())
        query = select(table.c.kind, func.count()).where(held, table.c.kind != FactKind.SEAL).group_by(table.c.kind)
        with looking(self._engine) as connection:
            found = {str(kind): int(count) for kind, count in connection.execute(query)}
        return {str(kind): found.get(kind, 0) for kind in FactKind if kind is not FactKind.SEAL}


LOCK = "lock"
"""The kind of a run that carries out a lock beside all others, and holds nobody up (R33)."""


def _locks() -> Any:
    table = tables.facts
    return select(table).where(table.c.kind == FactKind.LOCK, table.c.ended.is_(None)).order_by(table.c.seq)


def _add(connection: Connection, vault: Vault, fact: Fact) -> Fact:
    if fact.kind in _ONE_OF_A_KIND:
        same = [
            one
            for one in listed(connection, vault, [number(fact.person)])
            if (one.kind, one.attribute, one.target) == (fact.kind, fact.attribute, fact.target) and one.ended is None
        ]
        _end(connection, vault, [one.id for one in same], fact.since, fact.actor, fact.because)
    told = codec.dumps({"values": dict(fact.values), "because": fact.because})
    row = {
        "person": number(fact.person),
        "kind": str(fact.kind),
        "attribute": fact.attribute,
        "target": fact.target,
        "since": fact.since.astimezone(UTC).isoformat(),
        "actor": fact.actor,
        "until": fact.until.isoformat() if fact.until else None,
        "ended": None,
        "ended_by": "",
        "sealed": vault.seal(told, _context(number(fact.person), fact.kind)),
    }
    (seq,) = statements.add_numbered(connection, tables.facts, [row])
    decided = {"attribute": fact.attribute, "target": fact.target, "until": row["until"], "because": fact.because}
    said = {**decided, "values": dict(fact.values)}
    audit.append(connection, vault, str(fact.kind), fact.actor, said, fact.since, person=fact.person)  # a human's decision (R24)
    writing.mark(connection, [fact.person])
    return replace(fact, id=seq)


def _end(connection: Connection, vault: Vault, ids: Collection[int], at: datetime, actor: str, because: str) -> None:
    table = tables.facts
    for row in connection.execute(select(table).where(table.c.seq.in_(list(ids)), table.c.ended.is_(None))).all():
        sealed = vault.seal(because.encode(), f"end of {_context(row.person, row.kind)}")
        told = {"ended": at.astimezone(UTC).isoformat(), "ended_by": actor, "sealed_end": sealed}
        said = {"attribute": row.attribute, "target": row.target, "because": because}
        audit.append(connection, vault, f"end of {row.kind}", actor, said, at, person=person_id(row.person))
        connection.execute(update(table).where(table.c.seq == row.seq).values(told))
        writing.mark(connection, [person_id(row.person)])


def listed(connection: Connection, vault: Vault, persons: Collection[int] | None) -> list[Fact]:
    """Every fact, of the persons with these numbers or of everybody, oldest first."""
    table = tables.facts
    if persons is None:
        return [_fact(row, vault) for row in connection.execute(select(table).order_by(table.c.seq))]
    found: list[Fact] = []
    for piece in chunks(persons):
        found += [_fact(row, vault) for row in connection.execute(select(table).where(table.c.person.in_(piece)))]
    return sorted(found, key=lambda fact: fact.id)


def _fact(row: Row[Any], vault: Vault) -> Fact:
    told: Mapping[str, Any] = json.loads(vault.open(row.sealed, _context(row.person, row.kind)))
    ended = vault.open(row.sealed_end, f"end of {_context(row.person, row.kind)}").decode() if row.sealed_end else ""
    return Fact(
        row.seq,
        person_id(row.person),
        FactKind(row.kind),
        datetime.fromisoformat(row.since),
        row.actor,
        told["because"],
        row.attribute,
        row.target,
        told["values"],
        reading.day(row.until),
        datetime.fromisoformat(row.ended) if row.ended else None,
        row.ended_by,
        ended,
    )


def _context(person: int, kind: str) -> str:
    return f"fact p{person} {kind}"
