"""What becomes true, each under the name of what it means. Functions of an open transaction: all of a call, or none."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select, update

from syncd.core.addresses import FormerAddress
from syncd.core.lifecycle import PersonState, State
from syncd.core.model import PersonId, Record, RunId, SourceKey, SourceName, SubjectKey, TargetName
from syncd.core.naming import IssuedName, ledger_key
from syncd.errors import ChangeError
from syncd.store import audit, codec, holding, past, roster, rotation, tables, tombstones
from syncd.store.reading import bookmark_key, chunks, closed_by_lock, gone_key, number, person_id
from syncd.store.rows import Acceptance, Finding, Known, KnownKey, SnapshotRow
from syncd.store.statements import add, add_if_absent, add_numbered, fill, upsert
from syncd.vault import Vault

RecordKey = tuple[SourceName, SourceKey]


# --- persons and names ------------------------------------------------------------------------------------------------


def mint(connection: Connection, wanted: Sequence[RecordKey]) -> dict[RecordKey, PersonId]:
    """A person for each key: the one it has, else a new one, numbered in the order given."""
    table = tables.source_keys
    found: dict[RecordKey, PersonId] = {}
    by_source: dict[SourceName, list[SourceKey]] = {}
    for source, key in wanted:
        by_source.setdefault(source, []).append(key)
    for source, keys in by_source.items():
        for piece in chunks(keys):
            query = select(table.c.key, table.c.person).where(table.c.source == source, table.c.key.in_(piece))
            found.update({(source, SourceKey(row.key)): person_id(row.person) for row in connection.execute(query)})
    fresh = [key for key in dict.fromkeys(wanted) if key not in found]
    numbers = _new_persons(connection, len(fresh))
    rows = [
        {"source": source, "key": key, "person": row, "missing_since": None, "absences": 0}
        for (source, key), row in zip(fresh, numbers, strict=True)
    ]
    add(connection, table, rows)
    found.update({key: person_id(row) for key, row in zip(fresh, numbers, strict=True)})
    return {key: found[key] for key in wanted}


def _new_persons(connection: Connection, count: int) -> list[int]:
    """Numbers for new persons, in order, never used before, even by somebody deleted."""
    blank = {"state": "pending", "likeness": "", "given": "", "campus": "", "claimed": False}
    return add_numbered(connection, tables.persons, [blank] * count)


def attach(connection: Connection, keys: Iterable[KnownKey]) -> None:
    """Keys and their persons, absence included."""
    upsert(
        connection,
        tables.source_keys,
        (
            {
                "source": key.source,
                "key": key.key,
                "person": number(key.person),
                "missing_since": key.missing_since.isoformat() if key.missing_since else None,
                "absences": key.absences,
            }
            for key in keys
        ),
    )


def set_states(connection: Connection, states: Iterable[PersonState]) -> None:
    """What is remembered of each person. Who has claimed since they were read stays claimed, and must be looked at again (R6)."""
    listed = list(states)
    claimed = claimed_meanwhile(connection, [number(state.id) for state in listed if not state.claimed])
    upsert(
        connection,
        tables.persons,
        (
            {
                "seq": number(state.id),
                "population": state.population,
                "state": str(state.state),
                "since": state.since.isoformat() if state.since else None,
                "due": state.due.isoformat() if state.due else None,
                "likeness": state.likeness,
                "given": state.given,
                "campus": state.campus,
                "claimed": state.claimed or number(state.id) in claimed,
            }
            for state in listed
        ),
    )
    mark(connection, map(person_id, claimed))


def claimed_meanwhile(connection: Connection, persons: Collection[int]) -> set[int]:
    """Those who are known to be unclaimed and have claimed since: a run that had read them before must not take that back."""
    table, found = tables.persons, set[int]()
    for piece in chunks(sorted(persons)):
        query = select(table.c.seq).where(table.c.seq.in_(piece), table.c.claimed, table.c.state == str(State.UNCLAIMED))
        found |= set(connection.execute(query).scalars())
    return found


def reserve(connection: Connection, vault: Vault, run: RunId | None, wanted: Mapping[str, PersonId], now: datetime) -> None:
    """Names for persons (R9), promised by this run from now on. Raises ChangeError where somebody else has one, or ever had.

    The unique key decides, not a look before.
    """
    _refuse_forgotten(connection, vault, {ledger_key(name) for name in wanted})
    rows = [
        {
            "name": ledger_key(name),
            "holder": person,
            "state": "reserved",
            "run": int(run[1:]) if run else None,
            "since": now.isoformat(),
        }
        for name, person in sorted(wanted.items())  # in one order everywhere, so that two runs cannot lock each other out
    ]
    add_if_absent(connection, tables.ledger, rows)
    by_key = {row["name"]: row["holder"] for row in rows}
    for piece in chunks(list(by_key)):
        query = select(tables.ledger.c.name, tables.ledger.c.holder).where(tables.ledger.c.name.in_(piece))
        for row in connection.execute(query):
            if row.holder != by_key[row.name]:
                raise ChangeError("name taken", f"{row.name} belongs to {row.holder}, not to {by_key[row.name]}")
        if run is not None:
            promised = tables.ledger.c.name.in_(piece), tables.ledger.c.state == "reserved"
            connection.execute(update(tables.ledger).where(*promised).values(run=int(run[1:])))


def promise_again(connection: Connection, run: RunId, names: Mapping[str, PersonId]) -> None:
    """What of these names is promised to these persons already, and was never sent, is promised by this run from now on (R9)."""
    table = tables.ledger
    promised = table.c.state == "reserved", table.c.run.is_not(None), table.c.run != int(run[1:])
    mine: list[str] = []
    for piece in chunks(names):
        query = select(table.c.name, table.c.holder).where(table.c.name.in_(piece), *promised)
        mine += (row.name for row in connection.execute(query) if row.holder == names[row.name])
    for piece in chunks(mine):
        connection.execute(update(table).where(table.c.name.in_(piece), *promised).values(run=int(run[1:])))


def release(connection: Connection, of: ColumnElement[bool]) -> int:
    """Give up those of these reserved names that were never sent and that their holders are not called; how many (R9)."""
    table = tables.ledger
    query = select(table.c.name, table.c.holder).where(table.c.state == "reserved", of)
    promised = {row.name: row.holder for row in connection.execute(query)}
    called: set[tuple[str, str]] = set()
    for piece in chunks({int(holder[1:]) for holder in promised.values()}):
        for row in connection.execute(select(tables.names).where(tables.names.c.person.in_(piece))):
            called.add((ledger_key(row.value), person_id(row.person)))
    gone = [name for name, holder in promised.items() if (name, holder) not in called]
    for piece in chunks(gone):
        connection.execute(delete(table).where(table.c.name.in_(piece), table.c.state == "reserved"))
    return len(gone)


def give_back(connection: Connection, of: ColumnElement[bool]) -> int:
    """As release(), but whoever has no account anywhere is called so no more: what was promised to them was never sent (R9)."""
    table = tables.ledger
    query = select(table.c.name, table.c.holder).where(table.c.state == "reserved", table.c.run.is_not(None), of)
    promised: dict[int, set[str]] = {}
    for row in connection.execute(query):
        promised.setdefault(number(PersonId(row.holder)), set()).add(row.name)
    for piece in chunks(promised):
        linked = set(connection.execute(select(tables.links.c.person).where(tables.links.c.person.in_(piece))).scalars())
        called = connection.execute(select(tables.names).where(tables.names.c.person.in_(set(piece) - linked)))
        for row in called.all():
            if ledger_key(row.value) in promised[row.person]:
                mine = tables.names.c.person == row.person, tables.names.c.kind == row.kind
                connection.execute(delete(tables.names).where(*mine))
    return release(connection, of)


def _refuse_forgotten(connection: Connection, vault: Vault, keys: Collection[str]) -> None:
    forgotten = tombstones.standing(connection, vault, keys)
    for piece in chunks(forgotten):
        query = select(tables.ledger.c.name).where(tables.ledger.c.name.in_(piece))
        forgotten -= set(connection.execute(query).scalars())  # borne by somebody since: an account they had was adopted
    for name in sorted(forgotten):
        raise ChangeError("name taken", f"{name} belonged to somebody who was forgotten")


def found_names(connection: Connection, vault: Vault, found: Mapping[str, str], now: datetime) -> None:
    """Names seen on targets; one that somebody has already stays theirs, and a forgotten one is not written down again."""
    forgotten = tombstones.standing(connection, vault, {ledger_key(name) for name in found})
    rows = (
        {"name": ledger_key(name), "holder": holder, "state": "found", "run": None, "since": now.isoformat()}
        for name, holder in found.items()
        if ledger_key(name) not in forgotten
    )
    add_if_absent(connection, tables.ledger, rows)


def set_names(connection: Connection, vault: Vault, wanted: Mapping[PersonId, Iterable[IssuedName]], now: datetime) -> None:
    """The current names of persons. One that another person has is refused, unless it was found with an account (R34).

    A found name (without a basis) becomes its adopter's where an account nobody is linked to held it. Where another person holds it
    already, the ledger stays as it is: both accounts were there before us. What a person is called already is not judged again.
    """
    had: dict[int, dict[str, str]] = {}
    for some in chunks([number(person) for person in wanted]):
        for row in connection.execute(select(tables.names).where(tables.names.c.person.in_(some))):
            had.setdefault(row.person, {})[row.kind] = row.value
    rows = [
        {"person": number(person), "kind": name.kind, "value": name.value, "basis": name.basis}
        for person, names in wanted.items()
        for name in names
    ]
    upsert(connection, tables.names, rows)
    new = {
        ledger_key(name.value): (person, not name.basis)
        for person, names in wanted.items()
        for name in names
        if had.get(number(person), {}).get(name.kind) != name.value
    }
    mine = {name: person for name, (person, _) in new.items()}
    _refuse_forgotten(connection, vault, {name for name, (_, found) in new.items() if not found})
    held: dict[str, str] = {}
    for piece in chunks(list(mine)):
        query = select(tables.ledger.c.name, tables.ledger.c.holder).where(tables.ledger.c.name.in_(piece))
        held.update({row.name: row.holder for row in connection.execute(query)})
    for name, holder in held.items():
        if ":" in holder:
            connection.execute(update(tables.ledger).where(tables.ledger.c.name == name).values(holder=mine[name], state="issued"))
        elif holder != mine[name] and not new[name][1]:
            raise ChangeError("name taken", f"{name} belongs to {holder}, not to {mine[name]}")
    add_if_absent(
        connection,
        tables.ledger,
        (
            {"name": name, "holder": person, "state": "reserved", "run": None, "since": now.isoformat()}
            for name, person in mine.items()
            if name not in held
        ),
    )


def replace_addresses(connection: Connection, replaced: Iterable[FormerAddress]) -> None:
    """Addresses that are about to be replaced; one that was before is replaced anew."""
    rows = {
        (one.target, one.person, one.attribute, one.value): {
            "target": one.target,
            "person": number(one.person),
            "attribute": one.attribute,
            "value": one.value,
            "ended": one.ended.isoformat(),
        }
        for one in replaced
    }
    upsert(connection, tables.former_addresses, list(rows.values()))


# --- accepting --------------------------------------------------------------------------------------------------------


def accept(connection: Connection, vault: Vault, run: RunId, told: Acceptance, now: datetime) -> None:
    """Everything a clear plan makes true before its first change is sent."""
    _snapshots(connection, told.snapshots)
    for source, profiles in told.profiles.items():
        past.keep_profiles(connection, source, profiles)
    holding.spend(connection, told.believed, now)
    for source, (advanced, gone) in told.digests.items():
        _digests(connection, source, advanced, gone)
    attach(connection, told.keys)
    _records(connection, vault, told.records)
    for source, retold in told.retold.items():
        rotation.renew(connection, vault, source, retold)
    roster.keep(connection, told.records)
    set_states(connection, told.persons)
    _references(connection, told.refs)
    mark(connection, told.dirty)
    set_names(connection, vault, told.names, now)
    for piece in chunks([str(person) for person in told.names]):
        release(connection, tables.ledger.c.holder.in_(piece))  # what an older plan promised them, and nobody was sent
    found_names(connection, vault, told.found, now)
    put_known(connection, vault, told.links)
    if told.said is not None:
        audit.append(connection, vault, told.said.kind, told.said.actor, told.said.contents, now, run=run)
    upsert(connection, tables.meta, ({"key": f"fingerprint {name}", "value": value} for name, value in told.fingerprints.items()))
    seen = {bookmark_key(target): value for target, value in told.bookmarks.items()}
    seen |= {gone_key(target): codec.dumps(sorted(ids)).decode() for target, ids in told.gone.items()}
    upsert(connection, tables.meta, ({"key": key, "value": value} for key, value in seen.items()))
    if told.findings is not None:
        pipeline = select(tables.runs.c.pipeline).where(tables.runs.c.seq == int(run[1:])).scalar_subquery()
        of_pipeline = select(tables.runs.c.seq).where(tables.runs.c.pipeline == pipeline)
        connection.execute(delete(tables.findings).where(tables.findings.c.run.in_(of_pipeline)))
        _findings(connection, vault, run, told.findings)


def _snapshots(connection: Connection, rows: Iterable[SnapshotRow]) -> None:
    for row in rows:
        connection.execute(
            insert(tables.snapshots).values(
                source=row.source,
                spool=row.spool,
                content=row.content,
                counts=codec.dumps(dict(row.counts)).decode(),
                accepted_on=row.accepted_on.isoformat(),
                fetched_at=row.fetched_at.isoformat(),
            )
        )


def _digests(connection: Connection, source: SourceName, advanced: Mapping[SubjectKey, int], gone: Collection[SubjectKey]) -> None:
    upsert(
        connection,
        tables.digests,
        (
            {"source": source, "subject": str(key.subject), "key": key.key, "digest": digest.to_bytes(16, "big")}
            for key, digest in advanced.items()
        ),
        before="before",
    )
    table = tables.digests
    for subject in {key.subject for key in gone}:
        for piece in chunks([key.key for key in gone if key.subject is subject]):
            connection.execute(
                delete(table).where(table.c.source == source, table.c.subject == str(subject), table.c.key.in_(piece))
            )


def _records(connection: Connection, vault: Vault, records: Iterable[Record]) -> None:
    upsert(
        connection,
        tables.records,
        (
            {
                "source": record.source,
                "key": record.key,
                "sealed": vault.seal(codec.record_to_bytes(record), f"record {record.source} {record.key}"),
            }
            for record in records
        ),
    )


def _references(connection: Connection, refs: Mapping[PersonId, Collection[RecordKey]]) -> None:
    """Exactly these edges between these persons and others. Only what is different is written: few rosters move anybody."""
    table = tables.references
    stale: list[dict[str, Any]] = []
    fresh: list[tuple[str, str, int]] = []
    for piece in chunks(refs):
        wanted = {(source, key, number(person)) for person in piece for source, key in refs[person]}
        query = select(table).where(table.c.person.in_([number(person) for person in piece]))
        held = {(row.source, row.key, row.person) for row in connection.execute(query)}
        stale += [dict(zip(("of_source", "of_key", "of_person"), edge, strict=True)) for edge in held - wanted]
        fresh += wanted - held
    if stale:
        connection.execute(delete(table).where(*(column == bindparam(f"of_{column.name}") for column in table.columns)), stale)
    fill(connection, table, sorted(fresh))


def _findings(connection: Connection, vault: Vault, run: RunId, found: Iterable[Finding]) -> None:
    rows = []
    for one in found:
        told = codec.dumps([one.subject, one.why, one.source, one.target, dict(one.detail)])
        rows.append(
            {
                "run": int(run[1:]),
                "kind": one.kind,
                "person": number(one.person) if one.person else None,
                "sealed": vault.seal(told, f"finding {int(run[1:])} {one.kind} {one.person or ''}"),
            }
        )
    add(connection, tables.findings, rows)


def mark(connection: Connection, persons: Iterable[PersonId]) -> None:
    """Marks: these persons must be looked at (R5)."""
    add_if_absent(connection, tables.dirty, ({"person": number(person)} for person in persons))


def settle(connection: Connection, persons: Collection[PersonId]) -> None:
    """Take the marks of these persons away: everything they caused has landed (R5)."""
    numbers = {number(person) for person in persons}
    for piece in chunks(sorted(numbers - claimed_meanwhile(connection, numbers))):
        connection.execute(delete(tables.dirty).where(tables.dirty.c.person.in_(piece)))


# --- links ------------------------------------------------------------------------------------------------------------


def put_known(connection: Connection, vault: Vault, known: Iterable[Known]) -> None:
    """Links and the accounts behind them, memberships we own included. Raises ChangeError for another person's account."""
    by_target: dict[TargetName, list[Known]] = {}
    for one in known:
        by_target.setdefault(one.target, []).append(one)
    for target, told in by_target.items():
        mine = _ours_again(connection, target, told)
        _refuse_linked(connection, target, mine)
        upsert(connection, tables.links, (link_row(vault, one) for one in mine))
        put_memberships(connection, target, {one.person: one.account.groups for one in mine})


def _ours_again(connection: Connection, target: TargetName, known: Sequence[Known]) -> list[Known]:
    """The same, but that what a lock has closed was closed by us, also where a run saw it before that was recorded (R33)."""
    closed = [one.person for one in known if not one.account.enabled and not one.disabled_by_us]
    ours = closed_by_lock(connection, target, closed) if closed else set()
    return [replace(one, disabled_by_us=True) if one.person in ours else one for one in known]


def _refuse_linked(connection: Connection, target: TargetName, known: Iterable[Known]) -> None:
    table = tables.links
    wanted = {str(one.native_id): number(one.person) for one in known}
    for piece in chunks(list(wanted)):
        query = select(table.c.native_id, table.c.person).where(table.c.target == target, table.c.native_id.in_(piece))
        for row in connection.execute(query):
            if row.person != wanted[row.native_id]:
                raise ChangeError("already linked", f"{target} account {row.native_id} belongs to {person_id(row.person)}")


def link_row(vault: Vault, one: Known) -> dict[str, Any]:
    """The row of a link."""
    told = codec.account_to_json(one.account)
    return {
        "target": one.target,
        "person": number(one.person),
        "native_id": one.native_id,
        "why": one.why,
        "disabled_by_us": one.disabled_by_us,
        "sealed": vault.seal(codec.dumps(told[:4] if told else None), f"account {one.target} {one.native_id}"),
    }


def put_memberships(connection: Connection, target: TargetName, owned: Mapping[PersonId, Collection[str]]) -> None:
    """Exactly these memberships of these accounts are ours."""
    table = tables.memberships
    for piece in chunks([number(person) for person in owned]):
        connection.execute(delete(table).where(table.c.target == target, table.c.person.in_(piece)))
    rows = [
        {"target": target, "person": number(person), "name": name} for person, groups in owned.items() for name in sorted(groups)
    ]
    add(connection, table, rows)


def drop_memberships(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """These memberships are not ours any more."""
    if rows:
        table = tables.memberships
        mine = [column == bindparam(f"of_{column.name}") for column in (table.c.target, table.c.person, table.c.name)]
        connection.execute(delete(table).where(*mine), [{f"of_{name}": value for name, value in row.items()} for row in rows])


def unlink(connection: Connection, target: TargetName, person: PersonId) -> None:
    """The account is gone, and with it the link and the memberships."""
    for table in (tables.memberships, tables.links):
        connection.execute(delete(table).where(table.c.target == target, table.c.person == number(person)))


def issue(connection: Connection, persons: Iterable[PersonId]) -> None:
    """The names these persons have are about to be sent: they are never anybody else's (R9)."""
    for piece in chunks([str(person) for person in persons]):
        connection.execute(
            update(tables.ledger)
            .where(tables.ledger.c.holder.in_(piece), tables.ledger.c.state == "reserved")
            .values(state="issued")
        )
