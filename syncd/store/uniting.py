"""Two persons of whom a human said that they are one: what goes over to the one who stays, and back again (R6, R9, R25).

Whoever has the older account stays. Keys, names and accounts of the other go over, but for an account on a target where the one
who stays has one: that stays with the other, of whom no roster tells any more, and is closed by the next run as a leaver's is.
Nothing is written to any target here. What went over is remembered with the decision, so that it can be put back until a run has
been applied.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, select, update

from syncd.core.facts import LOCAL, FactKind
from syncd.core.model import Kind, PersonId, Result, RunId
from syncd.core.naming import ledger_key
from syncd.core.resolution import Resolution
from syncd.errors import ChangeError
from syncd.store import claims, facts, history, resolutions, tables, writing
from syncd.store.database import looking, transaction
from syncd.store.reading import number
from syncd.vault import Vault

_MADE_NOTHING_TRUE = ("planning", "planned", "held", "tried", "rejected", "failed")  # what a run is called that did not
_NO_ACCOUNT = 2**62
_SPEAKING_OF = (
    *(tables.quarantine, tables.shelved, tables.rejections, tables.references),
    *(tables.claim_tickets, tables.claim_passwords, tables.claim_tries),
)


class Uniting:
    """The persons of one store who are one. Every method is one transaction."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault

    def in_order(self, one: PersonId, other: PersonId) -> tuple[PersonId, PersonId]:
        """Who of two goes, and who stays: whoever has the older account, adopted ones first; else whom we have known for longer."""
        with looking(self._engine) as connection:
            ages = {person: _age(connection, self._vault, person) for person in (one, other)}
        stays, goes = sorted(ages, key=lambda person: (ages[person], number(person)))
        return goes, stays

    def refusal(self, goes: PersonId, stays: PersonId, now: datetime) -> str:
        """Why these two cannot be made one now, in words; empty where they can."""
        with looking(self._engine) as connection:
            return _refusal(connection, self._vault, goes, stays, now)

    def unite(self, made: Resolution) -> None:
        """Remember for ever that the subject is one with the candidate, to whom everything goes over.

        To be called by who has the right to run (R19). Raises ChangeError where it cannot be, and nothing has changed then.
        """
        goes, stays = PersonId(made.subject), PersonId(made.candidate)
        with transaction(self._engine) as connection:
            if why := _refusal(connection, self._vault, goes, stays, made.at):
                raise ChangeError("two persons", why)
            moved = _unite(connection, self._vault, goes, stays)
            resolutions.remember(connection, self._vault, [made], {"moved": moved}, also=[stays])

    def applied_since(self, made: Resolution) -> RunId | None:
        """The first run that may have made something true since these became one; None where they can still be parted."""
        with looking(self._engine) as connection:
            return _applied_since(connection, _moved(connection, self._vault, made))

    def part(self, made: Resolution, now: datetime, actor: str, because: str) -> None:
        """Take it back: everything is whose it was. Raises ChangeError where a run has been applied since."""
        goes, stays = PersonId(made.subject), PersonId(made.candidate)
        with transaction(self._engine) as connection:
            moved = _moved(connection, self._vault, made)
            if run := _applied_since(connection, moved):
                raise ChangeError("two persons", f"{run} has been applied since")
            _part(connection, self._vault, goes, stays, moved)
            resolutions.take_back(connection, self._vault, made, now, actor, because)


def _age(connection: Connection, vault: Vault, person: PersonId) -> int:
    """The place in the journal of the making of their oldest account; 0 for one that was there before us."""
    links, journal, done = tables.links, tables.journal, tables.outcomes
    theirs = {person, *(one for one, told in resolutions.united(connection, vault).items() if told.into == person)}
    ages = [_NO_ACCOUNT]
    for row in connection.execute(select(links.c.target, links.c.why).where(links.c.person == number(person))).all():
        made = (
            select(func.min(journal.c.seq))
            .join(done, done.c.seq == journal.c.seq)
            .where(journal.c.target == row.target, journal.c.person.in_(sorted(map(number, theirs))))
            .where(journal.c.kind == str(Kind.CREATE), done.c.result.in_([str(Result.DONE), str(Result.ALREADY)]))
        )
        ages.append(int(connection.execute(made).scalar() or 0) if row.why == "created" else 0)
    return min(ages)


def _refusal(connection: Connection, vault: Vault, goes: PersonId, stays: PersonId, now: datetime) -> str:
    both = [number(goes), number(stays)]
    in_force = {(fact.person, fact.kind) for fact in facts.listed(connection, vault, both) if fact.is_in_force(now.date())}
    locked = {person for person, kind in in_force if kind is FactKind.LOCK}
    if len(locked) == 1:
        [shut], other = locked, stays if goes in locked else goes
        return f"{shut} is locked and {other} is not: lock {other} as well, or unlock {shut}"
    for person, kind in sorted(in_force):
        if kind is FactKind.FREEZE or (person == goes and kind in (FactKind.OVERRIDE, FactKind.SPONSOR)):
            return f"of {person} there is a {kind} in force, which would be lost: end it first; see `syncd facts {person}`"
    journal, done = tables.journal, tables.outcomes
    unanswered = select(journal.c.person).outerjoin_from(journal, done, done.c.seq == journal.c.seq).where(done.c.seq.is_(None))
    open_one = connection.execute(unanswered.where(journal.c.person.in_(both)).limit(1)).scalar()
    return f"what came of a change of p{open_one} is not known yet: syncd resume" if open_one is not None else ""


def _unite(connection: Connection, vault: Vault, goes: PersonId, stays: PersonId) -> dict[str, Any]:
    """Everything of the one goes over to the other; what that was, to be remembered."""
    keys, links, names, persons, ledger = tables.source_keys, tables.links, tables.names, tables.persons, tables.ledger
    before = connection.execute(select(persons).where(persons.c.seq == number(goes))).one()
    theirs = select(keys.c.source, keys.c.key).where(keys.c.person == number(goes), keys.c.source != LOCAL)
    accounts, held = (
        set(connection.execute(select(links.c.target).where(links.c.person == number(person))).scalars())
        for person in (goes, stays)
    )
    called = connection.execute(select(names).where(names.c.person == number(goes)).order_by(names.c.kind)).all()
    kinds = set(connection.execute(select(names.c.kind).where(names.c.person == number(stays))).scalars())
    moved = {
        "keys": sorted([row.source, row.key] for row in connection.execute(theirs)),
        "links": sorted(accounts - held),
        "names": [row.kind for row in called if row.kind not in kinds],
        "dropped": [[row.kind, row.value, row.basis] for row in called if row.kind in kinds],
        "ledger": sorted(connection.execute(select(ledger.c.name).where(ledger.c.holder == goes)).scalars()),
        "called": sorted({ledger_key(row.value) for row in called if row.kind in kinds}) if accounts & held else [],
        "likeness": [before.likeness, before.given],
        "run": connection.execute(select(func.max(tables.runs.c.seq))).scalar() or 0,
    }
    _move(connection, vault, moved, goes, stays)
    connection.execute(delete(names).where(names.c.person == number(goes)))
    connection.execute(update(persons).where(persons.c.seq == number(goes)).values(likeness="", given=""))
    # These speak of what was theirs, and are made anew where they are still so.
    for table in _SPEAKING_OF:
        connection.execute(delete(table).where(table.c.person == number(goes)))
    writing.mark(connection, [goes, stays])
    return moved


def _part(connection: Connection, vault: Vault, goes: PersonId, stays: PersonId, moved: Mapping[str, Any]) -> None:
    _move(connection, vault, moved, stays, goes)
    names, persons = tables.names, tables.persons
    rows = [{"person": number(goes), "kind": kind, "value": value, "basis": basis} for kind, value, basis in moved["dropped"]]
    if rows:
        connection.execute(names.insert(), rows)
    likeness, given = moved["likeness"]
    connection.execute(update(persons).where(persons.c.seq == number(goes)).values(likeness=likeness, given=given))
    writing.mark(connection, [goes, stays])


def _move(connection: Connection, vault: Vault, moved: Mapping[str, Any], giver: PersonId, taker: PersonId) -> None:
    keys, names, ledger = tables.source_keys, tables.names, tables.ledger
    for source, key in moved["keys"]:
        connection.execute(update(keys).where(keys.c.source == source, keys.c.key == key).values(person=number(taker)))
    for target in moved["links"]:
        _seal_again(connection, vault, target, giver, taker)
        for table in (tables.links, tables.memberships, tables.passwords):
            mine = table.c.person == number(giver), table.c.target == target
            connection.execute(update(table).where(*mine).values(person=number(taker)))
    called = names.c.person == number(giver), names.c.kind.in_(moved["names"])
    connection.execute(update(names).where(*called).values(person=number(taker)))
    held = ledger.c.holder == giver, ledger.c.name.in_(moved["ledger"])
    connection.execute(update(ledger).where(*held).values(holder=taker))


def _seal_again(connection: Connection, vault: Vault, target: str, giver: PersonId, taker: PersonId) -> None:
    """First passwords that wait to be handed out are bound to whose they are."""
    table = tables.passwords
    waiting = table.c.person == number(giver), table.c.target == target, table.c.sealed.is_not(None)
    for row in connection.execute(select(table.c.seq, table.c.sealed).where(*waiting)).all():
        secret = vault.open(row.sealed, history.password_context(target, giver))
        sealed = vault.seal(secret, history.password_context(target, taker))
        connection.execute(update(table).where(table.c.seq == row.seq).values(sealed=sealed))


def _moved(connection: Connection, vault: Vault, made: Resolution) -> Mapping[str, Any]:
    table = tables.resolutions
    sealed = connection.execute(select(table.c.sealed).where(table.c.seq == made.number)).scalar_one()
    told: Mapping[str, Any] = json.loads(vault.open(sealed, resolutions.context(made.subject, made.candidate)))
    moved: Mapping[str, Any] = told["moved"]
    return moved


def _applied_since(connection: Connection, moved: Mapping[str, Any]) -> RunId | None:
    table = tables.runs
    later = table.c.seq > moved["run"], table.c.status.not_in(_MADE_NOTHING_TRUE), table.c.kind.not_in([facts.LOCK, claims.CLAIM])
    found = connection.execute(select(func.min(table.c.seq)).where(*later)).scalar()
    return history.run_id(found) if found is not None else None
