"""What was done and what is open: runs, the journal, findings, refusals, first passwords. Functions of an open connection."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, select, update

from syncd.core.model import Change, Failure, Kind, PersonId, Result, RunId, TargetName
from syncd.store import codec, tables
from syncd.store.reading import chunks, number, person_id
from syncd.store.rows import Finding, Intention, JournalRow, RunRow, SealedPassword
from syncd.vault import Vault


def run_id(row: int) -> RunId:
    """The run id of a row number."""
    return RunId(f"r{row}")


def run_row(row: Row[Any]) -> RunRow:
    """A run as told."""
    return RunRow(
        run_id(row.seq),
        row.pipeline,
        row.kind,
        row.trigger,
        row.status,
        datetime.fromisoformat(row.started),
        datetime.fromisoformat(row.ended) if row.ended else None,
        json.loads(row.summary),
        tuple(json.loads(row.held)),
    )


def runs(connection: Connection, limit: int) -> list[RunRow]:
    """The newest runs first."""
    return [run_row(row) for row in connection.execute(select(tables.runs).order_by(tables.runs.c.seq.desc()).limit(limit))]


def open_intentions(connection: Connection, vault: Vault) -> list[Intention]:
    """Journalled changes without an outcome, oldest first.

    Looked for in the runs that did not end well: one that did has an outcome for everything, and a history may be long.
    """
    table, done, image = tables.journal, tables.outcomes, tables.images
    unwell = select(tables.runs.c.seq).where(tables.runs.c.status != "done")
    query = (
        select(table, image.c.sealed.label("image"))
        .select_from(table.outerjoin(done, done.c.seq == table.c.seq).outerjoin(image, image.c.seq == table.c.seq))
        .where(table.c.run.in_(unwell), done.c.seq.is_(None))
        .order_by(table.c.seq)
    )
    return [Intention(row.seq, run_id(row.run), _change(row, vault)) for row in connection.execute(query)]


def _change(row: Row[Any], vault: Vault) -> Change:
    """The journalled change; where its images have expired (R38), only its kind and whose it was."""
    person = person_id(row.person) if row.person is not None else None
    if row.image is None:
        return Change(TargetName(row.target), Kind(row.kind), "its contents have expired", person=person)
    return codec.change_from_json(json.loads(vault.open(row.image, journal_context(row.seq))))


def journal_context(seq: int) -> str:
    """What a journalled change is bound to: its own row."""
    return f"journal {seq}"


def journal(connection: Connection, vault: Vault, run: int | None, person: PersonId | None) -> list[JournalRow]:
    """What was intended and what came of it, in order."""
    table, query = tables.journal, _journal_query()
    if run is not None:
        query = query.where(table.c.run == run)
    if person is not None:
        query = query.where(table.c.person == number(person))
    return _journalled(connection, vault, query)


def has_journal(connection: Connection, run: int) -> bool:
    """Whether a run intended any change."""
    table = tables.journal
    return connection.execute(select(table.c.seq).where(table.c.run == run).limit(1)).first() is not None


def journal_of(connection: Connection, vault: Vault, target: TargetName, kinds: Collection[Kind]) -> list[JournalRow]:
    """The same of some kinds of change on one target."""
    table = tables.journal
    mine = table.c.target == target, table.c.kind.in_([str(kind) for kind in kinds])
    return _journalled(connection, vault, _journal_query().where(*mine))


def _journal_query() -> Select[Any]:
    table, done, image = tables.journal, tables.outcomes, tables.images
    return (
        select(table, done.c.result, done.c.failure, done.c.sealed.label("said"), image.c.sealed.label("image"))
        .select_from(table.outerjoin(done, done.c.seq == table.c.seq).outerjoin(image, image.c.seq == table.c.seq))
        .order_by(table.c.seq)
    )


def _journalled(connection: Connection, vault: Vault, query: Select[Any]) -> list[JournalRow]:
    return [
        JournalRow(
            row.seq,
            run_id(row.run),
            datetime.fromisoformat(row.at),
            _change(row, vault),
            Result(row.result) if row.result else None,
            Failure(row.failure) if row.failure else None,
            vault.open(row.said, f"outcome {row.seq}").decode() if row.said else "",
        )
        for row in connection.execute(query)
    ]


def findings(connection: Connection, vault: Vault, kind: str | None) -> list[Finding]:
    """What the last accepted run found."""
    table = tables.findings
    query = select(table).order_by(table.c.seq)
    if kind is not None:
        query = query.where(table.c.kind == kind)
    found = []
    for row in connection.execute(query):
        person = person_id(row.person) if row.person is not None else None
        subject, why, source, target, detail = json.loads(vault.open(row.sealed, f"finding {row.run} {row.kind} {person or ''}"))
        found.append(Finding(row.kind, subject, why, person, source, target, detail))
    return found


def password_context(target: str, person: str) -> str:
    """What a sealed first password is bound to."""
    return f"password {target} {person}"


def chosen_context(target: str, person: str) -> str:
    """What a sealed password that its owner chose is bound to."""
    return f"chosen password {target} {person}"


def sealed_passwords(connection: Connection, target: TargetName | None, now: datetime) -> list[SealedPassword]:
    """First passwords of accounts that exist, not handed out and not expired."""
    table, done = tables.passwords, tables.outcomes
    query = (
        select(table)
        .select_from(table.join(done, done.c.seq == table.c.intention))
        .where(table.c.handed_out.is_(None), table.c.expires > now.isoformat(), table.c.sealed.is_not(None))
        .where(done.c.result.in_([str(Result.DONE), str(Result.ALREADY)]))
        .order_by(table.c.seq)
    )
    if target is not None:
        query = query.where(table.c.target == target)
    return [
        SealedPassword(row.seq, TargetName(row.target), person_id(row.person), row.sealed, datetime.fromisoformat(row.expires))
        for row in connection.execute(query)
    ]


def hand_out(connection: Connection, ids: Collection[int], now: datetime) -> None:
    """The letters of these first passwords are written: the passwords are gone from here."""
    table = tables.passwords
    for piece in chunks(ids):
        connection.execute(update(table).where(table.c.seq.in_(piece)).values(handed_out=now.isoformat(), sealed=None))
