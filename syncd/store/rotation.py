"""The store and its state key: which one it is sealed under, what is kept of earlier ones, and the step from one to the next.

How each sealed column is bound to its row is written down here, for all of them; a column that is not listed is told by a test.
What the audit chain has committed to keeps its very bytes, and is sealed once more around them (R24). Everything else is opened and
sealed anew.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, Table, bindparam, delete, event, select, text, tuple_, update

from syncd.core import claims
from syncd.core.facts import LOCAL, FactKind
from syncd.core.health import Kind
from syncd.core.model import SourceKey, SourceName, Subject, SubjectKey
from syncd.errors import EndpointError, StoreError
from syncd.store import audit, codec, history, migrations, remnants, statements, tables
from syncd.store.database import connect, looking, only_looks, overwriting, transaction
from syncd.store.rows import Retold
from syncd.vault import Rekeying, Vault, keys_in

CONTEXTS: Mapping[tuple[str, str], Callable[[Row[Any]], str]] = {
    ("records", "sealed"): lambda row: f"record {row.source} {row.key}",
    ("links", "sealed"): lambda row: f"account {row.target} {row.native_id}",
    ("plans", "sealed"): lambda row: f"plan {row.run}",
    ("images", "sealed"): lambda row: history.journal_context(row.seq),
    ("outcomes", "sealed"): lambda row: f"outcome {row.seq}",
    ("audit", "sealed"): lambda row: f"audit {row.seq}",
    ("findings", "sealed"): lambda row: f"finding {row.run} {row.kind} {f'p{row.person}' if row.person else ''}",
    ("quarantine", "sealed"): lambda row: f"quarantine {row.target} {row.person} {row.kind} {row.group}",
    ("facts", "sealed"): lambda row: f"fact p{row.person} {row.kind}",
    ("facts", "sealed_end"): lambda row: f"end of fact p{row.person} {row.kind}",
    ("resolutions", "sealed"): lambda row: f"resolution {row.subject} {row.candidate}",
    ("passwords", "sealed"): lambda row: history.password_context(row.target, f"p{row.person}"),
    ("claim_passwords", "sealed"): lambda row: history.chosen_context(row.target, f"p{row.person}"),
}
"""What each sealed column is bound to."""
COMMITTED = frozenset({("images", "sealed"), ("outcomes", "sealed"), ("audit", "sealed")})
"""The sealed columns whose very bytes the chain has committed to."""
UNSEALED = frozenset(
    {
        ("digests", "digest"), ("digests", "before"), ("journal", "commitment"), ("outcomes", "commitment"),
        ("audit", "commitment"), ("audit", "link"),
    }
)  # fmt: skip
"""Bytes that are no contents: digests of some."""

ROTATED = "key rotated"
"""The kind of the audit entry."""
_WITNESS, _HEIRLOOM, _RETOLD, _UNFINISHED = "sealed witness", "heirloom ", "retold ", "rotation"
_KEPT = ("journal", "outcomes", "audit")  # whose rows the database itself refuses to change
_KEY_LOCK = "hashtext(current_schema() || '.key')"  # shared by all who write, whole for who puts the store under another key
_PAGE = 500

Redigested = Mapping[SourceName, Sequence[Mapping[SubjectKey, tuple[int, int]]]]
"""By source, the newest roster first: what each digest was under the old key, and is under the new one."""


class Rotation:
    """Where the rotation of the state key of one store stands. Every method is one transaction."""

    def __init__(self, engine: Engine, vault: Vault, work_under: Callable[[Vault, str], None]) -> None:
        self._engine = engine
        self._vault = vault
        self._work_under = work_under

    @property
    def key_id(self) -> str:
        """Which key the store is under."""
        return self._vault.key_id

    def to(self, following: Vault) -> Rekeying:
        """From the present key to the following."""
        return Rekeying.between(self._vault, following)

    def rotate(self, keys: Rekeying, redigested: Redigested, actor: str, now: datetime) -> Rekeyed:
        """Put the store under the new key, and have it work under that. The spools are for whoever called this (`finished`)."""
        with transaction(self._engine) as connection, overwriting(connection):
            _alone(connection)
            done = rotate(connection, keys, redigested, actor, now)
            remnants.leave(connection)
        self._work_under(keys.new, done.witness)
        remnants.wipe(self._engine)
        return done

    def unfinished(self) -> bool:
        """Whether the store is under a new key, and the spools may not be yet."""
        with looking(self._engine) as connection:
            return bool(_meta(connection, _UNFINISHED))

    def finished(self) -> None:
        """The spools are under the new key as well."""
        with transaction(self._engine) as connection:
            connection.execute(delete(tables.meta).where(tables.meta.c.key == _UNFINISHED))

    def pending(self) -> dict[SourceName, dict[str, int]]:
        """The sources not read since under the present key, and how many claim facts each has under which earlier one."""
        with looking(self._engine) as connection:
            return pending(connection)


def pending(connection: Connection) -> dict[SourceName, dict[str, int]]:
    """See `Rotation.pending`."""
    table = tables.meta
    rows = connection.execute(select(table).where(table.c.key.startswith(_RETOLD, autoescape=True)).order_by(table.c.key))
    return {SourceName(row.key.removeprefix(_RETOLD)): json.loads(row.value) for row in rows}


# --- which key --------------------------------------------------------------------------------------------------------


def witness(connection: Connection) -> str:
    """What tells the key the store is sealed under; "" where nothing does yet."""
    return _meta(connection, _WITNESS)


def check_key(connection: Connection, vault: Vault) -> str:
    """The witness. Raises EndpointError for a store under another key: on its first row, not in the middle of a run."""
    held = witness(connection)
    if held:
        vault.open(bytes.fromhex(held), "witness")
    return held


def keep_witness(connection: Connection, vault: Vault) -> str:
    """Tell by which key this store is sealed, unless somebody else has meanwhile; the witness."""
    held = check_key(connection, vault)
    if not held:
        held = vault.seal(b"syncd", "witness").hex()
        statements.upsert(connection, tables.meta, [{"key": _WITNESS, "value": held}])
    return held


def is_under(url: str, vault: Vault) -> bool:
    """Whether the store behind the URL is sealed under this vault's key; False for one that is empty yet.

    Raises EndpointError where it does not answer.
    """
    engine = connect(url)
    try:
        with looking(engine) as connection:
            held = witness(connection) if migrations.current(connection) is not None else ""
    finally:
        engine.dispose()
    try:
        return bool(held) and vault.open(bytes.fromhex(held), "witness") is not None
    except EndpointError:
        return False


def with_heirlooms(connection: Connection, vault: Vault) -> Vault:
    """The vault, with what this store kept of earlier keys."""
    table = tables.meta
    rows = connection.execute(select(table).where(table.c.key.startswith(_HEIRLOOM, autoescape=True)))
    kept = {row.key.removeprefix(_HEIRLOOM): vault.open(bytes.fromhex(row.value), row.key) for row in rows}
    return vault.with_heirlooms(kept) if kept else vault


def watch_key(engine: Engine, expected: Callable[[], str]) -> None:
    """Refuse every later transaction once the store is under another key: what it sealed nobody could open.

    No key takes the place of this one while a transaction lasts that may write.
    """

    def same(connection: Connection) -> None:
        if connection.dialect.name == "postgresql" and not only_looks(connection):  # SQLite has one writer in any case
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock_shared({_KEY_LOCK})")
        if witness(connection) != expected():
            why = "is under another state key since this process began"
            raise StoreError(why, "start it again: a rotation has taken place, or a restore")

    event.listen(engine, "begin", same)


def _alone(connection: Connection) -> None:
    """Wait for whoever writes under the present key, and keep everybody else from beginning to: they find another one."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_KEY_LOCK})")


def _meta(connection: Connection, key: str) -> str:
    # Asked of every transaction, so nothing is built for it. The keys are constants of this module.
    return connection.exec_driver_sql(f"SELECT value FROM {tables.meta.name} WHERE key = '{key}'").scalar() or ""  # noqa: S608 — as above


# --- the step ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """What a rotation came to: sealed rows under the new key, and per source the facts that the next roster must tell again."""

    rows: int
    pending: Mapping[SourceName, int]
    witness: str


def rotate(connection: Connection, keys: Rekeying, redigested: Redigested, actor: str, now: datetime) -> Rekeyed:
    """Put everything under the new key, in one transaction with the audit's entry of it: all of it, or nothing."""
    counts: Counter[str] = Counter()
    born: dict[str, str] = {}  # the token of each birth date, as it was and as it is
    late: dict[SourceName, Counter[str]] = {
        SourceName(source): Counter() for source in connection.execute(select(tables.snapshots.c.source).distinct()).scalars()
    }
    with _unguarded(connection):
        for table in tables.metadata.sorted_tables:
            columns = [column for name, column in CONTEXTS if name == table.name]
            for page in _pages(connection, table) if columns else ():
                rows = [row for one in page if (row := _rekeyed(table, columns, one, keys, born, late))]
                _write(connection, table, rows)
                counts[table.name] += len(rows)
    _liken(connection, born)
    _redigest(connection, keys.new, redigested)
    told = keys.new.seal(b"syncd", "witness").hex()
    meta = {_WITNESS: told, _UNFINISHED: keys.new.key_id}
    meta |= {f"{_HEIRLOOM}{key}": keys.new.seal(one, f"{_HEIRLOOM}{key}").hex() for key, one in keys.new.heirlooms.items()}
    meta |= {f"{_RETOLD}{source}": json.dumps(facts) for source, facts in late.items()}
    statements.upsert(connection, tables.meta, [{"key": key, "value": value} for key, value in meta.items()])
    connection.execute(delete(tables.freshness).where(tables.freshness.c.kind == Kind.BACKUP))  # this key opens none there is
    said = {"from": keys.old.key_id, "to": keys.new.key_id, "rows": dict(counts)}
    audit.append(connection, keys.new, ROTATED, actor, said, now)
    return Rekeyed(counts.total(), {source: facts.total() for source, facts in late.items()}, told)


@contextmanager
def _unguarded(connection: Connection) -> Iterator[None]:
    """While this lasts, the database lets rows of the journal be changed; where it does not end, nothing of it has been."""
    if connection.dialect.name == "sqlite":
        query = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ('journal', 'outcomes', 'audit')")
        guards = connection.execute(query).all()
        for guard in guards:
            connection.exec_driver_sql(f'DROP TRIGGER "{guard.name}"')
        yield
        for guard in guards:
            connection.exec_driver_sql(guard.sql)
        return
    for name in _KEPT:
        connection.exec_driver_sql(f"ALTER TABLE {name} DISABLE TRIGGER {name}_is_kept")
    yield
    for name in _KEPT:
        connection.exec_driver_sql(f"ALTER TABLE {name} ENABLE TRIGGER {name}_is_kept")


def _pages(connection: Connection, table: Table) -> Iterator[Sequence[Row[Any]]]:
    """The rows of a table, some at a time, in the order of their keys: they are written to meanwhile."""
    key = tuple_(*table.primary_key)
    query = select(table).order_by(*table.primary_key).limit(_PAGE)
    page = connection.execute(query).all()
    while page:
        yield page
        last = tuple(getattr(page[-1], column.name) for column in table.primary_key)
        page = connection.execute(query.where(key > last)).all()


def _rekeyed(
    table: Table,
    columns: Sequence[str],
    row: Row[Any],
    keys: Rekeying,
    born: dict[str, str],
    late: dict[SourceName, Counter[str]],
) -> dict[str, Any]:
    """The key and the sealed columns of a row as they are to be; nothing where nothing is sealed in it."""
    told: dict[str, Any] = {}
    for name in columns:
        sealed = getattr(row, name)
        if not sealed:
            continue
        context = CONTEXTS[table.name, name](row)
        if (table.name, name) in COMMITTED:
            told[name] = keys.enclosed(sealed, context)
        elif table.name == "records":
            plain = _record(row, keys.old.open(sealed, context), keys, born, late)
            told[name] = keys.new.seal(plain, context)
        elif (table.name, name) == ("facts", "sealed") and row.kind == FactKind.SPONSOR:
            told[name] = keys.new.seal(_sponsored(keys.old.open(sealed, context), keys, born), context)
        else:
            told[name] = keys.resealed(sealed, context)
    if not told:
        return {}
    return _told(table, row, {name: told.get(name, getattr(row, name)) for name in columns})


def _told(table: Table, row: Row[Any], columns: Mapping[str, Any]) -> dict[str, Any]:
    """A row's key, and what some of its columns are to hold."""
    key = {f"of_{column.name}": getattr(row, column.name) for column in table.primary_key}
    return key | {f"to_{name}": value for name, value in columns.items()}


def _write(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        mine = (column == bindparam(f"of_{column.name}") for column in table.primary_key)
        names = [name.removeprefix("to_") for name in rows[0] if name.startswith("to_")]
        connection.execute(update(table).where(*mine).values({name: bindparam(f"to_{name}") for name in names}), list(rows))


def _record(row: Row[Any], plain: bytes, keys: Rekeying, born: dict[str, str], late: dict[SourceName, Counter[str]]) -> bytes:
    """A record with its claim facts under the new key, but for those that only a roster can tell again."""
    record = codec.record_from_bytes(SourceName(row.source), SourceKey(row.key), plain)
    if not record.facts:
        return plain
    kept = claims.joined(record.facts, record.sealed)
    for fact in record.sealed:
        kept[fact] = _fact(kept[fact], fact, record.source, record.key, keys, born) or record.facts[fact]
    if record.source != LOCAL:  # which no roster tells
        late.setdefault(record.source, Counter()).update(key for key in keys_in(kept.values()) if key != keys.new.key_id)
    return codec.with_facts(plain, kept)


def _sponsored(plain: bytes, keys: Rekeying, born: dict[str, str]) -> bytes:
    """A sponsorship, whose birth date is lost where it cannot be opened: nobody will tell it again."""
    told = json.loads(plain)
    values = told["values"]
    if values.get("birth_date"):
        values["birth_date"] = _fact(values["birth_date"], "birth_date", LOCAL, values.get("key", ""), keys, born)
    return codec.dumps(told)


def _fact(kept: str, fact: str, source: str, key: str, keys: Rekeying, born: dict[str, str]) -> str:
    told = keys.fact(kept, source=source, key=key, fact=fact)
    if told:
        born[kept.partition(" ")[0]] = told.partition(" ")[0]
    return told


def _liken(connection: Connection, born: Mapping[str, str]) -> None:
    """Put what people are recognised by under the new key; whose birth date nobody knows any more resembles nobody until told."""
    table = tables.persons
    rows = []
    for row in connection.execute(select(table.c.seq, table.c.likeness).where(table.c.likeness != "")):
        token, _, family = row.likeness.partition("|")
        rows.append({"of_seq": row.seq, "to_likeness": f"{born[token]}|{family}" if token in born else ""})
    _write(connection, table, rows)


def _redigest(connection: Connection, vault: Vault, redigested: Redigested) -> None:
    """The digests of rows under the new key. Of a row that no roster kept explains, it is another one: it is looked at again."""
    table, digest = tables.digests, vault.row_digest()
    for page in _pages(connection, table):
        rows = []
        for row in page:
            subject = SubjectKey(Subject(row.subject), SourceKey(row.key))
            known = {
                was.to_bytes(16, "big"): now.to_bytes(16, "big")
                for told in redigested.get(row.source, ())
                if subject in told
                for was, now in [told[subject]]
            }
            strange = digest(b"rotated " + bytes(row.digest)).to_bytes(16, "big")
            before = known.get(bytes(row.before)) if row.before is not None else None
            rows.append(_told(table, row, {"digest": known.get(bytes(row.digest), strange), "before": before}))
        _write(connection, table, rows)


# --- the rosters after it ---------------------------------------------------------------------------------------------


def renew(connection: Connection, vault: Vault, source: SourceName, told: Retold) -> None:
    """Take the claim facts of a roster that was read under the present key, and drop what it cannot tell (R23)."""
    if source not in pending(connection):
        return
    rows = [
        {"source": source, "subject": str(key.subject), "key": key.key, "digest": digest.to_bytes(16, "big")}
        for key, digest in told.digests.items()
    ]
    statements.upsert(connection, tables.digests, rows)
    table, keys = tables.records, tables.source_keys
    gone = select(keys.c.key).where(keys.c.source == source, keys.c.missing_since.is_not(None))
    absent = set(connection.execute(gone).scalars()) if told.complete else set()
    left: Counter[str] = Counter()
    for row in connection.execute(select(table).where(table.c.source == source)).all():
        context = CONTEXTS["records", "sealed"](row)
        plain = vault.open(row.sealed, context)
        record = codec.record_from_bytes(source, SourceKey(row.key), plain)
        kept = claims.joined(record.facts, record.sealed)
        old = {fact for fact, token in kept.items() if keys_in([token]) not in ([], [vault.key_id])}
        if not old:
            continue
        if row.key in told.facts:
            kept = dict(told.facts[SourceKey(row.key)])
        elif row.key in absent:
            kept = {fact: token for fact, token in kept.items() if fact not in old}
        left.update(key for key in keys_in(kept.values()) if key != vault.key_id)
        sealed = vault.seal(codec.with_facts(plain, kept), context)
        _write(connection, table, [_told(table, row, {"sealed": sealed})])
    if told.complete and not left:
        connection.execute(delete(tables.meta).where(tables.meta.c.key == f"{_RETOLD}{source}"))
    else:
        statements.upsert(connection, tables.meta, [{"key": f"{_RETOLD}{source}", "value": json.dumps(left)}])
