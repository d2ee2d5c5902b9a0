"""The store's schema: migrated, described and told alike, on both databases."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from syncd.core.model import SourceKey, Subject, SubjectKey
from syncd.errors import EndpointError
from syncd.store import Store, migrations, tables
from syncd.store.database import connect, transaction
from syncd.vault import Vault
from tests.integration.test_store import P1, P2, SIS, campus, people


def test_the_migrated_schema_is_the_one_the_program_describes(store: Store) -> None:
    """Whoever migrates has exactly the tables, columns, indexes and constraints that the code works with."""
    with transaction(store._engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, tables.metadata) == []


def test_every_table_is_told_in_the_reference() -> None:
    """Whoever keeps the store can look up what each of its tables holds, and whether it is sealed."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "store.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    told = {name for cell in rows for name in re.findall(r"`(\w+)`", cell)}
    assert set(tables.metadata.tables) - told == set()


def test_migrating_twice_changes_nothing(store: Store) -> None:
    """`syncd migrate` may run on every start."""
    people(store)
    assert store.migrate() == store.migrate() == migrations.HEAD
    assert {P1, P2} == store.everyone()


def test_an_older_store_is_brought_up_to_date(url: str, store_vault: Vault) -> None:
    """The first schema's edges between persons are kept; those to campuses and classes, roles and enrolments tell."""
    engine = connect(url)
    with transaction(engine) as connection:
        migrations.upgrade(connection, "0001")
        for row in ("('sis', 'person', '9', 1)", "('sis', 'campus', 'c1', 1)", "('sis', 'person', '8', 2)"):
            connection.execute(text(f"INSERT INTO refs (source, subject, key, person) VALUES {row}"))  # noqa: S608 — the rows of this test
    engine.dispose()
    with pytest.raises(EndpointError, match="syncd migrate"):
        Store.open(url, store_vault)
    store = Store.open(url, store_vault, migrate=True)
    assert store.referrers(SIS, [SubjectKey(Subject.PERSON, SourceKey("9"))]) == {P1}
    assert store.referrers(SIS, [campus("c1")]) == set()
    store.close()


def test_an_unmigrated_store_is_refused_with_the_verb_that_helps(url: str, store_vault: Vault) -> None:
    """Nothing works on a schema that is not there."""
    with pytest.raises(EndpointError, match="syncd migrate"):
        Store.open(url, store_vault)


def test_a_schema_newer_than_the_program_is_refused(store: Store, store_vault: Vault) -> None:
    """An old program never writes into a newer store, and never migrates it back."""
    with transaction(store._engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for migrate in (False, True):
        with pytest.raises(EndpointError, match="newer than this program"):
            Store.open(store._engine.url.render_as_string(), store_vault, migrate=migrate)


def test_another_state_key_is_refused_when_the_store_is_opened(store: Store) -> None:
    """A wrong key is told at once, not in the middle of a run."""
    assert store.runs() == []
    with pytest.raises(EndpointError, match="state_key"):
        Store.open(store._engine.url.render_as_string(), Vault(b"x" * 32))
