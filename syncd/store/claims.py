"""Claims: who tried how often, who may choose a password, and passwords that wait for a target.

No fact that was typed is ever here: what counts a name with a birth date is a keyed digest, and so is what counts a network. That
an account is claimed becomes true with the outcome that opened it, whoever finds that out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, delete, func, select, text, update

from syncd.core.claiming import DISTRICT_SPAN, Budget, Counters, Limits, Tries, Verdict, judge
from syncd.core.model import Kind, Outcome, PersonId, RunId, TargetName
from syncd.store import audit, history, statements, tables, writing
from syncd.store.database import looking, overwriting, transaction
from syncd.store.reading import chunks, number, person_id
from syncd.vault import Vault

CLAIM = "claim"
"""The kind of a run that carries out one claim beside all others, and of the audit entry that tells of it."""
RELEASED, REOPENED = "claim released", "claims reopened"
"""The kinds of the audit entries of people who help."""
BY = "portal"
"""Who is said to have claimed: whoever sat at the public page. That it was the person, the proofs say and nobody else."""
_DISTRICT = "district"
_KEPT = timedelta(days=366)
"""How long a try is remembered that nobody repeats."""


@dataclass(frozen=True, slots=True)
class Try:
    """One try, as it is counted: digests of what was typed and of the network, and whom it means, where it means somebody."""

    typed: str
    network: str
    person: PersonId | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """A password that waits for a target."""

    target: TargetName
    person: PersonId
    expires: datetime
    password: str = field(repr=False)


class Claims:
    """The claims of one store. Every method is one transaction."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault

    # --- who it may be ------------------------------------------------------------------------------------------------

    def born(self, token: str, fewest: int) -> tuple[list[PersonId], list[PersonId]]:
        """Everybody with the birth date of this token; and others, so that both are `fewest` together where there are so many."""
        table = tables.persons
        with looking(self._engine) as connection:
            column: ColumnElement[str] = table.c.likeness
            if connection.dialect.name == "postgresql":
                column = column.collate("C")  # by its bytes, as SQLite does: other orders pass over the bar
            query = select(table.c.seq).order_by(column, table.c.seq)
            theirs = connection.execute(query.where(column >= f"{token}|", column < f"{token}}}")).scalars().all()
            left = max(fewest - len(theirs), 0)
            others = connection.execute(query.where(column >= f"{token}}}").limit(left)).scalars().all()
            if len(others) < left:
                first = query.where(column < f"{token}|", column != "").limit(left - len(others))
                others = [*others, *connection.execute(first).scalars()]
        return [person_id(one) for one in theirs], [person_id(one) for one in others]

    # --- tries --------------------------------------------------------------------------------------------------------

    def count(self, one: Try, limits: Limits, now: datetime) -> Verdict:
        """What is to be done with this try. One that is not told to be locked is counted, as a wrong one, before it is compared."""
        with transaction(self._engine) as connection:
            counters = _counters(connection, one, now)
            verdict = judge(counters, limits, now)
            if not verdict.locked:
                _remember(connection, one, counters.tried(limits, now), now)
            return verdict

    def settle(self, one: Try, limits: Limits, now: datetime, *, ticket: str = "", expires: datetime | None = None) -> None:
        """With a `ticket` the try was right: it is no wrong one any more, and whoever holds the ticket may choose a password."""
        with transaction(self._engine) as connection:
            counters = _counters(connection, one, now)
            _remember(connection, one, counters.were_right(limits) if ticket else counters, now)
            tickets = tables.claim_tickets
            connection.execute(delete(tickets).where(tickets.c.expires <= _utc(now)))
            if ticket and expires is not None and one.person is not None:
                row = {"digest": _digest(ticket), "person": number(one.person), "expires": _utc(expires)}
                statements.upsert(connection, tickets, [row])

    def district(self, now: datetime) -> Budget:
        """The tries of the whole district. Waits for no writer."""
        with looking(self._engine) as connection:
            return _budget(connection, _DISTRICT, now).at(now, DISTRICT_SPAN)

    def release(self, person: PersonId, actor: str, because: str, now: datetime) -> int:
        """Forget the wrong tries that meant this person, however they were spelt; how many there were."""
        table = tables.claim_tries
        with transaction(self._engine) as connection:
            mine = table.c.person == number(person)
            own = table.c.key == _person_key(person)
            wrong = connection.execute(select(func.sum(table.c.wrong)).where(mine, own)).scalar() or 0
            connection.execute(delete(table).where(mine))
            audit.append(connection, self._vault, RELEASED, actor, {"because": because, "wrong": wrong}, now, person=person)
            return int(wrong)

    def reopen(self, actor: str, because: str, now: datetime) -> int:
        """Forget the wrong tries of all networks and of the district together; how many the district had."""
        table = tables.claim_budgets
        with transaction(self._engine) as connection:
            wrong = connection.execute(select(table.c.wrong).where(table.c.key == _DISTRICT)).scalar() or 0
            connection.execute(delete(table))
            audit.append(connection, self._vault, REOPENED, actor, {"because": because, "wrong": wrong}, now)
            return int(wrong)

    # --- who may choose a password ------------------------------------------------------------------------------------

    def holder(self, ticket: str, now: datetime) -> PersonId | None:
        """Whose ticket this is; None where it is nobody's, or its minutes are over."""
        table = tables.claim_tickets
        with looking(self._engine) as connection:
            mine = table.c.digest == _digest(ticket), table.c.expires > _utc(now)
            found = connection.execute(select(table.c.person).where(*mine)).scalar()
        return None if found is None else person_id(found)

    # --- passwords that wait ------------------------------------------------------------------------------------------

    def keep(self, person: PersonId, targets: Collection[TargetName], password: str, expires: datetime) -> None:
        """Keep a password for these targets, sealed, for minutes; an earlier one goes."""
        rows = [
            {
                "target": target,
                "person": number(person),
                "expires": _utc(expires),
                "sealed": self._vault.seal(password.encode(), history.chosen_context(target, person)),
            }
            for target in targets
        ]
        with transaction(self._engine) as connection:
            statements.upsert(connection, tables.claim_passwords, rows)

    def drop(self, person: PersonId, target: TargetName | None = None) -> None:
        """Nothing of this person waits any more, for one target or for any."""
        table = tables.claim_passwords
        with transaction(self._engine) as connection, overwriting(connection):
            mine = delete(table).where(table.c.person == number(person))
            connection.execute(mine.where(table.c.target == target) if target is not None else mine)

    def waits(self) -> bool:
        """Whether any password waits. Waits for no writer."""
        with looking(self._engine) as connection:
            return connection.execute(select(tables.claim_passwords.c.person).limit(1)).first() is not None

    def waiting(self, now: datetime, persons: Collection[PersonId] | None = None) -> list[Chosen]:
        """The passwords that wait, of these persons or of everybody, where the account is claimed."""
        query = _unexpired(now).join(tables.persons, tables.persons.c.seq == tables.claim_passwords.c.person)
        return self._opened(query.where(tables.persons.c.claimed), persons)

    def kept(self, person: PersonId, now: datetime) -> list[Chosen]:
        """The passwords that somebody chose whose account may not be open yet."""
        return self._opened(_unexpired(now), [person])

    def _opened(self, query: Select[Any], persons: Collection[PersonId] | None) -> list[Chosen]:
        table, found = tables.claim_passwords, list[Chosen]()
        with looking(self._engine) as connection:
            for piece in chunks(sorted(map(number, persons))) if persons is not None else (None,):
                for row in connection.execute(query if piece is None else query.where(table.c.person.in_(piece))):
                    person, target = person_id(row.person), TargetName(row.target)
                    password = self._vault.open(row.sealed, history.chosen_context(target, person)).decode()
                    found.append(Chosen(target, person, datetime.fromisoformat(row.expires), password))
        return sorted(found, key=lambda one: (number(one.person), one.target))

    def expire(self, now: datetime) -> int:
        """Destroy passwords that have waited for too long, and tries that nobody has repeated for a year; how many passwords."""
        with transaction(self._engine) as connection:
            return expire(connection, now)


def expire(connection: Connection, now: datetime) -> int:
    """As `Claims.expire`, in this transaction."""
    late, tries = tables.claim_passwords, tables.claim_tries
    with overwriting(connection):
        gone = connection.execute(delete(late).where(late.c.expires <= _utc(now))).rowcount
    connection.execute(delete(tries).where(tries.c.last <= _utc(now - _KEPT)))
    return int(gone)


# --- what a claim makes true ------------------------------------------------------------------------------------------


def landed(connection: Connection, vault: Vault, outcomes: Iterable[tuple[int, Outcome]], now: datetime) -> None:
    """Of what was carried out for a claim: the account is claimed from now on, and that is on the chain.

    No password waits any more where an account was opened, by whomever: it was taken along.
    """
    opened = {seq: one.change for seq, one in outcomes if one.landed and one.change.kind is Kind.ENABLE and one.change.person}
    if not opened:
        return
    waiting, first = tables.claim_passwords, tables.passwords
    took = {(change.target, number(PersonId(change.person or ""))) for change in opened.values()}
    for row in connection.execute(select(waiting.c.target, waiting.c.person)).all():  # a handful, if any
        if (row.target, row.person) in took:
            with overwriting(connection):
                connection.execute(delete(waiting).where(waiting.c.target == row.target, waiting.c.person == row.person))
    for seq, run in _of_claims(connection, list(opened)).items():
        person = PersonId(opened[seq].person or "")
        claimed = update(tables.persons).where(tables.persons.c.seq == number(person), tables.persons.c.claimed.is_(False))
        if connection.execute(claimed.values(claimed=True)).rowcount:
            audit.append(connection, vault, CLAIM, BY, {"target": opened[seq].target}, now, run=run, person=person)
        connection.execute(delete(tables.claim_tickets).where(tables.claim_tickets.c.person == number(person)))
        letter = first.c.person == number(person), first.c.target == opened[seq].target
        connection.execute(update(first).where(*letter).values(sealed=None))  # it would tell a password that is none any more
        writing.mark(connection, [person])


def _of_claims(connection: Connection, seqs: Sequence[int]) -> Mapping[int, RunId]:
    """Those of the journal's rows that a claim has written, and in which run."""
    written, runs = tables.journal, tables.runs
    found: dict[int, RunId] = {}
    for piece in chunks(seqs):
        query = select(written.c.seq, written.c.run).join(runs, runs.c.seq == written.c.run)
        rows = connection.execute(query.where(written.c.seq.in_(piece), runs.c.kind == CLAIM))
        found |= {row.seq: history.run_id(row.run) for row in rows}
    return found


# --- counters ---------------------------------------------------------------------------------------------------------


def _counters(connection: Connection, one: Try, now: datetime) -> Counters:
    if connection.dialect.name == "postgresql":  # SQLite has one writer in any case
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(current_schema() || '.claims'))"))
    table = tables.claim_tries
    asked = [_typed_key(one), _person_key(one.person)]
    rows = {row.key: row for row in connection.execute(select(table).where(table.c.key.in_(asked)))}
    typed, person = (
        Tries(row.wrong, row.streak, datetime.fromisoformat(row.until) if row.until else None) if row is not None else Tries()
        for row in map(rows.get, asked)
    )
    budgets = _budget(connection, f"network {one.network}", now), _budget(connection, _DISTRICT, now)
    return Counters(typed, *budgets, person if one.person is not None else Tries())


def _unexpired(now: datetime) -> Select[Any]:
    return select(tables.claim_passwords).where(tables.claim_passwords.c.expires > _utc(now))


def _budget(connection: Connection, key: str, now: datetime) -> Budget:
    table = tables.claim_budgets
    row = connection.execute(select(table).where(table.c.key == key)).first()
    return Budget(datetime.fromisoformat(row.since), row.wrong, row.right) if row is not None else Budget(now)


def _remember(connection: Connection, one: Try, counters: Counters, now: datetime) -> None:
    """Write all four, whether there is such a person or not: it takes as long."""
    whose = number(one.person) if one.person is not None else None
    tries = ((_typed_key(one), counters.typed), (_person_key(one.person), counters.person))
    statements.upsert(
        connection,
        tables.claim_tries,
        [
            {
                "key": key,
                "person": whose,
                "wrong": count.wrong,
                "streak": count.streak,
                "until": _utc(count.until) if count.until else None,
                "last": _utc(now),
            }
            for key, count in tries
        ],
    )
    budgets = ((f"network {one.network}", counters.network), (_DISTRICT, counters.district))
    statements.upsert(
        connection,
        tables.claim_budgets,
        [{"key": key, "since": _utc(count.since), "wrong": count.wrong, "right": count.right} for key, count in budgets],
    )


def _typed_key(one: Try) -> str:
    return f"typed {one.typed}"


def _person_key(person: PersonId | None) -> str:
    """Of nobody there is a row as well, which counts nothing."""
    return f"person {person or 'nobody'}"


def _digest(ticket: str) -> str:
    """A ticket is 256 random bits: nobody guesses what this was made of."""
    return hashlib.sha256(ticket.encode()).hexdigest()


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
