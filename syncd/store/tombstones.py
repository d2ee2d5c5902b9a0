"""Names of people who were forgotten: nobody can read them here any more, and nobody is ever given them (R9, R24).

In the ledger a keyed digest stands where the name stood. Whoever knows a name can ask whether it is taken; nobody can list them.
Nobody can put them under another key either: each is asked for under every key there ever was.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, delete, select

from syncd.core.model import PersonId
from syncd.core.naming import ledger_key
from syncd.store import reading, tables
from syncd.store.reading import chunks
from syncd.store.statements import add_if_absent
from syncd.vault import Vault

FORGOTTEN = "forgotten"
"""Who holds such a name: no person id, and no account."""
_FACT = "forgotten name"


def raise_over(connection: Connection, vault: Vault, person: PersonId, now: str) -> int:
    """Put a tombstone in place of every name of this person; how many."""
    table = tables.ledger
    names = list(connection.execute(select(table.c.name).where(table.c.holder == person)).scalars())
    connection.execute(delete(table).where(table.c.holder == person))
    stones = [{"name": _stone(vault, name), "holder": FORGOTTEN, "state": "issued", "run": None, "since": now} for name in names]
    add_if_absent(connection, table, stones)
    return len(names)


def standing(connection: Connection, vault: Vault, keys: Collection[str]) -> set[str]:
    """Those of the ledger's names that belonged to somebody forgotten. Costs one look where nobody ever was."""
    table = tables.ledger
    if connection.execute(select(table.c.name).where(table.c.holder == FORGOTTEN).limit(1)).first() is None:
        return set()
    by_stone = {f"#{token}": key for key in keys for token in vault.index_tokens(key, fact=_FACT)}
    found: set[str] = set()
    for piece in chunks(by_stone):
        found.update(connection.execute(select(table.c.name).where(table.c.name.in_(piece))).scalars())
    return {by_stone[stone] for stone in found}


def holders(connection: Connection, vault: Vault, names: Collection[str]) -> dict[str, str]:
    """Who holds each name, as `reading.holders` says it, and `forgotten` of whose holder nothing else is known."""
    gone = standing(connection, vault, {ledger_key(name) for name in names})
    return {name: FORGOTTEN for name in names if ledger_key(name) in gone} | reading.holders(connection, names)


def _stone(vault: Vault, key: str) -> str:
    return f"#{vault.index_token(key, fact=_FACT)}"
