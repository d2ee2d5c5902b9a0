"""When a refused change is tried again, and what humans decided about who somebody is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two tables that begin empty: whoever has a refused change is dirty, so the next run sends it and sets it aside anew."""
    op.drop_table("quarantine")
    op.create_table(
        "quarantine",
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("person", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("group", sa.String(), nullable=False),
        sa.Column("wanted", sa.String(), nullable=False),
        sa.Column("attribute", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("first", "last", "next")),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("target", "person", "kind", "group"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "resolutions",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("kind", "subject", "candidate", "at", "actor")),
        sa.Column("withdrawn", sa.String(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_resolutions_subject"), "resolutions", ["subject"], unique=False)
    op.create_index(op.f("ix_resolutions_candidate"), "resolutions", ["candidate"], unique=False)
