"""What humans let go (R15) and what they turned down, by the digests of changes, with who, why and until when.

Knows nothing of plans or limits: whose approval counts is said by whoever asks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Table, delete, func, select, update

from syncd.core.actor import human_in
from syncd.core.model import PersonId, RunId
from syncd.store import tables, writing
from syncd.store.audit import append
from syncd.store.database import looking, transaction
from syncd.store.reading import chunks, number, person_id
from syncd.store.rows import Approval
from syncd.store.turned import APART
from syncd.vault import Vault

NOBODY = -1
"""Who approved where no human can be told from the words: such an approval never counts as one of two."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A change that somebody turned down."""

    person: PersonId
    digest: str
    told: Approval


class Decisions:
    """The approvals and rejections of one store. Every method is one transaction."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault

    def approve(self, approval: Approval, digests: Collection[str], needed: int = 1, barred: Collection[int] = ()) -> int:
        """Somebody lets the changes with these digests go; of how many humans each of them has the approval now, at least.

        A change that has it of `needed` is let go; an approval by one of the `barred`, or one past its day, is not counted. The
        same human approving again takes the place of the first time.
        """
        table, who = tables.approvals, human_in(approval.actor)
        told = _told(approval) | {"who": NOBODY if who is None else who, "lets_go": needed == 1}
        fewest = 0
        with transaction(self._engine) as connection:
            # first, for the chain has one writer at a time: two who approve at once see each other
            self._audited(connection, "approved", approval, digests)
            for piece in chunks(digests):
                connection.execute(delete(table).where(table.c.digest.in_(piece), table.c.who == told["who"]))
            if digests:
                connection.execute(table.insert(), [{"digest": digest, **told} for digest in digests])
            counted: dict[str, int] = dict.fromkeys(digests, 0)
            for piece in chunks(digests):
                query = select(table.c.digest, func.count()).where(table.c.digest.in_(piece), *_holds(table, approval.at))
                if needed > 1:
                    query = query.where(table.c.who.not_in([*barred, NOBODY]))
                counted |= {row.digest: int(row[1]) for row in connection.execute(query.group_by(table.c.digest))}
            fewest = min(counted.values(), default=0)
            for piece in chunks([digest for digest, count in counted.items() if needed > 1 and count >= needed]):
                mine = update(table).where(table.c.digest.in_(piece), table.c.who == told["who"])
                connection.execute(mine.values(lets_go=True))
        return fewest

    def count_again(self, needed: int, barred: Collection[int]) -> None:
        """What fewer humans than are needed by now let go waits for the others; those of the `barred` are not counted."""
        table = tables.approvals
        told = select(table.c.digest).where(table.c.who.not_in([*barred, NOBODY]))
        enough = told.group_by(table.c.digest).having(func.count() >= needed)
        with transaction(self._engine) as connection:
            connection.execute(update(table).where(table.c.lets_go, table.c.digest.not_in(enough)).values(lets_go=False))

    def approved(self, digests: Collection[str], now: datetime) -> set[str]:
        """Those of the digests that as many as were needed let go, and that have not expired."""
        table = tables.approvals
        found: set[str] = set()
        with transaction(self._engine) as connection:
            for piece in chunks(digests):
                query = select(table.c.digest).where(table.c.digest.in_(piece), *_holds(table, now), table.c.lets_go)
                found.update(connection.execute(query).scalars())
        return found

    def approvals(self, digests: Collection[str], now: datetime) -> dict[str, list[Approval]]:
        """Who approved each of the digests, in the order in which they did; what has expired is left out."""
        table = tables.approvals
        found: dict[str, list[Approval]] = {}
        with looking(self._engine) as connection:
            for piece in chunks(digests):
                query = select(table).where(table.c.digest.in_(piece), *_holds(table, now)).order_by(table.c.at, table.c.who)
                for row in connection.execute(query):
                    found.setdefault(row.digest, []).append(_approval(row))
        return found

    def reject(self, rejection: Approval, told: Mapping[str, PersonId], newcomers: Collection[PersonId] = ()) -> int:
        """Somebody turned the changes with these digests down, each with whose it is; whoever had approved one is overruled.

        Names that were promised to the `newcomers` among them, and never sent, are free again (R9): how many.
        """
        approvals, rejections = tables.approvals, tables.rejections
        rows = [{"digest": digest, "person": number(person), **_told(rejection)} for digest, person in told.items()]
        with transaction(self._engine) as connection:
            self._audited(connection, "rejected", rejection, told)
            for piece in chunks(told):
                connection.execute(delete(approvals).where(approvals.c.digest.in_(piece)))
                connection.execute(delete(rejections).where(rejections.c.digest.in_(piece)))
            if rows:
                connection.execute(rejections.insert(), rows)
            mine = [writing.give_back(connection, tables.ledger.c.holder.in_(piece)) for piece in chunks(newcomers)]
            return sum(mine)

    def _audited(self, connection: Connection, kind: str, told: Approval, digests: Collection[str]) -> None:
        """Put a decision on the chain (R24), with exactly what it was about."""
        contents = {"because": told.because, "digests": sorted(digests), "expires": told.expires.isoformat()}
        append(connection, self._vault, kind, told.actor, contents, told.at, run=told.run)

    def rejections(self, now: datetime) -> list[Rejection]:
        """Everything that is turned down now, by person and digest."""
        table = tables.rejections
        query = select(table).where(table.c.expires > _utc(now)).order_by(table.c.person, table.c.digest)
        with looking(self._engine) as connection:
            return [Rejection(person_id(row.person), row.digest, _approval(row)) for row in connection.execute(query)]

    def forget(self, digests: Collection[str]) -> None:
        """What was turned down is not wanted any more: should it be wanted again one day, it is a new question."""
        table = tables.rejections
        if digests:
            with transaction(self._engine) as connection:
                for piece in chunks(digests):
                    connection.execute(delete(table).where(table.c.digest.in_(piece)))

    def ran_out(self, at: datetime) -> None:
        """What had run out by then has run out for good: the clock was set back since."""
        with transaction(self._engine) as connection:
            expire(connection, at)

    def release(self, persons: Collection[PersonId]) -> int:
        """Offer these people's rejected changes again; how many people had any."""
        table = tables.rejections
        mine = table.c.person.in_([number(person) for person in persons])
        with transaction(self._engine) as connection:
            found = set(connection.execute(select(table.c.person).where(mine)).scalars())
            connection.execute(delete(table).where(mine))
        return len(found)


def _holds(table: Table, now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Of an approval: it has not run out, and was not given by a clock that has been set back since."""
    return table.c.expires > _utc(now), table.c.at <= _utc(now + APART)


def half_approved(connection: Connection) -> int:
    """How many changes somebody approved, but not as many as were needed."""
    table = tables.approvals
    whole = select(table.c.digest).where(table.c.lets_go)
    return connection.execute(select(func.count(table.c.digest.distinct())).where(table.c.digest.not_in(whole))).scalar_one()


def expire(connection: Connection, now: datetime) -> None:
    """Forget approvals and rejections past their day."""
    for table in (tables.approvals, tables.rejections):
        connection.execute(delete(table).where(table.c.expires <= _utc(now)))


def _told(approval: Approval) -> dict[str, object]:
    return {
        "run": int(approval.run[1:]),
        "at": _utc(approval.at),
        "expires": _utc(approval.expires),
        "actor": approval.actor,
        "because": approval.because,
    }


def _approval(row: Row[Any]) -> Approval:
    at, expires = datetime.fromisoformat(row.at), datetime.fromisoformat(row.expires)
    return Approval(RunId(f"r{row.run}"), at, expires, row.actor, row.because)


def _utc(now: datetime) -> str:
    return now.astimezone(UTC).isoformat()
