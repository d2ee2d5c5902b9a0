"""The schema's history, as package data. `check` costs one query; alembic is imported only to upgrade."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from syncd.errors import EndpointError

HEAD = "0017"
"""The revision this program works with: the newest file under `versions/`."""


def current(connection: Connection) -> str | None:
    """The revision of the store, None where it has no tables yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def check(connection: Connection) -> None:
    """Raise EndpointError unless the store's schema is the one this program works with."""
    found = current(connection)
    if found is None or found < HEAD:
        was = "is empty" if found is None else f"has schema {found}, older than {HEAD}"
        raise EndpointError("store", was, "run: syncd migrate")
    if found > HEAD:
        raise EndpointError("store", f"has schema {found}, newer than this program's {HEAD}", "install the newer syncd again")


def upgrade(connection: Connection, to: str = HEAD) -> str:
    """Bring the schema to HEAD inside the caller's transaction; the revision. Raises EndpointError for a newer schema."""
    found = current(connection)
    if found == to:
        return to
    if found is not None and found > HEAD:
        check(connection)
    from alembic import command  # noqa: PLC0415 — a tenth of a second nobody should pay on every start
    from alembic.config import Config  # noqa: PLC0415 — as above

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, to)
    return to
