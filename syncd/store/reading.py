"""Questions to the store, each under the name of what it answers. Functions of an open connection; nothing here writes."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, exists, func, select

from syncd.core.addresses import FormerAddress
from syncd.core.lifecycle import LEFT, PersonState
from syncd.core.model import (
    NativeId,
    PersonId,
    Record,
    SourceKey,
    SourceName,
    Subject,
    SubjectKey,
    TargetName,
)
from syncd.core.naming import IssuedName, ledger_key
from syncd.store import codec, tables
from syncd.store.rows import (
    Known,
    KnownKey,
    LedgerRow,
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


def digests(connection: Connection, source: SourceName, wanted: Collection[SubjectKey] | None) -> dict[SubjectKey, int]:
    """The digests of the last accepted snapshot."""
    table = tables.digests
    query = select(table.c.subject, table.c.key, table.c.digest).where(table.c.source == source)
    subjects = {str(subject): subject for subject in Subject}
    keys = None if wanted is None else {one.key for one in wanted}
    found = {
        SubjectKey(subjects[subject], SourceKey(key)): int.from_bytes(digest, "big")
        for subject, key, digest in map(tuple, _rows(connection, query, table.c.key, keys))
    }
    return found if wanted is None else {one: digest for one, digest in found.items() if one in wanted}


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


def missing(connection: Connection, source: SourceName) -> dict[SourceKey, KnownKey]:
    """Keys that the source does not tell any more, of persons whom no source tells of under another one."""
    table, other = tables.source_keys, tables.source_keys.alias()
    present = exists().where(other.c.person == table.c.person, other.c.missing_since.is_(None))
    query = select(table).where(table.c.source == source, table.c.missing_since.is_not(None), ~present)
    return {SourceKey(row.key): _known_key(row) for row in connection.execute(query)}


def only_planned(connection: Connection) -> set[tuple[SourceName, SourceKey]]:
    """Keys whose person was minted by a plan, and of which no record was ever accepted."""
    person, key, record = tables.persons, tables.source_keys, tables.records
    accepted = exists().where(record.c.source == key.c.source, record.c.key == key.c.key)
    query = (
        select(key.c.source, key.c.key)
        .select_from(person.join(key, key.c.person == person.c.seq))
        .where(person.c.since.is_(None), ~accepted)
    )
    return {(SourceName(row.source), SourceKey(row.key)) for row in connection.execute(query)}


def keys_of(connection: Connection, persons: Collection[PersonId] | None) -> dict[PersonId, list[KnownKey]]:
    """Every key of each person."""
    table = tables.source_keys
    found: dict[PersonId, list[KnownKey]] = {}
    numbers = None if persons is None else [number(person) for person in persons]
    for row in _rows(connection, select(table), table.c.person, numbers):
        found.setdefault(person_id(row.person), []).append(_known_key(row))
    return found


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
    """Everybody made from one of these subjects (R4): of campuses and classes, whose last good records are at them."""
    keys, refs, roles, enrolments, classes = (
        tables.source_keys, tables.references, tables.roles, tables.enrolments, tables.classes,
    )  # fmt: skip
    holder = (keys.c.source == source) & (keys.c.key == roles.c.key)
    attender = (keys.c.source == source) & (keys.c.key == enrolments.c.key)
    taught = (enrolments.c.source == classes.c.source) & (enrolments.c["class"] == classes.c.key)
    ways: list[tuple[Subject, ColumnElement[Any], Select[Any]]] = [
        (Subject.PERSON, refs.c.key, select(refs.c.person).where(refs.c.source == source)),
        (Subject.CAMPUS, roles.c.campus, select(keys.c.person).join_from(roles, keys, holder).where(roles.c.source == source)),
        (
            Subject.CAMPUS,
            classes.c.campus,
            select(keys.c.person)
            .select_from(classes.join(enrolments, taught).join(keys, attender))
            .where(classes.c.source == source),
        ),
        (
            Subject.CLASS,
            enrolments.c["class"],
            select(keys.c.person).join_from(enrolments, keys, attender).where(enrolments.c.source == source),
        ),
    ]
    found: set[PersonId] = set()
    for subject, column, query in ways:
        wanted = [edge.key for edge in edges if edge.subject is subject]
        found.update(person_id(row.person) for row in _rows(connection, query.distinct(), column, wanted))
    return found


# --- persons ----------------------------------------------------------------------------------------------------------


def dirty(connection: Connection) -> set[PersonId]:
    """Everybody marked to be looked at (R5)."""
    return {person_id(row.person) for row in connection.execute(select(tables.dirty.c.person))}


def due(connection: Connection, today: date) -> set[PersonId]:
    """Everybody for whom a date has come."""
    query = select(tables.persons.c.seq).where(tables.persons.c.due <= today.isoformat())
    return {person_id(row.seq) for row in connection.execute(query)}


def left(connection: Connection) -> set[PersonId]:
    """Everybody whose access has ended, and who has not returned."""
    query = select(tables.persons.c.seq).where(tables.persons.c.state.in_(sorted(map(str, LEFT))))
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
    sealed = exists().where(tables.facts.c.kind == "seal", tables.facts.c.attribute == ledger_key(text))
    holder = "" if connection.execute(select(sealed)).scalar() else holders(connection, [text]).get(text, "")
    if holder[:1] == "p" and ":" not in holder:
        found.add(int(holder[1:]))
    return [person_id(row) for row in sorted(found)]


def former_addresses(
    connection: Connection, target: TargetName, persons: Collection[PersonId] | None
) -> dict[PersonId, list[FormerAddress]]:
    """The addresses these persons' accounts (None: everybody's) on one target had before."""
    table = tables.former_addresses
    found: dict[PersonId, list[FormerAddress]] = {}
    query = select(table).where(table.c.target == target)
    for row in _rows(connection, query, table.c.person, None if persons is None else [*map(number, persons)]):
        person, ended = person_id(row.person), date.fromisoformat(row.ended)
        found.setdefault(person, []).append(FormerAddress(person, target, row.attribute, row.value, ended))
    return found


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


def opened(connection: Connection, target: TargetName, wanted: Collection[PersonId]) -> dict[PersonId, bool]:
    """Who of these is linked to an account, and whether that is open: false where it is disabled, and by us."""
    table = tables.links
    query = select(table.c.person, table.c.disabled_by_us).where(table.c.target == target)
    numbers = [number(person) for person in wanted]
    return {person_id(row.person): not row.disabled_by_us for row in _rows(connection, query, table.c.person, numbers)}


def bookmark_key(target: TargetName) -> str:
    """Under which key it is remembered up to where a target was looked at."""
    return f"bookmark {target}"


def gone_key(target: TargetName) -> str:
    """Under which key the linked accounts are remembered that a whole read of a target did not find."""
    return f"gone {target}"


def accounts(connection: Connection, target: TargetName) -> int:
    """How many accounts are linked."""
    query = select(func.count()).select_from(tables.links).where(tables.links.c.target == target)
    return int(connection.execute(query).scalar_one())


def closed_by_lock(connection: Connection, target: TargetName, persons: Collection[PersonId]) -> set[PersonId]:
    """Those of the persons whose account here we switched last, since they were locked, and off: answered or not."""
    lock, written, done = tables.facts, tables.journal, tables.outcomes
    found: set[PersonId] = set()
    for piece in chunks([number(person) for person in persons]):
        locked = select(lock.c.person, func.max(lock.c.since)).where(lock.c.kind == "lock", lock.c.person.in_(piece))
        for row, since in connection.execute(locked.group_by(lock.c.person)).all():
            query = (
                select(written.c.kind)
                .select_from(written.outerjoin(done, done.c.seq == written.c.seq))
                .where(written.c.person == row, written.c.target == target, written.c.at >= since)
                .where(written.c.kind.in_(["enable", "disable"]), done.c.result.is_(None) | done.c.result.in_(["done", "already"]))
                .order_by(written.c.seq.desc())
                .limit(1)
            )
            if connection.execute(query).scalar() == "disable":
                found.add(person_id(row))
    return found
