"""Stores on both databases: every test that takes `url` or `store` runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncd.demo.samba import PrivateSamba, missing
from syncd.store import Store, migrations
from syncd.store.database import connect, transaction
from syncd.vault import Vault
from tests.integration.postgres import PrivatePostgres, private_postgres
from tests.integration.samba import Domain

SAMBA_CACHE = Path.home() / ".cache" / "syncd" / "samba"
"""Where the archive of a domain is kept, which takes ten seconds to make."""


@pytest.fixture(scope="session")
def postgres() -> Iterator[PrivatePostgres]:
    """A PostgreSQL server for this test process."""
    with private_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """The URL of an empty database of each kind, by a name of the test's choosing."""
    if request.param == "sqlite":
        return lambda name: f"sqlite:///{tmp_path}/{name}.db"
    server: PrivatePostgres = request.getfixturevalue("postgres")
    return lambda _name: server.fresh()


@pytest.fixture
def url(new_url: Callable[[str], str]) -> str:
    """The URL of an empty database."""
    return new_url("store")


@pytest.fixture
def store_vault() -> Vault:
    """The vault the test's store is sealed with."""
    return Vault(b"k" * 32)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What a migrated, empty SQLite store is; migrating takes longer than most tests of a store."""
    file = tmp_path_factory.mktemp("migrated") / "store.db"
    _migrate(f"sqlite:///{file}")
    return file.read_bytes()


@pytest.fixture(scope="session")
def migrated_database(postgres: PrivatePostgres) -> str:
    """The name of a migrated, empty database on this test process' server, to be copied."""
    url = postgres.fresh()
    _migrate(url)
    return url.removeprefix("postgresql+psycopg:///").partition("?")[0]


def _migrate(url: str) -> None:
    engine = connect(url)
    with transaction(engine) as connection:
        migrations.upgrade(connection)
    engine.dispose()


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path, store_vault: Vault, new_url: Callable[[str], str]) -> Iterator[Store]:
    """A migrated, empty store."""
    if request.node.callspec.params["new_url"] == "sqlite":
        (tmp_path / "store.db").write_bytes(request.getfixturevalue("migrated_file"))
        url = new_url("store")
    else:
        url = request.getfixturevalue("postgres").fresh(request.getfixturevalue("migrated_database"))
    opened = Store.open(url, store_vault)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def samba_cache() -> Path:
    """Where a domain to be unpacked lies, or is made: for a test that starts a controller. A machine that cannot fails it."""
    if why := missing():
        pytest.fail(why)
    return SAMBA_CACHE


@pytest.fixture(scope="session")
def domain(samba_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Domain]:
    """A running domain for this test process. Leave it running: a test that stops it uses `own_domain`."""
    with PrivateSamba(tmp_path_factory.mktemp("samba"), samba_cache) as server:
        opened = Domain(server)
        opened.open_rooms()
        yield opened
        opened.close()


@pytest.fixture
def room(domain: Domain) -> str:
    """A part of the domain that is this test's own."""
    return domain.room()
