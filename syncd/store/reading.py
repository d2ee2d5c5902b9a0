"""Questions to the store, each under the name of what it answers. Functions of an open connection; nothing here writes."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, select

from syncd.core.lifecycle import PersonState
from syncd.core.model import (
    Change,
    Failure,
    Kind,
    NativeId,
    PersonId,
    Record,
    Result,
    RunId,
    SourceKey,
    SourceName,
    Subject,
    SubjectKey,
    TargetName,
)
from syncd.core.naming import IssuedName, ledger_key
from syncd.store import codec, tables
from syncd.store.rows import (
    Finding,
    Intention,
    JournalRow,
    Known,
    KnownKey,
    LedgerRow,
    RunRow,
    SealedPassword,
    SnapshotRow,
)
from syncd.vault import Vault

CHUNK = 500  # values in one IN (…): both databases take more, none needs it
Asked = TypeVar("Asked")


def number(person: PersonId) -> int:
    """The row number behind a person id."""
    return int(person[1:])


def person_id(row: int) -> PersonId:
    """The person id of a row number."""
    return PersonId(f"p{row}")


def run_id(row: int) -> RunId:
    """The run id of a row number."""
    return RunId(f"r{row}")


def chunks(values: Collection[Asked]) -> Iterator[Sequence[Asked]]:
    """The values in pieces that fit one IN (…)."""
    listed = list(values)
    for start in range(0, len(listed), CHUNK):
        yield listed[start : start + CHUNK]


def _rows(
    connection: Connection, query: Select[Any], column: ColumnElement[Any], values: Collection[Any] | None
) -> Iterator[Row[Any]]:
    """The rows of a query: all of them, or those whose column is among the values."""
    if values is None:
        yield from connection.execute(query)
        return
    for piece in chunks(values):
        yield from connection.execute(query.where(column.in_(piece)))


def day(text: str | None) -> date | None:
    """A stored date."""
    return date.fromisoformat(text) if text else None


# --- sources ----------------------------------------------------------------------------------------------------------


def digests(connection: Connection, source: SourceName) -> dict[SubjectKey, int]:
    """The digests of the last accepted snapshot."""
    table = tables.digests
    query = select(table.c.subject, table.c.key, table.c.digest).where(table.c.source == source)
    subjects = {str(subject): subject for subject in Subject}
    return {
        SubjectKey(subjects[subject], SourceKey(key)): int.from_bytes(digest, "big")
        for subject, key, digest in connection.execute(query)
    }


def snapshots(connection: Connection, source: SourceName, limit: int) -> list[SnapshotRow]:
    """Accepted snapshots, newest first."""
    table = tables.snapshots
    query = select(table).where(table.c.source == source).order_by(table.c.seq.desc()).limit(limit)
    return [
        SnapshotRow(
            SourceName(row.source),
            row.spool,
            row.content,
            json.loads(row.counts),
            date.fromisoformat(row.accepted_on),
            datetime.fromisoformat(row.fetched_at),
        )
        for row in connection.execute(query)
    ]


def _known_key(row: Row[Any]) -> KnownKey:
    return KnownKey(SourceName(row.source), SourceKey(row.key), person_id(row.person), day(row.missing_since), row.absences)


def keys(connection: Connection, source: SourceName, wanted: Collection[SourceKey] | None) -> dict[SourceKey, KnownKey]:
    """Keys of one source and their persons."""
    table = tables.source_keys
    query = select(table).where(table.c.source == source)
    return {SourceKey(row.key): _known_key(row) for row in _rows(connection, query, table.c.key, wanted)}


def keys_of(connection: Connection, persons: Collection[PersonId] | None) -> dict[PersonId, list[KnownKey]]:
    """Every key of each person."""
    table = tables.source_keys
    found: dict[PersonId, list[KnownKey]] = {}
    numbers = None if persons is None else [number(person) for person in persons]
    for row in _rows(connection, select(table), table.c.person, numbers):
        found.setdefault(person_id(row.person), []).append(_known_key(row))
    return found


def missing(connection: Connection) -> list[KnownKey]:
    """Every key that is absent from its source."""
    table = tables.source_keys
    query = select(table).where(table.c.missing_since.is_not(None))
    return sorted((_known_key(row) for row in connection.execute(query)), key=lambda key: (key.source, key.key))


def records(connection: Connection, vault: Vault, persons: Collection[PersonId] | None) -> dict[PersonId, list[Record]]:
    """The last good records of each person."""
    table, key = tables.records, tables.source_keys
    joined = table.join(key, (key.c.source == table.c.source) & (key.c.key == table.c.key))
    query = select(table.c.source, table.c.key, table.c.sealed, key.c.person).select_from(joined)
    found: dict[PersonId, list[Record]] = {}
    numbers = None if persons is None else [number(person) for person in persons]
    for row in _rows(connection, query, key.c.person, numbers):
        told = vault.open(row.sealed, f"record {row.source} {row.key}")
        record = codec.record_from_bytes(SourceName(row.source), SourceKey(row.key), told)
        found.setdefault(person_id(row.person), []).append(record)
    return found


def referrers(connection: Connection, source: SourceName, edges: Collection[SubjectKey]) -> set[PersonId]:
    """Everybody made from one of these subjects (R4)."""
    table = tables.references
    found: set[PersonId] = set()
    for subject in Subject:
        query = select(table.c.person).where(table.c.source == source, table.c.subject == str(subject))
        wanted = [edge.key for edge in edges if edge.subject is subject]
        found.update(person_id(row.person) for row in _rows(connection, query, table.c.key, wanted))
    return found


# --- persons ----------------------------------------------------------------------------------------------------------


def dirty(connection: Connection) -> set[PersonId]:
    """Everybody marked to be looked at (R5)."""
    return {person_id(row.person) for row in connection.execute(select(tables.dirty.c.person))}


def due(connection: Connection, today: date) -> set[PersonId]:
    """Everybody for whom a date has come."""
    query = select(tables.persons.c.seq).where(tables.persons.c.due <= today.isoformat())
    return {person_id(row.seq) for row in connection.execute(query)}


def everyone(connection: Connection) -> set[PersonId]:
    """Everybody ever minted."""
    return {person_id(row.seq) for row in connection.execute(select(tables.persons.c.seq))}


def _person_state(row: Row[Any]) -> PersonState:
    return PersonState(
        person_id(row.seq),
        row.population,
        row.state,
        day(row.since),
        day(row.due),
        row.likeness,
        row.given,
        row.campus,
        row.claimed,
    )


def persons(connection: Connection, ids: Collection[PersonId] | None) -> dict[PersonId, PersonState]:
    """What is remembered of each person."""
    table = tables.persons
    numbers = None if ids is None else [number(person) for person in ids]
    return {person_id(row.seq): _person_state(row) for row in _rows(connection, select(table), table.c.seq, numbers)}


def resembling(connection: Connection, likenesses: Collection[str]) -> dict[str, list[PersonState]]:
    """Everybody of the same birth date and family name (R35)."""
    found: dict[str, list[PersonState]] = {}
    wanted = [likeness for likeness in likenesses if likeness]
    for row in _rows(connection, select(tables.persons), tables.persons.c.likeness, wanted):
        found.setdefault(row.likeness, []).append(_person_state(row))
    return found


def names(connection: Connection, ids: Collection[PersonId] | None) -> dict[PersonId, dict[str, IssuedName]]:
    """The current names of each person, by kind."""
    table = tables.names
    found: dict[PersonId, dict[str, IssuedName]] = {}
    numbers = None if ids is None else [number(person) for person in ids]
    for row in _rows(connection, select(table), table.c.person, numbers):
        found.setdefault(person_id(row.person), {})[row.kind] = IssuedName(row.kind, row.value, row.basis)
    return found


def holders(connection: Connection, wanted: Collection[str]) -> dict[str, str]:
    """Who holds each name: a person id, or `target:native id` for an account nobody is linked to."""
    table = tables.ledger
    by_key: dict[str, list[str]] = {}
    for name in wanted:
        by_key.setdefault(ledger_key(name), []).append(name)
    query = select(table.c.name, table.c.holder)
    return {name: row.holder for row in _rows(connection, query, table.c.name, by_key) for name in by_key[row.name]}


def ledger(connection: Connection, holder: str | None, like: str | None) -> list[LedgerRow]:
    """Names ever issued, reserved or found."""
    table = tables.ledger
    query = select(table)
    if holder is not None:
        query = query.where(table.c.holder == holder)
    if like:
        query = query.where(table.c.name.contains(ledger_key(like), autoescape=True))
    rows = [LedgerRow(row.name, row.holder, row.state, datetime.fromisoformat(row.since)) for row in connection.execute(query)]
    return sorted(rows, key=lambda row: row.name)  # not by the database, whose order depends on its locale


def find_person(connection: Connection, text: str) -> list[PersonId]:
    """Everybody this text means: a person id, a source key, a name, a native id."""
    found: set[int] = set()
    if text[:1] == "p" and text[1:].isascii() and text[1:].isdecimal() and len(text) < 12:  # noqa: PLR2004 — beyond a row number's length
        query = select(tables.persons.c.seq).where(tables.persons.c.seq == int(text[1:]))
        found.update(row.seq for row in connection.execute(query))
    found.update(
        row.person for row in connection.execute(select(tables.source_keys.c.person).where(tables.source_keys.c.key == text))
    )
    found.update(row.person for row in connection.execute(select(tables.links.c.person).where(tables.links.c.native_id == text)))
    holder = holders(connection, [text]).get(text, "")
    if holder[:1] == "p" and ":" not in holder:
        found.add(int(holder[1:]))
    return [person_id(row) for row in sorted(found)]


# --- targets ----------------------------------------------------------------------------------------------------------


def known(connection: Connection, vault: Vault, target: TargetName, wanted: Collection[PersonId] | None) -> dict[PersonId, Known]:
    """Each person's account on one target as last known, with the memberships we own."""
    table, member = tables.links, tables.memberships
    numbers = None if wanted is None else [number(person) for person in wanted]
    groups: dict[int, set[str]] = {}
    edges = select(member.c.person, member.c.name).where(member.c.target == target)
    for row in _rows(connection, edges, member.c.person, numbers):
        groups.setdefault(row.person, set()).add(row.name)
    query = select(table).where(table.c.target == target)
    return {
        person_id(row.person): _known(row, vault, groups.get(row.person, set()))
        for row in _rows(connection, query, table.c.person, numbers)
    }


def _known(row: Row[Any], vault: Vault, groups: set[str]) -> Known:
    told = json.loads(vault.open(row.sealed, f"account {row.target} {row.native_id}"))
    account = codec.account_from_json([*told[:4], groups])
    if account is None:
        raise AssertionError("an account is never stored as nothing")
    return Known(person_id(row.person), TargetName(row.target), NativeId(row.native_id), row.why, account, row.disabled_by_us)


def linked(connection: Connection, target: TargetName, wanted: Collection[NativeId] | None) -> dict[NativeId, PersonId]:
    """Whose each linked account is."""
    table = tables.links
    query = select(table.c.native_id, table.c.person).where(table.c.target == target)
    return {NativeId(row.native_id): person_id(row.person) for row in _rows(connection, query, table.c.native_id, wanted)}


def has_history(connection: Connection, target: TargetName) -> bool:
    """Whether anything was ever applied there (R14)."""
    return connection.execute(select(tables.journal.c.seq).where(tables.journal.c.target == target).limit(1)).first() is not None


# --- runs and their journal -------------------------------------------------------------------------------------------


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
    )


def runs(connection: Connection, limit: int) -> list[RunRow]:
    """The newest runs first."""
    return [run_row(row) for row in connection.execute(select(tables.runs).order_by(tables.runs.c.seq.desc()).limit(limit))]


def open_intentions(connection: Connection, vault: Vault) -> list[Intention]:
    """Journalled changes without an outcome, oldest first."""
    table, done, image = tables.journal, tables.outcomes, tables.images
    query = (
        select(table, image.c.sealed.label("image"))
        .select_from(table.outerjoin(done, done.c.seq == table.c.seq).outerjoin(image, image.c.seq == table.c.seq))
        .where(done.c.seq.is_(None))
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
    table, done, image = tables.journal, tables.outcomes, tables.images
    query = (
        select(table, done.c.result, done.c.failure, done.c.sealed.label("said"), image.c.sealed.label("image"))
        .select_from(table.outerjoin(done, done.c.seq == table.c.seq).outerjoin(image, image.c.seq == table.c.seq))
        .order_by(table.c.seq)
    )
    if run is not None:
        query = query.where(table.c.run == run)
    if person is not None:
        query = query.where(table.c.person == number(person))
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


def quarantined(connection: Connection, vault: Vault) -> list[Finding]:
    """Changes a target refused, with its words, how often and since when."""
    table = tables.quarantine
    return [
        Finding(
            "quarantined",
            row.kind,
            vault.open(row.sealed, f"quarantine {row.target} {row.person} {row.kind}").decode(),
            person_id(row.person),
            None,
            TargetName(row.target),
            {"count": str(row.count), "first": row.first, "last": row.last},
        )
        for row in connection.execute(select(table).order_by(table.c.target, table.c.person))
    ]


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
