"""What the store holds of one person: their life in order, everything of it opened, and its end (R24, R37, R38).

Which tables speak of people, and how what is sealed in them opens, is written down here once: a table that is not listed is told
by a test. Secrets and tokens are never opened for anybody: not first passwords, not claim facts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, Table, delete, select

from syncd.core.addresses import FormerAddress
from syncd.core.model import Change, PersonId, RunId, SourceKey, SourceName, TargetName
from syncd.core.plan import digest
from syncd.core.rendering import where
from syncd.errors import ChangeError
from syncd.store import audit, codec, history, remnants, resolutions, tables, tombstones
from syncd.store.database import looking, overwriting, transaction
from syncd.store.exposure import Exposure, exposure
from syncd.store.reading import chunks, former_addresses, number
from syncd.store.rotation import CONTEXTS
from syncd.vault import Vault

Opener = Callable[[Row[Any], Vault], object]

KEYED: Mapping[str, str] = {
    "records": "key", "roles": "key", "enrolments": "key", "guardianships": "key", "digests": "key",
}  # fmt: skip
"""Tables that speak of a person under a source's key. Rows in which others name them (as guardian, as manager) are the others'."""
IMPERSONAL = frozenset(
    {
        "meta", "leases", "runs", "spent", "approvals", "freshness", "plans", "snapshots", "campuses", "classes",
        "persons", "ledger", "images", "outcomes", "resolutions", "releases",
        "lost_devices", "disabled_devices", "claim_budgets",
    }
)  # fmt: skip
"""Tables without a person's number in them: nobody is in those, or they are reached by way of another table, as told below."""
UNOPENED = frozenset(
    {
        ("passwords", "sealed"), ("claim_passwords", "sealed"), ("digests", "digest"), ("digests", "before"),
        ("audit", "commitment"), ("audit", "link"), ("journal", "commitment"),
    }
)  # fmt: skip
"""What is never opened: a secret, and what only a key could make sense of."""


DISCLOSED = "disclosed"
"""The kind of audit entry that says who was told everything of a person."""


RESOLVING = ("resolution", "resolution withdrawn")
"""The kinds of audit entry that name two of a person, a record and an account, only one of which the entry is about."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a person. `told` holds ids and kinds only; `detail` may name them, and is masked (R37)."""

    at: datetime
    what: str
    told: str = ""
    detail: str = ""
    run: RunId | None = None
    target: TargetName | None = None
    actor: str = ""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was destroyed: rows by table, how many names stand as tombstones, and which accounts of theirs are still on targets."""

    rows: Mapping[str, int]
    names: int
    accounts: tuple[tuple[TargetName, str], ...]


class Lives:
    """What is known of single persons, of one store. Every method is one transaction."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault
        self._audit = audit.Audit(engine, vault)

    def ever(self, person: PersonId) -> bool:
        """Whether there ever was this person, forgotten or not."""
        with looking(self._engine) as connection:
            queries = (
                select(tables.persons.c.seq).where(tables.persons.c.seq == number(person)),
                select(tables.journal.c.seq).where(tables.journal.c.person == number(person)),
            )
            return any(connection.execute(query.limit(1)).first() is not None for query in queries)

    def history(self, person: PersonId) -> list[Event]:
        """Everything that is known to have happened to somebody, oldest first. Waits for no writer."""
        decided = [_decided(entry) for entry in self._audit.entries(person)]
        with looking(self._engine) as connection:
            return sorted([*_events(connection, self._vault, person), *decided], key=lambda event: event.at)

    def disclose(self, person: PersonId, actor: str, now: datetime) -> dict[str, list[dict[str, object]]]:
        """Every row about a person, by table, opened; no secrets. That somebody asked, and who, is on the audit chain first."""
        with transaction(self._engine) as connection:
            told = _everything(connection, self._vault, person)
            counts = {name: len(rows) for name, rows in told.items()}
            audit.append(connection, self._vault, DISCLOSED, actor, {"rows": counts}, now, person=person)
            return told

    def former_addresses(self, target: TargetName, persons: Collection[PersonId] | None) -> dict[PersonId, list[FormerAddress]]:
        """The addresses these persons' accounts (None: everybody's) on one target had before we replaced them."""
        with transaction(self._engine) as connection:
            return former_addresses(connection, target, persons)

    def exposure(self, since: datetime, target: TargetName | None = None) -> Exposure:
        """Which personal data of whom was written where since then. Waits for no writer."""
        with looking(self._engine) as connection:
            return exposure(connection, self._vault, since.astimezone(UTC), target)

    def forget(self, person: PersonId, actor: str, because: str, now: datetime) -> Forgotten:
        """Destroy everything about a person who has left; all of it or nothing. To be called by who has the right to run (R19).

        Raises ChangeError while a roster tells of them, an account of theirs is enabled, or what came of a change is not known.
        """
        with transaction(self._engine) as connection, overwriting(connection):
            _refuse(connection, self._vault, person)
            naming = _entries_naming(connection, self._vault, person)
            gone = _forget(connection, self._vault, person, now.astimezone(UTC))
            audit.destroy(connection, number(person), naming)
            told = {"because": because, "rows": dict(gone.rows), "names": gone.names, "emptied": naming}
            audit.append(connection, self._vault, audit.FORGOTTEN, actor, told, now, person=person)
            remnants.leave(connection)
        remnants.wipe(self._engine)
        return gone


# --- what there is ----------------------------------------------------------------------------------------------------


def _rows_about(connection: Connection, person: PersonId) -> Iterator[tuple[Table, list[Row[Any]]]]:
    """The rows about a person, table by table, those that others hang on last."""
    keys = list(connection.execute(select(tables.source_keys).where(tables.source_keys.c.person == number(person))))
    named = _spellings(connection, person)
    for table in reversed(tables.metadata.sorted_tables):
        if "person" in table.c:
            condition = [table.c.person == number(person)]
        elif table.name in KEYED:
            yield table, [row for key in keys for row in connection.execute(_keyed(table, key.source, key.key))]
            continue
        elif table.name == "resolutions":  # a decision between two people goes with either of them
            condition = [table.c.subject.in_(named) | table.c.candidate.in_(named)]
        elif table.name in {"persons", "ledger"}:
            condition = [table.c.seq == number(person) if table.name == "persons" else table.c.holder == person]
        else:
            continue
        yield table, list(connection.execute(select(table).where(*condition).order_by(*table.primary_key)))


def _spellings(connection: Connection, person: PersonId) -> list[str]:
    """What a decision about who somebody is may call a person: our id, a record of theirs, an account of theirs."""
    keys, links = tables.source_keys, tables.links
    theirs = connection.execute(select(keys.c.source, keys.c.key).where(keys.c.person == number(person)))
    linked = connection.execute(select(links.c.target, links.c.native_id).where(links.c.person == number(person)))
    return [person, *(f"{row.source}/{row.key}" for row in theirs), *(f"{row.target}:{row.native_id}" for row in linked)]


def _entries_naming(connection: Connection, vault: Vault, person: PersonId) -> list[int]:
    """The entries of the chain about others, or about nobody yet, whose contents call this person by any of their spellings."""
    table, named = tables.audit, set(_spellings(connection, person))
    query = select(table).where(table.c.kind.in_(RESOLVING), table.c.sealed.is_not(None)).order_by(table.c.seq)
    found = []
    for row in connection.execute(query):
        told = json.loads(vault.open(row.sealed, f"audit {row.seq}"))
        if named & {told["subject"], told["candidate"]} and row.person != number(person):
            found.append(row.seq)
    return found


def _keyed(table: Table, source: str, key: str) -> Any:
    query = select(table).where(table.c.source == source, table.c[KEYED[table.name]] == key)
    return query.where(table.c.subject == "person") if "subject" in table.c else query


def _everything(connection: Connection, vault: Vault, person: PersonId) -> dict[str, list[dict[str, object]]]:
    told: dict[str, list[dict[str, object]]] = {}
    for table, rows in _rows_about(connection, person):
        if rows:
            told[table.name] = [_opened(table, row, vault) for row in rows]
    changes = history.journal(connection, vault, None, person)
    if changes:
        told["journal"] = [
            {"seq": row.seq, "run": row.run, "at": row.at.isoformat(), **_change(row.change), "result": row.result, "why": row.why}
            for row in changes
        ]
    planned = [
        {"run": run, **_change(change)} for run, changes in _plans_about(connection, vault, person).items() for change in changes
    ]
    if planned:
        told["plans"] = planned
    return {name: told[name] for name in sorted(told)}


def _opened(table: Table, row: Row[Any], vault: Vault) -> dict[str, object]:
    told: dict[str, object] = {}
    for column in table.columns:
        value = getattr(row, column.name)
        opener = OPENERS.get((table.name, column.name))
        if (table.name, column.name) in UNOPENED:
            continue
        told[column.name] = opener(row, vault) if opener is not None and value else _plain(value)
    return told


def _record(row: Row[Any], vault: Vault) -> object:
    record = codec.record_from_bytes(
        SourceName(row.source), SourceKey(row.key), vault.open(row.sealed, f"record {row.source} {row.key}")
    )
    told = {
        **asdict(record),
        "facts": sorted(record.facts),
    }  # which there are: tokens tell nothing
    return _plain(told)


def _account(row: Row[Any], vault: Vault) -> object:
    told = json.loads(vault.open(row.sealed, f"account {row.target} {row.native_id}"))
    account = None if told is None else codec.account_from_json([*told[:4], []])
    return None if account is None else _plain(asdict(account))


def _change(change: Change) -> dict[str, object]:
    told = _plain(asdict(change))
    return told if isinstance(told, dict) else {}


def _plain(value: object) -> object:
    """As JSON has it."""
    match value:
        case dict():
            return {str(name): _plain(one) for name, one in value.items()}
        case frozenset() | set():
            return sorted(map(str, value))
        case list() | tuple():
            return [_plain(one) for one in value]
        case datetime() | date():
            return value.isoformat()
        case bytes():
            return value.hex()
        case _:
            return value


def _plans_about(connection: Connection, vault: Vault, person: PersonId) -> dict[RunId, list[Change]]:
    """The stored plans that mean this person, and their changes of it."""
    found: dict[RunId, list[Change]] = {}
    runs = list(connection.execute(select(tables.plans.c.run)).scalars())
    for run in runs:  # one at a time: each may hold a whole district
        sealed = connection.execute(select(tables.plans.c.sealed).where(tables.plans.c.run == run)).scalar_one()
        kept = vault.open(sealed, f"plan {run}")
        if f'"{person}"'.encode() not in kept:
            continue
        told = json.loads(kept)["plans"]
        changes = [codec.change_from_json(change) for changes in told.values() for change in changes if change[3] == person]
        found[history.run_id(run)] = changes
    return found


def _told(table: str, column: str) -> Opener:
    """How a sealed column of JSON opens."""
    return lambda row, vault: json.loads(_contents(table, column)(row, vault))


def _contents(table: str, column: str) -> Callable[[Row[Any], Vault], bytes]:
    return lambda row, vault: vault.open(getattr(row, column), CONTEXTS[table, column](row))


OPENERS: Mapping[tuple[str, str], Opener] = {
    ("records", "sealed"): _record,
    ("links", "sealed"): _account,
    **{(name, "sealed"): _told(name, "sealed") for name in ("findings", "audit", "quarantine", "facts", "resolutions")},
    ("facts", "sealed_end"): lambda row, vault: _contents("facts", "sealed_end")(row, vault).decode(),
}
"""How each sealed column opens."""


# --- a life -----------------------------------------------------------------------------------------------------------


def _events(connection: Connection, vault: Vault, person: PersonId) -> Iterator[Event]:
    changes = history.journal(connection, vault, None, person)
    for row in changes:
        change = row.change
        what = f"{change.kind} {row.result or 'not known yet'}"
        attributes = ", ".join(sorted(change.after.attributes)) if change.after and change.before else ""
        detail = "; ".join(filter(None, (where(change), change.reason, row.why)))
        yield Event(row.at, what, attributes or row.failure or "", detail, row.run, change.target)
    yield from _approved(connection, [row.change for row in changes])
    yield from _names(connection, person)
    yield from _standing(connection, person)
    yield from _handed_out(connection, person)


def _decided(entry: audit.Entry) -> Event:
    contents = entry.contents or {}
    told = "" if entry.contents is not None else "its contents were destroyed"
    because = str(contents.get("because", ""))
    rest = [f"{name}: {value}" for name, value in contents.items() if name not in {"because", "rows"}]
    return Event(entry.at, entry.kind, told, "; ".join(filter(None, [because, *rest])), entry.run, None, entry.actor)


def _names(connection: Connection, person: PersonId) -> Iterator[Event]:
    table = tables.ledger
    for row in connection.execute(select(table).where(table.c.holder == person).order_by(table.c.name)):
        yield Event(
            datetime.fromisoformat(row.since), f"name {row.state}", "", row.name, history.run_id(row.run) if row.run else None
        )


def _standing(connection: Connection, person: PersonId) -> Iterator[Event]:
    """Since when they are what they are, and since when which source has not told of them; refusals that still stand."""
    persons, keys, refused = tables.persons, tables.source_keys, tables.quarantine
    for row in connection.execute(select(persons).where(persons.c.seq == number(person), persons.c.since.is_not(None))):
        yield Event(_midnight(row.since), f"is {row.state}", row.population or "", row.campus)
    for row in connection.execute(select(keys).where(keys.c.person == number(person), keys.c.missing_since.is_not(None))):
        yield Event(_midnight(row.missing_since), f"missing from {row.source}", f"in {row.absences} snapshots", row.key)
    for row in connection.execute(select(refused).where(refused.c.person == number(person))):
        told = f"{row.kind}, {row.count} times, last {row.last[:16]}"
        yield Event(datetime.fromisoformat(row.first), "refused first", told, target=TargetName(row.target))


def _handed_out(connection: Connection, person: PersonId) -> Iterator[Event]:
    table = tables.passwords
    query = select(table.c.target, table.c.handed_out).where(table.c.person == number(person), table.c.handed_out.is_not(None))
    for row in connection.execute(query):
        yield Event(datetime.fromisoformat(row.handed_out), "first password handed out", target=TargetName(row.target))


def _approved(connection: Connection, changes: list[Change]) -> Iterator[Event]:
    """Who let held changes go that were made since, as long as that is remembered."""
    table = tables.approvals
    digests = {digest(change): change for change in changes}
    for piece in chunks(list(digests)):
        for row in connection.execute(select(table).where(table.c.digest.in_(piece)).order_by(table.c.digest)):
            change = digests[row.digest]
            told = f"{change.kind}: {row.because}"
            yield Event(datetime.fromisoformat(row.at), "approved", told, "", history.run_id(row.run), change.target, row.actor)


def _midnight(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)


# --- its end ----------------------------------------------------------------------------------------------------------


def _refuse(connection: Connection, vault: Vault, person: PersonId) -> None:
    """Raises ChangeError for somebody who has not left, or of whom something is under way."""
    keys, links, journal, done = tables.source_keys, tables.links, tables.journal, tables.outcomes
    here = connection.execute(select(keys.c.source).where(keys.c.person == number(person), keys.c.missing_since.is_(None))).first()
    if here is not None:
        raise ChangeError("forget", f"{person} is in the roster of {here.source} and would come back with it; nobody was forgotten")
    for one in sorted(one for one, told in resolutions.united(connection, vault).items() if told.into == person):
        raise ChangeError("forget", f"{one} is one with them: forget {one} first; nobody was forgotten")
    for row in connection.execute(select(links).where(links.c.person == number(person))):
        told = json.loads(vault.open(row.sealed, f"account {row.target} {row.native_id}"))
        if told is None or told[2]:
            raise ChangeError("forget", f"{person} has an enabled account on {row.target}; nobody was forgotten")
    unanswered = select(journal.c.seq).outerjoin_from(journal, done, done.c.seq == journal.c.seq).where(done.c.seq.is_(None))
    if connection.execute(unanswered.where(journal.c.person == number(person)).limit(1)).first() is not None:
        raise ChangeError("forget", f"what came of a change of {person} is not known yet: syncd resume; nobody was forgotten")


def _forget(connection: Connection, vault: Vault, person: PersonId, now: datetime) -> Forgotten:
    links = tables.links
    accounts = connection.execute(select(links.c.target, links.c.native_id).where(links.c.person == number(person))).all()
    plans = _plans_about(connection, vault, person)
    names = tombstones.raise_over(connection, vault, person, now.isoformat())
    rows: dict[str, int] = {}
    for piece in chunks([int(run[1:]) for run in plans]):
        rows["plans"] = (
            rows.get("plans", 0) + connection.execute(delete(tables.plans).where(tables.plans.c.run.in_(piece))).rowcount
        )
    for table, found in _rows_about(connection, person):
        if found and table.name not in {"journal", "audit"}:
            _delete(connection, table, found)
            rows[table.name] = len(found)
    return Forgotten(rows, names, tuple((TargetName(row.target), row.native_id) for row in accounts))


def _delete(connection: Connection, table: Table, rows: list[Row[Any]]) -> None:
    for row in rows:
        connection.execute(delete(table).where(*(column == getattr(row, column.name) for column in table.primary_key)))
