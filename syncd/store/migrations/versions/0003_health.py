"""How fresh sources, targets and campuses are, why a run is held, what was applied of late, what somebody approved or undid."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Tables and a column that begin empty, and are filled by the next run."""
    op.create_table(
        "freshness",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("good_at", sa.String(), nullable=True),
        sa.Column("changed_at", sa.String(), nullable=True),
        sa.Column("failed_at", sa.String(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spent",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("target", "hour", "operation", "campus", "population")),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("target", "hour", "operation", "campus", "population"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "approvals",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("expires", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "shelved",
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("person", sa.Integer(), sa.ForeignKey("persons.seq"), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("target", "person", "digest"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_approvals_expires"), "approvals", ["expires"], unique=False)
    op.add_column("runs", sa.Column("held", sa.Text(), nullable=False, server_default="[]"))
