"""The audit chain (R24), hung over what was journalled before there was one."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from syncd.core import audit

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The chain and its commitments; one entry for all rows there are, and one for all outcomes."""
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("at", "kind", "actor")),
        sa.Column("run", sa.Integer(), nullable=True),
        sa.Column("person", sa.Integer(), nullable=True),
        sa.Column("commitment", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("link", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_audit_person"), "audit", ["person"], unique=False)
    _unguarded()
    for table in ("journal", "outcomes"):
        op.add_column(table, sa.Column("commitment", sa.LargeBinary(), nullable=True))
        op.add_column(table, sa.Column("entry", sa.Integer(), nullable=True))
    connection = op.get_bind()
    before = audit.GENESIS
    told = (
        ("intended", "journal", "images", ("seq", "run", "at", "target", "kind", "person")),
        ("answered", "outcomes", "outcomes", ("seq", "at", "result", "failure")),
    )
    for kind, table, contents, columns in told:
        before = _cover(connection, before, kind, table, contents, columns)
    _keep("journal", ("seq", "run", "at", "target", "kind", "person", "commitment", "entry"), "")
    _keep("outcomes", ("seq", "at", "result", "failure", "commitment", "entry"), "sealed")
    _keep("audit", ("seq", "at", "kind", "actor", "run", "person", "commitment", "link"), "sealed")


def _cover(connection: sa.Connection, before: bytes, kind: str, table: str, contents: str, columns: tuple[str, ...]) -> bytes:
    held = connection.execute(sa.text(f"SELECT seq, sealed FROM {contents}"))  # noqa: S608 — our own names
    sealed = {row.seq: bytes(row.sealed) for row in held}
    named = ", ".join(f'"{name}"' for name in columns)
    rows = [tuple(row) for row in connection.execute(sa.text(f"SELECT {named} FROM {table} ORDER BY seq"))]  # noqa: S608 — as above
    if not rows:
        return before
    commitments = {row[0]: audit.digest(sealed.get(row[0], b"")) for row in rows}
    entry = connection.execute(sa.text("SELECT count(*) FROM audit")).scalar_one() + 1
    connection.execute(
        sa.text(f"UPDATE {table} SET commitment = :commitment, entry = :entry WHERE seq = :seq"),  # noqa: S608 — as above
        [{"seq": seq, "commitment": commitment, "entry": entry} for seq, commitment in commitments.items()],
    )
    at = datetime.now(UTC).isoformat()
    commitment = audit.of_rows((*row, commitments[row[0]]) for row in rows)
    head = audit.link(before, entry, at, kind, "", None, None, commitment)
    insert = "INSERT INTO audit (at, kind, actor, commitment, link) VALUES (:at, :kind, '', :commitment, :link)"
    connection.execute(sa.text(insert), {"at": at, "kind": kind, "commitment": commitment, "link": head})
    return head


def _unguarded() -> None:
    """Take away what refuses every change to the journal: its rows get their commitments now."""
    for table in ("journal", "outcomes"):
        if op.get_bind().dialect.name == "sqlite":
            op.execute(f"DROP TRIGGER {table}_no_update")
            op.execute(f"DROP TRIGGER {table}_no_delete")
        else:
            op.execute(f"DROP TRIGGER {table}_is_kept ON {table}")
            op.execute(f"DROP FUNCTION {table}_is_kept()")


def _keep(table: str, columns: tuple[str, ...], emptied: str) -> None:
    """Refuse, in the database itself, to change or delete a row; but the contents in `emptied` may be destroyed."""
    if op.get_bind().dialect.name == "sqlite":
        refusal = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        named = ", ".join(f'"{name}"' for name in columns)
        op.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refusal}")
        op.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE OF {named} ON {table} {refusal}")
        if emptied:
            only = f"WHEN length(NEW.{emptied}) > 0"
            op.execute(f"CREATE TRIGGER {table}_only_emptied BEFORE UPDATE OF {emptied} ON {table} {only} {refusal}")
        return
    others = f"to_jsonb(NEW) - '{emptied}' = to_jsonb(OLD) - '{emptied}' AND coalesce(length(NEW.{emptied}), 0) = 0"
    may = f"IF TG_OP = 'UPDATE' THEN IF {others} THEN RETURN NEW; END IF; END IF;" if emptied else ""
    op.execute(
        f"CREATE FUNCTION {table}_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {may} "
        f"RAISE EXCEPTION '{table} is append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(f"CREATE TRIGGER {table}_is_kept BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_is_kept()")
