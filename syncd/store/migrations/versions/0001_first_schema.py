"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Every table."""
    op.create_table(
        "digests",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("source", "subject", "key"),
        sqlite_with_rowid=False,
    )
    op.create_table("dirty", sa.Column("person", sa.Integer(), nullable=False), sa.PrimaryKeyConstraint("person"))
    op.create_table(
        "findings",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("person", sa.Integer(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    op.create_index("findings_by_kind", "findings", ["kind"], unique=False)
    op.create_index(op.f("ix_findings_person"), "findings", ["person"], unique=False)
    op.create_index(op.f("ix_findings_run"), "findings", ["run"], unique=False)
    op.create_table(
        "leases",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("until", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "ledger",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=True),
        sa.Column("since", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_ledger_holder"), "ledger", ["holder"], unique=False)
    op.create_index(op.f("ix_ledger_run"), "ledger", ["run"], unique=False)
    op.create_table(
        "meta",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "persons",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("population", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("since", sa.String(), nullable=True),
        sa.Column("due", sa.String(), nullable=True),
        sa.Column("likeness", sa.String(), nullable=False),
        sa.Column("given", sa.String(), nullable=False),
        sa.Column("campus", sa.String(), nullable=False),
        sa.Column("claimed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_persons_due"), "persons", ["due"], unique=False)
    op.create_index(op.f("ix_persons_likeness"), "persons", ["likeness"], unique=False)
    op.create_table(
        "quarantine",
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("person", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first", sa.String(), nullable=False),
        sa.Column("last", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("target", "person", "kind"),
    )
    op.create_table(
        "records",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("source", "key"),
    )
    op.create_table(
        "campuses",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("parent", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("source", "key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "classes",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("campus", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("course", sa.String(), nullable=False),
        sa.Column("begin", sa.String(), nullable=True),
        sa.Column("end", sa.String(), nullable=True),
        sa.Column("teachers", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source", "key"),
        sqlite_with_rowid=False,
    )
    for table, place in (("roles", "campus"), ("enrolments", "class")):
        op.create_table(
            table,
            sa.Column("source", sa.String(), nullable=False),
            sa.Column("key", sa.String(), nullable=False),
            sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
            sa.Column(place, sa.String(), nullable=False),
            sa.Column("role", sa.String(), nullable=False),
            sa.Column("primary", sa.Boolean(), nullable=False),
            sa.Column("begin", sa.String(), nullable=True),
            sa.Column("end", sa.String(), nullable=True),
            sa.PrimaryKeyConstraint("source", "key", "place"),
            sqlite_with_rowid=False,
        )
    op.create_index("enrolments_by_class", "enrolments", ["source", "class"], unique=False)
    op.create_table(
        "guardianships",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("guardian", sa.String(), nullable=False),
        sa.Column("relation", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("source", "key", "place"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "refs",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("person", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("source", "subject", "key", "person"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_refs_person"), "refs", ["person"], unique=False)
    op.create_table(
        "runs",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("pipeline", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("trigger", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("started", sa.String(), nullable=False),
        sa.Column("ended", sa.String(), nullable=True),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "snapshots",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("spool", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("accepted_on", sa.String(), nullable=False),
        sa.Column("fetched_at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_snapshots_source"), "snapshots", ["source"], unique=False)
    op.create_table(
        "journal",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("person", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["run"], ["runs.seq"]),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_journal_person"), "journal", ["person"], unique=False)
    op.create_index(op.f("ix_journal_run"), "journal", ["run"], unique=False)
    op.create_table(
        "links",
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("person", sa.Integer(), nullable=False),
        sa.Column("native_id", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("disabled_by_us", sa.Boolean(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["persons.seq"]),
        sa.PrimaryKeyConstraint("target", "person"),
        sa.UniqueConstraint("target", "native_id"),
    )
    op.create_table(
        "memberships",
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("person", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["persons.seq"]),
        sa.PrimaryKeyConstraint("target", "person", "name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "names",
        sa.Column("person", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("basis", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["persons.seq"]),
        sa.PrimaryKeyConstraint("person", "kind"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "plans",
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.seq"]),
        sa.PrimaryKeyConstraint("run"),
    )
    op.create_table(
        "source_keys",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("person", sa.Integer(), nullable=False),
        sa.Column("missing_since", sa.String(), nullable=True),
        sa.Column("absences", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["persons.seq"]),
        sa.PrimaryKeyConstraint("source", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_source_keys_missing_since"), "source_keys", ["missing_since"], unique=False)
    op.create_index(op.f("ix_source_keys_person"), "source_keys", ["person"], unique=False)
    op.create_table(
        "images",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["seq"], ["journal.seq"]),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_table(
        "outcomes",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("failure", sa.String(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["seq"], ["journal.seq"]),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_table(
        "passwords",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("person", sa.Integer(), nullable=False),
        sa.Column("intention", sa.Integer(), nullable=False),
        sa.Column("expires", sa.String(), nullable=False),
        sa.Column("handed_out", sa.String(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["intention"], ["journal.seq"]),
        sa.ForeignKeyConstraint(["person"], ["persons.seq"]),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    keep_what_was_written("journal")
    keep_what_was_written("outcomes")


def keep_what_was_written(table: str) -> None:
    """Refuse, in the database itself, to change or delete a row of the table: the journal is the audit (R24)."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {table}_is_kept() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(f"CREATE TRIGGER {table}_is_kept BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_is_kept()")
